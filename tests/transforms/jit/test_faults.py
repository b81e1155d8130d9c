"""Faults that were found by trying to break fnn.jit, each with its neighbours."""

import functools
import inspect
import sys
import types
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
import fnn.nn.functional as F
from fnn import nn, optim

X, Y = jnp.ones((8, 4), jnp.float32), jnp.ones((8, 2), jnp.float32)
K = 1.0


def close(a, b):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5, atol=1e-6)


UNUSED = {
    "product": lambda m, x: (x @ m.weight.T, x)[1],
    "shape": lambda m, x: x * m.weight.T.shape[0],
    "index": lambda m, x: (m.weight[0], x)[1],
    "new axis": lambda m, x: jnp.ones(m.weight[None].shape),
    "sum": lambda m, x: (m.weight.sum(1), x)[1],
    "norm": lambda m, x: (jnp.linalg.norm(m.weight, axis=1), x)[1],
    "concatenate": lambda m, x: (jnp.concatenate([m.weight, m.weight]), x)[1],
    "layer": lambda m, x: (nn.functional.layer_norm(x, (4,), m.weight[0]), x)[1],
    "encoder": lambda m, x: (ENCODER(x[None]), x)[1],
}
ENCODER = nn.TransformerEncoderLayer(4, 2, 8)


@pytest.mark.parametrize("kind", UNUSED)
def test_a_box_of_which_nothing_is_returned(kind):
    model = nn.Linear(4, 2)
    out = fnn.jit(lambda x: UNUSED[kind](model, x))(X)
    assert out.shape == UNUSED[kind](model, X).shape


def test_a_head_that_the_loss_does_not_use():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(4, 4), nn.Linear(4, 2)
            self.proj = nn.Parameter(jnp.ones((4, 3), jnp.float32))

        def forward(self, x):
            h = self.body(x)
            return {"logits": self.head(h), "emb": h @ self.proj}

    model = Net()
    close(fnn.jit(lambda x: model(x)["logits"])(X), model(X)["logits"])
    optimizer = optim.SGD([*model.body.parameters(), *model.head.parameters()], lr=0.1)
    step = fnn.jit(lambda x, y: optimizer.step(lambda: F.mse_loss(model(x)["logits"], y)))
    assert float(step(X, Y)) > float(step(X, Y))


# What super() and Python itself reach


class A(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        return self.fc(x) * K


class B(A):
    def forward(self, x):
        return super().forward(x)


class Base:
    def __init__(self):
        self.m, self.k = nn.Linear(4, 2), 1.0

    @fnn.jit
    def step(self, x):
        return self.m(x) * self.k

    def loss(self, x):
        return self.m(x) * self.k

    @fnn.jit
    def by_loss(self, x):
        return self.loss(x)


class Sub(Base):
    @fnn.jit
    def step(self, x):
        return super().step(x)

    def loss(self, x):
        return super().loss(x)


def test_what_super_reaches_is_watched(monkeypatch):
    model = B()
    compiled = fnn.jit(model)
    compiled(X)
    monkeypatch.setitem(globals(), "K", 3.0)
    close(compiled(X), model(X))
    one = Sub()
    for _ in range(2):
        close(one.step(X), one.m(X) * one.k)
        close(one.by_loss(X), one.m(X) * one.k)
        one.k = 2.0
    monkeypatch.setattr(Base, "loss", lambda self, x: self.m(x) * 7)
    close(one.by_loss(X), one.m(X) * 7)


class Loss:
    def __call__(self, z):
        return z * K


class Protocol:
    def __init__(self):
        self.k = 1.0

    def __getitem__(self, name):
        return self.k * K

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return self.__dict__["k"] * K

    def __mul__(self, other):
        return other * self.k * K

    def __len__(self):
        return int(self.k * K)

    def __iter__(self):
        return iter([self.k * K])

    def __enter__(self):
        return self.k * K

    def __exit__(self, *exc):
        return None

    def __float__(self):
        return self.k * K

    def __bool__(self):
        return self.k * K > 1.5

    def __contains__(self, other):
        return self.k * K > other


def entered(c, x):
    with c as k:
        return x * k


PROTOCOL = {
    "getitem": lambda c, x: x * c["a"],
    "getattr": lambda c, x: x * c.anything,
    "mul": lambda c, x: c * x,
    "len": lambda c, x: x * len(c),
    "iter": lambda c, x: x * next(iter(c)),
    "enter": entered,
    "float": lambda c, x: x * float(c),
    "bool": lambda c, x: x if c else -x,
    "contains": lambda c, x: x if 1.5 in c else -x,
}


@pytest.mark.parametrize("kind", PROTOCOL)
def test_methods_that_python_calls(kind, monkeypatch):
    c = Protocol()
    compiled = fnn.jit(lambda x: PROTOCOL[kind](c, x))
    close(compiled(X), PROTOCOL[kind](c, X))
    c.k = 2.0
    close(compiled(X), PROTOCOL[kind](c, X))
    monkeypatch.setitem(globals(), "K", 4.0)
    close(compiled(X), PROTOCOL[kind](c, X))


def test_an_object_made_in_the_step(monkeypatch):
    compiled = fnn.jit(lambda x: Loss()(x))
    compiled(X)
    monkeypatch.setitem(globals(), "K", 2.0)
    close(compiled(X), X * 2)


def test_functions_in_containers(monkeypatch):
    k = 1.0
    table, steps = {"a": lambda p: p * k, "act": F.relu}, [lambda p: p + k]
    compiled = fnn.jit(lambda x: steps[0](table["act"](table["a"](x))))
    close(compiled(X), X + 1)
    k = 2.0
    close(compiled(X), X * 2 + 2)
    table["a"] = lambda p: -p
    close(compiled(X), X * 0 + 2)
    table["act"] = jnp.abs
    close(compiled(X), X + 2)
    steps[0] = lambda p: p
    close(compiled(X), X)
    table["a"] = functools.partial(jnp.multiply, 5.0)
    close(compiled(X), X * 5)
    model = nn.Linear(4, 2)
    by_name = {"f": lambda x: model(x)}
    close(fnn.jit(lambda x: by_name["f"](x))(X), model(X))


def test_what_the_function_imports_itself(monkeypatch):
    library = types.ModuleType("my_local_import")
    library.rate = 2.0
    exec("def helper(x):\n    return x * rate", library.__dict__)
    monkeypatch.setitem(sys.modules, "my_local_import", library)

    def step(x):
        from my_local_import import helper

        return helper(x)

    compiled = fnn.jit(step)
    close(compiled(X), X * 2)
    library.rate = 3.0
    close(compiled(X), X * 3)


def test_constants_that_are_equal_and_not_the_same():
    k = 0.0
    compiled = fnn.jit(lambda x: jnp.copysign(x, k))
    close(compiled(X), X)
    k = -0.0
    close(compiled(X), -X)
    k = float("nan")
    compiled(X)
    count = compiled._cache_size()
    compiled(X)
    assert compiled._cache_size() == count


def helped(x, scale=2.0, *, shift=[0.0]):  # noqa: B006
    return x * scale + shift[0]


def test_defaults_and_partials_changed_in_place():
    part = functools.partial(jnp.add, 1.0)
    named = functools.partial(helped, scale=3.0)
    compiled = fnn.jit(lambda x: helped(named(part(x))))
    close(compiled(X), (X + 1) * 6)
    named.keywords["scale"] = 1.0
    close(compiled(X), (X + 1) * 2)
    helped.__defaults__ = (5.0,)
    try:
        close(compiled(X), (X + 1) * 5)
    finally:
        helped.__defaults__ = (2.0,)


# Needless compilation


def test_a_number_that_no_code_names_compiles_nothing():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 2)
            self.global_step, self.best, self.k = 0, 0.0, 1.0

        def forward(self, x):
            return self.fc(x) * self.k

    model = Net()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    step = fnn.jit(lambda x, y: optimizer.step(lambda: F.mse_loss(model(x), y)))
    for _ in range(4):
        model.best = float(step(X, Y))
        model.global_step += 1
    assert step._cache_size() == 1
    model.k = 2.0
    step(X, Y)
    assert step._cache_size() == 2
    for lr in (1, np.float32(0.1), 0.3, 2):
        optimizer.param_groups[0]["lr"] = lr
        step(X, Y)
    assert step._cache_size() == 2
    norm = nn.BatchNorm1d(4)
    call = fnn.jit(norm)
    first = call(X + jnp.arange(8, dtype=jnp.float32)[:, None])
    norm.eps = 10.0
    assert (np.asarray(call(X + jnp.arange(8, dtype=jnp.float32)[:, None])) != np.asarray(first)).any()


def test_a_change_at_every_call_is_said():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.n, self.feats = nn.Linear(4, 2), 0, []

        def forward(self, x):
            self.n += 1
            self.feats.clear()
            self.feats.append(x)
            return self.fc(x)

    model = Net()
    compiled = fnn.jit(model)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(7):
            compiled(X)
    assert model.n == 7
    (warning,) = caught
    assert "Net.n, Net.feats at every call" in str(warning.message)


# Errors


def test_a_tuple_in_a_list_is_not_left_behind():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.history = []

        def forward(self, x):
            self.history.append((x, 1))
            return x.sum()

    model, p = Net(), nn.Parameter(jnp.ones(()))
    for run in (jax.jit(model), jax.grad(model), fnn.jit(model), lambda x: fnn.backward(lambda: model(x * p), p)):
        with pytest.raises(RuntimeError, match="traced array"):
            run(X)
        assert model.history == []


def test_a_traced_array_in_an_object_of_the_users_raises():
    class Trainer:
        def __init__(self):
            self.m, self.logs, self.last, self.seen = nn.Linear(4, 2), {}, 1, []
            self.parameters = list(self.m.parameters())

        @fnn.jit
        def attribute(self, x):
            self.last = self.m(x).sum()
            return self.last

        @fnn.jit
        def container(self, x):
            self.logs = {"loss": [self.m(x).sum()]}
            return x

        @fnn.jit
        def within(self, x):
            self.logs["loss"] = self.logs.get("loss", 0.0) + self.m(x).sum()
            return x

        @fnn.jit
        def listed(self, x):
            self.seen.append(self.m(x).sum())
            return x

        @fnn.jit
        def good(self, x):
            self.seen.append(1)
            return self.m(x)

    one = Trainer()
    every = ((one.attribute, "last"), (one.container, "logs"), (one.within, "logs"), (one.listed, "seen"))
    for method, name in every:
        with pytest.raises(RuntimeError, match=f"Trainer.{name} would keep a traced array"):
            method(X)
    assert (one.last, one.logs, one.seen) == (1, {}, [])
    one.good(X)
    assert one.seen == [1]


def test_results_that_are_no_arrays_are_named():
    model = nn.Linear(4, 2)

    def named(x):
        return {"out": model(x), "name": ["abc"]}

    with pytest.raises(
        TypeError, match=r"named .*test_faults.py, line \d+. must return .* type str at result\['name'\]\[0\]"
    ):
        fnn.jit(named)(X)
    with pytest.raises(TypeError, match="type Linear at result"):
        fnn.jit(lambda x: model)(X)

    async def later(x):
        return x

    def several(x):
        yield x

    for function in (later, several):
        with pytest.raises(TypeError, match="an async or generator function"):
            fnn.jit(function)
    with pytest.raises(TypeError, match="got a tuple of 2; with has_aux=True"):
        fnn.backward(lambda: (model(X).sum(), X), model)


def test_the_signature_of_a_method():
    assert str(inspect.signature(Base().step)) == "(x)"
    assert str(inspect.signature(Base.step)) == "(self, x)"


def test_state_of_an_optimizer_that_begins_anew():
    def make():
        ps = [nn.Parameter(np.full(2, 2.0)) for _ in range(3)]
        optimizer = optim.Adam(ps, lr=0.1)
        return ps, optimizer, fnn.jit(lambda: optimizer.step(lambda: sum((p**2).sum() for p in ps)))

    for reset in (
        lambda o, ps: o.state.clear(),
        lambda o, ps: setattr(o, "state", {}),
        lambda o, ps: [o.state.pop(p) for p in ps],
        lambda o, ps: [o.state.__delitem__(p) for p in ps],
        lambda o, ps: [o.state.__setitem__(p, {}) for p in ps],
    ):
        ps, optimizer, step = make()
        step(), step()
        reset(optimizer, ps)
        assert not optimizer.state
        before = [p.numpy().copy() for p in ps]
        step()
        for p, old in zip(ps, before, strict=True):
            close(p, old - 0.1)  # the first step of Adam
            assert int(optimizer.state[p]["step"]) == 1
    ps, optimizer, step = make()
    step(), step()
    del optimizer.state[ps[0]]
    assert list(optimizer.state) == ps[1:]
    step()
    assert [int(optimizer.state[p]["step"]) for p in ps] == [1, 3, 3]
    with pytest.raises(TypeError, match="only an empty dict can be set"):
        optimizer.state = {ps[0]: {"step": 1}}


def test_host_data_written_to_a_box_goes_where_the_box_is():
    model = nn.Linear(4, 2)
    place = model.weight.data.sharding
    model.weight.data = np.zeros((2, 4))
    assert model.weight.data.sharding == place
    close(np.from_dlpack(model.weight), np.zeros((2, 4)))

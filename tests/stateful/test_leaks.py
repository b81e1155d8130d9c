"""Nothing traced is left behind, whatever transformation runs: registrations, lists, learning rates, optimizer state."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.core import Tracer

import fnn
from fnn import nn, optim
from tests.oracle import rand

X = rand(0, 4, 3).astype(np.float32)


class Lazily(nn.Module):
    """Makes a part of some kind at its first call."""

    def __init__(self, kind):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.kind = kind
        self.kept = []
        self.cache = {}

    def forward(self, x):
        y = self.fc(x)
        if self.kind == "buffer" and not hasattr(self, "part"):
            self.register_buffer("part", jnp.tril(jnp.ones((3, 3))) * 2)
        elif self.kind == "attribute buffer" and not hasattr(self, "part"):
            self.part = nn.Buffer(jnp.ones((3, 3)) * 2)
        elif self.kind == "traced buffer" and not hasattr(self, "part"):
            self.register_buffer("part", jnp.outer(x[0], x[0]), persistent=False)
        elif self.kind == "parameter" and not hasattr(self, "part"):
            self.part = nn.Parameter(jnp.ones((3, 3)) * 2)
        elif self.kind == "submodule" and not hasattr(self, "part"):
            self.part = nn.Linear(3, 3)
        elif self.kind == "list" and not self.kept:
            self.kept.append(y.sum() * jnp.ones((3, 3)))
        elif self.kind == "dict":
            self.cache.setdefault("part", x.sum() * jnp.ones((3, 3)))
        if self.kind == "submodule":
            return self.part(y)
        part = self.kept[0] if self.kind == "list" else self.cache["part"] if self.kind == "dict" else self.part
        return y @ part


KINDS = ("buffer", "attribute buffer", "traced buffer", "parameter", "submodule", "list", "dict")


def arrays_in(model):
    boxes = [*model.parameters(), *model.buffers()]
    return [b.data for b in boxes] + [
        v for m in model.modules() for v in (*getattr(m, "kept", ()), *getattr(m, "cache", {}).values())
    ]


def is_whole(model):
    return not any(isinstance(a, Tracer) or a is None for a in arrays_in(model))


@pytest.mark.parametrize("kind", KINDS)
def test_under_fnn_jit_the_new_part_comes_out_and_is_used_again(kind):
    model = Lazily(kind)
    traces = []

    @fnn.jit
    def run(x):
        traces.append(1)
        return model(x)

    with jax.checking_leaks():
        first = run(X)
    assert is_whole(model)
    count = len(arrays_in(model))
    assert count > 2
    np.testing.assert_allclose(model(X), first, rtol=1e-5)
    for _ in range(3):
        np.testing.assert_allclose(run(X), first, rtol=1e-5)
    assert len(traces) == 2
    assert len(arrays_in(model)) == count
    if kind in ("parameter", "submodule"):
        old = np.array(model.part.data if kind == "parameter" else model.part.weight.data)
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        fnn.jit(lambda: optimizer.step(lambda: (model(X) ** 2).mean()))()
        assert (np.asarray(model.part.data if kind == "parameter" else model.part.weight.data) != old).any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compiled", [False, True])
def test_under_fnn_backward_the_new_part_comes_out(kind, compiled):
    model = Lazily(kind)

    def run():
        return fnn.backward(lambda: (model(X) ** 2).mean(), model)

    run = fnn.jit(run) if compiled else run
    first = run()
    assert is_whole(model)
    assert len(arrays_in(model)) > 2
    np.testing.assert_allclose(run(), first, rtol=1e-5)
    assert is_whole(model)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("transform", ["none", "jit", "grad", "eval_shape"])
def test_functional_call_leaves_the_object_as_it_was(kind, transform):
    model = Lazily(kind)
    names = set(dir(model))

    def call(x):
        return fnn.functional_call(model, *fnn.state(model), x, rng=jax.random.key(0))[0].sum()

    by = {"none": lambda f: f, "jit": jax.jit, "grad": jax.grad, "eval_shape": lambda f: lambda x: jax.eval_shape(f, x)}
    for _ in range(2):
        by[transform](call)(jnp.asarray(X))
        assert set(dir(model)) == names
        assert not model.kept
        assert not model.cache
        assert is_whole(model)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("transform", ["jit", "vmap", "grad", "eval_shape", "model"])
def test_elsewhere_it_raises_at_the_place_and_leaves_nothing_behind(kind, transform):
    model = Lazily(kind)
    names = set(dir(model))
    by = {
        "jit": jax.jit(lambda x: model(x)),
        "vmap": lambda x: jax.vmap(lambda row: model(row[None]))(x),
        "grad": jax.grad(lambda x: model(x).sum()),
        "eval_shape": lambda x: jax.eval_shape(model, x),
        "model": jax.jit(model),
    }
    with pytest.raises(RuntimeError, match="JAX transformation"):
        by[transform](jnp.asarray(X))
    assert set(dir(model)) == names
    assert not model.kept
    assert not model.cache
    model(X)
    assert is_whole(model)
    by[transform](jnp.asarray(X))


def test_a_lazy_layer_in_a_plain_transformation():
    class Net(nn.Module):
        def forward(self, x):
            if not hasattr(self, "fc"):
                self.fc = nn.LazyLinear(2)
            return self.fc(x)

    model = Net()
    with pytest.raises(RuntimeError, match="the submodule 'fc' of Net would be made inside"):
        jax.jit(model)(X)
    assert not hasattr(model, "fc")
    lazy = nn.LazyLinear(2)
    with pytest.raises(RuntimeError, match="LazyLinear: its first call cannot be inside"):
        jax.jit(lazy)(X)
    assert lazy(X).shape == (4, 2)
    assert is_whole(lazy)


def test_a_plain_attribute_says_what_works():
    class Net(nn.Module):
        def forward(self, x):
            self.last = x
            return x

    for run in (fnn.jit(Net()), jax.jit(Net())):
        with pytest.raises(
            RuntimeError, match=r"Net.last: a traced array cannot.*return it, or make it a buffer before"
        ):
            run(X)


def test_a_step_under_plain_jit_raises_and_leaves_the_optimizer_as_it_was():
    model = nn.Linear(3, 2)
    for make in (optim.Adam, optim.Adagrad, optim.LBFGS, lambda p: optim.SGD(p, lr=0.1, momentum=0.9)):
        optimizer = make(model.parameters())
        before = optimizer.state_dict()
        for _ in range(2):
            with pytest.raises(RuntimeError, match="JAX transformation"):
                jax.jit(lambda x, o=optimizer: o.step(lambda: (model(x) ** 2).mean()))(X)
            jax.tree.map(np.testing.assert_array_equal, optimizer.state_dict(), before)
        optimizer.step(lambda: (model(X) ** 2).mean())
        assert not any(isinstance(v, Tracer) for s in optimizer.state.values() for v in s.values())


def test_a_traced_learning_rate_is_not_left_behind():
    optimizer = optim.Adam([nn.Parameter(np.ones(2, np.float32))], lr=0.5)
    group = optimizer.param_groups[0]
    for key, wrap in (("lr", lambda x: x), ("betas", lambda x: (x, 0.9))):
        old = group[key]
        with pytest.raises(RuntimeError, match="would be changed inside a JAX transformation"):
            jax.jit(lambda x, key=key, wrap=wrap: group.__setitem__(key, wrap(x)))(0.1)
        assert group[key] == old
        group.update({key: old})
    assert dict(group)["lr"] == {**group}["lr"] == group.copy()["lr"] == 0.5

    @fnn.jit
    def halve(x):
        group = optimizer.param_groups[0]
        group["lr"] = group["lr"] * x
        return (
            group["lr"],
            dict(group)["lr"],
            {**group}["lr"],
            group.get("lr"),
            next(v for k, v in group.items() if k == "lr"),
        )

    assert [float(v) for v in halve(0.5)] == [0.25] * 5
    assert float(group["lr"]) == 0.25


def test_leak_checks_find_nothing():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 1))
    optimizer = optim.Adam(model.parameters())
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)

    @fnn.jit
    def step(x):
        loss = optimizer.step(lambda: (model(x) ** 2).mean())
        scheduler.step()
        return loss

    @fnn.jit
    def four(x):
        loss = fnn.backward(lambda: (model(x) ** 2).mean(), model)
        optimizer.step()
        optimizer.zero_grad()
        return loss

    with jax.checking_leaks():
        for _ in range(3):
            assert np.isfinite(float(step(X)))
            assert np.isfinite(float(four(X)))
        fnn.backward(lambda: (model(X) ** 2).mean(), model)
        jax.jit(lambda x: fnn.functional_call(model, *fnn.state(model), x, rng=jax.random.key(0)))(X)


def test_a_box_kept_where_nobody_finds_it_says_so():
    kept = []

    @fnn.jit
    def run(x):
        kept.append(nn.Buffer(x * 2))
        return kept[0].sum()

    assert float(run(X)) == pytest.approx(2 * X.sum(), rel=1e-5)
    for use in (lambda b: b.shape, lambda b: b + 1, lambda b: b.data.sum(), lambda b: jnp.sum(b)):
        with pytest.raises((RuntimeError, TypeError), match=r"left behind|_LeftBehind"):
            use(kept[0])

"""What a compiled program depends on: whatever the user's own code refers to by name, compared at every call."""

import collections
import dataclasses
import enum
import functools
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
import fnn.nn.functional as F
from fnn import nn, optim
from tests.oracle import rand

X = jnp.asarray(rand(0, 2, 3).astype(np.float32))


def close(a, b):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-5, atol=1e-6)


# Methods


class Base:
    def __init__(self, act=F.relu):
        self.act = act
        self.k = 2.0

    @fnn.jit
    def step(self, x):
        return self.loss(x)

    def loss(self, x):
        return self.helper(self.act(x)).sum()

    def helper(self, x):
        return x * self.scale * self.k

    @property
    def scale(self):
        return self.k + 1

    @classmethod
    @fnn.jit
    def of_class(cls, x):
        return x * cls.factor

    @staticmethod
    @fnn.jit
    def static(x):
        return x * 5

    twice = functools.partialmethod(step)

    @functools.cached_property
    @fnn.jit
    def cached(self):
        return jnp.ones(2) * self.k

    factor = 3.0


class Sub(Base):
    factor = 4.0

    def loss(self, x):
        return -super().loss(x)


class Jitted(Base):
    @fnn.jit
    def step(self, x):
        return super().step(x) + 1


def test_an_inherited_method_runs_the_code_of_the_class_it_is_called_on():
    base, sub, jitted = Base(), Sub(), Jitted()
    for _ in range(2):
        close(base.step(X), base.loss(X))
        close(sub.step(X), -base.loss(X))
        close(jitted.step(X), base.loss(X) + 1)
        close(sub.twice(X), -base.loss(X))
        close(Base.step(sub, X), -base.loss(X))


def test_instances_with_other_functions_do_not_share_a_program():
    for act in (
        F.relu,
        F.sigmoid,
        F.relu,
        jnp.tanh,
        jax.jit(jnp.sin),
        functools.partial(F.leaky_relu, negative_slope=0.5),
    ):
        model = Base(act)
        close(model.step(X), model.loss(X))
        model.act = F.gelu
        close(model.step(X), model.loss(X))
        model.k = 7.0
        close(model.step(X), model.loss(X))


def test_descriptors_above_jit():
    for cls in (Base, Sub):
        close(cls.of_class(X), X * cls.factor)
        close(cls().of_class(X), X * cls.factor)
        close(cls.static(X), X * 5)
        close(cls().static(X), X * 5)
    a, b = Base(), Base()
    b.k = 6.0
    close(a.cached, [2, 2])
    close(b.cached, [6, 6])
    Sub.factor = 9.0
    close(Sub.of_class(X), X * 9)
    Sub.factor = 4.0


# Names


act = F.relu
scale = 2.0
other = 3.0
table = [1.0, 2.0]
CONFIG = types.SimpleNamespace(rate=2.0)


class Mode(enum.Enum):
    PLUS = 1
    MINUS = 2


@dataclasses.dataclass
class Config:
    rate: float = 1.0
    mode: Mode = Mode.PLUS
    inner: "Config | None" = None


mode = Mode.PLUS
config = Config(inner=Config())


def signed(x):
    return x if mode is Mode.PLUS else -x


REBOUND = {
    "function": ("act", [F.tanh, jnp.sin, jnp.cos, jax.jit(jnp.exp), nn.ReLU(), F.relu], lambda x: act(x)),
    "number": ("scale", [3.0, 3, np.float32(2.5), True, 2.0], lambda x: x * scale),
    "container": (
        "table",
        [[5.0, 1.0], (1.0, 2.0), {0: 3.0, 1: 1.0}, np.array([2.0, 9.0])],
        lambda x: x * table[0] + table[1],
    ),
    "enum": ("mode", [Mode.MINUS, Mode.PLUS], signed),
    "dataclass": ("config", [Config(5.0, inner=Config()), Config(2.0, inner=Config())], lambda x: x * config.rate),
    "class": ("act", [nn.Tanh, nn.Sigmoid], lambda x: act()(x)),
    "dtype": ("act", [jnp.float16, jnp.float32, np.dtype("int32")], lambda x: x.astype(act) * 1.5),
}


@pytest.mark.parametrize("kind", REBOUND)
def test_a_rebound_global_is_seen(kind, monkeypatch):
    name, values, function = REBOUND[kind]
    compiled = fnn.jit(function)
    if kind not in ("class", "dtype"):
        close(compiled(X), function(X))
    for value in values * 2:
        monkeypatch.setitem(globals(), name, value)
        out = compiled(X)
        close(out, function(X))
        assert out.dtype == function(X).dtype


def test_two_names_swapped(monkeypatch):
    compiled = fnn.jit(lambda x: x * scale - other)
    close(compiled(X), X * 2 - 3)
    monkeypatch.setitem(globals(), "scale", 3.0)
    monkeypatch.setitem(globals(), "other", 2.0)
    close(compiled(X), X * 3 - 2)


def test_attributes_of_objects_by_name():
    compiled = fnn.jit(
        lambda x: x * config.rate * config.inner.rate * (2 if config.inner.mode is Mode.PLUS else 3) * CONFIG.rate
    )
    for _ in range(2):
        for inner in (1.0, 4.0):
            config.inner.rate = inner
            for mode in Mode:
                config.inner.mode = mode
                CONFIG.rate = inner + 1
                close(compiled(X), X * config.rate * inner * (2 if mode is Mode.PLUS else 3) * (inner + 1))
    assert compiled._cache_size() == 4
    config.inner = Config()
    CONFIG.rate = 2.0


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.config = Config()
        self.act = F.relu
        self.k = 1.0

    def forward(self, x):
        return self.helper(self.fc(x)) * scale * self.config.rate

    def helper(self, x):
        return signed(self.act(x)) * self.twice

    @property
    def twice(self):
        return self.k * 2


def test_what_a_forward_refers_to(monkeypatch):
    model = Net()
    compiled = [fnn.jit(model), fnn.jit(lambda x: model(x)), fnn.jit(lambda m, x: m(x))]

    def check():
        for i, f in enumerate(compiled):
            close(f(model, X) if i == 2 else f(X), model(X))

    check()
    monkeypatch.setitem(globals(), "scale", 5.0)
    check()
    monkeypatch.setitem(globals(), "mode", Mode.MINUS)
    check()
    model.config.rate = 3.0
    check()
    model.k = 4.0
    check()
    model.act = F.sigmoid
    check()
    monkeypatch.setattr(Net, "helper", lambda self, x: x * 11)
    check()
    check()


def test_global_hooks_registered_later():
    model = Net()
    compiled = fnn.jit(model)
    before = compiled(X)
    with nn.modules.module.register_module_forward_hook(lambda m, a, out: out + 1 if isinstance(m, Net) else None):
        close(compiled(X), before + 1)
    close(compiled(X), before)


def test_a_module_of_the_users(monkeypatch):
    library = types.ModuleType("some_code_of_mine")
    library.rate, library.act = 2.0, F.relu
    exec("def run(x):\n    return act(x) * rate", library.__dict__)
    monkeypatch.setitem(sys.modules, "some_code_of_mine", library)
    monkeypatch.setitem(globals(), "library", library)
    compiled = fnn.jit(lambda x: library.run(x) + library.rate)
    close(compiled(X), F.relu(X) * 2 + 2)
    library.rate = 5.0
    close(compiled(X), F.relu(X) * 5 + 5)
    library.act = F.tanh
    close(compiled(X), F.tanh(X) * 5 + 5)


def test_code_of_installed_packages_is_not_searched():
    metrics = pytest.importorskip("sklearn.metrics")
    score = metrics.accuracy_score
    compiled = fnn.jit(lambda x: x * (2 if score is not None else 1))
    close(compiled(X), X * 2)
    found = compiled._contexts[id(None)].found
    assert len(found._looks) < 5


def test_settings_of_jax_are_part_of_the_key():
    def f(a, b):
        return a @ b

    compiled = fnn.jit(f)
    a = jnp.ones((2, 2))
    compiled(a, a)
    sizes = [compiled._cache_size()]
    for context in (
        jax.default_matmul_precision("float32"),
        jax.numpy_dtype_promotion("strict"),
        jax.threefry_partitionable(False),
    ):
        with context:
            compiled(a, a)
            sizes.append(compiled._cache_size())
    assert sizes[-1] >= 4
    compiled(a, a)
    assert compiled._cache_size() == sizes[-1]
    mixed = fnn.jit(lambda a: a + jnp.ones(2, jnp.int8))
    mixed(a)
    with jax.numpy_dtype_promotion("strict"), pytest.raises(Exception, match="promotion"):
        mixed(a)


def test_disable_jit_runs_the_function_itself():
    seen = []
    model = nn.Linear(3, 2)
    compiled = fnn.jit(lambda x: (seen.append(float(x.sum())), model(x))[1])
    with jax.disable_jit():
        close(compiled(X), model(X))
    assert len(seen) == 1


# Static arguments


def test_static_arguments_follow_jax():
    @functools.partial(fnn.jit, static_argnames=("n", "name"))
    def kind(x, n, name="a"):
        return x * n + (0 if type(n) is bool else 1 if type(n) is int else 2) + (len(name) if name else 0)

    for n, extra in ((1, 1), (1.0, 2), (True, 0)) * 2:
        close(kind(X, n), X + extra + 1)
        close(kind(X, n=n, name="bcd"), X + extra + 3)
        close(kind(x=X, n=n), X + extra + 1)
    assert kind._cache_size() >= 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"static_argnames": "nothing"}, "static_argnames of f must be among"),
        ({"static_argnums": 5}, r"static_argnums of f must be in \[-2, 2\)"),
        ({"static_argnums": -3}, r"static_argnums of f must be in \[-2, 2\)"),
    ],
)
def test_unknown_static_arguments_raise(options, message):
    def f(x, n):
        return x

    with pytest.raises(ValueError, match=message):
        fnn.jit(f, **options)


def test_static_arguments_by_position_resolve_names_too():
    f = fnn.jit(lambda x, n: x * n if n > 1 else x, static_argnums=-1)
    close(f(X, 3), X * 3)
    close(f(X, n=3), X * 3)
    with pytest.raises(ValueError, match="static argument 'n' of <lambda> must be hashable, got a value of type list"):
        f(X, [3])


# Arguments


class HasArray:
    def __array__(self, dtype=None, copy=None):
        return np.ones((2, 3), np.float32)


class OnlyDlpack:
    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **kwargs):
        return self.array.__dlpack__(**kwargs)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


class Subclass(np.ndarray):
    pass


def test_what_is_an_array_goes_in():
    model = nn.Linear(3, 2)
    compiled = fnn.jit(lambda b: model(b["x"]))
    ones = np.ones((2, 3), np.float32)
    for value in (ones, ones.view(Subclass), HasArray(), OnlyDlpack(jnp.asarray(ones))):
        close(compiled({"x": value}), model(ones))


def test_tensors_of_torch_go_in():
    torch = pytest.importorskip("torch")
    model = nn.Linear(3, 2)
    close(fnn.jit(lambda x: model(x))(torch.ones(2, 3)), model(np.ones((2, 3), np.float32)))
    close(fnn.jit(lambda x: x * 2)(torch.ones(2, dtype=torch.bfloat16)).astype(np.float32), [2, 2])


def test_an_error_about_an_argument_names_it_and_shows_no_values():
    compiled = fnn.jit(lambda x, batch: x)
    with pytest.raises(
        TypeError, match=r"argument batch\['a'\]\[1\] of .* must be an array.*value of type str"
    ) as error:
        compiled(X, {"a": [X, "secret"]})
    assert "secret" not in str(error.value)
    with pytest.raises(TypeError, match=r"argument x of .* value of type object"):
        compiled(object(), 1)
    with pytest.raises(TypeError, match=r"argument batch.*type ndarray with shape .3,. and dtype <U1"):
        compiled(X, batch=np.array(["a", "b", "c"]))
    with pytest.raises(TypeError, match=r"argument batch.*type MaskedArray with shape .2,. and dtype float64"):
        compiled(X, batch=np.ma.masked_array([1.0, 2.0], mask=[0, 1]))


def test_a_trace_that_needs_a_value_names_the_users_line():
    model = nn.Linear(3, 1)

    def helper(loss):
        if loss > 0:  # this line
            return loss
        return -loss

    @fnn.jit
    def step(x):
        return helper(model(x).mean())

    with pytest.raises(
        jax.errors.TracerBoolConversionError, match=r"while step was traced, helper in .*test_guards.py.*if loss > 0"
    ):
        step(X)
    with pytest.raises(
        jax.errors.ConcretizationTypeError, match=r"(?s)test_guards.py, line \d+.*item\(\).*return the array"
    ):
        fnn.jit(lambda x: model(x).mean().item())(X)


# State through containers and objects


class Trainer:
    def __init__(self, wrap=lambda x: x):
        self.model = nn.Linear(3, 2)
        self.optimizer = optim.SGD(self.model.parameters(), lr=0.1)
        self.parts = wrap(self.model)
        self.count = 0

    def fit(self):
        @fnn.jit
        def step(x):
            return self.optimizer.step(lambda: (self.model(x) ** 2).mean())

        return step

    @fnn.jit
    def step(self, x):
        return self.optimizer.step(lambda: (self.model(x) ** 2).mean())


@dataclasses.dataclass
class Pair:
    model: nn.Module
    optimizer: optim.Optimizer


class Slotted:
    __slots__ = ("model", "optimizer")

    def __init__(self, model, optimizer):
        self.model, self.optimizer = model, optimizer


Named = collections.namedtuple("Named", "model optimizer")
CONTAINERS = {
    "list": (lambda m, o: [m, o], lambda c: (c[0], c[1])),
    "tuple": (lambda m, o: (m, o), lambda c: (c[0], c[1])),
    "dict": (lambda m, o: {"m": m, "o": {"inner": [o]}}, lambda c: (c["m"], c["o"]["inner"][0])),
    "namedtuple": (Named, lambda c: (c.model, c.optimizer)),
    "dataclass": (Pair, lambda c: (c.model, c.optimizer)),
    "slots": (Slotted, lambda c: (c.model, c.optimizer)),
    "namespace": (lambda m, o: types.SimpleNamespace(model=m, optimizer=o), lambda c: (c.model, c.optimizer)),
    "deque": (lambda m, o: collections.deque([m, o]), lambda c: (c[0], c[1])),
    "objects": (lambda m, o: [Pair(m, o)], lambda c: (c[0].model, c[0].optimizer)),
}
held = None


@pytest.mark.parametrize("kind", CONTAINERS)
@pytest.mark.parametrize("where", ["global", "closure", "attribute", "default"])
def test_models_in_containers_are_found(kind, where, monkeypatch):
    make, get = CONTAINERS[kind]

    def build(seed):
        model = nn.Linear(3, 2)
        with fnn.random.key_scope(jax.random.key(seed)):
            model.reset_parameters()
        return model, make(model, optim.SGD(model.parameters(), lr=0.1))

    def train(container, x):
        model, optimizer = get(container)
        return optimizer.step(lambda: (model(x) ** 2).mean())

    model, container = build(0)
    if where == "global":
        monkeypatch.setitem(globals(), "held", container)
        step = fnn.jit(lambda x: train(held, x))
    elif where == "closure":
        step = fnn.jit(lambda x: train(container, x))
    elif where == "default":
        step = fnn.jit(lambda x, c=None, d=container: train(d, x))
        step = fnn.jit(functools.partial(train, container))
    else:

        class Holder:
            pass

        holder = Holder()
        holder.deep = container
        step = fnn.jit(lambda x: train(holder.deep, x))
    losses = [float(step(X)) for _ in range(3)]
    assert losses[2] < losses[1] < losses[0]
    assert step._cache_size() == 1
    if kind in ("list", "dict", "deque") and where == "closure":
        # Items replaced in place are seen.
        new, other = build(1)
        first, second = get(other)
        if kind == "dict":
            container["m"], container["o"]["inner"][0] = first, second
        else:
            container[0], container[1] = first, second
        before, old = np.asarray(new.weight.data), np.asarray(model.weight.data)
        step(X)
        assert (np.asarray(new.weight.data) != before).any()
        assert (np.asarray(model.weight.data) == old).all()


def test_a_trainer():
    trainer = Trainer()
    step = trainer.fit()
    losses = [float(step(X)), float(trainer.step(X)), float(step(X))]
    assert losses[2] < losses[1] < losses[0]
    trainer.count += 1
    step(X)
    assert step._cache_size() == 1
    trainer.model = nn.Linear(3, 2)
    trainer.optimizer = optim.SGD(trainer.model.parameters(), lr=0.1)
    before = np.asarray(trainer.model.weight.data)
    step(X)
    trainer.step(X)
    assert (np.asarray(trainer.model.weight.data) != before).any()


def test_layers_in_a_plain_list_of_a_module():
    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = [nn.Linear(3, 3), nn.BatchNorm1d(3)]

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

    model = Plain()
    compiled = fnn.jit(model)
    close(compiled(X), model(X))
    assert int(model.layers[1].num_batches_tracked) == 2
    model.layers[0] = nn.Linear(3, 3)
    model.eval()
    close(compiled(X), model(X))


def test_the_advice_of_the_error_works():
    import weakref

    model = nn.Linear(3, 2)
    hidden = weakref.ref(model)
    with pytest.raises(RuntimeError, match="did not find it; pass the object that holds it as an argument"):
        fnn.jit(lambda x: hidden()(x))(X)
    close(fnn.jit(lambda x, m: hidden()(x))(X, model), model(X))

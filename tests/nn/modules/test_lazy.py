"""Lazy modules: before, at and after the first call, against torch."""

import copy
import inspect
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from fnn.nn.modules.lazy import LazyModuleMixin
from fnn.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy
from tests.oracle import assert_close, from_torch, needs_torch, rand, to_torch

DRY_RUN = "call the model once, eagerly"

# name, positional arguments, keyword arguments, shape of the first input
CASES = [
    ("LazyLinear", (3,), {}, (2, 5)),
    ("LazyLinear", (3,), {"bias": False}, (5,)),
    ("LazyConv1d", (4, 3), {"padding": 1, "groups": 2}, (2, 6, 5)),
    ("LazyConv2d", (4, 3), {"stride": 2, "padding": "valid", "bias": False}, (3, 5, 5)),
    ("LazyConv3d", (2, 2), {"padding_mode": "circular", "padding": 1}, (1, 2, 3, 3, 3)),
    ("LazyConvTranspose1d", (4, 3), {"groups": 2, "stride": 2, "output_padding": 1}, (2, 6, 5)),
    ("LazyConvTranspose2d", (3, 2), {"bias": False}, (2, 4, 4)),
    ("LazyConvTranspose3d", (2, 2), {"dilation": 2}, (1, 3, 3, 3, 3)),
    ("LazyBatchNorm1d", (), {}, (4, 3)),
    ("LazyBatchNorm2d", (1e-3, None), {"bias": False}, (2, 3, 4, 4)),
    ("LazyBatchNorm3d", (), {"affine": False}, (2, 3, 2, 2, 2)),
    ("LazyInstanceNorm1d", (), {}, (2, 3, 4)),
    ("LazyInstanceNorm2d", (), {"track_running_stats": False}, (2, 3, 4, 4)),
    ("LazyInstanceNorm3d", (), {"bias": False}, (2, 3, 2, 2, 2)),
]
IDS = [f"{name}-{i}" for i, (name, *_) in enumerate(CASES)]
NAMES = sorted({name for name, *_ in CASES})


def net():
    return nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d(), nn.LazyLinear(2))


def batch(*shape, dtype=np.float32):
    return rand(0, *shape).astype(dtype)


@needs_torch
@pytest.mark.parametrize(("name", "args", "kwargs", "shape"), CASES, ids=IDS)
def test_against_torch(name, args, kwargs, shape):
    import torch

    ours = getattr(nn, name)(*args, **kwargs, dtype=jnp.float64)
    theirs = getattr(torch.nn, name)(*args, **kwargs, dtype=torch.float64)
    assert repr(ours) == repr(theirs)
    assert {k: is_lazy(v) for k, v in ours.state_dict().items()} == {
        k: torch.nn.parameter.is_lazy(v) for k, v in theirs.state_dict().items()
    }
    x = rand(1, *shape)
    theirs(to_torch(x))
    ours(x)
    assert type(ours) is getattr(nn, name.removeprefix("Lazy"))
    assert repr(ours) == repr(theirs)
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: tuple(v.shape) for k, v in theirs.state_dict().items()
    }
    ours.load_state_dict(theirs.state_dict())
    assert_close(ours(x), from_torch(theirs(to_torch(x))))


@needs_torch
@pytest.mark.parametrize("name", [*NAMES, "UninitializedParameter", "UninitializedBuffer"])
def test_signature_is_torchs(name):
    import torch

    theirs = inspect.signature(getattr(torch.nn, name)).parameters.values()
    ours = inspect.signature(getattr(nn, name)).parameters.values()
    assert [(p.name, p.default, p.kind) for p in ours] == [(p.name, p.default, p.kind) for p in theirs]


@pytest.mark.parametrize("name", NAMES)
def test_pickle_and_deepcopy_before_the_first_call(name):
    args = next(args for n, args, *_ in CASES if n == name)
    layer = getattr(nn, name)(*args, dtype=jnp.bfloat16)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert type(other) is type(layer)
        assert repr(other) == repr(layer)
        for key, box in layer.state_dict(keep_vars=True).items():
            twin = other.state_dict(keep_vars=True)[key]
            assert twin is not box
            assert type(twin) is type(box)
            assert twin.dtype == box.dtype
            assert twin.requires_grad == box.requires_grad


def test_values_are_those_of_the_plain_layer():
    fnn.manual_seed(3)
    lazy = nn.LazyLinear(4)
    lazy(batch(2, 5))
    fnn.manual_seed(3)
    plain = nn.Linear(5, 4)
    assert_close(lazy.weight.data, plain.weight.data, 0, 0)
    assert lazy.weight.describe() == plain.weight.describe()
    norm = nn.LazyBatchNorm1d()
    norm.eval()
    norm(batch(4, 3))
    assert norm.running_var.numpy().tolist() == [1, 1, 1]
    assert norm.weight.numpy().tolist() == [1, 1, 1]


def test_a_whole_model():
    model = net()
    assert model(batch(4, 5)).shape == (4, 2)
    assert repr(model).count("Lazy") == 0
    assert int(model[1].num_batches_tracked) == 1
    params, _ = fnn.state(model)
    assert {k: v.shape for k, v in params.items()} == {
        "0.weight": (3, 5),
        "0.bias": (3,),
        "1.weight": (3,),
        "1.bias": (3,),
        "2.weight": (2, 3),
        "2.bias": (2,),
    }


def test_casts_and_moves_before_the_first_call():
    model = net().bfloat16().to(jax.devices()[0])
    assert model[0].weight.dtype == jnp.bfloat16
    assert model[0].weight.device is not None
    out = model(jnp.asarray(batch(4, 5), jnp.bfloat16))
    assert out.dtype == jnp.bfloat16
    assert model[0].weight.data.device == jax.devices()[0]
    frozen = nn.LazyLinear(2).requires_grad_(False)
    frozen(batch(1, 2))
    assert not frozen.weight.requires_grad
    double = nn.LazyLinear(2, dtype=jnp.float64)
    double(batch(1, 2, dtype=np.float64))
    assert double.weight.dtype == jnp.float64


def test_loading_an_initialized_state_dict():
    full = net()
    full(batch(4, 5))
    lazy = net()
    lazy.load_state_dict(full.state_dict())
    assert type(lazy[0]) is nn.LazyLinear
    assert not lazy[0].has_uninitialized_params()
    assert_close(fnn.jit(lazy.eval())(batch(4, 5)), full.eval()(batch(4, 5)), 1e-6, 1e-7)
    assert repr(lazy) == repr(full)
    for name, layer, shape in (
        ("conv", lambda: nn.LazyConv2d(4, 3, groups=2), (1, 6, 4, 4)),
        ("transposed", lambda: nn.LazyConvTranspose2d(4, 3, groups=2), (1, 6, 4, 4)),
        ("norm", lambda: nn.LazyInstanceNorm2d(affine=False), (1, 6, 4, 4)),
    ):
        one, two = layer(), layer()
        one(batch(*shape))
        two.load_state_dict(one.state_dict(), assign=True)
        two(batch(*shape))
        assert repr(one) == repr(two), name


def test_loading_an_uninitialized_state_dict():
    lazy = net()
    lazy.load_state_dict(net().state_dict())
    assert lazy[0].has_uninitialized_params()
    full = net()
    full(batch(4, 5))
    with pytest.raises(RuntimeError, match="uninitialized in the state_dict"):
        full.load_state_dict(net().state_dict())


def test_a_failed_load_leaves_the_module_uninitialized():
    full = net()
    full(batch(4, 5))
    arrays = full.state_dict()
    arrays["unknown"] = arrays.pop("2.bias")
    lazy = net()
    with pytest.raises(RuntimeError, match="Missing key"):
        lazy.load_state_dict(arrays)
    assert type(lazy[0].weight) is UninitializedParameter
    assert type(lazy[1].running_mean) is UninitializedBuffer
    assert lazy(batch(2, 7)).shape == (2, 2)


@pytest.mark.parametrize(
    "use",
    [
        lambda p: p.data,
        lambda p: setattr(p, "data", np.zeros(2)),
        lambda p: p + 1,
        lambda p: 1 - p,
        lambda p: p.shape,
        lambda p: p.ndim,
        lambda p: p[0],
        lambda p: p.copy_(1),
        lambda p: p.numpy(),
        lambda p: jnp.exp(p),
        lambda p: jax.tree.leaves(p),
        lambda p: jax.jit(lambda q: 1)(p),
        lambda p: nn.init.zeros_(p),
        lambda p: nn.functional.relu(p),
    ],
)
@pytest.mark.parametrize("kind", [UninitializedParameter, UninitializedBuffer])
def test_any_use_of_an_uninitialized_box_raises(kind, use):
    with pytest.raises(RuntimeError, match=f"{kind.__name__} has no .* yet; {DRY_RUN}"):
        use(kind())


@pytest.mark.parametrize(
    "use",
    [
        fnn.state,
        lambda m: fnn.functional_call(m, {}, {}, batch(4, 5)),
        lambda m: fnn.update(m, {"0.weight": np.zeros((3, 5))}),
        lambda m: jax.jit(m)(batch(4, 5)),
        lambda m: jax.vmap(m)(batch(2, 4, 5)),
        lambda m: fnn.backward(lambda: m(batch(4, 5)).sum(), m),
        lambda m: optim.SGD(m.parameters(), lr=0.1).step(lambda: m(batch(4, 5)).sum()),
        lambda m: optim.Adagrad(m.parameters()),
        lambda m: nn.DataParallel(m),
        lambda m: m[0].forward(batch(4, 5)),
        lambda m: nn.SyncBatchNorm.convert_sync_batchnorm(m),
    ],
)
def test_any_use_of_an_uninitialized_model_raises_and_changes_nothing(use):
    model = net()
    with pytest.raises(RuntimeError, match=r"Lazy|0\.weight"):
        use(model)
    assert repr(model) == repr(net())
    assert model(batch(4, 5)).shape == (4, 2)


def test_compiled_training_step_before_and_after_the_dry_run():
    model = net()
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    @fnn.jit
    def step(x):
        return optimizer.step(lambda: (model(x) ** 2).sum())

    with pytest.raises(RuntimeError, match=f"UninitializedParameter '.*' has no value yet; {DRY_RUN}"):
        step(batch(4, 5))
    call = fnn.jit(model)  # a call alone is a dry run itself: the first one runs as it is
    first = call(batch(4, 5))
    np.testing.assert_allclose(call(batch(4, 5)), first, rtol=1e-5)
    assert call._cache_size() == 1
    losses = [float(step(batch(4, 5))) for _ in range(3)]
    assert losses[2] < losses[0]


def test_a_bad_first_input_changes_nothing():
    for layer, bad, good, error in (
        (nn.LazyConv2d(4, 3, groups=2), (1, 3, 5, 5), (1, 4, 5, 5), ValueError),
        (nn.LazyConv2d(4, 3), (5, 5), (1, 4, 5, 5), RuntimeError),
        (nn.LazyBatchNorm2d(), (2, 3), (2, 3, 4, 4), ValueError),
        (nn.LazyLinear(3), (), (2,), ValueError),
    ):
        with pytest.raises(error, match=type(layer).__name__):
            layer(batch(*bad))
        assert type(layer).__name__.startswith("Lazy")
        layer(batch(*good))
        assert not type(layer).__name__.startswith("Lazy")
    with pytest.raises(ValueError, match="LazyConv1d: out_channels must be divisible by groups"):
        nn.LazyConv1d(3, 3, groups=2)


def test_unbatched_instance_norm():
    layer = nn.LazyInstanceNorm1d()
    assert layer(batch(3, 5)).shape == (3, 5)
    assert layer.num_features == 3


class Scale(LazyModuleMixin, nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = UninitializedParameter()
        self.register_buffer("seen", UninitializedBuffer(persistent=False), persistent=False)
        self.calls = 0

    def initialize_parameters(self, x, *, width=None):
        self.calls += 1
        if width != 0:
            self.scale.materialize(x.shape[-1:])
            self.seen.materialize((), dtype=jnp.float64)

    def forward(self, x, *, width=None):
        return x * self.scale


def test_a_lazy_class_of_the_users():
    layer = Scale()
    hooked = []
    layer.register_forward_pre_hook(lambda module, args: hooked.append(module.scale.shape))
    with pytest.raises(RuntimeError, match="Scale has not been fully initialized"):
        layer(batch(2, 3), width=0)
    layer(batch(2, 3), width=1)
    layer(batch(2, 3))
    assert layer.calls == 2
    assert hooked == [(3,), (3,)]
    assert type(layer) is Scale
    assert type(layer.seen) is nn.Buffer
    assert layer.seen.dtype == jnp.float64
    assert list(layer.state_dict()) == ["scale"]
    nothing = type("Nothing", (LazyModuleMixin, nn.Module), {"forward": lambda self: 1})()
    with pytest.raises(NotImplementedError, match="initialize_parameters is not implemented for Nothing"):
        nothing()


def test_materialize():
    box = UninitializedParameter(requires_grad=False, dtype=jnp.float16)
    assert repr(box) == "<UninitializedParameter>"
    box.materialize(3)
    assert type(box) is nn.Parameter
    assert box.shape == (3,)
    assert box.dtype == jnp.float16
    assert not box.requires_grad
    box = UninitializedParameter()
    with pytest.raises(RuntimeError, match=DRY_RUN):
        box.grad = np.zeros(2)
    with pytest.raises(RuntimeError, match="cannot be initialized inside a JAX transformation"):
        jax.jit(lambda: box.materialize((2,)))()
    box.materialize((2, 2), dtype=jnp.float64)
    assert box.dtype == jnp.float64
    with pytest.raises(RuntimeError, match="Parameter: only a floating Parameter can require gradients"):
        UninitializedParameter(dtype=jnp.int32)

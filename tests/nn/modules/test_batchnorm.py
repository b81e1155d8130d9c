"""Batch normalization layers against torch; ``SyncBatchNorm`` over a mapped axis against the whole batch."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec as P

import fnn
from fnn import nn
from fnn.nn import functional as F
from fnn.nn.modules.batchnorm import _BatchNorm, _LazyNormBase, _NormBase
from tests.devices import on_two_devices
from tests.nn.modules.cases import IMAGE, LINE, VOLUME, LayerTests
from tests.oracle import assert_close, needs_torch, rand


class TestBatchnorm(LayerTests):
    CASES = [
        ("BatchNorm1d", (4,), {}, LINE),
        ("BatchNorm2d", (4,), {"momentum": None, "eps": 1e-3}, IMAGE),
        ("BatchNorm2d", (4,), {"track_running_stats": False, "affine": False}, IMAGE),
        ("BatchNorm3d", (2,), {"affine": False}, VOLUME),
    ]
    MORE = [
        ("BatchNorm1d", (4,), {"momentum": 0.3, "bias": False}, (5, 4)),
        ("BatchNorm1d", (4,), {"affine": False, "momentum": 0.0}, (5, 4)),
        ("BatchNorm1d", (4,), {"track_running_stats": False}, LINE),
        ("BatchNorm2d", (4,), {}, IMAGE),
        ("BatchNorm3d", (2,), {"momentum": 1.0}, VOLUME),
    ]
    BAD = [
        (TypeError, "BatchNorm1d: num_features must be an int", "BatchNorm1d", ("x",), {}),
    ]
    COMPILED = ["BatchNorm2d"]


@needs_torch
@pytest.mark.parametrize("version", [1, None])
def test_batch_norm_loads_a_state_without_the_count(version):
    """A state_dict from before the batches were counted, or a plain dict, which tells no version."""
    import torch

    for package in (nn, torch.nn):
        layer = package.BatchNorm1d(2)
        state = layer.state_dict()
        del state["num_batches_tracked"]
        with pytest.raises(RuntimeError, match=r"Missing key\(s\) in state_dict: \"num_batches_tracked\""):
            layer.load_state_dict(state)
        state["running_mean"] = state["running_mean"] + 5
        state._metadata[""]["version"] = version
        assert repr(layer.load_state_dict(state if version else dict(state))) == "<All keys matched successfully>"
        assert layer.running_mean.tolist() == [5, 5]
        assert int(layer.num_batches_tracked) == 0
        assert "num_batches_tracked" not in state


def test_an_input_of_another_rank():
    with pytest.raises(ValueError, match="BatchNorm2d: input must be 4-D, got shape"):
        nn.BatchNorm2d(4)(rand(0, 2, 4))


def pair(process_group, momentum=0.3, channels=3, **kwargs):
    """A ``BatchNorm1d`` with numbers in its weights, and its double as ``SyncBatchNorm``."""
    plain = nn.BatchNorm1d(channels, momentum=momentum, dtype=jnp.float64, **kwargs)
    sync = nn.SyncBatchNorm(channels, momentum=momentum, process_group=process_group, dtype=jnp.float64, **kwargs)
    for name, box in plain.named_parameters():
        box.data = rand(len(name), *box.shape) + 2
    sync.load_state_dict(plain.state_dict())
    return plain, sync


def whole(layer, x, w):
    """Output, new buffers and gradients of one call on the whole batch."""
    params, buffers = fnn.state(layer)

    def loss(params, x):
        out, new = fnn.functional_call(layer, params, buffers, x)
        return jnp.sum(out * w), (out, new)

    (_, aux), grads = jax.value_and_grad(loss, (0, 1), has_aux=True)(params, x)
    return aux, grads


def mapped(layer, x, w, run):
    """The same with the batch in parts; ``run`` maps a function of params, buffers and parts over the axis."""
    params, buffers = fnn.state(layer)

    def loss(params, x):
        out, new = run(lambda p, b, part: fnn.functional_call(layer, p, b, part))(params, buffers, x)
        return jnp.sum(out * w), (out, new)

    (_, aux), grads = jax.value_and_grad(loss, (0, 1), has_aux=True)(params, x)
    return aux, grads


@pytest.mark.parametrize("momentum", [0.3, None])
@pytest.mark.parametrize("shape", [(4, 2, 3, 5), (6, 1, 3)], ids=["positions", "one row a part"])
def test_under_vmap(shape, momentum):
    plain, sync = pair("parts", momentum)
    x, w = jnp.asarray(rand(0, *shape) * 3 + 1), rand(1, *shape)

    def over_axis(function):
        return jax.vmap(function, in_axes=(None, None, 0), out_axes=(0, None), axis_name="parts")

    flat = (shape[0] * shape[1], *shape[2:])
    (out, new), (of_params, of_x) = mapped(sync, x, w, over_axis)
    (out0, new0), (of_params0, of_x0) = whole(plain, x.reshape(flat), w.reshape(flat))
    assert_close(out.reshape(flat), out0, 1e-10, 1e-12)
    assert_close(of_x.reshape(flat), of_x0, 1e-10, 1e-12)
    for a, b in ((new, new0), (of_params, of_params0)):
        assert a.keys() == b.keys()
        for name in b:
            assert_close(a[name], b[name], 1e-10, 1e-12, name)


def test_two_axes_and_forward_mode():
    x = jnp.asarray(rand(2, 2, 3, 2, 4))

    def run(x):
        part = lambda p: F.batch_norm(p, None, None, training=True, axis_name=("a", "b"))  # noqa: E731
        return jax.vmap(jax.vmap(part, axis_name="b"), axis_name="a")(x)

    def plain(x):
        return F.batch_norm(x.reshape(12, 4), None, None, training=True).reshape(x.shape)

    assert_close(run(x), plain(x), 1e-10, 1e-12)
    apart = jax.vmap(jax.vmap(lambda part: F.batch_norm(part, None, None, training=True)))(x)
    assert not np.allclose(apart, run(x))
    t = jnp.asarray(rand(3, *x.shape))
    assert_close(jax.jvp(run, (x,), (t,))[1], jax.jvp(plain, (x,), (t,))[1], 1e-9, 1e-11)


@pytest.mark.parametrize("check_vma", [True, False])
def test_under_shard_map_with_one_device(check_vma):
    plain, sync = pair("data")
    mesh = Mesh(np.array(jax.devices()[:1]), ("data",))
    x, w = jnp.asarray(rand(0, 4, 3, 5)), rand(1, 4, 3, 5)

    def over_axis(function):
        specs = {"in_specs": (P(), P(), P("data")), "out_specs": (P("data"), P())}
        return jax.jit(jax.shard_map(function, mesh=mesh, check_vma=check_vma, **specs))

    for a, b in zip(jax.tree.leaves(mapped(sync, x, w, over_axis)), jax.tree.leaves(whole(plain, x, w)), strict=True):
        assert_close(a, b, 1e-10, 1e-12)


TWO_DEVICES = """
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
from tests.nn.modules.test_batchnorm import mapped, pair, whole
from tests.oracle import assert_close, rand

assert jax.device_count() == 2
mesh = Mesh(np.array(jax.devices()), ("data",))
x, w = jnp.asarray(rand(0, 4, 3, 5)), rand(1, 4, 3, 5)
plain, sync = pair("data")
expected = jax.tree.leaves(whole(plain, x, w))
for check_vma in (True, False):
    def over_axis(function):
        specs = {"in_specs": (P(), P(), P("data")), "out_specs": (P("data"), P())}
        return jax.jit(jax.shard_map(function, mesh=mesh, check_vma=check_vma, **specs))
    actual = jax.tree.leaves(mapped(sync, x, w, over_axis))
    for a, b in zip(actual, expected, strict=True):
        assert_close(a, b, 1e-10, 1e-12, f"shard_map, check_vma={check_vma}")
_, automatic = pair(None)
spread = jax.device_put(x, NamedSharding(mesh, P("data")))
for a, b in zip(jax.tree.leaves(whole(automatic, spread, w)), expected, strict=True):
    assert_close(a, b, 1e-10, 1e-12, "sharded arrays")
print("equal")
"""


@pytest.mark.slow
def test_on_two_devices():
    assert on_two_devices(TWO_DEVICES) == "equal"


def test_evaluation_needs_no_axis():
    plain, sync = pair("parts")
    x = rand(0, 4, 3)
    assert_close(sync.eval()(x), plain.eval()(x), 0, 0)
    plain, sync = pair("parts", track_running_stats=False)
    assert_close(sync.eval()(x), plain.eval()(x), 0, 0)


def test_without_an_axis_it_is_batch_norm():
    plain, sync = pair(None)
    x = rand(0, 4, 3, 5)
    assert_close(sync(x), plain(x), 0, 0)
    for name, value in plain.state_dict().items():
        assert_close(sync.state_dict()[name], value, 0, 0, name)
    assert sync(rand(0, 2, 3, 2, 2, 2)).shape == (2, 3, 2, 2, 2)


def test_errors():
    _, sync = pair("parts")
    before = sync.state_dict()
    with pytest.raises(ValueError, match="axis_name must name an axis of an enclosing vmap, shard_map or pmap, got 'p"):
        sync(rand(0, 4, 3))
    with pytest.raises(ValueError, match="at least 2-D"):
        sync(rand(0, 3))
    with pytest.raises(ValueError, match="channels on axis 1"):
        sync(np.zeros((4, 0)))
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        pair(None)[1](rand(0, 1, 3))
    with pytest.raises(ValueError, match="axis_name must name an axis"):
        F.batch_norm_update(rand(0, 4, 3), np.zeros(3), np.ones(3), axis_name="parts")
    assert all(np.array_equal(v, before[k]) for k, v in sync.state_dict().items())


def test_convert():
    shared = nn.BatchNorm1d(3, affine=False)
    model = nn.Sequential(
        nn.Linear(2, 3), nn.BatchNorm1d(3, 1e-3, None, bias=False), shared, nn.Sequential(shared), nn.LayerNorm(3)
    )
    model[1].eval()
    old = list(model)
    names, repr_of_old = list(model.state_dict()), repr(model)
    assert nn.SyncBatchNorm.convert_sync_batchnorm(model, "data") is model
    assert list(model.state_dict()) == names
    assert repr(model) == repr_of_old.replace("BatchNorm1d", "SyncBatchNorm")
    assert model[1].process_group == "data"
    assert model[1].weight is old[1].weight
    assert model[1].running_var is old[1]._buffers["running_var"]
    assert not model[1].training
    assert model[2] is model[3][0]
    alone = nn.BatchNorm2d(4)
    new = nn.SyncBatchNorm.convert_sync_batchnorm(alone, ["a", "b"])
    assert type(new) is nn.SyncBatchNorm
    assert new.process_group == ("a", "b")
    assert new.running_mean is alone._buffers["running_mean"]


@needs_torch
def test_signatures_and_reprs_are_torchs():
    import torch

    for name in ("SyncBatchNorm", "CrossMapLRN2d", "BatchNorm1d", "InstanceNorm1d", "GroupNorm", "LayerNorm"):
        ours = inspect.signature(getattr(nn, name)).parameters.values()
        theirs = inspect.signature(getattr(torch.nn, name)).parameters.values()
        assert [(p.name, p.default, p.kind) for p in ours] == [(p.name, p.default, p.kind) for p in theirs]
    for name, args, kwargs in (
        ("SyncBatchNorm", (3,), {}),
        ("BatchNorm2d", (3,), {"bias": False}),
        ("InstanceNorm2d", (3,), {"affine": True, "bias": False}),
        ("InstanceNorm2d", (3,), {}),
        ("GroupNorm", (1, 2), {"affine": False}),
        ("LayerNorm", (3,), {}),
        ("LayerNorm", (3,), {"elementwise_affine": False}),
        ("CrossMapLRN2d", (3,), {}),
    ):
        assert repr(getattr(nn, name)(*args, **kwargs)) == repr(getattr(torch.nn, name)(*args, **kwargs))


def test_a_class_of_ones_own_says_what_it_takes():
    """``_check_input_dim`` is the method that subclasses of ``_BatchNorm`` override, as in torch."""

    class AnyRank(_BatchNorm):
        def _check_input_dim(self, input):
            assert input.ndim > 1

    x = rand(0, 2, 3, 2, 2)
    layer = AnyRank(3, dtype=jnp.float64)
    assert_close(layer(x), nn.BatchNorm2d(3, dtype=jnp.float64)(x))
    with pytest.raises(AssertionError):
        layer(x[0, 0, 0])
    assert isinstance(nn.LazyBatchNorm1d(), _LazyNormBase)
    assert isinstance(nn.InstanceNorm1d(3), _NormBase)


@needs_torch
@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("BatchNorm1d", (0, 3)),
        ("BatchNorm1d", (2, 3, 0)),
        ("BatchNorm2d", (0, 3, 2, 2)),
        ("BatchNorm3d", (2, 3, 0, 2, 1)),
        ("SyncBatchNorm", (0, 3, 2)),
    ],
)
def test_a_batch_of_nothing_leaves_the_statistics_as_in_torch(name, shape, momentum):
    import torch

    ours, theirs = (getattr(package, name)(3, momentum=momentum) for package in (nn, torch.nn))
    jitted = fnn.jit(ours)
    for batch in (rand(0, 5, *shape[1:2], *[2 for _ in shape[2:]]).astype(np.float32), np.zeros(shape, np.float32)):
        theirs(torch.tensor(batch))
        out = jitted(batch) if batch.size else ours(batch)
        assert out.shape == batch.shape
        for key, value in theirs.state_dict().items():
            assert_close(ours.state_dict()[key], value, 1e-6, 1e-6, key)
    params, buffers = fnn.state(ours)
    _, after = fnn.functional_call(ours, params, buffers, jnp.zeros(shape, jnp.float32))
    assert all(bool(jnp.isfinite(value).all()) for value in after.values())

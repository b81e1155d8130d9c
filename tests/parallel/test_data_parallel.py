"""``DataParallel`` and ``DistributedDataParallel``: with one device the module itself, with two the same numbers."""

import copy
import inspect
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh

import fnn
from fnn import nn, optim
from fnn.nn.parallel import DataParallel, DistributedDataParallel, data_parallel
from tests.devices import on_two_devices
from tests.oracle import assert_close, needs_torch, rand

WRAPPERS = [DataParallel, DistributedDataParallel]


def net():
    fnn.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8, dtype=jnp.float64), nn.BatchNorm1d(8, dtype=jnp.float64), nn.Tanh())


def train(model, compiled):
    """Losses of three steps on batches of 8 rows and one of 5, and what the model is after."""
    x, y = rand(0, 8, 3), rand(1, 8, 8)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step(x, y):
        return optimizer.step(lambda: nn.functional.mse_loss(model(x), y))

    run = fnn.jit(step) if compiled else step
    losses = [float(run(x, y)) for _ in range(3)] + [float(run(x[:5], y[:5]))]
    return losses, {k.removeprefix("module."): np.asarray(v) for k, v in model.state_dict().items()}


def check_training(wrap, compiled):
    losses, state = train(wrap(net()), compiled)
    expected_losses, expected = train(net(), compiled)
    assert_close(losses, expected_losses, 1e-9, 1e-11)
    assert state.keys() == expected.keys()
    for name, value in expected.items():
        assert_close(state[name], value, 1e-9, 1e-11, name)


def test_import_paths_are_torchs():
    from fnn.nn.parallel.data_parallel import DataParallel as by_file
    from fnn.nn.parallel.distributed import DistributedDataParallel as distributed_by_file

    assert by_file is DataParallel
    assert distributed_by_file is DistributedDataParallel
    assert nn.parallel.data_parallel is fnn.parallel.data_parallel
    assert nn.DataParallel is nn.parallel.DataParallel is DataParallel
    assert nn.parallel.DistributedDataParallel is DistributedDataParallel
    with pytest.raises(AttributeError, match="has no attribute 'parallell'"):
        nn.parallell  # noqa: B018


@needs_torch
def test_signatures_are_torchs():
    import torch

    for ours, theirs in (
        (DataParallel, torch.nn.DataParallel),
        (DistributedDataParallel, torch.nn.parallel.DistributedDataParallel),
        (data_parallel, torch.nn.parallel.data_parallel),
    ):
        a, b = (inspect.signature(f).parameters.values() for f in (ours, theirs))
        assert [(p.name, p.default) for p in a] == [(p.name, p.default) for p in b]


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_one_device_is_the_identity(wrap):
    check_training(wrap, compiled=True)
    model = net()
    old = model[0].weight.data
    wrapped = wrap(model)
    assert wrapped.module is model
    assert wrapped.module[0].weight.data is old
    assert list(wrapped.state_dict()) == [f"module.{name}" for name in model.state_dict()]
    x = rand(0, 5, 3)
    assert wrapped.shard(x) is x
    assert_close(wrapped.eval()(input=x), model(x), 0, 0)
    for other in (copy.deepcopy(wrapped), pickle.loads(pickle.dumps(wrapped))):
        assert_close(other(x), model(x), 0, 0)
        assert other.module is not model
    assert_close(data_parallel(model, (x,)), model(x), 0, 0)
    assert_close(data_parallel(model, None, module_kwargs={"input": x}), model(x), 0, 0)


def test_no_sync_adds_gradients_up():
    model = DistributedDataParallel(net().eval())
    x = rand(0, 4, 3)
    with model.no_sync():
        fnn.backward(lambda: model(x).sum(), model)
    once = model.module[0].weight.grad
    fnn.backward(lambda: model(x).sum(), model)
    assert_close(model.module[0].weight.grad, 2 * once, 1e-12)


def test_arguments():
    linear = nn.Linear(2, 2)
    device = jax.local_devices()[0]
    for ids in ([0], [device], ["cpu:0"]):
        assert DataParallel(linear, ids).device_ids == [device.id]
    assert DataParallel(linear, output_device=0, dim=1).dim == 1
    mesh = Mesh(np.array([device]), ("any",))
    assert DistributedDataParallel(linear, [0], 0, device_mesh=mesh).device_ids == [device.id]
    for make, error, match in (
        (lambda: DataParallel(jnp.tanh), TypeError, "DataParallel: module must be an fnn.nn.Module"),
        (lambda: DataParallel(linear, [7]), ValueError, "device_ids must be below 1"),
        (lambda: DataParallel(linear, [0, 0]), ValueError, "at least one device, each once"),
        (lambda: DataParallel(linear, []), ValueError, "at least one device"),
        (lambda: DataParallel(linear, [1.5]), TypeError, "device must be a jax.Device"),
        (lambda: DataParallel(linear, dim=None), TypeError, "dim must be an int"),
        (
            lambda: DistributedDataParallel(linear, device_mesh=[0]),
            TypeError,
            "device_mesh must be a jax.sharding.Mesh",
        ),
        (lambda: DataParallel(nn.LazyLinear(2)), RuntimeError, "weight is uninitialized; call the module once"),
    ):
        with pytest.raises(error, match=match):
            make()


TWO_DEVICES = """
import copy, pickle
import jax, jax.numpy as jnp, numpy as np
import fnn
from fnn import nn
from jax.sharding import NamedSharding, PartitionSpec as P
from tests.parallel.test_data_parallel import WRAPPERS, check_training, net
from tests.oracle import assert_close, rand

first, second = jax.devices()
x = rand(0, 8, 3)
for wrap in WRAPPERS:
    for compiled in (False, True):
        check_training(wrap, compiled)
    model = wrap(net())
    plain = net()
    out = model(x)
    assert_close(out, plain(x), 1e-12)
    assert out.sharding.is_equivalent_to(NamedSharding(out.sharding.mesh, P("data")), 2)
    assert {s.data.shape for s in out.addressable_shards} == {(4, 8)}
    assert len(model.module[0].weight.data.sharding.device_set) == 2
    assert int(model.module[1].num_batches_tracked) == 1
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        other.module.to(second)
        assert len(other(x).sharding.device_set) == 2
    plain.eval(), model.eval()
    assert_close(model(x[:5]), plain(x[:5]), 1e-12)
    assert_close(jax.vmap(model)(x[None]), plain(x)[None], 1e-12)
    assert_close(jax.grad(lambda x: model(x).sum())(x), jax.grad(lambda x: plain(x).sum())(x), 1e-12)
    def gradient(model):
        params, buffers = fnn.state(model)
        return jax.grad(lambda p: fnn.functional_call(model, p, buffers, x)[0].sum())(params)
    of_wrapped, of_plain = gradient(model), gradient(plain)
    for name, value in of_plain.items():
        assert_close(of_wrapped["module." + name], value, 1e-9, 1e-11, name)
    placed = model.shard({"x": x, "row": x[:3], "key": jax.random.key(0), "n": 1})
    assert [len(placed[k].sharding.device_set) for k in ("x", "row")] == [2, 2]
    assert placed["row"].is_fully_replicated and not placed["x"].is_fully_replicated and placed["n"] == 1
alone = nn.DataParallel(net(), [1])
assert alone(x).sharding.device_set == {second}
columns = nn.DataParallel(nn.Tanh(), dim=1)(rand(0, 3, 4))
assert {s.data.shape for s in columns.addressable_shards} == {(3, 2)}
lazy = nn.LazyBatchNorm1d(device=second).double()
lazy(jax.device_put(x, second))
assert {v.device for v in lazy.state_dict().values()} == {second}
print("equal")
"""


@pytest.mark.slow
def test_two_devices():
    assert on_two_devices(TWO_DEVICES) == "equal"

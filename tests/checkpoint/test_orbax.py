"""Manager with Orbax: the same meaning, sharded state, other numbers of devices."""

import jax.numpy as jnp
import numpy as np
import pytest

from fnn import nn, optim
from fnn.checkpoint import Manager
from tests.checkpoint.test_safetensors import same
from tests.devices import on_devices

pytest.importorskip("orbax.checkpoint")
pytestmark = pytest.mark.filterwarnings("ignore")


def test_the_same_as_with_files(tmp_path):
    def state(step):
        arrays = {"half": jnp.full(3, step, jnp.bfloat16), "empty": jnp.zeros((0, 2)), "scalar": jnp.float32(step)}
        return {"arrays": arrays, "a/b": [np.ones(2), (None, "text", 2**70)], 3: step}

    with Manager(tmp_path, keep=2, best="loss", backend="orbax") as manager:
        assert manager.load() is None
        for step in range(5):
            manager.save(step, state(step), {"loss": abs(step - 1)})
        manager.wait()
        assert manager.steps() == [1, 3, 4]
        assert manager.best_step() == 1
        manager.save(4, state(7), {"loss": 9})
        assert same(manager.load().state, state(7))
        manager.save(5, {"only": "text"}, {"loss": 9})
        assert manager.load().state == {"only": "text"}
    with Manager(tmp_path, keep=2, best="loss", backend="orbax") as manager:
        assert manager.best_step() == 1
        assert same(manager.load(1).state, state(1))
        assert manager.load(1).metrics == {"loss": 0}


def test_models_and_optimizers(tmp_path):
    def make():
        model = nn.Linear(2, 3)
        return model, optim.Adam(model.parameters())

    model, optimizer = make()
    optimizer.step(lambda: model(jnp.ones((1, 2), jnp.float32)).sum())
    with Manager(tmp_path, backend="orbax") as manager:
        manager.save(0, {"model": model.state_dict(), "optimizer": optimizer.state_dict()})
        state = manager.load().state
    other, its = make()
    other.load_state_dict(state["model"])
    its.load_state_dict(state["optimizer"])
    assert same(its.state_dict(), optimizer.state_dict())
    assert same(other.state_dict(), model.state_dict())


SAVE = """
import warnings; warnings.simplefilter("ignore")
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from fnn.checkpoint import Manager
mesh = Mesh(np.array(jax.devices()), ("d",))
split = NamedSharding(mesh, PartitionSpec("d"))
array = jax.device_put(jnp.arange(16.0).reshape(8, 2), split)
with Manager({folder!r}, backend="orbax") as manager:
    {work}
"""


def test_from_eight_devices_to_four_and_one(tmp_path):
    folder = str(tmp_path)
    on_devices(8, SAVE.format(folder=folder, work='manager.save(0, {"w": array, "n": 3})'))
    read = """state = manager.load(sharding={"w": split}).state
    print(len(state["w"].sharding.device_set), state["n"], state["w"].sum())"""
    assert on_devices(4, SAVE.format(folder=folder, work=read)) == "4 3 120.0"
    read = 'state = manager.load().state; print(len(state["w"].sharding.device_set), state["w"].sum())'
    assert on_devices(1, SAVE.format(folder=folder, work=read)) == "1 120.0"

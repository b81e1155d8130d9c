"""Batches on shardings over several devices and several processes."""

import pytest

from tests.devices import on_two_devices, on_two_processes

ON_TWO = """
import jax, numpy as np, pytest
from jax.sharding import NamedSharding, PartitionSpec as P
from fnn.data import DataLoader
mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
sharding = NamedSharding(mesh, P("data"))
x = np.arange(22.0).reshape(11, 2)
for options in ({"drop_last": True}, {"pad_last": True}):
    for batch in DataLoader(x, 4, sharding=sharding, **options):
        for leaf in jax.tree.leaves(batch):
            assert leaf.sharding.is_equivalent_to(sharding, leaf.ndim), leaf.sharding
            assert leaf.addressable_shards[0].data.shape[0] == 2
for wrong in (dict(batch_size=3), dict(batch_size=4)):
    with pytest.raises(ValueError, match="batch_size must be such that .* 2 parts of sharding"):
        DataLoader(x, sharding=sharding, **wrong)
assert len(list(DataLoader(x, 4, sharding=NamedSharding(mesh, P())))) == 3
print("done")
"""


def test_batches_over_two_devices():
    assert on_two_devices(ON_TWO) == "done"


IN_TWO = """
import sys, numpy as np, jax
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]))
from jax.experimental.multihost_utils import process_allgather
from jax.sharding import NamedSharding, PartitionSpec as P
from fnn.data import DataLoader

class Rows:
    read = []
    def __len__(self):
        return 10
    def __getitem__(self, index):
        self.read.append(index)
        return np.full(3, index, np.float32), index

mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
sharding = NamedSharding(mesh, P("data"))
for options in ({}, {"pad_last": True}, {"drop_last": True}):
    alone = DataLoader(Rows(), 4, shuffle=True, rng=0, **options)
    expected = [jax.tree.map(np.asarray, batch) for batch in alone]
    for dataset in (Rows(), (np.repeat(np.arange(10), 3).reshape(10, 3).astype(np.float32), np.arange(10))):
        loader = DataLoader(dataset, 4, shuffle=True, rng=0, sharding=sharding, **options)
        Rows.read.clear()
        batches = list(loader)
        assert len(Rows.read) <= 6, Rows.read
        for batch, other in zip(batches, expected, strict=True):
            for a, b in zip(jax.tree.leaves(batch), jax.tree.leaves(other), strict=True):
                assert not a.is_fully_addressable
                assert (process_allgather(a, tiled=True) == b).all(), (a, b)
print("done")
"""


@pytest.mark.slow
def test_batches_over_two_processes(tmp_path):
    for out in on_two_processes(IN_TWO, tmp_path):
        assert out.strip().endswith("done")  # Gloo has its say before

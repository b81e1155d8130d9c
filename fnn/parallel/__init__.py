"""One model on many devices, of one process or several: placement by rules, data parallelism, batches."""

from fnn.parallel import rules as rules
from fnn.parallel.batches import shard_batch as shard_batch
from fnn.parallel.data_parallel import DataParallel as DataParallel, data_parallel as data_parallel
from fnn.parallel.distributed import DistributedDataParallel as DistributedDataParallel
from fnn.parallel.mesh import make_mesh as make_mesh
from fnn.parallel.placing import describe as describe, fully_shard as fully_shard, shard as shard

__all__ = [
    "DataParallel",
    "DistributedDataParallel",
    "data_parallel",
    "describe",
    "fully_shard",
    "make_mesh",
    "rules",
    "shard",
    "shard_batch",
]

"""torch's path of the data-parallel wrappers, which live in ``fnn.parallel``."""

from fnn.nn.parallel.data_parallel import DataParallel as DataParallel, data_parallel as data_parallel
from fnn.nn.parallel.distributed import DistributedDataParallel as DistributedDataParallel

__all__ = ["DataParallel", "DistributedDataParallel", "data_parallel"]

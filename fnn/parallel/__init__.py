"""Data parallelism over the devices of this process or of all processes."""

from fnn.parallel.data_parallel import DataParallel as DataParallel, data_parallel as data_parallel
from fnn.parallel.distributed import DistributedDataParallel as DistributedDataParallel

__all__ = ["DataParallel", "DistributedDataParallel", "data_parallel"]

"""Data parallelism over the devices of this process or of all processes; ``fnn.nn.parallel`` is this package."""

from fnn.parallel.data_parallel import DataParallel, DistributedDataParallel, data_parallel

__all__ = ["DataParallel", "DistributedDataParallel", "data_parallel"]

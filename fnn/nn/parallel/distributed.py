"""torch's path of ``DistributedDataParallel``."""

from fnn.parallel.distributed import DistributedDataParallel as DistributedDataParallel

__all__ = ["DistributedDataParallel"]

"""torch's path of ``DataParallel``."""

from fnn.parallel.data_parallel import DataParallel as DataParallel, data_parallel as data_parallel

__all__ = ["DataParallel", "data_parallel"]

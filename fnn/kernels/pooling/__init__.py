"""Pooling over regular and adaptive windows, in a form chosen by shape."""

from fnn.kernels.pooling.adaptive import adaptive_max_pool, adaptive_max_positions, adaptive_sum_pool, window_bounds
from fnn.kernels.pooling.lists import gather_maxima, positions_by_lists
from fnn.kernels.pooling.regular import max_pool, max_positions, sum_pool
from fnn.kernels.pooling.windows import Bounds, Windows

__all__ = [
    "Bounds",
    "Windows",
    "adaptive_max_pool",
    "adaptive_max_positions",
    "adaptive_sum_pool",
    "gather_maxima",
    "max_pool",
    "max_positions",
    "positions_by_lists",
    "sum_pool",
    "window_bounds",
]

"""Arithmetic on Python numbers, exact in float64, that also works on traced ones."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from fnn.functional.arrays import index_dtype
from fnn.optim._scalars import wide_dtype


def on_host(*values: Any) -> bool:
    return all(isinstance(v, bool | int | float | np.generic) for v in values)


def as_count(count: Any) -> Any:
    """The count as Python number, or as an array."""
    if isinstance(count, np.generic):
        return count.item()
    if on_host(count):
        return count
    array = jnp.asarray(count)
    # The quotient of int32 numbers, as in `1 / (1 + count)`, would be a float32.
    return array.astype(index_dtype()) if jnp.issubdtype(array.dtype, jnp.integer) else array


def real(count: Any) -> Any:
    """The count as a float of the widest precision."""
    return float(count) if on_host(count) else count.astype(wide_dtype())


def where(condition: Any, a: Any, b: Any) -> Any:
    return (a if condition else b) if on_host(condition) else jnp.where(condition, a, b)


def minimum(a: Any, b: Any) -> Any:
    return min(a, b) if on_host(a, b) else jnp.minimum(a, b)


def cos(x: Any) -> Any:
    return math.cos(x) if on_host(x) else jnp.cos(x)


def floor(x: Any) -> Any:
    return math.floor(x) if on_host(x) else jnp.floor(x)


def cosine_between(start: Any, end: Any, fraction: Any) -> Any:
    return end + (start - end) / 2 * (1 + cos(math.pi * fraction))


def line_between(start: Any, end: Any, fraction: Any) -> Any:
    return (end - start) * fraction + start

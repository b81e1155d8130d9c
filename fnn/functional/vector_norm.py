"""The p-norm along axes, with torch's derivative where it is not smooth."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from fnn.functional.arrays import absolute, is_concrete
from fnn.functional.checks import fail


def norm_order(function: str, argument: str, p: Any) -> float:
    """The order of a norm as a Python float; TypeError if it is none, ValueError if it is NaN."""
    if isinstance(p, bool | str | bytes) or not is_concrete(p):
        fail(TypeError, function, argument, "a number known before tracing", p)
    try:
        order = float(p)
    except (TypeError, ValueError):
        fail(TypeError, function, argument, "a number", p)
    if math.isnan(order):
        fail(ValueError, function, argument, "a number other than NaN", p)
    return order


def vector_norm(x: jax.Array, p: float, axis: int | tuple[int, ...], keepdims: bool = False) -> jax.Array:
    """``(sum |x|**p) ** (1 / p)``; the count of non-zeros for p = 0, the largest or smallest |x| for infinite p.

    The derivative is 0 where the norm is 0 and, for the infinite orders, shared by the elements that attain it.
    """
    size = absolute(x)
    if p == 0:
        return jnp.sum((x != 0).astype(x.dtype), axis, keepdims=keepdims)
    if p == 1:
        return jnp.sum(size, axis, keepdims=keepdims)
    if p == math.inf:
        return jnp.max(size, axis, keepdims=keepdims)
    if p == -math.inf:
        return jnp.min(size, axis, keepdims=keepdims)
    if p == 2:
        total = jnp.sum(x * x, axis, keepdims=keepdims)
        zero = total == 0
        return jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, total)))
    empty = size == 0
    powers = jnp.where(empty, 1, size) ** p
    total = jnp.sum(jnp.where(empty, 0 if p > 0 else jnp.inf, powers), axis, keepdims=keepdims)
    zero = (total == 0) if p > 0 else jnp.isinf(total)
    return jnp.where(zero, 0, jnp.where(zero, 1, total) ** (1 / p))

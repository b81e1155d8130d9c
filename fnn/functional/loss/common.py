"""Checks of the losses' dtypes and shapes, their reduction, and arithmetic of several of them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnn.functional.arrays import is_weak
from fnn.functional.checks import as_array, check_same_dtype, describe, fail
from fnn.functional.reduction import reduce_loss
from fnn.stateful.warning import warn


def as_floats(function: str, **values: Any) -> tuple[jax.Array, ...]:
    """The arguments as arrays of one floating dtype; integer and boolean arrays take the dtype of the floating ones.

    Raises:
        TypeError: if none is floating, one is complex, or two floating dtypes differ.
    """
    arrays = {name: as_array(function, name, value) for name, value in values.items()}
    for name, array in arrays.items():
        if jnp.issubdtype(array.dtype, jnp.complexfloating):
            fail(TypeError, function, name, "of a real dtype", array)
    floating = {name: a for name, a in arrays.items() if jnp.issubdtype(a.dtype, jnp.floating)}
    if not floating:
        first = next(iter(arrays))
        fail(TypeError, function, first, "of a floating dtype", arrays[first])
    check_same_dtype(function, **floating)
    strong = [a.dtype for a in floating.values() if not is_weak(a)]
    dtype = strong[0] if strong else jnp.result_type(float)
    return tuple(a if a.dtype == dtype else a.astype(dtype) for a in arrays.values())


def check_broadcast(function: str, **arrays: Any) -> tuple[int, ...]:
    """The common shape of the arrays (``None`` passes); raises ValueError if there is none."""
    given = {name: a for name, a in arrays.items() if a is not None}
    try:
        return np.broadcast_shapes(*(a.shape for a in given.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {describe(a)}" for name, a in given.items())
        raise ValueError(f"{function}: the shapes must broadcast together, got {shapes}") from None


def warn_shapes(function: str, input: jax.Array, target: jax.Array) -> None:
    """UserWarning if input and target have different shapes, which more often is a mistake than a wish to broadcast."""
    if input.shape != target.shape:
        warn(
            f"{function}: the shape of target {list(target.shape)} differs from that of input {list(input.shape)}; "
            "they will be broadcast, which likely gives a wrong result"
        )


def in_chunks(array: jax.Array, size: int) -> jax.Array:
    """The array with its first axis cut into rows of ``size``, the last one filled up with zeros."""
    count = -(-array.shape[0] // size)
    padded = jnp.pad(array, [(0, count * size - array.shape[0])] + [(0, 0)] * (array.ndim - 1))
    return padded.reshape(count, size, *array.shape[1:])


def finish(loss: jax.Array, reduction: str, dtype: Any) -> jax.Array:
    """The reduction of a loss, in the dtype of the arguments."""
    return reduce_loss(loss, reduction).astype(dtype)


def positive_part(x: jax.Array) -> jax.Array:
    """``max(x, 0)`` with torch's derivative of ``clamp_min``: 1 at the kink, 0 for NaN, which stays NaN."""
    return jnp.where(x >= 0, x, jnp.where(x < 0, 0, jax.lax.stop_gradient(x)))

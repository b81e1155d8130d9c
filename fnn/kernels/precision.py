"""Precision: what arrays of half precision are computed in, and a difference that a compiler can't spoil."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike

__all__ = ["minus_peak", "wide_dtype"]


def wide_dtype(dtype: DTypeLike) -> np.dtype:
    """The dtype itself, float32 for half precision.

    Example:
        >>> import jax.numpy as jnp
        >>> wide_dtype(jnp.bfloat16).name, wide_dtype(jnp.float32).name
        ('float32', 'float32')
    """
    return jnp.promote_types(dtype, jnp.float32)


@jax.custom_jvp
def minus_peak(values: jax.Array, peak: jax.Array) -> jax.Array:
    """``values - peak`` for a peak that none of the values exceeds; exactly 0 where they are the same.

    XLA computes values that are a product once more in each fusion that reads them, and contracts ``x * c - peak`` to one
    multiply-add, which does not round the product as the peak was rounded: of large values the difference at the peak is
    then anything, its exponential 0 or infinite. A minimum in between needs the rounded product, and changes no value.

    Example:
        >>> import jax.numpy as jnp
        >>> minus_peak(jnp.array([1.0, 3.0]), jnp.array(3.0)).tolist()
        [-2.0, 0.0]
    """
    return lax.min(*jnp.broadcast_arrays(values, peak)) - peak


@minus_peak.defjvp
def _minus_peak_jvp(
    primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    return minus_peak(*primals), tangents[0] - tangents[1]

"""The precision that arrays of half precision are computed in."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

__all__ = ["wide_dtype"]


def wide_dtype(dtype: DTypeLike) -> np.dtype:
    """The dtype itself, float32 for half precision.

    Example:
        >>> import jax.numpy as jnp
        >>> wide_dtype(jnp.bfloat16).name, wide_dtype(jnp.float32).name
        ('float32', 'float32')
    """
    return jnp.promote_types(dtype, jnp.float32)

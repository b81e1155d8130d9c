"""Functions that XLA compiles on their own."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import jax
from jax.experimental.xla_metadata import set_xla_metadata

__all__ = ["apart"]


def apart(function: Callable[..., Any], static: tuple[str, ...] = ()) -> Callable[..., Any]:
    """The function of arrays as one that XLA does not merge into what is around it; it may call no other ``jit``.

    Fused with its neighbours a function may be computed element by element over long strides, or anew for each use.
    ``lax.optimization_barrier`` does not prevent that, for XLA removes it before it fuses.

    Args:
        function: of arrays, and of keyword arguments that are no arrays.
        static: the names of the latter.

    Returns:
        the function.

    Example:
        >>> import jax.numpy as jnp
        >>> apart(lambda x: x.T)(jnp.ones((2, 3))).shape
        (3, 2)
    """
    compiled = jax.jit(function, static_argnames=static)

    @wraps(function)
    def call(*arrays: Any, **options: Any) -> Any:
        with set_xla_metadata(inlineable="false"):
            return compiled(*arrays, **options)

    return call

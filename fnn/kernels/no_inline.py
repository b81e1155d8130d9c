"""Functions that XLA does not inline into what is around them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import jax
from jax.experimental.xla_metadata import set_xla_metadata

__all__ = ["no_inline"]

Result = TypeVar("Result")


def no_inline(function: Callable[..., Result], static: tuple[str, ...] = ()) -> Callable[..., Result]:
    """The function of arrays as one that XLA compiles on its own; it may call no other ``jit``.

    Fused with its neighbours a function may be computed element by element over long strides, or anew for each use.
    ``lax.optimization_barrier`` does not prevent that, for XLA removes it before it fuses.

    Args:
        function: of arrays, and of keyword arguments that are no arrays.
        static: the names of the latter.

    Returns:
        the function.

    Example:
        >>> import jax.numpy as jnp
        >>> no_inline(lambda x: x.T)(jnp.ones((2, 3))).shape
        (3, 2)
    """
    compiled = jax.jit(function, static_argnames=static)

    @wraps(function)
    def call(*arrays: Any, **options: Any) -> Result:
        with set_xla_metadata(inlineable="false"):
            return compiled(*arrays, **options)

    return call

"""Convolutions and transposed convolutions as operations: the plain ``lax`` form, and one for the CPU chosen by shape.

A convolution, its gradient by the input and its gradient by the weight are three functions, each linear in two arrays.
A transposed convolution is the second of them, so that the same three serve both.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import jax
import jax.numpy as jnp

from fnn.kernels.conv import choice
from fnn.kernels.conv.config import BOUNDS, Bounds, Config, Ints
from fnn.kernels.conv.plain import plain_forward, plain_transposed
from fnn.kernels.operation import Arrays, Operation
from fnn.kernels.precision import wide_dtype

__all__ = ["convolve", "convolve_transpose"]


def convolve(x: jax.Array, w: jax.Array, config: Config, *, bounds: Bounds = BOUNDS) -> jax.Array:
    """The convolution of a batch in one, two or three dimensions.

    Args:
        x: (N, C, ...).
        w: (O, C / groups, ...).
        config: stride, padding, dilation and groups.
        bounds: by which its form is chosen.

    Returns:
        (N, O, ...).

    Example:
        >>> import jax.numpy as jnp
        >>> config = Config((1,), ((1, 1),), (1,), 2)
        >>> convolve(jnp.ones((1, 2, 4)), jnp.ones((2, 1, 3)), config)[0, 0].tolist()
        [2.0, 3.0, 3.0, 2.0]
    """
    if 0 in (x.size, w.size) or not _is_floating(x):
        return plain_forward(x, w, config)
    return _convolution(config, bounds)(x, w)


def convolve_transpose(
    x: jax.Array, w: jax.Array, config: Config, sizes: Ints, *, bounds: Bounds = BOUNDS
) -> jax.Array:
    """The transposed convolution of a batch: the gradient of ``convolve`` by an input of lengths ``sizes``.

    Args:
        x: (N, C, ...).
        w: (C, O / groups, ...).
        config: stride, padding, dilation and groups of the convolution whose gradient it is.
        sizes: the lengths of the result.
        bounds: by which its form is chosen.

    Returns:
        (N, O, *sizes).

    Example:
        >>> import jax.numpy as jnp
        >>> convolve_transpose(jnp.ones((1, 1, 2)), jnp.ones((1, 1, 2)), Config((2,), ((0, 0),), (1,), 1), (4,)).tolist()
        [[[1.0, 1.0, 1.0, 1.0]]]
    """
    if 0 in (x.size, w.size) or not _is_floating(x):
        return plain_transposed(x, w, sizes, config)
    return _transposed(config, sizes, bounds)(x, w)


def _is_floating(x: jax.Array) -> bool:
    """Whether the fast forms take it: complex and whole numbers are left to XLA."""
    return jnp.issubdtype(x.dtype, jnp.floating)


def _widened(function: Callable[[jax.Array, jax.Array], jax.Array], left: jax.Array, right: jax.Array) -> jax.Array:
    """``function`` of two arrays of one dtype, in float32 where they have half precision."""
    wide = wide_dtype(left.dtype)
    return function(left.astype(wide), right.astype(wide)).astype(left.dtype)


@lru_cache(maxsize=1024)
def _convolution(config: Config, bounds: Bounds) -> Operation:
    def plain(x: jax.Array, w: jax.Array) -> jax.Array:
        return plain_forward(x, w, config)

    def forward(x: jax.Array, w: jax.Array) -> tuple[Arrays, Arrays]:
        return (_widened(lambda x, w: choice.forward(x, w, config, bounds), x, w),), ()

    def backward(
        wanted: tuple[int, ...], args: Arrays, outputs: Arrays, residuals: Arrays, cotangents: Arrays
    ) -> list[jax.Array]:
        (x, w), (dy,) = args, cotangents
        sizes, kernel = x.shape[2:], w.shape[2:]
        gradients = (
            lambda: _widened(lambda dy, w: choice.input_gradient(dy, w, sizes, config, bounds), dy, w),
            lambda: _widened(lambda x, dy: choice.weight_gradient(x, dy, kernel, config, bounds), x, dy),
        )
        return [gradients[i]() for i in wanted]

    return Operation(plain, forward, backward, eigen=config.eigen)


@lru_cache(maxsize=1024)
def _transposed(config: Config, sizes: Ints, bounds: Bounds) -> Operation:
    def plain(x: jax.Array, w: jax.Array) -> jax.Array:
        return plain_transposed(x, w, sizes, config)

    def forward(x: jax.Array, w: jax.Array) -> tuple[Arrays, Arrays]:
        return (_widened(lambda x, w: choice.input_gradient(x, w, sizes, config, bounds), x, w),), ()

    def backward(
        wanted: tuple[int, ...], args: Arrays, outputs: Arrays, residuals: Arrays, cotangents: Arrays
    ) -> list[jax.Array]:
        (x, w), (dy,) = args, cotangents
        kernel = w.shape[2:]
        fitted = config.fitted(sizes, x.shape[2:], kernel)
        gradients = (
            lambda: _widened(lambda dy, w: choice.forward(dy, w, fitted, bounds), dy, w),
            lambda: _widened(lambda dy, x: choice.weight_gradient(dy, x, kernel, fitted, bounds), dy, x),
        )
        return [gradients[i]() for i in wanted]

    return Operation(plain, forward, backward, eigen=config.eigen)

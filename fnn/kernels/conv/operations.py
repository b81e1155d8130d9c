"""Convolutions and transposed convolutions: the plain ``lax`` form, and forms for the CPU chosen by shape.

A convolution, its gradient by the input and its gradient by the weight are three functions, each linear in two arrays.
A transposed convolution is the second of them, so that the same three serve both.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from fnn.kernels.conv import choice as forms
from fnn.kernels.conv.choice import Config, suits_library
from fnn.kernels.operation import Operation

__all__ = ["Config", "convolve", "convolve_transpose", "suits_library"]


def convolve(x: jax.Array, w: jax.Array, config: Config) -> jax.Array:
    """The convolution of a batch in one, two or three dimensions.

    Args:
        x: (N, C, ...).
        w: (O, C / groups, ...).
        config: stride, padding, dilation and groups.

    Returns:
        (N, O, ...).

    Example:
        >>> import jax.numpy as jnp
        >>> config = Config((1,), ((1, 1),), (1,), 2)
        >>> convolve(jnp.ones((1, 2, 4)), jnp.ones((2, 1, 3)), config)[0, 0].tolist()
        [2.0, 3.0, 3.0, 2.0]
    """
    if 0 in (x.size, w.size):
        return forms.plain_forward(x, w, config)
    return _convolution(config)(x, w)


def convolve_transpose(x: jax.Array, w: jax.Array, config: Config, sizes: tuple[int, ...]) -> jax.Array:
    """The transposed convolution of a batch: the gradient of ``convolve`` by an input of lengths ``sizes``.

    Args:
        x: (N, C, ...).
        w: (C, O / groups, ...).
        config: stride, padding, dilation and groups of the convolution whose gradient it is.
        sizes: the lengths of the result.

    Returns:
        (N, O, *sizes).

    Example:
        >>> import jax.numpy as jnp
        >>> convolve_transpose(jnp.ones((1, 1, 2)), jnp.ones((1, 1, 2)), Config((2,), ((0, 0),), (1,), 1), (4,)).tolist()
        [[[1.0, 1.0, 1.0, 1.0]]]
    """
    if 0 in (x.size, w.size):
        return forms.plain_transposed(x, w, sizes, config)
    return _transposed(config, sizes)(x, w)


def _widened(function: Callable[..., Any], *arrays: Any) -> Any:
    """``function`` of the arrays, in float32 where they have half precision."""
    dtype = arrays[0].dtype
    if jnp.finfo(dtype).bits >= 32:
        return function(*arrays)
    return function(*(a.astype(jnp.float32) for a in arrays)).astype(dtype)


@lru_cache(maxsize=1024)
def _convolution(config: Config) -> Operation:
    def forward(x: Any, w: Any) -> Any:
        return (_widened(lambda x, w: forms.forward(x, w, config), x, w),), ()

    def backward(wanted: Any, args: Any, outputs: Any, residuals: Any, cotangents: Any) -> Any:
        (x, w), (dy,) = args, cotangents
        gradients = (
            lambda: _widened(lambda dy, w: forms.input_gradient(dy, w, x.shape[2:], config), dy, w),
            lambda: _widened(lambda x, dy: forms.weight_gradient(x, dy, w.shape[2:], config), x, dy),
        )
        return [gradients[i]() for i in wanted]

    return Operation(lambda x, w: forms.plain_forward(x, w, config), forward, backward, config.library)


@lru_cache(maxsize=1024)
def _transposed(config: Config, sizes: tuple[int, ...]) -> Operation:
    def forward(x: Any, w: Any) -> Any:
        return (_widened(lambda x, w: forms.input_gradient(x, w, sizes, config), x, w),), ()

    def backward(wanted: Any, args: Any, outputs: Any, residuals: Any, cotangents: Any) -> Any:
        (x, w), (dy,) = args, cotangents
        fitted = forms.fit(config, sizes, x.shape[2:], w.shape[2:])
        gradients = (
            lambda: _widened(lambda dy, w: forms.forward(dy, w, fitted), dy, w),
            lambda: _widened(lambda dy, x: forms.weight_gradient(dy, x, w.shape[2:], fitted), dy, x),
        )
        return [gradients[i]() for i in wanted]

    return Operation(lambda x, w: forms.plain_transposed(x, w, sizes, config), forward, backward, config.library)

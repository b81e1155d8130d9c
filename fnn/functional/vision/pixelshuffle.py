"""Rearrangement of channels into space and back."""

from __future__ import annotations

from functools import partial

import jax

from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import (
    as_int,
    fail,
)
from fnn.functional.explained import explained
from fnn.functional.vision.common import check_image

__all__ = [
    "pixel_shuffle",
    "pixel_unshuffle",
]


@partial(jax.jit, static_argnames=("factor",))
def _pixel_shuffle(x: jax.Array, factor: int) -> jax.Array:
    *batch, channels, height, width = x.shape
    k = len(batch)
    x = x.reshape(*batch, channels // factor**2, factor, factor, height, width)
    x = x.transpose(*range(k), k, k + 3, k + 1, k + 4, k + 2)
    return x.reshape(*batch, channels // factor**2, height * factor, width * factor)


@partial(jax.jit, static_argnames=("factor",))
def _pixel_unshuffle(x: jax.Array, factor: int) -> jax.Array:
    *batch, channels, height, width = x.shape
    k = len(batch)
    x = x.reshape(*batch, channels, height // factor, factor, width // factor, factor)
    x = x.transpose(*range(k), k, k + 2, k + 4, k + 1, k + 3)
    return x.reshape(*batch, channels * factor**2, height // factor, width // factor)


@explained
def pixel_shuffle(input: ArrayLike, upscale_factor: int) -> jax.Array:
    """Moves blocks of ``r * r`` channels into space, the step of sub-pixel convolution.

    ``output[..., c, h r + i, w r + j] = input[..., c r^2 + i r + j, h, w]`` with ``r = upscale_factor``.

    Args:
        input: array of three or more axes.
        upscale_factor: r, at least 1.

    Shape:
        - input: (*, C r^2, H, W).
        - output: (*, C, H r, W r).

    Returns:
        the rearranged array.

    Raises:
        ValueError: if there are fewer than three axes, the factor is below 1, or its square does not divide the
            channels.
        TypeError: if the factor is not an int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.pixel_shuffle.html

    Example:
        >>> import jax.numpy as jnp
        >>> pixel_shuffle(jnp.arange(4).reshape(4, 1, 1), 2).tolist()
        [[[0, 1], [2, 3]]]
    """
    x = check_image("pixel_shuffle", input)
    factor = as_int("pixel_shuffle", "upscale_factor", upscale_factor, 1)
    if x.shape[-3] % factor**2:
        fail(ValueError, "pixel_shuffle", "input", f"of channels (axis -3) divisible by {factor**2}", x)
    return _pixel_shuffle(x, factor)


@explained
def pixel_unshuffle(input: ArrayLike, downscale_factor: int) -> jax.Array:
    """Moves ``r`` by ``r`` patches into channels, the inverse of :func:`pixel_shuffle`.

    ``output[..., c r^2 + i r + j, h, w] = input[..., c, h r + i, w r + j]`` with ``r = downscale_factor``.

    Args:
        input: array of three or more axes.
        downscale_factor: r, at least 1.

    Shape:
        - input: (*, C, H r, W r).
        - output: (*, C r^2, H, W).

    Returns:
        the rearranged array.

    Raises:
        ValueError: if there are fewer than three axes, the factor is below 1, or it does not divide height and width.
        TypeError: if the factor is not an int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.pixel_unshuffle.html

    Example:
        >>> import jax.numpy as jnp
        >>> pixel_unshuffle(jnp.arange(4).reshape(1, 2, 2), 2).tolist()
        [[[0]], [[1]], [[2]], [[3]]]
    """
    x = check_image("pixel_unshuffle", input)
    factor = as_int("pixel_unshuffle", "downscale_factor", downscale_factor, 1)
    if x.shape[-2] % factor or x.shape[-1] % factor:
        fail(ValueError, "pixel_unshuffle", "input", f"of height and width divisible by {factor}", x)
    return _pixel_unshuffle(x, factor)

"""The plain forms: a convolution and its two gradients by ``lax``."""

from __future__ import annotations

from math import prod

import jax
import jax.numpy as jnp
from jax import lax

from fnn.kernels.conv.config import Config, Ints

__all__ = ["exchange", "plain_forward", "plain_transposed", "plain_weight"]


def _numbers(n: int) -> lax.ConvDimensionNumbers:
    space = "UDHW"[4 - n :]
    return lax.conv_dimension_numbers((1,) * (n + 2), (1,) * (n + 2), ("NC" + space, "OI" + space, "NC" + space))


def plain_forward(x: jax.Array, w: jax.Array, config: Config) -> jax.Array:
    """The convolution of ``x`` (N, C, ...) with ``w`` (O, C / groups, ...)."""
    return lax.conv_general_dilated(
        x,
        w,
        window_strides=config.stride,
        padding=config.pads,
        rhs_dilation=config.dilation,
        dimension_numbers=_numbers(x.ndim - 2),
        feature_group_count=config.groups,
    )


def exchange(w: jax.Array, groups: int) -> jax.Array:
    """The kernel with inputs and outputs exchanged within each group: (O, c, ...) to (C, o, ...)."""
    o, c, *kernel = w.shape
    return w.reshape((groups, o // groups, c, *kernel)).swapaxes(1, 2).reshape((groups * c, o // groups, *kernel))


def plain_transposed(dy: jax.Array, w: jax.Array, sizes: Ints, config: Config) -> jax.Array:
    """The gradient of the convolution by an input of lengths ``sizes``.

    It is the convolution of ``dy``, dilated by the stride, with the kernel flipped and its channels exchanged.
    """
    n = dy.ndim - 2
    kernel = lax.rev(exchange(w, config.groups), tuple(range(2, n + 2)))
    pads: list[tuple[int, int]] = []
    for i, (low, _) in enumerate(config.pads):
        before = config.dilation[i] * (w.shape[i + 2] - 1) - low
        dilated = (dy.shape[i + 2] - 1) * config.stride[i] + 1
        pads.append((before, sizes[i] + low - dilated))
    # XLA exchanges the operands where the kernel is the larger one, and ends the process if on some axis a kernel of 2 meets a
    # dilation by 2 without padding (jaxlib 0.10 to 0.12). There one more element is computed and cut off.
    extra = [
        int(
            config.groups == 1 and pad == (0, 0) and (w.shape[i + 2], config.stride[i], config.dilation[i]) == (2, 2, 1)
        )
        for i, pad in enumerate(pads)
    ]
    if prod(w.shape[2:]) < prod(dy.shape[2:]):
        extra = [0] * n
    out = lax.conv_general_dilated(
        dy,
        kernel,
        window_strides=(1,) * n,
        padding=[(low + e, high) for (low, high), e in zip(pads, extra, strict=True)],
        lhs_dilation=config.stride,
        rhs_dilation=config.dilation,
        dimension_numbers=_numbers(n),
        feature_group_count=config.groups,
    )
    return out[(slice(None), slice(None), *(slice(e, None) for e in extra))] if any(extra) else out


def plain_weight(x: jax.Array, dy: jax.Array, kernel: Ints, config: Config) -> jax.Array:
    """The gradient of the convolution by a kernel of lengths ``kernel``."""
    blank = jnp.zeros((dy.shape[1], x.shape[1] // config.groups, *kernel), x.dtype)
    fitted = config.fitted(x.shape[2:], dy.shape[2:], kernel)
    return jax.linear_transpose(lambda w: plain_forward(x, w, fitted), blank)(dy)[0]

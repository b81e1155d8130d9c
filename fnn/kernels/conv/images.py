"""Dense convolutions as XLA's own convolution on the CPU wants them: the channels last, the kernel's spatial axes first.

Given any other layout XLA moves the arrays itself, but only in the outermost function of a program (within a loop it falls
back to a plain one, 40 times slower), and it fuses the moves with what is around them, element by element over long strides.
Here the moves are functions of their own, which run by blocks.
"""

from __future__ import annotations

from functools import partial, reduce
from operator import add

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental.layout import Layout, with_layout_constraint

from fnn.kernels.conv.taps import Array, Config, Ints, Phase, by_phases, fit, pad_last
from fnn.kernels.no_inline import apart

__all__ = ["forward", "input_gradient", "moved", "volume", "weight_gradient"]

# Numbers below which a move is fused with its surroundings: then it reads from the cache.
SMALL = 1 << 19


def moved(x: Array, order: Ints) -> Array:
    """``x.transpose(order)``, by blocks if it is large and there is one device."""
    if order == tuple(range(x.ndim)):
        return x
    # An array that is spread over devices some versions of XLA would gather to give it an order in memory.
    if x.size < SMALL or jax.device_count() > 1:
        return x.transpose(order)
    return _move(x, order=order)


def _in_order(x: Array) -> Array:
    """The same, its last axis contiguous in memory; else XLA would take a move for another view of the same memory."""
    return with_layout_constraint(x, Layout(tuple(range(x.ndim))))


@partial(apart, static=("order",))
def _move(x: Array, *, order: Ints) -> Array:
    return _in_order(_in_order(x).transpose(order))


def _space(x: Array) -> Ints:
    return tuple(range(2, x.ndim))


def _to_last(x: Array) -> Array:
    return moved(x, (0, *_space(x), 1))


def _to_first(x: Array) -> Array:
    return moved(x, (0, x.ndim - 1, *range(1, x.ndim - 1)))


def _convolve(x: Array, kernel: Array, config: Config) -> Array:
    """x (N, ..., C) with kernel (..., C, O), dense."""
    space = "DHW"[5 - x.ndim :]
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=config.stride,
        padding=config.pads,
        rhs_dilation=config.dilation,
        dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
    )


def _grouped(x: Array, kernel: Array, config: Config) -> Array:
    """x (N, ..., C) with kernel (..., C / groups, O): one dense convolution for each group."""
    groups = config.groups
    if groups == 1:
        return _convolve(x, kernel, config)
    pairs = zip(jnp.split(x, groups, -1), jnp.split(kernel, groups, -1), strict=True)
    return jnp.concatenate([_convolve(a, b, config) for a, b in pairs], -1)


def forward(x: Array, w: Array, config: Config) -> Array:
    """The convolution of x (N, C, ...) with w (O, C / groups, ...)."""
    return _to_first(_grouped(_to_last(x), moved(w, (*_space(w), 1, 0)), config))


def volume(x: Array, w: Array, outputs: Ints, config: Config) -> Array:
    """The convolution in three dimensions with stride 1 along the first: of each image with the kernels of all taps of the
    first axis at once, added up where they meet.
    """
    (o, c, taps, *kernel), (step, _, _) = w.shape, config.dilation
    images = _to_last(pad_last(x, [config.pads[0], (0, 0), (0, 0)]))
    beside = moved(w, (3, 4, 1, 2, 0)).reshape((*kernel, c, taps * o))
    each = _convolve(images.reshape((-1, *images.shape[2:])), beside, config.inner())
    each = each.reshape((x.shape[0], images.shape[1], *outputs[1:], taps, o))
    terms = (lax.slice_in_dim(each[..., a, :], a * step, a * step + outputs[0], axis=1) for a in range(taps))
    return _to_first(reduce(add, terms))


def weight_gradient(x: Array, dy: Array, kernel: Ints, config: Config) -> Array:
    """Its gradient by the kernel, of lengths ``kernel``: a convolution over the batch of x with dy as the kernel."""
    config = fit(config, x.shape[2:], dy.shape[2:], kernel)
    swapped = config._replace(stride=config.dilation, dilation=config.stride)
    x, dy = moved(x, (1, *_space(x), 0)), moved(dy, (*_space(dy), 0, 1))
    pairs = zip(jnp.split(x, config.groups), jnp.split(dy, config.groups, -1), strict=True)
    grads = [_convolve(a, b, swapped) for a, b in pairs]
    whole = grads[0] if len(grads) == 1 else jnp.concatenate(grads, -1)
    return moved(whole, (whole.ndim - 1, *range(whole.ndim - 1)))


def input_gradient(dy: Array, w: Array, sizes: Ints, config: Config) -> Array:
    """Its gradient by the input, of lengths ``sizes``: an ordinary convolution for each phase."""
    n, groups = len(sizes), config.groups
    kernel = moved(w, (*_space(w), 0, 1))
    if groups > 1:  # (..., groups o, c) to (..., o, groups c)
        kernel = kernel.reshape((*kernel.shape[:n], groups, -1, kernel.shape[-1])).swapaxes(-3, -2)
        kernel = kernel.reshape((*kernel.shape[: n + 1], -1))
    dy = _to_last(dy)

    def convolve(phase: Phase) -> Array:
        return _grouped(dy, lax.rev(kernel[phase.slices], tuple(range(n))), phase.config)

    return _to_first(by_phases(convolve, dy.shape[1:-1], w.shape[2:], sizes, config, 1))

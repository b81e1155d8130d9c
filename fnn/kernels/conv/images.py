"""Dense convolutions as XLA's own convolution on the CPU wants them: the channels last, the kernel's spatial axes first.

Given any other layout XLA moves the arrays itself, but only in the outermost function of a program (within a loop it falls
back to a plain one, 40 times slower), and it fuses the moves with what is around them, element by element over long strides.
Here the moves are functions of their own, which run by blocks.
"""

from __future__ import annotations

from functools import partial, reduce
from math import prod
from operator import add

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental.layout import Layout, with_layout_constraint

from fnn.kernels.conv.config import Bounds, Case, Config, Ints
from fnn.kernels.conv.phases import Phase, by_phases
from fnn.kernels.conv.taps import pad_last
from fnn.kernels.no_inline import no_inline

__all__ = [
    "forward",
    "input_gradient",
    "is_dense",
    "moved",
    "suits",
    "suits_weight_gradient",
    "volume",
    "weight_gradient",
]


def is_dense(groups: int, inputs: int) -> bool:
    """Whether dense convolutions, one for each of a few groups, are faster than products for all groups."""
    return groups == 1 or (groups <= 8 and inputs >= 16)


def suits(case: Case, bounds: Bounds) -> bool:
    """Whether ``forward`` serves."""
    return is_dense(case.groups, case.inputs)


def suits_weight_gradient(case: Case, bounds: Bounds) -> bool:
    """Whether ``weight_gradient`` serves: no other form does, or it is faster than products."""
    many_taps = case.taps > bounds.many_taps
    return (many_taps or _is_faster_than_products(case, bounds)) and is_dense(case.groups, case.inputs)


def _is_faster_than_products(case: Case, bounds: Bounds) -> bool:
    places, dense = prod(case.places), case.groups == 1
    products = case.images * case.outputs * places * case.inputs * case.taps
    small = dense and products < bounds.worthwhile
    # The batch takes the part of the channels, so that a few large images leave little to compute at a time.
    few_large = case.images <= bounds.few_images and places >= 2 * bounds.few_places
    if (case.config.eigen or small) and not few_large:
        return True
    return dense and (len(case.kernel) == 1 or places < bounds.few_places)


def moved(x: jax.Array, order: Ints, bounds: Bounds) -> jax.Array:
    """``x.transpose(order)``, by blocks if it is large and there is one device."""
    if order == tuple(range(x.ndim)):
        return x
    # An array that is sharded some versions of XLA would gather to give it an order in memory.
    if x.size < bounds.large_move or jax.device_count() > 1:
        return x.transpose(order)
    return _move(x, order=order)


def _in_order(x: jax.Array) -> jax.Array:
    """The same, its last axis contiguous in memory; else XLA would take a move for another view of the same memory."""
    return with_layout_constraint(x, Layout(tuple(range(x.ndim))))


@partial(no_inline, static=("order",))
def _move(x: jax.Array, *, order: Ints) -> jax.Array:
    return _in_order(_in_order(x).transpose(order))


def _space(x: jax.Array) -> Ints:
    return tuple(range(2, x.ndim))


def _to_last(x: jax.Array, bounds: Bounds) -> jax.Array:
    return moved(x, (0, *_space(x), 1), bounds)


def _to_first(x: jax.Array, bounds: Bounds) -> jax.Array:
    return moved(x, (0, x.ndim - 1, *range(1, x.ndim - 1)), bounds)


def _convolve(x: jax.Array, kernel: jax.Array, config: Config) -> jax.Array:
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


def _grouped(x: jax.Array, kernel: jax.Array, config: Config) -> jax.Array:
    """x (N, ..., C) with kernel (..., C / groups, O): one dense convolution for each group."""
    groups = config.groups
    if groups == 1:
        return _convolve(x, kernel, config)
    pairs = zip(jnp.split(x, groups, -1), jnp.split(kernel, groups, -1), strict=True)
    return jnp.concatenate([_convolve(a, b, config) for a, b in pairs], -1)


def forward(x: jax.Array, w: jax.Array, case: Case, bounds: Bounds) -> jax.Array:
    """The convolution of x (N, C, ...) with w (O, C / groups, ...)."""
    images, kernel = _to_last(x, bounds), moved(w, (*_space(w), 1, 0), bounds)
    return _to_first(_grouped(images, kernel, case.config), bounds)


def volume(x: jax.Array, w: jax.Array, case: Case, bounds: Bounds) -> jax.Array:
    """The convolution in three dimensions with stride 1 along the first: of each image with the kernels of all taps of the
    first axis at once, added up where they meet.
    """
    (o, c, taps, *kernel), config, length = w.shape, case.config, case.places[0]
    images = _to_last(pad_last(x, [config.pads[0], (0, 0), (0, 0)]), bounds)
    beside = moved(w, (3, 4, 1, 2, 0), bounds).reshape((*kernel, c, taps * o))
    each = _convolve(images.reshape((-1, *images.shape[2:])), beside, config.inner())
    each = each.reshape((x.shape[0], images.shape[1], *case.places[1:], taps, o))
    starts = (a * config.dilation[0] for a in range(taps))
    terms = (lax.slice_in_dim(each[..., a, :], at, at + length, axis=1) for a, at in enumerate(starts))
    return _to_first(reduce(add, terms), bounds)


def weight_gradient(x: jax.Array, dy: jax.Array, case: Case, bounds: Bounds) -> jax.Array:
    """Its gradient by the kernel: a convolution over the batch of x with dy as the kernel."""
    config = case.config.fitted(case.sizes, case.places, case.kernel)
    swapped = config._replace(stride=config.dilation, dilation=config.stride)
    x, dy = moved(x, (1, *_space(x), 0), bounds), moved(dy, (*_space(dy), 0, 1), bounds)
    pairs = zip(jnp.split(x, config.groups), jnp.split(dy, config.groups, -1), strict=True)
    grads = [_convolve(a, b, swapped) for a, b in pairs]
    whole = grads[0] if len(grads) == 1 else jnp.concatenate(grads, -1)
    return moved(whole, (whole.ndim - 1, *range(whole.ndim - 1)), bounds)


def input_gradient(dy: jax.Array, w: jax.Array, case: Case, bounds: Bounds) -> jax.Array:
    """Its gradient by the input: an ordinary convolution for each phase."""
    n, groups = len(case.sizes), case.groups
    kernel = moved(w, (*_space(w), 0, 1), bounds)
    if groups > 1:  # (..., groups o, c) to (..., o, groups c)
        kernel = kernel.reshape((*kernel.shape[:n], groups, -1, kernel.shape[-1])).swapaxes(-3, -2)
        kernel = kernel.reshape((*kernel.shape[: n + 1], -1))
    dy = _to_last(dy, bounds)

    def convolve(phase: Phase) -> jax.Array:
        return _grouped(dy, lax.rev(kernel[phase.slices], tuple(range(n))), phase.config)

    return _to_first(by_phases(convolve, case, 1), bounds)

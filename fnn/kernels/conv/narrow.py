"""Dense convolutions of few channels on one side, as the first and the last layer of a network for images are.

XLA's libraries fill their registers with channels, and so compute little at a time; here the taps are laid beside the few
channels.
"""

from __future__ import annotations

from functools import reduce
from math import prod
from operator import add

import jax

from fnn.kernels.conv.config import Bounds, Case
from fnn.kernels.conv.matmul import matmul_images, matmul_images_gradient
from fnn.kernels.conv.taps import col2im, each_tap, im2col, pad_last, placed, seen_by, seen_by_taps

__all__ = ["few_inputs", "forward", "input_gradient", "suits", "suits_input_gradient", "weight_gradient"]


def few_inputs(weight: tuple[int, ...], groups: int, bounds: Bounds, times: int = 1) -> bool:
    """Whether the inputs of a kernel (O, c, ...) are few, and with all taps at most ``times`` its outputs.

    All forms here serve it; ``input_gradient`` also serves more.
    """
    return groups == 1 and weight[1] <= bounds.few_inputs and prod(weight[1:]) <= times * weight[0]


def _few_inputs(case: Case, bounds: Bounds, times: int = 1) -> bool:
    return few_inputs((case.outputs, case.inputs, *case.kernel), case.groups, bounds, times)


def _few_outputs(case: Case, bounds: Bounds) -> bool:
    """Whether its outputs are few beside its inputs. The forms compute at every place of the input: it should see each."""
    few = case.outputs <= bounds.few_outputs and case.outputs * case.taps <= 3 * case.inputs
    return case.groups == 1 and few and max(case.config.stride) == 1


def suits(case: Case, bounds: Bounds) -> bool:
    """Whether ``forward`` and ``weight_gradient`` serve."""
    return case.taps <= bounds.many_taps and (_few_inputs(case, bounds) or _few_outputs(case, bounds))


def suits_input_gradient(case: Case, bounds: Bounds) -> bool:
    """Whether ``input_gradient`` serves."""
    # Without strides what the taps give lies as the input does, so that more of them may be placed.
    times, more = (16, 2) if max(case.config.stride) == 1 else (4, 1)
    return case.taps <= more * bounds.many_taps and _few_inputs(case, bounds, times)


def forward(x: jax.Array, w: jax.Array, case: Case, bounds: Bounds) -> jax.Array:
    """The convolution of x (N, c, ...) with w (O, c, ...)."""
    o, c = w.shape[:2]
    if _few_inputs(case, bounds):
        out = matmul_images(w.reshape((1, o, -1)), im2col(seen_by_taps(x, case)), bounds)
        return out.reshape((x.shape[0], o, *case.places))
    # What each tap makes of each place, added up where they meet.
    matrix = w.reshape((o, c, -1)).swapaxes(1, 2).reshape((1, -1, c))
    each = matmul_images(matrix, _flat(x), bounds).reshape((x.shape[0], o, -1, *x.shape[2:]))
    pads, taps = case.config.pads, enumerate(each_tap(case.kernel))
    return reduce(add, (seen_by(tap, pad_last(each[:, :, i], pads), case.places, case.config) for i, tap in taps))


def weight_gradient(x: jax.Array, dy: jax.Array, case: Case, bounds: Bounds) -> jax.Array:
    """Its gradient by the kernel."""
    o, c = dy.shape[1], x.shape[1]
    if _few_inputs(case, bounds):
        grad = matmul_images_gradient(_flat(dy), im2col(seen_by_taps(x, case)))
        return grad.reshape((o, c, *case.kernel))
    beside = im2col([placed(dy, tap, case) for tap in each_tap(case.kernel)])
    grad = matmul_images_gradient(beside, _flat(x))
    return grad.reshape((o, -1, c)).swapaxes(1, 2).reshape((o, c, *case.kernel))


def input_gradient(dy: jax.Array, w: jax.Array, case: Case, bounds: Bounds) -> jax.Array:
    """Its gradient by an input of few channels."""
    o, c = w.shape[:2]
    each = matmul_images(w.reshape((1, o, -1)).swapaxes(1, 2), _flat(dy), bounds)
    each = each.reshape((dy.shape[0], c, -1, *dy.shape[2:]))
    return col2im((each[:, :, i] for i in range(case.taps)), case)


def _flat(x: jax.Array) -> jax.Array:
    return x.reshape((x.shape[0], 1, x.shape[1], -1))

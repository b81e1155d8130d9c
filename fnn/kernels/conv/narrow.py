"""Dense convolutions of few channels on one side, as the first and the last layer of a network for images are.

XLA's libraries fill their registers with channels, and so compute little at a time; here the taps are laid beside the few
channels.
"""

from __future__ import annotations

from functools import reduce
from math import prod
from operator import add

import jax.numpy as jnp

from fnn.kernels.conv.taps import (
    Array,
    Config,
    Ints,
    add_placed,
    each_tap,
    matmul_images,
    matmul_images_gradient,
    pad_last,
    placed,
    seen_by,
    seen_by_taps,
)

__all__ = ["few_inputs", "forward", "input_gradient", "is_narrow", "weight_gradient"]

# Few channels, as measured. With the taps beside them they should also not be many more than those of the other side.
_INPUTS, _OUTPUTS = 4, 8


def few_inputs(weight: Ints, groups: int, times: int = 1) -> bool:
    """Whether the inputs of a kernel (O, c, ...) are few, and with all taps at most ``times`` its outputs.

    All forms here serve it; ``input_gradient`` also serves more.
    """
    return groups == 1 and weight[1] <= _INPUTS and prod(weight[1:]) <= times * weight[0]


def _few_outputs(weight: Ints, config: Config) -> bool:
    """Whether its outputs are few beside its inputs. The forms compute at every place of the input: it should see each."""
    beside = weight[0] * prod(weight[2:])
    return config.groups == 1 and weight[0] <= _OUTPUTS and beside <= 3 * weight[1] and max(config.stride) == 1


def is_narrow(weight: Ints, config: Config) -> bool:
    """Whether ``forward`` and ``weight_gradient`` serve a kernel of this shape."""
    return few_inputs(weight, config.groups) or _few_outputs(weight, config)


def _beside(parts: list[Array]) -> Array:
    """One (N, c, ...) for each tap, to (N, 1, c taps, length)."""
    whole = jnp.stack(parts, 2)
    return whole.reshape((whole.shape[0], 1, whole.shape[1] * whole.shape[2], -1))


def _flat(x: Array) -> Array:
    return x.reshape((x.shape[0], 1, x.shape[1], -1))


def forward(x: Array, w: Array, outputs: Ints, config: Config) -> Array:
    """The convolution of x (N, c, ...) with w (O, c, ...)."""
    o, c, *rest = w.shape
    kernel = tuple(rest)
    if few_inputs(w.shape, config.groups):
        out = matmul_images(w.reshape((1, o, -1)), _beside(seen_by_taps(x, kernel, outputs, config)))
        return out.reshape((x.shape[0], o, *outputs))
    # What each tap makes of each place, added up where they meet.
    matrix = w.reshape((o, c, -1)).swapaxes(1, 2).reshape((1, -1, c))
    each = matmul_images(matrix, _flat(x)).reshape((x.shape[0], o, -1, *x.shape[2:]))
    taps = enumerate(each_tap(kernel))
    return reduce(add, (seen_by(tap, pad_last(each[:, :, i], config.pads), outputs, config) for i, tap in taps))


def weight_gradient(x: Array, dy: Array, kernel: Ints, config: Config) -> Array:
    """Its gradient by the kernel, of lengths ``kernel``."""
    o, c = dy.shape[1], x.shape[1]
    if few_inputs((o, c, *kernel), config.groups):
        grad = matmul_images_gradient(_flat(dy), _beside(seen_by_taps(x, kernel, dy.shape[2:], config)))
        return grad.reshape((o, c, *kernel))
    beside = _beside([placed(dy, tap, x.shape[2:], config) for tap in each_tap(kernel)])
    grad = matmul_images_gradient(beside, _flat(x))
    return grad.reshape((o, -1, c)).swapaxes(1, 2).reshape((o, c, *kernel))


def input_gradient(dy: Array, w: Array, sizes: Ints, config: Config) -> Array:
    """Its gradient by an input of few channels and of lengths ``sizes``."""
    o, c, *kernel = w.shape
    each = matmul_images(w.reshape((1, o, -1)).swapaxes(1, 2), _flat(dy))
    each = each.reshape((dy.shape[0], c, -1, *dy.shape[2:]))
    return add_placed((each[:, :, i] for i in range(prod(kernel))), tuple(kernel), sizes, config)

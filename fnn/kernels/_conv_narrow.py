"""Dense convolutions between many channels and so few that these, with all taps beside them, are still no more.

First and last layers of networks for images are such: of one or three channels. XLA's libraries fill their registers with
channels, and so compute little at a time; here the taps are laid beside the few channels.
"""

from __future__ import annotations

from math import prod

import jax.numpy as jnp

from fnn.kernels._conv_common import (
    Array,
    Config,
    Ints,
    cut_last,
    each_tap,
    matmul_images,
    matmul_images_gradient,
    pad_last,
    placed,
    seen_by_taps,
)

__all__ = ["forward", "has_few_inputs", "has_few_outputs", "input_gradient", "weight_gradient"]


def has_few_inputs(weight: Ints, groups: int) -> bool:
    """Whether the inputs of a kernel (O, c, ...) are few beside its outputs; all forms here serve it."""
    return groups == 1 and prod(weight[1:]) <= weight[0]


def has_few_outputs(weight: Ints, config: Config) -> bool:
    """Whether its outputs are few beside its inputs; ``forward`` and ``weight_gradient`` serve it.

    They compute at every place of the input, so that it should see each.
    """
    return config.groups == 1 and weight[0] * prod(weight[2:]) <= weight[1] and max(config.stride) == 1


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
    if has_few_inputs(w.shape, config.groups):
        out = matmul_images(w.reshape((1, o, -1)), _beside(seen_by_taps(x, kernel, outputs, config)))
        return out.reshape((x.shape[0], o, *outputs))
    # What each tap makes of each place, added up where they meet.
    matrix = w.reshape((o, c, -1)).swapaxes(1, 2).reshape((1, -1, c))
    each = matmul_images(matrix, _flat(x)).reshape((x.shape[0], o, -1, *x.shape[2:]))
    total = None
    for i, tap in enumerate(each_tap(kernel)):
        start = [a * d for a, d in zip(tap, config.dilation, strict=True)]
        term = cut_last(pad_last(each[:, :, i], config.pads), start, outputs, config.stride)
        total = term if total is None else total + term
    assert total is not None
    return total


def weight_gradient(x: Array, dy: Array, kernel: Ints, config: Config) -> Array:
    """Its gradient by the kernel, of lengths ``kernel``."""
    o, c = dy.shape[1], x.shape[1]
    if has_few_inputs((o, c, *kernel), config.groups):
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
    total = None
    for i, tap in enumerate(each_tap(kernel)):
        term = placed(each[:, :, i], tap, sizes, config)
        total = term if total is None else total + term
    assert total is not None
    return total

"""Kernels of one element, and those that step by their own length: patches that do not overlap, and a matrix product."""

from __future__ import annotations

from math import prod

import jax

from fnn.kernels.conv.config import Bounds, Case
from fnn.kernels.conv.matmul import matmul_images, matmul_images_gradient
from fnn.kernels.conv.taps import cut_last, pad_last

__all__ = ["forward", "input_gradient", "suits", "weight_gradient"]


def suits(case: Case, bounds: Bounds) -> bool:
    """Whether no two places of the kernel overlap."""
    each = zip(case.kernel, case.config.stride, case.config.dilation, strict=True)
    return all(k == 1 or (k == s and d == 1) for k, s, d in each)


def forward(x: jax.Array, w: jax.Array, case: Case, bounds: Bounds) -> jax.Array:
    """The convolution of x (N, C, ...) with w (O, C / groups, ...)."""
    seen = _patches(x, case)
    out = matmul_images(w.reshape((case.groups, case.outputs, -1)), seen, bounds)
    return out.reshape((x.shape[0], w.shape[0], *case.places))


def weight_gradient(x: jax.Array, dy: jax.Array, case: Case, bounds: Bounds) -> jax.Array:
    """Its gradient by the kernel."""
    seen = _patches(x, case)
    grad = matmul_images_gradient(dy.reshape((dy.shape[0], case.groups, case.outputs, -1)), seen)
    return grad.reshape((case.groups * case.outputs, case.inputs, *case.kernel))


def input_gradient(dy: jax.Array, w: jax.Array, case: Case, bounds: Bounds) -> jax.Array:
    """Its gradient by the input."""
    matrix = w.reshape((case.groups, case.outputs, -1)).swapaxes(1, 2)
    z = matmul_images(matrix, dy.reshape((dy.shape[0], case.groups, case.outputs, -1)), bounds)
    return _from_patches(z.reshape((dy.shape[0], case.groups * case.inputs, case.taps, -1)), case)


def _steps(case: Case) -> list[int]:
    """A kernel of one element sees every stride-th element; any other sees all of them."""
    return [s if k == 1 else 1 for k, s in zip(case.kernel, case.config.stride, strict=True)]


def _patches(x: jax.Array, case: Case) -> jax.Array:
    """(N, groups, c prod(kernel), prod(places))."""
    n, pads, steps = len(case.kernel), case.config.pads, _steps(case)
    seen = [q * k for q, k in zip(case.places, case.kernel, strict=True)]
    ends = [
        max((q - 1) * t + 1 - size - low, 0)
        for q, t, size, (low, _) in zip(seen, steps, x.shape[2:], pads, strict=True)
    ]
    x = pad_last(x, [(low, end) for (low, _), end in zip(pads, ends, strict=True)])
    x = cut_last(x, [0] * n, seen, steps)
    x = x.reshape((*x.shape[:2], *(v for q, k in zip(case.places, case.kernel, strict=True) for v in (q, k))))
    x = x.transpose((0, 1, *range(3, 2 * n + 2, 2), *range(2, 2 * n + 2, 2)))
    return x.reshape((x.shape[0], case.groups, -1, prod(case.places)))


def _from_patches(z: jax.Array, case: Case) -> jax.Array:
    """The transpose of ``_patches``; z is (N, C, prod(kernel), prod(places))."""
    n = len(case.kernel)
    z = z.reshape((*z.shape[:2], *case.kernel, *case.places))
    z = z.transpose((0, 1, *(v for i in range(n) for v in (2 + n + i, 2 + i))))
    z = z.reshape((*z.shape[:2], *(q * k for q, k in zip(case.places, case.kernel, strict=True))))
    steps = _steps(case)
    dilated = [(q - 1) * t + 1 for q, t in zip(z.shape[2:], steps, strict=True)]
    each = zip(case.sizes, dilated, case.config.pads, strict=True)
    return pad_last(z, [(-low, size + low - q) for size, q, (low, _) in each], steps)

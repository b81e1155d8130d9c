"""The general form: matrix products over im2col of the last axes, some images at a time.

The taps of the last axes are laid side by side (im2col), those of the first ``m`` axes belong to the other factor: in the
forward pass their products are added with shifts, in the gradient of the kernel the shifted cotangents are laid side by side.
Copies are thus k times the data on either side where one side alone would need k * k. With a stride, the first m axes split
into classes: the positions that a tap sees all leave one remainder.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import jax
import jax.numpy as jnp
from jax import lax

from fnn.kernels.conv.config import Bounds, Case, Config, Ints
from fnn.kernels.conv.taps import cut_last, each_tap, pad_last

__all__ = ["forward", "weight_gradient"]


@dataclass(frozen=True)
class _Class:
    """The taps of the first ``m`` axes that see positions of one remainder: where they start, and their shifts."""

    starts: Ints
    lengths: Ints
    taps: tuple[Ints, ...]
    shifts: tuple[Ints, ...]


def _classes(kernel: Ints, places: Ints, config: Config) -> list[_Class]:
    """The classes of taps of the axes of ``kernel``, the first of the convolution."""
    found: dict[Ints, list[tuple[Ints, Ints]]] = {}
    for tap in each_tap(kernel):
        reach = [a * d for a, d in zip(tap, config.dilation, strict=False)]
        rest = tuple(r % s for r, s in zip(reach, config.stride, strict=False))
        found.setdefault(rest, []).append((tap, tuple(r // s for r, s in zip(reach, config.stride, strict=False))))
    classes: list[_Class] = []
    for rest, members in found.items():
        most = [max(shift[i] for _, shift in members) for i in range(len(kernel))]
        lengths = tuple(q + e for q, e in zip(places, most, strict=False))
        classes.append(_Class(rest, lengths, tuple(t for t, _ in members), tuple(s for _, s in members)))
    return classes


def _best_axes(case: Case) -> tuple[int, float]:
    """How many first axes belong to the other factor, and the elements copied for one image and group."""
    kernel, places = case.kernel, case.places

    def cost(m: int) -> tuple[float, float]:
        copied = work = 0.0
        for each in _classes(kernel[:m], places, case.config):
            length = prod(each.lengths) * prod(places[m:])
            copied += length * (case.inputs * prod(kernel[m:]) + case.outputs * len(each.taps))
            work += length * case.inputs * case.outputs * prod(kernel[m:]) * len(each.taps)
        return copied + work / 64, copied

    costs = [cost(m) for m in range(len(kernel) + 1)]
    best = min(range(len(costs)), key=lambda m: costs[m][0])
    return best, costs[best][1]


def _im2col(x: jax.Array, each: _Class, m: int, case: Case) -> jax.Array:
    """Padded x (groups, c, B, ...) to (groups, taps c, length): the taps of the last axes side by side."""
    config, kernel = case.config, case.kernel
    lengths = (*each.lengths, *case.places[m:])
    # The padding may end before the last position that a class could see.
    missing = [
        max(a + (q - 1) * s + 1 - size, 0)
        for a, q, s, size in zip(each.starts, each.lengths, config.stride, x.shape[3:], strict=False)
    ]
    x = pad_last(x, [(0, e) for e in missing] + [(0, 0)] * (len(kernel) - m))
    pieces: list[jax.Array] = []
    for tap in each_tap(kernel[m:]):
        starts = (*each.starts, *(a * d for a, d in zip(tap, config.dilation[m:], strict=True)))
        pieces.append(cut_last(x, starts, lengths, config.stride))
    laid = lax.optimization_barrier(jnp.concatenate(pieces, 1))
    return laid.reshape((*laid.shape[:2], -1))


def _to_groups(x: jax.Array, groups: int) -> jax.Array:
    """(B, C, ...) to (groups, C / groups, B, ...)."""
    x = x.reshape((x.shape[0], groups, -1, *x.shape[2:]))
    return x.transpose((1, 2, 0, *range(3, x.ndim)))


def _in_steps(images: int, elements: float, bounds: Bounds) -> tuple[int, int]:
    """Steps over the batch, and images in a step."""
    most = max(1, int(bounds.step_elements / max(elements, 1)))
    steps = -(-images // most)
    return steps, -(-images // steps)


def _steps(x: jax.Array, steps: int, each: int) -> jax.Array:
    """(N, ...) to (steps, each, ...), with zeros at the end where the batch does not divide."""
    short = steps * each - x.shape[0]
    if short:
        x = jnp.concatenate([x, jnp.zeros((short, *x.shape[1:]), x.dtype)])
    return x.reshape((steps, each, *x.shape[1:]))


def forward(x: jax.Array, w: jax.Array, case: Case, bounds: Bounds) -> jax.Array:
    """The convolution: a product for every class and group, its results added with shifts."""
    config, groups, kernel, n, places = case.config, case.groups, case.kernel, len(case.kernel), case.places
    c, o = case.inputs, case.outputs
    m, copied = _best_axes(case)
    parts = w.reshape((groups, o, c, *kernel))
    # (groups, taps of the first axes, o, taps of the last axes and c)
    parts = parts.transpose((0, *range(3, 3 + m), 1, *range(3 + m, 3 + n), 2))
    parts = parts.reshape((groups, *kernel[:m], o, -1))
    classes = _classes(kernel[:m], places, config)
    matrices = [
        jnp.stack([parts[(slice(None), *tap)] for tap in each.taps], 1).reshape((groups, -1, parts.shape[-1]))
        for each in classes
    ]

    def some(images: jax.Array) -> jax.Array:
        laid = lax.optimization_barrier(_to_groups(pad_last(images, config.pads), groups))
        total = None
        for each, matrix in zip(classes, matrices, strict=True):
            z = jnp.matmul(matrix, _im2col(laid, each, m, case))
            z = lax.optimization_barrier(z)
            z = z.reshape((groups, len(each.taps), o, images.shape[0], *each.lengths, *places[m:]))
            for i, shift in enumerate(each.shifts):
                term = cut_last(z[:, i], (*shift, *(0,) * (n - m)), places, (1,) * n)
                total = term if total is None else total + term
        assert total is not None
        total = total.transpose((2, 0, 1, *range(3, 3 + n)))
        return total.reshape((images.shape[0], groups * o, *places))

    steps, each_step = _in_steps(x.shape[0], groups * copied, bounds)
    if steps == 1:
        return some(x)
    out = lax.map(some, _steps(x, steps, each_step))
    return out.reshape((-1, *out.shape[2:]))[: x.shape[0]]


def weight_gradient(x: jax.Array, dy: jax.Array, case: Case, bounds: Bounds) -> jax.Array:
    """Its gradient by the kernel: for some images at a time a product for every class and group, accumulated."""
    config, groups, kernel, n, places = case.config, case.groups, case.kernel, len(case.kernel), case.places
    c, o = case.inputs, case.outputs
    m, copied = _best_axes(case)
    classes = _classes(kernel[:m], places, config)

    def some(images: jax.Array, cotangents: jax.Array) -> list[jax.Array]:
        laid = lax.optimization_barrier(_to_groups(pad_last(images, config.pads), groups))
        cotangents = _to_groups(cotangents, groups)
        grads: list[jax.Array] = []
        for each in classes:
            shifted = [
                pad_last(
                    cotangents,
                    [(s, q - s - k) for s, q, k in zip(shift, each.lengths, places, strict=False)] + [(0, 0)] * (n - m),
                )
                for shift in each.shifts
            ]
            beside = lax.optimization_barrier(jnp.concatenate(shifted, 1))
            beside = beside.reshape((*beside.shape[:2], -1))
            grads.append(lax.dot_general(beside, _im2col(laid, each, m, case), (((2,), (2,)), ((0,), (0,)))))
        return grads

    steps, each_step = _in_steps(x.shape[0], groups * copied, bounds)
    if steps == 1:
        grads = some(x, dy)
    else:

        def step(total: list[jax.Array], one: tuple[jax.Array, jax.Array]) -> tuple[list[jax.Array], None]:
            return [t + g for t, g in zip(total, some(*one), strict=True)], None

        inner = prod(kernel[m:]) * c
        zeros = [jnp.zeros((groups, len(each.taps) * o, inner), x.dtype) for each in classes]
        grads = lax.scan(step, zeros, (_steps(x, steps, each_step), _steps(dy, steps, each_step)))[0]
    of_tap: dict[Ints, jax.Array] = {}
    for each, grad in zip(classes, grads, strict=True):
        grad = grad.reshape((groups, len(each.taps), o, *kernel[m:], c))
        of_tap.update({tap: grad[:, i] for i, tap in enumerate(each.taps)})
    whole = jnp.stack([of_tap[tap] for tap in each_tap(kernel[:m])], 1)
    whole = whole.reshape((groups, *kernel[:m], o, *kernel[m:], c))
    whole = whole.transpose((0, 1 + m, 2 + n, *range(1, 1 + m), *range(2 + m, 2 + n)))
    return whole.reshape((groups * o, c, *kernel))

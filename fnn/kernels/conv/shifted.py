"""Few inputs to an output, as in depthwise convolutions: a sum of shifted products, and its gradient by the kernel."""

from __future__ import annotations

from math import prod

import jax
import jax.numpy as jnp
from jax import lax

from fnn.kernels.conv.config import Bounds, Case
from fnn.kernels.conv.taps import each_tap, pad_last, seen_by

__all__ = ["forward", "row_blocks", "suits", "suits_small", "suits_weight_gradient", "weight_gradient"]


def suits(case: Case, bounds: Bounds) -> bool:
    """Whether the products are few enough to be written out."""
    return case.inputs <= 4 and case.inputs * case.taps <= bounds.many_taps


def suits_small(case: Case, bounds: Bounds) -> bool:
    """Whether they are also faster than matrix products are for a dense kernel."""
    dense = case.groups == 1 and max(case.config.stride) == 1
    return dense and suits(case, bounds) and case.outputs * case.inputs * case.taps <= bounds.few_weights


def suits_weight_gradient(case: Case, bounds: Bounds) -> bool:
    """Whether ``weight_gradient`` serves and is faster than products."""
    depthwise = case.groups > 1 and case.inputs == 1
    return depthwise and case.taps <= bounds.many_taps and row_blocks(case, bounds) is not None


def forward(x: jax.Array, w: jax.Array, case: Case, bounds: Bounds) -> jax.Array:
    """The convolution of x (N, C, ...) with w (O, C / groups, ...)."""
    groups, c, o, n = case.groups, case.inputs, case.outputs, len(case.kernel)
    x = lax.optimization_barrier(pad_last(x, case.config.pads))
    x = x.reshape((x.shape[0], groups, c, 1, *x.shape[2:]))
    w = w.reshape((groups, o, c, *case.kernel))
    total = None
    for tap in each_tap(case.kernel):
        seen = seen_by(tap, x, case.places, case.config)
        for i in range(c):
            term = seen[:, :, i] * w[(slice(None), slice(None), i, *tap)].reshape((groups, o) + (1,) * n)
            total = term if total is None else total + term
    assert total is not None
    return total.reshape((x.shape[0], groups * o, *case.places))


def _divisor(n: int, least: int, most: int) -> int:
    """The largest divisor within bounds; 1 if there is none."""
    return next((k for k in range(min(n, most), least - 1, -1) if n % k == 0), 1)


def row_blocks(case: Case, bounds: Bounds) -> tuple[int, int] | None:
    """How many rows of a cotangent ``weight_gradient`` takes in a step, and how many of them it adds up at once.

    ``None`` where products are faster. As measured: from some number on, adding up rows saves more memory traffic than the
    longer sums cost.
    """
    length, stride, channels = case.places[0], case.config.stride[0], case.groups * case.outputs
    if not bounds.fast_small_products:
        if case.taps * channels * prod(case.places) > bounds.many_sums:
            return None
        # Padding that no loop separates from its use is computed anew for each.
        least, most = (16, 32) if stride == 1 else (8, 16)
        return length, 1 if case.images == 1 else _divisor(length, min(length, least), most)
    row = channels * prod(case.places) // length + case.groups * case.inputs * stride * prod(case.sizes[1:])
    most = bounds.step_elements // 2
    rows = length if length * row <= most else _divisor(length, 4, most // row)
    fold = _divisor(rows, 1, 14)
    few_sums = len(case.kernel) == 1 or case.taps <= bounds.few_sums
    return (rows, fold) if case.images > 1 and fold >= min(rows, 4) and few_sums else None


def weight_gradient(x: jax.Array, dy: jax.Array, case: Case, bounds: Bounds) -> jax.Array:
    """The gradient of the kernel where each output sees one input.

    Products are summed over the batch and over rows (see ``row_blocks``) so far apart that the sums stay in the cache, and at
    last over the rest.
    """
    blocks = row_blocks(case, bounds)
    assert blocks is not None
    rows, fold = blocks
    config, kernel, groups, beside = case.config, case.kernel, case.groups, case.outputs
    length, *rest = case.places
    taps, each, reach = list(each_tap(kernel)), rows // fold, config.reach(0, rows, kernel[0])

    def sums(totals: list[jax.Array], one: jax.Array, cotangent: jax.Array) -> list[jax.Array]:
        new: list[jax.Array] = []
        for total, tap in zip(totals, taps, strict=True):
            seen = seen_by(tap, one, (rows, *rest), config)
            for i in range(0, rows, each):
                total = total + seen[:, :, i : i + each] * cotangent[:, :, i : i + each]
            new.append(total)
        return new

    def step(totals: list[jax.Array], image: tuple[jax.Array, jax.Array]) -> tuple[list[jax.Array], None]:
        one, cotangent = image[0][:, None], image[1].reshape((groups, beside, length, *rest))
        if rows == length:
            return sums(totals, one, cotangent), None

        def block(i: jax.Array, totals: list[jax.Array]) -> list[jax.Array]:
            seen = lax.dynamic_slice_in_dim(one, i * rows * config.stride[0], reach, 2)
            return sums(totals, seen, lax.dynamic_slice_in_dim(cotangent, i * rows, rows, 2))

        return lax.fori_loop(0, length // rows, block, totals), None

    zeros = jnp.zeros((groups, beside, each, *rest), x.dtype)
    totals = lax.scan(step, [zeros] * len(taps), (pad_last(x, config.pads), dy))[0]
    space = tuple(range(2, 2 + len(kernel)))
    return jnp.stack([t.sum(space) for t in totals], -1).reshape((dy.shape[1], 1, *kernel))

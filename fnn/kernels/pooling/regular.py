"""Pooling over regular windows one axis at a time: the winning tap of each axis is kept, gradients go back by phases."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnn.kernels.operation import Operation
from fnn.kernels.pooling.windows import (
    Axis,
    Ints,
    Windows,
    along,
    beats,
    flat_positions,
    lowest,
    max_pool_reference,
    max_positions_reference,
    sizes_of,
    sum_pool_reference,
    window_sums,
)

__all__ = ["Windows", "max_pool", "max_positions", "sum_pool"]

_AXIS_TAPS = 32  # taps of an axis that the fast form writes out
_SUM_TAPS = 64  # taps of an axis up to which gradients of sums are written out
_FEW_PHASES = 4  # up to this stride the elements of the last axis are woven by padding
_TILE_TAPS = 4  # tiles with more taps are reduced, not written out


def max_pool(x: jax.Array, windows: Windows) -> jax.Array:
    """Maxima over windows of the last axes, chosen by shape.

    The first of equal maxima gets the gradient, the last NaN if there is one; padding never wins.

    Args:
        x: the input.
        windows: where the windows lie.

    Shape:
        - x: (*, sizes); result: (*, windows.out).

    Returns:
        the maxima.

    Example:
        >>> import jax.numpy as jnp
        >>> max_pool(jnp.arange(6.0), Windows((3,), (2,), (1,), (1,), (3,))).tolist()
        [1.0, 3.0, 5.0]
    """
    if not _fits(x, windows):
        return max_pool_reference(x, windows)
    x, windows, out = _collapsed(x, windows)
    return _max_operation(windows)(x).reshape(out)


def max_positions(x: jax.Array, windows: Windows) -> jax.Array:
    """The flat positions (int32) in the last axes of the maxima that ``max_pool`` gives.

    Example:
        >>> import jax.numpy as jnp
        >>> max_positions(jnp.array([1.0, 1.0, 0.0, 2.0]), Windows((2,), (2,), (0,), (1,), (2,))).tolist()
        [0, 3]
    """
    if not _fits(x, windows):
        return max_positions_reference(x, windows)
    x, windows, out = _collapsed(x, windows)
    # Without a tangent, for positions have no derivative.
    return _positions_operation(windows)(lax.stop_gradient(x)).reshape(out)


def _fits(x: jax.Array, windows: Windows) -> bool:
    axes = zip(windows.axes, sizes_of(x, windows), strict=True)
    return 0 not in x.shape and all(axis.kernel <= _AXIS_TAPS or axis.tiles(size) for axis, size in axes)


def _collapsed(x: jax.Array, windows: Windows) -> tuple[jax.Array, Windows, Ints]:
    """One axis in place of several if there is one window, over everything: it keeps the row-major order."""
    lead, sizes = x.shape[: x.ndim - len(windows.kernel)], sizes_of(x, windows)
    out = (*lead, *windows.out)
    if len(sizes) > 1 and windows.kernel == sizes and windows.tiles(sizes):
        size = math.prod(sizes)
        return x.reshape(*lead, size), Windows((size,), (size,), (0,), (1,), (1,)), out
    return x, windows, out


@lru_cache(maxsize=1024)
def _max_operation(windows: Windows) -> Operation:
    n = len(windows.kernel)

    def forward(x: jax.Array) -> Any:
        best, choices = _winners(x, windows)
        return (best,), tuple(choices)

    def backward(wanted: Any, args: Any, outs: Any, residuals: Any, cotangents: Any) -> Any:
        (x,) = args
        g = cotangents[0].astype(jnp.promote_types(x.dtype, jnp.float32))
        for i, (axis, choice) in enumerate(zip(windows.axes, residuals, strict=True)):
            # The barrier keeps one axis from being computed anew inside the next.
            g = lax.optimization_barrier(_spread(g, choice, x.ndim - n + i, axis, sizes_of(x, windows)[i]))
        return [g]

    return Operation(partial(max_pool_reference, windows=windows), forward, backward)


@lru_cache(maxsize=1024)
def _positions_operation(windows: Windows) -> Operation:
    def forward(x: jax.Array) -> Any:
        best, taken, n = x, [], len(windows.kernel)
        for i in reversed(range(n)):
            best, choice, taken = _choose(best, x.ndim - n + i, windows.axes[i], taken)
            taken = [choice, *taken]
        return (flat_positions(taken, sizes_of(x, windows), windows),), ()

    return Operation(partial(max_positions_reference, windows=windows), forward)


def _winners(x: jax.Array, windows: Windows) -> tuple[jax.Array, list[jax.Array]]:
    """Maxima, and for each axis the winning tap among what the axes after it have left."""
    choices, n = [], len(windows.kernel)
    for i in reversed(range(n)):
        x, choice, _ = _choose(x, x.ndim - n + i, windows.axes[i], [])
        choices.append(choice)
    return x, choices[::-1]


def _sums_by_axis(x: jax.Array, windows: Windows) -> jax.Array:
    """Window sums, one axis at a time."""
    for i, axis in enumerate(windows.axes):
        at = x.ndim - len(windows.kernel) + i
        one = np.eye(x.ndim, dtype=int)[at]
        kernel, stride, dilation = (1 + one * (size - 1) for size in (axis.kernel, axis.stride, axis.dilation))
        x = window_sums(axis.padded(x, at, 0), kernel, stride, dilation)
    return x


def _tap_dtype(kernel: int) -> Any:
    return jnp.int8 if kernel <= 128 else jnp.int32


def _choose(
    x: jax.Array, at: int, axis: Axis, carried: list[jax.Array]
) -> tuple[jax.Array, jax.Array, list[jax.Array]]:
    """Maxima along one axis, the number of the winning tap, and the winner's elements of the carried arrays."""
    dtype = _tap_dtype(axis.kernel)
    if axis.tiles(x.shape[at]) and (axis.kernel > _TILE_TAPS or axis.out == 1):
        return _choose_tiled(x, at, axis, carried)
    x = axis.padded(x, at, lowest(x.dtype))
    carried = [axis.padded(c, at, 0) for c in carried]
    best, taken = axis.tap(x, at, 0), [axis.tap(c, at, 0) for c in carried]
    first = axis.first_taps()
    choice = jnp.broadcast_to(jnp.asarray(along(first, at, x.ndim), dtype), best.shape)
    # A window whose values are all the lowest keeps its first tap, which may not be the first of the slices.
    for number in range(1, axis.kernel):
        value = axis.tap(x, at, number)
        wins = beats(value, best)
        if carried:
            starts = jnp.asarray(along(first == number, at, x.ndim)) if number <= first.max() else False
            moves = wins | starts
            taken = [jnp.where(moves, axis.tap(c, at, number), t) for c, t in zip(carried, taken, strict=True)]
        best = jnp.where(wins, value, best)
        choice = jnp.where(wins, jnp.asarray(number, dtype), choice)
    return best, choice, taken


def _choose_tiled(
    x: jax.Array, at: int, axis: Axis, carried: list[jax.Array]
) -> tuple[jax.Array, jax.Array, list[jax.Array]]:
    def tiles(array: jax.Array) -> jax.Array:
        return array.reshape(*array.shape[:at], axis.out, axis.kernel, *array.shape[at + 1 :])

    x, number = tiles(x), along(np.arange(axis.kernel, dtype=np.int32), at + 1, x.ndim + 1)
    best = jnp.max(x, at + 1, keepdims=True)
    # The least of: the first that equals the maximum, and below zero the last NaN.
    rank = jnp.where(x == best, number, axis.kernel)
    rank = jnp.min(jnp.where(x != x, -1 - number, rank), at + 1, keepdims=True)
    choice = jnp.where(rank < 0, -1 - rank, rank)
    carried = [jnp.take_along_axis(tiles(c), choice, at + 1)[(slice(None),) * (at + 1) + (0,)] for c in carried]
    return lax.squeeze(best, [at + 1]), lax.squeeze(choice, [at + 1]).astype(_tap_dtype(axis.kernel)), carried


def _spread(g: jax.Array, choice: jax.Array | None, at: int, axis: Axis, size: int) -> jax.Array:
    """What windows along one axis give to its elements: all of it to the chosen tap, or to each tap if ``choice`` is None.

    Element ``block * stride + phase`` of the padded input is tap ``t`` of window ``block - offset`` for each ``t`` with
    ``t * dilation == offset * stride + phase``.
    """
    stride = axis.stride
    blocks = -(-(size + axis.padding) // stride)
    places = [divmod(tap * axis.dilation, stride) for tap in range(axis.kernel)]
    reach = max(offset for offset, _ in places)
    zero = jnp.zeros((), g.dtype)

    def around(array: jax.Array, front: int, back: int) -> jax.Array:
        config = [(0, 0, 0)] * array.ndim
        config[at] = (front, back, 0)
        return lax.pad(array, jnp.zeros((), array.dtype), config)

    def tiles() -> jax.Array:
        rest = blocks - axis.out
        taps = np.full(stride, -1)
        taps[: axis.span : axis.dilation] = np.arange(axis.kernel)
        taps = along(taps, at + 1, g.ndim + 1)
        mine = taps >= 0
        if choice is not None:
            mine = jnp.expand_dims(around(choice, 0, rest).astype(jnp.int32), at + 1) == taps
        return jnp.where(mine, jnp.expand_dims(around(g, 0, rest), at + 1), zero)

    def phase(number: int) -> jax.Array:
        parts = []
        for tap, (offset, of) in enumerate(places):
            if of == number:
                part = g if choice is None else jnp.where(choice == tap, g, zero)
                parts.append(around(part, offset, blocks - axis.out - offset))
        return sum(parts[1:], parts[0]) if parts else jnp.zeros((*g.shape[:at], blocks, *g.shape[at + 1 :]), g.dtype)

    def whole() -> jax.Array:
        # Cut from one padded array: with a stride of 1 that is faster than to pad the part of each tap.
        wide = around(g, reach, blocks - axis.out)
        taken = None if choice is None else around(choice, reach, blocks - axis.out)
        parts = []
        for tap, (offset, _) in enumerate(places):
            start = reach - offset + axis.padding
            part = lax.slice_in_dim(wide, start, start + size, 1, at)
            if taken is not None:
                part = jnp.where(lax.slice_in_dim(taken, start, start + size, 1, at) == tap, part, zero)
            parts.append(part)
        return sum(parts[1:], parts[0])

    if stride == 1:
        return whole()
    if axis.span <= stride and stride > _FEW_PHASES:
        return _cut(tiles(), at, axis, size)
    phases = [phase(number) for number in range(stride)]
    if at < g.ndim - 1 or stride > _FEW_PHASES:
        return _cut(jnp.stack(phases, at + 1), at, axis, size)
    woven = []
    for number, part in enumerate(phases):
        front = number - axis.padding
        config = [(0, 0, 0)] * g.ndim
        config[at] = (front, size - front - (blocks - 1) * stride - 1, stride - 1)
        woven.append(lax.pad(part, zero, config))
    return sum(woven[1:], woven[0])


def _cut(blocks: jax.Array, at: int, axis: Axis, size: int) -> jax.Array:
    """The elements of (blocks, stride) on axes ``at`` and ``at + 1`` that are on the input."""
    full = blocks.reshape(*blocks.shape[:at], -1, *blocks.shape[at + 2 :])
    return lax.slice_in_dim(full, axis.padding, axis.padding + size, 1, at)


# Sums.


def sum_pool(x: jax.Array, windows: Windows) -> jax.Array:
    """Sums over windows of the last axes; padding counts as zeros.

    Args:
        x: the input.
        windows: where the windows lie.

    Shape:
        - x: (*, sizes); result: (*, windows.out).

    Returns:
        the sums.

    Example:
        >>> import jax.numpy as jnp
        >>> sum_pool(jnp.arange(6.0), Windows((3,), (2,), (1,), (1,), (3,))).tolist()
        [1.0, 6.0, 12.0]
    """
    if 0 in x.shape or (max(windows.kernel) > _SUM_TAPS and not windows.tiles(sizes_of(x, windows))):
        return sum_pool_reference(x, windows)
    return _sum_operation(windows)(x)


@lru_cache(maxsize=1024)
def _sum_operation(windows: Windows) -> Operation:
    n = len(windows.kernel)

    def forward(x: jax.Array) -> Any:
        if windows.tiles(sizes_of(x, windows)) and max(windows.kernel) <= _AXIS_TAPS:
            for i, axis in enumerate(windows.axes):
                at = x.ndim - n + i
                x = sum((axis.tap(x, at, tap) for tap in range(1, axis.kernel)), axis.tap(x, at, 0))
            return (x,), ()
        return (_sums_by_axis(x, windows),), ()

    def backward(wanted: Any, args: Any, outs: Any, residuals: Any, cotangents: Any) -> Any:
        (x,), (g,) = args, cotangents
        sizes = sizes_of(x, windows)
        if windows.tiles(sizes):
            lead = x.shape[: x.ndim - n]
            tiles = list(itertools.chain(*zip(windows.out, windows.kernel, strict=True)))
            g = lax.expand_dims(g, [len(lead) + 2 * i + 1 for i in range(n)])
            return [jnp.broadcast_to(g, (*lead, *tiles)).reshape(x.shape)]
        for i in reversed(range(n)):
            g = lax.optimization_barrier(_spread(g, None, x.ndim - n + i, windows.axes[i], sizes[i]))
        return [g]

    return Operation(partial(sum_pool_reference, windows=windows), forward, backward)

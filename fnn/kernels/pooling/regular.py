"""Pooling over regular windows one axis at a time: the winning tap of each axis is kept, gradients go back by phases."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike, DTypeLike

from fnn.kernels.choice import Form, always, choose
from fnn.kernels.operation import Arrays, Operation
from fnn.kernels.pooling.gradient import axis_gradient
from fnn.kernels.pooling.plain import max_pool_reference, max_positions_reference, sum_pool_reference, window_sums
from fnn.kernels.pooling.windows import (
    BOUNDS,
    Axis,
    Bounds,
    Ints,
    Windows,
    along,
    beats,
    flat_positions,
    lowest,
    sizes_of,
)
from fnn.kernels.precision import wide_dtype

__all__ = ["MAX", "POSITIONS", "SUM", "TAPS", "AxisCase", "Case", "max_pool", "max_positions", "sum_pool"]


class Case(NamedTuple):
    """An input of some shape and windows on its last axes."""

    shape: Ints
    windows: Windows

    @property
    def sizes(self) -> Ints:
        """The lengths of the axes that the windows lie on."""
        return self.shape[len(self.shape) - len(self.windows.kernel) :]


def max_pool(x: ArrayLike, windows: Windows, *, bounds: Bounds = BOUNDS) -> jax.Array:
    """Maxima over windows of the last axes, chosen by shape.

    The first of equal maxima gets the gradient, the last NaN if there is one; padding never wins.

    Args:
        x: the input.
        windows: where the windows lie.
        bounds: by which the form is chosen.

    Shape:
        - x: (*, sizes); result: (*, windows.out).

    Returns:
        the maxima.

    Example:
        >>> import jax.numpy as jnp
        >>> max_pool(jnp.arange(6.0), Windows((3,), (2,), (1,), (1,), (3,))).tolist()
        [1.0, 3.0, 5.0]
    """
    return _run(MAX, jnp.asarray(x), windows, bounds)


def max_positions(x: ArrayLike, windows: Windows, *, bounds: Bounds = BOUNDS) -> jax.Array:
    """The flat positions (int32) in the last axes of the maxima that ``max_pool`` gives.

    Example:
        >>> import jax.numpy as jnp
        >>> max_positions(jnp.array([1.0, 1.0, 0.0, 2.0]), Windows((2,), (2,), (0,), (1,), (2,))).tolist()
        [0, 3]
    """
    return _run(POSITIONS, jnp.asarray(x), windows, bounds)


def sum_pool(x: ArrayLike, windows: Windows, *, bounds: Bounds = BOUNDS) -> jax.Array:
    """Sums over windows of the last axes; padding counts as zeros.

    Args:
        x: the input.
        windows: where the windows lie.
        bounds: by which the form is chosen.

    Shape:
        - x: (*, sizes); result: (*, windows.out).

    Returns:
        the sums.

    Example:
        >>> import jax.numpy as jnp
        >>> sum_pool(jnp.arange(6.0), Windows((3,), (2,), (1,), (1,), (3,))).tolist()
        [1.0, 6.0, 12.0]
    """
    return _run(SUM, jnp.asarray(x), windows, bounds)


def _large_for_maxima(case: Case, bounds: Bounds) -> bool:
    """Whether there is nothing to do, or more than should be written out."""
    axes = zip(case.windows.axes, case.sizes, strict=True)
    return 0 in case.shape or any(axis.kernel > bounds.axis_taps and not axis.tiles(size) for axis, size in axes)


def _large_for_sums(case: Case, bounds: Bounds) -> bool:
    return 0 in case.shape or (max(case.windows.kernel) > bounds.sum_taps and not case.windows.tiles(case.sizes))


def _is_whole(case: Case, bounds: Bounds) -> bool:
    """Whether one window lies over everything."""
    several = len(case.sizes) > 1 and case.windows.kernel == case.sizes
    return several and case.windows.tiles(case.sizes)


def _plain_sum(x: jax.Array, windows: Windows, bounds: Bounds) -> jax.Array:
    return sum_pool_reference(x, windows)


def _max_by_axis(x: jax.Array, windows: Windows, bounds: Bounds) -> jax.Array:
    return _max_operation(windows, bounds)(x)


def _positions_by_axis(x: jax.Array, windows: Windows, bounds: Bounds) -> jax.Array:
    # Without a tangent, for positions have no derivative.
    return _positions_operation(windows, bounds)(lax.stop_gradient(x))


def _sum_by_axis(x: jax.Array, windows: Windows, bounds: Bounds) -> jax.Array:
    return _sum_operation(windows, bounds)(x)


_Run = Callable[[jax.Array, Windows, Bounds], jax.Array]
Table = tuple[Form[Case, Bounds, _Run], ...]


def _run(table: Table, x: jax.Array, windows: Windows, bounds: Bounds) -> jax.Array:
    return choose(table, Case(x.shape, windows), bounds).run(x, windows, bounds)


def _as_one_axis(run: _Run) -> _Run:
    """One axis in place of several under one window over everything: it keeps the row-major order."""

    def of_one_axis(x: jax.Array, windows: Windows, bounds: Bounds) -> jax.Array:
        lead, size = x.shape[: x.ndim - len(windows.kernel)], math.prod(windows.kernel)
        one = Windows((size,), (size,), (0,), (1,), (1,))
        return run(x.reshape(*lead, size), one, bounds).reshape(*lead, *windows.out)

    return of_one_axis


MAX: Table = (
    Form("plain", _large_for_maxima, max_pool_reference),
    Form("as one axis", _is_whole, _as_one_axis(_max_by_axis)),
    Form("by axis", always, _max_by_axis),
)
POSITIONS: Table = (
    Form("plain", _large_for_maxima, max_positions_reference),
    Form("as one axis", _is_whole, _as_one_axis(_positions_by_axis)),
    Form("by axis", always, _positions_by_axis),
)
SUM: Table = (
    Form("plain", _large_for_sums, _plain_sum),
    Form("by axis", always, _sum_by_axis),
)


@lru_cache(maxsize=1024)
def _max_operation(windows: Windows, bounds: Bounds) -> Operation:
    n = len(windows.kernel)

    def plain(x: jax.Array) -> jax.Array:
        return max_pool_reference(x, windows, bounds)

    def forward(x: jax.Array) -> tuple[Arrays, Arrays]:
        choices: list[jax.Array] = []
        for i in reversed(range(n)):
            x, choice, _ = _choose(x, x.ndim - n + i, windows.axes[i], [], bounds)
            choices.append(choice)
        return (x,), tuple(choices[::-1])

    def backward(
        wanted: tuple[int, ...], args: Arrays, outs: Arrays, residuals: Arrays, cotangents: Arrays
    ) -> list[jax.Array]:
        (x,) = args
        g = cotangents[0].astype(wide_dtype(x.dtype))
        for i, (axis, choice) in enumerate(zip(windows.axes, residuals, strict=True)):
            # The barrier keeps one axis from being computed anew inside the next.
            size = sizes_of(x, windows)[i]
            g = lax.optimization_barrier(axis_gradient(g, choice, x.ndim - n + i, axis, size, bounds))
        return [g]

    return Operation(plain, forward, backward)


@lru_cache(maxsize=1024)
def _positions_operation(windows: Windows, bounds: Bounds) -> Operation:
    n = len(windows.kernel)

    def plain(x: jax.Array) -> jax.Array:
        return max_positions_reference(x, windows, bounds)

    def forward(x: jax.Array) -> tuple[Arrays, Arrays]:
        best, taken = x, list[jax.Array]()
        for i in reversed(range(n)):
            best, choice, taken = _choose(best, x.ndim - n + i, windows.axes[i], taken, bounds)
            taken = [choice, *taken]
        return (flat_positions(taken, sizes_of(x, windows), windows),), ()

    return Operation(plain, forward)


def _tap_dtype(kernel: int) -> DTypeLike:
    return jnp.int8 if kernel <= 128 else jnp.int32


_Chosen = tuple[jax.Array, jax.Array, list[jax.Array]]


class AxisCase(NamedTuple):
    """Windows along one axis of an input of some length."""

    axis: Axis
    size: int


def _choose(x: jax.Array, at: int, axis: Axis, carried: Sequence[jax.Array], bounds: Bounds) -> _Chosen:
    """Maxima along one axis, the number of the winning tap, and the winner's elements of the carried arrays."""
    return choose(TAPS, AxisCase(axis, x.shape[at]), bounds).run(x, at, axis, carried)


def _are_reduced(case: AxisCase, bounds: Bounds) -> bool:
    return case.axis.tiles(case.size) and (case.axis.kernel > bounds.tile_taps or case.axis.out == 1)


def _choose_in_turn(x: jax.Array, at: int, axis: Axis, carried: Sequence[jax.Array]) -> _Chosen:
    dtype = _tap_dtype(axis.kernel)
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


def _choose_by_reduction(x: jax.Array, at: int, axis: Axis, carried: Sequence[jax.Array]) -> _Chosen:
    def tiles(array: jax.Array) -> jax.Array:
        return array.reshape(*array.shape[:at], axis.out, axis.kernel, *array.shape[at + 1 :])

    x, number = tiles(x), along(np.arange(axis.kernel, dtype=np.int32), at + 1, x.ndim + 1)
    best = jnp.max(x, at + 1, keepdims=True)
    # The least of: the first that equals the maximum, and below zero the last NaN.
    rank = jnp.where(x == best, number, axis.kernel)
    rank = jnp.min(jnp.where(x != x, -1 - number, rank), at + 1, keepdims=True)
    choice = jnp.where(rank < 0, -1 - rank, rank)
    taken = [jnp.take_along_axis(tiles(c), choice, at + 1)[(slice(None),) * (at + 1) + (0,)] for c in carried]
    return lax.squeeze(best, [at + 1]), lax.squeeze(choice, [at + 1]).astype(_tap_dtype(axis.kernel)), taken


TAPS: tuple[Form[AxisCase, Bounds, Callable[[jax.Array, int, Axis, Sequence[jax.Array]], _Chosen]], ...] = (
    Form("by reduction", _are_reduced, _choose_by_reduction),
    Form("in turn", always, _choose_in_turn),
)


# Sums.


def _sums_by_taps(x: jax.Array, windows: Windows) -> jax.Array:
    n = len(windows.kernel)
    for i, axis in enumerate(windows.axes):
        at = x.ndim - n + i
        x = sum((axis.tap(x, at, tap) for tap in range(1, axis.kernel)), axis.tap(x, at, 0))
    return x


def _sums_by_axis(x: jax.Array, windows: Windows) -> jax.Array:
    """Window sums, one axis at a time."""
    for i, axis in enumerate(windows.axes):
        at = x.ndim - len(windows.kernel) + i
        one = [int(a == at) for a in range(x.ndim)]
        kernel, stride, dilation = (
            [1 + o * (size - 1) for o in one] for size in (axis.kernel, axis.stride, axis.dilation)
        )
        x = window_sums(axis.padded(x, at, 0), kernel, stride, dilation)
    return x


def _are_small_tiles(case: Case, bounds: Bounds) -> bool:
    return case.windows.tiles(case.sizes) and max(case.windows.kernel) <= bounds.axis_taps


SUMS: tuple[Form[Case, Bounds, Callable[[jax.Array, Windows], jax.Array]], ...] = (
    Form("taps", _are_small_tiles, _sums_by_taps),
    Form("by axis", always, _sums_by_axis),
)


@lru_cache(maxsize=1024)
def _sum_operation(windows: Windows, bounds: Bounds) -> Operation:
    n = len(windows.kernel)

    def forward(x: jax.Array) -> tuple[Arrays, Arrays]:
        return (choose(SUMS, Case(x.shape, windows), bounds).run(x, windows),), ()

    def backward(
        wanted: tuple[int, ...], args: Arrays, outs: Arrays, residuals: Arrays, cotangents: Arrays
    ) -> list[jax.Array]:
        (x,), (g,) = args, cotangents
        sizes = sizes_of(x, windows)
        if windows.tiles(sizes):
            lead = x.shape[: x.ndim - n]
            tiles = list(itertools.chain(*zip(windows.out, windows.kernel, strict=True)))
            g = lax.expand_dims(g, [len(lead) + 2 * i + 1 for i in range(n)])
            return [jnp.broadcast_to(g, (*lead, *tiles)).reshape(x.shape)]
        for i in reversed(range(n)):
            at, axis = x.ndim - n + i, windows.axes[i]
            g = lax.optimization_barrier(axis_gradient(g, None, at, axis, sizes[i], bounds))
        return [g]

    return Operation(partial(sum_pool_reference, windows=windows), forward, backward)

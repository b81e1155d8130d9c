"""Pooling over windows that cut each axis into a given number of parts: tap by tap, one axis at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from fnn.kernels.choice import Form, always, choose
from fnn.kernels.no_inline import no_inline
from fnn.kernels.operation import Arrays, Operation
from fnn.kernels.pooling.lists import gather_maxima, positions_by_lists
from fnn.kernels.pooling.windows import BOUNDS, Bounds, Ints, along, beats
from fnn.kernels.precision import wide_dtype

__all__ = [
    "MAX",
    "POSITIONS",
    "SUM",
    "Case",
    "Spans",
    "adaptive_max_pool",
    "adaptive_max_positions",
    "adaptive_max_reference",
    "adaptive_positions_reference",
    "adaptive_sum_pool",
    "adaptive_sum_reference",
    "window_bounds",
]

_UNRANKED = np.int32(np.iinfo(np.int32).max)  # after every rank


class Spans(NamedTuple):
    """Runs of places along one axis, ``start[i]`` to ``stop[i] - 1``, none of them empty."""

    start: np.ndarray
    stop: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """How many places each run has."""
        return self.stop - self.start

    @property
    def longest(self) -> int:
        """The largest of them."""
        return int(self.lengths.max())

    def tap(self, x: jax.Array, at: int, number: int) -> jax.Array:
        """For each run, the element ``number`` of it; the last one where the run is shorter."""
        places = np.minimum(self.start + number, self.stop - 1)
        return x.at[(slice(None),) * at + (places,)].get(mode="promise_in_bounds")


def window_bounds(size: int, out: int) -> Spans:
    """Window i of O over length L: [floor(i L / O), ceil((i + 1) L / O)).

    Example:
        >>> start, stop = window_bounds(5, 3)
        >>> start.tolist(), stop.tolist()
        ([0, 1, 3], [2, 4, 5])
    """
    i = np.arange(out)
    return Spans(i * size // out, -(-(i + 1) * size // out))


def _windows_at(size: int, out: int) -> Spans:
    """For each place of the axis the windows that hold it."""
    (start, stop), places = window_bounds(size, out), np.arange(size)
    return Spans(np.searchsorted(stop, places, "right"), np.searchsorted(start, places, "right"))


def adaptive_max_pool(x: ArrayLike, out: Ints, *, bounds: Bounds = BOUNDS) -> jax.Array:
    """Maxima over adaptive windows of the last axes.

    The first of equal maxima gets the gradient, the last NaN if there is one.

    Args:
        x: the input.
        out: windows an axis.
        bounds: by which the form is chosen.

    Shape:
        - x: (*, sizes); result: (*, out).

    Returns:
        the maxima.

    Example:
        >>> import jax.numpy as jnp
        >>> adaptive_max_pool(jnp.arange(5.0), (3,)).tolist()
        [1.0, 3.0, 4.0]
    """
    return _run(MAX, jnp.asarray(x), out, bounds)


def adaptive_max_positions(x: ArrayLike, out: Ints, *, bounds: Bounds = BOUNDS) -> jax.Array:
    """The flat positions (int32) in the last axes of the maxima that ``adaptive_max_pool`` gives.

    Example:
        >>> import jax.numpy as jnp
        >>> adaptive_max_positions(jnp.array([1.0, 1.0, 0.0, 2.0, 2.0]), (3,)).tolist()
        [0, 3, 3]
    """
    return _run(POSITIONS, lax.stop_gradient(jnp.asarray(x)), out, bounds)


def adaptive_sum_pool(x: ArrayLike, out: Ints, *, bounds: Bounds = BOUNDS) -> jax.Array:
    """Sums over adaptive windows of the last axes.

    Args:
        x: the input.
        out: windows an axis.
        bounds: by which the form is chosen.

    Shape:
        - x: (*, sizes); result: (*, out).

    Returns:
        the sums.

    Example:
        >>> import jax.numpy as jnp
        >>> adaptive_sum_pool(jnp.arange(5.0), (3,)).tolist()
        [1.0, 6.0, 7.0]
    """
    return _run(SUM, jnp.asarray(x), out, bounds)


# The plain forms: lists of indices.


def _listed(size: int, out: int) -> tuple[np.ndarray, np.ndarray | None]:
    start, stop = window_bounds(size, out)
    at = start[:, None] + np.arange((stop - start).max(initial=1))
    inside = at < stop[:, None]
    return np.clip(at, 0, size - 1), None if inside.all() else inside


def adaptive_positions_reference(x: jax.Array, out: Ints) -> jax.Array:
    """The flat positions of the maxima by lists of indices."""
    lists = [_listed(size, o) for size, o in zip(x.shape[x.ndim - len(out) :], out, strict=True)]
    return positions_by_lists(lax.stop_gradient(x), [at for at, _ in lists], [inside for _, inside in lists])


def adaptive_max_reference(x: jax.Array, out: Ints) -> jax.Array:
    """The elements at ``adaptive_positions_reference``."""
    if 0 in x.shape:
        return jnp.zeros((*x.shape[: x.ndim - len(out)], *out), x.dtype)
    return gather_maxima(x, adaptive_positions_reference(x, out), len(out))


def adaptive_sum_reference(x: jax.Array, out: Ints) -> jax.Array:
    """Window sums by lists of indices, one axis at a time."""
    for i, o in enumerate(out):
        axis = x.ndim - len(out) + i
        size = x.shape[axis]
        if o and size % o == 0:
            x = x.reshape((*x.shape[:axis], o, size // o, *x.shape[axis + 1 :])).sum(axis + 1)
            continue
        at, inside = _listed(size, o)
        taps = jnp.take(jnp.moveaxis(x, axis, -1), at, axis=-1)
        x = jnp.moveaxis((taps if inside is None else jnp.where(inside, taps, 0)).sum(-1), -1, axis)
    return x


# The tables.


class Case(NamedTuple):
    """An input of some shape, and how many windows its last axes get."""

    shape: Ints
    out: Ints

    @property
    def axes(self) -> list[tuple[int, int]]:
        """The length of each axis, and how many windows it gets."""
        return list(zip(self.shape[len(self.shape) - len(self.out) :], self.out, strict=True))


Table = tuple[Form[Case, Bounds, Callable[[jax.Array, Ints], jax.Array]], ...]


def _run(table: Table, x: jax.Array, out: Ints, bounds: Bounds) -> jax.Array:
    return choose(table, Case(x.shape, out), bounds).run(x, out)


def _nothing_to_do(case: Case, bounds: Bounds) -> bool:
    return 0 in case.shape or 0 in case.out or all(size == of for size, of in case.axes)


def _many_taps(case: Case, bounds: Bounds) -> bool:
    taps = (max(window_bounds(*axis).longest, _windows_at(*axis).longest) for axis in case.axes)
    return any(n > bounds.adaptive_taps for n in taps)


def _max_by_axis(x: jax.Array, out: Ints) -> jax.Array:
    return _max_operation(out)(x)


def _positions_by_axis(x: jax.Array, out: Ints) -> jax.Array:
    return _positions_operation(out)(x)


def _sum_by_axis(x: jax.Array, out: Ints) -> jax.Array:
    return _sum_operation(out)(x)


MAX: Table = (
    Form("plain, nothing to do", _nothing_to_do, adaptive_max_reference),
    Form("plain", _many_taps, adaptive_max_reference),
    Form("by axis", always, _max_by_axis),
)
POSITIONS: Table = (
    Form("plain, nothing to do", _nothing_to_do, adaptive_positions_reference),
    Form("plain", _many_taps, adaptive_positions_reference),
    Form("by axis", always, _positions_by_axis),
)
SUM: Table = (
    Form("plain, nothing to do", _nothing_to_do, adaptive_sum_reference),
    Form("plain", _many_taps, adaptive_sum_reference),
    Form("by axis", always, _sum_by_axis),
)


# The fast forms: for each tap a gather of whole rows.


# On its own each pass is one loop without temporary arrays. Otherwise XLA would share gathers between two passes over the same
# taps, and then store them, or compute one axis anew for each tap of the next.
_pass = partial(no_inline, static=("at", "size", "out"))


def _axes(sizes: Ints, out: Ints) -> Iterator[tuple[int, int, int]]:
    """Those axes that pooling changes: their distance from the last one (-1), size and windows."""
    for i, (size, of) in enumerate(zip(sizes, out, strict=True)):
        if size != of:
            yield i - len(out), size, of


@lru_cache(maxsize=1024)
def _max_operation(out: Ints) -> Operation:
    def forward(x: jax.Array) -> tuple[Arrays, Arrays]:
        best, _, choices = _winners(x, out)
        return (best,), tuple(choices)

    def backward(
        wanted: tuple[int, ...], args: Arrays, outs: Arrays, residuals: Arrays, cotangents: Arrays
    ) -> list[jax.Array]:
        (x,) = args
        g = cotangents[0].astype(wide_dtype(x.dtype))
        axes = list(_axes(x.shape[x.ndim - len(out) :], out))
        for (at, size, of), choice in zip(axes[::-1], residuals[::-1], strict=True):
            g = _axis_gradient(g, choice, at=at + x.ndim, size=size, out=of)
        return [g]

    return Operation(partial(adaptive_max_reference, out=out), forward, backward)


@lru_cache(maxsize=1024)
def _positions_operation(out: Ints) -> Operation:
    n = len(out)

    def forward(x: jax.Array) -> tuple[Arrays, Arrays]:
        sizes = x.shape[x.ndim - n :]
        _, rank, _ = _winners(x, out)
        flat, scale = jnp.zeros((), jnp.int32), 1
        for i in reversed(range(n)):
            windows = window_bounds(sizes[i], out[i])
            place = rank % windows.longest + along(windows.start.astype(np.int32), i, n)
            rank, flat, scale = rank // windows.longest, flat + place * scale, scale * sizes[i]
        return (flat,), ()

    return Operation(partial(adaptive_positions_reference, out=out), forward)


def _winners(x: jax.Array, out: Ints) -> tuple[jax.Array, jax.Array, list[jax.Array]]:
    """Maxima, their ranks, and for each axis the winning tap of what the axes before it have left.

    The rank of an element is the number of its tap in row-major order of the window, as if all windows were of the
    length of the longest. The first axis goes first: its taps are whole rows of what is the largest array.
    """
    rank, choices = None, list[jax.Array]()
    for at, size, of in _axes(x.shape[x.ndim - len(out) :], out):
        at += x.ndim
        best = _maxima(x, at=at, size=size, out=of)
        # In two passes: a loop that carries both the maximum and its rank is slower.
        rank = _ranks(x, best, *(() if rank is None else (rank,)), at=at, size=size, out=of)
        choices.append(rank % window_bounds(size, of).longest if choices else rank)
        x = best
    assert rank is not None
    return x, rank, choices


@_pass
def _maxima(x: jax.Array, *, at: int, size: int, out: int) -> jax.Array:
    windows = window_bounds(size, out)
    best = windows.tap(x, at, 0)
    for number in range(1, windows.longest):
        value = windows.tap(x, at, number)
        best = lax.select(beats(value, best), value, best)
    return best


@_pass
def _ranks(x: jax.Array, best: jax.Array, *before: jax.Array, at: int, size: int, out: int) -> jax.Array:
    """The ranks of the maxima along one axis, given those of the elements on the axes before, if there are any."""
    windows = window_bounds(size, out)
    unranked = least = lax.full(best.shape, _UNRANKED)
    # The least of: the first that equals the maximum, and below zero the last NaN.
    for number in range(windows.longest):
        value = windows.tap(x, at, number)
        rank = lax.full(best.shape, np.int32(number))
        for outer in before:
            rank += windows.tap(outer, at, number) * np.int32(windows.longest)
        nan = value != value
        if (windows.lengths <= number).any():
            nan &= _table(windows.lengths > number, best.shape, at)
        least = lax.min(least, lax.select(value == best, rank, lax.select(nan, -1 - rank, unranked)))
    return lax.select(least < 0, -1 - least, least)


@_pass
def _axis_gradient(g: jax.Array, choice: jax.Array, *, at: int, size: int, out: int) -> jax.Array:
    """What windows along one axis give to its elements: all of it to the chosen tap."""
    holders, starts = _windows_at(size, out), window_bounds(size, out).start
    total = None
    for number in range(holders.longest):
        window = holders.start + number
        tap = np.where(window < holders.stop, np.arange(size) - starts[np.minimum(window, out - 1)], -1)
        value, chosen = holders.tap(g, at, number), holders.tap(choice, at, number)
        value = lax.select(chosen == _table(tap.astype(np.int32), value.shape, at), value, lax.full_like(value, 0))
        total = value if total is None else total + value
    assert total is not None
    return total


def _table(values: np.ndarray, shape: Ints, at: int) -> jax.Array:
    return lax.broadcast_in_dim(values, shape, (at,))


@lru_cache(maxsize=1024)
def _sum_operation(out: Ints) -> Operation:
    def forward(x: jax.Array) -> tuple[Arrays, Arrays]:
        for at, size, of in _axes(x.shape[x.ndim - len(out) :], out):
            x = _sums(x, at=at + x.ndim, size=size, out=of)
        return (x,), ()

    def backward(
        wanted: tuple[int, ...], args: Arrays, outs: Arrays, residuals: Arrays, cotangents: Arrays
    ) -> list[jax.Array]:
        (x,), (g,) = args, cotangents
        for at, size, of in reversed(list(_axes(x.shape[x.ndim - len(out) :], out))):
            g = _sums_back(g, at=at + x.ndim, size=size, out=of)
        return [g]

    return Operation(partial(adaptive_sum_reference, out=out), forward, backward)


@_pass
def _sums(x: jax.Array, *, at: int, size: int, out: int) -> jax.Array:
    return _added(x, at, window_bounds(size, out))


@_pass
def _sums_back(g: jax.Array, *, at: int, size: int, out: int) -> jax.Array:
    return _added(g, at, _windows_at(size, out))


def _added(x: jax.Array, at: int, runs: Spans) -> jax.Array:
    total = runs.tap(x, at, 0)
    for number in range(1, runs.longest):
        value, inside = runs.tap(x, at, number), number < runs.lengths
        if not inside.all():
            value = lax.select(_table(inside, value.shape, at), value, lax.full_like(value, 0))
        total += value
    return total

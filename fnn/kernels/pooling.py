"""Pooling over regular windows one axis at a time: the winning tap of each axis is kept, gradients go back by phases."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnn.kernels._operation import Operation

__all__ = ["Windows", "gather_maxima", "max_pool", "max_positions", "positions_by_lists", "sum_pool"]

Ints = tuple[int, ...]
_UNROLLED_TAPS = 27  # taps of a window that the plain form writes out
_AXIS_TAPS = 32  # taps of an axis that the fast form writes out
_FEW_PHASES = 4  # up to this stride the elements of the last axis are woven by padding


class Windows(NamedTuple):
    """Windows at regular places of the last axes: ``out`` of them an axis; ``padding`` is that in front."""

    kernel: Ints
    stride: Ints
    padding: Ints
    dilation: Ints
    out: Ints

    @property
    def axes(self) -> list[_Axis]:
        return [_Axis(*of) for of in zip(*self, strict=True)]

    def tiles(self, sizes: Ints) -> bool:
        """Whether the windows cut the input without rest."""
        return all(axis.tiles(size) for axis, size in zip(self.axes, sizes, strict=True))


class _Axis(NamedTuple):
    kernel: int
    stride: int
    padding: int
    dilation: int
    out: int

    @property
    def span(self) -> int:
        return self.dilation * (self.kernel - 1) + 1

    def tiles(self, size: int) -> bool:
        return self.kernel == self.stride and self.out * self.stride == size and not self.padding and self.dilation == 1

    def first_taps(self) -> np.ndarray:
        """The first tap of each window that is not on the padding in front."""
        outside = self.padding - np.arange(self.out) * self.stride
        return np.clip(-(-outside // self.dilation), 0, self.kernel - 1)

    def padded(self, array: jax.Array, axis: int, fill: Any) -> jax.Array:
        needed = (self.out - 1) * self.stride + self.span
        config = [(0, 0, 0)] * array.ndim
        # What lies behind the last window is cut off by the slices.
        config[axis] = (self.padding, max(needed - array.shape[axis] - self.padding, 0), 0)
        return lax.pad(array, jnp.asarray(fill, array.dtype), config) if any(config[axis]) else array

    def tap(self, padded: jax.Array, axis: int, number: int) -> jax.Array:
        start = number * self.dilation
        return lax.slice_in_dim(padded, start, start + (self.out - 1) * self.stride + 1, self.stride, axis)


def _sizes(x: jax.Array, windows: Windows) -> Ints:
    return x.shape[x.ndim - len(windows.kernel) :]


def lowest(dtype: Any) -> Any:
    """What no element is below: the value of padding."""
    return np.array(-np.inf if jnp.issubdtype(dtype, jnp.floating) else jnp.iinfo(dtype).min).astype(dtype)


def beats(value: jax.Array, best: jax.Array) -> jax.Array:
    """torch's rule: a larger value, or any NaN, replaces the maximum so far, so ties keep the first."""
    return (value > best) | (value != value)


# The plain forms: all taps of a small window in turn; lists of indices for a large one.


def _tap_slices(x: jax.Array, windows: Windows, fill: Any) -> Iterator[jax.Array]:
    """For each tap of the window, the strided slice of the padded input that holds its value for every window."""
    lead = x.ndim - len(windows.kernel)
    for i, axis in enumerate(windows.axes):
        x = axis.padded(x, lead + i, fill)
    for tap in itertools.product(*map(range, windows.kernel)):
        value = x
        for i, axis in enumerate(windows.axes):
            value = axis.tap(value, lead + i, tap[i])
        yield value


def _outer_first_tap(windows: Windows) -> np.ndarray:
    first = np.zeros((), np.int64)
    for axis in windows.axes:
        first = first[..., None] * axis.kernel + axis.first_taps()
    return first


def _running_max(x: jax.Array, windows: Windows) -> tuple[jax.Array, jax.Array]:
    """Maxima and the number of the winning tap of each window."""
    low = lowest(x.dtype)
    best = jnp.full((*x.shape[: x.ndim - len(windows.kernel)], *windows.out), low, x.dtype)
    chosen = jnp.broadcast_to(jnp.asarray(_outer_first_tap(windows), jnp.int8), best.shape)
    for number, value in enumerate(_tap_slices(x, windows, low)):
        wins = beats(value, best)
        best = jnp.where(wins, value, best)
        chosen = jnp.where(wins, jnp.int8(number), chosen)
    return best, chosen


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _tap_max(x: jax.Array, windows: Windows) -> tuple[jax.Array, jax.Array]:
    return _running_max(x, windows)


@_tap_max.defjvp
def _tap_max_jvp(windows: Windows, primals: Any, tangents: Any) -> Any:
    best, chosen = _tap_max(primals[0], windows)
    (tangent,) = tangents
    moved = jnp.zeros(best.shape, tangent.dtype)
    for number, value in enumerate(_tap_slices(tangent, windows, 0)):
        moved = moved + jnp.where(chosen == number, value, jnp.zeros((), tangent.dtype))
    return (best, chosen), (moved, np.zeros(chosen.shape, jax.dtypes.float0))


def _along(values: Any, axis: int, n: int) -> Any:
    return values.reshape([-1 if a == axis else 1 for a in range(n)])


def _flat(choices: list[jax.Array], sizes: Ints, windows: Windows) -> jax.Array:
    """The flat input position of the winner of each window, from the number of its tap on each axis."""
    n, flat = len(choices), jnp.zeros((), jnp.int32)
    for i, (axis, choice) in enumerate(zip(windows.axes, choices, strict=True)):
        origin = _along(np.arange(axis.out, dtype=np.int32) * axis.stride - axis.padding, i, n)
        flat = flat * sizes[i] + origin + choice.astype(jnp.int32) * axis.dilation
    return flat.astype(jnp.int32)


def positions_by_lists(x: jax.Array, positions: Any, masks: Any) -> jax.Array:
    """Flat index of the maximum of windows that are products of one index list an axis.

    ``positions[axis]`` is ``[..., windows, taps]``, its leading axes broadcastable to those of ``x``; ``masks[axis]`` (or
    None) is ``[windows, taps]``. Reducing the last axis first keeps torch's row-major order at ties and NaN.
    """
    n = len(positions)
    lead = x.shape[: x.ndim - n]
    sizes = x.shape[x.ndim - n :]
    values = x
    flat = jnp.arange(math.prod(sizes), dtype=jnp.int32).reshape((1,) * len(lead) + sizes)
    flat = jnp.broadcast_to(flat, x.shape)
    for i in reversed(range(n)):
        axis = len(lead) + i
        at, mask = jnp.asarray(positions[i]), masks[i]
        windows, taps = at.shape[-2:]
        at = jnp.broadcast_to(at, (*lead, windows, taps)).reshape(lead + (1,) * (n - 1) + (windows * taps,))
        v = jnp.moveaxis(values, axis, -1)
        f = jnp.moveaxis(flat, axis, -1)
        at = jnp.broadcast_to(at, (*v.shape[:-1], windows * taps))
        v = jnp.take_along_axis(v, at, -1).reshape((*v.shape[:-1], windows, taps))
        f = jnp.take_along_axis(f, at, -1).reshape(v.shape)
        low = lowest(x.dtype)
        if mask is not None:
            v = jnp.where(mask, v, low)
        pick = jnp.argmax(v, -1)
        top = jnp.max(v, -1)
        if mask is not None:
            pick = jnp.where(top == low, np.argmax(mask, -1), pick)
        nan = v != v
        pick = jnp.where(nan.any(-1), taps - 1 - jnp.argmax(nan[..., ::-1], -1), pick)[..., None]
        values = jnp.moveaxis(jnp.take_along_axis(v, pick, -1)[..., 0], -1, axis)
        flat = jnp.moveaxis(jnp.take_along_axis(f, pick, -1)[..., 0], -1, axis)
    return flat


def gather_maxima(x: jax.Array, flat: jax.Array, n: int) -> jax.Array:
    """The elements of the last ``n`` axes at flat positions."""
    lead = x.shape[: x.ndim - n]
    rows = jnp.take_along_axis(x.reshape((*lead, -1)), flat.reshape((*lead, -1)), -1)
    return rows.reshape(flat.shape)


def _large_positions(x: jax.Array, windows: Windows) -> jax.Array:
    positions, masks = [], []
    for size, axis in zip(_sizes(x, windows), windows.axes, strict=True):
        at = np.arange(axis.out)[:, None] * axis.stride - axis.padding + np.arange(axis.kernel) * axis.dilation
        inside = (at >= 0) & (at < size)
        positions.append(np.clip(at, 0, size - 1))
        masks.append(None if inside.all() else inside)
    return positions_by_lists(lax.stop_gradient(x), positions, masks)


def max_pool_reference(x: jax.Array, windows: Windows) -> jax.Array:
    """Maxima by a running maximum over the taps if they are few, by lists of indices otherwise."""
    if math.prod(windows.kernel) <= _UNROLLED_TAPS:
        return _tap_max(x, windows)[0]
    return gather_maxima(x, _large_positions(x, windows), len(windows.kernel))


def max_positions_reference(x: jax.Array, windows: Windows) -> jax.Array:
    """The flat positions of the maxima that ``max_pool_reference`` gives."""
    if math.prod(windows.kernel) > _UNROLLED_TAPS:
        return _large_positions(x, windows)
    rest, choices = _running_max(lax.stop_gradient(x), windows)[1].astype(jnp.int32), []
    for kernel in reversed(windows.kernel):
        choices.append(rest % kernel)
        rest = rest // kernel
    return _flat(choices[::-1], _sizes(x, windows), windows)


# The fast forms.


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
    axes = zip(windows.axes, _sizes(x, windows), strict=True)
    return 0 not in x.shape and all(axis.kernel <= _AXIS_TAPS or axis.tiles(size) for axis, size in axes)


def _collapsed(x: jax.Array, windows: Windows) -> tuple[jax.Array, Windows, Ints]:
    """One axis in place of several if there is one window, over everything: it keeps the row-major order."""
    lead, sizes = x.shape[: x.ndim - len(windows.kernel)], _sizes(x, windows)
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
        if any(a.span > a.stride for a in windows.axes) and max(windows.dilation) == 1:
            best = _maxima(x, windows)
        return (best,), tuple(choices)

    def backward(wanted: Any, args: Any, outs: Any, residuals: Any, cotangents: Any) -> Any:
        (x,) = args
        g = cotangents[0].astype(jnp.promote_types(x.dtype, jnp.float32))
        for i, (axis, choice) in enumerate(zip(windows.axes, residuals, strict=True)):
            # The barrier keeps one axis from being computed anew inside the next.
            g = lax.optimization_barrier(_spread(g, choice, x.ndim - n + i, axis, _sizes(x, windows)[i]))
        return [g]

    return Operation(partial(max_pool_reference, windows=windows), forward, backward)


@lru_cache(maxsize=1024)
def _positions_operation(windows: Windows) -> Operation:
    def forward(x: jax.Array) -> Any:
        best, taken, n = x, [], len(windows.kernel)
        for i in reversed(range(n)):
            best, choice, taken = _choose(best, x.ndim - n + i, windows.axes[i], taken)
            taken = [choice, *taken]
        return (_flat(taken, _sizes(x, windows), windows),), ()

    return Operation(partial(max_positions_reference, windows=windows), forward)


def _winners(x: jax.Array, windows: Windows) -> tuple[jax.Array, list[jax.Array]]:
    """Maxima, and for each axis the winning tap among what the axes after it have left."""
    choices, n = [], len(windows.kernel)
    for i in reversed(range(n)):
        x, choice, _ = _choose(x, x.ndim - n + i, windows.axes[i], [])
        choices.append(choice)
    return x, choices[::-1]


def _maxima(x: jax.Array, windows: Windows) -> jax.Array:
    """The maxima alone."""
    for i, axis in enumerate(windows.axes):
        at = x.ndim - len(windows.kernel) + i
        x = _reduce(axis.padded(x, at, lowest(x.dtype)), at, axis, lowest(x.dtype), lax.max)
    return x


def _reduce(padded: jax.Array, at: int, axis: _Axis, start: Any, function: Any) -> jax.Array:
    kernel, stride = [1] * padded.ndim, [1] * padded.ndim
    kernel[at], stride[at] = axis.kernel, axis.stride
    return lax.reduce_window(padded, start, function, kernel, stride, "VALID")


def _tap_dtype(kernel: int) -> Any:
    return jnp.int8 if kernel <= 128 else jnp.int32


def _choose(
    x: jax.Array, at: int, axis: _Axis, carried: list[jax.Array]
) -> tuple[jax.Array, jax.Array, list[jax.Array]]:
    """Maxima along one axis, the number of the winning tap, and the winner's elements of the carried arrays."""
    dtype = _tap_dtype(axis.kernel)
    if axis.kernel > _AXIS_TAPS or (axis.out == 1 and axis.tiles(x.shape[at])):
        return _choose_tiled(x, at, axis, carried)
    x = axis.padded(x, at, lowest(x.dtype))
    carried = [axis.padded(c, at, 0) for c in carried]
    best, taken = axis.tap(x, at, 0), [axis.tap(c, at, 0) for c in carried]
    first = axis.first_taps()
    choice = jnp.broadcast_to(jnp.asarray(_along(first, at, x.ndim), dtype), best.shape)
    # A window whose values are all the lowest keeps its first tap, which may not be the first of the slices.
    for number in range(1, axis.kernel):
        value = axis.tap(x, at, number)
        wins = beats(value, best)
        if carried:
            starts = jnp.asarray(_along(first == number, at, x.ndim)) if number <= first.max() else False
            moves = wins | starts
            taken = [jnp.where(moves, axis.tap(c, at, number), t) for c, t in zip(carried, taken, strict=True)]
        best = jnp.where(wins, value, best)
        choice = jnp.where(wins, jnp.asarray(number, dtype), choice)
    return best, choice, taken


def _choose_tiled(
    x: jax.Array, at: int, axis: _Axis, carried: list[jax.Array]
) -> tuple[jax.Array, jax.Array, list[jax.Array]]:
    def tiles(array: jax.Array) -> jax.Array:
        return array.reshape(*array.shape[:at], axis.out, axis.kernel, *array.shape[at + 1 :])

    x, number = tiles(x), _along(np.arange(axis.kernel, dtype=np.int32), at + 1, x.ndim + 1)
    best = jnp.max(x, at + 1, keepdims=True)
    # The least of: the first that equals the maximum, and below zero the last NaN.
    rank = jnp.where(x == best, number, axis.kernel)
    rank = jnp.min(jnp.where(x != x, -1 - number, rank), at + 1, keepdims=True)
    choice = jnp.where(rank < 0, -1 - rank, rank)
    carried = [jnp.take_along_axis(tiles(c), choice, at + 1)[(slice(None),) * (at + 1) + (0,)] for c in carried]
    return lax.squeeze(best, [at + 1]), lax.squeeze(choice, [at + 1]).astype(_tap_dtype(axis.kernel)), carried


def _spread(g: jax.Array, choice: jax.Array | None, at: int, axis: _Axis, size: int) -> jax.Array:
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
        taps = _along(taps, at + 1, g.ndim + 1)
        mine = taps >= 0
        if choice is not None:
            mine = jnp.expand_dims(around(choice, 0, rest).astype(jnp.int32), at + 1) == taps
        return jnp.where(mine, jnp.expand_dims(around(g, 0, rest), at + 1), zero)

    def phase(number: int) -> jax.Array:
        total = None
        for tap, (offset, of) in enumerate(places):
            if of == number:
                part = g if choice is None else jnp.where(choice == tap, g, zero)
                part = around(part, offset, blocks - axis.out - offset)
                total = part if total is None else total + part
        shape = (*g.shape[:at], blocks, *g.shape[at + 1 :])
        return jnp.zeros(shape, g.dtype) if total is None else total

    def whole() -> jax.Array:
        # Cut from one padded array: with a stride of 1 that is faster than to pad the part of each tap.
        wide, taken = (None if a is None else around(a, reach, blocks - axis.out) for a in (g, choice))
        total = None
        for tap, (offset, _) in enumerate(places):
            start = reach - offset + axis.padding
            part = lax.slice_in_dim(wide, start, start + size, 1, at)
            if taken is not None:
                part = jnp.where(lax.slice_in_dim(taken, start, start + size, 1, at) == tap, part, zero)
            total = part if total is None else total + part
        return total

    if stride == 1:
        return whole()
    if axis.span <= stride and stride > _FEW_PHASES:
        return _cut(tiles(), at, axis, size)
    phases = [phase(number) for number in range(stride)]
    if at < g.ndim - 1 or stride > _FEW_PHASES:
        return _cut(jnp.stack(phases, at + 1), at, axis, size)
    total = None
    for number, part in enumerate(phases):
        front = number - axis.padding
        config = [(0, 0, 0)] * g.ndim
        config[at] = (front, size - front - (blocks - 1) * stride - 1, stride - 1)
        part = lax.pad(part, zero, config)
        total = part if total is None else total + part
    assert total is not None
    return total


def _cut(blocks: jax.Array, at: int, axis: _Axis, size: int) -> jax.Array:
    """The elements of (blocks, stride) on axes ``at`` and ``at + 1`` that are on the input."""
    full = blocks.reshape(*blocks.shape[:at], -1, *blocks.shape[at + 2 :])
    return lax.slice_in_dim(full, axis.padding, axis.padding + size, 1, at)


# Sums.


def sum_pool_reference(x: jax.Array, windows: Windows) -> jax.Array:
    """Window sums by ``lax.reduce_window``."""
    lead = x.ndim - len(windows.kernel)
    for i, axis in enumerate(windows.axes):
        x = axis.padded(x, lead + i, 0)
    ones = (1,) * lead
    return lax.reduce_window(
        x,
        np.zeros((), x.dtype),
        lax.add,
        ones + windows.kernel,
        ones + windows.stride,
        "VALID",
        None,
        ones + windows.dilation,
    )


def sum_pool(x: jax.Array, windows: Windows) -> jax.Array:
    """Sums over windows of the last axes."""
    return sum_pool_reference(x, windows)

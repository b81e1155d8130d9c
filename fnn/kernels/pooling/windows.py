"""Windows at regular places and the plain forms of pooling over them: maxima, their positions, sums."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Ints = tuple[int, ...]
_UNROLLED_TAPS = 27  # taps of a window that are written out


class Windows(NamedTuple):
    """Windows at regular places of the last axes: ``out`` of them an axis, no fewer than lie on the input as a whole.

    ``padding`` is that in front; behind there is as much as the last window needs.
    """

    kernel: Ints
    stride: Ints
    padding: Ints
    dilation: Ints
    out: Ints

    @property
    def axes(self) -> list[Axis]:
        return [Axis(*of) for of in zip(*self, strict=True)]

    def tiles(self, sizes: Ints) -> bool:
        """Whether the windows cut the input without rest."""
        return all(axis.tiles(size) for axis, size in zip(self.axes, sizes, strict=True))


class Axis(NamedTuple):
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


def sizes_of(x: jax.Array, windows: Windows) -> Ints:
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
    values = list(_tap_slices(x, windows, low))
    best = jnp.full_like(values[0], low)
    chosen = jnp.full_like(values[0], 0, jnp.int8) + jnp.asarray(_outer_first_tap(windows), jnp.int8)
    for number, value in enumerate(values):
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
    moved = jnp.zeros_like(best, tangent.dtype)
    for number, value in enumerate(_tap_slices(tangent, windows, 0)):
        moved = moved + jnp.where(chosen == number, value, jnp.zeros((), tangent.dtype))
    return (best, chosen), (moved, np.zeros(chosen.shape, jax.dtypes.float0))


def along(values: Any, axis: int, n: int) -> Any:
    return values.reshape([-1 if a == axis else 1 for a in range(n)])


def flat_positions(choices: list[jax.Array], sizes: Ints, windows: Windows) -> jax.Array:
    """The flat input position of the winner of each window, from the number of its tap on each axis."""
    n, flat = len(choices), jnp.zeros((), jnp.int32)
    for i, (axis, choice) in enumerate(zip(windows.axes, choices, strict=True)):
        origin = along(np.arange(axis.out, dtype=np.int32) * axis.stride - axis.padding, i, n)
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
    for size, axis in zip(sizes_of(x, windows), windows.axes, strict=True):
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
    return flat_positions(choices[::-1], sizes_of(x, windows), windows)


def sum_pool_reference(x: jax.Array, windows: Windows) -> jax.Array:
    """Window sums by ``lax.reduce_window``."""
    lead, ones = x.ndim - len(windows.kernel), (1,) * (x.ndim - len(windows.kernel))
    for i, axis in enumerate(windows.axes):
        x = axis.padded(x, lead + i, 0)
    kernel, stride, dilation = ones + windows.kernel, ones + windows.stride, ones + windows.dilation
    return window_sums(x, kernel, stride, dilation)


def window_sums(x: jax.Array, kernel: Any, stride: Any, dilation: Any) -> jax.Array:
    """Sums of windows of a padded array; (the maximum by ``lax.reduce_window`` would lose NaN on the CPU)."""
    zero = np.zeros((), x.dtype)
    return lax.reduce_window(x, zero, lax.add, tuple(kernel), tuple(stride), "VALID", None, tuple(dilation))

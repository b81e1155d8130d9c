"""The plain forms of pooling over regular windows: all taps of a small window in turn; lists of indices for a large one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from fnn.kernels.pooling.lists import gather_maxima, positions_by_lists
from fnn.kernels.pooling.windows import BOUNDS, Bounds, Windows, beats, flat_positions, lowest, sizes_of

__all__ = ["max_pool_reference", "max_positions_reference", "sum_pool_reference", "window_sums"]


def _tap_slices(x: jax.Array, windows: Windows, fill: ArrayLike) -> Iterator[jax.Array]:
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
def _tap_max(x: jax.Array, windows: Windows) -> jax.Array:
    return _running_max(x, windows)[0]


@_tap_max.defjvp
def _tap_max_jvp(
    windows: Windows, primals: tuple[jax.Array], tangents: tuple[jax.Array]
) -> tuple[jax.Array, jax.Array]:
    (x,), (tangent,) = primals, tangents
    # The running maximum is the same as that within ``_tap_max``, and computed once.
    best, chosen = _tap_max(x, windows), _running_max(lax.stop_gradient(x), windows)[1]
    moved = jnp.zeros_like(best, tangent.dtype)
    for number, value in enumerate(_tap_slices(tangent, windows, 0)):
        moved = moved + jnp.where(chosen == number, value, jnp.zeros((), tangent.dtype))
    return best, moved


def _large_positions(x: jax.Array, windows: Windows) -> jax.Array:
    positions, masks = list[np.ndarray](), list[np.ndarray | None]()
    for size, axis in zip(sizes_of(x, windows), windows.axes, strict=True):
        at = np.arange(axis.out)[:, None] * axis.stride - axis.padding + np.arange(axis.kernel) * axis.dilation
        inside = (at >= 0) & (at < size)
        positions.append(np.clip(at, 0, size - 1))
        masks.append(None if inside.all() else inside)
    return positions_by_lists(lax.stop_gradient(x), positions, masks)


def max_pool_reference(x: jax.Array, windows: Windows, bounds: Bounds = BOUNDS) -> jax.Array:
    """Maxima by a running maximum over the taps if they are few, by lists of indices otherwise."""
    if math.prod(windows.kernel) <= bounds.window_taps:
        return _tap_max(x, windows)
    return gather_maxima(x, _large_positions(x, windows), len(windows.kernel))


def max_positions_reference(x: jax.Array, windows: Windows, bounds: Bounds = BOUNDS) -> jax.Array:
    """The flat positions of the maxima that ``max_pool_reference`` gives."""
    if math.prod(windows.kernel) > bounds.window_taps:
        return _large_positions(x, windows)
    rest, choices = _running_max(lax.stop_gradient(x), windows)[1].astype(jnp.int32), list[jax.Array]()
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


def window_sums(x: jax.Array, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> jax.Array:
    """Sums of windows of a padded array; (the maximum by ``lax.reduce_window`` would lose NaN on the CPU)."""
    zero = np.zeros((), x.dtype)
    return lax.reduce_window(x, zero, lax.add, tuple(kernel), tuple(stride), "VALID", None, tuple(dilation))

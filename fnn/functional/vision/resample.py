"""Resampling of an array's spatial axes one axis at a time, by gathers with weights known at trace time."""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnn.functional.vision.common import cubic_far, cubic_near
from fnn.kernels.operation import varying_as

# Taps beyond which a strongly shrunk axis is summed by a loop instead of one unrolled term a tap.
_UNROLLED_TAPS = 8
_Scales = tuple[float | None, ...]


def _step(size: int, out: int, scale: float | None, align_corners: bool) -> float:
    """Distance in the input between neighbouring outputs."""
    if align_corners:
        return (size - 1) / (out - 1) if out > 1 else 0.0
    return 1.0 / scale if scale is not None and scale > 0 else size / out


def _positions(size: int, out: int, scale: float | None, align_corners: bool) -> np.ndarray:
    """Where the centre of each output lies in the input."""
    step = _step(size, out, scale, align_corners)
    return np.arange(out) * step if align_corners else (np.arange(out) + 0.5) * step - 0.5


def _nearest_index(size: int, out: int, scale: float | None, exact: bool, double: bool) -> np.ndarray:
    """Index of the nearest input, with the roundings of torch, whose last product is in single precision."""
    step = 1.0 / scale if scale is not None and scale > 0 else size / out
    if not double:
        step = float(np.float32(1.0 / scale) if scale is not None and scale > 0 else np.float32(size) / np.float32(out))
    shift = 0.5 if exact else 0.0
    return np.minimum(np.floor(((np.arange(out) + shift) * step).astype(np.float32)).astype(np.int64), size - 1)


def _take(x: jax.Array, index: np.ndarray, axis: int) -> jax.Array:
    """Gather along an axis by a constant index; regular indices become slices or repeats."""
    size, out = x.shape[axis], len(index)
    if out == size and np.array_equal(index, np.arange(size)):
        return x
    if out % size == 0 and np.array_equal(index, np.arange(out) // (out // size)):
        wide = jnp.broadcast_to(jnp.expand_dims(x, axis + 1), (*x.shape[: axis + 1], out // size, *x.shape[axis + 1 :]))
        return wide.reshape(*x.shape[:axis], out, *x.shape[axis + 1 :])
    if out > 1 and index[1] > index[0]:
        stride = int(index[1] - index[0])
        if np.array_equal(index, index[0] + stride * np.arange(out)):
            return lax.slice_in_dim(x, int(index[0]), int(index[-1]) + 1, stride, axis)
    return jnp.take(x, index, axis=axis, mode="clip")


def _cubic(distance: np.ndarray, a: float) -> np.ndarray:
    d = np.abs(distance)
    return np.where(d < 1, cubic_near(d, a), np.where(d < 2, cubic_far(d, a), 0.0))


def _linear_taps(
    size: int, out: int, scale: float | None, align_corners: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    position = np.maximum(_positions(size, out, scale, align_corners), 0.0)
    low = np.minimum(np.floor(position).astype(np.int64), size - 1)
    high = np.minimum(low + 1, size - 1)
    fraction = np.clip(position - low, 0.0, 1.0)
    weights = np.stack([1.0 - fraction, fraction])
    return np.stack([low, high]), weights, np.ones_like(weights, bool)


def _cubic_taps(
    size: int, out: int, scale: float | None, align_corners: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    position = _positions(size, out, scale, align_corners)
    low = np.floor(position).astype(np.int64)
    fraction = position - low
    index = np.stack([np.clip(low + k, 0, size - 1) for k in (-1, 0, 1, 2)])
    weights = np.stack([_cubic(fraction - k, -0.75) for k in (-1, 0, 1, 2)])
    return index, weights, np.ones_like(weights, bool)


def _antialias_taps(
    size: int, out: int, scale: float | None, align_corners: bool, mode: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Taps of a filter widened by the shrinking factor, normalized to sum 1 for each output."""
    step = _step(size, out, scale, align_corners)
    reach = {"bilinear": 1.0, "bicubic": 2.0, "lanczos": 3.0}[mode]
    support = reach * max(step, 1.0)
    centre = step * (np.arange(out) + 0.5)
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    stop = np.minimum((centre + support + 0.5).astype(np.int64), size)
    index = first[None] + np.arange(max(int((stop - first).max()), 1))[:, None]
    used = index < stop
    distance = (index + 0.5 - centre) / max(step, 1.0)
    if mode == "bilinear":
        weights = np.maximum(1.0 - np.abs(distance), 0.0)
    elif mode == "bicubic":
        weights = _cubic(distance, -0.5)
    else:
        weights = np.where(np.abs(distance) < reach, np.sinc(distance) * np.sinc(distance / reach), 0.0)
    weights = np.where(used, weights, 0.0)
    total = weights.sum(0)
    return np.clip(index, 0, size - 1), weights / np.where(total == 0, 1.0, total), used


def _weighted(x: jax.Array, axis: int, index: np.ndarray, weights: np.ndarray, used: np.ndarray) -> jax.Array:
    """Sum over the taps of the gathered input times its weight; unused taps add nothing, even next to infinities."""
    shape = [1] * x.ndim
    shape[axis] = index.shape[1]
    if len(index) <= _UNROLLED_TAPS:
        total = None
        for i, w, u in zip(index, weights, used, strict=True):
            term = _take(x, i, axis)
            if not u.all():
                term = jnp.where(u.reshape(shape), term, 0)
            term = term * w.reshape(shape).astype(x.dtype)
            total = term if total is None else total + term
        assert total is not None
        return total

    def add(total: jax.Array, tap: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        i, w, u = tap
        term = jnp.where(u.reshape(shape), jnp.take(x, i, axis=axis, mode="clip"), 0)
        return total + term * w.reshape(shape), None

    start = varying_as(jnp.zeros((*x.shape[:axis], index.shape[1], *x.shape[axis + 1 :]), x.dtype), x)
    taps = (jnp.asarray(index), jnp.asarray(weights.astype(x.dtype)), jnp.asarray(used))
    return lax.scan(add, start, taps)[0]


@partial(jax.jit, static_argnames=("sizes", "scales", "mode", "align_corners", "antialias"))
def resample(
    x: jax.Array, sizes: tuple[int, ...], scales: _Scales, mode: str, align_corners: bool, antialias: bool
) -> jax.Array:
    """``x`` with its last axes resampled to ``sizes``; half types are computed in float32, uint8 is rounded back."""
    first, dtype = x.ndim - len(sizes), x.dtype
    nearest = mode in ("nearest", "nearest-exact")
    if not nearest and dtype not in (jnp.float32, jnp.float64):
        x = x.astype(jnp.float32)
    # The last axis first: torch rounds bytes to bytes between the axes, so that their order shows.
    for axis, out, scale in reversed(list(zip(range(first, x.ndim), sizes, scales, strict=True))):
        size = x.shape[axis]
        if nearest:
            index = _nearest_index(size, out, scale, mode == "nearest-exact", dtype == jnp.float64)
            x = _take(x, index, axis)
        elif antialias:
            x = _weighted(x, axis, *_antialias_taps(size, out, scale, align_corners, mode))
        elif mode == "bicubic":
            x = _weighted(x, axis, *_cubic_taps(size, out, scale, align_corners))
        else:
            x = _weighted(x, axis, *_linear_taps(size, out, scale, align_corners))
        if dtype == jnp.uint8 and not nearest:
            x = jnp.clip(jnp.round(x), 0, 255)
    return x.astype(dtype)


def output_size(size: int, factor: float) -> int:
    """Length of an axis scaled by ``factor``, rounded down."""
    return math.floor(float(size) * factor)

"""Sampling of images and volumes at the points of a grid, and the affine grids themselves."""

from __future__ import annotations

import itertools
import math
from functools import partial

import jax
import jax.numpy as jnp


def _to_pixels(coordinate: jax.Array, size: int, align_corners: bool) -> jax.Array:
    if align_corners:
        return (coordinate + 1) / 2 * (size - 1)
    return ((coordinate + 1) * size - 1) / 2


def _clamp(x: jax.Array, size: int) -> jax.Array:
    """Into [0, size - 1], NaN to 0; the derivative is 0 from the ends on, as torch has it."""
    return jnp.where((x > 0) & (x < size - 1), x, jnp.where(x >= size - 1, float(size - 1), 0.0).astype(x.dtype))


def _reflect(x: jax.Array, size: int, align_corners: bool) -> jax.Array:
    """Folds the line at the first and last pixel centres, or at the outer pixel edges without ``align_corners``."""
    start, span = (0.0, float(size - 1)) if align_corners else (-0.5, float(size))
    if span == 0.0:
        return jnp.zeros_like(x)
    distance = x - start
    distance = jnp.where(distance < 0, -distance, distance)
    rest = jnp.fmod(distance, jnp.asarray(span, x.dtype))
    odd = jnp.fmod(jax.lax.stop_gradient(jnp.floor(distance / span)), 2) != 0
    return jnp.where(odd, span - rest, rest) + start


def _place(x: jax.Array, size: int, padding_mode: str, align_corners: bool) -> jax.Array:
    if padding_mode == "reflection":
        x = _reflect(x, size, align_corners)
    return x if padding_mode == "zeros" else _clamp(x, size)


def _cubic_weights(t: jax.Array) -> list[jax.Array]:
    """Weights of the four taps around a point that lies ``t`` past the second (Keys, a = -0.75)."""
    a = -0.75

    def near(d: jax.Array) -> jax.Array:
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d: jax.Array) -> jax.Array:
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


def _gather(flat: jax.Array, points: list[jax.Array], sizes: tuple[int, ...]) -> jax.Array:
    """Values (N, C, P) at whole-number points (N, P), one array an axis; 0 outside the input."""
    inside = jnp.ones(points[0].shape, bool)
    index = jnp.zeros(points[0].shape, jnp.int32)
    for p, size in zip(points, sizes, strict=True):
        within = (p >= 0) & (p <= size - 1)
        inside &= within
        index = index * size + jnp.where(within, p, 0).astype(jnp.int32)
    values = jax.vmap(lambda image, i: jnp.take(image, i, axis=1, mode="clip"))(flat, index)
    return jnp.where(inside[:, None], values, 0)


@partial(jax.jit, static_argnames=("mode", "padding_mode", "align_corners"))
def sample(x: jax.Array, grid: jax.Array, mode: str, padding_mode: str, align_corners: bool) -> jax.Array:
    """(N, C, *in) sampled at (N, *out, k): one gather of P points for each tap, summed."""
    dtype = x.dtype
    if dtype not in (jnp.float32, jnp.float64):
        x, grid = x.astype(jnp.float32), grid.astype(jnp.float32)
    n, channels, *spatial = x.shape
    sizes = tuple(spatial)
    flat = x.reshape(n, channels, math.prod(sizes))
    points = grid.reshape(n, math.prod(grid.shape[1:-1]), len(sizes))
    # The last coordinate of a grid point belongs to the first spatial axis.
    pixels = [_to_pixels(points[..., len(sizes) - 1 - k], size, align_corners) for k, size in enumerate(sizes)]
    place = partial(_place, padding_mode=padding_mode, align_corners=align_corners)
    shape = (n, channels, *grid.shape[1:-1])
    if mode == "nearest":
        rounded = [jnp.round(jax.lax.stop_gradient(place(p, size))) for p, size in zip(pixels, sizes, strict=True)]
        return _gather(flat, rounded, sizes).reshape(shape).astype(dtype)
    taps: list[list[tuple[jax.Array, jax.Array]]] = []
    for p, size in zip(pixels, sizes, strict=True):
        p = place(p, size) if mode == "bilinear" else p
        low = jax.lax.stop_gradient(jnp.floor(p))
        if mode == "bilinear":
            taps.append([(low, low + 1 - p), (low + 1, p - low)])
        else:
            weights = _cubic_weights(p - low)
            taps.append([(place(low + k - 1, size), w) for k, w in enumerate(weights)])
    total = jnp.zeros((n, channels, points.shape[1]), x.dtype)
    for corner in itertools.product(*taps):
        weight = corner[0][1]
        for _, w in corner[1:]:
            weight = weight * w
        total = total + _gather(flat, [p for p, _ in corner], sizes) * weight[:, None]
    return total.reshape(shape).astype(dtype)


def _ticks(size: int, align_corners: bool, dtype: jnp.dtype) -> jax.Array:
    """Pixel centres of an axis on [-1, 1]."""
    if size == 1:
        return jnp.zeros((1,), dtype)
    ticks = jnp.linspace(-1.0, 1.0, size, dtype=dtype)
    return ticks if align_corners else ticks * ((size - 1) / size)


@partial(jax.jit, static_argnames=("sizes", "align_corners"))
def affine_points(theta: jax.Array, sizes: tuple[int, ...], align_corners: bool) -> jax.Array:
    """The grid (N, *sizes, k) of the points theta @ (x, y, ..., 1)."""
    dtype, k = theta.dtype, len(sizes)
    if dtype not in (jnp.float32, jnp.float64):
        theta = theta.astype(jnp.float32)
    expanded = theta.reshape(theta.shape[0], *([1] * k), k, k + 1)
    grid = expanded[..., k]
    for axis, size in enumerate(sizes):
        shape = [1] * (k + 2)
        shape[axis + 1] = size
        grid = grid + _ticks(size, align_corners, theta.dtype).reshape(shape) * expanded[..., k - 1 - axis]
    return grid.astype(dtype)

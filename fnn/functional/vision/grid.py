"""Sampling of images and volumes at the points of a grid, and the affine grids themselves."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp

from fnn.functional.arrays import ArrayLike, widen
from fnn.functional.checks import (
    as_array,
    as_int,
    check_choice,
    check_floating,
    check_rank,
    check_same_dtype,
    check_shape,
    fail,
)
from fnn.functional.explained import explained
from fnn.functional.vision.common import cubic_far, cubic_near
from fnn.stateful.warning import warn

__all__ = ["affine_grid", "grid_sample"]


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


def _confined(x: jax.Array, size: int, padding_mode: str, align_corners: bool) -> jax.Array:
    """The coordinate brought into the input, except by 'zeros', which leaves it outside."""
    if padding_mode == "reflection":
        x = _reflect(x, size, align_corners)
    return x if padding_mode == "zeros" else _clamp(x, size)


def _cubic_weights(t: jax.Array) -> list[jax.Array]:
    """Weights of the four taps around a point that lies ``t`` past the second (Keys, a = -0.75)."""
    a = -0.75
    return [cubic_far(t + 1, a), cubic_near(t, a), cubic_near(1 - t, a), cubic_far(2 - t, a)]


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
def _sample(x: jax.Array, grid: jax.Array, mode: str, padding_mode: str, align_corners: bool) -> jax.Array:
    """(N, C, *in) sampled at (N, *out, k): one gather of P points for each tap, summed."""
    dtype = x.dtype
    x, grid = widen(x), widen(grid)
    n, channels, *spatial = x.shape
    sizes = tuple(spatial)
    flat = x.reshape(n, channels, math.prod(sizes))
    points = grid.reshape(n, math.prod(grid.shape[1:-1]), len(sizes))
    # The last coordinate of a grid point belongs to the first spatial axis.
    pixels = [_to_pixels(points[..., len(sizes) - 1 - k], size, align_corners) for k, size in enumerate(sizes)]
    confined = partial(_confined, padding_mode=padding_mode, align_corners=align_corners)
    shape = (n, channels, *grid.shape[1:-1])
    if mode == "nearest":
        rounded = [jnp.round(jax.lax.stop_gradient(confined(p, size))) for p, size in zip(pixels, sizes, strict=True)]
        return _gather(flat, rounded, sizes).reshape(shape).astype(dtype)
    taps: list[list[tuple[jax.Array, jax.Array]]] = []
    for p, size in zip(pixels, sizes, strict=True):
        p = confined(p, size) if mode == "bilinear" else p
        low = jax.lax.stop_gradient(jnp.floor(p))
        if mode == "bilinear":
            taps.append([(low, low + 1 - p), (low + 1, p - low)])
        else:
            weights = _cubic_weights(p - low)
            taps.append([(confined(low + k - 1, size), w) for k, w in enumerate(weights)])
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
def _affine_points(theta: jax.Array, sizes: tuple[int, ...], align_corners: bool) -> jax.Array:
    """The grid (N, *sizes, k) of the points theta @ (x, y, ..., 1)."""
    dtype, k = theta.dtype, len(sizes)
    theta = widen(theta)
    expanded = theta.reshape(theta.shape[0], *([1] * k), k, k + 1)
    grid = expanded[..., k]
    for axis, size in enumerate(sizes):
        shape = [1] * (k + 2)
        shape[axis + 1] = size
        grid = grid + _ticks(size, align_corners, theta.dtype).reshape(shape) * expanded[..., k - 1 - axis]
    return grid.astype(dtype)


def _resolve_corners(align_corners: bool | None) -> bool:
    if align_corners is None:
        warn(
            "grid_sample and affine_grid take align_corners=False by default (torch did otherwise before 1.3); "
            "pass align_corners to say which is meant"
        )
    return bool(align_corners)


@explained
def grid_sample(
    input: ArrayLike,
    grid: ArrayLike,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> jax.Array:
    """Samples images or volumes at the points of a grid.

    A coordinate ``g`` in [-1, 1] of an axis of length ``n`` means the pixel ``((g + 1) n - 1) / 2``, or with
    ``align_corners`` ``(g + 1) (n - 1) / 2``. The last axis of the grid has x (the last axis of the input) first.

    Args:
        input: images or volumes.
        grid: where to sample, one point for each output element.
        mode: 'bilinear' (trilinear for volumes), 'nearest' (halves to even), or 'bicubic' (images only).
        padding_mode: what lies outside: 'zeros', 'border' (the nearest edge) or 'reflection'.
        align_corners: whether -1 and 1 mean the centres of the outer pixels, and not their outer edges. None means
            False, with a UserWarning.

    Shape:
        - input: (N, C, H, W) or (N, C, D, H, W).
        - grid: (N, H_out, W_out, 2) or (N, D_out, H_out, W_out, 3).
        - output: (N, C, H_out, W_out) or (N, C, D_out, H_out, W_out).

    Returns:
        the sampled array, of the dtype of the input. Half types are computed in float32.

    Raises:
        ValueError: if an option is unknown, the ranks, batch sizes or the last axis of the grid do not agree, a spatial
            axis of the input is empty, or ``mode`` is 'bicubic' for volumes.
        TypeError: if the dtypes differ or are not floating.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.grid_sample.html

    Example:
        >>> import jax.numpy as jnp
        >>> grid_sample(jnp.asarray([[[[0.0, 1.0]]]]), jnp.zeros((1, 1, 1, 2)), align_corners=True).tolist()
        [[[[0.5]]]]
    """
    name = "grid_sample"
    check_choice(name, "mode", mode, ("bilinear", "nearest", "bicubic"))
    check_choice(name, "padding_mode", padding_mode, ("zeros", "border", "reflection"))
    x, points = as_array(name, "input", input), as_array(name, "grid", grid)
    check_rank(name, "input", x, 4, 5)
    check_shape(name, "grid", points, (x.shape[0], *([None] * (x.ndim - 2)), x.ndim - 2), "to fit the input")
    check_floating(name, input=x, grid=points)
    check_same_dtype(name, input=x, grid=points)
    if 0 in x.shape[2:]:
        fail(ValueError, name, "input", "of non-zero length along each spatial axis", x)
    if mode == "bicubic" and x.ndim != 4:
        fail(ValueError, name, "input", "4-D in mode 'bicubic'", x)
    corners = _resolve_corners(align_corners)
    return _sample(x, points, mode, padding_mode, corners)


@explained
def affine_grid(theta: ArrayLike, size: Sequence[int], align_corners: bool | None = None) -> jax.Array:
    """The sampling grid of affine maps, for :func:`grid_sample`.

    ``grid[n, ..., :] = theta[n] @ (x, y, 1)``, or ``theta[n] @ (x, y, z, 1)``, with ``x``, ``y``, ``z`` the pixel
    centres of the output on [-1, 1].

    Args:
        theta: the affine maps.
        size: shape of the output of grid_sample, (N, C, H, W) or (N, C, D, H, W).
        align_corners: whether -1 and 1 mean the centres of the outer pixels, and not their outer edges. None means
            False, with a UserWarning.

    Shape:
        - theta: (N, 2, 3) or (N, 3, 4).
        - output: (N, H, W, 2) or (N, D, H, W, 3).

    Returns:
        the grid, of the dtype of ``theta``. An axis of length 1 lies at 0, with a UserWarning under ``align_corners``.

    Raises:
        ValueError: if ``size`` is not four or five positive ints, or ``theta`` does not fit it.
        TypeError: if ``theta`` is not floating or a size is not an int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.affine_grid.html

    Example:
        >>> import jax.numpy as jnp
        >>> affine_grid(jnp.asarray([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]), (1, 1, 1, 2), align_corners=False).tolist()
        [[[[-0.5, 0.0], [0.5, 0.0]]]]
    """
    name = "affine_grid"
    maps = as_array(name, "theta", theta)
    check_floating(name, theta=maps)
    if isinstance(size, int) or not hasattr(size, "__len__"):
        fail(TypeError, name, "size", "a sequence of four or five ints", size)
    sizes = tuple(as_int(name, "size", s, 1) for s in size)
    if len(sizes) not in (4, 5):
        fail(ValueError, name, "size", "four or five ints, (N, C, H, W) or (N, C, D, H, W)", sizes)
    axes = len(sizes) - 2
    check_shape(name, "theta", maps, (sizes[0], axes, axes + 1), f"for size {sizes}")
    corners = _resolve_corners(align_corners)
    if corners and 1 in sizes[2:]:
        warn("affine_grid: an axis of length 1 has no two corners to align, its one point lies at 0")
    return _affine_points(maps, sizes[2:], corners)

"""Images and volumes: pixel and channel shuffles, resizing, sampling on a grid, and padding."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnn.functional import _grid_sample, _interpolate
from fnn.functional.arrays import ArrayLike, is_concrete
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
from fnn.functional.padding import pad

__all__ = [
    "affine_grid",
    "channel_shuffle",
    "grid_sample",
    "interpolate",
    "native_channel_shuffle",
    "pad",
    "pixel_shuffle",
    "pixel_unshuffle",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
]

_MODE_OF_RANK = {
    "nearest": (3, 4, 5),
    "nearest-exact": (3, 4, 5),
    "area": (3, 4, 5),
    "linear": (3,),
    "bilinear": (4,),
    "bicubic": (4,),
    "lanczos": (4,),
    "trilinear": (5,),
}
_CORNER_MODES = ("linear", "bilinear", "bicubic", "trilinear")
_ANTIALIAS_MODES = ("bilinear", "bicubic", "lanczos")


@partial(jax.jit, static_argnames=("factor",))
def _pixel_shuffle(x: jax.Array, factor: int) -> jax.Array:
    *batch, channels, height, width = x.shape
    k = len(batch)
    x = x.reshape(*batch, channels // factor**2, factor, factor, height, width)
    x = x.transpose(*range(k), k, k + 3, k + 1, k + 4, k + 2)
    return x.reshape(*batch, channels // factor**2, height * factor, width * factor)


@partial(jax.jit, static_argnames=("factor",))
def _pixel_unshuffle(x: jax.Array, factor: int) -> jax.Array:
    *batch, channels, height, width = x.shape
    k = len(batch)
    x = x.reshape(*batch, channels, height // factor, factor, width // factor, factor)
    x = x.transpose(*range(k), k, k + 2, k + 4, k + 1, k + 3)
    return x.reshape(*batch, channels * factor**2, height // factor, width // factor)


@partial(jax.jit, static_argnames=("groups",))
def _channel_shuffle(x: jax.Array, groups: int) -> jax.Array:
    n, channels, *rest = x.shape
    return x.reshape(n, groups, channels // groups, *rest).swapaxes(1, 2).reshape(x.shape)


def _check_image(function: str, input: ArrayLike) -> jax.Array:
    x = as_array(function, "input", input)
    if x.ndim < 3:
        fail(ValueError, function, "input", "of 3 or more axes", x)
    return x


def pixel_shuffle(input: ArrayLike, upscale_factor: int) -> jax.Array:
    """Moves blocks of ``r * r`` channels into space, the step of sub-pixel convolution.

    ``output[..., c, h r + i, w r + j] = input[..., c r^2 + i r + j, h, w]`` with ``r = upscale_factor``.

    Args:
        input: array of three or more axes.
        upscale_factor: r, at least 1.

    Shape:
        - input: (*, C r^2, H, W).
        - output: (*, C, H r, W r).

    Returns:
        the rearranged array.

    Raises:
        ValueError: if there are fewer than three axes, the factor is below 1, or its square does not divide the
            channels.
        TypeError: if the factor is not an int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.pixel_shuffle.html

    Example:
        >>> pixel_shuffle(jnp.arange(4).reshape(4, 1, 1), 2).tolist()
        [[[0, 1], [2, 3]]]
    """
    x = _check_image("pixel_shuffle", input)
    factor = as_int("pixel_shuffle", "upscale_factor", upscale_factor, 1)
    if x.shape[-3] % factor**2:
        fail(ValueError, "pixel_shuffle", "input", f"of channels (axis -3) divisible by {factor**2}", x)
    return _pixel_shuffle(x, factor)


def pixel_unshuffle(input: ArrayLike, downscale_factor: int) -> jax.Array:
    """Moves ``r`` by ``r`` patches into channels, the inverse of :func:`pixel_shuffle`.

    ``output[..., c r^2 + i r + j, h, w] = input[..., c, h r + i, w r + j]`` with ``r = downscale_factor``.

    Args:
        input: array of three or more axes.
        downscale_factor: r, at least 1.

    Shape:
        - input: (*, C, H r, W r).
        - output: (*, C r^2, H, W).

    Returns:
        the rearranged array.

    Raises:
        ValueError: if there are fewer than three axes, the factor is below 1, or it does not divide height and width.
        TypeError: if the factor is not an int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.pixel_unshuffle.html

    Example:
        >>> pixel_unshuffle(jnp.arange(4).reshape(1, 2, 2), 2).tolist()
        [[[0]], [[1]], [[2]], [[3]]]
    """
    x = _check_image("pixel_unshuffle", input)
    factor = as_int("pixel_unshuffle", "downscale_factor", downscale_factor, 1)
    if x.shape[-2] % factor or x.shape[-1] % factor:
        fail(ValueError, "pixel_unshuffle", "input", f"of height and width divisible by {factor}", x)
    return _pixel_unshuffle(x, factor)


def _checked_channel_shuffle(function: str, input: ArrayLike, groups: int) -> jax.Array:
    x = _check_image(function, input)
    count = as_int(function, "groups", groups, 1)
    if x.shape[1] % count:
        fail(ValueError, function, "input", f"of channels (axis 1) divisible by groups ({count})", x)
    return _channel_shuffle(x, count)


def channel_shuffle(input: ArrayLike, groups: int) -> jax.Array:
    """Interleaves the channels of the groups, so that grouped convolutions exchange what they know.

    ``output[:, k g + i] = input[:, i C / g + k]`` with ``g = groups``.

    Args:
        input: array of three or more axes.
        groups: g, at least 1.

    Shape:
        - input: (N, C, *), with at least one axis after the channels.
        - output: the shape of the input.

    Returns:
        the array with its channels reordered.

    Raises:
        ValueError: if there are fewer than three axes, or ``groups`` is below 1 or does not divide the channels.
        TypeError: if ``groups`` is not an int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.channel_shuffle.html

    Example:
        >>> channel_shuffle(jnp.arange(4).reshape(1, 4, 1), 2).tolist()
        [[[0], [2], [1], [3]]]
    """
    return _checked_channel_shuffle("channel_shuffle", input, groups)


def native_channel_shuffle(input: ArrayLike, groups: int) -> jax.Array:
    """The same as :func:`channel_shuffle`, ``output[:, k g + i] = input[:, i C / g + k]``, under torch's second name.

    Args:
        input: array of three or more axes.
        groups: g, at least 1.

    Shape:
        - input: (N, C, *), with at least one axis after the channels.
        - output: the shape of the input.

    Returns:
        the array with its channels reordered.

    Raises:
        ValueError: if there are fewer than three axes, or ``groups`` is below 1 or does not divide the channels.
        TypeError: if ``groups`` is not an int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.channel_shuffle.html

    Example:
        >>> native_channel_shuffle(jnp.arange(4).reshape(1, 4, 1), 2).tolist()
        [[[0], [2], [1], [3]]]
    """
    return _checked_channel_shuffle("native_channel_shuffle", input, groups)


def _per_axis(function: str, argument: str, value: Any, axes: int) -> list[Any]:
    """A number, or a sequence of exactly one number an axis."""
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str) and np.ndim(value):
        items = list(value)
        if len(items) != axes:
            fail(ValueError, function, argument, f"a number or {axes} numbers, one a spatial axis", value)
        return items
    return [value] * axes


def _check_factor(function: str, value: Any) -> float:
    if isinstance(value, bool | str) or not is_concrete(value):
        fail(TypeError, function, "scale_factor", "a number known when the call is traced", value)
    try:
        return float(value)
    except (TypeError, ValueError):
        fail(TypeError, function, "scale_factor", "a number", value)


def interpolate(
    input: ArrayLike,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> jax.Array:
    """Resizes the spatial axes of a signal, an image or a volume.

    Along each axis of length ``n`` that becomes ``m``, output ``o`` reads the input at

    - ``floor(o s)``, or ``floor((o + 1/2) s)`` for 'nearest-exact',
    - ``(o + 1/2) s - 1/2`` for the modes that weigh neighbours,
    - ``o (n - 1) / (m - 1)`` with ``align_corners``,

    where ``s = 1 / scale_factor`` if that was given (and not recomputed), else ``n / m``.

    Args:
        input: array of one to three spatial axes.
        size: output length, one for all spatial axes or one each.
        scale_factor: output length as a multiple of the input's, rounded down; one for all axes or one each.
        mode: 'nearest', 'nearest-exact', 'area' (the mean of the cell) for any rank; 'linear' for 3-D, 'bilinear',
            'bicubic' and, with ``antialias``, 'lanczos' for 4-D, 'trilinear' for 5-D input.
        align_corners: whether the outer points, and not the outer edges of the outer cells, coincide; only for the
            linear and cubic modes, where None means False.
        recompute_scale_factor: whether ``s`` follows from the rounded output size instead of ``scale_factor``.
        antialias: whether shrinking widens the filter; only for 'bilinear', 'bicubic' and 'lanczos'.

    Shape:
        - input: (N, C, n_1, ..., n_k), k in 1, 2, 3.
        - output: (N, C, m_1, ..., m_k).

    Returns:
        the resized array, of the dtype of the input. Half types are computed in float32; uint8 results of the
        bilinear, bicubic and lanczos modes are rounded.

    Raises:
        ValueError: if the rank does not fit the mode, neither or both of ``size`` and ``scale_factor`` are given, their
            count is not that of the spatial axes, a length is below 1, or an option does not fit the mode.
        TypeError: if a size is not an int, a factor not a number, or the dtype not floating (nearest takes any).

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.interpolate.html

    Example:
        >>> interpolate(jnp.asarray([[[0.0, 4.0]]]), scale_factor=2, mode="linear").tolist()
        [[[0.0, 1.0, 3.0, 4.0]]]
    """
    name = "interpolate"
    x = as_array(name, "input", input)
    check_choice(name, "mode", mode, tuple(_MODE_OF_RANK))
    check_rank(name, f"input of mode {mode!r}", x, *_MODE_OF_RANK[mode])
    if align_corners is not None and mode not in _CORNER_MODES:
        fail(ValueError, name, "align_corners", f"None in mode {mode!r}", align_corners)
    if antialias and mode not in _ANTIALIAS_MODES:
        fail(ValueError, name, "mode", "'bilinear', 'bicubic' or 'lanczos' with antialias", mode)
    if mode == "lanczos" and not antialias:
        fail(ValueError, name, "antialias", "True in mode 'lanczos'", antialias)
    if (size is None) == (scale_factor is None):
        fail(ValueError, name, "size or scale_factor", "given, one and not both", (size, scale_factor))
    spatial = x.shape[2:]
    scales: list[float | None] = [None] * len(spatial)
    if size is not None:
        if recompute_scale_factor:
            fail(ValueError, name, "recompute_scale_factor", "unset where size is given", recompute_scale_factor)
        sizes = [as_int(name, "size", s) for s in _per_axis(name, "size", size, len(spatial))]
    else:
        factors = [_check_factor(name, f) for f in _per_axis(name, "scale_factor", scale_factor, len(spatial))]
        if not np.isfinite(factors).all():
            fail(ValueError, name, "scale_factor", "finite", scale_factor)
        sizes = [_interpolate.output_size(s, f) for s, f in zip(spatial, factors, strict=True)]
        if not recompute_scale_factor:
            scales = list(factors)
    if min(sizes) < 1:
        fail(ValueError, name, "the output size", "at least 1 along each axis", tuple(sizes))
    if 0 in spatial:
        fail(ValueError, name, "input", "of non-zero length along each spatial axis", x)
    if mode not in ("nearest", "nearest-exact") and not (x.dtype == jnp.uint8 and x.ndim == 4 and mode != "area"):
        check_floating(name, input=x)
    if mode == "area":
        from fnn.functional import pooling

        pools = (pooling.adaptive_avg_pool1d, pooling.adaptive_avg_pool2d, pooling.adaptive_avg_pool3d)
        return pools[len(spatial) - 1](x, tuple(sizes))
    return _interpolate.resample(x, tuple(sizes), tuple(scales), mode, bool(align_corners), bool(antialias))


def _warn_deprecated(function: str) -> None:
    # A UserWarning, as in torch, so that filters written for torch scripts hold.
    warnings.warn(f"{function} is deprecated, use interpolate instead", UserWarning, stacklevel=3)


def upsample(
    input: ArrayLike,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> jax.Array:
    """The deprecated name of :func:`interpolate`, whose formulas it has.

    Args:
        input: array of one to three spatial axes.
        size: output length, one for all spatial axes or one each.
        scale_factor: output length as a multiple of the input's.
        mode: as for :func:`interpolate`.
        align_corners: as for :func:`interpolate`.

    Shape:
        - input: (N, C, n_1, ..., n_k), k in 1, 2, 3.
        - output: (N, C, m_1, ..., m_k).

    Returns:
        the resized array, after a UserWarning.

    Raises:
        ValueError: as :func:`interpolate`.
        TypeError: as :func:`interpolate`.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.upsample.html

    Example:
        >>> with warnings.catch_warnings(action="ignore"):
        ...     upsample(jnp.asarray([[[1.0, 2.0]]]), scale_factor=2).tolist()
        [[[1.0, 1.0, 2.0, 2.0]]]
    """
    _warn_deprecated("upsample")
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(
    input: ArrayLike,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
) -> jax.Array:
    """The deprecated form of ``interpolate(..., mode="nearest")``: output ``o`` reads the input at ``floor(o s)``.

    Args:
        input: array of one to three spatial axes.
        size: output length, one for all spatial axes or one each.
        scale_factor: output length as a multiple of the input's.

    Shape:
        - input: (N, C, n_1, ..., n_k), k in 1, 2, 3.
        - output: (N, C, m_1, ..., m_k).

    Returns:
        the resized array, after a UserWarning.

    Raises:
        ValueError: as :func:`interpolate`.
        TypeError: as :func:`interpolate`.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.upsample_nearest.html

    Example:
        >>> with warnings.catch_warnings(action="ignore"):
        ...     upsample_nearest(jnp.asarray([[[1.0, 2.0]]]), scale_factor=2).tolist()
        [[[1.0, 1.0, 2.0, 2.0]]]
    """
    _warn_deprecated("upsample_nearest")
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(
    input: ArrayLike,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
) -> jax.Array:
    """The deprecated form of ``interpolate(..., mode="bilinear", align_corners=True)``.

    Output ``o`` reads the input at ``o (n - 1) / (m - 1)`` along an axis of length ``n`` that becomes ``m``.

    Args:
        input: images.
        size: output length, one for both spatial axes or one each.
        scale_factor: output length as a multiple of the input's.

    Shape:
        - input: (N, C, H, W).
        - output: (N, C, H_out, W_out).

    Returns:
        the resized array, after a UserWarning.

    Raises:
        ValueError: as :func:`interpolate`.
        TypeError: as :func:`interpolate`.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.upsample_bilinear.html

    Example:
        >>> with warnings.catch_warnings(action="ignore"):
        ...     upsample_bilinear(jnp.asarray([[[[1.0, 2.0]]]]), size=(1, 3)).tolist()
        [[[[1.0, 1.5, 2.0]]]]
    """
    _warn_deprecated("upsample_bilinear")
    return interpolate(input, size, scale_factor, "bilinear", True)


def _resolve_corners(align_corners: bool | None) -> bool:
    if align_corners is None:
        warnings.warn(
            "grid_sample and affine_grid take align_corners=False by default (torch did otherwise before 1.3); "
            "pass align_corners to say which is meant",
            UserWarning,
            stacklevel=3,
        )
    return bool(align_corners)


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
    return _grid_sample.sample(x, points, mode, padding_mode, corners)


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
        warnings.warn(
            "affine_grid: an axis of length 1 has no two corners to align, its one point lies at 0",
            UserWarning,
            stacklevel=2,
        )
    return _grid_sample.affine_points(maps, sizes[2:], corners)

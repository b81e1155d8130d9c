"""Resizing of the spatial axes: ``interpolate``, and torch's deprecated names of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnn.functional.arrays import ArrayLike, is_concrete
from fnn.functional.checks import (
    as_array,
    as_int,
    check_choice,
    check_floating,
    check_rank,
    fail,
)
from fnn.functional.explained import explained
from fnn.functional.pooling.adaptive import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from fnn.functional.vision import resample
from fnn.stateful.warning import warn

__all__ = [
    "interpolate",
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


@explained
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
        >>> import jax.numpy as jnp
        >>> interpolate(jnp.asarray([[[0.0, 4.0]]]), scale_factor=2, mode="linear").tolist()
        [[[0.0, 1.0, 3.0, 4.0]]]
    """
    return _interpolate(
        "interpolate", input, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
    )


def _interpolate(
    name: str,
    input: ArrayLike,
    size: int | Sequence[int] | None,
    scale_factor: float | Sequence[float] | None,
    mode: str,
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> jax.Array:
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
        if min(sizes) < 1:
            fail(ValueError, name, "size", "at least 1 along each axis", tuple(sizes))
    else:
        factors = [_check_factor(name, f) for f in _per_axis(name, "scale_factor", scale_factor, len(spatial))]
        if not np.isfinite(factors).all():
            fail(ValueError, name, "scale_factor", "finite", scale_factor)
        sizes = [resample.output_size(s, f) for s, f in zip(spatial, factors, strict=True)]
        if min(sizes) < 1:
            expected = "such that the output size is at least 1 along each axis"
            fail(ValueError, name, "scale_factor", expected, scale_factor)
        if not recompute_scale_factor:
            scales = list(factors)
    if 0 in spatial:
        fail(ValueError, name, "input", "of non-zero length along each spatial axis", x)
    if mode not in ("nearest", "nearest-exact") and not (x.dtype == jnp.uint8 and x.ndim == 4 and mode != "area"):
        check_floating(name, input=x)
    if mode == "area":
        pools = (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)
        return pools[len(spatial) - 1](x, tuple(sizes))
    return resample.resample(x, tuple(sizes), tuple(scales), mode, bool(align_corners), bool(antialias))


def _warn_deprecated(function: str) -> None:
    # A UserWarning, as in torch, so that filters written for torch scripts hold.
    warn(f"{function} is deprecated, use interpolate instead")


@explained
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
        >>> import warnings
        >>> import jax.numpy as jnp
        >>> with warnings.catch_warnings(action="ignore"):
        ...     upsample(jnp.asarray([[[1.0, 2.0]]]), scale_factor=2).tolist()
        [[[1.0, 1.0, 2.0, 2.0]]]
    """
    _warn_deprecated("upsample")
    return _interpolate("upsample", input, size, scale_factor, mode, align_corners)


@explained
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
        >>> import warnings
        >>> import jax.numpy as jnp
        >>> with warnings.catch_warnings(action="ignore"):
        ...     upsample_nearest(jnp.asarray([[[1.0, 2.0]]]), scale_factor=2).tolist()
        [[[1.0, 1.0, 2.0, 2.0]]]
    """
    _warn_deprecated("upsample_nearest")
    return _interpolate("upsample_nearest", input, size, scale_factor, "nearest")


@explained
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
        >>> import warnings
        >>> import jax.numpy as jnp
        >>> with warnings.catch_warnings(action="ignore"):
        ...     upsample_bilinear(jnp.asarray([[[[1.0, 2.0]]]]), size=(1, 3)).tolist()
        [[[[1.0, 1.5, 2.0]]]]
    """
    _warn_deprecated("upsample_bilinear")
    return _interpolate("upsample_bilinear", input, size, scale_factor, "bilinear", True)

"""Normalization over trailing axes, groups of channels and neighbouring channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnn.functional.arrays import ArrayLike, widen
from fnn.functional.checks import (
    as_array,
    as_int,
    as_optional_array,
    check_floating,
    check_same_dtype,
    check_shape,
    fail,
)
from fnn.functional.explained import explained
from fnn.functional.moments import (
    affine,
    channelwise,
    compiled_for_each_eps,
    normalize_by_moments,
)

__all__ = [
    "group_norm",
    "layer_norm",
    "local_response_norm",
    "rms_norm",
]


def _trailing(function: str, x: jax.Array, normalized_shape: Any) -> tuple[int, ...]:
    """The normalized axes, after checking that the input ends with their lengths."""
    if not isinstance(normalized_shape, Sequence) or isinstance(normalized_shape, str):
        fail(TypeError, function, "normalized_shape", "a tuple of ints", normalized_shape)
    shape = tuple(as_int(function, "normalized_shape", n, 0) for n in normalized_shape)
    if not shape:
        fail(ValueError, function, "normalized_shape", "of at least 1 length", normalized_shape)
    if x.shape[-len(shape) :] != shape or x.ndim < len(shape):
        wanted = "[*, " + ", ".join(map(str, shape)) + "]"
        fail(ValueError, function, "input", f"of shape {wanted}", x)
    return shape


def _check_affine(
    function: str, x: jax.Array, weight: jax.Array | None, bias: jax.Array | None, shape: tuple[int, ...]
) -> None:
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None:
            check_shape(function, name, value, shape)
    check_floating(function, input=x, weight=weight, bias=bias)
    check_same_dtype(function, input=x, weight=weight, bias=bias)


@explained
def layer_norm(
    input: ArrayLike,
    normalized_shape: Sequence[int],
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    eps: float = 1e-5,
) -> jax.Array:
    """Normalizes over the trailing axes, ``(x - mean) / sqrt(var + eps) * weight + bias`` (Ba et al., 2016).

    Args:
        input: array.
        normalized_shape: lengths of the trailing axes.
        weight: elementwise scale.
        bias: elementwise shift.
        eps: added to the variance.

    Shape:
        - input: (*, *normalized_shape).
        - weight, bias: normalized_shape.
        - output: as the input.

    Returns:
        the normalized array.

    Raises:
        TypeError: if a dtype is not floating, the dtypes differ, or ``normalized_shape`` is an int.
        ValueError: if a shape does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.layer_norm.html

    Example:
        >>> import jax.numpy as jnp
        >>> layer_norm(jnp.array([1.0, 3.0]), (2,)).round(3).tolist()
        [-1.0, 1.0]
    """
    x = as_array("layer_norm", "input", input)
    w = as_optional_array("layer_norm", "weight", weight)
    b = as_optional_array("layer_norm", "bias", bias)
    shape = _trailing("layer_norm", x, normalized_shape)
    _check_affine("layer_norm", x, w, b, shape)
    return normalize_by_moments(x, w, b, eps, tuple(range(x.ndim - len(shape), x.ndim)))


@partial(jax.jit, static_argnames="axes")
def _rms_norm(
    x: jax.Array, weight: jax.Array | None, eps: float | jax.Array | None, axes: tuple[int, ...]
) -> jax.Array:
    wide = widen(x)
    least = np.finfo(wide.dtype).eps if eps is None else eps
    scale = lax.rsqrt(jnp.mean(jnp.square(wide), axes, keepdims=True) + least)
    return affine(wide * scale, weight, None, x.dtype)


@explained
def rms_norm(
    input: ArrayLike,
    normalized_shape: Sequence[int],
    weight: ArrayLike | None = None,
    eps: float | None = None,
) -> jax.Array:
    """Divides by the root mean square over the trailing axes, ``x / sqrt(mean(x**2) + eps) * weight`` (Zhang and Sennrich, 2019).

    Args:
        input: array.
        normalized_shape: lengths of the trailing axes.
        weight: elementwise scale.
        eps: added to the mean square; ``None`` is the machine epsilon of the dtype computed in.

    Shape:
        - input: (*, *normalized_shape).
        - weight: normalized_shape.
        - output: as the input.

    Returns:
        the normalized array.

    Raises:
        TypeError: if a dtype is not floating, the dtypes differ, or ``normalized_shape`` is an int.
        ValueError: if a shape does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.rms_norm.html

    Example:
        >>> import jax.numpy as jnp
        >>> rms_norm(jnp.array([3.0, 3.0]), (2,)).round(3).tolist()
        [1.0, 1.0]
    """
    x = as_array("rms_norm", "input", input)
    w = as_optional_array("rms_norm", "weight", weight)
    shape = _trailing("rms_norm", x, normalized_shape)
    _check_affine("rms_norm", x, w, None, shape)
    return _rms_norm(x, w, eps, tuple(range(x.ndim - len(shape), x.ndim)))


@compiled_for_each_eps("groups")
def _group_norm(
    x: jax.Array, weight: jax.Array | None, bias: jax.Array | None, eps: float | jax.Array, groups: int
) -> jax.Array:
    grouped = widen(x).reshape((x.shape[0], groups, x.shape[1] // groups, *x.shape[2:]))
    out = normalize_by_moments(grouped, None, None, eps, tuple(range(2, grouped.ndim))).reshape(x.shape)
    weight, bias = (None if v is None else channelwise(v, x.ndim) for v in (weight, bias))
    return affine(out, weight, bias, x.dtype)


@explained
def group_norm(
    input: ArrayLike,
    num_groups: int,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    eps: float = 1e-5,
) -> jax.Array:
    """Normalizes each group of channels of each sample, ``(x - mean) / sqrt(var + eps) * weight + bias`` (Wu and He, 2018).

    Args:
        input: array with channels on axis 1.
        num_groups: number of groups; it divides the channels.
        weight: scale of each channel.
        bias: shift of each channel.
        eps: added to the variance.

    Shape:
        - input: (N, C, *).
        - weight, bias: (C).
        - output: (N, C, *).

    Returns:
        the normalized array.

    Raises:
        TypeError: if a dtype is not floating, or the dtypes differ.
        ValueError: if a shape does not fit, ``num_groups`` does not divide C, or the one group of one sample is one value.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.group_norm.html

    Example:
        >>> import jax.numpy as jnp
        >>> group_norm(jnp.array([[1.0, 3.0]]), 1).round(3).tolist()
        [[-1.0, 1.0]]
    """
    x = as_array("group_norm", "input", input)
    w = as_optional_array("group_norm", "weight", weight)
    b = as_optional_array("group_norm", "bias", bias)
    if x.ndim < 2:
        fail(ValueError, "group_norm", "input", "at least 2-D", x)
    groups = as_int("group_norm", "num_groups", num_groups, 1)
    if x.shape[1] % groups != 0:
        fail(ValueError, "group_norm", "num_groups", f"a divisor of the {x.shape[1]} channels", groups)
    if math.prod((x.shape[0] * x.shape[1] // groups, *x.shape[2:])) == 1:
        fail(ValueError, "group_norm", "input", "of more than 1 value per group", x)
    _check_affine("group_norm", x, w, b, (x.shape[1],))
    return _group_norm(x, w, b, eps, groups)


@partial(jax.jit, static_argnames="size")
def _local_response_norm(x: jax.Array, size: int, alpha: float, beta: float, k: float) -> jax.Array:
    window = (1, size) + (1,) * (x.ndim - 2)
    pads = ((0, 0), (size // 2, (size - 1) // 2)) + ((0, 0),) * (x.ndim - 2)
    squares = lax.reduce_window(widen(x) ** 2, 0.0, lax.add, window, (1,) * x.ndim, pads)
    return (x / (k + alpha * squares / size) ** beta).astype(x.dtype)


@explained
def local_response_norm(
    input: ArrayLike, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> jax.Array:
    """Divides by a power of the mean square over neighbouring channels, ``x / (k + alpha * mean)^beta``.

    Args:
        input: array with channels on axis 1.
        size: number of neighbouring channels.
        alpha: factor of the mean square.
        beta: exponent.
        k: added constant.

    Shape:
        - input: (N, C, *) with at least one position axis.
        - output: (N, C, *).

    Returns:
        the normalized array.

    Raises:
        TypeError: if the dtype is not floating.
        ValueError: if the input has fewer than 3 axes, or ``size`` is not positive.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.local_response_norm.html

    Example:
        >>> import jax.numpy as jnp
        >>> local_response_norm(jnp.ones((1, 1, 1)), 1, alpha=1.0, beta=1.0).tolist()
        [[[0.5]]]
    """
    x = as_array("local_response_norm", "input", input)
    if x.ndim < 3:
        fail(ValueError, "local_response_norm", "input", "at least 3-D", x)
    check_floating("local_response_norm", input=x)
    size = as_int("local_response_norm", "size", size, 1)
    return _local_response_norm(x, size, alpha, beta, k)


@partial(jax.jit, static_argnames="size")
def _cross_map_lrn(x: jax.Array, size: int, alpha: float, beta: float, k: float) -> jax.Array:
    reach = (size + 1) // 2
    wide = widen(x) ** 2
    pads = ((0, 0), (reach - 1, reach - 1), (0, 0), (0, 0))
    squares = lax.reduce_window(wide, 0.0, lax.add, (1, 2 * reach - 1, 1, 1), (1, 1, 1, 1), pads)
    # torch's running sum never lets go of the first channel.
    beyond = (jnp.arange(x.shape[1]) >= reach).astype(wide.dtype)
    squares = squares + channelwise(beyond, 4) * wide[:, :1]
    return (x * (k + alpha / size * squares) ** -beta).astype(x.dtype)


def cross_map_lrn(input: ArrayLike, size: int, alpha: float, beta: float, k: float) -> jax.Array:
    """The rule of ``torch.nn.CrossMapLRN2d``, of which torch has no public function.

    ``local_response_norm`` with the window of an odd ``size``, save that from channel ``(size + 1) // 2`` on the square of
    the first channel stays in the sum; the gradient is the true one of this value.

    Args:
        input: images.
        size: number of neighbouring channels.
        alpha: factor of the mean square.
        beta: exponent.
        k: added constant.

    Shape:
        - input, output: (N, C, H, W).

    Returns:
        the normalized array.

    Raises:
        TypeError: if the dtype is not floating.
        ValueError: if the input is not 4-D, or ``size`` is not positive.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.CrossMapLRN2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> cross_map_lrn(jnp.ones((1, 1, 1, 1)), 1, 1.0, 1.0, 1.0).tolist()
        [[[[0.5]]]]
    """
    x = as_array("CrossMapLRN2d", "input", input)
    if x.ndim != 4:
        fail(ValueError, "CrossMapLRN2d", "input", "4-D", x)
    check_floating("CrossMapLRN2d", input=x)
    return _cross_map_lrn(x, as_int("CrossMapLRN2d", "size", size, 1), alpha, beta, k)

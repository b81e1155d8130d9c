"""Normalization over batches, instances, groups, trailing axes and neighbouring channels."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial, wraps
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from fnn.functional.arrays import ArrayLike, is_concrete, to_wide
from fnn.functional.checks import (
    as_array,
    as_int,
    as_optional_array,
    check_floating,
    check_same_dtype,
    check_shape,
    fail,
)
from fnn.kernels.normalize import batch_moments, moments, normalize

__all__ = [
    "batch_norm",
    "batch_norm_update",
    "group_norm",
    "instance_norm",
    "instance_norm_update",
    "layer_norm",
    "local_response_norm",
    "rms_norm",
]


AxisName = Hashable | tuple[Hashable, ...]


def _axis_size(function: str, axis_name: AxisName | None) -> int:
    """The length of a named axis, or the product of those of a tuple of names."""
    if axis_name is None:
        return 1
    try:
        return lax.axis_size(axis_name)
    except NameError:
        raise ValueError(
            f"{function}: axis_name must name an axis of an enclosing vmap, shard_map or pmap, got {axis_name!r}"
        ) from None


def _channelwise(value: jax.Array, ndim: int) -> jax.Array:
    """A vector of channels shaped to broadcast along axis 1."""
    return value.reshape((1, -1) + (1,) * (ndim - 2))


def _affine(x: jax.Array, weight: jax.Array | None, bias: jax.Array | None, dtype: Any) -> jax.Array:
    if weight is not None:
        x = x * weight.astype(x.dtype)
    if bias is not None:
        x = x + bias.astype(x.dtype)
    return x.astype(dtype)


def _check_positive_eps(function: str, eps: Any) -> None:
    if eps is not None and is_concrete(eps) and not eps >= 0:
        fail(ValueError, function, "eps", "at least 0", eps)


def _check_statistics(function: str, x: jax.Array, names: dict[str, jax.Array | None], channels: int) -> None:
    for name, value in names.items():
        if value is not None:
            check_shape(function, name, value, (channels,), f"to suit the channels of input {list(x.shape)}")
    check_floating(function, input=x, **names)
    statistics = {k: v for k, v in names.items() if v is not None}
    if x.dtype in (jnp.float16, jnp.bfloat16):
        # torch lets parameters and statistics of half inputs be float32.
        statistics = {k: v for k, v in statistics.items() if v.dtype != jnp.float32}
    check_same_dtype(function, input=x, **statistics)


@jax.jit
def _normalize_by_channel(x: Any, mean: Any, var: Any, weight: Any, bias: Any, eps: Any) -> jax.Array:
    wide = to_wide(x)
    mean, var = (_channelwise(v, x.ndim).astype(wide.dtype) for v in (mean, var))
    weight, bias = (None if v is None else _channelwise(v, x.ndim) for v in (weight, bias))
    return _affine((wide - mean) * lax.rsqrt(var + eps), weight, bias, x.dtype)


def _compiled(*static: str) -> Callable[[Callable[..., jax.Array]], Callable[..., jax.Array]]:
    """Compiles a function of (x, weight, bias, eps, ...) for each eps; one that is traced is within a program already."""

    def decorate(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
        compiled = jax.jit(function, static_argnames=("eps", *static))

        @wraps(function)
        def call(x: Any, weight: Any, bias: Any, eps: Any, *rest: Any) -> jax.Array:
            if is_concrete(eps):
                return compiled(x, weight, bias, float(eps), *rest)
            return function(x, weight, bias, eps, *rest)

        return call

    return decorate


@_compiled("axes", "axis_name")
def _normalize_by_moments(
    x: Any, weight: Any, bias: Any, eps: Any, axes: tuple[int, ...], axis_name: AxisName | None = None
) -> jax.Array:
    """By the moments over the axes; ``weight`` and ``bias`` broadcast to ``x``, with any number of axes."""
    wide = to_wide(x)
    if axis_name is None and is_concrete(eps):
        weight, bias = (None if v is None else v.reshape((1,) * (x.ndim - v.ndim) + v.shape) for v in (weight, bias))
        return normalize(wide, weight, bias, eps, axes).astype(x.dtype)
    mean, var = moments(wide, axes, axis_name)
    return _affine((wide - mean) * lax.rsqrt(var + eps), weight, bias, x.dtype)


def _batch_axes(x: jax.Array) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


def _check_batch_size(function: str, x: jax.Array, replicas: int) -> None:
    count = x.size // x.shape[1] if x.shape[1] else 0
    if count * replicas == 1:
        fail(ValueError, function, "input", "of more than 1 value per channel when training", x)


def batch_norm(
    input: ArrayLike,
    running_mean: ArrayLike | None,
    running_var: ArrayLike | None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    axis_name: AxisName | None = None,
) -> jax.Array:
    """Normalizes each channel over the batch, ``(x - mean) / sqrt(var + eps) * weight + bias`` (Ioffe and Szegedy, 2015).

    Nothing is changed in place: ``batch_norm_update`` returns the new running statistics.

    Args:
        input: array with channels on axis 1.
        running_mean: means used when not training.
        running_var: variances used when not training.
        weight: scale of each channel.
        bias: shift of each channel.
        training: whether to use the statistics of the batch.
        momentum: accepted for torch's signature; see ``batch_norm_update``.
        eps: added to the variance.
        axis_name: axis (or axes) of an enclosing ``vmap``, ``shard_map`` or ``pmap`` over which the batch is spread; when
            training the statistics are those of the whole.

    Shape:
        - input: (N, C, *).
        - running_mean, running_var, weight, bias: (C).
        - output: (N, C, *).

    Returns:
        the normalized array.

    Raises:
        TypeError: if a dtype is not floating, or the dtypes differ.
        ValueError: if a shape does not fit, training sees one value a channel, or there is no axis ``axis_name``.
        RuntimeError: if running statistics are missing when not training.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.batch_norm.html

    Example:
        >>> import jax.numpy as jnp
        >>> batch_norm(jnp.array([[1.0], [3.0]]), None, None, training=True).round(3).tolist()
        [[-1.0], [1.0]]
    """
    x = as_array("batch_norm", "input", input)
    if x.ndim < 2:
        fail(ValueError, "batch_norm", "input", "at least 2-D", x)
    names = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    arrays = {k: as_optional_array("batch_norm", k, v) for k, v in names.items()}
    _check_statistics("batch_norm", x, arrays, x.shape[1])
    _check_positive_eps("batch_norm", eps)
    w, b = arrays["weight"], arrays["bias"]
    if training:
        _check_batch_size("batch_norm", x, _axis_size("batch_norm", axis_name))
        scale, shift = (None if v is None else _channelwise(v, x.ndim) for v in (w, b))
        return _normalize_by_moments(x, scale, shift, eps, _batch_axes(x), axis_name)
    mean, var = arrays["running_mean"], arrays["running_var"]
    if mean is None or var is None:
        raise RuntimeError("batch_norm: running_mean and running_var must be given when training is False, got None")
    return _normalize_by_channel(x, mean, var, w, b, eps)


@partial(jax.jit, static_argnames=("axes", "axis_name"))
def _updated(
    x: Any, mean: Any, var: Any, momentum: Any, axes: tuple[int, ...], axis_name: AxisName | None
) -> tuple[jax.Array, jax.Array]:
    wide = lax.stop_gradient(to_wide(x))
    batch_mean, batch_var = batch_moments(wide, axes) if axis_name is None else moments(wide, axes, axis_name)
    count = 1 if axis_name is None else lax.axis_size(axis_name)
    for axis in axes:
        count *= x.shape[axis]
    # With one value the unbiased variance is 0/0, NaN as in torch.
    unbiased = batch_var * (jnp.asarray(count, wide.dtype) / jnp.asarray(count - 1, wide.dtype))
    if batch_mean.shape[0] > 1:
        batch_mean, unbiased = batch_mean.mean(0), unbiased.mean(0)

    def blend(old: jax.Array, new: jax.Array) -> jax.Array:
        rate = jnp.asarray(momentum).astype(old.dtype)
        return (1 - rate) * old + rate * new.reshape(old.shape).astype(old.dtype)

    return blend(mean, batch_mean), blend(var, unbiased)


def _update(
    function: str,
    input: ArrayLike,
    running_mean: ArrayLike,
    running_var: ArrayLike,
    momentum: Any,
    axes_from: int,
    axis_name: AxisName | None = None,
) -> tuple[jax.Array, jax.Array]:
    x = as_array(function, "input", input)
    if x.ndim < 2 + (axes_from == 2):
        fail(ValueError, function, "input", f"at least {2 + (axes_from == 2)}-D", x)
    arrays = {
        "running_mean": as_array(function, "running_mean", running_mean),
        "running_var": as_array(function, "running_var", running_var),
    }
    _check_statistics(function, x, dict(arrays), x.shape[1])
    if momentum is None:
        fail(TypeError, function, "momentum", "a number", momentum)
    _axis_size(function, axis_name)
    axes = _batch_axes(x) if axes_from == 0 else tuple(range(2, x.ndim))
    return _updated(x, arrays["running_mean"], arrays["running_var"], momentum, axes, axis_name)


def batch_norm_update(
    input: ArrayLike,
    running_mean: ArrayLike,
    running_var: ArrayLike,
    momentum: Any = 0.1,
    *,
    axis_name: AxisName | None = None,
) -> tuple[jax.Array, jax.Array]:
    """The running statistics after a batch: ``(1 - momentum) * old + momentum * batch``, with the unbiased variance.

    Args:
        input: the batch, with channels on axis 1.
        running_mean: old means.
        running_var: old variances.
        momentum: weight of the batch, a number or an array; ``1 / n`` at the n-th batch averages over all batches.
        axis_name: axis (or axes) of an enclosing ``vmap``, ``shard_map`` or ``pmap`` over which the batch is spread.

    Shape:
        - input: (N, C, *).
        - running_mean, running_var: (C).

    Returns:
        the new ``(running_mean, running_var)``; constants to autodiff.

    Raises:
        TypeError: if the dtypes differ or ``momentum`` is ``None``.
        ValueError: if a shape does not fit, or there is no axis ``axis_name``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.BatchNorm1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> mean, var = batch_norm_update(jnp.array([[1.0], [3.0]]), jnp.zeros(1), jnp.ones(1), 0.5)
        >>> mean.tolist(), var.tolist()
        ([1.0], [1.5])
    """
    return _update("batch_norm_update", input, running_mean, running_var, momentum, 0, axis_name)


def instance_norm(
    input: ArrayLike,
    running_mean: ArrayLike | None = None,
    running_var: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> jax.Array:
    """Normalizes each channel of each sample over its positions (Ulyanov et al., 2016).

    Nothing is changed in place: ``instance_norm_update`` returns the new running statistics.

    Args:
        input: array with channels on axis 1.
        running_mean: means used with ``use_input_stats`` false.
        running_var: variances used with ``use_input_stats`` false.
        weight: scale of each channel.
        bias: shift of each channel.
        use_input_stats: whether to use the statistics of the sample.
        momentum: accepted for torch's signature; see ``instance_norm_update``.
        eps: added to the variance.

    Shape:
        - input: (N, C, *) with at least one position axis.
        - running_mean, running_var, weight, bias: (C).
        - output: (N, C, *).

    Returns:
        the normalized array.

    Raises:
        TypeError: if a dtype is not floating, or the dtypes differ.
        ValueError: if a shape does not fit, or a sample has one position.
        RuntimeError: if running statistics are missing when they are to be used.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.instance_norm.html

    Example:
        >>> import jax.numpy as jnp
        >>> instance_norm(jnp.array([[[1.0, 3.0]]])).round(3).tolist()
        [[[-1.0, 1.0]]]
    """
    x = as_array("instance_norm", "input", input)
    if x.ndim < 3:
        fail(ValueError, "instance_norm", "input", "at least 3-D", x)
    names = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    arrays = {k: as_optional_array("instance_norm", k, v) for k, v in names.items()}
    _check_statistics("instance_norm", x, arrays, x.shape[1])
    _check_positive_eps("instance_norm", eps)
    w, b = arrays["weight"], arrays["bias"]
    if use_input_stats:
        positions = 1
        for n in x.shape[2:]:
            positions *= n
        if positions == 1:
            fail(ValueError, "instance_norm", "input", "of more than 1 position when its statistics are used", x)
        scale, shift = (None if v is None else _channelwise(v, x.ndim) for v in (w, b))
        return _normalize_by_moments(x, scale, shift, eps, tuple(range(2, x.ndim)))
    mean, var = arrays["running_mean"], arrays["running_var"]
    if mean is None or var is None:
        raise RuntimeError(
            "instance_norm: running_mean and running_var must be given when use_input_stats is False, got None"
        )
    return _normalize_by_channel(x, mean, var, w, b, eps)


def instance_norm_update(
    input: ArrayLike, running_mean: ArrayLike, running_var: ArrayLike, momentum: Any = 0.1
) -> tuple[jax.Array, jax.Array]:
    """The running statistics after a batch: its samples' means and unbiased variances, averaged, weighted by ``momentum``.

    Args:
        input: the batch, with channels on axis 1.
        running_mean: old means.
        running_var: old variances.
        momentum: weight of the batch.

    Shape:
        - input: (N, C, *) with at least one position axis.
        - running_mean, running_var: (C).

    Returns:
        the new ``(running_mean, running_var)``; constants to autodiff.

    Raises:
        TypeError: if the dtypes differ or ``momentum`` is ``None``.
        ValueError: if a shape does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.InstanceNorm1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> mean, var = instance_norm_update(jnp.array([[[1.0, 3.0]]]), jnp.zeros(1), jnp.ones(1), 0.5)
        >>> mean.tolist(), var.tolist()
        ([1.0], [1.5])
    """
    return _update("instance_norm_update", input, running_mean, running_var, momentum, 2)


def _trailing(function: str, x: jax.Array, normalized_shape: Any) -> tuple[int, ...]:
    """The normalized axes, after checking that the input ends with their lengths."""
    items = normalized_shape if isinstance(normalized_shape, Sequence) else (normalized_shape,)
    shape = tuple(as_int(function, "normalized_shape", n, 0) for n in items)
    if not shape:
        fail(ValueError, function, "normalized_shape", "of at least 1 length", normalized_shape)
    if x.shape[-len(shape) :] != shape or x.ndim < len(shape):
        wanted = "[*, " + ", ".join(map(str, shape)) + "]"
        fail(ValueError, function, "input", f"of shape {wanted}", x)
    return shape


def layer_norm(
    input: ArrayLike,
    normalized_shape: int | Sequence[int],
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
        TypeError: if a dtype is not floating, or the dtypes differ.
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
    _check_positive_eps("layer_norm", eps)
    return _normalize_by_moments(x, w, b, eps, tuple(range(x.ndim - len(shape), x.ndim)))


def _check_affine(function: str, x: Any, weight: Any, bias: Any, shape: tuple[int, ...]) -> None:
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None:
            check_shape(function, name, value, shape)
    check_floating(function, input=x, weight=weight, bias=bias)
    check_same_dtype(function, input=x, weight=weight, bias=bias)


@partial(jax.jit, static_argnames="axes")
def _rms_norm(x: Any, weight: Any, eps: Any, axes: tuple[int, ...]) -> jax.Array:
    wide = to_wide(x)
    scale = lax.rsqrt(jnp.mean(jnp.square(wide), axes, keepdims=True) + eps)
    return _affine(wide * scale, weight, None, x.dtype)


def rms_norm(
    input: ArrayLike,
    normalized_shape: int | Sequence[int],
    weight: ArrayLike | None = None,
    eps: float | None = None,
) -> jax.Array:
    """Divides by the root mean square over the trailing axes (Zhang and Sennrich, 2019).

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
        TypeError: if a dtype is not floating, or the dtypes differ.
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
    _check_positive_eps("rms_norm", eps)
    if eps is None:
        eps = float(jnp.finfo(jnp.promote_types(x.dtype, jnp.float32)).eps)
    return _rms_norm(x, w, eps, tuple(range(x.ndim - len(shape), x.ndim)))


@_compiled("groups")
def _group_norm(x: Any, weight: Any, bias: Any, eps: Any, groups: int) -> jax.Array:
    parted = to_wide(x).reshape((x.shape[0], groups, x.shape[1] // groups, *x.shape[2:]))
    out = _normalize_by_moments(parted, None, None, eps, tuple(range(2, parted.ndim))).reshape(x.shape)
    weight, bias = (None if v is None else _channelwise(v, x.ndim) for v in (weight, bias))
    return _affine(out, weight, bias, x.dtype)


def group_norm(
    input: ArrayLike,
    num_groups: int,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    eps: float = 1e-5,
) -> jax.Array:
    """Normalizes each group of channels of each sample (Wu and He, 2018).

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
        ValueError: if a shape does not fit, or ``num_groups`` does not divide C.

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
    _check_affine("group_norm", x, w, b, (x.shape[1],))
    _check_positive_eps("group_norm", eps)
    return _group_norm(x, w, b, eps, groups)


@partial(jax.jit, static_argnames="size")
def _local_response_norm(x: Any, size: int, alpha: Any, beta: Any, k: Any) -> jax.Array:
    window = (1, size) + (1,) * (x.ndim - 2)
    pads = ((0, 0), (size // 2, (size - 1) // 2)) + ((0, 0),) * (x.ndim - 2)
    squares = lax.reduce_window(to_wide(x) ** 2, 0.0, lax.add, window, (1,) * x.ndim, pads)
    return (x / (k + alpha * squares / size) ** beta).astype(x.dtype)


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
def _cross_map_lrn(x: Any, size: int, alpha: Any, beta: Any, k: Any) -> jax.Array:
    reach = (size + 1) // 2
    wide = to_wide(x) ** 2
    pads = ((0, 0), (reach - 1, reach - 1), (0, 0), (0, 0))
    squares = lax.reduce_window(wide, 0.0, lax.add, (1, 2 * reach - 1, 1, 1), (1, 1, 1, 1), pads)
    # torch's running sum never lets go of the first channel.
    beyond = (jnp.arange(x.shape[1]) >= reach).astype(wide.dtype)
    squares = squares + _channelwise(beyond, 4) * wide[:, :1]
    return (x * (k + alpha / size * squares) ** -beta).astype(x.dtype)


def cross_map_lrn(input: ArrayLike, size: int, alpha: float, beta: float, k: float) -> jax.Array:
    """What ``torch.nn.CrossMapLRN2d`` computes; torch has no public function of it.

    ``local_response_norm`` with the window of an odd ``size``, save that from channel ``(size + 1) // 2`` on the square of
    the first channel stays in the sum; the gradient is the true one of this value.

    Raises:
        TypeError: if the dtype is not floating.
        ValueError: if the input is not 4-D, or ``size`` is not positive.
    """
    x = as_array("CrossMapLRN2d", "input", input)
    if x.ndim != 4:
        fail(ValueError, "CrossMapLRN2d", "input", "4-D", x)
    check_floating("CrossMapLRN2d", input=x)
    return _cross_map_lrn(x, as_int("CrossMapLRN2d", "size", size, 1), alpha, beta, k)

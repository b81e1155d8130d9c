"""Normalization by moments or by running statistics, and the update of those: the arithmetic of all the norms."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial, wraps
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from fnn.functional.arrays import ArrayLike, is_concrete, known, widen
from fnn.functional.checks import (
    as_array,
    as_optional_array,
    check_floating,
    check_same_dtype,
    check_shape,
    fail,
)
from fnn.kernels.normalize import batch_moments, moments, normalize
from fnn.stateful.boxes import Box

AxisName = Hashable | tuple[Hashable, ...]


def axis_size(function: str, axis_name: AxisName | None) -> int:
    """The length of a named axis, or the product of those of a tuple of names."""
    if axis_name is None:
        return 1
    try:
        return lax.axis_size(axis_name)
    except NameError:
        raise ValueError(
            f"{function}: axis_name must name an axis of an enclosing vmap, shard_map or pmap, got {axis_name!r}"
        ) from None


def channelwise(value: jax.Array, ndim: int) -> jax.Array:
    """A vector of channels shaped to broadcast along axis 1."""
    return value.reshape((1, -1) + (1,) * (ndim - 2))


def affine(x: jax.Array, weight: jax.Array | None, bias: jax.Array | None, dtype: jnp.dtype) -> jax.Array:
    """``x * weight + bias`` in ``dtype``."""
    if weight is not None:
        x = x * weight.astype(x.dtype)
    if bias is not None:
        x = x + bias.astype(x.dtype)
    return x.astype(dtype)


def check_eps(function: str, eps: Any) -> None:
    least = None if eps is None else known(eps)
    if least is not None and not least >= 0:
        fail(ValueError, function, "eps", "at least 0", eps)


def check_statistics(function: str, x: jax.Array, names: dict[str, jax.Array | None], channels: int) -> None:
    for name, value in names.items():
        if value is not None:
            check_shape(function, name, value, (channels,), f"to suit the channels of input {list(x.shape)}")
    check_floating(function, input=x, **names)
    statistics = {k: v for k, v in names.items() if v is not None}
    if x.dtype in (jnp.float16, jnp.bfloat16):
        # torch lets parameters and statistics of half inputs be float32.
        statistics = {k: v for k, v in statistics.items() if v.dtype != jnp.float32}
    check_same_dtype(function, input=x, **statistics)


def check_arguments(
    function: str,
    x: jax.Array,
    running_mean: ArrayLike | None,
    running_var: ArrayLike | None,
    weight: ArrayLike | None,
    bias: ArrayLike | None,
    eps: float | jax.Array,
) -> dict[str, jax.Array | None]:
    """The four vectors of a norm with running statistics as arrays, checked against the input."""
    if (running_mean is None) != (running_var is None):
        raise ValueError(
            f"{function}: running_mean and running_var must both be given or both be None, got one of them"
        )
    given = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    arrays = {name: as_optional_array(function, name, value) for name, value in given.items()}
    check_statistics(function, x, arrays, x.shape[1])
    check_eps(function, eps)
    return arrays


def normalize_by_running_statistics(
    function: str, flag: str, x: jax.Array, arrays: dict[str, jax.Array | None], eps: float | jax.Array
) -> jax.Array:
    """By the running statistics among the arrays; RuntimeError, naming the flag that asks for them, if one is missing."""
    mean, var = arrays["running_mean"], arrays["running_var"]
    if mean is None or var is None:
        raise RuntimeError(f"{function}: running_mean and running_var must be given when {flag} is False, got None")
    return normalize_by_channel(x, mean, var, arrays["weight"], arrays["bias"], eps)


@jax.jit
def normalize_by_channel(
    x: jax.Array,
    mean: jax.Array,
    var: jax.Array,
    weight: jax.Array | None,
    bias: jax.Array | None,
    eps: float | jax.Array,
) -> jax.Array:
    """By one mean and variance a channel, then scaled and shifted by ``weight`` and ``bias``."""
    wide = widen(x)
    mean, var = (channelwise(v, x.ndim).astype(wide.dtype) for v in (mean, var))
    weight, bias = (None if v is None else channelwise(v, x.ndim) for v in (weight, bias))
    return affine((wide - mean) * lax.rsqrt(var + eps), weight, bias, x.dtype)


def compiled_for_each_eps(*static: str) -> Callable[[Callable[..., jax.Array]], Callable[..., jax.Array]]:
    """Compiles a function of (x, weight, bias, eps, ...) for each eps; one that is traced is within a program already."""

    def decorate(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
        compiled = jax.jit(function, static_argnames=("eps", *static))

        @wraps(function)
        def call(
            x: jax.Array, weight: jax.Array | None, bias: jax.Array | None, eps: float | jax.Array, *rest: Any
        ) -> jax.Array:
            if is_concrete(eps):
                return compiled(x, weight, bias, float(eps), *rest)
            return function(x, weight, bias, eps, *rest)

        return call

    return decorate


@compiled_for_each_eps("axes", "axis_name")
def normalize_by_moments(
    x: jax.Array,
    weight: jax.Array | None,
    bias: jax.Array | None,
    eps: float | jax.Array,
    axes: tuple[int, ...],
    axis_name: AxisName | None = None,
) -> jax.Array:
    """By the moments over the axes; ``weight`` and ``bias`` broadcast to ``x``, with any number of axes."""
    wide = widen(x)
    if axis_name is None and is_concrete(eps):
        weight, bias = (None if v is None else v.reshape((1,) * (x.ndim - v.ndim) + v.shape) for v in (weight, bias))
        return normalize(wide, weight, bias, float(eps), axes).astype(x.dtype)
    mean, var = moments(wide, axes, axis_name)
    return affine((wide - mean) * lax.rsqrt(var + eps), weight, bias, x.dtype)


def batch_axes(x: jax.Array) -> tuple[int, ...]:
    """All axes but that of the channels."""
    return (0, *range(2, x.ndim))


@partial(jax.jit, static_argnames=("axes", "axis_name"))
def _blended(
    x: jax.Array,
    mean: jax.Array,
    var: jax.Array,
    momentum: float | jax.Array,
    axes: tuple[int, ...],
    axis_name: AxisName | None,
) -> tuple[jax.Array, jax.Array]:
    wide = lax.stop_gradient(widen(x))
    batch_mean, batch_var = batch_moments(wide, axes) if axis_name is None else moments(wide, axes, axis_name)
    count = 1 if axis_name is None else lax.axis_size(axis_name)
    for axis in axes:
        count *= x.shape[axis]
    # With one value the unbiased variance is 0/0, NaN as in torch.
    unbiased = batch_var * (jnp.asarray(count, wide.dtype) / jnp.asarray(count - 1, wide.dtype))
    if batch_mean.shape[0] > 1:
        batch_mean, unbiased = batch_mean.mean(0), unbiased.mean(0)

    def blend(old: jax.Array, new: jax.Array) -> jax.Array:
        # Rounded at the end: a variance may pass the largest float16 where its share does not.
        dtype = jnp.promote_types(old.dtype, new.dtype)
        rate = jnp.asarray(momentum).astype(dtype)
        return ((1 - rate) * old.astype(dtype) + rate * new.reshape(old.shape).astype(dtype)).astype(old.dtype)

    return blend(mean, batch_mean), blend(var, unbiased)


def write_statistics(
    function: str,
    input: jax.Array,
    running_mean: Any,
    running_var: Any,
    momentum: float | jax.Array,
    each_sample: bool,
    axis_name: AxisName | None = None,
) -> None:
    """Puts ``updated_statistics`` into those of the running statistics that are boxes, as torch changes its tensors."""
    if isinstance(running_mean, Box) or isinstance(running_var, Box):
        mean, var = (box.peek() if isinstance(box, Box) else box for box in (running_mean, running_var))
        new = updated_statistics(function, input, mean, var, momentum, each_sample, axis_name)
        for box, value in zip((running_mean, running_var), new, strict=True):
            if isinstance(box, Box):
                box.write(value)


def updated_statistics(
    function: str,
    input: ArrayLike,
    running_mean: ArrayLike,
    running_var: ArrayLike,
    momentum: float | jax.Array,
    each_sample: bool,
    axis_name: AxisName | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Running statistics moved towards those of the batch, or to the mean of those of each sample; a batch of none moves none."""
    x = as_array(function, "input", input)
    least = 3 if each_sample else 2
    if x.ndim < least:
        fail(ValueError, function, "input", f"at least {least}-D", x)
    arrays = {
        "running_mean": as_array(function, "running_mean", running_mean),
        "running_var": as_array(function, "running_var", running_var),
    }
    check_statistics(function, x, dict(arrays), x.shape[1])
    if momentum is None:
        fail(TypeError, function, "momentum", "a number", momentum)
    axis_size(function, axis_name)
    if x.size == 0:
        return arrays["running_mean"], arrays["running_var"]
    axes = tuple(range(2, x.ndim)) if each_sample else batch_axes(x)
    return _blended(x, arrays["running_mean"], arrays["running_var"], momentum, axes, axis_name)

"""Batch normalization, and its running statistics."""

from __future__ import annotations

import math

import jax

from fnn.functional.arrays import ArrayLike, is_concrete
from fnn.functional.checks import (
    as_array,
    fail,
)
from fnn.functional.explained import explained
from fnn.functional.moments import (
    AxisName,
    axis_size,
    batch_axes,
    channelwise,
    check_arguments,
    normalize_by_moments,
    normalize_by_running_statistics,
    updated_statistics,
    write_statistics,
)

__all__ = [
    "batch_norm",
    "batch_norm_update",
]


def _check_batch_size(function: str, x: jax.Array, replicas: int) -> None:
    if x.shape[0] * math.prod(x.shape[2:]) * replicas == 1:
        fail(ValueError, function, "input", "of more than 1 value per channel when training", x)


@explained
def batch_norm(
    input: ArrayLike,
    running_mean: ArrayLike | None,
    running_var: ArrayLike | None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    training: bool = False,
    momentum: float | jax.Array = 0.1,
    eps: float = 1e-5,
    *,
    axis_name: AxisName | None = None,
) -> jax.Array:
    """Normalizes each channel over the batch, ``(x - mean) / sqrt(var + eps) * weight + bias`` (Ioffe and Szegedy, 2015).

    When training, running statistics that are boxes (a ``Buffer``) move towards those of the batch, as in torch. Given as
    arrays they stay: ``batch_norm_update`` returns the new ones.

    Args:
        input: array with channels on axis 1.
        running_mean: means used when not training; a box is updated when training.
        running_var: variances used when not training; a box is updated when training.
        weight: scale of each channel.
        bias: shift of each channel.
        training: whether to use the statistics of the batch.
        momentum: weight of the batch in the running statistics, a number or an array.
        eps: added to the variance.
        axis_name: axis (or axes) of an enclosing ``vmap``, ``shard_map`` or ``pmap`` over which the batch is split; when
            training the statistics are those of the whole.

    Shape:
        - input: (N, C, *), or (0).
        - running_mean, running_var, weight, bias: (C).
        - output: as the input.

    Returns:
        the normalized array.

    Raises:
        TypeError: if a dtype is not floating, or the dtypes differ.
        ValueError: if a shape does not fit, training sees one value a channel, ``eps`` is negative, or 0 when training, there is
            no axis ``axis_name``, or one of the running statistics is given without the other.
        RuntimeError: if running statistics are missing when not training, of an input that has elements; if a box would
            be written under a JAX transformation that fnn does not run.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.batch_norm.html

    Example:
        >>> import jax.numpy as jnp
        >>> batch_norm(jnp.array([[1.0], [3.0]]), None, None, training=True).round(3).tolist()
        [[-1.0], [1.0]]
    """
    x = as_array("batch_norm", "input", input)
    if x.shape == (0,):
        return x
    if x.ndim < 2:
        fail(ValueError, "batch_norm", "input", "at least 2-D", x)
    arrays = check_arguments("batch_norm", x, running_mean, running_var, weight, bias, eps)
    if training:
        _check_batch_size("batch_norm", x, axis_size("batch_norm", axis_name))
        if is_concrete(eps) and float(eps) == 0:
            fail(ValueError, "batch_norm", "eps", "above 0 when training", eps)
        scale, shift = (None if v is None else channelwise(v, x.ndim) for v in (arrays["weight"], arrays["bias"]))
        output = normalize_by_moments(x, scale, shift, eps, batch_axes(x), axis_name)
        write_statistics("batch_norm", x, running_mean, running_var, momentum, False, axis_name)
        return output
    if x.size == 0 and arrays["running_mean"] is None:
        return x  # there is nothing to normalize, as torch has it
    return normalize_by_running_statistics("batch_norm", "training", x, arrays, eps)


@explained
def batch_norm_update(
    input: ArrayLike,
    running_mean: ArrayLike,
    running_var: ArrayLike,
    momentum: float | jax.Array = 0.1,
    *,
    axis_name: AxisName | None = None,
) -> tuple[jax.Array, jax.Array]:
    """The running statistics after a batch: ``(1 - momentum) * old + momentum * batch``, with the unbiased variance.

    Args:
        input: the batch, with channels on axis 1.
        running_mean: old means.
        running_var: old variances.
        momentum: weight of the batch, a number or an array; ``1 / n`` at the n-th batch averages over all batches.
        axis_name: axis (or axes) of an enclosing ``vmap``, ``shard_map`` or ``pmap`` over which the batch is split.

    Shape:
        - input: (N, C, *).
        - running_mean, running_var: (C).

    Returns:
        the new ``(running_mean, running_var)``; constants to autodiff.

    Raises:
        TypeError: if the dtypes differ or ``momentum`` is ``None``.
        ValueError: if a shape does not fit, the batch has one value a channel, or there is no axis ``axis_name``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.BatchNorm1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> mean, var = batch_norm_update(jnp.array([[1.0], [3.0]]), jnp.zeros(1), jnp.ones(1), 0.5)
        >>> mean.tolist(), var.tolist()
        ([1.0], [1.5])
    """
    x = as_array("batch_norm_update", "input", input)
    if x.ndim > 1:
        _check_batch_size("batch_norm_update", x, axis_size("batch_norm_update", axis_name))
    return updated_statistics("batch_norm_update", x, running_mean, running_var, momentum, False, axis_name)

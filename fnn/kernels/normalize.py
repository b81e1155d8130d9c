"""Normalization by the mean and variance of the array itself: batch, instance and layer norm, with a gradient of its own.

The gradient takes two sums over the array, where the derivative of the plain form, which goes through the mean within the
variance as well, takes up to five.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from fnn.kernels._operation import Operation

__all__ = ["moments", "normalize"]

Array = Any


def moments(x: jax.Array, axes: tuple[int, ...], axis_name: Any = None) -> tuple[jax.Array, jax.Array]:
    """Mean and biased variance over the axes, which stay as axes of length 1; two passes, as the variance needs.

    With ``axis_name`` also over that axis of the enclosing ``vmap`` or ``shard_map``, along which shapes are equal.
    """

    def mean_of(values: jax.Array) -> jax.Array:
        mean = jnp.mean(values, axes, keepdims=True)
        return mean if axis_name is None else lax.pmean(mean, axis_name)

    mean = mean_of(x)
    return mean, mean_of(jnp.square(x - mean))


def normalize(x: jax.Array, weight: Any, bias: Any, eps: float, axes: tuple[int, ...]) -> jax.Array:
    """``(x - mean) / sqrt(var + eps) * weight + bias`` with the moments over ``axes``.

    Args:
        x: the array, in the precision to compute in.
        weight: broadcastable to ``x``, with as many axes, or ``None``.
        bias: as ``weight``.
        eps: a number.
        axes: the axes, none negative.

    Returns:
        an array like ``x``.

    Example:
        >>> import jax.numpy as jnp
        >>> normalize(jnp.array([[1.0, 3.0]]), None, None, 0.0, (1,)).tolist()
        [[-1.0, 1.0]]
    """
    given = [v.astype(x.dtype) for v in (weight, bias) if v is not None]
    return _normalization(axes, eps, weight is not None, bias is not None)(x, *given)


@lru_cache(maxsize=256)
def _normalization(axes: tuple[int, ...], eps: float, weighted: bool, biased: bool) -> Operation:
    def parts(x: Array, given: tuple[Array, ...]) -> tuple[Array, Array, Array]:
        mean, var = moments(x, axes)
        scale = lax.rsqrt(var + eps)
        out = (x - mean) * scale
        if weighted:
            out = out * given[0]
        return (out + given[-1] if biased else out), mean, scale

    def forward(x: Array, *given: Array) -> Any:
        out, mean, scale = parts(x, given)
        return (out,), (mean, scale)

    def backward(wanted: Any, args: Any, outputs: Any, residuals: Any, cotangents: Any) -> Any:
        (x, *given), (mean, scale), (dy,) = args, residuals, cotangents
        normal = (x - mean) * scale
        count = prod(x.shape[a] for a in axes)
        if weighted and any(given[0].shape[a] > 1 for a in axes):
            # The weight varies within what is averaged over.
            inner = dy * given[0]
            sums = inner.sum(axes, keepdims=True), (inner * normal).sum(axes, keepdims=True)
            factor = scale
        else:
            inner = dy
            sums = dy.sum(axes, keepdims=True), (dy * normal).sum(axes, keepdims=True)
            factor = scale * given[0] if weighted else scale
        gradients = {0: lambda: factor * (inner - sums[0] / count - normal * (sums[1] / count))}
        if weighted:
            gradients[1] = lambda: _summed(dy * normal, given[0].shape)
        if biased:
            gradients[1 + weighted] = lambda: _summed(dy, given[-1].shape)
        return [gradients[i]() for i in wanted]

    # Along a residual stream only sums and products lie between two norms of layers; XLA would compute the stream from its
    # beginning for each of them, which costs time, in compiling too, that grows with the square of the depth.
    return Operation(lambda x, *given: parts(x, given)[0], forward, backward, apart=0 not in axes)


def _summed(x: Array, shape: tuple[int, ...]) -> Array:
    """The sum over the axes along which ``shape`` has length 1."""
    axes = tuple(i for i, (size, kept) in enumerate(zip(x.shape, shape, strict=True)) if size != kept)
    return x.sum(axes, keepdims=True) if axes else x

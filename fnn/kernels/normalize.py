"""Normalization by the mean and variance of the array itself: batch, instance and layer norm, with a gradient of its own.

The gradient takes two sums over the array, where the derivative of the plain form, which goes through the mean within the
variance as well, takes up to five. Sums of products of the arrays as they are run twice as fast on the CPU as sums that need
an array ``x - mean``, which XLA would make for them; they serve wherever no mean is far from 0 for its deviation.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from fnn.kernels.operation import Operation

__all__ = ["batch_moments", "moments", "normalize"]

Array = Any

# Numbers in an array below which a second pass over it costs little: then it is in the cache.
SMALL = 1 << 18
# Variances that the square of a mean may be for sums of products to be taken: they lose as many of the last digits.
NEAR = 4


def moments(x: jax.Array, axes: tuple[int, ...], axis_name: Any = None) -> tuple[jax.Array, jax.Array]:
    """Mean and biased variance over the axes, which stay as axes of length 1; two passes, as the variance needs.

    With ``axis_name`` also over that axis of the enclosing ``vmap`` or ``shard_map``, along which shapes are equal.
    """

    def mean_of(values: jax.Array) -> jax.Array:
        mean = jnp.mean(values, axes, keepdims=True)
        return mean if axis_name is None else lax.pmean(mean, axis_name)

    mean = mean_of(x)
    return mean, mean_of(jnp.square(x - mean))


def batch_moments(x: jax.Array, axes: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    """``moments``, by a fast form on the CPU; its derivative is that of ``moments``."""
    return _batch_moments(axes)(x)


@lru_cache(maxsize=256)
def _batch_moments(axes: tuple[int, ...]) -> Operation:
    return Operation(lambda x: moments(x, axes), lambda x: (_moments_at_once(x, axes), ()))


def _moments_at_once(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """``moments`` in one pass where that is as good."""
    if x.size < SMALL:
        return moments(x, axes)
    mean = jnp.mean(x, axes, keepdims=True)
    var = jnp.mean(jnp.square(x), axes, keepdims=True) - jnp.square(mean)
    near = jnp.all(jnp.square(mean) <= NEAR * var)
    return mean, lax.cond(near, lambda: var, lambda: moments(x, axes)[1])


def _sums(dy: Array, x: Array, mean: Array, scale: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """The sums of ``dy`` and of ``dy * (x - mean) * scale``."""
    total = dy.sum(axes, keepdims=True)
    if x.size < SMALL:
        return total, (dy * ((x - mean) * scale)).sum(axes, keepdims=True)
    inner = lax.cond(
        jnp.all(jnp.square(mean * scale) <= NEAR),
        lambda: (dy * x).sum(axes, keepdims=True) - mean * total,
        lambda: (dy * (x - mean)).sum(axes, keepdims=True),
    )
    return total, inner * scale


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
    def normalized(x: Array, given: tuple[Array, ...], mean: Array, scale: Array) -> Array:
        out = (x - mean) * scale
        if weighted:
            out = out * given[0]
        return out + given[-1] if biased else out

    def plain(x: Array, *given: Array) -> Array:
        mean, var = moments(x, axes)
        return normalized(x, given, mean, lax.rsqrt(var + eps))

    def forward(x: Array, *given: Array) -> Any:
        mean, var = _moments_at_once(x, axes)
        scale = lax.rsqrt(var + eps)
        return (normalized(x, given, mean, scale),), (mean, scale)

    def backward(wanted: Any, args: Any, outputs: Any, residuals: Any, cotangents: Any) -> Any:
        (x, *given), (mean, scale), (dy,) = args, residuals, cotangents
        count = prod(x.shape[a] for a in axes)
        if any(parameter.shape[a] > 1 for parameter in given for a in axes):
            # A parameter varies within what is averaged over.
            normal = (x - mean) * scale
            inner = dy * given[0] if weighted else dy
            sums = inner.sum(axes, keepdims=True), (inner * normal).sum(axes, keepdims=True)
            factor, of_bias, of_weight = scale, dy, dy * normal
        else:
            inner, sums = dy, _sums(dy, x, mean, scale, axes)
            factor = scale * given[0] if weighted else scale
            of_bias, of_weight = sums
        gradients = {0: lambda: factor * (inner - sums[0] / count - (x - mean) * (scale * (sums[1] / count)))}
        if weighted:
            gradients[1] = lambda: _summed(of_weight, given[0].shape)
        if biased:
            gradients[1 + weighted] = lambda: _summed(of_bias, given[-1].shape)
        return [gradients[i]() for i in wanted]

    # Along a residual stream only sums and products lie between two norms of layers; XLA would compute the stream from its
    # beginning for each of them, which costs time, in compiling too, that grows with the square of the depth.
    return Operation(plain, forward, backward, apart=0 not in axes)


def _summed(x: Array, shape: tuple[int, ...]) -> Array:
    """The sum over the axes along which ``shape`` has length 1."""
    axes = tuple(i for i, (size, kept) in enumerate(zip(x.shape, shape, strict=True)) if size != kept)
    return x.sum(axes, keepdims=True) if axes else x

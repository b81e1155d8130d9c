"""Normalization by the mean and variance of the array itself: batch, instance and layer norm, with a gradient of its own.

The gradient takes two sums over the array, where the derivative of the plain form, which goes through the mean within the
variance as well, takes up to five. Sums of products of the arrays as they are run twice as fast on the CPU as sums that need
an array ``x - mean``, which XLA would make for them; they serve wherever no mean is far from 0 for its deviation.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from fnn.kernels.choice import Form, always, choose
from fnn.kernels.operation import Arrays, Operation

__all__ = ["Bounds", "batch_moments", "moments", "normalize"]

Axes = tuple[int, ...]


@dataclass(frozen=True)
class Bounds:
    """Numbers, found by measurement, by which a form is chosen.

    Attributes:
        small: numbers in an array below which a second pass over it costs little: then it is in the cache.
        near: variances that the square of a mean may be for sums of products to be taken: they lose as many of the last
            digits.
    """

    small: int = 1 << 18
    near: float = 4


BOUNDS = Bounds()


def moments(x: jax.Array, axes: Axes, axis_name: Hashable = None) -> tuple[jax.Array, jax.Array]:
    """Mean and biased variance over the axes, which stay as axes of length 1; two passes, as the variance needs.

    With ``axis_name`` also over that axis of the enclosing ``vmap`` or ``shard_map``, along which shapes are equal.
    """

    def mean_of(values: jax.Array) -> jax.Array:
        mean = jnp.mean(values, axes, keepdims=True)
        return mean if axis_name is None else lax.pmean(mean, axis_name)

    mean = mean_of(x)
    return mean, mean_of(jnp.square(x - mean))


def batch_moments(x: jax.Array, axes: Axes, *, bounds: Bounds = BOUNDS) -> tuple[jax.Array, jax.Array]:
    """``moments``, by a fast form on the CPU; its derivative is that of ``moments``."""
    return _batch_moments(axes, bounds)(x)


@lru_cache(maxsize=256)
def _batch_moments(axes: Axes, bounds: Bounds) -> Operation:
    return Operation(lambda x: moments(x, axes), lambda x: (_fast_moments(x, axes, bounds), ()))


def _is_small(x: jax.Array, bounds: Bounds) -> bool:
    return x.size < bounds.small


def _fast_moments(x: jax.Array, axes: Axes, bounds: Bounds) -> tuple[jax.Array, jax.Array]:
    return choose(MOMENTS, x, bounds).run(x, axes, bounds)


def _moments_in_two_passes(x: jax.Array, axes: Axes, bounds: Bounds) -> tuple[jax.Array, jax.Array]:
    """``moments``, the mean by differences from a first number: a sum of numbers far from 0 loses more than its last digit."""
    if x.size == 0:
        return moments(x, axes)
    first = x[tuple(slice(0, 1) if axis in axes else slice(None) for axis in range(x.ndim))]
    first = jnp.where(jnp.isfinite(first), first, 0)
    mean = first + jnp.mean(x - first, axes, keepdims=True)
    return mean, jnp.mean(jnp.square(x - mean), axes, keepdims=True)


def _moments_in_one_pass(x: jax.Array, axes: Axes, bounds: Bounds) -> tuple[jax.Array, jax.Array]:
    """``moments`` in one pass where that is as good."""
    mean = jnp.mean(x, axes, keepdims=True)
    var = jnp.mean(jnp.square(x), axes, keepdims=True) - jnp.square(mean)
    near = jnp.all(jnp.square(mean) <= bounds.near * var)
    return lax.cond(near, lambda: (mean, var), lambda: _moments_in_two_passes(x, axes, bounds))


# The sums of ``dy`` and of ``dy * (x - mean) * scale``, by which the gradient is made.


class _Sums(NamedTuple):
    """What they are of."""

    dy: jax.Array
    x: jax.Array
    mean: jax.Array
    scale: jax.Array
    axes: Axes


def _sums_of_differences(of: _Sums, bounds: Bounds) -> tuple[jax.Array, jax.Array]:
    total = of.dy.sum(of.axes, keepdims=True)
    return total, (of.dy * ((of.x - of.mean) * of.scale)).sum(of.axes, keepdims=True)


def _sums_of_products(of: _Sums, bounds: Bounds) -> tuple[jax.Array, jax.Array]:
    """By a sum of ``dy * x`` where that is as good."""
    dy, x, mean, scale, axes = of
    total = dy.sum(axes, keepdims=True)
    inner = lax.cond(
        jnp.all(jnp.square(mean * scale) <= bounds.near),
        lambda: (dy * x).sum(axes, keepdims=True) - mean * total,
        lambda: (dy * (x - mean)).sum(axes, keepdims=True),
    )
    return total, inner * scale


MOMENTS: tuple[Form[jax.Array, Bounds, Callable[[jax.Array, Axes, Bounds], tuple[jax.Array, jax.Array]]], ...] = (
    Form("two passes", _is_small, _moments_in_two_passes),
    Form("one pass", always, _moments_in_one_pass),
)
SUMS: tuple[Form[jax.Array, Bounds, Callable[[_Sums, Bounds], tuple[jax.Array, jax.Array]]], ...] = (
    Form("of differences", _is_small, _sums_of_differences),
    Form("of products", always, _sums_of_products),
)


def normalize(
    x: ArrayLike,
    weight: ArrayLike | None,
    bias: ArrayLike | None,
    eps: float,
    axes: Axes,
    *,
    bounds: Bounds = BOUNDS,
) -> jax.Array:
    """``(x - mean) / sqrt(var + eps) * weight + bias`` with the moments over ``axes``.

    Args:
        x: the array, in the precision to compute in.
        weight: broadcastable to ``x``, with as many axes, or ``None``.
        bias: as ``weight``.
        eps: a number.
        axes: the axes, none negative.
        bounds: by which its form is chosen.

    Returns:
        an array like ``x``.

    Example:
        >>> import jax.numpy as jnp
        >>> normalize(jnp.array([[1.0, 3.0]]), None, None, 0.0, (1,)).tolist()
        [[-1.0, 1.0]]
    """
    x = jnp.asarray(x)
    given = [jnp.asarray(v).astype(x.dtype) for v in (weight, bias) if v is not None]
    return _normalization(axes, eps, weight is not None, bias is not None, bounds)(x, *given)


@lru_cache(maxsize=256)
def _normalization(axes: Axes, eps: float, weighted: bool, biased: bool, bounds: Bounds) -> Operation:
    def normalized(x: jax.Array, given: Arrays, mean: jax.Array, scale: jax.Array) -> jax.Array:
        out = (x - mean) * scale
        if weighted:
            out = out * given[0]
        return out + given[-1] if biased else out

    def plain(x: jax.Array, *given: jax.Array) -> jax.Array:
        mean, var = moments(x, axes)
        return normalized(x, given, mean, lax.rsqrt(var + eps))

    def forward(x: jax.Array, *given: jax.Array) -> tuple[Arrays, Arrays]:
        mean, var = _fast_moments(x, axes, bounds)
        scale = lax.rsqrt(var + eps)
        return (normalized(x, given, mean, scale),), (mean, scale)

    def backward(
        wanted: tuple[int, ...], args: Arrays, outputs: Arrays, residuals: Arrays, cotangents: Arrays
    ) -> list[jax.Array]:
        (x, *given), (mean, scale), (dy,) = args, residuals, cotangents
        count = prod(x.shape[a] for a in axes)
        if any(parameter.shape[a] > 1 for parameter in given for a in axes):
            # A parameter varies within what is averaged over.
            normal = (x - mean) * scale
            inner = dy * given[0] if weighted else dy
            sums = inner.sum(axes, keepdims=True), (inner * normal).sum(axes, keepdims=True)
            factor, of_bias, of_weight = scale, dy, dy * normal
        else:
            inner, sums = dy, choose(SUMS, x, bounds).run(_Sums(dy, x, mean, scale, axes), bounds)
            factor = scale * given[0] if weighted else scale
            of_bias, of_weight = sums
        gradients: dict[int, Callable[[], jax.Array]] = {
            0: lambda: factor * (inner - sums[0] / count - (x - mean) * (scale * (sums[1] / count)))
        }
        if weighted:
            gradients[1] = lambda: _summed(of_weight, given[0].shape)
        if biased:
            gradients[1 + weighted] = lambda: _summed(of_bias, given[-1].shape)
        return [gradients[i]() for i in wanted]

    # Along a residual stream only sums and products lie between two norms of layers; XLA would compute the stream from its
    # beginning for each of them, which costs time, in compiling too, that grows with the square of the depth.
    return Operation(plain, forward, backward, no_inline=0 not in axes)


def _summed(x: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """The sum over the axes along which ``shape`` has length 1."""
    axes = tuple(i for i, (size, kept) in enumerate(zip(x.shape, shape, strict=True)) if size != kept)
    return x.sum(axes, keepdims=True) if axes else x

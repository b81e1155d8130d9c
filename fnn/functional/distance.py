"""Distances and angles between vectors, and scaling to unit length."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from fnn.functional.arrays import ArrayLike, absolute, widen, written
from fnn.functional.checks import as_array, check_floating, check_rank, check_same_dtype, fail, normalize_axis
from fnn.functional.explained import explained
from fnn.functional.vector_norm import norm_order, vector_norm
from fnn.stateful.boxes import Box

__all__ = ["cosine_similarity", "normalize", "pairwise_distance", "pdist"]

# Elements of the differences of rows that `pdist` holds at a time.
_HELD = 1 << 22


def _pair(function: str, x1: Any, x2: Any, need_float: bool) -> tuple[jax.Array, jax.Array]:
    """The two arrays in one floating dtype (integers take that of the other), once their shapes are found to agree."""
    a, b = as_array(function, "x1", x1), as_array(function, "x2", x2)
    for name, value in (("x1", a), ("x2", b)):
        if jnp.issubdtype(value.dtype, jnp.complexfloating):
            fail(TypeError, function, name, "of a real dtype", value)
    floats = {n: v for n, v in (("x1", a), ("x2", b)) if jnp.issubdtype(v.dtype, jnp.floating)}
    check_same_dtype(function, **floats)
    if need_float and not floats:
        fail(TypeError, function, "x1", "of a floating dtype", a)
    try:
        jnp.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        fail(ValueError, function, "x2", f"of a shape that broadcasts with x1 {list(a.shape)}", b)
    dtype = jnp.result_type(*floats.values()) if floats else jnp.result_type(float)
    return a.astype(dtype), b.astype(dtype)


@partial(jax.jit, static_argnames="axis")
def _cosine_similarity(x1: jax.Array, x2: jax.Array, eps: Any, axis: int) -> jax.Array:
    dtype = x1.dtype
    shape = jnp.broadcast_shapes(x1.shape, x2.shape) or (1,)

    def unit(x: jax.Array) -> jax.Array:
        x = jnp.broadcast_to(widen(x), shape)
        norm = vector_norm(x, 2, axis, keepdims=True)
        # As in torch, the clamp changes the value of the norm but not its derivative.
        least = jnp.asarray(eps).astype(norm.dtype)
        short = norm < least
        return x / jnp.where(short, least + (norm - lax.stop_gradient(jnp.where(short, norm, 0))), norm)

    return jnp.sum(unit(x1) * unit(x2), axis).astype(dtype)


@explained
def cosine_similarity(x1: ArrayLike, x2: ArrayLike, dim: int = 1, eps: float = 1e-8) -> jax.Array:
    """Cosine of the angle between vectors, ``x1 . x2 / (max(|x1|, eps) max(|x2|, eps))``.

    Args:
        x1: first vectors.
        x2: second vectors, of a shape that broadcasts with the first.
        dim: the axis of the vectors, counted in the common shape.
        eps: the least length that is divided by.

    Shape:
        - x1, x2: (*, D, *).
        - output: (*, *).

    Returns:
        the cosines.

    Raises:
        TypeError: if the dtypes differ or neither is floating.
        ValueError: if the shapes do not broadcast.
        IndexError: if ``dim`` is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.cosine_similarity.html

    Example:
        >>> import jax.numpy as jnp
        >>> cosine_similarity(jnp.array([[3.0, 0.0]]), jnp.array([[2.0, 0.0]])).tolist()
        [1.0]
    """
    a, b = _pair("cosine_similarity", x1, x2, need_float=True)
    ndim = len(jnp.broadcast_shapes(a.shape, b.shape))
    return _cosine_similarity(a, b, eps, normalize_axis("cosine_similarity", "dim", dim, ndim))


@partial(jax.jit, static_argnames=("p", "keepdim"))
def _pairwise_distance(x1: jax.Array, x2: jax.Array, eps: Any, p: float, keepdim: bool) -> jax.Array:
    difference = widen(x1) - widen(x2)
    difference = difference + jnp.asarray(eps).astype(difference.dtype)
    if difference.ndim == 0:
        return vector_norm(difference[None], p, 0).astype(x1.dtype)
    return vector_norm(difference, p, -1, keepdim).astype(x1.dtype)


@explained
def pairwise_distance(
    x1: ArrayLike, x2: ArrayLike, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> jax.Array:
    """Distance between vectors along the last axis, the p-norm of ``x1 - x2 + eps``.

    Args:
        x1: first vectors.
        x2: second vectors, of a shape that broadcasts with the first.
        p: order of the norm; 0, negative and infinite ones too.
        eps: added to the difference.
        keepdim: keep the last axis, with length 1.

    Shape:
        - x1, x2: (*, D).
        - output: (*), or (*, 1) with ``keepdim``.

    Returns:
        the distances.

    Raises:
        TypeError: if the dtypes differ or ``p`` is no number.
        ValueError: if the shapes do not broadcast.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.pairwise_distance.html

    Example:
        >>> import jax.numpy as jnp
        >>> pairwise_distance(jnp.array([[3.0, 4.0]]), jnp.zeros((1, 2)), eps=0.0).tolist()
        [5.0]
    """
    a, b = _pair("pairwise_distance", x1, x2, need_float=False)
    order = norm_order("pairwise_distance", "p", p)
    length = (jnp.broadcast_shapes(a.shape, b.shape) or (1,))[-1]
    _check_not_empty("pairwise_distance", order, length)
    return _pairwise_distance(a, b, eps, order, bool(keepdim))


def _check_not_empty(function: str, order: float, length: int) -> None:
    if length == 0 and (order < 0 or order == float("inf")):
        fail(ValueError, function, "p", "finite and not negative for vectors without elements", order)


def _gap(difference: jax.Array, p: float) -> jax.Array:
    """The p-norm along the last axis; for infinite p each element that attains it has the full derivative."""
    if p == float("inf") and difference.shape[-1]:
        size = absolute(difference)
        top = lax.stop_gradient(jnp.max(size, -1, keepdims=True))
        attained = jnp.where(size == top, size - lax.stop_gradient(size), 0)
        return top[..., 0] + jnp.sum(jnp.where(jnp.isfinite(top), attained, 0), -1)
    if difference.shape[-1] == 0:
        return jnp.zeros(difference.shape[:-1], difference.dtype)
    norm = vector_norm(difference, p, -1)
    # Of numbers that differ a NaN would be one more; torch counts none then, in pdist alone.
    return jnp.where(jnp.isnan(difference).any(-1), jnp.nan, norm) if p == 0 else norm


@partial(jax.jit, static_argnames=("p", "held"))
def _pdist(x: jax.Array, p: float, held: int = _HELD) -> jax.Array:
    count, length = x.shape
    wide = widen(x)

    def from_row(row: jax.Array) -> jax.Array:
        return _gap(row - wide, p)

    # A block of rows against all rows, made anew for the gradient: the differences are never held all at once.
    block = max(1, held // max(1, count * length))
    square = jax.vmap(from_row)(wide) if block >= count else lax.map(jax.checkpoint(from_row), wide, batch_size=block)
    starts = jnp.cumsum(jnp.arange(count - 1, 0, -1))
    pairs = jnp.arange(count * (count - 1) // 2)
    first = jnp.searchsorted(starts, pairs, side="right")
    second = pairs - jnp.where(first > 0, starts[first - 1], 0) + first + 1
    return square[first, second].astype(x.dtype)


@explained
def pdist(input: ArrayLike, p: float = 2) -> jax.Array:
    """Distances between all pairs of rows, the p-norms of ``input[i] - input[j]`` for ``i < j``.

    Args:
        input: one vector a row.
        p: order of the norm, not negative.

    Shape:
        - input: (N, M).
        - output: (N (N - 1) / 2), ordered by ``i``, then ``j``.

    Returns:
        the distances.

    Raises:
        TypeError: if the dtype is not floating or ``p`` is no number.
        ValueError: if the input is not 2-D or ``p`` is negative.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.pdist.html

    Example:
        >>> import jax.numpy as jnp
        >>> pdist(jnp.array([[0.0, 0.0], [3.0, 4.0], [3.0, 0.0]])).tolist()
        [5.0, 3.0, 4.0]
    """
    x = as_array("pdist", "input", input)
    check_floating("pdist", input=x)
    check_rank("pdist", "input", x, 2)
    order = norm_order("pdist", "p", p)
    if order < 0:
        fail(ValueError, "pdist", "p", "at least 0", p)
    if x.shape[0] < 2:
        return jnp.zeros((0,), x.dtype)
    return _pdist(x, order)


@partial(jax.jit, static_argnames=("p", "axes"))
def _normalize(x: jax.Array, eps: Any, p: float, axes: tuple[int, ...]) -> jax.Array:
    wide = widen(x if x.ndim else x[None])
    norm = vector_norm(wide, p, axes, keepdims=True)
    eps = jnp.asarray(eps).astype(wide.dtype)
    return (wide / jnp.where(norm < eps, eps, norm)).astype(x.dtype).reshape(x.shape)


@explained
def normalize(
    input: ArrayLike, p: float = 2.0, dim: int | Sequence[int] = 1, eps: float = 1e-12, out: ArrayLike | None = None
) -> jax.Array:
    """Scales vectors to length 1, ``x / max(|x|_p, eps)``.

    Args:
        input: array.
        p: order of the norm; 0, negative and infinite ones too.
        dim: the axis of the vectors, or several.
        eps: the least length that is divided by.
        out: a box that gets the result too; an array, which does not change, is refused.

    Shape:
        - input, output: (*), alike.

    Returns:
        the scaled array.

    Raises:
        TypeError: if the dtype is not floating, ``p`` is no number or ``out`` is an array.
        IndexError: if ``dim`` is out of range.
        ValueError: if an axis is named twice, or is empty where the norm has no value.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.normalize.html

    Example:
        >>> import jax.numpy as jnp
        >>> normalize(jnp.array([[0.0, 2.0], [0.0, 0.0]])).tolist()
        [[0.0, 1.0], [0.0, 0.0]]
    """
    if out is not None and not isinstance(out, Box):
        fail(TypeError, "normalize", "out", "None or a box (an array never changes: use the value returned)", out)
    x = as_array("normalize", "input", input)
    check_floating("normalize", input=x)
    order = norm_order("normalize", "p", p)
    axes = tuple(normalize_axis("normalize", "dim", d, x.ndim) for d in (dim if isinstance(dim, Sequence) else (dim,)))
    if len(set(axes)) != len(axes):
        fail(ValueError, "normalize", "dim", "axes that differ", dim)
    for axis in axes if x.ndim else ():
        _check_not_empty("normalize", order, x.shape[axis])
    output = _normalize(x, eps, order, axes or tuple(range(x.ndim)))
    return written(out, True, output)

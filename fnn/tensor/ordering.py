"""Sorting and what is read from a sorted array: medians, modes, quantiles, distinct elements."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnn.functional.arrays import ArrayLike, index_dtype, is_concrete, known
from fnn.functional.checks import as_array, as_int, check_choice, check_floating, fail, normalize_axis
from fnn.tensor.reducing import pick
from fnn.tensor.results import ValuesAndIndices


def _order(x: jax.Array, axis: int, descending: bool) -> jax.Array:
    """Where the elements of a sorted axis stood; equal ones keep their order, NaN is the greatest."""
    return jnp.argsort(x, axis, stable=True, descending=descending).astype(index_dtype())


def sort(input: ArrayLike, dim: int = -1, descending: bool = False, stable: bool = False) -> ValuesAndIndices:
    """The elements of an axis in order, and where they stood; equal ones keep their order, NaN is the greatest."""
    x = as_array("sort", "input", input)
    axis = normalize_axis("sort", "dim", dim, x.ndim)
    if x.ndim == 0:
        return ValuesAndIndices(x, jnp.zeros((), index_dtype()))
    order = _order(x, axis, descending)
    return ValuesAndIndices(jnp.take_along_axis(x, order, axis), order)


def argsort(input: ArrayLike, dim: int = -1, descending: bool = False, stable: bool = False) -> jax.Array:
    """Where the elements of a sorted axis stand."""
    x = as_array("argsort", "input", input)
    axis = normalize_axis("argsort", "dim", dim, x.ndim)
    return _order(x, axis, descending) if x.ndim else jnp.zeros((), index_dtype())


def msort(input: ArrayLike) -> jax.Array:
    """The elements of the first axis in order."""
    return sort(input, 0).values


def topk(input: ArrayLike, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> ValuesAndIndices:
    """The ``k`` greatest (or least) elements of an axis in order, and where they stand; NaN is the greatest."""
    x = as_array("topk", "input", input)
    axis = normalize_axis("topk", "dim", dim, x.ndim)
    length = x.shape[axis] if x.ndim else 1
    k = as_int("topk", "k", k)
    if not 0 <= k <= length:
        fail(RuntimeError, "topk", "k", f"between 0 and {length}, the length of axis {dim}", k)
    if x.ndim == 0:
        return ValuesAndIndices(x, jnp.zeros((), index_dtype()))
    if largest:
        _, order = lax.top_k(jnp.moveaxis(lax.stop_gradient(x), axis, -1), k)
        order = jnp.moveaxis(order, -1, axis).astype(index_dtype())
    else:
        order = lax.slice_in_dim(_order(x, axis, False), 0, k, axis=axis)
    return ValuesAndIndices(jnp.take_along_axis(x, order, axis), order)


def kthvalue(input: ArrayLike, k: int, dim: int = -1, keepdim: bool = False) -> ValuesAndIndices:
    """The ``k``-th least element of an axis (the first is 1), and where it stands."""
    x = as_array("kthvalue", "input", input)
    axis = normalize_axis("kthvalue", "dim", dim, x.ndim)
    length = x.shape[axis] if x.ndim else 1
    k = as_int("kthvalue", "k", k)
    if not 1 <= k <= length:
        fail(RuntimeError, "kthvalue", "k", f"between 1 and {length}, the length of axis {dim}", k)
    if x.ndim == 0:
        return ValuesAndIndices(x, jnp.zeros((), index_dtype()))
    return pick(x, lax.slice_in_dim(_order(x, axis, False), k - 1, k, axis=axis), axis, keepdim)


def _middle(function: str, input: ArrayLike, dim: int | None, keepdim: bool, skip_nan: bool) -> Any:
    x = as_array(function, "input", input)
    if x.dtype == bool or jnp.issubdtype(x.dtype, jnp.complexfloating):
        fail(TypeError, function, "input", "of a floating or integer dtype", x)
    if dim is None:
        flat = x.reshape(-1)
        if not flat.size:
            check_floating(function, input=x)
            return jnp.full((), jnp.nan, x.dtype)
        return _middle(function, flat, 0, False, skip_nan).values
    axis = normalize_axis(function, "dim", dim, x.ndim)
    if x.ndim == 0:
        return ValuesAndIndices(x, jnp.zeros((), index_dtype()))
    length = x.shape[axis]
    if not length:
        fail(IndexError, function, "input", "of at least 1 element along dim", x)
    order = _order(x, axis, False)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return pick(x, lax.slice_in_dim(order, (length - 1) // 2, (length - 1) // 2 + 1, axis=axis), axis, keepdim)
    numbers = jnp.sum(x == x, axis, keepdims=True, dtype=index_dtype())
    place = jnp.maximum(numbers - 1, 0) // 2
    if not skip_nan:
        place = jnp.where(numbers < length, numbers, place)  # the first NaN, if there is one
    return pick(x, jnp.take_along_axis(order, place, axis), axis, keepdim)


def median(input: ArrayLike, dim: int | None = None, keepdim: bool = False) -> jax.Array | ValuesAndIndices:
    """The median of all, or along an axis with its place: of an even number the lower one, NaN if there is one."""
    return _middle("median", input, dim, keepdim, False)


def nanmedian(input: ArrayLike, dim: int | None = None, keepdim: bool = False) -> jax.Array | ValuesAndIndices:
    """The median of what is not NaN, of all or along an axis with its place."""
    return _middle("nanmedian", input, dim, keepdim, True)


def mode(input: ArrayLike, dim: int = -1, keepdim: bool = False) -> ValuesAndIndices:
    """The most frequent element of an axis, the least of several, and where it last stands."""
    x = as_array("mode", "input", input)
    axis = normalize_axis("mode", "dim", dim, x.ndim)
    if x.ndim == 0:
        return ValuesAndIndices(x, jnp.zeros((), index_dtype()))
    if not x.shape[axis]:
        fail(IndexError, "mode", "input", "of at least 1 element along dim", x)
    order = _order(x, axis, False)
    rows = jnp.take_along_axis(x, order, axis)
    place = lax.broadcasted_iota(index_dtype(), x.shape, axis)
    same = rows == jnp.roll(rows, 1, axis)
    begins = lax.cummax(jnp.where(same & (place > 0), 0, place), axis)
    longest = jnp.argmax(place - begins, axis, keepdims=True)
    return pick(x, jnp.take_along_axis(order, longest, axis), axis, keepdim)


_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def _quantile(
    function: str, rule: Any, input: ArrayLike, q: ArrayLike, dim: int | None, keepdim: bool, interpolation: str
) -> jax.Array:
    x, at = as_array(function, "input", input), as_array(function, "q", q)
    check_floating(function, input=x, q=at)
    check_choice(function, "interpolation", interpolation, _INTERPOLATIONS)
    if at.ndim > 1:
        fail(RuntimeError, function, "q", "a number or 1-D", at)
    levels = known(at)
    if levels is not None and not np.all((levels >= 0) & (levels <= 1)):
        fail(RuntimeError, function, "q", "between 0 and 1", q)
    if not x.size:
        fail(RuntimeError, function, "input", "of at least 1 element", x)
    axis = None if dim is None else normalize_axis(function, "dim", dim, x.ndim)
    if not x.ndim:
        return jnp.broadcast_to(x, at.shape)
    return rule(x, at.astype(x.dtype), axis, method=interpolation, keepdims=keepdim)


def quantile(
    input: ArrayLike,
    q: ArrayLike,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> jax.Array:
    """Quantiles of all or along an axis; the axis of several comes first."""
    return _quantile("quantile", jnp.quantile, input, q, dim, keepdim, interpolation)


def nanquantile(
    input: ArrayLike,
    q: ArrayLike,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> jax.Array:
    """Quantiles of what is not NaN."""
    return _quantile("nanquantile", jnp.nanquantile, input, q, dim, keepdim, interpolation)


# Distinct elements. How many there are depends on the values, which must be known.


def _known(function: str, input: ArrayLike) -> np.ndarray[Any, Any]:
    x = as_array(function, "input", input)
    if not is_concrete(x):
        raise RuntimeError(
            f"{function}: the shape of the result depends on the values of input, which are not known under a JAX "
            f"transformation; jnp.{'nonzero' if 'zero' in function else 'unique'} takes a size="
        )
    return np.asarray(x)


def nonzero(input: ArrayLike, *, as_tuple: bool = False) -> jax.Array | tuple[jax.Array, ...]:
    """Indices of what is other than 0: a row each, or with ``as_tuple`` an array for each axis."""
    x = _known("nonzero", input)
    places = np.nonzero(x.reshape(-1) if x.ndim == 0 else x)
    if as_tuple:
        return tuple(jnp.asarray(i, index_dtype()) for i in places)
    return jnp.asarray(np.stack(places, -1)[:, : x.ndim], index_dtype())


def nonzero_static(input: ArrayLike, *, size: int, fill_value: int = -1) -> jax.Array:
    """The first ``size`` rows of ``nonzero``, filled up with ``fill_value``; it works on traced arrays too."""
    x = as_array("nonzero_static", "input", input)
    size = as_int("nonzero_static", "size", size, 0)
    if x.ndim == 0:
        return jnp.zeros((size, 0), index_dtype())
    return jnp.stack(jnp.nonzero(x, size=size, fill_value=fill_value), -1).astype(index_dtype())


def unique(
    input: ArrayLike,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> jax.Array | tuple[jax.Array, ...]:
    """The distinct elements (or parts along an axis) in order, and if asked for, where each went and how many there were."""
    x = _known("unique", input)
    axis = None if dim is None else normalize_axis("unique", "dim", dim, x.ndim)
    values, inverse, counts = np.unique(x, return_inverse=True, return_counts=True, axis=axis)
    inverse = inverse.reshape(x.shape if axis is None else -1)
    return _asked_for(values, inverse if return_inverse else None, counts if return_counts else None)


def _asked_for(values: Any, *others: Any) -> jax.Array | tuple[jax.Array, ...]:
    rest = [jnp.asarray(v, index_dtype()) for v in others if v is not None]
    return (jnp.asarray(values), *rest) if rest else jnp.asarray(values)


def unique_consecutive(
    input: ArrayLike, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> jax.Array | tuple[jax.Array, ...]:
    """The elements (or parts along an axis) that differ from the one before, and if asked for, the runs they begin."""
    x = _known("unique_consecutive", input)
    axis = 0 if dim is None else normalize_axis("unique_consecutive", "dim", dim, x.ndim)
    rows = x.reshape(-1) if dim is None else x
    length = rows.shape[axis]
    others = tuple(a for a in range(rows.ndim) if a != axis)
    changed = (
        np.take(rows, np.arange(1, length), axis) != np.take(rows, np.arange(length - 1), axis) if length else rows
    )
    first = np.concatenate([np.ones(min(length, 1), bool), changed.any(others)]) if length else np.zeros(0, bool)
    place = np.nonzero(first)[0]
    run = np.cumsum(first) - 1
    return _asked_for(
        np.take(rows, place, axis),
        (run.reshape(x.shape) if dim is None else run) if return_inverse else None,
        np.diff(np.append(place, length)) if return_counts else None,
    )

"""Sums, means, extremes and counts along axes, and running ones, with the meaning of torch's Tensor methods."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike

from fnn.functional.arrays import ArrayLike, index_dtype, is_concrete, known, widen
from fnn.functional.checks import as_array, as_int, check_floating, fail, normalize_axis
from fnn.functional.vector_norm import norm_order, vector_norm
from fnn.kernels.precision import minus_peak
from fnn.tensor.arithmetic import maximum, minimum
from fnn.tensor.promotion import floated, kind_of, parse
from fnn.tensor.results import BinnedCounts, Extremes, ValuesAndIndices

Dims: TypeAlias = int | Sequence[int] | None
"""An axis, several, or (``None``, or none at all) every one."""


def axes_of(function: str, dim: Dims, ndim: int) -> tuple[int, ...]:
    """The axes that ``dim`` names, as numbers in ``[0, ndim)``.

    Raises:
        TypeError: if one is not an integer.
        IndexError: if one is out of range.
        ValueError: if one is named twice.
    """
    if dim is None:
        return tuple(range(ndim))
    if isinstance(dim, Sequence):
        if not dim:
            return tuple(range(ndim))
        axes = tuple(normalize_axis(function, "dim", d, ndim) for d in dim)
        if len(set(axes)) < len(axes):
            fail(ValueError, function, "dim", "of different axes", list(dim))
    else:
        axes = (normalize_axis(function, "dim", dim, ndim),)
    return axes if ndim else ()


def _widened(x: jax.Array, dtype: DTypeLike | None, function: str) -> jax.Array:
    """What a sum or product adds up: in ``dtype`` if given, else integers in int64."""
    chosen = parse(function, dtype)
    if chosen is not None:
        return x.astype(chosen)
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(index_dtype())


def sum(input: ArrayLike, dim: Dims = None, keepdim: bool = False, *, dtype: DTypeLike | None = None) -> jax.Array:
    """Sums along axes; of integers and booleans in int64 (int32 without x64)."""
    x = as_array("sum", "input", input)
    return jnp.sum(_widened(x, dtype, "sum"), axes_of("sum", dim, x.ndim), keepdims=keepdim)


def nansum(input: ArrayLike, dim: Dims = None, keepdim: bool = False, *, dtype: DTypeLike | None = None) -> jax.Array:
    """Sums along axes, in which NaN counts as 0."""
    x = as_array("nansum", "input", input)
    return jnp.nansum(_widened(x, dtype, "nansum"), axes_of("nansum", dim, x.ndim), keepdims=keepdim)


def _averaged(function: str, input: ArrayLike, dtype: DTypeLike | None) -> jax.Array:
    x = as_array(function, "input", input)
    chosen = parse(function, dtype)
    x = x if chosen is None else x.astype(chosen)
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        fail(RuntimeError, function, "input", "of a floating or complex dtype (or dtype given)", x)
    return x


def mean(input: ArrayLike, dim: Dims = None, keepdim: bool = False, *, dtype: DTypeLike | None = None) -> jax.Array:
    """Means along axes; integers are refused, unless ``dtype`` is given."""
    x = _averaged("mean", input, dtype)
    return jnp.mean(x, axes_of("mean", dim, x.ndim), keepdims=keepdim)


def nanmean(input: ArrayLike, dim: Dims = None, keepdim: bool = False, *, dtype: DTypeLike | None = None) -> jax.Array:
    """Means along axes of what is not NaN."""
    x = _averaged("nanmean", input, dtype)
    axes = axes_of("nanmean", dim, x.ndim)
    return jnp.nansum(x, axes, keepdims=keepdim) / jnp.sum(~jnp.isnan(x), axes, keepdims=keepdim).astype(x.dtype)


def prod(
    input: ArrayLike, dim: int | None = None, keepdim: bool = False, *, dtype: DTypeLike | None = None
) -> jax.Array:
    """Products along an axis, or of all; of integers and booleans in int64 (int32 without x64)."""
    x = as_array("prod", "input", input)
    return jnp.prod(_widened(x, dtype, "prod"), axes_of("prod", dim, x.ndim), keepdims=keepdim)


@partial(jax.jit, static_argnames=("axes", "keepdim"))
def _variance(x: jax.Array, correction: Any, axes: tuple[int, ...], keepdim: bool) -> jax.Array:
    wide = widen(x)
    off = wide - jnp.mean(wide, axes, keepdims=True)
    squares = (off * off.conj()).real if kind_of(x.dtype) == 3 else off * off
    count = math.prod(x.shape[axis] for axis in axes)
    freedom = jnp.maximum(count - jnp.asarray(correction, squares.dtype), 0)
    return jnp.sum(squares, axes, keepdims=keepdim) / freedom


def _spread(
    function: str, input: ArrayLike, dim: Any, unbiased: bool, keepdim: bool, correction: float | None
) -> tuple[jax.Array, jax.Array]:
    """The input and its variances, in float32 of halves."""
    x = as_array(function, "input", input)
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        fail(RuntimeError, function, "input", "of a floating or complex dtype", x)
    if isinstance(dim, bool):  # p.std(False): the first argument may be `unbiased`
        dim, unbiased = None, dim
    by = (1 if unbiased else 0) if correction is None else correction
    return x, _variance(x, by, axes_of(function, dim, x.ndim), keepdim)


def _in_real_dtype_of(x: jax.Array, value: jax.Array) -> jax.Array:
    return value.astype(jnp.finfo(x.dtype).dtype)


def var(
    input: ArrayLike,
    dim: Dims | bool = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> jax.Array:
    """Variances along axes, divided by ``n - correction``: 1 by default (``unbiased``), 0 with ``unbiased=False``."""
    return _in_real_dtype_of(*_spread("var", input, dim, unbiased, keepdim, correction))


def std(
    input: ArrayLike,
    dim: Dims | bool = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> jax.Array:
    """Standard deviations along axes: the roots of ``var``."""
    x, variance = _spread("std", input, dim, unbiased, keepdim, correction)
    return _in_real_dtype_of(x, jnp.sqrt(variance))


def all(input: ArrayLike, dim: Dims = None, keepdim: bool = False) -> jax.Array:
    """Whether all elements along axes are other than 0."""
    x = as_array("all", "input", input)
    out = jnp.all(x, axes_of("all", dim, x.ndim), keepdims=keepdim)
    return out.astype(x.dtype) if x.dtype == jnp.uint8 else out


def any(input: ArrayLike, dim: Dims = None, keepdim: bool = False) -> jax.Array:
    """Whether any element along axes is other than 0."""
    x = as_array("any", "input", input)
    out = jnp.any(x, axes_of("any", dim, x.ndim), keepdims=keepdim)
    return out.astype(x.dtype) if x.dtype == jnp.uint8 else out


def count_nonzero(input: ArrayLike, dim: Dims = None) -> jax.Array:
    """How many elements along axes are other than 0."""
    x = as_array("count_nonzero", "input", input)
    return jnp.sum(x != 0, axes_of("count_nonzero", dim, x.ndim), dtype=index_dtype())


# Extremes


def _check_not_empty(function: str, x: jax.Array, axes: Sequence[int]) -> None:
    if math.prod(x.shape[axis] for axis in axes) == 0:
        fail(IndexError, function, "input", "of at least 1 element along dim", x)


def amax(input: ArrayLike, dim: Dims = (), keepdim: bool = False) -> jax.Array:
    """The greatest along axes; equal ones share the gradient."""
    x = as_array("amax", "input", input)
    axes = axes_of("amax", dim, x.ndim)
    _check_not_empty("amax", x, axes)
    return jnp.max(x, axes, keepdims=keepdim)


def amin(input: ArrayLike, dim: Dims = (), keepdim: bool = False) -> jax.Array:
    """The least along axes; equal ones share the gradient."""
    x = as_array("amin", "input", input)
    axes = axes_of("amin", dim, x.ndim)
    _check_not_empty("amin", x, axes)
    return jnp.min(x, axes, keepdims=keepdim)


def aminmax(input: ArrayLike, *, dim: int | None = None, keepdim: bool = False) -> Extremes:
    """The least and the greatest, along an axis or of all."""
    return Extremes(amin(input, dim, keepdim), amax(input, dim, keepdim))


def pick(x: jax.Array, index: jax.Array, axis: int, keepdim: bool) -> ValuesAndIndices:
    """The values at one index along an axis, which ``index`` still has."""
    if x.ndim:
        values = jnp.take_along_axis(x, index, axis)
        if not keepdim:
            values, index = values.squeeze(axis), index.squeeze(axis)
    else:
        values, index = x, jnp.zeros_like(index)
    return ValuesAndIndices(values, index.astype(index_dtype()))


def _extreme(function: str, x: jax.Array, dim: Any, keepdim: bool, rule: Any) -> ValuesAndIndices:
    axis = normalize_axis(function, "dim", dim, x.ndim)
    if x.ndim == 0:
        return pick(x, jnp.zeros((), index_dtype()), axis, keepdim)
    _check_not_empty(function, x, (axis,))
    return pick(x, rule(x, axis, keepdims=True), axis, keepdim)


def max(input: ArrayLike, dim: int | ArrayLike | None = None, keepdim: bool = False) -> jax.Array | ValuesAndIndices:
    """The greatest of all; with an axis, ``(values, indices)`` of the greatest along it; with an array, ``maximum``.

    Along an axis the gradient goes to the element that the index names.
    """
    x = as_array("max", "input", input)
    if dim is None:
        return amax(x)
    if hasattr(dim, "dtype") and hasattr(dim, "shape"):
        return maximum(x, dim)
    return _extreme("max", x, dim, keepdim, jnp.argmax)


def min(input: ArrayLike, dim: int | ArrayLike | None = None, keepdim: bool = False) -> jax.Array | ValuesAndIndices:
    """The least of all; with an axis, ``(values, indices)`` of the least along it; with an array, ``minimum``."""
    x = as_array("min", "input", input)
    if dim is None:
        return amin(x)
    if hasattr(dim, "dtype") and hasattr(dim, "shape"):
        return minimum(x, dim)
    return _extreme("min", x, dim, keepdim, jnp.argmin)


def _arg(function: str, input: ArrayLike, dim: int | None, keepdim: bool, rule: Any) -> jax.Array:
    x = as_array(function, "input", input)
    if x.ndim == 0:
        axes_of(function, dim, 0)
        return jnp.zeros((), index_dtype())
    axis = None if dim is None else normalize_axis(function, "dim", dim, x.ndim)
    _check_not_empty(function, x, range(x.ndim) if axis is None else (axis,))
    return rule(x, axis, keepdims=keepdim).astype(index_dtype())


def argmax(input: ArrayLike, dim: int | None = None, keepdim: bool = False) -> jax.Array:
    """Where along an axis, or in the flattened array, the greatest stands; NaN is greater than all."""
    return _arg("argmax", input, dim, keepdim, jnp.argmax)


def argmin(input: ArrayLike, dim: int | None = None, keepdim: bool = False) -> jax.Array:
    """Where along an axis, or in the flattened array, the least stands; NaN is less than all."""
    return _arg("argmin", input, dim, keepdim, jnp.argmin)


# Norms


def norm(
    input: ArrayLike,
    p: float | str | None = "fro",
    dim: Dims = None,
    keepdim: bool = False,
    dtype: DTypeLike | None = None,
) -> jax.Array:
    """The ``p``-norm along axes, of the flattened array by default; "fro" is 2, "nuc" the sum of singular values.

    The derivative is 0 where the norm is 0.
    """
    x = as_array("norm", "input", input)
    chosen = parse("norm", dtype)
    x = x if chosen is None else x.astype(chosen)
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        fail(RuntimeError, "norm", "input", "of a floating or complex dtype", x)
    axes = axes_of("norm", dim, x.ndim)
    if p == "nuc":
        if len(axes) != 2:
            fail(ValueError, "norm", "dim", "of 2 axes for p='nuc'", dim if dim is not None else x)
        return jnp.linalg.norm(x, "nuc", axes, keepdims=keepdim)
    order = 2.0 if p in ("fro", None) else norm_order("norm", "p", p)
    size = widen(jnp.abs(x) if kind_of(x.dtype) == 3 else x)
    if math.prod(x.shape[axis] for axis in axes) == 0 and abs(order) == math.inf:
        _check_not_empty("norm", x, axes)
    return vector_norm(size, order, axes, keepdim).astype(jnp.finfo(x.dtype).dtype)


def renorm(input: ArrayLike, p: float, dim: int, maxnorm: float) -> jax.Array:
    """The parts along axis ``dim`` whose ``p``-norm exceeds ``maxnorm`` scaled to it."""
    x = as_array("renorm", "input", input)
    check_floating("renorm", input=x)
    if x.ndim < 2:
        fail(RuntimeError, "renorm", "input", "at least 2-D", x)
    order = norm_order("renorm", "p", p)
    if order <= 0:
        fail(RuntimeError, "renorm", "p", "greater than 0", p)
    most = known(maxnorm)
    if most is not None and not most >= 0:
        fail(RuntimeError, "renorm", "maxnorm", "at least 0", maxnorm)
    axis = normalize_axis("renorm", "dim", dim, x.ndim)
    wide = widen(x)
    size = vector_norm(wide, order, tuple(a for a in range(x.ndim) if a != axis), True)
    return (wide * jnp.where(size > maxnorm, maxnorm / (size + 1e-7), 1)).astype(x.dtype)


def logsumexp(input: ArrayLike, dim: Dims, keepdim: bool = False) -> jax.Array:
    """``log(sum(e ** x))`` along axes, without overflow."""
    x = floated("logsumexp", input)
    axes = axes_of("logsumexp", dim, x.ndim)
    if not axes:
        return x
    if jnp.iscomplexobj(x) or not x.size:
        return jax.nn.logsumexp(x, axes, keepdims=keepdim)
    wide = widen(x)
    peak = lax.stop_gradient(jnp.max(wide, axes, keepdims=True))
    finite = jnp.isfinite(peak)
    shift = jnp.where(finite, peak, 0)
    powers = jnp.exp(jnp.where(finite, minus_peak(wide, shift), wide))
    out = (jnp.log(jnp.sum(powers, axes, keepdims=True)) + shift).astype(x.dtype)
    return out if keepdim else jnp.squeeze(out, axes)


# Running forms


def _axis_or_scalar(function: str, x: jax.Array, dim: int) -> int | None:
    """The axis; ``None`` for a 0-d array, along which there is nothing to run."""
    axis = normalize_axis(function, "dim", dim, x.ndim)
    return axis if x.ndim else None


def cumsum(input: ArrayLike, dim: int, *, dtype: DTypeLike | None = None) -> jax.Array:
    """Running sums along an axis; of integers and booleans in int64 (int32 without x64)."""
    x = _widened(as_array("cumsum", "input", input), dtype, "cumsum")
    axis = _axis_or_scalar("cumsum", x, dim)
    return x if axis is None else jnp.cumsum(x, axis)


def cumprod(input: ArrayLike, dim: int, *, dtype: DTypeLike | None = None) -> jax.Array:
    """Running products along an axis; of integers and booleans in int64 (int32 without x64)."""
    x = _widened(as_array("cumprod", "input", input), dtype, "cumprod")
    axis = _axis_or_scalar("cumprod", x, dim)
    return x if axis is None else jnp.cumprod(x, axis)


def logcumsumexp(input: ArrayLike, dim: int) -> jax.Array:
    """Running ``logsumexp`` along an axis."""
    x = as_array("logcumsumexp", "input", input)
    check_floating("logcumsumexp", input=x)
    axis = _axis_or_scalar("logcumsumexp", x, dim)
    return x if axis is None else lax.cumlogsumexp(x, axis)


def _running_extreme(function: str, input: ArrayLike, dim: int, sign: int) -> ValuesAndIndices:
    x = as_array(function, "input", input)
    axis = _axis_or_scalar(function, x, dim)
    if axis is None:
        return ValuesAndIndices(x, jnp.zeros((), index_dtype()))

    def later(a: tuple[jax.Array, jax.Array], b: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        beaten = b[0] >= a[0] if sign > 0 else b[0] <= a[0]
        taken = (b[0] != b[0]) | ((a[0] == a[0]) & beaten)
        return jnp.where(taken, b[0], a[0]), jnp.where(taken, b[1], a[1])

    _, index = lax.associative_scan(
        later, (lax.stop_gradient(x), lax.broadcasted_iota(index_dtype(), x.shape, axis)), axis=axis
    )
    return ValuesAndIndices(jnp.take_along_axis(x, index, axis), index)


def cummax(input: ArrayLike, dim: int) -> ValuesAndIndices:
    """The greatest so far along an axis, and where it stands: the last of equal ones."""
    return _running_extreme("cummax", input, dim, 1)


def cummin(input: ArrayLike, dim: int) -> ValuesAndIndices:
    """The least so far along an axis, and where it stands: the last of equal ones."""
    return _running_extreme("cummin", input, dim, -1)


def diff(
    input: ArrayLike, n: int = 1, dim: int = -1, prepend: ArrayLike | None = None, append: ArrayLike | None = None
) -> jax.Array:
    """Differences of neighbours along an axis, taken ``n`` times."""
    x = as_array("diff", "input", input)
    axis = normalize_axis("diff", "dim", dim, x.ndim)
    parts = [as_array("diff", "prepend or append", v) for v in (prepend, append) if v is not None]
    if prepend is not None:
        x = jnp.concatenate([parts[0], x], axis)
    if append is not None:
        x = jnp.concatenate([x, parts[-1]], axis)
    if x.ndim == 0:
        fail(RuntimeError, "diff", "input", "at least 1-D", x)
    return jnp.diff(x, as_int("diff", "n", n, 0), axis)


# Statistics


def trace(input: ArrayLike) -> jax.Array:
    """The sum of the diagonal of a matrix."""
    x = as_array("trace", "input", input)
    if x.ndim != 2:
        fail(RuntimeError, "trace", "input", "2-D", x)
    return sum(jnp.diagonal(x))


def cov(
    input: ArrayLike, *, correction: int = 1, fweights: ArrayLike | None = None, aweights: ArrayLike | None = None
) -> jax.Array:
    """Covariances of the rows, each a variable."""
    x = floated("cov", input)
    f, a = (None if w is None else as_array("cov", "weights", w) for w in (fweights, aweights))
    return jnp.cov(x, ddof=correction, fweights=f, aweights=a)


def corrcoef(input: ArrayLike) -> jax.Array:
    """Correlations of the rows, each a variable."""
    return jnp.corrcoef(floated("corrcoef", input))


def bincount(input: ArrayLike, weights: ArrayLike | None = None, minlength: int = 0) -> jax.Array:
    """How often each number from 0 on occurs, or the sum of the ``weights`` where it does."""
    x = as_array("bincount", "input", input)
    if x.ndim != 1 or kind_of(x.dtype) != 1:
        fail(RuntimeError, "bincount", "input", "1-D, of an integer dtype", x)
    if not is_concrete(x):
        raise RuntimeError("bincount: the length of the result depends on the values of input, which are traced")
    if x.size and int(np.asarray(x).min()) < 0:
        fail(RuntimeError, "bincount", "input", "of numbers from 0 on", int(np.asarray(x).min()))
    w = None if weights is None else as_array("bincount", "weights", weights)
    if w is not None and w.shape != x.shape:
        fail(RuntimeError, "bincount", "weights", f"of shape {list(x.shape)}", w)
    length = int(np.asarray(x).max()) + 1 if x.size else 0
    length = length if length > minlength else as_int("bincount", "minlength", minlength, 0)
    of = jnp.ones(x.shape, index_dtype()) if w is None else w
    return jnp.zeros(length, of.dtype).at[x].add(of)


def histc(input: ArrayLike, bins: int = 100, min: float = 0, max: float = 0) -> jax.Array:
    """Counts of ``bins`` bins from ``min`` to ``max``, or from the least to the greatest element if these are equal."""
    x = as_array("histc", "input", input)
    check_floating("histc", input=x)
    bins = as_int("histc", "bins", bins, 1)
    flat = x.reshape(-1)
    low, high = jnp.asarray(min, x.dtype), jnp.asarray(max, x.dtype)
    if min == max and flat.size:
        low, high = flat.min(), flat.max()
    low, high = jnp.where(low == high, low - 1, low), jnp.where(low == high, high + 1, high)
    place = jnp.floor((flat - low) * bins / (high - low))
    place = jnp.where(flat == high, bins - 1, place)
    inside = (flat >= low) & (flat <= high)
    return jnp.zeros(bins, x.dtype).at[jnp.where(inside, place, bins).astype(jnp.int32)].add(1, mode="drop")


def histogram(
    input: ArrayLike,
    bins: int | ArrayLike = 100,
    *,
    range: tuple[float, float] | None = None,
    weight: ArrayLike | None = None,
    density: bool = False,
) -> BinnedCounts:
    """Counts, or sums of weights, of bins: as many as ``bins`` says in ``range``, or between the edges it gives."""
    x = as_array("histogram", "input", input)
    check_floating("histogram", input=x)
    edges: Any = bins if isinstance(bins, int) else as_array("histogram", "bins", bins)
    w = None if weight is None else as_array("histogram", "weight", weight)
    hist, edges = jnp.histogram(x, edges, range, w, density)
    return BinnedCounts(hist.astype(x.dtype), edges.astype(x.dtype))

"""Arrays with elements exchanged, added to or reduced at given places, with the meaning of torch's Tensor methods."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnn.functional.arrays import ArrayLike, known
from fnn.functional.checks import as_array, check_choice, check_rank, check_same_dtype, fail, normalize_axis
from fnn.tensor.arithmetic import check_broadcast
from fnn.tensor.indexing import integer_index, open_grid, smaller_on_other_axes
from fnn.tensor.promotion import Number, combined, is_number, kind_of, operand, result_type

_REDUCTIONS = ("sum", "prod", "mean", "amax", "amin")


def _least(dtype: Any) -> Any:
    return -jnp.inf if kind_of(dtype) == 2 else jnp.iinfo(dtype).min


def _greatest(dtype: Any) -> Any:
    return jnp.inf if kind_of(dtype) == 2 else jnp.iinfo(dtype).max


def _reduced_at(x: jax.Array, place: Any, values: jax.Array, reduce: str, include_self: bool) -> jax.Array:
    """``x`` with the values that fall on one place reduced, together with what was there if ``include_self``."""
    base = x
    if not include_self:
        start = {"sum": 0, "mean": 0, "prod": 1, "amax": None, "amin": None}[reduce]
        if start is None:
            start = _least(x.dtype) if reduce == "amax" else _greatest(x.dtype)
        base = x.at[place].set(jnp.asarray(start, x.dtype), mode="drop")
    target = base.at[place]
    if reduce == "amax":
        return target.max(values, mode="drop")
    if reduce == "amin":
        return target.min(values, mode="drop")
    if reduce == "prod":
        return target.multiply(values, mode="drop")
    total = target.add(values, mode="drop")
    if reduce == "sum":
        return total
    first = jnp.full(x.shape, int(include_self), total.dtype)
    count = jnp.maximum(first.at[place].add(jnp.ones(values.shape, total.dtype), mode="drop"), 1)
    return total / count if kind_of(x.dtype) > 1 else total // count


def _places(function: str, x: jax.Array, dim: int, index: ArrayLike) -> tuple[jax.Array, jax.Array, int]:
    """The input and the index with an axis at least, the index checked against the input."""
    i = as_array(function, "index", index)
    axis = normalize_axis(function, "dim", dim, x.ndim)
    wide, index_ = (v.reshape(1) if v.ndim == 0 else v for v in (x, i))
    if wide.ndim != index_.ndim or any(
        n > wide.shape[a] for a, n in enumerate(index_.shape) if a != axis and index_.size
    ):
        fail(RuntimeError, function, "index", f"{x.ndim}-D and no longer than input {list(x.shape)} on other axes", i)
    if not index_.size:
        return wide, index_.astype(jnp.int32), axis
    return wide, integer_index(function, index_, wide.shape[axis]), axis


def _source(function: str, x: jax.Array, src: ArrayLike, index: jax.Array) -> jax.Array:
    values = as_array(function, "src", src)
    check_same_dtype(function, input=x, src=values)
    values = values.reshape(1) if values.ndim == 0 else values
    if not index.size:
        return jnp.zeros(index.shape, x.dtype)
    return smaller_on_other_axes(function, "src", values, index.shape, -1).astype(x.dtype)


def scatter(
    input: ArrayLike,
    dim: int,
    index: ArrayLike,
    src: ArrayLike | None = None,
    *,
    value: Number | None = None,
    reduce: str | None = None,
) -> jax.Array:
    """``input`` after ``input[index[i][j]][j] = src[i][j]`` for ``dim=0``, and so on.

    With ``reduce="add"`` or ``"multiply"`` the values are added to or multiplied with what was there.
    """
    x = as_array("scatter", "input", input)
    if reduce is not None:
        check_choice("scatter", "reduce", reduce, ("add", "multiply"))
    if (src is None) == (value is None):
        raise TypeError("scatter: one of src and value must be given")
    wide, i, axis = _places("scatter", x, dim, index)
    number: Any = value if src is None else src
    if src is None or is_number(src):
        values = jnp.full(i.shape, number).astype(x.dtype)
    else:
        values = _source("scatter", x, src, i)
    target = wide.at[open_grid(i, axis)]
    rule = target.set if reduce is None else target.add if reduce == "add" else target.multiply
    return rule(values, mode="drop").reshape(x.shape)


def scatter_add(input: ArrayLike, dim: int, index: ArrayLike, src: ArrayLike) -> jax.Array:
    """``input`` after ``input[index[i][j]][j] += src[i][j]`` for ``dim=0``, and so on."""
    x = as_array("scatter_add", "input", input)
    wide, i, axis = _places("scatter_add", x, dim, index)
    return wide.at[open_grid(i, axis)].add(_source("scatter_add", x, src, i), mode="drop").reshape(x.shape)


def scatter_reduce(
    input: ArrayLike, dim: int, index: ArrayLike, src: ArrayLike, reduce: str, *, include_self: bool = True
) -> jax.Array:
    """The values of ``src`` that ``index`` sends to one place reduced: "sum", "prod", "mean", "amax" or "amin"."""
    x = as_array("scatter_reduce", "input", input)
    check_choice("scatter_reduce", "reduce", reduce, _REDUCTIONS)
    wide, i, axis = _places("scatter_reduce", x, dim, index)
    values = _source("scatter_reduce", x, src, i)
    return _reduced_at(wide, open_grid(i, axis), values, reduce, include_self).reshape(x.shape)


def _parts(function: str, input: ArrayLike, dim: int, index: ArrayLike, source: ArrayLike) -> tuple[Any, ...]:
    """For ``index_add`` and its kin: the input with an axis at least, the place of the parts, and the parts."""
    x, s = as_array(function, "input", input), as_array(function, "source", source)
    axis = normalize_axis(function, "dim", dim, x.ndim)
    check_same_dtype(function, input=x, source=s)
    i = as_array(function, "index", index)
    check_rank(function, "index", i, 0, 1)
    wide, part = (v.reshape(1) if v.ndim == 0 else v for v in (x, s))
    i = integer_index(function, i.reshape(-1), wide.shape[axis])
    wanted = (*wide.shape[:axis], i.size, *wide.shape[axis + 1 :])
    if part.shape != wanted:
        fail(RuntimeError, function, "source", f"of shape {list(wanted)}", s)
    return x, wide, (slice(None),) * axis + (i,), part.astype(x.dtype)


def index_add(input: ArrayLike, dim: int, index: ArrayLike, source: ArrayLike, *, alpha: Number = 1) -> jax.Array:
    """The parts of ``source`` times ``alpha`` added to those of an axis at ``index``; equal indices add up."""
    x, wide, place, part = _parts("index_add", input, dim, index, source)
    scaled = combined(jnp.multiply, part, operand("index_add", "alpha", alpha), dtype=x.dtype)
    return wide.at[place].add(scaled, mode="drop").reshape(x.shape)


def index_copy(input: ArrayLike, dim: int, index: ArrayLike, source: ArrayLike) -> jax.Array:
    """The parts of ``source`` in the place of those of an axis at ``index``."""
    x, wide, place, part = _parts("index_copy", input, dim, index, source)
    return wide.at[place].set(part, mode="drop").reshape(x.shape)


def index_reduce(
    input: ArrayLike, dim: int, index: ArrayLike, source: ArrayLike, reduce: str, *, include_self: bool = True
) -> jax.Array:
    """The parts of ``source`` with equal indices reduced: "prod", "mean", "amax" or "amin"."""
    check_choice("index_reduce", "reduce", reduce, _REDUCTIONS[1:])
    x, wide, place, part = _parts("index_reduce", input, dim, index, source)
    return _reduced_at(wide, place, part, reduce, include_self).reshape(x.shape)


def _fill_value(function: str, x: jax.Array, value: ArrayLike) -> Any:
    """A number or 0-d array that fills places, in the dtype of ``x``."""
    v = operand(function, "value", value)
    if not is_number(v) and v.ndim:
        fail(RuntimeError, function, "value", "a number or 0-D", v)
    if kind_of(x.dtype) < 3 and kind_of(result_type(v)) == 3:
        fail(RuntimeError, function, "value", f"real, as input ({x.dtype})", value)
    return jnp.asarray(v).astype(x.dtype)


def index_fill(input: ArrayLike, dim: int, index: ArrayLike, value: ArrayLike) -> jax.Array:
    """The parts of an axis at ``index`` filled with a number; negative indices count from the end."""
    x, i = as_array("index_fill", "input", input), as_array("index_fill", "index", index)
    axis = normalize_axis("index_fill", "dim", dim, x.ndim)
    wide = x.reshape(1) if x.ndim == 0 else x
    size = wide.shape[axis]
    i = integer_index("index_fill", jnp.where(i < 0, i + size, i) if i.size else i.astype(jnp.int32), size)
    place = (slice(None),) * axis + (i.reshape(-1),)
    return wide.at[place].set(_fill_value("index_fill", x, value), mode="drop").reshape(x.shape)


def _mask(function: str, mask: ArrayLike) -> jax.Array:
    m = as_array(function, "mask", mask)
    if m.dtype != bool:
        fail(RuntimeError, function, "mask", "of dtype bool", m)
    return m


def masked_fill(input: ArrayLike, mask: ArrayLike, value: ArrayLike) -> jax.Array:
    """A number where a mask, which broadcasts, is true, and the input elsewhere."""
    x, m = as_array("masked_fill", "input", input), _mask("masked_fill", mask)
    check_broadcast("masked_fill", "mask", m, x.shape)
    return jnp.where(m, _fill_value("masked_fill", x, value), x)


def masked_scatter(input: ArrayLike, mask: ArrayLike, source: ArrayLike) -> jax.Array:
    """The elements of ``source`` one after another where a mask, which broadcasts, is true, and the input elsewhere."""
    x, m = as_array("masked_scatter", "input", input), _mask("masked_scatter", mask)
    s = as_array("masked_scatter", "source", source).reshape(-1)
    check_same_dtype("masked_scatter", input=x, source=s)
    check_broadcast("masked_scatter", "mask", m, x.shape)
    shape = jnp.broadcast_shapes(x.shape, m.shape)
    marks = known(m)
    needed = int(np.broadcast_to(marks, shape).sum()) if marks is not None and marks.shape == m.shape else 0
    if needed > s.size:
        fail(RuntimeError, "masked_scatter", "source", f"of at least {needed} elements", s)
    m = jnp.broadcast_to(m, shape).reshape(-1)
    if not s.size:
        return jnp.broadcast_to(x, shape)
    taken = s.at[jnp.cumsum(m) - 1].get(mode="clip")
    return jnp.where(m.reshape(shape), taken.reshape(shape).astype(x.dtype), x)

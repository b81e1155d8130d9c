"""Lookups in a table of rows: ``embedding``, ``embedding_bag``, ``embedding_renorm``; and ``one_hot``."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnn.functional.arrays import ArrayLike, index_dtype, is_concrete, known, widen
from fnn.functional.checks import (
    as_array,
    as_int,
    as_optional_array,
    check_choice,
    check_index_range,
    check_integer,
    check_rank,
    check_same_dtype,
    check_shape,
    fail,
)
from fnn.functional.explained import explained
from fnn.functional.vector_norm import norm_order, vector_norm
from fnn.kernels.precision import wide_dtype
from fnn.stateful.boxes import Box
from fnn.stateful.warning import warn

__all__ = ["embedding", "embedding_bag", "embedding_renorm", "one_hot"]


@jax.custom_jvp
def _replace(value: jax.Array, x: jax.Array, scale: jax.Array) -> jax.Array:
    """``value``, with ``scale`` times the tangent of ``x``."""
    return value


@_replace.defjvp
def _replace_jvp(primals: tuple[jax.Array, ...], tangents: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
    value, _, scale = primals
    return _replace(*primals), (tangents[1] * scale).astype(value.dtype)


def _rows_of(index: jax.Array, size: int) -> jax.Array:
    """The index in a dtype that can hold ``size``, which stands for every value out of range."""
    index = index.astype(jnp.promote_types(index.dtype, jnp.int32)).astype(index_dtype())
    return jnp.where((index < 0) | (index >= size), size, index)


def _take(weight: jax.Array, index: jax.Array) -> jax.Array:
    """Rows of the table; NaN for an index of ``len(weight)``."""
    if weight.shape[0] == 0:
        fill = jnp.nan if jnp.issubdtype(weight.dtype, jnp.inexact) else 0
        return jnp.full((*index.shape, *weight.shape[1:]), fill, weight.dtype)
    return jnp.take(weight, index, axis=0, mode="fill")


def _renormalized(rows: jax.Array, max_norm: Any, norm_type: float) -> jax.Array:
    """The rows with those longer than ``max_norm`` scaled to it; a constant to autodiff."""
    rows = lax.stop_gradient(rows)
    wide = widen(rows)
    norm = vector_norm(wide, norm_type, -1, keepdims=True)
    limit = jnp.asarray(max_norm).astype(wide.dtype)
    return jnp.where(norm > limit, wide * (limit / (norm + 1e-7)), wide).astype(rows.dtype)


def _lookup(
    index: jax.Array,
    weight: jax.Array,
    max_norm: Any,
    *,
    padding_idx: int | None,
    norm_type: float,
    scale_grad_by_freq: bool,
) -> jax.Array:
    """The rows of an index from ``_rows_of``, with the values and gradients that the options ask for."""
    rows = _take(weight, index)
    if padding_idx is not None:
        rows = jnp.where((index == padding_idx)[..., None], lax.stop_gradient(rows), rows)
    if max_norm is None and not scale_grad_by_freq:
        return rows
    value, scale = lax.stop_gradient(rows), jnp.ones((), rows.dtype)
    if max_norm is not None:
        value = _renormalized(rows, max_norm, norm_type)
    if scale_grad_by_freq:
        count = jnp.zeros(weight.shape[0], jnp.int32).at[index].add(1, mode="drop")
        scale = (1 / jnp.maximum(count.at[index].get(mode="clip"), 1)).astype(rows.dtype)[..., None]
    return _replace(value, rows, scale)


@partial(jax.jit, static_argnames=("padding_idx", "norm_type", "scale_grad_by_freq"))
def _embedding(input: jax.Array, weight: jax.Array, max_norm: Any, **options: Any) -> jax.Array:
    return _lookup(_rows_of(input, weight.shape[0]), weight, max_norm, **options)


def _padding(function: str, padding_idx: int | None, size: int) -> int | None:
    """``padding_idx`` counted from the front; ValueError if it is out of range."""
    if padding_idx is None:
        return None
    number = as_int(function, "padding_idx", padding_idx)
    if not -size <= number < size:
        fail(ValueError, function, "padding_idx", f"in [{-size}, {size - 1}] (the rows of weight)", number)
    return number % size


def _table(function: str, weight: Any, max_norm: Any, scale_grad_by_freq: bool) -> jax.Array:
    """The weight as a matrix; options that need floating rows are refused for others."""
    w = as_array(function, "weight", weight)
    check_rank(function, "weight", w, 2)
    if (max_norm is not None or scale_grad_by_freq) and not jnp.issubdtype(w.dtype, jnp.floating):
        fail(TypeError, function, "weight", "of a floating dtype", w)
    return w


def _order(function: str, weight: jax.Array, norm_type: Any) -> float:
    """The order of the norm of rows; an infinite one needs an element."""
    order = norm_order(function, "norm_type", norm_type)
    if math.isinf(order) and weight.shape[1] == 0:
        fail(ValueError, function, "norm_type", "finite where the rows have no element", norm_type)
    return order


@explained
def embedding(
    input: ArrayLike,
    weight: ArrayLike,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> jax.Array:
    """Rows of a table, ``weight[input]``.

    Args:
        input: indices of rows.
        weight: the table.
        padding_idx: a row that gets no gradient; a negative one counts from the end.
        max_norm: rows looked up that are longer than this are scaled to it. The scaling is a constant to autodiff. A
            table that is a box (a ``Parameter``) gets the scaled rows, as in torch; an array does not change, and
            ``embedding_renorm`` returns the changed one.
        norm_type: the order of the norm of ``max_norm``.
        scale_grad_by_freq: divide the gradient of a row by the number of times it occurs in ``input``.
        sparse: accepted and ignored: `jax.grad` of a function gives dense arrays (a layer under `fnn.backward` gives rows).

    Shape:
        - input: (*), integers.
        - weight: (V, D).
        - output: (*, D).

    Returns:
        the rows. Under a trace, where values cannot be checked, the rows of indices out of range are NaN.

    Raises:
        TypeError: if ``input`` is not of an integer dtype.
        IndexError: if a concrete index is out of range.
        ValueError: if ``weight`` is no matrix or ``padding_idx`` is out of range.
        RuntimeError: if a box would be written under a JAX transformation that fnn does not run.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.embedding.html

    Example:
        >>> import jax.numpy as jnp
        >>> embedding(jnp.array([1]), jnp.array([[1.0, 2.5, 3.0], [4.0, 5.0, 6.0]])).tolist()
        [[4.0, 5.0, 6.0]]
    """
    x = as_array("embedding", "input", input)
    check_integer("embedding", input=x)
    w = _table("embedding", weight, max_norm, scale_grad_by_freq)
    padding_idx = _padding("embedding", padding_idx, w.shape[0])
    order = 2.0 if max_norm is None else _order("embedding", w, norm_type)
    check_index_range("embedding", "input", x, w.shape[0])
    if max_norm is not None and isinstance(weight, Box):
        w, max_norm = _renormalized_table(weight, x, max_norm, order), None
    return _embedding(
        x, w, max_norm, padding_idx=padding_idx, norm_type=order, scale_grad_by_freq=bool(scale_grad_by_freq)
    )


def _renormalized_table(box: Box, index: jax.Array, max_norm: Any, norm_type: float) -> jax.Array:
    """The content of a box after the rows of an index are renormalized in it; no gradient flows through the scaling."""
    box.write(_embedding_renorm(box.peek(), index, max_norm, norm_type))
    return box.data


@partial(jax.jit, static_argnames="norm_type")
def _embedding_renorm(weight: jax.Array, input: jax.Array, max_norm: Any, norm_type: float) -> jax.Array:
    index = _rows_of(input, weight.shape[0]).reshape(-1)
    constant = lax.stop_gradient(weight)
    changed = constant.at[index].set(_renormalized(_take(constant, index), max_norm, norm_type), mode="drop")
    return _replace(changed, weight, jnp.ones((), weight.dtype))


@explained
def embedding_renorm(weight: ArrayLike, input: ArrayLike, max_norm: float, norm_type: float = 2.0) -> jax.Array:
    """The table that ``embedding(input, weight, max_norm=max_norm)`` leaves behind in torch.

    The rows that ``input`` names and that are longer than ``max_norm`` are multiplied by ``max_norm / (norm + 1e-7)``.

    Args:
        weight: the table; it is not changed.
        input: indices of rows.
        max_norm: the greatest length.
        norm_type: the order of the norm.

    Shape:
        - weight: (V, D).
        - input: (*), integers.
        - output: (V, D).

    Returns:
        the new table; to autodiff it is ``weight`` itself. Under a trace, indices out of range change nothing.

    Raises:
        TypeError: if ``input`` is not of an integer dtype, or ``weight`` not of a floating one.
        IndexError: if a concrete index is out of range.
        ValueError: if ``weight`` is no matrix.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.embedding.html

    Example:
        >>> import jax.numpy as jnp
        >>> embedding_renorm(jnp.array([[3.0, 4.0], [0.0, 8.0]]), jnp.array([1]), 5.0).round().tolist()
        [[3.0, 4.0], [0.0, 5.0]]
    """
    if max_norm is None:
        fail(TypeError, "embedding_renorm", "max_norm", "a number", max_norm)
    x = as_array("embedding_renorm", "input", input)
    check_integer("embedding_renorm", input=x)
    w = _table("embedding_renorm", weight, max_norm, False)
    order = _order("embedding_renorm", w, norm_type)
    check_index_range("embedding_renorm", "input", x, w.shape[0])
    return _embedding_renorm(w, x, max_norm, order)


def _bag_of(offsets: jax.Array, length: int, bags: int) -> jax.Array:
    """The bag of each position; ``bags`` for those behind the last offset of ``include_last_offset``."""
    positions = jnp.arange(length, dtype=offsets.dtype)
    return jnp.clip(jnp.searchsorted(offsets, positions, side="right") - 1, 0, bags)


def _first_maximum(value: jax.Array, used: jax.Array, bag: jax.Array, bags: int) -> tuple[jax.Array, jax.Array]:
    """For each bag and column the position of its first maximum (or first NaN), and whether there is one."""
    low = jnp.where(used[:, None], value, -jnp.inf)
    peak = jax.ops.segment_max(low, bag, bags)[jnp.minimum(bag, bags - 1)]
    hit = used[:, None] & ((value == peak) | jnp.isnan(value))
    positions = jnp.arange(value.shape[0])[:, None]
    first = jax.ops.segment_min(jnp.where(hit, positions, value.shape[0]), bag, bags)
    found = first < value.shape[0]
    return jnp.where(found, first, 0), found


@partial(jax.jit, static_argnames=("mode", "padding_idx", "norm_type", "scale_grad_by_freq", "include_last_offset"))
def _embedding_bag(
    input: jax.Array,
    weight: jax.Array,
    offsets: jax.Array | None,
    factors: jax.Array | None,
    max_norm: Any,
    *,
    mode: str,
    padding_idx: int | None,
    include_last_offset: bool,
    **options: Any,
) -> jax.Array:
    index = _rows_of(input, weight.shape[0])
    used = jnp.ones(index.shape, bool) if padding_idx is None else index != padding_idx
    if offsets is None:
        bags, bag = index.shape[0], jnp.repeat(jnp.arange(index.shape[0]), index.shape[1])
    else:
        bags = offsets.shape[0] - int(include_last_offset)
        bag = _bag_of(offsets, index.shape[0], bags if include_last_offset else bags - 1)
    if bags <= 0 or index.size == 0:
        return jnp.zeros((max(bags, 0), weight.shape[1]), weight.dtype)
    rows = _lookup(index, weight, max_norm, padding_idx=padding_idx, **options)
    if mode == "max":
        flat = rows.reshape(index.size, weight.shape[1])
        first, found = _first_maximum(lax.stop_gradient(flat), used.reshape(-1), bag, bags)
        out = jnp.where(found, jnp.take_along_axis(flat, first, axis=0), 0)
    else:
        # Rows of integers, too, are added up in float32.
        wide = rows.astype(wide_dtype(rows.dtype))
        if factors is not None:
            wide = wide * factors.astype(wide.dtype)[..., None]
        wide = jnp.where(used[..., None], wide, 0)
        count = used.astype(wide.dtype)
        if offsets is None:
            total, number = jnp.sum(wide, axis=1), jnp.sum(count, axis=1)
        else:
            total, number = (jax.ops.segment_sum(v, bag, bags) for v in (wide, count))
        if mode == "mean":
            total = total / jnp.maximum(number, 1)[:, None]
        out = total.astype(weight.dtype)
    if offsets is None or not jnp.issubdtype(out.dtype, jnp.inexact):
        return out
    valid = (offsets[0] == 0) & (offsets[-1] <= index.shape[0]) & jnp.all(offsets[1:] >= offsets[:-1])
    return jnp.where(valid, out, jnp.nan)


def _check_offsets(offsets: jax.Array, length: int, include_last_offset: bool) -> None:
    """Raises unless the offsets are a vector of rising positions that begins with 0."""
    check_rank("embedding_bag", "offsets", offsets, 1)
    check_integer("embedding_bag", offsets=offsets)
    if include_last_offset and offsets.shape[0] == 0:
        fail(ValueError, "embedding_bag", "offsets", "of at least 1 element with include_last_offset", offsets)
    values = known(offsets)
    if values is None or values.size == 0:
        return
    if values[0] != 0:
        fail(ValueError, "embedding_bag", "offsets[0]", "0", int(values[0]))
    if values[-1] > length:
        fail(ValueError, "embedding_bag", "offsets[-1]", f"at most {length}, the length of input", int(values[-1]))
    if (np.diff(values) < 0).any():
        fail(ValueError, "embedding_bag", "offsets", "in rising order", values.tolist())


@explained
def embedding_bag(
    input: ArrayLike,
    weight: ArrayLike,
    offsets: ArrayLike | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: ArrayLike | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> jax.Array:
    """Sum, mean or maximum of bags of rows of a table.

    ``output[b] = sum_i per_sample_weights[i] * weight[input[i]]`` over the indices i of bag b, or their mean or maximum.

    Args:
        input: indices of rows; each row of a 2-D input is a bag, a 1-D input is cut into bags by ``offsets``.
        weight: the table.
        offsets: where each bag begins in a 1-D input.
        max_norm: rows looked up that are longer than this are scaled to it, in the table too if that is a box (see
            ``embedding``).
        norm_type: the order of the norm of ``max_norm``.
        scale_grad_by_freq: divide the gradient of a row by the number of times it occurs in ``input``; not for 'max'.
        mode: 'sum', 'mean' or 'max'. An empty bag gives zeros.
        sparse: accepted and ignored: `jax.grad` of a function gives dense arrays (a layer under `fnn.backward` gives rows).
        per_sample_weights: a factor for each index, for 'sum' only.
        include_last_offset: the last offset is the end of the last bag, not the start of another.
        padding_idx: a row that is left out of the bags and gets no gradient.

    Shape:
        - input: (B, L) or (N), integers.
        - weight: (V, D).
        - offsets: (B), or (B + 1) with ``include_last_offset``; None for a 2-D input.
        - per_sample_weights: as ``input``.
        - output: (B, D).

    Returns:
        one row for each bag. Under a trace, where values cannot be checked, bags with an index out of range are NaN,
        and so is all if the offsets do not rise from 0.

    Raises:
        TypeError: if ``input`` or ``offsets`` are not of an integer dtype, or the dtypes of the weights differ.
        IndexError: if a concrete index is out of range.
        ValueError: for wrong ranks or offsets, or options that exclude each other.
        RuntimeError: if a box would be written under a JAX transformation that fnn does not run.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.embedding_bag.html

    Example:
        >>> import jax.numpy as jnp
        >>> embedding_bag(jnp.array([0, 1, 1]), jnp.array([[1.0], [3.0]]), jnp.array([0, 2])).tolist()
        [[2.0], [3.0]]
    """
    x = as_array("embedding_bag", "input", input)
    w = as_array("embedding_bag", "weight", weight)
    if jnp.issubdtype(w.dtype, jnp.integer) and jnp.issubdtype(x.dtype, jnp.floating):
        warn("embedding_bag: input comes before weight; the two are exchanged")
        x, w, weight = w, x, input
    check_integer("embedding_bag", input=x)
    check_rank("embedding_bag", "input", x, 1, 2)
    check_choice("embedding_bag", "mode", mode, ("sum", "mean", "max"))
    w = _table("embedding_bag", w, max_norm, True)
    starts = as_optional_array("embedding_bag", "offsets", offsets)
    factors = as_optional_array("embedding_bag", "per_sample_weights", per_sample_weights)
    if x.ndim == 2 and starts is not None:
        fail(ValueError, "embedding_bag", "offsets", "None for a 2-D input, whose rows are the bags", starts)
    if x.ndim == 1:
        if starts is None:
            fail(ValueError, "embedding_bag", "offsets", "a 1-D array for a 1-D input", starts)
        _check_offsets(starts, x.shape[0], include_last_offset)
    if factors is not None:
        if mode != "sum":
            fail(ValueError, "embedding_bag", "per_sample_weights", f"None for mode {mode!r} (only 'sum')", factors)
        check_shape("embedding_bag", "per_sample_weights", factors, x.shape, "as input")
        check_same_dtype("embedding_bag", weight=w, per_sample_weights=factors)
    if mode == "max" and scale_grad_by_freq:
        fail(ValueError, "embedding_bag", "scale_grad_by_freq", "False for mode 'max'", scale_grad_by_freq)
    padding_idx = _padding("embedding_bag", padding_idx, w.shape[0])
    order = 2.0 if max_norm is None else _order("embedding_bag", w, norm_type)
    check_index_range("embedding_bag", "input", x, w.shape[0])
    if max_norm is not None and isinstance(weight, Box):
        w, max_norm = _renormalized_table(weight, x, max_norm, order), None
    return _embedding_bag(
        x,
        w,
        starts,
        factors,
        max_norm,
        mode=mode,
        padding_idx=padding_idx,
        norm_type=order,
        scale_grad_by_freq=bool(scale_grad_by_freq),
        include_last_offset=bool(include_last_offset) and x.ndim == 1,
    )


@partial(jax.jit, static_argnames="num_classes")
def _one_hot(input: jax.Array, num_classes: int) -> jax.Array:
    index = _rows_of(input, num_classes)[..., None]
    return (index == lax.broadcasted_iota(index.dtype, (*input.shape, num_classes), input.ndim)).astype(index.dtype)


@explained
def one_hot(input: ArrayLike, num_classes: int = -1) -> jax.Array:
    """A 1 at the index of the class among zeros, ``output[..., c] = 1 if input[...] == c else 0``.

    Args:
        input: class indices.
        num_classes: length of the new axis; -1 takes one more than the greatest index, which must then be concrete.

    Shape:
        - input: (*), integers.
        - output: (*, num_classes).

    Returns:
        integers, int64 with x64 on, else int32. Under a trace, an index out of range gives zeros.

    Raises:
        TypeError: if ``input`` is not of an integer dtype.
        IndexError: if a concrete index is out of range.
        ValueError: if ``num_classes`` is neither -1 nor at least 1, or is -1 and the indices are empty or traced.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.one_hot.html

    Example:
        >>> import jax.numpy as jnp
        >>> one_hot(jnp.arange(5) % 3, num_classes=3)[3:].tolist()
        [[1, 0, 0], [0, 1, 0]]
    """
    x = as_array("one_hot", "input", input)
    check_integer("one_hot", input=x)
    classes = as_int("one_hot", "num_classes", num_classes)
    if classes == -1:
        if not is_concrete(x):
            fail(ValueError, "one_hot", "num_classes", "given under a JAX transformation", num_classes)
        if x.size == 0:
            fail(ValueError, "one_hot", "num_classes", "given for an input without elements", num_classes)
        classes = max(int(np.max(np.asarray(x))), 0) + 1
    elif classes < 1:
        fail(ValueError, "one_hot", "num_classes", "-1 or at least 1", classes)
    check_index_range("one_hot", "input", x, classes)
    return _one_hot(x, classes)

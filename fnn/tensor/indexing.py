"""Reading by index, and ``x[index]`` with torch's rules: a list is an index array, what is out of range is never clamped."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from fnn.functional.arrays import ArrayLike, is_concrete, known
from fnn.functional.checks import (
    as_array,
    check_index_range,
    check_integer,
    check_rank,
    check_same_dtype,
    fail,
    normalize_axis,
)
from fnn.stateful.boxes import Box

# x[index]


def parse_index(function: str, index: Any, shape: Sequence[int]) -> tuple[Any, ...]:
    """An index with boxes and lists as arrays, checked against the shape.

    Raises:
        TypeError: if a part is of a floating dtype, or is no index at all.
        IndexError: if there are too many parts, or one is (as far as its values are known) out of range.
    """
    parts = index if isinstance(index, tuple) else (index,)
    parsed = [_part(function, part) for part in parts]
    axes = [_axes_taken(part) for part in parsed]
    if sum(axes) > len(shape):
        fail(IndexError, function, "index", f"of at most {len(shape)} axes", f"{sum(axes)} axes")
    if sum(part is Ellipsis for part in parsed) > 1:
        fail(IndexError, function, "index", "with one ... at most", "several")
    axis = 0
    for part, taken in zip(parsed, axes, strict=True):
        if part is Ellipsis:
            axis += len(shape) - sum(axes)
            continue
        if taken:
            _check_part(function, part, shape[axis : axis + taken], axis)
        axis += taken
    return tuple(parsed)


def _part(function: str, part: Any) -> Any:
    """One part of an index; a box, a list or a tuple as an array."""
    if isinstance(part, Box):
        part = part.data
    if isinstance(part, slice):
        return slice(*(_bound(bound) for bound in (part.start, part.stop, part.step)))
    if part is None or part is Ellipsis or isinstance(part, bool | int | jax.Array):
        out: Any = part
    elif isinstance(part, list | tuple):
        out = np.asarray([_bound(item) if not isinstance(item, list | tuple) else item for item in part])
        if not out.size:
            out = out.astype(np.int32)
    elif hasattr(part, "__array__"):
        out = np.asarray(part)
    else:
        try:
            return operator.index(part)
        except TypeError:
            fail(TypeError, function, "index", "an int, a slice, ..., None, or an array of integers or bool", part)
    if hasattr(out, "dtype") and out.dtype != bool and not jnp.issubdtype(out.dtype, jnp.integer):
        fail(TypeError, function, "index", "of an integer dtype or bool", out)
    return out


def _bound(bound: Any) -> Any:
    """An end of a slice: a box as its number."""
    return bound.data if isinstance(bound, Box) else bound


def _axes_taken(part: Any) -> int:
    if part is None or part is Ellipsis or isinstance(part, bool):
        return 0
    if hasattr(part, "dtype") and part.dtype == bool:
        return part.ndim
    return 1


def _check_part(function: str, part: Any, lengths: Sequence[int], axis: int) -> None:
    if isinstance(part, slice):
        return
    if isinstance(part, int):
        if not -lengths[0] <= part < lengths[0]:
            fail(IndexError, function, "index", f"in [{-lengths[0]}, {lengths[0] - 1}] for axis {axis}", part)
    elif part.dtype == bool:
        if part.shape != tuple(lengths):
            fail(IndexError, function, "index", f"of shape {list(lengths)}, as the axes from {axis} on", part)
    elif (values := known(part)) is not None and values.size:
        low, high = int(values.min()), int(values.max())
        if low < -lengths[0] or high >= lengths[0]:
            wrong = low if low < -lengths[0] else high
            fail(IndexError, function, "index", f"in [{-lengths[0]}, {lengths[0] - 1}] for axis {axis}", wrong)


def getitem(input: jax.Array, index: Any) -> jax.Array:
    """``input[index]``; under a trace an index out of range gives NaN."""
    parts = parse_index("[]", index, input.shape)
    if any(isinstance(part, Tracer) and part.dtype != bool for part in parts):
        return input.at[parts].get(mode="fill")
    return input[parts]


def setitem(input: jax.Array, index: Any, value: jax.Array, function: str = "[]=") -> jax.Array:
    """``input`` after ``input[index] = value``, which is cast and broadcast; under a trace an index out of range does nothing."""
    parts = parse_index(function, index, input.shape)
    mask = parts[0] if len(parts) == 1 else None
    if isinstance(mask, jax.Array | np.ndarray) and mask.dtype == bool and value.ndim == 0:
        # A mask with one value needs no count of places, and so works on traced masks.
        spread = mask.reshape(mask.shape + (1,) * (input.ndim - mask.ndim))
        return jnp.where(spread, value.astype(input.dtype), input)
    place = input.at[parts]
    wanted = jax.eval_shape(lambda x: x[parts], input).shape if not _has_mask(parts) else input[parts].shape
    extra = value.ndim - len(wanted)
    if extra > 0 and value.shape[:extra] == (1,) * extra:
        value = value.reshape(value.shape[extra:])
    try:
        value = jnp.broadcast_to(value, wanted)
    except ValueError:
        fail(ValueError, function, "value", f"of a shape that broadcasts to {list(wanted)}", value)
    return place.set(value.astype(input.dtype), mode="drop")


def _has_mask(parts: Sequence[Any]) -> bool:
    return any(hasattr(part, "dtype") and part.dtype == bool for part in parts)


# Reading along an axis


def bounded(index: jax.Array, size: int) -> jax.Array:
    """An index in which ``size`` stands for every value out of ``[0, size)``, which a gather then fills with NaN."""
    index = index.astype(jnp.promote_types(index.dtype, jnp.int32))
    return jnp.where((index < 0) | (index >= size), size, index)


def integer_index(function: str, index: ArrayLike, size: int) -> jax.Array:
    """An index argument as an array of integers; those whose values are known must be in ``[0, size)``."""
    i = as_array(function, "index", index)
    check_integer(function, index=i)
    check_index_range(function, "index", i, size)
    return bounded(i, size)


def smaller_on_other_axes(function: str, argument: str, x: jax.Array, shape: Sequence[int], axis: int) -> jax.Array:
    """``x`` cut to ``shape`` on all axes but one; RuntimeError if it is too short there."""
    if len(shape) != x.ndim or any(n > x.shape[a] for a, n in enumerate(shape) if a != axis):
        fail(RuntimeError, function, argument, f"at least as long as index {list(shape)} on the other axes", x)
    return x[tuple(slice(None) if a == axis else slice(n) for a, n in enumerate(shape))]


def gather(input: ArrayLike, dim: int, index: ArrayLike, *, sparse_grad: bool = False) -> jax.Array:
    """``out[i][j] = input[index[i][j]][j]`` for ``dim=0``, and so on; under a trace an index out of range gives NaN."""
    x, i = as_array("gather", "input", input), as_array("gather", "index", index)
    axis = normalize_axis("gather", "dim", dim, x.ndim)
    check_integer("gather", index=i)
    if x.ndim == 0 or i.ndim == 0:
        if max(x.size, i.size) > 1 or x.ndim > 1 or i.ndim > 1:
            fail(RuntimeError, "gather", "index", f"{x.ndim}-D, as input", i)
        return gather(x.reshape(1), 0, i.reshape(1)).reshape(i.shape)
    if i.size == 0:
        return jnp.zeros(i.shape, x.dtype)
    i = integer_index("gather", i, x.shape[axis])
    x = smaller_on_other_axes("gather", "input", x, i.shape, axis)
    return jnp.take_along_axis(x, i, axis, mode="fill")


def take(input: ArrayLike, index: ArrayLike) -> jax.Array:
    """The elements of the flattened array at ``index``; negative ones count from the end."""
    x, i = as_array("take", "input", input).reshape(-1), as_array("take", "index", index)
    check_integer("take", index=i)
    values = known(i)
    if values is not None and values.size:
        low, high = int(values.min()), int(values.max())
        if low < -x.size or high >= x.size:
            fail(IndexError, "take", "index", f"in [{-x.size}, {x.size - 1}]", low if low < -x.size else high)
    return jnp.take(x, i, mode="fill") if x.size else jnp.zeros(i.shape, x.dtype)


def take_along_dim(input: ArrayLike, indices: ArrayLike, dim: int | None = None) -> jax.Array:
    """``gather``, in which the other axes broadcast; of the flattened array without ``dim``."""
    x, i = as_array("take_along_dim", "input", input), as_array("take_along_dim", "indices", indices)
    check_integer("take_along_dim", indices=i)
    if dim is None:
        return gather(x.reshape(-1), 0, i.reshape(-1))
    axis = normalize_axis("take_along_dim", "dim", dim, x.ndim)
    if x.ndim != i.ndim:
        fail(RuntimeError, "take_along_dim", "indices", f"{x.ndim}-D, as input", i)
    others = jnp.broadcast_shapes(
        tuple(1 if a == axis else n for a, n in enumerate(x.shape)),
        tuple(1 if a == axis else n for a, n in enumerate(i.shape)),
    )
    x, i = (jnp.broadcast_to(v, others[:axis] + (v.shape[axis],) + others[axis + 1 :]) for v in (x, i))
    return gather(x, axis, i)


def index_select(input: ArrayLike, dim: int, index: ArrayLike) -> jax.Array:
    """The parts of an axis at ``index``; under a trace an index out of range gives NaN."""
    x, i = as_array("index_select", "input", input), as_array("index_select", "index", index)
    axis = normalize_axis("index_select", "dim", dim, x.ndim)
    check_rank("index_select", "index", i, 0, 1)
    i = integer_index("index_select", i, x.shape[axis] if x.ndim else 1).reshape(-1)
    if x.ndim == 0:
        return jnp.take(x.reshape(1), i, 0, mode="fill").reshape(())
    if not i.size or not x.shape[axis]:
        return jnp.zeros((*x.shape[:axis], i.size, *x.shape[axis + 1 :]), x.dtype)
    return jnp.take(x, i, axis, mode="fill")


def masked_select(input: ArrayLike, mask: ArrayLike) -> jax.Array:
    """The elements where a mask, which broadcasts, is true, in one axis; the mask must not be traced."""
    x, m = as_array("masked_select", "input", input), as_array("masked_select", "mask", mask)
    if m.dtype != bool:
        fail(TypeError, "masked_select", "mask", "of dtype bool", m)
    if not is_concrete(m):
        raise RuntimeError(
            "masked_select: the shape of the result depends on the values of mask, which are not known under a JAX "
            "transformation; use where(mask, x, other), whose shape does not"
        )
    shape = jnp.broadcast_shapes(x.shape, m.shape)
    return jnp.broadcast_to(x, shape)[np.broadcast_to(np.asarray(m), shape)].reshape(-1)


def multi_index(function: str, indices: Sequence[Any], shape: Sequence[int]) -> tuple[Any, ...]:
    """The arrays of ``index_put``, one for each of the first axes."""
    if not isinstance(indices, tuple | list):
        fail(TypeError, function, "indices", "a tuple of arrays", indices)
    return parse_index(function, tuple(slice(None) if i is None else i for i in indices), shape)


def index_put(input: ArrayLike, indices: Sequence[Any], values: ArrayLike, accumulate: bool = False) -> jax.Array:
    """``input`` after ``input[indices] = values``, or ``+=`` (where equal indices add up) with ``accumulate``."""
    x, v = as_array("index_put", "input", input), as_array("index_put", "values", values)
    check_same_dtype("index_put", input=x, values=v)
    parts = multi_index("index_put", indices, x.shape)
    if not accumulate:
        return setitem(x, parts, v, "index_put")
    return x.at[parts].add(v.astype(x.dtype), mode="drop")


def put(input: ArrayLike, index: ArrayLike, source: ArrayLike, accumulate: bool = False) -> jax.Array:
    """The elements of the flattened array at ``index`` set to, or with ``accumulate`` increased by, those of ``source``."""
    x, i = as_array("put", "input", input), as_array("put", "index", index)
    s = as_array("put", "source", source)
    check_integer("put", index=i)
    check_same_dtype("put", input=x, source=s)
    if i.size != s.size:
        fail(RuntimeError, "put", "source", f"of {i.size} elements, as index", s)
    parts = parse_index("put", i.reshape(-1), (x.size,))
    place = x.reshape(-1).at[parts]
    values = s.reshape(-1)
    out = place.add(values, mode="drop") if accumulate else place.set(values, mode="drop")
    return out.reshape(x.shape)


def open_grid(index: jax.Array, axis: int) -> tuple[jax.Array, ...]:
    """The places that ``index`` names along an axis, as one array for each axis."""
    return tuple(index if a == axis else lax.broadcasted_iota(index.dtype, index.shape, a) for a in range(index.ndim))

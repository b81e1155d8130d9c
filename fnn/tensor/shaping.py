"""Views, axes and pieces: functions that move elements and compute nothing, with the meaning of torch's Tensor methods."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import Tracer

from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import as_array, as_int, check_shape, fail, normalize_axis
from fnn.tensor.promotion import parse

Sizes: TypeAlias = int | Sequence[int]
"""One of several integers, or all of them in a sequence: ``p.view(2, 3)`` and ``p.view((2, 3))``."""


def integers(function: str, argument: str, values: tuple[Any, ...], keyword: Any = None) -> tuple[int, ...]:
    """Integers given one by one, in one sequence, or (in place of these) by keyword.

    Raises:
        TypeError: if one is no integer, or if there are none at all, or two lots.
    """
    if keyword is not None:
        if values:
            raise TypeError(f"{function}: {argument} was given twice")
        values = (*keyword,) if isinstance(keyword, tuple | list) else (keyword,)
    elif len(values) == 1 and isinstance(values[0], tuple | list):
        values = (*values[0],)
    return tuple(as_int(function, argument, v) for v in values)


def _resolved(function: str, size: Sequence[int], count: int) -> tuple[int, ...]:
    """Lengths whose product is ``count``, with a -1 among them resolved."""
    known = math.prod(n for n in size if n != -1)
    negative = [n for n in size if n < 0]
    if any(n != -1 for n in negative) or len(negative) > 1:
        fail(ValueError, function, "shape", "of lengths from 0 on, and one -1 at most", list(size))
    if not negative:
        fits = known == count
    else:
        fits = known > 0 and count % known == 0
    if not fits:
        fail(ValueError, function, "shape", f"of {count} elements, as the input has", list(size))
    return tuple(count // known if n == -1 else n for n in size)


def reshape(input: ArrayLike, *shape: Sizes) -> jax.Array:
    """The same elements in another shape; one length may be -1."""
    x = as_array("reshape", "input", input)
    return x.reshape(_resolved("reshape", integers("reshape", "shape", shape), x.size))


def view(input: ArrayLike, *shape: Any) -> jax.Array:
    """The same elements in another shape, or, given a dtype, the same bits in that dtype (the last axis grows or shrinks)."""
    x = as_array("view", "input", input)
    if len(shape) == 1 and not isinstance(shape[0], int | tuple | list) and not hasattr(shape[0], "__index__"):
        dtype = parse("view", shape[0])
        assert dtype is not None
        if x.ndim == 0 and dtype.itemsize != x.dtype.itemsize:
            fail(RuntimeError, "view", "dtype", f"of {x.dtype.itemsize} bytes for a 0-d input", dtype)
        if x.ndim and x.shape[-1] * x.dtype.itemsize % dtype.itemsize:
            fail(RuntimeError, "view", "dtype", "of a width that divides the bytes of the last axis", dtype)
        return x.view(dtype)
    return x.reshape(_resolved("view", integers("view", "shape", shape), x.size))


def resize(input: ArrayLike, *size: Sizes) -> jax.Array:
    """The first elements in another shape, of any number of elements; missing ones are 0."""
    x = as_array("resize_", "input", input).reshape(-1)
    shape = integers("resize_", "size", size)
    if any(n < 0 for n in shape):
        fail(RuntimeError, "resize_", "size", "of lengths from 0 on", list(shape))
    count = math.prod(shape)
    return jnp.pad(x[:count], (0, max(count - x.size, 0))).reshape(shape)


def flatten(input: ArrayLike, start_dim: int = 0, end_dim: int = -1) -> jax.Array:
    """The axes from ``start_dim`` to ``end_dim`` as one."""
    x = as_array("flatten", "input", input)
    first, last = (normalize_axis("flatten", n, d, x.ndim) for n, d in (("start_dim", start_dim), ("end_dim", end_dim)))
    if first > last:
        fail(RuntimeError, "flatten", "start_dim", f"at most end_dim ({end_dim})", start_dim)
    if x.ndim == 0:
        return x.reshape(1)
    return x.reshape(*x.shape[:first], math.prod(x.shape[first : last + 1]), *x.shape[last + 1 :])


def unflatten(input: ArrayLike, dim: int, sizes: Sequence[int]) -> jax.Array:
    """Axis ``dim`` as several, of which one length may be -1."""
    x = as_array("unflatten", "input", input)
    axis = _axis("unflatten", "dim", dim, x)
    parts = _resolved("unflatten", integers("unflatten", "sizes", tuple(sizes)), x.shape[axis])
    return x.reshape(*x.shape[:axis], *parts, *x.shape[axis + 1 :])


def _axis(function: str, argument: str, dim: Any, x: jax.Array) -> int:
    """An axis of an array that must have one."""
    if x.ndim == 0:
        fail(IndexError, function, "input", "at least 1-D", x)
    return normalize_axis(function, argument, dim, x.ndim)


def squeeze(input: ArrayLike, dim: int | Sequence[int] | None = None) -> jax.Array:
    """Without axes of length 1: all of them, or those of ``dim`` that are."""
    x = as_array("squeeze", "input", input)
    if dim is None:
        return jnp.squeeze(x)
    dims = dim if isinstance(dim, tuple | list) else (dim,)
    axes = {normalize_axis("squeeze", "dim", d, x.ndim) for d in dims}
    return jnp.squeeze(x, tuple(a for a in axes if x.ndim and x.shape[a] == 1))


def unsqueeze(input: ArrayLike, dim: int) -> jax.Array:
    """With a new axis of length 1 at ``dim``."""
    x = as_array("unsqueeze", "input", input)
    return jnp.expand_dims(x, normalize_axis("unsqueeze", "dim", dim, x.ndim + 1))


def transpose(input: ArrayLike, dim0: int, dim1: int) -> jax.Array:
    """With two axes exchanged."""
    x = as_array("transpose", "input", input)
    a, b = (normalize_axis("transpose", n, d, x.ndim) for n, d in (("dim0", dim0), ("dim1", dim1)))
    return jnp.swapaxes(x, a, b) if x.ndim else x


def t(input: ArrayLike) -> jax.Array:
    """A matrix with its axes exchanged; a vector as it is."""
    x = as_array("t", "input", input)
    if x.ndim > 2:
        fail(RuntimeError, "t", "input", "at most 2-D", x)
    return x.T


def adjoint(input: ArrayLike) -> jax.Array:
    """The last two axes exchanged, and the complex conjugate taken."""
    x = as_array("adjoint", "input", input)
    if x.ndim == 1:
        fail(RuntimeError, "adjoint", "input", "at least 2-D", x)
    return jnp.conj(jnp.swapaxes(x, -1, -2)) if x.ndim else x


def permute(input: ArrayLike, *dims: Sizes) -> jax.Array:
    """The axes in the order of ``dims``."""
    x = as_array("permute", "input", input)
    given = integers("permute", "dims", dims)
    if len(given) != x.ndim:
        fail(RuntimeError, "permute", "dims", f"of {x.ndim} axes", list(given))
    order = [normalize_axis("permute", "dims", d, x.ndim) for d in given]
    if len(set(order)) < len(order):
        fail(RuntimeError, "permute", "dims", "of different axes", list(given))
    return jnp.transpose(x, order)


def movedim(input: ArrayLike, source: Sizes, destination: Sizes) -> jax.Array:
    """The axes ``source`` at the places ``destination``, the others in their order."""
    x = as_array("movedim", "input", input)
    old, new = integers("movedim", "source", (source,)), integers("movedim", "destination", (destination,))
    if len(old) != len(new):
        fail(RuntimeError, "movedim", "destination", f"of {len(old)} axes, as source", list(new))
    places = [[normalize_axis("movedim", n, d, x.ndim) for d in v] for n, v in (("source", old), ("destination", new))]
    for name, value in zip(("source", "destination"), places, strict=True):
        if len(set(value)) < len(value):
            fail(RuntimeError, "movedim", name, "of different axes", value)
    return jnp.moveaxis(x, *places) if x.ndim else x


# Repetitions


def expand(input: ArrayLike, *size: Sizes) -> jax.Array:
    """Axes of length 1 repeated to the lengths of ``size``, in which -1 keeps one; new axes may come first."""
    x = as_array("expand", "input", input)
    wanted = integers("expand", "size", size)
    added = len(wanted) - x.ndim
    fits = added >= 0 and all(
        n >= 0 if i < added else n in (-1, x.shape[i - added]) or (x.shape[i - added] == 1 and n >= 0)
        for i, n in enumerate(wanted)
    )
    if not fits:
        fail(RuntimeError, "expand", "size", f"a shape to which {list(x.shape)} expands", list(wanted))
    return jnp.broadcast_to(x, tuple(x.shape[i - added] if n == -1 else n for i, n in enumerate(wanted)))


def repeat(input: ArrayLike, *repeats: Sizes) -> jax.Array:
    """The array laid side by side as often as ``repeats`` says for each axis; new axes may come first."""
    x = as_array("repeat", "input", input)
    counts = integers("repeat", "repeats", repeats)
    if len(counts) < x.ndim or any(n < 0 for n in counts):
        fail(RuntimeError, "repeat", "repeats", f"at least {x.ndim} numbers from 0 on", list(counts))
    return jnp.tile(x, counts)


def tile(input: ArrayLike, *dims: Sizes) -> jax.Array:
    """``repeat``, in which missing numbers, those of the first axes, are 1."""
    x = as_array("tile", "input", input)
    counts = integers("tile", "dims", dims)
    return repeat(x, (1,) * (x.ndim - len(counts)) + counts)


def repeat_interleave(
    input: ArrayLike, repeats: ArrayLike, dim: int | None = None, *, output_size: int | None = None
) -> jax.Array:
    """Each element (of the flattened array, or part along an axis) ``repeats`` times in a row."""
    x = as_array("repeat_interleave", "input", input)
    counts: Any = repeats if isinstance(repeats, int) else as_array("repeat_interleave", "repeats", repeats)
    if dim is None or x.ndim == 0:
        x, axis = x.reshape(-1), 0
    else:
        axis = normalize_axis("repeat_interleave", "dim", dim, x.ndim)
    if not isinstance(counts, int) and counts.ndim and counts.size not in (1, x.shape[axis]):
        fail(RuntimeError, "repeat_interleave", "repeats", f"a number or {x.shape[axis]} numbers", counts)
    return jnp.repeat(x, counts, axis, total_repeat_length=output_size)


def sum_to_size(input: ArrayLike, *size: Sizes) -> jax.Array:
    """Sums over the axes that a broadcast from ``size`` would have made or stretched."""
    x = as_array("sum_to_size", "input", input)
    wanted = integers("sum_to_size", "size", size)
    added = x.ndim - len(wanted)
    if added < 0 or any(n not in (1, x.shape[i + added]) for i, n in enumerate(wanted)):
        fail(RuntimeError, "sum_to_size", "size", f"a shape that expands to {list(x.shape)}", list(wanted))
    stretched = [i + added for i, n in enumerate(wanted) if n == 1]
    return x.sum((*range(added), *stretched), keepdims=False).reshape(wanted)


# Pieces


def split(input: ArrayLike, split_size: int | Sequence[int], dim: int = 0) -> tuple[jax.Array, ...]:
    """Pieces of length ``split_size`` (the last may be shorter), or of the lengths that it lists."""
    x = as_array("split", "input", input)
    axis = _axis("split", "dim", dim, x)
    length = x.shape[axis]
    if isinstance(split_size, tuple | list):
        sizes = integers("split", "split_size", tuple(split_size))
        if sum(sizes) != length or any(n < 0 for n in sizes):
            fail(RuntimeError, "split", "split_size", f"of lengths from 0 on with sum {length}", list(sizes))
    else:
        size = as_int("split", "split_size", split_size, 0)
        if size == 0 and length:
            fail(RuntimeError, "split", "split_size", f"above 0 for an axis of length {length}", size)
        sizes = tuple(min(size, length - i) for i in range(0, length, size)) if length else (0,)
    return _pieces(x, sizes, axis)


def _pieces(x: jax.Array, sizes: Sequence[int], axis: int) -> tuple[jax.Array, ...]:
    start, out = 0, []
    for size in sizes:
        out.append(lax.slice_in_dim(x, start, start + size, axis=axis))
        start += size
    return tuple(out)


def chunk(input: ArrayLike, chunks: int, dim: int = 0) -> tuple[jax.Array, ...]:
    """At most ``chunks`` pieces of one length, but for the last."""
    x = as_array("chunk", "input", input)
    chunks = as_int("chunk", "chunks", chunks, 1)
    axis = _axis("chunk", "dim", dim, x)
    length = x.shape[axis]
    return split(x, -(-length // chunks), axis) if length else _pieces(x, (0,) * chunks, axis)


def tensor_split(input: ArrayLike, indices_or_sections: int | Sequence[int], dim: int = 0) -> tuple[jax.Array, ...]:
    """As many pieces as asked for, of lengths that differ by 1 at most, or the pieces between indices."""
    x = as_array("tensor_split", "input", input)
    axis = _axis("tensor_split", "dim", dim, x)
    length = x.shape[axis]
    if isinstance(indices_or_sections, tuple | list):
        cuts = [slice(0, i).indices(length)[1] for i in integers("tensor_split", "indices", (indices_or_sections,))]
        starts = [0, *cuts]
        return tuple(lax.slice_in_dim(x, a, max(a, b), axis=axis) for a, b in zip(starts, [*cuts, length], strict=True))
    count = as_int("tensor_split", "sections", indices_or_sections, 1)
    return _pieces(x, [length // count + (i < length % count) for i in range(count)], axis)


def split_along(function: str, input: ArrayLike, sections: int | Sequence[int], least: int, axis: int) -> Any:
    """``hsplit``, ``vsplit`` and ``dsplit``: equal pieces, or those between indices."""
    x = as_array(function, "input", input)
    if x.ndim < least:
        fail(RuntimeError, function, "input", f"at least {least}-D", x)
    if isinstance(sections, int) and (sections < 1 or x.shape[axis] % sections):
        fail(RuntimeError, function, "sections", f"a divisor of {x.shape[axis]}, the length of axis {axis}", sections)
    return tensor_split(x, sections, axis)


def unbind(input: ArrayLike, dim: int = 0) -> tuple[jax.Array, ...]:
    """The parts along an axis, without it."""
    x = as_array("unbind", "input", input)
    axis = _axis("unbind", "dim", dim, x)
    return tuple(lax.index_in_dim(x, i, axis, keepdims=False) for i in range(x.shape[axis]))


def narrow(input: ArrayLike, dim: int, start: ArrayLike, length: int) -> jax.Array:
    """The part of an axis that begins at ``start`` (which may be traced) and is ``length`` long."""
    x = as_array("narrow", "input", input)
    axis = _axis("narrow", "dim", dim, x)
    size, length = x.shape[axis], as_int("narrow", "length", length, 0)
    if isinstance(start, Tracer):
        return lax.dynamic_slice_in_dim(x, start, length, axis)
    first = as_int("narrow", "start", start)
    if not -size <= first <= size:
        fail(IndexError, "narrow", "start", f"in [{-size}, {size}]", first)
    first = first + size if first < 0 else first
    if first + length > size:
        fail(RuntimeError, "narrow", "length", f"at most {size - first} from {first} on", length)
    return lax.slice_in_dim(x, first, first + length, axis=axis)


def select(input: ArrayLike, dim: int, index: int) -> jax.Array:
    """The part of an axis at one index, without the axis."""
    x = as_array("select", "input", input)
    axis = _axis("select", "dim", dim, x)
    return lax.index_in_dim(x, _place("select", index, x.shape[axis]), axis, keepdims=False)


def _place(function: str, index: Any, size: int) -> int:
    number = as_int(function, "index", index)
    if not -size <= number < size:
        fail(IndexError, function, "index", f"in [{-size}, {size - 1}]", number)
    return number % size


def unfold(input: ArrayLike, dimension: int, size: int, step: int) -> jax.Array:
    """Windows of ``size`` elements of an axis, ``step`` apart; the new last axis is that within a window."""
    x = as_array("unfold", "input", input)
    axis = normalize_axis("unfold", "dimension", dimension, x.ndim)
    size, step = as_int("unfold", "size", size, 0), as_int("unfold", "step", step, 1)
    length = x.shape[axis] if x.ndim else 1
    if size > length:
        fail(RuntimeError, "unfold", "size", f"at most {length}, the length of axis {dimension}", size)
    if x.ndim == 0:
        return x.reshape(1)[:size]
    starts = jnp.arange(0, length - size + 1, step)
    windows = jnp.take(x, starts[:, None] + jnp.arange(size), axis, mode="clip")
    return jnp.moveaxis(windows, axis + 1, -1)


def _strided_places(
    function: str, x: jax.Array, size: Sequence[int], stride: Sequence[int], storage_offset: int | None
) -> jax.Array:
    """The places ``storage_offset + sum(i * stride)``, checked against the number of elements."""
    sizes, steps = integers(function, "size", (tuple(size),)), integers(function, "stride", (tuple(stride),))
    if len(sizes) != len(steps) or min((*sizes, *steps, 0)) < 0:
        fail(RuntimeError, function, "stride", f"{len(sizes)} numbers from 0 on, as size", list(steps))
    first = 0 if storage_offset is None else as_int(function, "storage_offset", storage_offset, 0)
    last = first + sum((n - 1) * s for n, s in zip(sizes, steps, strict=True))
    if math.prod(sizes) and last >= x.size:
        fail(RuntimeError, function, "size", f"within the {x.size} elements of the input", list(sizes))
    place = jnp.full(sizes, first)
    for axis, step in enumerate(steps):
        place = place + step * lax.broadcasted_iota(place.dtype, sizes, axis)
    return place


def as_strided(
    input: ArrayLike, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> jax.Array:
    """The elements at places ``storage_offset + sum(i * stride)`` of the flattened array."""
    x = as_array("as_strided", "input", input)
    place = _strided_places("as_strided", x, size, stride, storage_offset)
    return jnp.take(x.reshape(-1), place, mode="clip")


def as_strided_scatter(
    input: ArrayLike, src: ArrayLike, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> jax.Array:
    """The input with ``src`` in the place of ``as_strided(size, stride, storage_offset)``."""
    x, part = as_array("as_strided_scatter", "input", input), as_array("as_strided_scatter", "src", src)
    place = _strided_places("as_strided_scatter", x, size, stride, storage_offset)
    check_shape("as_strided_scatter", "src", part, place.shape)
    return x.reshape(-1).at[place].set(part.astype(x.dtype)).reshape(x.shape)


# Diagonals and triangles


def diagonal(input: ArrayLike, offset: int = 0, dim1: int = 0, dim2: int = 1) -> jax.Array:
    """The diagonal of two axes, as the last one."""
    x = as_array("diagonal", "input", input)
    a, b = (_axis("diagonal", n, d, x) for n, d in (("dim1", dim1), ("dim2", dim2)))
    if a == b:
        fail(RuntimeError, "diagonal", "dim2", f"another axis than dim1 ({dim1})", dim2)
    return jnp.diagonal(x, as_int("diagonal", "offset", offset), a, b)


def diag(input: ArrayLike, diagonal: int = 0) -> jax.Array:
    """The diagonal of a matrix, or the matrix with a vector on its diagonal."""
    x = as_array("diag", "input", input)
    if x.ndim not in (1, 2):
        fail(RuntimeError, "diag", "input", "1-D or 2-D", x)
    return jnp.diag(x, as_int("diag", "diagonal", diagonal))


def diagflat(input: ArrayLike, offset: int = 0) -> jax.Array:
    """The matrix with the flattened array on its diagonal."""
    return jnp.diag(as_array("diagflat", "input", input).reshape(-1), as_int("diagflat", "offset", offset))


def diag_embed(input: ArrayLike, offset: int = 0, dim1: int = -2, dim2: int = -1) -> jax.Array:
    """Matrices, along axes ``dim1`` and ``dim2``, with the last axis on their diagonals."""
    x = as_array("diag_embed", "input", input)
    a, b = (normalize_axis("diag_embed", n, d, x.ndim + 1) for n, d in (("dim1", dim1), ("dim2", dim2)))
    if a == b:
        fail(RuntimeError, "diag_embed", "dim2", f"another axis than dim1 ({dim1})", dim2)
    if x.ndim == 0:
        fail(RuntimeError, "diag_embed", "input", "at least 1-D", x)
    offset = as_int("diag_embed", "offset", offset)
    length = x.shape[-1] + abs(offset)
    rows = jnp.arange(x.shape[-1]) + max(-offset, 0)
    out = jnp.zeros((*x.shape[:-1], length, length), x.dtype).at[..., rows, rows + offset].set(x)
    return jnp.moveaxis(out, (-2, -1), (a, b))


def tril(input: ArrayLike, diagonal: int = 0) -> jax.Array:
    """Zeros above a diagonal of the last two axes."""
    x = as_array("tril", "input", input)
    if x.ndim < 2:
        fail(RuntimeError, "tril", "input", "at least 2-D", x)
    return jnp.tril(x, as_int("tril", "diagonal", diagonal))


def triu(input: ArrayLike, diagonal: int = 0) -> jax.Array:
    """Zeros below a diagonal of the last two axes."""
    x = as_array("triu", "input", input)
    if x.ndim < 2:
        fail(RuntimeError, "triu", "input", "at least 2-D", x)
    return jnp.triu(x, as_int("triu", "diagonal", diagonal))


# Turns


def roll(input: ArrayLike, shifts: Sizes, dims: Sizes | None = None) -> jax.Array:
    """Elements moved on along axes (in the flattened array without ``dims``); those that leave come in at the other end."""
    x = as_array("roll", "input", input)
    by = integers("roll", "shifts", (shifts,))
    if dims is None or dims == () or dims == []:
        if len(by) != 1:
            fail(RuntimeError, "roll", "dims", f"{len(by)} axes, as shifts", dims)
        return jnp.roll(x, by[0])
    axes = [normalize_axis("roll", "dims", d, x.ndim) for d in integers("roll", "dims", (dims,))]
    if len(axes) != len(by):
        fail(RuntimeError, "roll", "dims", f"{len(by)} axes, as shifts", dims)
    return jnp.roll(x, by, axes) if x.ndim else x


def flip(input: ArrayLike, *dims: Sizes) -> jax.Array:
    """Axes in reverse."""
    x = as_array("flip", "input", input)
    axes = [normalize_axis("flip", "dims", d, x.ndim) for d in integers("flip", "dims", dims)]
    if len(set(axes)) < len(axes):
        fail(RuntimeError, "flip", "dims", "of different axes", axes)
    return jnp.flip(x, axes) if x.ndim else x


def rot90(input: ArrayLike, k: int = 1, dims: Sequence[int] = (0, 1)) -> jax.Array:
    """Turned ``k`` times by 90 degrees, from the first of two axes towards the second."""
    x = as_array("rot90", "input", input)
    axes = [_axis("rot90", "dims", d, x) for d in integers("rot90", "dims", (tuple(dims),))]
    if len(set(axes)) != 2 or len(axes) != 2:
        fail(RuntimeError, "rot90", "dims", "2 different axes", list(dims))
    return jnp.rot90(x, as_int("rot90", "k", k), (axes[0], axes[1]))


# Arrays with a part exchanged


def select_scatter(input: ArrayLike, src: ArrayLike, dim: int, index: int) -> jax.Array:
    """The input with ``src`` in the place of ``select(dim, index)``."""
    x, part = as_array("select_scatter", "input", input), as_array("select_scatter", "src", src)
    axis = _axis("select_scatter", "dim", dim, x)
    check_shape("select_scatter", "src", part, x.shape[:axis] + x.shape[axis + 1 :])
    place = _place("select_scatter", index, x.shape[axis])
    return x.at[(slice(None),) * axis + (place,)].set(part.astype(x.dtype))


def slice_scatter(
    input: ArrayLike, src: ArrayLike, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> jax.Array:
    """The input with ``src`` in the place of the slice ``start:end:step`` of an axis."""
    x, part = as_array("slice_scatter", "input", input), as_array("slice_scatter", "src", src)
    axis = _axis("slice_scatter", "dim", dim, x)
    cut = slice(start, end, as_int("slice_scatter", "step", step, 1))
    length = len(range(*cut.indices(x.shape[axis])))
    check_shape("slice_scatter", "src", part, (*x.shape[:axis], length, *x.shape[axis + 1 :]))
    return x.at[(slice(None),) * axis + (cut,)].set(part.astype(x.dtype))


def diagonal_scatter(input: ArrayLike, src: ArrayLike, offset: int = 0, dim1: int = 0, dim2: int = 1) -> jax.Array:
    """The input with ``src`` in the place of its diagonal."""
    x, part = as_array("diagonal_scatter", "input", input), as_array("diagonal_scatter", "src", src)
    check_shape("diagonal_scatter", "src", part, diagonal(x, offset, dim1, dim2).shape)
    a, b = (_axis("diagonal_scatter", n, d, x) for n, d in (("dim1", dim1), ("dim2", dim2)))
    rows = jnp.arange(part.shape[-1]) + max(-offset, 0)
    last = jnp.moveaxis(x, (a, b), (-2, -1))
    last = last.at[..., rows, rows + offset].set(part.astype(x.dtype))
    return jnp.moveaxis(last, (-2, -1), (a, b))


def fill_diagonal(input: ArrayLike, fill_value: float, wrap: bool = False) -> jax.Array:
    """The main diagonal set to a value; with ``wrap`` it goes on below a tall matrix's first square."""
    x = as_array("fill_diagonal", "input", input)
    if x.ndim < 2 or (x.ndim > 2 and len(set(x.shape)) > 1):
        fail(RuntimeError, "fill_diagonal", "input", "at least 2-D, and of equal lengths above that", x)
    if x.ndim > 2:
        diagonal_places = jnp.arange(x.shape[0])
        return x.at[(diagonal_places,) * x.ndim].set(fill_value)
    rows, columns = x.shape
    step = columns + 1
    count = rows * columns if wrap else min(rows, columns) * step
    return x.reshape(-1).at[jnp.arange(0, min(count, rows * columns), step)].set(fill_value).reshape(x.shape)

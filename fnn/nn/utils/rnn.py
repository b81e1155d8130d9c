"""Batches of sequences of different lengths: padded, packed and as lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnn.functional.arrays import ArrayLike, index_dtype, is_concrete
from fnn.functional.checks import as_array, as_int, check_choice, fail
from fnn.functional.explained import explained
from fnn.nn.placement import off_host, on_host
from fnn.nn.utils.packed_sequence import (
    Indices,
    Lengths,
    PackedSequence as PackedSequence,
    fill,
    invert_permutation as invert_permutation,
    is_known,
    read_integers,
)

PackedSequence_ = PackedSequence  # torch's name of the tuple within

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]

_NO_LIST = "under a transformation keep the padded batch, as pad_packed_sequence gives it, and mask what lies beyond the lengths"


@explained
def pack_padded_sequence(
    input: ArrayLike, lengths: Lengths, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Packs a padded batch; what lies beyond a sequence's length is dropped.

    The lengths may be traced: then one program serves all lengths, and the result is as ``PackedSequence`` says.

    Args:
        input: the padded batch.
        lengths: one for each sequence, from 1 to T; of floats the whole part counts.
        batch_first: whether the batch is the first axis.
        enforce_sorted: whether the lengths must decrease; if false they are sorted here.

    Shape:
        - input: (T, B, *), or (B, T, *) with ``batch_first``.
        - lengths: (B).
        - data of the result: (sum of lengths, *); (T, B, *) with traced lengths.

    Returns:
        a ``PackedSequence``; its index arrays are numpy, or traced as the lengths are.

    Raises:
        TypeError: if ``lengths`` is not of numbers.
        ValueError: if the input has fewer than 2 axes, or a length is missing or out of range.
        RuntimeError: if the lengths do not decrease and ``enforce_sorted`` is true. Where the lengths are traced, the steps of a
            sequence whose length is out of range or order become NaN, or the least integer, instead.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.rnn.pack_padded_sequence.html

    Example:
        >>> import numpy as np
        >>> x = np.array([[1, 2, 0], [3, 0, 0], [4, 5, 6]])
        >>> pack_padded_sequence(x, [2, 1, 3], batch_first=True, enforce_sorted=False).data.tolist()
        [4, 1, 3, 5, 2, 6]
    """
    name = "pack_padded_sequence"
    array = as_array(name, "input", np.array(input) if isinstance(input, np.ndarray) else input)
    if array.ndim < 2:
        fail(ValueError, name, "input", "at least 2-D", array)
    padded = array.swapaxes(0, 1) if batch_first else array
    batch = padded.shape[1]
    if not is_known(lengths):
        return _pack_traced(name, padded, lengths, enforce_sorted)
    count = read_integers(name, "lengths", lengths, "", whole=False).astype(np.int64)
    if count.size != batch:
        fail(ValueError, name, "lengths", f"of {batch} numbers, one for each sequence", count)
    if count.size == 0:
        fail(ValueError, name, "input", "a batch of at least one sequence", array)
    steps = padded.shape[0]
    if count.min() < 1 or count.max() > steps:
        bad = count[(count < 1) | (count > steps)][0]
        fail(ValueError, name, "lengths", f"from 1 to {steps}, the length of the batch", int(bad))
    order = None
    if not enforce_sorted:
        order = np.argsort(-count, kind="stable")
    elif (np.diff(count) > 0).any():
        raise RuntimeError(
            f"{name}: lengths must not increase when enforce_sorted is True, got {count.tolist()}; "
            "pass enforce_sorted=False to have them sorted"
        )
    return PackedSequence._of_padded(padded, count, (order, invert_permutation(order)))


def _pack_traced(name: str, padded: jax.Array, lengths: Any, enforce_sorted: bool) -> PackedSequence:
    count = jnp.stack(lengths) if isinstance(lengths, list | tuple) else as_array(name, "lengths", lengths)
    if count.ndim != 1 or not (jnp.issubdtype(count.dtype, jnp.integer) or jnp.issubdtype(count.dtype, jnp.floating)):
        fail(TypeError, name, "lengths", "a 1-D integer array", count)
    steps, batch = padded.shape[:2]
    if count.size != batch:
        fail(ValueError, name, "lengths", f"of {batch} numbers, one for each sequence", count)
    good = (count >= 1) & (count < steps + 1)
    count = jnp.where(good, count, steps).astype(index_dtype())
    if enforce_sorted:
        good = good & (count <= jax.lax.cummin(jnp.concatenate([count[:1], count[:-1]])))
        count = jnp.where(good, count, steps)
    if jnp.issubdtype(padded.dtype, jnp.inexact):
        padded = jnp.where(good.reshape(batch, *[1] * (padded.ndim - 2)), padded, jnp.nan)
    elif jnp.issubdtype(padded.dtype, jnp.integer):
        least = jnp.iinfo(padded.dtype).min
        padded = jnp.where(good.reshape(batch, *[1] * (padded.ndim - 2)), padded, least)
    if enforce_sorted:
        return PackedSequence._of_padded(padded, count, (None, None))
    order = jnp.argsort(-count, stable=True)
    return PackedSequence._of_padded(padded, count, (order, invert_permutation(order)))


@explained
def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[jax.Array, Indices]:
    """The inverse of ``pack_padded_sequence``: a padded batch in the original order, and the lengths.

    Args:
        sequence: what is unpacked.
        batch_first: whether the batch comes first.
        padding_value: what fills the places beyond a sequence's length.
        total_length: length of the result, at least that of the longest sequence, which is the default; where the lengths are
            traced, the length of the batch that was packed takes its place.

    Shape:
        - padded batch: (T, B, *), or (B, T, *) with ``batch_first``.
        - lengths: (B).

    Returns:
        the batch and the lengths; the lengths are numpy (concrete, also inside a trace) unless they are traced.

    Raises:
        TypeError: if ``sequence`` is no ``PackedSequence``.
        ValueError: if ``total_length`` is too small.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.rnn.pad_packed_sequence.html

    Example:
        >>> import numpy as np
        >>> batch, lengths = pad_packed_sequence(pack_sequence([np.array([1, 2, 3]), np.array([4])]), batch_first=True)
        >>> batch.tolist(), lengths.tolist()
        ([[1, 2, 3], [4, 0, 0]], [3, 1])
    """
    name = "pad_packed_sequence"
    if not isinstance(sequence, PackedSequence):
        fail(TypeError, name, "sequence", "a PackedSequence", sequence)
    padded, lengths = sequence._as_padded()
    if is_concrete(lengths):
        lengths = np.asarray(lengths)
        longest, of = int(lengths.max(initial=0)), "the longest sequence"
    else:
        longest, of = padded.shape[0], "the padded batch, as the lengths are traced"
    total = longest if total_length is None else as_int(name, "total_length", total_length)
    if total < longest:
        fail(ValueError, name, "total_length", f"at least {longest}, the length of {of}", total)
    return fill(padded, lengths, padding_value, total, bool(batch_first)), lengths


@explained
def pad_sequence(
    sequences: Iterable[ArrayLike], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> jax.Array:
    """Stacks sequences of different lengths into one padded batch.

    Concrete sequences are put together on the host, so that new lengths compile nothing.

    Args:
        sequences: arrays of equal trailing shapes.
        batch_first: whether the batch comes first.
        padding_value: what fills the shorter ones.
        padding_side: 'right' or 'left'.

    Shape:
        - each sequence: (L, *).
        - output: (T, B, *), or (B, T, *) with ``batch_first``; T is the longest L.

    Returns:
        the batch, in the dtype of the first sequence.

    Raises:
        TypeError: if ``sequences`` is not iterable.
        ValueError: if there is none, trailing shapes differ, or ``padding_side`` is unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.rnn.pad_sequence.html

    Example:
        >>> import numpy as np
        >>> pad_sequence([np.array([1, 2, 3]), np.array([4])], batch_first=True, padding_side="left").tolist()
        [[1, 2, 3], [0, 0, 4]]
    """
    name = "pad_sequence"
    if not isinstance(sequences, Iterable):
        fail(TypeError, name, "sequences", "an iterable of arrays", sequences)
    check_choice(name, "padding_side", padding_side, ("right", "left"))
    items = [s if isinstance(s, np.ndarray) else as_array(name, "sequences", s) for s in sequences]
    if not items:
        raise ValueError(f"{name}: sequences must hold at least one array, got none")
    for item in items:
        if item.ndim < 1:
            fail(ValueError, name, "sequences", "arrays of at least 1-D", item)
        if item.shape[1:] != items[0].shape[1:]:
            fail(ValueError, name, "sequences", f"of one trailing shape, {list(items[0].shape[1:])}", item)
    longest = max(item.shape[0] for item in items)
    axis = 0 if batch_first else 1
    dtype = jax.dtypes.canonicalize_dtype(items[0].dtype)
    if is_concrete(*items):
        batch = np.full((len(items), longest, *items[0].shape[1:]), padding_value, dtype)
        for row, item in zip(batch, items, strict=True):
            start = 0 if padding_side == "right" else longest - item.shape[0]
            row[start : start + item.shape[0]] = np.asarray(item)
        return off_host(batch if batch_first else batch.swapaxes(0, 1), None)
    widths = [longest - item.shape[0] for item in items]
    rows = [
        jnp.pad(
            jnp.asarray(item, dtype),
            [(0, w) if padding_side == "right" else (w, 0)] + [(0, 0)] * (item.ndim - 1),
            constant_values=padding_value,
        )
        for item, w in zip(items, widths, strict=True)
    ]
    return jnp.stack(rows, axis)


@explained
def unpad_sequence(padded_sequences: ArrayLike, lengths: Lengths, batch_first: bool = False) -> list[jax.Array]:
    """Takes a padded batch apart into a list of sequences.

    Args:
        padded_sequences: the batch.
        lengths: concrete numbers, one for each sequence, which has the steps t < length.
        batch_first: whether the batch is the first axis.

    Shape:
        - padded_sequences: (T, B, *), or (B, T, *) with ``batch_first``.
        - each result: (L, *).

    Returns:
        the list of sequences.

    Raises:
        TypeError: if ``lengths`` is traced or not of integers.
        ValueError: if shapes do not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.rnn.unpad_sequence.html

    Example:
        >>> import numpy as np
        >>> [s.tolist() for s in unpad_sequence(np.array([[1, 2, 3], [4, 0, 0]]), [3, 1], batch_first=True)]
        [[1, 2, 3], [4]]
    """
    name = "unpad_sequence"
    array = as_array(name, "padded_sequences", padded_sequences)
    if array.ndim < 2:
        fail(ValueError, name, "padded_sequences", "at least 2-D", array)
    count = read_integers(name, "lengths", lengths, _NO_LIST, whole=False)
    batch = array.shape[0 if batch_first else 1]
    if count.size != batch:
        fail(ValueError, name, "lengths", f"of {batch} numbers, one for each sequence", count)
    ends = np.maximum(np.ceil(count), 0).astype(np.int64).tolist()
    host: Any = on_host(array)  # where each part compiles nothing
    source = array if host is None else host
    parts = [source[i, :n] if batch_first else source[:n, i] for i, n in enumerate(ends)]
    return parts if host is None else [off_host(np.array(part), array) for part in parts]


@explained
def pack_sequence(sequences: Sequence[ArrayLike], enforce_sorted: bool = True) -> PackedSequence:
    """Packs a list of sequences: ``pad_sequence``, then ``pack_padded_sequence``.

    Args:
        sequences: arrays of equal trailing shapes.
        enforce_sorted: whether the lengths must decrease; if false they are sorted here.

    Shape:
        - each sequence: (L, *).

    Returns:
        a ``PackedSequence``.

    Raises:
        ValueError: as ``pad_sequence``.
        RuntimeError: if the lengths do not decrease and ``enforce_sorted`` is true.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.rnn.pack_sequence.html

    Example:
        >>> import numpy as np
        >>> pack_sequence([np.array([1, 2, 3]), np.array([4, 5]), np.array([6])]).data.tolist()
        [1, 4, 6, 2, 5, 3]
    """
    padded = pad_sequence(sequences)
    shapes: list[Any] = [np.shape(s) for s in sequences]
    return pack_padded_sequence(padded, [shape[0] for shape in shapes], enforce_sorted=enforce_sorted)


@explained
def unpack_sequence(packed_sequences: PackedSequence) -> list[jax.Array]:
    """Takes a ``PackedSequence`` apart into the list of sequences it was made of.

    Args:
        packed_sequences: what is unpacked.

    Returns:
        the list of sequences, of shapes (L, *), in their original order.

    Raises:
        TypeError: if the argument is no ``PackedSequence``, or its lengths are traced.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.rnn.unpack_sequence.html

    Example:
        >>> import numpy as np
        >>> [s.tolist() for s in unpack_sequence(pack_sequence([np.array([1, 2, 3]), np.array([4])]))]
        [[1, 2, 3], [4]]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


def __dir__() -> list[str]:
    return __all__

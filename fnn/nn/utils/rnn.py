"""Batches of sequences of different lengths: padded, packed (``PackedSequence``) and as lists."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from fnn.functional.arrays import ArrayLike, is_concrete
from fnn.functional.checks import as_array, as_int, check_choice, fail
from fnn.nn.placement import Device, parse_to

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

Indices: TypeAlias = np.ndarray | jax.Array
"""Indices or lengths: numpy, or traced."""

Lengths: TypeAlias = ArrayLike | Sequence[int] | Sequence[float]
"""What is taken for lengths and sizes: integers whose values can be read."""


class PackedSequence_(NamedTuple):
    """The fields of ``PackedSequence``."""

    data: jax.Array
    batch_sizes: np.ndarray
    sorted_indices: Indices | None
    unsorted_indices: Indices | None


class PackedSequence(PackedSequence_):
    """Sequences of different lengths without padding: all first steps, then all second steps, and so on.

    The functions of this file make it, and every recurrent layer takes it. It is a pytree whose ``batch_sizes`` are
    part of the structure: under ``jax.jit`` each new set of lengths compiles once.

    Args:
        data: the steps, of shape (sum of lengths, *); or the pair (data, batch_sizes).
        batch_sizes: a concrete integer array, the number of sequences that have a step t; kept as numpy, never traced.
        sorted_indices: the order by decreasing length, or ``None`` if the sequences came in that order.
        unsorted_indices: its inverse, computed if not given.

    Attributes:
        data (jax.Array): (sum of lengths, *).
        batch_sizes (np.ndarray): (T), for T the longest length.
        sorted_indices (np.ndarray | jax.Array | None): (N), for N sequences.
        unsorted_indices (np.ndarray | jax.Array | None): (N).

    Raises:
        TypeError: if ``batch_sizes`` is traced, or missing.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.rnn.PackedSequence.html

    Example:
        >>> import numpy as np
        >>> packed = pack_sequence([np.array([1, 2, 3]), np.array([4, 5])])
        >>> packed.data.tolist(), packed.batch_sizes.tolist()
        ([1, 4, 2, 5, 3], [2, 2, 1])
    """

    __slots__ = ()

    def __new__(
        cls,
        data: ArrayLike | tuple[ArrayLike, Lengths],
        batch_sizes: Lengths | None = None,
        sorted_indices: Indices | None = None,
        unsorted_indices: Indices | None = None,
    ) -> PackedSequence:
        """Completes the fields: the pair form is taken apart, a missing inverse computed."""
        if batch_sizes is None:
            if not isinstance(data, list | tuple) or len(data) != 2:
                fail(TypeError, "PackedSequence", "data", "the pair (data, batch_sizes) without batch_sizes", data)
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        sizes = _concrete("PackedSequence", "batch_sizes", batch_sizes)
        return tuple.__new__(cls, (data, sizes, sorted_indices, unsorted_indices))

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """``data`` cast and moved; takes a dtype, a device, both, or an array that stands for both.

        Args:
            *args: what ``Module.to`` takes.
            **kwargs: ``dtype``, ``device`` and the other names of ``Module.to``.

        Returns:
            a new ``PackedSequence``.
        """
        dtype, place = parse_to(*args, any_dtype=True, **kwargs)
        data = self.data if dtype is None else self.data.astype(dtype)
        data = data if place is None else jax.device_put(data, place)
        return PackedSequence(data, self.batch_sizes, self.sorted_indices, self.unsorted_indices)

    def cpu(self) -> PackedSequence:
        """``data`` on the CPU."""
        return self.to("cpu")

    def cuda(self, device: Device | builtins.int = None) -> PackedSequence:
        """``data`` on a GPU."""
        return self.to("cuda" if device is None else f"cuda:{device}" if isinstance(device, builtins.int) else device)

    def pin_memory(self) -> PackedSequence:
        """Nothing to do; returns the sequence."""
        return self

    def is_pinned(self) -> bool:
        """False: there is no pinned memory."""
        return False

    @property
    def is_cuda(self) -> bool:
        """Whether ``data`` lies on a GPU."""
        return isinstance(self.data, jax.Array) and any(d.platform == "gpu" for d in self.data.devices())

    def double(self) -> PackedSequence:
        """``data`` as float64."""
        return self.to(dtype=jnp.float64)

    def float(self) -> PackedSequence:
        """``data`` as float32."""
        return self.to(dtype=jnp.float32)

    def half(self) -> PackedSequence:
        """``data`` as float16."""
        return self.to(dtype=jnp.float16)

    def long(self) -> PackedSequence:
        """``data`` as int64."""
        return self.to(dtype=jnp.int64)

    def int(self) -> PackedSequence:
        """``data`` as int32."""
        return self.to(dtype=jnp.int32)

    def short(self) -> PackedSequence:
        """``data`` as int16."""
        return self.to(dtype=jnp.int16)

    def char(self) -> PackedSequence:
        """``data`` as int8."""
        return self.to(dtype=jnp.int8)

    def byte(self) -> PackedSequence:
        """``data`` as uint8."""
        return self.to(dtype=jnp.uint8)


def _flatten(packed: PackedSequence) -> tuple[tuple[Any, Any, Any], tuple[int, ...]]:
    return (packed.data, packed.sorted_indices, packed.unsorted_indices), tuple(packed.batch_sizes.tolist())


def _unflatten(sizes: tuple[int, ...], children: Any) -> PackedSequence:
    data, sorted_indices, unsorted_indices = children
    return tuple.__new__(PackedSequence, (data, np.array(sizes, np.int64), sorted_indices, unsorted_indices))


jax.tree_util.register_pytree_node(PackedSequence, _flatten, _unflatten)


def _concrete(function: str, argument: str, value: Lengths, whole: bool = True) -> np.ndarray:
    """A 1-D integer array whose values can be read, as numpy; shapes depend on it. Unless ``whole`` it may be of floats."""
    if not is_concrete(value) or (isinstance(value, Iterable) and not is_concrete(*value)):
        raise TypeError(
            f"{function}: {argument} must be concrete, for shapes depend on it, got a traced array; keep it in numpy "
            "outside the transformation, or call a recurrent function with lengths="
        )
    array = np.asarray(value)
    if array.size == 0:
        array = array.astype(np.int64)
    kinds = (np.integer,) if whole else (np.integer, np.floating)
    if array.ndim != 1 or not any(np.issubdtype(array.dtype, kind) for kind in kinds):
        fail(TypeError, function, argument, "a 1-D integer array", array)
    if not np.isfinite(array).all():
        fail(ValueError, function, argument, "finite", array)
    return array.astype(np.int64)


def invert_permutation(permutation: ArrayLike | None) -> Indices | None:
    """The permutation that undoes ``permutation``; ``None`` gives ``None``.

    Args:
        permutation: a 1-D array that holds each of 0 to n-1 once.

    Returns:
        an array of the same kind (numpy or jax) and dtype.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.rnn.invert_permutation.html

    Example:
        >>> import numpy as np
        >>> invert_permutation(np.array([2, 0, 1])).tolist()
        [1, 2, 0]
    """
    if permutation is None:
        return None
    if isinstance(permutation, np.ndarray):
        inverse = np.empty_like(permutation)
        inverse[permutation] = np.arange(permutation.size)
        return inverse
    order = as_array("invert_permutation", "permutation", permutation)
    return jnp.zeros_like(order).at[order].set(jnp.arange(order.size, dtype=order.dtype))


@partial(jax.jit, static_argnames="batch_first")
def _pack(padded: jax.Array, time: Any, row: Any, order: Any, batch_first: bool) -> jax.Array:
    row = row if order is None else jnp.asarray(order)[row]
    return padded[row, time] if batch_first else padded[time, row]


def _steps(batch_sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Time and row (in order of decreasing length) of every packed step."""
    time = np.repeat(np.arange(batch_sizes.size, dtype=np.int32), batch_sizes)
    starts = np.cumsum(batch_sizes) - batch_sizes
    return time, (np.arange(time.size) - starts[time]).astype(np.int32)


def repack(padded: jax.Array, like: PackedSequence, batch_first: bool = False) -> PackedSequence:
    """A padded batch in its original order, packed as ``like`` is."""
    data = _pack(padded, *_steps(like.batch_sizes), like.sorted_indices, batch_first)
    return PackedSequence(data, like.batch_sizes, like.sorted_indices, like.unsorted_indices)


def pack_padded_sequence(
    input: ArrayLike, lengths: Lengths, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Packs a padded batch; what lies beyond a sequence's length is dropped.

    Args:
        input: the padded batch.
        lengths: concrete integers, one for each sequence, from 1 to T; of floats the whole part counts.
        batch_first: whether the batch is the first axis.
        enforce_sorted: whether the lengths must decrease; if false they are sorted here.

    Shape:
        - input: (T, B, *), or (B, T, *) with ``batch_first``.
        - data of the result: (sum of lengths, *).

    Returns:
        a ``PackedSequence``; its index arrays are numpy.

    Raises:
        TypeError: if ``lengths`` is traced or not of integers.
        ValueError: if the input has fewer than 2 axes, or a length is missing or out of range.
        RuntimeError: if the lengths do not decrease and ``enforce_sorted`` is true.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.rnn.pack_padded_sequence.html

    Example:
        >>> import numpy as np
        >>> x = np.array([[1, 2, 0], [3, 0, 0], [4, 5, 6]])
        >>> pack_padded_sequence(x, [2, 1, 3], batch_first=True, enforce_sorted=False).data.tolist()
        [4, 1, 3, 5, 2, 6]
    """
    name = "pack_padded_sequence"
    array = as_array(name, "input", input)
    if array.ndim < 2:
        fail(ValueError, name, "input", "at least 2-D", array)
    count = _concrete(name, "lengths", lengths, whole=False)
    steps, batch = (array.shape[1], array.shape[0]) if batch_first else array.shape[:2]
    if count.size != batch:
        fail(ValueError, name, "lengths", f"of {batch} numbers, one for each sequence", count)
    if count.size == 0:
        fail(ValueError, name, "input", "a batch of at least one sequence", array)
    if count.min() < 1 or count.max() > steps:
        bad = count[(count < 1) | (count > steps)][0]
        fail(ValueError, name, "lengths", f"from 1 to {steps}, the length of the batch", int(bad))
    order = None
    if not enforce_sorted:
        order = np.argsort(-count, kind="stable")
        count = count[order]
    elif (np.diff(count) > 0).any():
        raise RuntimeError(
            f"{name}: lengths must not increase when enforce_sorted is True, got {count.tolist()}; "
            "pass enforce_sorted=False to have them sorted"
        )
    sizes = (count[:, None] > np.arange(count[0])).sum(0)
    return PackedSequence(_pack(array, *_steps(sizes), order, bool(batch_first)), sizes, order)


@partial(jax.jit, static_argnames="batch_first")
def _pad(data: jax.Array, position: Any, order: Any, padding_value: Any, batch_first: bool) -> jax.Array:
    position = position if order is None else position[:, order]
    position = position.T if batch_first else position
    kept = (position >= 0).reshape(*position.shape, *[1] * (data.ndim - 1))
    return jnp.where(kept, data[jnp.maximum(position, 0)], jnp.asarray(padding_value, data.dtype))


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[jax.Array, Indices]:
    """The inverse of ``pack_padded_sequence``: a padded batch in the original order, and the lengths.

    Args:
        sequence: what is unpacked.
        batch_first: whether the batch comes first.
        padding_value: what fills the places beyond a sequence's length.
        total_length: length of the result, at least that of the longest sequence, which is the default.

    Shape:
        - padded batch: (T, B, *), or (B, T, *) with ``batch_first``.
        - lengths: (B).

    Returns:
        the batch and the lengths; the lengths are numpy (concrete, also inside a trace) unless the order is traced.

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
    sizes = sequence.batch_sizes
    longest = sizes.size
    total = longest if total_length is None else as_int(name, "total_length", total_length)
    if total < longest:
        fail(ValueError, name, "total_length", f"at least {longest}, the length of the longest sequence", total)
    position = np.full((total, sizes[0] if longest else 0), -1, np.int32)
    time, row = _steps(sizes)
    position[time, row] = np.arange(time.size)
    lengths: Indices = (position >= 0).sum(0)
    data = as_array(name, "sequence.data", sequence.data)
    order = sequence.unsorted_indices
    padded = _pad(data, position, order, padding_value, bool(batch_first))
    if order is not None:
        lengths = lengths[np.asarray(order)] if is_concrete(order) else jnp.asarray(lengths)[order]
    return padded, lengths


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
        return jnp.asarray(batch if batch_first else batch.swapaxes(0, 1))
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


def unpad_sequence(padded_sequences: ArrayLike, lengths: Lengths, batch_first: bool = False) -> list[jax.Array]:
    """Takes a padded batch apart into a list of sequences.

    Args:
        padded_sequences: the batch.
        lengths: concrete integers, one for each sequence.
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
    count = _concrete(name, "lengths", lengths)
    batch = array.shape[0 if batch_first else 1]
    if count.size != batch:
        fail(ValueError, name, "lengths", f"of {batch} numbers, one for each sequence", count)
    return [array[i, : max(n, 0)] if batch_first else array[: max(n, 0), i] for i, n in enumerate(count.tolist())]


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


def unpack_sequence(packed_sequences: PackedSequence) -> list[jax.Array]:
    """Takes a ``PackedSequence`` apart into the list of sequences it was made of.

    Args:
        packed_sequences: what is unpacked.

    Returns:
        the list of sequences, of shapes (L, *), in their original order.

    Raises:
        TypeError: if the argument is no ``PackedSequence``, or its order is traced.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.rnn.unpack_sequence.html

    Example:
        >>> import numpy as np
        >>> [s.tolist() for s in unpack_sequence(pack_sequence([np.array([1, 2, 3]), np.array([4])]))]
        [[1, 2, 3], [4]]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)

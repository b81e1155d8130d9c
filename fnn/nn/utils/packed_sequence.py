"""``PackedSequence``: sequences of different lengths, whose padded form has a static shape whatever the lengths are."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, SupportsIndex, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from fnn.functional.arrays import ArrayLike, index_dtype, is_concrete
from fnn.functional.checks import as_array, fail
from fnn.functional.explained import explained
from fnn.nn.placement import Device, off_host, on_host, parse_to

__all__ = ["PackedSequence", "invert_permutation"]

Indices: TypeAlias = np.ndarray | jax.Array
"""Indices or lengths: numpy, or traced."""

Lengths: TypeAlias = ArrayLike | Sequence[int] | Sequence[float]
"""What is taken for lengths and sizes: one number a sequence."""


def is_known(value: Any) -> bool:
    """Whether lengths or sizes, an array or a list of numbers, can be read."""
    return is_concrete(value) and not (isinstance(value, list | tuple) and not is_concrete(*value))


def read_integers(function: str, argument: str, value: Lengths, advice: str, whole: bool = True) -> np.ndarray:
    """A 1-D integer array whose values can be read, as numpy. Unless ``whole`` it may be of floats, which stay so."""
    if not is_known(value):
        raise TypeError(
            f"{function}: {argument} must be concrete, for shapes depend on it, got a traced array; {advice}"
        )
    array = np.asarray(value)
    if array.size == 0:
        array = array.astype(np.int64)
    kinds = (np.integer,) if whole else (np.integer, np.floating)
    if array.ndim != 1 or not any(np.issubdtype(array.dtype, kind) for kind in kinds):
        fail(TypeError, function, argument, "a 1-D integer array", array)
    if not np.isfinite(array).all():
        fail(ValueError, function, argument, "finite", array)
    return array.astype(np.int64) if whole else array


@explained
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


# From the padded form to the packed one and back. The padded form is (T, B, *) with the batch in its original order.


def steps_of(batch_sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Time and row (in order of decreasing length) of every packed step."""
    time = np.repeat(np.arange(batch_sizes.size, dtype=np.int32), batch_sizes)
    starts = np.cumsum(batch_sizes) - batch_sizes
    return time, (np.arange(time.size) - starts[time]).astype(np.int32)


@jax.jit
def _pack(padded: jax.Array, time: Any, row: Any, order: Any) -> jax.Array:
    return padded[time, row if order is None else jnp.asarray(order)[row]]


@jax.jit
def _unpack(data: jax.Array, position: Any, order: Any) -> jax.Array:
    position = position if order is None else position[:, order]
    kept = (position >= 0).reshape(*position.shape, *[1] * (data.ndim - 1))
    return jnp.where(kept, data[jnp.maximum(position, 0)], jnp.zeros((), data.dtype))


@jax.jit
def _arrange(padded: jax.Array, lengths: Any, order: Any) -> jax.Array:
    """The padded form by decreasing length, zero beyond each length."""
    kept = jnp.arange(padded.shape[0])[:, None] < lengths
    padded = jnp.where(kept.reshape(*kept.shape, *[1] * (padded.ndim - 2)), padded, jnp.zeros((), padded.dtype))
    return padded if order is None else jnp.take(padded, order, 1, unique_indices=True)


def _is_integer(value: Any) -> bool:
    return hasattr(value, "dtype") and jnp.issubdtype(value.dtype, jnp.integer)


class PackedSequence(tuple[jax.Array, Indices, Indices | None, Indices | None]):
    """Sequences of different lengths without padding: all first steps, then all second steps, and so on.

    The functions of ``fnn.nn.utils.rnn`` make it, and every recurrent layer takes it. What it holds is the padded batch, whose
    shape depends on no length, and the lengths; ``data`` and ``batch_sizes`` are made of them when they are asked for. It is a
    pytree of these, so that a compiled function that is given one is compiled once for each padded shape, and the lengths are
    traced in it.

    Where the lengths are traced, the number of steps is unknown, and ``data`` is padded: (T, B, *), by decreasing length, zero
    beyond each length; ``batch_sizes`` is traced, with zeros at the end. Layers that work on each step by itself can be applied
    to it as in torch: ``PackedSequence(layer(p.data), p.batch_sizes, p.sorted_indices, p.unsorted_indices)``. A mean over it
    counts the padding too; take that of what ``pad_packed_sequence`` gives, with a mask or ``ignore_index``.

    Args:
        data: the steps, of shape (sum of lengths, *); or the pair (data, batch_sizes).
        batch_sizes: the number of sequences that have a step t.
        sorted_indices: the order by decreasing length, or ``None`` if the sequences came in that order.
        unsorted_indices: its inverse, computed if not given.

    Attributes:
        data (jax.Array): (sum of lengths, *); (T, B, *) where the lengths are traced.
        batch_sizes (np.ndarray | jax.Array): (T), for T the longest length, or the length of the batch if lengths are traced.
        sorted_indices (np.ndarray | jax.Array | None): (N), for N sequences.
        unsorted_indices (np.ndarray | jax.Array | None): (N).

    Raises:
        TypeError: if ``batch_sizes`` is missing or not of integers.
        ValueError: if ``batch_sizes`` is traced and ``data`` not padded.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.rnn.PackedSequence.html

    Example:
        >>> import numpy as np
        >>> from fnn.nn.utils.rnn import pack_sequence
        >>> packed = pack_sequence([np.array([1, 2, 3]), np.array([4, 5])])
        >>> packed.data.tolist(), packed.batch_sizes.tolist()
        ([1, 4, 2, 5, 3], [2, 2, 1])
    """

    _fields = ("data", "batch_sizes", "sorted_indices", "unsorted_indices")

    _data: jax.Array | None
    _sizes: Indices | None
    _padded: jax.Array | None
    _lengths: Indices | None
    _order: tuple[Indices | None, Indices | None]
    _steps: builtins.int

    def __new__(
        cls,
        data: ArrayLike | tuple[ArrayLike, Lengths],
        batch_sizes: Lengths | None = None,
        sorted_indices: Indices | None = None,
        unsorted_indices: Indices | None = None,
    ) -> PackedSequence:
        """Completes the fields: the pair form is taken apart, a missing inverse computed."""
        name = "PackedSequence"
        if batch_sizes is None:
            if not isinstance(data, list | tuple) or len(data) != 2:
                fail(TypeError, name, "data", "the pair (data, batch_sizes) without batch_sizes", data)
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        array: Any = data
        if is_known(batch_sizes):
            sizes: Any = read_integers(name, "batch_sizes", batch_sizes, "")
        else:
            sizes = as_array(name, "batch_sizes", batch_sizes)
            if sizes.ndim != 1 or not _is_integer(sizes):
                fail(TypeError, name, "batch_sizes", "a 1-D integer array", sizes)
            if array.ndim < 2 or array.shape[0] != sizes.shape[0]:
                fail(ValueError, name, "data", "padded, (T, B, *), with traced batch_sizes of (T)", array)
        return cls._of(array, sizes, None, None, (sorted_indices, unsorted_indices), sizes.shape[0])

    @classmethod
    def _of(cls, data: Any, sizes: Any, padded: Any, lengths: Any, order: Any, steps: builtins.int) -> PackedSequence:
        self = tuple.__new__(cls, (None,) * 4)
        self._data, self._sizes, self._padded, self._lengths = data, sizes, padded, lengths
        self._order, self._steps = order, steps
        return self

    @classmethod
    def _of_padded(cls, padded: Any, lengths: Any, order: Any) -> PackedSequence:
        """Of a batch (T, B, *) in its original order, the lengths, and the pair of ``sorted_indices`` and its inverse."""
        return cls._of(None, None, padded, lengths, order, padded.shape[0] if hasattr(padded, "shape") else 0)

    # The fields

    @property
    def data(self) -> jax.Array:
        """The steps of all sequences."""
        if self._data is not None:
            return self._data
        padded: Any = self._padded
        if not _is_integer(self._lengths):  # a gradient, or what else has the structure and not the contents
            return padded
        if not is_concrete(self._lengths):
            return _arrange(padded, self._lengths, self.sorted_indices)
        time, row = steps_of(np.asarray(self.batch_sizes))
        order, host = self.sorted_indices, on_host(padded)
        if host is not None and is_concrete(order):
            self._data = off_host(host[time, row if order is None else np.asarray(order)[row]], padded)
            return self._data
        return _pack(padded, time, row, order)

    @property
    def batch_sizes(self) -> Indices:
        """How many sequences have a step t."""
        if self._sizes is not None:
            return self._sizes
        lengths: Any = self._lengths
        if not is_concrete(lengths):
            return (lengths > jnp.arange(self._steps)[:, None]).sum(1, dtype=index_dtype())
        count = np.asarray(lengths)
        sizes = self._sizes = (count > np.arange(count.max(initial=0))[:, None]).sum(1)
        return sizes

    @property
    def sorted_indices(self) -> Indices | None:
        """The order by decreasing length."""
        return self._order[0]

    @property
    def unsorted_indices(self) -> Indices | None:
        """The original order."""
        return self._order[1]

    # The padded form

    def _as_padded(self) -> tuple[jax.Array, Indices]:
        """The batch as (T, B, *) in its original order, with anything beyond the lengths; and the lengths."""
        if self._padded is None or self._lengths is None:
            padded, lengths = self._unpacked()
            if not is_concrete(padded, lengths):
                return padded, lengths
            self._padded, self._lengths = padded, lengths
        return self._padded, self._lengths

    def _unpacked(self) -> tuple[jax.Array, Indices]:
        data, sizes, order = as_array("PackedSequence", "data", self._data), self.batch_sizes, self.unsorted_indices
        if not is_concrete(sizes):
            count: Any = (jnp.asarray(sizes)[:, None] > jnp.arange(data.shape[1])).sum(0, dtype=index_dtype())
            return (data, count) if order is None else (jnp.take(data, order, 1, unique_indices=True), count[order])
        sizes = np.asarray(sizes)
        position = np.full((self._steps, sizes[0] if sizes.size else 0), -1, np.int32)
        time, row = steps_of(sizes)
        position[time, row] = np.arange(time.size)
        count = (position >= 0).sum(0)
        if order is not None:
            count = count[np.asarray(order)] if is_concrete(order) else jnp.asarray(count)[order]
        host = on_host(data)
        if host is None or not is_concrete(order) or not data.shape[0]:
            return _unpack(data, position, order), count
        position = position if order is None else position[:, np.asarray(order)]
        padded = host[np.maximum(position, 0)]
        padded[position < 0] = 0
        return off_host(padded, data), count

    def _with(self, padded: jax.Array) -> PackedSequence:
        """A padded batch (T, B, *) in the original order, packed as this one is."""
        _, lengths = self._as_padded()
        new = PackedSequence._of_padded(padded, lengths, self._order)
        new._sizes = self._sizes
        return new

    def _map(self, change: Callable[[Any], Any]) -> PackedSequence:
        """The steps changed, in whichever form they are."""
        if self._padded is None:
            return self._of(change(self._data), self._sizes, None, self._lengths, self._order, self._steps)
        return self._of(None, self._sizes, change(self._padded), self._lengths, self._order, self._steps)

    # What a named tuple has

    def _items(self) -> tuple[Any, ...]:
        return self.data, self.batch_sizes, self.sorted_indices, self.unsorted_indices

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items())

    def __getitem__(self, key: SupportsIndex | slice) -> Any:
        return self._items()[key]

    def __contains__(self, value: object) -> bool:
        return any(value is item for item in self._items())

    def index(self, value: Any, *args: Any) -> builtins.int:
        """``tuple.index``."""
        return self._items().index(value, *args)

    def count(self, value: Any) -> builtins.int:
        """``tuple.count``."""
        return self._items().count(value)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    def __hash__(self) -> builtins.int:
        return object.__hash__(self)

    def __repr__(self) -> str:
        return f"PackedSequence({', '.join(f'{k}={v!r}' for k, v in self._asdict().items())})"

    def __reduce__(self) -> Any:
        return _unflatten, (None, _flatten(self)[0])

    @classmethod
    def _make(cls, iterable: Iterable[Any]) -> PackedSequence:
        return cls(*iterable)

    def _asdict(self) -> dict[str, Any]:
        return dict(zip(self._fields, self._items(), strict=True))

    def _replace(self, **kwargs: Any) -> PackedSequence:
        unknown = kwargs.keys() - {*self._fields}
        if unknown:
            raise ValueError(f"PackedSequence: there are no fields {sorted(unknown)}")
        new = PackedSequence(**{**self._asdict(), **kwargs})
        if "batch_sizes" not in kwargs:
            new._steps = self._steps  # padded again to the same shape
        return new

    # Casts and moves

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """``data`` cast and moved; takes a dtype, a device, both, or an array that stands for both.

        Args:
            *args: what ``Module.to`` takes.
            **kwargs: ``dtype``, ``device`` and the other names of ``Module.to``.

        Returns:
            a new ``PackedSequence``.
        """
        dtype, place = parse_to(*args, any_dtype=True, **kwargs)

        def change(data: Any) -> Any:
            data = data if dtype is None else data.astype(dtype)
            return data if place is None else jax.device_put(data, place)

        return self._map(change)

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
        held = self._data if self._padded is None else self._padded
        return isinstance(held, jax.Array) and any(d.platform == "gpu" for d in held.devices())

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


def _flatten(packed: PackedSequence) -> tuple[tuple[Any, ...], None]:
    padded, lengths = packed._as_padded()
    return (padded, lengths, *packed._order), None


def _unflatten(_: None, children: Any) -> PackedSequence:
    padded, lengths, *order = children
    return PackedSequence._of_padded(padded, lengths, tuple(order))


jax.tree_util.register_pytree_node(PackedSequence, _flatten, _unflatten)


def fill(padded: jax.Array, lengths: Indices, value: Any, total: int, batch_first: bool) -> jax.Array:
    """A padded batch (T, B, *) of ``total`` steps, with ``value`` beyond the lengths; not more than their steps are read."""
    host = on_host(padded)
    rows = total if host is None else max(total, padded.shape[0])
    out = _fill(padded, lengths, value, rows, batch_first)
    if rows == total:
        return out
    whole = np.asarray(out)  # each length of a part cut off by JAX would be a program of its own
    return off_host(whole[:, :total] if batch_first else whole[:total], padded)


@partial(jax.jit, static_argnames=("rows", "batch_first"))
def _fill(padded: jax.Array, lengths: Any, value: Any, rows: int, batch_first: bool) -> jax.Array:
    steps = min(rows, padded.shape[0])
    more = [(0, rows - steps)] + [(0, 0)] * (padded.ndim - 1)
    kept = jnp.arange(rows)[:, None] < lengths
    kept = kept.reshape(*kept.shape, *[1] * (padded.ndim - 2))
    out = jnp.where(kept, jnp.pad(padded[:steps], more), jnp.asarray(value, padded.dtype))
    return out.swapaxes(0, 1) if batch_first else out

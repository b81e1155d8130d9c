"""The protocol by which an object (Module, Optimizer, scheduler, Generator) shows its arrays to the transformations."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import get_opaque_trace_state


def trace_state() -> Any:
    """An opaque value that is equal for two calls if and only if they ran at the same level of JAX tracing."""
    return get_opaque_trace_state()


_EAGER = trace_state()


def setting(name: str) -> Any:
    """A JAX setting by name, such as "jax_enable_x64", as it is in force in this thread."""
    return getattr(jax.config, name)


def is_eager() -> bool:
    """True outside every JAX transformation (jit, grad, vmap, scan, ...)."""
    return trace_state() == _EAGER


class _Structure:
    """Process-wide counts of changes: while ``version`` stands still, gathered lists of boxes are still right; while
    ``optional`` does, the same optional boxes are empty."""

    __slots__ = ("optional", "version")

    def __init__(self) -> None:
        self.version = 0
        self.optional = 0


structure = _Structure()


def structure_changed() -> None:
    """Notes a structural change of some object: a new child, ``train()``, freezing, another shape or dtype."""
    structure.version += 1


class _Context(threading.local):
    """The running fnn transformations of this thread, outermost first."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []


_context = _Context()


def current_scopes() -> Sequence[Scope]:
    """The running fnn transformations of this thread, outermost first."""
    return _context.scopes


class Box:
    """A mutable cell that holds one array, or ``None`` while empty.

    Every array that fnn changes in place lives in a box, so that a transformation can put traced arrays in and
    take the results out. ``_data`` is the content without the checks, for code of the library.
    """

    __slots__ = ("__weakref__", "_content", "_label", "_origin")

    def __init__(self, data: Any = None, label: str = "") -> None:
        self._content = data
        self._label = label
        self._origin = trace_state()

    @property
    def _data(self) -> Any:
        content = self._content
        return content.get() if type(content) is Place else content

    @_data.setter
    def _data(self, value: Any) -> None:
        content = self._content
        if type(content) is Place:
            content.leave()
        self._content = value

    def __getstate__(self) -> Any:
        return None, {"_content": self._data, "_label": self._label, "_origin": self._origin}

    @property
    def data(self) -> Any:
        """The array; raises RuntimeError under an ``fnn.jit`` that did not find this box."""
        if _context.scopes:
            _note_read(self)
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        self.write(value)

    def peek(self) -> Any:
        """The array, checked like ``data``, for a use through which no gradient flows: it does not count as a read."""
        if _context.scopes:
            _note_read(self, counts=False)
        return self._data

    def write(self, value: Any) -> None:
        """Puts an array in; raises RuntimeError where a JAX transformation that fnn does not run would leak it."""
        _note_write(self)
        old = self._data
        if old is None or old.shape != value.shape or old.dtype != value.dtype:
            structure_changed()
        self._data = value

    def describe(self) -> str:
        """The words by which an error names this box."""
        data = self._data
        name = f"{type(self).__name__} {self._label!r}" if self._label else type(self).__name__
        return name if data is None else f"{name} of shape {tuple(data.shape)}"


class OptionalBox(Box):
    """A box that is often empty (a gradient): filling and emptying it is no structural change.

    It may also hold a pytree of arrays, such as a row-sparse gradient.
    """

    __slots__ = ()

    def write(self, value: Any) -> None:
        _note_write(self)
        structure.optional += 1
        self._data = value

    def key(self) -> Hashable:
        """What a trace depends on: whether it is empty, or the structure of what it holds."""
        data = self._data
        if data is None or isinstance(data, jax.Array):
            return data is None
        leaves, tree = jax.tree.flatten(data)
        return tree, tuple((leaf.shape, leaf.dtype) for leaf in leaves)


class Scope:
    """One running transformation: which boxes it has put arrays into, what was read, what was written.

    Entering must happen inside the trace that the scope stands for. Leaving puts back the former content of every
    box that was swapped or written, whether or not an exception passes; the caller commits ``written`` if it wants it.

    Args:
        transform: name of the transformation, for error messages.
        strict: reading a box that the scope does not own raises (``fnn.jit``).
        private: writes to boxes that it does not own belong to the enclosing scope (``functional_call``).
    """

    def __init__(self, transform: str, *, strict: bool = False, private: bool = False) -> None:
        self.transform = transform
        self.strict = strict
        self.private = private
        self.trace: Any = None
        self.owned: dict[int, Box] = {}
        self.reads: set[int] = set()
        self.saved: dict[int, tuple[Box, Any]] = {}
        self.writes: set[int] = set()
        self.objects: set[int] = set()

    def __enter__(self) -> Scope:
        self.trace = trace_state()
        _context.scopes.append(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        _context.scopes.remove(self)
        for box, old in self.saved.values():
            box._data = old
        structure.optional += 1

    def own(self, box: Box, value: Any) -> None:
        """Puts ``value`` into the box until the scope ends."""
        self.owned[id(box)] = box
        self.saved.setdefault(id(box), (box, box._data))
        box._data = value

    def written(self) -> list[tuple[Box, Any]]:
        """The boxes written since the scope began, with their present values; to be asked before it ends."""
        return [(box, box._data) for key, (box, _) in self.saved.items() if key in self.writes]

    def record_write(self, box: Box) -> None:
        self.saved.setdefault(id(box), (box, box._data))
        self.writes.add(id(box))


def _note_read(box: Box, counts: bool = True) -> None:
    key = id(box)
    for scope in reversed(_context.scopes):
        if key in scope.owned:
            if counts:
                scope.reads.add(key)
            return
        if scope.strict:
            if box._origin == _EAGER:
                raise RuntimeError(
                    f"fnn.jit: {box.describe()} was read by the traced function but fnn.jit did not find it; "
                    "pass the object that holds it as an argument"
                )
            return


def _note_write(box: Box) -> None:
    state = trace_state()
    for scope in reversed(_context.scopes):
        if scope.private and id(box) not in scope.owned:
            continue
        if scope.trace == state:
            if scope.strict and id(box) not in scope.owned and box._origin == _EAGER:
                raise RuntimeError(
                    f"fnn.jit: {box.describe()} was written by the traced function but fnn.jit did not find it; "
                    "pass the object that holds it as an argument"
                )
            scope.record_write(box)
            return
        break
    else:
        if state == _EAGER:
            return
    if box._origin != state:
        raise RuntimeError(
            f"{box.describe()} would be changed inside a JAX transformation (jit, grad, vmap, scan, ...) that fnn does "
            "not run, and a traced array would leak into it; use fnn.functional_call, which returns the new "
            "buffers, or fnn.jit and fnn.backward, which carry them out; or switch the layer to eval()"
        )


def require_known(obj: Stateful, name: str) -> None:
    """Raises RuntimeError if an ``fnn.jit`` is tracing that did not find ``obj``."""
    for scope in _context.scopes:
        if scope.strict and id(obj) not in scope.objects and obj._stateful_origin_ == _EAGER:
            raise RuntimeError(
                f"fnn.jit: {name} was used by the traced function but fnn.jit did not find it; pass it as an argument"
            )


class Cell:
    """A place for one Python number or array in an object's own dict or attribute: a learning rate, a counter."""

    __slots__ = ("container", "key")

    def __init__(self, container: dict[Any, Any], key: Any) -> None:
        self.container = container
        self.key = key

    def get(self) -> Any:
        return dict.__getitem__(self.container, self.key)

    def set(self, value: Any) -> None:
        dict.__setitem__(self.container, self.key, value)


class Stateful:
    """What an object shows to ``fnn.jit``. Subclasses override what they have.

    ``_stateful_key_`` is all that a trace depends on besides arrays and cells; two objects of equal keys, children
    and boxes share one compiled program. Whatever changes it must call ``structure_changed``.
    """

    _stateful_origin_: Any = _EAGER

    def _stateful_children_(self) -> Iterable[Stateful]:
        return ()

    def _stateful_boxes_(self) -> Iterable[Box]:
        return ()

    def _stateful_cells_(self) -> Iterable[Cell]:
        return ()

    def _stateful_key_(self) -> Hashable:
        return None

    def _stateful_prepare_(self) -> Callable[[], None] | None:
        """Creates what the object would create lazily; returns a function that undoes it, or ``None``."""
        return None

    def _stateful_snapshot_(self) -> Callable[[], None]:
        """A function that puts the object's Python side back as it is now, for when a trace raises."""
        return lambda: None


class Identity:
    """Hashes a value by identity, and keeps it alive so that the identity stays its own."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and other.value is self.value


def static_key(value: Any) -> Hashable:
    """A hashable that stands for a Python value a trace may depend on: by value where that is safe, else by identity."""
    if value is None or type(value) in (bool, int, float, complex, str, bytes):
        return type(value), value
    if type(value) in (list, tuple):
        return type(value), tuple(static_key(v) for v in value)
    if isinstance(value, dict):
        return type(value), tuple((static_key(k), static_key(v)) for k, v in value.items())
    if isinstance(value, type | np.dtype):
        return value
    return Identity(value)


def walk(roots: Iterable[Stateful]) -> Iterator[Stateful]:
    """Every object that can be reached from the roots, each once, parents first."""
    seen: set[int] = set()
    stack = list(roots)[::-1]
    while stack:
        obj = stack.pop()
        if id(obj) in seen:
            continue
        seen.add(id(obj))
        yield obj
        stack.extend(list(obj._stateful_children_())[::-1])


class _Holder:
    __slots__ = ("_data",)


def _calibrate() -> tuple[int, int]:
    """The reference counts of an array that a list alone holds, and of one that a box and a list hold."""
    holder = _Holder()
    holder._data = np.empty(0)
    return max(map(sys.getrefcount, [np.empty(0)])), max(map(sys.getrefcount, [holder._data]))


_BY_LIST, _BY_BOX_AND_LIST = _calibrate()


def donatable(arrays: list[Any], references: int = _BY_BOX_AND_LIST) -> list[Any]:
    """The list with a copy in place of each array that somebody besides its box and this list holds.

    Donating an array deletes it, so one that the user keeps (``old = p.data``) must not be donated; nor one that two
    boxes share. The arrays must be held by their boxes and by ``arrays`` alone at the time of the call.
    """
    if max(map(sys.getrefcount, arrays), default=0) <= references:
        return arrays
    counts = list(map(sys.getrefcount, arrays))
    return [
        array.copy() if count > references and isinstance(array, jax.Array) else array
        for array, count in zip(arrays, counts, strict=True)
    ]


def held_elsewhere(arrays: list[Any]) -> bool:
    """Whether somebody besides this list holds one of its arrays."""
    return max(map(sys.getrefcount, arrays), default=0) > _BY_LIST


_LOSSES = 4


class Bank:
    """The contents of many boxes as one list, which a compiled program takes and gives back whole, call after call.

    While nobody looks into the boxes or writes to them, no work is done per box. A box that is written to leaves the
    bank, and the next call has to read all boxes and fill the bank again; where that keeps happening the bank closes,
    and the boxes hold their arrays themselves.

    Args:
        boxes: the boxes, in the order of the program's arguments.
    """

    __slots__ = ("arrays", "boxes", "losses", "places", "seen", "whole")

    def __init__(self, boxes: list[Box]) -> None:
        self.boxes = boxes
        self.places = [Place(self, i) for i in range(len(boxes))]
        self.arrays: list[Any] = [None] * len(boxes)
        self.whole = False  # every box has its content here
        self.seen = False  # somebody may have got hold of an array
        self.losses = 0  # how much more often than not it was found not to be whole

    def take(self) -> list[Any]:
        """The arrays, to be donated: copies of those that somebody else holds."""
        if not self.whole:
            self.losses += 1
            return donatable([box._data for box in self.boxes])
        self.losses = max(self.losses - 1, 0)
        return donatable(self.arrays, _BY_LIST) if self.seen else self.arrays

    def put(self, arrays: list[Any], shared: bool = False) -> None:
        """Gives every box its new content, of the shape and dtype of the old; ``shared`` if somebody else may hold it."""
        if self.whole:
            self.arrays = arrays
        elif self.losses > _LOSSES:
            for box, array in zip(self.boxes, arrays, strict=True):
                box._data = array
        else:
            for box, place in zip(self.boxes, self.places, strict=True):
                content = box._content
                if type(content) is Place and content is not place:
                    content.leave()
                box._content = place
            self.arrays = arrays
            self.whole = True
        self.seen = shared

    def close(self) -> None:
        """Puts the arrays into the boxes themselves."""
        for box, place, array in zip(self.boxes, self.places, self.arrays, strict=True):
            if box._content is place:
                box._content = array
        self.whole = False


class Place:
    """What a box holds while its array is in a bank."""

    __slots__ = ("bank", "index")

    def __init__(self, bank: Bank, index: int) -> None:
        self.bank = bank
        self.index = index

    def get(self) -> Any:
        self.bank.seen = True
        return self.bank.arrays[self.index]

    def leave(self) -> None:
        """The box gets another content; the array is let go."""
        self.bank.whole = False
        self.bank.arrays[self.index] = None

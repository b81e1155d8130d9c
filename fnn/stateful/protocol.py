"""The protocol by which an object (Module, Optimizer, scheduler, Generator) shows its arrays to the transformations."""

from __future__ import annotations

import enum
import functools
import weakref
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from types import FunctionType, MethodType, ModuleType
from typing import Any

import jax
import numpy as np

from fnn.stateful.boxes import Box, Cell
from fnn.stateful.tracing import EAGER


class Uninitialized(RuntimeError):
    """Raised by ``_stateful_prepare_`` of an object that has no arrays yet, before its first call."""


class Stateful:
    """What an object shows to ``fnn.jit``. Subclasses override what they have.

    ``_stateful_key_`` is all that a trace depends on besides arrays and cells; two objects of equal keys, children
    and boxes share one compiled program. Whatever changes it must call ``structure_changed``.
    """

    _stateful_origin_: Any = EAGER

    def _stateful_children_(self) -> Iterable[Stateful]:
        return ()

    def _stateful_boxes_(self) -> Iterable[Box]:
        return ()

    def _stateful_cells_(self) -> Iterable[Cell]:
        return ()

    def _stateful_key_(self) -> Hashable:
        return None

    def _stateful_key_for_(self, names: Collection[str]) -> Hashable:
        """The key for code that has these names: a number that the user keeps under another is none of the trace's."""
        return self._stateful_key_()

    def _stateful_containers_(self) -> Iterable[tuple[str, Any]]:
        """The lists and dicts of the user's in which arrays may be kept, with the names of the attributes."""
        return ()

    def _stateful_prepare_(self) -> Callable[[], None] | None:
        """Creates what the object would create lazily; returns a function that undoes it, or ``None``."""
        return None

    def _stateful_snapshot_(self) -> Callable[[], None]:
        """A function that puts the object's Python side back as it is now, for when a trace raises."""
        return lambda: None


class Identity:
    """Hashes a value by identity.

    It holds the value weakly if that is an object of some class, so that it keeps no model alive, and is equal to nothing
    once the value is gone; else it keeps it alive, so that the identity stays its own.
    """

    __slots__ = ("_hash", "_held", "_weak")

    def __init__(self, value: Any) -> None:
        self._hash: int = id(value)
        self._weak: bool = not isinstance(value, FunctionType | type | ModuleType | jax.Array | np.ndarray)
        if self._weak:
            try:
                self._held: Any = weakref.ref(value)
                return
            except TypeError:
                self._weak = False
        self._held = value

    @property
    def value(self) -> Any:
        """The value, or ``None`` if it is gone."""
        return self._held() if self._weak else self._held

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Identity) or other._hash != self._hash:
            return False
        value = self.value
        return value is not None and other.value is value


def static_key(value: Any) -> Hashable:
    """A hashable that stands for a Python value a trace may depend on: by value where that is safe, else by identity."""
    if type(value) in (float, complex):
        return type(value), repr(value)  # 0.0 and -0.0 differ, and NaN is equal to itself
    if value is None or type(value) in (bool, int, str, bytes):
        return type(value), value
    if type(value) in (list, tuple):
        return type(value), tuple(static_key(v) for v in value)
    if isinstance(value, dict):
        return type(value), tuple((static_key(k), static_key(v)) for k, v in value.items())
    if isinstance(value, np.generic):
        return type(value), value.tobytes()
    if isinstance(value, type | np.dtype | enum.Enum):
        return value if isinstance(value, np.dtype) else Identity(value)
    if isinstance(value, MethodType):
        return MethodType, static_key(value.__func__), Identity(value.__self__)
    if isinstance(value, functools.partial):
        return functools.partial, static_key(value.func), static_key(value.args), static_key(value.keywords)
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

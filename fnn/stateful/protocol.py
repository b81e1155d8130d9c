"""The protocol by which an object (Module, Optimizer, scheduler, Generator) shows its arrays to the transformations."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

import numpy as np

from fnn.stateful.boxes import Box, Cell
from fnn.stateful.tracing import EAGER


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
        self.value: Any = value

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

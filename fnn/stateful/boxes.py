"""Boxes and cells: the places where all that changes lives."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import jax

from fnn.stateful.donation import BankEntry
from fnn.stateful.scopes import note_read, note_write, running
from fnn.stateful.structure import structure, structure_changed
from fnn.stateful.tracing import trace_state


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
        return content.get() if type(content) is BankEntry else content

    @_data.setter
    def _data(self, value: Any) -> None:
        content = self._content
        if type(content) is BankEntry:
            content.leave()
        self._content = value

    def __getstate__(self) -> Any:
        return None, {"_content": self._data, "_label": self._label, "_origin": self._origin}

    @property
    def data(self) -> Any:
        """The array; raises RuntimeError under an ``fnn.jit`` that did not find this box."""
        if running.scopes:
            note_read(self)
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        self.write(value)

    def peek(self) -> Any:
        """The array, checked like ``data``, for a use through which no gradient flows: it does not count as a read."""
        if running.scopes:
            note_read(self, counts=False)
        return self._data

    def write(self, value: Any) -> None:
        """Puts an array in; raises RuntimeError where a JAX transformation that fnn does not run would leak it."""
        note_write(self)
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
        note_write(self)
        structure.optional += 1
        self._data = value

    def key(self) -> Hashable:
        """What a trace depends on: whether it is empty, or the structure of what it holds."""
        data = self._data
        if data is None or isinstance(data, jax.Array):
            return data is None
        leaves, tree = jax.tree.flatten(data)
        return tree, tuple((leaf.shape, leaf.dtype) for leaf in leaves)


class Cell:
    """A place for one Python number or array in an object's own dict or attribute: a learning rate, a counter."""

    __slots__ = ("container", "key")

    def __init__(self, container: dict[Any, Any], key: Any) -> None:
        self.container: dict[Any, Any] = container
        self.key: Any = key

    def get(self) -> Any:
        return dict.__getitem__(self.container, self.key)

    def set(self, value: Any) -> None:
        dict.__setitem__(self.container, self.key, value)

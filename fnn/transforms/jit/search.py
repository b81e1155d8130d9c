"""Which stateful objects and constants are behind the names that a function refers to."""

from __future__ import annotations

import dis
import functools
import operator
from collections.abc import Callable, Hashable, Iterator
from types import CellType, CodeType, FunctionType, MethodType
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from fnn.stateful.boxes import Box
from fnn.stateful.protocol import Identity, Stateful, static_key

_LIBRARIES = frozenset({"jax", "jaxlib", "numpy", "fnn", "torch", "optax", "scipy", "builtins", "functools"})

# The instructions that look a name up in the globals.
_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})


def is_stateful(value: Any) -> bool:
    return isinstance(value, Stateful | Box)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A function's code and that of all functions and lambdas nested in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _names_of(code: CodeType) -> set[str]:
    """The names that the code refers to as globals or attributes."""
    return {name for each in _codes(code) for name in each.co_names}


def _globals_of(code: CodeType) -> set[str]:
    """Those of the names that are looked up in the function's globals."""
    return {i.argval for each in _codes(code) for i in dis.get_instructions(each) if i.opname in _LOADS}


def same_objects(new: list[Any], old: list[Any]) -> bool:
    """Whether two lists hold the same objects."""
    return len(new) == len(old) and all(map(operator.is_, new, old))


class CompiledFunction:
    """What ``fnn.jit`` returned, of which the search follows the function itself."""

    __wrapped__: Callable[..., Any]


class NamedValues:
    """Finds, afresh at each call, what the names in a function's code refer to."""

    def __init__(self, function: FunctionType) -> None:
        self.globals: dict[str, Any] = function.__globals__
        self.names: list[str] = sorted(_globals_of(function.__code__))
        self.cells: tuple[CellType, ...] = function.__closure__ or ()

    def values(self) -> list[Any]:
        out = list(map(self.globals.get, self.names))
        for cell in self.cells:
            try:
                out.append(cell.cell_contents)
            except ValueError:
                out.append(None)
        return out


class AttributeValues:
    """The attributes of the ``self`` of a method."""

    def __init__(self, owner: Any) -> None:
        self.owner: Any = owner

    def values(self) -> list[Any]:
        return list(getattr(self.owner, "__dict__", {}).values())


class Found:
    """The stateful objects behind the names in a function, and the constants that its trace depends on.

    Functions of the user's that the code refers to are searched in their turn.
    """

    def __init__(self, function: Any, owner: Any) -> None:
        self.roots: list[Any] = []
        self.constants: list[Hashable] = []
        self._watched: list[tuple[NamedValues | AttributeValues, list[Any]]] = []
        self._seen: set[int] = set()
        self._owners: list[Any] = []
        self._names: set[str] = set()
        self._visit(function)
        if owner is not None:
            self._visit_owner(owner)
        self.number: int = -1
        for each in self._owners:
            for name in sorted(self._names & getattr(each, "__dict__", {}).keys()):
                self._note_constant(each.__dict__[name])
        self.key: Hashable = tuple(self.constants)

    def _visit(self, value: Any) -> None:
        if isinstance(value, CompiledFunction):
            value = value.__wrapped__
        if is_stateful(value):
            self.roots.append(value)
        elif id(value) in self._seen:
            return
        elif isinstance(value, functools.partial):
            self._seen.add(id(value))
            for part in (value.func, *value.args, *value.keywords.values()):
                self._visit(part)
        elif isinstance(value, MethodType):
            self._seen.add(id(value))
            self._visit_owner(value.__self__)
            self._visit(value.__func__)
        elif isinstance(value, FunctionType):
            self._seen.add(id(value))
            self._visit_function(value)
        else:
            self._note_constant(value)

    def _visit_function(self, function: FunctionType) -> None:
        self._visit(getattr(function, "__wrapped__", None))
        if self._watched and (function.__module__ or "").partition(".")[0] in _LIBRARIES:
            return
        self.constants.append(function.__code__)
        lookup = NamedValues(function)
        self._names.update(_names_of(function.__code__))
        values = lookup.values()
        self._watched.append((lookup, values))
        for value in (*values, *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self._visit(value)

    def _visit_owner(self, owner: Any) -> None:
        if is_stateful(owner):
            self.roots.append(owner)
            return
        if id(owner) in self._seen:
            return
        self._seen.add(id(owner))
        self._owners.append(owner)
        attributes = AttributeValues(owner)
        values = attributes.values()
        self._watched.append((attributes, values))
        for value in values:
            if is_stateful(value) or isinstance(
                value, FunctionType | MethodType | CompiledFunction | functools.partial
            ):
                self._visit(value)
        call = getattr(type(owner), "__call__", None)
        if isinstance(call, FunctionType):
            self._visit(call)

    def _note_constant(self, value: Any) -> None:
        if value is None or type(value) in (bool, int, float, complex, str, bytes, tuple):
            self.constants.append(static_key(value))
        elif isinstance(value, jax.Array | np.ndarray) and not isinstance(value, Tracer):
            self.constants.append(Identity(value))

    def still_right(self) -> bool:
        """Whether every name refers to what it referred to."""
        return all(same_objects(source.values(), old) for source, old in self._watched)

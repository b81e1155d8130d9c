"""Which stateful objects and constants are behind the names that a function refers to.

The search follows the user's own code: the function, helpers it calls, properties, methods, ``forward`` of the user's Modules.
What it comes by is a root (it holds state), a constant (compared by value if it is a number, a string or a tuple of such, else
by identity), or on the way to more: a container, an object of a user's class. A ``Found`` knows by cheap looks at the same
places whether another search would find the same.
"""

from __future__ import annotations

import argparse
import dis
import enum
import functools
import itertools
import operator
import sys
import sysconfig
import weakref
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from types import CellType, CodeType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.core import Tracer

from fnn.nn.modules.hooks import REGISTRIES, global_hooks, hooks_of
from fnn.nn.modules.module import Module
from fnn.stateful.boxes import Box
from fnn.stateful.protocol import Identity, Stateful, static_key, walk
from fnn.stateful.structure import structure

# The instructions that look a name up in the globals.
_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_ATOMS = (bool, int, float, complex, str, bytes, type(None), np.generic, np.dtype, enum.Enum, range, slice)
_CONTAINERS = (list, tuple, dict, set, frozenset, deque)
_LONGEST = 1000  # items of a container that are looked at
_DEEPEST = 8  # containers and objects within one another


def is_stateful(value: Any) -> bool:
    """Whether a value is a Module, Optimizer, scheduler, Generator, Parameter or Buffer."""
    return isinstance(value, Stateful | Box)


def same_objects(new: Sequence[Any], old: Sequence[Any]) -> bool:
    """Whether two lists hold the same objects."""
    return len(new) == len(old) and all(map(operator.is_, new, old))


class CompiledFunction:
    """What ``fnn.jit`` or ``fnn.remat`` returned, of which the search follows the function itself.

    Args:
        function: the function, whose name and documentation it bears.
    """

    __wrapped__: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]) -> None:
        for name in ("__name__", "__qualname__", "__doc__", "__module__"):
            if hasattr(function, name):
                setattr(self, name, getattr(function, name))
        self.__wrapped__ = function


class WeakList:
    """Objects held weakly, where they allow it.

    Args:
        objects: the objects.
        dropped: called when one of them is gone.
    """

    def __init__(self, objects: Iterable[Any], dropped: Callable[[], None]) -> None:
        self._held: list[Any] = [_weak(obj, dropped) for obj in objects]

    def values(self) -> list[Any]:
        """The objects; those that are gone are left out."""
        return [obj for held in self._held if (obj := held()) is not None]


def _weak(obj: Any, dropped: Callable[[], None]) -> Callable[[], Any]:
    try:
        return weakref.ref(obj, lambda _: dropped())
    except TypeError:
        return lambda: obj


# Names


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A function's code and that of all functions and lambdas nested in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


@functools.lru_cache(4096)
def _names_of(code: CodeType) -> frozenset[str]:
    """The names that the code refers to as globals or attributes."""
    return frozenset(name for each in _codes(code) for name in each.co_names)


@functools.lru_cache(4096)
def _globals_of(code: CodeType) -> tuple[str, ...]:
    """Those of the names that are looked up in the function's globals."""
    return tuple(sorted({i.argval for each in _codes(code) for i in dis.get_instructions(each) if i.opname in _LOADS}))


@functools.lru_cache(4096)
def _imports_of(code: CodeType) -> tuple[str, ...]:
    """The modules that the code imports itself."""
    return tuple(
        sorted({i.argval for each in _codes(code) for i in dis.get_instructions(each) if i.opname == "IMPORT_NAME"})
    )


_OURS = frozenset({"fnn", "jax", "jaxlib", "numpy", "builtins"})
_INSTALLED = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib")})


@functools.lru_cache(4096)
def _is_library(package: str) -> bool:
    """Whether a top-level package belongs to the standard library or is installed, and so is not the user's own code."""
    if package in _OURS or (package in sys.stdlib_module_names and package != "__main__"):
        return True
    file = getattr(sys.modules.get(package), "__file__", None) or ""
    return file.startswith(_INSTALLED) or "site-packages" in file or "dist-packages" in file


def _package_of(value: Any) -> str:
    return (getattr(value, "__module__", None) or "").partition(".")[0]


# Looks


class Look:
    """The values at some places, and whether they are still the same objects.

    Args:
        parent: gives what has the places; ``None`` if it is gone.
        fetch: gives the values, from the parent.
    """

    __slots__ = ("_fetch", "_ids", "_kept", "_parent", "values")

    def __init__(self, parent: Callable[[], Any], fetch: Callable[[Any], list[Any]]) -> None:
        self._parent = parent
        self._fetch = fetch
        self.values: list[Any] = fetch(parent())
        self._ids: list[int] = list(map(id, self.values))
        self._kept: list[Any] = []

    def settle(self) -> None:
        """Lets go what weak references watch; the ids of the rest must stay their own."""
        self._kept = [v for v in self.values if not _is_watched(v)]
        self.values = []

    def holds(self) -> bool:
        """Whether the places hold what they held."""
        parent = self._parent()
        return parent is not None and list(map(id, self._fetch(parent))) == self._ids


def _is_instance(value: Any) -> bool:
    """Whether a value is an object of a user's class."""
    kind = type(value)
    return kind in _NAMESPACES or (not isinstance(value, _KNOWN) and not _is_library(_package_of(kind)))


def _is_watched(value: Any) -> bool:
    """Whether weak references tell when a value is gone."""
    return is_stateful(value) or (_is_instance(value) and type(value).__weakrefoffset__ != 0)


_KNOWN = (*_ATOMS, *_CONTAINERS, FunctionType, MethodType, type, ModuleType, jax.Array, np.ndarray, Stateful, Box)
_NAMESPACES = (SimpleNamespace, argparse.Namespace)
_CALLABLES = (FunctionType, MethodType, functools.partial, CompiledFunction)


def _items(container: Any) -> list[Any]:
    """The items of a container; of a dict the keys too."""
    return [*container, *container.values()] if isinstance(container, dict) else list(container)


def _leads_to_state(container: Any, depth: int = 0) -> bool:
    if depth > _DEEPEST:
        return False
    values = container.values() if isinstance(container, dict) else container
    for item in itertools.islice(values, _LONGEST):
        if is_stateful(item) or isinstance(item, _CALLABLES) or _is_instance(item):
            return True
        if isinstance(item, _CONTAINERS) and _leads_to_state(item, depth + 1):
            return True
    return False


def _parts_of_partial(partial: functools.partial[Any]) -> list[Any]:
    return [partial.func, *partial.args, *partial.keywords.values()]


def _defaults(function: FunctionType) -> list[Any]:
    return [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]


def _at_names(names: Sequence[str]) -> Callable[[Any], list[Any]]:
    return lambda namespace: list(map(namespace.get, names))


def _at_attributes(names: Sequence[str]) -> Callable[[Any], list[Any]]:
    return lambda obj: list(map(_attributes(obj).get, names))


def _attributes(obj: Any) -> Mapping[str, Any]:
    """The attributes of an object itself, in its dict or in slots."""
    own = getattr(obj, "__dict__", None)
    slots = [name for kind in type(obj).__mro__ for name in _slots_of(kind)]
    if not slots:
        return {} if own is None else own
    return {**{name: getattr(obj, name) for name in slots if hasattr(obj, name)}, **(own or {})}


@functools.lru_cache(4096)
def _slots_of(kind: type) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__", ())
    return tuple(name for name in ((slots,) if isinstance(slots, str) else slots) if not name.startswith("__"))


def _contents(cells: tuple[CellType, ...]) -> list[Any]:
    """The values of closed-over variables; ``None`` for one that has none yet."""
    try:
        return [cell.cell_contents for cell in cells]
    except ValueError:
        return [cell.cell_contents if cell != _EMPTY else None for cell in cells]


_EMPTY = CellType()


class Found:
    """The stateful objects behind the names in a function, and the constants that its trace depends on.

    Args:
        function: the function.
        owner: the ``self`` or ``cls`` of a method; ``None`` for a plain function.
        arguments: stateful arguments of the call, whose classes' code is searched too.
        dropped: called when one of the objects is gone.
    """

    def __init__(self, function: Any, owner: Any, arguments: Sequence[Any], dropped: Callable[[], None]) -> None:
        search = _Search(function, owner, arguments)
        self.number: int = -1
        self.key: Hashable = tuple(search.constants)
        self.names: frozenset[str] = frozenset(search.names)
        self._instances = WeakList(search.instances, dropped)
        self._version: int = structure.version
        self._arguments: list[int] = list(map(id, arguments))
        self._roots = WeakList(search.roots, dropped)
        self._given = WeakList(arguments, dropped)  # watched alone
        self._looks: list[Look] = search.looks
        for look in self._looks:
            look.settle()

    def roots(self) -> list[Any]:
        """The objects and boxes found."""
        return self._roots.values()

    def instances(self) -> list[Any]:
        """The objects of the user's classes that were looked into."""
        return self._instances.values()

    def values(self) -> int:
        """A number for the numbers and strings that the names are bound to."""
        return hash(tuple(part for part in self.key if type(part) is tuple))  # type: ignore[attr-defined]

    def still_right(self, arguments: Sequence[Any]) -> bool:
        """Whether every name refers to what it referred to."""
        if self._version != structure.version or list(map(id, arguments)) != self._arguments:
            return False
        return all(map(Look.holds, self._looks))


class _Seen:
    """An object, class or module of the user's, of which the names in the code are followed."""

    def __init__(self, obj: Any, depth: int, spaces: list[Callable[[], Mapping[str, Any]]]) -> None:
        self.obj = obj
        self.depth = depth
        self.spaces = spaces
        self.asked: set[str] = set()
        self.names: set[str] = set()


class _Search:
    def __init__(self, function: Any, owner: Any, arguments: Sequence[Any]) -> None:
        self.roots: list[Any] = []
        self.instances: list[Any] = []
        self.constants: list[Hashable] = []
        self.looks: list[Look] = []
        self._package = _package_of(_plain(function))
        self.names: set[str] = set()
        self._seen: dict[int, Any] = {}  # keeps the values alive, so that the ids stay their own
        self._objects: list[_Seen] = []
        self._classes: dict[type, set[str]] = {}
        self._depth = 0
        self._first = True  # the function itself is searched wherever it is from
        self._visit(function)
        self._first = False
        if owner is not None:
            self._visit_owner(owner)
        self._look(lambda: _GLOBAL_HOOKS, lambda _: global_hooks(), None)
        visited: set[int] = set()
        while True:
            reached = walk(r for r in [*self.roots, *arguments] if isinstance(r, Stateful))
            new = [obj for obj in reached if id(obj) not in visited]
            if not new and not self._follow_names():
                break
            for obj in new:
                visited.add(id(obj))
                self._visit_state(obj)
        self._watch_names()

    def _is_own(self, value: Any) -> bool:
        """Whether the code of a function or class is the user's own."""
        package = _package_of(value)
        return (package == self._package and package != "fnn") or not _is_library(package)

    # What a name may be bound to

    def _visit(self, value: Any) -> None:
        value = _plain(value)
        if is_stateful(value):
            self.constants.append(_Root(len(self.roots)))
            self.roots.append(value)
        elif isinstance(value, _ATOMS):
            self.constants.append(static_key(value))
        elif isinstance(value, Tracer):
            return
        elif id(value) in self._seen and not isinstance(value, MethodType):
            self.constants.append(Identity(value) if not isinstance(value, _CONTAINERS) else _Held(value))
        elif isinstance(value, functools.partial):
            self._note(value)
            self.constants.append((functools.partial, len(value.args), *value.keywords))
            self._look(lambda: value, _parts_of_partial, None)
        elif isinstance(value, MethodType):
            self.constants.append(MethodType)
            self._visit(value.__self__)
            self._visit(value.__func__)
        elif isinstance(value, FunctionType):
            self._visit_function(value)
        elif isinstance(value, _CONTAINERS):
            self._visit_container(value)
        else:
            self.constants.append(Identity(value))
            self._visit_object(value)

    def _note(self, value: Any) -> None:
        self._seen[id(value)] = value

    def _visit_function(self, function: FunctionType) -> None:
        self._note(function)
        self.constants.append(Identity(function))
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is not None:
            self._visit(wrapped)
        first, self._first = self._first, False
        if not first and not self._is_own(function):
            return
        self.names.update(_names_of(function.__code__))
        names = _globals_of(function.__code__)
        space = function.__globals__
        modules = _imports_of(function.__code__)
        if modules:
            self._look(lambda: sys.modules, _at_names(modules), modules)
        if names:
            self._look(lambda: space, _at_names(names), names)
        cells = function.__closure__ or ()
        if cells:
            self._look(lambda: cells, _contents, function.__code__.co_freevars)
        if function.__defaults__ or function.__kwdefaults__:
            self._look(lambda: function, _defaults, None)

    def _look(self, parent: Callable[[], Any], fetch: Callable[[Any], list[Any]], names: Sequence[str] | None) -> None:
        look = Look(parent, fetch)
        self.looks.append(look)
        for i, value in enumerate(look.values):
            self.constants.append(names[i] if names is not None else i)
            self._visit(value)

    def _visit_container(self, value: Any) -> None:
        """A container on the way to state is looked into at every call; another is a constant, a tuple by value."""
        self._note(value)
        if self._depth < _DEEPEST and ((type(value) is tuple and len(value) <= _LONGEST) or _leads_to_state(value)):
            self._depth += 1
            self.constants.append((type(value), len(value)))
            if type(value) is tuple:
                for item in value:
                    self._visit(item)
            else:
                self._look(lambda: value, _items, None)
            self._depth -= 1
        else:
            self.constants.append(_Held(value))

    def _visit_owner(self, owner: Any) -> None:
        """The ``self`` or ``cls`` of the method: by what it has, so that objects that are alike share a program."""
        if is_stateful(owner):
            self._visit(owner)
        else:
            self.constants.append(Identity(owner if isinstance(owner, type) else type(owner)))
            self._visit_object(owner, known=True)

    def _visit_object(self, obj: Any, known: bool = False) -> None:
        """An object of a user's class, a user's class or module: what the names refer to in it is followed."""
        if self._depth >= _DEEPEST or id(obj) in self._seen:
            return
        if isinstance(obj, ModuleType):
            own = not _is_library(obj.__name__.partition(".")[0])
            spaces: list[Callable[[], Mapping[str, Any]]] = [lambda: obj.__dict__]
        elif isinstance(obj, type):
            own = self._is_own(obj)
            spaces = self._class_spaces(obj)
            self._note_protocol(obj, frozenset())
        else:
            own = known or _is_instance(obj)
            if not own:
                return
            held = _weak(obj, _nothing)
            spaces = [lambda: _attributes(held()), *self._class_spaces(type(obj))]
            self.instances.append(obj)
            self._note_protocol(type(obj), _NOT_IN_A_STEP)
        if own:
            self._note(obj)
            self._objects.append(_Seen(obj, self._depth + 1, spaces))

    def _note_protocol(self, kind: type, but: frozenset[str]) -> None:
        """Names of methods that Python itself calls: of an operator, an index, a call, an attribute that is missing."""
        for each in kind.__mro__:
            if self._is_own(each):
                found = {n for n, v in each.__dict__.items() if n[:2] == "__" and isinstance(v, _CALLABLES)}
                self.names.update(found - but)

    def _class_spaces(self, kind: type) -> list[Callable[[], Mapping[str, Any]]]:
        return [lambda each=each: each.__dict__ for each in kind.__mro__ if self._is_own(each)]

    def _visit_state(self, obj: Stateful) -> None:
        """The user's code in the class of a stateful object, and what its attributes lead to besides its parts."""
        kind = type(obj)
        if isinstance(obj, Module):
            if self._is_own(kind):
                self.names.update(("forward", "__call__"))
                if id(kind) not in self._seen:
                    self._note(kind)
                    self._note_protocol(kind, _NOT_IN_A_STEP)
                    self._objects.append(_Seen(kind, 1, self._class_spaces(kind)))
            for hook in hooks_of(obj):
                self._visit(hook)
        for name, value in list(obj.__dict__.items()):
            if type(value) in _QUIET or (isinstance(obj, Module) and name in _PARTS):
                continue
            if isinstance(value, _CALLABLES):
                self._visit(value)
            elif isinstance(value, _CONTAINERS):
                if isinstance(obj, Module) and id(value) not in self._seen and _leads_to_state(value):
                    self.constants.append(name)
                    self._visit_container(value)
            elif _is_instance(value):
                self.constants.append(Identity(value))
                self._visit_object(value)

    # Names

    def _follow_names(self) -> bool:
        """Visits what the objects have under names that were met since; tells whether there was any."""
        any_new = False
        for seen in list(self._objects):
            new = sorted(self.names - seen.asked)
            seen.asked.update(new)
            if not isinstance(seen.obj, type | ModuleType):
                # Attributes may be asked for by getattr.
                own = _attributes(seen.obj)
                new += [n for n, v in own.items() if n not in seen.asked and _may_hold_state(v)]
                seen.asked.update(new)
            for name in new:
                any_new = True
                for space in seen.spaces:
                    found = space().get(name, _ABSENT)
                    if found is not _ABSENT:
                        seen.names.add(name)
                        self.constants.append(name)
                        self._depth = seen.depth
                        for part in _parts(found):
                            self._visit(part)
                        self._depth = 0  # and on to the classes above, which super() may reach
        return any_new

    def _watch_names(self) -> None:
        """Looks at every place where the objects have, or could come to have, what their names refer to."""
        for seen in self._objects:
            if not seen.names:
                continue
            names = tuple(sorted(seen.names))
            obj = seen.obj
            if isinstance(obj, ModuleType):
                self.looks.append(Look(lambda obj=obj: obj.__dict__, _at_names(names)))
                continue
            if not isinstance(obj, type):
                self.looks.append(Look(_weak(obj, _nothing), _at_attributes(names)))
            for kind in (obj if isinstance(obj, type) else type(obj)).__mro__:
                if self._is_own(kind):
                    self._classes.setdefault(kind, set()).update(names)
        for kind, named in self._classes.items():
            self.looks.append(Look(lambda kind=kind: kind.__dict__, _at_names(tuple(sorted(named)))))


_ABSENT: Any = object()
_NOT_IN_A_STEP = frozenset(
    {
        "__init__",
        "__new__",
        "__repr__",
        "__str__",
        "__del__",
        "__getstate__",
        "__setstate__",
        "__reduce__",
        "__reduce_ex__",
    }
)
_GLOBAL_HOOKS = object()
_PARTS = frozenset({*REGISTRIES, "_parameters", "_buffers", "_modules"})
_QUIET = frozenset({bool, int, float, str, type(None), np.dtype})


def _nothing() -> None:
    """Nobody waits for the news."""


def _may_hold_state(value: Any) -> bool:
    return is_stateful(value) or (isinstance(value, _CONTAINERS) and _leads_to_state(value))


def _plain(value: Any) -> Any:
    """The function within what ``fnn.jit`` made of it, the method within a bound one."""
    while isinstance(value, CompiledFunction):
        owner = getattr(value, "__self__", None)
        inner = value.__wrapped__
        value = inner if owner is None or not callable(inner) else MethodType(inner, owner)
    return value


def _parts(value: Any) -> Sequence[Any]:
    """What an attribute of a class stands for: the functions of a property, the function of a class method."""
    if isinstance(value, property):
        return [part for part in (value.fget, value.fset) if part is not None]
    if isinstance(value, staticmethod | classmethod):
        return [value.__func__]
    if isinstance(value, functools.cached_property | functools.partialmethod):
        return [value.func]
    return [value]


class _Root(NamedTuple):
    """The place of a stateful object among the roots."""

    number: int


class _Held:
    """A constant container, by identity; it is kept alive."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value: Any = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and other.value is self.value

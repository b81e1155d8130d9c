"""Traced arrays that hooks of the user's keep in places of their own, where they are of no use once the trace is over."""

from __future__ import annotations

import functools
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any

from jax.core import Tracer

from fnn.nn.modules.hooks import global_hooks, hooks_of
from fnn.nn.modules.module import Module
from fnn.stateful.boxes import Box
from fnn.stateful.containers import refill
from fnn.stateful.protocol import Stateful
from fnn.stateful.warning import warn

__all__ = ["warn_of_hooks", "without_traces_of_hooks"]

_CONTAINERS = (list, dict, set, deque)
_LIBRARIES = {"fnn", "jax", "jaxlib", "numpy", *sys.stdlib_module_names} - {"__main__"}
_DEEPEST = 4
_LONGEST = 1000


def _places(hook: Any) -> Iterator[tuple[str, Any]]:
    """What a hook can reach by its own names, in words and values."""
    if isinstance(hook, functools.partial):
        yield from ((f"argument {i}", value) for i, value in enumerate(hook.args))
        yield from hook.keywords.items()
        yield from _places(hook.func)
    elif isinstance(hook, MethodType):
        yield from _attributes(hook.__self__)
        yield from _places(hook.__func__)
    elif isinstance(hook, FunctionType):
        for name, cell in zip(hook.__code__.co_freevars, hook.__closure__ or (), strict=True):
            try:
                yield name, cell.cell_contents
            except ValueError:
                continue
        yield from ((name, hook.__globals__[name]) for name in hook.__code__.co_names if name in hook.__globals__)
        yield from ((f"a default of {hook.__name__}", value) for value in hook.__defaults__ or ())
        yield from (hook.__kwdefaults__ or {}).items()
        yield from ((f"{hook.__name__}.{name}", value) for name, value in hook.__dict__.items())
    else:
        yield from _attributes(hook)


def _attributes(obj: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(obj, Stateful):
        return  # the trace itself looks after those
    for name, value in getattr(obj, "__dict__", {}).items():
        yield f"{type(obj).__name__}.{name}", value


def _reached(hook: Any) -> Iterator[tuple[str, Any]]:
    """The places of a hook, and the attributes of the objects there that are plain namespaces."""
    for where, value in _places(hook):
        yield where, value
        if _is_users_object(value):
            yield from ((f"{where}.{name}", inner) for name, inner in vars(value).items())


def _is_users_object(value: Any) -> bool:
    """Whether it is an object of a class of the user's, with attributes in which a hook may keep things."""
    if not hasattr(value, "__dict__") or isinstance(
        value, Stateful | Box | type | FunctionType | MethodType | ModuleType
    ):
        return False
    package = (type(value).__module__ or "").partition(".")[0]
    return isinstance(value, SimpleNamespace) or package not in _LIBRARIES


def _holds_traced(value: Any, depth: int = 0) -> bool:
    if isinstance(value, Tracer):
        return True
    if not isinstance(value, (*_CONTAINERS, tuple)) or depth > _DEEPEST or len(value) > _LONGEST:
        return False
    items = list(value.values()) if isinstance(value, dict) else list(value)
    return any(_holds_traced(item, depth + 1) for item in items)


def _users_hooks(modules: Iterable[Any]) -> Iterator[tuple[Module | None, Any]]:
    for module in modules:
        if isinstance(module, Module):
            yield from ((module, hook) for hook in hooks_of(module) if _is_users(hook))
    yield from ((None, hook) for hook in global_hooks() if _is_users(hook))


def _is_users(hook: Any) -> bool:
    return (getattr(hook, "__module__", None) or "").partition(".")[0] != "fnn"


def warn_of_hooks(transform: str, objects: Iterable[Any]) -> None:
    """Warns of hooks that kept a traced array; to be called when a trace is over.

    Args:
        transform: name of the transformation.
        objects: the Modules whose hooks may have run are among them.
    """
    for module, hook in _users_hooks(objects):
        for where, value in _reached(hook):
            if not _holds_traced(value):
                continue
            name = getattr(hook, "__qualname__", type(hook).__qualname__)
            code = getattr(hook, "__code__", None)
            line = f", line {code.co_firstlineno} of {code.co_filename}," if code is not None else ""
            whose = "of all Modules" if module is None else f"of {type(module).__name__}"
            warn(
                f"{transform}: the hook {name}{line} {whose} kept a traced array in {where}; it stands for a value only while "
                "the function is traced, and to use it later raises jax.errors.UnexpectedTracerError; "
                "fnn.tools.features(model, names) returns what submodules give, compiled too"
            )
            break


@contextmanager
def without_traces_of_hooks(model: Module) -> Iterator[None]:
    """At its end, the containers that the hooks of a model reach, and the names they bind, are as before."""
    restores: list[Callable[[], None]] = []
    for _, hook in _users_hooks(model.modules()):
        restores += _restores(hook)
    try:
        yield
    finally:
        for restore in restores:
            restore()


def _restores(hook: Any) -> Iterator[Callable[[], None]]:
    for _, value in _reached(hook):
        yield from _refills(value)
        if _is_users_object(value):
            yield functools.partial(refill, vars(value), dict(vars(value)))
    function = getattr(hook, "__func__", hook)
    if isinstance(function, FunctionType):
        for cell in function.__closure__ or ():
            try:
                contents = cell.cell_contents
            except ValueError:
                continue
            yield functools.partial(setattr, cell, "cell_contents", contents)
        space = function.__globals__
        for name in function.__code__.co_names:
            if name in space:
                yield functools.partial(space.__setitem__, name, space[name])
    owner = getattr(hook, "__self__", None if isinstance(hook, FunctionType) else hook)
    attributes = getattr(owner, "__dict__", None)
    if attributes is not None and not isinstance(owner, Stateful | Box | type):
        yield functools.partial(refill, attributes, dict(attributes))


def _refills(value: Any, depth: int = 0) -> Iterator[Callable[[], None]]:
    if type(value) not in (*_CONTAINERS, tuple) or depth > _DEEPEST or len(value) > _LONGEST:
        return
    for item in list(value.values()) if isinstance(value, dict) else list(value):
        yield from _refills(item, depth + 1)
    if not isinstance(value, tuple):
        yield functools.partial(refill, value, value.copy())

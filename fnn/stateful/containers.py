"""Traced arrays that come to be in the lists and dicts of objects."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from operator import setitem
from typing import Any, NamedTuple

from jax.core import Tracer

from fnn.stateful.protocol import Stateful

_DEEPEST = 4


class ContainerPlace(NamedTuple):
    """Where a value goes that came to be in an object's own list or dict, a ``Target`` of ``publish``."""

    function: Callable[[Any, Any, Any], Any]
    container: Any
    key: Hashable

    def write(self, value: Any) -> None:
        """Puts the value in."""
        self.function(self.container, self.key, value)


def traced_places(objects: Iterable[Stateful]) -> tuple[list[ContainerPlace], list[Any]]:
    """The places of traced arrays in the own lists and dicts of some objects, and the arrays.

    Raises:
        RuntimeError: if one is where it cannot be replaced, in a tuple or a set.
    """
    places: list[ContainerPlace] = []
    values: list[Any] = []

    def visit(where: str, container: Any, depth: int = 0) -> None:
        keys = list(container) if isinstance(container, dict) else range(len(container))
        items = list(container.values()) if isinstance(container, dict) else list(container)
        for key, item in zip(keys, items, strict=True):
            if isinstance(item, Tracer):
                if not isinstance(container, list | dict | deque):
                    raise RuntimeError(
                        f"{where} holds a traced array in a {type(container).__name__}, where it would leak; keep it in a "
                        "list or dict, or return it"
                    )
                places.append(
                    ContainerPlace(dict.__setitem__ if isinstance(container, dict) else setitem, container, key)
                )
                values.append(item)
            elif type(item) in (list, dict, tuple, set, deque) and depth < _DEEPEST:
                visit(where, item, depth + 1)

    for obj in objects:
        for name, container in obj._stateful_containers_():
            visit(f"{type(obj).__name__}.{name}", container)
    return places, values


def refill(container: Any, contents: Any) -> None:
    """Gives a list, deque, dict or set, in place, the contents of a copy of it."""
    container.clear()
    (container.extend if isinstance(container, list | deque) else container.update)(contents)


def leave_nothing(obj: Stateful, call: Callable[[], Any]) -> Any:
    """``call()`` in a JAX transformation that fnn does not run.

    Raises:
        RuntimeError: if it left a traced array in a list or dict of the object, which is then as before.
    """
    restore = obj._stateful_snapshot_()
    result = call()
    try:
        found = bool(traced_places([obj])[0])
    except RuntimeError:
        found = True
    if found:
        restore()
        raise RuntimeError(
            f"a traced array would be left behind in a list or dict of {type(obj).__name__}, inside a JAX transformation "
            "(jit, grad, vmap, scan, ...) that fnn does not run; return it, or use fnn.jit or fnn.backward, which carry it "
            "out, or fnn.functional_call, which leaves the object as it was"
        )
    return result


def take_out_traced(objects: Iterable[Stateful]) -> tuple[list[ContainerPlace], list[Any]]:
    """What ``traced_places`` finds, with ``None`` in its place until it comes out of the trace."""
    places, values = traced_places(objects)
    for place in places:
        place.write(None)
    return places, values

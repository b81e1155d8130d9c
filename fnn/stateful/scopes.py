"""Scopes: the running fnn transformations of a thread, and what they note of reads and writes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fnn.stateful.structure import structure
from fnn.stateful.tracing import EAGER, trace_state

if TYPE_CHECKING:
    from fnn.stateful.boxes import Box
    from fnn.stateful.protocol import Stateful


class _ThreadScopes(threading.local):
    """The running fnn transformations of this thread, outermost first."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []


running: _ThreadScopes = _ThreadScopes()


def current_scopes() -> Sequence[Scope]:
    """The running fnn transformations of this thread, outermost first."""
    return running.scopes


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
        running.scopes.append(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        running.scopes.remove(self)
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


def note_read(box: Box, counts: bool = True) -> None:
    key = id(box)
    for scope in reversed(running.scopes):
        if key in scope.owned:
            if counts:
                scope.reads.add(key)
            return
        if scope.strict:
            if box._origin == EAGER:
                raise RuntimeError(
                    f"fnn.jit: {box.describe()} was read by the traced function but fnn.jit did not find it; "
                    "pass the object that holds it as an argument"
                )
            return


def note_write(box: Box) -> None:
    state = trace_state()
    for scope in reversed(running.scopes):
        if scope.private and id(box) not in scope.owned:
            continue
        if scope.trace == state:
            if scope.strict and id(box) not in scope.owned and box._origin == EAGER:
                raise RuntimeError(
                    f"fnn.jit: {box.describe()} was written by the traced function but fnn.jit did not find it; "
                    "pass the object that holds it as an argument"
                )
            scope.record_write(box)
            return
        break
    else:
        if state == EAGER:
            return
    if box._origin != state:
        raise RuntimeError(
            f"{box.describe()} would be changed inside a JAX transformation (jit, grad, vmap, scan, ...) that fnn does "
            "not run, and a traced array would leak into it; use fnn.functional_call, which returns the new "
            "buffers, or fnn.jit and fnn.backward, which carry them out; or switch the layer to eval()"
        )


def require_known(obj: Stateful, name: str) -> None:
    """Raises RuntimeError if an ``fnn.jit`` is tracing that did not find ``obj``."""
    for scope in running.scopes:
        if scope.strict and id(obj) not in scope.objects and obj._stateful_origin_ == EAGER:
            raise RuntimeError(
                f"fnn.jit: {name} was used by the traced function but fnn.jit did not find it; pass it as an argument"
            )

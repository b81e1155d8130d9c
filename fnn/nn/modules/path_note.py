"""Where in a model an error came up: a line below its message, with the path to the innermost layer."""

from __future__ import annotations

import threading
import weakref
from typing import Any, NamedTuple

from fnn.stateful.torch_methods import note_torch_method

__all__ = ["note_path"]


class _Last(NamedTuple):
    """What was noted last in a thread: the note itself, the Module of its outermost name, the path below that one."""

    note: str
    module: weakref.ref[Any]
    path: str
    kind: str


_thread = threading.local()


def note_path(module: Any, error: Exception) -> None:
    """Adds to an error that leaves a Module's call the line "in Net.encoder.0 (Linear)"; one line for all the calls it leaves.

    The innermost Module writes the line, and each one further out puts its own name for the Module within before the path.

    Args:
        module: the Module whose call the error leaves.
        error: the error.

    Example:
        >>> from fnn import nn
        >>> error = ValueError("too wide")
        >>> model = nn.Sequential(nn.Tanh(), nn.Sequential(nn.ReLU()))
        >>> for part in (model[1][0], model[1], model):
        ...     note_path(part, error)
        >>> error.__notes__
        ['in Sequential.1.0 (ReLU)']
    """
    if isinstance(error, RecursionError):
        return  # there is no room for more
    notes: list[str] = getattr(error, "__notes__", None) or []
    last: _Last | None = getattr(_thread, "last", None)
    # By identity: a text of the same letters may be another error's.
    place = next((i for i, note in enumerate(notes) if last is not None and note is last.note), None)
    kind = type(module).__name__
    if last is None or place is None:
        note, path, within = f"in {kind}", "", kind
        error.add_note(note)
        note_torch_method(error)
    else:
        inner = last.module()
        if inner is module:
            return
        name = next((name for name, part in module.named_modules() if part is inner), None)
        if name is None:
            return  # a Module that is no part of the one that called it
        within, path = last.kind, f".{name}{last.path}"
        note = notes[place] = f"in {kind}{path} ({within})"
    _thread.last = _Last(note, weakref.ref(module), path, within)

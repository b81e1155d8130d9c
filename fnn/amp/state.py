"""Which ``autocast`` a thread is in."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import numpy as np

__all__ = ["Autocast", "context", "current", "entered", "opened", "within"]


class Autocast(NamedTuple):
    """What an enabled ``autocast`` says."""

    dtype: np.dtype[Any]
    device_type: str | None
    cache_enabled: bool


# A context of JAX's, each thread's own: what it holds is part of the key of every trace and program.
context: Any = jax.make_user_context(default_value=None)

# One item for each autocast that some thread is in: where there is none nobody need look into the context, which takes longer.
opened: list[bool] = []


class _Entered(threading.local):
    """The contexts that this thread is in, outermost first."""

    def __init__(self) -> None:
        self.managers: list[Any] = []


entered: _Entered = _Entered()


@contextmanager
def within(state: Autocast | None) -> Iterator[None]:
    """What runs in it is in this autocast."""
    opened.append(True)
    try:
        with context(state):
            yield
    finally:
        opened.pop()


def current() -> Autocast | None:
    """The autocast that this thread is in, ``None`` if in none or in one that is not enabled."""
    return context.value if opened else None

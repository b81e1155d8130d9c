"""Values of parametrized attributes that are kept while ``cached`` is active."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax

from fnn.nn.modules.module import Module
from fnn.stateful.scopes import current_scopes
from fnn.stateful.structure import structure_changed
from fnn.stateful.tracing import trace_state

__all__ = ["cached"]


class _Entry:
    """A computed value with all that it was computed from."""

    def __init__(self, source: Module, value: jax.Array) -> None:
        self.source = source
        self.value = value
        self.basis = _basis(source)

    def still_right(self) -> bool:
        (level, inputs), (old_level, old_inputs) = _basis(self.source), self.basis
        return (
            level == old_level
            and len(inputs) == len(old_inputs)
            and all(a is b for a, b in zip(inputs, old_inputs, strict=True))
        )


class _Cache(threading.local):
    def __init__(self) -> None:
        self.depth = 0
        self.entries: dict[int, _Entry] = {}


_cache = _Cache()


def _basis(source: Module) -> tuple[Any, list[Any]]:
    """The level of tracing and the modes (to be compared by value), the scope and the arrays (by identity)."""
    scopes = current_scopes()
    inputs: list[Any] = [scopes[-1] if scopes else None]
    modes = []
    for module in source.modules():
        modes.append(module.training)
        for box in itertools.chain(module._parameters.values(), module._buffers.values()):
            inputs.append(None if box is None else box._data)
    return (trace_state(), modes), inputs


@contextmanager
def cached() -> Iterator[None]:
    """While it is active, a parametrized attribute is computed at its first reading and then kept.

    A kept value is used only where it is right: by the same JAX transformation, and while the arrays it was computed
    from are the same. The values are forgotten at the end.

    Returns:
        a context manager.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.parametrize.cached.html

    Example:
        >>> from fnn import nn
        >>> m = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
        >>> with nn.utils.parametrize.cached():
        ...     m.weight is m.weight
        True
    """
    _cache.depth += 1
    if _cache.depth == 1:
        structure_changed()
    try:
        yield
    finally:
        _cache.depth -= 1
        if not _cache.depth:
            _cache.entries = {}
            structure_changed()


def caching() -> bool:
    """Whether ``cached`` is active in this thread."""
    return _cache.depth > 0


def kept(source: Module, compute: Callable[[], jax.Array]) -> jax.Array:
    """What ``compute`` gives; under ``cached`` the value that it gave before, if that is still right."""
    if not _cache.depth:
        return compute()
    entry = _cache.entries.get(id(source))
    if entry is None or not entry.still_right():
        entry = _cache.entries[id(source)] = _Entry(source, compute())
    return entry.value

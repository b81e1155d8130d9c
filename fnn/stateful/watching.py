"""What tools watch: calls of Modules, gradients, programs of ``fnn.jit``. While nothing is watched, it is one look at a list."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import jax

__all__ = ["Watch", "current_watches", "watched", "watching"]


class Watch:
    """What a tool does around the things that happen in its thread; a subclass has what it needs of these methods."""

    def call(self, module: Any, run: Callable[[], Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs a Module's call, hooks and all, and returns its output."""
        return run()

    def program(self, program: Any, inputs: Sequence[str]) -> None:
        """Looks at a new ``Program`` of ``fnn.jit``, and may have it run otherwise.

        Args:
            program: the program.
            inputs: words for the arrays that it takes over and reads, in their order.
        """

    def gradients(self, run: Callable[..., Any], args: Sequence[Any], names: Sequence[str], results: Any) -> None:
        """Looks at what ``fnn.backward`` or ``Optimizer.step`` computed outside of every trace, before anything is written.

        Args:
            run: computes it, and can be traced.
            args: its arguments.
            names: words for the arrays in the arguments.
            results: what it returned.
        """


watched: list[Watch] = []
"""The watches of all threads: empty unless a tool is at work."""

_watches: ContextVar[tuple[Watch, ...]] = ContextVar("fnn_watches", default=())

current_watches: Callable[[], tuple[Watch, ...]] = _watches.get
"""The watches of this thread, outermost first."""

# Part of the key by which JAX and fnn.jit keep traces and programs.
_key: Any = jax.make_user_context(default_value=None)


@contextmanager
def watching(watch: Watch, key: Hashable = None) -> Iterator[None]:
    """Within it, this thread is watched.

    Args:
        watch: the watch.
        key: traces made under one key are taken for no others; ``None`` if what the watch does leaves no mark on a trace.
    """
    watched.append(watch)
    token = _watches.set((*_watches.get(), watch))
    try:
        with nullcontext() if key is None else _key(hash(key)):
            yield
    finally:
        _watches.reset(token)
        watched.remove(watch)


def call_watched(module: Any, run: Callable[[], Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``run()`` within the ``call`` of every watch of this thread."""
    for watch in _watches.get():
        run = _around(watch, module, run, args, kwargs)
    return run()


def _around(watch: Watch, module: Any, run: Callable[[], Any], args: Any, kwargs: Any) -> Callable[[], Any]:
    return lambda: watch.call(module, run, args, kwargs)

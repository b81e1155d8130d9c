"""A thread that makes items ahead of the loop that takes them."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import jax

from fnn.functional.checks import fail
from fnn.stateful.tracing import setting

__all__ = ["Prefetch"]

_END = object()
# How long the loop that is left waits for the item that is being made.
_PATIENCE = 2.0


class Prefetch(Iterator[Any]):
    """Goes through an iterator in a thread, some items ahead.

    What the iterator raises is raised in the loop, with its traceback. The thread ends when the items do, on ``close``, and
    when nobody holds this object; the iterator is closed by it.

    Args:
        items: a generator.
        depth: how many items may wait.
        timeout: seconds after which an item that has not come is an error; 0 for none.
        interrupt: a function that ends a wait within the iterator.

    Raises:
        RuntimeError: if an item takes longer than ``timeout``.
    """

    def __init__(
        self, items: Iterator[Any], depth: int, timeout: float = 0, interrupt: Callable[[], None] | None = None
    ) -> None:
        self._queue: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(max(depth, 1))
        self._timeout = timeout
        self._over = False
        stop = threading.Event()
        x64 = bool(setting("jax_enable_x64"))  # a context of the thread that makes the loader
        thread = threading.Thread(target=_fill, args=(items, self._queue, stop, x64), name="fnn.data", daemon=True)
        thread.start()
        self._end = weakref.finalize(self, _stop, stop, self._queue, thread, interrupt)

    def __next__(self) -> Any:
        if self._over:
            raise StopIteration
        try:
            item, error = self._queue.get(timeout=self._timeout or None)
        except queue.Empty:
            self.close()
            expected = "long enough for a batch to be made (0 waits for ever)"
            fail(RuntimeError, "DataLoader", "timeout", expected, self._timeout)
        if error is not None:
            self.close()
            try:
                raise error
            finally:
                del error  # it holds this frame by its traceback
        if item is _END:
            self.close()
            raise StopIteration
        return item

    def close(self) -> None:
        """Ends the thread."""
        self._over = True
        self._end()


def _fill(items: Any, out: queue.Queue[Any], stop: threading.Event, x64: bool) -> None:
    try:
        with jax.enable_x64(x64):
            for item in items:
                if stop.is_set():
                    return
                out.put((item, None))
        item = _END, None
    except BaseException as error:
        item = None, error
    finally:
        items.close()
    if not stop.is_set():
        out.put(item)


def _stop(
    stop: threading.Event, waiting: queue.Queue[Any], thread: threading.Thread, interrupt: Callable[[], None] | None
) -> None:
    stop.set()
    try:
        while True:  # the thread puts one more item at most
            waiting.get_nowait()
    except queue.Empty:
        pass
    if interrupt is not None:
        interrupt()
    if thread is not threading.current_thread():
        thread.join(_PATIENCE)

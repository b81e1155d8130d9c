"""Worker processes, which are Grain's."""

from __future__ import annotations

import pickle
import weakref
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import jax
import numpy as np

__all__ = ["Workers"]


class _Source:
    """What Grain reads: batch after batch, from a first one on, of this epoch or of all that follow."""

    def __init__(self, fetch: Any, epoch: int, start: int, endless: bool) -> None:
        self.fetch, self.epoch, self.start, self.endless = fetch, epoch, start, endless

    def __len__(self) -> int:
        return 2**40 if self.endless else len(self.fetch.plan) - self.start

    def __repr__(self) -> str:
        return f"DataLoader({type(self.fetch.dataset).__name__})"

    def __getitem__(self, index: Any) -> tuple[Any]:
        epochs, batch = divmod(self.start + int(index), len(self.fetch.plan))
        try:
            result = self.fetch(self.epoch + epochs, batch)
            for leaf in jax.tree.leaves(result):
                if not isinstance(leaf, np.ndarray | np.generic | str | bytes | int | float):
                    pickle.dumps(leaf)  # where Grain's queue would fail without a word
            return (result,)  # in a tuple, as Grain leaves out what is None
        except BaseException as error:
            _raise_portable(error)


def _raise_portable(error: BaseException) -> NoReturn:
    """Raises an error in a form that reaches the other process and does not end the loop there."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            pass
        else:
            raise error
    raise RuntimeError(f"DataLoader: a worker process raised {type(error).__name__}: {error}") from error


class _Init:
    """torch's ``worker_init_fn(worker)`` in Grain's form."""

    def __init__(self, function: Callable[[int], object]) -> None:
        self.function = function

    def __call__(self, worker: int, count: int) -> None:
        self.function(worker)


class Workers(Iterator[Any]):
    """The batches of a loader from one on, made by worker processes.

    Args:
        fetch: makes a batch of ``(epoch, batch)``.
        epoch: the epoch of the first batch.
        start: its number in that epoch.
        endless: whether the batches of the epochs after it follow.
        count: how many processes.
        prefetch: how many batches each makes ahead.
        init: called in each process with its number.

    Raises:
        ImportError: if Grain is missing.
        RuntimeError: if a worker died.
    """

    def __init__(
        self,
        fetch: Any,
        epoch: int,
        start: int,
        endless: bool,
        count: int,
        prefetch: int,
        init: Callable[[int], object] | None,
    ) -> None:
        try:
            import grain
            from absl import flags
        except ImportError as error:
            raise ImportError("DataLoader: num_workers > 0 needs Grain: pip install 'fnn[data]'") from error
        if not flags.FLAGS.is_parsed():
            flags.FLAGS.mark_as_parsed()  # Grain reads its own flags, in a script too that knows nothing of absl
        batches: Any = grain.MapDataset.source(_Source(fetch, epoch, start, endless))  # pyright: ignore[reportArgumentType]
        # No threads within a process: a dataset need not bear them.
        batches = batches.to_iter_dataset(grain.ReadOptions(num_threads=0, prefetch_buffer_size=0))
        options = grain.MultiprocessingOptions(num_workers=count, per_worker_buffer_size=max(prefetch, 1))
        self._batches: Any = iter(batches.mp_prefetch(options, worker_init_fn=None if init is None else _Init(init)))
        # At the end of the interpreter too, before the modules go that Grain needs for it.
        self._close = weakref.finalize(self, self._batches.close)
        self.position: tuple[int, int] = epoch, start

    def __next__(self) -> Any:
        try:
            (batch,) = next(self._batches)
        except StopIteration:
            self.close()
            raise
        except BaseException as error:
            self.close()
            if "terminated unexpectedly" in str(error):
                raise RuntimeError(
                    f"DataLoader: a worker process died ({error}) It may have run out of memory, or been killed, or the "
                    'loop does not stand under `if __name__ == "__main__":`, which workers need, for they import the script; '
                    "num_workers=0 reads the dataset in this process"
                ) from error
            raise
        return jax.tree.map(_plain, batch)

    def close(self) -> None:
        """Ends the processes."""
        self._close()


def _plain(leaf: Any) -> Any:
    # A copy: memory that processes share is given back now, and not when the batch is forgotten.
    return np.array(leaf) if isinstance(leaf, np.ndarray) else leaf

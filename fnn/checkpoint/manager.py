"""``Manager``: a folder of checkpoints of one run, of which the last few and the best are kept."""

from __future__ import annotations

import errno
import math
import operator
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import jax
import numpy as np

from fnn.checkpoint.arrays import Places, Sharding
from fnn.checkpoint.files import is_unfit, naming
from fnn.checkpoint.store import FileStore, Saved, Store
from fnn.checkpoint.structure import refusal
from fnn.functional.checks import fail
from fnn.functional.explained import explained
from fnn.nn.placement import Device
from fnn.stateful.warning import warn

__all__ = ["Manager"]


class Manager:
    """Saves every so many steps, keeps the last checkpoints and the best one, and finds the newest whole one again.

    Args:
        folder: where the checkpoints lie; it is made if it is not there.
        keep: how many of the last are kept; ``None`` for all.
        best: the metric whose best checkpoint is kept too, however old.
        mode: whether the best is the smallest (``"min"``) or the largest (``"max"``).
        every: saves only at steps that are multiples of this.
        backend: ``"files"``: one file a step, by ``fnn.save``; ``"orbax"`` (extra ``orbax``): written while training goes on,
            each process and device its own part, for state that is large or sharded.

    Raises:
        ValueError: if an argument is out of range.
        ImportError: if Orbax is asked for and missing.

    Source: https://orbax.readthedocs.io/en/latest/

    Example:
        >>> import fnn, tempfile
        >>> model = fnn.nn.Linear(2, 3)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     manager = fnn.checkpoint.Manager(folder, keep=2, best="loss")
        ...     for step in range(5):
        ...         _ = manager.save(step, {"model": model.state_dict()}, {"loss": abs(step - 1)})
        ...     manager.steps(), manager.best_step(), manager.load().step
        ([1, 3, 4], 1, 4)
    """

    @explained
    def __init__(
        self,
        folder: str | os.PathLike[str],
        keep: int | None = 3,
        best: str | None = None,
        *,
        mode: Literal["min", "max"] = "min",
        every: int = 1,
        backend: Literal["files", "orbax"] = "files",
    ) -> None:
        if keep is not None and (not _is_int(keep) or keep < 1):
            fail(ValueError, "Manager", "keep", "an int of at least 1, or None", keep)
        if not _is_int(every) or every < 1:
            fail(ValueError, "Manager", "every", "an int of at least 1", every)
        if best is not None and not isinstance(best, str):
            fail(TypeError, "Manager", "best", "the name of a metric, or None", best)
        if mode not in ("min", "max"):
            fail(ValueError, "Manager", "mode", "'min' or 'max'", mode)
        if backend not in ("files", "orbax"):
            fail(ValueError, "Manager", "backend", "'files' or 'orbax'", backend)
        self.folder: Path = Path(folder)
        self.keep = keep
        self.best = best
        self.mode: Literal["min", "max"] = mode
        self.every = every
        self._damaged: set[int] = set()  # those that load() passed over
        with naming("Manager", self.folder):
            self._make_folder()
        self._store: Store
        if backend == "files":
            self._store = FileStore(self.folder)
        else:
            from fnn.checkpoint.orbax import OrbaxStore

            self._store = OrbaxStore(self.folder)

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise NotADirectoryError(errno.ENOTDIR, "it is a file and no folder") from None

    @explained
    def save(
        self,
        step: int,
        state: Any,
        metrics: Mapping[str, Any] | None = None,
        *,
        force: bool = False,
    ) -> bool:
        """Saves the state of a step, if it is one of every ``every``, and removes what is no longer kept.

        Args:
            step: its number.
            state: what ``fnn.save`` takes, or a function without arguments that returns it, called only if it is saved.
            metrics: numbers by name; the one called ``best`` decides which is the best. NaN is never the best, nor is a step
                without metrics, one between two evaluations say; it is kept among the last.
            force: saves at any step.

        Returns:
            whether it was saved.

        Raises:
            TypeError: if something in the state cannot be saved, or a metric is no number.
            ValueError: if the metric that decides is not among those given, or the folder has a later step, of another run.
            OSError: if it cannot be written; older checkpoints are as they were.
        """
        if not _is_int(step):
            fail(TypeError, "Manager.save", "step", "an int", step)
        step = operator.index(step)
        if not 0 <= step < 10**18:
            fail(ValueError, "Manager.save", "step", "at least 0 and below 10**18", step)
        if step % self.every and not force:
            return False
        if hasattr(state, "state_dict"):  # a Module can be called, too
            raise TypeError(f"Manager.save: state {refusal(state)}")
        numbers = {name: _number(name, value) for name, value in (metrics or {}).items()}
        if self.best is not None and metrics is not None and self.best not in numbers:
            raise ValueError(
                f"Manager.save: metrics must have {self.best!r}, by which the best is chosen, got {list(numbers)}; "
                "leave metrics out where nothing was measured"
            )
        later = [s for s in self._store.steps() if s > step and s not in self._damaged]
        if later:
            raise ValueError(
                f"Manager.save: step must be later than those in {self.folder}, got {step} where {max(later)} is there: take "
                "that run up by load(), or delete its checkpoints, or give this run a folder of its own"
            )
        self._store.write(step, state() if callable(state) else state, numbers)
        self._damaged.discard(step)
        self._remove_old()
        return True

    def steps(self) -> list[int]:
        """The steps that are there, the oldest first."""
        return sorted(self._store.steps())

    def best_step(self) -> int | None:
        """The step whose metric ``best`` is the best; of equal ones the first; ``None`` if there is none with a number.

        Raises:
            ValueError: if the manager has no metric by which the best is chosen.
        """
        if self.best is None:
            raise ValueError("Manager.best_step: the manager was made without best=, the name of a metric")
        scores: dict[int, float] = {}
        for step in self.steps():
            try:
                number = self._store.metrics(step).get(self.best, math.nan)
            except (ValueError, OSError):
                continue  # damaged; loading says so
            if not math.isnan(number):
                scores[step] = number
        if not scores:
            return None
        return min(scores, key=scores.__getitem__) if self.mode == "min" else max(scores, key=scores.__getitem__)

    @explained
    def load(self, step: int | None = None, *, device: Device = None, sharding: Sharding = None) -> Saved | None:
        """The newest checkpoint that is whole, or that of a step.

        Args:
            step: its number; by default the newest that can be read, with a warning for each that cannot.
            device: where arrays shall lie.
            sharding: in place of ``device``, a sharding for all or a mapping of names to shardings.

        Returns:
            The step, the state and the metrics; ``None`` if there is no checkpoint yet.

        Raises:
            FileNotFoundError: if the step is not there.
            ValueError: if it is damaged, or the sharding does not fit it.
        """
        with naming("Manager.load", self.folder):
            Places(device, sharding)
        self._store.wait()
        if step is not None:
            if not _is_int(step):
                fail(TypeError, "Manager.load", "step", "an int or None", step)
            step = operator.index(step)
            if step not in self._store.steps():
                raise FileNotFoundError(f"Manager.load: step {step} is not among {self.steps()} in {self.folder}")
            return self._store.read(step, device, sharding)
        for newest in reversed(self.steps()):
            try:
                return self._store.read(newest, device, sharding)
            except ValueError as error:
                if is_unfit(error):
                    raise
                self._damaged.add(newest)
                warn(f"Manager.load: step {newest} is passed over: {error}")
        return None

    def wait(self) -> None:
        """Waits until what ``backend="orbax"`` writes beside is written; files are there when ``save`` returns."""
        self._store.wait()
        self._remove_old()

    def close(self) -> None:
        """Waits, and lets go of what the backend holds; a ``with`` statement does it at its end."""
        self.wait()
        self._store.close()

    def _remove_old(self) -> None:
        steps = [step for step in self.steps() if step not in self._damaged]
        if self.keep is None or len(steps) <= self.keep:
            return
        kept = set(steps[-self.keep :])
        if self.best is not None and (best := self.best_step()) is not None:
            kept.add(best)
        for step in steps:
            if step not in kept:
                self._store.delete(step)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Manager({str(self.folder)!r}, keep={self.keep}, best={self.best!r})"


def _is_int(value: Any) -> bool:
    """Whether it is a whole number, of numpy or JAX too."""
    if isinstance(value, jax.Array):
        return not value.shape and jax.numpy.issubdtype(value.dtype, jax.numpy.integer)
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _number(name: Any, value: Any) -> float:
    """A metric as a float."""
    if not isinstance(name, str):
        fail(TypeError, "Manager.save", "metrics", "a dict of names to numbers", {name: value})
    number = None
    with suppress(TypeError, ValueError, OverflowError):
        number = None if isinstance(value, str | bytes | bytearray) else float(value)
    if number is None:
        fail(TypeError, "Manager.save", f"metrics[{name!r}]", "a number", value)
    return number

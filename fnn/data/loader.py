"""``DataLoader``: torch's, for arrays of numpy and JAX."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np

from fnn.data.collate import default_collate, on_host
from fnn.data.dataset import Arrays, Said, as_dataset, gather, is_iterable, named, samples
from fnn.data.order import Listed, Plan, mask_of, sampled, seed_words
from fnn.data.placing import Placing
from fnn.data.prefetch import Prefetch
from fnn.data.workers import Workers
from fnn.functional.checks import as_int, fail
from fnn.nn.placement import Device

__all__ = ["DataLoader"]


class _Fetch:
    """Makes the batch of a place in the order: what worker processes get a copy of."""

    def __init__(
        self, dataset: Any, plan: Plan | Listed, collate: Callable[[Any], Any] | None, loader: DataLoader
    ) -> None:
        self.dataset = dataset
        self.plan = plan
        self.collate = collate
        self.batched = loader.batch_size is not None or loader.batch_sampler is not None
        self.masked = loader.pad_last
        self.placing = loader._placing if loader._placing is not None and not loader._placing.whole else None

    def __getstate__(self) -> dict[str, Any]:
        if self.placing is None:
            return self.__dict__
        # Devices are no part of a worker's world.
        parts = Placing.__new__(Placing)
        parts.parts, parts.own, parts.whole, parts.place = self.placing.parts, self.placing.own, False, None
        return {**self.__dict__, "placing": parts}

    def __call__(self, epoch: int, batch: int) -> Any:
        index, valid = self.plan.at(epoch, batch)
        mask = mask_of(len(index), valid) if self.masked else None
        if self.placing is not None:
            index = self.placing.own_rows(index)
            mask = None if mask is None else self.placing.own_rows(mask)
        out = self.of(index)
        return out if mask is None else (out, mask)

    def in_epoch(self, epoch: int) -> Callable[[int], Any]:
        """The same as a function of the batch alone: for plain arrays one that does little else than to index them."""
        plan, data = self.plan, self.dataset
        plain = self.batched and not self.masked and self.placing is None and self.collate is None
        if not (plain and isinstance(plan, Plan) and isinstance(data, Arrays)):
            return functools.partial(self, epoch)
        size, order, leaves, unflatten = plan.batch_size, plan.order(epoch), data.leaves, data.tree.unflatten

        def batch(number: int) -> Any:
            rows = order[number * size : (number + 1) * size]
            return unflatten([leaf[rows] for leaf in leaves])

        return batch

    def of(self, index: np.ndarray[Any, Any]) -> Any:
        if not self.batched:
            sample = self.dataset[index.tolist()[0]]
            return converted(sample) if self.collate is None else self.collate(sample)
        if self.collate is None:
            out = gather(self.dataset, index)
            if out is not None:
                return out
        return (self.collate or default_collate)(samples(self.dataset, index))


def converted(sample: Any) -> Any:
    """A sample with its arrays as numpy, as torch makes tensors of them where there are no batches."""
    return jax.tree.map(lambda leaf: on_host(leaf) if hasattr(leaf, "__array__") else leaf, sample)


class DataLoader:
    """Goes through a dataset in batches, as torch's, for arrays: numpy out, or device arrays made ahead in a thread.

    Each ``for`` loop is one epoch. Its order is a function of the seed and the number of the epoch alone, so that the state in
    the middle of an epoch is a few numbers, and a loader that loads it goes on with the very next batch, without reading those
    before. torch's own DataLoader works beside fnn too: ``np.asarray`` and ``fnn.jit`` take what it gives.

    With ``pad_last`` each item is a pair ``(batch, mask)``, and the last batch is filled up to ``batch_size`` by its own rows,
    from the first on. ``mask`` is an array of ``batch_size`` bools, true for the rows that count; a compiled step sees one shape.
    Metrics of ``fnn.metrics`` take it as ``sample_weight``; a mean loss is ``(loss * mask).sum() / mask.sum()``.

    With ``sharding`` over the devices of several processes ``batch_size`` is that of the global batch, each process reads its own
    rows of it, and global arrays come out; all need the same seed.

    Worker processes are Grain's (extra ``data``). They are started anew, not forked, so that a script must have its loop under
    ``if __name__ == "__main__":``, and dataset and functions are sent to them by pickle. They ought to use numpy, not JAX.

    Args:
        dataset: an array, or a tuple or dict (any pytree but a list) of arrays of one first length; a map-style dataset, with
            ``__len__`` and ``__getitem__``, a list of samples too; or an iterable.
        batch_size: rows of a batch; ``None`` gives sample by sample as the dataset has them.
        shuffle: whether each epoch has another order.
        sampler: an iterable of indices in place of ``shuffle``, gone through in each epoch; to be resumed it has to give the same
            order again.
        batch_sampler: an iterable of lists of indices, in place of ``batch_size``, ``shuffle``, ``sampler`` and ``drop_last``.
        num_workers: how many processes read a map-style dataset; 0 for this one.
        collate_fn: makes a batch of a list of samples; ``default_collate`` if ``None``. It may return anything.
        pin_memory: accepted for torch's signature: JAX copies to devices in its own way.
        drop_last: whether a last batch that is not full is left out.
        timeout: seconds to wait for a batch of the workers or of the thread; 0 for ever.
        worker_init_fn: called in each worker process with its number.
        multiprocessing_context: accepted; the processes are always spawned.
        generator: torch's name for ``rng``.
        prefetch_factor: torch's name for ``prefetch``.
        persistent_workers: whether the worker processes outlive the epoch. They then start on the next at once.
        pin_memory_device: accepted.
        in_order: accepted; batches always come in order.
        rng: what the order depends on: an int, a ``fnn.Generator``, a JAX key; without it the default generator, which
            ``fnn.manual_seed`` seeds. A generator is drawn from once, when the first epoch begins.
        pad_last: whether a last batch that is not full is filled up; see above.
        prefetch: how many batches each worker, and the thread, make ahead; without workers and thread nothing is. 0: no thread.
        sharding: a ``jax.sharding.Sharding`` of the batches.
        device: a device, or its name.

    Shape:
        arrays ``(N, *)`` give batches ``(batch_size, *)``, the last perhaps shorter.

    Raises:
        ValueError: if arguments exclude each other or are out of range.
        TypeError: if the dataset is none, or an argument has another type.
        ImportError: if there are to be workers and Grain is missing.

    Source: https://docs.pytorch.org/docs/2.13/data.html#torch.utils.data.DataLoader

    Example:
        >>> import numpy as np
        >>> x, y = np.arange(10.0).reshape(5, 2), np.arange(5)
        >>> for xs, ys in DataLoader((x, y), batch_size=2):
        ...     print(xs.shape, ys)
        (2, 2) [0 1]
        (2, 2) [2 3]
        (1, 2) [4]
        >>> for ys, mask in DataLoader(y, batch_size=3, pad_last=True):
        ...     print(ys, mask)
        [0 1 2] [ True  True  True]
        [3 4 3] [ True  True False]
        >>> loader = DataLoader(y, batch_size=2, shuffle=True, rng=0)
        >>> batches = iter(loader)
        >>> first = next(batches)
        >>> again = DataLoader(y, batch_size=2, shuffle=True)
        >>> again.load_state_dict(loader.state_dict())
        >>> all((a == b).all() for a, b in zip(batches, again, strict=True))
        True
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = False,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Any] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], object] | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
        rng: Any = None,
        pad_last: bool = False,
        prefetch: int = 2,
        sharding: jax.sharding.Sharding | None = None,
        device: Device = None,
    ) -> None:
        self.dataset: Any = as_dataset("DataLoader", dataset)
        self.num_workers: int = as_int("DataLoader", "num_workers", num_workers, 0)
        self.collate_fn: Callable[[Any], Any] | None = collate_fn
        self.sampler: Iterable[Any] | None = sampler
        self.batch_sampler: Iterable[Any] | None = batch_sampler
        self.batch_size: int | None = None
        if batch_size is not None and batch_sampler is None:
            self.batch_size = as_int("DataLoader", "batch_size", batch_size, 1)
        self.shuffle: bool = bool(shuffle)
        self.drop_last: bool = drop_last
        self.pad_last: bool = pad_last
        self.prefetch: int = as_int(
            "DataLoader", "prefetch", prefetch if prefetch_factor is None else prefetch_factor, 0
        )
        self.timeout: float = timeout
        self.worker_init_fn: Callable[[int], object] | None = worker_init_fn
        self.persistent_workers: bool = persistent_workers
        self._iterable = is_iterable(self.dataset)
        self._check(batch_size)
        self._placing: Placing | None = None
        if sharding is not None or device is not None:
            self._placing = Placing(device, sharding)
            self._check_split(self._placing)
        self._rng = rng
        self._generator = generator
        self._seed: tuple[int, ...] | None = None
        self._epoch = 0  # of the last loop
        self._batch = 0  # how many batches of it were given out
        self._inner: Any = None  # the state of an iterable dataset after them
        self._begun = False  # whether the next loop is another epoch
        self._loop: object = None
        self._workers: Workers | None = None

    def _check(self, batch_size: int | None) -> None:
        """Raises what torch raises where arguments exclude each other."""
        if not hasattr(self.dataset, "__iter__" if self._iterable else "__len__"):
            expected = "arrays, a map-style dataset (__len__ and __getitem__) or an iterable"
            fail(TypeError, "DataLoader", "dataset", expected, type(self.dataset).__name__)
        if self.timeout < 0:
            fail(ValueError, "DataLoader", "timeout", "at least 0", self.timeout)
        if self.num_workers:
            if self._iterable:
                expected = (
                    "a map-style dataset (__len__ and __getitem__) where num_workers > 0 (an iterable has one reader: "
                    "num_workers=0, with device= a thread ahead of the loop; or Grain's own IterDataset)"
                )
                fail(TypeError, "DataLoader", "dataset", expected, type(self.dataset).__name__)
        elif self.persistent_workers:
            fail(ValueError, "DataLoader", "persistent_workers", "False where num_workers is 0", True)
        if self._iterable:
            given = {"shuffle": self.shuffle, "sampler": self.sampler is not None}
            given |= {"batch_sampler": self.batch_sampler is not None}
            self._refuse(given, "not given with an iterable dataset, which has its own order")
        if self.sampler is not None and self.shuffle:
            fail(ValueError, "DataLoader", "shuffle", "False where sampler is given", True)
        if self.batch_sampler is not None:
            given = {"batch_size": batch_size not in (1, None), "shuffle": self.shuffle}
            given |= {"sampler": self.sampler is not None, "drop_last": self.drop_last, "pad_last": self.pad_last}
            self._refuse(given, "not given where batch_sampler is")
        elif self.batch_size is None and (self.drop_last or self.pad_last):
            fail(ValueError, "DataLoader", "batch_size", "given with drop_last or pad_last", None)
        if self.drop_last and self.pad_last:
            fail(ValueError, "DataLoader", "pad_last", "False where drop_last is True", True)

    def _refuse(self, given: dict[str, bool], expected: str) -> None:
        for argument in [name for name, wrong in given.items() if wrong]:
            fail(ValueError, "DataLoader", argument, expected, getattr(self, argument))

    def _check_split(self, placing: Placing) -> None:
        if not placing.whole and (self._iterable or self.batch_size is None):
            expected = "of one process for an iterable dataset or without batch_size"
            fail(ValueError, "DataLoader", "sharding", expected, placing.place)
        if self.batch_size is not None:
            placing.check(self.batch_size, "a batch")
            if not (self._iterable or self.sampler is not None or self.drop_last or self.pad_last):
                placing.check(len(self.dataset) % self.batch_size, "the last batch")

    def __repr__(self) -> str:
        shown: dict[str, Any] = {"batch_size": self.batch_size}
        for name in ("sampler", "batch_sampler"):
            if getattr(self, name) is not None:
                shown[name] = Said(named(getattr(self, name)))
        for name in ("shuffle", "drop_last", "pad_last", "num_workers", "persistent_workers", "timeout"):
            if getattr(self, name):
                shown[name] = getattr(self, name)
        for name in ("collate_fn", "worker_init_fn"):
            if (function := getattr(self, name)) is not None:
                shown[name] = Said(getattr(function, "__qualname__", repr(function)))
        if self._placing is not None:
            shown["sharding" if isinstance(self._placing.place, jax.sharding.Sharding) else "device"] = (
                self._placing.place
            )
        options = ", ".join(f"{name}={value!r}" for name, value in shown.items())
        return f"{type(self).__name__}({named(self.dataset)}, {options})"

    def __len__(self) -> int:
        """Batches of an epoch; TypeError if the dataset or the sampler has no length."""
        if self.batch_sampler is not None:
            return len(self.batch_sampler)  # type: ignore[arg-type]
        rows = len(self.dataset if self.sampler is None else self.sampler)  # type: ignore[arg-type]
        size = self.batch_size or 1
        return rows // size if self.drop_last else -(-rows // size)

    # The position: which epoch, and how many batches of it were given out.

    @property
    def epoch(self) -> int:
        """The number of the epoch that runs, or of the next one if none does."""
        return self._epoch

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands, as plain numbers: after the batch that was given out last.

        Returns:
            a dict with ``epoch``, ``batch``, ``seed`` (``None`` without ``shuffle``), what is checked when it is loaded, and the
            state of an iterable dataset that has one.
        """
        state = {"epoch": self._epoch, "batch": self._batch, "seed": self._words(), **self._identity()}
        if self._inner is not None:
            state["dataset"] = self._inner
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Lets the next loop go on where a state was taken.

        A loop over the rest of an epoch that had been gone through when the state was taken inside its last iteration is empty;
        after the loop, the next epoch follows.

        Args:
            state_dict: what ``state_dict`` of a loader over the same dataset returned.

        Raises:
            ValueError: if the dataset has another length, or the loader another ``batch_size``.
            KeyError: if it is no such state.
        """
        for name, value in self._identity().items():
            if state_dict[name] != value:
                fail(ValueError, "load_state_dict", name, f"{value!r}, that of this loader", state_dict[name])
        seed = state_dict["seed"]
        if self.shuffle and seed is None:
            fail(ValueError, "load_state_dict", "seed", "of a loader with shuffle=True", None)
        self._seed = None if seed is None else tuple(int(word) for word in seed)
        self._epoch, self._batch = int(state_dict["epoch"]), int(state_dict["batch"])
        self._inner = state_dict.get("dataset")
        self._begun = False
        self._loop = None
        self._close_workers()

    def _identity(self) -> dict[str, Any]:
        rows = None if self._iterable else len(self.dataset)
        return {"rows": rows, "batch_size": self.batch_size, "drop_last": self.drop_last}

    def _words(self) -> list[int] | None:
        if not self.shuffle:
            return None
        if self._seed is None:
            self._seed = seed_words("DataLoader", self._rng, self._generator)
        return list(self._seed)

    # The loop

    def __iter__(self) -> Iterator[Any]:
        """Begins an epoch: the next one, or the rest of one after ``load_state_dict``."""
        self._words()
        if self._begun:
            self._epoch, self._batch, self._inner = self._epoch + 1, 0, None
        self._begun = True
        self._loop = loop = object()
        threaded = (self._placing is not None and self.prefetch > 0) or self.timeout > 0
        simple = not (threaded or self._iterable or self.num_workers)
        return (self._run_here if simple else self._run)(loop, self._epoch, self._batch)

    def _run_here(self, loop: object, epoch: int, start: int) -> Iterator[Any]:
        """The loop where each batch is made when it is asked for."""
        fetch = _Fetch(self.dataset, self._order(), self.collate_fn, self)
        make, placing = fetch.in_epoch(epoch), self._placing
        for number in range(start, len(fetch.plan)):
            batch = make(number) if placing is None else placing.put(make(number))
            if self._loop is loop:
                self._batch = number + 1
            yield batch
        self._end(loop, epoch)

    def _end(self, loop: object, epoch: int) -> None:
        if self._loop is loop:
            self._epoch, self._batch, self._inner, self._begun = epoch + 1, 0, None, False

    def _run(self, loop: object, epoch: int, start: int) -> Iterator[Any]:
        """The loop where they come from worker processes, an iterable or a thread."""
        items, interrupt = self._items(epoch, start)
        source: Any = items if self._placing is None else self._placed(items, self._placing)
        if (self._placing is not None and self.prefetch) or self.timeout:
            source = Prefetch(source, self.prefetch, self.timeout, interrupt)
        try:
            for number, (batch, inner) in enumerate(source, start + 1):
                if self._loop is loop:
                    self._batch, self._inner = number, inner
                yield batch
            self._end(loop, epoch)
        finally:
            source.close()

    @staticmethod
    def _placed(items: Iterator[Any], placing: Placing) -> Iterator[Any]:
        for batch, inner in items:
            yield placing.put(batch), inner

    def _items(self, epoch: int, start: int) -> tuple[Iterator[Any], Callable[[], None] | None]:
        """The batches on the host, each with the state of an iterable dataset after it; and how to end a wait for them."""
        if self._iterable:
            return self._from_iterable(start), None
        fetch = _Fetch(self.dataset, self._order(), self.collate_fn, self)
        if self.num_workers and start < len(fetch.plan):
            workers = self._workers_at(fetch, epoch, start)
            return self._from_workers(workers, epoch, start, len(fetch.plan)), workers.close
        make = fetch.in_epoch(epoch)
        return ((make(batch), None) for batch in range(start, len(fetch.plan))), None

    def _order(self) -> Plan | Listed:
        if self.batch_sampler is not None:
            return Listed([(np.array(index), len(index)) for index in map(list, self.batch_sampler)])
        size = self.batch_size or 1
        if self.sampler is not None:
            return Listed(list(sampled(self.sampler, size, self.drop_last, self.pad_last)))
        return Plan(len(self.dataset), size, self._seed if self.shuffle else None, self.drop_last, self.pad_last)

    def _from_iterable(self, start: int) -> Iterator[Any]:
        stateful = hasattr(self.dataset, "state_dict") and hasattr(self.dataset, "load_state_dict")
        size = self.batch_size or 1
        if stateful and self._inner is not None:
            self.dataset.load_state_dict(self._inner)
            start = 0
        rows = iter(self.dataset)
        for _ in itertools.islice(rows, start * size):
            pass
        while chunk := list(itertools.islice(rows, size)):
            valid = len(chunk)
            if valid < size and self.drop_last:
                return
            inner = self.dataset.state_dict() if stateful else None
            if self.batch_size is None:
                batch = converted(chunk[0]) if self.collate_fn is None else self.collate_fn(chunk[0])
            else:
                if self.pad_last:
                    chunk = list(itertools.islice(itertools.cycle(chunk), size))
                batch = (self.collate_fn or default_collate)(chunk)
            yield (batch, mask_of(size, valid)) if self.pad_last else batch, inner

    # Worker processes

    def _workers_at(self, fetch: _Fetch, epoch: int, start: int) -> Workers:
        endless = self.persistent_workers and isinstance(fetch.plan, Plan)
        kept, self._workers = self._workers, None
        if kept is not None:
            if kept.position == (epoch, start):
                return kept
            kept.close()
        return Workers(fetch, epoch, start, endless, self.num_workers, self.prefetch, self.worker_init_fn)

    def _from_workers(self, workers: Workers, epoch: int, start: int, stop: int) -> Iterator[Any]:
        try:
            for number in range(start, stop):
                yield next(workers), None
                workers.position = (epoch, number + 1) if number + 1 < stop else (epoch + 1, 0)
        except BaseException:
            workers.close()
            raise
        if self.persistent_workers:
            self._workers = workers
        else:
            workers.close()

    def _close_workers(self) -> None:
        if self._workers is not None:
            self._workers.close()
            self._workers = None

"""Which rows a batch has: a pure function of the seed, the epoch and the number of the batch."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from fnn.functional.checks import fail
from fnn.random.generator import Generator, check_key, next_key

__all__ = ["Listed", "Plan", "Rows", "mask_of", "padded", "permutation", "sampled", "seed_words"]


def seed_words(function: str, rng: Any, generator: Any = None) -> tuple[int, ...]:
    """The 32-bit words that stand for a source of randomness; of a generator, the default one too, one draw is taken."""
    if generator is not None:
        if rng is not None:
            fail(TypeError, function, "generator", "None where rng is given", generator)
        rng = generator
    if isinstance(rng, Generator):
        key = rng.next_key()
    elif rng is None or isinstance(rng, jax.Array | np.ndarray):
        key = next_key(function, None if rng is None else check_key(function, rng))
    else:
        try:
            seed = operator.index(rng)
        except TypeError:
            fail(TypeError, function, "rng", "an int, a fnn.Generator or a JAX key", rng)
        if not -(2**63) <= seed < 2**64:
            fail(ValueError, function, "rng", "in [-2**63, 2**64)", seed)
        return (seed >> 32) & 0xFFFFFFFF, seed & 0xFFFFFFFF
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.key_data(key)
    return tuple(int(word) for word in np.asarray(key).ravel())


def permutation(count: int, seed: Sequence[int], epoch: int) -> np.ndarray[Any, Any]:
    """The numbers below ``count`` in an order that depends on the seed and the epoch alone.

    numpy may change the streams of ``numpy.random.Generator``; those of the bit generators and of ``RandomState`` are frozen, so
    that a run can be resumed under another numpy.
    """
    bits = np.random.PCG64(np.random.SeedSequence([*seed, epoch]))
    return np.random.RandomState(bits).permutation(count)


Rows: TypeAlias = tuple[np.ndarray[Any, Any], int]
"""The rows of one batch, and how many of them come first that are no padding."""


def padded(index: np.ndarray[Any, Any], size: int) -> np.ndarray[Any, Any]:
    """Filled up to a size by its own rows, from the first on."""
    return index if len(index) == size else np.resize(index, size)


@functools.lru_cache(maxsize=64)
def mask_of(size: int, valid: int) -> np.ndarray[Any, Any]:
    """True for the rows that are no padding; one array for all batches, which nobody can write."""
    mask = np.arange(size) < valid
    mask.flags.writeable = False
    return mask


@dataclass
class Plan:
    """The order of a loader that makes its own.

    Args:
        count: rows of the dataset.
        batch_size: rows of a batch.
        seed: words by which each epoch is permuted; ``None`` for the order of the dataset.
        drop_last: whether a batch that is not full is left out.
        pad_last: whether it is filled up.
    """

    count: int
    batch_size: int
    seed: tuple[int, ...] | None
    drop_last: bool
    pad_last: bool
    _drawn: tuple[int, np.ndarray[Any, Any]] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return (self.count if self.drop_last else self.count + self.batch_size - 1) // self.batch_size

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_drawn": None}

    def at(self, epoch: int, batch: int) -> Rows:
        """The rows of a batch of an epoch."""
        start, stop = batch * self.batch_size, min((batch + 1) * self.batch_size, self.count)
        index = np.arange(start, stop) if self.seed is None else self.order(epoch)[start:stop]
        return padded(index, self.batch_size) if self.pad_last else index, stop - start

    def order(self, epoch: int) -> np.ndarray[Any, Any]:
        """All rows of an epoch, in order, without padding."""
        if self.seed is None:
            return np.arange(self.count)
        drawn = self._drawn
        if drawn is None or drawn[0] != epoch:
            self._drawn = drawn = epoch, permutation(self.count, self.seed, epoch)
        return drawn[1]


class Listed:
    """The order that a sampler gave for one epoch, in place of a ``Plan``."""

    def __init__(self, batches: list[Rows]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def at(self, epoch: int, batch: int) -> Rows:
        """The rows of a batch; whatever the epoch."""
        return self.batches[batch]


def sampled(sampler: Any, batch_size: int, drop_last: bool, pad_last: bool) -> Iterator[Rows]:
    """The indices of a sampler in batches."""
    chunk: list[Any] = []
    for index in sampler:
        chunk.append(index)
        if len(chunk) == batch_size:
            yield np.array(chunk), batch_size
            chunk = []
    if chunk and not drop_last:
        index = np.array(chunk)
        yield padded(index, batch_size) if pad_last else index, len(chunk)

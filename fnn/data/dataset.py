"""Datasets: what has a length and items, or can only be gone through."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import jax
import numpy as np

from fnn.data.collate import on_host
from fnn.data.order import permutation, seed_words
from fnn.functional.checks import fail

__all__ = ["ConcatDataset", "Dataset", "IterableDataset", "Subset", "TensorDataset", "random_split"]

T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """A map-style dataset: derive from it and write ``__getitem__`` and ``__len__``. ``a + b`` joins two.

    A ``DataLoader`` takes any object that has these two methods, torch's datasets included. One that can read several items at
    once better than one by one may have ``__getitems__(indices)``, which returns a list of samples.

    Source: https://docs.pytorch.org/docs/2.13/data.html#torch.utils.data.Dataset

    Example:
        >>> class Squares(Dataset[int]):
        ...     def __len__(self):
        ...         return 4
        ...     def __getitem__(self, index):
        ...         return index**2
        >>> len(Squares() + Squares())
        8
    """

    def __getitem__(self, index: Any) -> T_co:
        """The sample of an index."""
        raise NotImplementedError(f"{type(self).__name__} must have __getitem__")

    def __add__(self, other: Dataset[T_co]) -> ConcatDataset[T_co]:
        return ConcatDataset([self, other])


class IterableDataset(Generic[T_co]):
    """A dataset that can only be gone through: derive from it and write ``__iter__``.

    A ``DataLoader`` takes any iterable without ``__getitem__`` as such. With ``state_dict`` and ``load_state_dict`` it is resumed
    where it stood; without, a resumed loader goes through it from its beginning and drops what was read before.

    Source: https://docs.pytorch.org/docs/2.13/data.html#torch.utils.data.IterableDataset

    Example:
        >>> class Count(IterableDataset[int]):
        ...     def __iter__(self):
        ...         return iter(range(3))
        >>> list(Count())
        [0, 1, 2]
    """

    def __iter__(self) -> Iterator[T_co]:
        """Goes through the samples."""
        raise NotImplementedError(f"{type(self).__name__} must have __iter__")


class Arrays(Dataset[Any]):
    """A pytree of arrays of one first length, as a dataset of its rows."""

    leaves: list[Any]
    tree: Any

    def __init__(self, function: str, arrays: Any) -> None:
        self.arrays: Any = jax.tree.map(lambda leaf: _checked(function, leaf), arrays)
        self.leaves, self.tree = jax.tree.flatten(self.arrays)
        lengths = {len(leaf) for leaf in self.leaves}
        if len(lengths) != 1:
            fail(ValueError, function, "arrays", "one or more arrays of one first length", sorted(lengths))
        (self._length,) = lengths

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Any:
        return self.tree.unflatten([leaf[index] for leaf in self.leaves])

    def __repr__(self) -> str:
        return repr(self.tree.unflatten([Said(f"{leaf.dtype}{list(leaf.shape)}") for leaf in self.leaves]))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("leaves", "tree")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.leaves, self.tree = jax.tree.flatten(self.arrays)


class Said(str):
    """A text that a ``repr`` shows without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _checked(function: str, leaf: Any) -> np.ndarray[Any, Any]:
    if not (hasattr(leaf, "__array__") and hasattr(leaf, "shape")) or len(leaf.shape) == 0:
        fail(TypeError, function, "arrays", "of one dimension or more", leaf)
    return on_host(leaf)


class TensorDataset(Arrays):
    """The rows of arrays of one first length: item ``i`` is the tuple of their rows ``i``.

    Args:
        tensors: arrays of numpy, jax or torch.

    Shape:
        arrays ``(N, *)`` give N samples, tuples of arrays ``(*)``.

    Raises:
        ValueError: if the lengths differ, or there is no array.
        TypeError: if one is no array of one dimension or more.

    Source: https://docs.pytorch.org/docs/2.13/data.html#torch.utils.data.TensorDataset

    Example:
        >>> import numpy as np
        >>> data = TensorDataset(np.arange(6).reshape(3, 2), np.array([0, 1, 0]))
        >>> len(data), data[1]
        (3, (array([2, 3]), np.int64(1)))
    """

    def __init__(self, *tensors: Any) -> None:
        super().__init__("TensorDataset", tensors)

    @property
    def tensors(self) -> tuple[np.ndarray[Any, Any], ...]:
        """The arrays."""
        return self.arrays

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{array.dtype}{list(array.shape)}' for array in self.tensors)})"


class Subset(Dataset[T_co]):
    """The items of a dataset at some indices.

    Args:
        dataset: a map-style dataset.
        indices: which items, in which order.

    Source: https://docs.pytorch.org/docs/2.13/data.html#torch.utils.data.Subset

    Example:
        >>> list(Subset("abcd", [3, 0]))
        ['d', 'a']
    """

    def __init__(self, dataset: Any, indices: Sequence[int] | np.ndarray[Any, Any]) -> None:
        self.dataset: Any = dataset
        self.indices: Sequence[int] | np.ndarray[Any, Any] = indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> T_co:
        return self.dataset[self.indices[index]]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({named(self.dataset)}, {len(self.indices)} of {len(self.dataset)})"


class ConcatDataset(Dataset[T_co]):
    """Datasets one after the other.

    Args:
        datasets: map-style datasets.

    Raises:
        ValueError: if there is none.
        TypeError: if one has no length.

    Source: https://docs.pytorch.org/docs/2.13/data.html#torch.utils.data.ConcatDataset

    Example:
        >>> both = ConcatDataset(["abc", "de"])
        >>> len(both), both[3], both[-1]
        (5, 'd', 'e')
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets: list[Any] = list(datasets)
        if not self.datasets:
            fail(ValueError, "ConcatDataset", "datasets", "one or more datasets", self.datasets)
        for dataset in self.datasets:
            if not hasattr(dataset, "__len__"):
                fail(TypeError, "ConcatDataset", "datasets", "map-style datasets, which have a length", dataset)
        self.cumulative_sizes: list[int] = list(itertools.accumulate(map(len, self.datasets)))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: Any) -> T_co:
        number = index + len(self) if index < 0 else index
        if not 0 <= number < len(self):
            fail(IndexError, "ConcatDataset", "index", f"in [{-len(self)}, {len(self) - 1}]", index)
        which = bisect.bisect_right(self.cumulative_sizes, number)
        return self.datasets[which][number - (self.cumulative_sizes[which - 1] if which else 0)]

    def __repr__(self) -> str:
        return f"{type(self).__name__}([{', '.join(map(named, self.datasets))}])"


def random_split(
    dataset: Any, lengths: Sequence[float], generator: Any = None, *, rng: Any = None
) -> list[Subset[Any]]:
    """Splits a dataset at random into parts of given lengths.

    Args:
        dataset: a map-style dataset, or an array, or a tuple or dict of arrays.
        lengths: how many items each part gets; or fractions that sum to 1, of which what is left over after rounding down
            goes to the parts in turn.
        generator: torch's name for ``rng``.
        rng: an int, a ``fnn.Generator`` or a JAX key; without it the default generator, which ``fnn.manual_seed`` seeds.

    Returns:
        a ``Subset`` for each length; no item is in two.

    Raises:
        ValueError: if the lengths do not sum to that of the dataset, nor to 1, or one is negative.

    Source: https://docs.pytorch.org/docs/2.13/data.html#torch.utils.data.random_split

    Example:
        >>> train, test = random_split(range(10), [0.8, 0.2], rng=0)
        >>> len(train), len(test), sorted([*train, *test]) == list(range(10))
        (8, 2, True)
    """
    data = as_dataset("random_split", dataset)
    if not hasattr(data, "__len__") or not hasattr(data, "__getitem__"):
        fail(TypeError, "random_split", "dataset", "a map-style dataset or arrays", dataset)
    total = len(data)
    if any(length < 0 for length in lengths):
        fail(ValueError, "random_split", "lengths", "of no negative number", lengths)
    if math.isclose(sum(lengths), 1) and not (total == 1 and all(int(length) == length for length in lengths)):
        counts = [math.floor(total * fraction) for fraction in lengths]
        for i in range(total - sum(counts)):
            counts[i % len(counts)] += 1
    else:
        if sum(lengths) != total:
            fail(ValueError, "random_split", "lengths", f"of sum {total} (the dataset's length) or 1", lengths)
        counts = [int(length) for length in lengths]
    order = permutation(total, seed_words("random_split", rng, generator), 0)
    ends = list(itertools.accumulate(counts))
    return [Subset(data, order[end - count : end]) for end, count in zip(ends, counts, strict=True)]


def named(dataset: Any) -> str:
    """A dataset in a ``repr``: its own where it has a short one, else its class and length."""
    kind: type[Any] = type(dataset)
    if issubclass(kind, Dataset | range) and kind.__repr__ is not object.__repr__:
        return repr(dataset)
    return f"{kind.__name__} of {len(dataset)}" if hasattr(kind, "__len__") else kind.__name__


def as_dataset(function: str, data: Any) -> Any:
    """The dataset that the user's argument stands for: arrays, and tuples and dicts of them, become one of their rows."""
    if isinstance(data, tuple | dict) or (hasattr(data, "__array__") and hasattr(data, "shape")):
        return Arrays(function, data)
    return data


def is_iterable(dataset: Any) -> bool:
    """Whether a dataset can only be gone through. torch's IterableDataset inherits a ``__getitem__`` that raises."""
    named = any(parent.__name__ == "IterableDataset" for parent in type(dataset).__mro__)
    return named or not hasattr(dataset, "__getitem__")


def gather(dataset: Any, rows: np.ndarray[Any, Any]) -> Any:
    """The batch of some rows of a dataset that is made of arrays, without making samples; ``None`` of another."""
    while isinstance(dataset, Subset):
        indices = dataset.indices
        rows = indices[rows] if isinstance(indices, np.ndarray) else np.array([indices[row] for row in rows], np.intp)
        dataset = dataset.dataset
    if isinstance(dataset, Arrays):
        return dataset[rows]
    return None


def samples(dataset: Any, rows: np.ndarray[Any, Any]) -> list[Any]:
    """The samples of some rows of a map-style dataset."""
    indices = rows.tolist()
    if hasattr(dataset, "__getitems__"):
        return dataset.__getitems__(indices)
    return [dataset[index] for index in indices]

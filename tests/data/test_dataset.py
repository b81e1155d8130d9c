"""Datasets and their splits, beside torch's."""

import pickle
from collections import namedtuple

import numpy as np
import pytest

import fnn
from fnn.data import ConcatDataset, Dataset, IterableDataset, Subset, TensorDataset, random_split
from tests.oracle import needs_torch

X, Y = np.arange(20.0).reshape(10, 2), np.arange(10)
Pair = namedtuple("Pair", "x y")


def test_tensor_dataset_gives_rows():
    data = TensorDataset(X, Y)
    x, y = data[3]
    assert (x == X[3]).all()
    assert y == 3
    assert len(data) == 10
    assert data.tensors[0] is X
    again = pickle.loads(pickle.dumps(data))
    assert (again[np.array([1, 2])][0] == X[1:3]).all()


def test_lengths_and_kinds_are_checked():
    with pytest.raises(ValueError, match=r"TensorDataset: arrays must be .* got \[9, 10\]"):
        TensorDataset(X, Y[:9])
    with pytest.raises(TypeError, match="arrays must be of one dimension or more"):
        TensorDataset(X, 3)
    with pytest.raises(ValueError, match="one or more arrays"):
        TensorDataset()
    with pytest.raises(ValueError, match="one or more datasets"):
        ConcatDataset([])
    with pytest.raises(TypeError, match="have a length"):
        ConcatDataset([iter([1])])
    with pytest.raises(NotImplementedError):
        Dataset()[0]
    with pytest.raises(NotImplementedError):
        iter(IterableDataset())


def test_concatenation_has_the_items_in_order():
    both = ConcatDataset([range(3), [], range(5, 7)])
    assert [both[i] for i in range(len(both))] == [0, 1, 2, 5, 6]
    assert [both[i] for i in range(-5, 0)] == [0, 1, 2, 5, 6]
    for wrong in (5, -6):
        with pytest.raises(IndexError, match=r"in \[-5, 4\]"):
            both[wrong]
    assert len(TensorDataset(Y) + TensorDataset(Y)) == 20


@needs_torch
@pytest.mark.parametrize(
    "lengths", [[7, 3], [10], [0.7, 0.3], [0.5, 0.25, 0.25], [0.33, 0.33, 0.34], [1.0], [10, 0], [0.05, 0.95]]
)
def test_split_lengths_are_torchs(lengths):
    from torch.utils import data

    ours, theirs = random_split(Y, lengths, rng=0), data.random_split(range(10), lengths)
    assert [len(part) for part in ours] == [len(part) for part in theirs]
    assert sorted(int(y) for part in ours for y in part) == list(range(10))


def test_a_split_follows_its_seed():
    def split(**kwargs):
        return [list(part.indices) for part in random_split(range(100), [60, 40], **kwargs)]

    assert split(rng=1) == split(rng=1) != split(rng=2)
    assert split(rng=1) == split(generator=1)
    fnn.manual_seed(3)
    first = split()
    fnn.manual_seed(3)
    assert split() == first != split()
    with pytest.raises(ValueError, match="of sum 100"):
        random_split(range(100), [60, 41])
    with pytest.raises(ValueError, match="no negative"):
        random_split(range(100), [-1, 101])
    with pytest.raises(TypeError, match="generator must be None where rng is given"):
        split(rng=1, generator=1)
    with pytest.raises(TypeError, match="rng must be an int"):
        split(rng="one")


def test_subsets_of_subsets():
    inner = Subset(TensorDataset(X, Y), [9, 8, 7])
    assert Subset(inner, np.array([2]))[0][1] == 7
    assert len(inner) == 3


class Plain(Dataset[int]):
    def __getitem__(self, index):
        return index

    def __len__(self):
        return 4


def test_datasets_of_ones_own_add_up():
    assert [(Plain() + Plain())[i] for i in (0, 4, 7)] == [0, 0, 3]


def test_datasets_say_what_they_hold():
    data = TensorDataset(X, Y)
    assert repr(data) == f"TensorDataset(float64[10, 2], {Y.dtype}[10])"
    assert repr(TensorDataset(X)) == "TensorDataset(float64[10, 2])"
    assert repr(Subset(data, [3, 4])) == f"Subset({data!r}, 2 of 10)"
    assert (
        repr(random_split(X, [0.8, 0.2], rng=0)) == "[Subset(float64[10, 2], 8 of 10), Subset(float64[10, 2], 2 of 10)]"
    )
    assert repr(ConcatDataset([data, "abc", range(3)])) == f"ConcatDataset([{data!r}, str of 3, range(0, 3)])"
    assert repr(pickle.loads(pickle.dumps(data))) == repr(data)

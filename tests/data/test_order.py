"""The order of rows: a permutation of (seed, epoch), frozen for ever."""

import pickle

import jax
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import fnn
from fnn.data.order import Plan, mask_of, permutation, seed_words

FROZEN = [[4, 6, 2, 7, 3, 5, 9, 0, 8, 1], [4, 8, 3, 6, 2, 1, 9, 5, 7, 0]]


def test_the_permutation_is_frozen():
    # A run is resumed by these numbers, under any numpy: they must never change.
    assert permutation(10, (0, 0), 0).tolist() == FROZEN[0]
    assert permutation(10, (0, 7), 3).tolist() == FROZEN[1]


def test_seeds():
    assert seed_words("f", 7) == (0, 7)
    assert seed_words("f", 2**40 + 7) == (256, 7)
    assert seed_words("f", np.int64(7)) == (0, 7)
    assert seed_words("f", jax.random.key(7)) == seed_words("f", jax.random.PRNGKey(7)) == (0, 7)
    generator = fnn.Generator().manual_seed(7)
    first = seed_words("f", generator)
    assert seed_words("f", generator) != first
    assert seed_words("f", fnn.Generator().manual_seed(7)) == first
    fnn.manual_seed(7)
    assert seed_words("f", None) == first
    with pytest.raises(TypeError, match=r"f: rng must be an int, a fnn.Generator or a JAX key"):
        seed_words("f", 1.5)
    with pytest.raises(ValueError, match="rng must be in"):
        seed_words("f", 2**64)
    with pytest.raises(TypeError, match="must be one JAX PRNG key"):
        seed_words("f", np.zeros(3))


@settings(deadline=None)
@given(
    st.integers(0, 50),
    st.integers(1, 12),
    st.sampled_from([None, (0, 1)]),
    st.sampled_from([(False, False), (True, False), (False, True)]),
    st.integers(0, 3),
)
def test_an_epoch_has_every_row_once(count, size, seed, last, epoch):
    plan = Plan(count, size, seed, *last)
    batches = [plan.at(epoch, i) for i in range(len(plan))]
    rows = [int(row) for index, valid in batches for row in index[:valid]]
    assert len(rows) == (count // size * size if plan.drop_last else count)
    assert len(set(rows)) == len(rows)
    assert seed is not None or rows == list(range(len(rows)))
    if plan.drop_last or plan.pad_last:
        assert all(len(index) == size for index, _ in batches)
    for index, valid in batches:
        assert set(index[valid:].tolist()) <= set(index[:valid].tolist())  # padding repeats the batch's own rows
        assert mask_of(len(index), valid).sum() == valid
    again = pickle.loads(pickle.dumps(plan))
    assert all((again.at(epoch, i)[0] == batches[i][0]).all() for i in range(len(plan)))

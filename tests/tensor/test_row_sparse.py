"""``RowSparse`` does what the dense array that it stands for does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn.tensor import RowSparse
from tests.oracle import assert_close, rand

INDICES = np.array([3, 0, 3, 7, -1, 1])  # one comes twice; two name no row
SHAPE = (5, 2)


def dense_of(indices, values, shape):
    """The definition, in numpy."""
    out = np.zeros(shape)
    for index, value in zip(indices, values, strict=True):
        if 0 <= index < shape[0]:
            out[index] += value
    return out


def example(seed=0):
    values = rand(seed, len(INDICES), 2)
    return RowSparse(jnp.asarray(INDICES), jnp.asarray(values), SHAPE), dense_of(INDICES, values, SHAPE)


def test_it_has_a_public_name():
    assert fnn.RowSparse is RowSparse


def test_to_dense_add_to_and_rows_of():
    sparse, dense = example()
    table = rand(1, *SHAPE)
    assert_close(sparse.to_dense(), dense)
    assert_close(sparse.add_to(table), table + dense)
    rows = [table[i] if 0 <= i < 5 else np.zeros(2) for i in INDICES]
    assert_close(sparse.rows_of(table), np.stack(rows))


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit])
def test_coalesce_keeps_the_array_and_names_each_row_once(transform):
    sparse, dense = example()
    merged = transform(lambda s: s.coalesce())(sparse)
    assert_close(merged.to_dense(), dense)
    named = np.asarray(merged.indices)[np.asarray(merged.indices) < SHAPE[0]]
    assert sorted(named.tolist()) == [0, 1, 3]
    table = rand(2, *SHAPE)
    expected = table.copy()
    expected[[0, 1, 3]] = dense[[0, 1, 3]]
    assert_close(merged.set_in(table), expected)


def test_arithmetic():
    (a, dense_a), (b, dense_b) = example(0), example(3)
    assert_close((-a).to_dense(), -dense_a)
    assert_close((2 * a / 4).to_dense(), dense_a / 2)
    assert_close((a + b).to_dense(), dense_a + dense_b)
    table = rand(4, *SHAPE)
    assert_close(a + table, dense_a + table)
    assert_close(table.tolist() + a, dense_a + table)
    assert a.astype("float32").dtype == jnp.float32
    assert (a.dtype, a.ndim, a.shape) == (jnp.float64, 2, SHAPE)


def test_it_goes_through_transformations():
    sparse, dense = example()
    assert_close(jax.jit(lambda s: s.to_dense())(sparse), dense)
    stacked = jax.tree.map(lambda *xs: jnp.stack(xs), sparse, 3 * sparse)
    assert_close(jax.vmap(lambda s: s.to_dense())(stacked), np.stack([dense, dense * np.array(3.0)]))


def test_bad_shapes():
    with pytest.raises(ValueError, match=r"RowSparse: indices must be 1-D"):
        RowSparse(jnp.zeros((1, 1), int), jnp.zeros((1, 2)), (3, 2))
    with pytest.raises(ValueError, match=r"RowSparse: values must be of shape \(2, 4\), got \(2, 3\)"):
        RowSparse(jnp.zeros(2, int), jnp.zeros((2, 3)), (3, 4))
    with pytest.raises(ValueError, match=r"cannot add arrays of shapes"):
        example()[0] + RowSparse(jnp.zeros(1, int), jnp.zeros((1, 3)), (5, 3))

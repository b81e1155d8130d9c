"""Which elements are chosen: ties, draws, half types."""

import jax.numpy as jnp
import numpy as np

import fnn
from fnn import nn
from fnn.nn.utils import prune
from tests.nn.utils.prune.cases import linear
from tests.oracle import assert_close


def test_ties_go_in_order():
    m = linear()
    m.weight.data = jnp.asarray([[1.0, -1, 1], [2, 1, 1], [1, 1, -2], [3, -1, 1]])
    prune.l1_unstructured(m, "weight", amount=4)
    assert m.weight_mask.tolist() == [[0, 0, 0], [1, 0, 1], [1, 1, 1], [1, 1, 1]]
    prune.remove(m, "weight").weight.data = jnp.ones((4, 3)).at[2].set(np.nan)
    prune.ln_structured(m, "weight", amount=2, n=2, dim=0)
    assert m.weight_mask[:, 0].tolist() == [0, 0, 1, 1]
    t = np.array([np.nan, 2, np.nan, 1])
    assert prune.L1Unstructured(3).compute_mask(t, np.ones(4)).tolist() == [0, 0, 1, 0]


def test_random_draws():
    def masks():
        m = nn.Conv1d(4, 5, 3)
        prune.random_unstructured(m, "weight", amount=0.5)
        first = np.asarray(m.weight_mask)
        prune.random_structured(m, "weight", amount=1, dim=1)
        prune.random_structured(m, "weight", amount=1, dim=1)
        return first, np.asarray(m.weight_mask)

    fnn.manual_seed(0)
    first, second = masks()
    assert first.sum() == 30
    assert (second.sum((0, 2)) == 0).sum() == 2
    assert not (second[first == 0]).any()
    kept = second.sum((0, 2)) > 0
    assert_close(second[:, kept], first[:, kept], 0, 0)
    fnn.manual_seed(0)
    for a, b in zip(masks(), (first, second), strict=True):
        assert_close(a, b, 0, 0)
    assert any((a != b).any() for a, b in zip(masks(), (first, second), strict=True))


def test_half_types_and_frozen_parameters():
    m = linear().to(jnp.bfloat16)
    m.weight.requires_grad_(False)
    prune.ln_structured(m, "weight", amount=1, n=2, dim=0)
    assert m.weight.dtype == m.weight_mask.dtype == jnp.bfloat16
    assert not m.weight_orig.requires_grad
    assert (np.asarray(m.weight, np.float32).any(1)).sum() == 3

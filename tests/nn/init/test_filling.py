"""Initializers that fill: which box, which generator, under jit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn
from fnn.nn import init
from tests.oracle import assert_close


def test_filling_form():
    p = nn.Parameter(np.zeros((3, 4), np.float32))
    fnn.manual_seed(0)
    assert init.xavier_uniform_(p) is p
    fnn.manual_seed(0)
    array = init.xavier_uniform_(jnp.zeros((3, 4), jnp.float32))
    assert isinstance(array, jax.Array)
    assert_close(array, p)
    g = fnn.Generator().manual_seed(1)
    before = fnn.get_rng_state()
    init.normal_(p, generator=g)
    assert np.array_equal(before, fnn.get_rng_state())
    assert_close(p, init.normal(jax.random.fold_in(jax.random.key(1), 0), (3, 4)))
    for fill in (init.ones_, init.zeros_, init.eye_, lambda t: init.constant_(t, 2.0), lambda t: init.sparse_(t, 0.5)):
        assert fill(p) is p
    assert init.dirac_(nn.Parameter(np.zeros((2, 2, 3)))).dtype == jnp.float64


def test_drawing_under_plain_jit_needs_a_key():
    with pytest.raises(RuntimeError, match="normal_: a random draw"):
        jax.jit(lambda x: init.normal_(x))(jnp.ones(3))


def test_a_network_can_be_drawn_under_jit():
    def build(key):
        with fnn.random.key_scope(key):
            return fnn.state(nn.Sequential(nn.Linear(3, 4), nn.Embedding(5, 2), nn.Conv2d(1, 2, 3)))[0]

    key = jax.random.key(0)
    eager, compiled = build(key), jax.jit(build)(key)
    for name, value in eager.items():
        assert np.array_equal(np.asarray(value), np.asarray(compiled[name])), name


def test_trunc_normal_by_its_name_within_torch():
    p = nn.Parameter(np.zeros(1000))
    assert init._no_grad_trunc_normal_(p, 1.0, 2.0, 0.0, 1.5) is p
    assert 0 <= float(p.min()) < 0.1
    assert 1.4 < float(p.max()) <= 1.5

"""Generators, key scopes, and draws that are the same from concrete and traced keys."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import random
from fnn.random.draws import _normal_of


@pytest.mark.parametrize("make", [jax.random.key, jax.random.PRNGKey])
@pytest.mark.parametrize("size", [0, 1, 5, 200_001])
def test_bits_are_those_of_jax(make, size):
    key = make(7)
    ours = random.bits(key, (size,))
    assert isinstance(ours, np.ndarray)
    assert np.array_equal(ours, np.asarray(jax.random.bits(key, (size,), np.uint32)))


def test_bits_of_other_key_kinds_come_from_jax():
    key = jax.random.key(0, impl="rbg")
    assert np.array_equal(random.bits(key, (5,)), jax.random.bits(key, (5,), np.uint32))


DRAWS = {
    "symmetric uniform": lambda k: random.uniform(k, (1001,), low=-0.3, high=0.3),
    "double uniform": lambda k: random.uniform(k, (1001,), jnp.float64, -0.3, 0.3),
    "bfloat16 uniform": lambda k: random.uniform(k, (1001,), jnp.bfloat16, -0.3, 0.3),
    "normal": lambda k: random.normal(k, (1001,), std=0.02),
    "double normal": lambda k: random.normal(k, (1001,), jnp.float64),
    "truncated normal": lambda k: random.truncated_normal(k, (1001,)),
}


@pytest.mark.parametrize("name", DRAWS)
def test_draws_are_the_same_to_the_bit_eagerly_and_compiled(name):
    key = jax.random.key(3)
    eager, compiled = DRAWS[name](key), jax.jit(DRAWS[name])(key)
    assert eager.dtype == compiled.dtype
    assert np.array_equal(np.asarray(eager), np.asarray(compiled))


def test_uniform_moments_and_bounds():
    x = np.asarray(random.uniform(jax.random.key(0), (200_000,), low=2.0, high=5.0))
    assert x.min() >= 2.0
    assert x.max() <= 5.0
    assert abs(x.mean() - 3.5) < 0.01
    assert abs(x.std() - 3 / math.sqrt(12)) < 0.01


def test_normal_follows_the_normal_distribution():
    x = np.sort(np.asarray(random.normal(jax.random.key(0), (200_000,)), np.float64))
    cdf = 0.5 * (1 + np.vectorize(math.erf)(x[::50] / math.sqrt(2)))
    empirical = np.arange(0, x.size, 50) / x.size
    assert np.abs(cdf - empirical).max() < 1.63 / math.sqrt(x.size) * 1.2
    shifted = np.asarray(random.normal(jax.random.key(0), (10_000,), mean=3.0, std=0.5))
    assert abs(shifted.mean() - 3) < 0.02
    assert abs(shifted.std() - 0.5) < 0.02


def test_normal_quantiles_are_exact_to_1e_5():
    from statistics import NormalDist

    words = np.random.default_rng(0).integers(0, 2**32, 2000, dtype=np.uint32)
    expected = [NormalDist().inv_cdf((float(w) + 0.5) / 2**32) for w in words]
    assert np.abs(_normal_of(words) - np.array(expected)).max() < 1e-5


def test_truncated_normal_stays_inside_and_has_the_right_variance():
    x = np.asarray(random.truncated_normal(jax.random.key(0), (100_000,), low=-1.0, high=2.0))
    assert x.min() >= -1.0
    assert x.max() <= 2.0

    def pdf(t):
        return math.exp(-t * t / 2) / math.sqrt(2 * math.pi)

    mass = 0.5 * (math.erf(2 / math.sqrt(2)) + math.erf(1 / math.sqrt(2)))
    assert abs(x.mean() - (pdf(1) - pdf(2)) / mass) < 0.01


def test_generator_is_fold_in_of_the_count():
    g = fnn.Generator().manual_seed(5)
    keys = [np.asarray(g.next_key()) for _ in range(3)]
    for i, key in enumerate(keys):
        assert np.array_equal(key, jax.random.key_data(jax.random.fold_in(jax.random.key(5), i)))


def test_seeding_and_state():
    g = fnn.manual_seed(2**40 + 3)
    assert g.initial_seed() == fnn.initial_seed() == 2**40 + 3
    state = fnn.get_rng_state()
    a = np.asarray(random.next_key("t"))
    fnn.set_rng_state(state)
    assert np.array_equal(a, random.next_key("t"))
    assert not np.array_equal(a, random.next_key("t"))
    assert fnn.Generator().seed() != fnn.Generator().seed()
    assert repr(fnn.Generator().manual_seed(3)) == "fnn.Generator(seed=3)"


@pytest.mark.parametrize(
    ("seed", "error"), [(1.5, TypeError), ("a", TypeError), (2**64, RuntimeError), (-(2**63) - 1, RuntimeError)]
)
def test_bad_seeds(seed, error):
    before = fnn.get_rng_state()
    with pytest.raises(error, match="manual_seed: seed must be"):
        fnn.manual_seed(seed)
    assert np.array_equal(before, fnn.get_rng_state())


def test_state_dicts():
    a, b = fnn.Generator().manual_seed(2**63 + 5), fnn.Generator().manual_seed(1)
    a.next_key()
    state = a.state_dict()
    b.load_state_dict({**state, "state": jnp.asarray(state["state"])})  # as it comes from a file
    assert b.initial_seed() == a.initial_seed() == 2**63 + 5
    assert [b.next_key().tolist() for _ in range(3)] == [a.next_key().tolist() for _ in range(3)]
    before = b.state_dict()
    with random.key_scope(jax.random.key(0, impl="rbg")) as scope:
        other = scope.state_dict()
        scope.next_key()
        scope.load_state_dict(other)
        assert scope.state_dict()["state"].tolist() == other["state"].tolist()
    bad = [
        (other, "'rbg' keys"),
        ({}, "must be a state_dict of a Generator"),
        (state["state"], "must be a state_dict"),
        ({**state, "state": np.zeros(2, np.uint32)}, "must be uint32"),
        ({**state, "impl": 3}, "3 keys"),
    ]
    for one, why in bad:
        with pytest.raises(ValueError, match=why):
            b.load_state_dict(one)
    with pytest.raises(TypeError):
        b.load_state_dict({**a.state_dict(), "seed": "1"})
    assert b.state_dict()["state"].tolist() == before["state"].tolist()
    assert b.initial_seed() == before["seed"]


def test_bad_state():
    with pytest.raises(ValueError, match="set_state: state must be uint32"):
        fnn.set_rng_state(np.zeros(3))


def test_key_scope():
    with random.key_scope(jax.random.key(0)):
        a, b = random.next_key("t"), random.next_key("t")
    with random.key_scope(jax.random.PRNGKey(0)):
        assert np.array_equal(random.next_key("t"), a)
    assert not np.array_equal(a, b)

    def draw(key):
        with random.key_scope(key):
            return jax.random.key_data(random.next_key("t"))

    assert np.array_equal(jax.jit(draw)(jax.random.key(0)), a)
    assert jax.vmap(draw)(jax.random.split(jax.random.key(0), 3)).shape == (3, 2)


def test_a_scope_does_not_move_the_default_generator():
    before = fnn.get_rng_state()
    with random.key_scope(jax.random.key(0)):
        random.next_key("t")
    assert np.array_equal(before, fnn.get_rng_state())


@pytest.mark.parametrize("bad", [3, "key", np.zeros(2), jnp.zeros((3, 2), jnp.uint32)])
def test_bad_keys(bad):
    with pytest.raises(TypeError, match="rng must be one JAX PRNG key"):
        random.next_key("dropout", bad)


@pytest.mark.parametrize("transform", [jax.jit, jax.vmap, lambda f: jax.grad(lambda x: f(x).sum())])
def test_a_draw_without_key_under_a_plain_transformation_raises(transform):
    before = fnn.get_rng_state()

    def draw(x):
        random.next_key("dropout")
        return x

    with pytest.raises(RuntimeError, match="dropout: a random draw under a JAX transformation"):
        transform(draw)(jnp.ones(2))
    assert np.array_equal(before, fnn.get_rng_state())


def test_explicit_key_is_used_as_it_is():
    key = jax.random.key(1)
    assert random.next_key("t", key) is key


def test_generators_in_threads_have_their_own_scopes():
    import threading

    seen = []

    def work():
        seen.append(random.current_generator() is random.default_generator)

    with random.key_scope(jax.random.key(0)):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert seen == [True]

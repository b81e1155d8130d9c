"""Attention by blocks against its plain form."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from fnn import kernels
from fnn.kernels.attention import Bounds, Dropout, attention as attention_of_any_size, attention_reference
from tests.memory import let_programs_go
from tests.oracle import assert_close, rand

# Blocks of 16 queries (8 if causal) and steps of two heads, so that small arrays take the paths of large ones.
SMALL = Bounds(small=0, step=2 * 16 * 40, causal_step=2 * 16 * 40, rows=(16, 16), causal_rows=(8, 8))
attention = partial(attention_of_any_size, bounds=SMALL)


def arrays(batch=(2, 3), length=37, source=40, width=4, out=5, dtype=np.float64):
    return [
        rand(i, *batch, *shape).astype(dtype)
        for i, shape in enumerate([(length, width), (source, width), (source, out)])
    ]


def compare(args, mask, causal, second=False):
    cotangent = rand(9, *args[0].shape[:-1], args[2].shape[-1])

    def run(function):
        def loss(q, k, v):
            return (function(q, k, v, mask, causal) * cotangent).sum()

        first = jax.jit(jax.value_and_grad(loss, (0, 1, 2)))(*args)
        if not second:
            return first
        return first, jax.jit(jax.grad(lambda q, k, v: (jax.grad(loss, 1)(q, k, v) ** 2).sum(), (0, 1, 2)))(*args)

    ours, theirs = jax.tree.leaves(run(attention)), jax.tree.leaves(run(attention_reference))
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, rtol=1e-10, atol=1e-11)


MASKS = {
    "none": None,
    "a batch": rand(4, 2, 1, 37, 40) > 0,
    "all": rand(6, 2, 3, 37, 40),
    "queries": np.where(rand(8, 37, 1) > 0, 0.0, -np.inf),
    "shared": rand(3, 37, 40) > 0,
    "a head": rand(5, 3, 37, 40),
    "keys": rand(7, 2, 1, 1, 40) > -0.5,
    "one vector": rand(8, 40),
}


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if i < 4 else pytest.mark.slow) for i, name in enumerate(MASKS)]
)
def test_masks(name):
    compare(arrays(), MASKS[name], False)


@pytest.mark.parametrize(
    ("length", "source"),
    [(37, 40), *(pytest.param(*c, marks=pytest.mark.slow) for c in [(40, 37), (64, 20), (33, 64), (96, 96)])],
)
def test_causal(length, source):
    compare(arrays(length=length, source=source), None, True, second=length == 37)


def test_fast_form_is_what_runs():
    text = str(jax.make_jaxpr(lambda *a: attention(*a))(*arrays()))
    assert "fnn_operation" in text
    with kernels.plain():
        assert "fnn_operation" not in str(jax.make_jaxpr(lambda *a: attention(*a))(*arrays()))


def dropped(key, p, mask=None, causal=False):
    return lambda *args: attention(*args, mask, causal, dropout=Dropout(key, p))


@pytest.mark.one_in(4)
@pytest.mark.parametrize(
    ("name", "causal"),
    [("none", True), ("a batch", False), *(pytest.param(n, False, marks=pytest.mark.slow) for n in ("none", "all"))],
)
@pytest.mark.parametrize("key", [jax.random.key(3), jax.random.PRNGKey(3)], ids=["typed", "words"])
def test_dropout_draws_the_same_in_both_forms(name, causal, key):
    args, cotangent = arrays(), rand(9, 2, 3, 37, 5)
    function = dropped(key, 0.3, MASKS[name], causal)
    assert "fnn_operation" in str(jax.make_jaxpr(function)(*args))

    def run(*args):
        return function(*args), *jax.grad(lambda *a: (function(*a) * cotangent).sum(), (0, 1, 2))(*args)

    ours = jax.jit(run)(*args)
    with kernels.plain():
        theirs = jax.jit(run)(*args)
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, rtol=1e-10, atol=1e-11)


def test_dropout_drops_each_weight_alone():
    """With equal scores and the unit matrix as values, the output is the weights."""
    q, p = jnp.zeros((6, 48, 4)), 0.3
    out = np.asarray(dropped(jax.random.key(0), p)(q, q, jnp.broadcast_to(jnp.eye(48), (6, 48, 48)))) * 48 * (1 - p)
    assert_close(out, np.round(out), atol=1e-10)
    assert set(np.unique(np.round(out))) == {0.0, 1.0}
    deviation = np.sqrt(p * (1 - p))
    assert abs(out.mean() - (1 - p)) < 5 * deviation / np.sqrt(out.size)
    blocks = out.reshape(6, 3, 16, 48).reshape(18, -1)
    # No two blocks are alike, nor two rows of one.
    assert np.abs(np.corrcoef(blocks) - np.eye(18)).max() < 5 / np.sqrt(blocks.shape[1])
    assert len(np.unique(out.reshape(-1, 48), axis=0)) == 6 * 48


@pytest.mark.slow
def test_dropout_of_other_keys_probabilities_and_under_vmap():
    q, k, v = arrays()
    assert "fnn_operation" not in str(jax.make_jaxpr(dropped(jax.random.key(0, impl="rbg"), 0.3))(q, k, v))
    key = jax.random.key(1)
    assert_close(jax.jit(lambda p: dropped(key, p)(q, k, v))(1.0), np.zeros((2, 3, 37, 5)))

    def of_probability(p):
        return (dropped(key, p)(q, k, v) ** 2).sum()

    # Where no draw lies between, the output goes with 1 / (1 - p).
    assert_close(jax.grad(of_probability)(0.3), 2 * of_probability(0.3) / 0.7, rtol=1e-9)
    keys = jax.random.split(key, 3)
    many = jax.vmap(lambda key: jax.grad(lambda q: (dropped(key, 0.3)(q, k, v) ** 2).sum())(q))(keys)
    for one, its_key in zip(many, keys, strict=True):
        assert_close(one, jax.grad(lambda q, key=its_key: (dropped(key, 0.3)(q, k, v) ** 2).sum())(q), rtol=1e-9)
    moved = [rand(10 + i, *a.shape) for i, a in enumerate((q, k, v))]
    ours = jax.jvp(dropped(key, 0.3), (q, k, v), tuple(moved))[1]
    with kernels.plain():
        assert_close(ours, jax.jvp(dropped(key, 0.3), (q, k, v), tuple(moved))[1], rtol=1e-9)


@pytest.mark.slow
def test_gradient_of_the_mask():
    q, k, v = arrays()
    for name in ("a head", "all"):
        ours, theirs = (
            jax.grad(lambda m, f=f: (f(q, k, v, m, False) ** 2).sum())(MASKS[name])
            for f in (attention, attention_reference)
        )
        assert_close(ours, theirs, rtol=1e-10)


@pytest.mark.slow
def test_second_derivatives_forward_mode_and_vmap():
    compare(arrays(), MASKS["a batch"], False, second=True)
    q, k, v = arrays()
    moved = [rand(10 + i, *a.shape) for i, a in enumerate((q, k, v))]
    ours, theirs = (
        jax.jvp(lambda *a, f=f: f(*a, None, True), (q, k, v), tuple(moved))[1] for f in (attention, attention_reference)
    )
    assert_close(ours, theirs, rtol=1e-10)
    many = jnp.stack([q, q + 1])
    ours, theirs = (
        jax.vmap(jax.grad(lambda q, k, f=f: (f(q, k, v, None, True) ** 2).sum(), (0, 1)), (0, None))(many, k)
        for f in (attention, attention_reference)
    )
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, rtol=1e-10)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_narrow_dtypes(dtype):
    args = [jnp.asarray(a, dtype) for a in arrays()]
    ours, theirs = attention(*args, causal=True), attention_reference(*args, None, True)
    assert ours.dtype == dtype
    eps = float(jnp.finfo(dtype).eps)
    assert_close(np.asarray(ours, np.float64), np.asarray(theirs, np.float64), rtol=4 * eps, atol=4 * eps)
    grads = jax.grad(lambda q: attention(q, *args[1:], causal=True).astype(jnp.float32).sum())(args[0])
    assert grads.dtype == dtype


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_random_shapes(data):
    batch = data.draw(st.lists(st.integers(1, 3), max_size=3).map(tuple))
    length, source = data.draw(st.integers(32, 70)), data.draw(st.integers(1, 70))
    causal = data.draw(st.booleans())
    mask = None
    if data.draw(st.booleans()):
        shape = tuple(data.draw(st.sampled_from([1, n])) for n in (*batch, length, source))
        mask = rand(11, *shape) > -0.3 if data.draw(st.booleans()) else rand(11, *shape)
    compare(arrays(batch, length, source, data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))), mask, causal)
    let_programs_go()

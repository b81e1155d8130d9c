"""Adaptive pooling tap by tap against its plain forms, and against windows that are cut out one by one."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from fnn import kernels
from fnn.kernels.pooling.adaptive import (
    adaptive_max_pool,
    adaptive_max_positions,
    adaptive_max_reference,
    adaptive_positions_reference,
    adaptive_sum_pool,
    adaptive_sum_reference,
)
from tests.kernels.derivatives import check_derivatives
from tests.memory import let_programs_go
from tests.oracle import assert_close, rand

CASES = {
    "one axis": ((2, 11), (4,)),
    "two axes": ((2, 9, 8), (4, 3)),
    "three axes": ((1, 5, 4, 7), (3, 3, 2)),
    "more windows than elements": ((2, 3, 4), (7, 5)),
    "repeated elements": ((2, 1, 2), (3, 5)),
    "some axes kept": ((2, 5, 6, 4), (5, 4, 4)),
    "one axis divides": ((2, 8, 7), (4, 3)),
    "one window along an axis": ((2, 6, 7), (1, 4)),
}
PAIRS = [(adaptive_max_pool, adaptive_max_reference), (adaptive_sum_pool, adaptive_sum_reference)]


def compare(x, out, second=False):
    for fast, plain in PAIRS if np.isfinite(x).all() else PAIRS[:1]:
        check_derivatives(partial(fast, out=out), partial(plain, out=out), x, second=second)
    assert_close(adaptive_max_positions(x, out), adaptive_positions_reference(jnp.asarray(x), out))


SLOW = {"three axes", "repeated elements", "one window along an axis", "some axes kept"}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in CASES])
def test_shapes(name):
    shape, out = CASES[name]
    # Few values, so that most windows have ties, which are told apart by the gradient.
    compare(np.random.default_rng(0).integers(0, 4, shape).astype(float), out, second=name == "two axes")


@pytest.mark.one_in(4)
@pytest.mark.parametrize("values", [[0.0, np.nan, 1.0], [-np.inf], [np.inf, -np.inf, np.nan]])
@pytest.mark.parametrize("name", ["one axis", "two axes", "more windows than elements"])
def test_maxima_of_nan_and_infinities(name, values):
    shape, out = CASES[name]
    compare(np.random.default_rng(1).choice(values, shape), out)


def windows_of(sizes, out):
    """The slices of each window, by the definition."""
    axes = [[slice(i * s // o, -(-(i + 1) * s // o)) for i in range(o)] for s, o in zip(sizes, out, strict=True)]
    return zip(itertools.product(*map(range, out)), itertools.product(*axes), strict=True)


@pytest.mark.parametrize("name", ["two axes", "three axes", "more windows than elements"])
def test_windows_one_by_one(name):
    (_, *sizes), out = CASES[name]
    x = np.random.default_rng(3).integers(0, 3, sizes).astype(float)
    best, at, total = (f(jnp.asarray(x), out) for f in (adaptive_max_pool, adaptive_max_positions, adaptive_sum_pool))
    flat = np.arange(x.size).reshape(sizes)
    for number, window in windows_of(sizes, out):
        assert best[number] == x[window].max()
        assert total[number] == x[window].sum()
        # The first maximum in row-major order.
        assert at[number] == flat[window].ravel()[np.argmax(x[window])]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_reaches_its_own_windows_only(bad):
    x = np.ones((9, 8))
    x[2, 5] = bad
    total = adaptive_sum_pool(jnp.asarray(x), (4, 3))
    for number, window in windows_of(x.shape, (4, 3)):
        assert_close(total[number], x[window].sum())
    g = np.ones((4, 3))
    g[0, 1] = bad
    expected = np.zeros((9, 8))
    for number, window in windows_of(x.shape, (4, 3)):
        expected[window] += g[number]
    assert_close(jax.vjp(lambda x: adaptive_sum_pool(x, (4, 3)), jnp.ones((9, 8)))[1](jnp.asarray(g))[0], expected)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("pair", PAIRS)
def test_vmap(pair):
    shape, out = CASES["two axes"]
    x, cotangent = rand(2, *shape[:1], 3, *shape[1:]), rand(3, *shape[:1], *out)
    ours, theirs = (jax.jit(jax.vmap(jax.grad(lambda x, f=f: (f(x, out) * cotangent).sum()), 1, 1))(x) for f in pair)
    assert_close(ours, theirs, rtol=1e-10)
    at = jax.vmap(lambda x: adaptive_max_positions(x, out), 1, 1)(x)
    assert_close(at, adaptive_positions_reference(jnp.asarray(x), out))


@pytest.mark.one_in(2)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16, jnp.uint8])
def test_dtypes(dtype):
    shape, out = CASES["two axes"]
    x = jnp.asarray(rand(4, *shape, low=0.0, high=100.0), dtype)
    assert adaptive_max_pool(x, out).dtype == dtype
    assert_close(adaptive_max_pool(x, out), adaptive_max_reference(x, out))
    assert_close(adaptive_max_positions(x, out), adaptive_positions_reference(x, out))
    if jnp.issubdtype(dtype, jnp.floating):
        ours, theirs = (
            jax.jit(jax.grad(lambda x, f=f: f(x, out).sum()))(x) for f in (adaptive_max_pool, adaptive_max_reference)
        )
        assert ours.dtype == dtype
        assert_close(ours, theirs)


def test_fast_form_is_what_runs_and_what_is_too_large_is_plain():
    def primitives(function, shape, out):
        return str(jax.make_jaxpr(lambda x: function(x, out))(jnp.ones(shape)))

    for function in (adaptive_max_pool, adaptive_max_positions, adaptive_sum_pool):
        assert "fnn_operation" in primitives(function, *CASES["two axes"])
        with kernels.plain():
            assert "fnn_operation" not in primitives(function, *CASES["two axes"])
        assert "fnn_operation" not in primitives(function, (200,), (3,))
        assert "fnn_operation" not in primitives(function, (3,), (200,))


@pytest.mark.one_in(3)
@pytest.mark.parametrize(("shape", "out"), [((0, 9, 8), (4, 3)), ((2, 9, 8), (0, 3)), ((2, 9, 8), (9, 8))])
def test_nothing_to_do(shape, out):
    x = jnp.asarray(rand(5, *shape))
    for function in (adaptive_max_pool, adaptive_max_positions, adaptive_sum_pool):
        assert function(x, out).shape == (*shape[:1], *out)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=3),
    st.sampled_from([(0.0, 1.0, 2.0, 3.0), (-np.inf, 0.0, np.nan), (-np.inf,)]),
)
def test_random_sizes(axes, values):
    sizes, out = zip(*axes, strict=True)
    compare(np.random.default_rng(2).choice(values, (2, *sizes)), out)
    let_programs_go()

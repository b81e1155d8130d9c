"""Pooling one axis at a time against its plain forms."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st

from fnn import functional as F, kernels
from fnn.kernels.pooling import Windows, max_pool, max_positions, sum_pool
from fnn.kernels.pooling.plain import max_pool_reference, max_positions_reference, sum_pool_reference
from tests.kernels.derivatives import check_derivatives
from tests.memory import let_programs_go
from tests.oracle import assert_close, rand

CASES = {
    "tiles": ((2, 6, 8), Windows((2, 2), (2, 2), (0, 0), (1, 1), (3, 4))),
    "overlap": ((2, 9, 8), Windows((3, 3), (2, 2), (1, 1), (1, 1), (5, 4))),
    "stride one": ((2, 5, 6), Windows((3, 3), (1, 1), (1, 1), (1, 1), (5, 6))),
    "large tiles": ((2, 12, 7), Windows((6, 7), (6, 7), (0, 0), (1, 1), (2, 1))),
    "one window": ((3, 7, 7), Windows((7, 7), (7, 7), (0, 0), (1, 1), (1, 1))),
    "gaps, cut off": ((2, 17, 11), Windows((2, 1), (7, 3), (1, 0), (1, 1), (3, 4))),
    "dilated": ((2, 13), Windows((4,), (3,), (5,), (3,), (5,))),
    "last one partial": ((2, 8, 9), Windows((3, 4), (2, 3), (0, 1), (1, 1), (4, 3))),
    "three axes": ((1, 5, 4, 6), Windows((2, 3, 2), (2, 1, 2), (1, 0, 0), (1, 1, 1), (3, 2, 3))),
    "long tiles": ((1, 80), Windows((40,), (40,), (0,), (1,), (2,))),
}


def compare(x, windows, second=False):
    pairs = [(max_pool, max_pool_reference), (sum_pool, sum_pool_reference)]
    for fast, plain in pairs if np.isfinite(x).all() else pairs[:1]:
        check_derivatives(partial(fast, windows=windows), partial(plain, windows=windows), x, second=second)
    assert_close(max_positions(x, windows), max_positions_reference(x, windows))


@pytest.mark.parametrize("taps", [2, 3])
def test_gradient_in_shard_map(taps):
    mesh = jax.make_mesh((1,), ("i",), axis_types=(jax.sharding.AxisType.Auto,))
    x = jnp.asarray(rand(0, 2, 3, 8))

    def gradient(x):
        return jax.grad(lambda x: (F.max_pool1d(x, taps, 2) ** 2).sum())(x)

    spread = jax.P("i")
    assert_close(jax.jit(jax.shard_map(gradient, mesh=mesh, in_specs=spread, out_specs=spread))(x), gradient(x))


SLOW = {"tiles", "three axes", "last one partial", "long tiles"}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in CASES])
def test_shapes(name):
    shape, windows = CASES[name]
    # Few values, so that most windows have ties, which are told apart by the gradient.
    compare(np.random.default_rng(0).integers(0, 4, shape).astype(float), windows, second=name == "overlap")


@pytest.mark.one_in(3)
@pytest.mark.parametrize("values", [[0.0, np.nan, 1.0], [-np.inf], [np.inf, -np.inf, np.nan]])
@pytest.mark.parametrize("name", ["overlap", "large tiles", "one window"])
def test_nan_and_infinities(name, values):
    shape, windows = CASES[name]
    compare(np.random.default_rng(1).choice(values, shape), windows)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_reaches_the_maximum_on_every_axis(dtype):
    windows = Windows((5, 4, 4), (5, 8, 8), (0, 0, 0), (1, 3, 2), (2, 3, 3))
    x = np.random.default_rng(2).choice([-np.inf, 0.0, np.nan], (2, 11, 17, 17)).astype(dtype)
    assert_close(max_pool(x, windows), max_pool_reference(jnp.asarray(x), windows))
    overlapping = Windows((3, 3), (1, 1), (1, 1), (1, 1), (17, 17))
    assert_close(max_pool(x, overlapping), max_pool_reference(jnp.asarray(x), overlapping))


def test_every_gradient_goes_to_the_first_maximum():
    windows = Windows((2, 2), (2, 2), (0, 0), (1, 1), (1, 1))
    for x, first in [
        ([[1, 1], [1, 1]], 0),
        ([[0, 1], [1, 1]], 1),
        ([[0, 0], [1, 1]], 2),
        ([[np.nan, 0], [np.nan, 1]], 2),
    ]:
        x = jnp.asarray(x, float)
        assert np.argmax(jax.grad(lambda x: max_pool(x, windows).sum())(x)) == first == max_positions(x, windows).item()


def test_vmap():
    shape, windows = CASES["overlap"]
    x, cotangent = rand(2, 3, *shape), rand(3, *shape[:1], *windows.out)
    for fast, plain in [(max_pool, max_pool_reference), (sum_pool, sum_pool_reference)]:
        ours, theirs = (
            jax.jit(jax.vmap(jax.grad(lambda x, f=f: (f(x, windows) * cotangent).sum()), 1, 1))(x.swapaxes(0, 1))
            for f in (fast, plain)
        )
        assert_close(ours, theirs, rtol=1e-10)
    at = jax.vmap(lambda x: max_positions(x, windows))(x)
    assert_close(at, max_positions_reference(x, windows))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.uint8])
def test_dtypes(dtype):
    shape, windows = CASES["overlap"]
    x = jnp.asarray(rand(4, *shape, low=0.0, high=100.0), dtype)
    assert_close(max_pool(x, windows), max_pool_reference(x, windows))
    assert max_pool(x, windows).dtype == dtype
    if jnp.issubdtype(dtype, jnp.floating):
        ours, theirs = (
            jax.jit(jax.grad(lambda x, f=f: f(x, windows).sum()))(x) for f in (max_pool, max_pool_reference)
        )
        assert ours.dtype == dtype
        assert_close(ours, theirs)


def test_fast_form_is_what_runs_and_what_is_too_large_is_plain():
    def primitives(function, x, windows):
        return str(jax.make_jaxpr(lambda x: function(x, windows))(x))

    shape, windows = CASES["overlap"]
    for function in (max_pool, max_positions, sum_pool):
        assert "fnn_operation" in primitives(function, jnp.ones(shape), windows)
        with kernels.plain():
            assert "fnn_operation" not in primitives(function, jnp.ones(shape), windows)
    large = Windows((70,), (1,), (0,), (1,), (11,))
    for function in (max_pool, max_positions, sum_pool):
        assert "fnn_operation" not in primitives(function, jnp.ones(80), large)


def test_no_rows():
    shape, windows = CASES["overlap"]
    x = jnp.ones((0, *shape[1:]))
    assert max_pool(x, windows).shape == sum_pool(x, windows).shape == max_positions(x, windows).shape == (0, 5, 4)


@st.composite
def windows_and_sizes(draw):
    n = draw(st.integers(1, 3))
    axes, sizes = [], []
    for _ in range(n):
        kernel, stride, dilation = draw(st.integers(1, 6)), draw(st.integers(1, 8)), draw(st.integers(1, 3))
        if draw(st.booleans()):
            stride, dilation = kernel, 1
        span = dilation * (kernel - 1) + 1
        padding = draw(st.integers(0, span // 2))
        out = draw(st.integers(1, 3))
        # From what a number of windows rounded up to what one rounded down goes with.
        least = max((out - 1) * stride + 1 - padding, dilation, 1)
        most = out * stride + span - padding - 1
        assume(least <= most)
        size = draw(st.integers(least, most))
        axes.append((kernel, stride, padding, dilation, out))
        sizes.append(size)
    return Windows(*zip(*axes, strict=True)), tuple(sizes)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(windows_and_sizes(), st.sampled_from([(0.0, 1.0, 2.0, 3.0), (-np.inf, 0.0, np.nan), (-np.inf,)]))
def test_random_windows(case, values):
    windows, sizes = case
    compare(np.random.default_rng(2).choice(values, (2, *sizes)), windows)
    let_programs_go()

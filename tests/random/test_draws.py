"""Draws against their exact laws: moments, distribution, tails, how many values they have, bounds, in every dtype."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import random
from fnn.random.draws import _truncated_table
from fnn.tensor import drawing

KEY = jax.random.key(11)
SIZE = 30_000
HALF = [jnp.bfloat16, jnp.float16]
INF = math.inf

erf = np.vectorize(math.erf)
erfc = np.vectorize(math.erfc)


def far_from(x, cdf):
    """The statistic of Kolmogorov and Smirnov times the root of the number of draws; above 1.95 in one run of a thousand."""
    x = np.sort(np.asarray(x, np.float64).reshape(-1))
    at = cdf(x)
    steps = np.arange(x.size + 1) / x.size
    return max(np.abs(at - steps[1:]).max(), np.abs(at - steps[:-1]).max()) * math.sqrt(x.size)


def normal_between(low, high, mean=0.0, std=1.0):
    """The distribution function of the normal law between two bounds, by the tail in which no digit is lost."""
    low, high = (low - mean) / std, (high - mean) / std
    sign = -1 if low > 0 else 1

    def mass(a, b):  # between a and b, from the side where both are small
        return (erfc(-b / math.sqrt(2)) - erfc(-a / math.sqrt(2))) / 2

    if sign < 0:
        total = mass(-high, -low)
        return lambda x: mass(-(x - mean) / std, -low * np.ones_like(x)) / total
    total = mass(low, high)
    return lambda x: mass(low * np.ones_like(x), (x - mean) / std) / total


WINDOWS = [
    (-2.0, 2.0, 0.0, 1.0),
    (-0.04, 0.04, 0.0, 0.02),
    (-1.0, 2.0, 0.0, 1.0),
    (6.0, 8.0, 0.0, 1.0),
    (8.0, 9.0, 0.0, 1.0),
    (-36.0, -35.0, 0.0, 1.0),
    (0.0, INF, 0.0, 1.0),
    (-INF, INF, 2.0, 3.0),
    (5.0, INF, 0.0, 1.0),
    (-2.0, 2.0, 0.0, 1e6),
    (-5.0, 3.05, 3.0, 0.1),
]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_truncated_normal_follows_its_law_however_far_out(window, dtype):
    low, high, mean, std = window

    def draw(key):
        return random.truncated_normal(key, (SIZE,), dtype, mean, std, low, high)

    x = draw(KEY)
    assert x.dtype == dtype
    assert np.array_equal(np.asarray(x), np.asarray(jax.jit(draw)(KEY)))
    x = np.asarray(x, np.float64)
    assert low <= x.min()
    assert x.max() <= high
    assert far_from(x, normal_between(low, high, mean, std)) < 1.95
    # As many as the dtype has there, and not those of a grid: by chance few of 30,000 are equal.
    spread, grid = x.max() - x.min(), float(jnp.finfo(dtype).eps) * max(abs(x.max()), abs(x.min()))
    assert len(np.unique(x)) > 0.9 * SIZE * min(1.0, spread / grid / SIZE / 8)


@pytest.mark.parametrize("window", [(6.0, 8.0), (20.0, 30.0), (60.0, 61.0), (-2.0, 2.0), (-INF, INF)])
def test_quantiles_of_the_truncated_normal_are_exact(window):
    mpmath = pytest.importorskip("mpmath")
    low, high = window
    origin, scale, table = _truncated_table(0.0, 1.0, low, high)
    with mpmath.workdps(60):

        def above(z):
            return mpmath.erfc(mpmath.mpf(z) / mpmath.sqrt(2)) / 2

        total = above(low) - above(high)
        width = 257
        for side, first in ((0, 0), (1, 31 * width)):
            for octave, segment in ((0, 0), (3, 40), (20, 100), (30, 5), (30, 256)):
                tail = (mpmath.mpf(2) ** octave * (1 + mpmath.mpf(segment) / 256) + 0.5) / 2**32
                x = origin + (-1 if side else 1) * float(table[first + octave * width + segment]) * scale
                got = (above(x) - above(high)) / total if side else (above(low) - above(x)) / total
                # An error in x counts by the density there.
                error = float(
                    (got - tail) * total / (mpmath.exp(-(mpmath.mpf(x) ** 2) / 2) / mpmath.sqrt(2 * mpmath.pi))
                )
                spread = min(high, 7.0 if low <= 0 else math.sqrt(low * low + 60)) - max(low, -7.0)
                assert abs(error) < 1e-6 * spread, (side, octave, segment)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64, *HALF])
@pytest.mark.parametrize(
    "bounds", [(0.0, 1.0), (2.0, 5.0), (-0.3, 0.3), (-1.0, 0.5), (0.3, 0.4), (100.0, 101.0), (0.0, 1e-7)]
)
def test_uniform_stays_below_its_bound(dtype, bounds):
    low, high = bounds

    def draw(key):
        return random.uniform(key, (4 * SIZE,), dtype, low, high)

    x = np.asarray(draw(KEY)).astype(np.float64)
    assert low <= x.min()
    assert x.max() < high
    coarse = max(float(jnp.finfo(dtype).eps) * max(abs(low), abs(high)), float(jnp.finfo(dtype).smallest_subnormal))
    assert abs(x.mean() - (low + high) / 2) < 5 * (high - low) / math.sqrt(12 * x.size) + coarse / 2
    if coarse * 1e4 < high - low:
        assert far_from(x, lambda v: (v - low) / (high - low)) < 1.95
    if low in (0.0, -high):
        assert np.array_equal(np.asarray(draw(KEY)), np.asarray(jax.jit(draw)(KEY)))
    compiled = np.asarray(jax.jit(draw)(KEY)).astype(np.float64)
    assert low <= compiled.min()
    assert compiled.max() < high


@pytest.mark.parametrize("dtype", HALF)
def test_uniform_of_half_precision_has_every_number_near_0(dtype):
    x = np.asarray(random.uniform(KEY, (200_000,), dtype)).astype(np.float64)
    numbers = np.arange(2 ** (jnp.finfo(dtype).nmant + 1)) / 2 ** (jnp.finfo(dtype).nmant + 1)
    counts = np.histogram(x, [*numbers[::16], 1.0])[0]
    wanted = x.size / len(counts)
    assert np.abs(counts - wanted).max() < 6 * math.sqrt(wanted) + wanted / 16


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64, *HALF])
def test_uniform_with_traced_bounds(dtype):
    draw = jax.jit(lambda low, high: random.uniform(KEY, (SIZE,), dtype, low, high))
    x = np.asarray(draw(jnp.asarray(2.0, dtype), jnp.asarray(5.0, dtype))).astype(np.float64)
    assert x.min() >= 2.0
    assert x.max() < 5.0
    assert abs(x.mean() - 3.5) < 0.02


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64, *HALF])
def test_normal_follows_its_law(dtype):
    x = np.asarray(random.normal(KEY, (SIZE,), dtype, std=0.5)).astype(np.float64)
    if dtype not in HALF:
        assert far_from(x, lambda v: (1 + erf(v / 0.5 / math.sqrt(2))) / 2) < 1.95
        assert len(np.unique(x)) > 0.98 * SIZE
    for power, moment in ((1, 0.0), (2, 0.25), (4, 3 / 16)):
        assert abs((x**power).mean() - moment) < 5 * (x**power).std() / math.sqrt(SIZE)
    assert np.mean(np.abs(x) > 1.5) == pytest.approx(math.erfc(3 / math.sqrt(2)), abs=5 * math.sqrt(0.0027 / SIZE))


LAWS = {
    "exponential": (lambda k, d, n=SIZE: drawing.exponential(k, (n,), d, 2.0), lambda v: -np.expm1(-2 * v)),
    "cauchy": (
        lambda k, d, n=SIZE: drawing.cauchy(k, (n,), d, 1.0, 3.0),
        lambda v: 0.5 + np.arctan((v - 1) / 3) / math.pi,
    ),
    "log_normal": (
        lambda k, d, n=SIZE: drawing.log_normal(k, (n,), d, 0.5, 0.7),
        lambda v: (1 + erf((np.log(v) - 0.5) / 0.7 / math.sqrt(2))) / 2,
    ),
}


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("name", LAWS)
def test_other_laws(name, dtype):
    draw, cdf = LAWS[name]
    x = np.asarray(draw(KEY, dtype))
    assert x.dtype == dtype
    assert np.isfinite(x).all()
    assert far_from(x, cdf) < 1.95
    assert len(np.unique(x)) > 0.98 * SIZE
    assert np.allclose(x, np.asarray(jax.jit(lambda k: draw(k, dtype))(KEY)), rtol=1e-5)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("name", LAWS)
def test_other_laws_in_half_precision_are_rounded_once(name, dtype):
    draw, _ = LAWS[name]
    assert np.array_equal(draw(KEY, dtype), draw(KEY, jnp.float32).astype(dtype))


@pytest.mark.parametrize("words", [0, 1, 2**31 - 1, 2**31, 2**32 - 1])
def test_the_ends_of_the_laws_are_finite_and_not_0(words, monkeypatch):
    monkeypatch.setattr("fnn.random.draws.bits", lambda key, shape: jnp.full(shape, words, np.uint32))
    for dtype in (jnp.float32, jnp.float64):
        waits = float(drawing.exponential(KEY, (1,), dtype, 1.0)[0])
        assert 0 < waits < 50
        assert math.isfinite(float(drawing.cauchy(KEY, (1,), dtype, 0.0, 1.0)[0]))
        if dtype == jnp.float32:
            assert waits == pytest.approx(-math.log((words + 0.5) / 2**32), rel=1e-5)
        assert float(drawing.geometric(KEY, (1,), dtype, 0.5)[0]) >= 1


@pytest.mark.parametrize("p", [1e-12, 0.0, 1e-4, 0.3, 0.9999, 1.0])
def test_bernoulli_of_small_chances(p):
    n = 400_000
    for chance in (p, jnp.full((n,), p, jnp.float32)):
        ones = float(drawing.bernoulli(KEY, (n,), jnp.float32, chance).sum())
        exact = float(np.float32(p)) * n
        assert abs(ones - exact) <= 5 * math.sqrt(max(exact * (1 - p), 0.0)) + (1e-3 if p in (0.0, 1.0) else 1)


def test_geometric_of_a_small_chance():
    x = np.asarray(drawing.geometric(KEY, (SIZE,), jnp.float64, 1e-9))
    assert x.mean() == pytest.approx(1e9, rel=0.03)
    assert len(np.unique(x)) > 0.99 * SIZE
    y = np.asarray(drawing.geometric(KEY, (SIZE,), jnp.int32, 0.25))
    assert y.min() == 1
    assert y.mean() == pytest.approx(4, rel=0.03)


def test_multinomial_without_replacement_follows_the_weights():
    weights = jnp.asarray([1.0, 2.0, 3.0, 4.0])
    drawn = np.asarray(drawing.multinomial(jnp.tile(weights, (SIZE, 1)), 1))
    shares = np.bincount(drawn.reshape(-1), minlength=4) / SIZE
    assert np.abs(shares - np.arange(1, 5) / 10).max() < 0.015

"""Dropout: which elements go together, how often, what the others become, and where the keys come from."""

import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import functional as F
from tests.oracle import assert_close, check_transforms, needs_torch, rand

KEY = jax.random.key(7)
ALPHA = 1.6732632423543772 * 1.0507009873554805
ALL = ["dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"]
SHAPES = {"dropout1d": (3, 4, 5), "dropout2d": (3, 4, 2, 2), "dropout3d": (3, 4, 2, 1, 2)}


def shape_of(name):
    return SHAPES.get(name, (3, 4, 5))


def values_of_alpha(x, p):
    """The value of a kept element ``x`` and of a dropped one, by the paper's formula."""
    a = ((1 - p) * (1 + p * ALPHA**2)) ** -0.5
    b = a * p * ALPHA
    return a * x + b, -a * ALPHA + b


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_dropout_values_and_rate(p):
    x = jnp.asarray(rand(1, 20000, low=1, high=2))
    y = F.dropout(x, p, rng=KEY)
    kept = np.asarray(y) != 0
    assert_close(y[kept], (x / (1 - p))[kept], 1e-12)
    assert abs(kept.mean() - (1 - p)) < 0.015
    assert bool((F.dropout(x, p, rng=KEY) == y).all())
    assert bool((F.dropout(x, p, rng=jax.random.key(8)) != y).any())
    gradient = jax.grad(lambda v: F.dropout(v, p, rng=KEY).sum())(x)
    assert_close(gradient, kept / (1 - p), 1e-12)


@pytest.mark.parametrize("p", [0.1, 0.6])
def test_alpha_dropout_values_and_moments(p):
    x = jax.random.normal(jax.random.key(1), (40000,))
    y = F.alpha_dropout(x, p, True, rng=KEY)
    kept, dropped = values_of_alpha(x, p)
    is_dropped = np.isclose(y, dropped, 1e-12)
    assert_close(y[~is_dropped], kept[~is_dropped], 1e-9)
    assert abs(is_dropped.mean() - p) < 0.015
    assert abs(float(y.mean())) < 0.03
    assert abs(float(y.std()) - 1) < 0.03


@needs_torch
def test_alpha_dropout_against_torch():
    import torch
    import torch.nn.functional as TF

    torch.manual_seed(0)
    for p in (0.2, 0.5, 0.9):
        wanted = np.unique(TF.alpha_dropout(torch.ones(500, dtype=torch.float64), p, True).numpy())
        got = np.unique(F.alpha_dropout(jnp.ones(500), p, True, rng=KEY))
        assert_close(got, wanted, 1e-9)


@pytest.mark.parametrize(
    ("name", "shape", "axes"),
    [
        ("dropout1d", (50, 8, 3), 2),
        ("dropout1d", (400, 3), 1),
        ("dropout2d", (50, 8, 2, 3), 2),
        ("dropout3d", (50, 8, 2, 1, 3), 2),
        ("dropout3d", (400, 2, 1, 3), 1),
        ("feature_alpha_dropout", (50, 8, 4), 2),
        ("feature_alpha_dropout", (50, 8), 2),
    ],
)
def test_channels_go_together(name, shape, axes):
    y = np.asarray(getattr(F, name)(jnp.ones(shape), 0.25, True, rng=KEY)).reshape(*shape[:axes], -1)
    assert (y == y[..., :1]).all()
    kept, dropped = values_of_alpha(1.0, 0.25) if "alpha" in name else (1 / 0.75, 0.0)
    assert_close(np.unique(y), sorted([kept, dropped]), 1e-9)
    assert abs((y[..., 0] == y.max()).mean() - 0.75) < 0.07


def test_ranks_that_torch_deprecates():
    with pytest.warns(UserWarning, match=r"dropout2d: a 3-D input is taken as \(N, C, L\)"):
        y = F.dropout2d(jnp.ones((20, 8, 3)), rng=KEY)
    assert bool((y == y[:, :, :1]).all())
    with pytest.warns(UserWarning, match="dropout2d: a 2-D input is deprecated"):
        assert set(np.unique(F.dropout2d(jnp.ones((20, 8)), rng=KEY))) == {0.0, 2.0}
    with pytest.warns(UserWarning, match="dropout3d: a 3-D input is deprecated"):
        y = F.dropout3d(jnp.ones((40, 8, 3)), rng=KEY)
    assert bool((y == y[:, :1, :1]).all())
    with pytest.warns(UserWarning, match="1-D"), pytest.raises(ValueError, match="dropout2d: input must be at least"):
        F.dropout2d(jnp.ones(20), rng=KEY)


@pytest.mark.parametrize("name", ALL)
def test_draws_nothing_in_eval_mode_or_at_p_0_or_1(name):
    function, x = getattr(F, name), jnp.ones(shape_of(name))
    state = np.asarray(fnn.random.get_rng_state())
    # Under jit a draw without a key would raise.
    assert bool((jax.jit(lambda v: function(v, 0.5, False))(x) == 1).all())
    assert bool((jax.jit(lambda v: function(v, 0.0, True))(x) == 1).all())
    assert bool((jax.jit(lambda v: function(v, 1.0, True))(x) == 0).all())
    assert (np.asarray(fnn.random.get_rng_state()) == state).all()
    integers = jnp.ones(shape_of(name), int)
    assert function(integers, 0.5, False).dtype == integers.dtype
    assert np.isnan(np.asarray(function(x * math.nan, 1.0, True))).all()
    assert function(x[:0], 0.5, True).shape == (0, *x.shape[1:])


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", ALL)
def test_keys(name):
    function, x = getattr(F, name), jnp.ones(shape_of(name))
    with pytest.raises(RuntimeError, match=rf"{name}: a random draw under a JAX transformation"):
        jax.jit(lambda v: function(v, 0.5, True))(x)
    fnn.manual_seed(3)
    first, second = function(x, 0.5, True), function(x, 0.5, True)
    fnn.manual_seed(3)
    assert bool((function(x, 0.5, True) == first).all())
    assert bool((first != second).any())
    keys = jax.random.split(KEY, 3)
    rows = jax.vmap(lambda k: function(x, 0.5, True, rng=k))(keys)
    for row, key in zip(rows, keys, strict=True):
        assert_close(row, function(x, 0.5, True, rng=key))

    def scoped(key, v):
        with fnn.random.key_scope(key):
            return function(v, 0.5, True)

    assert_close(jax.jit(scoped)(KEY, x), scoped(KEY, x), 1e-12)
    legacy = jax.random.key_data(KEY)
    assert_close(function(x, 0.5, True, rng=legacy), function(x, 0.5, True, rng=KEY))


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", ALL)
def test_transforms(name):
    check_transforms(lambda v: getattr(F, name)(v, 0.4, True, rng=KEY), rand(1, *shape_of(name)))


@pytest.mark.parametrize("name", ["dropout", "alpha_dropout"])
def test_traced_probability(name):
    function, x = getattr(F, name), jnp.asarray(rand(1, 30, low=1, high=2))
    run = jax.jit(lambda v, p: function(v, p, True, rng=KEY))
    for p in (0.0, 0.3, 1.0):
        assert_close(run(x, p), function(x, p, True, rng=KEY), 1e-9)
    assert bool(jnp.isfinite(jax.grad(lambda v: run(v, 1.0).sum())(x)).all())


@pytest.mark.parametrize("name", ["dropout", "alpha_dropout"])
def test_dtypes(name):
    for dtype in (jnp.bfloat16, jnp.float16, jnp.float32):
        y = getattr(F, name)(jnp.ones(64, dtype), 0.3, True, rng=KEY)
        wanted = getattr(F, name)(jnp.ones(64), 0.3, True, rng=KEY)
        assert y.dtype == dtype
        assert_close(y.astype(float), wanted, float(jnp.finfo(dtype).eps))
    assert F.dropout(np.ones(4), rng=KEY).dtype == jnp.float64
    assert F.dropout(jnp.ones(4) * 1j, rng=KEY).dtype == jnp.complex128


@needs_torch
@pytest.mark.parametrize("name", ALL)
def test_signatures(name):
    import torch.nn.functional as TF

    theirs = inspect.signature(getattr(TF, name)).parameters.values()
    ours = [p for p in inspect.signature(getattr(F, name)).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in theirs]


@pytest.mark.parametrize("name", ALL)
def test_errors(name):
    function, x = getattr(F, name), jnp.ones(shape_of(name))
    for p in (-0.1, 1.5, math.nan):
        with pytest.raises(ValueError, match=f"{name}: p must be between 0 and 1"):
            function(x, p, False)
    with pytest.raises(TypeError, match=f"{name}: input must be of a floating dtype"):
        function(x.astype(int), 0.5, True)
    with pytest.raises(TypeError, match=f"{name}: input must be an array"):
        function([1.0], 0.5, True)
    with pytest.raises(TypeError, match=f"{name}: rng must be one JAX PRNG key"):
        function(x, 0.5, True, rng=3)


def test_errors_of_ranks():
    with pytest.raises(ValueError, match=r"dropout1d: input must be 2-D \(C, L\) or 3-D \(N, C, L\)"):
        F.dropout1d(jnp.ones(3), training=False)
    with pytest.raises(ValueError, match="feature_alpha_dropout: input must be at least 2-D"):
        F.feature_alpha_dropout(jnp.ones(3), 0.5, True, rng=KEY)
    with pytest.raises(TypeError, match="dropout: p must be a number"):
        F.dropout(jnp.ones(3), "0.5")

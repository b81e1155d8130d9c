"""Initializers as pure functions: distributions, defining properties, errors."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn
from fnn.nn import init
from tests.oracle import assert_close, needs_torch

KEY = jax.random.key(0)


SHAPE = (60, 50, 3)


UNIFORM_BOUNDS = {
    "xavier_uniform": (lambda: init.xavier_uniform(KEY, SHAPE, gain=2.0), 2 * math.sqrt(6 / (330))),
    "kaiming_uniform": (lambda: init.kaiming_uniform(KEY, SHAPE, a=1.0), math.sqrt(3 / 150)),
    "kaiming_uniform out": (
        lambda: init.kaiming_uniform(KEY, SHAPE, mode="fan_out", nonlinearity="relu"),
        math.sqrt(2) * math.sqrt(3 / 180),
    ),
    "uniform": (lambda: init.uniform(KEY, SHAPE, a=-0.5, b=0.5), 0.5),
}


NORMAL_STDS = {
    "xavier_normal": (lambda: init.xavier_normal(KEY, SHAPE), math.sqrt(2 / 330)),
    "kaiming_normal": (lambda: init.kaiming_normal(KEY, SHAPE, nonlinearity="linear"), math.sqrt(1 / 150)),
    "normal": (lambda: init.normal(KEY, SHAPE, std=0.3), 0.3),
}


@pytest.mark.parametrize("name", UNIFORM_BOUNDS)
def test_uniform_bounds_and_moments(name):
    make, bound = UNIFORM_BOUNDS[name]
    x = np.asarray(make())
    assert np.abs(x).max() <= bound * (1 + 1e-6)
    assert np.abs(x).max() > 0.99 * bound
    assert abs(x.std() / (bound / math.sqrt(3)) - 1) < 0.02
    assert abs(x.mean()) < 0.03 * bound


@pytest.mark.parametrize("name", NORMAL_STDS)
def test_normal_moments(name):
    make, std = NORMAL_STDS[name]
    x = np.asarray(make())
    assert abs(x.std() / std - 1) < 0.03
    assert abs(x.mean()) < 0.03 * std


def test_trunc_normal_bounds():
    x = np.asarray(init.trunc_normal(KEY, (5000,), std=1.0, a=-0.5, b=1.0))
    assert x.min() >= -0.5
    assert x.max() <= 1.0
    assert x.std() > 0.3


@pytest.mark.parametrize("shape", [(4, 4), (3, 8), (8, 3), (3, 2, 4)])
def test_orthogonal(shape):
    w = np.asarray(init.orthogonal(KEY, shape, jnp.float64, gain=2.0)).reshape(shape[0], -1)
    small = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    assert_close(small, 4 * np.eye(len(small)), atol=1e-10)
    traced = jax.jit(lambda k: init.orthogonal(k, shape, jnp.float64, gain=2.0))(KEY)
    assert_close(traced.reshape(shape[0], -1), w, 1e-6, 1e-8)


@needs_torch
@pytest.mark.parametrize(("shape", "groups"), [((4, 2, 3), 2), ((3, 3, 3, 3), 1), ((4, 6, 1, 2, 3), 1)])
def test_dirac_is_torchs(shape, groups):
    import torch

    assert_close(init.dirac(None, shape, groups=groups), torch.nn.init.dirac_(torch.empty(shape), groups).numpy())


def test_constants_and_sparse():
    assert_close(init.eye(None, (2, 3)), np.eye(2, 3, dtype=np.float32))
    assert_close(init.ones(None, (2,)), np.ones(2, np.float32))
    assert_close(init.zeros(None, (2,)), np.zeros(2, np.float32))
    assert_close(init.constant(None, (2,), val=3.0), np.full(2, 3.0, np.float32))
    w = np.asarray(init.sparse(KEY, (20, 5), sparsity=0.33))
    assert ((w == 0).sum(0) == 7).all()


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: init.xavier_uniform(KEY, (3,)), ValueError, "xavier_uniform: fan in and fan out need"),
        (lambda: init.kaiming_normal(KEY, (3, 3), mode="fan"), ValueError, "mode must be 'fan_in' or 'fan_out'"),
        (lambda: init.kaiming_normal(KEY, (3, 3), nonlinearity="x"), ValueError, "nonlinearity must be a known name"),
        (lambda: init.calculate_gain("leaky_relu", True), ValueError, "param must be a number"),
        (lambda: init.eye(None, (3,)), ValueError, "only tensors of 2 dimensions"),
        (lambda: init.dirac(None, (3, 3)), ValueError, "only tensors of 3 or 4 or 5 dimensions"),
        (lambda: init.dirac(None, (3, 3, 3), groups=2), ValueError, "divisible by groups"),
        (lambda: init.orthogonal(KEY, (3,)), ValueError, "2 or more dimensions"),
        (lambda: init.sparse(KEY, (3,)), ValueError, "only tensors of 2 dimensions"),
        (lambda: init.normal_(3.0), TypeError, "normal_: tensor must be a Parameter"),
        (lambda: init.normal_(jnp.ones(2), generator=3), TypeError, "generator must be an fnn.Generator"),
    ],
)
def test_bad_arguments(call, error, match):
    with pytest.raises(error, match=match):
        call()


@needs_torch
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Linear", (300, 200)),
        ("Conv2d", (30, 40, 3)),
        ("ConvTranspose2d", (30, 40, 3)),
        ("Bilinear", (30, 20, 40)),
        ("Embedding", (300, 50)),
        ("BatchNorm2d", (50,)),
        ("LayerNorm", (50,)),
    ],
)
def test_layers_draw_torchs_distributions(name, arguments):
    import torch

    fnn.manual_seed(0)
    torch.manual_seed(0)
    ours, theirs = getattr(nn, name)(*arguments), getattr(torch.nn, name)(*arguments)
    for key, value in theirs.state_dict().items():
        mine, expected = np.asarray(ours.state_dict()[key], np.float64), value.double().numpy()
        assert mine.shape == expected.shape
        if expected.size < 30 or expected.std() == 0:
            assert abs(mine.mean() - expected.mean()) <= max(abs(expected).max(), 1e-12)
            continue
        assert mine.std() == pytest.approx(expected.std(), rel=0.25 if expected.size < 500 else 0.05)
        if name != "Embedding":
            assert np.abs(mine).max() == pytest.approx(np.abs(expected).max(), rel=0.1)

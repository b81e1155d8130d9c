"""The compiler option for dense convolutions: which programs get it, and that it changes no result."""

import jax
import jax.numpy as jnp
import pytest

import fnn
from fnn import nn, optim
from fnn.kernels.eigen import counts_on_eigen, eigen_forms, eigen_options, eigen_selected, known
from fnn.nn import functional as F
from tests.oracle import assert_close, rand

OPTION = {
    "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE",
}


# Convolutions of these have some more products than the options are worthwhile for.
X, W = (1, 48, 36, 36), (48, 48, 3, 3)


@pytest.fixture
def options(monkeypatch):
    """The compiler options of every program compiled meanwhile."""
    seen = []
    real = jax.jit

    def spy(*args, compiler_options=None, **kwargs):
        seen.append(compiler_options)
        return real(*args, compiler_options=compiler_options, **kwargs)

    eigen_options()
    monkeypatch.setattr(jax, "jit", spy)
    return seen


def test_this_xla_knows_the_option():
    """Says when XLA drops it; fnn then does without."""
    assert eigen_options() == OPTION


def test_an_unknown_option_is_done_without():
    assert known({"xla_cpu_no_such_option": "1"}) is None
    assert known(OPTION) == OPTION


def marked(function, *args):
    with eigen_forms():
        return counts_on_eigen(jax.make_jaxpr(function)(*args).jaxpr)


def test_which_programs_count_on_it():
    x, w = jnp.zeros(X), jnp.zeros(W)
    assert not eigen_selected()
    assert marked(F.conv2d, x, w)
    assert marked(jax.jit(jax.grad(lambda x, w: F.conv2d(x, w).sum(), 1)), x, w)
    assert marked(lambda x, w: jax.lax.scan(lambda c, _: (c, F.conv2d(c, w)), x, None, 2), x, w)
    assert marked(jax.vmap(F.conv2d, (0, None)), x[None], w)
    assert marked(jax.vjp(F.conv2d, x, w)[1], jnp.zeros((1, 48, 34, 34))) is False
    with eigen_forms():
        pull = jax.vjp(F.conv2d, x, w)[1]
    assert marked(pull, jnp.zeros((1, 48, 34, 34)))
    assert marked(F.conv_transpose2d, x, w)
    assert marked(F.conv3d, jnp.zeros((1, 48, 7, 18, 18)), jnp.zeros((48, 48, 2, 2, 2)))
    assert not marked(F.conv2d, jnp.zeros((1, 480, 36, 36)), jnp.zeros((480, 480, 1, 1)))
    assert not marked(lambda x, w: F.conv2d(x, w, groups=48), jnp.zeros((64, 48, 36, 36)), jnp.zeros((480, 1, 3, 3)))
    assert not marked(F.conv1d, jnp.zeros((8, 48, 1000)), jnp.zeros((48, 48, 3)))
    assert not marked(F.linear, x, jnp.zeros((1000, 36)))
    assert not counts_on_eigen(jax.make_jaxpr(lambda x, w: F.conv2d(x, w))(x, w).jaxpr)


def test_small_convolutions_do_without():
    x, w = jnp.zeros((1, 64, 24, 24)), jnp.zeros((64, 64, 3, 3))
    assert not marked(lambda x, w: F.conv2d(x, w, padding=1), x, w)
    assert marked(lambda x, w: F.conv2d(x, w, padding=1), jnp.zeros((2, 64, 24, 24)), w)
    assert not marked(lambda x, w: F.conv2d(x, w, padding=1, stride=2), jnp.zeros((2, 64, 24, 24)), w)


@pytest.mark.parametrize(("layer", "expected"), [("Conv2d", OPTION), ("Linear", None)])
def test_fnn_jit_sets_it_where_it_helps(layer, expected, options):
    model = nn.Conv2d(48, 48, 3) if layer == "Conv2d" else nn.Linear(36, 3)
    x = jnp.asarray(rand(0, *X), jnp.float32)
    fnn.jit(lambda x: model(x))(x)
    assert expected in options
    assert all(o in (None, expected) for o in options)


@pytest.mark.parametrize("given", [{}, {"xla_cpu_enable_fast_math": False}])
def test_options_of_the_user_come_alone(given, options):
    model = nn.Conv2d(48, 48, 3)
    fnn.jit(lambda x: model(x), compiler_options=given)(jnp.asarray(rand(0, *X), jnp.float32))
    assert given in options
    assert OPTION not in options


@pytest.mark.parametrize(("dtype", "rtol"), [(jnp.float32, 1e-5), (jnp.float64, 1e-10)])
def test_training_is_as_without(dtype, rtol):
    def train(**options):
        fnn.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, stride=2)).to(dtype)
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        @fnn.jit(**options)
        def step(x):
            return optimizer.step(lambda: (model(x) ** 2).mean())

        x = jnp.asarray(rand(0, 4, 16, 52, 52), dtype)
        losses = [float(step(x)) for _ in range(5)]
        return losses, list(model.state_dict().values())

    for a, b in zip(jax.tree.leaves(train()), jax.tree.leaves(train(compiler_options={})), strict=True):
        assert_close(a, b, rtol, rtol)


def test_within_another_program():
    """Where no options may be set, the same function runs without."""
    model = nn.Conv2d(48, 48, 3)
    run = fnn.jit(lambda x: model(x))
    x = jnp.asarray(rand(0, *X), jnp.float32)
    assert_close(jax.jit(run)(x), run(x), 1e-5, 1e-6)
    assert_close(jax.grad(lambda x: run(x).sum())(x), jax.grad(lambda x: model(x).sum())(x), 1e-5, 1e-6)

"""The compiler option for dense convolutions: which programs get it, and that it changes no result."""

import jax
import jax.numpy as jnp
import pytest

import fnn
from fnn import nn, optim
from fnn.kernels import library
from fnn.kernels.conv import choice as _conv_forms
from fnn.kernels.library import library_forms, library_options, library_selected, uses_library
from fnn.nn import functional as F
from tests.oracle import assert_close, rand

OPTION = {
    "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE",
}


@pytest.fixture(autouse=True)
def small_ones_too(monkeypatch):
    monkeypatch.setattr(_conv_forms, "WORTHWHILE", 0)


@pytest.fixture
def options(monkeypatch):
    """The compiler options of every program compiled meanwhile."""
    seen = []
    real = jax.jit

    def spy(*args, compiler_options=None, **kwargs):
        seen.append(compiler_options)
        return real(*args, compiler_options=compiler_options, **kwargs)

    library_options()
    monkeypatch.setattr(jax, "jit", spy)
    return seen


def test_this_xla_knows_the_option():
    """Says when XLA drops it; fnn then does without."""
    assert library_options() == OPTION


def test_an_unknown_option_is_done_without(monkeypatch):
    monkeypatch.setattr(library, "_OPTIONS", {"xla_cpu_no_such_option": "1"})
    assert library_options.__wrapped__() is None


def marked(function, *args):
    with library_forms():
        return uses_library(jax.make_jaxpr(function)(*args).jaxpr)


def test_which_programs_count_on_it():
    x, w = rand(0, 1, 2, 5, 5), rand(1, 3, 2, 3, 3)
    assert not library_selected()
    assert marked(F.conv2d, x, w)
    assert marked(jax.jit(jax.grad(lambda x, w: F.conv2d(x, w).sum(), 1)), x, w)
    assert marked(lambda x, w: jax.lax.scan(lambda c, _: (c, F.conv2d(c, w)), x, None, 2), x, w)
    assert marked(jax.vmap(F.conv2d, (0, None)), x[None], w)
    assert marked(jax.vjp(F.conv2d, x, w)[1], rand(2, 1, 3, 3, 3)) is False
    with library_forms():
        pull = jax.vjp(F.conv2d, x, w)[1]
    assert marked(pull, rand(2, 1, 3, 3, 3))
    assert marked(F.conv_transpose2d, x, rand(1, 2, 3, 3, 3))
    assert marked(F.conv3d, rand(0, 1, 2, 3, 4, 4), rand(1, 3, 2, 2, 2, 2))
    assert not marked(F.conv2d, x, rand(1, 3, 2, 1, 1))
    assert not marked(lambda x, w: F.conv2d(x, w, groups=2), x, rand(1, 2, 1, 3, 3))
    assert not marked(F.conv1d, rand(0, 1, 2, 5), rand(1, 3, 2, 3))
    assert not marked(F.linear, x, rand(1, 4, 5))
    assert not uses_library(jax.make_jaxpr(lambda x, w: F.conv2d(x, w))(x, w).jaxpr)


def test_small_convolutions_do_without(monkeypatch):
    monkeypatch.setattr(_conv_forms, "WORTHWHILE", 5 * 5 * 3 * 2 * 3 * 3 + 1)
    x, w = rand(0, 1, 2, 5, 5), rand(1, 3, 2, 3, 3)
    assert not marked(lambda x, w: F.conv2d(x, w, padding=1), x, w)
    assert marked(lambda x, w: F.conv2d(x, w, padding=1), rand(0, 2, 2, 5, 5), w)
    assert not marked(lambda x, w: F.conv2d(x, w, padding=1, stride=2), rand(0, 2, 2, 5, 5), w)


@pytest.mark.parametrize(("layer", "expected"), [("Conv2d", OPTION), ("Linear", None)])
def test_fnn_jit_sets_it_where_it_helps(layer, expected, options):
    model = nn.Conv2d(2, 3, 3) if layer == "Conv2d" else nn.Linear(5, 3)
    x = jnp.asarray(rand(0, 1, 2, 5, 5), jnp.float32)
    fnn.jit(lambda x: model(x))(x)
    assert expected in options
    assert all(o in (None, expected) for o in options)


@pytest.mark.parametrize("given", [{}, {"xla_cpu_enable_fast_math": False}])
def test_options_of_the_user_come_alone(given, options):
    model = nn.Conv2d(2, 3, 3)
    fnn.jit(lambda x: model(x), compiler_options=given)(jnp.asarray(rand(0, 1, 2, 5, 5), jnp.float32))
    assert given in options
    assert OPTION not in options


@pytest.mark.parametrize(("dtype", "rtol"), [(jnp.float32, 1e-5), (jnp.float64, 1e-10)])
def test_training_is_as_without(dtype, rtol):
    def train(**options):
        fnn.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 3, stride=2)).to(dtype)
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        @fnn.jit(**options)
        def step(x):
            return optimizer.step(lambda: (model(x) ** 2).mean())

        x = jnp.asarray(rand(0, 4, 2, 12, 12), dtype)
        losses = [float(step(x)) for _ in range(5)]
        return losses, list(model.state_dict().values())

    for a, b in zip(jax.tree.leaves(train()), jax.tree.leaves(train(compiler_options={})), strict=True):
        assert_close(a, b, rtol, rtol)


def test_within_another_program():
    """Where no options may be set, the same function runs without."""
    model = nn.Conv2d(2, 3, 3)
    run = fnn.jit(lambda x: model(x))
    x = jnp.asarray(rand(0, 1, 2, 5, 5), jnp.float32)
    assert_close(jax.jit(run)(x), run(x), 1e-5, 1e-6)
    assert_close(jax.grad(lambda x: run(x).sum())(x), jax.grad(lambda x: model(x).sum())(x), 1e-5, 1e-6)

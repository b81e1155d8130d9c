"""The gradient of normalization against the derivative of its plain form."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from fnn import kernels
from fnn.kernels.normalize import Bounds, batch_moments, moments, normalize
from fnn.nn import functional as F
from tests.kernels.derivatives import derivatives
from tests.memory import let_programs_go
from tests.oracle import assert_close, needs_torch, rand

DEFAULT = Bounds()
CASES = {
    "batch": ((4, 3, 5, 2), (1, 3, 1, 1), (0, 2, 3)),
    "instance": ((2, 3, 5), (1, 3, 1), (2,)),
    "layer": ((3, 4, 5), (1, 1, 5), (2,)),
    "two axes": ((3, 4, 5), (1, 4, 5), (1, 2)),
    "whole": ((6,), (6,), (0,)),
}


# With these, small arrays take the path of large ones, whose sums are taken in one pass.
AT_ONCE = Bounds(small=0)


@needs_torch
@pytest.mark.one_in(5)
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(("mean", "deviation"), [(-1e4, 0.1), (1e3, 1.0), (-100.0, 0.1)])
@pytest.mark.parametrize("name", ["layer_norm", "group_norm", "instance_norm", "batch_norm", "rms_norm"])
def test_float32_far_from_0_is_no_worse_than_torchs(name, mean, deviation, large):
    import torch

    options = {
        "layer_norm": {"normalized_shape": (90,)},
        "rms_norm": {"normalized_shape": (90,)},
        "group_norm": {"num_groups": 2},
        "batch_norm": {"running_mean": None, "running_var": None, "training": True},
    }.get(name, {})
    rng = np.random.default_rng(3)
    shape = (64, 60, 90) if large else (16, 8, 90)  # on both sides of Bounds.small
    x = (rng.standard_normal(shape) * deviation + mean).astype(np.float32)
    dy = rng.standard_normal(shape).astype(np.float32)

    def theirs(dtype):
        t = torch.tensor(x).to(dtype).requires_grad_()
        out = getattr(torch.nn.functional, name)(t, **options)
        return [v.detach().double().numpy() for v in (out, *torch.autograd.grad(out, t, torch.tensor(dy).to(dtype)))]

    out, pull = jax.vjp(lambda x: getattr(F, name)(x, **options), jnp.asarray(x))
    exact = theirs(torch.float64)
    for ours, their, right in zip((out, *pull(jnp.asarray(dy))), theirs(torch.float32), exact, strict=True):
        assert np.abs(np.asarray(ours, np.float64) - right).max() <= 2 * np.abs(their - right).max()


def results(x, weight, bias, axes, second=False, bounds=DEFAULT):
    def function(x, *given):
        given = list(given)
        w = given.pop(0) if weight is not None else None
        return normalize(x, w, given[0] if given else None, 1e-3, axes, bounds=bounds)

    return derivatives(function, x, *(v for v in (weight, bias) if v is not None), second=second)


def compare(x, weight, bias, axes, second=False, bounds=DEFAULT):
    ours = results(x, weight, bias, axes, second, bounds)
    with kernels.plain():
        theirs = results(x, weight, bias, axes, second)
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("name", CASES)
def test_against_the_plain_form(name):
    shape, parameters, axes = CASES[name]
    compare(rand(0, *shape), rand(1, *parameters), rand(2, *parameters), axes, second=name in ("batch", "layer"))


@pytest.mark.parametrize("shift", [0.0, 100.0])
@pytest.mark.parametrize("name", ["batch", "layer"])
def test_in_one_pass_against_the_plain_form(name, shift):
    shape, parameters, axes = CASES[name]
    compare(rand(0, *shape) + shift, rand(1, *parameters), rand(2, *parameters), axes, shift == 0, AT_ONCE)


def test_one_pass_loses_nothing_far_from_zero():
    """A mean of 256 deviations leaves two digits of the variance in a sum of squares in float32."""
    exact = rand(0, 4, 3, 50) + np.array([0.0, 256.0, 0.5])[:, None]
    x, dy = jnp.asarray(exact, jnp.float32), jnp.asarray(rand(1, *exact.shape), jnp.float32)

    def both(x, dy):
        out, pull = jax.vjp(lambda x: normalize(x, None, None, 0.0, (0, 2), bounds=AT_ONCE), x)
        return out, pull(dy)[0], batch_moments(x, (0, 2), bounds=AT_ONCE)[1]

    with kernels.plain():
        expected = jax.jit(both)(x.astype(float), dy.astype(float))
    for a, b in zip(jax.jit(both)(x, dy), expected, strict=True):
        assert_close(a, b, rtol=1e-5, atol=1e-5)
    assert_close(expected[2][0, :, 0], np.asarray(x, np.float64).var((0, 2)), rtol=1e-5)


def test_one_pass_of_constants_and_nan():
    x = rand(0, 4, 3, 5)
    x[:, 0], x[1, 1, 2] = 7.5, np.nan
    mean, var = batch_moments(x, (0, 2), bounds=AT_ONCE)
    assert_close(var[0, 0, 0], 0.0, atol=0)
    assert np.isnan([mean[0, 1, 0], var[0, 1, 0]]).all()
    assert_close(var[0, 2, 0], x[:, 2].var(), rtol=1e-12)
    out = normalize(x, None, None, 1e-5, (0, 2), bounds=AT_ONCE)
    assert_close(out[:, 0], np.zeros((4, 5)), atol=1e-12)


def test_moments_of_a_batch():
    x, in_one_pass = rand(0, 4, 3, 5), partial(batch_moments, bounds=AT_ONCE)
    for part in (moments, in_one_pass):
        mean, var = part(x, (0, 2))
        assert_close(mean[0, :, 0], x.mean((0, 2)), rtol=1e-12)
        assert_close(var[0, :, 0], x.var((0, 2)), rtol=1e-12)
    mapped = jax.vmap(lambda x: in_one_pass(x, (1,))[1])(x)
    assert_close(mapped[..., 0], x.var(2), rtol=1e-12)
    slopes = [jax.grad(lambda x, f=f: (f(x, (0, 2))[1] ** 2).sum())(jnp.asarray(x)) for f in (moments, in_one_pass)]
    assert_close(*slopes, rtol=1e-12)


@pytest.mark.parametrize(("weighted", "biased"), [(True, False), (False, True), (False, False)])
def test_without_weight_or_bias(weighted, biased):
    shape, parameters, axes = CASES["batch"]
    compare(rand(0, *shape), rand(1, *parameters) if weighted else None, rand(2, *parameters) if biased else None, axes)


def test_float32_to_rounding():
    shape, parameters, axes = CASES["batch"]
    arrays = [jnp.asarray(rand(i, *s), jnp.float32) for i, s in enumerate((shape, parameters, parameters))]
    exact = results(*(np.asarray(a, np.float64) for a in arrays), axes)
    for a, b in zip(results(*arrays, axes), exact, strict=True):
        assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_vmap():
    shape, parameters, axes = CASES["layer"]
    xs, w, b = rand(0, 2, *shape), rand(1, *parameters), rand(2, *parameters)

    def gradients(x):
        return jax.grad(lambda x, w, b: (normalize(x, w, b, 1e-3, axes) ** 3).sum(), (0, 1, 2))(x, w, b)

    for a, b in zip(jax.vmap(gradients)(xs), zip(*map(gradients, xs), strict=True), strict=True):
        assert_close(a, jnp.stack(b), rtol=1e-10, atol=1e-11)


def test_deep_stacks_are_not_computed_anew_for_each_layer():
    """XLA would fuse a residual stream from its beginning into every layer, so that programs grew with the depth squared."""

    def lines(depth):
        def loss(ws, x):
            for w in ws:
                x = F.layer_norm(x + jnp.tanh(x @ w), (4,))
            return (x**2).sum()

        program = jax.jit(jax.value_and_grad(loss)).lower([jnp.ones((4, 4))] * depth, jnp.ones((3, 4))).compile()
        return len(program.as_text().splitlines())

    first, second, third = map(lines, (4, 8, 12))
    assert third - second < 1.2 * (second - first)


@pytest.mark.slow
@pytest.mark.parametrize("small", [0, 1 << 18])
@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_random_shapes(small, shape, data):
    """By either form, those of one pass at several distances from 0."""
    shift = data.draw(st.sampled_from([0.0, 1.0, 50.0]))
    axes = tuple(sorted(data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))))
    parameters = tuple(size if data.draw(st.booleans()) else 1 for size in shape)
    both = rand(1, *parameters), rand(2, *parameters)
    compare(rand(0, *shape) + shift, *both, axes, bounds=Bounds(small=small))
    let_programs_go()

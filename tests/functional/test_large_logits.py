"""What takes exponentials relative to the largest value, of logits that a compiled program makes: finite, and right."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn.nn.functional as F
from fnn import nn
from fnn.tensor import reducing

ROWS, CLASSES = 6, 40
NOISE = np.random.default_rng(0).standard_normal((ROWS, CLASSES))
LABELS = np.arange(ROWS)

# The rest of the suite is compiled without optimization, by which nothing is fused.
OPTIONS: dict[str, Any] = {"xla_backend_optimization_level": 3, "xla_llvm_disable_expensive_passes": False}
if "xla_cpu_use_fusion_emitters" in os.environ["XLA_FLAGS"]:  # conftest turned them off, where XLA has the flag
    OPTIONS["xla_cpu_use_fusion_emitters"] = True

INPUTS = {
    "ordinary": NOISE * 3,
    "masked": np.where(np.arange(ROWS)[:, None] < 3, -1e9 + 200 * NOISE, NOISE),
    "one value": np.full_like(NOISE, -1e9),
    "huge": NOISE * 1e12,
    "with holes": np.where(NOISE > 0.5, -np.inf, NOISE * 1e9),
}

# The producers of the logits; those of one operation round once, and so have a truth in float64.
EXACT: dict[str, Callable[[jax.Array], jax.Array]] = {
    "divided": lambda x: x / 0.3,
    "scaled": lambda x: x * 1.7,
    "temperature": lambda x: x * jnp.asarray(NOISE[0, 0] ** 2 + 0.1, x.dtype),
}
SEVERAL: dict[str, Callable[[jax.Array], jax.Array]] = {
    "sum": lambda x: x * 1.7 + x * 0.3,
    "scaled mask": lambda x: (x + jnp.asarray(NOISE, x.dtype)) * 3.3,
    "scale and shift": lambda x: x * 0.7 - 11,
    "product": lambda x: x * jnp.asarray(abs(NOISE) + 0.1, x.dtype),
}


def _softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _log_softmax(x: np.ndarray) -> np.ndarray:
    below = x - x.max(-1, keepdims=True)
    return below - np.log(np.exp(below).sum(-1, keepdims=True))


def _cross_entropy(x: np.ndarray) -> np.ndarray:
    return -_log_softmax(x)[np.arange(ROWS), LABELS]


def _attention(scores: Any) -> Any:
    """Attention whose scores are the given ones: a mask over products that are 0."""
    zero = jnp.zeros((ROWS, 1), scores.dtype)
    return F.scaled_dot_product_attention(
        zero, jnp.zeros((CLASSES, 1), scores.dtype), jnp.eye(CLASSES, dtype=scores.dtype), scores
    )


def _with_weights(scores: Any) -> Any:
    zero = jnp.zeros((CLASSES, 1, 1), scores.dtype)
    mixed = jnp.zeros((3, 1), scores.dtype)
    one = jnp.ones((1, 1), scores.dtype)
    return F.multi_head_attention_forward(
        zero[:ROWS],
        zero,
        zero,
        1,
        1,
        mixed,
        None,
        None,
        None,
        False,
        0.0,
        one,
        None,
        attn_mask=scores,
        need_weights=True,
    )[1][0]


# The function, its truth in float64, and whether its result is a distribution in each row.
FUNCTIONS: dict[str, tuple[Callable[..., Any], Callable[[np.ndarray], np.ndarray], bool]] = {
    "softmax": (lambda x: F.softmax(x, -1), _softmax, True),
    "softmin": (lambda x: F.softmin(x, -1), lambda x: _softmax(-x), True),
    "log_softmax": (lambda x: F.log_softmax(x, -1), _log_softmax, False),
    "cross_entropy": (lambda x: F.cross_entropy(x, LABELS, reduction="none"), _cross_entropy, False),
    "cross_entropy of probabilities": (
        lambda x: F.cross_entropy(x, jnp.full(x.shape, 1 / CLASSES, x.dtype), reduction="none"),
        lambda x: -_log_softmax(x).mean(-1),
        False,
    ),
    "cross_entropy smoothed": (
        lambda x: F.cross_entropy(x, LABELS, label_smoothing=0.25, reduction="none"),
        lambda x: 0.75 * _cross_entropy(x) - 0.25 * _log_softmax(x).mean(-1),
        False,
    ),
    "logsumexp": (
        lambda x: reducing.logsumexp(x, -1),
        lambda x: x.max(-1) + np.log(np.exp(x - x.max(-1, keepdims=True)).sum(-1)),
        False,
    ),
    "attention": (_attention, _softmax, True),
    "attention with weights": (_with_weights, _softmax, True),
}


def _total(function: Callable[..., Any], producer: Callable[..., Any], x: jax.Array) -> jax.Array:
    """A number whose gradient has a part of each result."""
    out = function(producer(x)).astype(jnp.float32)
    return jnp.sum(out * jnp.linspace(0.5, 1, out.size, dtype=jnp.float32).reshape(out.shape))


def _compiled(function: Callable[..., Any], x: Any) -> Any:
    return jax.jit(function, compiler_options=OPTIONS)(x)


@pytest.mark.one_in(97)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize("producer", [*EXACT, *SEVERAL])
def test_logits_made_in_the_program(producer: str, inputs: str, name: str, dtype: str) -> None:
    make = {**EXACT, **SEVERAL}[producer]
    function, truth, distribution = FUNCTIONS[name]
    sign = -1 if name == "softmin" and inputs == "with holes" else 1
    x = jnp.asarray(sign * INPUTS[inputs]).astype(dtype)
    infinite = inputs == "with holes" and not distribution and name != "logsumexp"
    value = np.asarray(_compiled(lambda x: function(make(x)), x), np.float64)
    gradient = np.asarray(_compiled(jax.grad(lambda x: _total(function, make, x)), x), np.float64)
    assert not np.isnan(value).any()
    if not infinite:
        assert np.isfinite(value).all()
        assert np.isfinite(gradient).all()
    if distribution:
        np.testing.assert_allclose(value.sum(-1), 1, rtol=1e-5 if dtype == "float32" else 2e-2)
    if producer in EXACT and dtype == "float32":
        # Compiled too: in a program XLA divides by a constant by multiplying with its reciprocal, which rounds otherwise.
        logits = np.asarray(_compiled(make, x), np.float64)
        with np.errstate(invalid="ignore"):
            expected = truth(logits)
        close = np.isfinite(expected)
        # Two errors are there in any float32 computation: an exponential is off by the rounding of `logit - peak`, which is
        # relative to that difference, and the logarithm of a sum near 1 by the rounding of the sum.
        rounding = np.finfo(np.float32).eps / 2
        if distribution:
            below = -_log_softmax(-logits if name == "softmin" else logits)
            allowed = 1e-30 + expected * (1e-6 + rounding * np.minimum(below, 104))
        else:
            allowed = 2 * rounding + 2e-6 * abs(expected)
        assert (abs(value[close] - expected[close]) <= allowed[close]).all()
        if not infinite:
            weights = np.linspace(0.5, 1, value.size, dtype=np.float32).astype(np.float64).reshape(value.shape)
            with jax.enable_x64(True):
                exact = jax.grad(lambda x: jnp.sum(function(x) * weights))(jnp.asarray(logits))
                factor = np.asarray(jax.grad(lambda x: jnp.sum(make(x)))(jnp.zeros_like(x)), np.float64)
            np.testing.assert_allclose(gradient, np.asarray(exact) * factor, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("length", [4, 600])
def test_attention_under_a_mask_of_minus_1e9(length: int) -> None:
    """A query whose keys are all masked so looks at them evenly, in gradients too; 600 is computed by blocks."""
    rng = np.random.default_rng(1)
    q, k, v, g = (rng.standard_normal((1, length, 8)) for _ in range(4))
    mask = np.where(np.arange(length)[:, None] % 2, -1e9, 0.0) * np.ones((1, length))

    def total(dtype: Any) -> Callable[..., jax.Array]:
        args = (jnp.asarray(a, dtype) for a in (mask, g))
        m, w = args
        return lambda q, k, v, s: jnp.sum(F.scaled_dot_product_attention(q, k, v, m * s) * w)

    got = jax.jit(jax.grad(total(jnp.float32), (0, 1, 2)), compiler_options=OPTIONS)(
        *(jnp.asarray(a, jnp.float32) for a in (q, k, v)), jnp.float32(1.1)
    )
    even = mask.astype(bool)[:, :1]
    q_seen = np.where(even, 0, q)  # scores of masked queries are lost beside -1e9 in float32
    want = jax.grad(total(jnp.float64), (0, 1, 2))(*map(jnp.asarray, (q_seen, k, v)), 1.1)
    np.testing.assert_allclose(got[2], want[2], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(
        np.asarray(got[0])[0, ~even[:, 0]], np.asarray(want[0])[0, ~even[:, 0]], rtol=1e-3, atol=1e-5
    )


@pytest.mark.parametrize("hard", [False, True])
def test_gumbel_softmax_of_large_logits(hard: bool) -> None:
    x = jnp.asarray(INPUTS["huge"], jnp.float32)
    out = _compiled(lambda x: F.gumbel_softmax(x * 1.7, 0.3, hard, rng=jax.random.key(0)), x)
    np.testing.assert_allclose(np.asarray(out).sum(-1), 1, rtol=1e-6)


def test_adaptive_softmax_and_ctc_of_large_logits() -> None:
    layer = nn.AdaptiveLogSoftmaxWithLoss(CLASSES, 30, [10, 20], dtype=jnp.float32)
    x = jnp.asarray(NOISE * 1e9, jnp.float32)
    assert np.isfinite(np.asarray(_compiled(lambda x: layer.log_prob(x * 1.7), x))).all()
    logits = jnp.asarray(NOISE[:, None] * 1e9, jnp.float32)

    def loss(x: jax.Array) -> jax.Array:
        return F.ctc_loss(F.log_softmax(x * 1.7, -1), jnp.array([[1, 2]]), jnp.array([ROWS]), jnp.array([2]))

    assert np.isfinite(_compiled(loss, logits))
    assert np.isfinite(np.asarray(_compiled(jax.grad(loss), logits))).all()

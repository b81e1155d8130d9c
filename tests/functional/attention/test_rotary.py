"""Rotary embedding against products of complex numbers, and against Hugging Face's Llama and GPT-J."""

import importlib.util
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import functional as F
from tests.oracle import HAS_TORCH, assert_close, check_transforms, from_torch, rand, to_torch

needs_transformers = pytest.mark.skipif(
    not HAS_TORCH or importlib.util.find_spec("transformers") is None,
    reason="transformers, the oracle, is not installed",
)
X = rand(0, 2, 3, 5, 8)
LLAMA3 = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}


def rotated(x, angles, interleaved):
    """The pairs as complex numbers, times exp(i angle)."""
    dim = 2 * angles.shape[-1]
    turned, rest = x[..., :dim], x[..., dim:]
    a, b = (turned[..., 0::2], turned[..., 1::2]) if interleaved else np.split(turned, 2, -1)
    z = (a + 1j * b) * np.exp(1j * angles)
    if interleaved:
        return np.concatenate([np.stack([z.real, z.imag], -1).reshape(turned.shape), rest], -1)
    return np.concatenate([z.real, z.imag, rest], -1)


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize(
    ("positions", "full", "base", "dim"),
    [
        (np.arange(5), (1, 1, 5), 10000.0, None),
        (np.array([[3, 4, 5, 6, 7], [100, 2, 0, 9, 9]]), (2, 1, 5), 500.0, None),
        (np.arange(10).reshape(2, 1, 5) * 1.5, (2, 1, 5), 10000.0, 4),
        (np.arange(30).reshape(2, 3, 5), (2, 3, 5), 10.0, 6),
        (np.array([7]), (1, 1, 1), 10000.0, 2),
    ],
)
def test_it_is_a_product_of_complex_numbers(positions, full, base, dim, interleaved):
    count = X.shape[-1] if dim is None else dim
    frequencies = base ** (-np.arange(0, count, 2) / count)
    wanted = rotated(X, positions.reshape(full)[..., None] * frequencies, interleaved)
    options = {"interleaved": interleaved, "dim": dim}
    assert_close(F.rotary_embedding(X, positions, base=base, **options), wanted, 1e-12, 1e-12)
    assert_close(F.rotary_embedding(X, positions, frequencies=frequencies, **options), wanted, 1e-12, 1e-12)
    angles = positions[..., None] * frequencies
    assert_close(F.rotary_embedding(X, cos=np.cos(angles), sin=np.sin(angles), **options), wanted, 1e-12, 1e-12)
    assert_close(F.rotary_frequencies(count, base=base, dtype=jnp.float64), frequencies, 1e-15)


def test_products_depend_on_distances_alone():
    q, k = X[..., :1, :], X[..., 1:2, :]

    def product(i, j):
        turned = [F.rotary_embedding(x, jnp.array([p])) for x, p in ((q, i), (k, j))]
        return jnp.sum(turned[0] * turned[1], -1)

    assert_close(product(3, 1), product(1003, 1001), 1e-9, 1e-12)
    assert not np.allclose(product(3, 1), product(4, 1))


def test_transformations():
    check_transforms(lambda x: F.rotary_embedding(x, jnp.arange(3), interleaved=True, dim=2), X[0, :, :3, :4])
    # A rotation has its inverse as transpose.
    y, back = jax.vjp(lambda x: F.rotary_embedding(x, jnp.arange(5)), jnp.asarray(X))
    assert_close(back(y)[0], X, 1e-12, 1e-12)
    # The derivative in the frequencies, for those who train them.
    w = jnp.asarray(rand(1, 4))
    slope = jax.grad(lambda w: jnp.sum(F.rotary_embedding(X, jnp.arange(5), frequencies=w) * X[::-1]))(w)
    step = 1e-6 * jnp.eye(4)
    for i in range(4):
        ends = [jnp.sum(F.rotary_embedding(X, jnp.arange(5), frequencies=w + s) * X[::-1]) for s in (step[i], -step[i])]
        assert_close(slope[i], (ends[0] - ends[1]) / 2e-6, 1e-6)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_angles_of_low_precision_inputs_are_in_float32(dtype):
    positions = 4000 + np.arange(5)
    x = jnp.asarray(X, dtype)
    out = F.rotary_embedding(x, positions)
    assert out.dtype == dtype
    wanted = rotated(np.asarray(x, np.float64), positions[:, None] * 10000.0 ** (-np.arange(4) / 4), False)
    # Only the result is rounded: bfloat16 itself could not hold the positions.
    assert_close(np.asarray(out, np.float64), wanted, float(jnp.finfo(dtype).eps), 5e-4)


@needs_transformers
@pytest.mark.parametrize(
    "scaling", [{"rope_type": "default"}, {"rope_type": "llama3", **LLAMA3}, {"rope_type": "linear", "factor": 4.0}]
)
def test_against_llama(scaling):
    import torch
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

    config = LlamaConfig(
        hidden_size=64,
        num_attention_heads=2,
        max_position_embeddings=512,
        rope_parameters={"rope_theta": 1000.0, **scaling},
    )
    q, k = rand(2, 2, 2, 6, 32).astype(np.float32), rand(3, 2, 1, 6, 32).astype(np.float32)
    positions = np.array([[0, 1, 2, 3, 4, 5], [90, 91, 92, 93, 94, 95]])
    cos, sin = LlamaRotaryEmbedding(config)(torch.zeros(1), torch.from_numpy(positions))
    wanted = apply_rotary_pos_emb(*to_torch([q, k]), cos, sin)
    frequencies = F.rotary_frequencies(32, base=1000.0, **{n: v for n, v in scaling.items() if n != "rope_type"})
    for x, y in zip((q, k), wanted, strict=True):
        assert_close(F.rotary_embedding(x, positions, frequencies=frequencies), from_torch(y), 1e-5, 2e-5)
        half = (from_torch(t)[..., :16] for t in (cos, sin))
        c, s = half
        assert_close(F.rotary_embedding(x, cos=c, sin=s), from_torch(y), 1e-6, 1e-6)


@needs_transformers
def test_against_gptj():
    from transformers.models.gptj.modeling_gptj import apply_rotary_pos_emb, create_sinusoidal_positions

    x = rand(4, 2, 6, 3, 8).astype(np.float32)  # (N, L, H, E)
    sin, cos = create_sinusoidal_positions(16, 8)[None, 4:10].chunk(2, -1)
    wanted = apply_rotary_pos_emb(to_torch(x), sin, cos).swapaxes(1, 2)
    out = F.rotary_embedding(x.swapaxes(1, 2), 4 + np.arange(6), interleaved=True)
    assert_close(out, from_torch(wanted), 1e-5, 1e-6)


def test_the_bands_of_llama_3():
    plain = 10000.0 ** (-np.arange(0, 32, 2) / 32)
    w = np.asarray(F.rotary_frequencies(32, **LLAMA3, dtype=jnp.float64))
    turns = 64 * plain / (2 * math.pi)
    assert_close(w[turns >= 4], plain[turns >= 4], 1e-12)
    assert_close(w[turns <= 1], plain[turns <= 1] / 8, 1e-12)
    between = (turns > 1) & (turns < 4)
    assert between.any()
    assert ((w < plain) & (w > plain / 8))[between].all()


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({}, ValueError, "cos must be given when positions is None"),
        ({"cos": X[0, 0, :, :4]}, ValueError, "sin must be given when positions is None"),
        ({"positions": np.arange(5), "cos": X}, ValueError, "cos must be None when positions are given"),
        ({"positions": np.arange(4)}, ValueError, r"positions must be of axes that end with L .*\[2, 3, 5\]"),
        ({"positions": np.zeros((3, 5), int)}, ValueError, "positions must be of axes"),
        ({"positions": np.zeros((2, 3, 5, 8), int)}, ValueError, "positions must be of axes"),
        ({"positions": np.ones(5, bool)}, TypeError, "positions must be of a floating or integer dtype"),
        ({"positions": np.arange(5), "dim": 3}, ValueError, "dim must be even and from 2 to the 8 features"),
        ({"positions": np.arange(5), "dim": 10}, ValueError, "dim must be even and from 2 to the 8 features"),
        (
            {"positions": np.arange(5), "frequencies": np.ones(5)},
            ValueError,
            "frequencies must be of last length 4 at most",
        ),
        ({"positions": np.arange(5), "frequencies": np.ones(2), "dim": 6}, ValueError, "dim must be 4, twice"),
        ({"cos": np.ones((5, 4)), "sin": np.ones((5, 3))}, ValueError, "sin must be of shape"),
        (
            {"cos": np.ones((5, 4)), "sin": np.ones((5, 4)), "frequencies": np.ones(4)},
            ValueError,
            "frequencies must be None",
        ),
    ],
)
def test_bad_input_raises(arguments, error, match):
    with pytest.raises(error, match=f"rotary_embedding: {match}"):
        F.rotary_embedding(X, **arguments)


@pytest.mark.parametrize(
    ("dim", "options", "match"),
    [
        (3, {}, "dim must be even"),
        (0, {}, "dim must be at least 2"),
        (4, {"base": 0.0}, "base must be greater than 0"),
        (4, {"factor": -1.0}, "factor must be greater than 0"),
        (4, {"low_freq_factor": 1.0}, "high_freq_factor must be given together with low_freq_factor"),
        (4, {**LLAMA3, "high_freq_factor": 0.5}, "high_freq_factor must be greater than low_freq_factor"),
    ],
)
def test_bad_frequencies_raise(dim, options, match):
    with pytest.raises(ValueError, match=f"rotary_frequencies: {match}"):
        F.rotary_frequencies(dim, **options)

"""Means and perplexity, against numpy and torch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn.metrics import Mean, Perplexity, mean, perplexity
from tests.oracle import assert_close, needs_torch, rand

X = rand(0, 6, 4)


def test_mean():
    weight = np.abs(rand(1, 6, 4))
    assert_close(mean(X), X.mean())
    assert_close(mean(X, sample_weight=weight), np.average(X, weights=weight))
    assert_close(mean(X, sample_weight=weight[:, 0]), np.average(X, weights=weight[:, :1].repeat(4, 1)))
    assert_close(jax.vmap(mean)(X), X.mean(1))
    assert_close(mean(np.where(X > 0, X, np.nan), sample_weight=X > 0), X[X > 0].mean())
    assert_close(mean(np.array([1, 2])), 1.5)
    assert np.isnan(mean(X, sample_weight=np.zeros(6)))
    with pytest.raises(ValueError, match="mean: sample_weight must be of shape"):
        mean(X, sample_weight=np.ones(4))


@needs_torch
@pytest.mark.parametrize("shape", [(7,), (3, 5)])
def test_perplexity_is_exp_of_torchs_cross_entropy(shape):
    import torch

    logits = rand(0, shape[0], 9, *shape[1:]) * 5
    target = np.random.default_rng(0).integers(0, 9, shape)
    target.flat[2] = -100
    expected = torch.nn.functional.cross_entropy(torch.tensor(logits), torch.tensor(target)).exp()
    assert_close(perplexity(logits, target), expected)
    assert_close(jax.jit(perplexity)(logits, target), expected)
    mask = np.arange(shape[0]) != 1
    expected = torch.nn.functional.cross_entropy(torch.tensor(logits[mask]), torch.tensor(target[mask])).exp()
    assert_close(perplexity(logits, target, sample_weight=mask), expected)
    metric = Perplexity()
    for row in range(shape[0]):
        metric.update(logits[row : row + 1], target[row : row + 1], mask[row : row + 1])
    assert_close(metric.compute(), expected)


def test_tokens_out_of_range():
    logits = np.zeros((2, 3))
    with pytest.raises(IndexError, match=r"perplexity: target must be in \[0, 2\], got 3"):
        perplexity(logits, np.array([0, 3]))
    assert np.isnan(jax.jit(perplexity)(logits, jnp.array([0, 3])))
    assert_close(perplexity(logits, np.array([0, 7]), ignore_index=7), 3.0)
    with pytest.raises(TypeError, match="input must be of a floating dtype"):
        perplexity(np.zeros((2, 3), int), np.array([0, 1]))
    with pytest.raises(TypeError, match="target must be of an integer dtype"):
        perplexity(logits, np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match="input must be 2-D"):
        perplexity(logits[0], np.array([0, 1]))


def test_a_running_mean_of_batches():
    metric = Mean()
    for row in X:
        metric.update(row.mean(), len(row))
    assert_close(metric.compute(), X.mean())

"""Clipping of gradients against PyTorch."""

import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn
from fnn.nn import utils
from tests.oracle import assert_close, needs_torch, rand


def parameters():
    out = [nn.Parameter(np.zeros(s)) for s in ((3, 2), (4,), (2,))]
    for i, p in enumerate(out[:2]):
        p.grad = 3 * rand(i, *p.shape)
    return out


@needs_torch
@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.0, 0.0, float("inf"), -float("inf")])
@pytest.mark.parametrize("max_norm", [0.5, 1e6])
def test_clip_grad_norm(norm_type, max_norm):
    import torch

    ours = parameters()
    theirs = [torch.zeros(p.shape, dtype=torch.float64, requires_grad=True) for p in ours]
    for p, t in zip(ours, theirs, strict=True):
        t.grad = None if p.grad is None else torch.from_numpy(np.array(p.grad))
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    assert_close(utils.clip_grad_norm_(ours, max_norm, norm_type), expected.numpy(), 1e-12)
    for p, t in zip(ours[:2], theirs[:2], strict=True):
        assert_close(p.grad, t.grad.numpy(), 1e-12)
    assert ours[2].grad is None


def test_clip_grad_value():
    ours = parameters()
    before = [np.array(p.grad) for p in ours[:2]]
    utils.clip_grad_value_(ours, 0.7)
    for p, g in zip(ours[:2], before, strict=True):
        assert_close(p.grad, np.clip(g, -0.7, 0.7))


def test_clipping_under_fnn_jit():
    model = nn.Linear(3, 2).double()

    @fnn.jit
    def step(x):
        fnn.backward(lambda: (model(x) ** 2).sum(), model)
        return utils.clip_grad_norm_(model.parameters(), 0.1)

    total = step(10 * jnp.ones((2, 3)))
    assert float(total) > 0.1
    assert float(utils.get_total_norm([p.grad for p in model.parameters()])) == pytest.approx(0.1, rel=1e-4)


def test_nothing_to_clip():
    assert float(utils.clip_grad_norm_([nn.Parameter(np.ones(2))], 1.0)) == 0.0


def test_bad_arguments_change_nothing():
    p = parameters()[0]
    p.grad = jnp.full((3, 2), jnp.nan)
    with pytest.raises(RuntimeError, match=r"total norm of order 2\.0 of the gradients must be finite"):
        utils.clip_grad_norm_([p], 1.0, error_if_nonfinite=True)
    with pytest.raises(TypeError, match="parameters must be Parameters, got ndarray"):
        utils.clip_grad_value_([np.ones(2)], 1.0)

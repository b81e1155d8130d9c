"""Muon against torch's, and its iteration against what it does to singular values."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from fnn.nn import Parameter
from fnn.optim import Muon, muon
from fnn.optim._muon import newton_schulz
from fnn.optim.transform import apply_updates
from tests.optim.test_every_rule import slopes
from tests.oracle import assert_close, needs_torch, rand


@needs_torch
@pytest.mark.parametrize("options", [{}, {"nesterov": False}, {"adjust_lr_fn": "match_rms_adamw", "momentum": 0.5}])
def test_muon_follows_torch(options, exact_muon):
    import torch

    begin = [rand(0, 3, 5), rand(1, 5, 2), rand(2, 2, 2)]
    theirs = [torch.tensor(p, requires_grad=True) for p in begin]
    optimizer = torch.optim.Muon(theirs, lr=0.1, **options)
    rule, ours = muon(lr=0.1, **options), [jnp.asarray(p) for p in begin]
    state = rule.init(ours)
    for step in range(5):
        for p, g in zip(theirs, slopes([p.detach().numpy() for p in theirs], step), strict=True):
            p.grad = torch.tensor(g)
        optimizer.step()
        updates, state = rule.update(slopes(ours, step), state, ours)
        ours = apply_updates(ours, updates)
        for a, b in zip(ours, theirs, strict=True):
            assert_close(a, b.detach(), 1e-9, 1e-9)


@needs_torch
@pytest.mark.parametrize("ns_steps", [0, 1, 2, 3, 6, 8, 10, 15, 20])
def test_muon_follows_torch_with_any_number_of_iterations(ns_steps):
    """In float32 with bfloat16 inside: a direction that differs in its last digit would give other roundings."""
    import torch

    begin = rand(0, 4, 6).astype(np.float32)
    theirs = torch.tensor(begin, requires_grad=True)
    optimizer = torch.optim.Muon([theirs], lr=0.1, ns_steps=ns_steps)
    rule, ours = muon(lr=0.1, ns_steps=ns_steps), jnp.asarray(begin)
    state = rule.init(ours)
    for step in range(4):
        grad = rand(1 + step, 4, 6).astype(np.float32)
        theirs.grad = torch.tensor(grad)
        optimizer.step()
        updates, state = rule.update(jnp.asarray(grad), state, ours)
        ours = apply_updates(ours, updates)
        assert_close(ours, theirs.detach(), 1e-6, 1e-6, f"step {step}")


@needs_torch
@pytest.mark.parametrize("options", [{"ns_steps": 100}, {"ns_coefficients": (3.4, -4.7)}])
def test_options_that_are_refused_when_they_are_used(options):
    import torch

    for cls, parameter in (
        (torch.optim.Muon, torch.ones(2, 2, requires_grad=True)),
        (Muon, Parameter(np.ones((2, 2)))),
    ):
        optimizer = cls([parameter], **options)
        parameter.grad = parameter * 1 if cls is Muon else torch.ones(2, 2)
        with pytest.raises(ValueError):
            optimizer.step()


@needs_torch
@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (3, 3)])
def test_newton_schulz(shape):
    import torch

    matrix, coefficients = rand(5, *shape), (3.4445, -4.775, 2.0315)
    ours = np.asarray(newton_schulz(jnp.asarray(matrix), coefficients, 5, 1e-7, jnp.bfloat16), np.float64)
    theirs = torch.optim._muon._zeropower_via_newtonschulz(torch.tensor(matrix), coefficients, 5, 1e-7).double().numpy()
    # Two bfloat16 computations: 8 bits of mantissa, a dozen products.
    np.testing.assert_allclose(ours, theirs, atol=0.06)
    exact = newton_schulz(jnp.asarray(matrix), coefficients, 5, 1e-7, jnp.float64)
    u, s, vt = np.linalg.svd(matrix, full_matrices=False)
    s = s / np.linalg.norm(s)
    for _ in range(5):
        s = coefficients[0] * s + coefficients[1] * s**3 + coefficients[2] * s**5
    assert_close(exact, (u * s) @ vt, 1e-9, 1e-9, "the iteration acts on the singular values")

"""Fixtures of the tests of optimizers."""

import jax.numpy as jnp
import numpy as np
import pytest

from fnn.optim import _muon


@pytest.fixture
def exact_muon(monkeypatch):
    """The iteration of Muon in float64 on both sides, for bfloat16 products differ by their order of summation."""
    torch = pytest.importorskip("torch")

    def exact(grad, coefficients, steps, eps):
        out = _muon.newton_schulz(jnp.asarray(grad.numpy()), coefficients, steps, eps, jnp.float64)
        return torch.tensor(np.asarray(out))

    monkeypatch.setattr(torch.optim._muon, "_zeropower_via_newtonschulz", exact)
    monkeypatch.setattr(_muon, "ITERATION_DTYPE", jnp.float64)


@pytest.fixture
def double(exact_muon):
    """torch with float64 as its default dtype, in which it keeps the scalars of its state."""
    torch = pytest.importorskip("torch")
    old = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield torch
    torch.set_default_dtype(old)

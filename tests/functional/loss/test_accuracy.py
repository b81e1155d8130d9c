"""Values, first and second derivatives of losses that are functions of one number, against 50 digits."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

import fnn.nn.functional as F

pytest.importorskip("torch")
pytest.importorskip("mpmath")

from tests.functional.activation.references import Curve, T, check, mpf, mpmath, torch

DTYPES = ("float32", "float64", "bfloat16", "float16")


def _bernoulli(share: float) -> Curve:
    def exact(x):
        # Each logarithm is no less than -100, but its derivative is that of the logarithm.
        yes, no = mpmath.log(x), mpmath.log(1 - x)
        return -(mpf(share) * yes + (1 - mpf(share)) * no)

    return Curve(
        lambda x: F.binary_cross_entropy(x, jnp.full_like(x, share), reduction="none"),
        lambda x: T.binary_cross_entropy(x, torch.full_like(x, share), reduction="none"),
        exact,
        terms=2,
    )


def _poisson(target: float, log_input: bool, full: bool = False) -> Curve:
    def exact(x):
        loss = mpmath.exp(x) - target * x if log_input else x - target * mpmath.log(x + mpf(2) ** -20)
        stirling = target * mpmath.log(target) - target + mpmath.log(2 * mpmath.pi * target) / 2 if target > 1 else 0
        return loss + (stirling if full else 0)

    options = {"log_input": log_input, "full": full, "eps": 2.0**-20, "reduction": "none"}
    return Curve(
        lambda x: F.poisson_nll_loss(x, jnp.full_like(x, target), **options),
        lambda x: T.poisson_nll_loss(x, torch.full_like(x, target), **options),
        exact,
        terms=3 if full else 2,
    )


GAUSSIAN = {"eps": 2.0**-20, "reduction": "none"}

CURVES = {
    **{f"binary_cross_entropy of {share}": _bernoulli(share) for share in (0.0, 0.25, 1.0)},
    "poisson_nll_loss of logarithms": _poisson(3.0, True),
    "poisson_nll_loss of logarithms, full": _poisson(3.0, True, True),
    "poisson_nll_loss": _poisson(3.0, False),
    "poisson_nll_loss of none": _poisson(0.0, False),
    "gaussian_nll_loss in the mean": Curve(
        lambda x: F.gaussian_nll_loss(x, jnp.full_like(x, 0.5), jnp.full_like(x, 0.25), **GAUSSIAN),
        lambda x: T.gaussian_nll_loss(x, torch.full_like(x, 0.5), torch.full_like(x, 0.25), **GAUSSIAN),
        lambda x: (mpmath.log(mpf(0.25)) + (x - mpf(0.5)) ** 2 / mpf(0.25)) / 2,
        terms=2,
    ),
    "gaussian_nll_loss in the variance": Curve(
        lambda x: F.gaussian_nll_loss(jnp.full_like(x, 0.5), jnp.zeros_like(x), x, **GAUSSIAN),
        lambda x: T.gaussian_nll_loss(torch.full_like(x, 0.5), torch.zeros_like(x), x, **GAUSSIAN),
        lambda x: (mpmath.log(x) + mpf(0.25) / x) / 2,
        terms=2,
    ),
    "kl_div in the input": Curve(
        lambda x: F.kl_div(x, jnp.full_like(x, 0.25), reduction="none"),
        lambda x: T.kl_div(x, torch.full_like(x, 0.25), reduction="none"),
        lambda x: mpf(0.25) * (mpmath.log(mpf(0.25)) - x),
        terms=2,
    ),
    "kl_div in the target": Curve(
        lambda x: F.kl_div(jnp.full_like(x, -0.5), x, reduction="none"),
        lambda x: T.kl_div(torch.full_like(x, -0.5), x, reduction="none"),
        lambda x: x * (mpmath.log(x) + mpf(0.5)),
        terms=2,
    ),
    "kl_div in the logarithm of the target": Curve(
        lambda x: F.kl_div(jnp.full_like(x, -0.5), x, reduction="none", log_target=True),
        lambda x: T.kl_div(torch.full_like(x, -0.5), x, reduction="none", log_target=True),
        lambda x: mpmath.exp(x) * (x + mpf(0.5)),
        terms=2,
    ),
}


def points(name: str, count: int) -> np.ndarray:
    """Numbers where the loss is defined and smooth, exact in bfloat16."""
    sizes = np.exp(np.linspace(np.log(2e-6), np.log(1e4), count))
    if "binary" in name:
        low = sizes[sizes < 0.5]
        x = np.concatenate([low, 1 - low[low > 2.0**-8]])
    elif name in ("poisson_nll_loss", "poisson_nll_loss of none", "kl_div in the target") or "variance" in name:
        x = sizes
    else:
        x = np.concatenate([-sizes, sizes])
    x = np.unique(torch.tensor(x).to(torch.bfloat16).to(torch.float64).numpy())
    return x[x < 1] if "binary" in name else x


@pytest.mark.slow
@pytest.mark.parametrize("name", CURVES)
def test_200_points(name: str) -> None:
    check(CURVES[name], points(name, 200), DTYPES)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", CURVES)
def test_some_points(name: str) -> None:
    check(CURVES[name], points(name, 9), ("float32", "float64"))

"""Values, first and second derivatives of activations and pointwise losses, against 50 digits and, at kinks, torch."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn.nn.functional as F

pytest.importorskip("torch")
pytest.importorskip("mpmath")

from tests.functional.activation.references import CURVES, by_fnn, by_torch, check, points


@pytest.mark.slow
@pytest.mark.parametrize("name", CURVES)
def test_400_points(name: str) -> None:
    check(CURVES[name], points(400), ("float32", "float64", "bfloat16", "float16"))


@pytest.mark.parametrize("name", ["celu of alpha 0.125", "logsigmoid", "mish"])
def test_the_tails(name: str) -> None:
    check(
        CURVES[name],
        np.array([-85.5, -17.0, -9.625, -3.5, -0.0625, 2.0**-12, 2.53125, 9.0, 17.0, 80.0]),
        ("float32", "float64"),
    )


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", CURVES)
def test_kinks_as_torch(name: str) -> None:
    curve = CURVES[name]
    at = np.array(sorted({-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0, 6.0, *curve.kinks}))
    for order in range(3):
        theirs = by_torch(curve, at, "float64", order)
        if theirs is not None:
            # torch has 1 / 6 in single precision in hardsigmoid's derivative.
            rtol = 1e-7 if name == "hardsigmoid" else 1e-12
            np.testing.assert_allclose(by_fnn(curve, at, "float64", order), theirs, rtol=rtol, atol=1e-15)


SMOOTH = [n for n, c in CURVES.items() if not c.kinks] + ["elu", "selu", "celu", "softplus", "softsign"]


@pytest.mark.one_in(7)
@pytest.mark.parametrize("name", SMOOTH)
def test_every_transformation(name: str) -> None:
    """Forward and reverse mode, once and twice, and the third derivative."""
    curve = CURVES[name]
    x = jnp.array([-3.0, -0.7, 0.3, 2.0])
    first, second = (jnp.asarray(by_fnn(curve, np.asarray(x), "float64", n)) for n in (1, 2))
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)  # noqa: E731
    ones = jnp.ones_like(x)
    one = lambda x: curve.ours(x[None])[0]  # noqa: E731
    close(jax.jvp(curve.ours, (x,), (ones,))[1], first)
    close(jax.vmap(jax.grad(one))(x), first)
    close(jax.vmap(jax.jacfwd(one))(x), first)
    close(jax.jit(jax.vmap(jax.grad(jax.grad(one))))(x), second)
    close(jax.vmap(jax.jacfwd(jax.jacrev(one)))(x), second)
    close(jax.vmap(jax.jacfwd(jax.jacfwd(one)))(x), second)
    step = 1e-5
    third = (by_fnn(curve, np.asarray(x + step), "float64", 2) - by_fnn(curve, np.asarray(x - step), "float64", 2)) / (
        2 * step
    )
    np.testing.assert_allclose(by_fnn(curve, np.asarray(x), "float64", 3), third, rtol=1e-5, atol=1e-7)


def test_derivatives_in_traced_numbers() -> None:
    """The slopes' own derivatives, of alpha and beta, by differences."""
    x = jnp.array([-2.0, -0.3, 0.0, 1.5])
    for function in (F.elu, F.celu, lambda x, b: F.softplus(x, b)):
        total = lambda a, function=function: jnp.sum(function(x, a) * jnp.arange(1.0, 5))  # noqa: E731
        difference = (total(1.3 + 1e-6) - total(1.3 - 1e-6)) / 2e-6
        np.testing.assert_allclose(jax.jit(jax.grad(total))(1.3), difference, rtol=1e-7)

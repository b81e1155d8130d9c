"""Activations and pointwise losses by mpmath, in 50 digits, with the same by fnn and by torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn.nn.functional as F

mpmath = pytest.importorskip("mpmath")
torch = pytest.importorskip("torch")
T, mpf = torch.nn.functional, mpmath.mpf

DIGITS = 50


class Curve(NamedTuple):
    """A function of one number: by fnn, by torch, by mpmath; where it is not smooth, and how many terms of it cancel."""

    ours: Callable[[Any], Any]
    theirs: Callable[[Any], Any]
    exact: Callable[[Any], Any]
    kinks: tuple[float, ...] = ()
    terms: int = 1


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + mpmath.exp(-x))


def _softplus(x: Any) -> Any:
    return mpmath.log1p(mpmath.exp(x)) if x < 40 else x + mpmath.log1p(mpmath.exp(-x))


def _elu(alpha: float, inner: float = 1.0, scale: float = 1.0) -> Callable[[Any], Any]:
    return lambda x: mpf(scale) * (x if x > 0 else mpf(alpha) * mpmath.expm1(x / mpf(inner)))


def _tanh_gelu(x: Any) -> Any:
    return x * _sigmoid(2 * mpmath.sqrt(2 / mpmath.pi) * (x + mpf("0.044715") * x**3))


SELU_ALPHA, SELU_SCALE = "1.6732632423543772848170429916717", "1.0507009873554804934193349852946"


def _zero(x: Any) -> Any:
    return jnp.zeros_like(x)


CURVES = {
    "sigmoid": Curve(F.sigmoid, torch.sigmoid, _sigmoid),
    "tanh": Curve(F.tanh, torch.tanh, mpmath.tanh),
    "tanhshrink": Curve(F.tanhshrink, T.tanhshrink, lambda x: x - mpmath.tanh(x)),
    "softsign": Curve(F.softsign, T.softsign, lambda x: x / (1 + abs(x)), (0.0,)),
    "logsigmoid": Curve(F.logsigmoid, T.logsigmoid, lambda x: -_softplus(-x)),
    "softplus": Curve(F.softplus, T.softplus, lambda x: x if x > 20 else _softplus(x), (20.0,)),
    "softplus of beta 0.5": Curve(
        lambda x: F.softplus(x, 0.5, 10),
        lambda x: T.softplus(x, 0.5, 10),
        lambda x: x if x > 20 else 2 * _softplus(x / 2),
        (20.0,),
    ),
    "elu": Curve(F.elu, T.elu, _elu(1), (0.0,)),
    "elu of alpha 0.25": Curve(lambda x: F.elu(x, 0.25), lambda x: T.elu(x, 0.25), _elu(0.25), (0.0,)),
    "selu": Curve(F.selu, T.selu, _elu(SELU_ALPHA, scale=SELU_SCALE), (0.0,)),
    "celu": Curve(F.celu, T.celu, _elu(1), (0.0,)),
    "celu of alpha 0.125": Curve(lambda x: F.celu(x, 0.125), lambda x: T.celu(x, 0.125), _elu(0.125, 0.125), (0.0,)),
    "gelu": Curve(F.gelu, T.gelu, lambda x: x * mpmath.ncdf(x)),
    "gelu by tanh": Curve(lambda x: F.gelu(x, "tanh"), lambda x: T.gelu(x, approximate="tanh"), _tanh_gelu),
    "silu": Curve(F.silu, T.silu, lambda x: x * _sigmoid(x)),
    "mish": Curve(F.mish, T.mish, lambda x: x * mpmath.tanh(_softplus(x)), terms=2),
    "glu": Curve(
        lambda x: F.glu(jnp.stack([jnp.ones_like(x), x]), 0)[0],
        lambda x: T.glu(torch.stack([torch.ones_like(x), x]), 0)[0],
        _sigmoid,
    ),
    "hardswish": Curve(F.hardswish, T.hardswish, lambda x: x * min(max(x + 3, mpf(0)), mpf(6)) / 6, (-3.0, 3.0)),
    "hardsigmoid": Curve(F.hardsigmoid, T.hardsigmoid, lambda x: min(max(x + 3, mpf(0)), mpf(6)) / 6, (-3.0, 3.0)),
    "hardtanh": Curve(F.hardtanh, T.hardtanh, lambda x: min(max(x, mpf(-1)), mpf(1)), (-1.0, 1.0)),
    "relu": Curve(F.relu, T.relu, lambda x: max(x, mpf(0)), (0.0,)),
    "relu6": Curve(F.relu6, T.relu6, lambda x: min(max(x, mpf(0)), mpf(6)), (0.0, 6.0)),
    "leaky_relu": Curve(
        lambda x: F.leaky_relu(x, 0.125), lambda x: T.leaky_relu(x, 0.125), lambda x: x if x > 0 else x / 8, (0.0,)
    ),
    "softshrink": Curve(
        F.softshrink, T.softshrink, lambda x: mpmath.sign(x) * max(abs(x) - mpf(0.5), mpf(0)), (-0.5, 0.5)
    ),
    "hardshrink": Curve(F.hardshrink, T.hardshrink, lambda x: x if abs(x) > 0.5 else mpf(0), (-0.5, 0.5)),
    "threshold": Curve(
        lambda x: F.threshold(x, 0.25, 2),
        lambda x: T.threshold(x, 0.25, 2),
        lambda x: x if x > 0.25 else mpf(2),
        (0.25,),
    ),
    "binary_cross_entropy_with_logits": Curve(
        lambda x: F.binary_cross_entropy_with_logits(x, jnp.full_like(x, 0.25), reduction="none"),
        lambda x: T.binary_cross_entropy_with_logits(x, torch.full_like(x, 0.25), reduction="none"),
        lambda x: mpf(0.25) * _softplus(-x) + mpf(0.75) * _softplus(x),
        terms=2,
    ),
    "binary_cross_entropy_with_logits of yes": Curve(
        lambda x: F.binary_cross_entropy_with_logits(x, jnp.ones_like(x), reduction="none"),
        lambda x: T.binary_cross_entropy_with_logits(x, torch.ones_like(x), reduction="none"),
        lambda x: _softplus(-x),
    ),
    "soft_margin_loss": Curve(
        lambda x: F.soft_margin_loss(x, jnp.ones_like(x), reduction="none"),
        lambda x: T.soft_margin_loss(x, torch.ones_like(x), reduction="none"),
        lambda x: _softplus(-x),
    ),
    "multilabel_soft_margin_loss": Curve(
        lambda x: F.multilabel_soft_margin_loss(x[..., None], jnp.zeros_like(x)[..., None], reduction="none"),
        lambda x: T.multilabel_soft_margin_loss(x[..., None], torch.zeros_like(x)[..., None], reduction="none"),
        _softplus,
    ),
    "smooth_l1_loss": Curve(
        lambda x: F.smooth_l1_loss(x, _zero(x), reduction="none"),
        lambda x: T.smooth_l1_loss(x, torch.zeros_like(x), reduction="none"),
        lambda x: x * x / 2 if abs(x) < 1 else abs(x) - mpf(0.5),
        (-1.0, 0.0, 1.0),
    ),
    "huber_loss": Curve(
        lambda x: F.huber_loss(x, _zero(x), reduction="none", delta=2.0),
        lambda x: T.huber_loss(x, torch.zeros_like(x), reduction="none", delta=2.0),
        lambda x: x * x / 2 if abs(x) < 2 else 2 * (abs(x) - 1),
        (-2.0, 0.0, 2.0),
    ),
    "l1_loss": Curve(
        lambda x: F.l1_loss(x, _zero(x), reduction="none"),
        lambda x: T.l1_loss(x, torch.zeros_like(x), reduction="none"),
        abs,
        (0.0,),
    ),
    "mse_loss": Curve(
        lambda x: F.mse_loss(x, _zero(x), reduction="none"),
        lambda x: T.mse_loss(x, torch.zeros_like(x), reduction="none"),
        lambda x: x * x,
    ),
    "hinge_embedding_loss": Curve(
        lambda x: F.hinge_embedding_loss(x, -jnp.ones_like(x), reduction="none"),
        lambda x: T.hinge_embedding_loss(x, -torch.ones_like(x), reduction="none"),
        lambda x: max(1 - x, mpf(0)),
        (1.0,),
    ),
}


def points(count: int = 400) -> np.ndarray:
    """Numbers from -1e4 to 1e4, dense in every size, all exact in bfloat16, and none where a function has a kink."""
    sizes = np.exp(np.linspace(np.log(1e-6), np.log(1e4), count // 4))
    ordinary = np.linspace(-30, 30, count - 2 * sizes.size) + 0.0137
    x = torch.tensor(np.concatenate([-sizes, sizes, ordinary])).to(torch.bfloat16).to(torch.float64).numpy()
    return np.sort(x)


def exact(curve: Curve, x: np.ndarray, order: int) -> list[Any]:
    """The derivative of an order at the points, in 50 digits and more."""
    with mpmath.workdps(DIGITS):
        return [curve.exact(mpf(float(v))) if order == 0 else _slope(curve.exact, mpf(float(v)), order) for v in x]


def _slope(function: Callable[[Any], Any], x: Any, order: int) -> Any:
    # A step far below the distance to a kink, and more digits than the difference costs.
    with mpmath.workdps(4 * DIGITS):
        return mpmath.diff(function, x, order, h=mpf(10) ** (-DIGITS))


def by_fnn(curve: Curve, x: np.ndarray, dtype: str, order: int) -> np.ndarray:
    """The derivative by fnn, compiled."""
    function = curve.ours
    for _ in range(order):
        function = _gradient(function)
    return np.asarray(jax.jit(function)(jnp.asarray(x).astype(dtype)).astype(jnp.float64))


def _gradient(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return jax.grad(lambda x: jnp.sum(function(x)))


def by_torch(curve: Curve, x: np.ndarray, dtype: str, order: int) -> np.ndarray | None:
    """The derivative by torch; ``None`` if it has none of the order."""
    at = torch.tensor(x).to(getattr(torch, dtype)).requires_grad_()
    out = curve.theirs(at)
    for _ in range(order):
        if not out.requires_grad:
            return np.zeros(x.shape)
        try:
            (out,) = torch.autograd.grad(out.sum(), at, create_graph=True, allow_unused=True)
        except RuntimeError as error:
            if "not implemented" not in str(error):
                raise
            return None
        if out is None:
            return np.zeros(x.shape)
    return out.detach().to(torch.float64).numpy(force=True)


def ulps(values: np.ndarray, truth: list[Any], dtype: str) -> np.ndarray:
    """Errors in units of the last place of the truth; one next to what the dtype can hold at all counts as 0."""
    info = jnp.finfo(dtype)
    tiny = float(info.tiny)
    # What is multiplied on the way to the result may be smaller than it, and be lost; halves are computed in float32.
    lost = max(tiny, 2**14 * float(jnp.finfo(jnp.promote_types(dtype, jnp.float32)).tiny))
    errors = []
    for value, right in zip(values, truth, strict=True):
        if not np.isfinite(value):
            errors.append(0.0 if abs(right) > float(info.max) else np.inf)
            continue
        error = abs(mpf(float(value)) - right)
        unit = mpf(2) ** (mpmath.frexp(right)[1] - 1 - int(info.nmant)) if right else mpf(tiny)
        errors.append(0.0 if error <= lost else float(error / max(unit, mpf(tiny) * mpf(float(info.eps)))))
    return np.array(errors)


# The sizes between which first derivatives have zeros, where terms of any formula cancel.
MIDDLE = 6


def _allowed(curve: Curve, x: np.ndarray, truth: list[Any], dtype: str, order: int) -> np.ndarray:
    """4 units in the last place for each term, or torch's error thereabouts; near a zero what a unit of x makes."""
    theirs = by_torch(curve, x, dtype, order)
    errors = np.zeros(x.shape) if theirs is None else ulps(theirs, truth, dtype)
    around = np.array([errors[max(0, i - 3) : i + 4].max() for i in range(errors.size)])
    change = exact(curve, x, order + 1)
    condition = [
        min(float(abs(v * c / t)), 1e12) if abs(v) < MIDDLE and t else 0.0
        for v, c, t in zip(x, change, truth, strict=True)
    ]
    return np.maximum(np.maximum(4, around), 4 * np.array(condition)) * curve.terms


def check(curve: Curve, x: np.ndarray, dtypes: tuple[str, ...]) -> None:
    """The value and two derivatives at points, each within what ``_allowed`` says."""
    x = np.array([v for v in x if v not in curve.kinks])
    for order in range(3):
        truth = exact(curve, x, order)
        for dtype in dtypes:
            errors = ulps(by_fnn(curve, x, dtype, order), truth, dtype)
            wrong = errors > _allowed(curve, x, truth, dtype, order)
            assert not wrong.any(), f"derivative {order} in {dtype}: {errors[wrong]} ulp at {x[wrong]}"

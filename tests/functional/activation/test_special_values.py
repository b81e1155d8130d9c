"""Activations and two derivatives at NaN, the infinities, zeros, kinks and the ends of a dtype, against torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn.nn.functional as F

pytest.importorskip("torch")
pytest.importorskip("mpmath")

from tests.functional.activation.references import Curve, T, by_fnn, by_torch, torch
from tests.functional.activation.table import TABLE

# Where the functions, with the options of the table, change over; 0 is looked at in all.
KINKS = {
    "threshold": (0.3,),
    "relu6": (6.0,),
    "hardtanh": (-2.5, -1.0, 0.5, 1.0),
    "hardsigmoid": (-3.0, 3.0),
    "hardswish": (-3.0, 3.0),
    "softplus": (20.0,),
    "softshrink": (-2.0, -0.5, 0.5, 2.0),
    "hardshrink": (-1.5, -0.5, 0.5, 1.5),
}


def _curve(name: str, options: dict[str, Any]) -> Curve:
    if name == "prelu":
        return Curve(
            lambda x: F.prelu(x, jnp.full(1, 0.25, x.dtype)), lambda x: T.prelu(x, torch.full((1,), 0.25).to(x)), abs
        )
    if name == "glu":
        return Curve(
            lambda x: F.glu(jnp.stack([jnp.ones_like(x), x]), 0)[0],
            lambda x: T.glu(torch.stack([torch.ones_like(x), x]), 0)[0],
            abs,
        )
    return Curve(lambda x: getattr(F, name)(x, **options), lambda x: getattr(T, name)(x, **options), abs)


ROWS = [(name, options) for name, _, options in TABLE] + [("prelu", {}), ("glu", {})]
IDS = [f"{name}-{'-'.join(map(str, options.values()))}" for name, options in ROWS]

_INFINITE = {math.inf, -math.inf}
_ENDS = {"max", "-max"}
# What differs from torch on purpose: (function, order of the derivative) and the points. There the value is the limit, and
# torch multiplies an infinity by 0 or lets a product overflow on the way.
LIMITS: dict[tuple[str, int], set[Any]] = {
    ("hardswish", 0): {"max"},
    ("gelu", 0): {math.inf, "max"},
    ("gelu", 1): _INFINITE | _ENDS,
    ("gelu", 2): _INFINITE | _ENDS,
    ("mish", 1): {math.inf},
    ("mish", 2): {"max"},
    ("softsign", 1): _INFINITE,
    ("softsign", 2): _INFINITE,
}


def _by_torch(curve: Curve, x: np.ndarray, dtype: str, order: int) -> list[np.ndarray]:
    """torch's answers: its vector code and that for what is left over differ at NaN."""
    together = by_torch(curve, np.repeat(x, 64), dtype, order)
    if together is None:
        return []
    alone: list[Any] = [by_torch(curve, v[None], dtype, order) for v in x]
    return [together.reshape(-1, 64)[:, 0], np.concatenate(alone)]


@pytest.mark.one_in(3)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
@pytest.mark.parametrize(("name", "options"), ROWS, ids=IDS)
def test_as_torch(name: str, options: dict[str, Any], dtype: str) -> None:
    info = jnp.finfo(dtype)
    labels = [math.nan, math.inf, -math.inf, "max", "-max", "tiny", "-tiny", 0.0, -0.0, *KINKS.get(name, ())]
    ends = {"max": info.max, "-max": -info.max, "tiny": info.tiny, "-tiny": -info.tiny}
    x = np.array([float(ends.get(label, label)) for label in labels])
    curve = _curve(name, options)
    for order in range(3):
        ours = by_fnn(curve, x, dtype, order)
        answers = _by_torch(curve, x, dtype, order)
        if not answers:
            assert name == "hardsigmoid"  # torch cannot differentiate it twice
            continue
        for i, label in enumerate(labels):
            if label in LIMITS.get((name, order), ()):
                assert _is_limit(curve, ours[i], labels[i], info, dtype, order)
                continue
            close = [_close(ours[i], theirs[i], info) for theirs in answers]
            assert any(close), f"derivative {order} at {label}: {ours[i]}, torch {[a[i] for a in answers]}"


def _close(ours: float, theirs: float, info: Any) -> bool:
    if not (np.isfinite(ours) and np.isfinite(theirs)):
        return bool(np.array_equal(ours, theirs, equal_nan=True))
    # torch has 1 / 6 in single precision in hardsigmoid's derivative.
    rtol = max(8 * float(info.eps), 1e-7)
    return abs(ours - theirs) <= rtol * abs(theirs) + max(float(info.tiny), float(info.eps) ** 2)


def _is_limit(curve: Curve, ours: float, label: Any, info: Any, dtype: str, order: int) -> bool:
    """Whether a value is what the function comes to far out."""
    far = float(info.max) ** 0.5 * (-1 if str(label).startswith("-") else 1)
    wanted = by_fnn(curve, np.array([far]), dtype, order)[0]
    if order == 0:  # of a function that comes to x
        return ours == (math.inf if label == math.inf else float(info.max))
    return bool(abs(ours - wanted) <= 1e-2)


@pytest.mark.parametrize("function", [F.silu, F.mish])
def test_the_left_tail_in_single_precision(function: Callable[..., Any]) -> None:
    """Where ``exp(x)`` is no normal number any more, and ``x`` times it still is."""
    x = np.concatenate([np.linspace(-88.5, -60, 115), np.linspace(-60, -20, 81)]).astype(np.float32)
    theirs = getattr(T, function.__name__)(torch.tensor(x, dtype=torch.float64)).numpy()
    for ours in (function(x), jax.jit(function)(x)):
        np.testing.assert_allclose(np.asarray(ours), theirs, rtol=4 * 2.0**-23, atol=0)


def test_mish_falls_to_nothing_as_torch() -> None:
    x = np.array([-88.5, -90.0, -91.0, -95.0, -104.0, -1e4, -3e38], np.float32)
    theirs = T.mish(torch.tensor(x, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(np.asarray(F.mish(x)), theirs, rtol=4 * 2.0**-23, atol=1.2e-38)

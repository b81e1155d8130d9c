"""Arithmetic of scalars that are Python numbers, exact in float64, or arrays, traced or not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnn.functional.arrays import index_dtype, known
from fnn.functional.checks import describe
from fnn.optim.typing import LearningRate, Number

# The types of Python and numpy numbers.
HOST: Any = (bool, int, float, np.generic)


def on_host(value: Any) -> bool:
    """True for a Python or numpy number."""
    return isinstance(value, HOST)


def is_off(value: Any) -> bool:
    """True for a Python zero (or ``False``), which leaves a term out of the program; arrays and tracers keep it in."""
    return isinstance(value, int | float | np.generic) and value == 0


# Precision


def exported_count(count: jax.Array) -> jax.Array:
    """A count of steps as torch saves it, in float32; from 2**24 on, where float32 has gaps, as the integer it is."""
    value = known(count)
    return count.astype(jnp.float32) if value is None or value < 2**24 else count


def wide_dtype() -> np.dtype[Any]:
    """The widest float at hand: float64 with x64 on, else float32."""
    return jax.dtypes.canonicalize_dtype(np.float64)


def wide(value: Any) -> Number:
    """A hyperparameter for scalar arithmetic: a Python number stays one, an array is widened."""
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, np.generic | np.ndarray):
        return float(value.reshape(()))
    array = jnp.asarray(value)
    return array.reshape(()).astype(wide_dtype())


def as_count(count: Any) -> Any:
    """A count as a Python number, or as an array."""
    if isinstance(count, np.generic):
        return count.item()
    if on_host(count):
        return count
    array = jnp.asarray(count)
    # The quotient of int32 numbers, as in `1 / (1 + count)`, would be a float32.
    return array.astype(index_dtype()) if jnp.issubdtype(array.dtype, jnp.integer) else array


def real(count: Any) -> Number:
    """A count as a float of the widest precision."""
    return float(count) if on_host(count) else count.astype(wide_dtype())


# Operations


def where(condition: Any, a: Any, b: Any) -> Any:
    """``a`` or ``b``."""
    return (a if condition else b) if isinstance(condition, HOST) else jnp.where(condition, a, b)


def branch(condition: Any, yes: Callable[[], Any], no: Callable[[], Any]) -> Any:
    """``yes()`` or ``no()``; only on the host is one of them left out."""
    return (yes() if condition else no()) if isinstance(condition, HOST) else jnp.where(condition, yes(), no())


def both(a: Any, b: Any) -> Any:
    """``a and b``."""
    return (a and b) if isinstance(a, HOST) and isinstance(b, HOST) else jnp.logical_and(a, b)


def minimum(a: Any, b: Any) -> Any:
    """The smaller one."""
    return min(a, b) if isinstance(a, HOST) and isinstance(b, HOST) else jnp.minimum(a, b)


def clip_to_unit(x: Any) -> Any:
    """``x``, but at least 0 and at most 1."""
    return max(0, min(1, x)) if isinstance(x, HOST) else jnp.clip(x, 0.0, 1.0)


def cos(angle: Any) -> Any:
    """The cosine."""
    return math.cos(angle) if isinstance(angle, HOST) else jnp.cos(angle)


def floor(x: Any) -> Any:
    """The greatest integer not above ``x``."""
    return math.floor(x) if isinstance(x, HOST) else jnp.floor(x)


# What the rules need


def start() -> jax.Array:
    """The count of a new state."""
    return jnp.zeros((), jnp.int32)


class NotOneNumber(ValueError):
    """An array in place of a number; whoever knows the rule puts its name before."""


def rate(lr: LearningRate, step: jax.Array) -> Number:
    """The learning rate after ``step`` updates, as a scalar in wide precision."""
    value = lr(step) if callable(lr) else lr
    if math.prod(getattr(value, "shape", ())) != 1:
        raise NotOneNumber(f"lr must be one number, or a schedule that returns one, got {describe(value)}")
    return wide(value)


def bias_correction(beta: Number, step: jax.Array) -> jax.Array:
    """``1 - beta**step`` without the loss of digits for ``beta`` near 1."""
    beta = wide(beta)
    if isinstance(beta, int | float):
        log = math.log(beta) if beta > 0 else -math.inf
    else:
        log = jnp.log(beta)
    return -jnp.expm1(step.astype(wide_dtype()) * log)

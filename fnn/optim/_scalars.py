"""Hyperparameters as scalars of wide precision."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def is_off(value: Any) -> bool:
    """True for a Python zero (or ``False``), which leaves a term out of the program; arrays and tracers keep it in."""
    return isinstance(value, int | float | np.generic) and value == 0


def wide_dtype() -> Any:
    """The widest float at hand: float64 with x64 on, else float32."""
    return jax.dtypes.canonicalize_dtype(np.float64)


def wide(value: Any) -> Any:
    """A hyperparameter for scalar arithmetic: a Python number stays one, an array is widened."""
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, np.generic | np.ndarray):
        return float(value.reshape(()))
    array = jnp.asarray(value)
    return array.reshape(()).astype(wide_dtype())


def rate(lr: Any, step: jax.Array) -> Any:
    """The learning rate after ``step`` updates, as a scalar in wide precision."""
    return wide(lr(step) if callable(lr) else lr)


def bias_correction(beta: Any, step: jax.Array) -> jax.Array:
    """``1 - beta**step`` without the loss of digits for ``beta`` near 1."""
    beta = wide(beta)
    if isinstance(beta, int | float):
        log = math.log(beta) if beta > 0 else -math.inf
    else:
        log = jnp.log(beta)
    return -jnp.expm1(step.astype(wide_dtype()) * log)


def start() -> jax.Array:
    """The count of a new state."""
    return jnp.zeros((), jnp.int32)

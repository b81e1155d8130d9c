"""Checks of an activation's input and numbers, and the form of an elementwise rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnn.functional.arrays import widen
from fnn.functional.checks import as_array, check_floating, check_real, fail


def elementwise(rule: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Compiles ``rule(x, *numbers)``: half types compute in float32, numbers take the dtype of ``x``."""

    def run(x: jax.Array, *numbers: Any) -> jax.Array:
        wide = widen(x)
        return rule(wide, *(jnp.asarray(n).astype(wide.dtype) for n in numbers)).astype(x.dtype)

    run.__name__ = rule.__name__
    return jax.jit(run)


def floating(function: str, input: Any, argument: str = "input") -> jax.Array:
    """The input as an array of a real floating dtype; TypeError otherwise."""
    x = as_array(function, argument, input)
    check_floating(function, **{argument: x})
    return x


def floating_or_integer(function: str, input: Any) -> jax.Array:
    """The input as an array of a real dtype other than bool; TypeError otherwise."""
    x = as_array(function, "input", input)
    check_real(function, input=x)
    return x


def any_to_float(function: str, input: Any) -> jax.Array:
    """The input as an array of a floating or complex dtype; integers and booleans become the default float."""
    x = as_array(function, "input", input)
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(jnp.result_type(float))


def number(function: str, argument: str, value: Any) -> Any:
    """The value, if it is a real number or a 0-D array (traced or not); TypeError otherwise."""
    if isinstance(value, int | float | np.number) or getattr(value, "shape", None) == ():
        return value
    return fail(TypeError, function, argument, "a number", value)

"""The check of images, and the cubic filter of resizing and grid sampling."""

from __future__ import annotations

from typing import Any

import jax

from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import (
    as_array,
    fail,
)


def check_image(function: str, input: ArrayLike) -> jax.Array:
    x = as_array(function, "input", input)
    if x.ndim < 3:
        fail(ValueError, function, "input", "of 3 or more axes", x)
    return x


def cubic_near(distance: Any, a: float) -> Any:
    """The cubic filter (Keys, 1981) of numbers or arrays in [0, 1]."""
    return ((a + 2) * distance - (a + 3)) * distance * distance + 1


def cubic_far(distance: Any, a: float) -> Any:
    """The cubic filter of numbers or arrays in [1, 2]; beyond, it is 0."""
    return ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a

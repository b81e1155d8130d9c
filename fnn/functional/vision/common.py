"""The check of images."""

from __future__ import annotations

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

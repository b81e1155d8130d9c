"""The type of array arguments, and what is asked of arrays: traced or not, weak or not, wide enough to sum."""

from __future__ import annotations

from typing import Any, Protocol

import jax
import jax.numpy as jnp
import jax.typing
import numpy as np
from jax.core import Tracer


class SupportsJaxArray(Protocol):
    """What can be used as an array without being one, such as a Parameter."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def ndim(self) -> int: ...

    def __jax_array__(self) -> jax.Array: ...


ArrayLike = jax.typing.ArrayLike | SupportsJaxArray


def is_concrete(*arrays: Any) -> bool:
    """True if the values of all the arrays can be read, that is, none of them is being traced."""
    return not any(isinstance(a, Tracer) for a in arrays)


def is_weak(value: Any) -> bool:
    """True for a Python scalar or an array of weak type, which takes the dtype of its partner."""
    return isinstance(value, bool | int | float | complex) or bool(getattr(value, "weak_type", False))


def index_dtype() -> Any:
    """The dtype of returned indices: int64 with x64 on, else int32."""
    return jax.dtypes.canonicalize_dtype(np.int64)


def to_wide(array: jax.Array) -> jax.Array:
    """Half types as float32, in which sums are taken; other arrays as they are."""
    return array.astype(jnp.promote_types(array.dtype, jnp.float32))

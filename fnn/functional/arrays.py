"""The type of array arguments, and what is asked of arrays: traced or not, weak or not, wide enough to sum."""

from __future__ import annotations

from typing import Any, TypeAlias, overload

import jax
import jax.numpy as jnp
import jax.typing
import numpy as np
from jax.core import Tracer

from fnn.stateful.boxes import Box

ArrayLike: TypeAlias = jax.typing.ArrayLike
"""What is taken for an array: jax's own alias. A Parameter or Buffer passes for a ``jax.Array``."""


def is_concrete(*arrays: Any) -> bool:
    """True if the values of all the arrays can be read, that is, none of them is being traced."""
    return not any(isinstance(a.peek() if isinstance(a, Box) else a, Tracer) for a in arrays)


def known(value: Any) -> np.ndarray[Any, Any] | None:
    """The values that can be read now, as numpy; ``None`` of a traced array.

    A check computes with these: under a JAX transformation a ``jnp`` operation on an array that is known gives a tracer.
    Of an array that lies on several processes' devices these are the parts on this one's, flat.
    """
    if isinstance(value, Box):
        value = value.peek()
    if isinstance(value, Tracer):
        return None
    if isinstance(value, jax.Array) and not (value.is_fully_addressable or value.is_fully_replicated):
        return np.concatenate([np.asarray(shard.data).reshape(-1) for shard in value.addressable_shards])
    return np.asarray(value)


def is_weak(value: Any) -> bool:
    """True for a Python scalar or an array of weak type, which takes the dtype of its partner."""
    return isinstance(value, bool | int | float | complex) or bool(getattr(value, "weak_type", False))


def index_dtype() -> Any:
    """The dtype of returned indices: int64 with x64 on, else int32."""
    return jax.dtypes.canonicalize_dtype(np.int64)


@overload
def widen(x: jax.Array) -> jax.Array: ...
@overload
def widen(x: jax.Array | None) -> jax.Array | None: ...
def widen(x: jax.Array | None) -> jax.Array | None:
    """A half type as float32, in which sums are taken; another array, or ``None``, as it is."""
    return x.astype(jnp.float32) if x is not None and x.dtype in (jnp.bfloat16, jnp.float16) else x


def written(input: Any, inplace: bool, output: jax.Array) -> jax.Array:
    """``output``, which an input that is a box gets as well if ``inplace``, as torch changes its tensor."""
    if inplace and isinstance(input, Box) and output is not input.peek():
        input.write(output)
    return output


def absolute(x: jax.Array) -> jax.Array:
    """``|x|`` with torch's derivative, 0 at 0 and for NaN; that of ``jnp.abs`` at 0 is 1."""
    return jnp.where(x > 0, x, jnp.where(x < 0, -x, jax.lax.stop_gradient(x)))

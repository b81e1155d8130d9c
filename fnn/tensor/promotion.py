"""torch's rules of types: in what an operation of several arrays computes, and what may be written into what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from fnn.functional.arrays import ArrayLike, index_dtype, is_weak, known
from fnn.functional.checks import as_array, check_64_bits, fail
from fnn.stateful.warning import warn

__all__ = [
    "Number",
    "can_cast",
    "cast",
    "combined",
    "default_of_number",
    "floated",
    "is_number",
    "kind_of",
    "operand",
    "parse",
    "result_type",
]

Number: TypeAlias = bool | int | float | complex
"""A Python number, which takes part in a result's type by its kind alone."""

_HALF = (jnp.bfloat16, jnp.float16)
_FLOAT = np.dtype(np.float32)


def kind_of(dtype: DTypeLike) -> int:
    """The kind of a dtype in the order in which one gives way to another: 0 bool, 1 integer, 2 floating, 3 complex."""
    dtype = jnp.dtype(dtype)
    if dtype == np.bool_:
        return 0
    if jnp.issubdtype(dtype, jnp.integer):
        return 1
    return 2 if jnp.issubdtype(dtype, jnp.floating) else 3


def can_cast(old: DTypeLike, new: DTypeLike) -> bool:
    """Whether torch writes a result of dtype ``old`` in place into an array of dtype ``new``.

    Example:
        >>> import jax.numpy as jnp
        >>> can_cast(jnp.float32, jnp.bfloat16), can_cast(jnp.float32, jnp.int32)
        (True, False)
    """
    before, after = kind_of(old), kind_of(new)
    if before <= 1:
        return after > 0 or before == 0
    return after >= before


def is_number(value: Any) -> bool:
    """Whether a value is a Python number (numpy's float64 is one), and not an array."""
    return isinstance(value, bool | int | float | complex)


def default_of_number(value: Number) -> np.dtype[Any]:
    """The dtype of an array made of a Python number: bool, int64 (int32 without x64), float32 or complex64."""
    if isinstance(value, bool):
        return np.dtype(np.bool_)
    if isinstance(value, int):
        return np.dtype(index_dtype())
    return _FLOAT if isinstance(value, float) else np.dtype(np.complex64)


def operand(function: str, argument: str, value: Any) -> Any:
    """A Python number as it is, anything else as an array.

    Raises:
        TypeError: if it is neither.
    """
    return value if is_number(value) else as_array(function, argument, value)


def result_type(*values: Any) -> np.dtype[Any]:
    """The dtype in which torch computes with arrays and Python numbers.

    Arrays with axes settle it among themselves; a 0-d array, and after it a number, counts only if it is of a later kind
    (bool, integer, floating, complex).

    Args:
        values: arrays and Python numbers.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.result_type.html

    Example:
        >>> import jax.numpy as jnp
        >>> result_type(jnp.zeros(2, jnp.bfloat16), jnp.zeros(()), 1).name
        'bfloat16'
    """
    groups: list[np.dtype[Any] | None] = [None, None, None]
    for value in values:
        if is_number(value):
            level, dtype = 2, default_of_number(value)
        else:
            level = 0 if value.ndim else 2 if is_weak(value) else 1
            dtype = np.dtype(value.dtype)
            if level == 2 and kind_of(dtype) > 1:
                dtype = _FLOAT if kind_of(dtype) == 2 else np.dtype(np.complex64)
        before = groups[level]
        groups[level] = dtype if before is None else jnp.promote_types(before, dtype)
    result: np.dtype[Any] | None = None
    for dtype in groups:
        if dtype is None:
            continue
        if result is None:
            result = dtype
        elif kind_of(dtype) > kind_of(result):
            # A floating array with axes keeps its width when a number makes it complex.
            wide = kind_of(result) == 2
            result = jnp.promote_types(result, jnp.complex64) if wide else dtype
    assert result is not None
    return result


def floated(function: str, input: ArrayLike) -> jax.Array:
    """The input in a floating or complex dtype: integers and booleans become float32."""
    x = as_array(function, "input", input)
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(_FLOAT)


def combined(
    rule: Callable[..., jax.Array], *operands: Any, floating: bool = False, dtype: DTypeLike | None = None
) -> jax.Array:
    """``rule`` of arrays and Python numbers (see ``operand``) in torch's common dtype.

    Halves and numbers are combined in float32 and rounded once.

    Args:
        rule: a function of arrays of one dtype.
        operands: what it is given.
        floating: whether integers become float32 first.
        dtype: the dtype to compute in, if another than ``result_type`` says.
    """
    common = np.dtype(result_type(*operands) if dtype is None else dtype)
    if floating and kind_of(common) < 2:
        common = _FLOAT
    work = _FLOAT if common in _HALF and any(is_number(v) for v in operands) else common
    if kind_of(work) < 2:
        for value in operands:
            if isinstance(value, int):
                check_64_bits("a number", value)
    out = rule(*(np.asarray(v).astype(work) if is_number(v) else v.astype(work) for v in operands))
    return out.astype(common) if work != common and out.dtype == work else out


def cast(what: str, array: jax.Array, dtype: DTypeLike) -> jax.Array:
    """An array in the dtype of that which takes it over, as torch's ``copy_``.

    Of complex numbers for a real dtype only the real parts go in, with a warning.

    Args:
        what: the function and the argument, for messages.
        array: the array.
        dtype: the dtype.

    Raises:
        ValueError: if a floating number that is known is one that no integer of the dtype stands for: NaN, infinite, too large.

    Example:
        >>> import jax.numpy as jnp
        >>> cast("copy_: src", jnp.array([2.5]), jnp.int32).tolist()
        [2]
    """
    old, new = kind_of(array.dtype), kind_of(dtype)
    if old == 3 and new < 3:
        warn(f"{what} is complex and goes into {jnp.dtype(dtype).name}: the imaginary parts are discarded")
        array = array.real
    if old >= 2 and new == 1 and (values := known(array)) is not None and values.size:
        limits = jnp.iinfo(dtype)
        wide = values.astype(np.float64)
        bad = ~((wide > float(limits.min) - 1) & (wide < float(limits.max) + 1))
        if bad.any():
            raise ValueError(
                f"{what} must be of numbers that {jnp.dtype(dtype).name} can hold, got {wide[bad].flat[0]}"
            )
    return array if array.dtype == dtype else array.astype(dtype)


def parse(function: str, dtype: DTypeLike | None) -> np.dtype[Any] | None:
    """A dtype argument: without x64 a 64-bit integer is the 32-bit one, and a 64-bit floating one is refused.

    Raises:
        TypeError: if it is no dtype.
        RuntimeError: if it needs x64, which is off.
    """
    if dtype is None:
        return None
    try:
        parsed = jnp.dtype(dtype)
    except TypeError:
        fail(TypeError, function, "dtype", "a JAX dtype such as jnp.float32", dtype)
    canonical = np.dtype(jax.dtypes.canonicalize_dtype(parsed))
    if canonical != parsed and kind_of(parsed) > 1:
        raise RuntimeError(
            f'{function}: dtype {parsed} needs 64-bit types: set jax.config.update("jax_enable_x64", True) first'
        )
    return canonical

"""Checks of arguments, with one form of error message."""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from fnn.functional.arrays import is_weak, known
from fnn.stateful.boxes import Box


def describe(value: Any) -> str:
    """A short text for an error message: shape and dtype of an array, ``repr`` of anything else."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        name = str(value.dtype) if jnp.issubdtype(value.dtype, jax.dtypes.extended) else jnp.dtype(value.dtype).name
        return f"{name}{list(value.shape)}"
    if type(value) in (list, tuple) and any(hasattr(item, "dtype") for item in value):
        text = ", ".join(map(describe, value))
        text = f"[{text}]" if type(value) is list else f"({text})"
    else:
        text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def fail(kind: type[Exception], function: str, argument: str, expected: str, got: Any) -> NoReturn:
    """Raises ``kind`` with the one message form of the library: function, argument, expectation, value."""
    raise kind(f"{function}: {argument} must be {expected}, got {describe(got)}")


def as_array(function: str, argument: str, value: Any) -> jax.Array:
    """Converts an array argument (jax, numpy, Parameter, Python scalar) to a ``jax.Array``.

    Raises:
        TypeError: if ``value`` is not an array or a number.
    """
    if isinstance(value, jax.Array):
        return value
    if isinstance(value, Box):
        return value.data
    if isinstance(value, np.ndarray | np.generic):
        check_64_bits(f"{function}: {argument}", value)
        if value.dtype.kind in "OSUMm" or value.dtype.names:
            fail(TypeError, function, argument, "an array of numbers", value)
        # Under a trace too the values stay known, for the checks that read them.
        with jax.ensure_compile_time_eval():
            return jnp.asarray(value)
    if isinstance(value, int):
        check_64_bits(f"{function}: {argument}", value)
    if hasattr(value, "__jax_array__") or isinstance(value, bool | int | float | complex):
        return jnp.asarray(value)
    if isinstance(value, list | tuple):
        fail(TypeError, function, argument, "an array", type(value).__name__)
    if str(getattr(value, "dtype", "")).endswith("int64") and hasattr(value, "__array__"):
        value = np.asarray(value)
        check_64_bits(f"{function}: {argument}", value)
    try:
        return jnp.asarray(value)
    except (TypeError, ValueError):
        fail(TypeError, function, argument, "an array", value)


def check_64_bits(what: str, value: Any) -> None:
    """Raises OverflowError if JAX would cut integers down: those of 64 bits where such types are off, Python's always.

    Args:
        what: the function and the argument, for the message.
        value: an array of numpy or a number that is to become an array.
    """
    wide = _too_wide(value)
    if wide is not None:
        got, narrow = wide
        helps = narrow.itemsize < 8 and -(2**63) <= got < 2**64
        advice = '; jax.config.update("jax_enable_x64", True) lets JAX keep 64 bits' if helps else ""
        raise OverflowError(f"{what} must be of numbers that {narrow.name} can hold, got {describe(got)}{advice}")


def is_cut(value: Any) -> bool:
    """Whether a value is, or has, an integer that JAX would cut down."""
    return isinstance(value, int | np.ndarray | np.generic) and _too_wide(value) is not None


def _too_wide(value: np.ndarray[Any, Any] | np.generic | int) -> tuple[int, np.dtype[Any]] | None:
    """A number that JAX would cut down, and the dtype that it would have."""
    if isinstance(value, int):
        if -(2**31) <= value < 2**31:
            return None
        narrow, least, most = np.dtype(jax.dtypes.canonicalize_dtype(np.int64)), value, value
    elif value.dtype.kind in "iu" and value.dtype.itemsize == 8 and value.size:
        narrow = np.dtype(jax.dtypes.canonicalize_dtype(value.dtype))
        if narrow == value.dtype:
            return None
        least, most = int(value.min()), int(value.max())
    else:
        return None
    limits = np.iinfo(narrow)
    if least < limits.min or most > limits.max:
        return least if least < limits.min else most, narrow
    return None


def as_optional_array(function: str, argument: str, value: Any) -> jax.Array | None:
    """``as_array`` that lets ``None`` through."""
    return None if value is None else as_array(function, argument, value)


def check_floating(function: str, **arrays: Any) -> None:
    """Raises TypeError unless every array given (``None`` passes) has a real floating dtype."""
    for argument, value in arrays.items():
        if value is not None and not jnp.issubdtype(value.dtype, jnp.floating):
            fail(TypeError, function, argument, "of a floating dtype", value)


def check_real(function: str, **arrays: Any) -> None:
    """Raises TypeError unless every array given has a floating or integer dtype, not a bool or complex one."""
    for argument, value in arrays.items():
        if not (jnp.issubdtype(value.dtype, jnp.floating) or jnp.issubdtype(value.dtype, jnp.integer)):
            fail(TypeError, function, argument, "of a floating or integer dtype", value)


def check_numeric(function: str, **arrays: Any) -> None:
    """Raises TypeError if an array (``None`` passes) is boolean, or of no numbers."""
    for argument, value in arrays.items():
        if value is not None and not jnp.issubdtype(value.dtype, jnp.number):
            fail(TypeError, function, argument, "of a floating, complex or integer dtype", value)


def check_integer(function: str, **arrays: Any) -> None:
    """Raises TypeError unless every array given (``None`` passes) has an integer dtype."""
    for argument, value in arrays.items():
        if value is not None and not jnp.issubdtype(value.dtype, jnp.integer):
            fail(TypeError, function, argument, "of an integer dtype", value)


_PARAMETER = re.compile(r"weight|bias|^w_|^running_")


def check_same_dtype(function: str, **arrays: Any) -> None:
    """Raises TypeError unless the arrays given (``None`` and weak types pass) share one dtype.

    As in torch, which mixes no floating dtypes in a layer. The message says which cast helps: that of what a layer is given to
    the dtype of the layer's parameters, elsewhere that of the second to the dtype of the first.
    """
    first: tuple[str, Any] | None = None
    agreed = False  # whether a parameter of the layer was of the first one's dtype
    for argument, value in arrays.items():
        if value is None or is_weak(value):
            continue
        of_layer = not agreed and _PARAMETER.search(argument) is not None
        if first is None:
            first = (argument, value)
        elif value.dtype != first[1].dtype:
            cures = of_layer and jnp.issubdtype(value.dtype, jnp.inexact)
            old, new = (first[0], value) if cures else (argument, first[1])
            raise TypeError(
                f"{function}: {first[0]} and {argument} must be of one dtype, got {describe(first[1])} and {describe(value)}; "
                f"cast one, as by {old}.astype(jnp.{jnp.dtype(new.dtype).name})"
            )
        elif of_layer:
            agreed = True


def check_rank(function: str, argument: str, value: Any, *ranks: int) -> None:
    """Raises ValueError unless the array has one of the ranks."""
    if value.ndim not in ranks:
        expected = " or ".join(f"{r}-D" for r in ranks)
        fail(ValueError, function, argument, expected, value)


def check_shape(function: str, argument: str, value: Any, shape: Sequence[int | None], why: str = "") -> None:
    """Raises ValueError unless the array has the shape; ``None`` in ``shape`` stands for any length."""
    if len(value.shape) != len(shape) or any(w is not None and w != s for s, w in zip(value.shape, shape, strict=True)):
        wanted = "[" + ", ".join("*" if w is None else str(w) for w in shape) + "]"
        fail(ValueError, function, argument, f"of shape {wanted}{' ' + why if why else ''}", value)


def normalize_axis(function: str, argument: str, axis: Any, ndim: int) -> int:
    """The axis as a number in ``[0, ndim)``; a 0-D array counts as having one axis, as in torch.

    Raises:
        TypeError: if ``axis`` is not an integer.
        IndexError: if it is out of range.
    """
    axis = as_int(function, argument, axis)
    span = max(ndim, 1)
    if not -span <= axis < span:
        fail(IndexError, function, argument, f"in [{-span}, {span - 1}]", axis)
    return axis % span


def as_int(function: str, argument: str, value: Any, minimum: int | None = None) -> int:
    """The value as a Python int.

    Raises:
        TypeError: if it is not an integer.
        ValueError: if it is below ``minimum``.
    """
    if isinstance(value, bool):
        fail(TypeError, function, argument, "an int", value)
    try:
        number = operator.index(value)
    except TypeError:
        fail(TypeError, function, argument, "an int", value)
    if minimum is not None and number < minimum:
        fail(ValueError, function, argument, f"at least {minimum}", number)
    return number


def ntuple(function: str, argument: str, value: Any, n: int, minimum: int | None = None) -> tuple[int, ...]:
    """An int, or a sequence of one or ``n`` ints, as a tuple of ``n`` ints (``kernel_size=3`` becomes ``(3, 3)``).

    Raises:
        TypeError: if an element is not an integer.
        ValueError: if the count is neither 1 nor ``n``, or an element is below ``minimum``.
    """
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str):
        items = tuple(value)
        if len(items) == 1:
            items = items * n
        if len(items) != n:
            fail(ValueError, function, argument, f"an int or {n} ints", value)
    else:
        items = (value,) * n
    return tuple(as_int(function, argument, item, minimum) for item in items)


def check_choice(function: str, argument: str, value: Any, choices: Sequence[Any]) -> None:
    """Raises ValueError unless the value is one of the choices."""
    if value not in choices:
        fail(ValueError, function, argument, "one of " + ", ".join(map(repr, choices)), value)


def check_probability(function: str, argument: str, value: float | jax.Array) -> None:
    """Raises ValueError unless the (concrete) value lies in [0, 1]."""
    chance = known(value)
    if chance is not None and not (chance.size == 1 and 0 <= chance.item() <= 1):
        fail(ValueError, function, argument, "between 0 and 1", value)


def check_index_range(function: str, argument: str, index: Any, size: int, ignore: int | None = None) -> None:
    """Raises IndexError if a concrete index array has a value outside ``[0, size)`` other than ``ignore``.

    A traced array passes: the caller must make its out-of-range rows NaN (see ``out_of_range_to_nan``).
    """
    values = known(index)
    if values is None:
        return
    bad = (values < 0) | (values >= size)
    if ignore is not None:
        bad &= values != ignore
    if bad.any():
        fail(IndexError, function, argument, f"in [0, {size - 1}]", int(values[bad].flat[0]))

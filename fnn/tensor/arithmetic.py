"""Functions of two and three arrays that broadcast, in torch's common dtype."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnn.functional.arrays import ArrayLike, is_concrete, known
from fnn.functional.checks import as_array, check_choice, fail
from fnn.functional.vector_norm import norm_order, vector_norm
from fnn.tensor.promotion import combined, floated, is_number, kind_of, operand, result_type


def _pair(function: str, input: ArrayLike, other: Any) -> tuple[jax.Array, Any]:
    """The array and the other operand, which must broadcast."""
    x, y = as_array(function, "input", input), operand(function, "other", other)
    check_broadcast(function, "other", y, x.shape)
    return x, y


def check_broadcast(function: str, argument: str, value: Any, shape: tuple[int, ...]) -> None:
    """Raises ValueError unless an array (a number always does) broadcasts with a shape."""
    if not is_number(value):
        try:
            jnp.broadcast_shapes(shape, value.shape)
        except ValueError:
            fail(ValueError, function, argument, f"of a shape that broadcasts with {list(shape)}", value)


def _scaled(function: str, x: jax.Array, y: Any, alpha: Any) -> Any:
    """``alpha * y``, with torch's refusals of an ``alpha`` of a later kind than the result."""
    if isinstance(alpha, int) and not isinstance(alpha, bool) and alpha == 1:
        return y
    alpha = operand(function, "alpha", alpha)
    kind = kind_of(result_type(alpha))
    if kind > max(kind_of(result_type(x, y)), int(kind < 2)):
        fail(RuntimeError, function, "alpha", "no number of a later kind than the result", alpha)
    return y * alpha if is_number(y) else combined(jnp.multiply, y, alpha, dtype=result_type(x, y))


def add(input: ArrayLike, other: ArrayLike, *, alpha: ArrayLike = 1) -> jax.Array:
    """``input + alpha * other``."""
    x, y = _pair("add", input, other)
    return combined(jnp.add, x, _scaled("add", x, y, alpha))


def sub(input: ArrayLike, other: ArrayLike, *, alpha: ArrayLike = 1) -> jax.Array:
    """``input - alpha * other``; booleans are refused."""
    x, y = _pair("sub", input, other)
    if x.dtype == bool or kind_of(result_type(y)) == 0:
        fail(RuntimeError, "sub", "input and other", "of another dtype than bool (use logical_xor or ~)", x)
    return combined(jnp.subtract, x, _scaled("sub", x, y, alpha))


def mul(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """``input * other``."""
    return combined(jnp.multiply, *_pair("mul", input, other))


def _divided(function: str, rule: Any, input: ArrayLike, other: Any) -> jax.Array:
    """A division with a whole quotient; a known divisor of 0 is refused for integers."""
    x, y = _pair(function, input, other)
    divisors = known(y) if kind_of(result_type(x, y)) < 2 else None
    if divisors is not None and not np.all(divisors):
        fail(RuntimeError, function, "other", "other than 0 for integers", y)
    return combined(rule, x, y)


def div(input: ArrayLike, other: ArrayLike, *, rounding_mode: str | None = None) -> jax.Array:
    """``input / other``; rounded towards 0 with ``rounding_mode="trunc"``, down with "floor"."""
    if rounding_mode is not None:
        check_choice("div", "rounding_mode", rounding_mode, (None, "trunc", "floor"))
    if rounding_mode is None:
        return combined(jnp.divide, *_pair("div", input, other), floating=True)
    return _divided("div", jnp.floor_divide if rounding_mode == "floor" else _truncated_quotient, input, other)


def _truncated_quotient(x: jax.Array, y: jax.Array) -> jax.Array:
    if kind_of(x.dtype) < 2:
        return lax.div(*jnp.broadcast_arrays(x, y))
    return jnp.trunc(x / y)


def floor_divide(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """``input / other`` rounded down."""
    return _divided("floor_divide", jnp.floor_divide, input, other)


def remainder(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """What a division rounded down leaves, with the sign of ``other``."""
    return _divided("remainder", jnp.remainder, input, other)


def fmod(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """What a division rounded towards 0 leaves, with the sign of ``input``."""
    return _divided("fmod", jnp.fmod, input, other)


def pow(input: ArrayLike, exponent: ArrayLike) -> jax.Array:
    """``input ** exponent``; negative integer powers of integers are refused."""
    x, y = as_array("pow", "input", input), operand("pow", "exponent", exponent)
    check_broadcast("pow", "exponent", y, x.shape)
    if kind_of(result_type(x, y)) < 2 and is_number(y) and y.real < 0:
        fail(RuntimeError, "pow", "exponent", "at least 0 for an input of integers", y)
    return combined(jnp.power, x, y)


def float_power(input: ArrayLike, exponent: ArrayLike) -> jax.Array:
    """``input ** exponent`` in double precision (single without x64)."""
    x, y = as_array("float_power", "input", input), operand("float_power", "exponent", exponent)
    kind = jnp.complex128 if kind_of(result_type(x, y)) == 3 else jnp.float64
    return combined(jnp.power, x, y, dtype=jax.dtypes.canonicalize_dtype(kind))


def maximum(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """The greater of the two; NaN if one is."""
    return combined(jnp.maximum, *_pair("maximum", input, other))


def minimum(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """The smaller of the two; NaN if one is."""
    return combined(jnp.minimum, *_pair("minimum", input, other))


def fmax(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """The greater of the two; the other where one is NaN."""
    return combined(jnp.fmax, *_pair("fmax", input, other))


def fmin(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """The smaller of the two; the other where one is NaN."""
    return combined(jnp.fmin, *_pair("fmin", input, other))


def clamp(input: ArrayLike, min: ArrayLike | None = None, max: ArrayLike | None = None) -> jax.Array:
    """Elements below ``min`` become ``min``, those above ``max`` (or all, if ``min`` is the greater) ``max``; NaN stays.

    The derivative is 1 within the bounds and at them.
    """
    if min is None and max is None:
        fail(ValueError, "clamp", "min and max", "not both None", None)
    x = as_array("clamp", "input", input)
    low, high = (None if v is None else operand("clamp", n, v) for n, v in (("min", min), ("max", max)))
    given = [v for v in (low, high) if v is not None]
    for value in given:
        check_broadcast("clamp", "min and max", value, x.shape)
    dtype = result_type(x, *given)
    if low is not None:
        x = combined(lambda a, b: jnp.where(a < b, b, a), x, low, dtype=dtype)
    if high is not None:
        x = combined(lambda a, b: jnp.where(a > b, b, a), x, high, dtype=dtype)
    return x


def clamp_min(input: ArrayLike, min: ArrayLike) -> jax.Array:
    """Elements below ``min`` become ``min``."""
    return clamp(input, min)


def clamp_max(input: ArrayLike, max: ArrayLike) -> jax.Array:
    """Elements above ``max`` become ``max``."""
    return clamp(input, None, max)


def atan2(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """The angle of the point ``(other, input)``."""
    return combined(jnp.arctan2, *_pair("atan2", input, other), floating=True)


def hypot(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """``sqrt(input ** 2 + other ** 2)``."""
    return combined(jnp.hypot, *_pair("hypot", input, other))


def copysign(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """The magnitude of ``input`` with the sign of ``other``."""
    return combined(jnp.copysign, *_pair("copysign", input, other), floating=True)


def nextafter(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """The next representable number from ``input`` towards ``other``."""
    return combined(jnp.nextafter, *_pair("nextafter", input, other))


def heaviside(input: ArrayLike, values: ArrayLike) -> jax.Array:
    """0 below 0, 1 above it, and ``values`` at 0."""
    x, y = as_array("heaviside", "input", input), as_array("heaviside", "values", values)
    if x.dtype != y.dtype:
        fail(RuntimeError, "heaviside", "values", f"of the dtype of input ({x.dtype})", y)
    return jnp.where(x == 0, y, (x > 0).astype(x.dtype))


def logaddexp(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """``log(e ** input + e ** other)``."""
    return combined(jnp.logaddexp, *_pair("logaddexp", input, other))


def logaddexp2(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """``log2(2 ** input + 2 ** other)``."""
    return combined(jnp.logaddexp2, *_pair("logaddexp2", input, other))


def gcd(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """Greatest common divisors."""
    return combined(jnp.gcd, *_pair("gcd", input, other))


def lcm(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """Least common multiples."""
    return combined(jnp.lcm, *_pair("lcm", input, other))


def ldexp(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """``input * 2 ** other``."""
    x, y = _pair("ldexp", input, other)
    return combined(jnp.multiply, x, combined(jnp.exp2, y, floating=True), floating=True)


def xlogy(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """``input * log(other)``, 0 where ``input`` is 0."""

    def rule(x: jax.Array, y: jax.Array) -> jax.Array:
        zero = x == 0
        return jnp.where(y != y, y, jnp.where(zero, 0, x * jnp.log(jnp.where(zero, 1, y))))

    return combined(rule, *_pair("xlogy", input, other), floating=True)


def igamma(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """The regularized lower incomplete gamma function of order ``input`` at ``other``."""
    return combined(lambda a, x: lax.igamma(*jnp.broadcast_arrays(a, x)), *_pair("igamma", input, other))


def igammac(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """``1 - igamma(input, other)``."""
    return combined(lambda a, x: lax.igammac(*jnp.broadcast_arrays(a, x)), *_pair("igammac", input, other))


def lerp(input: ArrayLike, end: ArrayLike, weight: ArrayLike) -> jax.Array:
    """``input + weight * (end - input)``; the dtypes of ``input`` and ``end`` must be one."""
    x, y, w = as_array("lerp", "input", input), as_array("lerp", "end", end), operand("lerp", "weight", weight)
    if y.dtype != x.dtype:
        fail(RuntimeError, "lerp", "end", f"of the dtype of input ({x.dtype})", y)
    if not is_number(w) and w.ndim and w.dtype != x.dtype:
        fail(RuntimeError, "lerp", "weight", f"of the dtype of input ({x.dtype})", w)
    for name, value in (("end", y), ("weight", w)):
        check_broadcast("lerp", name, value, x.shape)

    def rule(start: jax.Array, stop: jax.Array, rate: jax.Array) -> jax.Array:
        near = jnp.abs(rate) < 0.5
        return jnp.where(near, start + rate * (stop - start), stop - (stop - start) * (1 - rate))

    return combined(rule, x, y, w, dtype=x.dtype)


def _triple(function: str, input: ArrayLike, tensor1: ArrayLike, tensor2: ArrayLike) -> list[jax.Array]:
    names = ("input", "tensor1", "tensor2")
    arrays = [as_array(function, n, v) for n, v in zip(names, (input, tensor1, tensor2), strict=True)]
    for name, value in zip(names[1:], arrays[1:], strict=True):
        check_broadcast(function, name, value, arrays[0].shape)
    return arrays


def addcmul(input: ArrayLike, tensor1: ArrayLike, tensor2: ArrayLike, *, value: ArrayLike = 1) -> jax.Array:
    """``input + value * tensor1 * tensor2``."""
    arrays = _triple("addcmul", input, tensor1, tensor2)
    scale = operand("addcmul", "value", value)
    dtype = result_type(*arrays)
    if kind_of(dtype) < 2 and kind_of(result_type(scale)) > 1:
        fail(RuntimeError, "addcmul", "value", f"an integer for a result of dtype {dtype}", value)
    return combined(lambda x, a, b, v: x + v * a * b, *arrays, scale, dtype=dtype)


def addcdiv(input: ArrayLike, tensor1: ArrayLike, tensor2: ArrayLike, *, value: ArrayLike = 1) -> jax.Array:
    """``input + value * tensor1 / tensor2``, of floating or complex arrays."""
    arrays = _triple("addcdiv", input, tensor1, tensor2)
    if kind_of(result_type(*arrays[1:])) < 2:
        fail(RuntimeError, "addcdiv", "tensor1 or tensor2", "floating or complex", arrays[1])
    scale = operand("addcdiv", "value", value)
    return combined(lambda x, a, b, v: x + v * a / b, *arrays, scale, dtype=result_type(*arrays))


def dist(input: ArrayLike, other: ArrayLike, p: float = 2) -> jax.Array:
    """The ``p``-norm of ``input - other``."""
    order = norm_order("dist", "p", p)
    difference = combined(jnp.subtract, *_pair("dist", input, as_array("dist", "other", other)))
    return vector_norm(floated("dist", difference), order, tuple(range(difference.ndim)))


# Bits and logic


def _bitwise(function: str, rule: Any, input: ArrayLike, other: Any) -> jax.Array:
    x, y = _pair(function, input, other)
    if kind_of(result_type(x, y)) > 1:
        fail(RuntimeError, function, "input and other", "of integer dtypes or bool", x if is_number(y) else y)
    return combined(rule, x, y)


def bitwise_and(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """Bits set in both."""
    return _bitwise("bitwise_and", jnp.bitwise_and, input, other)


def bitwise_or(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """Bits set in either."""
    return _bitwise("bitwise_or", jnp.bitwise_or, input, other)


def bitwise_xor(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """Bits set in one of the two."""
    return _bitwise("bitwise_xor", jnp.bitwise_xor, input, other)


def bitwise_left_shift(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """``input`` with its bits moved up by ``other`` places."""
    return _bitwise("bitwise_left_shift", jnp.left_shift, input, other)


def bitwise_right_shift(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """``input`` with its bits moved down by ``other`` places, the sign kept."""
    return _bitwise("bitwise_right_shift", jnp.right_shift, input, other)


def logical_and(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """Where both are other than 0."""
    return jnp.logical_and(*_pair("logical_and", input, other))


def logical_or(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """Where either is other than 0."""
    return jnp.logical_or(*_pair("logical_or", input, other))


def logical_xor(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """Where one of the two is other than 0."""
    return jnp.logical_xor(*_pair("logical_xor", input, other))


# Comparisons


def eq(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """Where the two are equal."""
    return combined(jnp.equal, *_pair("eq", input, other))


def ne(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """Where the two differ."""
    return combined(jnp.not_equal, *_pair("ne", input, other))


def lt(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """Where ``input`` is the smaller."""
    return combined(jnp.less, *_pair("lt", input, other))


def le(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """Where ``input`` is not the greater."""
    return combined(jnp.less_equal, *_pair("le", input, other))


def gt(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """Where ``input`` is the greater."""
    return combined(jnp.greater, *_pair("gt", input, other))


def ge(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """Where ``input`` is not the smaller."""
    return combined(jnp.greater_equal, *_pair("ge", input, other))


def isclose(
    input: ArrayLike, other: ArrayLike, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> jax.Array:
    """Where ``|input - other| <= atol + rtol * |other|``."""
    x, y = as_array("isclose", "input", input), as_array("isclose", "other", other)
    if x.dtype != y.dtype:
        fail(RuntimeError, "isclose", "other", f"of the dtype of input ({x.dtype})", y)
    return jnp.isclose(x, y, rtol, atol, equal_nan)


def allclose(
    input: ArrayLike, other: ArrayLike, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    """Whether all elements are close, as ``isclose`` says; a Python bool, which needs values that are not traced."""
    x, y = _known("allclose", input, other)
    if x.dtype != y.dtype:
        fail(RuntimeError, "allclose", "other", f"of the dtype of input ({x.dtype})", y)
    check_broadcast("allclose", "other", y, x.shape)
    if x.dtype in (jnp.bfloat16, jnp.float16):
        x, y = x.astype(np.float32), y.astype(np.float32)
    return bool(np.isclose(x, y, rtol, atol, equal_nan).all())


def equal(input: ArrayLike, other: ArrayLike) -> bool:
    """Whether shapes and elements are the same; a Python bool, which needs values that are not traced."""
    return np.array_equal(*_known("equal", input, other))


def _known(function: str, input: ArrayLike, other: ArrayLike) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    x, y = as_array(function, "input", input), as_array(function, "other", other)
    if not is_concrete(x, y):
        raise RuntimeError(
            f"{function}: a Python bool needs values, which are not known under a JAX transformation; use "
            f"{'isclose' if function == 'allclose' else '=='} and .all(), which give arrays"
        )
    return np.asarray(x), np.asarray(y)


def where(input: ArrayLike, condition: ArrayLike, other: ArrayLike) -> jax.Array:
    """``input`` where ``condition`` is true, ``other`` elsewhere."""
    x, y = _pair("where", input, other)
    mask = as_array("where", "condition", condition)
    if mask.dtype != bool:
        fail(TypeError, "where", "condition", "of dtype bool", mask)
    return combined(lambda a, b: jnp.where(mask, a, b), x, y)

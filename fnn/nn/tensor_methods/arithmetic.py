"""torch's Tensor methods of two and three arrays that broadcast."""

from __future__ import annotations

import jax

from fnn.functional.arrays import ArrayLike
from fnn.stateful.boxes import Box
from fnn.tensor import arithmetic

__all__ = ["ArithmeticMethods"]


class ArithmeticMethods(Box):
    """Functions of two and three arrays, in torch's common dtype."""

    __slots__ = ()

    def add(self, other: ArrayLike, *, alpha: ArrayLike = 1) -> jax.Array:
        """``input + alpha * other``."""
        return arithmetic.add(self.data, other, alpha=alpha)

    def sub(self, other: ArrayLike, *, alpha: ArrayLike = 1) -> jax.Array:
        """``input - alpha * other``; booleans are refused."""
        return arithmetic.sub(self.data, other, alpha=alpha)

    def subtract(self, other: ArrayLike, *, alpha: ArrayLike = 1) -> jax.Array:
        """The same as ``sub``."""
        return arithmetic.sub(self.data, other, alpha=alpha)

    def mul(self, other: ArrayLike) -> jax.Array:
        """``input * other``."""
        return arithmetic.mul(self.data, other)

    def multiply(self, other: ArrayLike) -> jax.Array:
        """The same as ``mul``."""
        return arithmetic.mul(self.data, other)

    def div(self, other: ArrayLike, *, rounding_mode: str | None = None) -> jax.Array:
        """``input / other``; rounded towards 0 with ``rounding_mode="trunc"``, down with "floor"."""
        return arithmetic.div(self.data, other, rounding_mode=rounding_mode)

    def divide(self, other: ArrayLike, *, rounding_mode: str | None = None) -> jax.Array:
        """The same as ``div``."""
        return arithmetic.div(self.data, other, rounding_mode=rounding_mode)

    def true_divide(self, other: ArrayLike) -> jax.Array:
        """The same as ``div``."""
        return arithmetic.div(self.data, other)

    def floor_divide(self, other: ArrayLike) -> jax.Array:
        """``input / other`` rounded down."""
        return arithmetic.floor_divide(self.data, other)

    def remainder(self, other: ArrayLike) -> jax.Array:
        """What a division rounded down leaves, with the sign of ``other``."""
        return arithmetic.remainder(self.data, other)

    def fmod(self, other: ArrayLike) -> jax.Array:
        """What a division rounded towards 0 leaves, with the sign of ``input``."""
        return arithmetic.fmod(self.data, other)

    def pow(self, exponent: ArrayLike) -> jax.Array:
        """``input ** exponent``; negative integer powers of integers are refused."""
        return arithmetic.pow(self.data, exponent)

    def float_power(self, exponent: ArrayLike) -> jax.Array:
        """``input ** exponent`` in double precision (single without x64)."""
        return arithmetic.float_power(self.data, exponent)

    def maximum(self, other: ArrayLike) -> jax.Array:
        """The greater of the two; NaN if one is."""
        return arithmetic.maximum(self.data, other)

    def minimum(self, other: ArrayLike) -> jax.Array:
        """The smaller of the two; NaN if one is."""
        return arithmetic.minimum(self.data, other)

    def fmax(self, other: ArrayLike) -> jax.Array:
        """The greater of the two; the other where one is NaN."""
        return arithmetic.fmax(self.data, other)

    def fmin(self, other: ArrayLike) -> jax.Array:
        """The smaller of the two; the other where one is NaN."""
        return arithmetic.fmin(self.data, other)

    def clamp(self, min: ArrayLike | None = None, max: ArrayLike | None = None) -> jax.Array:
        """Elements below ``min`` become ``min``, those above ``max`` (or all, if ``min`` is the greater) ``max``; NaN stays.

        The derivative is 1 within the bounds and at them.
        """
        return arithmetic.clamp(self.data, min, max)

    def clip(self, min: ArrayLike | None = None, max: ArrayLike | None = None) -> jax.Array:
        """The same as ``clamp``."""
        return arithmetic.clamp(self.data, min, max)

    def clamp_min(self, min: ArrayLike) -> jax.Array:
        """Elements below ``min`` become ``min``."""
        return arithmetic.clamp_min(self.data, min)

    def clamp_max(self, max: ArrayLike) -> jax.Array:
        """Elements above ``max`` become ``max``."""
        return arithmetic.clamp_max(self.data, max)

    def atan2(self, other: ArrayLike) -> jax.Array:
        """The angle of the point ``(other, input)``."""
        return arithmetic.atan2(self.data, other)

    def arctan2(self, other: ArrayLike) -> jax.Array:
        """The same as ``atan2``."""
        return arithmetic.atan2(self.data, other)

    def hypot(self, other: ArrayLike) -> jax.Array:
        """``sqrt(input ** 2 + other ** 2)``."""
        return arithmetic.hypot(self.data, other)

    def copysign(self, other: ArrayLike) -> jax.Array:
        """The magnitude of ``input`` with the sign of ``other``."""
        return arithmetic.copysign(self.data, other)

    def nextafter(self, other: ArrayLike) -> jax.Array:
        """The next representable number from ``input`` towards ``other``."""
        return arithmetic.nextafter(self.data, other)

    def heaviside(self, values: ArrayLike) -> jax.Array:
        """0 below 0, 1 above it, and ``values`` at 0."""
        return arithmetic.heaviside(self.data, values)

    def logaddexp(self, other: ArrayLike) -> jax.Array:
        """``log(e ** input + e ** other)``."""
        return arithmetic.logaddexp(self.data, other)

    def logaddexp2(self, other: ArrayLike) -> jax.Array:
        """``log2(2 ** input + 2 ** other)``."""
        return arithmetic.logaddexp2(self.data, other)

    def gcd(self, other: ArrayLike) -> jax.Array:
        """Greatest common divisors."""
        return arithmetic.gcd(self.data, other)

    def lcm(self, other: ArrayLike) -> jax.Array:
        """Least common multiples."""
        return arithmetic.lcm(self.data, other)

    def ldexp(self, other: ArrayLike) -> jax.Array:
        """``input * 2 ** other``."""
        return arithmetic.ldexp(self.data, other)

    def xlogy(self, other: ArrayLike) -> jax.Array:
        """``input * log(other)``, 0 where ``input`` is 0."""
        return arithmetic.xlogy(self.data, other)

    def igamma(self, other: ArrayLike) -> jax.Array:
        """The regularized lower incomplete gamma function of order ``input`` at ``other``."""
        return arithmetic.igamma(self.data, other)

    def igammac(self, other: ArrayLike) -> jax.Array:
        """``1 - igamma(input, other)``."""
        return arithmetic.igammac(self.data, other)

    def lerp(self, end: ArrayLike, weight: ArrayLike) -> jax.Array:
        """``input + weight * (end - input)``; the dtypes of ``input`` and ``end`` must be one."""
        return arithmetic.lerp(self.data, end, weight)

    def addcmul(self, tensor1: ArrayLike, tensor2: ArrayLike, *, value: ArrayLike = 1) -> jax.Array:
        """``input + value * tensor1 * tensor2``."""
        return arithmetic.addcmul(self.data, tensor1, tensor2, value=value)

    def addcdiv(self, tensor1: ArrayLike, tensor2: ArrayLike, *, value: ArrayLike = 1) -> jax.Array:
        """``input + value * tensor1 / tensor2``, of floating or complex arrays."""
        return arithmetic.addcdiv(self.data, tensor1, tensor2, value=value)

    def dist(self, other: ArrayLike, p: float = 2) -> jax.Array:
        """The ``p``-norm of ``input - other``."""
        return arithmetic.dist(self.data, other, p)

    def bitwise_and(self, other: ArrayLike) -> jax.Array:
        """Bits set in both."""
        return arithmetic.bitwise_and(self.data, other)

    def bitwise_or(self, other: ArrayLike) -> jax.Array:
        """Bits set in either."""
        return arithmetic.bitwise_or(self.data, other)

    def bitwise_xor(self, other: ArrayLike) -> jax.Array:
        """Bits set in one of the two."""
        return arithmetic.bitwise_xor(self.data, other)

    def bitwise_left_shift(self, other: ArrayLike) -> jax.Array:
        """``input`` with its bits moved up by ``other`` places."""
        return arithmetic.bitwise_left_shift(self.data, other)

    def bitwise_right_shift(self, other: ArrayLike) -> jax.Array:
        """``input`` with its bits moved down by ``other`` places, the sign kept."""
        return arithmetic.bitwise_right_shift(self.data, other)

    def logical_and(self, other: ArrayLike) -> jax.Array:
        """Where both are other than 0."""
        return arithmetic.logical_and(self.data, other)

    def logical_or(self, other: ArrayLike) -> jax.Array:
        """Where either is other than 0."""
        return arithmetic.logical_or(self.data, other)

    def logical_xor(self, other: ArrayLike) -> jax.Array:
        """Where one of the two is other than 0."""
        return arithmetic.logical_xor(self.data, other)

    def eq(self, other: ArrayLike) -> jax.Array:
        """Where the two are equal."""
        return arithmetic.eq(self.data, other)

    def ne(self, other: ArrayLike) -> jax.Array:
        """Where the two differ."""
        return arithmetic.ne(self.data, other)

    def not_equal(self, other: ArrayLike) -> jax.Array:
        """The same as ``ne``."""
        return arithmetic.ne(self.data, other)

    def lt(self, other: ArrayLike) -> jax.Array:
        """Where ``input`` is the smaller."""
        return arithmetic.lt(self.data, other)

    def less(self, other: ArrayLike) -> jax.Array:
        """The same as ``lt``."""
        return arithmetic.lt(self.data, other)

    def le(self, other: ArrayLike) -> jax.Array:
        """Where ``input`` is not the greater."""
        return arithmetic.le(self.data, other)

    def less_equal(self, other: ArrayLike) -> jax.Array:
        """The same as ``le``."""
        return arithmetic.le(self.data, other)

    def gt(self, other: ArrayLike) -> jax.Array:
        """Where ``input`` is the greater."""
        return arithmetic.gt(self.data, other)

    def greater(self, other: ArrayLike) -> jax.Array:
        """The same as ``gt``."""
        return arithmetic.gt(self.data, other)

    def ge(self, other: ArrayLike) -> jax.Array:
        """Where ``input`` is not the smaller."""
        return arithmetic.ge(self.data, other)

    def greater_equal(self, other: ArrayLike) -> jax.Array:
        """The same as ``ge``."""
        return arithmetic.ge(self.data, other)

    def isclose(self, other: ArrayLike, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> jax.Array:
        """Where ``|input - other| <= atol + rtol * |other|``."""
        return arithmetic.isclose(self.data, other, rtol, atol, equal_nan)

    def allclose(self, other: ArrayLike, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
        """Whether all elements are close, as ``isclose`` says; a Python bool, which needs values that are not traced."""
        return arithmetic.allclose(self.data, other, rtol, atol, equal_nan)

    def equal(self, other: ArrayLike) -> bool:
        """Whether shapes and elements are the same; a Python bool, which needs values that are not traced."""
        return arithmetic.equal(self.data, other)

    def where(self, condition: ArrayLike, other: ArrayLike) -> jax.Array:
        """``input`` where ``condition`` is true, ``other`` elsewhere."""
        return arithmetic.where(self.data, condition, other)

"""torch's Tensor methods that combine the box with other arrays in place."""

from __future__ import annotations

from typing import Self

from fnn.functional.arrays import ArrayLike
from fnn.nn.tensor_methods.writing import Writing
from fnn.tensor import arithmetic

__all__ = ["ArithmeticInPlace"]


class ArithmeticInPlace(Writing):
    """Functions of two and three arrays, written into the box, whose shape and dtype stay."""

    __slots__ = ()

    def add_(self, other: ArrayLike, *, alpha: ArrayLike = 1) -> Self:
        """``add`` in place; returns the box."""
        return self._set_in_place("add_", arithmetic.add(self.data, other, alpha=alpha))

    def sub_(self, other: ArrayLike, *, alpha: ArrayLike = 1) -> Self:
        """``sub`` in place; returns the box."""
        return self._set_in_place("sub_", arithmetic.sub(self.data, other, alpha=alpha))

    def subtract_(self, other: ArrayLike, *, alpha: ArrayLike = 1) -> Self:
        """``subtract`` in place; returns the box."""
        return self._set_in_place("subtract_", arithmetic.sub(self.data, other, alpha=alpha))

    def mul_(self, other: ArrayLike) -> Self:
        """``mul`` in place; returns the box."""
        return self._set_in_place("mul_", arithmetic.mul(self.data, other))

    def multiply_(self, other: ArrayLike) -> Self:
        """``multiply`` in place; returns the box."""
        return self._set_in_place("multiply_", arithmetic.mul(self.data, other))

    def div_(self, other: ArrayLike, *, rounding_mode: str | None = None) -> Self:
        """``div`` in place; returns the box."""
        return self._set_in_place("div_", arithmetic.div(self.data, other, rounding_mode=rounding_mode))

    def divide_(self, other: ArrayLike, *, rounding_mode: str | None = None) -> Self:
        """``divide`` in place; returns the box."""
        return self._set_in_place("divide_", arithmetic.div(self.data, other, rounding_mode=rounding_mode))

    def true_divide_(self, other: ArrayLike) -> Self:
        """``true_divide`` in place; returns the box."""
        return self._set_in_place("true_divide_", arithmetic.div(self.data, other))

    def floor_divide_(self, other: ArrayLike) -> Self:
        """``floor_divide`` in place; returns the box."""
        return self._set_in_place("floor_divide_", arithmetic.floor_divide(self.data, other))

    def remainder_(self, other: ArrayLike) -> Self:
        """``remainder`` in place; returns the box."""
        return self._set_in_place("remainder_", arithmetic.remainder(self.data, other))

    def fmod_(self, other: ArrayLike) -> Self:
        """``fmod`` in place; returns the box."""
        return self._set_in_place("fmod_", arithmetic.fmod(self.data, other))

    def pow_(self, exponent: ArrayLike) -> Self:
        """``pow`` in place; returns the box."""
        return self._set_in_place("pow_", arithmetic.pow(self.data, exponent))

    def float_power_(self, exponent: ArrayLike) -> Self:
        """``float_power`` in place; returns the box."""
        result = arithmetic.float_power(self.data, exponent)
        if result.dtype != self.peek().dtype:
            raise RuntimeError(f"float_power_: {self.describe()} must have dtype {result.dtype}, that of the result")
        return self._set_in_place("float_power_", result)

    def clamp_(self, min: ArrayLike | None = None, max: ArrayLike | None = None) -> Self:
        """``clamp`` in place; returns the box."""
        return self._set_in_place("clamp_", arithmetic.clamp(self.data, min, max))

    def clip_(self, min: ArrayLike | None = None, max: ArrayLike | None = None) -> Self:
        """``clip`` in place; returns the box."""
        return self._set_in_place("clip_", arithmetic.clamp(self.data, min, max))

    def clamp_min_(self, min: ArrayLike) -> Self:
        """``clamp_min`` in place; returns the box."""
        return self._set_in_place("clamp_min_", arithmetic.clamp_min(self.data, min))

    def clamp_max_(self, max: ArrayLike) -> Self:
        """``clamp_max`` in place; returns the box."""
        return self._set_in_place("clamp_max_", arithmetic.clamp_max(self.data, max))

    def atan2_(self, other: ArrayLike) -> Self:
        """``atan2`` in place; returns the box."""
        return self._set_in_place("atan2_", arithmetic.atan2(self.data, other))

    def arctan2_(self, other: ArrayLike) -> Self:
        """``arctan2`` in place; returns the box."""
        return self._set_in_place("arctan2_", arithmetic.atan2(self.data, other))

    def hypot_(self, other: ArrayLike) -> Self:
        """``hypot`` in place; returns the box."""
        return self._set_in_place("hypot_", arithmetic.hypot(self.data, other))

    def copysign_(self, other: ArrayLike) -> Self:
        """``copysign`` in place; returns the box."""
        return self._set_in_place("copysign_", arithmetic.copysign(self.data, other))

    def nextafter_(self, other: ArrayLike) -> Self:
        """``nextafter`` in place; returns the box."""
        return self._set_in_place("nextafter_", arithmetic.nextafter(self.data, other))

    def heaviside_(self, values: ArrayLike) -> Self:
        """``heaviside`` in place; returns the box."""
        return self._set_in_place("heaviside_", arithmetic.heaviside(self.data, values))

    def gcd_(self, other: ArrayLike) -> Self:
        """``gcd`` in place; returns the box."""
        return self._set_in_place("gcd_", arithmetic.gcd(self.data, other))

    def lcm_(self, other: ArrayLike) -> Self:
        """``lcm`` in place; returns the box."""
        return self._set_in_place("lcm_", arithmetic.lcm(self.data, other))

    def ldexp_(self, other: ArrayLike) -> Self:
        """``ldexp`` in place; returns the box."""
        return self._set_in_place("ldexp_", arithmetic.ldexp(self.data, other))

    def xlogy_(self, other: ArrayLike) -> Self:
        """``xlogy`` in place; returns the box."""
        return self._set_in_place("xlogy_", arithmetic.xlogy(self.data, other))

    def igamma_(self, other: ArrayLike) -> Self:
        """``igamma`` in place; returns the box."""
        return self._set_in_place("igamma_", arithmetic.igamma(self.data, other))

    def igammac_(self, other: ArrayLike) -> Self:
        """``igammac`` in place; returns the box."""
        return self._set_in_place("igammac_", arithmetic.igammac(self.data, other))

    def lerp_(self, end: ArrayLike, weight: ArrayLike) -> Self:
        """``lerp`` in place; returns the box."""
        return self._set_in_place("lerp_", arithmetic.lerp(self.data, end, weight))

    def addcmul_(self, tensor1: ArrayLike, tensor2: ArrayLike, *, value: ArrayLike = 1) -> Self:
        """``addcmul`` in place; returns the box."""
        return self._set_in_place("addcmul_", arithmetic.addcmul(self.data, tensor1, tensor2, value=value))

    def addcdiv_(self, tensor1: ArrayLike, tensor2: ArrayLike, *, value: ArrayLike = 1) -> Self:
        """``addcdiv`` in place; returns the box."""
        return self._set_in_place("addcdiv_", arithmetic.addcdiv(self.data, tensor1, tensor2, value=value))

    def bitwise_and_(self, other: ArrayLike) -> Self:
        """``bitwise_and`` in place; returns the box."""
        return self._set_in_place("bitwise_and_", arithmetic.bitwise_and(self.data, other))

    def bitwise_or_(self, other: ArrayLike) -> Self:
        """``bitwise_or`` in place; returns the box."""
        return self._set_in_place("bitwise_or_", arithmetic.bitwise_or(self.data, other))

    def bitwise_xor_(self, other: ArrayLike) -> Self:
        """``bitwise_xor`` in place; returns the box."""
        return self._set_in_place("bitwise_xor_", arithmetic.bitwise_xor(self.data, other))

    def bitwise_left_shift_(self, other: ArrayLike) -> Self:
        """``bitwise_left_shift`` in place; returns the box."""
        return self._set_in_place("bitwise_left_shift_", arithmetic.bitwise_left_shift(self.data, other))

    def bitwise_right_shift_(self, other: ArrayLike) -> Self:
        """``bitwise_right_shift`` in place; returns the box."""
        return self._set_in_place("bitwise_right_shift_", arithmetic.bitwise_right_shift(self.data, other))

    def logical_and_(self, other: ArrayLike) -> Self:
        """``logical_and`` in place; returns the box."""
        return self._set_in_place("logical_and_", arithmetic.logical_and(self.data, other))

    def logical_or_(self, other: ArrayLike) -> Self:
        """``logical_or`` in place; returns the box."""
        return self._set_in_place("logical_or_", arithmetic.logical_or(self.data, other))

    def logical_xor_(self, other: ArrayLike) -> Self:
        """``logical_xor`` in place; returns the box."""
        return self._set_in_place("logical_xor_", arithmetic.logical_xor(self.data, other))

    def eq_(self, other: ArrayLike) -> Self:
        """``eq`` in place; returns the box."""
        return self._set_in_place("eq_", arithmetic.eq(self.data, other))

    def ne_(self, other: ArrayLike) -> Self:
        """``ne`` in place; returns the box."""
        return self._set_in_place("ne_", arithmetic.ne(self.data, other))

    def not_equal_(self, other: ArrayLike) -> Self:
        """``not_equal`` in place; returns the box."""
        return self._set_in_place("not_equal_", arithmetic.ne(self.data, other))

    def lt_(self, other: ArrayLike) -> Self:
        """``lt`` in place; returns the box."""
        return self._set_in_place("lt_", arithmetic.lt(self.data, other))

    def less_(self, other: ArrayLike) -> Self:
        """``less`` in place; returns the box."""
        return self._set_in_place("less_", arithmetic.lt(self.data, other))

    def le_(self, other: ArrayLike) -> Self:
        """``le`` in place; returns the box."""
        return self._set_in_place("le_", arithmetic.le(self.data, other))

    def less_equal_(self, other: ArrayLike) -> Self:
        """``less_equal`` in place; returns the box."""
        return self._set_in_place("less_equal_", arithmetic.le(self.data, other))

    def gt_(self, other: ArrayLike) -> Self:
        """``gt`` in place; returns the box."""
        return self._set_in_place("gt_", arithmetic.gt(self.data, other))

    def greater_(self, other: ArrayLike) -> Self:
        """``greater`` in place; returns the box."""
        return self._set_in_place("greater_", arithmetic.gt(self.data, other))

    def ge_(self, other: ArrayLike) -> Self:
        """``ge`` in place; returns the box."""
        return self._set_in_place("ge_", arithmetic.ge(self.data, other))

    def greater_equal_(self, other: ArrayLike) -> Self:
        """``greater_equal`` in place; returns the box."""
        return self._set_in_place("greater_equal_", arithmetic.ge(self.data, other))

"""torch's Tensor methods that change each element in place."""

from __future__ import annotations

from typing import Self

from fnn import functional as F
from fnn.nn.tensor_methods.writing import Writing
from fnn.tensor import elementwise

__all__ = ["ElementwiseInPlace"]


class ElementwiseInPlace(Writing):
    """Functions of each element, written into the box; a floating result is refused by a box of integers."""

    __slots__ = ()

    def sqrt_(self) -> Self:
        """``sqrt`` in place; returns the box."""
        return self._set_in_place("sqrt_", elementwise.sqrt(self.data))

    def rsqrt_(self) -> Self:
        """``rsqrt`` in place; returns the box."""
        return self._set_in_place("rsqrt_", elementwise.rsqrt(self.data))

    def reciprocal_(self) -> Self:
        """``reciprocal`` in place; returns the box."""
        return self._set_in_place("reciprocal_", elementwise.reciprocal(self.data))

    def square_(self) -> Self:
        """``square`` in place; returns the box."""
        return self._set_in_place("square_", elementwise.square(self.data))

    def exp_(self) -> Self:
        """``exp`` in place; returns the box."""
        return self._set_in_place("exp_", elementwise.exp(self.data))

    def exp2_(self) -> Self:
        """``exp2`` in place; returns the box."""
        return self._set_in_place("exp2_", elementwise.exp2(self.data))

    def expm1_(self) -> Self:
        """``expm1`` in place; returns the box."""
        return self._set_in_place("expm1_", elementwise.expm1(self.data))

    def log_(self) -> Self:
        """``log`` in place; returns the box."""
        return self._set_in_place("log_", elementwise.log(self.data))

    def log2_(self) -> Self:
        """``log2`` in place; returns the box."""
        return self._set_in_place("log2_", elementwise.log2(self.data))

    def log10_(self) -> Self:
        """``log10`` in place; returns the box."""
        return self._set_in_place("log10_", elementwise.log10(self.data))

    def log1p_(self) -> Self:
        """``log1p`` in place; returns the box."""
        return self._set_in_place("log1p_", elementwise.log1p(self.data))

    def sin_(self) -> Self:
        """``sin`` in place; returns the box."""
        return self._set_in_place("sin_", elementwise.sin(self.data))

    def cos_(self) -> Self:
        """``cos`` in place; returns the box."""
        return self._set_in_place("cos_", elementwise.cos(self.data))

    def tan_(self) -> Self:
        """``tan`` in place; returns the box."""
        return self._set_in_place("tan_", elementwise.tan(self.data))

    def asin_(self) -> Self:
        """``asin`` in place; returns the box."""
        return self._set_in_place("asin_", elementwise.asin(self.data))

    def arcsin_(self) -> Self:
        """``arcsin`` in place; returns the box."""
        return self._set_in_place("arcsin_", elementwise.asin(self.data))

    def acos_(self) -> Self:
        """``acos`` in place; returns the box."""
        return self._set_in_place("acos_", elementwise.acos(self.data))

    def arccos_(self) -> Self:
        """``arccos`` in place; returns the box."""
        return self._set_in_place("arccos_", elementwise.acos(self.data))

    def atan_(self) -> Self:
        """``atan`` in place; returns the box."""
        return self._set_in_place("atan_", elementwise.atan(self.data))

    def arctan_(self) -> Self:
        """``arctan`` in place; returns the box."""
        return self._set_in_place("arctan_", elementwise.atan(self.data))

    def sinh_(self) -> Self:
        """``sinh`` in place; returns the box."""
        return self._set_in_place("sinh_", elementwise.sinh(self.data))

    def cosh_(self) -> Self:
        """``cosh`` in place; returns the box."""
        return self._set_in_place("cosh_", elementwise.cosh(self.data))

    def tanh_(self) -> Self:
        """``tanh`` in place; returns the box."""
        return self._set_in_place("tanh_", elementwise.tanh(self.data))

    def asinh_(self) -> Self:
        """``asinh`` in place; returns the box."""
        return self._set_in_place("asinh_", elementwise.asinh(self.data))

    def arcsinh_(self) -> Self:
        """``arcsinh`` in place; returns the box."""
        return self._set_in_place("arcsinh_", elementwise.asinh(self.data))

    def acosh_(self) -> Self:
        """``acosh`` in place; returns the box."""
        return self._set_in_place("acosh_", elementwise.acosh(self.data))

    def arccosh_(self) -> Self:
        """``arccosh`` in place; returns the box."""
        return self._set_in_place("arccosh_", elementwise.acosh(self.data))

    def atanh_(self) -> Self:
        """``atanh`` in place; returns the box."""
        return self._set_in_place("atanh_", elementwise.atanh(self.data))

    def arctanh_(self) -> Self:
        """``arctanh`` in place; returns the box."""
        return self._set_in_place("arctanh_", elementwise.atanh(self.data))

    def sinc_(self) -> Self:
        """``sinc`` in place; returns the box."""
        return self._set_in_place("sinc_", elementwise.sinc(self.data))

    def deg2rad_(self) -> Self:
        """``deg2rad`` in place; returns the box."""
        return self._set_in_place("deg2rad_", elementwise.deg2rad(self.data))

    def rad2deg_(self) -> Self:
        """``rad2deg`` in place; returns the box."""
        return self._set_in_place("rad2deg_", elementwise.rad2deg(self.data))

    def sigmoid_(self) -> Self:
        """``sigmoid`` in place; returns the box."""
        return self._set_in_place("sigmoid_", elementwise.sigmoid(self.data))

    def logit_(self, eps: float | None = None) -> Self:
        """``logit`` in place; returns the box."""
        return self._set_in_place("logit_", elementwise.logit(self.data, eps))

    def erf_(self) -> Self:
        """``erf`` in place; returns the box."""
        return self._set_in_place("erf_", elementwise.erf(self.data))

    def erfc_(self) -> Self:
        """``erfc`` in place; returns the box."""
        return self._set_in_place("erfc_", elementwise.erfc(self.data))

    def erfinv_(self) -> Self:
        """``erfinv`` in place; returns the box."""
        return self._set_in_place("erfinv_", elementwise.erfinv(self.data))

    def lgamma_(self) -> Self:
        """``lgamma`` in place; returns the box."""
        return self._set_in_place("lgamma_", elementwise.lgamma(self.data))

    def digamma_(self) -> Self:
        """``digamma`` in place; returns the box."""
        return self._set_in_place("digamma_", elementwise.digamma(self.data))

    def polygamma_(self, n: int) -> Self:
        """``polygamma`` in place; returns the box."""
        return self._set_in_place("polygamma_", elementwise.polygamma(self.data, n))

    def mvlgamma_(self, p: int) -> Self:
        """``mvlgamma`` in place; returns the box."""
        return self._set_in_place("mvlgamma_", elementwise.mvlgamma(self.data, p))

    def i0_(self) -> Self:
        """``i0`` in place; returns the box."""
        return self._set_in_place("i0_", elementwise.i0(self.data))

    def abs_(self) -> Self:
        """``abs`` in place; returns the box."""
        return self._set_in_place("abs_", elementwise.abs(self.data))

    def absolute_(self) -> Self:
        """``absolute`` in place; returns the box."""
        return self._set_in_place("absolute_", elementwise.abs(self.data))

    def neg_(self) -> Self:
        """``neg`` in place; returns the box."""
        return self._set_in_place("neg_", elementwise.neg(self.data))

    def negative_(self) -> Self:
        """``negative`` in place; returns the box."""
        return self._set_in_place("negative_", elementwise.neg(self.data))

    def sign_(self) -> Self:
        """``sign`` in place; returns the box."""
        return self._set_in_place("sign_", elementwise.sign(self.data))

    def sgn_(self) -> Self:
        """``sgn`` in place; returns the box."""
        return self._set_in_place("sgn_", elementwise.sgn(self.data))

    def floor_(self) -> Self:
        """``floor`` in place; returns the box."""
        return self._set_in_place("floor_", elementwise.floor(self.data))

    def ceil_(self) -> Self:
        """``ceil`` in place; returns the box."""
        return self._set_in_place("ceil_", elementwise.ceil(self.data))

    def trunc_(self) -> Self:
        """``trunc`` in place; returns the box."""
        return self._set_in_place("trunc_", elementwise.trunc(self.data))

    def fix_(self) -> Self:
        """``fix`` in place; returns the box."""
        return self._set_in_place("fix_", elementwise.trunc(self.data))

    def round_(self, *, decimals: int = 0) -> Self:
        """``round`` in place; returns the box."""
        return self._set_in_place("round_", elementwise.round(self.data, decimals=decimals))

    def frac_(self) -> Self:
        """``frac`` in place; returns the box."""
        return self._set_in_place("frac_", elementwise.frac(self.data))

    def conj_physical_(self) -> Self:
        """``conj_physical`` in place; returns the box."""
        return self._set_in_place("conj_physical_", elementwise.conj(self.data))

    def nan_to_num_(self, nan: float | None = None, posinf: float | None = None, neginf: float | None = None) -> Self:
        """``nan_to_num`` in place; returns the box."""
        return self._set_in_place("nan_to_num_", elementwise.nan_to_num(self.data, nan, posinf, neginf))

    def logical_not_(self) -> Self:
        """``logical_not`` in place; returns the box."""
        return self._set_in_place("logical_not_", elementwise.logical_not(self.data))

    def bitwise_not_(self) -> Self:
        """``bitwise_not`` in place; returns the box."""
        return self._set_in_place("bitwise_not_", elementwise.bitwise_not(self.data))

    def relu_(self) -> Self:
        """``relu`` in place; returns the box."""
        return self._set_in_place("relu_", F.relu(self.data))

"""torch's Tensor methods that compute each element from one."""

from __future__ import annotations

import jax
from jax.typing import DTypeLike

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.stateful.boxes import Box
from fnn.tensor import elementwise
from fnn.tensor.results import MantissaAndExponent

__all__ = ["ElementwiseMethods"]


class ElementwiseMethods(Box):
    """Functions of each element; integers become float32 where torch makes them so."""

    __slots__ = ()

    def sqrt(self) -> jax.Array:
        """Square roots."""
        return elementwise.sqrt(self.data)

    def rsqrt(self) -> jax.Array:
        """``1 / sqrt(x)``."""
        return elementwise.rsqrt(self.data)

    def reciprocal(self) -> jax.Array:
        """``1 / x``."""
        return elementwise.reciprocal(self.data)

    def square(self) -> jax.Array:
        """``x * x``; of booleans, int64."""
        return elementwise.square(self.data)

    def exp(self) -> jax.Array:
        """``e ** x``."""
        return elementwise.exp(self.data)

    def exp2(self) -> jax.Array:
        """``2 ** x``."""
        return elementwise.exp2(self.data)

    def expm1(self) -> jax.Array:
        """``e ** x - 1``, exact near 0."""
        return elementwise.expm1(self.data)

    def log(self) -> jax.Array:
        """Natural logarithms."""
        return elementwise.log(self.data)

    def log2(self) -> jax.Array:
        """Logarithms to base 2."""
        return elementwise.log2(self.data)

    def log10(self) -> jax.Array:
        """Logarithms to base 10."""
        return elementwise.log10(self.data)

    def log1p(self) -> jax.Array:
        """``log(1 + x)``, exact near 0."""
        return elementwise.log1p(self.data)

    def sin(self) -> jax.Array:
        """Sines."""
        return elementwise.sin(self.data)

    def cos(self) -> jax.Array:
        """Cosines."""
        return elementwise.cos(self.data)

    def tan(self) -> jax.Array:
        """Tangents."""
        return elementwise.tan(self.data)

    def asin(self) -> jax.Array:
        """Inverse sines."""
        return elementwise.asin(self.data)

    def arcsin(self) -> jax.Array:
        """The same as ``asin``."""
        return elementwise.asin(self.data)

    def acos(self) -> jax.Array:
        """Inverse cosines."""
        return elementwise.acos(self.data)

    def arccos(self) -> jax.Array:
        """The same as ``acos``."""
        return elementwise.acos(self.data)

    def atan(self) -> jax.Array:
        """Inverse tangents."""
        return elementwise.atan(self.data)

    def arctan(self) -> jax.Array:
        """The same as ``atan``."""
        return elementwise.atan(self.data)

    def sinh(self) -> jax.Array:
        """Hyperbolic sines."""
        return elementwise.sinh(self.data)

    def cosh(self) -> jax.Array:
        """Hyperbolic cosines."""
        return elementwise.cosh(self.data)

    def tanh(self) -> jax.Array:
        """Hyperbolic tangents."""
        return elementwise.tanh(self.data)

    def asinh(self) -> jax.Array:
        """Inverse hyperbolic sines."""
        return elementwise.asinh(self.data)

    def arcsinh(self) -> jax.Array:
        """The same as ``asinh``."""
        return elementwise.asinh(self.data)

    def acosh(self) -> jax.Array:
        """Inverse hyperbolic cosines."""
        return elementwise.acosh(self.data)

    def arccosh(self) -> jax.Array:
        """The same as ``acosh``."""
        return elementwise.acosh(self.data)

    def atanh(self) -> jax.Array:
        """Inverse hyperbolic tangents."""
        return elementwise.atanh(self.data)

    def arctanh(self) -> jax.Array:
        """The same as ``atanh``."""
        return elementwise.atanh(self.data)

    def sinc(self) -> jax.Array:
        """``sin(pi x) / (pi x)``, 1 at 0."""
        return elementwise.sinc(self.data)

    def deg2rad(self) -> jax.Array:
        """Degrees as radians."""
        return elementwise.deg2rad(self.data)

    def rad2deg(self) -> jax.Array:
        """Radians as degrees."""
        return elementwise.rad2deg(self.data)

    def sigmoid(self) -> jax.Array:
        """``1 / (1 + e ** -x)``."""
        return elementwise.sigmoid(self.data)

    def logit(self, eps: float | None = None) -> jax.Array:
        """``log(x / (1 - x))``, of ``x`` clamped to ``[eps, 1 - eps]`` if ``eps`` is given."""
        return elementwise.logit(self.data, eps)

    def erf(self) -> jax.Array:
        """The error function."""
        return elementwise.erf(self.data)

    def erfc(self) -> jax.Array:
        """``1 - erf(x)``, exact for large ``x``."""
        return elementwise.erfc(self.data)

    def erfinv(self) -> jax.Array:
        """The inverse of ``erf``."""
        return elementwise.erfinv(self.data)

    def lgamma(self) -> jax.Array:
        """Logarithms of the magnitude of the gamma function."""
        return elementwise.lgamma(self.data)

    def digamma(self) -> jax.Array:
        """Derivatives of ``lgamma``; ``-inf`` or ``inf`` at zero, by its sign, and NaN at the negative integers."""
        return elementwise.digamma(self.data)

    def polygamma(self, n: int) -> jax.Array:
        """The ``n``-th derivative of ``digamma``."""
        return elementwise.polygamma(self.data, n)

    def mvlgamma(self, p: int) -> jax.Array:
        """Logarithms of the multivariate gamma function of dimension ``p``."""
        return elementwise.mvlgamma(self.data, p)

    def i0(self) -> jax.Array:
        """The modified Bessel function of the first kind, order 0."""
        return elementwise.i0(self.data)

    def abs(self) -> jax.Array:
        """Magnitudes; the derivative at 0 is 0."""
        return elementwise.abs(self.data)

    def absolute(self) -> jax.Array:
        """The same as ``abs``."""
        return elementwise.abs(self.data)

    def neg(self) -> jax.Array:
        """``-x``; booleans are refused, for which ``logical_not`` is meant."""
        return elementwise.neg(self.data)

    def negative(self) -> jax.Array:
        """The same as ``neg``."""
        return elementwise.neg(self.data)

    def positive(self) -> jax.Array:
        """``x``; booleans are refused."""
        return elementwise.positive(self.data)

    def sign(self) -> jax.Array:
        """-1, 0 or 1."""
        return elementwise.sign(self.data)

    def sgn(self) -> jax.Array:
        """``sign``, and for complex numbers ``x / |x|``, 0 at 0."""
        return elementwise.sgn(self.data)

    def signbit(self) -> jax.Array:
        """Whether the sign is negative, that of -0.0 too."""
        return elementwise.signbit(self.data)

    def floor(self) -> jax.Array:
        """The greatest integer not above."""
        return elementwise.floor(self.data)

    def ceil(self) -> jax.Array:
        """The least integer not below."""
        return elementwise.ceil(self.data)

    def trunc(self) -> jax.Array:
        """The integer part."""
        return elementwise.trunc(self.data)

    def fix(self) -> jax.Array:
        """The same as ``trunc``."""
        return elementwise.trunc(self.data)

    def round(self, *, decimals: int = 0) -> jax.Array:
        """The nearest number with ``decimals`` digits behind the point, halves to the even one."""
        return elementwise.round(self.data, decimals=decimals)

    def frac(self) -> jax.Array:
        """``x - trunc(x)``."""
        return elementwise.frac(self.data)

    def frexp(self) -> MantissaAndExponent:
        """Mantissas in [0.5, 1) and exponents: ``x = mantissa * 2 ** exponent``."""
        return elementwise.frexp(self.data)

    def angle(self) -> jax.Array:
        """Arguments of complex numbers; of real ones 0, or pi if negative."""
        return elementwise.angle(self.data)

    def conj(self) -> jax.Array:
        """Complex conjugates."""
        return elementwise.conj(self.data)

    def conj_physical(self) -> jax.Array:
        """The same as ``conj``."""
        return elementwise.conj(self.data)

    def nan_to_num(
        self, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
    ) -> jax.Array:
        """NaN replaced by ``nan`` (0), infinities by ``posinf`` and ``neginf`` (the greatest and least finite numbers)."""
        return elementwise.nan_to_num(self.data, nan, posinf, neginf)

    def isnan(self) -> jax.Array:
        """Where NaN is."""
        return elementwise.isnan(self.data)

    def isinf(self) -> jax.Array:
        """Where infinities are."""
        return elementwise.isinf(self.data)

    def isfinite(self) -> jax.Array:
        """Where neither NaN nor infinities are."""
        return elementwise.isfinite(self.data)

    def isposinf(self) -> jax.Array:
        """Where ``inf`` is."""
        return elementwise.isposinf(self.data)

    def isneginf(self) -> jax.Array:
        """Where ``-inf`` is."""
        return elementwise.isneginf(self.data)

    def isreal(self) -> jax.Array:
        """Where the imaginary part is 0."""
        return elementwise.isreal(self.data)

    def logical_not(self) -> jax.Array:
        """Where 0 is."""
        return elementwise.logical_not(self.data)

    def bitwise_not(self) -> jax.Array:
        """Every bit turned; booleans negated."""
        return elementwise.bitwise_not(self.data)

    def resolve_conj(self) -> jax.Array:
        """The array: a conjugate is computed at once."""
        return self.data

    def resolve_neg(self) -> jax.Array:
        """The array: a negative is computed at once."""
        return self.data

    def relu(self) -> jax.Array:
        """``max(x, 0)``."""
        return F.relu(self.data)

    def prelu(self, weight: ArrayLike) -> jax.Array:
        """``x`` where it is positive, else ``weight * x``, the weight one number or one for each channel."""
        return F.prelu(self.data, weight)

    def hardshrink(self, lambd: float = 0.5) -> jax.Array:
        """``x`` where its magnitude exceeds ``lambd``, else 0."""
        return F.hardshrink(self.data, lambd)

    def softmax(self, dim: int, dtype: DTypeLike | None = None) -> jax.Array:
        """Exponentials divided by their sum along an axis."""
        return F.softmax(self.data, dim, dtype=dtype)

    def log_softmax(self, dim: int, dtype: DTypeLike | None = None) -> jax.Array:
        """Logarithms of ``softmax``."""
        return F.log_softmax(self.data, dim, dtype=dtype)

"""Functions of each element, with the meaning of torch's Tensor methods: integers become float32 where torch makes them so."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import lax

from fnn.functional.arrays import ArrayLike, absolute, index_dtype
from fnn.functional.checks import as_array, as_int, check_floating, fail
from fnn.tensor.promotion import combined, floated, kind_of
from fnn.tensor.results import MantissaAndExponent

# Roots, exponentials, logarithms


def sqrt(input: ArrayLike) -> jax.Array:
    """Square roots."""
    return jnp.sqrt(floated("sqrt", input))


def rsqrt(input: ArrayLike) -> jax.Array:
    """``1 / sqrt(x)``."""
    return lax.rsqrt(floated("rsqrt", input))


def reciprocal(input: ArrayLike) -> jax.Array:
    """``1 / x``."""
    return 1 / floated("reciprocal", input)


def square(input: ArrayLike) -> jax.Array:
    """``x * x``; of booleans, int64."""
    x = as_array("square", "input", input)
    return jnp.square(x.astype(index_dtype()) if x.dtype == bool else x)


def exp(input: ArrayLike) -> jax.Array:
    """``e ** x``."""
    return jnp.exp(floated("exp", input))


def exp2(input: ArrayLike) -> jax.Array:
    """``2 ** x``."""
    return jnp.exp2(floated("exp2", input))


def expm1(input: ArrayLike) -> jax.Array:
    """``e ** x - 1``, exact near 0."""
    return jnp.expm1(floated("expm1", input))


def log(input: ArrayLike) -> jax.Array:
    """Natural logarithms."""
    return jnp.log(floated("log", input))


def log2(input: ArrayLike) -> jax.Array:
    """Logarithms to base 2."""
    return jnp.log2(floated("log2", input))


def log10(input: ArrayLike) -> jax.Array:
    """Logarithms to base 10."""
    return jnp.log10(floated("log10", input))


def log1p(input: ArrayLike) -> jax.Array:
    """``log(1 + x)``, exact near 0."""
    return jnp.log1p(floated("log1p", input))


# Trigonometric and hyperbolic functions


def sin(input: ArrayLike) -> jax.Array:
    """Sines."""
    return jnp.sin(floated("sin", input))


def cos(input: ArrayLike) -> jax.Array:
    """Cosines."""
    return jnp.cos(floated("cos", input))


def tan(input: ArrayLike) -> jax.Array:
    """Tangents."""
    return jnp.tan(floated("tan", input))


def asin(input: ArrayLike) -> jax.Array:
    """Inverse sines."""
    return jnp.arcsin(floated("asin", input))


def acos(input: ArrayLike) -> jax.Array:
    """Inverse cosines."""
    return jnp.arccos(floated("acos", input))


def atan(input: ArrayLike) -> jax.Array:
    """Inverse tangents."""
    return jnp.arctan(floated("atan", input))


def sinh(input: ArrayLike) -> jax.Array:
    """Hyperbolic sines."""
    return jnp.sinh(floated("sinh", input))


def cosh(input: ArrayLike) -> jax.Array:
    """Hyperbolic cosines."""
    return jnp.cosh(floated("cosh", input))


def tanh(input: ArrayLike) -> jax.Array:
    """Hyperbolic tangents."""
    return jnp.tanh(floated("tanh", input))


def asinh(input: ArrayLike) -> jax.Array:
    """Inverse hyperbolic sines."""
    return jnp.arcsinh(floated("asinh", input))


def acosh(input: ArrayLike) -> jax.Array:
    """Inverse hyperbolic cosines."""
    return jnp.arccosh(floated("acosh", input))


def atanh(input: ArrayLike) -> jax.Array:
    """Inverse hyperbolic tangents."""
    return jnp.arctanh(floated("atanh", input))


def sinc(input: ArrayLike) -> jax.Array:
    """``sin(pi x) / (pi x)``, 1 at 0."""
    return jnp.sinc(floated("sinc", input))


def deg2rad(input: ArrayLike) -> jax.Array:
    """Degrees as radians."""
    return combined(jnp.multiply, floated("deg2rad", input), math.pi / 180)


def rad2deg(input: ArrayLike) -> jax.Array:
    """Radians as degrees."""
    return combined(jnp.multiply, floated("rad2deg", input), 180 / math.pi)


# Functions of statistics and physics


def sigmoid(input: ArrayLike) -> jax.Array:
    """``1 / (1 + e ** -x)``."""
    return jax.nn.sigmoid(floated("sigmoid", input))


def logit(input: ArrayLike, eps: float | None = None) -> jax.Array:
    """``log(x / (1 - x))``, of ``x`` clamped to ``[eps, 1 - eps]`` if ``eps`` is given."""
    x = floated("logit", input)
    if eps is not None:
        x = jnp.where(x < eps, eps, jnp.where(x > 1 - eps, 1 - eps, x)).astype(x.dtype)
    return jnp.log(x / (1 - x))


def erf(input: ArrayLike) -> jax.Array:
    """The error function."""
    return lax.erf(floated("erf", input))


def erfc(input: ArrayLike) -> jax.Array:
    """``1 - erf(x)``, exact for large ``x``."""
    return lax.erfc(floated("erfc", input))


def erfinv(input: ArrayLike) -> jax.Array:
    """The inverse of ``erf``."""
    return lax.erf_inv(floated("erfinv", input))


def lgamma(input: ArrayLike) -> jax.Array:
    """Logarithms of the magnitude of the gamma function."""
    return lax.lgamma(floated("lgamma", input))


def digamma(input: ArrayLike) -> jax.Array:
    """Derivatives of ``lgamma``; ``-inf`` or ``inf`` at zero, by its sign, and NaN at the negative integers."""
    x = floated("digamma", input)
    return jnp.where(x == 0, jnp.copysign(jnp.asarray(jnp.inf, x.dtype), -x), lax.digamma(x))


def polygamma(input: ArrayLike, n: int) -> jax.Array:
    """The ``n``-th derivative of ``digamma``."""
    x = floated("polygamma", input)
    n = as_int("polygamma", "n", n, 0)
    return digamma(x) if n == 0 else lax.polygamma(jnp.full(x.shape, n, x.dtype), x)


def mvlgamma(input: ArrayLike, p: int) -> jax.Array:
    """Logarithms of the multivariate gamma function of dimension ``p``."""
    x = floated("mvlgamma", input)
    p = as_int("mvlgamma", "p", p, 1)
    steps = jnp.arange(p, dtype=x.dtype) / 2
    return lax.lgamma(x[..., None] - steps).sum(-1) + p * (p - 1) / 4 * math.log(math.pi)


def i0(input: ArrayLike) -> jax.Array:
    """The modified Bessel function of the first kind, order 0."""
    x = floated("i0", input)
    return lax.bessel_i0e(x) * jnp.exp(jnp.abs(x))


# Signs, roundings, parts


def abs(input: ArrayLike) -> jax.Array:
    """Magnitudes; the derivative at 0 is 0."""
    x = as_array("abs", "input", input)
    return absolute(x) if jnp.issubdtype(x.dtype, jnp.floating) else jnp.abs(x)


def neg(input: ArrayLike) -> jax.Array:
    """``-x``; booleans are refused, for which ``logical_not`` is meant."""
    x = as_array("neg", "input", input)
    if x.dtype == bool:
        fail(TypeError, "neg", "input", "of another dtype than bool (use logical_not)", x)
    return -x


def positive(input: ArrayLike) -> jax.Array:
    """``x``; booleans are refused."""
    x = as_array("positive", "input", input)
    if x.dtype == bool:
        fail(TypeError, "positive", "input", "of another dtype than bool", x)
    return x


def sign(input: ArrayLike) -> jax.Array:
    """-1, 0 or 1."""
    x = as_array("sign", "input", input)
    if kind_of(x.dtype) == 3:
        fail(TypeError, "sign", "input", "real (sgn takes complex numbers)", x)
    # torch's sign of NaN is 0.
    return x if x.dtype == bool else jnp.where(x != x, 0, jnp.sign(x)).astype(x.dtype)


def sgn(input: ArrayLike) -> jax.Array:
    """``sign``, and for complex numbers ``x / |x|``, 0 at 0."""
    x = as_array("sgn", "input", input)
    return jnp.sign(x) if kind_of(x.dtype) == 3 else sign(x)


def signbit(input: ArrayLike) -> jax.Array:
    """Whether the sign is negative, that of -0.0 too."""
    x = as_array("signbit", "input", input)
    return jnp.signbit(x) if kind_of(x.dtype) == 2 else x < 0 if x.dtype != bool else jnp.zeros_like(x)


def floor(input: ArrayLike) -> jax.Array:
    """The greatest integer not above."""
    x = as_array("floor", "input", input)
    return x if kind_of(x.dtype) == 1 else jnp.floor(x)


def ceil(input: ArrayLike) -> jax.Array:
    """The least integer not below."""
    x = as_array("ceil", "input", input)
    return x if kind_of(x.dtype) == 1 else jnp.ceil(x)


def trunc(input: ArrayLike) -> jax.Array:
    """The integer part."""
    x = as_array("trunc", "input", input)
    return x if kind_of(x.dtype) == 1 else jnp.trunc(x)


def round(input: ArrayLike, *, decimals: int = 0) -> jax.Array:
    """The nearest number with ``decimals`` digits behind the point, halves to the even one."""
    x = as_array("round", "input", input)
    if kind_of(x.dtype) == 1:
        return x
    if decimals == 0:
        return jnp.round(x)
    scale = 10.0 ** (decimals if decimals > 0 else -decimals)
    if decimals > 0:
        return jnp.round(x * scale) / scale
    return jnp.round(x / scale) * scale


def frac(input: ArrayLike) -> jax.Array:
    """``x - trunc(x)``."""
    x = as_array("frac", "input", input)
    check_floating("frac", input=x)
    return x - jnp.trunc(x)


def frexp(input: ArrayLike) -> MantissaAndExponent:
    """Mantissas in [0.5, 1) and exponents: ``x = mantissa * 2 ** exponent``."""
    x = as_array("frexp", "input", input)
    check_floating("frexp", input=x)
    mantissa, exponent = jnp.frexp(x)
    return MantissaAndExponent(mantissa, exponent.astype(jnp.int32))


def angle(input: ArrayLike) -> jax.Array:
    """Arguments of complex numbers; of real ones 0, or pi if negative."""
    x = floated("angle", input)
    if kind_of(x.dtype) == 3:
        return jnp.angle(x)
    return jnp.where(x != x, x, jnp.where(x < 0, math.pi, 0)).astype(x.dtype)


def conj(input: ArrayLike) -> jax.Array:
    """Complex conjugates."""
    return jnp.conj(as_array("conj", "input", input))


def real(input: ArrayLike) -> jax.Array:
    """Real parts."""
    return jnp.real(as_array("real", "input", input))


def imag(input: ArrayLike) -> jax.Array:
    """Imaginary parts of complex numbers; others are refused, as by torch."""
    x = as_array("imag", "input", input)
    if kind_of(x.dtype) != 3:
        fail(RuntimeError, "imag", "input", "complex", x)
    return jnp.imag(x)


def nan_to_num(
    input: ArrayLike, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> jax.Array:
    """NaN replaced by ``nan`` (0), infinities by ``posinf`` and ``neginf`` (the greatest and least finite numbers)."""
    x = as_array("nan_to_num", "input", input)
    return (
        x if kind_of(x.dtype) < 2 else jnp.nan_to_num(x, nan=0.0 if nan is None else nan, posinf=posinf, neginf=neginf)
    )


# Questions


def isnan(input: ArrayLike) -> jax.Array:
    """Where NaN is."""
    return jnp.isnan(as_array("isnan", "input", input))


def isinf(input: ArrayLike) -> jax.Array:
    """Where infinities are."""
    return jnp.isinf(as_array("isinf", "input", input))


def isfinite(input: ArrayLike) -> jax.Array:
    """Where neither NaN nor infinities are."""
    return jnp.isfinite(as_array("isfinite", "input", input))


def isposinf(input: ArrayLike) -> jax.Array:
    """Where ``inf`` is."""
    return as_array("isposinf", "input", input) == jnp.inf


def isneginf(input: ArrayLike) -> jax.Array:
    """Where ``-inf`` is."""
    return as_array("isneginf", "input", input) == -jnp.inf


def isreal(input: ArrayLike) -> jax.Array:
    """Where the imaginary part is 0."""
    return jnp.isreal(as_array("isreal", "input", input))


def logical_not(input: ArrayLike) -> jax.Array:
    """Where 0 is."""
    return jnp.logical_not(as_array("logical_not", "input", input))


def bitwise_not(input: ArrayLike) -> jax.Array:
    """Every bit turned; booleans negated."""
    x = as_array("bitwise_not", "input", input)
    if kind_of(x.dtype) > 1:
        fail(TypeError, "bitwise_not", "input", "of an integer dtype or bool", x)
    return ~x

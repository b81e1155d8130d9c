"""Smooth curves with their first and second derivatives, each written so that nothing cancels in it.

What JAX derives by itself loses its digits where a value is close to a constant: the derivative of ``expm1`` is
``expm1(x) + 1``, that of the logistic function ``s * (1 - s)``, that of the tangent ``1 - tanh(x) ** 2``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Rule = Callable[[jax.Array], jax.Array]


def curve(value: Rule, slope: Rule, bend: Rule) -> Rule:
    """``value`` with the derivative ``slope``, whose derivative is ``bend``, in forward and reverse mode."""

    @jax.custom_jvp
    def first(x: jax.Array) -> jax.Array:
        return slope(x)

    @jax.custom_jvp
    def run(x: jax.Array) -> jax.Array:
        return value(x)

    @first.defjvp
    def of_first(primals: Any, tangents: Any) -> Any:
        return first(*primals), bend(*primals) * tangents[0]

    @run.defjvp
    def of_run(primals: Any, tangents: Any) -> Any:
        return run(*primals), first(*primals) * tangents[0]

    return run


# The logistic function and its integral


def _tangent(x: jax.Array) -> jax.Array:
    """The hyperbolic tangent, some units in the last place closer than XLA's."""
    less = jnp.expm1(-2 * jnp.abs(x))
    return jnp.copysign(-less / (2 + less), x)


def _bell(x: jax.Array) -> jax.Array:
    """``s'`` of the logistic function s."""
    tail = jnp.exp(-jnp.abs(x))
    return tail / ((1 + tail) * (1 + tail))


def _bell_slope(x: jax.Array) -> jax.Array:
    return -_tangent(x / 2) * _bell(x)


_logistic = curve(jax.nn.sigmoid, _bell, _bell_slope)


def logistic(x: jax.Array) -> jax.Array:
    """``1 / (1 + exp(-x))``."""
    return jax.nn.sigmoid(x) if jnp.iscomplexobj(x) else _logistic(x)


@jax.custom_jvp
def log1p_exp(x: jax.Array) -> jax.Array:
    """``log(1 + exp(x))`` without overflow, and with ``logistic`` as its derivative."""
    return jnp.logaddexp(x, 0)


@log1p_exp.defjvp
def _log1p_exp_jvp(primals: Any, tangents: Any) -> Any:
    return log1p_exp(*primals), logistic(*primals) * tangents[0]


@jax.custom_jvp
def soft_rectifier(x: jax.Array, limit: jax.Array) -> jax.Array:
    """``log1p_exp`` up to a limit, ``x`` beyond; at the limit itself there is no second derivative, as in torch."""
    beyond = x > limit
    return jnp.where(beyond, x, log1p_exp(jnp.where(beyond, 0, x)))


@soft_rectifier.defjvp
def _soft_rectifier_jvp(primals: Any, tangents: Any) -> Any:
    x, limit = primals
    below = logistic(jnp.where((x < limit) | jnp.isnan(x), x, jax.lax.stop_gradient(jnp.minimum(x, limit))))
    return soft_rectifier(x, limit), jnp.where(x > limit, 1, below) * tangents[0]


# The exponential less 1


@jax.custom_jvp
def exponential_below(x: jax.Array) -> jax.Array:
    """``exp(x) - 1``, with derivative 1 and no second derivative at 0, where torch's exponential units change over."""
    # XLA's expm1 is some units in the last place off near 0.
    near = jnp.abs(x) < (2**-10 if x.dtype == jnp.float64 else 2**-6)
    return jnp.where(near, x * (1 + x / 2 * (1 + x / 3 * (1 + x / 4 * (1 + x / 5)))), jnp.expm1(x))


@exponential_below.defjvp
def _exponential_below_jvp(primals: Any, tangents: Any) -> Any:
    return exponential_below(*primals), _power(*primals) * tangents[0]


@jax.custom_jvp
def _power(x: jax.Array) -> jax.Array:
    return jnp.exp(x)


@_power.defjvp
def _power_jvp(primals: Any, tangents: Any) -> Any:
    return _power(*primals), jnp.where(primals[0] == 0, 0, _power(*primals)) * tangents[0]


@jax.custom_jvp
def exponential_unit_below(x: jax.Array, alpha: jax.Array) -> jax.Array:
    """``alpha * (exp(x / alpha) - 1)``, with derivative 1 and no second derivative at 0."""
    return alpha * exponential_below(x / alpha)


@exponential_unit_below.defjvp
def _exponential_unit_below_jvp(primals: Any, tangents: Any) -> Any:
    (x, alpha), (dx, dalpha) = primals, tangents
    z = x / alpha
    # The quotient of the smallest numbers is flushed to 0, which is a kink.
    z = z + jnp.where((z == 0) & (x != 0), jnp.finfo(z.dtype).tiny, 0)
    power = _power(z)
    return exponential_unit_below(x, alpha), power * dx + (exponential_below(z) - z * power) * dalpha


# The hyperbolic tangent and what it leaves


def _tangent_slope(x: jax.Array) -> jax.Array:
    tail = jnp.exp(-2 * jnp.abs(x))
    return 4 * tail / ((1 + tail) * (1 + tail))


_tanh = curve(
    lambda x: _tangent(x) if x.dtype == jnp.float64 else jnp.tanh(x),
    _tangent_slope,
    lambda x: -2 * _tangent(x) * _tangent_slope(x),
)


def tangent(x: jax.Array) -> jax.Array:
    """The hyperbolic tangent."""
    return jnp.tanh(x) if jnp.iscomplexobj(x) else _tanh(x)


def _rest(x: jax.Array) -> jax.Array:
    near = jnp.abs(x) < 1
    small = jnp.where(near, x, 0)
    square = small * small
    # Lambert's continued fraction x / (1 + x^2 / (3 + x^2 / (5 + ...))), whose terms are all positive.
    depth = 21 if x.dtype == jnp.float64 else 11
    below = jnp.full_like(square, depth)
    for odd in range(depth - 2, 2, -2):
        below = odd + square / below
    part = square / below
    return jnp.where(near, small * part / (1 + part), x - jnp.tanh(x))


def _rest_slope(x: jax.Array) -> jax.Array:
    near = _tangent(x)
    return jnp.where(jnp.abs(x) < 1, near * near, 1 - _tangent_slope(x))


_tangent_rest = curve(_rest, _rest_slope, lambda x: 2 * _tangent(x) * _tangent_slope(x))


def tangent_rest(x: jax.Array) -> jax.Array:
    """``x - tanh(x)``."""
    return x - jnp.tanh(x) if jnp.iscomplexobj(x) else _tangent_rest(x)


# Without exponentials


def _sign_slope(x: jax.Array) -> jax.Array:
    under = 1 + jnp.abs(x)
    return 1 / (under * under)


def _sign_bend(x: jax.Array) -> jax.Array:
    under = 1 + jnp.abs(x)
    return -2 * jnp.sign(x) / under / (under * under)


_soft_sign = curve(lambda x: x / (1 + jnp.abs(x)), _sign_slope, _sign_bend)


def soft_sign(x: jax.Array) -> jax.Array:
    """``x / (1 + |x|)``."""
    return x / (1 + jnp.abs(x)) if jnp.iscomplexobj(x) else _soft_sign(x)


# The self-gated ones


def _normal_density(x: jax.Array) -> jax.Array:
    return jnp.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def _normal_share(x: jax.Array) -> jax.Array:
    return 0.5 * jax.scipy.special.erfc(-x * math.sqrt(0.5))


def _near(x: jax.Array) -> jax.Array:
    """``x`` within +-100, beyond which the gates have long been 0 or 1."""
    return jnp.clip(x, -100, 100)


gaussian_gate: Rule = curve(
    lambda x: 0.5 * x * jax.scipy.special.erfc(-x * math.sqrt(0.5)),
    lambda x: _normal_share(x) + _near(x) * _normal_density(x),
    lambda x: (2 - _near(x) * _near(x)) * _normal_density(x),
)
"""``x`` times the standard normal distribution function."""


_CUBIC = 0.044715
_ROOT = 2 * math.sqrt(2 / math.pi)


def _inner(x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """``x`` near 0, and twice the tangent's argument with derivatives."""
    near = _near(x)
    square = near * near
    return near, _ROOT * near * (1 + _CUBIC * square), _ROOT * (1 + 3 * _CUBIC * square), _ROOT * 6 * _CUBIC * near


def _tanh_gate_slope(x: jax.Array) -> jax.Array:
    near, z, dz, _ = _inner(x)
    return jax.nn.sigmoid(z) + near * dz * _bell(z)


def _tanh_gate_bend(x: jax.Array) -> jax.Array:
    near, z, dz, ddz = _inner(x)
    return _bell(z) * (2 * dz + near * (ddz - _tangent(z / 2) * dz * dz))


gaussian_gate_by_tanh: Rule = curve(lambda x: x * jax.nn.sigmoid(_inner(x)[1]), _tanh_gate_slope, _tanh_gate_bend)
"""``x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2``."""


def _logistic_gate_slope(x: jax.Array) -> jax.Array:
    tail = jnp.exp(-jnp.abs(x))
    over, rest = jnp.where(x > 0, 1, tail), jnp.where(x > 0, tail, 1)
    return over * (1 + tail + x * rest) / ((1 + tail) * (1 + tail))


_logistic_gate = curve(
    lambda x: x / (1 + jnp.exp(-x)),
    _logistic_gate_slope,
    lambda x: (2 - x * _tangent(x / 2)) * _bell(x),
)


def logistic_gate(x: jax.Array) -> jax.Array:
    """``x * logistic(x)``."""
    return x * jax.nn.sigmoid(x) if jnp.iscomplexobj(x) else _logistic_gate(x)


def _mish_terms(x: jax.Array) -> tuple[jax.Array, ...]:
    """``w = exp(-|x|)``, and numerator and denominator of ``tanh(log(1 + exp(x)))`` in it."""
    w = jnp.exp(-jnp.abs(x))
    right = x > 0
    return w, jnp.where(right, 1 + 2 * w, w * (2 + w)), jnp.where(right, 1 + 2 * w * (1 + w), 2 + w * (2 + w))


_FAR = 64


def _mish(x: jax.Array) -> jax.Array:
    # Far on the left the gate is exp(x), and may be too small a number where x times it is not.
    far = x < -_FAR
    w, over, under = _mish_terms(jnp.where(far, x + _FAR, x))
    gate = jnp.where(far, w, over / under)
    return jnp.where(far, x * math.exp(-_FAR), x) * gate


def _mish_slope(x: jax.Array) -> jax.Array:
    w, over, under = _mish_terms(x)
    change = 4 * (w * x) * (1 + w)
    left = w * ((2 + w) * under) + change
    return jnp.where(x > 0, over * under + jnp.where(w == 0, 0, change * w), left) / (under * under)


def _mish_bend(x: jax.Array) -> jax.Array:
    w, _, under = _mish_terms(x)
    right = x > 0
    change = jnp.where(right, w * (w * (2 + 2 * w) - 3) - 2, 2 + w * (2 - w * (3 + 2 * w)))
    terms = w * (2 * (1 + w) * under) + (w * x) * change
    return 4 * jnp.where(right, w, 1) * terms / (under * under * under)


softplus_gate: Rule = curve(_mish, _mish_slope, _mish_bend)
"""``x * tanh(log(1 + exp(x)))``."""

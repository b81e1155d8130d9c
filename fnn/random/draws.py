"""Uniform and normal numbers, the same eagerly, under jit and on every platform."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fnn.random.bits import _map_bits, bits, check_draw

if TYPE_CHECKING:
    from statistics import NormalDist

__all__ = ["normal", "truncated_normal", "uniform"]

# Draws of floating numbers. They use integer arithmetic and one multiplication, so that they are the same to the last
# bit in numpy and in compiled code, on every platform.

_QUANTILE_SCALE = 2.0**-27

_SEGMENTS = 256


def _normal_distribution(mean: float, std: float) -> NormalDist:
    from statistics import NormalDist  # takes 2 ms to import, and few programs need it

    return NormalDist(mean, std)


@functools.cache
def _quantile_table() -> np.ndarray:
    """-quantile of the standard normal, times 2**27, at the ends of 256 segments of each octave of a 31-bit tail."""
    inverse = _normal_distribution(0.0, 1.0).inv_cdf
    table = np.empty((31, _SEGMENTS + 1), np.int32)
    for octave in range(31):
        for j in range(_SEGMENTS + 1):
            tail = (2.0**octave * (1 + j / _SEGMENTS) + 0.5) / 2.0**32
            table[octave, j] = round(-inverse(tail) / _QUANTILE_SCALE)
    return table.reshape(-1)


def _segment_on_host(tail: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The place in the table and the 13-bit fraction of tails in [1, 2**31): the exponent and mantissa of a float64."""
    parts = tail.astype(np.float64).view(np.uint64)
    octave = (parts >> np.uint64(52)).astype(np.int32) - np.int32(1023)
    segment = (parts >> np.uint64(44)).astype(np.int32) & np.int32(_SEGMENTS - 1)
    fraction = (parts >> np.uint64(31)).astype(np.uint32) & np.uint32(0x1FFF)
    return octave * np.int32(_SEGMENTS + 1) + segment, fraction


def _segment_traced(tail: jax.Array) -> tuple[jax.Array, jax.Array]:
    zeros = jax.lax.clz(tail)
    mantissa = tail << zeros
    octave = 31 - zeros.astype(np.int32)
    segment = (mantissa >> np.uint32(23)).astype(np.int32) & (_SEGMENTS - 1)
    fraction = (mantissa >> np.uint32(10)) & np.uint32(0x1FFF)
    return octave * (_SEGMENTS + 1) + segment, fraction


def _normal_of(words: Any) -> Any:
    """Words w as standard normal float32 numbers: the quantile at (w + 1/2) / 2**32."""
    xp: Any = np if isinstance(words, np.ndarray) else jnp
    upper = words >> np.uint32(31) != 0
    tail = xp.maximum(xp.where(upper, ~words, words), np.uint32(1))
    place, fraction = _segment_on_host(tail) if xp is np else _segment_traced(tail)
    table = xp.asarray(_quantile_table())
    low = table[place]
    drop = ((low - table[place + 1]).astype(np.uint32) * fraction) >> np.uint32(13)
    size = low - drop.astype(np.int32)
    return xp.where(upper, size, -size).astype(np.float32) * np.float32(_QUANTILE_SCALE)


def _is_double(dtype: Any) -> bool:
    return jnp.dtype(dtype) == np.float64


def _signed_unit_of(words: Any) -> Any:
    """Uniform in [-1, 1) on a grid of 2**-23."""
    if isinstance(words, np.ndarray):
        words >>= np.uint32(8)
        unit = words.view(np.int32)
        unit -= np.int32(2**23)
        unit = unit.astype(np.float32)
        unit *= np.float32(2.0**-23)
        return unit
    return ((words >> np.uint32(8)).astype(np.int32) - np.int32(2**23)).astype(np.float32) * np.float32(2.0**-23)


def _double_unit(words: Any) -> Any:
    """Uniform in [-1, 1) on a grid of 2**-52, from two words each."""
    high = (words[0] >> np.uint32(5)).astype(np.float64) - 2.0**26
    low = (words[1] >> np.uint32(6)).astype(np.float64)
    return high * 2.0**-26 + low * 2.0**-52


def _within(dtype: Any, low: float, high: float) -> tuple[float, float]:
    """The least and the greatest number of a dtype in [low, high), or in [low, high] if that is too narrow."""
    kind = jnp.dtype(dtype).type
    least, most = kind(low), kind(high)
    if float(least) < low:
        least = np.nextafter(least, kind(np.inf))
    if float(most) >= high:
        most = np.nextafter(most, kind(-np.inf))
    return (float(least), float(most)) if least <= most else (float(kind(low)), float(kind(high)))


def uniform(key: Any, shape: Sequence[int], dtype: Any = jnp.float32, low: Any = 0.0, high: Any = 1.0) -> jax.Array:
    """Uniform numbers in [low, high); a concrete key costs no compilation and gives what a traced one gives.

    The values of an interval symmetric about 0 are the same to the last bit in both cases.

    Args:
        key: a JAX PRNG key, typed or legacy.
        shape: shape of the result.
        dtype: floating dtype; half types are drawn in float32 and rounded.
        low: lower bound.
        high: upper bound.

    Returns:
        an array of that shape and dtype.

    Example:
        >>> import jax, fnn
        >>> fnn.random.uniform(jax.random.key(0), (2, 3)).shape
        (2, 3)
    """
    check_draw("uniform", key, shape, dtype, low=low, high=high)
    wide = np.float64 if _is_double(dtype) else np.float32
    known = _are_numbers(low, high)
    least, most = _within(dtype, float(low), float(high)) if known else (None, None)

    def place(unit: Any) -> Any:
        if not known:
            values = ((unit + wide(1)) * ((high - low) / 2) + low).astype(dtype)
            return jnp.where(values < high, values, jnp.nextafter(jnp.asarray(high, dtype), jnp.asarray(low, dtype)))
        if low == -high:
            unit = unit * wide(high)
        else:
            unit = (unit + wide(1)) * (wide(0.5) * (wide(high) - wide(low))) + wide(low)
        xp: Any = np if isinstance(unit, np.ndarray) else jnp
        # Rounding to the dtype may go beyond a bound.
        return xp.clip(unit, wide(least), wide(most)).astype(dtype)

    if _is_double(dtype):
        return on_device(place(_double_unit(bits(key, (2, *shape)))))
    if known:
        return on_device(_map_bits(key, shape, lambda words: place(_signed_unit_of(words)), dtype))
    return jnp.asarray(place(_map_bits(key, shape, _signed_unit_of, np.float32)))


def on_device(values: Any) -> jax.Array:
    """A numpy array put on the device as it is, which compiles nothing; a JAX array unchanged."""
    return jax.device_put(values) if isinstance(values, np.ndarray) else values


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(v, int | float | np.number) for v in values)


def normal(key: Any, shape: Sequence[int], dtype: Any = jnp.float32, mean: Any = 0.0, std: Any = 1.0) -> jax.Array:
    """Normal numbers by inversion; a concrete key costs no compilation and gives what a traced one gives.

    With mean 0 the values are the same to the last bit in both cases. The quantile is interpolated in a table of 31
    octaves, with an error below 1e-5; the largest magnitude is 6.3.

    Args:
        key: a JAX PRNG key, typed or legacy.
        shape: shape of the result.
        dtype: floating dtype; all are drawn in float32 and converted.
        mean: mean.
        std: standard deviation.

    Returns:
        an array of that shape and dtype.

    Example:
        >>> import jax, fnn
        >>> fnn.random.normal(jax.random.key(0), (2, 3)).shape
        (2, 3)
    """
    check_draw("normal", key, shape, dtype, mean=mean, std=std)
    wide = np.float64 if _is_double(dtype) else np.float32

    def place(unit: Any) -> Any:
        values = unit.astype(wide) * (wide(std) if _are_numbers(std) else std)
        if not _are_numbers(mean) or mean != 0:
            values = values + (wide(mean) if _are_numbers(mean) else mean)
        return values.astype(dtype)

    if _are_numbers(mean, std):
        return on_device(_map_bits(key, shape, lambda words: place(_normal_of(words)), dtype))
    return jnp.asarray(place(_map_bits(key, shape, _normal_of, np.float32)))


def truncated_normal(
    key: Any,
    shape: Sequence[int],
    dtype: Any = jnp.float32,
    mean: float = 0.0,
    std: float = 1.0,
    low: float = -2.0,
    high: float = 2.0,
) -> jax.Array:
    """Normal numbers conditioned on lying in [low, high], by inversion of that part of the distribution, however far out.

    A concrete key costs no compilation and gives what a traced one gives, to the last bit.

    Args:
        key: a JAX PRNG key, typed or legacy.
        shape: shape of the result.
        dtype: floating dtype.
        mean: mean before truncation.
        std: standard deviation before truncation.
        low: lower bound.
        high: upper bound.

    Returns:
        an array of that shape and dtype.

    Raises:
        TypeError: if ``key`` is no key, or a number is an array or traced.
        ValueError: if the bounds hold no numbers between them.

    Example:
        >>> import jax, fnn
        >>> bool(abs(fnn.random.truncated_normal(jax.random.key(0), (100,))).max() <= 2)
        True
    """
    check_draw("truncated_normal", key, shape, dtype)
    for name, value in (("mean", mean), ("std", std), ("low", low), ("high", high)):
        scalar = isinstance(value, int | float | np.number) or getattr(value, "shape", None) == ()
        if isinstance(value, Tracer) or not scalar:
            got = "a traced array" if isinstance(value, Tracer) else repr(value)
            raise TypeError(f"truncated_normal: {name} must be a number, known when the call is traced, got {got}")
    narrow = jnp.dtype(dtype)
    low, high, mean, std = (float(v) for v in (low, high, mean, std))
    for name, value in (("mean", mean), ("std", std)):
        if not math.isfinite(value):
            raise ValueError(f"truncated_normal: {name} must be finite, got {value}")
    origin, scale, table = _truncated_table(mean, std, low, high)
    wide = np.float64 if _is_double(dtype) else np.float32

    def place(words: Any) -> Any:
        xp: Any = np if isinstance(words, np.ndarray) else jnp
        # The scale is a power of 2: its product is exact, and rounded once with the sum wherever it is computed.
        values = _at_quantile(words, table).astype(wide) * wide(scale)
        return xp.clip(values + wide(origin), wide(low), wide(high)).astype(narrow)

    return on_device(_map_bits(key, shape, place, narrow))


_STEPS = 1 << 12


@functools.lru_cache(maxsize=64)
def _truncated_table(mean: float, std: float, low: float, high: float) -> tuple[float, float, np.ndarray]:
    """Quantiles of the normal distribution between two bounds, at the ends of the segments of a tail from below and from above.

    They are integers, from above negated, times a power of 2, from the point where the density is greatest. Masses are
    integrated relative to that density, so that a window in the far tail costs no digit.
    """
    origin = min(max(mean, low), high)
    if not (std > 0 and low < high):
        return origin, 1.0, np.zeros((2, 31 * (_SEGMENTS + 1)), np.int32).reshape(-1)
    peak = (origin - mean) / std
    reach = math.sqrt(peak * peak + 120)  # beyond it there is 1e-26 of the mass
    ends = np.linspace(max((low - mean) / std, -reach), min((high - mean) / std, reach), _STEPS + 1)
    points, weights = np.polynomial.legendre.leggauss(4)
    width = ends[1] - ends[0]

    def density(z: np.ndarray) -> np.ndarray:
        return np.exp(-(z - peak) * (z + peak) / 2)

    inner = ends[:-1, None] + width / 2 * (1 + points)
    mass = density(inner) @ weights * (width / 2)
    at = density(ends)
    octaves = 2.0 ** np.arange(31)[:, None]
    tails = ((octaves * (1 + np.arange(_SEGMENTS + 1) / _SEGMENTS) + 0.5) / 2.0**32).reshape(-1)
    sides = []
    for step, masses, start, here in ((width, mass, ends, at), (-width, mass[::-1], ends[::-1], at[::-1])):
        total = np.concatenate([[0.0], np.cumsum(masses)])
        wanted = tails * total[-1]
        cell = np.clip(np.searchsorted(total, wanted, side="right") - 1, 0, _STEPS - 1)
        # Within a step the density is taken for exponential.
        slope = np.log(here[cell + 1] / here[cell])
        share = (wanted - total[cell]) / (here[cell] * width)
        flat = np.abs(slope) < 1e-12
        part = np.where(flat, share, np.log1p(slope * share) / np.where(flat, 1, slope))
        sides.append(start[cell] + step * np.clip(part, 0, 1))
    values = np.stack([sides[0], -sides[1]]) * std + np.array([[mean - origin], [origin - mean]])
    scale = 2.0 ** (math.ceil(math.log2((ends[-1] - ends[0]) * std)) - 27)
    return origin, scale, np.round(values / scale).astype(np.int32).reshape(-1)


def _at_quantile(words: Any, table: np.ndarray) -> Any:
    """The integers of such a table at the quantiles (w + 1/2) / 2**32."""
    xp: Any = np if isinstance(words, np.ndarray) else jnp
    upper = words >> np.uint32(31) != 0
    tail = xp.maximum(xp.where(upper, ~words, words), np.uint32(1))
    place, fraction = _segment_on_host(tail) if xp is np else _segment_traced(tail)
    place = place + upper.astype(np.int32) * np.int32(table.size // 2)
    numbers = xp.asarray(table)
    first = numbers[place]
    more = ((numbers[place + 1] - first).astype(np.uint32) * fraction) >> np.uint32(13)
    size = first + more.astype(np.int32)
    return xp.where(upper, -size, size)


def unit_tail(key: Any, shape: Sequence[int], dtype: Any) -> tuple[jax.Array, jax.Array]:
    """Uniform numbers as their distance to the nearer of 0 and 1, in (0, 1/2], and whether that is 1: as fine at both ends.

    They are in float32, from 32 random bits, or in float64, from 64.
    """
    words = jnp.asarray(bits(key, (2, *shape) if _is_double(dtype) else tuple(shape)))
    first = words[0] if _is_double(dtype) else words
    upper = first >> np.uint32(31) != 0
    tail = jnp.where(upper, ~first, first)
    if _is_double(dtype):
        return (tail.astype(jnp.float64) + (words[1].astype(jnp.float64) + 0.5) * 2.0**-32) * 2.0**-32, upper
    return (tail.astype(jnp.float32) + np.float32(0.5)) * np.float32(2.0**-32), upper

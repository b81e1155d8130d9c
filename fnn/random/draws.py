"""Uniform and normal numbers, the same eagerly, under jit and on every platform."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from fnn.random.bits import _map_bits, bits

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


def uniform(key: Any, shape: Sequence[int], dtype: Any = jnp.float32, low: Any = 0.0, high: Any = 1.0) -> jax.Array:
    """Uniform numbers in [low, high); a concrete key costs no compilation and gives what a traced one gives.

    The values of an interval symmetric about 0 are the same to the last bit in both cases.

    Args:
        key: a JAX PRNG key, typed or legacy.
        shape: shape of the result.
        dtype: floating dtype; half types are drawn in float32 and rounded.
        low: lower bound.
        high: upper bound.

    Example:
        >>> import jax, fnn
        >>> fnn.random.uniform(jax.random.key(0), (2, 3)).shape
        (2, 3)
    """
    wide = np.float64 if _is_double(dtype) else np.float32
    known = _are_numbers(low, high)

    def place(unit: Any) -> Any:
        if known and low == -high:
            unit = unit * wide(high)
            return unit if unit.dtype == dtype else unit.astype(dtype)
        half = wide(0.5) * (wide(high) - wide(low)) if known else (high - low) / 2
        return ((unit + wide(1)) * half + (wide(low) if known else low)).astype(dtype)

    if _is_double(dtype):
        return jnp.asarray(place(_double_unit(bits(key, (2, *shape)))))
    if known:
        return _on_device(_map_bits(key, shape, lambda words: place(_signed_unit_of(words)), dtype))
    return jnp.asarray(place(_map_bits(key, shape, _signed_unit_of, np.float32)))


def _on_device(values: Any) -> jax.Array:
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

    Example:
        >>> import jax, fnn
        >>> fnn.random.normal(jax.random.key(0), (2, 3)).shape
        (2, 3)
    """
    return _normal_words(key, shape, dtype, mean, std, lambda words: words)


def _normal_words(
    key: Any, shape: Sequence[int], dtype: Any, mean: Any, std: Any, choose: Callable[[Any], Any]
) -> jax.Array:
    """Normal numbers at the quantiles of the words that ``choose`` makes of random ones."""
    wide = np.float64 if _is_double(dtype) else np.float32

    def place(unit: Any) -> Any:
        values = unit.astype(wide) * (wide(std) if _are_numbers(std) else std)
        if not _are_numbers(mean) or mean != 0:
            values = values + (wide(mean) if _are_numbers(mean) else mean)
        return values.astype(dtype)

    if _are_numbers(mean, std):
        return _on_device(_map_bits(key, shape, lambda words: place(_normal_of(choose(words))), dtype))
    return jnp.asarray(place(_map_bits(key, shape, lambda words: _normal_of(choose(words)), np.float32)))


def truncated_normal(
    key: Any,
    shape: Sequence[int],
    dtype: Any = jnp.float32,
    mean: float = 0.0,
    std: float = 1.0,
    low: float = -2.0,
    high: float = 2.0,
) -> jax.Array:
    """Normal numbers conditioned on lying in [low, high], by inversion on that part of the distribution.

    Args:
        key: a JAX PRNG key, typed or legacy.
        shape: shape of the result.
        dtype: floating dtype.
        mean: mean before truncation.
        std: standard deviation before truncation.
        low: lower bound.
        high: upper bound.

    Example:
        >>> import jax, fnn
        >>> bool(abs(fnn.random.truncated_normal(jax.random.key(0), (100,))).max() <= 2)
        True
    """
    below, above = (_normal_distribution(mean, std).cdf(bound) for bound in (low, high))
    first = min(int(below * 2**32), 2**32 - 1)
    count = max(min(int(above * 2**32), 2**32 - 1) - first, 0)
    values = _normal_words(
        key, shape, _dtype_of_draw(dtype), mean, std, lambda words: _high_product(words, count) + np.uint32(first)
    )
    return jnp.clip(values, low, high).astype(dtype)


def _dtype_of_draw(dtype: Any) -> Any:
    return jnp.float64 if _is_double(dtype) else jnp.float32


def _high_product(words: Any, factor: int) -> Any:
    """The upper 32 bits of the 64-bit product, in 32-bit arithmetic."""
    a1, a0 = words >> np.uint32(16), words & np.uint32(0xFFFF)
    b1, b0 = np.uint32(factor >> 16), np.uint32(factor & 0xFFFF)
    middle = a1 * b0 + ((a0 * b0) >> np.uint32(16))
    return a1 * b1 + (middle >> np.uint32(16)) + ((a0 * b1 + (middle & np.uint32(0xFFFF))) >> np.uint32(16))

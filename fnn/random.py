"""Sources of random keys (``Generator``, ``manual_seed``, ``key_scope``) and draws of bits that cost no compilation."""

from __future__ import annotations

import functools
import operator
import os
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import NormalDist
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fnn.stateful import Box, Stateful, is_eager, setting, trace_state

__all__ = [
    "Generator",
    "bits",
    "default_generator",
    "get_rng_state",
    "initial_seed",
    "key_scope",
    "manual_seed",
    "next_key",
    "normal",
    "set_rng_state",
    "truncated_normal",
    "uniform",
]

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_BLOCK = 1 << 16
_THREEFRY = "threefry2x32"


def _threefry(key: np.ndarray, x0: np.ndarray, x1: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Threefry-2x32 with 20 rounds (Salmon et al., 2011) in numpy, in place; equal to JAX's default generator."""
    k0, k1 = key
    keys = (k0, k1, k0 ^ k1 ^ np.uint32(0x1BD11BDA))
    rotated = np.empty_like(x1)
    x0 += keys[0]
    x1 += keys[1]
    for group in range(5):
        for r in _ROTATIONS[group % 2]:
            x0 += x1
            np.left_shift(x1, np.uint32(r), out=rotated)
            np.right_shift(x1, np.uint32(32 - r), out=x1)
            x1 |= rotated
            x1 ^= x0
        x0 += keys[(group + 1) % 3]
        with np.errstate(over="ignore"):
            x1 += keys[(group + 2) % 3] + np.uint32(group + 1)
    return x0, x1


def _bits_at(key: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Words ``start`` to ``stop`` of ``jax.random.bits``: the 64-bit position is the counter, its halves are exclusive-ored."""
    low = np.arange(start, stop, dtype=np.uint64)
    high = (low >> np.uint64(32)).astype(np.uint32) if stop > 2**32 else np.zeros(stop - start, np.uint32)
    high, low = _threefry(key, high, low.astype(np.uint32))
    high ^= low
    return high


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="fnn-draw")


def _host_map(key: np.ndarray, size: int, function: Callable[[Any], Any], dtype: Any) -> np.ndarray:
    """``function(jax.random.bits(key, (size,)))`` in numpy, by blocks that fit the cache, on all cores."""
    out = np.empty(size, dtype)
    starts = range(0, size, _BLOCK)

    def fill(start: int) -> None:
        stop = min(start + _BLOCK, size)
        out[start:stop] = function(_bits_at(key, start, stop))

    if len(starts) < 2:
        for start in starts:
            fill(start)
    else:
        list(_pool().map(fill, starts))
    return out


def _host_key(key: Any) -> np.ndarray | None:
    """The two words of a concrete threefry key, or ``None`` where only JAX can draw from the key."""
    if isinstance(key, Tracer) or not is_eager() or not setting("jax_threefry_partitionable"):
        return None
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        if str(jax.random.key_impl(key)) != _THREEFRY or key.shape != ():
            return None
        key = jax.random.key_data(key)
    elif key.shape != (2,) or str(setting("jax_default_prng_impl")) != _THREEFRY:
        return None
    return np.asarray(key, np.uint32)


def bits(key: Any, shape: Sequence[int]) -> Any:
    """Random 32-bit words: ``jax.random.bits(key, shape)``, computed by numpy when the key is concrete.

    Args:
        key: a JAX PRNG key, typed or legacy.
        shape: shape of the result.

    Returns:
        a uint32 array, of numpy for a concrete threefry key outside a trace, else of JAX; the values are the same.
    """
    return _map_bits(key, shape, lambda words: words, np.uint32)


def _map_bits(key: Any, shape: Sequence[int], function: Callable[[Any], Any], dtype: Any) -> Any:
    """An elementwise function of ``bits(key, shape)``, of numpy where the key allows it."""
    host = _host_key(key)
    if host is None:
        return function(jax.random.bits(key, tuple(shape), np.uint32))
    return _host_map(host, int(np.prod(shape, dtype=np.int64)), function, dtype).reshape(shape)


def check_key(function: str, rng: Any) -> Any:
    """The argument as a key; raises TypeError if it is no JAX PRNG key, typed or legacy (uint32 words)."""
    if isinstance(rng, jax.Array | np.ndarray):
        typed = jnp.issubdtype(rng.dtype, jax.dtypes.prng_key)
        if (typed and rng.ndim == 0) or (not typed and rng.dtype == np.uint32 and rng.ndim == 1):
            return rng
        got = f"{rng.dtype}{list(rng.shape)}"
    else:
        got = repr(rng)
    raise TypeError(f"{function}: rng must be one JAX PRNG key (jax.random.key(seed)), got {got}")


class Generator(Stateful):
    """A source of random keys, as ``torch.Generator``: a key and the count of keys already drawn from it.

    Draw number ``i`` is ``jax.random.fold_in(key, i)``, eagerly and under ``fnn.jit`` alike.

    Example:
        >>> g = Generator().manual_seed(0)
        >>> g.initial_seed()
        0
    """

    def __init__(self, device: Any = None) -> None:
        self.device = device
        self._impl = _THREEFRY
        self._box = Box(label="generator state")
        self._seed = 0
        self._stateful_origin_ = trace_state()
        self.manual_seed(secrets.randbits(63))

    @classmethod
    def _of_key(cls, key: Any) -> Generator:
        """A generator that draws from a given key, traced or not."""
        self = cls.__new__(cls)
        self.device = None
        self._seed = 0
        self._stateful_origin_ = trace_state()
        if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
            self._impl = str(jax.random.key_impl(key))
            key = jax.random.key_data(key)
        else:
            self._impl = str(setting("jax_default_prng_impl"))
        zero = np.zeros(1, np.uint32)
        if isinstance(key, Tracer):
            state = jnp.concatenate([key, zero])
        else:
            state = np.concatenate([np.asarray(key), zero])
        self._box = Box(state, label="generator state")
        return self

    def manual_seed(self, seed: int) -> Generator:
        """Starts the sequence of the seed, an int in [-2**63, 2**64); returns the generator.

        Raises:
            TypeError: if the seed is no integer.
            RuntimeError: if it is out of range.
        """
        try:
            seed = operator.index(seed)
        except TypeError:
            raise TypeError(f"manual_seed: seed must be an int, got {seed!r}") from None
        if not -(2**63) <= seed < 2**64:
            raise RuntimeError(f"manual_seed: seed must be in [-2**63, 2**64), got {seed}")
        state = np.array([(seed >> 32) & 0xFFFFFFFF, seed & 0xFFFFFFFF, 0], np.uint32)
        self._box.data = state
        self._seed = seed % 2**64
        self._impl = _THREEFRY
        return self

    def seed(self) -> int:
        """Seeds from the operating system and returns the seed."""
        self.manual_seed(secrets.randbits(63))
        return self._seed

    def initial_seed(self) -> int:
        """The seed last given."""
        return self._seed

    def get_state(self) -> Any:
        """The state as an array of uint32: the words of the key, then the count of draws."""
        return np.array(self._box.data)

    def set_state(self, state: Any) -> Generator:
        """Puts back a state from ``get_state``; returns the generator.

        Raises:
            ValueError: if the array is no state of this kind of generator.
        """
        state = np.asarray(state)
        if state.dtype != np.uint32 or state.shape != self._box.data.shape:
            raise ValueError(
                f"set_state: state must be uint32{list(self._box.data.shape)}, got {state.dtype}{list(state.shape)}"
            )
        self._box.data = state.copy()
        return self

    def next_key(self) -> Any:
        """Draws one key (raw uint32 words for the default kind, else a typed key)."""
        state = self._box.data
        if isinstance(state, Tracer) or self._impl != _THREEFRY:
            key = jax.random.fold_in(jax.random.wrap_key_data(state[:-1], impl=self._impl), state[-1])
            one = np.zeros(state.shape, np.uint32)
            one[-1] = 1
            self._box.data = state + one
            return key
        host = np.array(state)
        first, second = _threefry(host[:2], np.zeros(1, np.uint32), host[2:].copy())
        host[2] += np.uint32(1)
        self._box.data = host
        return np.concatenate([first, second])

    def _stateful_boxes_(self) -> Iterable[Box]:
        return (self._box,)

    def _stateful_key_(self) -> str:
        return self._impl

    def __repr__(self) -> str:
        return f"fnn.Generator(seed={self._seed})"


default_generator = Generator()


class _Scopes(threading.local):
    """The generators of the open key scopes of this thread, outermost first."""

    def __init__(self) -> None:
        self.generators: list[Generator] = []


_scopes = _Scopes()


def current_generator() -> Generator:
    """The generator that random functions without ``rng=`` draw from: the innermost key scope's, else the default."""
    return _scopes.generators[-1] if _scopes.generators else default_generator


def manual_seed(seed: int) -> Generator:
    """Seeds the default generator and returns it; see https://docs.pytorch.org/docs/2.13/generated/torch.manual_seed.html.

    Example:
        >>> import fnn
        >>> fnn.manual_seed(0).initial_seed()
        0
    """
    return default_generator.manual_seed(seed)


def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()


def get_rng_state() -> Any:
    """The state of the default generator."""
    return default_generator.get_state()


def set_rng_state(state: Any) -> None:
    """Puts back a state of the default generator."""
    default_generator.set_state(state)


@contextmanager
def key_scope(key: Any) -> Iterator[Generator]:
    """Random functions inside draw from ``key`` (traced keys too): draw number ``i`` uses ``fold_in(key, i)``.

    Args:
        key: a JAX PRNG key, typed or legacy.

    Raises:
        TypeError: if ``key`` is no such key.

    Example:
        >>> import jax, fnn
        >>> with fnn.random.key_scope(jax.random.key(0)):
        ...     a = fnn.random.next_key("example")
        >>> with fnn.random.key_scope(jax.random.key(0)):
        ...     b = fnn.random.next_key("example")
        >>> bool((a == b).all())
        True
    """
    generator = Generator._of_key(check_key("key_scope", key))
    _scopes.generators.append(generator)
    try:
        yield generator
    finally:
        _scopes.generators.remove(generator)


def next_key(function: str, rng: Any = None) -> Any:
    """The key a random function shall use: ``rng`` if given, else the next one of the ambient source.

    Args:
        function: name of the calling function, for error messages.
        rng: a JAX PRNG key, typed or legacy, or ``None``.

    Raises:
        TypeError: if ``rng`` is no key.
        RuntimeError: under a JAX transformation that fnn does not run, with neither ``rng`` nor a key scope inside it.
    """
    if rng is not None:
        return check_key(function, rng)
    try:
        return current_generator().next_key()
    except RuntimeError as error:
        raise RuntimeError(
            f"{function}: a random draw under a JAX transformation (jit, grad, vmap, scan, ...) needs a key of its own: "
            "pass rng=, or open fnn.random.key_scope(key) inside the transformed function, or use "
            "fnn.functional_call(..., rng=key) or fnn.jit"
        ) from error


# Draws of floating numbers. They use integer arithmetic and one multiplication, so that they are the same to the last
# bit in numpy and in compiled code, on every platform.

_QUANTILE_SCALE = 2.0**-27
_SEGMENTS = 256


@functools.cache
def _quantile_table() -> np.ndarray:
    """-quantile of the standard normal, times 2**27, at the ends of 256 segments of each octave of a 31-bit tail."""
    inverse = NormalDist().inv_cdf
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
    below, above = (NormalDist(mean, std).cdf(bound) for bound in (low, high))
    first = min(int(below * 2**32), 2**32 - 1)
    count = max(min(int(above * 2**32), 2**32 - 1) - first, 0)
    values = _normal_words(
        key, shape, _wide(dtype), mean, std, lambda words: _high_product(words, count) + np.uint32(first)
    )
    return jnp.clip(values, low, high).astype(dtype)


def _wide(dtype: Any) -> Any:
    return jnp.float64 if _is_double(dtype) else jnp.float32


def _high_product(words: Any, factor: int) -> Any:
    """The upper 32 bits of the 64-bit product, in 32-bit arithmetic."""
    a1, a0 = words >> np.uint32(16), words & np.uint32(0xFFFF)
    b1, b0 = np.uint32(factor >> 16), np.uint32(factor & 0xFFFF)
    middle = a1 * b0 + ((a0 * b0) >> np.uint32(16))
    return a1 * b1 + (middle >> np.uint32(16)) + ((a0 * b1 + (middle & np.uint32(0xFFFF))) >> np.uint32(16))

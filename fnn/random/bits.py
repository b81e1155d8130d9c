"""Random bits that cost no compilation, equal to ``jax.random.bits``."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fnn.stateful.tracing import is_eager, setting

__all__ = ["bits", "fold_in", "words"]

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


def check_key(function: str, rng: Any, argument: str = "rng") -> Any:
    """The argument as a key; raises TypeError if it is no JAX PRNG key, typed or legacy (uint32 words)."""
    if isinstance(rng, jax.Array | np.ndarray):
        typed = jnp.issubdtype(rng.dtype, jax.dtypes.prng_key)
        if (typed and rng.ndim == 0) or (not typed and rng.dtype == np.uint32 and rng.ndim == 1):
            return rng
        got = f"{rng.dtype}{list(rng.shape)}"
    else:
        got = repr(rng)
    raise TypeError(f"{function}: {argument} must be one JAX PRNG key (jax.random.key(seed)), got {got}")


def _told(value: Any) -> str:
    return f"{value.dtype}{list(value.shape)}" if isinstance(value, jax.Array) else repr(value)


def check_draw(function: str, key: Any, shape: Any, dtype: Any, **numbers: Any) -> None:
    """Raises TypeError or ValueError unless these are a key, a shape, a dtype, and numbers or arrays that broadcast to it."""
    check_key(function, key, "key")
    several = isinstance(shape, list | tuple) or (isinstance(shape, np.ndarray) and shape.ndim == 1)
    lengths: list[Any] = list(shape) if several else []
    if not several or not all(isinstance(n, int | np.integer) for n in lengths):
        raise TypeError(f"{function}: shape must be a sequence of ints, got {_told(shape)}")
    if any(n < 0 for n in lengths):
        raise ValueError(f"{function}: shape must be of lengths of at least 0, got {tuple(shape)}")
    try:
        numeric = jnp.issubdtype(jnp.dtype(dtype), jnp.number) and not isinstance(dtype, jax.Array | np.ndarray)
    except (TypeError, ValueError):
        numeric = False
    if not numeric:
        raise TypeError(f"{function}: dtype must be a dtype of numbers, got {_told(dtype)}")
    for name, value in numbers.items():
        if isinstance(value, int | float | np.number):
            continue
        size = getattr(value, "shape", None)
        if size is None or jnp.iscomplexobj(value):
            raise TypeError(f"{function}: {name} must be a number or an array of real numbers, got {_told(value)}")
        if len(size) > len(shape) or any(n not in (1, m) for n, m in zip(size[::-1], tuple(shape)[::-1], strict=False)):
            raise ValueError(
                f"{function}: {name} must broadcast to the shape {tuple(shape)}, got the shape {tuple(size)}"
            )


def _rounds(k0: Any, k1: Any, x0: Any, x1: Any) -> tuple[Any, Any]:
    """Threefry-2x32 as operations of JAX, all 20 rounds written out: XLA makes one loop over the elements of them, where
    ``jax.random`` has it run over the array five times, in a loop that takes twice as long to compile."""
    keys = (k0, k1, k0 ^ k1 ^ np.uint32(0x1BD11BDA))
    x0, x1 = x0 + keys[0], x1 + keys[1]
    for group in range(5):
        for r in _ROTATIONS[group % 2]:
            x0 = x0 + x1
            x1 = x0 ^ ((x1 << np.uint32(r)) | (x1 >> np.uint32(32 - r)))
        x0 = x0 + keys[(group + 1) % 3]
        x1 = x1 + keys[(group + 2) % 3] + np.uint32(group + 1)
    return x0, x1


def _key_words(key: Any) -> Any:
    """The two words of a threefry key, traced or not; ``None`` of another key, or where JAX orders the bits otherwise."""
    if not setting("jax_threefry_partitionable") or jnp.shape(key) not in ((), (2,)):
        return None
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        return jax.random.key_data(key) if jnp.shape(key) == () and str(jax.random.key_impl(key)) == _THREEFRY else None
    return key if jnp.shape(key) == (2,) and str(setting("jax_default_prng_impl")) == _THREEFRY else None


def words(key: Any, shape: Sequence[int]) -> jax.Array:
    """Random 32-bit words within a program: equal to ``jax.random.bits(key, shape)``.

    Args:
        key: a JAX PRNG key, typed or legacy, traced or not.
        shape: shape of the result.

    Returns:
        a uint32 array.

    Example:
        >>> import jax
        >>> key = jax.random.key(0)
        >>> bool((words(key, (3,)) == jax.random.bits(key, (3,), "uint32")).all())
        True
    """
    pair = _key_words(key)
    size = math.prod(shape)
    if pair is None or size >= 2**32:
        return jax.random.bits(key, tuple(shape), np.uint32)
    low = jax.lax.iota(np.uint32, size).reshape(shape)
    first, second = _rounds(pair[0], pair[1], np.uint32(0), low)
    return first ^ second


def fold_in(key: Any, number: Any) -> Any:
    """A key made of a key and a number within a program: equal to ``jax.random.fold_in(key, number)``.

    Args:
        key: a JAX PRNG key, typed or legacy, traced or not.
        number: a number of no axes, of 32 bits without sign.

    Returns:
        a key of the same kind.

    Example:
        >>> import jax
        >>> key = jax.random.key(0)
        >>> bool((fold_in(key, 7) == jax.random.fold_in(key, 7)))
        True
    """
    pair = _key_words(key)
    if pair is None or jnp.ndim(number):
        return jax.random.fold_in(key, number)
    new = jnp.stack(_rounds(pair[0], pair[1], np.uint32(0), jnp.asarray(number).astype(np.uint32)))
    return jax.random.wrap_key_data(new, impl=_THREEFRY) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else new


def bits(key: Any, shape: Sequence[int]) -> Any:
    """Random 32-bit words: ``jax.random.bits(key, shape)``, computed by numpy when the key is concrete.

    Args:
        key: a JAX PRNG key, typed or legacy.
        shape: shape of the result.

    Returns:
        a uint32 array, of numpy for a concrete threefry key outside a trace, else of JAX; the values are the same.

    Example:
        >>> import fnn, jax
        >>> fnn.random.bits(jax.random.key(0), (2, 3)).shape
        (2, 3)
    """
    check_draw("bits", key, shape, np.uint32)
    return _map_bits(key, shape, lambda words: words, np.uint32)


def _map_bits(key: Any, shape: Sequence[int], function: Callable[[Any], Any], dtype: Any) -> Any:
    """An elementwise function of ``bits(key, shape)``, of numpy where the key allows it."""
    host = _host_key(key)
    if host is None:
        return function(words(key, tuple(shape)))
    return _host_map(host, int(np.prod(shape, dtype=np.int64)), function, dtype).reshape(shape)

"""A cache of keys and values, by which attention to a growing sequence keeps its shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import jax
import jax.numpy as jnp
from jax import lax

from fnn.functional.arrays import ArrayLike, known
from fnn.functional.checks import as_array, as_int, check_floating, check_integer, check_same_dtype, check_shape, fail
from fnn.functional.explained import explained

__all__ = ["KeyValueCache", "cache_update"]


class KeyValueCache(NamedTuple):
    """Keys and values of the tokens so far, in arrays of a fixed length; a pytree, which ``jax.jit`` and ``scan`` take.

    ``F.scaled_dot_product_attention(q, k, v, cache=cache)`` and ``nn.MultiheadAttention`` write the new keys and values behind
    those that are there, attend to all of them and return a cache with them. Shapes never change: a step that takes one token
    is compiled once, and if the cache is donated to it, as by ``donate_argnums``, the new one takes over its memory.

    Rows of different lengths: either the prompts are padded at the right, and ``cache._replace(length=lengths)`` after the
    first call lets each row go on behind its own last token; or they are padded at the left, and ``attn_mask`` hides the padding.

    Attributes:
        key (Array): the keys, zeros where there are none yet.
        value (Array): the values.
        length (Array): how many places are taken, int32: one number, or one for each row of the batch.

    Shape:
        - key: (*, H, S, E), with S places for tokens.
        - value: (*, H, S, Ev).
        - length: () or (*).

    Example:
        >>> cache = KeyValueCache.zeros((2, 4, 16, 8))
        >>> cache.key.shape, int(cache.length), cache.positions(3).tolist()
        ((2, 4, 16, 8), 0, [0, 1, 2])
    """

    key: jax.Array
    value: jax.Array
    length: jax.Array

    @classmethod
    def zeros(
        cls, shape: Sequence[int], value_features: int | None = None, *, dtype: jax.typing.DTypeLike = jnp.float32
    ) -> Self:
        """An empty cache.

        Args:
            shape: that of the keys, (*, H, S, E).
            value_features: Ev, the features of a value, E if not given.
            dtype: in which keys and values are kept.

        Returns:
            the cache.

        Raises:
            TypeError: if ``dtype`` is not floating.
            ValueError: if ``shape`` has less than three axes.
        """
        name = "KeyValueCache.zeros"
        if not jnp.issubdtype(dtype, jnp.floating):
            fail(TypeError, name, "dtype", "a floating dtype", jnp.dtype(dtype).name)
        if len(shape) < 3:
            fail(ValueError, name, "shape", "of at least 3 axes, (*, H, S, E)", tuple(shape))
        sizes = tuple(as_int(name, "shape", n, 0) for n in shape)
        last = sizes[-1] if value_features is None else as_int(name, "value_features", value_features, 0)
        return cls(jnp.zeros(sizes, dtype), jnp.zeros((*sizes[:-1], last), dtype), jnp.zeros((), jnp.int32))

    def positions(self, length: int) -> jax.Array:
        """The positions of the next tokens.

        Args:
            length: how many.

        Returns:
            an int32 array (length), or (*, length) if each row has its own length.
        """
        count = as_int("KeyValueCache.positions", "length", length, 0)
        return jnp.asarray(self.length)[..., None] + jnp.arange(count, dtype=jnp.int32)


@explained
def cache_update(cache: KeyValueCache, key: ArrayLike, value: ArrayLike) -> KeyValueCache:
    """A cache with the keys and values of more tokens behind those that it has.

    Args:
        cache: what is there; it is not changed.
        key: the new keys, kept in the dtype of the cache.
        value: the new values.

    Shape:
        - cache: keys (*, H, S, E), values (*, H, S, Ev).
        - key: (*, H, L, E); value: (*, H, L, Ev).
        - output: as cache.

    Returns:
        the new cache, whose length is greater by L.

    Raises:
        TypeError: if an array is not floating, or the length not of integers.
        ValueError: if shapes do not fit.
        IndexError: if fewer than L places are left. Where the length is traced the new entries are NaN instead, and so is
            all that attends to them.

    Source: Shazeer, Fast Transformer Decoding: One Write-Head is All You Need, 2019

    Example:
        >>> import jax.numpy as jnp
        >>> cache = KeyValueCache.zeros((2, 4, 16, 8))
        >>> int(cache_update(cache, jnp.ones((2, 4, 3, 8)), jnp.ones((2, 4, 3, 8))).length)
        3
    """
    cache, k, v = checked("cache_update", cache, key, value)
    return updated(cache, k, v)


def checked(name: str, cache: Any, key: Any, value: Any) -> tuple[KeyValueCache, jax.Array, jax.Array]:
    """The cache and what is to be written, as arrays, after all checks."""
    cache = checked_cache(name, cache)
    k, v = as_array(name, "key", key), as_array(name, "value", value)
    check_floating(name, key=k, value=v)
    check_shape(name, "key", k, (*cache.key.shape[:-2], None, cache.key.shape[-1]), "to suit the cache")
    check_shape(name, "value", v, (*k.shape[:-1], cache.value.shape[-1]), "to suit key and the cache")
    check_places(name, cache, k.shape[-2])
    return cache, k, v


def checked_cache(name: str, cache: Any) -> KeyValueCache:
    """The cache as arrays, after checks that its parts fit each other."""
    if not isinstance(cache, KeyValueCache):
        fail(TypeError, name, "cache", "a KeyValueCache", cache)
    key, value, length = (as_array(name, f"cache.{n}", a) for n, a in cache._asdict().items())
    check_floating(name, **{"cache.key": key, "cache.value": value})
    check_same_dtype(name, **{"cache.key": key, "cache.value": value})
    check_integer(name, **{"cache.length": length})
    if key.ndim < 3:
        fail(ValueError, name, "cache.key", "at least 3-D", key)
    check_shape(name, "cache.value", value, (*key.shape[:-1], None), "to suit cache.key")
    if length.ndim:
        check_shape(name, "cache.length", length, key.shape[:-3], "to suit cache.key")
    return KeyValueCache(key, value, length)


def check_places(name: str, cache: KeyValueCache, new: int) -> None:
    """Raises IndexError if it is known that the cache has too few places left."""
    source, taken = cache.key.shape[-2], known(cache.length)
    if new > source or (taken is not None and taken.size and (taken.max() + new > source or taken.min() < 0)):
        got = f"{new} new" if taken is None else f"{taken.max()} taken and {new} new"
        raise IndexError(f"{name}: cache must have places left for the new keys, got {got} of {source}")


@jax.jit
def updated(cache: KeyValueCache, key: jax.Array, value: jax.Array) -> KeyValueCache:
    """``cache_update`` without checks."""
    start, new, source = cache.length.astype(jnp.int32), key.shape[-2], cache.key.shape[-2]
    fits = ((start >= 0) & (start + new <= source))[..., None, None, None]

    def write(places: jax.Array, rows: jax.Array) -> jax.Array:
        rows = jnp.where(fits, rows.astype(places.dtype), jnp.nan)
        if not start.ndim:
            return lax.dynamic_update_slice_in_dim(places, rows, start, -2)
        each = jax.vmap(lambda p, r, i: lax.dynamic_update_slice_in_dim(p, r, i, -2))
        p, r = (a.reshape(-1, *a.shape[-3:]) for a in (places, rows))
        return each(p, r, start.reshape(-1)).reshape(places.shape)

    return KeyValueCache(write(cache.key, key), write(cache.value, value), start + new)


def visible(start: jax.Array, length: int, source: int, causal: bool, window: int | None) -> jax.Array:
    """Which of ``source`` places the ``length`` queries from position ``start`` may look at, (*, 1, L or 1, S) or (L or 1, S)."""
    places, first = jnp.arange(source, dtype=jnp.int32), start[..., None, None]
    if causal:
        position = first + jnp.arange(length, dtype=jnp.int32)[:, None]
        seen = places <= position
        if window is not None:
            seen &= places > position - window
    else:
        seen = places < first + length
    return seen[..., None, :, :] if start.ndim else seen


def restricted(mask: jax.Array | None, seen: jax.Array) -> jax.Array:
    """A mask, boolean (True may be looked at) or floating, of which only what is ``seen`` is left."""
    if mask is None:
        return seen
    return mask & seen if mask.dtype == jnp.bool_ else jnp.where(seen, mask, -jnp.inf)

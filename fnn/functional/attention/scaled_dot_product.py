"""Scaled dot-product attention."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, overload

import jax
import jax.numpy as jnp

from fnn.functional.arrays import ArrayLike, known, widen
from fnn.functional.attention.cache import KeyValueCache, checked, restricted, updated, visible
from fnn.functional.checks import (
    as_array,
    as_int,
    as_optional_array,
    check_floating,
    check_probability,
    check_same_dtype,
    fail,
)
from fnn.functional.explained import explained
from fnn.kernels.attention import Dropout, attention, attention_reference
from fnn.kernels.attention.config import BOUNDS
from fnn.random.generator import next_key

__all__ = ["scaled_dot_product_attention"]


@partial(jax.jit, static_argnames=("is_causal", "heads", "batch", "fixed", "window"))
def _attention(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    cache: KeyValueCache | None,
    mask: Any,
    p: Any,
    rng: Any,
    is_causal: bool,
    scale: Any,
    heads: int | None,
    batch: tuple[int, ...],
    fixed: float | None,
    window: int | None,
) -> tuple[jax.Array, KeyValueCache | None]:
    """``heads`` is how many key and value have, if several of the query share one."""
    length, dtype = query.shape[-2], value.dtype
    if cache is not None:
        start = cache.length
        new: KeyValueCache = updated(cache, key, value)
        cache, key, value = new, new.key.astype(dtype), new.value.astype(dtype)
        mask = restricted(mask, visible(start, length, key.shape[-2], is_causal, window))
    elif window is not None:
        mask = restricted(mask, visible(jnp.zeros((), jnp.int32), length, key.shape[-2], True, window))
    causal = is_causal and cache is None and window is None
    few = length < BOUNDS.few_queries
    query = jnp.broadcast_to(query, (*batch, *query.shape[-2:]))
    rows = heads is not None and not causal and (few or cache is not None)
    all_heads = batch[-1] if batch else 1
    if heads is None:
        pass
    elif rows:
        # The queries of all heads that share a key as queries of one head: so keys and values need not be copied.
        query = query.reshape(*batch[:-1], heads, all_heads // heads * length, query.shape[-1])
        mask, batch = _mask_of_rows(mask, length, all_heads, heads), (*batch[:-1], heads)
    else:
        key, value = (jnp.repeat(a, all_heads // heads, -3) for a in (key, value))
    key, value = (jnp.broadcast_to(a, (*batch, *a.shape[-2:])) for a in (key, value))
    scaled = widen(query)
    scaled = scaled * jnp.asarray(scale).astype(scaled.dtype)
    if few and rows and rng is None:  # rows of many heads, yet few queries
        out = attention_reference(scaled, key, value, mask, causal)
    elif fixed is not None:
        out = attention(query, key, value, mask, causal, fixed)
    else:
        out = attention(scaled, key, value, mask, causal, dropout=None if rng is None else Dropout(rng, p))
    return (out.reshape(*batch[:-1], all_heads, length, out.shape[-1]) if rows else out), cache


def _mask_of_rows(mask: Any, length: int, all_heads: int, heads: int) -> Any:
    """A mask of (*, all heads or 1, L or 1, S) for the queries of the heads that share a key, one below the other."""
    if mask is None or mask.ndim < 2 or (mask.shape[-2] == 1 and (mask.ndim < 3 or mask.shape[-3] == 1)):
        return mask
    shared = all_heads // heads
    *batch, of, rows, source = (1,) * (3 - mask.ndim) + mask.shape
    own = (1, 1) if of == 1 else (heads, shared)
    mask = jnp.broadcast_to(mask.reshape(*batch, *own, rows, source), (*batch, own[0], shared, length, source))
    return mask.reshape(*batch, own[0], shared * length, source)


@overload
def scaled_dot_product_attention(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    attn_mask: ArrayLike | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    window: int | None = None,
    cache: None = None,
    rng: jax.Array | None = None,
) -> jax.Array: ...
@overload
def scaled_dot_product_attention(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    attn_mask: ArrayLike | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    window: int | None = None,
    cache: KeyValueCache,
    rng: jax.Array | None = None,
) -> tuple[jax.Array, KeyValueCache]: ...
@overload
def scaled_dot_product_attention(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    attn_mask: ArrayLike | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    window: int | None = None,
    cache: KeyValueCache | None,
    rng: jax.Array | None = None,
) -> jax.Array | tuple[jax.Array, KeyValueCache]: ...
@explained
def scaled_dot_product_attention(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    attn_mask: ArrayLike | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    window: int | None = None,
    cache: KeyValueCache | None = None,
    rng: jax.Array | None = None,
) -> jax.Array | tuple[jax.Array, KeyValueCache]:
    """Attention, ``softmax(query @ key.T * scale + mask) @ value`` (Vaswani et al., 2017).

    On CUDA cuDNN computes it where it can: halves, E = Ev up to 128, no dropout, ``scale`` a number, a boolean mask or a
    square causal one, L and S even and at least 64. Arrays sharded over several devices must then all be sharded in the
    same way, and not along L, S or E; ``fnn.kernels.plain()`` lifts that.

    With a ``cache``, key and value are those of new tokens: they are written into it behind those of the tokens before, and
    the queries look at all of them. Shapes stay the same from call to call, so that one program writes all tokens, and query
    heads that share a key copy none.

    Args:
        query: what looks.
        key: what is looked at.
        value: what is averaged.
        attn_mask: boolean (True may be looked at) or floating (added to the scores); broadcasts. A query that may look
            at nothing gives zeros.
        dropout_p: probability with which a weight is dropped, always in effect.
        is_causal: whether query i looks at keys 0 to i only; with a cache, whether a new token looks at what the cache had
            and at new tokens up to itself. Excludes ``attn_mask``, unless ``window`` or ``cache`` is given.
        scale: factor of the scores, 1/sqrt(E) if not given.
        enable_gqa: whether key and value may have fewer heads (axis -3), each shared by several query heads.
        window: how many keys a query looks at: its own and those before it; needs ``is_causal``. The others are masked, not
            skipped. Not in torch.
        cache: the keys and values of the tokens before, as ``KeyValueCache.zeros`` makes it. Not in torch.
        rng: a JAX PRNG key for the dropout; without it the ambient source gives one.

    Shape:
        - query: (*, Hq, L, E) or (*, L, E).
        - key: (*, H, S, E); with a cache (*, H, L, E).
        - value: (*, H, S, Ev); with a cache (*, H, L, Ev).
        - attn_mask: broadcasts to (*, Hq, L, S), with S the places of the cache if there is one.
        - output: (*, Hq, L, Ev).

    Returns:
        the averaged values, in the dtype of the query; with a cache these and the cache with the new tokens.

    Raises:
        TypeError: if the dtypes differ or are not floating, or the mask is neither boolean nor of the query's dtype.
        ValueError: if shapes do not fit, or ``window`` is less than 1 or given without ``is_causal``.
        RuntimeError: if both ``attn_mask`` and ``is_causal`` are given.
        IndexError: if the cache has too few places left; where its length is traced, the output is NaN instead.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.scaled_dot_product_attention.html

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.ones((1, 2, 3, 4))
        >>> scaled_dot_product_attention(x, x, x, is_causal=True).shape
        (1, 2, 3, 4)
        >>> cache = KeyValueCache.zeros((1, 2, 8, 4))
        >>> out, cache = scaled_dot_product_attention(x, x, x, is_causal=True, cache=cache)
        >>> out.shape, int(cache.length)
        ((1, 2, 3, 4), 3)
    """
    name = "scaled_dot_product_attention"
    q, k, v = (as_array(name, n, a) for n, a in (("query", query), ("key", key), ("value", value)))
    mask = as_optional_array(name, "attn_mask", attn_mask)
    check_floating(name, query=q, key=k, value=v)
    check_same_dtype(name, query=q, key=k, value=v)
    for argument, array in (("query", q), ("key", k), ("value", v)):
        if array.ndim < 2:
            fail(ValueError, name, argument, "at least 2-D", array)
    if k.shape[-1] != q.shape[-1]:
        fail(ValueError, name, "key", f"of last length {q.shape[-1]}, as query", k)
    if v.shape[-2] != k.shape[-2]:
        fail(ValueError, name, "value", f"of length {k.shape[-2]} on axis -2, as key", v)
    if window is not None:
        window = as_int(name, "window", window, 1)
        if not is_causal:
            fail(ValueError, name, "window", "None unless is_causal is True", window)
    if cache is not None:
        cache, k, v = checked(name, cache, k, v)
        if q.shape[-2] != k.shape[-2]:
            fail(ValueError, name, "query", f"of length {k.shape[-2]} on axis -2, as key, with a cache", q)
    source = k.shape[-2] if cache is None else cache.key.shape[-2]
    if mask is not None:
        if is_causal and window is None and cache is None:
            raise RuntimeError(f"{name}: attn_mask must be None when is_causal is True, got both")
        if mask.dtype != jnp.bool_ and mask.dtype not in (q.dtype, jnp.float32):
            fail(TypeError, name, "attn_mask", f"boolean or of the dtype of query ({q.dtype})", mask)
    shared = _group_size(name, q, k, v) if enable_gqa else 1
    heads = (*k.shape[:-3], k.shape[-3] * shared) if k.ndim > 2 else ()
    try:
        batch = jnp.broadcast_shapes(q.shape[:-2], heads, heads if enable_gqa else v.shape[:-2])
        if mask is not None:
            jnp.broadcast_shapes(mask.shape, (*batch, q.shape[-2], source))
    except ValueError:
        shapes = f"{list(q.shape)}, {list(k.shape)}, {list(v.shape)}, mask {None if mask is None else list(mask.shape)}"
        raise ValueError(f"{name}: query, key, value and attn_mask must broadcast, got {shapes}") from None
    check_probability(name, "dropout_p", dropout_p)
    rng = next_key(name, rng) if known(dropout_p) != 0 else None
    if scale is None:
        scale = 1 / math.sqrt(q.shape[-1]) if q.shape[-1] else 1.0
    # cuDNN, which takes halves alone, wants the scale as a number; others need not be compiled for each scale.
    fixed = float(scale) if rng is None and q.dtype.itemsize == 2 and isinstance(scale, int | float) else None
    if window is not None and window >= q.shape[-2] and cache is None and mask is None:
        window = None
    if cache is not None and k.shape[-3] == 1:
        shared = batch[-1]  # broadcasting shares as well
    of = k.shape[-3] if shared > 1 else None
    out, cache = _attention(q, k, v, cache, mask, dropout_p, rng, bool(is_causal), scale, of, batch, fixed, window)
    return out if cache is None else (out, cache)


def _group_size(name: str, q: Any, k: Any, v: Any) -> int:
    """How many query heads share one head of key and value."""
    for argument, array in (("query", q), ("key", k), ("value", v)):
        if array.ndim < 3:
            fail(ValueError, name, argument, "at least 3-D with enable_gqa", array)
    if k.shape[-3] != v.shape[-3]:
        fail(ValueError, name, "value", f"of {k.shape[-3]} heads, as key", v)
    if k.shape[-3] == 0 or q.shape[-3] % k.shape[-3] != 0:
        fail(ValueError, name, "key", f"of a number of heads that divides query's {q.shape[-3]}", k)
    return q.shape[-3] // k.shape[-3]

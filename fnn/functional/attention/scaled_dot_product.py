"""Scaled dot-product attention."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from fnn.functional.arrays import ArrayLike, known, widen
from fnn.functional.checks import as_array, as_optional_array, check_floating, check_probability, check_same_dtype, fail
from fnn.functional.explained import explained
from fnn.kernels.attention import Dropout, attention
from fnn.random.generator import next_key

__all__ = ["scaled_dot_product_attention"]


@partial(jax.jit, static_argnames=("is_causal", "repeat", "batch", "fixed"))
def _attention(
    query: Any,
    key: Any,
    value: Any,
    mask: Any,
    p: Any,
    rng: Any,
    is_causal: bool,
    scale: Any,
    repeat: int,
    batch: tuple[int, ...],
    fixed: float | None,
) -> jax.Array:
    if repeat > 1:
        key, value = jnp.repeat(key, repeat, -3), jnp.repeat(value, repeat, -3)
    query, key, value = (jnp.broadcast_to(a, (*batch, *a.shape[-2:])) for a in (query, key, value))
    if fixed is not None:
        return attention(query, key, value, mask, is_causal, fixed)
    query = widen(query)
    query = query * jnp.asarray(scale).astype(query.dtype)
    return attention(query, key, value, mask, is_causal, dropout=None if rng is None else Dropout(rng, p))


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
    rng: jax.Array | None = None,
) -> jax.Array:
    """Attention, ``softmax(query @ key.T * scale + mask) @ value`` (Vaswani et al., 2017).

    On CUDA cuDNN computes it where it can: halves, E = Ev up to 128, no dropout, ``scale`` a number, a boolean mask or a
    square causal one, L and S even and at least 64. Arrays sharded over several devices must then all be sharded in the
    same way, and not along L, S or E; ``fnn.kernels.plain()`` lifts that.

    Args:
        query: what looks.
        key: what is looked at.
        value: what is averaged.
        attn_mask: boolean (True may be looked at) or floating (added to the scores); broadcasts. A query that may look
            at nothing gives zeros.
        dropout_p: probability with which a weight is dropped, always in effect.
        is_causal: whether query i looks at keys 0 to i only; excludes ``attn_mask``.
        scale: factor of the scores, 1/sqrt(E) if not given.
        enable_gqa: whether key and value may have fewer heads (axis -3), each shared by several query heads.
        rng: a JAX PRNG key for the dropout; without it the ambient source gives one.

    Shape:
        - query: (*, Hq, L, E) or (*, L, E).
        - key: (*, H, S, E).
        - value: (*, H, S, Ev).
        - attn_mask: broadcasts to (*, Hq, L, S).
        - output: (*, Hq, L, Ev).

    Returns:
        the averaged values, in the dtype of the query.

    Raises:
        TypeError: if the dtypes differ or are not floating, or the mask is neither boolean nor of the query's dtype.
        ValueError: if shapes do not fit.
        RuntimeError: if both ``attn_mask`` and ``is_causal`` are given.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.scaled_dot_product_attention.html

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.ones((1, 2, 3, 4))
        >>> scaled_dot_product_attention(x, x, x, is_causal=True).shape
        (1, 2, 3, 4)
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
    if mask is not None:
        if is_causal:
            raise RuntimeError(f"{name}: attn_mask must be None when is_causal is True, got both")
        if mask.dtype != jnp.bool_ and mask.dtype not in (q.dtype, jnp.float32):
            fail(TypeError, name, "attn_mask", f"boolean or of the dtype of query ({q.dtype})", mask)
    repeat = _group_size(name, q, k, v) if enable_gqa else 1
    heads = (*k.shape[:-3], k.shape[-3] * repeat) if k.ndim > 2 else ()
    try:
        batch = jnp.broadcast_shapes(q.shape[:-2], heads, heads if enable_gqa else v.shape[:-2])
        if mask is not None:
            jnp.broadcast_shapes(mask.shape, (*batch, q.shape[-2], k.shape[-2]))
    except ValueError:
        shapes = f"{list(q.shape)}, {list(k.shape)}, {list(v.shape)}, mask {None if mask is None else list(mask.shape)}"
        raise ValueError(f"{name}: query, key, value and attn_mask must broadcast, got {shapes}") from None
    check_probability(name, "dropout_p", dropout_p)
    rng = next_key(name, rng) if known(dropout_p) != 0 else None
    if scale is None:
        scale = 1 / math.sqrt(q.shape[-1]) if q.shape[-1] else 1.0
    # cuDNN, which takes halves alone, wants the scale as a number; others need not be compiled for each scale.
    fixed = float(scale) if rng is None and q.dtype.itemsize == 2 and isinstance(scale, int | float) else None
    return _attention(q, k, v, mask, dropout_p, rng, bool(is_causal), scale, repeat, batch, fixed)


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

"""The plain form of attention, with all scores at once."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from fnn.kernels.precision import minus_peak, wide_dtype

__all__ = ["attention_reference", "attention_weights", "causal_mask", "masked"]


def causal_mask(length: int, source: int) -> jax.Array:
    """True where a query may look: at keys of its own number and below."""
    return jnp.arange(source) <= jnp.arange(length)[:, None]


def masked(scores: jax.Array, mask: jax.Array | None) -> jax.Array:
    """The scores where a boolean mask is True, -inf elsewhere; the sum with a floating one."""
    if mask is None:
        return scores
    if mask.dtype == jnp.bool_:
        return jnp.where(mask, scores, -jnp.inf)
    return scores + mask.astype(scores.dtype)


def attention_reference(
    query: jax.Array, key: jax.Array, value: jax.Array, mask: jax.Array | None, causal: bool
) -> jax.Array:
    """``softmax(query @ key.T + mask) @ value``; a query that may look at nothing gives zeros."""
    weights = attention_weights(query, key, mask, causal)
    return jnp.matmul(weights, value.astype(weights.dtype)).astype(value.dtype)


def attention_weights(query: jax.Array, key: jax.Array, mask: jax.Array | None, causal: bool) -> jax.Array:
    """``softmax(query @ key.T + mask)``, in float32 for half types."""
    wide = wide_dtype(query.dtype)
    scores = jnp.matmul(query.astype(wide), key.astype(wide).swapaxes(-1, -2))
    if causal:
        scores = masked(scores, causal_mask(*scores.shape[-2:]))
    scores = masked(scores, mask)
    top = jnp.max(scores, -1, keepdims=True, initial=-jnp.inf)
    top = lax.stop_gradient(jnp.where(jnp.isneginf(top), 0, top))
    weights = jnp.exp(minus_peak(scores, top))
    total = jnp.sum(weights, -1, keepdims=True)
    return weights / jnp.where(total == 0, 1, total)

"""Attention by cuDNN, through ``jax.nn.dot_product_attention``: when it may take the place of the plain form on CUDA."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from fnn.kernels.attention.config import BOUNDS, Bounds

__all__ = ["attention_cudnn", "has_cudnn", "suits_cudnn"]

_WIDTH = 128  # features that every GPU takes whose cuDNN has attention at all
_OLDEST = (8, 0)  # the compute capability from which cuDNN has it
_LEFT_OUT = (10, 3)  # where it needs a cuDNN whose version JAX tells nobody


def suits_cudnn(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    mask: jax.Array | None,
    causal: bool,
    *,
    bounds: Bounds = BOUNDS,
) -> bool:
    """Whether cuDNN computes what the plain form does for arrays of these shapes and dtypes.

    These are the conditions of ``jax.nn.dot_product_attention`` and those under which its results are ours: floating
    masks stay out, for cuDNN gives NaN for a query whose every score is -inf or near it; so does a causal mask unless
    it is square, for JAX does not say where cuDNN's begins.

    Args:
        query: what looks.
        key: what is looked at.
        value: what is averaged.
        mask: True where a query may look.
        causal: whether query i looks at keys 0 to i only.
        bounds: what is too short to gain by it.

    Shape:
        - query: (*, L, E); key: (*, S, E); value: (*, S, Ev), of the same leading axes.
        - mask: broadcasts to (*, L, S).

    Returns:
        whether ``attention_cudnn`` may be used.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.ones((1, 2, 128, 64), jnp.bfloat16)
        >>> suits_cudnn(x, x, x, None, True), suits_cudnn(x, x, x[..., :32], None, True)
        (True, False)
    """
    length, width = query.shape[-2:]
    source = key.shape[-2]
    halves = all(a.dtype == query.dtype and a.dtype in (jnp.bfloat16, jnp.float16) for a in (query, key, value))
    widths = width <= _WIDTH and width % 8 == 0 and value.shape[-1] == width
    # JAX takes the gradient at even lengths only.
    lengths = min(length, source) >= bounds.cudnn_length and length % 2 == 0 and source % 2 == 0
    if not (halves and widths and lengths) or 0 in query.shape:
        return False
    if mask is None:
        return not causal or length == source
    scores = (*query.shape[:-1], source)
    fits = mask.dtype == jnp.bool_ and mask.ndim <= len(scores) and jnp.broadcast_shapes(mask.shape, scores) == scores
    return fits and not causal


def has_cudnn() -> bool:
    """Whether this process has CUDA devices, all of them of a kind for which cuDNN has attention.

    It is asked when a program is lowered for CUDA. JAX lowers a call of cuDNN only where it finds cuDNN, so a program
    exported for CUDA by a process without it has the plain form.

    Example:
        >>> import jax
        >>> has_cudnn() and jax.default_backend() == "cpu"
        False
    """
    try:
        devices = jax.local_devices(backend="cuda")
    except RuntimeError:
        return False
    capabilities = {tuple(map(int, d.compute_capability.split("."))) for d in devices}
    return all(c >= _OLDEST and c != _LEFT_OUT for c in capabilities)


def attention_cudnn(
    query: jax.Array, key: jax.Array, value: jax.Array, mask: jax.Array | None, causal: bool, scale: float
) -> jax.Array:
    """``softmax(query @ key.T * scale + mask) @ value`` by cuDNN; a query that may look at nothing gives zeros.

    Args:
        query: what looks.
        key: what is looked at.
        value: what is averaged.
        mask: True where a query may look; of the rank of the query.
        causal: whether query i looks at keys 0 to i only.
        scale: factor of the scores.

    Shape:
        - query: (*, L, E); key, value: (*, S, E), of the same leading axes.
        - mask: broadcasts to (*, L, S).
        - output: (*, L, E).

    Returns:
        the averaged values.
    """
    *lead, length, _ = query.shape
    heads = lead[-1] if lead else 1

    def laid_out(x: jax.Array) -> jax.Array:
        return x.reshape(-1, heads, *x.shape[-2:]).swapaxes(1, 2)

    # With the residual the call is the one that a gradient starts from, and XLA merges the two.
    out, _ = jax.nn.dot_product_attention(
        *map(laid_out, (query, key, value)),
        mask=None if mask is None else _laid_out_mask(mask, (*lead, length, key.shape[-2])),
        scale=scale,
        is_causal=causal,
        implementation="cudnn",
        return_residual=True,
    )
    out = out.swapaxes(1, 2).reshape(query.shape)
    # cuDNN hides a key by a large negative score, so a query whose keys are all hidden averages them.
    return out if mask is None else jnp.where(jnp.any(mask, -1, keepdims=True), out, 0)


def _laid_out_mask(mask: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """The mask as (batch or 1, heads or 1, L, S)."""
    heads = mask.shape[-3] if len(shape) > 2 else 1
    batch = mask.shape[:-3] if all(n == 1 for n in mask.shape[:-3]) else shape[:-3]
    return jnp.broadcast_to(mask, (*batch, *mask.shape[len(batch) : -2], *shape[-2:])).reshape(-1, heads, *shape[-2:])

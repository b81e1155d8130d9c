"""Attention in several heads of projected inputs."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Literal, overload

import jax
import jax.numpy as jnp

from fnn.amp.autocast_mode import is_autocast_enabled
from fnn.functional.activation.softmax import softmax_of
from fnn.functional.arrays import ArrayLike, known, widen
from fnn.functional.attention.cache import KeyValueCache, check_places, checked_cache, updated, visible
from fnn.functional.checks import (
    as_array,
    as_int,
    as_optional_array,
    check_floating,
    check_probability,
    check_rank,
    check_same_dtype,
    check_shape,
    fail,
)
from fnn.functional.dropout import dropout
from fnn.functional.explained import explained
from fnn.functional.linear import linear
from fnn.kernels.attention import Dropout, attention
from fnn.random.generator import next_key
from fnn.stateful.warning import warn

__all__ = ["multi_head_attention_forward"]


def _added(mask: jax.Array, dtype: Any) -> jax.Array:
    """A mask as numbers to add: a boolean one gives -inf where True."""
    return jnp.where(mask, -jnp.inf, 0).astype(dtype) if mask.dtype == jnp.bool_ else mask


def merged_mask(mask: Any, padding: Any, shape: tuple[int, int], extra: int, dtype: Any) -> jax.Array | None:
    """Both masks (True hides) as one that broadcasts to (N, H, L, S), with ``extra`` visible keys at the end."""
    if mask is not None:
        mask = mask.reshape(*(shape if mask.ndim == 3 else (1, 1)), *mask.shape[-2:])
    if padding is not None:
        padding = padding.reshape(*(padding.shape[:-1] or (1,)), 1, 1, padding.shape[-1])
    masks = [jnp.pad(m, ((0, 0),) * 3 + ((0, extra),)) for m in (mask, padding) if m is not None]
    if len(masks) < 2:
        return masks[0] if masks else None
    if all(m.dtype == jnp.bool_ for m in masks):
        return masks[0] | masks[1]
    return _added(masks[0], dtype) + _added(masks[1], dtype)


def _projections(inputs: tuple[Any, ...], weights: tuple[Any, ...], bias: Any) -> list[jax.Array]:
    """Query, key and value after the input projection, in as few products as there are different inputs.

    ``inputs`` is (all three,), (query, both others) or (query, key, value); ``weights`` is one packed matrix or three.
    """
    if len(weights) == 3:
        biases = (None,) * 3 if bias is None else jnp.split(bias, 3)
        query, key, value = (inputs[min(i, len(inputs) - 1)] for i in range(3))
        return [linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True)]
    size = weights[0].shape[0] // 3
    counts = {1: (3,), 2: (1, 2), 3: (1, 1, 1)}[len(inputs)]
    projected: list[jax.Array] = []
    for x, count in zip(inputs, counts, strict=True):
        rows = slice(len(projected) * size, (len(projected) + count) * size)
        projected += jnp.split(linear(x, weights[0][rows], None if bias is None else bias[rows]), count, -1)
    return projected


def _hidden(mask: jax.Array, hidden: jax.Array) -> jax.Array:
    """A mask, boolean (True hides) or floating, that hides more."""
    return mask | hidden if mask.dtype == jnp.bool_ else jnp.where(hidden, -jnp.inf, mask)


@partial(jax.jit, static_argnames=("num_heads", "add_zero_attn", "is_causal", "need_weights", "average"))
def _multi_head(
    inputs: tuple[Any, ...],
    weights: tuple[Any, ...],
    in_proj_bias: Any,
    added: tuple[Any, Any] | None,
    static: tuple[Any, Any],
    cache: KeyValueCache | None,
    out_weight: Any,
    out_bias: Any,
    mask: Any,
    padding: Any,
    p: Any,
    rng: Any,
    num_heads: int,
    add_zero_attn: bool,
    is_causal: bool,
    need_weights: bool,
    average: bool,
) -> tuple[jax.Array, jax.Array | None, KeyValueCache | None]:
    batched = inputs[0].ndim == 3
    if not batched:
        inputs = tuple(x[:, None] for x in inputs)
    query, key, value = _projections(inputs, weights, in_proj_bias)
    length, batch, size = query.shape
    dtype = query.dtype
    if added is not None:
        key, value = (
            jnp.concatenate([x, jnp.broadcast_to(rows, (rows.shape[0], batch, size))])
            for x, rows in zip((key, value), added, strict=True)
        )

    def heads(x: jax.Array) -> jax.Array:
        return x.astype(dtype).reshape(x.shape[0], batch, num_heads, size // num_heads).transpose(1, 2, 0, 3)

    q, k, v = (
        heads(query),
        *(
            heads(x) if given is None else given.astype(dtype).reshape(batch, num_heads, *given.shape[1:])
            for x, given in zip((key, value), static, strict=True)
        ),
    )
    if add_zero_attn:
        k, v = (jnp.pad(x, ((0, 0), (0, 0), (0, 1), (0, 0))) for x in (k, v))
    extra = (0 if added is None else added[0].shape[0]) + add_zero_attn
    merged = merged_mask(mask, padding, (batch, num_heads), extra, dtype)
    if cache is not None:
        new: KeyValueCache = updated(cache, *((k, v) if batched else (k[0], v[0])))
        hidden = ~visible(cache.length, length, new.key.shape[-2], is_causal, None)
        merged = hidden if merged is None else _hidden(merged, hidden)
        k, v = (a.astype(dtype) if batched else a[None].astype(dtype) for a in (new.key, new.value))
        cache, is_causal = new, False
    scale = math.sqrt(1 / q.shape[-1])
    kept = None
    if need_weights:
        scores = jnp.matmul(widen(q) * scale, widen(k).swapaxes(-1, -2))
        if merged is not None:
            scores = scores + _added(merged, scores.dtype).astype(scores.dtype)
        # Unlike below, a query that may look at nothing gives NaN, as in torch.
        kept = softmax_of(scores, -1) if scores.shape[-1] else scores
        if rng is not None:
            kept = dropout(kept, p, rng=rng)
        out = jnp.matmul(kept, widen(v)).astype(dtype)
        kept = jnp.mean(kept, 1) if average else kept
        kept = kept if is_autocast_enabled() else kept.astype(dtype)  # what softmax gives
    else:
        if merged is not None and merged.dtype == jnp.bool_:
            merged = ~merged
        out = attention(q, k, v, merged, is_causal, scale, None if rng is None else Dropout(rng, p))
    out = linear(out.transpose(2, 0, 1, 3).reshape(length, batch, size), out_weight, out_bias)
    if batched:
        return out, kept, cache
    return out[:, 0], None if kept is None else kept[0], cache


def _check_inputs(name: str, x: dict[str, jax.Array], embed: int, separate: bool) -> None:
    """Query, key and value agree in rank, batch, length and, unless each has its own matrix, features."""
    query, key, value = x.values()
    check_rank(name, "query", query, 2, 3)
    for argument in ("key", "value"):
        check_rank(name, argument, x[argument], query.ndim)
    batch = query.shape[1:-1]
    check_shape(name, "query", query, (None, *batch, embed), "by embed_dim_to_check")
    check_shape(name, "key", key, (None, *batch, None if separate else embed), "to suit query")
    check_shape(name, "value", value, (*key.shape[:-1], None if separate else embed), "to suit key")


def _check_rows(name: str, argument: str, rows: jax.Array, shape: tuple[int | None, ...], why: str) -> jax.Array:
    """Added keys or values, from (E), (1, E) or (K, 1, E) to the last."""
    whole = rows.reshape((1,) * (3 - rows.ndim) + rows.shape)
    if whole.ndim != 3 or any(want not in (None, size) for want, size in zip(shape, whole.shape, strict=True)):
        wanted = ", ".join("*" if n is None else str(n) for n in shape)
        fail(ValueError, name, argument, f"of shape [{wanted}]{why}, or without its first axes of length 1", rows)
    return whole


def _check_added(name: str, x: dict[str, jax.Array], rest: dict[str, Any], embed: int, num_heads: int) -> int:
    """Checks of what is added to the keys or replaces them; returns the number of keys that masks speak of."""
    bias_k, bias_v, static_k, static_v = (rest[n] for n in ("bias_k", "bias_v", "static_k", "static_v"))
    if (bias_k is None) != (bias_v is None):
        raise ValueError(f"{name}: bias_k and bias_v must be given together, got only one of them")
    source = x["key"].shape[0]
    if bias_k is not None:
        if static_k is not None or static_v is not None:
            raise ValueError(f"{name}: static_k and static_v must be None when bias_k and bias_v are given")
        rest["bias_k"] = bias_k = _check_rows(name, "bias_k", bias_k, (None, 1, embed), "")
        rest["bias_v"] = _check_rows(name, "bias_v", bias_v, (bias_k.shape[0], 1, embed), " to suit bias_k")
    rows = (x["query"].shape[1] if x["query"].ndim == 3 else 1) * num_heads
    if static_k is not None:
        check_shape(name, "static_k", static_k, (rows, None, embed // num_heads))
        source = static_k.shape[1]
    if static_v is not None:
        check_shape(name, "static_v", static_v, (rows, source, embed // num_heads), "to suit the keys")
    elif x["value"].shape[0] != source:
        fail(ValueError, name, "static_k", f"of length {x['value'].shape[0]}, as value", static_k)
    return source


def _check_masks(name: str, query: jax.Array, source: int, masks: dict[str, Any], num_heads: int, unread: bool) -> None:
    """Checks of the masks' dtypes and shapes; of one that is not read, only those that a call with it needs."""
    padding, mask = masks["key_padding_mask"], masks["attn_mask"]
    batch = query.shape[1] if query.ndim == 3 else 1
    for argument, m in masks.items():
        if m is not None and m.dtype not in (jnp.bool_, query.dtype, jnp.float32):
            fail(TypeError, name, argument, f"boolean or of the dtype of query ({query.dtype})", m)
    if padding is not None:
        check_shape(name, "key_padding_mask", padding, (batch, source) if query.ndim == 3 else (source,))
    if mask is not None:
        check_rank(name, "attn_mask", mask, 2, 3)
    if mask is not None and not unread:
        leading = (batch * num_heads,) if mask.ndim == 3 else ()
        check_shape(name, "attn_mask", mask, (*leading, query.shape[0], source))
    if padding is not None and mask is not None and padding.dtype != mask.dtype:
        warn(
            f"{name}: key_padding_mask and attn_mask of different dtypes ({padding.dtype} and {mask.dtype}) are "
            "deprecated, use the same for both"
        )


def _check_cache(
    name: str, cache: Any, x: dict[str, jax.Array], rest: dict[str, Any], size: int, num_heads: int
) -> KeyValueCache:
    """The cache as arrays, after checks that it suits the inputs."""
    cache = checked_cache(name, cache)
    batch = x["query"].shape[1:-1]
    for argument, a in (("cache.key", cache.key), ("cache.value", cache.value)):
        check_shape(name, argument, a, (*batch, num_heads, None, size), "to suit query and num_heads")
    for argument in ("bias_k", "bias_v", "static_k", "static_v", "add_zero_attn"):
        if rest[argument] is not None and rest[argument] is not False:
            fail(ValueError, name, argument, "absent when a cache is given", rest[argument])
    length = x["query"].shape[0]
    if x["key"].shape[0] != length:
        fail(ValueError, name, "key", f"of length {length}, as query, when a cache is given", x["key"])
    check_places(name, cache, length)
    return cache


def _dropout_key(name: str, p: Any, rng: Any) -> Any:
    """The key for dropout, or ``None`` if nothing is dropped."""
    check_probability(name, "dropout_p", p)
    return next_key(name, rng) if known(p) != 0 else None


@overload
def multi_head_attention_forward(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: ArrayLike | None,
    in_proj_bias: ArrayLike | None,
    bias_k: ArrayLike | None,
    bias_v: ArrayLike | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: ArrayLike,
    out_proj_bias: ArrayLike | None,
    training: bool = True,
    key_padding_mask: ArrayLike | None = None,
    need_weights: Literal[True] = True,
    attn_mask: ArrayLike | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: ArrayLike | None = None,
    k_proj_weight: ArrayLike | None = None,
    v_proj_weight: ArrayLike | None = None,
    static_k: ArrayLike | None = None,
    static_v: ArrayLike | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
    *,
    cache: None = None,
    rng: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]: ...
@overload
def multi_head_attention_forward(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: ArrayLike | None,
    in_proj_bias: ArrayLike | None,
    bias_k: ArrayLike | None,
    bias_v: ArrayLike | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: ArrayLike,
    out_proj_bias: ArrayLike | None,
    training: bool = True,
    key_padding_mask: ArrayLike | None = None,
    *,
    need_weights: Literal[False],
    attn_mask: ArrayLike | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: ArrayLike | None = None,
    k_proj_weight: ArrayLike | None = None,
    v_proj_weight: ArrayLike | None = None,
    static_k: ArrayLike | None = None,
    static_v: ArrayLike | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
    cache: None = None,
    rng: jax.Array | None = None,
) -> tuple[jax.Array, None]: ...
@overload
def multi_head_attention_forward(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: ArrayLike | None,
    in_proj_bias: ArrayLike | None,
    bias_k: ArrayLike | None,
    bias_v: ArrayLike | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: ArrayLike,
    out_proj_bias: ArrayLike | None,
    training: bool = True,
    key_padding_mask: ArrayLike | None = None,
    need_weights: bool = True,
    attn_mask: ArrayLike | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: ArrayLike | None = None,
    k_proj_weight: ArrayLike | None = None,
    v_proj_weight: ArrayLike | None = None,
    static_k: ArrayLike | None = None,
    static_v: ArrayLike | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
    *,
    cache: None = None,
    rng: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array | None]: ...
@overload
def multi_head_attention_forward(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: ArrayLike | None,
    in_proj_bias: ArrayLike | None,
    bias_k: ArrayLike | None,
    bias_v: ArrayLike | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: ArrayLike,
    out_proj_bias: ArrayLike | None,
    training: bool = True,
    key_padding_mask: ArrayLike | None = None,
    need_weights: bool = True,
    attn_mask: ArrayLike | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: ArrayLike | None = None,
    k_proj_weight: ArrayLike | None = None,
    v_proj_weight: ArrayLike | None = None,
    static_k: ArrayLike | None = None,
    static_v: ArrayLike | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
    *,
    cache: KeyValueCache,
    rng: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array | None, KeyValueCache]: ...
@overload
def multi_head_attention_forward(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: ArrayLike | None,
    in_proj_bias: ArrayLike | None,
    bias_k: ArrayLike | None,
    bias_v: ArrayLike | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: ArrayLike,
    out_proj_bias: ArrayLike | None,
    training: bool = True,
    key_padding_mask: ArrayLike | None = None,
    need_weights: bool = True,
    attn_mask: ArrayLike | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: ArrayLike | None = None,
    k_proj_weight: ArrayLike | None = None,
    v_proj_weight: ArrayLike | None = None,
    static_k: ArrayLike | None = None,
    static_v: ArrayLike | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
    *,
    cache: KeyValueCache | None,
    rng: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array | None] | tuple[jax.Array, jax.Array | None, KeyValueCache]: ...
@explained
def multi_head_attention_forward(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: ArrayLike | None,
    in_proj_bias: ArrayLike | None,
    bias_k: ArrayLike | None,
    bias_v: ArrayLike | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: ArrayLike,
    out_proj_bias: ArrayLike | None,
    training: bool = True,
    key_padding_mask: ArrayLike | None = None,
    need_weights: bool = True,
    attn_mask: ArrayLike | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: ArrayLike | None = None,
    k_proj_weight: ArrayLike | None = None,
    v_proj_weight: ArrayLike | None = None,
    static_k: ArrayLike | None = None,
    static_v: ArrayLike | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
    *,
    cache: KeyValueCache | None = None,
    rng: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array | None] | tuple[jax.Array, jax.Array | None, KeyValueCache]:
    """Attention in several heads of projected inputs, what ``nn.MultiheadAttention`` computes.

    head_i = softmax(q_i k_i^T / sqrt(E / num_heads) + mask) v_i with q, k, v the projections of query, key and value
    (Vaswani et al., 2017); the heads, concatenated, go through the output projection.

    Args:
        query: what looks.
        key: what is looked at. The same object as ``value`` (and ``query``) saves products.
        value: what is averaged.
        embed_dim_to_check: E, the features of ``query``.
        num_heads: number of heads; divides E.
        in_proj_weight: the three projections in one matrix, if ``use_separate_proj_weight`` is False.
        in_proj_bias: their biases.
        bias_k: a key that follows the others, seen by all; only with ``bias_v``.
        bias_v: its value.
        add_zero_attn: whether a key and value of zeros follow the others.
        dropout_p: in training, probability with which a weight is dropped.
        out_proj_weight: the output projection.
        out_proj_bias: its bias.
        training: whether weights are dropped.
        key_padding_mask: boolean (True hides a key from every query) or floating (added to the scores).
        need_weights: whether the weights are returned; without them less memory is needed. With weights a query
            that may look at nothing gives NaN, without them its heads are zeros.
        attn_mask: boolean (True hides a key from a query) or floating (added to the scores).
        use_separate_proj_weight: whether the three matrices below are used; key and value may then have features of
            their own number.
        q_proj_weight: projection of the query.
        k_proj_weight: projection of the key.
        v_proj_weight: projection of the value.
        static_k: used in place of the projected key.
        static_v: used in place of the projected value.
        average_attn_weights: whether the returned weights are averaged over the heads.
        is_causal: says that ``attn_mask``, which must be given, is the causal mask. It is then not read unless the
            weights or ``key_padding_mask`` need it. With a cache: new tokens see what the cache had and new tokens up to
            themselves, and what ``attn_mask`` does not hide.
        cache: the projected keys and values of the tokens before; query, key and value are those of the new ones, which are
            written into it. Masks are over its S places. Not in torch.
        rng: a JAX PRNG key for the dropout; without it the ambient source gives one.

    Shape:
        - query: (L, N, E) or (L, E).
        - key: (S, N, Ek) or (S, Ek); value: (S, N, Ev) or (S, Ev). Ek = Ev = E with ``in_proj_weight``.
        - in_proj_weight: (3E, E); in_proj_bias: (3E); bias_k, bias_v: (1, 1, E), or (K, 1, E) for K keys.
        - q_proj_weight: (E, E); k_proj_weight: (E, Ek); v_proj_weight: (E, Ev).
        - out_proj_weight: (Eo, E); out_proj_bias: (Eo).
        - key_padding_mask: (N, S) or (S); attn_mask: (L, S) or (N * num_heads, L, S).
        - static_k, static_v: (N * num_heads, S, E / num_heads).
        - cache: keys and values (N, num_heads, S, E / num_heads), without N for an unbatched query.
        - output: (L, N, Eo) or (L, Eo).
        - weights: (N, L, S'), (L, S'), or (N, num_heads, L, S'), (num_heads, L, S') unless averaged, where S' counts
          the keys added by ``bias_k`` and ``add_zero_attn`` too.

    Returns:
        the output and the weights (after dropout), or ``None`` in their place; with a cache also the new cache.

    Raises:
        TypeError: if dtypes differ or are not floating, or a mask is neither boolean nor floating.
        ValueError: if shapes do not fit or arguments contradict each other.
        RuntimeError: if ``is_causal`` is True without ``attn_mask`` or a cache.
        IndexError: if the cache has too few places left; where its length is traced, the output is NaN instead.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.MultiheadAttention.html

    Example:
        >>> import jax.numpy as jnp
        >>> x, w = jnp.ones((5, 3, 4)), jnp.ones((12, 4))
        >>> multi_head_attention_forward(x, x, x, 4, 2, w, None, None, None, False, 0.0, w[:4], None)[1].shape
        (3, 5, 5)
    """
    name = "multi_head_attention_forward"
    given = {"query": query, "key": key, "value": value}
    x = {n: as_array(name, n, a) for n, a in given.items()}
    embed = as_int(name, "embed_dim_to_check", embed_dim_to_check)
    num_heads = as_int(name, "num_heads", num_heads, 1)
    if embed % num_heads:
        fail(ValueError, name, "num_heads", f"a divisor of the embedding dimension {embed}", num_heads)
    separate = {"q_proj_weight": q_proj_weight, "k_proj_weight": k_proj_weight, "v_proj_weight": v_proj_weight}
    needed = separate if use_separate_proj_weight else {"in_proj_weight": in_proj_weight}
    for argument, a in needed.items():
        if a is None:
            fail(ValueError, name, argument, f"given when use_separate_proj_weight is {use_separate_proj_weight}", a)
    projection = {n: as_array(name, n, a) for n, a in needed.items()}
    out_weight = as_array(name, "out_proj_weight", out_proj_weight)
    rest: dict[str, Any] = {
        "in_proj_bias": in_proj_bias,
        "bias_k": bias_k,
        "bias_v": bias_v,
        "out_proj_bias": out_proj_bias,
        "static_k": static_k,
        "static_v": static_v,
    }
    rest = {n: as_optional_array(name, n, a) for n, a in rest.items()}
    floating = {**x, **projection, "out_proj_weight": out_weight, **rest}
    check_floating(name, **floating)
    if not is_autocast_enabled():  # the projections cast
        check_same_dtype(name, **floating)
    _check_inputs(name, x, embed, bool(use_separate_proj_weight))
    sizes = [x[n].shape[-1] for n in x]
    for (argument, w), size in zip(projection.items(), sizes, strict=False):
        check_shape(name, argument, w, (embed if use_separate_proj_weight else 3 * embed, size))
    check_shape(name, "out_proj_weight", out_weight, (None, embed))
    for argument, shape in (("in_proj_bias", (3 * embed,)), ("out_proj_bias", out_weight.shape[:1])):
        if rest[argument] is not None:
            check_shape(name, argument, rest[argument], shape)
    source = _check_added(name, x, rest, embed, num_heads)
    if cache is not None:
        cache = _check_cache(name, cache, x, {**rest, "add_zero_attn": add_zero_attn}, embed // num_heads, num_heads)
        source = cache.key.shape[-2]
    masks = {
        "key_padding_mask": as_optional_array(name, "key_padding_mask", key_padding_mask),
        "attn_mask": as_optional_array(name, "attn_mask", attn_mask),
    }
    if is_causal and attn_mask is None and cache is None:
        raise RuntimeError(f"{name}: attn_mask must be given when is_causal is True, got None")
    implied = bool(is_causal) and key_padding_mask is None and not need_weights and cache is None
    _check_masks(name, x["query"], source, masks, num_heads, implied)
    rng = _dropout_key(name, dropout_p, rng) if training else None
    different = 3 if key is not value else 2 if query is not key else 1
    out, weights, new = _multi_head(
        tuple(x.values())[:different],
        tuple(projection.values()),
        rest["in_proj_bias"],
        None if rest["bias_k"] is None else (rest["bias_k"], rest["bias_v"]),
        (rest["static_k"], rest["static_v"]),
        cache,
        out_weight,
        rest["out_proj_bias"],
        None if implied else masks["attn_mask"],
        masks["key_padding_mask"],
        dropout_p,
        rng,
        num_heads,
        bool(add_zero_attn),
        implied if cache is None else bool(is_causal),
        bool(need_weights),
        bool(average_attn_weights),
    )
    return (out, weights) if new is None else (out, weights, new)

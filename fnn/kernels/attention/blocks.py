"""Attention by blocks of queries, a few heads at a time: memory grows with the length and not with its square."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from fnn.kernels.attention.cudnn import attention_cudnn, has_cudnn, suits_cudnn
from fnn.kernels.operation import Operation

__all__ = ["Dropout", "attention", "attention_reference"]

# Where causal, a block skips the keys after it, so that small ones compute less.
_STEP, _CAUSAL_STEP = 1 << 20, 1 << 18  # scores that one step of several heads may hold
_ROWS, _CAUSAL_ROWS = (256, 1024), (128, 256)  # fewest and most queries in a block
_MOST = 1 << 21  # scores of one head beyond which a block has fewer queries
_SMALL = 1 << 16  # scores of one head up to which all heads at once are as fast
_CAUSAL_PARTS = 8  # numbers of keys that a causal program is compiled for: each skips what none of its queries sees


def _wide(dtype: Any) -> Any:
    return jnp.promote_types(dtype, jnp.float32)


def causal_mask(length: int, source: int) -> jax.Array:
    """True where a query may look: at keys of its own number and below."""
    return jnp.arange(source) <= jnp.arange(length)[:, None]


def _masked(scores: jax.Array, mask: jax.Array | None) -> jax.Array:
    if mask is None:
        return scores
    if mask.dtype == jnp.bool_:
        return jnp.where(mask, scores, -jnp.inf)
    return scores + mask.astype(scores.dtype)


class Dropout(NamedTuple):
    """A rule by which weights are dropped: with probability ``p``, the others divided by ``1 - p``.

    Each block of the scores is drawn with a key of its own, so that it can be drawn again when its gradient is made.
    """

    key: Any
    p: Any

    def at(self, number: Any) -> Dropout:
        """The rule for one of several parts."""
        return self._replace(key=jax.random.fold_in(self.key, number))

    def factors(self, shape: tuple[int, ...], dtype: Any) -> jax.Array:
        """What each weight is multiplied by: 0 or 1 / (1 - p)."""
        p = jnp.asarray(self.p, jnp.result_type(float))
        kept = jax.random.bits(self.key, shape, jnp.uint32) >= (p * 2.0**32).astype(jnp.uint32)
        # A traced p may be 1, where the scale is infinite but nothing is kept.
        return jnp.where(kept & (p < 1), 1 / jnp.where(p < 1, 1 - p, 1), 0).astype(dtype)

    def repeatable(self) -> bool:
        """Whether the key draws the same alone and beside others under ``vmap``, as the plain form draws."""
        return str(jax.random.key_impl(self.key)) == "threefry2x32"


def attention_reference(
    query: jax.Array, key: jax.Array, value: jax.Array, mask: jax.Array | None, causal: bool
) -> jax.Array:
    """``softmax(query @ key.T + mask) @ value``; a query that may look at nothing gives zeros."""
    weights = attention_weights(query, key, mask, causal)
    return jnp.matmul(weights, value.astype(weights.dtype)).astype(value.dtype)


def attention_weights(query: jax.Array, key: jax.Array, mask: jax.Array | None, causal: bool) -> jax.Array:
    """``softmax(query @ key.T + mask)``, in float32 for half types."""
    wide = _wide(query.dtype)
    scores = jnp.matmul(query.astype(wide), key.astype(wide).swapaxes(-1, -2))
    if causal:
        scores = _masked(scores, causal_mask(*scores.shape[-2:]))
    scores = _masked(scores, mask)
    top = jnp.max(scores, -1, keepdims=True, initial=-jnp.inf)
    top = lax.stop_gradient(jnp.where(jnp.isneginf(top), 0, top))
    weights = jnp.exp(scores - top)
    total = jnp.sum(weights, -1, keepdims=True)
    return weights / jnp.where(total == 0, 1, total)


def attention(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    mask: jax.Array | None = None,
    causal: bool = False,
    scale: float | None = None,
    dropout: Dropout | None = None,
) -> jax.Array:
    """Attention, in a form chosen by shape; in a program for CUDA, by cuDNN where that suits and ``scale`` is given.

    Args:
        query: what looks; times the scale, unless that is given.
        key: what is looked at.
        value: what is averaged.
        mask: boolean (True may be looked at) or floating (added to the scores).
        causal: whether query i looks at keys 0 to i only.
        scale: factor of the scores, a number that programs are compiled for.
        dropout: how weights are dropped, if they are.

    Shape:
        - query: (*, L, E); key: (*, S, E); value: (*, S, Ev), of the same leading axes.
        - mask: broadcasts to (*, L, S).
        - output: (*, L, Ev).

    Returns:
        the averaged values.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.ones((2, 600, 4))
        >>> attention(x, x, x, causal=True).shape
        (2, 600, 4)
    """
    length, source = query.shape[-2], key.shape[-2]
    blocks = length >= 32 and length * source >= _SMALL and 0 not in (*query.shape, *value.shape)
    if scale is not None:
        if dropout is None and suits_cudnn(query, key, value, mask, causal) and has_cudnn():
            masks = () if mask is None else (mask.reshape((1,) * (query.ndim - mask.ndim) + mask.shape),)
            return _cudnn_operation(causal, mask is not None, scale, blocks)(query, key, value, *masks)
        query = _scaled(query, scale)
    if dropout is not None and not (blocks and dropout.repeatable()):
        weights = attention_weights(query, key, mask, causal)
        weights = weights * dropout.factors(weights.shape, weights.dtype)
        return jnp.matmul(weights, value.astype(weights.dtype)).astype(value.dtype)
    if not blocks:
        return attention_reference(query, key, value, mask, causal)
    masks = () if mask is None else (mask,)
    if dropout is None:
        return _operation(causal, mask is not None)(query, key, value, *masks)
    words = dropout.key if dropout.key.dtype == jnp.uint32 else jax.random.key_data(dropout.key)
    return _operation(causal, mask is not None, True)(query, key, value, *masks, words, dropout.p)


def _scaled(query: jax.Array, scale: float) -> jax.Array:
    return query.astype(_wide(query.dtype)) * scale


@lru_cache(maxsize=256)
def _cudnn_operation(causal: bool, has_mask: bool, scale: float, blocks: bool) -> Operation:
    """Attention of a query that is not scaled yet: off CUDA as ``_operation`` has it, or in the plain form throughout."""
    scaled = _operation(causal, has_mask)

    def plain(q: jax.Array, *rest: jax.Array) -> jax.Array:
        return scaled.plain(_scaled(q, scale), *rest)

    def forward(q: jax.Array, *rest: jax.Array) -> Any:
        return scaled.forward(_scaled(q, scale), *rest) if blocks else ((plain(q, *rest),), ())

    def backward(wanted: Any, args: Any, outs: Any, residuals: Any, cotangents: Any) -> Any:
        if not blocks:
            # XLA finds that the forward pass has computed the same weights.
            return [jax.vjp(plain, *args)[1](cotangents[0])[i] for i in wanted]
        assert scaled.backward is not None
        args = (_scaled(args[0], scale), *args[1:])
        grads = scaled.backward(wanted, args, outs, residuals, cotangents)
        return [g * scale if i == 0 else g for i, g in zip(wanted, grads, strict=True)]

    def cuda(q: jax.Array, k: jax.Array, v: jax.Array, *mask: jax.Array) -> jax.Array:
        return attention_cudnn(q, k, v, mask[0] if has_mask else None, causal, scale)

    return Operation(plain, forward, backward, cuda=cuda)


@lru_cache(maxsize=8)
def _operation(causal: bool, has_mask: bool, drops: bool = False) -> Operation:
    def split(args: tuple[Any, ...]) -> tuple[tuple[Any, ...], Dropout | None]:
        """The mask, if any, and how weights are dropped."""
        if not drops:
            return args, None
        *masks, words, p = args
        return tuple(masks), Dropout(jax.random.wrap_key_data(words, impl="threefry2x32"), p)

    def plain(q: jax.Array, k: jax.Array, v: jax.Array, *rest: jax.Array) -> jax.Array:
        masks, dropout = split(rest)
        weights = attention_weights(q, k, masks[0] if has_mask else None, causal)
        if dropout is not None:
            weights = weights * _factors(dropout, _Plan.of(causal, q, k), causal, weights)
        return jnp.matmul(weights, v.astype(weights.dtype)).astype(v.dtype)

    def forward(q: jax.Array, k: jax.Array, v: jax.Array, *rest: jax.Array) -> Any:
        masks, dropout = split(rest)
        plan = _Plan.of(causal, q, k)
        step = _heads(_forward_block(causal), plan, causal)
        out, lse = plan.run(step, (q, k, v), masks, dropout)
        return (out.reshape(*q.shape[:-1], v.shape[-1]).astype(v.dtype),), (lse.reshape(q.shape[:-1]),)

    def backward(wanted: Any, args: Any, outs: Any, residuals: Any, cotangents: Any) -> Any:
        if any(i > 2 for i in wanted):
            return [jax.vjp(plain, *args)[1](cotangents[0])[i] for i in wanted]
        q, k, v, *rest = args
        masks, dropout = split(tuple(rest))
        wide = _wide(q.dtype)
        g = cotangents[0].astype(wide)
        delta = jnp.sum(outs[0].astype(wide) * g, -1)
        plan = _Plan.of(causal, q, k)
        arrays = (q, k, v, residuals[0], g, delta)
        dq, dk, dv = plan.run(_heads_backward(plan, causal), arrays, masks, dropout)
        grads = (dq.reshape(q.shape), dk.reshape(k.shape), dv.reshape(v.shape))
        return [grads[i] for i in wanted]

    return Operation(plain, forward, backward)


def _factors(dropout: Dropout, plan: _Plan, causal: bool, weights: jax.Array) -> jax.Array:
    """What all the weights are multiplied by, drawn as the blocks are."""
    groups = jnp.arange(plan.heads // plan.together)
    parts = []
    for part in _parts(plan, causal):
        shape = (plan.together, part.rows, part.extent)

        def draw(group: Any, first: Any, shape: tuple[int, ...] = shape) -> jax.Array:
            return dropout.at(group).at(first).factors(shape, weights.dtype)

        blocks = jax.vmap(jax.vmap(draw, (None, 0)), (0, None))(groups, part.first_rows())
        drawn = jnp.moveaxis(blocks, 2, 1).reshape(plan.heads, part.rows * part.number, part.extent)
        parts.append(jnp.pad(drawn, ((0, 0), (0, 0), (0, plan.source - part.extent))))
    return jnp.concatenate(parts, 1).reshape(weights.shape)


class _Plan(NamedTuple):
    """How the scores are cut: heads that a step takes together, queries in a block."""

    heads: int
    together: int
    rows: int
    length: int
    source: int

    @staticmethod
    def of(causal: bool, q: jax.Array, k: jax.Array) -> _Plan:
        length, source = q.shape[-2], k.shape[-2]
        heads = math.prod(q.shape[:-2])
        step, (fewest, most) = (_CAUSAL_STEP, _CAUSAL_ROWS) if causal else (_STEP, _ROWS)
        rows = min(max(length // 4 if causal else _MOST // source, fewest), most)
        together = max(1, min(heads, step // (min(length, rows) * source)))
        while heads % together:
            together -= 1
        return _Plan(heads, together, rows, length, source)

    def run(
        self, step: Callable[..., Any], arrays: tuple[Any, ...], mask: tuple[Any, ...], dropout: Dropout | None
    ) -> Any:
        """``step`` of the arrays, the mask and the dropout over the heads, some at a time."""
        leading = arrays[0].ndim - 2
        shape = arrays[0].shape[:leading]
        groups = self.heads // self.together
        xs = [a.reshape(groups, self.together, *a.shape[leading:]) for a in arrays]
        if dropout is not None:
            xs.append(jnp.arange(groups))

        def of_group(parts: Any, masks: Any) -> Any:
            if dropout is None:
                return step(*parts, masks, None)
            *some, group = parts
            return step(*some, masks, dropout.at(group))

        if not mask:
            outs = lax.map(lambda parts: of_group(parts, None), tuple(xs))
        else:
            full = jnp.atleast_2d(mask[0])
            full = full.reshape((1,) * (leading + 2 - full.ndim) + full.shape)
            rows = math.prod(full.shape[:-2])
            # The number of the mask that each head has: numbers broadcast as the mask does.
            numbers = jnp.broadcast_to(jnp.arange(rows).reshape(full.shape[:-2]), shape)
            numbers = numbers.reshape(groups, self.together)
            table = full.reshape(rows, *full.shape[-2:])

            def masked(parts: Any) -> Any:
                *some, number = parts
                return of_group(some, table if rows == 1 else table[number])

            outs = lax.map(masked, (*xs, numbers))
        return jax.tree.map(lambda o: o.reshape(self.heads, *o.shape[2:]), outs)


class _Part(NamedTuple):
    """Some blocks of queries in a row that look at the first ``extent`` keys."""

    start: int
    rows: int
    number: int
    extent: int

    def blocks(self, array: jax.Array) -> jax.Array:
        """(heads, length, ...) as (number, heads, rows, ...)."""
        cut = array[:, self.start : self.start + self.rows * self.number]
        return jnp.moveaxis(cut.reshape(cut.shape[0], self.number, self.rows, *cut.shape[2:]), 1, 0)

    def mask_blocks(self, mask: jax.Array) -> jax.Array:
        """The mask of each block, (number, heads or 1, rows or 1, extent or 1)."""
        mask = mask[..., : self.extent]
        if mask.shape[1] == 1:
            return jnp.broadcast_to(mask[None], (self.number, *mask.shape))
        return self.blocks(mask)

    def first_rows(self) -> jax.Array:
        """The number of the first query of each block."""
        return self.start + self.rows * jnp.arange(self.number)


def _parts(plan: _Plan, causal: bool) -> Iterator[_Part]:
    length, source, rows = plan.length, plan.source, plan.rows
    blocks = length // rows
    groups = min(_CAUSAL_PARTS if causal else 1, blocks)
    for i in range(groups):
        first, last = blocks * i // groups, blocks * (i + 1) // groups
        yield _Part(first * rows, rows, last - first, min(source, last * rows) if causal else source)
    if length % rows:
        yield _Part(blocks * rows, length % rows, 1, min(source, length) if causal else source)


def _each(function: Callable[..., Any], xs: Any, count: int) -> Any:
    if count == 1:
        return jax.tree.map(lambda y: y[None], function(jax.tree.map(lambda x: x[0], xs)))
    return lax.map(function, xs)


def _together(blocks: list[jax.Array]) -> jax.Array:
    """Results (number, heads, rows, ...) of the parts as (heads, length, ...)."""
    flat = [jnp.moveaxis(b, 0, 1).reshape(b.shape[1], -1, *b.shape[3:]) for b in blocks]
    return flat[0] if len(flat) == 1 else jnp.concatenate(flat, 1)


def _forward_block(causal: bool) -> Callable[..., Any]:
    def run(q: Any, k: Any, v: Any, mask: Any, first: Any, dropout: Any) -> tuple[jax.Array, jax.Array]:
        scores = jnp.einsum("hle,hse->hls", q, k)
        if causal:
            scores = _masked(scores, jnp.arange(k.shape[1]) <= first + jnp.arange(q.shape[1])[:, None])
        scores = _masked(scores, mask)
        top = jnp.max(scores, -1, keepdims=True)
        top = jnp.where(jnp.isneginf(top), 0, top)
        weights = jnp.exp(scores - top)
        total = jnp.sum(weights, -1, keepdims=True)
        total = jnp.where(total == 0, 1, total)
        kept = weights if dropout is None else weights * dropout.at(first).factors(weights.shape, weights.dtype)
        return jnp.einsum("hls,hse->hle", kept, v) / total, (top + jnp.log(total))[..., 0]

    return run


def _heads(block: Callable[..., Any], plan: _Plan, causal: bool) -> Callable[..., Any]:
    def run(q: Any, k: Any, v: Any, mask: Any, dropout: Any) -> tuple[jax.Array, jax.Array]:
        wide = _wide(q.dtype)
        q, k, v = q.astype(wide), k.astype(wide), v.astype(wide)
        outs, lses = [], []
        for part in _parts(plan, causal):
            keys, values = k[:, : part.extent], v[:, : part.extent]
            xs = (part.blocks(q), None if mask is None else part.mask_blocks(mask), part.first_rows())

            def one(x: Any, keys: Any = keys, values: Any = values) -> Any:
                return block(x[0], keys, values, x[1], x[2], dropout)

            out, lse = _each(one, xs, part.number)
            outs.append(out)
            lses.append(lse)
        return _together(outs), _together(lses)

    return run


def _heads_backward(plan: _Plan, causal: bool) -> Callable[..., Any]:
    """Gradients, the weights made again from ``lse``; scores lie as (keys, queries), so that each product reads in order."""

    def run(
        q: Any, k: Any, v: Any, lse: Any, g: Any, delta: Any, mask: Any, dropout: Any
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        wide = _wide(q.dtype)
        q, k, v = q.astype(wide), k.astype(wide), v.astype(wide)
        across = k.swapaxes(1, 2)
        dqs = []
        dk, dv = jnp.zeros_like(k), jnp.zeros_like(v)
        for part in _parts(plan, causal):
            keys, values, keys_across = k[:, : part.extent], v[:, : part.extent], across[:, :, : part.extent]

            def block(
                carry: Any, x: Any, keys: Any = keys, values: Any = values, keys_across: Any = keys_across
            ) -> tuple[Any, Any]:
                dk, dv = carry
                q, lse, g, delta, mask, first = x
                scores = jnp.einsum("hse,hle->hsl", keys, q)
                if causal:
                    seen = jnp.arange(keys.shape[1])[:, None] <= first + jnp.arange(q.shape[1])
                    scores = _masked(scores, seen)
                if mask is not None:
                    scores = _masked(scores, mask.swapaxes(-1, -2))
                weights = jnp.exp(scores - lse[:, None])
                of_weights, kept = jnp.einsum("hse,hle->hsl", values, g), weights
                if dropout is not None:
                    shape = (*q.shape[:2], keys.shape[1])
                    factors = dropout.at(first).factors(shape, weights.dtype).swapaxes(1, 2)
                    of_weights, kept = of_weights * factors, weights * factors
                of_scores = weights * (of_weights - delta[:, None])
                dq = jnp.einsum("hes,hsl->hel", keys_across, of_scores).swapaxes(1, 2)
                dk = dk + jnp.einsum("hsl,hle->hse", of_scores, q)
                dv = dv + jnp.einsum("hsl,hle->hse", kept, g)
                return (dk, dv), dq

            masks = None if mask is None else part.mask_blocks(mask)
            xs = (*map(part.blocks, (q, lse, g, delta)), masks, part.first_rows())
            start = (jnp.zeros_like(keys), jnp.zeros_like(values))
            if part.number == 1:
                (more_k, more_v), dq = block(start, jax.tree.map(lambda x: x[0], xs))
                dq = dq[None]
            else:
                (more_k, more_v), dq = lax.scan(block, start, xs)
            dk, dv = dk.at[:, : part.extent].add(more_k), dv.at[:, : part.extent].add(more_v)
            dqs.append(dq)
        return _together(dqs), dk, dv

    return run

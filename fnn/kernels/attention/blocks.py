"""Attention by blocks of queries, a few heads at a time: memory grows with the length and not with its square."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from fnn.kernels.attention.config import Bounds
from fnn.kernels.attention.dropout import Dropout
from fnn.kernels.attention.plain import masked
from fnn.kernels.operation import Arrays
from fnn.kernels.precision import minus_peak, wide_dtype

__all__ = ["Plan", "backward_of_heads", "dropout_factors", "forward_of_heads"]


class Plan(NamedTuple):
    """How the scores are cut.

    Attributes:
        heads: in all, batches included.
        together: heads that a step takes together.
        rows: queries in a block.
        length: of the queries.
        source: length of the keys.
        causal: whether query i looks at keys 0 to i only.
        parts: numbers of keys that the program is compiled for.
    """

    heads: int
    together: int
    rows: int
    length: int
    source: int
    causal: bool
    parts: int

    @staticmethod
    def of(causal: bool, q: jax.Array, k: jax.Array, bounds: Bounds) -> Plan:
        """How those of a query and keys are cut."""
        length, source = q.shape[-2], k.shape[-2]
        heads = math.prod(q.shape[:-2])
        step, (fewest, most) = (bounds.causal_step, bounds.causal_rows) if causal else (bounds.step, bounds.rows)
        rows = min(max(length // 4 if causal else bounds.most // source, fewest), most)
        together = max(1, min(heads, step // (min(length, rows) * source)))
        while heads % together:
            together -= 1
        return Plan(heads, together, rows, length, source, causal, bounds.causal_parts if causal else 1)

    def run(self, step: Callable[..., Arrays], arrays: Arrays, mask: Arrays, dropout: Dropout | None) -> Arrays:
        """``step`` of the arrays, the mask and the dropout over the heads, some at a time."""
        leading = arrays[0].ndim - 2
        shape = arrays[0].shape[:leading]
        groups = self.heads // self.together
        xs = [a.reshape(groups, self.together, *a.shape[leading:]) for a in arrays]
        if dropout is not None:
            xs.append(jnp.arange(groups))

        def of_group(parts: Sequence[jax.Array], masks: jax.Array | None) -> Arrays:
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

            def with_mask(parts: Arrays) -> Arrays:
                *some, number = parts
                return of_group(some, table if rows == 1 else table[number])

            outs = lax.map(with_mask, (*xs, numbers))
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


def _parts(plan: Plan) -> Iterator[_Part]:
    length, source, rows, causal = plan.length, plan.source, plan.rows, plan.causal
    blocks = length // rows
    groups = min(plan.parts, blocks)
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


def _forward_block(
    q: jax.Array,
    k: jax.Array,
    v: jax.Array,
    mask: jax.Array | None,
    first: jax.Array,
    dropout: Dropout | None,
    causal: bool,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """What a block of queries gives, its largest scores, and the logarithms of the sums that its weights are divided by."""
    scores = jnp.einsum("hle,hse->hls", q, k)
    if causal:
        scores = masked(scores, jnp.arange(k.shape[1]) <= first + jnp.arange(q.shape[1])[:, None])
    scores = masked(scores, mask)
    top = jnp.max(scores, -1, keepdims=True)
    top = jnp.where(jnp.isneginf(top), 0, top)
    weights = jnp.exp(minus_peak(scores, top))
    total = jnp.sum(weights, -1, keepdims=True)
    total = jnp.where(total == 0, 1, total)
    kept = weights if dropout is None else weights * dropout.at(first).factors(weights.shape, weights.dtype)
    return jnp.einsum("hls,hse->hle", kept, v) / total, top[..., 0], jnp.log(total)[..., 0]


def forward_of_heads(plan: Plan) -> Callable[..., Arrays]:
    """The step of ``plan.run`` for the forward pass."""

    def run(
        q: jax.Array, k: jax.Array, v: jax.Array, mask: jax.Array | None, dropout: Dropout | None
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        wide = wide_dtype(q.dtype)
        q, k, v = q.astype(wide), k.astype(wide), v.astype(wide)
        results = list[tuple[jax.Array, jax.Array, jax.Array]]()
        for part in _parts(plan):
            keys, values = k[:, : part.extent], v[:, : part.extent]
            xs = (part.blocks(q), None if mask is None else part.mask_blocks(mask), part.first_rows())

            def one(x: Any, keys: jax.Array = keys, values: jax.Array = values) -> tuple[jax.Array, ...]:
                return _forward_block(x[0], keys, values, x[1], x[2], dropout, plan.causal)

            results.append(_each(one, xs, part.number))
        outs, tops, logs = (_together(list(blocks)) for blocks in zip(*results, strict=True))
        return outs, tops, logs

    return run


def backward_of_heads(plan: Plan) -> Callable[..., Arrays]:
    """Gradients, the weights made anew; scores lie as (keys, queries), so that each product reads in order."""

    def run(
        q: jax.Array,
        k: jax.Array,
        v: jax.Array,
        top: jax.Array,
        log: jax.Array,
        g: jax.Array,
        delta: jax.Array,
        mask: jax.Array | None,
        dropout: Dropout | None,
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        wide = wide_dtype(q.dtype)
        q, k, v = q.astype(wide), k.astype(wide), v.astype(wide)
        across = k.swapaxes(1, 2)
        dqs: list[jax.Array] = []
        dk, dv = jnp.zeros_like(k), jnp.zeros_like(v)
        for part in _parts(plan):
            keys, values, keys_across = k[:, : part.extent], v[:, : part.extent], across[:, :, : part.extent]

            def block(
                carry: tuple[jax.Array, jax.Array],
                x: Any,
                keys: jax.Array = keys,
                values: jax.Array = values,
                keys_across: jax.Array = keys_across,
            ) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
                dk, dv = carry
                q, top, log, g, delta, mask, first = x
                scores = jnp.einsum("hse,hle->hsl", keys, q)
                if plan.causal:
                    seen = jnp.arange(keys.shape[1])[:, None] <= first + jnp.arange(q.shape[1])
                    scores = masked(scores, seen)
                if mask is not None:
                    scores = masked(scores, mask.swapaxes(-1, -2))
                weights = jnp.exp(minus_peak(scores, top[:, None]) - log[:, None])
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
            xs = (*map(part.blocks, (q, top, log, g, delta)), masks, part.first_rows())
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


def dropout_factors(dropout: Dropout, plan: Plan, weights: jax.Array) -> jax.Array:
    """What all the weights are multiplied by, drawn as the blocks are."""
    groups = jnp.arange(plan.heads // plan.together)
    parts: list[jax.Array] = []
    for part in _parts(plan):
        shape = (plan.together, part.rows, part.extent)

        def draw(group: jax.Array, first: jax.Array, shape: tuple[int, ...] = shape) -> jax.Array:
            return dropout.at(group).at(first).factors(shape, weights.dtype)

        blocks = jax.vmap(jax.vmap(draw, (None, 0)), (0, None))(groups, part.first_rows())
        drawn = jnp.moveaxis(blocks, 2, 1).reshape(plan.heads, part.rows * part.number, part.extent)
        parts.append(jnp.pad(drawn, ((0, 0), (0, 0), (0, plan.source - part.extent))))
    return jnp.concatenate(parts, 1).reshape(weights.shape)

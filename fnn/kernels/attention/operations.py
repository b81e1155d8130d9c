"""Attention as an operation: the plain form, and one for the CPU, or for CUDA by cuDNN, chosen by shape."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from fnn.kernels.attention.blocks import Plan, backward_of_heads, dropout_factors, forward_of_heads
from fnn.kernels.attention.config import BOUNDS, Bounds
from fnn.kernels.attention.cudnn import attention_cudnn, has_cudnn, suits_cudnn
from fnn.kernels.attention.dropout import Dropout
from fnn.kernels.attention.plain import attention_reference, attention_weights
from fnn.kernels.choice import Form, always, choose
from fnn.kernels.operation import Arrays, Operation
from fnn.kernels.precision import wide_dtype

__all__ = ["FORMS", "Case", "attention", "block_operation", "cudnn_operation"]


def attention(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    mask: ArrayLike | None = None,
    causal: bool = False,
    scale: float | None = None,
    dropout: Dropout | None = None,
    *,
    bounds: Bounds = BOUNDS,
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
        bounds: by which the form is chosen.

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
    q, k, v = jnp.asarray(query), jnp.asarray(key), jnp.asarray(value)
    case = Case(q, k, v, None if mask is None else jnp.asarray(mask), causal, scale, dropout)
    return choose(FORMS, case, bounds).run(case, bounds)


class Case(NamedTuple):
    """What ``attention`` is given."""

    query: jax.Array
    key: jax.Array
    value: jax.Array
    mask: jax.Array | None
    causal: bool
    scale: float | None
    dropout: Dropout | None

    def scaled(self) -> jax.Array:
        """The query times the scale."""
        return self.query if self.scale is None else _scaled(self.query, self.scale)


def _scaled(query: jax.Array, scale: float) -> jax.Array:
    return query.astype(wide_dtype(query.dtype)) * scale


def _large_enough(case: Case, bounds: Bounds) -> bool:
    """Whether blocks are faster than all scores at once."""
    length, source = case.query.shape[-2], case.key.shape[-2]
    many = length >= bounds.few_queries and length * source >= bounds.small
    return many and 0 not in (*case.query.shape, *case.value.shape)


def _suits_cudnn(case: Case, bounds: Bounds) -> bool:
    return (
        case.scale is not None
        and case.dropout is None
        and suits_cudnn(case.query, case.key, case.value, case.mask, case.causal, bounds=bounds)
        and has_cudnn()
    )


def _suits_blocks(case: Case, bounds: Bounds) -> bool:
    return _large_enough(case, bounds) and (case.dropout is None or case.dropout.repeatable())


def _by_cudnn(case: Case, bounds: Bounds) -> jax.Array:
    q, mask, blocks = case.query, case.mask, _large_enough(case, bounds)
    assert case.scale is not None
    masks = () if mask is None else (mask.reshape((1,) * (q.ndim - mask.ndim) + mask.shape),)
    run = cudnn_operation(case.causal, mask is not None, case.scale, blocks, bounds)
    return run(q, case.key, case.value, *masks)


def _by_blocks(case: Case, bounds: Bounds) -> jax.Array:
    masks = () if case.mask is None else (case.mask,)
    args = (case.scaled(), case.key, case.value, *masks)
    if case.dropout is None:
        return block_operation(case.causal, bool(masks), False, bounds)(*args)
    words = case.dropout.key if case.dropout.key.dtype == jnp.uint32 else jax.random.key_data(case.dropout.key)
    return block_operation(case.causal, bool(masks), True, bounds)(*args, words, case.dropout.p)


def _plain(case: Case, bounds: Bounds) -> jax.Array:
    if case.dropout is None:
        return attention_reference(case.scaled(), case.key, case.value, case.mask, case.causal)
    weights = attention_weights(case.scaled(), case.key, case.mask, case.causal)
    weights = weights * case.dropout.factors(weights.shape, weights.dtype)
    return jnp.matmul(weights, case.value.astype(weights.dtype)).astype(case.value.dtype)


FORMS: tuple[Form[Case, Bounds, Callable[[Case, Bounds], jax.Array]], ...] = (
    Form("cudnn", _suits_cudnn, _by_cudnn),
    Form("blocks", _suits_blocks, _by_blocks),
    Form("plain", always, _plain),
)


@lru_cache(maxsize=256)
def cudnn_operation(causal: bool, has_mask: bool, scale: float, blocks: bool, bounds: Bounds = BOUNDS) -> Operation:
    """Attention of a query that is not scaled yet: on CUDA by cuDNN, elsewhere by blocks or in the plain form throughout."""
    scaled = block_operation(causal, has_mask, False, bounds)

    def plain(q: jax.Array, *rest: jax.Array) -> jax.Array | Arrays:
        return scaled.plain(_scaled(q, scale), *rest)

    def forward(q: jax.Array, *rest: jax.Array) -> tuple[Arrays, Arrays]:
        if blocks:
            return scaled.forward(_scaled(q, scale), *rest)
        out = plain(q, *rest)
        assert isinstance(out, jax.Array)
        return (out,), ()

    def backward(
        wanted: tuple[int, ...], args: Arrays, outs: Arrays, residuals: Arrays, cotangents: Arrays
    ) -> list[jax.Array]:
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


@lru_cache(maxsize=256)
def block_operation(causal: bool, has_mask: bool, drops: bool = False, bounds: Bounds = BOUNDS) -> Operation:
    """Attention of a scaled query by blocks; where ``drops``, the words of a key and a probability are arguments, too."""

    def split(args: Arrays) -> tuple[Arrays, Dropout | None]:
        """The mask, if any, and how weights are dropped."""
        if not drops:
            return args, None
        *masks, words, p = args
        return tuple(masks), Dropout(jax.random.wrap_key_data(words, impl="threefry2x32"), p)

    def plain(q: jax.Array, k: jax.Array, v: jax.Array, *rest: jax.Array) -> jax.Array:
        masks, dropout = split(rest)
        weights = attention_weights(q, k, masks[0] if has_mask else None, causal)
        if dropout is not None:
            weights = weights * dropout_factors(dropout, Plan.of(causal, q, k, bounds), weights)
        return jnp.matmul(weights, v.astype(weights.dtype)).astype(v.dtype)

    def forward(q: jax.Array, k: jax.Array, v: jax.Array, *rest: jax.Array) -> tuple[Arrays, Arrays]:
        masks, dropout = split(rest)
        plan = Plan.of(causal, q, k, bounds)
        out, top, log = plan.run(forward_of_heads(plan), (q, k, v), masks, dropout)
        return (out.reshape(*q.shape[:-1], v.shape[-1]).astype(v.dtype),), (
            top.reshape(q.shape[:-1]),
            log.reshape(q.shape[:-1]),
        )

    def backward(
        wanted: tuple[int, ...], args: Arrays, outs: Arrays, residuals: Arrays, cotangents: Arrays
    ) -> list[jax.Array]:
        if any(i > 2 for i in wanted):
            return [jax.vjp(plain, *args)[1](cotangents[0])[i] for i in wanted]
        q, k, v, *rest = args
        masks, dropout = split(tuple(rest))
        wide = wide_dtype(q.dtype)
        g = cotangents[0].astype(wide)
        delta = jnp.sum(outs[0].astype(wide) * g, -1)
        plan = Plan.of(causal, q, k, bounds)
        arrays = (q, k, v, *residuals, g, delta)
        dq, dk, dv = plan.run(backward_of_heads(plan), arrays, masks, dropout)
        grads = (dq.reshape(q.shape), dk.reshape(k.shape), dv.reshape(v.shape))
        return [grads[i] for i in wanted]

    return Operation(plain, forward, backward)

"""``linear_cross_entropy``: a linear layer and cross entropy in one, by chunks, so that the logits never exist at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from fnn.amp.casting import in_float32
from fnn.amp.state import current
from fnn.functional.arrays import ArrayLike, widen
from fnn.functional.checks import (
    as_array,
    as_int,
    as_optional_array,
    check_floating,
    check_rank,
    check_same_dtype,
    check_shape,
    fail,
)
from fnn.functional.explained import explained
from fnn.functional.loss.classification import (
    check_class_target,
    check_class_weight,
    check_smoothing,
    index_terms,
    probability_terms,
    reduce_terms,
)
from fnn.functional.loss.common import in_chunks
from fnn.functional.reduction import check_reduction

__all__ = ["linear_cross_entropy"]


@dataclass(frozen=True)
class LinearCrossEntropyOptions:
    """Options of ``linear_cross_entropy``: rows per chunk. The other fields of torch's class change nothing here.

    Args:
        allow_retain_graph: accepted.
        batch_chunk_size: how many rows make a chunk; ``None`` for as many as have logits no larger than the weight.
        chunking_method: accepted.
        acc_policy: accepted.
        acc_dtype: accepted.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.LinearCrossEntropyOptions.html

    Example:
        >>> LinearCrossEntropyOptions(batch_chunk_size=64).batch_chunk_size
        64
    """

    allow_retain_graph: bool = False
    batch_chunk_size: int | None = None
    chunking_method: str | None = "auto"
    acc_policy: str = "auto"
    acc_dtype: Any = None


@partial(jax.jit, static_argnames=("ignore_index", "reduction", "chunk", "as_index", "product"))
def _chunked(
    input: jax.Array,
    linear_weight: jax.Array,
    target: jax.Array,
    linear_bias: jax.Array | None,
    weight: jax.Array | None,
    smoothing: Any,
    ignore_index: int,
    reduction: str,
    chunk: int,
    as_index: bool,
    product: Any,
) -> jax.Array:
    dtype = input.dtype
    rows, outputs = input.shape[0], linear_weight.shape[:-1]
    # Held in float32 outside the loop, the gradients of half types are also summed over the chunks in float32.
    matrix, bias, weight = widen(linear_weight), widen(linear_bias), widen(weight)

    def terms(x: jax.Array, t: jax.Array) -> tuple[jax.Array, jax.Array]:
        x, rows_of = x.astype(product), matrix.astype(product)
        logits = widen(jax.lax.dot_general(x, rows_of, (((1,), (matrix.ndim - 1,)), ((), ()))))
        logits = logits if bias is None else logits + bias
        if as_index:
            return index_terms(logits, t, weight, ignore_index, smoothing, 1, True)
        loss = probability_terms(logits, widen(t), weight, smoothing, 1)
        return loss, jnp.ones_like(loss)

    if rows <= chunk:
        loss, scale = terms(input, target)
    else:
        body = jax.checkpoint(lambda _, now: (None, terms(*now)), prevent_cse=False)
        _, (loss, scale) = jax.lax.scan(body, None, (in_chunks(input, chunk), in_chunks(target, chunk)))
        loss, scale = (a.reshape(-1, *outputs[1:])[:rows] for a in (loss, scale))
    return reduce_terms(loss, scale, reduction).astype(dtype)


@explained
def linear_cross_entropy(
    input: ArrayLike,
    linear_weight: ArrayLike,
    target: ArrayLike,
    *,
    linear_bias: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: LinearCrossEntropyOptions | None = None,
) -> jax.Array:
    """``cross_entropy(linear(input, linear_weight, linear_bias), target)`` without ever holding all the logits.

    The rows are taken in chunks, whose logits are computed again in the backward pass; a chunk's logits are no larger
    than ``linear_weight`` unless that is very small. Forward mode and higher derivatives work.

    Args:
        input: features.
        linear_weight: weight of the linear layer; further axes between classes and features give a loss each.
        target: class indices, or class probabilities of the shape of the logits.
        linear_bias: bias of the linear layer.
        weight: one factor per class.
        reduction: 'none', 'mean' or 'sum', as in ``cross_entropy``.
        ignore_index: a class target whose positions count for nothing; ``None`` stands for -100.
        label_smoothing: share of the uniform distribution in the target, in [0, 1].
        options: its ``batch_chunk_size``, unless ``None``, is the number of rows in a chunk.

    Shape:
        - input: (H) or (N, H).
        - linear_weight: (C, H) or (C, d1, ..., dK, H).
        - linear_bias: (C) or (C, d1, ..., dK).
        - target: (), (N) or (N, d1, ..., dK) of integers; (C), (N, C) or (N, C, d1, ..., dK), floating.

    Returns:
        a scalar; for 'none' the shape of an integer target.

    Raises:
        TypeError: if dtypes are wrong or differ.
        ValueError: if shapes disagree, an option is out of range, or ``ignore_index`` is given with probabilities.
        IndexError: if a concrete class target is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.linear_cross_entropy.html

    Example:
        >>> import jax.numpy as jnp
        >>> loss = linear_cross_entropy(jnp.ones((3, 2)), jnp.ones((4, 2)), jnp.array([0, 1, 2]))
        >>> bool(jnp.allclose(loss, jnp.log(4.0)))
        True
    """
    name = "linear_cross_entropy"
    check_reduction(name, reduction)
    x = as_array(name, "input", input)
    matrix = as_array(name, "linear_weight", linear_weight)
    labels = as_array(name, "target", target)
    bias = as_optional_array(name, "linear_bias", linear_bias)
    factors = as_optional_array(name, "weight", weight)
    state = current()
    if state is not None:  # as of a linear layer and a loss: the product in its dtype, the rest in float32
        x, matrix, labels, bias, factors = in_float32(x, matrix, labels, bias, factors)
    product = x.dtype if state is None or x.dtype != jnp.float32 else state.dtype
    check_floating(name, input=x, linear_weight=matrix)
    check_same_dtype(name, input=x, linear_weight=matrix, linear_bias=bias)
    check_rank(name, "input", x, 1, 2)
    if matrix.ndim < 2:
        fail(ValueError, name, "linear_weight", "at least 2-D", matrix)
    if x.shape[-1] != matrix.shape[-1]:
        fail(ValueError, name, "linear_weight", f"of shape [C, ..., {x.shape[-1]}] for this input", matrix)
    if bias is not None:
        check_shape(name, "linear_bias", bias, matrix.shape[:-1])
    if x.ndim == 1 and matrix.ndim > 2:
        fail(ValueError, name, "input", "2-D if linear_weight has more than two axes", x)
    smoothing = check_smoothing(name, label_smoothing)
    check_class_weight(name, x, factors, matrix.shape[0])
    shape = (*x.shape[:-1], *matrix.shape[:-1])
    as_index = labels.shape != shape
    if as_index:
        ignored = -100 if ignore_index is None else as_int(name, "ignore_index", ignore_index)
        labels = check_class_target(name, shape, labels, ignored)
    else:
        check_floating(name, target=labels)
        check_same_dtype(name, input=x, target=labels)
        if ignore_index is not None:
            fail(ValueError, name, "ignore_index", "None if target holds probabilities", ignore_index)
        ignored = -100
    chunk = getattr(options, "batch_chunk_size", None)
    chunk = max(64, matrix.shape[-1] // 2) if chunk is None else as_int(name, "batch_chunk_size", chunk, 1)
    if x.ndim == 2:
        return _chunked(x, matrix, labels, bias, factors, smoothing, ignored, reduction, chunk, as_index, product)
    inner = "sum" if reduction == "none" else reduction
    return _chunked(x[None], matrix, labels[None], bias, factors, smoothing, ignored, inner, chunk, as_index, product)

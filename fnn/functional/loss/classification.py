"""Losses over classes, ``cross_entropy`` and ``nll_loss``: one rule for index and for probability targets."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnn.functional.activation.softmax import log_softmax_of
from fnn.functional.arrays import ArrayLike, index_dtype, known, widen
from fnn.functional.checks import (
    as_array,
    as_int,
    as_optional_array,
    check_floating,
    check_index_range,
    check_integer,
    check_same_dtype,
    check_shape,
    fail,
)
from fnn.functional.explained import explained
from fnn.functional.reduction import resolve_reduction
from fnn.kernels.precision import minus_peak

__all__ = ["cross_entropy", "nll_loss"]


def class_axis(ndim: int) -> int:
    """The axis of classes: the only one of unbatched input, else the second."""
    return 0 if ndim == 1 else 1


def safe_targets(target: jax.Array, classes: int, ignore_index: int | None) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Class targets split into an index that is always legal, a mask of the kept ones and a mask of the legal ones."""
    if jnp.issubdtype(target.dtype, jnp.unsignedinteger) or target.dtype in (jnp.int8, jnp.int16):
        target = target.astype(index_dtype())
    limits = np.iinfo(target.dtype)
    if ignore_index is not None and limits.min <= ignore_index <= limits.max:
        kept = target != ignore_index
    else:
        kept = jnp.ones(target.shape, bool)
    legal = (target >= 0) & (target < classes)
    return jnp.where(legal, target, 0), kept, legal


def pick(values: jax.Array, index: jax.Array, axis: int) -> jax.Array:
    """The value at a legal ``index`` along ``axis``, for every other position."""
    return jnp.take_along_axis(values, jnp.expand_dims(index, axis), axis, mode="promise_in_bounds").squeeze(axis)


def index_terms(
    values: jax.Array,
    target: jax.Array,
    weight: jax.Array | None,
    ignore_index: int | None,
    smoothing: Any,
    axis: int,
    logits: bool,
) -> tuple[jax.Array, jax.Array]:
    """Loss and weight of every position for class targets; values are logits or log-probabilities.

    An ignored position has loss and weight 0; an illegal target has NaN in both. Positions are independent, so that a
    caller may take them in chunks.
    """
    classes = values.shape[axis]
    index, kept, legal = safe_targets(target, classes, ignore_index)
    scale = jnp.where(legal | ~kept, jnp.ones((), values.dtype), jnp.nan)
    if classes == 0:
        nothing = jnp.where(kept, jnp.full(target.shape, jnp.nan, values.dtype), 0)
        return nothing, nothing
    if weight is not None:
        scale = scale * jnp.take(weight, index, mode="clip")
    shift = normalizer = None
    if logits:
        shift = jax.lax.stop_gradient(jnp.max(values, axis, keepdims=True))
        normalizer = jnp.log(jnp.sum(jnp.exp(minus_peak(values, shift)), axis))
        loss = normalizer - minus_peak(pick(values, index, axis), shift.squeeze(axis))
    else:
        loss = -pick(values, index, axis)
    loss = loss * scale
    if smoothing is not None:
        log_probs = values
        if shift is not None and normalizer is not None:
            log_probs = minus_peak(values, shift) - jnp.expand_dims(normalizer, axis)
        smooth = -jnp.sum(log_probs * _along(weight, values.ndim, axis), axis)
        loss = (1 - smoothing) * loss + smoothing / classes * smooth
    return jnp.where(kept, loss, 0), jnp.where(kept, scale, 0)


def probability_terms(
    values: jax.Array, target: jax.Array, weight: jax.Array | None, smoothing: Any, axis: int
) -> jax.Array:
    """Loss of every position for targets that are class probabilities; values are logits."""
    classes = values.shape[axis]
    if smoothing is not None:
        target = target * (1 - smoothing) + smoothing / max(classes, 1)
    log_probs = log_softmax_of(values, axis)
    return -jnp.sum(log_probs * target * _along(weight, values.ndim, axis), axis)


def _along(weight: jax.Array | None, ndim: int, axis: int) -> Any:
    return 1 if weight is None else weight.reshape([-1 if a == axis else 1 for a in range(ndim)])


def reduce_terms(loss: jax.Array, scale: jax.Array, reduction: str) -> jax.Array:
    """The reduction of class losses: 'mean' divides by the sum of the weights of the kept positions."""
    if reduction == "none":
        return loss
    total = jnp.sum(loss)
    return total if reduction == "sum" else total / jnp.sum(scale)


@partial(jax.jit, static_argnames=("ignore_index", "reduction", "logits"))
def _index_loss(
    values: jax.Array,
    target: jax.Array,
    weight: jax.Array | None,
    smoothing: Any,
    ignore_index: int,
    reduction: str,
    logits: bool,
) -> jax.Array:
    dtype = values.dtype
    values, weight = widen(values), widen(weight)
    axis = class_axis(values.ndim)
    loss, scale = index_terms(values, target, weight, ignore_index, smoothing, axis, logits)
    return reduce_terms(loss, scale, reduction).astype(dtype)


@partial(jax.jit, static_argnames=("reduction",))
def _probability_loss(
    values: jax.Array, target: jax.Array, weight: jax.Array | None, smoothing: Any, reduction: str
) -> jax.Array:
    dtype = values.dtype
    values, target, weight = widen(values), widen(target), widen(weight)
    loss = probability_terms(values, target, weight, smoothing, class_axis(values.ndim))
    return reduce_terms(loss, jnp.ones_like(loss), reduction).astype(dtype)


def check_class_weight(function: str, input: jax.Array, weight: jax.Array | None, classes: int) -> None:
    """Raises unless the class weights are one per class, in the dtype of the input."""
    if weight is not None:
        check_shape(function, "weight", weight, (classes,), "(one per class)")
        check_same_dtype(function, input=input, weight=weight)


def check_class_target(
    function: str, input_shape: tuple[int, ...], target: jax.Array, ignore_index: int | None
) -> jax.Array:
    """The class targets of an input of the given shape, checked; unbatched ones are returned without an axis.

    Raises:
        TypeError: if they are no integers.
        ValueError: if their shape is not that of the input without its class axis.
        IndexError: if a concrete one is neither a class nor ``ignore_index``.
    """
    check_integer(function, target=target)
    axis = class_axis(len(input_shape))
    if len(input_shape) == 1 and target.shape == (1,):
        target = target.reshape(())
    expected = (*input_shape[:axis], *input_shape[axis + 1 :])
    check_shape(function, "target", target, expected, f"for input of shape {list(input_shape)}")
    check_index_range(function, "target", target, input_shape[axis], ignore_index)
    return target


def check_smoothing(function: str, label_smoothing: Any) -> Any:
    """``label_smoothing``, or ``None`` if it is not above 0, as torch has it; raises ValueError if it is above 1."""
    smoothing = known(label_smoothing)
    if smoothing is None:
        return label_smoothing
    if not smoothing <= 1.0:
        fail(ValueError, function, "label_smoothing", "at most 1", label_smoothing)
    return float(smoothing) if smoothing > 0 else None


@explained
def nll_loss(
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """Negative log-likelihood of the target classes, given log-probabilities.

    ``loss_i = -weight[target_i] * input[i, target_i]``; 'mean' divides the sum by the sum of the weights used.

    Args:
        input: log-probabilities, classes on axis 1 (axis 0 if unbatched).
        target: class indices in [0, C), or ``ignore_index``.
        weight: one factor per class.
        size_average: deprecated, see ``reduction``.
        ignore_index: a target value whose positions count for nothing.
        reduce: deprecated, see ``reduction``.
        reduction: 'none', 'mean' or 'sum'.

    Shape:
        - input: (C), (N, C) or (N, C, d1, ..., dK).
        - target: (), (N) or (N, d1, ..., dK).
        - weight: (C).

    Returns:
        a scalar; the shape of ``target`` for 'none'. The mean over no kept target is NaN. Under jit a target out of
        range makes the loss NaN.

    Raises:
        TypeError: if ``input`` is not floating, ``target`` no integers, or ``weight`` of another dtype than ``input``.
        ValueError: if shapes disagree or ``reduction`` is unknown.
        IndexError: if a concrete target is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.nll_loss.html

    Example:
        >>> import jax, jax.numpy as jnp
        >>> float(nll_loss(jnp.log(jnp.array([[0.5, 0.5]])), jnp.array([1]), reduction="sum")) == float(-jnp.log(0.5))
        True
    """
    reduction = resolve_reduction("nll_loss", size_average, reduce, reduction)
    values = as_array("nll_loss", "input", input)
    labels = as_array("nll_loss", "target", target)
    factors = as_optional_array("nll_loss", "weight", weight)
    check_floating("nll_loss", input=values)
    if values.ndim == 0:
        fail(ValueError, "nll_loss", "input", "at least 1-D", values)
    ignore_index = as_int("nll_loss", "ignore_index", ignore_index)
    check_class_weight("nll_loss", values, factors, values.shape[class_axis(values.ndim)])
    labels = check_class_target("nll_loss", values.shape, labels, ignore_index)
    return _index_loss(values, labels, factors, None, ignore_index, reduction, False)


@explained
def cross_entropy(
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> jax.Array:
    """Cross entropy of logits with target classes or class probabilities.

    Classes: ``loss_i = -weight[t_i] * log_softmax(input)[i, t_i]``; 'mean' divides by the sum of the weights used.
    Probabilities: ``loss_i = -sum_c weight[c] * target[i, c] * log_softmax(input)[i, c]``; 'mean' divides by the number
    of positions. Label smoothing mixes the target with the uniform distribution (Szegedy et al., 2015).

    Args:
        input: logits, classes on axis 1 (axis 0 if unbatched).
        target: class indices in [0, C) or ``ignore_index``; or, of the shape of ``input``, probabilities.
        weight: one factor per class.
        size_average: deprecated, see ``reduction``.
        ignore_index: a class target whose positions count for nothing.
        reduce: deprecated, see ``reduction``.
        reduction: 'none', 'mean' or 'sum'.
        label_smoothing: share of the uniform distribution in the target, at most 1; a negative one is none.

    Shape:
        - input: (C), (N, C) or (N, C, d1, ..., dK).
        - target: (), (N) or (N, d1, ..., dK) of integers; or the shape of ``input``, floating.
        - weight: (C).

    Returns:
        a scalar; the shape of ``input`` without its class axis for 'none'. The mean over no kept target is NaN. Under
        jit a class target out of range makes the loss NaN.

    Raises:
        TypeError: if ``input`` is not floating, or ``target`` or ``weight`` have a wrong dtype.
        ValueError: if shapes disagree, ``reduction`` is unknown, ``label_smoothing`` is above 1, or
            ``ignore_index`` is given with probabilities.
        IndexError: if a concrete class target is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.cross_entropy.html

    Example:
        >>> import jax, jax.numpy as jnp
        >>> bool(jnp.allclose(cross_entropy(jnp.zeros((2, 4)), jnp.array([0, 3])), jnp.log(4.0)))
        True
    """
    reduction = resolve_reduction("cross_entropy", size_average, reduce, reduction)
    values = as_array("cross_entropy", "input", input)
    labels = as_array("cross_entropy", "target", target)
    factors = as_optional_array("cross_entropy", "weight", weight)
    check_floating("cross_entropy", input=values)
    if values.ndim == 0:
        fail(ValueError, "cross_entropy", "input", "at least 1-D", values)
    smoothing = check_smoothing("cross_entropy", label_smoothing)
    ignore_index = as_int("cross_entropy", "ignore_index", ignore_index)
    check_class_weight("cross_entropy", values, factors, values.shape[class_axis(values.ndim)])
    if labels.shape == values.shape:
        check_floating("cross_entropy", target=labels)
        check_same_dtype("cross_entropy", input=values, target=labels)
        if ignore_index >= 0:
            fail(ValueError, "cross_entropy", "ignore_index", "negative if target holds probabilities", ignore_index)
        return _probability_loss(values, labels, factors, smoothing, reduction)
    labels = check_class_target("cross_entropy", values.shape, labels, ignore_index)
    return _index_loss(values, labels, factors, smoothing, ignore_index, reduction, True)

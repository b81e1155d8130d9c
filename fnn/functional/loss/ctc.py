"""Connectionist temporal classification: a scan in log space, differentiated by autodiff."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnn.functional.arrays import ArrayLike, known, widen
from fnn.functional.checks import as_array, as_int, check_floating, check_integer, check_rank, check_shape, fail
from fnn.functional.explained import explained
from fnn.functional.loss.common import finish
from fnn.functional.reduction import check_reduction
from fnn.kernels.operation import varying_as
from fnn.kernels.precision import minus_peak

__all__ = ["ctc_loss"]


def _log_add(*terms: jax.Array) -> jax.Array:
    """``log(sum(exp(terms)))``; minus infinity, with derivative 0, where every term is that."""
    top = jax.lax.stop_gradient(jnp.stack(terms).max(0))
    shift = jnp.where(top == -jnp.inf, 0, top)
    total = sum((jnp.exp(minus_peak(t, shift)) for t in terms), jnp.zeros_like(shift))
    nothing = total == 0
    return jnp.where(nothing, -jnp.inf, shift + jnp.log(jnp.where(nothing, 1, total)))


def _padded(targets: jax.Array, lengths: jax.Array, longest: int) -> jax.Array:
    """Concatenated targets as rows of ``longest``; what lies beyond a row's length is arbitrary."""
    if targets.size == 0:
        return jnp.zeros((lengths.shape[0], longest), targets.dtype)
    position = (jnp.cumsum(lengths) - lengths)[:, None] + jnp.arange(longest)
    return targets[jnp.clip(position, 0, targets.size - 1)]


@partial(jax.jit, static_argnames=("blank", "longest", "reduction", "zero_infinity", "batched"))
def _ctc(
    log_probs: jax.Array,
    targets: jax.Array,
    input_lengths: jax.Array,
    target_lengths: jax.Array,
    blank: int,
    longest: int,
    reduction: str,
    zero_infinity: bool,
    batched: bool,
) -> jax.Array:
    dtype = log_probs.dtype
    log_probs = widen(log_probs)
    steps, rows, classes = log_probs.shape
    wrong = (input_lengths < 0) | (input_lengths > steps) | (target_lengths < 0) | (target_lengths > longest)
    if targets.ndim == 1:
        wrong |= jnp.sum(target_lengths) != targets.size
        targets = _padded(targets, target_lengths, longest)
    used = jnp.arange(longest) < target_lengths[:, None]
    legal = (targets >= 0) & (targets < classes)
    wrong |= (used & ~legal).any(1)
    labels = jnp.where(legal, targets, 0)
    before = jnp.concatenate([jnp.full((rows, 1), -1, labels.dtype), labels], 1)[:, :longest]
    impossible = jnp.full((rows, 1), -jnp.inf, log_probs.dtype)

    # State k of `blanks` has read k labels and stands on a blank; state k of `marks` stands on label k.
    def step(state: Any, now: Any) -> Any:
        blanks, marks = state
        probs, t = now
        entered = jnp.concatenate([impossible, marks], 1)
        skipped = jnp.where(labels != before, entered[:, :longest], -jnp.inf)
        next_blanks = _log_add(blanks, entered) + probs[:, blank, None]
        label_probs = jnp.take_along_axis(probs, labels, 1, mode="promise_in_bounds")
        next_marks = _log_add(marks, blanks[:, :longest], skipped) + label_probs
        live = (t < input_lengths)[:, None]
        return (jnp.where(live, next_blanks, blanks), jnp.where(live, next_marks, marks)), None

    start = (
        varying_as(
            jnp.full((rows, longest + 1), -jnp.inf, log_probs.dtype).at[:, 0].set(0), log_probs, labels, input_lengths
        ),
        varying_as(jnp.full((rows, longest), -jnp.inf, log_probs.dtype), log_probs, labels, input_lengths),
    )
    # Only the states are kept for the backward pass; each step is computed anew there.
    (blanks, marks), _ = jax.lax.scan(
        jax.checkpoint(step, prevent_cse=False), start, (log_probs, jnp.arange(steps, dtype=input_lengths.dtype))
    )
    end = jnp.clip(target_lengths, 0, longest)[:, None]
    on_blank = jnp.take_along_axis(blanks, end, 1, mode="promise_in_bounds")[:, 0]
    marks = jnp.concatenate([impossible, marks], 1)
    on_mark = jnp.take_along_axis(marks, end, 1, mode="promise_in_bounds")[:, 0]
    loss = -_log_add(on_blank, on_mark)
    if zero_infinity:
        loss = jnp.where(loss == jnp.inf, 0, loss)
    loss = loss * jnp.where(wrong, jnp.nan, jnp.ones((), loss.dtype))
    if reduction == "mean":
        loss = loss / jnp.maximum(target_lengths, 1).astype(loss.dtype)
    return finish(loss if batched else loss[0], reduction, dtype)


def _lengths(argument: str, value: Any, rows: int, batched: bool) -> tuple[jax.Array, Any]:
    """Lengths, given as an array or a sequence of ints, as an array with one for each row, and so far as they are known."""
    array = as_array("ctc_loss", argument, np.asarray(value, dtype=None) if isinstance(value, list | tuple) else value)
    check_integer("ctc_loss", **{argument: array})
    values = known(array)
    if not batched and array.ndim == 0:
        array = array[None]
    check_shape("ctc_loss", argument, array, (rows,), "(one per sequence)")
    return array.astype(jnp.int32), None if values is None else values.reshape(-1)


def _check_values(argument: str, values: np.ndarray[Any, Any] | None, most: int) -> None:
    if values is not None:
        bad = values[(values < 0) | (values > most)]
        if bad.size:
            fail(ValueError, "ctc_loss", argument, f"in [0, {most}]", int(bad[0]))


@explained
def ctc_loss(
    log_probs: ArrayLike,
    targets: ArrayLike,
    input_lengths: ArrayLike | Sequence[int],
    target_lengths: ArrayLike | Sequence[int],
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> jax.Array:
    """Negative log-probability that a sequence of class distributions spells the target, summed over all alignments.

    An alignment names one class a step; dropping repeats, then blanks, it must give the target (Graves et al., 2006).
    The derivative is the true one in ``log_probs``; torch's presumes that they come from ``log_softmax``, and behind
    ``log_softmax`` the two agree.

    Args:
        log_probs: log-probabilities of the classes at each step.
        targets: class indices; padded rows, or all targets one after another.
        input_lengths: number of steps of each sequence; an array, or a sequence of ints.
        target_lengths: number of labels of each target; an array, or a sequence of ints.
        blank: the class that stands for no label.
        reduction: 'none', 'mean' (each loss divided by its target length, then the mean) or 'sum'.
        zero_infinity: whether infinite losses, of targets too long for their input, become 0, with derivative 0.

    Shape:
        - log_probs: (T, N, C) or (T, C).
        - targets: (N, S) or (sum of target_lengths).
        - input_lengths, target_lengths: (N); () or (1) if unbatched.

    Returns:
        a scalar; shape (N), or () if unbatched, for 'none'. Under jit lengths or labels out of range give NaN.

    Raises:
        TypeError: if ``log_probs`` is not floating, or targets or lengths are no integers.
        ValueError: if shapes or concrete lengths disagree, ``blank`` is no class, or ``reduction`` is unknown.
        IndexError: if a concrete label is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.ctc_loss.html

    Example:
        >>> import jax.numpy as jnp
        >>> loss = ctc_loss(jnp.log(jnp.full((2, 1, 2), 0.5)), jnp.array([[1]]), (2,), (1,))
        >>> bool(jnp.allclose(loss, -jnp.log(0.75)))
        True
    """
    check_reduction("ctc_loss", reduction)
    probs = as_array("ctc_loss", "log_probs", log_probs)
    labels = as_array("ctc_loss", "targets", targets)
    check_floating("ctc_loss", log_probs=probs)
    check_integer("ctc_loss", targets=labels)
    check_rank("ctc_loss", "log_probs", probs, 2, 3)
    check_rank("ctc_loss", "targets", labels, 1, 2)
    if probs.size == 0:
        fail(ValueError, "ctc_loss", "log_probs", "not empty", probs)
    batched = probs.ndim == 3
    probs = probs if batched else probs[:, None]
    steps, rows, classes = probs.shape
    blank = as_int("ctc_loss", "blank", blank)
    if not 0 <= blank < classes:
        fail(ValueError, "ctc_loss", "blank", f"in [0, {classes - 1}]", blank)
    inputs, known_inputs = _lengths("input_lengths", input_lengths, rows, batched)
    outputs, lengths = _lengths("target_lengths", target_lengths, rows, batched)
    _check_values("input_lengths", known_inputs, steps)
    if labels.ndim == 2:
        check_shape("ctc_loss", "targets", labels, (rows, None), "(one row per sequence)")
        longest = labels.shape[1]
    else:
        longest = labels.size
    _check_values("target_lengths", lengths, longest)
    values = known(labels)
    if lengths is not None and lengths.size != rows:
        lengths = None
    if labels.ndim == 2:
        # Of padded rows only so much as the lengths say is read.
        if values is not None and lengths is not None and values.shape == labels.shape:
            values = values[np.arange(longest) < lengths[:, None]]
        else:
            values = None
    elif not batched:
        labels = labels[None]
    elif lengths is not None:
        if lengths.sum() != labels.size:
            fail(ValueError, "ctc_loss", "targets", f"of length {lengths.sum()}, the sum of target_lengths", labels)
        # Rounded up, so that batches of like lengths share one compilation.
        longest = min(longest, -(-int(lengths.max()) // 8) * 8)
    bad = None if values is None else values[(values < 0) | (values >= classes)]
    if bad is not None and bad.size:
        fail(IndexError, "ctc_loss", "targets", f"in [0, {classes - 1}]", int(bad[0]))
    if jnp.issubdtype(labels.dtype, jnp.unsignedinteger) or labels.dtype.itemsize < 4:
        labels = labels.astype(jnp.int32)
    return _ctc(probs, labels, inputs, outputs, blank, longest, reduction, bool(zero_infinity), batched)

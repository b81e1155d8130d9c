"""Margin losses: ranking, hinge and cosine embedding, multi-class and multi-label margins."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnn.functional.arrays import ArrayLike, known, widen
from fnn.functional.checks import (
    as_array,
    as_optional_array,
    check_floating,
    check_index_range,
    check_integer,
    check_shape,
    fail,
)
from fnn.functional.explained import explained
from fnn.functional.loss.classification import check_class_weight, pick, safe_targets
from fnn.functional.loss.common import as_floats, check_broadcast, finish, in_chunks, positive_part
from fnn.functional.reduction import resolve_reduction
from fnn.kernels.operation import varying_as

__all__ = [
    "cosine_embedding_loss",
    "hinge_embedding_loss",
    "margin_ranking_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
]

# Pairs of label and class that multilabel_margin_loss holds at once.
_HELD = 1 << 18


def _by_sign(target: jax.Array, positive: jax.Array, negative: jax.Array) -> jax.Array:
    """``positive`` unless the target is -1, plus ``negative`` unless it is 1."""
    return jnp.where(target != -1, positive, 0) + jnp.where(target != 1, negative, 0)


@partial(jax.jit, static_argnames=("reduction",))
def _margin_ranking(input1: jax.Array, input2: jax.Array, target: jax.Array, margin: Any, reduction: str) -> jax.Array:
    dtype = input1.dtype
    input1, input2, target = widen(input1), widen(input2), widen(target)
    return finish(positive_part(-target * (input1 - input2) + margin), reduction, dtype)


@explained
def margin_ranking_loss(
    input1: ArrayLike,
    input2: ArrayLike,
    target: ArrayLike,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """Hinge on the difference of two scores, ``max(0, -target * (input1 - input2) + margin)``.

    Args:
        input1: scores.
        input2: scores to compare with.
        target: 1 where ``input1`` should be larger, -1 where ``input2`` should.
        margin: the difference wanted.
        size_average: deprecated, see ``reduction``.
        reduce: deprecated, see ``reduction``.
        reduction: 'none', 'mean' or 'sum'.

    Shape:
        - input1, input2, target: (*), of one rank, broadcast together.

    Returns:
        a scalar; for 'none' the element losses.

    Raises:
        TypeError: if the dtypes differ or are not floating.
        ValueError: if ranks or shapes disagree or ``reduction`` is unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.margin_ranking_loss.html

    Example:
        >>> import jax.numpy as jnp
        >>> float(margin_ranking_loss(jnp.array([1.0]), jnp.array([3.0]), jnp.array([1.0])))
        2.0
    """
    reduction = resolve_reduction("margin_ranking_loss", size_average, reduce, reduction)
    a, b, t = as_floats("margin_ranking_loss", input1=input1, input2=input2, target=target)
    if not a.ndim == b.ndim == t.ndim:
        wrong = t if a.ndim == b.ndim else b
        fail(ValueError, "margin_ranking_loss", "target" if wrong is t else "input2", f"{a.ndim}-D as input1", wrong)
    check_broadcast("margin_ranking_loss", input1=a, input2=b, target=t)
    return _margin_ranking(a, b, t, margin, reduction)


@partial(jax.jit, static_argnames=("reduction",))
def _hinge_embedding(input: jax.Array, target: jax.Array, margin: Any, reduction: str) -> jax.Array:
    dtype = input.dtype
    input, target = widen(input), widen(target)
    return finish(_by_sign(target, input, positive_part(margin - input)), reduction, dtype)


@explained
def hinge_embedding_loss(
    input: ArrayLike,
    target: ArrayLike,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """A distance for like pairs, a hinge on it for unlike ones.

    ``input`` where ``target`` is 1, ``max(0, margin - input)`` where it is -1 (their sum where it is neither, as torch).

    Args:
        input: distances.
        target: 1 or -1.
        margin: the distance wanted between unlike pairs.
        size_average: deprecated, see ``reduction``.
        reduce: deprecated, see ``reduction``.
        reduction: 'none', 'mean' or 'sum'.

    Shape:
        - input, target: (*), broadcast together.

    Returns:
        a scalar; for 'none' the element losses.

    Raises:
        TypeError: if the dtypes differ or are not floating.
        ValueError: if shapes disagree or ``reduction`` is unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.hinge_embedding_loss.html

    Example:
        >>> import jax.numpy as jnp
        >>> float(hinge_embedding_loss(jnp.array([3.0, 0.5]), jnp.array([1, -1]), reduction="sum"))
        3.5
    """
    reduction = resolve_reduction("hinge_embedding_loss", size_average, reduce, reduction)
    x, t = as_floats("hinge_embedding_loss", input=input, target=target)
    check_broadcast("hinge_embedding_loss", input=x, target=t)
    return _hinge_embedding(x, t, margin, reduction)


def _above(z: jax.Array) -> jax.Array:
    """``max(z, 0)`` with derivative 0 at the kink and for NaN, as torch has it in the losses over classes."""
    return jnp.where(z > 0, z, 0)


def _finish_rows(loss: jax.Array, reduction: str, shape: tuple[int, ...], dtype: Any) -> jax.Array:
    """The reduction of one loss a row; torch calls the mean over no row 0 here."""
    if reduction == "mean" and loss.size == 0:
        return jnp.zeros((), dtype)
    return finish(loss.reshape(shape) if reduction == "none" else loss, reduction, dtype)


@partial(jax.jit, static_argnames=("p", "reduction", "shape"))
def _multi_margin(
    input: jax.Array,
    target: jax.Array,
    weight: jax.Array | None,
    margin: Any,
    p: int,
    reduction: str,
    shape: tuple[int, ...],
) -> jax.Array:
    dtype = input.dtype
    input, weight = widen(input), widen(weight)
    classes = input.shape[1]
    index, _, legal = safe_targets(target, classes, None)
    gap = _above(margin - pick(input, index, 1)[:, None] + input)
    other = jax.lax.broadcasted_iota(index.dtype, input.shape, 1) != index[:, None]
    loss = jnp.sum(jnp.where(other, gap if p == 1 else gap * gap, 0), 1) / classes
    if weight is not None:
        loss = loss * weight[index]
    loss = loss * jnp.where(legal, jnp.ones((), loss.dtype), jnp.nan)
    return _finish_rows(loss, reduction, shape, dtype)


def _rows(function: str, input: Any) -> tuple[jax.Array, jax.Array]:
    """The input of a loss over classes and the same with exactly two axes."""
    x = as_array(function, "input", input)
    check_floating(function, input=x)
    if x.ndim > 2 or (x.ndim and x.shape[-1] == 0):
        fail(ValueError, function, "input", "of shape (C) or (N, C) with at least one class", x)
    return x, x.reshape((1, -1)) if x.ndim < 2 else x


@explained
def multi_margin_loss(
    input: ArrayLike,
    target: ArrayLike,
    p: int = 1,
    margin: float = 1.0,
    weight: ArrayLike | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """Hinge between the score of the target class and each other score.

    ``loss_i = weight[t_i] * sum_{c != t_i} max(0, margin - input[i, t_i] + input[i, c])**p / C``

    Args:
        input: scores of the classes.
        target: class indices in [0, C).
        p: 1 or 2.
        margin: the lead wanted.
        weight: one factor per class.
        size_average: deprecated, see ``reduction``.
        reduce: deprecated, see ``reduction``.
        reduction: 'none', 'mean' or 'sum'.

    Shape:
        - input: (C) or (N, C).
        - target: () or (N).
        - weight: (C).

    Returns:
        a scalar; the shape of ``target`` for 'none'. Under jit a target out of range makes the loss NaN.

    Raises:
        TypeError: if dtypes are wrong.
        ValueError: if shapes disagree, ``p`` is neither 1 nor 2 or ``reduction`` is unknown.
        IndexError: if a concrete target is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.multi_margin_loss.html

    Example:
        >>> import jax.numpy as jnp
        >>> float(multi_margin_loss(jnp.array([[2.0, 1.5]]), jnp.array([0])))
        0.25
    """
    reduction = resolve_reduction("multi_margin_loss", size_average, reduce, reduction)
    if p not in (1, 2):
        fail(ValueError, "multi_margin_loss", "p", "1 or 2", p)
    x, rows = _rows("multi_margin_loss", input)
    t = as_array("multi_margin_loss", "target", target)
    check_integer("multi_margin_loss", target=t)
    if not (t.ndim == 0 and rows.shape[0] == 1):
        check_shape("multi_margin_loss", "target", t, rows.shape[:1], f"for input of shape {list(x.shape)}")
    check_index_range("multi_margin_loss", "target", t, rows.shape[1])
    w = as_optional_array("multi_margin_loss", "weight", weight)
    check_class_weight("multi_margin_loss", x, w, rows.shape[1])
    return _multi_margin(rows, t.reshape(-1), w, margin, int(p), reduction, t.shape)


@partial(jax.jit, static_argnames=("most", "reduction", "shape", "held"))
def _multilabel_margin(
    input: jax.Array, target: jax.Array, most: int, reduction: str, shape: tuple[int, ...], held: int = _HELD
) -> jax.Array:
    dtype = input.dtype
    input = widen(input)
    rows, classes = input.shape
    index, _, legal = safe_targets(target, classes, None)
    wrong = (~legal & (target != -1)).any(1)
    labels, live = index[:, :most], jnp.cumprod(legal[:, :most], 1, dtype=jnp.int32) > 0
    named = jnp.zeros(input.shape, bool).at[jnp.arange(rows)[:, None], labels].max(live)
    scores = jnp.take_along_axis(input, labels, 1, mode="promise_in_bounds")

    def gaps(now: tuple[jax.Array, jax.Array]) -> jax.Array:
        score, used = now
        gap = _above(1 - score[:, :, None] + input)
        return jnp.sum(jnp.where(used[:, :, None] & ~named, gap, 0), (0, 2))

    block = max(1, min(most, held // max(1, rows * classes)))
    if block >= most:
        loss = gaps((scores.T, live.T))
    else:
        body = jax.checkpoint(lambda total, now: (total + gaps(now), None), prevent_cse=False)
        loss, _ = jax.lax.scan(
            body,
            varying_as(jnp.zeros(rows, input.dtype), scores, live),
            (in_chunks(scores.T, block), in_chunks(live.T, block)),
        )
    loss = loss / classes * jnp.where(wrong, jnp.nan, jnp.ones((), loss.dtype))
    return _finish_rows(loss, reduction, shape, dtype)


@explained
def multilabel_margin_loss(
    input: ArrayLike,
    target: ArrayLike,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """Hinge between the score of every target class and the score of every class that is no target.

    ``loss_i = sum_{j in targets_i} sum_{c not in targets_i} max(0, 1 - input[i, j] + input[i, c]) / C``

    Args:
        input: scores of the classes.
        target: in each row the target classes, then -1; what follows the first -1 does not count.
        size_average: deprecated, see ``reduction``.
        reduce: deprecated, see ``reduction``.
        reduction: 'none', 'mean' or 'sum'.

    Shape:
        - input, target: (C) or (N, C), alike.

    Returns:
        a scalar; shape () or (N) for 'none'. Under jit a row with a target outside [-1, C) has the loss NaN.

    Raises:
        TypeError: if dtypes are wrong.
        ValueError: if shapes disagree or ``reduction`` is unknown.
        IndexError: if a concrete target lies outside [-1, C).

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.multilabel_margin_loss.html

    Example:
        >>> import jax.numpy as jnp
        >>> float(multilabel_margin_loss(jnp.array([2.0, 1.5]), jnp.array([0, -1])))
        0.25
    """
    reduction = resolve_reduction("multilabel_margin_loss", size_average, reduce, reduction)
    x, rows = _rows("multilabel_margin_loss", input)
    t = as_array("multilabel_margin_loss", "target", target)
    check_integer("multilabel_margin_loss", target=t)
    if not (x.ndim == 0 and t.size == 1):
        check_shape("multilabel_margin_loss", "target", t, x.shape, "as input")
    check_index_range("multilabel_margin_loss", "target", t, rows.shape[1], -1)
    values = known(t)
    t = t.reshape(rows.shape)
    most = rows.shape[1]
    if values is not None and values.size == t.size > 0:
        used = int(np.logical_and.accumulate(values.reshape(rows.shape) >= 0, 1).sum(1).max())
        # Only so many columns hold labels; a power of two, so that few programs are compiled.
        most = min(most, 1 << max(0, used - 1).bit_length())
    return _multilabel_margin(rows, t, most, reduction, x.shape[:-1])


@partial(jax.jit, static_argnames=("reduction",))
def _cosine_embedding(
    input1: jax.Array, input2: jax.Array, target: jax.Array, margin: Any, reduction: str
) -> jax.Array:
    dtype = input1.dtype
    input1, input2, target = widen(input1), widen(input2), widen(target)
    tiny = 1e-12
    squares = (jnp.sum(input1 * input1, -1) + tiny) * (jnp.sum(input2 * input2, -1) + tiny)
    cosine = jnp.sum(input1 * input2, -1) / jnp.sqrt(squares)
    loss = jnp.where(target == 1, 1 - cosine, 0) + jnp.where(target == -1, positive_part(cosine - margin), 0)
    return finish(loss, reduction, dtype)


@explained
def cosine_embedding_loss(
    input1: ArrayLike,
    input2: ArrayLike,
    target: ArrayLike,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """Distance in angle for like pairs, a hinge on the cosine for unlike ones.

    ``1 - cos(input1, input2)`` where ``target`` is 1, ``max(0, cos(input1, input2) - margin)`` where it is -1.

    Args:
        input1: vectors.
        input2: vectors to compare with.
        target: 1 or -1 for each pair.
        margin: the cosine allowed for unlike pairs.
        size_average: deprecated, see ``reduction``.
        reduce: deprecated, see ``reduction``.
        reduction: 'none', 'mean' or 'sum'.

    Shape:
        - input1, input2: (D) or (N, D), broadcast together.
        - target: () or (N).

    Returns:
        a scalar; shape () or (N) for 'none'.

    Raises:
        TypeError: if the dtypes of the inputs differ or are not floating.
        ValueError: if shapes disagree or ``reduction`` is unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.cosine_embedding_loss.html

    Example:
        >>> import jax.numpy as jnp
        >>> float(cosine_embedding_loss(jnp.array([1.0, 0.0]), jnp.array([0.0, 2.0]), jnp.array(1)))
        1.0
    """
    reduction = resolve_reduction("cosine_embedding_loss", size_average, reduce, reduction)
    a, b = as_floats("cosine_embedding_loss", input1=input1, input2=input2)
    t = as_array("cosine_embedding_loss", "target", target)
    if t.ndim > 1:
        fail(ValueError, "cosine_embedding_loss", "target", "0-D or 1-D", t)
    for argument, value in (("input1", a), ("input2", b)):
        if value.ndim != t.ndim + 1:
            fail(ValueError, "cosine_embedding_loss", argument, f"{t.ndim + 1}-D for {t.ndim}-D target", value)
    check_broadcast("cosine_embedding_loss", input1=a, input2=b)
    check_broadcast("cosine_embedding_loss", input1=a.sum(-1), input2=b.sum(-1), target=t)
    return _cosine_embedding(a, b, t.astype(a.dtype), margin, reduction)

"""The area under the ROC curve: exact, ties count half."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp

from fnn.functional.arrays import ArrayLike, is_concrete
from fnn.functional.checks import as_array, as_int, check_choice, check_index_range, check_shape, fail
from fnn.metrics.common import check_weight, real, spread
from fnn.metrics.metric import Metric, State

__all__ = ["ROCAUC", "roc_auc"]

RankAverage: TypeAlias = Literal["micro", "macro", "weighted", "none"] | None


def _area(score: jax.Array, positive: jax.Array, weight: jax.Array) -> jax.Array:
    """The chance that a positive has a higher score than a negative, each drawn by its weight; NaN if there are none."""
    order = jnp.argsort(score)
    score, positive, weight = score[order], positive[order], weight[order]
    negative = jnp.concatenate([jnp.zeros(1, weight.dtype), jnp.cumsum(jnp.where(positive, 0, weight))])
    below = negative[jnp.searchsorted(score, score, side="left")]
    upto = negative[jnp.searchsorted(score, score, side="right")]
    total = jnp.where(positive, weight, 0)
    area = (total * ((below + upto) / (2 * negative[-1]))).sum() / total.sum()
    return jnp.where((jnp.isnan(score) & (weight > 0)).any(), jnp.nan, area)


def _areas(score: jax.Array, held: jax.Array, weight: jax.Array, average: RankAverage) -> jax.Array:
    """The areas of the columns of scores, of those that hold and of weights; and their average."""
    if average == "micro":
        return _area(score.reshape(-1), held.reshape(-1), weight.reshape(-1))
    each = jax.vmap(_area, in_axes=1)(score, held, weight)
    if average in ("none", None):
        return each
    support = jnp.where(held, weight, 0).sum(0) if average == "weighted" else jnp.ones_like(each)
    return (each * support).sum() / support.sum()


def roc_auc(
    input: ArrayLike,
    target: ArrayLike,
    *,
    average: RankAverage = "macro",
    sample_weight: ArrayLike | None = None,
) -> jax.Array:
    r"""The area under the receiver operating characteristic: how often a positive has a higher score than a negative.

    .. math:: \frac{\sum_{i: y_i = 1} \sum_{j: y_j = 0} w_i w_j ([s_i > s_j] + \frac{1}{2} [s_i = s_j])}{W_1 W_0}

    With a column of scores for each class, each class is set against the rest.

    Args:
        input: scores; only their order counts.
        target: labels of an integer or bool dtype: 0 and 1; classes; or of each label if it holds.
        average: over classes or labels: ``"macro"`` the mean, ``"weighted"`` the mean by how often they are true, ``"micro"`` all
            decisions together, ``"none"`` or ``None`` all of them.
        sample_weight: the weight of each row; a mask too.

    Shape:
        - input: ``(N,)`` for two classes, ``(N, C)`` for C classes, ``(N, L)`` for L labels
        - target: ``(N,)``; for labels ``(N, L)``
        - Returns: ``()``, or ``(C,)`` without an average

    Returns:
        a number in [0, 1], or one of each class; NaN if one of the two sides is empty or a score is NaN.

    Raises:
        ValueError: if the shapes do not go together.
        IndexError: if a label is out of range.

    Source: https://scikit-learn.org/stable/modules/generated/sklearn.metrics.roc_auc_score.html

    Example:
        >>> import jax.numpy as jnp
        >>> float(roc_auc(jnp.array([0.1, 0.4, 0.4, 0.8]), jnp.array([0, 0, 1, 1])))
        0.875
    """
    check_choice("roc_auc", "average", average, ("micro", "macro", "weighted", "none", None))
    x, y = _scores_and_target("roc_auc", input, target)
    return _area_of(x, y, check_weight("roc_auc", sample_weight, x.shape), average)


def _scores_and_target(function: str, input: ArrayLike, target: ArrayLike) -> tuple[jax.Array, jax.Array]:
    x, y = real(as_array(function, "input", input)), as_array(function, "target", target)
    if not (jnp.issubdtype(y.dtype, jnp.integer) or y.dtype == bool):
        fail(TypeError, function, "target", "of an integer or bool dtype", y)
    if x.ndim not in (1, 2):
        fail(ValueError, function, "input", "of shape [rows] or [rows, classes]", x)
    if y.ndim == 1:
        check_shape(function, "target", y, x.shape[:1], "(one label a row)")
        check_index_range(function, "target", y, x.shape[1] if x.ndim == 2 else 2)
    else:
        check_shape(function, "target", y, x.shape, "(that of input)")
        check_index_range(function, "target", y, 2)
    return x, y.astype(jnp.int32)


@functools.partial(jax.jit, static_argnames="average")
def _area_of(x: Any, y: Any, weight: Any, average: RankAverage) -> jax.Array:
    weight = spread(weight, x.shape)
    if x.ndim == 1:
        return _area(x, y != 0, weight)
    held = y[:, None] == jnp.arange(x.shape[1]) if y.ndim == 1 else y != 0
    return _areas(x, held, weight, average)


class ROCAUC(Metric):
    """``roc_auc`` of all batches together, exactly: scores and labels are kept, up to a number of rows that is given before.

    Args:
        capacity: how many rows are kept at most, masked ones too.
        num_classes: how many columns the scores have; ``None`` for one score a row.
        average: as of ``roc_auc``.
        multilabel: whether each row of the target says of each of the columns if it holds.

    Raises:
        ValueError: if an argument is out of range.

    Source: https://scikit-learn.org/stable/modules/generated/sklearn.metrics.roc_auc_score.html

    Example:
        >>> import jax.numpy as jnp
        >>> metric = ROCAUC(capacity=10)
        >>> metric.update(jnp.array([0.1, 0.8]), jnp.array([0, 1]))
        >>> metric.update(jnp.array([0.4, 0.4]), jnp.array([0, 1]))
        >>> float(metric.compute())
        0.875
    """

    def __init__(
        self,
        capacity: int,
        num_classes: int | None = None,
        average: RankAverage = "macro",
        multilabel: bool = False,
    ) -> None:
        check_choice("ROCAUC", "average", average, ("micro", "macro", "weighted", "none", None))
        self.capacity: int = as_int("ROCAUC", "capacity", capacity, 1)
        self.num_classes: int | None = num_classes
        if num_classes is not None:
            self.num_classes = as_int("ROCAUC", "num_classes", num_classes, 1)
        elif multilabel:
            fail(ValueError, "ROCAUC", "num_classes", "given with multilabel", None)
        self.average: RankAverage = average
        self.multilabel: bool = multilabel
        super().__init__()

    def init(self) -> State:
        """No rows."""
        columns = () if self.num_classes is None else (self.num_classes,)
        dtype = jax.dtypes.canonicalize_dtype(float)
        return {
            "input": jnp.zeros((self.capacity, *columns), dtype),
            "target": jnp.zeros((self.capacity, *(columns if self.multilabel else ())), jnp.int32),
            "weight": jnp.zeros((self.capacity,), dtype),
            "rows": jnp.zeros((), jnp.int32),
        }

    def add(
        self, state: Mapping[str, Any], input: ArrayLike, target: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> State:
        """The state with the rows of a batch after its own.

        Raises:
            RuntimeError: if there is no room; where the state is traced, the result is NaN instead.
        """
        x, y = _scores_and_target("ROCAUC", input, target)
        check_shape("ROCAUC", "input", x, (x.shape[0], *state["input"].shape[1:]), "(columns: num_classes)")
        check_shape("ROCAUC", "target", y, (x.shape[0], *state["target"].shape[1:]))
        weight = spread(check_weight("ROCAUC", sample_weight, y.shape[:1]), y.shape[:1])
        start = state["rows"]
        if is_concrete(start) and int(start) + len(x) > len(state["weight"]):
            fail(RuntimeError, "ROCAUC", "capacity", f"at least {int(start) + len(x)}, the rows so far", self.capacity)
        place = start + jnp.arange(len(x))
        new = {
            name: state[name].at[place].set(value.astype(state[name].dtype), mode="drop")
            for name, value in (("input", x), ("target", y), ("weight", weight))
        }
        return {**new, "rows": start + len(x)}

    def merge(self, state: Mapping[str, Any], other: Mapping[str, Any]) -> State:
        """The rows of both: a state of as many rows as both have room for."""
        full = (state["rows"] > len(state["weight"])) | (other["rows"] > len(other["weight"]))
        merged = {name: jnp.concatenate([state[name], other[name]]) for name in ("input", "target", "weight")}
        room = len(merged["weight"])
        return {**merged, "rows": jnp.where(full, room + 1, state["rows"] + other["rows"])}

    def result(self, state: Mapping[str, Any]) -> jax.Array:
        """The area; NaN if there were more rows than room."""
        x = state["input"]
        area = _area_of(x, state["target"], state["weight"], self.average)
        return jnp.where(state["rows"] > len(state["weight"]), jnp.nan, area)

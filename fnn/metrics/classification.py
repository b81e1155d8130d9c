"""Accuracy, precision, recall, F1 and the confusion matrix, as functions of arrays."""

from __future__ import annotations

import functools
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import as_array, as_int, check_choice, check_index_range, check_rank, check_shape, fail
from fnn.metrics.common import (
    Average,
    averaged,
    by_class,
    check_classes,
    check_weight,
    class_weights,
    labels,
    predictions,
    rate,
    spread,
)

__all__ = [
    "Counts",
    "accuracy",
    "confusion_counts",
    "confusion_matrix",
    "counts",
    "f1_of",
    "f1_score",
    "hits",
    "normalized",
    "precision",
    "precision_of",
    "recall",
    "recall_of",
    "top_k_accuracy",
    "top_k_hits",
]


def hits(
    function: str,
    input: ArrayLike,
    target: ArrayLike,
    threshold: float,
    multilabel: bool,
    sample_weight: ArrayLike | None,
) -> tuple[jax.Array, jax.Array]:
    """The weight of what is right, and of all."""
    x, y = predictions(function, input, target)
    if multilabel and y.ndim != 2:
        fail(ValueError, function, "target", "of shape [rows, labels] with multilabel", y)
    weight = check_weight(function, sample_weight, y.shape[:1] if multilabel else y.shape)
    return _hits(x, y, threshold, weight, multilabel)


@functools.partial(jax.jit, static_argnames="multilabel")
def _hits(x: Any, y: Any, threshold: Any, weight: Any, multilabel: bool) -> tuple[jax.Array, jax.Array]:
    predicted, true = labels(x, y, threshold)
    right = predicted == true
    right = right.all(axis=1) if multilabel else right
    weight = spread(weight, right.shape)
    return jnp.where(right, weight, 0).sum(), weight.sum()


def accuracy(
    input: ArrayLike,
    target: ArrayLike,
    *,
    threshold: float = 0.5,
    multilabel: bool = False,
    sample_weight: ArrayLike | None = None,
) -> jax.Array:
    r"""How many predictions are right.

    .. math:: \frac{\sum_i w_i [\hat y_i = y_i]}{\sum_i w_i}

    Args:
        input: scores of the classes on axis 1, labels, or scores of class 1.
        target: true labels, of an integer or bool dtype.
        threshold: from which score on class 1 is predicted, where the scores have the shape of the target; 0 for logits.
        multilabel: whether a row of the target says of each of many labels if it holds; a row is right if all of it is.
        sample_weight: the weight of each prediction, or of each row; a mask too.

    Shape:
        - input: ``(N, C, *)`` or ``(N, *)``
        - target: ``(N, *)``; with ``multilabel`` ``(N, L)``
        - Returns: ``()``

    Returns:
        a number in [0, 1]; NaN if no prediction counts.

    Raises:
        ValueError: if the shapes do not go together.
        TypeError: if the target is of another dtype.

    Source: https://scikit-learn.org/stable/modules/generated/sklearn.metrics.accuracy_score.html

    Example:
        >>> import jax.numpy as jnp
        >>> float(accuracy(jnp.array([[0.1, 0.9], [0.8, 0.2]]), jnp.array([1, 1])))
        0.5
    """
    right, total = hits("accuracy", input, target, threshold, multilabel, sample_weight)
    return right / total


def top_k_hits(
    function: str, input: ArrayLike, target: ArrayLike, k: int, sample_weight: ArrayLike | None
) -> tuple[jax.Array, jax.Array]:
    """The weight of the rows whose class is among the k best, and of all."""
    x, y = as_array(function, "input", input), as_array(function, "target", target)
    check_rank(function, "input", x, 2)
    check_shape(function, "target", y, (x.shape[0],), "(one label a row of input)")
    if not jnp.issubdtype(y.dtype, jnp.integer):
        fail(TypeError, function, "target", "of an integer dtype", y)
    k = as_int(function, "k", k, 1)
    check_index_range(function, "target", y, x.shape[1])
    return _top_k_hits(x, y, k, check_weight(function, sample_weight, y.shape))


@functools.partial(jax.jit, static_argnames="k")
def _top_k_hits(x: Any, y: Any, k: int, weight: Any) -> tuple[jax.Array, jax.Array]:
    known = (y >= 0) & (y < x.shape[1])
    own = jnp.take_along_axis(x, jnp.where(known, y, 0)[:, None], axis=1)
    # Written so that a NaN is before every number, as argmax has it.
    before = ~(x <= own) | ((x == own) & (jnp.arange(x.shape[1]) < y[:, None]))
    weight = spread(weight, y.shape)
    right = known & (before.sum(axis=1) < k) & ~jnp.isnan(own[:, 0])
    return jnp.where(right, weight, 0).sum(), weight.sum()


def top_k_accuracy(
    input: ArrayLike, target: ArrayLike, k: int = 5, *, sample_weight: ArrayLike | None = None
) -> jax.Array:
    """How often the true class is among the k with the highest scores, of equal scores the first.

    Args:
        input: scores of the classes.
        target: true labels, of an integer dtype.
        k: how many of the best count.
        sample_weight: the weight of each row; a mask too.

    Shape:
        - input: ``(N, C)``
        - target: ``(N,)``
        - Returns: ``()``

    Returns:
        a number in [0, 1]; NaN if no row counts.

    Raises:
        ValueError: if the shapes do not go together or k is below 1.
        IndexError: if a label is out of range; one that is traced counts as not found.

    Source: https://scikit-learn.org/stable/modules/generated/sklearn.metrics.top_k_accuracy_score.html

    Example:
        >>> import jax.numpy as jnp
        >>> float(top_k_accuracy(jnp.array([[0.1, 0.3, 0.6], [0.2, 0.3, 0.5]]), jnp.array([1, 0]), k=2))
        0.5
    """
    right, total = top_k_hits("top_k_accuracy", input, target, k, sample_weight)
    return right / total


def confusion_counts(
    function: str,
    input: ArrayLike,
    target: ArrayLike,
    num_classes: int,
    threshold: float,
    sample_weight: ArrayLike | None,
) -> jax.Array:
    """The weight of each pair of a true (rows) and a predicted class (columns)."""
    size = as_int(function, "num_classes", num_classes, 1)
    x, y = predictions(function, input, target, size)
    return _confusion(x, y, threshold, check_weight(function, sample_weight, y.shape), size)


@functools.partial(jax.jit, static_argnames="size")
def _confusion(x: Any, y: Any, threshold: Any, weight: Any, size: int) -> jax.Array:
    predicted, true = labels(x, y, threshold)
    inside = (predicted >= 0) & (predicted < size) & (true >= 0) & (true < size)
    cell = jnp.where(inside, true * size + predicted, -1)
    return by_class(cell, size * size, spread(weight, true.shape)).reshape(size, size)


def normalized(matrix: jax.Array, normalize: Literal["true", "pred", "all"] | None) -> jax.Array:
    """A confusion matrix whose rows, columns or whole sum to 1; what sums to 0 stays."""
    if normalize is None:
        return matrix
    axis = {"true": 1, "pred": 0, "all": None}[normalize]
    return rate(matrix, matrix.sum(axis, keepdims=True))


def confusion_matrix(
    input: ArrayLike,
    target: ArrayLike,
    num_classes: int,
    *,
    normalize: Literal["true", "pred", "all"] | None = None,
    threshold: float = 0.5,
    sample_weight: ArrayLike | None = None,
) -> jax.Array:
    """How often each class is taken for each: entry ``[i, j]`` is the weight of the predictions j where i is true.

    Args:
        input: scores of the classes on axis 1, labels, or scores of class 1.
        target: true labels, of an integer or bool dtype.
        num_classes: how many classes there are.
        normalize: what is to sum to 1: ``"true"`` the rows, ``"pred"`` the columns, ``"all"`` the whole.
        threshold: from which score on class 1 is predicted, where the scores have the shape of the target.
        sample_weight: the weight of each prediction, or of each row; a mask too.

    Shape:
        - input: ``(N, C, *)`` or ``(N, *)``
        - target: ``(N, *)``
        - Returns: ``(C, C)``

    Returns:
        the matrix, of integers unless ``normalize`` or ``sample_weight`` other than a mask is given.

    Raises:
        ValueError: if the shapes do not go together.
        IndexError: if a label is out of range; one that is traced counts nowhere.

    Source: https://scikit-learn.org/stable/modules/generated/sklearn.metrics.confusion_matrix.html

    Example:
        >>> import jax.numpy as jnp
        >>> confusion_matrix(jnp.array([0, 1, 1]), jnp.array([0, 0, 1]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    check_choice("confusion_matrix", "normalize", normalize, ("true", "pred", "all", None))
    matrix = confusion_counts("confusion_matrix", input, target, num_classes, threshold, sample_weight)
    if normalize is not None:
        return normalized(matrix, normalize)
    whole = sample_weight is None or as_array("confusion_matrix", "sample_weight", sample_weight).dtype == bool
    return matrix.astype(jnp.int32) if whole else matrix


class Counts(NamedTuple):
    """Of each class, the weight of the predictions of it that are right, of all predictions of it, and of what it truly is."""

    right: jax.Array
    predicted: jax.Array
    true: jax.Array


def counts(
    function: str,
    input: ArrayLike,
    target: ArrayLike,
    num_classes: int | None,
    average: Average,
    threshold: float,
    multilabel: bool,
    sample_weight: ArrayLike | None,
) -> Counts:
    """The counts of all classes, from which precision, recall and F1 come."""
    size = check_classes(function, num_classes, average, multilabel)
    x, y = predictions(function, input, target, None if multilabel else size)
    if multilabel:
        check_shape(function, "target", y, (None, size), "(rows, labels) with multilabel")
    return _counts(x, y, threshold, check_weight(function, sample_weight, y.shape), size, multilabel)


@functools.partial(jax.jit, static_argnames=("size", "multilabel"))
def _counts(x: Any, y: Any, threshold: Any, weight: Any, size: int, multilabel: bool) -> Counts:
    predicted, true = labels(x, y, threshold)
    weight = spread(weight, true.shape)
    if not multilabel:
        right = jnp.where(predicted == true, weight, 0)
        return Counts(*(by_class(i, size, w) for i, w in ((true, right), (predicted, weight), (true, weight))))
    yes, held = predicted != 0, true != 0
    return Counts(*(jnp.where(which, weight, 0).sum(0) for which in (yes & held, yes, held)))


def precision_of(c: Counts, average: Average) -> jax.Array:
    """Precision from counts."""
    return _average(c, average, c.right, c.predicted)


def recall_of(c: Counts, average: Average) -> jax.Array:
    """Recall from counts."""
    return _average(c, average, c.right, c.true)


def f1_of(c: Counts, average: Average) -> jax.Array:
    """F1 from counts."""
    return _average(c, average, 2 * c.right, c.predicted + c.true)


@functools.partial(jax.jit, static_argnames="average")
def _average(c: Counts, average: Average, numerator: jax.Array, denominator: jax.Array) -> jax.Array:
    if average == "micro":
        return rate(numerator.sum(), denominator.sum())
    each = rate(numerator, denominator)
    if average == "binary":
        return each[1]
    if average in ("none", None):
        return each
    return averaged(each, class_weights(average, c.true, c.predicted + c.true > 0))


def precision(
    input: ArrayLike,
    target: ArrayLike,
    num_classes: int | None = None,
    *,
    average: Average = "macro",
    threshold: float = 0.5,
    multilabel: bool = False,
    sample_weight: ArrayLike | None = None,
) -> jax.Array:
    r"""How many of the predictions of a class are right.

    .. math:: \frac{TP}{TP + FP}

    0 where a class is never predicted. ``"macro"`` is the mean over the classes that occur in target or predictions.

    Args:
        input: scores of the classes on axis 1, labels, or scores of class 1 (with ``multilabel``, of each label).
        target: true labels, of an integer or bool dtype; with ``multilabel``, for each label if it holds.
        num_classes: how many classes, or labels, there are; may be left out with ``average="binary"``.
        average: ``"binary"`` the value of class 1 of two; ``"micro"`` of all decisions together; ``"macro"`` the mean over
            classes; ``"weighted"`` the mean by how often they are true; ``"none"`` or ``None`` all of them.
        threshold: from which score on class 1 is predicted, where the scores have the shape of the target.
        multilabel: whether each row of the target says of each of many labels if it holds.
        sample_weight: the weight of each prediction, or of each row; a mask too.

    Shape:
        - input: ``(N, C, *)`` or ``(N, *)``; with ``multilabel`` ``(N, L)``
        - target: ``(N, *)``; with ``multilabel`` ``(N, L)``
        - Returns: ``()``, or ``(C,)`` without an average

    Returns:
        a number in [0, 1], or one of each class.

    Raises:
        ValueError: if shapes or arguments do not go together.
        IndexError: if a label is out of range; one that is traced counts nowhere.

    Source: https://scikit-learn.org/stable/modules/generated/sklearn.metrics.precision_score.html

    Example:
        >>> import jax.numpy as jnp
        >>> float(precision(jnp.array([1, 1, 0]), jnp.array([1, 0, 0]), average="binary"))
        0.5
    """
    c = counts("precision", input, target, num_classes, average, threshold, multilabel, sample_weight)
    return precision_of(c, average)


def recall(
    input: ArrayLike,
    target: ArrayLike,
    num_classes: int | None = None,
    *,
    average: Average = "macro",
    threshold: float = 0.5,
    multilabel: bool = False,
    sample_weight: ArrayLike | None = None,
) -> jax.Array:
    r"""How much of what is truly of a class is found.

    .. math:: \frac{TP}{TP + FN}

    0 where a class is never true. ``"macro"`` is the mean over the classes that occur in target or predictions.

    Args:
        input: scores of the classes on axis 1, labels, or scores of class 1 (with ``multilabel``, of each label).
        target: true labels, of an integer or bool dtype; with ``multilabel``, for each label if it holds.
        num_classes: how many classes, or labels, there are; may be left out with ``average="binary"``.
        average: as of ``precision``.
        threshold: from which score on class 1 is predicted, where the scores have the shape of the target.
        multilabel: whether each row of the target says of each of many labels if it holds.
        sample_weight: the weight of each prediction, or of each row; a mask too.

    Shape:
        - input: ``(N, C, *)`` or ``(N, *)``; with ``multilabel`` ``(N, L)``
        - target: ``(N, *)``; with ``multilabel`` ``(N, L)``
        - Returns: ``()``, or ``(C,)`` without an average

    Returns:
        a number in [0, 1], or one of each class.

    Raises:
        ValueError: if shapes or arguments do not go together.
        IndexError: if a label is out of range; one that is traced counts nowhere.

    Source: https://scikit-learn.org/stable/modules/generated/sklearn.metrics.recall_score.html

    Example:
        >>> import jax.numpy as jnp
        >>> recall(jnp.array([1, 1, 0]), jnp.array([1, 0, 0]), 2, average=None).tolist()
        [0.5, 1.0]
    """
    c = counts("recall", input, target, num_classes, average, threshold, multilabel, sample_weight)
    return recall_of(c, average)


def f1_score(
    input: ArrayLike,
    target: ArrayLike,
    num_classes: int | None = None,
    *,
    average: Average = "macro",
    threshold: float = 0.5,
    multilabel: bool = False,
    sample_weight: ArrayLike | None = None,
) -> jax.Array:
    r"""The harmonic mean of precision and recall.

    .. math:: \frac{2 TP}{2 TP + FP + FN}

    0 where a class is neither predicted nor true. ``"macro"`` is the mean over the classes that occur in target or predictions.

    Args:
        input: scores of the classes on axis 1, labels, or scores of class 1 (with ``multilabel``, of each label).
        target: true labels, of an integer or bool dtype; with ``multilabel``, for each label if it holds.
        num_classes: how many classes, or labels, there are; may be left out with ``average="binary"``.
        average: as of ``precision``.
        threshold: from which score on class 1 is predicted, where the scores have the shape of the target.
        multilabel: whether each row of the target says of each of many labels if it holds.
        sample_weight: the weight of each prediction, or of each row; a mask too.

    Shape:
        - input: ``(N, C, *)`` or ``(N, *)``; with ``multilabel`` ``(N, L)``
        - target: ``(N, *)``; with ``multilabel`` ``(N, L)``
        - Returns: ``()``, or ``(C,)`` without an average

    Returns:
        a number in [0, 1], or one of each class.

    Raises:
        ValueError: if shapes or arguments do not go together.
        IndexError: if a label is out of range; one that is traced counts nowhere.

    Source: https://scikit-learn.org/stable/modules/generated/sklearn.metrics.f1_score.html

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(f1_score(jnp.array([1, 1, 0]), jnp.array([1, 0, 0]), average="binary")), 4)
        0.6667
    """
    c = counts("f1_score", input, target, num_classes, average, threshold, multilabel, sample_weight)
    return f1_of(c, average)

"""Accuracy, precision, recall, F1 and the confusion matrix of many batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import jax

from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import as_int, check_choice
from fnn.metrics.classification import (
    Counts,
    confusion_counts,
    counts,
    f1_of,
    hits,
    normalized,
    precision_of,
    recall_of,
    top_k_hits,
)
from fnn.metrics.common import Average, check_classes
from fnn.metrics.metric import Sums

__all__ = ["Accuracy", "ConfusionMatrix", "F1Score", "Precision", "Recall", "TopKAccuracy"]


class _Hits(Sums):
    def zeros(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the sums."""
        return {"right": (), "weight": ()}

    def value(self, sums: Mapping[str, jax.Array]) -> jax.Array:
        """The share of what is right; NaN if nothing counts."""
        return sums["right"] / sums["weight"]


class Accuracy(_Hits):
    """``accuracy`` of all batches together.

    Args:
        threshold: as of ``accuracy``.
        multilabel: as of ``accuracy``.

    Source: https://scikit-learn.org/stable/modules/generated/sklearn.metrics.accuracy_score.html

    Example:
        >>> import jax.numpy as jnp
        >>> metric = Accuracy()
        >>> metric.update(jnp.array([[0.1, 0.9], [0.8, 0.2]]), jnp.array([1, 1]))
        >>> metric.update(jnp.array([[0.1, 0.9], [0.8, 0.2]]), jnp.array([1, 0]))
        >>> float(metric.compute())
        0.75
    """

    def __init__(self, threshold: float = 0.5, multilabel: bool = False) -> None:
        self.threshold: float = threshold
        self.multilabel: bool = multilabel
        super().__init__()

    def terms(
        self, input: ArrayLike, target: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Mapping[str, jax.Array]:
        """What a batch adds; the arguments are those of ``accuracy``."""
        right, weight = hits("Accuracy", input, target, self.threshold, self.multilabel, sample_weight)
        return {"right": right, "weight": weight}


class TopKAccuracy(_Hits):
    """``top_k_accuracy`` of all batches together.

    Args:
        k: how many of the best count.

    Raises:
        ValueError: if it is below 1.

    Source: https://scikit-learn.org/stable/modules/generated/sklearn.metrics.top_k_accuracy_score.html

    Example:
        >>> import jax.numpy as jnp
        >>> metric = TopKAccuracy(k=2)
        >>> metric.update(jnp.array([[0.1, 0.3, 0.6], [0.2, 0.3, 0.5]]), jnp.array([1, 0]))
        >>> float(metric.compute())
        0.5
    """

    def __init__(self, k: int = 5) -> None:
        self.k: int = as_int("TopKAccuracy", "k", k, 1)
        super().__init__()

    def terms(
        self, input: ArrayLike, target: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Mapping[str, jax.Array]:
        """What a batch adds; the arguments are those of ``top_k_accuracy``."""
        right, weight = top_k_hits("TopKAccuracy", input, target, self.k, sample_weight)
        return {"right": right, "weight": weight}


class ConfusionMatrix(Sums):
    """``confusion_matrix`` of all batches together, of floating numbers.

    Args:
        num_classes: how many classes there are.
        normalize: as of ``confusion_matrix``.
        threshold: as of ``confusion_matrix``.

    Raises:
        ValueError: if an argument is out of range.

    Source: https://scikit-learn.org/stable/modules/generated/sklearn.metrics.confusion_matrix.html

    Example:
        >>> import jax.numpy as jnp
        >>> metric = ConfusionMatrix(2)
        >>> metric.update(jnp.array([0, 1, 1]), jnp.array([0, 0, 1]))
        >>> metric.compute().tolist()
        [[1.0, 1.0], [0.0, 1.0]]
    """

    def __init__(
        self, num_classes: int, normalize: Literal["true", "pred", "all"] | None = None, threshold: float = 0.5
    ) -> None:
        check_choice("ConfusionMatrix", "normalize", normalize, ("true", "pred", "all", None))
        self.num_classes: int = as_int("ConfusionMatrix", "num_classes", num_classes, 1)
        self.normalize: Literal["true", "pred", "all"] | None = normalize
        self.threshold: float = threshold
        super().__init__()

    def zeros(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the sums."""
        return {"matrix": (self.num_classes, self.num_classes)}

    def terms(
        self, input: ArrayLike, target: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Mapping[str, jax.Array]:
        """What a batch adds; the arguments are those of ``confusion_matrix``."""
        matrix = confusion_counts("ConfusionMatrix", input, target, self.num_classes, self.threshold, sample_weight)
        return {"matrix": matrix}

    def value(self, sums: Mapping[str, jax.Array]) -> jax.Array:
        """The matrix."""
        return normalized(sums["matrix"], self.normalize)


class _Counted(Sums):
    def __init__(
        self,
        num_classes: int | None = None,
        average: Average = "macro",
        threshold: float = 0.5,
        multilabel: bool = False,
    ) -> None:
        self.num_classes: int = check_classes(type(self).__name__, num_classes, average, multilabel)
        self.average: Average = average
        self.threshold: float = threshold
        self.multilabel: bool = multilabel
        super().__init__()

    def zeros(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the sums."""
        return dict.fromkeys(Counts._fields, (self.num_classes,))

    def terms(
        self, input: ArrayLike, target: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Mapping[str, jax.Array]:
        """What a batch adds; the arguments are those of ``precision``."""
        size, name = self.num_classes, type(self).__name__
        found = counts(name, input, target, size, self.average, self.threshold, self.multilabel, sample_weight)
        return found._asdict()


class Precision(_Counted):
    """``precision`` of all batches together.

    Args:
        num_classes: how many classes, or labels, there are; may be left out with ``average="binary"``.
        average: as of ``precision``.
        threshold: as of ``precision``.
        multilabel: as of ``precision``.

    Raises:
        ValueError: if the arguments do not go together.

    Source: https://scikit-learn.org/stable/modules/generated/sklearn.metrics.precision_score.html

    Example:
        >>> import jax.numpy as jnp
        >>> metric = Precision(average="binary")
        >>> metric.update(jnp.array([1, 1, 0]), jnp.array([1, 0, 0]))
        >>> float(metric.compute())
        0.5
    """

    def value(self, sums: Mapping[str, jax.Array]) -> jax.Array:
        """The precision."""
        return precision_of(Counts(**sums), self.average)


class Recall(_Counted):
    """``recall`` of all batches together.

    Args:
        num_classes: how many classes, or labels, there are; may be left out with ``average="binary"``.
        average: as of ``precision``.
        threshold: as of ``precision``.
        multilabel: as of ``precision``.

    Raises:
        ValueError: if the arguments do not go together.

    Source: https://scikit-learn.org/stable/modules/generated/sklearn.metrics.recall_score.html

    Example:
        >>> import jax.numpy as jnp
        >>> metric = Recall(2, average=None)
        >>> metric.update(jnp.array([1, 1, 0]), jnp.array([1, 0, 0]))
        >>> metric.compute().tolist()
        [0.5, 1.0]
    """

    def value(self, sums: Mapping[str, jax.Array]) -> jax.Array:
        """The recall."""
        return recall_of(Counts(**sums), self.average)


class F1Score(_Counted):
    """``f1_score`` of all batches together.

    Args:
        num_classes: how many classes, or labels, there are; may be left out with ``average="binary"``.
        average: as of ``precision``.
        threshold: as of ``precision``.
        multilabel: as of ``precision``.

    Raises:
        ValueError: if the arguments do not go together.

    Source: https://scikit-learn.org/stable/modules/generated/sklearn.metrics.f1_score.html

    Example:
        >>> import jax.numpy as jnp
        >>> metric = F1Score(average="binary")
        >>> metric.update(jnp.array([1, 1, 0]), jnp.array([1, 0, 0]))
        >>> round(float(metric.compute()), 4)
        0.6667
    """

    def value(self, sums: Mapping[str, jax.Array]) -> jax.Array:
        """The F1 score."""
        return f1_of(Counts(**sums), self.average)

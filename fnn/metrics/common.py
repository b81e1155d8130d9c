"""What metrics share: how predictions are read, weights, and averages over classes."""

from __future__ import annotations

from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp

from fnn.functional.arrays import ArrayLike, widen
from fnn.functional.checks import as_array, as_int, check_choice, check_index_range, check_shape, fail

__all__ = [
    "Average",
    "averaged",
    "by_class",
    "check_classes",
    "check_weight",
    "class_weights",
    "labels",
    "predictions",
    "rate",
    "real",
    "spread",
]

Average: TypeAlias = Literal["binary", "micro", "macro", "weighted", "none"] | None
"""How the values of classes become one: that of class 1, of all decisions together, mean, mean by support; ``None`` for all."""


def real(x: jax.Array) -> jax.Array:
    """Numbers in the floating dtype in which metrics are computed."""
    return widen(x) if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jax.dtypes.canonicalize_dtype(float))


def predictions(
    function: str, input: ArrayLike, target: ArrayLike, num_classes: int | None = None
) -> tuple[jax.Array, jax.Array]:
    """Predictions and true labels, checked."""
    x, y = as_array(function, "input", input), as_array(function, "target", target)
    if not (jnp.issubdtype(y.dtype, jnp.integer) or y.dtype == bool):
        fail(TypeError, function, "target", "of an integer or bool dtype", y)
    if x.ndim == y.ndim + 1:
        check_shape(
            function, "input", x, (*y.shape[:1], num_classes, *y.shape[1:]), "(the target's, classes on axis 1)"
        )
    else:
        check_shape(function, "input", x, y.shape, "(the target's), or that with the classes on axis 1")
    if num_classes is not None:
        check_index_range(function, "target", y, num_classes)
    return x, y


def labels(x: jax.Array, y: jax.Array, threshold: float | jax.Array) -> tuple[jax.Array, jax.Array]:
    """Predicted and true labels.

    Scores with one axis more than the target have the classes on axis 1, of which the best counts, the first among equals.
    Floating scores of the target's shape stand for class 1 from the threshold on. What is left are labels.
    """
    if x.ndim == y.ndim + 1:
        predicted = jnp.argmax(x, axis=1)
    else:
        predicted = x >= threshold if jnp.issubdtype(x.dtype, jnp.floating) else x
    return predicted.astype(jnp.int32), y.astype(jnp.int32)


def check_weight(function: str, sample_weight: ArrayLike | None, shape: tuple[int, ...]) -> jax.Array | None:
    """The weight of each prediction, or of each row; a mask is one of zeros and ones."""
    if sample_weight is None:
        return None
    w = as_array(function, "sample_weight", sample_weight)
    if w.ndim > len(shape) or w.shape != shape[: w.ndim]:
        shapes = dict.fromkeys((str(list(shape)), str(list(shape[:1]))))
        fail(ValueError, function, "sample_weight", f"of shape {' or '.join(shapes)}", w)
    return w


def spread(w: jax.Array | None, shape: tuple[int, ...]) -> jax.Array:
    """A weight for each prediction; that of a row holds for all of the row."""
    if w is None:
        return jnp.ones(shape, jax.dtypes.canonicalize_dtype(float))
    return jnp.broadcast_to(real(w).reshape(w.shape + (1,) * (len(shape) - w.ndim)), shape)


def by_class(index: jax.Array, num_classes: int, weight: jax.Array) -> jax.Array:
    """The summed weight of each class; an index out of range counts nowhere."""
    index = jnp.where(index < 0, num_classes, index).reshape(-1)
    return jnp.zeros(num_classes, weight.dtype).at[index].add(weight.reshape(-1), mode="drop")


def rate(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
    """The quotient; 0 where there is nothing to divide by."""
    return jnp.where(denominator > 0, numerator / jnp.where(denominator > 0, denominator, 1), 0)


def class_weights(average: Average, support: jax.Array, present: jax.Array) -> jax.Array:
    """How much each class counts in an average."""
    return support if average == "weighted" else present.astype(support.dtype)


def averaged(values: jax.Array, weight: jax.Array) -> jax.Array:
    """The weighted mean; 0 where nothing counts."""
    return rate((values * weight).sum(), weight.sum())


def check_classes(function: str, num_classes: int | None, average: Average, multilabel: bool) -> int:
    """The number of classes, which must be known without looking at the values."""
    check_choice(function, "average", average, ("binary", "micro", "macro", "weighted", "none", None))
    if average == "binary":
        if multilabel:
            fail(ValueError, function, "average", "micro, macro, weighted or none with multilabel", average)
        if num_classes not in (None, 2):
            fail(ValueError, function, "num_classes", "2 with average='binary'", num_classes)
        return 2
    if num_classes is None:
        fail(ValueError, function, "num_classes", "given unless average is 'binary'", None)
    return as_int(function, "num_classes", num_classes, 1)

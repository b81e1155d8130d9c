"""Weighted means, and perplexity, which is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import as_array, as_int, check_floating, check_index_range, check_rank, check_shape, fail
from fnn.metrics.common import check_weight, real, spread
from fnn.metrics.metric import Sums

__all__ = ["Mean", "Perplexity", "mean", "perplexity"]


def _weighted(function: str, input: ArrayLike, sample_weight: ArrayLike | None) -> tuple[jax.Array, jax.Array]:
    """The weighted sum, and the sum of weights; what has weight 0 may be NaN."""
    x = as_array(function, "input", input)
    return _sums(x, check_weight(function, sample_weight, x.shape))


@jax.jit
def _sums(x: Any, weight: Any) -> tuple[jax.Array, jax.Array]:
    x, weight = real(x), spread(weight, x.shape)
    return jnp.where(weight == 0, 0, x * weight).sum(), weight.sum()


def mean(input: ArrayLike, *, sample_weight: ArrayLike | None = None) -> jax.Array:
    r"""The mean of numbers: :math:`\sum_i w_i x_i / \sum_i w_i`.

    Args:
        input: the numbers, such as losses.
        sample_weight: the weight of each number, or of each row; a mask too. Numbers of weight 0 may be NaN.

    Shape:
        - input: ``(*)``
        - Returns: ``()``

    Returns:
        the mean; NaN if nothing counts.

    Raises:
        ValueError: if the weights have another shape.

    Source: https://numpy.org/doc/stable/reference/generated/numpy.average.html

    Example:
        >>> import jax.numpy as jnp
        >>> float(mean(jnp.array([1.0, 2.0, jnp.nan]), sample_weight=jnp.array([1, 3, 0])))
        1.75
    """
    x, weight = _weighted("mean", input, sample_weight)
    return x / weight


def _surprise(
    function: str, input: ArrayLike, target: ArrayLike, ignore_index: int, sample_weight: ArrayLike | None
) -> tuple[jax.Array, jax.Array]:
    """The weighted sum of the negative log probabilities of the targets, and of the weights."""
    x, y = as_array(function, "input", input), as_array(function, "target", target)
    check_floating(function, input=x)
    if not jnp.issubdtype(y.dtype, jnp.integer):
        fail(TypeError, function, "target", "of an integer dtype", y)
    check_rank(function, "input", x, y.ndim + 1)
    check_shape(function, "input", x, (*y.shape[:1], None, *y.shape[1:]), "(the target's, classes on axis 1)")
    ignore_index = as_int(function, "ignore_index", ignore_index)
    check_index_range(function, "target", y, x.shape[1], ignore_index)
    return _surprises(x, y, ignore_index, check_weight(function, sample_weight, y.shape))


@jax.jit
def _surprises(x: Any, y: Any, ignore_index: Any, weight: Any) -> tuple[jax.Array, jax.Array]:
    weight = jnp.where(y == ignore_index, 0, spread(weight, y.shape))
    inside = (y >= 0) & (y < x.shape[1])
    chosen = jnp.take_along_axis(jax.nn.log_softmax(real(x), 1), jnp.where(inside, y, 0)[:, None], 1)[:, 0]
    surprise = jnp.where(inside, -chosen, jnp.nan)
    return jnp.where(weight == 0, 0, surprise * weight).sum(), weight.sum()


def perplexity(
    input: ArrayLike, target: ArrayLike, *, ignore_index: int = -100, sample_weight: ArrayLike | None = None
) -> jax.Array:
    r"""How many equally likely tokens the predictions amount to: :math:`\exp(-\frac{1}{W} \sum_i w_i \log p_i(y_i))`.

    Args:
        input: logits with the classes on axis 1, as of ``F.cross_entropy``.
        target: the tokens, of an integer dtype.
        ignore_index: the token that does not count.
        sample_weight: the weight of each token, or of each row; a mask too.

    Shape:
        - input: ``(N, C, *)``
        - target: ``(N, *)``
        - Returns: ``()``

    Returns:
        a number from 1 on; NaN if no token counts.

    Raises:
        ValueError: if the shapes do not go together.
        TypeError: if logits or tokens are of another dtype.
        IndexError: if a token is out of range; one that is traced makes the result NaN.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.cross_entropy.html

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(perplexity(jnp.zeros((3, 8)), jnp.array([1, 7, -100]))), 4)
        8.0
    """
    surprise, weight = _surprise("perplexity", input, target, ignore_index, sample_weight)
    return jnp.exp(surprise / weight)


class Mean(Sums):
    """The mean of all numbers so far, with an error that does not grow with their count.

    Source: https://numpy.org/doc/stable/reference/generated/numpy.average.html

    Example:
        >>> import jax.numpy as jnp
        >>> loss = Mean()
        >>> loss.update(jnp.array(2.0), 64)
        >>> loss.update(jnp.array(1.0), 32)
        >>> round(float(loss.compute()), 4)
        1.6667
    """

    def zeros(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the sums."""
        return {"sum": (), "weight": ()}

    def terms(self, input: ArrayLike, sample_weight: ArrayLike | None = None) -> Mapping[str, jax.Array]:
        """What numbers, with the weights of all or of each, add."""
        x, weight = _weighted("Mean", input, sample_weight)
        return {"sum": x, "weight": weight}

    def value(self, sums: Mapping[str, jax.Array]) -> jax.Array:
        """The mean; NaN if nothing counts."""
        return sums["sum"] / sums["weight"]


class Perplexity(Sums):
    """``perplexity`` of all batches together.

    Args:
        ignore_index: the token that does not count.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.cross_entropy.html

    Example:
        >>> import jax.numpy as jnp
        >>> metric = Perplexity()
        >>> metric.update(jnp.zeros((3, 8)), jnp.array([1, 7, -100]))
        >>> round(float(metric.compute()), 4)
        8.0
    """

    def __init__(self, ignore_index: int = -100) -> None:
        self.ignore_index: int = as_int("Perplexity", "ignore_index", ignore_index)
        super().__init__()

    def zeros(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the sums."""
        return {"surprise": (), "weight": ()}

    def terms(
        self, input: ArrayLike, target: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Mapping[str, jax.Array]:
        """What the tokens of a batch add; the arguments are those of ``perplexity``."""
        surprise, weight = _surprise("Perplexity", input, target, self.ignore_index, sample_weight)
        return {"surprise": surprise, "weight": weight}

    def value(self, sums: Mapping[str, jax.Array]) -> jax.Array:
        """The perplexity; NaN if no token counts."""
        return jnp.exp(sums["surprise"] / sums["weight"])

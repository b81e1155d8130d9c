"""Losses of predicted classes."""

from __future__ import annotations

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.loss.base import _WeightedLoss
from fnn.stateful.warning import warn

__all__ = ["CrossEntropyLoss", "NLLLoss", "NLLLoss2d"]


class NLLLoss(_WeightedLoss):
    r"""The negative log-likelihood of classes, from log-probabilities.

    .. math:: l_n = -w_{y_n}\, x_{n, y_n}

    The "mean" divides the sum by the sum of the weights w of the targets. ``CrossEntropyLoss`` takes logits.

    Args:
        weight: w, one factor for each class; ``None`` is 1.
        size_average: deprecated in torch; false makes the reduction "sum".
        ignore_index: a target whose positions count for nothing.
        reduce: deprecated in torch; false makes the reduction "none"; if either is given, ``reduction`` counts for nothing.
        reduction: "mean" for the mean of the losses, "sum" for their sum, "none" for each by itself.

    Attributes:
        weight (Buffer | None): (C).

    Shape:
        - input: (N, C, *) or (C).
        - target: (N, *) or (), of class numbers from 0 to C - 1.
        - output: (), or as target with reduction "none".

    Raises:
        TypeError: if class numbers are no integers.
        ValueError: if ``reduction`` is unknown, or the shapes of the call do not fit.
        IndexError: if a class number whose value can be read is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.NLLLoss.html

    Example:
        >>> import numpy as np
        >>> float(NLLLoss()(np.array([[-1.0, -2.0]]), np.array([1])))
        2.0
    """

    def __init__(
        self,
        weight: ArrayLike | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: ArrayLike, target: ArrayLike) -> jax.Array:
        """The loss.

        Args:
            input: log-probabilities of the classes.
            target: class numbers.

        Returns:
            a scalar, or with reduction "none" an array of the shape of the target.
        """
        return F.nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class NLLLoss2d(NLLLoss):
    """Deprecated name of ``NLLLoss``; making one warns.

    Args:
        weight: one factor for each class; ``None`` is 1.
        size_average: deprecated in torch; false makes the reduction "sum".
        ignore_index: a target whose positions count for nothing.
        reduce: deprecated in torch; false makes the reduction "none"; if either is given, ``reduction`` counts for nothing.
        reduction: "mean" for the mean of the losses, "sum" for their sum, "none" for each by itself.

    Attributes:
        weight (Buffer | None): (C).

    Shape:
        - input: (N, C, *) or (C).
        - target: (N, *) or (), of class numbers.
        - output: (), or as target with reduction "none".

    Raises:
        TypeError: if class numbers are no integers.
        ValueError: if ``reduction`` is unknown, or the shapes of the call do not fit.
        IndexError: if a class number whose value can be read is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.NLLLoss.html

    Example:
        >>> import warnings
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     NLLLoss2d()
        NLLLoss2d()
    """

    def __init__(
        self,
        weight: ArrayLike | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        warn("`NLLLoss2d` has been deprecated: use `NLLLoss` in its place", FutureWarning)
        super().__init__(weight, size_average, ignore_index, reduce, reduction)


class CrossEntropyLoss(_WeightedLoss):
    r"""The cross entropy of logits with classes, or with class probabilities.

    .. math:: l_n = -w_{y_n} \log \frac{e^{x_{n, y_n}}}{\sum_c e^{x_{n, c}}}
              \quad \text{or} \quad l_n = -\sum_c w_c\, p_{n, c} \log \frac{e^{x_{n, c}}}{\sum_{c'} e^{x_{n, c'}}}

    for class numbers y or probabilities p. With class numbers the "mean" divides the sum by the sum of their weights w,
    with probabilities by the number of positions.

    Args:
        weight: w, one factor for each class; ``None`` is 1.
        size_average: deprecated in torch; false makes the reduction "sum".
        ignore_index: a class number whose positions count for nothing.
        reduce: deprecated in torch; false makes the reduction "none"; if either is given, ``reduction`` counts for nothing.
        reduction: "mean" for the mean of the losses, "sum" for their sum, "none" for each by itself.
        label_smoothing: share of the uniform distribution that is mixed into the target, from 0 to 1.

    Attributes:
        weight (Buffer | None): (C).

    Shape:
        - input: (N, C, *) or (C).
        - target: (N, *) or () of class numbers from 0 to C - 1; or as input, of probabilities.
        - output: (), or (N, *) with reduction "none".

    Raises:
        TypeError: if class numbers are no integers.
        ValueError: if ``reduction`` is unknown, or the shapes of the call do not fit.
        IndexError: if a class number whose value can be read is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.CrossEntropyLoss.html; Szegedy et al.,
    Rethinking the Inception Architecture (2015), https://arxiv.org/abs/1512.00567, for label smoothing

    Example:
        >>> import numpy as np
        >>> round(float(CrossEntropyLoss()(np.array([[0.1, 0.8, 0.1]]), np.array([1]))), 4)
        0.6897
    """

    def __init__(
        self,
        weight: ArrayLike | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: ArrayLike, target: ArrayLike) -> jax.Array:
        """The loss.

        Args:
            input: logits of the classes.
            target: class numbers, or probabilities of the classes.

        Returns:
            a scalar, or with reduction "none" one number for each position.
        """
        return F.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )

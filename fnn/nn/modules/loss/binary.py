"""Losses of yes-or-no predictions."""

from __future__ import annotations

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.loss.base import _Loss, _WeightedLoss
from fnn.nn.parameter import OptionalBuffer

__all__ = ["BCELoss", "BCEWithLogitsLoss", "MultiLabelSoftMarginLoss", "SoftMarginLoss"]


class BCELoss(_WeightedLoss):
    r"""Binary cross entropy of probabilities.

    .. math:: l = -w \left( y \log x + (1 - y) \log(1 - x) \right)

    for each element x of the input and y of the target; the logarithms are kept at -100 or more.
    ``BCEWithLogitsLoss`` is more accurate where the probabilities come from a sigmoid.

    Args:
        weight: w, one factor for each element or a shape that broadcasts to the input's; ``None`` is 1.
        size_average: deprecated in torch; false makes the reduction "sum".
        reduce: deprecated in torch; false makes the reduction "none"; if either is given, ``reduction`` counts for nothing.
        reduction: "mean" for the mean of the losses, "sum" for their sum, "none" for each by itself.

    Attributes:
        weight (Buffer | None): w.

    Shape:
        - input: (*).
        - target: (*), as input.
        - output: (), or (*) with reduction "none".

    Raises:
        ValueError: if ``reduction`` is unknown, or the shapes of the call differ.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.BCELoss.html

    Example:
        >>> import numpy as np
        >>> round(float(BCELoss()(np.array([0.5]), np.array([1.0]))), 4)
        0.6931
    """

    def forward(self, input: ArrayLike, target: ArrayLike) -> jax.Array:
        """The loss.

        Args:
            input: probabilities, from 0 to 1.
            target: the wanted probabilities, from 0 to 1.

        Returns:
            a scalar, or with reduction "none" an array of the shape of the input.
        """
        return F.binary_cross_entropy(input, target, weight=self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_Loss):
    r"""Binary cross entropy of the sigmoid of logits, in one stable formula.

    .. math:: l = -w \left( p\, y \log \sigma(x) + (1 - y) \log(1 - \sigma(x)) \right)

    Args:
        weight: w, one factor for each element or a shape that broadcasts to the input's; ``None`` is 1.
        size_average: deprecated in torch; false makes the reduction "sum".
        reduce: deprecated in torch; false makes the reduction "none"; if either is given, ``reduction`` counts for nothing.
        reduction: "mean" for the mean of the losses, "sum" for their sum, "none" for each by itself.
        pos_weight: p, factor of the positive part, of a shape that broadcasts to the target's; ``None`` is 1.

    Attributes:
        weight (Buffer | None): w.
        pos_weight (Buffer | None): p.

    Shape:
        - input: (*).
        - target: (*), as input.
        - output: (), or (*) with reduction "none".

    Raises:
        ValueError: if ``reduction`` is unknown, or the shapes of the call differ.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.BCEWithLogitsLoss.html

    Example:
        >>> import numpy as np
        >>> round(float(BCEWithLogitsLoss()(np.array([0.0]), np.array([1.0]))), 4)
        0.6931
    """

    weight: OptionalBuffer
    pos_weight: OptionalBuffer

    def __init__(
        self,
        weight: ArrayLike | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: ArrayLike | None = None,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: ArrayLike, target: ArrayLike) -> jax.Array:
        """The loss.

        Args:
            input: logits: real numbers, of which the sigmoid is the probability.
            target: the wanted probabilities, from 0 to 1.

        Returns:
            a scalar, or with reduction "none" an array of the shape of the input.
        """
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, pos_weight=self.pos_weight, reduction=self.reduction
        )


class SoftMarginLoss(_Loss):
    r"""The logistic loss of scores, for targets 1 and -1.

    .. math:: l = \log(1 + e^{-y x})

    Args:
        size_average: deprecated in torch; false makes the reduction "sum".
        reduce: deprecated in torch; false makes the reduction "none"; if either is given, ``reduction`` counts for nothing.
        reduction: "mean" for the mean of the losses, "sum" for their sum, "none" for each by itself.

    Shape:
        - input: (*).
        - target: (*), as input.
        - output: (), or (*) with reduction "none".

    Raises:
        ValueError: if ``reduction`` is unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.SoftMarginLoss.html

    Example:
        >>> import numpy as np
        >>> round(float(SoftMarginLoss()(np.array([0.0]), np.array([1.0]))), 4)
        0.6931
    """

    def forward(self, input: ArrayLike, target: ArrayLike) -> jax.Array:
        """The loss.

        Args:
            input: scores.
            target: 1 or -1 for each.

        Returns:
            a scalar, or with reduction "none" an array of the shape of the input.
        """
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    r"""The mean over classes of the binary cross entropies of logits.

    .. math:: l = -\frac{1}{C} \sum_c w_c \left( y_c \log \sigma(x_c) + (1 - y_c) \log(1 - \sigma(x_c)) \right)

    Args:
        weight: w, one factor for each class; ``None`` is 1.
        size_average: deprecated in torch; false makes the reduction "sum".
        reduce: deprecated in torch; false makes the reduction "none"; if either is given, ``reduction`` counts for nothing.
        reduction: "mean" for the mean of the losses, "sum" for their sum, "none" for each by itself.

    Attributes:
        weight (Buffer | None): w.

    Shape:
        - input: (N, C) or (C).
        - target: as input.
        - output: (), or (N) with reduction "none".

    Raises:
        ValueError: if ``reduction`` is unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.MultiLabelSoftMarginLoss.html

    Example:
        >>> import numpy as np
        >>> round(float(MultiLabelSoftMarginLoss()(np.zeros((1, 2)), np.ones((1, 2)))), 4)
        0.6931
    """

    def forward(self, input: ArrayLike, target: ArrayLike) -> jax.Array:
        """The loss.

        Args:
            input: a logit for each class.
            target: 1 for the classes that hold, 0 for the others.

        Returns:
            a scalar, or with reduction "none" one number for each sample.
        """
        return F.multilabel_soft_margin_loss(input, target, self.weight, reduction=self.reduction)

"""Losses of yes-or-no predictions."""

from __future__ import annotations

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.loss.base import _Loss, _WeightedLoss

__all__ = ["BCELoss", "BCEWithLogitsLoss", "MultiLabelSoftMarginLoss", "SoftMarginLoss"]


class BCELoss(_WeightedLoss):
    """Binary cross entropy of probabilities.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.BCELoss.html.

    Shape:
        input and target (*) alike; a scalar, or (*) with reduction "none".

    Example:
        >>> import numpy as np
        >>> round(float(BCELoss()(np.array([0.5]), np.array([1.0]))), 4)
        0.6931
    """

    def forward(self, input: ArrayLike, target: ArrayLike) -> jax.Array:
        """The loss."""
        return F.binary_cross_entropy(input, target, weight=self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_Loss):
    """Binary cross entropy of the sigmoid of logits.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.BCEWithLogitsLoss.html.

    Shape:
        input and target (*) alike; a scalar, or (*) with reduction "none".

    Example:
        >>> import numpy as np
        >>> round(float(BCEWithLogitsLoss()(np.array([0.0]), np.array([1.0]))), 4)
        0.6931
    """

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
        """The loss."""
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, pos_weight=self.pos_weight, reduction=self.reduction
        )


class SoftMarginLoss(_Loss):
    """log(1 + exp(-target input)), for targets 1 and -1.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.SoftMarginLoss.html.

    Shape:
        input and target (*) alike; a scalar, or (*) with reduction "none".

    Example:
        >>> import numpy as np
        >>> round(float(SoftMarginLoss()(np.array([0.0]), np.array([1.0]))), 4)
        0.6931
    """

    def forward(self, input: ArrayLike, target: ArrayLike) -> jax.Array:
        """The loss."""
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """The mean over classes of the binary cross entropies of logits.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.MultiLabelSoftMarginLoss.html.

    Shape:
        input and target (N, C) or (C).

    Example:
        >>> import numpy as np
        >>> round(float(MultiLabelSoftMarginLoss()(np.zeros((1, 2)), np.ones((1, 2)))), 4)
        0.6931
    """

    def forward(self, input: ArrayLike, target: ArrayLike) -> jax.Array:
        """The loss."""
        return F.multilabel_soft_margin_loss(input, target, self.weight, reduction=self.reduction)

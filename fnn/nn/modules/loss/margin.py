"""Losses that ask for a margin between scores or distances."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.distance import PairwiseDistance
from fnn.nn.modules.loss.base import _Loss, _WeightedLoss

__all__ = [
    "CosineEmbeddingLoss",
    "HingeEmbeddingLoss",
    "MarginRankingLoss",
    "MultiLabelMarginLoss",
    "MultiMarginLoss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]


class HingeEmbeddingLoss(_Loss):
    """x where the target is 1, max(0, margin - x) where it is -1.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.HingeEmbeddingLoss.html.

    Shape:
        input and target (*) alike; a scalar, or (*) with reduction "none".

    Example:
        >>> import numpy as np
        >>> float(HingeEmbeddingLoss()(np.array([0.25]), np.array([-1])))
        0.75
    """

    def __init__(
        self,
        margin: float = 1.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input: ArrayLike, target: ArrayLike) -> jax.Array:
        """The loss."""
        return F.hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)


class MultiLabelMarginLoss(_Loss):
    """The hinge loss of several target classes against the others.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.MultiLabelMarginLoss.html.

    Shape:
        input and target (N, C) or (C); target lists class numbers, ended by -1.

    Example:
        >>> import numpy as np
        >>> float(MultiLabelMarginLoss()(np.array([[0.5, 0.5]]), np.array([[0, -1]])))
        0.5
    """

    def forward(self, input: ArrayLike, target: ArrayLike) -> jax.Array:
        """The loss."""
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class CosineEmbeddingLoss(_Loss):
    """1 - cos(input1, input2) where the target is 1, max(0, cos - margin) where it is -1.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.CosineEmbeddingLoss.html.

    Shape:
        inputs (N, D) or (D); target (N) or ().

    Example:
        >>> import numpy as np
        >>> round(float(CosineEmbeddingLoss()(np.ones((1, 2)), np.ones((1, 2)), np.ones(1))), 4)
        0.0
    """

    def __init__(
        self,
        margin: float = 0.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1: ArrayLike, input2: ArrayLike, target: ArrayLike) -> jax.Array:
        """The loss."""
        return F.cosine_embedding_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class MarginRankingLoss(_Loss):
    """max(0, -target (input1 - input2) + margin).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.MarginRankingLoss.html.

    Shape:
        inputs and target (N) or ().

    Example:
        >>> import numpy as np
        >>> float(MarginRankingLoss()(np.zeros(1), np.ones(1), np.ones(1)))
        1.0
    """

    def __init__(
        self,
        margin: float = 0.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input1: ArrayLike, input2: ArrayLike, target: ArrayLike) -> jax.Array:
        """The loss."""
        return F.margin_ranking_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class MultiMarginLoss(_WeightedLoss):
    """The hinge loss of the target class against the others, to the power ``p``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.MultiMarginLoss.html.

    Shape:
        input (N, C) or (C); target (N) or ().

    Example:
        >>> import numpy as np
        >>> float(MultiMarginLoss()(np.array([[0.5, 0.5]]), np.array([0])))
        0.5
    """

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: ArrayLike | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        if p not in (1, 2):
            raise ValueError(f"MultiMarginLoss: p must be 1 or 2, got {p}")
        if self.weight is not None and len(self.weight.shape) != 1:
            raise ValueError(f"MultiMarginLoss: weight must be 1-D, got shape {tuple(self.weight.shape)}")
        self.p = p
        self.margin = margin

    def forward(self, input: ArrayLike, target: ArrayLike) -> jax.Array:
        """The loss."""
        return F.multi_margin_loss(
            input, target, p=self.p, margin=self.margin, weight=self.weight, reduction=self.reduction
        )


class TripletMarginLoss(_Loss):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin) with the distance of norm ``p``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.TripletMarginLoss.html.

    Shape:
        anchor, positive, negative (N, D) or (D).

    Example:
        >>> import numpy as np
        >>> float(TripletMarginLoss()(np.ones((1, 2)), np.ones((1, 2)), np.ones((1, 2))))
        1.0
    """

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        if margin <= 0:
            raise ValueError(f"TripletMarginLoss: margin must be greater than 0, got {margin}")
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap

    def forward(self, anchor: ArrayLike, positive: ArrayLike, negative: ArrayLike) -> jax.Array:
        """The loss."""
        return F.triplet_margin_loss(
            anchor,
            positive,
            negative,
            margin=self.margin,
            p=self.p,
            eps=self.eps,
            swap=self.swap,
            reduction=self.reduction,
        )


class TripletMarginWithDistanceLoss(_Loss):
    """``TripletMarginLoss`` with a distance function of one's own.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.TripletMarginWithDistanceLoss.html.

    Shape:
        anchor, positive, negative (N, *) as the distance function takes them.

    Example:
        >>> import numpy as np
        >>> float(TripletMarginWithDistanceLoss()(np.ones((1, 2)), np.ones((1, 2)), np.ones((1, 2))))
        1.0
    """

    def __init__(
        self,
        *,
        distance_function: Callable[[Any, Any], Any] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        if margin <= 0:
            raise ValueError(f"TripletMarginWithDistanceLoss: margin must be greater than 0, got {margin}")
        self.distance_function = PairwiseDistance() if distance_function is None else distance_function
        self.margin = margin
        self.swap = swap

    def forward(self, anchor: ArrayLike, positive: ArrayLike, negative: ArrayLike) -> jax.Array:
        """The loss."""
        return F.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )

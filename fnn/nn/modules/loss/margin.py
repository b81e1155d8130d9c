"""Losses that ask for a margin between scores or distances."""

from __future__ import annotations

from collections.abc import Callable

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
    r"""Small distances for pairs that are alike, distances beyond a margin for the others.

    .. math:: l = \begin{cases} x & y = 1 \\ \max(0, \mathrm{margin} - x) & y = -1 \end{cases}

    Args:
        margin: the distance from which on a pair that is not alike costs nothing.
        size_average: deprecated in torch; false makes the reduction "sum".
        reduce: deprecated in torch; false makes the reduction "none"; if either is given, ``reduction`` counts for nothing.
        reduction: "mean" for the mean of the losses, "sum" for their sum, "none" for each by itself.

    Shape:
        - input: (*).
        - target: (*), as input.
        - output: (), or (*) with reduction "none".

    Raises:
        ValueError: if ``reduction`` is unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.HingeEmbeddingLoss.html

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
        """The loss.

        Args:
            input: distances of pairs.
            target: 1 for pairs that are alike, -1 for the others.

        Returns:
            a scalar, or with reduction "none" an array of the shape of the input.
        """
        return F.hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)


class MultiLabelMarginLoss(_Loss):
    r"""The hinge loss of the scores of several target classes against those of all others.

    .. math:: l = \frac{1}{C} \sum_{j} \sum_{i \notin y} \max(0, 1 - (x_{y_j} - x_i))

    Args:
        size_average: deprecated in torch; false makes the reduction "sum".
        reduce: deprecated in torch; false makes the reduction "none"; if either is given, ``reduction`` counts for nothing.
        reduction: "mean" for the mean of the losses, "sum" for their sum, "none" for each by itself.

    Shape:
        - input: (N, C) or (C).
        - target: as input; each row lists class numbers, and the first -1 ends the list.
        - output: (), or (N) with reduction "none".

    Raises:
        ValueError: if ``reduction`` is unknown, or the shapes of the call do not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.MultiLabelMarginLoss.html

    Example:
        >>> import numpy as np
        >>> float(MultiLabelMarginLoss()(np.array([[0.5, 0.5]]), np.array([[0, -1]])))
        0.5
    """

    def forward(self, input: ArrayLike, target: ArrayLike) -> jax.Array:
        """The loss.

        Args:
            input: scores of the classes.
            target: lists of class numbers.

        Returns:
            a scalar, or with reduction "none" one number for each sample.
        """
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class CosineEmbeddingLoss(_Loss):
    r"""Vectors of one direction for pairs that are alike, of different directions for the others.

    .. math:: l = \begin{cases} 1 - \cos(x_1, x_2) & y = 1 \\ \max(0, \cos(x_1, x_2) - \mathrm{margin}) & y = -1 \end{cases}

    Args:
        margin: the cosine up to which a pair that is not alike costs nothing, from -1 to 1.
        size_average: deprecated in torch; false makes the reduction "sum".
        reduce: deprecated in torch; false makes the reduction "none"; if either is given, ``reduction`` counts for nothing.
        reduction: "mean" for the mean of the losses, "sum" for their sum, "none" for each by itself.

    Shape:
        - input1, input2: (N, D) or (D).
        - target: (N) or ().
        - output: (), or (N) with reduction "none".

    Raises:
        ValueError: if ``reduction`` is unknown, or the shapes of the call do not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.CosineEmbeddingLoss.html

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
        """The loss.

        Args:
            input1: the first vector of each pair.
            input2: the second.
            target: 1 for pairs that are alike, -1 for the others.

        Returns:
            a scalar, or with reduction "none" one number for each pair.
        """
        return F.cosine_embedding_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class MarginRankingLoss(_Loss):
    r"""Two scores in the wanted order, with a margin between them.

    .. math:: l = \max(0, -y (x_1 - x_2) + \mathrm{margin})

    Args:
        margin: how far apart the scores must be to cost nothing.
        size_average: deprecated in torch; false makes the reduction "sum".
        reduce: deprecated in torch; false makes the reduction "none"; if either is given, ``reduction`` counts for nothing.
        reduction: "mean" for the mean of the losses, "sum" for their sum, "none" for each by itself.

    Shape:
        - input1, input2: (N) or ().
        - target: as the inputs.
        - output: (), or (N) with reduction "none".

    Raises:
        ValueError: if ``reduction`` is unknown, or the shapes of the call do not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.MarginRankingLoss.html

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
        """The loss.

        Args:
            input1: the first score of each pair.
            input2: the second.
            target: 1 where the first is to be the larger, -1 where the second is.

        Returns:
            a scalar, or with reduction "none" an array of the shape of the inputs.
        """
        return F.margin_ranking_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class MultiMarginLoss(_WeightedLoss):
    r"""The hinge loss of the score of the target class against those of all others.

    .. math:: l = \frac{1}{C} \sum_{i \ne y} w_y \max(0, \mathrm{margin} - x_y + x_i)^p

    Args:
        p: the power, 1 or 2.
        margin: by how much the score of the target must exceed another one to cost nothing.
        weight: w, one factor for each class; ``None`` is 1.
        size_average: deprecated in torch; false makes the reduction "sum".
        reduce: deprecated in torch; false makes the reduction "none"; if either is given, ``reduction`` counts for nothing.
        reduction: "mean" for the mean of the losses, "sum" for their sum, "none" for each by itself.

    Attributes:
        weight (Buffer | None): (C).

    Shape:
        - input: (N, C) or (C).
        - target: (N) or (), of class numbers.
        - output: (), or as target with reduction "none".

    Raises:
        ValueError: if ``p`` is neither 1 nor 2, ``weight`` is not 1-D, or ``reduction`` is unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.MultiMarginLoss.html

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
        """The loss.

        Args:
            input: scores of the classes.
            target: class numbers.

        Returns:
            a scalar, or with reduction "none" one number for each sample.
        """
        return F.multi_margin_loss(
            input, target, p=self.p, margin=self.margin, weight=self.weight, reduction=self.reduction
        )


class TripletMarginLoss(_Loss):
    r"""An anchor nearer to its positive than to its negative, by a margin.

    .. math:: l = \max(0,\; d(a, p) - d(a, n) + \mathrm{margin}), \quad d(x, y) = \| x - y + \epsilon \|_p

    Args:
        margin: by how much nearer, above 0.
        p: order of the norm.
        eps: added to the differences, so that the norm has a gradient everywhere.
        swap: whether the distance of positive and negative takes the place of d(a, n) where it is the smaller.
        size_average: deprecated in torch; false makes the reduction "sum".
        reduce: deprecated in torch; false makes the reduction "none"; if either is given, ``reduction`` counts for nothing.
        reduction: "mean" for the mean of the losses, "sum" for their sum, "none" for each by itself.

    Shape:
        - anchor, positive, negative: (N, D) or (D).
        - output: (), or (N) with reduction "none".

    Raises:
        ValueError: if ``margin`` is not positive, or ``reduction`` is unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.TripletMarginLoss.html; Balntas et al.,
    Learning local feature descriptors with triplets and shallow convolutional neural networks (2016), for ``swap``

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
        """The loss.

        Args:
            anchor: a.
            positive: p, which is like the anchor.
            negative: n, which is not.

        Returns:
            a scalar, or with reduction "none" one number for each triple.
        """
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
    r"""``TripletMarginLoss`` with a distance function of one's own.

    .. math:: l = \max(0,\; d(a, p) - d(a, n) + \mathrm{margin})

    Args:
        distance_function: d, a function or Module of two arrays; ``None`` is ``PairwiseDistance()``.
        margin: by how much nearer the positive must be, above 0.
        swap: whether the distance of positive and negative takes the place of d(a, n) where it is the smaller.
        reduction: "mean" for the mean of the losses, "sum" for their sum, "none" for each by itself.

    Shape:
        - anchor, positive, negative: (N, *), as the distance function takes them.
        - output: (), or as the distances with reduction "none".

    Raises:
        ValueError: if ``margin`` is not positive, or ``reduction`` is unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.TripletMarginWithDistanceLoss.html

    Example:
        >>> import numpy as np
        >>> float(TripletMarginWithDistanceLoss()(np.ones((1, 2)), np.ones((1, 2)), np.ones((1, 2))))
        1.0
    """

    distance_function: Callable[[ArrayLike, ArrayLike], jax.Array]

    def __init__(
        self,
        *,
        distance_function: Callable[[ArrayLike, ArrayLike], jax.Array] | None = None,
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
        """The loss.

        Args:
            anchor: a.
            positive: p, which is like the anchor.
            negative: n, which is not.

        Returns:
            a scalar, or with reduction "none" one number for each triple.
        """
        return F.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )

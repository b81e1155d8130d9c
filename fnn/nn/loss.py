"""Loss layers: one thin class for every loss function."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.functional.loss import LinearCrossEntropyOptions
from fnn.functional.reduction import legacy_reduction
from fnn.nn.distance import PairwiseDistance
from fnn.nn.linear import Linear
from fnn.nn.module import Module
from fnn.nn.sizes import check_sizes

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CTCLoss",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "LinearCrossEntropyLoss",
    "LinearCrossEntropyOptions",
    "MSELoss",
    "MarginRankingLoss",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "NLLLoss",
    "NLLLoss2d",
    "PoissonNLLLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]


class _Loss(Module):
    """A loss with a reduction ("none", "mean" or "sum"); ``size_average`` and ``reduce`` are torch's deprecated flags."""

    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = legacy_reduction(size_average, reduce, reduction)


class _WeightedLoss(_Loss):
    """A loss with weights, kept as a buffer."""

    def __init__(
        self,
        weight: ArrayLike | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


class L1Loss(_Loss):
    """abs(input - target).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.L1Loss.html.

    Shape:
        input and target (*) alike; a scalar, or (*) with reduction "none".

    Example:
        >>> import numpy as np
        >>> float(L1Loss()(np.array([1.0]), np.array([3.0])))
        2.0
    """

    def forward(self, input: ArrayLike, target: ArrayLike) -> jax.Array:
        """The loss."""
        return F.l1_loss(input, target, reduction=self.reduction)


class MSELoss(_Loss):
    """(input - target)^2.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.MSELoss.html.

    Shape:
        input and target (*) alike; a scalar, or (*) with reduction "none".

    Example:
        >>> import numpy as np
        >>> float(MSELoss()(np.array([1.0]), np.array([3.0])))
        4.0
    """

    def forward(self, input: ArrayLike, target: ArrayLike) -> jax.Array:
        """The loss."""
        return F.mse_loss(input, target, reduction=self.reduction)


class NLLLoss(_WeightedLoss):
    """The negative log-likelihood of classes, from log-probabilities.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.NLLLoss.html.

    Shape:
        input (N, C, *) or (C), target (N, *) or () of class numbers.

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
        """The loss."""
        return F.nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class NLLLoss2d(NLLLoss):
    """Deprecated name of ``NLLLoss``.

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
        warnings.warn("`NLLLoss2d` has been deprecated: use `NLLLoss` in its place", FutureWarning, stacklevel=2)
        super().__init__(weight, size_average, ignore_index, reduce, reduction)


class PoissonNLLLoss(_Loss):
    """The negative log-likelihood of a Poisson distribution.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.PoissonNLLLoss.html.

    Shape:
        input and target (*) alike; a scalar, or (*) with reduction "none".

    Example:
        >>> import numpy as np
        >>> float(PoissonNLLLoss()(np.array([0.0]), np.array([3.0])))
        1.0
    """

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: bool | None = None,
        eps: float = 1e-8,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, log_input: ArrayLike, target: ArrayLike) -> jax.Array:
        """The loss."""
        return F.poisson_nll_loss(
            log_input, target, log_input=self.log_input, full=self.full, eps=self.eps, reduction=self.reduction
        )


class GaussianNLLLoss(_Loss):
    """The negative log-likelihood of a normal distribution with given variance.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.GaussianNLLLoss.html.

    Shape:
        input, target (*), var (*) or with the last axis 1 or missing.

    Example:
        >>> import numpy as np
        >>> float(GaussianNLLLoss()(np.ones(1), np.ones(1), np.ones(1)))
        0.0
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(None, None, reduction)
        self.full = full
        self.eps = eps

    def forward(self, input: ArrayLike, target: ArrayLike, var: ArrayLike | float) -> jax.Array:
        """The loss."""
        return F.gaussian_nll_loss(input, target, var, full=self.full, eps=self.eps, reduction=self.reduction)


class KLDivLoss(_Loss):
    """target (log(target) - input), the Kullback-Leibler divergence of log-probabilities ``input``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.KLDivLoss.html.

    Shape:
        input and target (*) alike; a scalar, or (*) with reduction "none".

    Example:
        >>> import numpy as np
        >>> float(KLDivLoss(reduction="sum")(np.zeros(1), np.ones(1)))
        0.0
    """

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        log_target: bool = False,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_target = log_target

    def forward(self, input: ArrayLike, target: ArrayLike) -> jax.Array:
        """The loss."""
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


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


class SmoothL1Loss(_Loss):
    """Squared error over 2 beta below ``beta``, absolute error less beta/2 above.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.SmoothL1Loss.html.

    Shape:
        input and target (*) alike; a scalar, or (*) with reduction "none".

    Example:
        >>> import numpy as np
        >>> float(SmoothL1Loss()(np.array([0.0]), np.array([3.0])))
        2.5
    """

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        beta: float = 1.0,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: ArrayLike, target: ArrayLike) -> jax.Array:
        """The loss."""
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """Half the squared error below ``delta``, delta times (absolute error - delta/2) above.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.HuberLoss.html.

    Shape:
        input and target (*) alike; a scalar, or (*) with reduction "none".

    Example:
        >>> import numpy as np
        >>> float(HuberLoss()(np.array([0.0]), np.array([3.0])))
        2.5
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        if not isinstance(delta, int | float):
            raise TypeError(f"HuberLoss: delta must be a float or int, got {delta!r}")
        self.delta = delta

    def forward(self, input: ArrayLike, target: ArrayLike) -> jax.Array:
        """The loss."""
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


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


class CrossEntropyLoss(_WeightedLoss):
    """The cross entropy of logits and classes, or class probabilities.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.CrossEntropyLoss.html.

    Shape:
        input (N, C, *) or (C); target (N, *) or () of class numbers, or probabilities like the input.

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
        """The loss."""
        return F.cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class LinearCrossEntropyLoss(_WeightedLoss):
    """A ``Linear`` and the cross entropy of its outputs in one, by chunks, so that the logits never exist at once.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LinearCrossEntropyLoss.html.

    Args:
        in_features: features of the input.
        num_classes: C.
        out_features: lengths d1, ..., dK of further axes of the logits.
        bias: whether the linear layer has a bias.
        device: where its parameters are put.
        dtype: their dtype.
        reduction: "none", "mean" or "sum".
        weight: one factor per class.
        ignore_index: a class target whose positions count for nothing; ``None`` stands for -100.
        label_smoothing: share of the uniform distribution in the target, in [0, 1].
        options: the size of the chunks; ``None`` chooses one.

    Shape:
        input (in_features) or (N, in_features); target () or (N, d1, ..., dK) of class numbers, or probabilities
        (C) or (N, C, d1, ..., dK).

    Raises:
        ValueError: if a size, ``weight`` or ``label_smoothing`` is out of range.

    Example:
        >>> import numpy as np
        >>> loss = LinearCrossEntropyLoss(2, 3, weight=np.ones(3, np.float32))
        >>> loss.linear.weight.shape, loss(np.ones((4, 2), np.float32), np.array([0, 1, 2, 0])).shape
        ((3, 2), ())
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        reduction: str = "mean",
        weight: ArrayLike | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: LinearCrossEntropyOptions | None = None,
    ) -> None:
        name = "LinearCrossEntropyLoss"
        super().__init__(weight, reduction=reduction)
        check_sizes(name, in_features=in_features, num_classes=num_classes)
        for size in out_features:
            check_sizes(name, out_features=size)
        if self.weight is not None and self.weight.shape != (num_classes,):
            raise ValueError(f"{name}: weight must have shape {(num_classes,)}, got {self.weight.shape}")
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"{name}: label_smoothing must be in [0, 1], got {label_smoothing}")
        self.num_classes = num_classes
        self.out_features = out_features
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.linear = Linear(in_features, math.prod(out_features, start=num_classes), bias, device, dtype)
        self.options = options

    def forward(self, input: ArrayLike, target: ArrayLike) -> jax.Array:
        """The loss."""
        shape = (self.num_classes, *self.out_features)
        bias = self.linear.bias
        return F.linear_cross_entropy(
            input,
            self.linear.weight.reshape(*shape, self.linear.in_features),
            target,
            linear_bias=None if bias is None else bias.reshape(shape),
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            options=self.options,
        )

    def extra_repr(self) -> str:
        return (
            f"in_features={self.linear.in_features}, num_classes={self.num_classes}, out_features={self.out_features}, "
            f"bias={self.linear.bias is not None}, reduction={self.reduction}, ignore_index={self.ignore_index}, "
            f"label_smoothing={self.label_smoothing}, options={self.options}"
        )


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


class CTCLoss(_Loss):
    """Connectionist temporal classification (Graves et al., 2006).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.CTCLoss.html.

    Shape:
        log_probs (T, N, C) or (T, C); targets (N, S), or concatenated; lengths (N) or ().

    Example:
        >>> import numpy as np
        >>> float(CTCLoss()(np.zeros((1, 1, 2)), np.array([[1]]), np.array([1]), np.array([1]))) + 0.0
        0.0
    """

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        super().__init__(reduction=reduction)
        self.blank = blank
        self.zero_infinity = zero_infinity

    def forward(self, log_probs: ArrayLike, targets: ArrayLike, input_lengths: Any, target_lengths: Any) -> jax.Array:
        """The loss."""
        return F.ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity
        )

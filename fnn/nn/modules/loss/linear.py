"""Cross entropy that holds the last linear layer."""

from __future__ import annotations

import math
from typing import Any

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.functional.loss import LinearCrossEntropyOptions
from fnn.nn.modules.linear import Linear
from fnn.nn.modules.loss.base import _WeightedLoss
from fnn.nn.modules.utils import check_sizes

__all__ = ["LinearCrossEntropyLoss", "LinearCrossEntropyOptions"]


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

"""Cross entropy that holds the last linear layer."""

from __future__ import annotations

import math

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.functional.loss import LinearCrossEntropyOptions
from fnn.nn.modules.linear import Linear
from fnn.nn.modules.loss.base import _WeightedLoss
from fnn.nn.modules.utils import check_sizes
from fnn.nn.placement import Device, DType

__all__ = ["LinearCrossEntropyLoss", "LinearCrossEntropyOptions"]


class LinearCrossEntropyLoss(_WeightedLoss):
    r"""A ``Linear`` and the cross entropy of its outputs in one, by chunks, so that the logits never exist at once.

    .. math:: l = \mathrm{CrossEntropy}(x W^T + b,\; y)

    Args:
        in_features: features of the input.
        num_classes: C, the number of classes.
        out_features: lengths d1, ..., dK of further axes of the logits.
        bias: whether the linear layer has a bias.
        device: where its parameters are put; ``None`` is JAX's default device.
        dtype: dtype of its parameters; ``None`` is float32.
        reduction: "mean" for the mean of the losses, "sum" for their sum, "none" for each by itself.
        weight: one factor for each class; ``None`` is 1.
        ignore_index: a class number whose positions count for nothing; ``None`` stands for -100.
        label_smoothing: share of the uniform distribution that is mixed into the target, from 0 to 1.
        options: the size of the chunks; ``None`` chooses one.

    Attributes:
        linear (Linear): the layer; its weight is (C * d1 * ... * dK, in_features).
        weight (Buffer | None): (C).

    Shape:
        - input: (N, in_features) or (in_features).
        - target: (N, d1, ..., dK) or () of class numbers; or (N, C, d1, ..., dK) or (C) of probabilities.
        - output: (), or (N, d1, ..., dK) with reduction "none".

    Raises:
        TypeError: if a size is no int.
        ValueError: if a size, ``weight`` or ``label_smoothing`` is out of range, or ``reduction`` unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.LinearCrossEntropyLoss.html

    Example:
        >>> import numpy as np
        >>> loss = LinearCrossEntropyLoss(2, 3, weight=np.ones(3, np.float32))
        >>> loss.linear.weight.shape, loss(np.ones((4, 2), np.float32), np.array([0, 1, 2, 0])).shape
        ((3, 2), ())
    """

    linear: Linear

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: Device = None,
        dtype: DType = None,
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
        """The loss.

        Args:
            input: features, which the linear layer turns into logits.
            target: class numbers, or probabilities of the classes.

        Returns:
            a scalar, or with reduction "none" one number for each position.
        """
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
        """The arguments."""
        return (
            f"in_features={self.linear.in_features}, num_classes={self.num_classes}, out_features={self.out_features}, "
            f"bias={self.linear.bias is not None}, reduction={self.reduction}, ignore_index={self.ignore_index}, "
            f"label_smoothing={self.label_smoothing}, options={self.options}"
        )

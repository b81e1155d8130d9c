"""Base of the loss layers: the reduction, and a weight by class."""

from __future__ import annotations

from fnn.functional.arrays import ArrayLike
from fnn.functional.reduction import legacy_reduction
from fnn.nn.modules.module import Module
from fnn.nn.parameter import OptionalBuffer


class _Loss(Module):
    """A loss with a reduction ("none", "mean" or "sum"); ``size_average`` and ``reduce`` are torch's deprecated flags."""

    reduction: str

    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = legacy_reduction(size_average, reduce, reduction)


class _WeightedLoss(_Loss):
    """A loss with weights, kept as a buffer."""

    weight: OptionalBuffer

    def __init__(
        self,
        weight: ArrayLike | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)

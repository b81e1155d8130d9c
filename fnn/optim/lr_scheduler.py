"""Learning-rate schedulers with torch's chainable rule: each step reads and rescales the groups' current ``lr``."""

from fnn.optim._lr_scheduler_base import LRScheduler
from fnn.optim._lr_scheduler_base import _LRScheduler as _LRScheduler
from fnn.optim._lr_scheduler_composite import ChainedScheduler, SequentialLR
from fnn.optim._lr_scheduler_cyclic import CosineAnnealingLR, CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR
from fnn.optim._lr_scheduler_decay import (
    ConstantLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from fnn.optim._lr_scheduler_plateau import ReduceLROnPlateau

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]

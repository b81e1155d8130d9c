"""Connectionist temporal classification."""

from __future__ import annotations

from typing import Any

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.loss.base import _Loss

__all__ = ["CTCLoss"]


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

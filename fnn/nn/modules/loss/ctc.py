"""Connectionist temporal classification."""

from __future__ import annotations

from collections.abc import Sequence

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.loss.base import _Loss

__all__ = ["CTCLoss"]


class CTCLoss(_Loss):
    r"""Connectionist temporal classification: a sequence of labels whose places in the input are not known.

    .. math:: l = -\log \sum_{\pi \in A(y)} \prod_t p_t(\pi_t)

    where A(y) are the paths that give the target y when equal neighbours are merged and blanks taken out. The "mean"
    divides each loss by the length of its target first.

    Args:
        blank: number of the class that stands for no label.
        reduction: "mean" for the mean of the losses, "sum" for their sum, "none" for each by itself.
        zero_infinity: whether infinite losses, of targets too long for their input, and their gradients become 0.

    Shape:
        - log_probs: (T, N, C) or (T, C).
        - targets: (N, S) padded, or (sum of target_lengths) one after another.
        - input_lengths, target_lengths: (N) or ().
        - output: (), or (N) with reduction "none".

    Raises:
        ValueError: if ``reduction`` is unknown, or shapes or lengths of the call do not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.CTCLoss.html; Graves et al., Connectionist
    Temporal Classification (2006), https://www.cs.toronto.edu/~graves/icml_2006.pdf

    Example:
        >>> import numpy as np
        >>> float(CTCLoss()(np.zeros((1, 1, 2)), np.array([[1]]), np.array([1]), np.array([1]))) + 0.0
        0.0
    """

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        super().__init__(reduction=reduction)
        self.blank = blank
        self.zero_infinity = zero_infinity

    def forward(
        self,
        log_probs: ArrayLike,
        targets: ArrayLike,
        input_lengths: ArrayLike | Sequence[int],
        target_lengths: ArrayLike | Sequence[int],
    ) -> jax.Array:
        """The loss.

        Args:
            log_probs: log-probabilities of the classes at each time, as ``log_softmax`` gives them.
            targets: class numbers, none of them ``blank``.
            input_lengths: how many times of each input count.
            target_lengths: how many labels each target has.

        Returns:
            a scalar, or with reduction "none" one number for each sample.
        """
        return F.ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity
        )

"""Losses of predicted numbers and distributions."""

from __future__ import annotations

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.loss.base import _Loss

__all__ = ["GaussianNLLLoss", "HuberLoss", "KLDivLoss", "L1Loss", "MSELoss", "PoissonNLLLoss", "SmoothL1Loss"]


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

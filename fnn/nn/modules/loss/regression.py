"""Losses of predicted numbers and distributions."""

from __future__ import annotations

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.loss.base import _Loss

__all__ = ["GaussianNLLLoss", "HuberLoss", "KLDivLoss", "L1Loss", "MSELoss", "PoissonNLLLoss", "SmoothL1Loss"]


class L1Loss(_Loss):
    r"""The absolute error.

    .. math:: l = |x - y|

    Args:
        size_average: deprecated in torch; false makes the reduction "sum".
        reduce: deprecated in torch; false makes the reduction "none"; if either is given, ``reduction`` counts for nothing.
        reduction: "mean" for the mean of the losses, "sum" for their sum, "none" for each by itself.

    Shape:
        - input: (*).
        - target: (*), as input.
        - output: (), or (*) with reduction "none".

    Raises:
        ValueError: if ``reduction`` is unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.L1Loss.html

    Example:
        >>> import numpy as np
        >>> float(L1Loss()(np.array([1.0]), np.array([3.0])))
        2.0
    """

    def forward(self, input: ArrayLike, target: ArrayLike) -> jax.Array:
        """The loss.

        Args:
            input: predicted numbers.
            target: wanted numbers.

        Returns:
            a scalar, or with reduction "none" an array of the shape of the input.
        """
        return F.l1_loss(input, target, reduction=self.reduction)


class MSELoss(_Loss):
    r"""The squared error.

    .. math:: l = (x - y)^2

    Args:
        size_average: deprecated in torch; false makes the reduction "sum".
        reduce: deprecated in torch; false makes the reduction "none"; if either is given, ``reduction`` counts for nothing.
        reduction: "mean" for the mean of the losses, "sum" for their sum, "none" for each by itself.

    Shape:
        - input: (*).
        - target: (*), as input.
        - output: (), or (*) with reduction "none".

    Raises:
        ValueError: if ``reduction`` is unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.MSELoss.html

    Example:
        >>> import numpy as np
        >>> float(MSELoss()(np.array([1.0]), np.array([3.0])))
        4.0
    """

    def forward(self, input: ArrayLike, target: ArrayLike) -> jax.Array:
        """The loss.

        Args:
            input: predicted numbers.
            target: wanted numbers.

        Returns:
            a scalar, or with reduction "none" an array of the shape of the input.
        """
        return F.mse_loss(input, target, reduction=self.reduction)


class PoissonNLLLoss(_Loss):
    r"""The negative log-likelihood of counts under Poisson distributions.

    .. math:: l = e^x - y x \quad \text{or, without log_input,} \quad l = x - y \log(x + \epsilon)

    Args:
        log_input: whether the input is the logarithm of the rate, else the rate itself.
        full: whether Stirling's approximation of log(y!) is added, y log y - y + log(2 pi y) / 2 where y > 1.
        size_average: deprecated in torch; false makes the reduction "sum".
        eps: added to the rate under the logarithm, without ``log_input``.
        reduce: deprecated in torch; false makes the reduction "none"; if either is given, ``reduction`` counts for nothing.
        reduction: "mean" for the mean of the losses, "sum" for their sum, "none" for each by itself.

    Shape:
        - log_input: (*).
        - target: (*), as log_input.
        - output: (), or (*) with reduction "none".

    Raises:
        ValueError: if ``reduction`` is unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.PoissonNLLLoss.html

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
        """The loss.

        Args:
            log_input: rates, or their logarithms.
            target: counts.

        Returns:
            a scalar, or with reduction "none" an array of the shape of the input.
        """
        return F.poisson_nll_loss(
            log_input, target, log_input=self.log_input, full=self.full, eps=self.eps, reduction=self.reduction
        )


class GaussianNLLLoss(_Loss):
    r"""The negative log-likelihood of numbers under normal distributions with given variances.

    .. math:: l = \frac{1}{2} \left( \log v + \frac{(x - y)^2}{v} \right), \quad v = \max(\mathrm{var}, \epsilon)

    Args:
        full: whether the constant log(2 pi) / 2 is added.
        eps: the least variance used; a smaller one gets the gradient of this one, and so is pushed up.
        reduction: "mean" for the mean of the losses, "sum" for their sum, "none" for each by itself.

    Shape:
        - input: (N, *) or (*).
        - target: as input.
        - var: as input, or with the last axis 1 or missing; or a number.
        - output: (), or as input with reduction "none".

    Raises:
        ValueError: if ``reduction`` is unknown, a shape of the call does not fit, or a variance is negative.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.GaussianNLLLoss.html; Nix and Weigend,
    Estimating the Mean and Variance of the Target Probability Distribution (1994)

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
        """The loss.

        Args:
            input: predicted means.
            target: numbers drawn from the distributions.
            var: predicted variances.

        Returns:
            a scalar, or with reduction "none" an array of the shape of the input.
        """
        return F.gaussian_nll_loss(input, target, var, full=self.full, eps=self.eps, reduction=self.reduction)


class KLDivLoss(_Loss):
    r"""The Kullback-Leibler divergence of a distribution from the target, from log-probabilities.

    .. math:: l = y (\log y - x)

    for each element x of the input, a log-probability, and y of the target. The sum over classes is the divergence;
    "batchmean" divides it by the number of samples, and "mean", as in torch, by the number of elements.

    Args:
        size_average: deprecated in torch; false makes the reduction "sum".
        reduce: deprecated in torch; false makes the reduction "none"; if either is given, ``reduction`` counts for nothing.
        reduction: "mean", "sum", "batchmean" or "none".
        log_target: whether the target too is given as log-probabilities.

    Shape:
        - input: (*).
        - target: (*), as input.
        - output: (), or (*) with reduction "none".

    Raises:
        ValueError: if ``reduction`` is unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.KLDivLoss.html

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
        """The loss.

        Args:
            input: log-probabilities.
            target: probabilities, or log-probabilities with ``log_target``.

        Returns:
            a scalar, or with reduction "none" an array of the shape of the input.
        """
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class SmoothL1Loss(_Loss):
    r"""The squared error of small differences and the absolute error of large ones, joined smoothly.

    .. math:: l = \begin{cases} (x - y)^2 / (2 \beta) & |x - y| < \beta \\ |x - y| - \beta / 2 & \text{else} \end{cases}

    Args:
        size_average: deprecated in torch; false makes the reduction "sum".
        reduce: deprecated in torch; false makes the reduction "none"; if either is given, ``reduction`` counts for nothing.
        reduction: "mean" for the mean of the losses, "sum" for their sum, "none" for each by itself.
        beta: the difference at which one becomes the other; at 0 this is ``L1Loss``.

    Shape:
        - input: (*).
        - target: (*), as input.
        - output: (), or (*) with reduction "none".

    Raises:
        ValueError: if ``reduction`` is unknown, or ``beta`` negative.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.SmoothL1Loss.html; Girshick, Fast R-CNN
    (2015), https://arxiv.org/abs/1504.08083

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
        """The loss.

        Args:
            input: predicted numbers.
            target: wanted numbers.

        Returns:
            a scalar, or with reduction "none" an array of the shape of the input.
        """
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    r"""Half the squared error of small differences, a straight line for large ones: ``delta`` times ``SmoothL1Loss``.

    .. math:: l = \begin{cases} (x - y)^2 / 2 & |x - y| < \delta \\ \delta (|x - y| - \delta / 2) & \text{else} \end{cases}

    Args:
        reduction: "mean" for the mean of the losses, "sum" for their sum, "none" for each by itself.
        delta: the difference at which one becomes the other, above 0.

    Shape:
        - input: (*).
        - target: (*), as input.
        - output: (), or (*) with reduction "none".

    Raises:
        TypeError: if ``delta`` is no number.
        ValueError: if ``reduction`` is unknown, or ``delta`` is not positive.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.HuberLoss.html; Huber, Robust Estimation of a
    Location Parameter (1964), https://doi.org/10.1214/aoms/1177703732

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
        """The loss.

        Args:
            input: predicted numbers.
            target: wanted numbers.

        Returns:
            a scalar, or with reduction "none" an array of the shape of the input.
        """
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)

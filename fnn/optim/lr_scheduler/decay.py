"""Schedulers that lower the rates by steps, along a line or by a power."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from fnn.optim._checks import check_divisor, check_number
from fnn.optim._scalars import branch
from fnn.optim.lr_scheduler.scheduler import LRScheduler, epochs_of
from fnn.optim.optimizer import Optimizer
from fnn.optim.schedule.decay import (
    constant_factor,
    exponential_factor,
    linear_factor,
    multi_step_factor,
    polynomial_factor,
    step_factor,
)
from fnn.optim.typing import Number

__all__ = ["ConstantLR", "ExponentialLR", "LinearLR", "MultiStepLR", "PolynomialLR", "StepLR"]


class StepLR(LRScheduler):
    """Multiplies each rate by ``gamma`` every ``step_size`` epochs.

    Args:
        optimizer: the optimizer.
        step_size: epochs between two decays.
        gamma: factor of a decay.
        last_epoch: the epoch to resume after.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.StepLR.html.

    Example:
        >>> import fnn, numpy as np
        >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=0.5)
        >>> scheduler = StepLR(sgd, step_size=2)
        >>> for _ in range(2): sgd.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.05]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        check_divisor("StepLR", "step_size", step_size)
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Number]:
        """The rates, times ``gamma`` where a period ends.

        Returns:
            One rate a group.
        """
        self._warn_outside_step()
        epoch = self.last_epoch
        hold = (epoch == 0) | (epoch % self.step_size != 0)
        return [branch(hold, lambda r=r: r, lambda r=r: r * self.gamma) for r in self._rates()]

    def _get_closed_form_lr(self) -> list[Number]:
        factor = step_factor(self.last_epoch, self.step_size, self.gamma)
        return [base * factor for base in self.base_lrs]


class MultiStepLR(LRScheduler):
    """Multiplies each rate by ``gamma`` at each milestone; one that occurs twice counts twice.

    Args:
        optimizer: the optimizer.
        milestones: epochs, in any order.
        gamma: factor of a decay.
        last_epoch: the epoch to resume after.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.MultiStepLR.html.

    Example:
        >>> import fnn, numpy as np
        >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=0.5)
        >>> scheduler = MultiStepLR(sgd, milestones=[1, 3])
        >>> for _ in range(2): sgd.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.05]
    """

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones: Counter[int] = Counter(epochs_of("MultiStepLR", "milestones", milestones))
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Number]:
        """The rates, times ``gamma`` for each milestone that the epoch is.

        Returns:
            One rate a group.
        """
        self._warn_outside_step()
        rates = self._rates()
        for milestone, times in self.milestones.items():
            here = self.last_epoch == milestone
            rates = [branch(here, lambda r=r, n=times: r * self.gamma**n, lambda r=r: r) for r in rates]
        return rates

    def _get_closed_form_lr(self) -> list[Number]:
        factor = multi_step_factor(self.last_epoch, sorted(self.milestones.elements()), self.gamma)
        return [base * factor for base in self.base_lrs]


class ConstantLR(LRScheduler):
    """Multiplies each rate by ``factor`` until epoch ``total_iters``.

    Args:
        optimizer: the optimizer.
        factor: in [0, 1]; at 0 the chainable form cannot bring the rate back and raises ZeroDivisionError there.
        total_iters: how long it holds.
        last_epoch: the epoch to resume after.

    Raises:
        ValueError: if ``factor`` is outside [0, 1].

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.ConstantLR.html.

    Example:
        >>> import fnn, numpy as np
        >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=0.5)
        >>> ConstantLR(sgd, factor=0.5).get_last_lr()
        [0.25]
    """

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        check_number("ConstantLR", "factor", factor, 0, 1)
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Number]:
        """The rates, lowered at epoch 0 and raised again at ``total_iters``.

        Returns:
            One rate a group.
        """
        self._warn_outside_step()
        epoch = self.last_epoch

        def later(rate: Number) -> Number:
            return branch(epoch == self.total_iters, lambda: rate * (1.0 / self.factor), lambda: rate)

        return [branch(epoch == 0, lambda r=r: r * self.factor, lambda r=r: later(r)) for r in self._rates()]

    def _get_closed_form_lr(self) -> list[Number]:
        factor = constant_factor(self.last_epoch, self.factor, self.total_iters)
        return [base * factor for base in self.base_lrs]


class LinearLR(LRScheduler):
    """Changes the factor of each rate from ``start_factor`` to ``end_factor``, linearly, in ``total_iters`` epochs.

    Args:
        optimizer: the optimizer.
        start_factor: above 0, at most 1.
        end_factor: in [0, 1].
        total_iters: how long it takes.
        last_epoch: the epoch to resume after.

    Raises:
        ValueError: if a factor is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.LinearLR.html.

    Example:
        >>> import fnn, numpy as np
        >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=0.5)
        >>> scheduler = LinearLR(sgd, start_factor=0.5, total_iters=4)
        >>> sgd.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.3125]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        check_number("LinearLR", "start_factor", start_factor, maximum=1, above=0)
        check_number("LinearLR", "end_factor", end_factor, 0, 1)
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Number]:
        """The rates, times the quotient of this epoch's factor and the last one's.

        Returns:
            One rate a group.
        """
        self._warn_outside_step()
        epoch, rise = self.last_epoch, self.end_factor - self.start_factor

        def later(rate: Number) -> Number:
            return rate * (1.0 + rise / (self.total_iters * self.start_factor + (epoch - 1) * rise))

        if self._is_initial and epoch != 0:
            return self._rates()
        return [
            branch(
                epoch == 0,
                lambda r=r: r * self.start_factor,
                lambda r=r: branch(epoch > self.total_iters, lambda: r, lambda: later(r)),
            )
            for r in self._rates()
        ]

    def _get_closed_form_lr(self) -> list[Number]:
        factor = linear_factor(self.last_epoch, self.start_factor, self.end_factor, self.total_iters)
        return [base * factor for base in self.base_lrs]


class ExponentialLR(LRScheduler):
    """Multiplies each rate by ``gamma`` every epoch.

    Args:
        optimizer: the optimizer.
        gamma: factor of each epoch.
        last_epoch: the epoch to resume after.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.ExponentialLR.html.

    Example:
        >>> import fnn, numpy as np
        >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=0.5)
        >>> scheduler = ExponentialLR(sgd, gamma=0.5)
        >>> sgd.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.25]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Number]:
        """The rates times ``gamma``.

        Returns:
            One rate a group.
        """
        self._warn_outside_step()
        return [rate if self._is_initial else rate * self.gamma for rate in self._rates()]

    def _get_closed_form_lr(self) -> list[Number]:
        factor = exponential_factor(self.last_epoch, self.gamma)
        return [base * factor for base in self.base_lrs]


class PolynomialLR(LRScheduler):
    """Lowers each rate to 0 in ``total_iters`` epochs, as ``(1 - epoch / total_iters) ** power``.

    Args:
        optimizer: the optimizer.
        total_iters: how long it takes.
        power: the exponent.
        last_epoch: the epoch to resume after.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.PolynomialLR.html.

    Example:
        >>> import fnn, numpy as np
        >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=0.5)
        >>> scheduler = PolynomialLR(sgd, total_iters=4)
        >>> sgd.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.375]
    """

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Number]:
        """The rates, times the quotient of this epoch's power and the last one's.

        Returns:
            One rate a group.
        """
        self._warn_outside_step()
        epoch, total = self.last_epoch, self.total_iters

        def factor() -> Any:
            return ((1.0 - epoch / total) / (1.0 - (epoch - 1) / total)) ** self.power

        if self._is_initial:
            return self._rates()
        return [branch(epoch > total, lambda r=r: r, lambda r=r: r * factor()) for r in self._rates()]

    def _get_closed_form_lr(self) -> list[Number]:
        factor = polynomial_factor(self.last_epoch, self.total_iters, self.power)
        return [base * factor for base in self.base_lrs]

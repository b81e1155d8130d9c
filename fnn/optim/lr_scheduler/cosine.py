"""Schedulers along a cosine."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import jax
from jax.core import Tracer

from fnn.functional.checks import fail
from fnn.optim._checks import check_divisor
from fnn.optim._scalars import HOST, both, branch, cos, where
from fnn.optim.lr_scheduler.scheduler import LRScheduler
from fnn.optim.optimizer import Optimizer
from fnn.optim.schedule.cosine import cosine_annealing
from fnn.optim.typing import Number

__all__ = ["CosineAnnealingLR", "CosineAnnealingWarmRestarts"]


class CosineAnnealingLR(LRScheduler):
    """Lowers each rate to ``eta_min`` along half a cosine of ``T_max`` epochs (Loshchilov and Hutter, 2017).

    Args:
        optimizer: the optimizer.
        T_max: epochs of the descent; the rates rise again after it.
        eta_min: the lowest rate.
        last_epoch: the epoch to resume after.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.CosineAnnealingLR.html.

    Example:
        >>> import fnn, numpy as np
        >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=1.0)
        >>> scheduler = CosineAnnealingLR(sgd, T_max=2)
        >>> sgd.step(); scheduler.step()
        >>> round(scheduler.get_last_lr()[0], 6)
        0.5
    """

    def __init__(self, optimizer: Optimizer, T_max: float, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        check_divisor("CosineAnnealingLR", "T_max", T_max)
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Number]:
        """The rates by the recursive form, which composes with other schedulers.

        Returns:
            One rate a group.
        """
        self._warn_outside_step()
        epoch, period, low = self.last_epoch, self.T_max, self.eta_min
        if self._is_initial:
            return self._rates()

        def turn(rate: Number, base: Number) -> Number:
            return rate + (base - low) * (1 - math.cos(math.pi / period)) / 2

        def follow(rate: Number) -> Number:
            ratio = (1 + cos(math.pi * epoch / period)) / (1 + cos(math.pi * (epoch - 1) / period))
            return ratio * (rate - low) + low

        def chain() -> list[Number]:
            at_turn = (epoch - 1 - period) % (2 * period) == 0
            return [
                branch(at_turn, lambda r=r, b=b: turn(r, b), lambda r=r: follow(r))
                for r, b in zip(self._rates(), self.base_lrs, strict=True)
            ]

        resumed = both(self._step_count == 1, epoch > 0)
        if isinstance(resumed, HOST):
            return self._get_closed_form_lr() if resumed else chain()
        return [where(resumed, a, b) for a, b in zip(self._get_closed_form_lr(), chain(), strict=True)]

    def _get_closed_form_lr(self) -> list[Number]:
        return [cosine_annealing(base, self.eta_min, self.last_epoch, self.T_max) for base in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """A cosine down to ``eta_min``, restarted after ``T_0`` epochs, then ``T_0 * T_mult``, and so on.

    Args:
        optimizer: the optimizer.
        T_0: epochs of the first period.
        T_mult: growth of the periods.
        eta_min: the lowest rate.
        last_epoch: the epoch to resume after.

    Raises:
        ValueError: if ``T_0`` is not a positive integer, ``T_mult`` not an integer of at least 1, or ``eta_min`` not a
            number.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.CosineAnnealingWarmRestarts.html;
    https://arxiv.org/abs/1608.03983.

    Example:
        >>> import fnn, numpy as np
        >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=1.0)
        >>> scheduler = CosineAnnealingWarmRestarts(sgd, T_0=2)
        >>> for _ in range(2): sgd.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [1.0]
    """

    _counters: ClassVar[tuple[str, ...]] = (*LRScheduler._counters, "T_cur", "T_i")
    T_cur: Number
    T_i: Number
    last_epoch: int | jax.Array

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        name = "CosineAnnealingWarmRestarts"
        if not isinstance(T_0, int) or T_0 <= 0:
            fail(ValueError, name, "T_0", "a positive integer", T_0)
        if not isinstance(T_mult, int) or T_mult < 1:
            fail(ValueError, name, "T_mult", "an integer of at least 1", T_mult)
        if not isinstance(eta_min, float | int):
            fail(ValueError, name, "eta_min", "a number", eta_min)
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Number]:
        """The rates at the place within the period.

        Returns:
            One rate a group.
        """
        self._warn_outside_step()
        return [cosine_annealing(base, self.eta_min, self.T_cur, self.T_i) for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Advances by one epoch.

        Args:
            epoch: the epoch to go to instead; it may be a fraction, as within an epoch.

        Raises:
            ValueError: if ``epoch`` is negative.
            TypeError: if it is traced.

        Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.CosineAnnealingWarmRestarts.html.

        Example:
            >>> import fnn, numpy as np
            >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=1.0)
            >>> scheduler = CosineAnnealingWarmRestarts(sgd, T_0=2)
            >>> scheduler.step(2.5)
            >>> scheduler.T_cur
            0.5
        """
        self._begin_step()
        if epoch is None:
            self._advance()
        else:
            self._jump(epoch)
        with self._within_step():
            rates = self.get_lr()
        self._set_rates(rates)

    def _advance(self) -> None:
        start, place, period = self.last_epoch < 0, self.T_cur + 1, self.T_i
        over = place >= period
        place = branch(over, lambda: place % period, lambda: place)
        grown = branch(over, lambda: period * self.T_mult, lambda: period)
        self.T_cur = branch(start, lambda: 0, lambda: place)
        self.T_i = branch(start, lambda: self.T_0, lambda: grown)
        self.last_epoch = branch(start, lambda: 0, lambda: self.last_epoch + 1)

    def _jump(self, epoch: Any) -> None:
        name = "CosineAnnealingWarmRestarts.step"
        if isinstance(epoch, Tracer):
            fail(TypeError, name, "epoch", "a Python number, also under fnn.jit", epoch)
        if epoch < 0:
            fail(ValueError, name, "epoch", "at least 0", epoch)
        first, growth = self.T_0, self.T_mult
        if epoch < first:
            self.T_i, self.T_cur = first, epoch
        elif growth == 1:
            self.T_cur = epoch % first
        else:
            n = int(math.log(epoch / first * (growth - 1) + 1, growth))
            self.T_cur = epoch - first * (growth**n - 1) / (growth - 1)
            self.T_i = first * growth**n
        self.last_epoch = math.floor(epoch)

"""The scheduler that goes by a metric."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import jax
import numpy as np
from jax.core import Tracer

from fnn.functional.checks import check_choice, describe
from fnn.functional.explained import explained
from fnn.optim._checks import check_number
from fnn.optim.lr_scheduler.scheduler import LRScheduler, check_optimizer, per_group, set_option
from fnn.optim.optimizer import Optimizer
from fnn.optim.schedule import PlateauState, reduce_lr_on_plateau
from fnn.optim.typing import Number
from fnn.stateful.boxes import Box

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau(LRScheduler):
    """Lowers the rates when a metric has stopped improving for more than ``patience`` epochs.

    Args:
        optimizer: the optimizer.
        mode: 'min' if the metric should fall, 'max' if it should rise.
        factor: what a rate is multiplied by, below 1.
        patience: epochs without improvement that are let pass.
        threshold: the least improvement that counts.
        threshold_mode: 'rel' (a share of the best) or 'abs'.
        cooldown: epochs after a reduction in which none are counted.
        min_lr: least rate, or one a group.
        eps: a change not larger than this is not made.

    Raises:
        ValueError: if ``factor`` is not below 1, a mode is unknown, or ``min_lr`` has not one value a group.
        TypeError: if ``optimizer`` is no Optimizer.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html.

    Example:
        >>> import fnn, numpy as np
        >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=1.0)
        >>> scheduler = ReduceLROnPlateau(sgd, factor=0.5, patience=0)
        >>> for loss in (3.0, 3.0): scheduler.step(loss)
        >>> scheduler.get_last_lr()
        [0.5]
    """

    _counters: ClassVar[tuple[str, ...]] = ("last_epoch", "best", "num_bad_epochs", "cooldown_counter")
    best: Number
    num_bad_epochs: Number
    cooldown_counter: Number
    min_lrs: list[Number]
    mode_worse: float
    default_min_lr: Number | None

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: Number | Sequence[Number] = 0,
        eps: float = 1e-8,
    ) -> None:
        name = "ReduceLROnPlateau"
        check_number(name, "factor", factor, below=1)
        check_optimizer(self, optimizer)
        check_choice(name, "mode", mode, ("min", "max"))
        check_choice(name, "threshold_mode", threshold_mode, ("rel", "abs"))
        self.factor = factor
        self.optimizer = optimizer
        self.min_lrs = per_group(self, "min_lr", optimizer, min_lr)
        self.default_min_lr = None if isinstance(min_lr, Sequence) else min_lr
        self.patience = patience
        self.cooldown = cooldown
        self.eps = eps
        self.last_epoch = 0
        self._last_lr = self._rates()
        self.mode = mode
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.mode_worse = math.inf if mode == "min" else -math.inf
        self._reset()

    def _reset(self) -> None:
        """Forgets the metrics seen."""
        self.best = self.mode_worse
        self.cooldown_counter = 0
        self.num_bad_epochs = 0

    @property
    def in_cooldown(self) -> bool | jax.Array:
        """Whether bad epochs are not counted at present."""
        return self.cooldown_counter > 0

    @explained
    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Notes the metric of an epoch and lowers the rates if it is time.

        Args:
            metrics: one number, or an array or Parameter of one; under ``fnn.jit`` it may be traced.
            epoch: the number of the epoch; deprecated as in torch.

        Raises:
            TypeError: if ``epoch`` is no number.
            ValueError: if ``metrics`` is not one number.
            RuntimeError: if it is traced and this scheduler's state is not, or groups were added and ``min_lrs`` not.

        Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html.

        Example:
            >>> import fnn, numpy as np
            >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=1.0)
            >>> scheduler = ReduceLROnPlateau(sgd, factor=0.5, patience=1)
            >>> for loss in (3.0, 3.0, 3.0): scheduler.step(loss)
            >>> sgd.param_groups[0]["lr"]
            0.5
        """
        self._check_epoch(epoch)
        self._begin_step()
        metric = self._read(metrics)
        if epoch is not None:
            self._warn_of_epoch()
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        self._match_groups()
        state = None
        for group, least in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
            rate = group["lr"] if isinstance(group["lr"], Tracer) else float(group["lr"])
            state = self._next(metric, rate, least)
            if isinstance(state.lr, Tracer) or state.lr != rate:
                set_option(group, "lr", state.lr)
        if state is not None:
            self.best, self.num_bad_epochs = state.best, state.num_bad_epochs
            self.cooldown_counter = state.cooldown_counter
        self._last_lr = self._rates()

    def _next(self, metric: Number, rate: Number, least: Number) -> PlateauState:
        rule = reduce_lr_on_plateau(
            rate,
            self.mode,
            self.factor,
            self.patience,
            self.threshold,
            self.threshold_mode,
            self.cooldown,
            least,
            self.eps,
        )
        state = PlateauState(self.last_epoch, rate, self.best, self.num_bad_epochs, self.cooldown_counter)
        return rule.update(metric, state)[1]

    def _read(self, metrics: Any) -> Number:
        value = metrics.data if isinstance(metrics, Box) else metrics
        if isinstance(value, Tracer):
            if value.size != 1:
                raise ValueError(f"ReduceLROnPlateau.step: metrics must be one number, got shape {value.shape}")
            if not isinstance(self.last_epoch, Tracer):
                raise RuntimeError(
                    "ReduceLROnPlateau.step: metrics is traced, but the scheduler's state is not, into which it would leak; "
                    "use fnn.jit, not jax.jit"
                )
            return value.reshape(())
        if isinstance(value, jax.Array | np.ndarray):
            if value.size != 1:
                raise ValueError(f"ReduceLROnPlateau.step: metrics must be one number, got shape {value.shape}")
            return float(value.item())
        if not isinstance(value, numbers.Real):
            raise TypeError(f"ReduceLROnPlateau.step: metrics must be one number, got {describe(value)}")
        return float(value)

    def _match_groups(self) -> None:
        count = len(self.optimizer.param_groups)
        if len(self.min_lrs) == count:
            return
        if self.default_min_lr is None:
            raise RuntimeError(
                f"ReduceLROnPlateau: the optimizer has {count} groups now, min_lrs {len(self.min_lrs)} values; set min_lrs "
                "to one value a group after adding groups"
            )
        self.min_lrs = [self.default_min_lr] * count

    def _take_state(self, state_dict: Mapping[str, Any]) -> None:
        super()._take_state(state_dict)
        self.mode_worse = math.inf if self.mode == "min" else -math.inf

"""Learning-rate schedulers with torch's chainable rule: each step reads and rescales the groups' current ``lr``."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Hashable, Iterable
from typing import Any

import jax
import jax.numpy as jnp

from fnn.optim.optimizer import Optimizer
from fnn.stateful import Cell, Stateful, require_known, static_key, structure_changed, trace_state

__all__ = ["CosineAnnealingLR", "LRScheduler", "StepLR"]

_COUNTERS = ("last_epoch", "_step_count")


def _choose(condition: Any, yes: Callable[[], Any], no: Callable[[], Any]) -> Any:
    """``yes()`` or ``no()``; both, and ``jnp.where``, if the condition is traced."""
    if isinstance(condition, jax.Array):
        return jnp.where(condition, yes(), no())
    return yes() if condition else no()


def _cos(angle: Any) -> Any:
    return jnp.cos(angle) if isinstance(angle, jax.Array) else math.cos(angle)


class _LastRateCell(Cell):
    """One element of a scheduler's ``_last_lr``."""

    __slots__ = ()

    def get(self) -> Any:
        return self.container["_last_lr"][self.key]

    def set(self, value: Any) -> None:
        rates = list(self.container["_last_lr"])
        rates[self.key] = value
        self.container["_last_lr"] = rates


class LRScheduler(Stateful):
    """Base class of the schedulers; a subclass gives the groups' next rates in ``get_lr``.

    ``step()`` works eagerly, in float64, and under ``fnn.jit``, where counter and rates are traced.
    See https://docs.pytorch.org/docs/2.13/optim.html#how-to-adjust-learning-rate.

    Args:
        optimizer: the optimizer whose groups are scheduled.
        last_epoch: the epoch to resume after; -1 starts anew and records each group's ``initial_lr``.

    Raises:
        TypeError: if ``optimizer`` is no Optimizer.
        KeyError: on resuming, if a group has no ``initial_lr``.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(self).__name__}: optimizer must be an Optimizer, got {type(optimizer).__name__}")
        self._stateful_origin_ = trace_state()
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"{type(self).__name__}: param 'initial_lr' is not specified in param_groups[{i}] when resuming an "
                    "optimizer"
                )
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._step_count = 0
        self._last_lr: list[Any] = []
        self._initial_step()

    def _initial_step(self) -> None:
        self._initial = True
        try:
            self.step()
        finally:
            del self._initial

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in ("last_epoch", "_step_count", "_last_lr"):
            structure_changed()
        object.__setattr__(self, name, value)

    def get_last_lr(self) -> list[Any]:
        """The rates set by the last step, one a group."""
        return list(self._last_lr)

    def get_lr(self) -> list[Any]:
        """The next rates, computed from the groups' current ones."""
        raise NotImplementedError

    def step(self, epoch: int | None = None) -> None:
        """Advances by one epoch (or to ``epoch``, deprecated as in torch) and sets each group's ``lr``."""
        require_known(self, f"{type(self).__name__} scheduler")
        self._step_count = self._step_count + 1
        if epoch is None:
            self.last_epoch = self.last_epoch + 1
            rates = self.get_lr()
        else:
            warnings.warn(
                "the epoch argument of scheduler.step() is deprecated; call step() once an epoch",
                UserWarning,
                stacklevel=2,
            )
            self.last_epoch = epoch
            closed = getattr(self, "_get_closed_form_lr", None)
            rates = self.get_lr() if closed is None else closed()
        for group, rate in zip(self.optimizer.param_groups, rates, strict=False):
            group["lr"] = rate
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def _rates(self) -> list[Any]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Every attribute but the optimizer."""
        return {k: v for k, v in self.__dict__.items() if k not in ("optimizer", "_stateful_origin_")}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over a ``state_dict``, of this library or of torch."""
        self.__dict__.update({k: v for k, v in state_dict.items() if k != "optimizer"})
        structure_changed()

    # What fnn.jit sees

    def _stateful_children_(self) -> Iterable[Stateful]:
        return (self.optimizer,)

    def _stateful_cells_(self) -> Iterable[Cell]:
        for name in _COUNTERS:
            yield Cell(self.__dict__, name)
        for i in range(len(self._last_lr)):
            yield _LastRateCell(self.__dict__, i)

    def _stateful_key_(self) -> Hashable:
        skip = {"optimizer", "_stateful_origin_", "_last_lr", *_COUNTERS}
        return static_key({k: v for k, v in self.__dict__.items() if k not in skip})

    def _stateful_snapshot_(self) -> Callable[[], None]:
        attributes = dict(self.__dict__)
        last = list(self._last_lr)

        def restore() -> None:
            self.__dict__.clear()
            self.__dict__.update(attributes)
            self.__dict__["_last_lr"] = last
            structure_changed()

        return restore


class StepLR(LRScheduler):
    """Multiplies each rate by ``gamma`` every ``step_size`` epochs.

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.StepLR.html.

    Args:
        optimizer: the optimizer.
        step_size: epochs between two decays.
        gamma: factor of a decay.
        last_epoch: the epoch to resume after.

    Example:
        >>> import fnn, numpy as np
        >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=0.5)
        >>> scheduler = StepLR(sgd, step_size=2)
        >>> for _ in range(2): scheduler.step()
        >>> scheduler.get_last_lr()
        [0.05]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """The rates, times ``gamma`` where a period ends."""
        epoch = self.last_epoch
        hold = (epoch == 0) | (epoch % self.step_size != 0)
        return [_choose(hold, lambda r=r: r, lambda r=r: r * self.gamma) for r in self._rates()]

    def _get_closed_form_lr(self) -> list[Any]:
        return [base * self.gamma ** (self.last_epoch // self.step_size) for base in self.base_lrs]


class CosineAnnealingLR(LRScheduler):
    """Lowers each rate to ``eta_min`` along half a cosine of ``T_max`` epochs (Loshchilov and Hutter, 2017).

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.CosineAnnealingLR.html.

    Args:
        optimizer: the optimizer.
        T_max: epochs of the descent; the rates rise again after it.
        eta_min: the lowest rate.
        last_epoch: the epoch to resume after.

    Example:
        >>> import fnn, numpy as np
        >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=1.0)
        >>> scheduler = CosineAnnealingLR(sgd, T_max=2)
        >>> scheduler.step()
        >>> round(scheduler.get_last_lr()[0], 6)
        0.5
    """

    def __init__(self, optimizer: Optimizer, T_max: float, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        """The rates by the recursive form, which composes with other schedulers."""
        epoch, period, low = self.last_epoch, self.T_max, self.eta_min

        def turn(rate: Any, base: float) -> Any:
            return rate + (base - low) * (1 - math.cos(math.pi / period)) / 2

        def follow(rate: Any) -> Any:
            ratio = (1 + _cos(math.pi * epoch / period)) / (1 + _cos(math.pi * (epoch - 1) / period))
            return ratio * (rate - low) + low

        if not isinstance(epoch, jax.Array) and (epoch == 0 or ("_initial" in self.__dict__ and epoch > 0)):
            return self._rates() if epoch == 0 else self._resumed()
        at_start, at_turn = epoch == 0, (epoch - 1 - period) % (2 * period) == 0
        return [
            _choose(
                at_start,
                lambda r=r: r,
                lambda r=r, b=b: _choose(at_turn, lambda: turn(r, b), lambda: follow(r)),
            )
            for r, b in zip(self._rates(), self.base_lrs, strict=True)
        ]

    def _resumed(self) -> list[Any]:
        angle = math.pi * self.last_epoch / self.T_max
        return [self.eta_min + (base - self.eta_min) * (1 + _cos(angle)) / 2 for base in self.base_lrs]

    _get_closed_form_lr = _resumed

"""Schedulers made of schedulers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from fnn.functional.checks import fail
from fnn.optim.lr_scheduler.plateau import ReduceLROnPlateau
from fnn.optim.lr_scheduler.scheduler import LRScheduler, epochs_of, option_of_groups, set_option
from fnn.optim.optimizer import Optimizer
from fnn.stateful.protocol import walk
from fnn.stateful.structure import structure_changed

__all__ = ["ChainedScheduler", "SequentialLR"]


class _Composite(LRScheduler):
    """A scheduler made of others; ``state_dict`` has those of the parts under ``_schedulers``."""

    _schedulers: Sequence[Any]

    def _check_parts(self, schedulers: Sequence[Any], optimizer: Any) -> Optimizer:
        name = type(self).__name__
        if len(schedulers) < 1:
            raise ValueError(f"{name}: schedulers must hold at least one scheduler, got none")
        for i, scheduler in enumerate(schedulers):
            if not hasattr(scheduler, "optimizer"):
                raise TypeError(
                    f"{name}: schedulers[{i}] must have an attribute optimizer, got {type(scheduler).__name__}"
                )
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(f"{name}: schedulers[{i}] must not be a ReduceLROnPlateau, whose step takes a metric")
            optimizer = scheduler.optimizer if optimizer is None else optimizer
            if scheduler.optimizer is not optimizer:
                raise ValueError(
                    f"{name}: all schedulers must belong to the same optimizer, got another one at index {i} "
                    f"({type(scheduler).__name__})"
                )
        return optimizer

    def _update_lr(self, epoch: int | None = None) -> None:
        raise NotImplementedError(
            f"{type(self).__name__} cannot begin anew at a milestone: within SequentialLR it may only be the first scheduler"
        )

    def state_dict(self) -> dict[str, Any]:
        """Every attribute but the optimizer, with the ``state_dict`` of each scheduler."""
        return {**super().state_dict(), "_schedulers": [s.state_dict() for s in self._schedulers]}

    def _check_state(self, function: str, state_dict: Any) -> None:
        super()._check_state(function, state_dict)
        parts, count = state_dict.get("_schedulers"), len(self._schedulers)
        if not isinstance(parts, list | tuple) or len(parts) != count:
            fail(ValueError, function, "state_dict", f"a dict with '_schedulers', a list of {count} dicts", state_dict)
        for i, (scheduler, state) in enumerate(zip(self._schedulers, parts, strict=True)):
            if isinstance(scheduler, LRScheduler):
                scheduler._check_state(f"{function}: _schedulers[{i}]", state)

    def _take_state(self, state_dict: Mapping[str, Any]) -> None:
        super()._take_state({k: v for k, v in state_dict.items() if k != "_schedulers"})
        for scheduler, state in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            scheduler.load_state_dict(state)
        structure_changed()


class ChainedScheduler(_Composite):
    """Steps several schedulers of one optimizer one after the other, each changing what the one before has set.

    Args:
        schedulers: in order.
        optimizer: their optimizer; that of the first if ``None``.

    Raises:
        ValueError: if there are none, they are of several optimizers, or one is a ReduceLROnPlateau.
        TypeError: if one is no scheduler.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.ChainedScheduler.html.

    Example:
        >>> import fnn, numpy as np
        >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=1.0)
        >>> S = fnn.optim.lr_scheduler
        >>> scheduler = ChainedScheduler([S.ConstantLR(sgd, 0.5), S.ExponentialLR(sgd, 0.5)])
        >>> sgd.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.25]
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        self.optimizer: Optimizer = self._check_parts(schedulers, optimizer)
        self._schedulers = schedulers
        self._last_lr = self._rates()

    def step(self) -> None:  # type: ignore[override]
        """Steps every scheduler, in order.

        Raises:
            RuntimeError: under an ``fnn.jit`` that did not find this scheduler.

        Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.ChainedScheduler.html.

        Example:
            >>> import fnn, numpy as np
            >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=1.0)
            >>> halving = fnn.optim.lr_scheduler.ExponentialLR(sgd, gamma=0.5)
            >>> scheduler = ChainedScheduler([halving])
            >>> sgd.step(); scheduler.step()
            >>> scheduler.get_last_lr()
            [0.5]
        """
        self._begin_step()
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = self._rates()


class SequentialLR(_Composite):
    """Runs schedulers of one optimizer one after the other; each begins anew at its milestone.

    As in torch, only the
    first may itself be a ChainedScheduler or SequentialLR.

    Args:
        optimizer: the optimizer.
        schedulers: in order.
        milestones: the epochs at which the second and later ones begin; increasing.
        last_epoch: the epoch to resume after.

    Raises:
        ValueError: if there are none, they are of several optimizers, one is a ReduceLROnPlateau, or there is not one
            milestone fewer.
        TypeError: if one is no scheduler.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.SequentialLR.html.

    Example:
        >>> import fnn, numpy as np
        >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=1.0)
        >>> S = fnn.optim.lr_scheduler
        >>> scheduler = SequentialLR(sgd, [S.ConstantLR(sgd, 0.5, 9), S.ExponentialLR(sgd, 0.5)], milestones=[2])
        >>> rates = scheduler.get_last_lr()
        >>> for _ in range(3): sgd.step(); scheduler.step(); rates += scheduler.get_last_lr()
        >>> rates
        [0.5, 0.5, 1.0, 0.5]
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: list[LRScheduler], milestones: list[int], last_epoch: int = -1
    ) -> None:
        self._check_parts(schedulers, optimizer)
        milestones = epochs_of("SequentialLR", "milestones", milestones)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"SequentialLR: milestones must be one fewer than the schedulers ({len(schedulers)} of them), got "
                f"{len(milestones)}"
            )
        self._schedulers = schedulers
        self._milestones = milestones
        self.last_epoch: int | jax.Array = last_epoch + 1
        self.optimizer: Optimizer = optimizer
        # Each scheduler's constructor has taken its first step; only that of the one that begins may stay.
        for group in optimizer.param_groups:
            set_option(group, "lr", group["initial_lr"])
        self.recursive_undo()
        first = schedulers[bisect_right(milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def recursive_undo(self, sched: Any = None) -> None:
        """Takes one epoch back from every scheduler below, as the constructor does with their first steps.

        Args:
            sched: the scheduler to begin at; this one if ``None``.

        Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.SequentialLR.html.

        Example:
            >>> import fnn, numpy as np
            >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=1.0)
            >>> halving = fnn.optim.lr_scheduler.ExponentialLR(sgd, gamma=0.5)
            >>> scheduler = SequentialLR(sgd, [halving], milestones=[])
            >>> scheduler.recursive_undo()
            >>> halving.last_epoch
            -1
        """
        scheduler = self if sched is None else sched
        if hasattr(scheduler, "_schedulers"):
            for part in scheduler._schedulers:
                self.recursive_undo(part)
        elif hasattr(scheduler, "last_epoch"):
            scheduler.last_epoch -= 1

    def step(self) -> None:  # type: ignore[override]
        """Steps the scheduler whose turn it is.

        Raises:
            RuntimeError: under an ``fnn.jit`` that did not find this scheduler.

        Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.SequentialLR.html.

        Example:
            >>> import fnn, numpy as np
            >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=1.0)
            >>> halving = fnn.optim.lr_scheduler.ExponentialLR(sgd, gamma=0.5)
            >>> scheduler = SequentialLR(sgd, [halving], milestones=[])
            >>> sgd.step(); scheduler.step()
            >>> scheduler.get_last_lr()
            [0.5]
        """
        self._begin_step()
        self.last_epoch = self.last_epoch + 1
        if isinstance(self.last_epoch, Tracer):
            self._step_traced(self.last_epoch)
            self._last_lr = option_of_groups(self.optimizer, "lr")
            return
        number = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[number]
        if number > 0 and self._milestones[number - 1] == self.last_epoch:
            scheduler._update_lr(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()

    def _step_traced(self, epoch: Any) -> None:
        """Tries every scheduler's step and takes over the results of the one whose turn it is."""
        reached = sum((epoch >= m).astype(int) for m in self._milestones) if self._milestones else jnp.zeros((), int)
        steps: list[tuple[Any, Callable[[], Any]]] = []
        for number, scheduler in enumerate(self._schedulers):
            mine = reached == number
            steps.append((mine, scheduler.step))
            if number > 0:
                begins = mine & (epoch == self._milestones[number - 1])
                steps.append((begins, lambda s=scheduler: s._update_lr(0)))
        cells = [cell for obj in walk([self]) for cell in obj._stateful_cells_()]
        before = [cell.get() for cell in cells]
        merged = before
        for condition, act in steps:
            for cell, value in zip(cells, before, strict=True):
                cell.set(value)
            act()
            after = [cell.get() for cell in cells]
            merged = [_choose(condition, new, old) for new, old in zip(after, merged, strict=True)]
        for cell, value in zip(cells, merged, strict=True):
            cell.set(value)


def _choose(condition: Any, new: Any, old: Any) -> Any:
    if new is old:
        return old
    chosen = jnp.where(condition, new, old)
    return chosen.astype(old.dtype) if isinstance(old, jax.Array) else chosen

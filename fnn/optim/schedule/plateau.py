"""The schedule that goes by a metric."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from fnn.functional.checks import check_choice, describe
from fnn.functional.explained import checked, is_number
from fnn.optim._checks import check_number
from fnn.optim._scalars import as_count, real, where, wide
from fnn.optim.typing import Number

__all__ = ["Plateau", "PlateauState", "reduce_lr_on_plateau"]


class PlateauState(NamedTuple):
    """The state of ``reduce_lr_on_plateau``: Python numbers, or arrays of one.

    Args:
        step: metrics seen so far.
        lr: the learning rate to use.
        best: the best metric.
        num_bad_epochs: how many in a row were no improvement.
        cooldown_counter: epochs that bad ones are still not counted in.
    """

    step: Number
    lr: Number
    best: Number
    num_bad_epochs: Number
    cooldown_counter: Number


class Plateau(NamedTuple):
    """The schedule that goes by a metric: ``state = init()``; ``lr, state = update(metric, state)``.

    Args:
        init: makes the state.
        update: takes a metric and the state, and gives the learning rate to use and the next state.
    """

    init: Callable[[], PlateauState]
    update: Callable[[Number, PlateauState], tuple[Number, PlateauState]]


@checked
def reduce_lr_on_plateau(
    lr: Number,
    mode: str = "min",
    factor: Number = 0.1,
    patience: int = 10,
    threshold: Number = 1e-4,
    threshold_mode: str = "rel",
    cooldown: int = 0,
    min_lr: Number = 0.0,
    eps: Number = 1e-8,
) -> Plateau:
    """Lowers the learning rate when a metric has stopped improving.

    Args:
        lr: initial learning rate.
        mode: 'min' if the metric should fall, 'max' if it should rise.
        factor: what the rate is multiplied by, below 1.
        patience: epochs without improvement that are let pass.
        threshold: the least improvement that counts.
        threshold_mode: 'rel' (a share of the best) or 'abs'.
        cooldown: epochs after a reduction in which none are counted.
        min_lr: least learning rate.
        eps: a change smaller than this is not made.

    Returns:
        ``Plateau(init, update)``. Python numbers stay Python numbers; a traced metric gives arrays.

    Raises:
        ValueError: if an option is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html.

    Example:
        >>> plateau = reduce_lr_on_plateau(1.0, factor=0.5, patience=0)
        >>> lr, state = plateau.update(3.0, plateau.init())
        >>> plateau.update(3.0, state)[0]
        0.5
    """
    name = "reduce_lr_on_plateau"
    check_number(name, "factor", factor, below=1)
    check_choice(name, "mode", mode, ("min", "max"))
    check_choice(name, "threshold_mode", threshold_mode, ("rel", "abs"))
    sign = 1 if mode == "min" else -1

    def init() -> PlateauState:
        return PlateauState(0, wide(lr), sign * math.inf, 0, 0)

    def update(metric: Number, state: PlateauState) -> tuple[Number, PlateauState]:
        if not isinstance(state, PlateauState):
            raise TypeError(f"{name}.update: state must be the PlateauState that init gives, got {describe(state)}")
        if not is_number(metric):
            raise TypeError(f"{name}.update: metric must be a number, got {describe(metric)}")
        metric = real(as_count(metric))
        margin = wide(threshold)
        bar = state.best * (1 - sign * margin) if threshold_mode == "rel" else state.best - sign * margin
        better = sign * metric < sign * bar
        bad = where(better, 0, state.num_bad_epochs + 1)
        cooling = state.cooldown_counter > 0
        waiting = where(cooling, state.cooldown_counter - 1, state.cooldown_counter)
        bad = where(cooling, 0, bad)
        reduce = bad > patience
        lower = state.lr * wide(factor)
        lower = where(lower > min_lr, lower, wide(min_lr))
        # `where` twice, not `and`: the conditions may be traced.
        new_lr = where(reduce, where(state.lr - lower > eps, lower, state.lr), state.lr)
        new = PlateauState(
            state.step + 1,
            new_lr,
            where(better, metric, state.best),
            where(reduce, 0, bad),
            where(reduce, cooldown, waiting),
        )
        return new_lr, new

    return Plateau(init, update)

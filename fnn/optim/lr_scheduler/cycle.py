"""Schedulers that go up and down, with the momentum."""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from fnn.functional.checks import check_choice, fail
from fnn.functional.explained import is_number
from fnn.optim._checks import check_divisor, check_number
from fnn.optim._scalars import minimum, on_host
from fnn.optim.lr_scheduler.scheduler import (
    LRScheduler,
    callable_key,
    callable_state,
    check_optimizer,
    like,
    per_group,
    set_option,
)
from fnn.optim.optimizer import Optimizer, ParamGroup
from fnn.optim.schedule.cycle import cycle_and_height, cycle_scale, one_cycle, one_cycle_ends
from fnn.optim.typing import Number
from fnn.stateful.boxes import Cell
from fnn.stateful.structure import structure_changed

__all__ = ["CyclicLR", "OneCycleLR"]


class _Cycle(LRScheduler):
    """A scheduler that moves the groups' momentum, or first beta, against the rate."""

    use_beta1: bool

    def _momenta(
        self, base_momentum: Number | Sequence[Number], max_momentum: Number | Sequence[Number]
    ) -> tuple[list[Number], list[Number]]:
        """The two ends of each group, checked before anything is written."""
        name, optimizer = type(self).__name__, self.optimizer
        if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
            raise ValueError(
                f"{name}: optimizer must have momentum or betas with cycle_momentum=True, got {type(optimizer).__name__}"
            )
        self.use_beta1 = "betas" in optimizer.defaults
        low = per_group(self, "base_momentum", optimizer, base_momentum)
        return low, per_group(self, "max_momentum", optimizer, max_momentum)

    def _start_momentum(self, momenta: tuple[list[Number], list[Number]], last_epoch: int) -> None:
        if last_epoch == -1:
            for group, least, most in zip(self.optimizer.param_groups, *momenta, strict=True):
                self._set_momentum(group, most)
                group["max_momentum"] = most
                group["base_momentum"] = least

    def _set_momentum(self, group: ParamGroup, momentum: Any) -> None:
        if self.use_beta1:
            first, *rest = group["betas"]
            # Only a number changes, which asks for no new program.
            Cell(group, "betas").set((like(first, momentum), *rest))
        else:
            set_option(group, "momentum", momentum)


class CyclicLR(_Cycle):
    """Moves each rate up and down between ``base_lr`` and ``max_lr``, and the momentum against it (Smith, 2017).

    Args:
        optimizer: the optimizer.
        base_lr: the low end, or one a group.
        max_lr: the high end, or one a group.
        step_size_up: steps of the rise.
        step_size_down: steps of the fall; as the rise if ``None``.
        mode: 'triangular', 'triangular2' (halved each cycle) or 'exp_range' (times ``gamma ** step``).
        gamma: for 'exp_range'.
        scale_fn: own scaling in place of ``mode``. Under ``fnn.jit`` its argument is traced.
        scale_mode: what ``scale_fn`` is given: 'cycle' (from 1) or 'iterations'.
        cycle_momentum: whether the momentum (of Adam: the first beta) cycles too.
        base_momentum: momentum at the high end of the rate, or one a group.
        max_momentum: momentum at the low end, or one a group.
        last_epoch: the step to resume after.

    Raises:
        ValueError: if ``mode`` is unknown, a list has not one value a group, or the optimizer has no momentum to cycle.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.CyclicLR.html;
    https://arxiv.org/abs/1506.01186.

    Example:
        >>> import fnn, numpy as np
        >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=0.5, momentum=0.9)
        >>> scheduler = CyclicLR(sgd, base_lr=0.25, max_lr=0.75, step_size_up=2)
        >>> sgd.step(); scheduler.step()
        >>> scheduler.get_last_lr()
        [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: Number | Sequence[Number],
        max_lr: Number | Sequence[Number],
        step_size_up: float = 2000,
        step_size_down: float | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[Any], Any] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: Number | Sequence[Number] = 0.8,
        max_momentum: Number | Sequence[Number] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(self, optimizer)
        self.optimizer = optimizer
        base_lrs = per_group(self, "base_lr", optimizer, base_lr)
        if scale_fn is None:
            check_choice("CyclicLR", "mode", mode, ("triangular", "triangular2", "exp_range"))
            scale_mode = "iterations" if mode == "exp_range" else "cycle"
        self.max_lrs: list[Number] = per_group(self, "max_lr", optimizer, max_lr)
        for name, size in (("step_size_up", step_size_up), ("step_size_down", step_size_down)):
            if size is not None and is_number(size):
                check_number("CyclicLR", name, size, -sys.float_info.max, sys.float_info.max)
        check_divisor("CyclicLR", "step_size_up", step_size_up)
        momenta = self._momenta(base_momentum, max_momentum) if cycle_momentum else None
        if last_epoch == -1:
            for group, rate in zip(optimizer.param_groups, base_lrs, strict=True):
                set_option(group, "lr", rate)
        up = float(step_size_up)
        self.total_size: float = up + (up if step_size_down is None else float(step_size_down))
        self.step_ratio: float = up / self.total_size
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode
        self.cycle_momentum = cycle_momentum
        if momenta is not None:
            self._start_momentum(momenta, last_epoch)
            self.base_momentums: list[Number] = momenta[0]
            self.max_momentums: list[Number] = momenta[1]
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: Any) -> Any:
        """The scale of the height.

        Args:
            x: the number of the cycle, from 1, or the step, by ``scale_mode``.

        Returns:
            What the height of the triangle is multiplied by.

        Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.CyclicLR.html.

        Example:
            >>> import fnn, numpy as np
            >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=1.0, momentum=0.9)
            >>> CyclicLR(sgd, 0.1, 1.0, mode="triangular2").scale_fn(2)
            0.5
        """
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        return cycle_scale(self.mode, self.gamma, x)

    def get_lr(self) -> list[Number]:
        """The rates of the step; sets the momentum as well.

        Returns:
            One rate a group.
        """
        self._warn_outside_step()
        cycle, height = cycle_and_height(self.last_epoch, self.total_size, self.step_ratio)
        at = cycle if self.scale_mode == "cycle" else self.last_epoch
        rates = [
            base + (most - base) * height * self.scale_fn(at)
            for base, most in zip(self.base_lrs, self.max_lrs, strict=True)
        ]
        if self.cycle_momentum:
            ends = zip(self.optimizer.param_groups, self.base_momentums, self.max_momentums, strict=True)
            for group, base, most in ends:
                self._set_momentum(group, most - (most - base) * height * self.scale_fn(at))
        return rates

    def state_dict(self) -> dict[str, Any]:
        """Every attribute but the optimizer; of ``scale_fn``, only what an object with ``__call__`` holds."""
        own = self._scale_fn_custom
        return {**super().state_dict(), "_scale_fn_custom": None if own is None else callable_state(own)}

    def _check_state(self, function: str, state_dict: Any) -> None:
        super()._check_state(function, state_dict)
        attributes = state_dict.get("_scale_fn_custom", self)
        if attributes is not None and not isinstance(attributes, dict):
            expected = "a dict with '_scale_fn_custom', None or a dict"
            fail(ValueError, function, "state_dict", expected, state_dict)

    def _take_state(self, state_dict: Mapping[str, Any]) -> None:
        super()._take_state({k: v for k, v in state_dict.items() if k != "_scale_fn_custom"})
        attributes = state_dict["_scale_fn_custom"]
        if attributes is not None and self._scale_fn_custom is not None:
            self._scale_fn_custom.__dict__.update(attributes)
        structure_changed()

    def _stateful_key_(self) -> Hashable:
        own = self._scale_fn_custom
        return super()._stateful_key_(), None if own is None else callable_key(own)


def _check_count(argument: str, value: Any) -> int:
    if not isinstance(value, int) or value <= 0:
        fail(ValueError, "OneCycleLR", argument, "a positive integer", value)
    return value


class OneCycleLR(_Cycle):
    """The 1cycle policy: up from ``max_lr / div_factor`` to ``max_lr``, then down to far below the start.

    Args:
        optimizer: the optimizer.
        max_lr: the peak, or one a group.
        total_steps: steps of the cycle; or else give ``epochs`` and ``steps_per_epoch``.
        epochs, steps_per_epoch: their product is the length.
        pct_start: share of the cycle that goes up, a float in [0, 1].
        anneal_strategy: 'cos' or 'linear'.
        cycle_momentum: whether the momentum (of Adam: the first beta) cycles too.
        base_momentum: momentum at the peak, or one a group.
        max_momentum: momentum at the ends, or one a group.
        div_factor: peak over start.
        final_div_factor: start over end.
        three_phase: whether to come down to the start, symmetrically, before the last descent.
        last_epoch: the step to resume after.

    Raises:
        ValueError: if an option is out of range, a list has not one value a group, or the optimizer has no momentum to
            cycle; at a step beyond the cycle, except under ``fnn.jit``, where the rate stays at the end.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.OneCycleLR.html;
    https://arxiv.org/abs/1708.07120.

    Example:
        >>> import fnn, numpy as np
        >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=0.5, momentum=0.9)
        >>> scheduler = OneCycleLR(sgd, max_lr=1.0, total_steps=10)
        >>> for _ in range(2): sgd.step(); scheduler.step()
        >>> scheduler.get_last_lr(), sgd.param_groups[0]["momentum"]
        ([1.0], 0.85)
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: Number | Sequence[Number],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: Number | Sequence[Number] = 0.85,
        max_momentum: Number | Sequence[Number] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(self, optimizer)
        self.optimizer = optimizer
        if total_steps is not None:
            total = _check_count("total_steps", total_steps)
        elif epochs is not None and steps_per_epoch is not None:
            total = _check_count("epochs", epochs) * _check_count("steps_per_epoch", steps_per_epoch)
        else:
            fail(ValueError, "OneCycleLR", "total_steps", "given, or else epochs and steps_per_epoch", total_steps)
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            fail(ValueError, "OneCycleLR", "pct_start", "a float between 0 and 1", pct_start)
        check_choice("OneCycleLR", "anneal_strategy", anneal_strategy, ("cos", "linear"))
        self.total_steps = total
        rates, momenta = ["initial_lr", "max_lr", "min_lr"], ["max", "base", "max"]
        if three_phase:
            rates, momenta = [*rates[:2], "initial_lr", "min_lr"], [*momenta, "max"]
        phases = zip(one_cycle_ends(total, pct_start, three_phase), pairwise(rates), pairwise(momenta), strict=True)
        # torch's layout, which ``state_dict`` has.
        self._schedule_phases = [
            {
                "end_step": end,
                "start_lr": start_lr,
                "end_lr": end_lr,
                "start_momentum": f"{start}_momentum",
                "end_momentum": f"{stop}_momentum",
            }
            for end, (start_lr, end_lr), (start, stop) in phases
        ]
        self._anneal_func_type = anneal_strategy
        peaks = per_group(self, "max_lr", optimizer, max_lr)
        for name, factor in (("div_factor", div_factor), ("final_div_factor", final_div_factor)):
            if not is_number(factor):
                fail(TypeError, "OneCycleLR", name, "a number", factor)
            check_divisor("OneCycleLR", name, factor)
        cycle_momentum = bool(cycle_momentum)
        momenta = self._momenta(base_momentum, max_momentum) if cycle_momentum else None
        if last_epoch == -1:
            for group, most in zip(optimizer.param_groups, peaks, strict=True):
                group["initial_lr"] = most / div_factor
                group["max_lr"] = most
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if momenta is not None:
            self._start_momentum(momenta, last_epoch)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Number]:
        """The rates of the step; sets the momentum as well.

        Returns:
            One rate a group.
        """
        self._warn_outside_step()
        step = self.last_epoch
        if on_host(step) and step > self.total_steps:
            raise ValueError(f"OneCycleLR: the cycle has total_steps={self.total_steps}, got step {step}")
        step = minimum(step, self.total_steps)
        rates = []
        for group in self.optimizer.param_groups:
            rates.append(self._value(group, "lr", step))
            if self.cycle_momentum:
                self._set_momentum(group, self._value(group, "momentum", step))
        return rates

    def _value(self, group: ParamGroup, kind: str, step: Any) -> Any:
        phases: list[Any] = self._schedule_phases
        ends = [phase["end_step"] for phase in phases]
        names = [phases[0]["start_" + kind], *(phase["end_" + kind] for phase in phases)]
        return one_cycle(step, self._anneal_func_type, ends, [group[name] for name in names])

"""Schedules that go up and down, of the learning rate or of the momentum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fnn.functional.checks import as_int, check_choice, fail
from fnn.optim._checks import check_number
from fnn.optim._host_or_traced import as_count, cosine_between, floor, line_between, minimum, on_host, real, where
from fnn.optim._scalars import wide
from fnn.optim.schedule.base import Schedule

__all__ = ["cyclic_lr", "one_cycle_lr"]


def one_cycle_lr(
    max_lr: Any,
    total_steps: int | None = None,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    pct_start: float = 0.3,
    anneal_strategy: str = "cos",
    base_momentum: Any = 0.85,
    max_momentum: Any = 0.95,
    div_factor: Any = 25.0,
    final_div_factor: Any = 1e4,
    three_phase: bool = False,
    *,
    returns: str = "lr",
) -> Schedule:
    """The 1cycle policy: up from ``max_lr / div_factor`` to ``max_lr``, then down to far below the start.

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.OneCycleLR.html;
    https://arxiv.org/abs/1708.07120.

    Args:
        max_lr: the peak.
        total_steps: length of the cycle; or else give ``epochs`` and ``steps_per_epoch``.
        epochs, steps_per_epoch: their product is the length.
        pct_start: share of the cycle that goes up, in [0, 1].
        anneal_strategy: 'cos' or 'linear'.
        base_momentum: momentum at the peak.
        max_momentum: momentum at the ends.
        div_factor: peak over start.
        final_div_factor: start over end.
        three_phase: whether to come down to the start, symmetrically, before the last descent.
        returns: 'lr', or 'momentum' for the schedule of the momentum that goes with it.

    Raises:
        ValueError: if an option is out of range; and for a Python count beyond the cycle. A traced one stays at its end.

    Example:
        >>> up = one_cycle_lr(1.0, total_steps=10)
        >>> round(up(0), 3), round(up(2), 3)
        (0.04, 1.0)
    """
    name = "one_cycle_lr"
    if total_steps is not None:
        total = as_int(name, "total_steps", total_steps, minimum=1)
    elif epochs is not None and steps_per_epoch is not None:
        total = as_int(name, "epochs", epochs, minimum=1) * as_int(name, "steps_per_epoch", steps_per_epoch, minimum=1)
    else:
        raise ValueError(f"{name}: total_steps, or epochs and steps_per_epoch, must be given")
    check_number(name, "pct_start", pct_start, 0, 1)
    check_choice(name, "anneal_strategy", anneal_strategy, ("cos", "linear"))
    check_choice(name, "returns", returns, ("lr", "momentum"))
    if returns == "lr":
        high = wide(max_lr)
        low = high / wide(div_factor)
        final = low / wide(final_div_factor)
    else:
        high, low = wide(base_momentum), wide(max_momentum)
        final = low
    peak = pct_start * total - 1
    phases = [(0.0, peak, low, high)]
    if three_phase:
        phases += [(peak, 2 * pct_start * total - 2, high, low)]
    phases += [(phases[-1][1], total - 1, phases[-1][3], final)]
    anneal = cosine_between if anneal_strategy == "cos" else line_between

    def value(count: Any) -> Any:
        count = as_count(count)
        if on_host(count) and count > total:
            fail(ValueError, name, "count", f"at most total_steps ({total})", count)
        count = minimum(real(count), float(total))
        result = None
        for begin, end, start, stop in reversed(phases):
            here = anneal(start, stop, (count - begin) / ((end - begin) or 1.0))
            result = here if result is None else where(count <= end, here, result)
        return result

    return value


def cyclic_lr(
    base_lr: Any,
    max_lr: Any,
    step_size_up: float = 2000,
    step_size_down: float | None = None,
    mode: str = "triangular",
    gamma: Any = 1.0,
    scale_fn: Callable[[Any], Any] | None = None,
    scale_mode: str = "cycle",
    base_momentum: Any = 0.8,
    max_momentum: Any = 0.9,
    *,
    returns: str = "lr",
) -> Schedule:
    """A triangle wave between ``base_lr`` and ``max_lr`` whose height is scaled by cycle or by count.

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.CyclicLR.html;
    https://arxiv.org/abs/1506.01186.

    Args:
        base_lr: the low end.
        max_lr: the high end.
        step_size_up: counts of the rise.
        step_size_down: counts of the fall; as the rise if ``None``.
        mode: 'triangular', 'triangular2' (halved each cycle) or 'exp_range' (times ``gamma ** count``).
        gamma: for 'exp_range'.
        scale_fn: own scaling in place of ``mode``.
        scale_mode: what ``scale_fn`` is given: 'cycle' (from 1) or 'iterations'.
        base_momentum: momentum at the high end of the learning rate.
        max_momentum: momentum at the low end.
        returns: 'lr', or 'momentum' for the schedule of the momentum that goes with it.

    Raises:
        ValueError: if an option is not among those above, or a step size is not above 0.

    Example:
        >>> [cyclic_lr(0.0, 1.0, 2)(i) for i in range(5)]
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if scale_fn is None:
        check_choice("cyclic_lr", "mode", mode, ("triangular", "triangular2", "exp_range"))
        scale_mode = "iterations" if mode == "exp_range" else "cycle"
    check_choice("cyclic_lr", "scale_mode", scale_mode, ("cycle", "iterations"))
    check_choice("cyclic_lr", "returns", returns, ("lr", "momentum"))
    check_number("cyclic_lr", "step_size_up", step_size_up, above=0)
    if step_size_down is not None:
        check_number("cyclic_lr", "step_size_down", step_size_down, above=0)
    up = float(step_size_up)
    total = up + (up if step_size_down is None else float(step_size_down))
    share = up / total
    start, peak = (base_lr, max_lr) if returns == "lr" else (max_momentum, base_momentum)
    start, peak, gamma = wide(start), wide(peak), wide(gamma)

    def scale(x: Any) -> Any:
        if scale_fn is not None:
            return scale_fn(x)
        if mode == "triangular":
            return 1.0
        return 1 / (2.0 ** (x - 1)) if mode == "triangular2" else gamma**x

    def value(count: Any) -> Any:
        count = real(as_count(count)) if not on_host(count) else as_count(count)
        cycle = floor(1 + count / total)
        x = 1.0 + count / total - cycle
        height = where(x <= share, x / share, (x - 1) / (share - 1))
        return start + (peak - start) * height * scale(cycle if scale_mode == "cycle" else count)

    return value

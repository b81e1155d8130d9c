"""Schedules that go up and down, of the learning rate or of the momentum."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from fnn.functional.checks import as_int, check_choice, fail
from fnn.functional.explained import checked
from fnn.optim._checks import check_divisor, check_number
from fnn.optim._scalars import as_count, branch, cos, floor, minimum, on_host, real, wide
from fnn.optim.typing import Number, Schedule

__all__ = ["cyclic_lr", "one_cycle_lr"]


def one_cycle_ends(total_steps: int, pct_start: float, three_phase: bool) -> list[float]:
    """The counts at which the phases of the 1cycle policy end."""
    peak = pct_start * total_steps - 1
    middle = [2 * pct_start * total_steps - 2] if three_phase else []
    return [float(peak), *middle, total_steps - 1]


def one_cycle(count: Any, strategy: str, ends: Sequence[float], values: Sequence[Any]) -> Any:
    """The value at a count: ``values[0]`` at 0, ``values[i + 1]`` at ``ends[i]``, and a cosine or a line between."""

    def phase(i: int) -> Any:
        begin = ends[i - 1] if i else 0.0
        start, end = values[i], values[i + 1]

        def here() -> Any:
            # A phase without length is left at once, at its start.
            share = (count - begin) / ((ends[i] - begin) or 1.0)
            if strategy == "cos":
                return end + (start - end) / 2.0 * (cos(math.pi * share) + 1)
            return (end - start) * share + start

        return here() if i == len(ends) - 1 else branch(count <= ends[i], here, lambda: phase(i + 1))

    return phase(0)


@checked
def one_cycle_lr(
    max_lr: Number,
    total_steps: int | None = None,
    epochs: int | None = None,
    steps_per_epoch: int | None = None,
    pct_start: float = 0.3,
    anneal_strategy: str = "cos",
    base_momentum: Number = 0.85,
    max_momentum: Number = 0.95,
    div_factor: Number = 25.0,
    final_div_factor: Number = 1e4,
    three_phase: bool = False,
    *,
    returns: str = "lr",
) -> Schedule:
    """The 1cycle policy: up from ``max_lr / div_factor`` to ``max_lr``, then down to far below the start.

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

    Shape:
        - count, value: :math:`(*)`

    Returns:
        A function ``count -> value``.

    Raises:
        ValueError: if an option is out of range; and for a Python count beyond the cycle. A traced one stays at its end.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.OneCycleLR.html; Smith and Topin,
    Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates, https://arxiv.org/abs/1708.07120.

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
        fail(ValueError, name, "total_steps", "given, or else epochs and steps_per_epoch", total_steps)
    check_number(name, "pct_start", pct_start, 0, 1)
    check_choice(name, "anneal_strategy", anneal_strategy, ("cos", "linear"))
    check_choice(name, "returns", returns, ("lr", "momentum"))
    check_divisor(name, "div_factor", div_factor)
    check_divisor(name, "final_div_factor", final_div_factor)
    if returns == "lr":
        high = wide(max_lr)
        low = high / wide(div_factor)
        final = low / wide(final_div_factor)
    else:
        high, low = wide(base_momentum), wide(max_momentum)
        final = low
    ends = one_cycle_ends(total, pct_start, three_phase)
    values = [low, high, low, final] if three_phase else [low, high, final]

    def value(count: Number) -> Number:
        n = as_count(count)
        if on_host(n) and n > total:
            fail(ValueError, name, "count", f"at most total_steps ({total})", n)
        return one_cycle(minimum(real(n), float(total)), anneal_strategy, ends, values)

    return value


def cycle_and_height(count: Any, total: float, rising: float) -> tuple[Any, Any]:
    """The number of the cycle, from 1, and how high in it a count is; ``rising`` is the share that goes up."""
    cycle = floor(1 + count / total)
    place = 1.0 + count / total - cycle
    return cycle, branch(place <= rising, lambda: place / rising, lambda: (place - 1) / (rising - 1))


def cycle_scale(mode: str, gamma: Number, x: Any) -> Any:
    """The scale of a height, by the number of the cycle or, for 'exp_range', by the count."""
    if mode == "triangular":
        return 1.0
    return 1 / 2.0 ** (x - 1) if mode == "triangular2" else gamma**x


@checked
def cyclic_lr(
    base_lr: Number,
    max_lr: Number,
    step_size_up: float = 2000,
    step_size_down: float | None = None,
    mode: str = "triangular",
    gamma: Number = 1.0,
    scale_fn: Callable[[Any], Any] | None = None,
    scale_mode: str = "cycle",
    base_momentum: Number = 0.8,
    max_momentum: Number = 0.9,
    *,
    returns: str = "lr",
) -> Schedule:
    """A triangle wave between ``base_lr`` and ``max_lr`` whose height is scaled by cycle or by count.

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

    Shape:
        - count, value: :math:`(*)`

    Returns:
        A function ``count -> value``.

    Raises:
        ValueError: if an option is not among those above, or a step size is not above 0.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.CyclicLR.html; Smith, Cyclical Learning
    Rates for Training Neural Networks, https://arxiv.org/abs/1506.01186.

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
    rising = up / total
    low, high = (base_lr, max_lr) if returns == "lr" else (max_momentum, base_momentum)
    start, peak, growth = wide(low), wide(high), wide(gamma)

    def value(count: Number) -> Number:
        n = as_count(count)
        n = n if on_host(n) else real(n)
        cycle, height = cycle_and_height(n, total, rising)
        at = cycle if scale_mode == "cycle" else n
        scale = cycle_scale(mode, growth, at) if scale_fn is None else scale_fn(at)
        return start + (peak - start) * height * scale

    return value

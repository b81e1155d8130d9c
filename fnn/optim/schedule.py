"""Learning-rate schedules as pure functions ``count -> value``, for Python numbers (exact in float64) and traced counts.

Each takes the base learning rate first and then the arguments of torch's scheduler of that name.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fnn.functional.arrays import index_dtype
from fnn.functional.checks import as_int, check_choice, fail
from fnn.optim._common import check_number, wide, wide_dtype

__all__ = [
    "Plateau",
    "PlateauState",
    "Schedule",
    "chained",
    "constant_lr",
    "cosine_annealing_lr",
    "cosine_annealing_warm_restarts",
    "cyclic_lr",
    "exponential_lr",
    "lambda_lr",
    "linear_lr",
    "multi_step_lr",
    "multiplicative_lr",
    "one_cycle_lr",
    "polynomial_lr",
    "reduce_lr_on_plateau",
    "sequential",
    "step_lr",
]

Schedule = Callable[[Any], Any]


def _on_host(*values: Any) -> bool:
    return all(isinstance(v, bool | int | float | np.generic) for v in values)


def _count(count: Any) -> Any:
    """The count as Python number, or as an array."""
    if isinstance(count, np.generic):
        return count.item()
    if _on_host(count):
        return count
    array = jnp.asarray(count)
    # The quotient of int32 numbers, as in `1 / (1 + count)`, would be a float32.
    return array.astype(index_dtype()) if jnp.issubdtype(array.dtype, jnp.integer) else array


def _real(count: Any) -> Any:
    """The count as a float of the widest precision."""
    return float(count) if _on_host(count) else count.astype(wide_dtype())


def _where(condition: Any, a: Any, b: Any) -> Any:
    return (a if condition else b) if _on_host(condition) else jnp.where(condition, a, b)


def _minimum(a: Any, b: Any) -> Any:
    return min(a, b) if _on_host(a, b) else jnp.minimum(a, b)


def _cos(x: Any) -> Any:
    return math.cos(x) if _on_host(x) else jnp.cos(x)


def _floor(x: Any) -> Any:
    return math.floor(x) if _on_host(x) else jnp.floor(x)


def _cosine(start: Any, end: Any, fraction: Any) -> Any:
    return end + (start - end) / 2 * (1 + _cos(math.pi * fraction))


def _linear(start: Any, end: Any, fraction: Any) -> Any:
    return (end - start) * fraction + start


def constant_lr(lr: Any, factor: Any = 1 / 3, total_iters: int = 5) -> Schedule:
    """``lr * factor`` for the first ``total_iters`` counts, then ``lr``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.ConstantLR.html.

    Args:
        lr: base learning rate.
        factor: in [0, 1].
        total_iters: how long it holds.

    Raises:
        ValueError: if ``factor`` is outside [0, 1].

    Example:
        >>> [constant_lr(1.0, 0.5, 2)(i) for i in range(4)]
        [0.5, 0.5, 1.0, 1.0]
    """
    check_number("constant_lr", "factor", factor, 0, 1)
    lr = wide(lr)

    def value(count: Any) -> Any:
        return lr * _where(_count(count) < total_iters, wide(factor), 1.0)

    return value


def step_lr(lr: Any, step_size: int, gamma: Any = 0.1) -> Schedule:
    """``lr * gamma ** (count // step_size)``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.StepLR.html.

    Args:
        lr: base learning rate.
        step_size: counts between decays.
        gamma: factor of a decay.

    Raises:
        ValueError: if ``step_size`` is less than 1.

    Example:
        >>> [step_lr(1.0, 2, 0.5)(i) for i in range(5)]
        [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    step_size = as_int("step_lr", "step_size", step_size, minimum=1)
    lr, gamma = wide(lr), wide(gamma)

    def value(count: Any) -> Any:
        return lr * gamma ** _real(_count(count) // step_size)

    return value


def multi_step_lr(lr: Any, milestones: Sequence[int], gamma: Any = 0.1) -> Schedule:
    """``lr`` times ``gamma`` for each milestone reached; one that occurs twice counts twice.

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.MultiStepLR.html.

    Args:
        lr: base learning rate.
        milestones: counts, in any order.
        gamma: factor of a decay.

    Example:
        >>> [multi_step_lr(1.0, [1, 3], 0.5)(i) for i in range(4)]
        [1.0, 0.5, 0.5, 0.25]
    """
    marks = sorted(milestones)
    lr, gamma = wide(lr), wide(gamma)

    def value(count: Any) -> Any:
        return lr * gamma ** _real(_reached(marks, _count(count)))

    return value


def _reached(milestones: list[int], count: Any) -> Any:
    if _on_host(count):
        return bisect.bisect_right(milestones, count)
    return sum(((count >= m).astype(jnp.int32) for m in milestones), jnp.zeros(count.shape, jnp.int32))


def exponential_lr(lr: Any, gamma: Any) -> Schedule:
    """``lr * gamma ** count``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.ExponentialLR.html.

    Args:
        lr: base learning rate.
        gamma: factor of each count.

    Example:
        >>> exponential_lr(1.0, 0.5)(3)
        0.125
    """
    lr, gamma = wide(lr), wide(gamma)
    return lambda count: lr * gamma ** _real(_count(count))


def linear_lr(lr: Any, start_factor: Any = 1 / 3, end_factor: Any = 1.0, total_iters: int = 5) -> Schedule:
    """``lr`` times a factor that goes linearly from ``start_factor`` to ``end_factor`` over ``total_iters`` counts.

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.LinearLR.html.

    Args:
        lr: base learning rate.
        start_factor: factor at 0, in (0, 1].
        end_factor: factor from ``total_iters`` on, in [0, 1].
        total_iters: length of the change.

    Raises:
        ValueError: if a factor is out of range, or ``total_iters`` is less than 1.

    Example:
        >>> [linear_lr(1.0, 0.5, 1.0, 2)(i) for i in range(4)]
        [0.5, 0.75, 1.0, 1.0]
    """
    check_number("linear_lr", "start_factor", start_factor, maximum=1, above=0)
    check_number("linear_lr", "end_factor", end_factor, 0, 1)
    total = as_int("linear_lr", "total_iters", total_iters, minimum=1)
    lr, first, last = wide(lr), wide(start_factor), wide(end_factor)

    def value(count: Any) -> Any:
        return lr * _linear(first, last, _minimum(_real(_count(count)), total) / total)

    return value


def polynomial_lr(lr: Any, total_iters: int = 5, power: Any = 1.0) -> Schedule:
    """``lr * (1 - count / total_iters) ** power``, 0 from ``total_iters`` on.

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.PolynomialLR.html.

    Args:
        lr: base learning rate.
        total_iters: when it reaches 0.
        power: the exponent.

    Raises:
        ValueError: if ``total_iters`` is less than 1.

    Example:
        >>> [polynomial_lr(1.0, 2)(i) for i in range(4)]
        [1.0, 0.5, 0.0, 0.0]
    """
    total = as_int("polynomial_lr", "total_iters", total_iters, minimum=1)
    lr = wide(lr)
    return lambda count: lr * (1 - _minimum(_real(_count(count)), total) / total) ** wide(power)


def cosine_annealing_lr(lr: Any, T_max: int, eta_min: Any = 0.0) -> Schedule:
    r"""A cosine from ``lr`` at 0 to ``eta_min`` at ``T_max``, and back up after.

    .. math:: \eta_{min} + (\eta - \eta_{min}) (1 + \cos(\pi t / T_{max})) / 2

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.CosineAnnealingLR.html;
    https://arxiv.org/abs/1608.03983.

    Args:
        lr: base learning rate.
        T_max: half of the period.
        eta_min: least learning rate.

    Raises:
        ValueError: if ``T_max`` is not above 0.

    Example:
        >>> [round(cosine_annealing_lr(1.0, 2)(i), 6) for i in range(3)]
        [1.0, 0.5, 0.0]
    """
    check_number("cosine_annealing_lr", "T_max", T_max, above=0)
    lr, low = wide(lr), wide(eta_min)
    return lambda count: low + (lr - low) * (1 + _cos(math.pi * _real(_count(count)) / T_max)) / 2


def cosine_annealing_warm_restarts(lr: Any, T_0: int, T_mult: int = 1, eta_min: Any = 0.0) -> Schedule:
    """A cosine from ``lr`` down to ``eta_min``, restarted after ``T_0`` counts, then ``T_0 * T_mult``, and so on.

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.CosineAnnealingWarmRestarts.html.

    Args:
        lr: base learning rate.
        T_0: length of the first period.
        T_mult: growth of the periods.
        eta_min: least learning rate.

    Raises:
        ValueError: if ``T_0`` or ``T_mult`` is less than 1.

    Example:
        >>> [round(cosine_annealing_warm_restarts(1.0, 2)(i), 6) for i in range(4)]
        [1.0, 0.5, 1.0, 0.5]
    """
    first = as_int("cosine_annealing_warm_restarts", "T_0", T_0, minimum=1)
    growth = as_int("cosine_annealing_warm_restarts", "T_mult", T_mult, minimum=1)
    lr, low = wide(lr), wide(eta_min)

    def position(count: Any) -> tuple[Any, Any]:
        if growth == 1:
            return count % first, first
        if _on_host(count):
            period = first
            while count >= period:
                count -= period
                period *= growth
            return count, period
        return jax.lax.while_loop(
            lambda c: jnp.any(c[0] >= c[1]),
            lambda c: (jnp.where(c[0] >= c[1], c[0] - c[1], c[0]), jnp.where(c[0] >= c[1], c[1] * growth, c[1])),
            (count, jnp.full_like(count, first)),
        )

    def value(count: Any) -> Any:
        current, period = position(_count(count))
        return low + (lr - low) * (1 + _cos(math.pi * _real(current) / period)) / 2

    return value


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
    anneal = _cosine if anneal_strategy == "cos" else _linear

    def value(count: Any) -> Any:
        count = _count(count)
        if _on_host(count) and count > total:
            fail(ValueError, name, "count", f"at most total_steps ({total})", count)
        count = _minimum(_real(count), float(total))
        result = None
        for begin, end, start, stop in reversed(phases):
            here = anneal(start, stop, (count - begin) / ((end - begin) or 1.0))
            result = here if result is None else _where(count <= end, here, result)
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
        count = _real(_count(count)) if not _on_host(count) else _count(count)
        cycle = _floor(1 + count / total)
        x = 1.0 + count / total - cycle
        height = _where(x <= share, x / share, (x - 1) / (share - 1))
        return start + (peak - start) * height * scale(cycle if scale_mode == "cycle" else count)

    return value


def lambda_lr(lr: Any, lr_lambda: Callable[[Any], Any]) -> Schedule:
    """``lr * lr_lambda(count)``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.LambdaLR.html.

    Args:
        lr: base learning rate.
        lr_lambda: factor by count; it must be traceable to be used on traced counts.

    Example:
        >>> lambda_lr(2.0, lambda count: 0.5**count)(1)
        1.0
    """
    lr = wide(lr)
    return lambda count: lr * lr_lambda(_count(count))


def multiplicative_lr(lr: Any, lr_lambda: Callable[[Any], Any]) -> Schedule:
    """``lr * lr_lambda(1) * ... * lr_lambda(count)``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.MultiplicativeLR.html.

    Args:
        lr: base learning rate.
        lr_lambda: the factor of each count; it must be traceable to be used on traced counts, where the product
            is computed anew by a loop.

    Example:
        >>> multiplicative_lr(1.0, lambda count: 0.5)(3)
        0.125
    """
    lr = wide(lr)

    def value(count: Any) -> Any:
        count = _count(count)
        if _on_host(count):
            return lr * math.prod(lr_lambda(i) for i in range(1, int(count) + 1))
        one = jnp.ones(count.shape, wide_dtype())
        return (
            lr
            * jax.lax.while_loop(
                lambda c: jnp.any(c[0] <= count),
                lambda c: (c[0] + 1, c[1] * jnp.where(c[0] <= count, lr_lambda(c[0]), 1)),
                (jnp.ones((), index_dtype()), one),
            )[1]
        )

    return value


def chained(lr: Any, schedules: Sequence[Schedule]) -> Schedule:
    """``lr`` times the product of several schedules, each made with a base learning rate of 1.

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.ChainedScheduler.html.

    Args:
        lr: base learning rate.
        schedules: the factors.

    Raises:
        ValueError: if there are none.

    Example:
        >>> chained(0.8, [constant_lr(1.0, 0.5, 2), exponential_lr(1.0, 0.5)])(1)
        0.2
    """
    factors = list(schedules)
    if not factors:
        raise ValueError("chained: schedules must hold at least one schedule, got none")
    lr = wide(lr)
    return lambda count: lr * math.prod(factor(count) for factor in factors)


def sequential(schedules: Sequence[Schedule], milestones: Sequence[int]) -> Schedule:
    """Schedules one after the other, each counting from its own start.

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.SequentialLR.html.

    Args:
        schedules: in order.
        milestones: where the second and later ones begin; increasing.

    Raises:
        ValueError: unless there is one milestone fewer than schedules.

    Example:
        >>> two = sequential([constant_lr(1.0, 0.5, 9), exponential_lr(1.0, 0.5)], [2])
        >>> [two(i) for i in range(4)]
        [0.5, 0.5, 1.0, 0.5]
    """
    parts, marks = list(schedules), list(milestones)
    if len(marks) != len(parts) - 1 or not parts:
        raise ValueError(
            f"sequential: milestones must be one fewer than the schedules ({len(parts)} of them), got {len(marks)}"
        )
    if sorted(marks) != marks:
        fail(ValueError, "sequential", "milestones", "increasing", marks)

    def value(count: Any) -> Any:
        count = _count(count)
        starts = [0, *marks]
        if _on_host(count):
            i = bisect.bisect_right(marks, count)
            return parts[i](count - starts[i])
        result = parts[0](count)
        for begin, part in zip(marks, parts[1:], strict=True):
            # Before its start a schedule is asked for its first value, for it need not be defined below 0.
            result = jnp.where(count >= begin, part(jnp.maximum(count - begin, 0)), result)
        return result

    return value


class PlateauState(NamedTuple):
    """The state of ``reduce_lr_on_plateau``; ``lr`` is the learning rate to use."""

    step: Any
    lr: Any
    best: Any
    num_bad_epochs: Any
    cooldown_counter: Any


class Plateau(NamedTuple):
    """``state = init()``; ``lr, state = update(metric, state)``."""

    init: Callable[[], PlateauState]
    update: Callable[[Any, PlateauState], tuple[Any, PlateauState]]


def reduce_lr_on_plateau(
    lr: Any,
    mode: str = "min",
    factor: Any = 0.1,
    patience: int = 10,
    threshold: Any = 1e-4,
    threshold_mode: str = "rel",
    cooldown: int = 0,
    min_lr: Any = 0.0,
    eps: Any = 1e-8,
) -> Plateau:
    """Lowers the learning rate when a metric has stopped improving.

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html.

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

    def update(metric: Any, state: PlateauState) -> tuple[Any, PlateauState]:
        metric = _real(_count(metric))
        margin = wide(threshold)
        bar = state.best * (1 - sign * margin) if threshold_mode == "rel" else state.best - sign * margin
        better = sign * metric < sign * bar
        bad = _where(better, 0, state.num_bad_epochs + 1)
        cooling = state.cooldown_counter > 0
        waiting = _where(cooling, state.cooldown_counter - 1, state.cooldown_counter)
        bad = _where(cooling, 0, bad)
        reduce = bad > patience
        lower = state.lr * wide(factor)
        lower = _where(lower > min_lr, lower, wide(min_lr))
        # `where` twice, not `and`: the conditions may be traced.
        new_lr = _where(reduce, _where(state.lr - lower > eps, lower, state.lr), state.lr)
        new = PlateauState(
            state.step + 1,
            new_lr,
            _where(better, metric, state.best),
            _where(reduce, 0, bad),
            _where(reduce, cooldown, waiting),
        )
        return new_lr, new

    return Plateau(init, update)

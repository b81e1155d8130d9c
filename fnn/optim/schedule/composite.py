"""Schedules made of schedules."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence

import jax.numpy as jnp

from fnn.functional.checks import fail
from fnn.functional.explained import checked
from fnn.optim._scalars import as_count, on_host, wide
from fnn.optim.typing import Number, Schedule

__all__ = ["chained", "sequential"]


@checked
def chained(lr: Number, *schedules: Schedule | Sequence[Schedule]) -> Schedule:
    """``lr`` times the product of several schedules, each made with a base learning rate of 1.

    Args:
        lr: base learning rate.
        *schedules: the factors, one after the other or as one sequence.

    Shape:
        - count, value: :math:`(*)`

    Returns:
        A function ``count -> value``.

    Raises:
        ValueError: if there are none.
        TypeError: if one is no function.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.ChainedScheduler.html.

    Example:
        >>> from fnn.optim.schedule import constant_lr, exponential_lr
        >>> chained(0.8, [constant_lr(1.0, 0.5, 2), exponential_lr(1.0, 0.5)])(1)
        0.2
    """
    factors: list[Schedule] = []
    for given in schedules:
        factors += [given] if callable(given) else given
    if not factors:
        raise ValueError("chained: schedules must hold at least one schedule, got none")
    for factor in factors:
        if not callable(factor):
            fail(TypeError, "chained", "schedules", "functions of the count", factor)
    base = wide(lr)
    return lambda count: base * math.prod(factor(count) for factor in factors)


@checked
def sequential(schedules: Sequence[Schedule], milestones: Sequence[int]) -> Schedule:
    """Schedules one after the other, each counting from its own start.

    Args:
        schedules: in order.
        milestones: where the second and later ones begin; increasing.

    Shape:
        - count, value: :math:`(*)`

    Returns:
        A function ``count -> value``.

    Raises:
        ValueError: unless there is one milestone fewer than schedules.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.SequentialLR.html.

    Example:
        >>> from fnn.optim.schedule import constant_lr, exponential_lr
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

    def value(count: Number) -> Number:
        n = as_count(count)
        starts = [0, *marks]
        if on_host(n):
            i = bisect.bisect_right(marks, n)
            return parts[i](n - starts[i])
        result = parts[0](n)
        for begin, part in zip(marks, parts[1:], strict=True):
            # Before its start a schedule is asked for its first value, for it need not be defined below 0.
            result = jnp.where(n >= begin, part(jnp.maximum(n - begin, 0)), result)
        return result

    return value

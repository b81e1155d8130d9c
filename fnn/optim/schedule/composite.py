"""Schedules made of schedules."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from fnn.functional.checks import fail
from fnn.optim._host_or_traced import as_count, on_host
from fnn.optim._scalars import wide
from fnn.optim.schedule.base import Schedule

__all__ = ["chained", "sequential"]


def chained(lr: Any, schedules: Sequence[Schedule]) -> Schedule:
    """``lr`` times the product of several schedules, each made with a base learning rate of 1.

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.ChainedScheduler.html.

    Args:
        lr: base learning rate.
        schedules: the factors.

    Raises:
        ValueError: if there are none.

    Example:
        >>> from fnn.optim.schedule import constant_lr, exponential_lr
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

    def value(count: Any) -> Any:
        count = as_count(count)
        starts = [0, *marks]
        if on_host(count):
            i = bisect.bisect_right(marks, count)
            return parts[i](count - starts[i])
        result = parts[0](count)
        for begin, part in zip(marks, parts[1:], strict=True):
            # Before its start a schedule is asked for its first value, for it need not be defined below 0.
            result = jnp.where(count >= begin, part(jnp.maximum(count - begin, 0)), result)
        return result

    return value

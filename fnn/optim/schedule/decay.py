"""Schedules that decay by steps, along a line or by a power."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from fnn.functional.checks import as_int
from fnn.optim._checks import check_number
from fnn.optim._host_or_traced import as_count, line_between, minimum, on_host, real, where
from fnn.optim._scalars import wide
from fnn.optim.schedule.base import Schedule

__all__ = ["constant_lr", "exponential_lr", "linear_lr", "multi_step_lr", "polynomial_lr", "step_lr"]


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
        return lr * where(as_count(count) < total_iters, wide(factor), 1.0)

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
        return lr * gamma ** real(as_count(count) // step_size)

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
        return lr * gamma ** real(_reached(marks, as_count(count)))

    return value


def _reached(milestones: list[int], count: Any) -> Any:
    if on_host(count):
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
    return lambda count: lr * gamma ** real(as_count(count))


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
        return lr * line_between(first, last, minimum(real(as_count(count)), total) / total)

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
    return lambda count: lr * (1 - minimum(real(as_count(count)), total) / total) ** wide(power)

"""Schedules that decay by steps, along a line or by a power."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from fnn.functional.checks import as_int
from fnn.functional.explained import checked
from fnn.optim._checks import check_number
from fnn.optim._scalars import as_count, minimum, on_host, real, where, wide
from fnn.optim.typing import Number, Schedule

__all__ = ["constant_lr", "exponential_lr", "linear_lr", "multi_step_lr", "polynomial_lr", "step_lr"]


def constant_factor(count: Any, factor: Number, total_iters: int) -> Any:
    return where(count < total_iters, factor, 1.0)


@checked
def constant_lr(lr: Number, factor: Number = 1 / 3, total_iters: int = 5) -> Schedule:
    """``lr * factor`` for the first ``total_iters`` counts, then ``lr``.

    Args:
        lr: base learning rate.
        factor: in [0, 1].
        total_iters: how long it holds.

    Shape:
        - count, value: :math:`(*)`

    Returns:
        A function ``count -> value``.

    Raises:
        ValueError: if ``factor`` is outside [0, 1].

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.ConstantLR.html.

    Example:
        >>> [constant_lr(1.0, 0.5, 2)(i) for i in range(4)]
        [0.5, 0.5, 1.0, 1.0]
    """
    check_number("constant_lr", "factor", factor, 0, 1)
    base, share = wide(lr), wide(factor)
    return lambda count: base * constant_factor(as_count(count), share, total_iters)


def step_factor(count: Any, step_size: int, gamma: Number) -> Any:
    return gamma ** real(count // step_size)


@checked
def step_lr(lr: Number, step_size: int, gamma: Number = 0.1) -> Schedule:
    """``lr * gamma ** (count // step_size)``.

    Args:
        lr: base learning rate.
        step_size: counts between decays.
        gamma: factor of a decay.

    Shape:
        - count, value: :math:`(*)`

    Returns:
        A function ``count -> value``.

    Raises:
        ValueError: if ``step_size`` is less than 1.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.StepLR.html.

    Example:
        >>> [step_lr(1.0, 2, 0.5)(i) for i in range(5)]
        [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    step_size = as_int("step_lr", "step_size", step_size, minimum=1)
    base, decay = wide(lr), wide(gamma)
    return lambda count: base * step_factor(as_count(count), step_size, decay)


def multi_step_factor(count: Any, milestones: Sequence[int], gamma: Number) -> Any:
    """``gamma`` to the power of the milestones, in increasing order, that have been reached."""
    if on_host(count):
        return gamma ** float(bisect.bisect_right(milestones, count))
    reached = sum(((count >= m).astype(jnp.int32) for m in milestones), jnp.zeros(count.shape, jnp.int32))
    return gamma ** real(reached)


@checked
def multi_step_lr(lr: Number, milestones: Sequence[int], gamma: Number = 0.1) -> Schedule:
    """``lr`` times ``gamma`` for each milestone reached; one that occurs twice counts twice.

    Args:
        lr: base learning rate.
        milestones: counts, in any order.
        gamma: factor of a decay.

    Shape:
        - count, value: :math:`(*)`

    Returns:
        A function ``count -> value``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.MultiStepLR.html.

    Example:
        >>> [multi_step_lr(1.0, [1, 3], 0.5)(i) for i in range(4)]
        [1.0, 0.5, 0.5, 0.25]
    """
    marks = sorted(milestones)
    base, decay = wide(lr), wide(gamma)
    return lambda count: base * multi_step_factor(as_count(count), marks, decay)


def exponential_factor(count: Any, gamma: Number) -> Any:
    return gamma ** real(count)


@checked
def exponential_lr(lr: Number, gamma: Number) -> Schedule:
    """``lr * gamma ** count``.

    Args:
        lr: base learning rate.
        gamma: factor of each count.

    Shape:
        - count, value: :math:`(*)`

    Returns:
        A function ``count -> value``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.ExponentialLR.html.

    Example:
        >>> exponential_lr(1.0, 0.5)(3)
        0.125
    """
    base, decay = wide(lr), wide(gamma)
    return lambda count: base * exponential_factor(as_count(count), decay)


def linear_factor(count: Any, start_factor: Number, end_factor: Number, total_iters: int) -> Any:
    return (end_factor - start_factor) * (minimum(real(count), total_iters) / total_iters) + start_factor


@checked
def linear_lr(lr: Number, start_factor: Number = 1 / 3, end_factor: Number = 1.0, total_iters: int = 5) -> Schedule:
    """``lr`` times a factor that goes linearly from ``start_factor`` to ``end_factor`` over ``total_iters`` counts.

    Args:
        lr: base learning rate.
        start_factor: factor at 0, in (0, 1].
        end_factor: factor from ``total_iters`` on, in [0, 1].
        total_iters: length of the change.

    Shape:
        - count, value: :math:`(*)`

    Returns:
        A function ``count -> value``.

    Raises:
        ValueError: if a factor is out of range, or ``total_iters`` is less than 1.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.LinearLR.html.

    Example:
        >>> [linear_lr(1.0, 0.5, 1.0, 2)(i) for i in range(4)]
        [0.5, 0.75, 1.0, 1.0]
    """
    check_number("linear_lr", "start_factor", start_factor, maximum=1, above=0)
    check_number("linear_lr", "end_factor", end_factor, 0, 1)
    total = as_int("linear_lr", "total_iters", total_iters, minimum=1)
    base, first, last = wide(lr), wide(start_factor), wide(end_factor)
    return lambda count: base * linear_factor(as_count(count), first, last, total)


def polynomial_factor(count: Any, total_iters: int, power: Number) -> Any:
    # Not 1 - count / total_iters: compiled, that is a product with a reciprocal, and may end a little below 0.
    return ((total_iters - minimum(real(count), total_iters)) / total_iters) ** power


@checked
def polynomial_lr(lr: Number, total_iters: int = 5, power: Number = 1.0) -> Schedule:
    """``lr * (1 - count / total_iters) ** power``, 0 from ``total_iters`` on.

    Args:
        lr: base learning rate.
        total_iters: when it reaches 0.
        power: the exponent.

    Shape:
        - count, value: :math:`(*)`

    Returns:
        A function ``count -> value``.

    Raises:
        ValueError: if ``total_iters`` is less than 1.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.PolynomialLR.html.

    Example:
        >>> [polynomial_lr(1.0, 2)(i) for i in range(4)]
        [1.0, 0.5, 0.0, 0.0]
    """
    total = as_int("polynomial_lr", "total_iters", total_iters, minimum=1)
    base, exponent = wide(lr), wide(power)
    return lambda count: base * polynomial_factor(as_count(count), total, exponent)

"""Schedules along a cosine."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from fnn.functional.checks import as_int
from fnn.functional.explained import checked
from fnn.optim._checks import check_number
from fnn.optim._scalars import as_count, cos, on_host, real, wide
from fnn.optim.typing import Number, Schedule

__all__ = ["cosine_annealing_lr", "cosine_annealing_warm_restarts"]


def cosine_annealing(high: Any, low: Any, count: Any, period: Any) -> Any:
    """From ``high`` at 0 along a cosine to ``low`` at ``period``."""
    return low + (high - low) * (1 + cos(math.pi * real(count) / period)) / 2


@checked
def cosine_annealing_lr(lr: Number, T_max: float, eta_min: Number = 0.0) -> Schedule:
    r"""A cosine from ``lr`` at 0 to ``eta_min`` at ``T_max``, and back up after.

    .. math:: \eta_{min} + (\eta - \eta_{min}) (1 + \cos(\pi t / T_{max})) / 2

    Args:
        lr: base learning rate.
        T_max: half of the period.
        eta_min: least learning rate.

    Shape:
        - count, value: :math:`(*)`

    Returns:
        A function ``count -> value``.

    Raises:
        ValueError: if ``T_max`` is not above 0.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.CosineAnnealingLR.html; Loshchilov and
    Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, https://arxiv.org/abs/1608.03983.

    Example:
        >>> [round(cosine_annealing_lr(1.0, 2)(i), 6) for i in range(3)]
        [1.0, 0.5, 0.0]
    """
    check_number("cosine_annealing_lr", "T_max", T_max, above=0)
    high, low = wide(lr), wide(eta_min)
    return lambda count: cosine_annealing(high, low, as_count(count), T_max)


@checked
def cosine_annealing_warm_restarts(lr: Number, T_0: int, T_mult: int = 1, eta_min: Number = 0.0) -> Schedule:
    """A cosine from ``lr`` down to ``eta_min``, restarted after ``T_0`` counts, then ``T_0 * T_mult``, and so on.

    Args:
        lr: base learning rate.
        T_0: length of the first period.
        T_mult: growth of the periods.
        eta_min: least learning rate.

    Shape:
        - count, value: :math:`(*)`

    Returns:
        A function ``count -> value``.

    Raises:
        ValueError: if ``T_0`` or ``T_mult`` is less than 1.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.CosineAnnealingWarmRestarts.html;
    Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, https://arxiv.org/abs/1608.03983.

    Example:
        >>> [round(cosine_annealing_warm_restarts(1.0, 2)(i), 6) for i in range(4)]
        [1.0, 0.5, 1.0, 0.5]
    """
    first = as_int("cosine_annealing_warm_restarts", "T_0", T_0, minimum=1)
    growth = as_int("cosine_annealing_warm_restarts", "T_mult", T_mult, minimum=1)
    high, low = wide(lr), wide(eta_min)

    def position(count: Any) -> tuple[Any, Any]:
        """Counts since the last restart, and the length of the period that it began."""
        if growth == 1:
            return count % first, first
        if on_host(count):
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

    return lambda count: cosine_annealing(high, low, *position(as_count(count)))

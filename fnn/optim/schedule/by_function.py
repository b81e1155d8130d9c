"""Schedules by the user's functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fnn.functional.arrays import index_dtype
from fnn.optim._host_or_traced import as_count, on_host
from fnn.optim._scalars import wide, wide_dtype
from fnn.optim.schedule.base import Schedule

__all__ = ["lambda_lr", "multiplicative_lr"]


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
    return lambda count: lr * lr_lambda(as_count(count))


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
        count = as_count(count)
        if on_host(count):
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

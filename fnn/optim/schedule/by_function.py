"""Schedules by the user's functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fnn.functional.arrays import index_dtype
from fnn.functional.explained import checked
from fnn.optim._scalars import as_count, on_host, wide, wide_dtype
from fnn.optim.typing import Number, Schedule

__all__ = ["lambda_lr", "multiplicative_lr"]


@checked
def lambda_lr(lr: Number, lr_lambda: Callable[[Any], Any]) -> Schedule:
    """``lr * lr_lambda(count)``.

    Args:
        lr: base learning rate.
        lr_lambda: factor by count; it must be traceable to be used on traced counts.

    Shape:
        - count, value: :math:`(*)`

    Returns:
        A function ``count -> value``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.LambdaLR.html.

    Example:
        >>> lambda_lr(2.0, lambda count: 0.5**count)(1)
        1.0
    """
    base = wide(lr)
    return lambda count: base * lr_lambda(as_count(count))


@checked
def multiplicative_lr(lr: Number, lr_lambda: Callable[[Any], Any]) -> Schedule:
    """``lr * lr_lambda(1) * ... * lr_lambda(count)``.

    Args:
        lr: base learning rate.
        lr_lambda: the factor of each count; it must be traceable to be used on traced counts, where the product
            is computed anew by a loop.

    Shape:
        - count, value: :math:`(*)`

    Returns:
        A function ``count -> value``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.MultiplicativeLR.html.

    Example:
        >>> multiplicative_lr(1.0, lambda count: 0.5)(3)
        0.125
    """
    base = wide(lr)

    def value(count: Number) -> Number:
        n = as_count(count)
        if on_host(n):
            return base * math.prod(lr_lambda(i) for i in range(1, int(n) + 1))
        one = jnp.ones(n.shape, wide_dtype())
        product = jax.lax.while_loop(
            lambda c: jnp.any(c[0] <= n),
            lambda c: (c[0] + 1, c[1] * jnp.where(c[0] <= n, lr_lambda(c[0]), 1)),
            (jnp.ones((), index_dtype()), one),
        )[1]
        return base * product

    return value

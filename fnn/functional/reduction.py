"""The ``reduction`` argument of losses, with torch's two deprecated flags."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from fnn.functional.checks import check_choice
from fnn.stateful.warning import warn

_REDUCTIONS = ("none", "mean", "sum")


def legacy_reduction(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """torch's deprecated ``size_average`` and ``reduce`` flags folded into ``reduction``, with a DeprecationWarning."""
    if size_average is None and reduce is None:
        return reduction
    size_average = True if size_average is None else size_average
    reduce = True if reduce is None else reduce
    resolved = "none" if not reduce else "mean" if size_average else "sum"
    warn(f"size_average and reduce are deprecated, use reduction={resolved!r} instead", DeprecationWarning)
    return resolved


def check_reduction(function: str, reduction: Any) -> None:
    """Raises ValueError unless ``reduction`` is 'none', 'mean' or 'sum'."""
    check_choice(function, "reduction", reduction, _REDUCTIONS)


def resolve_reduction(function: str, size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """The reduction that a loss function's three arguments ask for, checked."""
    reduction = legacy_reduction(size_average, reduce, reduction)
    check_reduction(function, reduction)
    return reduction


def reduce_loss(loss: jax.Array, reduction: str) -> jax.Array:
    """Applies 'none', 'mean' or 'sum' to a loss array; the mean of no element is NaN, as in torch."""
    if reduction == "none":
        return loss
    return jnp.mean(loss) if reduction == "mean" else jnp.sum(loss)

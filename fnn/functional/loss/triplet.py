"""Margin losses of triplets: a likeness should be nearer than a difference."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from fnn.functional.arrays import ArrayLike, known, widen
from fnn.functional.checks import (
    as_array,
    fail,
)
from fnn.functional.explained import explained
from fnn.functional.loss.common import as_floats, check_broadcast, finish, positive_part
from fnn.functional.reduction import check_reduction, resolve_reduction
from fnn.functional.vector_norm import vector_norm

__all__ = [
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]


def _distance(x: jax.Array, y: jax.Array, p: float, eps: Any) -> jax.Array:
    """The p-norm of ``x - y + eps`` over the last axis, with derivative 0 where the norm has none."""
    return vector_norm(x - y + eps, p, -1)


def _triplet(near: jax.Array, far: jax.Array, between: jax.Array | None, margin: Any) -> jax.Array:
    """The hinge on two distances; with ``between``, on the shorter of the two to the negative."""
    return positive_part(margin + near - (far if between is None else jnp.minimum(far, between)))


@partial(jax.jit, static_argnames=("p", "swap", "reduction"))
def _triplet_margin(
    anchor: jax.Array,
    positive: jax.Array,
    negative: jax.Array,
    margin: Any,
    eps: Any,
    p: float,
    swap: bool,
    reduction: str,
) -> jax.Array:
    dtype = anchor.dtype
    anchor, positive, negative = widen(anchor), widen(positive), widen(negative)
    near, far = _distance(anchor, positive, p, eps), _distance(anchor, negative, p, eps)
    between = _distance(positive, negative, p, eps) if swap else None
    return finish(_triplet(near, far, between, margin), reduction, dtype)


@partial(jax.jit, static_argnames=("reduction",))
def _triplet_of_distances(
    near: jax.Array, far: jax.Array, between: jax.Array | None, margin: Any, reduction: str
) -> jax.Array:
    dtype = near.dtype
    near, far, between = widen(near), widen(far), widen(between)
    return finish(_triplet(near, far, between, margin), reduction, dtype)


def _triplet_arguments(function: str, anchor: Any, positive: Any, negative: Any, margin: Any) -> tuple[jax.Array, ...]:
    a, p, n = as_floats(function, anchor=anchor, positive=positive, negative=negative)
    for argument, value in (("positive", p), ("negative", n)):
        if value.ndim != a.ndim:
            fail(ValueError, function, argument, f"{a.ndim}-D as anchor", value)
    check_broadcast(function, anchor=a, positive=p, negative=n)
    least = known(margin)
    if least is not None and least <= 0:
        fail(ValueError, function, "margin", "positive", margin)
    return a, p, n


@explained
def triplet_margin_loss(
    anchor: ArrayLike,
    positive: ArrayLike,
    negative: ArrayLike,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """Hinge that wants the anchor nearer to the positive than to the negative by a margin.

    ``max(0, d(anchor, positive) - d(anchor, negative) + margin)`` with ``d(x, y) = norm(x - y + eps, p)``.

    Args:
        anchor: vectors.
        positive: vectors that should be near the anchor.
        negative: vectors that should be far from it.
        margin: the difference wanted, positive.
        p: order of the norm.
        eps: added to the difference.
        swap: whether to use ``d(positive, negative)`` where that is less than ``d(anchor, negative)``
            (Balntas et al., 2016).
        size_average: deprecated, see ``reduction``.
        reduce: deprecated, see ``reduction``.
        reduction: 'none', 'mean' or 'sum'.

    Shape:
        - anchor, positive, negative: (*, D), of one rank, broadcast together.

    Returns:
        a scalar; for 'none' an array of shape (*).

    Raises:
        TypeError: if the dtypes differ or are not floating.
        ValueError: if ranks or shapes disagree, ``margin`` is not positive or ``reduction`` is unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.triplet_margin_loss.html

    Example:
        >>> import jax.numpy as jnp
        >>> float(triplet_margin_loss(jnp.array([0.0]), jnp.array([2.0]), jnp.array([1.0]), eps=0.0))
        2.0
    """
    reduction = resolve_reduction("triplet_margin_loss", size_average, reduce, reduction)
    a, b, c = _triplet_arguments("triplet_margin_loss", anchor, positive, negative, margin)
    if a.ndim == 0:
        a, b, c = a[None], b[None], c[None]
    return _triplet_margin(a, b, c, margin, eps, float(p), bool(swap), reduction)


@explained
def triplet_margin_with_distance_loss(
    anchor: ArrayLike,
    positive: ArrayLike,
    negative: ArrayLike,
    *,
    distance_function: Callable[[jax.Array, jax.Array], jax.Array] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> jax.Array:
    """``triplet_margin_loss`` with a distance of one's own.

    ``max(0, d(anchor, positive) - d(anchor, negative) + margin)``

    Args:
        anchor: vectors.
        positive: vectors that should be near the anchor.
        negative: vectors that should be far from it.
        distance_function: d; ``None`` is the Euclidean distance of ``triplet_margin_loss``.
        margin: the difference wanted, positive.
        swap: whether to use ``d(positive, negative)`` where that is less than ``d(anchor, negative)``.
        reduction: 'none', 'mean' or 'sum'.

    Shape:
        - anchor, positive, negative: (*, D), of one rank, broadcast together.

    Returns:
        a scalar; for 'none' an array of the shape of the distances.

    Raises:
        TypeError: if the dtypes differ or are not floating.
        ValueError: if ranks or shapes disagree, ``margin`` is not positive or ``reduction`` is unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.triplet_margin_with_distance_loss.html

    Example:
        >>> import jax.numpy as jnp
        >>> city = lambda x, y: jnp.abs(x - y).sum(-1)
        >>> a, b, c = jnp.zeros(2), jnp.ones(2), jnp.full(2, 2.0)
        >>> float(triplet_margin_with_distance_loss(a, b, c, distance_function=city, margin=3.0))
        1.0
    """
    name = "triplet_margin_with_distance_loss"
    check_reduction(name, reduction)
    a, b, c = _triplet_arguments(name, anchor, positive, negative, margin)
    if distance_function is None:
        if a.ndim == 0:
            a, b, c = a[None], b[None], c[None]
        return _triplet_margin(a, b, c, margin, 1e-6, 2.0, bool(swap), reduction)
    near, far = (as_array(name, "distance_function", distance_function(a, other)) for other in (b, c))
    between = as_array(name, "distance_function", distance_function(b, c)) if swap else None
    return _triplet_of_distances(near, far, between, margin, reduction)

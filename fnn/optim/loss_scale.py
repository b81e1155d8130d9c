"""Scaling of the loss, by which small gradients survive float16: the pure functions, and a transform over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnn.functional.checks import as_int, fail
from fnn.optim._checks import check_number
from fnn.optim._explained import explained_rule
from fnn.optim._leaves import flatten
from fnn.optim.transform import AnyTransform, Transform
from fnn.optim.typing import Number, PyTree
from fnn.tensor.row_sparse import RowSparse

__all__ = ["ScaledState", "check_factors", "next_scale", "scaled", "select", "unscale"]


def check_factors(
    function: str, init_scale: Number, growth_factor: Number, backoff_factor: Number, growth_interval: int
) -> int:
    """Raises ValueError for options of a scale that are out of range; the interval as an int."""
    check_number(function, "init_scale", init_scale, above=0)
    check_number(function, "growth_factor", growth_factor, above=1)
    check_number(function, "backoff_factor", backoff_factor, above=0, below=1)
    return as_int(function, "growth_interval", growth_interval, minimum=1)


@jax.jit
def unscale(grads: Sequence[Any], scale: jax.Array) -> tuple[list[Any], jax.Array]:
    """The gradients divided by the scale; and, as float32, 1 if one of them was not finite, else 0.

    ``None`` passes; of a row-sparse gradient the rows are divided.
    """
    inverse = 1 / scale
    finite: list[jax.Array] = []

    def divide(grad: jax.Array) -> jax.Array:
        finite.append(jnp.isfinite(grad).all())
        return grad * inverse.astype(grad.dtype)

    divided = [g if g is None else g.map(divide) if isinstance(g, RowSparse) else divide(g) for g in grads]
    good = jnp.stack(finite).all() if finite else jnp.array(True)
    return divided, 1 - good.astype(jnp.float32)


@jax.jit
def next_scale(
    scale: jax.Array,
    tracker: jax.Array,
    found: Sequence[jax.Array],
    growth_factor: Number,
    backoff_factor: Number,
    growth_interval: int | jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """The scale and the count of good steps after a step, in which some of ``found`` is above 0 if a gradient overflowed."""
    overflow = jnp.stack([jnp.asarray(f) for f in found]).sum() > 0
    count = tracker + 1
    grown = scale * jnp.asarray(growth_factor, scale.dtype)
    due = count == growth_interval
    larger = jnp.where(due & jnp.isfinite(grown), grown, scale)
    smaller = scale * jnp.asarray(backoff_factor, scale.dtype)
    return jnp.where(overflow, smaller, larger), jnp.where(overflow | due, 0, count)


def select(overflow: jax.Array, old: Any, new: Any) -> Any:
    """``old`` where a gradient overflowed, else ``new``, through a pytree; what is no pair of arrays is the new one."""
    leaves, tree = jax.tree.flatten(new)
    before, same = jax.tree.flatten(old)
    if tree != same:
        return new
    return tree.unflatten(
        [jnp.where(overflow, b, n).astype(jnp.result_type(n)) for b, n in zip(before, leaves, strict=True)]
    )


class ScaledState(NamedTuple):
    """The state of ``scaled``.

    Args:
        scale: what the next loss is to be multiplied by.
        growth_tracker: good steps since the scale last changed.
        found_inf: whether the last step was skipped, as float32.
        inner: the state of the transform that is fed.
    """

    scale: jax.Array
    growth_tracker: jax.Array
    found_inf: jax.Array
    inner: PyTree


@explained_rule
def scaled(
    transform: AnyTransform,
    init_scale: Number = 65536.0,
    growth_factor: Number = 2.0,
    backoff_factor: Number = 0.5,
    growth_interval: int = 2000,
) -> Transform[ScaledState]:
    """Feeds a transform with gradients of a scaled loss: what ``fnn.amp.GradScaler`` does, as a pure transform.

    Multiply the loss by ``state.scale``. The gradients are divided by it; if one is infinite or NaN, the updates are zero, the
    state of the transform stays, and the scale falls. After ``growth_interval`` good steps in a row it grows.

    Args:
        transform: the transform to feed; clipping belongs into it.
        init_scale: the first scale.
        growth_factor: what the scale is multiplied by when it grows.
        backoff_factor: what it is multiplied by after an overflow.
        growth_interval: how many good steps in a row let it grow.

    Returns:
        A ``Transform`` with state ``ScaledState``.

    Raises:
        ValueError: if a factor or the interval is out of range.

    Source: https://docs.pytorch.org/docs/2.13/amp.html#torch.amp.GradScaler; Micikevicius et al., Mixed Precision Training,
    https://arxiv.org/abs/1710.03740.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from fnn.optim import sgd
        >>> tx, p = scaled(sgd(lr=1.0), init_scale=8.0), jnp.array(3.0)
        >>> state = tx.init(p)
        >>> loss, grad = jax.value_and_grad(lambda p: state.scale * p * p)(p)
        >>> updates, state = tx.update(grad, state, p)
        >>> float(updates)
        -6.0
        >>> updates, state = tx.update(jnp.array(jnp.inf), state, p)
        >>> float(updates), float(state.scale)
        (0.0, 4.0)
    """
    interval = check_factors("scaled", init_scale, growth_factor, backoff_factor, growth_interval)
    pair: Transform[Any] = Transform(*transform)

    def init(params: PyTree) -> ScaledState:
        zero = jnp.zeros((), jnp.float32)
        scale = jnp.asarray(init_scale, jnp.float32).reshape(())
        return ScaledState(scale, jnp.zeros((), jnp.int32), zero, pair.init(params))

    def update(grads: PyTree, state: ScaledState, params: PyTree = None, **extra: Any) -> tuple[PyTree, ScaledState]:
        if not isinstance(state, ScaledState):
            fail(TypeError, "scaled", "state", "a ScaledState", state)
        leaves, treedef = flatten(grads)
        divided, found = unscale(leaves, state.scale)
        overflow = found > 0
        updates, inner = pair.update(treedef.unflatten(divided), state.inner, params, **extra)
        changes, treedef = flatten(updates)
        zeroed = [_unless(overflow, change) for change in changes]
        scale, tracker = next_scale(state.scale, state.growth_tracker, [found], growth_factor, backoff_factor, interval)
        return treedef.unflatten(zeroed), ScaledState(scale, tracker, found, select(overflow, state.inner, inner))

    return Transform(init, update)


def _unless(overflow: jax.Array, change: Any) -> Any:
    if change is None:
        return None

    def zero(values: Any) -> Any:
        return jnp.where(overflow, 0, values)

    return change.map(zero) if isinstance(change, RowSparse) else zero(change)

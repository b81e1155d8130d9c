"""Arithmetic of Adam and its kin: the rule of which ``adam`` and ``adamw`` are two settings, and the averages."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnn.optim._checks import check_betas, check_lr, check_minimums, need_params
from fnn.optim._leaves import Cast, by_leaf, descent, lerp, zeros_like
from fnn.optim._scalars import bias_correction, is_off, rate, start, wide
from fnn.optim.transform import Transform
from fnn.optim.typing import LearningRate, Number, PyTree


class AdamState(NamedTuple):
    """The state of ``adam`` and ``adamw``.

    Args:
        step: updates so far.
        exp_avg: average of the gradient.
        exp_avg_sq: average of its square.
        max_exp_avg_sq: the largest average of the square so far; ``None`` without ``amsgrad``.
    """

    step: jax.Array
    exp_avg: PyTree
    exp_avg_sq: PyTree
    max_exp_avg_sq: PyTree


def moments(cast: Cast, g: Any, m: Any, v: Any, beta1: Number, beta2: Number) -> tuple[Any, Any]:
    """The averages of the gradient and of its square with the newest gradient taken in."""
    return lerp(cast, m, g, 1 - beta1), v * cast(beta2) + jnp.square(g) * cast(1 - beta2)


def adam_transform(
    name: str,
    lr: LearningRate,
    betas: tuple[Number, Number],
    eps: Number,
    weight_decay: Number,
    amsgrad: bool,
    maximize: bool,
    decoupled: bool,
) -> Transform[AdamState]:
    """The rule of ``adam``, or with ``decoupled`` of ``adamw``; ``name`` is the one that errors bear."""
    check_lr(name, lr)
    check_minimums(name, eps=eps, weight_decay=weight_decay)
    check_betas(name, betas)

    def init(params: PyTree) -> AdamState:
        largest = zeros_like(params) if amsgrad else None
        return AdamState(start(), zeros_like(params), zeros_like(params), largest)

    def update(grads: PyTree, state: AdamState, params: PyTree = None) -> tuple[PyTree, AdamState]:
        if not is_off(weight_decay):
            need_params(name, params)
        step = state.step + 1
        gamma = rate(lr, state.step)
        beta1, beta2 = map(wide, betas)
        size = gamma / bias_correction(beta1, step)
        root = jnp.sqrt(bias_correction(beta2, step))
        decay, small = wide(weight_decay), wide(eps)

        def rule(cast: Cast, g: Any, p: Any, m: Any, v: Any, largest: Any) -> tuple[Any, ...]:
            g = descent(cast, g, p, maximize, 0 if decoupled else weight_decay)
            m, v = moments(cast, g, m, v, beta1, beta2)
            if largest is not None:
                largest = jnp.maximum(largest, v)
            denominator = jnp.sqrt(v if largest is None else largest) / cast(root) + cast(small)
            change = -cast(size) * (m / denominator)
            if not is_off(weight_decay) and decoupled:
                change = change - cast(gamma * decay) * p
            return change, m, v, largest

        updates, *fields = by_leaf(
            rule, grads, params, state.exp_avg, state.exp_avg_sq, state.max_exp_avg_sq, name=name
        )
        return updates, AdamState(step, *fields)

    return Transform(init, update)

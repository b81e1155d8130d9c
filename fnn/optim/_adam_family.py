"""The rule that Adam and AdamW are two settings of."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnn.optim._checks import check_betas, check_lr, check_minimums, need_params
from fnn.optim._leaves import by_leaf, zeros_like
from fnn.optim._scalars import bias_correction, is_off, rate, start, wide
from fnn.optim.transform import Transform


class AdamState(NamedTuple):
    """The state of ``adam`` and ``adamw``: ``max_exp_avg_sq`` is ``None`` without ``amsgrad``."""

    step: jax.Array
    exp_avg: Any
    exp_avg_sq: Any
    max_exp_avg_sq: Any


def _adam(
    name: str,
    lr: Any,
    betas: tuple[Any, Any],
    eps: Any,
    weight_decay: Any,
    amsgrad: bool,
    maximize: bool,
    decoupled: bool,
) -> Transform:
    check_lr(name, lr)
    check_minimums(name, eps=eps, weight_decay=weight_decay)
    check_betas(name, betas)

    def init(params: Any) -> AdamState:
        largest = zeros_like(params) if amsgrad else None
        return AdamState(start(), zeros_like(params), zeros_like(params), largest)

    def update(grads: Any, state: AdamState, params: Any = None) -> tuple[Any, AdamState]:
        if not is_off(weight_decay):
            need_params(name, params)
        step = state.step + 1
        gamma = rate(lr, state.step)
        beta1, beta2 = map(wide, betas)
        size = gamma / bias_correction(beta1, step)
        root = jnp.sqrt(bias_correction(beta2, step))
        decay, small = wide(weight_decay), wide(eps)

        def rule(cast: Any, g: Any, p: Any, m: Any, v: Any, largest: Any) -> tuple[Any, ...]:
            g = -g if maximize else g
            if not is_off(weight_decay) and not decoupled:
                g = g + cast(decay) * p
            m = m + (g - m) * cast(1 - beta1)
            v = v * cast(beta2) + jnp.square(g) * cast(1 - beta2)
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

"""Adagrad and Adadelta."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnn.kernels.row_sparse import RowSparse
from fnn.optim._common import (
    by_leaf,
    check_lr,
    check_minimums,
    check_number,
    is_off,
    need_params,
    rate,
    start,
    wide,
    wide_dtype,
    zeros_like,
)
from fnn.optim.transform import Transform

__all__ = ["AdadeltaState", "AdagradState", "adadelta", "adagrad"]


class AdagradState(NamedTuple):
    """The state of ``adagrad``."""

    step: jax.Array
    sum: Any


class AdadeltaState(NamedTuple):
    """The state of ``adadelta``."""

    step: jax.Array
    square_avg: Any
    acc_delta: Any


def adagrad(
    lr: Any = 1e-2,
    lr_decay: Any = 0,
    weight_decay: Any = 0,
    initial_accumulator_value: Any = 0,
    eps: Any = 1e-10,
    foreach: bool | None = None,
    *,
    maximize: bool = False,
    differentiable: bool = False,
    fused: bool | None = None,
) -> Transform:
    r"""Adagrad.

    .. math:: s_t = s_{t-1} + g^2, \quad p \leftarrow p - \frac{\gamma}{1 + (t - 1) \eta} \frac{g}{\sqrt{s_t} + \epsilon}

    Args:
        lr: learning rate: a number, an array or a schedule ``count -> lr``.
        lr_decay: :math:`\eta`.
        weight_decay: the L2 penalty.
        initial_accumulator_value: where :math:`s` starts.
        eps: added to the denominator.
        maximize: whether to go up the gradient.
        foreach, differentiable, fused: accepted for torch's sake; they change nothing.

    Returns:
        A ``Transform`` with state ``AdagradState``. Row-sparse gradients touch only their rows.

    Raises:
        ValueError: if a hyperparameter is negative.
        RuntimeError: at ``update``, for a row-sparse gradient with ``weight_decay``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Adagrad.html; Duchi et al., Adaptive Subgradient
    Methods for Online Learning and Stochastic Optimization, 2011.

    Example:
        >>> tx = adagrad(lr=0.1)
        >>> round(float(tx.update(jnp.array(2.0), tx.init(jnp.array(1.0)))[0]), 3)
        -0.1
    """
    check_lr("adagrad", lr)
    check_minimums(
        "adagrad",
        lr_decay=lr_decay,
        weight_decay=weight_decay,
        initial_accumulator_value=initial_accumulator_value,
        eps=eps,
    )

    def init(params: Any) -> AdagradState:
        first = wide(initial_accumulator_value)

        def fill(p: Any) -> jax.Array:
            p = jnp.asarray(p)
            return jnp.full_like(p, first * (1 + 1j) if jnp.iscomplexobj(p) else first)

        return AdagradState(start(), jax.tree.map(fill, params))

    def update(grads: Any, state: AdagradState, params: Any = None) -> tuple[Any, AdagradState]:
        if not is_off(weight_decay):
            need_params("adagrad", params)
        size = rate(lr, state.step) / (1 + state.step.astype(wide_dtype()) * wide(lr_decay))

        def rule(cast: Any, g: Any, p: Any, s: Any) -> tuple[Any, ...]:
            g = -g if maximize else g
            if not is_off(weight_decay):
                g = g + cast(wide(weight_decay)) * p
            s = s + jnp.square(g)
            return -cast(size) * (g / (jnp.sqrt(s) + cast(wide(eps)))), s

        def sparse(cast: Any, g: RowSparse, p: Any, s: Any) -> tuple[Any, ...]:
            if not is_off(weight_decay):
                raise RuntimeError("adagrad: weight_decay is not compatible with row-sparse gradients")
            change, rows = rule(cast, g.values, None, g.rows_of(s).astype(g.dtype))
            return g.map(lambda _: change), g.map(lambda _: rows).set_in(s)

        updates, total = by_leaf(rule, grads, params, state.sum, sparse=sparse)
        return updates, AdagradState(state.step + 1, total)

    return Transform(init, update)


def adadelta(
    lr: Any = 1.0,
    rho: Any = 0.9,
    eps: Any = 1e-6,
    weight_decay: Any = 0,
    foreach: bool | None = None,
    *,
    capturable: bool = False,
    maximize: bool = False,
    differentiable: bool = False,
) -> Transform:
    r"""Adadelta.

    .. math::
        v_t = \rho v_{t-1} + (1 - \rho) g^2, \quad d_t = \frac{\sqrt{u_{t-1} + \epsilon}}{\sqrt{v_t + \epsilon}} g, \quad
        u_t = \rho u_{t-1} + (1 - \rho) d_t^2, \quad p \leftarrow p - \gamma d_t

    Args:
        lr: learning rate: a number, an array or a schedule ``count -> lr``.
        rho: decay of both averages, in [0, 1].
        eps: added under both roots.
        weight_decay: the L2 penalty.
        maximize: whether to go up the gradient.
        foreach, capturable, differentiable: accepted for torch's sake; they change nothing.

    Returns:
        A ``Transform`` with state ``AdadeltaState``.

    Raises:
        ValueError: if a hyperparameter is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Adadelta.html; Zeiler, ADADELTA: An Adaptive
    Learning Rate Method, https://arxiv.org/abs/1212.5701.

    Example:
        >>> tx = adadelta(eps=1.0)
        >>> round(float(tx.update(jnp.array(2.0), tx.init(jnp.array(1.0)))[0]), 3)
        -1.69
    """
    check_lr("adadelta", lr)
    check_number("adadelta", "rho", rho, 0, 1)
    check_minimums("adadelta", eps=eps, weight_decay=weight_decay)

    def init(params: Any) -> AdadeltaState:
        return AdadeltaState(start(), zeros_like(params), zeros_like(params))

    def update(grads: Any, state: AdadeltaState, params: Any = None) -> tuple[Any, AdadeltaState]:
        if not is_off(weight_decay):
            need_params("adadelta", params)
        gamma, keep, small = rate(lr, state.step), wide(rho), wide(eps)

        def rule(cast: Any, g: Any, p: Any, v: Any, u: Any) -> tuple[Any, ...]:
            g = -g if maximize else g
            if not is_off(weight_decay):
                g = g + cast(wide(weight_decay)) * p
            v = v * cast(keep) + jnp.square(g) * cast(1 - keep)
            change = jnp.sqrt(u + cast(small)) / jnp.sqrt(v + cast(small)) * g
            u = u * cast(keep) + jnp.square(change) * cast(1 - keep)
            return -cast(gamma) * change, v, u

        updates, *fields = by_leaf(rule, grads, params, state.square_avg, state.acc_delta, name="adadelta")
        return updates, AdadeltaState(state.step + 1, *fields)

    return Transform(init, update)

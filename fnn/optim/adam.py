"""Adam and its kin: adam, adamw, adamax, nadam, radam and sparse_adam."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnn.kernels.row_sparse import RowSparse
from fnn.optim._common import (
    bias_correction,
    by_leaf,
    check_betas,
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

__all__ = [
    "AdamState",
    "AdamaxState",
    "NAdamState",
    "RAdamState",
    "SparseAdamState",
    "adam",
    "adamax",
    "adamw",
    "nadam",
    "radam",
    "sparse_adam",
]


class AdamState(NamedTuple):
    """The state of ``adam`` and ``adamw``: ``max_exp_avg_sq`` is ``None`` without ``amsgrad``."""

    step: jax.Array
    exp_avg: Any
    exp_avg_sq: Any
    max_exp_avg_sq: Any


class AdamaxState(NamedTuple):
    """The state of ``adamax``."""

    step: jax.Array
    exp_avg: Any
    exp_inf: Any


class NAdamState(NamedTuple):
    """The state of ``nadam``: ``mu_product`` is one scalar for all parameters."""

    step: jax.Array
    mu_product: jax.Array
    exp_avg: Any
    exp_avg_sq: Any


class RAdamState(NamedTuple):
    """The state of ``radam``."""

    step: jax.Array
    exp_avg: Any
    exp_avg_sq: Any


class SparseAdamState(NamedTuple):
    """The state of ``sparse_adam``."""

    step: jax.Array
    exp_avg: Any
    exp_avg_sq: Any


def adam(
    lr: Any = 1e-3,
    betas: tuple[Any, Any] = (0.9, 0.999),
    eps: Any = 1e-8,
    weight_decay: Any = 0,
    amsgrad: bool = False,
    *,
    foreach: bool | None = None,
    maximize: bool = False,
    capturable: bool = False,
    differentiable: bool = False,
    fused: bool | None = None,
    decoupled_weight_decay: bool = False,
) -> Transform:
    r"""Adam.

    .. math::
        m_t = \beta_1 m_{t-1} + (1 - \beta_1) g, \quad v_t = \beta_2 v_{t-1} + (1 - \beta_2) g^2, \quad
        p \leftarrow p - \gamma \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    Args:
        lr: learning rate: a number, an array or a schedule ``count -> lr``.
        betas: decay of the two averages, each in [0, 1).
        eps: added to the denominator.
        weight_decay: the L2 penalty, added to the gradient.
        amsgrad: whether to divide by the largest :math:`v` so far.
        maximize: whether to go up the gradient.
        decoupled_weight_decay: whether the decay acts on the parameter, as in ``adamw``.
        foreach, capturable, differentiable, fused: accepted for torch's sake; they change nothing.

    Returns:
        A ``Transform`` with state ``AdamState``.

    Raises:
        ValueError: if a hyperparameter is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Adam.html; Kingma and Ba, Adam: A Method for
    Stochastic Optimization, https://arxiv.org/abs/1412.6980; amsgrad: https://openreview.net/forum?id=ryQu7f-RZ.

    Example:
        >>> tx = adam(lr=0.1)
        >>> round(float(tx.update(jnp.array(2.0), tx.init(jnp.array(1.0)))[0]), 3)
        -0.1
    """
    return _adam("adam", lr, betas, eps, weight_decay, amsgrad, maximize, decoupled_weight_decay)


def adamw(
    lr: Any = 1e-3,
    betas: tuple[Any, Any] = (0.9, 0.999),
    eps: Any = 1e-8,
    weight_decay: Any = 1e-2,
    amsgrad: bool = False,
    *,
    maximize: bool = False,
    foreach: bool | None = None,
    capturable: bool = False,
    differentiable: bool = False,
    fused: bool | None = None,
) -> Transform:
    r"""Adam with decoupled weight decay: :math:`p \leftarrow p - \gamma \lambda p` besides the step of ``adam``.

    Args:
        lr: learning rate: a number, an array or a schedule ``count -> lr``.
        betas: decay of the two averages, each in [0, 1).
        eps: added to the denominator.
        weight_decay: :math:`\lambda`, the decay of the parameter itself.
        amsgrad: whether to divide by the largest second moment so far.
        maximize: whether to go up the gradient.
        foreach, capturable, differentiable, fused: accepted for torch's sake; they change nothing.

    Returns:
        A ``Transform`` with state ``AdamState``.

    Raises:
        ValueError: if a hyperparameter is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.AdamW.html; Loshchilov and Hutter, Decoupled
    Weight Decay Regularization, https://arxiv.org/abs/1711.05101.

    Example:
        >>> tx, p = adamw(lr=0.1, weight_decay=1.0), jnp.array(1.0)
        >>> round(float(tx.update(jnp.array(2.0), tx.init(p), p)[0]), 3)
        -0.2
    """
    return _adam("adamw", lr, betas, eps, weight_decay, amsgrad, maximize, True)


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


def adamax(
    lr: Any = 2e-3,
    betas: tuple[Any, Any] = (0.9, 0.999),
    eps: Any = 1e-8,
    weight_decay: Any = 0,
    foreach: bool | None = None,
    *,
    maximize: bool = False,
    differentiable: bool = False,
    capturable: bool = False,
) -> Transform:
    r"""Adamax, Adam by the infinity norm.

    .. math::
        u_t = \max(\beta_2 u_{t-1}, |g| + \epsilon), \quad p \leftarrow p - \frac{\gamma}{1 - \beta_1^t} \frac{m_t}{u_t}

    Args:
        lr: learning rate: a number, an array or a schedule ``count -> lr``.
        betas: decay of the average and of the norm, each in [0, 1).
        eps: added to the gradient's magnitude.
        weight_decay: the L2 penalty.
        maximize: whether to go up the gradient.
        foreach, differentiable, capturable: accepted for torch's sake; they change nothing.

    Returns:
        A ``Transform`` with state ``AdamaxState``.

    Raises:
        ValueError: if a hyperparameter is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Adamax.html; https://arxiv.org/abs/1412.6980.

    Example:
        >>> tx = adamax(lr=0.1)
        >>> round(float(tx.update(jnp.array(2.0), tx.init(jnp.array(1.0)))[0]), 3)
        -0.1
    """
    check_lr("adamax", lr)
    check_minimums("adamax", eps=eps, weight_decay=weight_decay)
    check_betas("adamax", betas)

    def init(params: Any) -> AdamaxState:
        return AdamaxState(start(), zeros_like(params), zeros_like(params))

    def update(grads: Any, state: AdamaxState, params: Any = None) -> tuple[Any, AdamaxState]:
        if not is_off(weight_decay):
            need_params("adamax", params)
        step = state.step + 1
        beta1, beta2 = map(wide, betas)
        size = rate(lr, state.step) / bias_correction(beta1, step)

        def rule(cast: Any, g: Any, p: Any, m: Any, u: Any) -> tuple[Any, ...]:
            g = -g if maximize else g
            if not is_off(weight_decay):
                g = g + cast(wide(weight_decay)) * p
            m = m + (g - m) * cast(1 - beta1)
            u = jnp.maximum(u * cast(beta2), jnp.abs(g) + cast(wide(eps)))
            return -cast(size) * (m / u), m, u

        updates, *fields = by_leaf(rule, grads, params, state.exp_avg, state.exp_inf, name="adamax")
        return updates, AdamaxState(step, *fields)

    return Transform(init, update)


def nadam(
    lr: Any = 2e-3,
    betas: tuple[Any, Any] = (0.9, 0.999),
    eps: Any = 1e-8,
    weight_decay: Any = 0,
    momentum_decay: Any = 4e-3,
    decoupled_weight_decay: bool = False,
    *,
    foreach: bool | None = None,
    maximize: bool = False,
    capturable: bool = False,
    differentiable: bool = False,
) -> Transform:
    r"""NAdam, Adam with Nesterov's momentum.

    .. math::
        \mu_t = \beta_1 (1 - \tfrac12 0.96^{t \psi}), \quad \hat m_t = \frac{\mu_{t+1} m_t}{1 - \prod_{i=1}^{t+1} \mu_i}
        + \frac{(1 - \mu_t) g}{1 - \prod_{i=1}^t \mu_i}, \quad
        p \leftarrow p - \gamma \frac{\hat m_t}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

    Args:
        lr: learning rate: a number, an array or a schedule ``count -> lr``.
        betas: decay of the two averages, each in [0, 1).
        eps: added to the denominator.
        weight_decay: the L2 penalty.
        momentum_decay: :math:`\psi`.
        decoupled_weight_decay: whether the decay acts on the parameter, as in ``adamw``.
        maximize: whether to go up the gradient.
        foreach, capturable, differentiable: accepted for torch's sake; they change nothing.

    Returns:
        A ``Transform`` with state ``NAdamState``.

    Raises:
        ValueError: if a hyperparameter is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.NAdam.html; Dozat, Incorporating Nesterov Momentum
    into Adam, 2016.

    Example:
        >>> tx = nadam(lr=0.1)
        >>> round(float(tx.update(jnp.array(2.0), tx.init(jnp.array(1.0)))[0]), 3)
        -0.106
    """
    check_lr("nadam", lr)
    check_minimums("nadam", eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay)
    check_betas("nadam", betas)

    def init(params: Any) -> NAdamState:
        return NAdamState(start(), jnp.ones((), wide_dtype()), zeros_like(params), zeros_like(params))

    def update(grads: Any, state: NAdamState, params: Any = None) -> tuple[Any, NAdamState]:
        if not is_off(weight_decay):
            need_params("nadam", params)
        step = state.step + 1
        gamma, decay = rate(lr, state.step), wide(weight_decay)
        beta1, beta2 = map(wide, betas)
        root = jnp.sqrt(bias_correction(beta2, step))

        def mu(count: jax.Array) -> jax.Array:
            return beta1 * (1 - 0.5 * 0.96 ** (count.astype(wide_dtype()) * wide(momentum_decay)))

        product = state.mu_product * mu(step)
        of_grad = gamma * (1 - mu(step)) / (1 - product)
        of_average = gamma * mu(step + 1) / (1 - product * mu(step + 1))

        def rule(cast: Any, g: Any, p: Any, m: Any, v: Any) -> tuple[Any, ...]:
            g = -g if maximize else g
            if not is_off(weight_decay) and not decoupled_weight_decay:
                g = g + cast(decay) * p
            m = m + (g - m) * cast(1 - beta1)
            v = v * cast(beta2) + jnp.square(g) * cast(1 - beta2)
            change = -(cast(of_grad) * g + cast(of_average) * m) / (jnp.sqrt(v) / cast(root) + cast(wide(eps)))
            if not is_off(weight_decay) and decoupled_weight_decay:
                change = change - cast(gamma * decay) * p
            return change, m, v

        updates, *fields = by_leaf(rule, grads, params, state.exp_avg, state.exp_avg_sq, name="nadam")
        return updates, NAdamState(step, product.astype(state.mu_product.dtype), *fields)

    return Transform(init, update)


def radam(
    lr: Any = 1e-3,
    betas: tuple[Any, Any] = (0.9, 0.999),
    eps: Any = 1e-8,
    weight_decay: Any = 0,
    decoupled_weight_decay: bool = False,
    *,
    foreach: bool | None = None,
    maximize: bool = False,
    capturable: bool = False,
    differentiable: bool = False,
) -> Transform:
    r"""RAdam, Adam with the variance of its step rectified.

    With :math:`\rho_\infty = 2 / (1 - \beta_2) - 1` and :math:`\rho_t = \rho_\infty - 2 t \beta_2^t / (1 - \beta_2^t)`,
    the step is Adam's times :math:`r_t` once :math:`\rho_t > 5`, and :math:`\gamma m_t / (1 - \beta_1^t)` before:

    .. math:: r_t = \sqrt{\frac{(\rho_t - 4)(\rho_t - 2) \rho_\infty}{(\rho_\infty - 4)(\rho_\infty - 2) \rho_t}}

    Args:
        lr: learning rate: a number, an array or a schedule ``count -> lr``.
        betas: decay of the two averages, each in [0, 1).
        eps: added to the denominator (before the bias of the second moment is corrected, as in torch).
        weight_decay: the L2 penalty.
        decoupled_weight_decay: whether the decay acts on the parameter, as in ``adamw``.
        maximize: whether to go up the gradient.
        foreach, capturable, differentiable: accepted for torch's sake; they change nothing.

    Returns:
        A ``Transform`` with state ``RAdamState``.

    Raises:
        ValueError: if a hyperparameter is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.RAdam.html; Liu et al., On the Variance of the
    Adaptive Learning Rate and Beyond, https://arxiv.org/abs/1908.03265.

    Example:
        >>> tx = radam(lr=0.1)
        >>> round(float(tx.update(jnp.array(2.0), tx.init(jnp.array(1.0)))[0]), 3)
        -0.2
    """
    check_lr("radam", lr)
    check_minimums("radam", eps=eps, weight_decay=weight_decay)
    check_betas("radam", betas)

    def init(params: Any) -> RAdamState:
        return RAdamState(start(), zeros_like(params), zeros_like(params))

    def update(grads: Any, state: RAdamState, params: Any = None) -> tuple[Any, RAdamState]:
        if not is_off(weight_decay):
            need_params("radam", params)
        step = state.step + 1
        gamma, decay = rate(lr, state.step), wide(weight_decay)
        beta1, beta2 = map(wide, betas)
        size = gamma / bias_correction(beta1, step)
        correction2 = bias_correction(beta2, step)
        limit = 2 / (1 - beta2) - 1
        length = limit - 2 * step.astype(wide_dtype()) * (1 - correction2) / correction2
        rectified = length > 5
        known = jnp.where(rectified, length, limit)
        variance = (known - 4) * (known - 2) * limit / ((limit - 4) * (limit - 2) * known)
        scale = jnp.sqrt(jnp.where(rectified, variance, 1.0) * correction2)

        def rule(cast: Any, g: Any, p: Any, m: Any, v: Any) -> tuple[Any, ...]:
            g = -g if maximize else g
            if not is_off(weight_decay) and not decoupled_weight_decay:
                g = g + cast(decay) * p
            m = m + (g - m) * cast(1 - beta1)
            v = v * cast(beta2) + jnp.square(g) * cast(1 - beta2)
            adaptive = jnp.where(rectified, cast(scale) / (jnp.sqrt(v) + cast(wide(eps))), 1)
            change = -cast(size) * m * adaptive
            if not is_off(weight_decay) and decoupled_weight_decay:
                change = change - cast(gamma * decay) * p
            return change, m, v

        updates, *fields = by_leaf(rule, grads, params, state.exp_avg, state.exp_avg_sq, name="radam")
        return updates, RAdamState(step, *fields)

    return Transform(init, update)


def sparse_adam(
    lr: Any = 1e-3,
    betas: tuple[Any, Any] = (0.9, 0.999),
    eps: Any = 1e-8,
    maximize: bool = False,
) -> Transform:
    r"""Adam for row-sparse gradients: only the rows that have a gradient are updated, moments included.

    .. math:: p_i \leftarrow p_i - \gamma \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t} \frac{m_i}{\sqrt{v_i} + \epsilon}

    Args:
        lr: learning rate: a number, an array or a schedule ``count -> lr``.
        betas: decay of the two averages, each in [0, 1).
        eps: added to the denominator.
        maximize: whether to go up the gradient.

    Returns:
        A ``Transform`` with state ``SparseAdamState``; its updates are ``RowSparse``, as its gradients must be.

    Raises:
        ValueError: if a hyperparameter is out of range.
        RuntimeError: at ``update``, if a gradient is dense.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.SparseAdam.html.

    Example:
        >>> tx, grads = sparse_adam(lr=0.1), RowSparse(jnp.array([1]), jnp.ones((1, 1)), (2, 1))
        >>> updates, _ = tx.update(grads, tx.init(jnp.zeros((2, 1))))
        >>> [round(u, 3) for u in updates.to_dense()[:, 0].tolist()]
        [0.0, -0.1]
    """
    check_number("sparse_adam", "lr", lr, above=0)
    check_number("sparse_adam", "eps", eps, above=0)
    check_betas("sparse_adam", betas)

    def init(params: Any) -> SparseAdamState:
        return SparseAdamState(start(), zeros_like(params), zeros_like(params))

    def update(grads: Any, state: SparseAdamState, params: Any = None) -> tuple[Any, SparseAdamState]:
        step = state.step + 1
        beta1, beta2 = map(wide, betas)
        size = rate(lr, state.step) * jnp.sqrt(bias_correction(beta2, step)) / bias_correction(beta1, step)

        def dense(cast: Any, g: Any, p: Any, m: Any, v: Any) -> tuple[Any, ...]:
            raise RuntimeError("sparse_adam: does not support dense gradients, consider adam instead")

        def sparse(cast: Any, g: RowSparse, p: Any, m: Any, v: Any) -> tuple[Any, ...]:
            values = -g.values if maximize else g.values
            old = g.rows_of(m).astype(values.dtype)
            average = g.map(lambda _: old + (values - old) * cast(1 - beta1))
            old_sq = g.rows_of(v).astype(values.dtype)
            square = g.map(lambda _: old_sq + (jnp.square(values) - old_sq) * cast(1 - beta2))
            change = -cast(size) * (average.values / (jnp.sqrt(square.values) + cast(wide(eps))))
            return g.map(lambda _: change), average.set_in(m), square.set_in(v)

        updates, *fields = by_leaf(dense, grads, params, state.exp_avg, state.exp_avg_sq, sparse=sparse)
        return updates, SparseAdamState(step, *fields)

    return Transform(init, update)

"""Adamax."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnn.optim._checks import check_betas, check_lr, check_minimums, need_params
from fnn.optim._leaves import by_leaf, zeros_like
from fnn.optim._scalars import bias_correction, is_off, rate, start, wide
from fnn.optim.optimizer import Optimizer
from fnn.optim.transform import Transform

__all__ = ["Adamax", "AdamaxState", "adamax"]


class AdamaxState(NamedTuple):
    """The state of ``adamax``."""

    step: jax.Array
    exp_avg: Any
    exp_inf: Any


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


class Adamax(Optimizer):
    """Adamax, Adam by the infinity norm (Kingma and Ba, 2014).

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.Adamax.html.

    Args:
        params: Parameters or groups of them.
        lr: learning rate.
        betas: decay of the average of the gradient and of its norm.
        eps: added to the gradient's magnitude.
        weight_decay: factor of the parameters added to the gradients.
        maximize: whether to go up instead of down.
        foreach, differentiable, capturable: accepted for torch's sake; they change nothing.

    Raises:
        ValueError: if an option is out of range.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = Adamax([p], lr=0.5).step(lambda: (p * p).sum())
        >>> round(float(p.data[0]), 4)
        0.5
    """

    _rule = staticmethod(adamax)
    _elementwise = True

    def __init__(
        self,
        params: Any,
        lr: Any = 2e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

"""Adamax."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnn.optim._checks import check_betas, check_lr, check_minimums, need_params
from fnn.optim._explained import explained_rule
from fnn.optim._leaves import Cast, by_leaf, descent, lerp, zeros_like
from fnn.optim._param_groups import options
from fnn.optim._scalars import bias_correction, is_off, rate, start, wide
from fnn.optim.optimizer import Optimizer, ParamsT
from fnn.optim.transform import Transform
from fnn.optim.typing import LearningRate, Number, PyTree

__all__ = ["Adamax", "AdamaxState", "adamax"]


class AdamaxState(NamedTuple):
    """The state of ``adamax``.

    Args:
        step: updates so far.
        exp_avg: average of the gradient.
        exp_inf: its decaying infinity norm.
    """

    step: jax.Array
    exp_avg: PyTree
    exp_inf: PyTree


@explained_rule
def adamax(
    lr: LearningRate = 2e-3,
    betas: tuple[Number, Number] = (0.9, 0.999),
    eps: Number = 1e-8,
    weight_decay: Number = 0,
    foreach: bool | None = None,
    *,
    maximize: bool = False,
    differentiable: bool = False,
    capturable: bool = False,
) -> Transform[AdamaxState]:
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

    Shape:
        - updates, and each field of the state that belongs to a parameter: as the parameter.

    Returns:
        A ``Transform`` with state ``AdamaxState``.

    Raises:
        ValueError: if a hyperparameter is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Adamax.html; https://arxiv.org/abs/1412.6980.

    Example:
        >>> import jax.numpy as jnp
        >>> tx = adamax(lr=0.1)
        >>> round(float(tx.update(jnp.array(2.0), tx.init(jnp.array(1.0)))[0]), 3)
        -0.1
    """
    check_lr("adamax", lr)
    check_minimums("adamax", eps=eps, weight_decay=weight_decay)
    check_betas("adamax", betas)

    def init(params: PyTree) -> AdamaxState:
        return AdamaxState(start(), zeros_like(params), zeros_like(params))

    def update(grads: PyTree, state: AdamaxState, params: PyTree = None) -> tuple[PyTree, AdamaxState]:
        if not is_off(weight_decay):
            need_params("adamax", params)
        step = state.step + 1
        beta1, beta2 = map(wide, betas)
        size = rate(lr, state.step) / bias_correction(beta1, step)

        def rule(cast: Cast, g: Any, p: Any, m: Any, u: Any) -> tuple[Any, ...]:
            g = descent(cast, g, p, maximize, weight_decay)
            m = lerp(cast, m, g, 1 - beta1)
            u = jnp.maximum(u * cast(beta2), jnp.abs(g) + cast(wide(eps)))
            return -cast(size) * (m / u), m, u

        updates, *fields = by_leaf(rule, grads, params, state.exp_avg, state.exp_inf, name="adamax")
        return updates, AdamaxState(step, *fields)

    return Transform(init, update)


class Adamax(Optimizer):
    """Adamax, Adam by the infinity norm; the rule is ``adamax``.

    Args:
        params: Parameters, pairs of name and Parameter, or dicts each with ``params`` and options of the group.
        lr: learning rate.
        betas: decay of the average of the gradient and of its norm.
        eps: added to the gradient's magnitude.
        weight_decay: factor of the parameters added to the gradients.
        maximize: whether to go up instead of down.
        foreach, differentiable, capturable: accepted for torch's sake; they change nothing.

    Raises:
        ValueError: if an option is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Adamax.html; Kingma and Ba, Adam: A Method for
    Stochastic Optimization, https://arxiv.org/abs/1412.6980.

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
        params: ParamsT,
        lr: LearningRate = 2e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-8,
        weight_decay: Number = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        super().__init__(params, options(locals()))

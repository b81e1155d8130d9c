"""RAdam."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnn.optim._adam_family import moments
from fnn.optim._checks import check_betas, check_lr, check_minimums, need_params
from fnn.optim._explained import explained_rule
from fnn.optim._leaves import Cast, by_leaf, descent, zeros_like
from fnn.optim._param_groups import options
from fnn.optim._scalars import bias_correction, is_off, rate, start, wide, wide_dtype
from fnn.optim.optimizer import Optimizer, ParamsT
from fnn.optim.transform import Transform
from fnn.optim.typing import LearningRate, Number, PyTree

__all__ = ["RAdam", "RAdamState", "radam"]


class RAdamState(NamedTuple):
    """The state of ``radam``.

    Args:
        step: updates so far.
        exp_avg: average of the gradient.
        exp_avg_sq: average of its square.
    """

    step: jax.Array
    exp_avg: PyTree
    exp_avg_sq: PyTree


@explained_rule
def radam(
    lr: LearningRate = 1e-3,
    betas: tuple[Number, Number] = (0.9, 0.999),
    eps: Number = 1e-8,
    weight_decay: Number = 0,
    decoupled_weight_decay: bool = False,
    *,
    foreach: bool | None = None,
    maximize: bool = False,
    capturable: bool = False,
    differentiable: bool = False,
) -> Transform[RAdamState]:
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

    Shape:
        - updates, and each field of the state that belongs to a parameter: as the parameter.

    Returns:
        A ``Transform`` with state ``RAdamState``.

    Raises:
        ValueError: if a hyperparameter is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.RAdam.html; Liu et al., On the Variance of the
    Adaptive Learning Rate and Beyond, https://arxiv.org/abs/1908.03265.

    Example:
        >>> import jax.numpy as jnp
        >>> tx = radam(lr=0.1)
        >>> round(float(tx.update(jnp.array(2.0), tx.init(jnp.array(1.0)))[0]), 3)
        -0.2
    """
    check_lr("radam", lr)
    check_minimums("radam", eps=eps, weight_decay=weight_decay)
    check_betas("radam", betas)

    def init(params: PyTree) -> RAdamState:
        return RAdamState(start(), zeros_like(params), zeros_like(params))

    def update(grads: PyTree, state: RAdamState, params: PyTree = None) -> tuple[PyTree, RAdamState]:
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

        def rule(cast: Cast, g: Any, p: Any, m: Any, v: Any) -> tuple[Any, ...]:
            g = descent(cast, g, p, maximize, 0 if decoupled_weight_decay else weight_decay)
            m, v = moments(cast, g, m, v, beta1, beta2)
            adaptive = jnp.where(rectified, cast(scale) / (jnp.sqrt(v) + cast(wide(eps))), 1)
            change = -cast(size) * m * adaptive
            if not is_off(weight_decay) and decoupled_weight_decay:
                change = change - cast(gamma * decay) * p
            return change, m, v

        updates, *fields = by_leaf(rule, grads, params, state.exp_avg, state.exp_avg_sq, name="radam")
        return updates, RAdamState(step, *fields)

    return Transform(init, update)


class RAdam(Optimizer):
    """RAdam, Adam with the variance of its step rectified; the rule is ``radam``.

    Args:
        params: Parameters, pairs of name and Parameter, or dicts each with ``params`` and options of the group.
        lr: learning rate.
        betas: decay of the averages of the gradient and of its square, each in [0, 1).
        eps: added to the denominator.
        weight_decay: factor of the parameters added to the gradients.
        decoupled_weight_decay: whether the weight decay acts on the parameters directly, as in AdamW.
        maximize: whether to go up instead of down.
        foreach, capturable, differentiable: accepted for torch's sake; they change nothing.

    Raises:
        ValueError: if an option is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.RAdam.html; Liu et al., On the Variance of the
    Adaptive Learning Rate and Beyond, https://arxiv.org/abs/1908.03265.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = RAdam([p], lr=0.25).step(lambda: (p * p).sum())
        >>> round(float(p.data[0]), 4)
        0.5
    """

    _rule = staticmethod(radam)
    _elementwise = True

    def __init__(
        self,
        params: ParamsT,
        lr: LearningRate = 1e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-8,
        weight_decay: Number = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(
            params, options(locals(), "lr", "betas", "eps", "weight_decay", "maximize", "foreach", "capturable")
        )

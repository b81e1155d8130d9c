"""NAdam."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnn.optim._checks import check_betas, check_lr, check_minimums, need_params
from fnn.optim._leaves import by_leaf, zeros_like
from fnn.optim._scalars import bias_correction, is_off, rate, start, wide, wide_dtype
from fnn.optim.optimizer import Optimizer
from fnn.optim.transform import Transform

__all__ = ["NAdam", "NAdamState", "nadam"]


class NAdamState(NamedTuple):
    """The state of ``nadam``: ``mu_product`` is one scalar for all parameters."""

    step: jax.Array
    mu_product: jax.Array
    exp_avg: Any
    exp_avg_sq: Any


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


class NAdam(Optimizer):
    """NAdam, Adam with Nesterov's momentum (Dozat, 2016).

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.NAdam.html.

    Args:
        params: Parameters or groups of them.
        lr: learning rate.
        betas: decay of the averages of the gradient and of its square.
        eps: added to the denominator.
        weight_decay: factor of the parameters added to the gradients.
        momentum_decay: how fast the momentum rises to ``betas[0]``.
        decoupled_weight_decay: whether the weight decay acts on the parameters directly, as in AdamW.
        maximize: whether to go up instead of down.
        foreach, capturable, differentiable: accepted for torch's sake; they change nothing.

    Raises:
        ValueError: if an option is out of range.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = NAdam([p], lr=0.5).step(lambda: (p * p).sum())
        >>> round(float(p.data[0]), 4)
        0.4718
    """

    _rule = staticmethod(nadam)
    _elementwise = True

    def __init__(
        self,
        params: Any,
        lr: Any = 2e-3,
        betas: tuple[Any, Any] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

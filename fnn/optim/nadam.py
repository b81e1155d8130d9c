"""NAdam."""

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

__all__ = ["NAdam", "NAdamState", "nadam"]


class NAdamState(NamedTuple):
    """The state of ``nadam``.

    Args:
        step: updates so far.
        mu_product: product of the momenta of all updates, one scalar for all parameters.
        exp_avg: average of the gradient.
        exp_avg_sq: average of its square.
    """

    step: jax.Array
    mu_product: jax.Array
    exp_avg: PyTree
    exp_avg_sq: PyTree


@explained_rule
def nadam(
    lr: LearningRate = 2e-3,
    betas: tuple[Number, Number] = (0.9, 0.999),
    eps: Number = 1e-8,
    weight_decay: Number = 0,
    momentum_decay: Number = 4e-3,
    decoupled_weight_decay: bool = False,
    *,
    foreach: bool | None = None,
    maximize: bool = False,
    capturable: bool = False,
    differentiable: bool = False,
) -> Transform[NAdamState]:
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

    Shape:
        - updates, and each field of the state that belongs to a parameter: as the parameter.

    Returns:
        A ``Transform`` with state ``NAdamState``.

    Raises:
        ValueError: if a hyperparameter is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.NAdam.html; Dozat, Incorporating Nesterov Momentum
    into Adam, 2016.

    Example:
        >>> import jax.numpy as jnp
        >>> tx = nadam(lr=0.1)
        >>> round(float(tx.update(jnp.array(2.0), tx.init(jnp.array(1.0)))[0]), 3)
        -0.106
    """
    check_lr("nadam", lr)
    check_minimums("nadam", eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay)
    check_betas("nadam", betas)

    def init(params: PyTree) -> NAdamState:
        return NAdamState(start(), jnp.ones((), wide_dtype()), zeros_like(params), zeros_like(params))

    def update(grads: PyTree, state: NAdamState, params: PyTree = None) -> tuple[PyTree, NAdamState]:
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

        def rule(cast: Cast, g: Any, p: Any, m: Any, v: Any) -> tuple[Any, ...]:
            g = descent(cast, g, p, maximize, 0 if decoupled_weight_decay else weight_decay)
            m, v = moments(cast, g, m, v, beta1, beta2)
            change = -(cast(of_grad) * g + cast(of_average) * m) / (jnp.sqrt(v) / cast(root) + cast(wide(eps)))
            if not is_off(weight_decay) and decoupled_weight_decay:
                change = change - cast(gamma * decay) * p
            return change, m, v

        updates, *fields = by_leaf(rule, grads, params, state.exp_avg, state.exp_avg_sq, name="nadam")
        return updates, NAdamState(step, product.astype(state.mu_product.dtype), *fields)

    return Transform(init, update)


class NAdam(Optimizer):
    """NAdam, Adam with Nesterov's momentum; the rule is ``nadam``.

    Args:
        params: Parameters, pairs of name and Parameter, or dicts each with ``params`` and options of the group.
        lr: learning rate.
        betas: decay of the averages of the gradient and of its square, each in [0, 1).
        eps: added to the denominator.
        weight_decay: factor of the parameters added to the gradients.
        momentum_decay: how fast the momentum rises to ``betas[0]``.
        decoupled_weight_decay: whether the weight decay acts on the parameters directly, as in AdamW.
        maximize: whether to go up instead of down.
        foreach, capturable, differentiable: accepted for torch's sake; they change nothing.

    Raises:
        ValueError: if an option is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.NAdam.html; Dozat, Incorporating Nesterov Momentum
    into Adam, 2016.

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
        params: ParamsT,
        lr: LearningRate = 2e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-8,
        weight_decay: Number = 0,
        momentum_decay: Number = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(
            params,
            options(
                locals(), "lr", "betas", "eps", "weight_decay", "momentum_decay", "decoupled_weight_decay", "maximize"
            ),
        )

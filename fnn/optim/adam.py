"""Adam."""

from __future__ import annotations

from fnn.optim._adam_family import AdamState, adam_transform
from fnn.optim._explained import explained_rule
from fnn.optim._param_groups import options
from fnn.optim.optimizer import Optimizer, ParamsT
from fnn.optim.transform import Transform
from fnn.optim.typing import LearningRate, Number

__all__ = ["Adam", "AdamState", "adam"]


@explained_rule
def adam(
    lr: LearningRate = 1e-3,
    betas: tuple[Number, Number] = (0.9, 0.999),
    eps: Number = 1e-8,
    weight_decay: Number = 0,
    amsgrad: bool = False,
    *,
    foreach: bool | None = None,
    maximize: bool = False,
    capturable: bool = False,
    differentiable: bool = False,
    fused: bool | None = None,
    decoupled_weight_decay: bool = False,
) -> Transform[AdamState]:
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

    Shape:
        - updates, and each field of the state that belongs to a parameter: as the parameter.

    Returns:
        A ``Transform`` with state ``AdamState``.

    Raises:
        ValueError: if a hyperparameter is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Adam.html; Kingma and Ba, Adam: A Method for
    Stochastic Optimization, https://arxiv.org/abs/1412.6980; amsgrad: https://openreview.net/forum?id=ryQu7f-RZ.

    Example:
        >>> import jax.numpy as jnp
        >>> tx = adam(lr=0.1)
        >>> round(float(tx.update(jnp.array(2.0), tx.init(jnp.array(1.0)))[0]), 3)
        -0.1
    """
    return adam_transform("adam", lr, betas, eps, weight_decay, amsgrad, maximize, decoupled_weight_decay)


class Adam(Optimizer):
    """Adam, with AMSGrad; the rule is ``adam``.

    Args:
        params: Parameters, pairs of name and Parameter, or dicts each with ``params`` and options of the group.
        lr: learning rate.
        betas: decay of the averages of the gradient and of its square, each in [0, 1).
        eps: added to the denominator.
        weight_decay: factor of the parameters added to the gradients.
        amsgrad: whether to divide by the largest average of the square so far.
        maximize: whether to go up instead of down.
        decoupled_weight_decay: whether the weight decay acts on the parameters directly, as in AdamW.
        foreach, capturable, differentiable, fused: accepted for torch's sake; they change nothing.

    Raises:
        ValueError: if an option is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Adam.html; Kingma and Ba, Adam: A Method for
    Stochastic Optimization, https://arxiv.org/abs/1412.6980; AMSGrad: Reddi et al., On the Convergence of Adam and
    Beyond, https://arxiv.org/abs/1904.09237.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = Adam([p], lr=0.5).step(lambda: (p * p).sum())
        >>> round(float(p.data[0]), 4)
        0.5
    """

    _rule = staticmethod(adam)
    _elementwise = True

    def __init__(
        self,
        params: ParamsT,
        lr: LearningRate = 1e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-8,
        weight_decay: Number = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        super().__init__(params, options(locals(), "lr", "betas", "eps", "weight_decay", "amsgrad", "maximize"))

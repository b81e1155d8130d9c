"""AdamW."""

from __future__ import annotations

from fnn.optim._adam_family import AdamState, adam_transform
from fnn.optim._explained import explained_rule
from fnn.optim._param_groups import options
from fnn.optim.adam import Adam
from fnn.optim.optimizer import Optimizer, ParamsT
from fnn.optim.transform import Transform
from fnn.optim.typing import LearningRate, Number

__all__ = ["AdamW", "adamw"]


@explained_rule
def adamw(
    lr: LearningRate = 1e-3,
    betas: tuple[Number, Number] = (0.9, 0.999),
    eps: Number = 1e-8,
    weight_decay: Number = 1e-2,
    amsgrad: bool = False,
    *,
    maximize: bool = False,
    foreach: bool | None = None,
    capturable: bool = False,
    differentiable: bool = False,
    fused: bool | None = None,
) -> Transform[AdamState]:
    r"""Adam with decoupled weight decay: :math:`p \leftarrow p - \gamma \lambda p` besides the step of ``adam``.

    Args:
        lr: learning rate: a number, an array or a schedule ``count -> lr``.
        betas: decay of the two averages, each in [0, 1).
        eps: added to the denominator.
        weight_decay: :math:`\lambda`, the decay of the parameter itself.
        amsgrad: whether to divide by the largest second moment so far.
        maximize: whether to go up the gradient.
        foreach, capturable, differentiable, fused: accepted for torch's sake; they change nothing.

    Shape:
        - updates, and each field of the state that belongs to a parameter: as the parameter.

    Returns:
        A ``Transform`` with state ``AdamState``.

    Raises:
        ValueError: if a hyperparameter is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.AdamW.html; Loshchilov and Hutter, Decoupled
    Weight Decay Regularization, https://arxiv.org/abs/1711.05101.

    Example:
        >>> import jax.numpy as jnp
        >>> tx, p = adamw(lr=0.1, weight_decay=1.0), jnp.array(1.0)
        >>> round(float(tx.update(jnp.array(2.0), tx.init(p), p)[0]), 3)
        -0.2
    """
    return adam_transform("adamw", lr, betas, eps, weight_decay, amsgrad, maximize, True)


class AdamW(Adam):
    """Adam whose weight decay acts on the parameters directly; the rule is ``adamw``.

    Args:
        params: Parameters, pairs of name and Parameter, or dicts each with ``params`` and options of the group.
        lr: learning rate.
        betas: decay of the averages of the gradient and of its square, each in [0, 1).
        eps: added to the denominator.
        weight_decay: share of the parameters, times the learning rate, that is taken from them at each step.
        amsgrad: whether to divide by the largest average of the square so far.
        maximize: whether to go up instead of down.
        foreach, capturable, differentiable, fused: accepted for torch's sake; they change nothing.

    Raises:
        ValueError: if an option is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.AdamW.html; Loshchilov and Hutter, Decoupled
    Weight Decay Regularization, https://arxiv.org/abs/1711.05101.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = AdamW([p], lr=0.5, weight_decay=0.0).step(lambda: (p * p).sum())
        >>> round(float(p.data[0]), 4)
        0.5
    """

    def __init__(
        self,
        params: ParamsT,
        lr: LearningRate = 1e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-8,
        weight_decay: Number = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        # torch's groups name the option too.
        Optimizer.__init__(self, params, {**options(locals()), "decoupled_weight_decay": True})

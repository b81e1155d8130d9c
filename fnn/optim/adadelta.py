"""Adadelta."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnn.optim._checks import check_lr, check_minimums, check_number, need_params
from fnn.optim._explained import explained_rule
from fnn.optim._leaves import Cast, by_leaf, descent, zeros_like
from fnn.optim._param_groups import options
from fnn.optim._scalars import is_off, rate, start, wide
from fnn.optim.optimizer import Optimizer, ParamsT
from fnn.optim.transform import Transform
from fnn.optim.typing import LearningRate, Number, PyTree

__all__ = ["Adadelta", "AdadeltaState", "adadelta"]


class AdadeltaState(NamedTuple):
    """The state of ``adadelta``.

    Args:
        step: updates so far.
        square_avg: average of the square of the gradient.
        acc_delta: average of the square of the steps.
    """

    step: jax.Array
    square_avg: PyTree
    acc_delta: PyTree


@explained_rule
def adadelta(
    lr: LearningRate = 1.0,
    rho: Number = 0.9,
    eps: Number = 1e-6,
    weight_decay: Number = 0,
    foreach: bool | None = None,
    *,
    capturable: bool = False,
    maximize: bool = False,
    differentiable: bool = False,
) -> Transform[AdadeltaState]:
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

    Shape:
        - updates, and each field of the state that belongs to a parameter: as the parameter.

    Returns:
        A ``Transform`` with state ``AdadeltaState``.

    Raises:
        ValueError: if a hyperparameter is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Adadelta.html; Zeiler, ADADELTA: An Adaptive
    Learning Rate Method, https://arxiv.org/abs/1212.5701.

    Example:
        >>> import jax.numpy as jnp
        >>> tx = adadelta(eps=1.0)
        >>> round(float(tx.update(jnp.array(2.0), tx.init(jnp.array(1.0)))[0]), 3)
        -1.69
    """
    check_lr("adadelta", lr)
    check_number("adadelta", "rho", rho, 0, 1)
    check_minimums("adadelta", eps=eps, weight_decay=weight_decay)

    def init(params: PyTree) -> AdadeltaState:
        return AdadeltaState(start(), zeros_like(params), zeros_like(params))

    def update(grads: PyTree, state: AdadeltaState, params: PyTree = None) -> tuple[PyTree, AdadeltaState]:
        if not is_off(weight_decay):
            need_params("adadelta", params)
        gamma, keep, small = rate(lr, state.step), wide(rho), wide(eps)

        def rule(cast: Cast, g: Any, p: Any, v: Any, u: Any) -> tuple[Any, ...]:
            g = descent(cast, g, p, maximize, weight_decay)
            v = v * cast(keep) + jnp.square(g) * cast(1 - keep)
            change = jnp.sqrt(u + cast(small)) / jnp.sqrt(v + cast(small)) * g
            u = u * cast(keep) + jnp.square(change) * cast(1 - keep)
            return -cast(gamma) * change, v, u

        updates, *fields = by_leaf(rule, grads, params, state.square_avg, state.acc_delta, name="adadelta")
        return updates, AdadeltaState(state.step + 1, *fields)

    return Transform(init, update)


class Adadelta(Optimizer):
    """Adadelta; the rule is ``adadelta``.

    Args:
        params: Parameters, pairs of name and Parameter, or dicts each with ``params`` and options of the group.
        lr: learning rate.
        rho: decay of the averages.
        eps: added under the roots.
        weight_decay: factor of the parameters added to the gradients.
        maximize: whether to go up instead of down.
        foreach, capturable, differentiable: accepted for torch's sake; they change nothing.

    Raises:
        ValueError: if an option is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Adadelta.html; Zeiler, ADADELTA: An Adaptive
    Learning Rate Method, https://arxiv.org/abs/1212.5701.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = Adadelta([p], eps=1.0).step(lambda: (p * p).sum())
        >>> round(float(p.data[0]), 4)
        -0.6903
    """

    _rule = staticmethod(adadelta)
    _elementwise = True

    def __init__(
        self,
        params: ParamsT,
        lr: LearningRate = 1.0,
        rho: Number = 0.9,
        eps: Number = 1e-6,
        weight_decay: Number = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(params, options(locals(), "lr", "rho", "eps", "weight_decay", "maximize", "capturable"))

"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnn.optim._checks import check_lr, check_minimums, need_params
from fnn.optim._explained import explained_rule
from fnn.optim._leaves import Cast, by_leaf, descent, zeros_like
from fnn.optim._param_groups import options
from fnn.optim._scalars import is_off, rate, start, wide
from fnn.optim.optimizer import Optimizer, ParamsT
from fnn.optim.transform import Transform
from fnn.optim.typing import LearningRate, Number, PyTree
from fnn.tensor.row_sparse import RowSparse

__all__ = ["SGD", "SGDState", "sgd"]


class SGDState(NamedTuple):
    """The state of ``sgd``.

    Args:
        step: updates so far.
        momentum_buffer: the running sum of gradients; ``None`` without momentum.
    """

    step: jax.Array
    momentum_buffer: PyTree


@explained_rule
def sgd(
    lr: LearningRate = 1e-3,
    momentum: Number = 0,
    dampening: Number = 0,
    weight_decay: Number = 0,
    nesterov: bool = False,
    *,
    maximize: bool = False,
    foreach: bool | None = None,
    differentiable: bool = False,
    fused: bool | None = None,
) -> Transform[SGDState]:
    r"""Stochastic gradient descent, with momentum and Nesterov's momentum.

    .. math:: g' = g + \lambda p, \quad b_t = \mu b_{t-1} + (1 - \tau) g' \; (b_1 = g'), \quad p \leftarrow p - \gamma b_t

    With ``nesterov`` the step is :math:`g' + \mu b_t` in place of :math:`b_t`.

    Args:
        lr: learning rate: a number, an array or a schedule ``count -> lr``.
        momentum: :math:`\mu`; a Python 0 leaves the buffer out.
        dampening: :math:`\tau`, dampening of the momentum.
        weight_decay: :math:`\lambda`, the L2 penalty.
        nesterov: whether to use Nesterov's momentum.
        maximize: whether to go up the gradient.
        foreach, differentiable, fused: accepted for torch's sake; they change nothing.

    Shape:
        - updates, and each field of the state that belongs to a parameter: as the parameter.

    Returns:
        A ``Transform`` with state ``SGDState``. Row-sparse gradients without momentum touch only their rows.

    Raises:
        ValueError: if a hyperparameter is negative, or ``nesterov`` has no momentum or has dampening.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.SGD.html; Sutskever et al., On the importance of
    initialization and momentum in deep learning, 2013.

    Example:
        >>> import jax.numpy as jnp
        >>> tx = sgd(lr=0.1)
        >>> round(float(tx.update(jnp.array(2.0), tx.init(jnp.array(1.0)))[0]), 3)
        -0.2
    """
    check_lr("sgd", lr)
    check_minimums("sgd", momentum=momentum, weight_decay=weight_decay)
    if nesterov and (is_off(momentum) or not is_off(dampening)):
        raise ValueError("sgd: nesterov requires a momentum and zero dampening")

    def init(params: PyTree) -> SGDState:
        return SGDState(start(), None if is_off(momentum) else zeros_like(params))

    def update(grads: PyTree, state: SGDState, params: PyTree = None) -> tuple[PyTree, SGDState]:
        if not is_off(weight_decay):
            need_params("sgd", params)
        gamma = rate(lr, state.step)
        mu = wide(momentum)

        def rule(cast: Cast, g: Any, p: Any, b: Any) -> tuple[Any, Any]:
            g = descent(cast, g, p, maximize, weight_decay)
            if b is None:
                return -cast(gamma) * g, None
            kept = cast(mu) * b
            b = kept + g
            if not is_off(dampening):
                b = jnp.where(state.step == 0, g, kept + cast(1 - wide(dampening)) * g)
            return -cast(gamma) * (g + cast(mu) * b if nesterov else b), b

        def sparse(cast: Cast, g: RowSparse, p: Any, b: Any) -> tuple[Any, Any]:
            if not is_off(weight_decay):
                raise RuntimeError("sgd: weight_decay is not compatible with row-sparse gradients")
            if b is not None:
                return rule(cast, g.to_dense(), p, b)
            return (g if maximize else -g) * cast(gamma), None

        updates, buffer = by_leaf(rule, grads, params, state.momentum_buffer, sparse=sparse)
        return updates, SGDState(state.step + 1, buffer)

    return Transform(init, update)


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum and Nesterov's momentum; the rule is ``sgd``.

    Args:
        params: Parameters, pairs of name and Parameter, or dicts each with ``params`` and options of the group.
        lr: learning rate.
        momentum: factor of the running sum of gradients.
        dampening: what the momentum takes from each gradient.
        weight_decay: factor of the parameters added to the gradients.
        nesterov: whether to look ahead along the momentum.
        maximize: whether to go up instead of down.
        foreach, differentiable, fused: accepted for torch's sake; they change nothing.

    Raises:
        ValueError: if an option is out of range, or ``nesterov`` lacks a momentum.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.SGD.html; Sutskever et al., On the importance of
    initialization and momentum in deep learning, 2013.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = SGD([p], lr=0.5).step(lambda: (p * p).sum())
        >>> p.numpy().tolist()
        [0.0]
    """

    _rule = staticmethod(sgd)
    _elementwise = True
    _saves_step = False

    def __init__(
        self,
        params: ParamsT,
        lr: LearningRate = 1e-3,
        momentum: Number = 0,
        dampening: Number = 0,
        weight_decay: Number = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(params, options(locals()))

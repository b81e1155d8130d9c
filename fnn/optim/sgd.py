"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnn.optim._checks import check_lr, check_minimums, need_params
from fnn.optim._leaves import by_leaf, zeros_like
from fnn.optim._scalars import is_off, rate, start, wide
from fnn.optim.optimizer import Optimizer
from fnn.optim.transform import Transform
from fnn.tensor.row_sparse import RowSparse

__all__ = ["SGD", "SGDState", "sgd"]


class SGDState(NamedTuple):
    """The state of ``sgd``: ``momentum_buffer`` is ``None`` without momentum."""

    step: jax.Array
    momentum_buffer: Any


def sgd(
    lr: Any = 1e-3,
    momentum: Any = 0,
    dampening: Any = 0,
    weight_decay: Any = 0,
    nesterov: bool = False,
    *,
    maximize: bool = False,
    foreach: bool | None = None,
    differentiable: bool = False,
    fused: bool | None = None,
) -> Transform:
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

    Returns:
        A ``Transform`` with state ``SGDState``. Row-sparse gradients without momentum touch only their rows.

    Raises:
        ValueError: if a hyperparameter is negative, or ``nesterov`` has no momentum or has dampening.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.SGD.html; Sutskever et al., On the importance of
    initialization and momentum in deep learning, 2013.

    Example:
        >>> tx = sgd(lr=0.1)
        >>> round(float(tx.update(jnp.array(2.0), tx.init(jnp.array(1.0)))[0]), 3)
        -0.2
    """
    check_lr("sgd", lr)
    check_minimums("sgd", momentum=momentum, weight_decay=weight_decay)
    if nesterov and (is_off(momentum) or not is_off(dampening)):
        raise ValueError("sgd: nesterov requires a momentum and zero dampening")

    def init(params: Any) -> SGDState:
        return SGDState(start(), None if is_off(momentum) else zeros_like(params))

    def update(grads: Any, state: SGDState, params: Any = None) -> tuple[Any, SGDState]:
        if not is_off(weight_decay):
            need_params("sgd", params)
        gamma = rate(lr, state.step)
        mu, decay = wide(momentum), wide(weight_decay)

        def rule(cast: Any, g: Any, p: Any, b: Any) -> tuple[Any, Any]:
            g = -g if maximize else g
            if not is_off(weight_decay):
                g = g + cast(decay) * p
            if b is None:
                return -cast(gamma) * g, None
            kept = cast(mu) * b
            b = kept + g
            if not is_off(dampening):
                b = jnp.where(state.step == 0, g, kept + cast(1 - wide(dampening)) * g)
            return -cast(gamma) * (g + cast(mu) * b if nesterov else b), b

        def sparse(cast: Any, g: RowSparse, p: Any, b: Any) -> tuple[Any, Any]:
            if not is_off(weight_decay):
                raise RuntimeError("sgd: weight_decay is not compatible with row-sparse gradients")
            if b is not None:
                return rule(cast, g.to_dense(), p, b)
            return (g if maximize else -g) * cast(gamma), None

        updates, buffer = by_leaf(rule, grads, params, state.momentum_buffer, sparse=sparse)
        return updates, SGDState(state.step + 1, buffer)

    return Transform(init, update)


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum (Sutskever et al., 2013).

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.SGD.html.

    Args:
        params: Parameters or groups of them.
        lr: learning rate.
        momentum: factor of the running sum of gradients.
        dampening: what the momentum takes from each gradient.
        weight_decay: factor of the parameters added to the gradients.
        nesterov: whether to look ahead along the momentum.
        maximize: whether to go up instead of down.
        foreach, differentiable, fused: accepted for torch's sake; they change nothing.

    Raises:
        ValueError: if an option is out of range, or ``nesterov`` lacks a momentum.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = SGD([p], lr=0.5).step(lambda: (p * p).sum())
        >>> p.numpy().tolist()
        [0.0]
    """

    _rule = staticmethod(sgd)
    _elementwise = True

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def _export_state(self, named: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in named.items() if name != "step"}

    def _import_state(self, named: dict[str, Any], group: Mapping[str, Any]) -> dict[str, Any]:
        return {"step": 1, **named}

"""Averaged stochastic gradient descent."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnn.optim._checks import check_lr, check_minimums, need_params
from fnn.optim._explained import explained_rule
from fnn.optim._leaves import Cast, by_leaf, descent, zeros_like
from fnn.optim._param_groups import options
from fnn.optim._scalars import rate, start, wide, wide_dtype
from fnn.optim.optimizer import Optimizer, ParamsT
from fnn.optim.transform import Transform
from fnn.optim.typing import LearningRate, Number, PyTree

__all__ = ["ASGD", "ASGDState", "asgd"]


class ASGDState(NamedTuple):
    """The state of ``asgd``.

    Args:
        step: updates so far.
        eta: the step size of the next update.
        mu: the averaging weight of the next update.
        ax: the averaged parameters.
    """

    step: jax.Array
    eta: jax.Array
    mu: jax.Array
    ax: PyTree


@explained_rule
def asgd(
    lr: LearningRate = 1e-2,
    lambd: Number = 1e-4,
    alpha: Number = 0.75,
    t0: Number = 1e6,
    weight_decay: Number = 0,
    foreach: bool | None = None,
    maximize: bool = False,
    differentiable: bool = False,
    capturable: bool = False,
) -> Transform[ASGDState]:
    r"""Averaged SGD; the averaged parameters are ``ax`` in its state.

    .. math::
        p \leftarrow (1 - \lambda \eta_t) p - \eta_t g, \quad \bar p \leftarrow \bar p + \mu_t (p - \bar p), \quad
        \eta_{t+1} = \frac{\gamma}{(1 + \lambda \gamma t)^\alpha}, \quad \mu_{t+1} = \frac{1}{\max(1, t - t_0)}

    Args:
        lr: learning rate: a number, an array or a schedule ``count -> lr``.
        lambd: :math:`\lambda`, the decay term.
        alpha: the power of the decay of the step.
        t0: when averaging starts.
        weight_decay: the L2 penalty.
        maximize: whether to go up the gradient.
        foreach, differentiable, capturable: accepted for torch's sake; they change nothing.

    Shape:
        - updates, and each field of the state that belongs to a parameter: as the parameter.

    Returns:
        A ``Transform`` with state ``ASGDState``.

    Raises:
        ValueError: if ``lr`` or ``weight_decay`` is negative.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.ASGD.html; Polyak and Juditsky, Acceleration of
    stochastic approximation by averaging, 1992.

    Example:
        >>> import jax.numpy as jnp
        >>> tx, p = asgd(lr=0.1), jnp.array(1.0)
        >>> round(float(tx.update(jnp.array(2.0), tx.init(p), p)[0]), 3)
        -0.2
    """
    check_lr("asgd", lr)
    check_minimums("asgd", weight_decay=weight_decay)

    def init(params: PyTree) -> ASGDState:
        first = jnp.asarray(rate(lr, start())).astype(wide_dtype())
        return ASGDState(start(), first, jnp.ones((), wide_dtype()), zeros_like(params))

    def update(grads: PyTree, state: ASGDState, params: PyTree = None) -> tuple[PyTree, ASGDState]:
        need_params("asgd", params)
        step = state.step + 1
        gamma, lam = rate(lr, state.step), wide(lambd)

        def rule(cast: Cast, g: Any, p: Any, ax: Any) -> tuple[Any, ...]:
            g = descent(cast, g, p, maximize, weight_decay)
            change = -cast(lam * state.eta) * p - cast(state.eta) * g
            moved = p + change
            ax = jnp.where(state.mu == 1, moved, ax + (moved - ax) * cast(state.mu))
            return change, ax

        updates, average = by_leaf(rule, grads, params, state.ax, name="asgd")
        count = step.astype(wide_dtype())
        eta = jnp.asarray(gamma / (1 + lam * gamma * count) ** wide(alpha)).astype(state.eta.dtype)
        mu = (1 / jnp.maximum(1, count - wide(t0))).astype(state.mu.dtype)
        return updates, ASGDState(step, eta, mu, average)

    return Transform(init, update)


class ASGD(Optimizer):
    """Averaged stochastic gradient descent; ``state[p]["ax"]`` is the average; the rule is ``asgd``.

    Args:
        params: Parameters, pairs of name and Parameter, or dicts each with ``params`` and options of the group.
        lr: learning rate.
        lambd: decay of the parameters.
        alpha: the power by which the step falls.
        t0: when averaging starts.
        weight_decay: factor of the parameters added to the gradients.
        maximize: whether to go up instead of down.
        foreach, differentiable, capturable: accepted for torch's sake; they change nothing.

    Raises:
        ValueError: if an option is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.ASGD.html; Polyak and Juditsky, Acceleration of
    stochastic approximation by averaging, 1992.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = ASGD([p], lr=0.25).step(lambda: (p * p).sum())
        >>> round(float(p.data[0]), 4)
        0.5
    """

    _rule = staticmethod(asgd)
    _elementwise = True

    def __init__(
        self,
        params: ParamsT,
        lr: LearningRate = 1e-2,
        lambd: Number = 1e-4,
        alpha: Number = 0.75,
        t0: Number = 1e6,
        weight_decay: Number = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        super().__init__(params, options(locals()))

"""Averaged stochastic gradient descent."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnn.optim._checks import check_lr, check_minimums, need_params
from fnn.optim._leaves import by_leaf, zeros_like
from fnn.optim._scalars import is_off, rate, start, wide, wide_dtype
from fnn.optim.optimizer import Optimizer
from fnn.optim.transform import Transform

__all__ = ["ASGD", "ASGDState", "asgd"]


class ASGDState(NamedTuple):
    """The state of ``asgd``: step size and averaging weight of the next step, and the averaged parameters."""

    step: jax.Array
    eta: jax.Array
    mu: jax.Array
    ax: Any


def asgd(
    lr: Any = 1e-2,
    lambd: Any = 1e-4,
    alpha: Any = 0.75,
    t0: Any = 1e6,
    weight_decay: Any = 0,
    foreach: bool | None = None,
    maximize: bool = False,
    differentiable: bool = False,
    capturable: bool = False,
) -> Transform:
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

    Returns:
        A ``Transform`` with state ``ASGDState``.

    Raises:
        ValueError: if ``lr`` or ``weight_decay`` is negative.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.ASGD.html; Polyak and Juditsky, Acceleration of
    stochastic approximation by averaging, 1992.

    Example:
        >>> tx, p = asgd(lr=0.1), jnp.array(1.0)
        >>> round(float(tx.update(jnp.array(2.0), tx.init(p), p)[0]), 3)
        -0.2
    """
    check_lr("asgd", lr)
    check_minimums("asgd", weight_decay=weight_decay)

    def init(params: Any) -> ASGDState:
        first = jnp.asarray(rate(lr, start())).astype(wide_dtype())
        return ASGDState(start(), first, jnp.ones((), wide_dtype()), zeros_like(params))

    def update(grads: Any, state: ASGDState, params: Any = None) -> tuple[Any, ASGDState]:
        need_params("asgd", params)
        step = state.step + 1
        gamma, lam = rate(lr, state.step), wide(lambd)

        def rule(cast: Any, g: Any, p: Any, ax: Any) -> tuple[Any, ...]:
            g = -g if maximize else g
            if not is_off(weight_decay):
                g = g + cast(wide(weight_decay)) * p
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
    """Averaged stochastic gradient descent (Polyak and Juditsky, 1992); ``state[p]["ax"]`` is the average.

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.ASGD.html.

    Args:
        params: Parameters or groups of them.
        lr: learning rate.
        lambd: decay of the parameters.
        alpha: the power by which the step falls.
        t0: when averaging starts.
        weight_decay: factor of the parameters added to the gradients.
        maximize: whether to go up instead of down.
        foreach, differentiable, capturable: accepted for torch's sake; they change nothing.

    Raises:
        ValueError: if an option is out of range.

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
        params: Any,
        lr: Any = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

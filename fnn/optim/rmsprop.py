"""RMSprop."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnn.optim._checks import check_lr, check_minimums, need_params
from fnn.optim._explained import explained_rule
from fnn.optim._leaves import Cast, by_leaf, descent, lerp, zeros_like
from fnn.optim._param_groups import options
from fnn.optim._scalars import is_off, rate, start, wide
from fnn.optim.optimizer import Optimizer, ParamsT
from fnn.optim.transform import Transform
from fnn.optim.typing import LearningRate, Number, PyTree

__all__ = ["RMSprop", "RMSpropState", "rmsprop"]


class RMSpropState(NamedTuple):
    """The state of ``rmsprop``.

    Args:
        step: updates so far.
        square_avg: average of the square of the gradient.
        momentum_buffer: the running sum of steps; ``None`` without momentum.
        grad_avg: average of the gradient; ``None`` unless centered.
    """

    step: jax.Array
    square_avg: PyTree
    momentum_buffer: PyTree
    grad_avg: PyTree


@explained_rule
def rmsprop(
    lr: LearningRate = 1e-2,
    alpha: Number = 0.99,
    eps: Number = 1e-8,
    weight_decay: Number = 0,
    momentum: Number = 0,
    centered: bool = False,
    capturable: bool = False,
    foreach: bool | None = None,
    maximize: bool = False,
    differentiable: bool = False,
) -> Transform[RMSpropState]:
    r"""RMSprop.

    .. math::
        v_t = \alpha v_{t-1} + (1 - \alpha) g^2, \quad b_t = \mu b_{t-1} + \frac{g}{\sqrt{v_t} + \epsilon}, \quad
        p \leftarrow p - \gamma b_t

    With ``centered``, :math:`v_t - \bar g_t^2` stands under the root.

    Args:
        lr: learning rate: a number, an array or a schedule ``count -> lr``.
        alpha: decay of the averages.
        eps: added to the denominator.
        weight_decay: the L2 penalty.
        momentum: :math:`\mu`; a Python 0 leaves the buffer out.
        centered: whether to divide by an estimate of the variance.
        maximize: whether to go up the gradient.
        capturable, foreach, differentiable: accepted for torch's sake; they change nothing.

    Shape:
        - updates, and each field of the state that belongs to a parameter: as the parameter.

    Returns:
        A ``Transform`` with state ``RMSpropState``.

    Raises:
        ValueError: if a hyperparameter is negative.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.RMSprop.html; Hinton's lecture notes (2012);
    centered: Graves, https://arxiv.org/abs/1308.0850.

    Example:
        >>> import jax.numpy as jnp
        >>> tx = rmsprop(lr=0.1)
        >>> round(float(tx.update(jnp.array(2.0), tx.init(jnp.array(1.0)))[0]), 3)
        -1.0
    """
    check_lr("rmsprop", lr)
    check_minimums("rmsprop", alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum)

    def init(params: PyTree) -> RMSpropState:
        buffer = None if is_off(momentum) else zeros_like(params)
        return RMSpropState(start(), zeros_like(params), buffer, zeros_like(params) if centered else None)

    def update(grads: PyTree, state: RMSpropState, params: PyTree = None) -> tuple[PyTree, RMSpropState]:
        if not is_off(weight_decay):
            need_params("rmsprop", params)
        gamma, keep = rate(lr, state.step), wide(alpha)

        def rule(cast: Cast, g: Any, p: Any, v: Any, b: Any, mean: Any) -> tuple[Any, ...]:
            g = descent(cast, g, p, maximize, weight_decay)
            v = v * cast(keep) + jnp.square(g) * cast(1 - keep)
            spread = v
            if mean is not None:
                mean = lerp(cast, mean, g, 1 - keep)
                spread = v - jnp.square(mean)
            change = g / (jnp.sqrt(spread) + cast(wide(eps)))
            if b is not None:
                change = b = b * cast(wide(momentum)) + change
            return -cast(gamma) * change, v, b, mean

        updates, *fields = by_leaf(
            rule, grads, params, state.square_avg, state.momentum_buffer, state.grad_avg, name="rmsprop"
        )
        return updates, RMSpropState(state.step + 1, *fields)

    return Transform(init, update)


class RMSprop(Optimizer):
    """RMSprop, plain, with momentum, or centered; the rule is ``rmsprop``.

    Args:
        params: Parameters, pairs of name and Parameter, or dicts each with ``params`` and options of the group.
        lr: learning rate.
        alpha: decay of the averages.
        eps: added to the denominator.
        weight_decay: factor of the parameters added to the gradients.
        momentum: factor of the running sum of steps.
        centered: whether to divide by an estimate of the variance.
        maximize: whether to go up instead of down.
        capturable, foreach, differentiable: accepted for torch's sake; they change nothing.

    Raises:
        ValueError: if an option is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.RMSprop.html; Hinton's lecture notes (2012);
    centered: Graves, https://arxiv.org/abs/1308.0850.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = RMSprop([p], lr=0.05).step(lambda: (p * p).sum())
        >>> round(float(p.data[0]), 4)
        0.5
    """

    _rule = staticmethod(rmsprop)
    _elementwise = True

    def __init__(
        self,
        params: ParamsT,
        lr: LearningRate = 1e-2,
        alpha: Number = 0.99,
        eps: Number = 1e-8,
        weight_decay: Number = 0,
        momentum: Number = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(params, options(locals(), "lr", "momentum", "alpha", "eps", "centered"))

"""Rprop, resilient backpropagation."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnn.optim._checks import check_lr, check_number, check_tuple
from fnn.optim._explained import explained_rule
from fnn.optim._leaves import Cast, by_leaf, zeros_like
from fnn.optim._param_groups import options
from fnn.optim._scalars import rate, start, wide
from fnn.optim.optimizer import Optimizer, ParamsT
from fnn.optim.transform import Transform
from fnn.optim.typing import LearningRate, Number, PyTree
from fnn.tensor.elementwise import sign

__all__ = ["Rprop", "RpropState", "rprop"]


class RpropState(NamedTuple):
    """The state of ``rprop``.

    Args:
        step: updates so far.
        prev: the gradients of the update before, 0 where one has turned.
        step_size: each element's own step.
    """

    step: jax.Array
    prev: PyTree
    step_size: PyTree


@explained_rule
def rprop(
    lr: LearningRate = 1e-2,
    etas: tuple[Number, Number] = (0.5, 1.2),
    step_sizes: tuple[Number, Number] = (1e-6, 50),
    *,
    capturable: bool = False,
    foreach: bool | None = None,
    maximize: bool = False,
    differentiable: bool = False,
) -> Transform[RpropState]:
    r"""Rprop: each element has a step that grows while the sign of its gradient stays and shrinks when it turns.

    .. math:: p \leftarrow p - \eta_t \operatorname{sign}(g)

    An element whose gradient has turned rests for that step.

    Args:
        lr: the first step of every element: a number, an array or a schedule, of which only the value at 0 counts.
        etas: shrinking factor in (0, 1) and growth factor above 1.
        step_sizes: least and largest step.
        maximize: whether to go up the gradient.
        capturable, foreach, differentiable: accepted for torch's sake; they change nothing.

    Shape:
        - updates, and each field of the state that belongs to a parameter: as the parameter.

    Returns:
        A ``Transform`` with state ``RpropState``.

    Raises:
        ValueError: if a hyperparameter is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Rprop.html; Riedmiller and Braun, A direct adaptive
    method for faster backpropagation learning, 1993.

    Example:
        >>> import jax.numpy as jnp
        >>> tx = rprop(lr=0.1)
        >>> round(float(tx.update(jnp.array(2.0), tx.init(jnp.array(1.0)))[0]), 3)
        -0.1
    """
    check_lr("rprop", lr)
    check_tuple("rprop", "etas", etas, 2)
    check_tuple("rprop", "step_sizes", step_sizes, 2)
    check_number("rprop", "etas[0]", etas[0], above=0, below=1)
    check_number("rprop", "etas[1]", etas[1], above=1)

    def init(params: PyTree) -> RpropState:
        first = rate(lr, start())

        def fill(p: Any) -> jax.Array:
            p = jnp.asarray(p)
            both = first * (1 + 1j) if jnp.iscomplexobj(p) else first
            return jnp.full(p.shape, jnp.asarray(both).astype(p.dtype))

        return RpropState(start(), zeros_like(params), jax.tree.map(fill, params))

    def update(grads: PyTree, state: RpropState, params: PyTree = None) -> tuple[PyTree, RpropState]:
        shrink, grow = map(wide, etas)
        least, largest = map(wide, step_sizes)

        def rule(cast: Cast, g: Any, p: Any, prev: Any, size: Any) -> tuple[Any, ...]:
            g = -g if maximize else g
            agreement = jnp.sign(g * prev)
            factor = jnp.where(agreement > 0, cast(grow), jnp.where(agreement < 0, cast(shrink), 1))
            size = jnp.clip(size * factor.astype(size.dtype), cast(least), cast(largest))
            g = jnp.where(agreement < 0, 0, g)
            # As in torch an element whose gradient is NaN rests too.
            return -sign(g) * size, g, size

        updates, *fields = by_leaf(rule, grads, params, state.prev, state.step_size, name="rprop")
        return updates, RpropState(state.step + 1, *fields)

    return Transform(init, update)


class Rprop(Optimizer):
    """Rprop, resilient backpropagation; the rule is ``rprop``.

    Args:
        params: Parameters, pairs of name and Parameter, or dicts each with ``params`` and options of the group.
        lr: the first step of every element.
        etas: factors by which a step shrinks and grows.
        step_sizes: least and largest step.
        maximize: whether to go up instead of down.
        capturable, foreach, differentiable: accepted for torch's sake; they change nothing.

    Raises:
        ValueError: if an option is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Rprop.html; Riedmiller and Braun, A direct adaptive
    method for faster backpropagation learning, 1993.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = Rprop([p], lr=0.5).step(lambda: (p * p).sum())
        >>> round(float(p.data[0]), 4)
        0.5
    """

    _rule = staticmethod(rprop)
    _elementwise = True

    def __init__(
        self,
        params: ParamsT,
        lr: LearningRate = 1e-2,
        etas: tuple[Number, Number] = (0.5, 1.2),
        step_sizes: tuple[Number, Number] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        super().__init__(params, options(locals(), "lr", "etas", "step_sizes", "foreach", "maximize", "differentiable"))

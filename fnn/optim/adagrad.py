"""Adagrad."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnn.nn.parameter import Parameter
from fnn.optim._checks import check_lr, check_minimums, need_params
from fnn.optim._explained import explained_rule
from fnn.optim._leaves import Cast, by_leaf, descent
from fnn.optim._param_groups import options
from fnn.optim._scalars import is_off, rate, start, wide, wide_dtype
from fnn.optim.optimizer import Optimizer, ParamsT
from fnn.optim.transform import Transform
from fnn.optim.typing import LearningRate, Number, PyTree
from fnn.tensor.row_sparse import RowSparse

__all__ = ["Adagrad", "AdagradState", "adagrad"]


class AdagradState(NamedTuple):
    """The state of ``adagrad``.

    Args:
        step: updates so far.
        sum: sum of the squares of the gradients.
    """

    step: jax.Array
    sum: PyTree


@explained_rule
def adagrad(
    lr: LearningRate = 1e-2,
    lr_decay: Number = 0,
    weight_decay: Number = 0,
    initial_accumulator_value: Number = 0,
    eps: Number = 1e-10,
    foreach: bool | None = None,
    *,
    maximize: bool = False,
    differentiable: bool = False,
    fused: bool | None = None,
) -> Transform[AdagradState]:
    r"""Adagrad.

    .. math:: s_t = s_{t-1} + g^2, \quad p \leftarrow p - \frac{\gamma}{1 + (t - 1) \eta} \frac{g}{\sqrt{s_t} + \epsilon}

    Args:
        lr: learning rate: a number, an array or a schedule ``count -> lr``.
        lr_decay: :math:`\eta`.
        weight_decay: the L2 penalty.
        initial_accumulator_value: where :math:`s` starts.
        eps: added to the denominator.
        maximize: whether to go up the gradient.
        foreach, differentiable, fused: accepted for torch's sake; they change nothing.

    Shape:
        - updates, and each field of the state that belongs to a parameter: as the parameter.

    Returns:
        A ``Transform`` with state ``AdagradState``. Row-sparse gradients touch only their rows.

    Raises:
        ValueError: if a hyperparameter is negative.
        RuntimeError: at ``update``, for a row-sparse gradient with ``weight_decay``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Adagrad.html; Duchi et al., Adaptive Subgradient
    Methods for Online Learning and Stochastic Optimization, 2011.

    Example:
        >>> import jax.numpy as jnp
        >>> tx = adagrad(lr=0.1)
        >>> round(float(tx.update(jnp.array(2.0), tx.init(jnp.array(1.0)))[0]), 3)
        -0.1
    """
    check_lr("adagrad", lr)
    check_minimums(
        "adagrad",
        lr_decay=lr_decay,
        weight_decay=weight_decay,
        initial_accumulator_value=initial_accumulator_value,
        eps=eps,
    )

    def init(params: PyTree) -> AdagradState:
        first = wide(initial_accumulator_value)

        def fill(p: Any) -> jax.Array:
            p = jnp.asarray(p)
            return jnp.full_like(p, first * (1 + 1j) if jnp.iscomplexobj(p) else first)

        return AdagradState(start(), jax.tree.map(fill, params))

    def update(grads: PyTree, state: AdagradState, params: PyTree = None) -> tuple[PyTree, AdagradState]:
        if not is_off(weight_decay):
            need_params("adagrad", params)
        size = rate(lr, state.step) / (1 + state.step.astype(wide_dtype()) * wide(lr_decay))

        def rule(cast: Cast, g: Any, p: Any, s: Any) -> tuple[Any, ...]:
            g = descent(cast, g, p, maximize, weight_decay)
            s = s + jnp.square(g)
            return -cast(size) * (g / (jnp.sqrt(s) + cast(wide(eps)))), s

        def sparse(cast: Cast, g: RowSparse, p: Any, s: Any) -> tuple[Any, ...]:
            if not is_off(weight_decay):
                raise RuntimeError("adagrad: weight_decay is not compatible with row-sparse gradients")
            change, rows = rule(cast, g.values, None, g.rows_of(s).astype(g.dtype))
            return g.map(lambda _: change), g.map(lambda _: rows).set_in(s)

        updates, total = by_leaf(rule, grads, params, state.sum, sparse=sparse)
        return updates, AdagradState(state.step + 1, total)

    return Transform(init, update)


class Adagrad(Optimizer):
    """Adagrad; the rule is ``adagrad``.

    Args:
        params: Parameters, pairs of name and Parameter, or dicts each with ``params`` and options of the group.
        lr: learning rate.
        lr_decay: how fast the learning rate falls.
        weight_decay: factor of the parameters added to the gradients.
        initial_accumulator_value: where the sums of squares, which exist from the start, begin; as in torch, a group
            cannot change it.
        eps: added to the denominator.
        maximize: whether to go up instead of down.
        foreach, differentiable, fused: accepted for torch's sake; they change nothing.

    Raises:
        ValueError: if an option is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Adagrad.html; Duchi et al., Adaptive Subgradient
    Methods for Online Learning and Stochastic Optimization, 2011.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = Adagrad([p], lr=0.5).step(lambda: (p * p).sum())
        >>> round(float(p.data[0]), 4)
        0.5
    """

    _rule = staticmethod(adagrad)
    _elementwise = True
    _state_from_start = True

    def __init__(
        self,
        params: ParamsT,
        lr: LearningRate = 1e-2,
        lr_decay: Number = 0,
        weight_decay: Number = 0,
        initial_accumulator_value: Number = 0,
        eps: Number = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(params, options(locals(), "lr", "lr_decay", "eps"))

    def _create_slots(self, transform: Transform[Any], parameters: list[Parameter]) -> list[Parameter]:
        # torch takes the start of the sums from the constructor, not from the group.
        first = adagrad(initial_accumulator_value=self.defaults["initial_accumulator_value"])
        return super()._create_slots(first, parameters)

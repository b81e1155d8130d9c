"""Adafactor, whose second moments are kept as a row and a column."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnn.functional.checks import fail
from fnn.optim._checks import check_lr, check_minimums, check_number, check_tuple, need_params
from fnn.optim._explained import explained_rule
from fnn.optim._leaves import Cast, by_leaf, lerp
from fnn.optim._param_groups import options
from fnn.optim._scalars import is_off, rate, start, wide, wide_dtype
from fnn.optim.optimizer import Optimizer, ParamsT
from fnn.optim.transform import Transform
from fnn.optim.typing import LearningRate, Number, PyTree

__all__ = ["Adafactor", "AdafactorState", "adafactor"]


class AdafactorState(NamedTuple):
    """The state of ``adafactor``.

    Args:
        step: updates so far.
        row_var: second moments of the rows of a leaf of two axes or more, ``None`` in the place of another.
        col_var: those of its columns.
        variance: second moments of a leaf of fewer axes, ``None`` in the place of another.
    """

    step: jax.Array
    row_var: PyTree
    col_var: PyTree
    variance: PyTree


@explained_rule
def adafactor(
    lr: LearningRate = 1e-2,
    beta2_decay: Number = -0.8,
    eps: tuple[Number | None, Number] = (None, 1e-3),
    d: Number = 1.0,
    weight_decay: Number = 0.0,
    *,
    foreach: bool | None = None,
    maximize: bool = False,
) -> Transform[AdafactorState]:
    r"""Adafactor.

    With :math:`R` and :math:`C` the averaged row and column means of :math:`g^2` and :math:`\hat V` their product over
    the mean of :math:`R`:

    .. math::
        U = g / \sqrt{\hat V}, \quad \rho_t = \min(\gamma, 1 / \sqrt t), \quad
        p \leftarrow (1 - \gamma \lambda) p - \frac{\max(\epsilon_2, \mathrm{RMS}(p)) \rho_t}{\max(1, \mathrm{RMS}(U) / d)} U

    Args:
        lr: learning rate: a number, an array or a schedule ``count -> lr``.
        beta2_decay: the exponent of the decay of the averages, at most 0.
        eps: floor of the second moment's root (``None``: the dtype's epsilon) and of the scale of the parameter.
        d: clipping threshold of the update, at least 1.
        weight_decay: :math:`\lambda`, decoupled.
        maximize: whether to go up the gradient.
        foreach: accepted for torch's sake; it changes nothing.

    Shape:
        - updates: as the parameters.
        - row_var: :math:`(*, A, 1)` for a parameter of shape :math:`(*, A, B)`.
        - col_var: :math:`(*, 1, B)`.
        - variance: as a parameter of fewer than two axes.

    Returns:
        A ``Transform`` with state ``AdafactorState``.

    Raises:
        ValueError: if a hyperparameter is out of range.
        RuntimeError: at ``init``, for complex parameters.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Adafactor.html; Shazeer and Stern, Adafactor:
    Adaptive Learning Rates with Sublinear Memory Cost, https://arxiv.org/abs/1804.04235.

    Example:
        >>> import jax.numpy as jnp
        >>> tx, p = adafactor(lr=0.1), jnp.ones((2, 2))
        >>> round(float(tx.update(p, tx.init(p), p)[0][0, 0]), 3)
        -0.1
    """
    check_lr("adafactor", lr)
    check_number("adafactor", "beta2_decay", beta2_decay, maximum=0)
    check_tuple("adafactor", "eps", eps, 2)
    if eps[0] is not None:
        check_number("adafactor", "eps[0]", eps[0], minimum=0)
    check_number("adafactor", "eps[1]", eps[1], minimum=0)
    check_number("adafactor", "d", d, minimum=1)
    check_minimums("adafactor", weight_decay=weight_decay)

    def init(params: PyTree) -> AdafactorState:
        def zeros(shape_of: Any) -> Any:
            def make(p: Any) -> Any:
                p = jnp.asarray(p)
                if jnp.iscomplexobj(p):
                    fail(RuntimeError, "adafactor", "params", "real", p)
                shape = shape_of(p.shape)
                return None if shape is None else jnp.zeros(shape, p.dtype)

            return jax.tree.map(make, params)

        return AdafactorState(
            start(),
            zeros(lambda s: (*s[:-1], 1) if len(s) > 1 else None),
            zeros(lambda s: (*s[:-2], 1, s[-1]) if len(s) > 1 else None),
            zeros(lambda s: s if len(s) < 2 else None),
        )

    def update(grads: PyTree, state: AdafactorState, params: PyTree = None) -> tuple[PyTree, AdafactorState]:
        need_params("adafactor", params)
        step = state.step + 1
        count = step.astype(wide_dtype())
        gamma = rate(lr, state.step)
        fresh = count ** wide(beta2_decay)
        size = jnp.minimum(gamma, 1 / jnp.sqrt(count))

        def rule(cast: Cast, g: Any, p: Any, row: Any, col: Any, variance: Any) -> tuple[Any, ...]:
            g = -g if maximize else g
            floor = float(jnp.finfo(p.dtype).eps) if eps[0] is None else wide(eps[0])
            scale = _at_least(cast(wide(eps[1])), _rms(p)) * cast(size)
            if g.ndim > 1:
                row = lerp(cast, row, jnp.mean(jnp.square(g), -1, keepdims=True), fresh)
                col = lerp(cast, col, jnp.mean(jnp.square(g), -2, keepdims=True), fresh)
                estimate = row * col / jnp.maximum(jnp.mean(row, -2, keepdims=True), cast(floor))
            else:
                variance = lerp(cast, variance, jnp.square(g), fresh)
                estimate = variance
            change = jax.lax.rsqrt(jnp.maximum(estimate, cast(floor * floor))) * g
            change = -scale / _at_least(1, _rms(change) / cast(wide(d))) * change
            if not is_off(weight_decay):
                change = change - cast(gamma * wide(weight_decay)) * p
            return change, row, col, variance

        updates, *fields = by_leaf(rule, grads, params, state.row_var, state.col_var, state.variance, name="adafactor")
        return updates, AdafactorState(step, *fields)

    return Transform(init, update)


def _at_least(least: Any, x: jax.Array) -> jax.Array:
    """The larger, and ``least`` for NaN, as Python's ``max`` in torch has it: one NaN does not reach every element."""
    return jnp.where(x > least, x, least)


def _rms(x: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(jnp.square(x)) / max(x.size, 1))


class Adafactor(Optimizer):
    """Adafactor, whose second moments are kept as a row and a column; the rule is ``adafactor``.

    Args:
        params: Parameters, pairs of name and Parameter, or dicts each with ``params`` and options of the group.
        lr: learning rate.
        beta2_decay: the exponent of the decay of the averages.
        eps: floors of the second moment's root (``None``: the dtype's epsilon) and of the scale of a parameter.
        d: clipping threshold of the update.
        weight_decay: decay of the parameters themselves.
        maximize: whether to go up instead of down.
        foreach: accepted for torch's sake; it changes nothing.

    Raises:
        ValueError: if an option is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Adafactor.html; Shazeer and Stern, Adafactor:
    Adaptive Learning Rates with Sublinear Memory Cost, https://arxiv.org/abs/1804.04235.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = Adafactor([p], lr=0.5).step(lambda: (p * p).sum())
        >>> round(float(p.data[0]), 4)
        0.5
    """

    _rule = staticmethod(adafactor)
    _one_by_one = True

    def __init__(
        self,
        params: ParamsT,
        lr: LearningRate = 1e-2,
        beta2_decay: Number = -0.8,
        eps: tuple[Number | None, Number] = (None, 1e-3),
        d: Number = 1.0,
        weight_decay: Number = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, options(locals()))

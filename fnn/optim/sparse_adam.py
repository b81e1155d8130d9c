"""SparseAdam."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnn.optim._checks import check_betas, check_number
from fnn.optim._explained import explained_rule
from fnn.optim._leaves import Cast, by_leaf, lerp, zeros_like
from fnn.optim._param_groups import options
from fnn.optim._scalars import bias_correction, rate, start, wide
from fnn.optim.optimizer import Optimizer, ParamsT
from fnn.optim.transform import Transform
from fnn.optim.typing import LearningRate, Number, PyTree
from fnn.tensor.row_sparse import RowSparse

__all__ = ["SparseAdam", "SparseAdamState", "sparse_adam"]


class SparseAdamState(NamedTuple):
    """The state of ``sparse_adam``.

    Args:
        step: updates so far.
        exp_avg: average of the gradient.
        exp_avg_sq: average of its square.
    """

    step: jax.Array
    exp_avg: PyTree
    exp_avg_sq: PyTree


@explained_rule
def sparse_adam(
    lr: LearningRate = 1e-3,
    betas: tuple[Number, Number] = (0.9, 0.999),
    eps: Number = 1e-8,
    maximize: bool = False,
) -> Transform[SparseAdamState]:
    r"""Adam for row-sparse gradients: only the rows that have a gradient are updated, moments included.

    .. math:: p_i \leftarrow p_i - \gamma \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t} \frac{m_i}{\sqrt{v_i} + \epsilon}

    Args:
        lr: learning rate: a number, an array or a schedule ``count -> lr``.
        betas: decay of the two averages, each in [0, 1).
        eps: added to the denominator.
        maximize: whether to go up the gradient.

    Shape:
        - updates, and each field of the state that belongs to a parameter: as the parameter.

    Returns:
        A ``Transform`` with state ``SparseAdamState``; its updates are ``RowSparse``, as its gradients must be.

    Raises:
        ValueError: if a hyperparameter is out of range.
        RuntimeError: at ``update``, if a gradient is dense.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.SparseAdam.html.

    Example:
        >>> import jax.numpy as jnp
        >>> tx, grads = sparse_adam(lr=0.1), RowSparse(jnp.array([1]), jnp.ones((1, 1)), (2, 1))
        >>> updates, _ = tx.update(grads, tx.init(jnp.zeros((2, 1))))
        >>> [round(u, 3) for u in updates.to_dense()[:, 0].tolist()]
        [0.0, -0.1]
    """
    check_number("sparse_adam", "lr", lr, above=0)
    check_number("sparse_adam", "eps", eps, above=0)
    check_betas("sparse_adam", betas)

    def init(params: PyTree) -> SparseAdamState:
        return SparseAdamState(start(), zeros_like(params), zeros_like(params))

    def update(grads: PyTree, state: SparseAdamState, params: PyTree = None) -> tuple[PyTree, SparseAdamState]:
        step = state.step + 1
        beta1, beta2 = map(wide, betas)
        size = rate(lr, state.step) * jnp.sqrt(bias_correction(beta2, step)) / bias_correction(beta1, step)

        def dense(cast: Cast, g: Any, p: Any, m: Any, v: Any) -> tuple[Any, ...]:
            raise RuntimeError("sparse_adam: does not support dense gradients, consider adam instead")

        def sparse(cast: Cast, g: RowSparse, p: Any, m: Any, v: Any) -> tuple[Any, ...]:
            values = -g.values if maximize else g.values
            old = g.rows_of(m).astype(values.dtype)
            average = g.map(lambda _: lerp(cast, old, values, 1 - beta1))
            old_sq = g.rows_of(v).astype(values.dtype)
            square = g.map(lambda _: lerp(cast, old_sq, jnp.square(values), 1 - beta2))
            change = -cast(size) * (average.values / (jnp.sqrt(square.values) + cast(wide(eps))))
            return g.map(lambda _: change), average.set_in(m), square.set_in(v)

        updates, *fields = by_leaf(dense, grads, params, state.exp_avg, state.exp_avg_sq, sparse=sparse)
        return updates, SparseAdamState(step, *fields)

    return Transform(init, update)


class SparseAdam(Optimizer):
    """Adam for row-sparse gradients, that leaves the moments of other rows as they are; the rule is ``sparse_adam``.

    Args:
        params: Parameters, pairs of name and Parameter, or dicts each with ``params`` and options of the group.
        lr: learning rate.
        betas: decay of the averages of the gradient and of its square, each in [0, 1).
        eps: added to the denominator.
        maximize: whether to go up instead of down.

    Raises:
        ValueError: if an option is out of range, or a parameter is complex.
        RuntimeError: at a step, if a gradient is no ``RowSparse``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.SparseAdam.html; Kingma and Ba, Adam: A Method for
    Stochastic Optimization, https://arxiv.org/abs/1412.6980.

    Example:
        >>> import fnn, numpy as np
        >>> table = fnn.nn.Parameter(np.zeros((3, 1)))
        >>> table.grad = fnn.tensor.row_sparse.RowSparse(np.array([1]), np.ones((1, 1)), (3, 1))
        >>> SparseAdam([table], lr=0.5).step()
        >>> table.numpy()[:, 0].round(4).tolist()
        [0.0, -0.5, 0.0]
    """

    _rule = staticmethod(sparse_adam)
    _one_by_one = True

    def __init__(
        self,
        params: ParamsT,
        lr: LearningRate = 1e-3,
        betas: tuple[Number, Number] = (0.9, 0.999),
        eps: Number = 1e-8,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, options(locals()))

    def _check_group(self, group: Mapping[str, Any]) -> None:
        super()._check_group(group)
        for i, parameter in enumerate(group["params"]):
            if jnp.issubdtype(parameter.dtype, jnp.complexfloating):
                raise ValueError(f"SparseAdam: parameters must be real, got {parameter.dtype} at index {i}")

    def _export_state(self, named: dict[str, Any]) -> dict[str, Any]:
        return {**named, "step": int(named["step"])}

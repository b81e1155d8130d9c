"""Muon: momentum whose matrix is made nearly orthogonal by a Newton-Schulz iteration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fnn.functional.checks import as_int, check_choice, fail
from fnn.nn.lifting.stacks import stack_of
from fnn.optim._checks import check_lr, check_minimums, check_tuple, need_params
from fnn.optim._explained import explained_rule
from fnn.optim._leaves import Cast, by_leaf, lerp, zeros_like
from fnn.optim._param_groups import options
from fnn.optim._scalars import is_off, rate, start, wide
from fnn.optim.optimizer import Optimizer, ParamsT
from fnn.optim.transform import Transform
from fnn.optim.typing import LearningRate, Number, PyTree

__all__ = ["Muon", "MuonState", "muon"]


# As in torch; a test against torch in float64 sets it to float64.
ITERATION_DTYPE: Any = jnp.bfloat16


class MuonState(NamedTuple):
    """The state of ``muon``.

    Args:
        step: updates so far.
        momentum_buffer: average of the gradient.
    """

    step: jax.Array
    momentum_buffer: PyTree


@explained_rule
def muon(
    lr: LearningRate = 1e-3,
    weight_decay: Number = 0.1,
    momentum: Number = 0.95,
    nesterov: bool = True,
    ns_coefficients: tuple[Number, Number, Number] = (3.4445, -4.775, 2.0315),
    eps: Number = 1e-7,
    ns_steps: int = 5,
    adjust_lr_fn: str | None = None,
) -> Transform[MuonState]:
    r"""Muon, for the weight matrices of hidden layers.

    .. math::
        b_t = b_{t-1} + (1 - \mu)(g - b_{t-1}), \quad u = \mu b_t + (1 - \mu) g \text{ (nesterov)}, \quad
        p \leftarrow (1 - \gamma \lambda) p - \gamma' \, \mathrm{NS}(u)

    :math:`\mathrm{NS}` is ``ns_steps`` iterations :math:`X \leftarrow a X + (b A + c A^2) X`, :math:`A = X X^T`, in
    bfloat16 as in torch.

    Args:
        lr: learning rate: a number, an array or a schedule ``count -> lr``.
        weight_decay: :math:`\lambda`, decoupled.
        momentum: :math:`\mu`.
        nesterov: whether to look ahead.
        ns_coefficients: :math:`(a, b, c)`.
        eps: least norm that a matrix is divided by.
        ns_steps: number of iterations, below 100.
        adjust_lr_fn: ``None`` or 'original': :math:`\gamma' = \gamma \sqrt{\max(1, A / B)}` for an A x B matrix;
            'match_rms_adamw': :math:`\gamma' = 0.2 \gamma \sqrt{\max(A, B)}`.

    Shape:
        - updates, and each field of the state that belongs to a parameter: as the parameter.

    Returns:
        A ``Transform`` with state ``MuonState``.

    Raises:
        ValueError: if a hyperparameter is out of range, or at ``init`` if a parameter is not a matrix.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Muon.html; Jordan, Muon: An optimizer for hidden
    layers in neural networks, 2024; https://arxiv.org/abs/2502.16982.

    Example:
        >>> import jax.numpy as jnp
        >>> tx, p = muon(lr=0.1, weight_decay=0), jnp.ones((2, 2))
        >>> tx.update(p, tx.init(p), p)[0].shape
        (2, 2)
    """
    check_lr("muon", lr)
    check_minimums("muon", momentum=momentum, weight_decay=weight_decay)
    check_choice("muon", "adjust_lr_fn", adjust_lr_fn, (None, "original", "match_rms_adamw"))
    ns_steps = as_int("muon", "ns_steps", ns_steps)

    def init(params: PyTree) -> MuonState:
        for p in jax.tree.leaves(params):
            if jnp.ndim(p) != 2:
                fail(ValueError, "muon", "params", "2-D", p)
            if jnp.iscomplexobj(p):
                fail(RuntimeError, "muon", "params", "real", p)
        return MuonState(start(), zeros_like(params))

    def update(grads: PyTree, state: MuonState, params: PyTree = None) -> tuple[PyTree, MuonState]:
        if not is_off(weight_decay):
            need_params("muon", params)
        if ns_steps >= 100:
            fail(ValueError, "muon", "ns_steps", "below 100", ns_steps)
        check_tuple("muon", "ns_coefficients", ns_coefficients, 3)
        gamma, mu = rate(lr, state.step), wide(momentum)

        def rule(cast: Cast, g: Any, p: Any, b: Any) -> tuple[Any, ...]:
            b = lerp(cast, b, g, 1 - mu)
            direction = lerp(cast, g, b, mu) if nesterov else b
            rows, columns = g.shape
            if adjust_lr_fn == "match_rms_adamw":
                ratio = 0.2 * math.sqrt(max(rows, columns))
            else:
                ratio = math.sqrt(max(1, rows / columns))
            matrix = newton_schulz(direction, ns_coefficients, ns_steps, eps, ITERATION_DTYPE).astype(g.dtype)
            change = -cast(gamma * ratio) * matrix
            if not is_off(weight_decay):
                change = change - cast(gamma * wide(weight_decay)) * p
            return change, b

        updates, buffer = by_leaf(rule, grads, params, state.momentum_buffer, name="muon")
        return updates, MuonState(state.step + 1, buffer)

    return Transform(init, update)


def newton_schulz(matrix: jax.Array, coefficients: tuple[Any, Any, Any], steps: int, eps: Any, dtype: Any) -> jax.Array:
    """The matrix with its singular values brought near 1, computed in ``dtype``."""
    a, b, c = map(wide, coefficients)
    # Products and sums in float32 at least, each rounded once to ``dtype``.
    full = jnp.promote_types(dtype, jnp.float32)
    a, b, c = (x if isinstance(x, int | float) else x.astype(full) for x in (a, b, c))

    def times(left: jax.Array, right: jax.Array) -> jax.Array:
        return jnp.matmul(left, right, preferred_element_type=full)

    x = matrix.astype(dtype)
    tall = matrix.shape[0] > matrix.shape[1]
    x = x.T if tall else x
    norm = jnp.sqrt(jnp.sum(jnp.square(x.astype(full)))).astype(dtype)
    x = x / jnp.maximum(norm, jnp.asarray(eps, dtype))
    for _ in range(steps):
        gram = times(x, x.T).astype(dtype)
        power = (b * gram.astype(full) + c * times(gram, gram)).astype(dtype)
        x = (a * x.astype(full) + times(power, x)).astype(dtype)
    return x.T if tall else x


class Muon(Optimizer):
    """Muon, for the weight matrices of hidden layers; the rule is ``muon``.

    Args:
        params: Parameters, pairs of name and Parameter, or dicts each with ``params`` and options of the group.
        lr: learning rate.
        weight_decay: decay of the parameters themselves.
        momentum: decay of the average of the gradients.
        nesterov: whether to look ahead along the momentum.
        ns_coefficients: the polynomial of the iteration.
        eps: least norm that a matrix is divided by.
        ns_steps: number of iterations, below 100.
        adjust_lr_fn: 'original' (as ``None``) or 'match_rms_adamw': how the step depends on the shape.

    Raises:
        ValueError: if an option is out of range, or a parameter is no matrix.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Muon.html; Jordan, Muon: An optimizer for hidden
    layers in neural networks, 2024; https://arxiv.org/abs/2502.16982.

    Example:
        >>> import fnn, numpy as np
        >>> p = fnn.nn.Parameter(np.ones((2, 2)))
        >>> _ = Muon([p], lr=0.1, weight_decay=0.0).step(lambda: (p * p).sum())
        >>> bool((p.data < 1).all())
        True
    """

    _rule = staticmethod(muon)
    _one_by_one = True
    _static_options = frozenset({"ns_steps"})
    _saves_step = False

    def __init__(
        self,
        params: ParamsT,
        lr: LearningRate = 1e-3,
        weight_decay: Number = 0.1,
        momentum: Number = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[Number, Number, Number] = (3.4445, -4.775, 2.0315),
        eps: Number = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        super().__init__(params, options(locals()))

    def _check_group(self, group: Mapping[str, Any]) -> None:
        super()._check_group(group)
        for i, parameter in enumerate(group["params"]):
            shape = parameter.shape[len(stack_of(parameter)) :]
            if len(shape) != 2:
                raise ValueError(f"Muon: parameters must be matrices, got shape {shape} at index {i}")

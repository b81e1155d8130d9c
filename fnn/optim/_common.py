"""What the rules share: checks of hyperparameters, scalars in wide precision, and the walk over the leaves."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnn.functional.arrays import is_concrete
from fnn.functional.checks import fail
from fnn.kernels.row_sparse import RowSparse

_INF = math.inf


def check_number(
    function: str,
    argument: str,
    value: Any,
    minimum: float = -_INF,
    maximum: float = _INF,
    *,
    below: float = _INF,
    above: float = -_INF,
) -> None:
    """Raises ValueError unless a concrete hyperparameter is one number in range; tracers and schedules pass.

    ``minimum`` and ``maximum`` belong to the range, ``below`` and ``above`` do not.
    """
    if not is_concrete(value) or callable(value):
        return
    bounds = [f"at least {minimum}"] if minimum > -_INF else []
    bounds += [f"at most {maximum}"] if maximum < _INF else []
    bounds += [f"above {above}"] if above > -_INF else []
    bounds += [f"below {below}"] if below < _INF else []
    expected = "a number " + " and ".join(bounds)
    if value is None or isinstance(value, str | bytes | list | tuple | dict):
        fail(TypeError, function, argument, expected, value)
    if np.size(value) != 1:
        fail(ValueError, function, argument, expected, value)
    number = float(np.asarray(value).reshape(()))
    inside = minimum <= number <= maximum
    # NaN is in no range.
    if not (inside and (below == _INF or number < below) and (above == -_INF or number > above)):
        fail(ValueError, function, argument, expected, number)


def check_lr(function: str, lr: Any) -> None:
    """Raises ValueError unless the learning rate is at least 0, an array of one number, or a schedule."""
    check_number(function, "lr", lr, minimum=0)


def check_betas(function: str, betas: Any) -> None:
    """Raises ValueError unless there are two betas, each in [0, 1)."""
    check_tuple(function, "betas", betas, 2)
    for i, beta in enumerate(betas):
        check_number(function, f"betas[{i}]", beta, minimum=0, below=1)


def check_tuple(function: str, argument: str, value: Any, length: int) -> None:
    """Raises ValueError unless the value is a sequence of that many items."""
    try:
        right = len(value) == length
    except TypeError:
        right = False
    if not right:
        fail(ValueError, function, argument, f"{length} numbers", value)


def check_minimums(function: str, **values: Any) -> None:
    """Raises ValueError unless each hyperparameter is at least 0."""
    for argument, value in values.items():
        check_number(function, argument, value, minimum=0)


def is_off(value: Any) -> bool:
    """True for a Python zero (or ``False``), which leaves a term out of the program; arrays and tracers keep it in."""
    return isinstance(value, int | float | np.generic) and value == 0


def wide_dtype() -> Any:
    """The widest float at hand: float64 with x64 on, else float32."""
    return jax.dtypes.canonicalize_dtype(np.float64)


def wide(value: Any) -> Any:
    """A hyperparameter for scalar arithmetic: a Python number stays one, an array is widened."""
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, np.generic | np.ndarray):
        return float(value.reshape(()))
    array = jnp.asarray(value)
    return array.reshape(()).astype(wide_dtype())


def rate(lr: Any, step: jax.Array) -> Any:
    """The learning rate after ``step`` updates, as a scalar in wide precision."""
    return wide(lr(step) if callable(lr) else lr)


def bias_correction(beta: Any, step: jax.Array) -> jax.Array:
    """``1 - beta**step`` without the loss of digits for ``beta`` near 1."""
    beta = wide(beta)
    if isinstance(beta, int | float):
        log = math.log(beta) if beta > 0 else -_INF
    else:
        log = jnp.log(beta)
    return -jnp.expm1(step.astype(wide_dtype()) * log)


def start() -> jax.Array:
    """The count of a new state."""
    return jnp.zeros((), jnp.int32)


def zeros_like(params: Any) -> Any:
    """A pytree of zeros like ``params``."""
    return jax.tree.map(jnp.zeros_like, params)


def need_params(function: str, params: Any) -> None:
    """Raises ValueError if the rule was called without the parameters that it reads."""
    if params is None:
        raise ValueError(f"{function}: params must be given: update(grads, state, params)")


def _is_leaf(value: Any) -> bool:
    return value is None or isinstance(value, RowSparse)


def flatten(grads: Any) -> tuple[list[Any], Any]:
    """Leaves and structure of a pytree of gradients, where ``None`` and ``RowSparse`` are leaves."""
    return jax.tree.flatten(grads, is_leaf=_is_leaf)


def _compute_dtype(dtype: Any) -> Any:
    """Half-precision leaves are updated in float32: 0.999 is 1 in bfloat16."""
    return jnp.promote_types(dtype, jnp.float32) if jnp.issubdtype(dtype, jnp.floating) else dtype


def _split_complex(value: Any) -> Any:
    return jnp.stack([value.real, value.imag], -1) if jnp.iscomplexobj(value) else value


def by_leaf(
    rule: Callable[..., tuple[Any, ...]],
    grads: Any,
    params: Any,
    *fields: Any,
    sparse: Callable[..., tuple[Any, ...]] | None = None,
    name: str = "",
) -> tuple[Any, ...]:
    """Applies the rule of one parameter to each.

    ``rule(cast, g, p, *leaves)`` returns the update and the new leaves of the state; ``cast`` gives a scalar the
    dtype of the leaf. ``sparse`` is the same for a ``RowSparse`` gradient with distinct rows. ``fields`` are pytrees of
    the state, ``None`` for one that the options leave out. A leaf whose gradient is ``None`` is passed over. Complex
    leaves are treated as pairs of reals, as in torch.

    Returns:
        the updates and the new fields.
    """
    leaves, treedef = flatten(grads)
    count = len(leaves)

    def up_to(tree: Any) -> list[Any]:
        return [None] * count if tree is None else treedef.flatten_up_to(tree)

    values = up_to(params)
    columns = [up_to(field) for field in fields]
    updates: list[Any] = []
    for i, grad in enumerate(leaves):
        if grad is None:
            updates.append(None)
            continue
        if isinstance(grad, RowSparse) and sparse is None:
            raise RuntimeError(f"{name}: does not support row-sparse gradients")
        own = [column[i] for column in columns]
        like = next((x for x in (values[i], *own) if x is not None), grad)
        update, *new = _one_leaf(rule, sparse, like.dtype, grad, values[i], own)
        updates.append(update)
        for column, leaf in zip(columns, new, strict=True):
            column[i] = leaf
    new_fields = [None if field is None else treedef.unflatten(c) for field, c in zip(fields, columns, strict=True)]
    return treedef.unflatten(updates), *new_fields


def _one_leaf(rule: Any, sparse: Any, dtype: Any, grad: Any, param: Any, own: list[Any]) -> tuple[Any, ...]:
    compute = _compute_dtype(dtype)
    is_complex = jnp.issubdtype(dtype, jnp.complexfloating)
    real = jnp.finfo(compute).dtype if is_complex else compute

    def cast(scalar: Any) -> Any:
        return scalar if isinstance(scalar, bool | int | float) else jnp.asarray(scalar).astype(real)

    def narrow(value: Any) -> Any:
        if value is None:
            return None
        if is_complex and not jnp.iscomplexobj(value):
            value = jax.lax.complex(value[..., 0], value[..., 1])
        return value.astype(dtype)

    if isinstance(grad, RowSparse):
        result = sparse(cast, grad.astype(compute).coalesce(), param, *own)
        return (result[0].astype(dtype), *result[1:])
    grad = jnp.asarray(grad).astype(compute)
    inputs = [None if x is None else jnp.asarray(x).astype(compute) for x in (param, *own)]
    if is_complex:
        grad, *inputs = [_split_complex(x) for x in (grad, *inputs)]
    return tuple(narrow(x) for x in rule(cast, grad, *inputs))

"""The walk of a rule over the leaves of its pytrees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from fnn.optim._scalars import is_off, where, wide
from fnn.optim.typing import Number, PyTree
from fnn.tensor.row_sparse import RowSparse

# Gives a scalar the dtype of the leaf that a rule is at work on.
Cast: TypeAlias = Callable[[Any], Any]


def zeros_like(params: PyTree) -> PyTree:
    """A pytree of zeros like ``params``."""
    return jax.tree.map(jnp.zeros_like, params)


def is_leaf(value: Any) -> bool:
    """True for what a pytree of gradients has in the place of an array besides arrays."""
    return value is None or isinstance(value, RowSparse)


def flatten(grads: PyTree) -> tuple[list[Any], Any]:
    """Leaves and structure of a pytree of gradients, where ``None`` and ``RowSparse`` are leaves."""
    return jax.tree.flatten(grads, is_leaf=is_leaf)


def descent(cast: Cast, g: Any, p: Any, maximize: bool, weight_decay: Number) -> Any:
    """The gradient that a rule goes down: turned round by ``maximize``, with the L2 penalty added."""
    g = -g if maximize else g
    return g if is_off(weight_decay) else g + cast(wide(weight_decay)) * p


def lerp(cast: Cast, start: Any, end: Any, weight: Number) -> Any:
    """``start + weight * (end - start)``, exact at the end that is nearer: there a number far off costs it no digit."""
    near = weight < 0.5
    base, other = where(near, start, end), where(near, end, start)
    return base + (other - base) * cast(where(near, weight, 1 - weight))


def _compute_dtype(dtype: Any) -> Any:
    """Half-precision leaves are updated in float32: 0.999 is 1 in bfloat16."""
    return jnp.promote_types(dtype, jnp.float32) if jnp.issubdtype(dtype, jnp.floating) else dtype


def _split_complex(value: Any) -> Any:
    return jnp.stack([value.real, value.imag], -1) if jnp.iscomplexobj(value) else value


def by_leaf(
    rule: Callable[..., tuple[Any, ...]],
    grads: PyTree,
    params: PyTree,
    *fields: PyTree,
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

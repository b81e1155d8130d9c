"""Clipping of gradients, in place in each ``p.grad``; eagerly and under ``fnn.jit``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fnn.functional.arrays import ArrayLike, known, widen
from fnn.functional.explained import explained
from fnn.nn.array_box import to_array
from fnn.nn.parameter import Parameter
from fnn.tensor.row_sparse import RowSparse

__all__ = ["clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]


Gradient: TypeAlias = ArrayLike | RowSparse


def _with_gradients(function: str, parameters: Iterable[Parameter] | Parameter) -> list[Parameter]:
    members = [parameters] if isinstance(parameters, Parameter) else list(parameters)
    for member in members:
        if not isinstance(member, Parameter):
            raise TypeError(f"{function}: parameters must be Parameters, got {type(member).__name__}")
    return [p for p in members if p.grad is not None]


def _elements(gradient: Gradient, order: float) -> jax.Array:
    """An array with the norm of the gradient; of a ``RowSparse`` only the distinct rows, if zeros do not count."""
    if isinstance(gradient, RowSparse):
        return gradient.coalesce().values if order > 0 else gradient.to_dense()
    return to_array(gradient)


def _norm(array: jax.Array, order: float) -> jax.Array:
    size = jnp.abs(widen(array)).ravel()
    if order == math.inf:
        return jnp.max(size, initial=0.0)
    if order == -math.inf:
        return jnp.min(size, initial=jnp.inf)
    if order == 0:
        return jnp.sum(size != 0).astype(size.dtype)
    if order == 2:
        return jnp.sqrt(jnp.sum(jnp.square(size)))
    return jnp.sum(size**order) ** (1 / order)


@explained
def get_total_norm(
    tensors: Gradient | Iterable[Gradient],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> jax.Array:
    """The norm of the norms of several arrays, as of one vector of all their elements.

    Args:
        tensors: a gradient or several: arrays or ``RowSparse``.
        norm_type: the order p; may be ``inf``.
        error_if_nonfinite: whether to raise if the norm is not finite (concrete values only).
        foreach: accepted; changes nothing.

    Returns:
        a scalar; 0 for no arrays.

    Raises:
        RuntimeError: if ``error_if_nonfinite`` and the norm is not finite.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.get_total_norm.html

    Example:
        >>> float(get_total_norm([jnp.array([3.0]), jnp.array([4.0])]))
        5.0
    """
    order = float(norm_type)
    gradients: Any = [tensors] if hasattr(tensors, "dtype") else tensors
    arrays = [_elements(a, order) for a in gradients]
    if not arrays:
        return jnp.zeros(())
    norms = jnp.stack([_norm(a, order) for a in arrays])
    total = _norm(norms, order)
    value = known(total) if error_if_nonfinite else None
    if value is not None and not np.isfinite(value).all():
        raise RuntimeError(
            f"get_total_norm: the total norm of order {order} of the gradients must be finite with "
            f"error_if_nonfinite=True, got {value}"
        )
    return total


def _number(value: Any) -> Any:
    """A number as a float, if it is no array that is traced."""
    return value if isinstance(value, Tracer) and value.ndim == 0 else float(value)


@explained
def clip_grads_with_norm_(
    parameters: Iterable[Parameter] | Parameter, max_norm: float, total_norm: ArrayLike, foreach: bool | None = None
) -> None:
    """Scales each gradient by ``max_norm / (total_norm + 1e-6)`` if that is below 1.

    Args:
        parameters: a Parameter or several; those without a gradient are passed over.
        max_norm: the largest norm allowed.
        total_norm: the norm of all gradients.
        foreach: accepted; changes nothing.

    Raises:
        TypeError: if something else than a Parameter is given.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.clip_grads_with_norm_.html

    Example:
        >>> from fnn import nn
        >>> p = nn.Parameter(jnp.zeros(1))
        >>> p.grad = jnp.array([10.0])
        >>> clip_grads_with_norm_(p, 1.0, 10.0)
        >>> round(float(p.grad[0]), 4)
        1.0
    """
    members = _with_gradients("clip_grads_with_norm_", parameters)
    factor = jnp.minimum(_number(max_norm) / (jnp.asarray(total_norm) + 1e-6), 1.0)
    for parameter, grad in zip(members, _scaled([p.grad for p in members], factor), strict=True):
        parameter.grad = grad


@jax.jit
def _scaled(grads: Sequence[Gradient], factor: jax.Array) -> list[jax.Array | RowSparse]:
    return [jax.tree.map(lambda g: _scale(g, factor), grad) for grad in grads]


def _scale(grad: jax.Array, factor: jax.Array) -> jax.Array:
    return grad * factor.astype(grad.dtype) if jnp.issubdtype(grad.dtype, jnp.inexact) else grad


@explained
def clip_grad_norm_(
    parameters: Iterable[Parameter] | Parameter,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> jax.Array:
    """Scales all gradients together so that their total norm is at most ``max_norm``.

    Args:
        parameters: a Parameter or several; those without a gradient are passed over.
        max_norm: the largest norm allowed.
        norm_type: the order p; may be ``inf``.
        error_if_nonfinite: whether to raise if the norm is not finite (concrete values only).
        foreach: accepted; changes nothing.

    Returns:
        the total norm before clipping.

    Raises:
        TypeError: if something else than a Parameter is given.
        RuntimeError: if ``error_if_nonfinite`` and the norm is not finite; no gradient is changed.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.clip_grad_norm_.html

    Example:
        >>> from fnn import nn
        >>> p = nn.Parameter(jnp.zeros(2))
        >>> p.grad = jnp.array([3.0, 4.0])
        >>> float(clip_grad_norm_([p], 1.0))
        5.0
    """
    members = _with_gradients("clip_grad_norm_", parameters)
    total = get_total_norm([p.grad for p in members if p.grad is not None], norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(members, max_norm, total, foreach)
    return total


@explained
def clip_grad_value_(
    parameters: Iterable[Parameter] | Parameter, clip_value: float, foreach: bool | None = None
) -> None:
    """Clips every element of every gradient to [-clip_value, clip_value].

    Args:
        parameters: a Parameter or several; those without a gradient are passed over.
        clip_value: the largest magnitude allowed.
        foreach: accepted; changes nothing.

    Raises:
        TypeError: if something else than a Parameter is given.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.clip_grad_value_.html

    Example:
        >>> from fnn import nn
        >>> p = nn.Parameter(jnp.zeros(2))
        >>> p.grad = jnp.array([3.0, -0.5])
        >>> clip_grad_value_([p], 1.0)
        >>> p.grad.tolist()
        [1.0, -0.5]
    """
    bound = _number(clip_value)
    for parameter in _with_gradients("clip_grad_value_", parameters):
        grad = parameter.grad
        if isinstance(grad, RowSparse):
            parameter.grad = grad.coalesce().map(lambda rows: jnp.clip(rows, -bound, bound))
        else:
            parameter.grad = jnp.clip(grad, -bound, bound)

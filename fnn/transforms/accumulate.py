"""``accumulate``: the gradient of many micro-batches in one compiled loop, with the memory of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fnn.functional.checks import describe, fail
from fnn.functional.explained import explained
from fnn.nn.lifting.loops import scan, unrolled
from fnn.nn.parameter import Parameter
from fnn.stateful.tracing import is_staged
from fnn.tensor.row_sparse import RowSparse
from fnn.transforms.backward import (
    Target,
    add_gradients,
    check_closure,
    loss_and_aux,
    trainable_parameters,
    value_and_grad,
)
from fnn.transforms.remat import checkpoint

__all__ = ["accumulate"]


@explained
def accumulate(
    closure: Callable[..., Any],
    batches: Any,
    *targets: Target,
    reduction: str = "mean",
    has_aux: bool = False,
) -> Any:
    """The loss of several micro-batches, computed one after the other, and its gradients: those of the big batch, with the
    memory of a small one.

    With targets it does what ``fnn.backward`` does: the gradients are added into each ``p.grad``, and the optimizer steps
    after it. Without, the loss is returned alone, for the closure of ``optimizer.step``; each micro-batch is then computed
    once more for the gradient. Buffers and random numbers go from one micro-batch to the next. Under ``fnn.jit`` it is a
    loop, whose program is of the size of one micro-batch's.

    Args:
        closure: the loss of one micro-batch, ``closure(*batch)``, a scalar; with ``has_aux`` a pair ``(loss, aux)``.
        batches: a tuple of arrays (or pytrees) with a first axis over the micro-batches, or one such array; or a list of
            micro-batches of equal shapes, each a tuple or one array.
        *targets: Modules, Parameters, or iterables of them; their parameters that require grad get gradients.
        reduction: ``"mean"`` for the mean of the losses, as a loss that is a mean over the big batch; ``"sum"`` for the sum.
        has_aux: whether the closure returns more than the loss.

    Returns:
        the loss, or with ``has_aux`` the pair ``(loss, aux)``, ``aux`` stacked over the micro-batches.

    Raises:
        TypeError: if ``closure`` is no function, or a target is of another kind.
        ValueError: if there are no micro-batches, their numbers or shapes differ, or ``reduction`` is another word.
        RuntimeError: if no target requires grad, or the loss is no floating scalar.

    Example:
        >>> import fnn, jax.numpy as jnp
        >>> p = fnn.nn.Parameter(jnp.array(3.0))
        >>> loss = fnn.accumulate(lambda x: (p * x).mean(), jnp.arange(4.0).reshape(2, 2), p)
        >>> float(loss), float(p.grad)
        (4.5, 1.5)
    """
    check_closure("accumulate", closure, "accumulate(lambda x, y: criterion(model(x), y), (x, y), model)")
    if reduction not in ("mean", "sum"):
        fail(ValueError, "accumulate", "reduction", "'mean' or 'sum'", reduction)
    stacked, count = _stacked(batches)
    factor = 1 / count if reduction == "mean" else 1
    parameters = trainable_parameters("accumulate", targets) if targets else []
    call = _call(closure)
    if parameters:
        loss, aux, grads = _with_gradients(call, stacked, count, parameters, has_aux)
        scaled = [g if g is None else (g * factor).astype(p.dtype) for p, g in zip(parameters, grads, strict=True)]
        add_gradients(parameters, scaled)
    else:
        loss, aux = _loss(call, stacked, count, has_aux)
    loss = loss * factor
    return (loss, aux) if has_aux else loss


def _call(closure: Callable[..., Any]) -> Callable[[Any], Any]:
    return lambda batch: closure(*batch) if isinstance(batch, tuple) else closure(batch)


def _stacked(batches: Any) -> tuple[Any, int]:
    """Micro-batches as arrays with a first axis, and how many there are."""
    if isinstance(batches, list):
        if not batches:
            fail(ValueError, "accumulate", "batches", "at least one micro-batch", batches)
        shapes = [
            (jax.tree.structure(b), [(jnp.shape(leaf), jnp.result_type(leaf)) for leaf in jax.tree.leaves(b)])
            for b in batches
        ]
        for i, shape in enumerate(shapes):
            if shape != shapes[0]:
                raise ValueError(
                    f"accumulate: batches must have equal structures, shapes and dtypes, got {describe(batches[0])} and, at "
                    f"{i}, {describe(batches[i])}"
                )
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *batches), len(batches)
    leaves = jax.tree.leaves(batches)
    counts = {jnp.shape(leaf)[0] if jnp.ndim(leaf) else None for leaf in leaves}
    if len(counts) != 1 or None in counts or 0 in counts:
        fail(ValueError, "accumulate", "batches", "arrays with one first axis over the micro-batches", batches)
    return batches, counts.pop() or 0


def _loop(step: Callable[[Any, Any], tuple[Any, Any]], init: Any, stacked: Any, count: int) -> tuple[Any, Any]:
    if is_staged():
        return scan("accumulate", step, init, stacked, count)
    return unrolled("accumulate", step, init, jax.tree.map(jnp.asarray, stacked), count, ())


def _wide(array: Any) -> Any:
    """In float32 at least, in which sums of many keep their digits."""
    return array.astype(jnp.promote_types(array.dtype, jnp.float32))


def _with_gradients(
    call: Callable[[Any], Any], stacked: Any, count: int, parameters: list[Parameter], has_aux: bool
) -> tuple[Any, Any, list[Any]]:
    read: set[int] = set()

    def step(sums: list[Any], batch: Any) -> tuple[list[Any], Any]:
        loss, aux, grads = value_and_grad("accumulate", lambda: call(batch), parameters, has_aux)
        read.update(i for i, grad in enumerate(grads) if grad is not None)
        dense = [grad.to_dense() if isinstance(grad, RowSparse) else grad for grad in grads]
        sums = [s if g is None else s + g.astype(s.dtype) for s, g in zip(sums, dense, strict=True)]
        return sums, (_wide(loss), aux)

    zeros = [_wide(jnp.zeros_like(p.peek())) for p in parameters]
    sums, (losses, aux) = _loop(step, zeros, stacked, count)
    return losses.sum(), aux, [s if i in read else None for i, s in enumerate(sums)]


def _loss(call: Callable[[Any], Any], stacked: Any, count: int, has_aux: bool) -> tuple[Any, Any]:
    def step(_: None, batch: Any) -> tuple[None, Any]:
        result = checkpoint(call, batch)
        loss, aux = loss_and_aux("accumulate", result, has_aux)
        return None, (_wide(loss), aux)

    _, (losses, aux) = _loop(step, None, stacked, count)
    return losses.sum(), aux

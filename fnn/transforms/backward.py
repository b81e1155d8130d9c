"""``backward``: gradients of a closure with respect to Parameters, added into their ``grad``."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypeVar, overload

import jax
import jax.numpy as jnp

from fnn.functional.checks import describe
from fnn.functional.explained import explained
from fnn.nn.lifting.outcome import Outcome
from fnn.nn.lifting.stacks import refuse_parts
from fnn.nn.modules.module import Module
from fnn.nn.parameter import Parameter
from fnn.nn.row_gradients import RowTaps, row_gradients, wants_row_gradients
from fnn.stateful.remedies import with_remedy
from fnn.stateful.scopes import Scope, note_sum
from fnn.stateful.tracing import again_if_stale, is_eager
from fnn.stateful.watching import current_watches, watched
from fnn.transforms.hook_leaks import warn_of_hooks
from fnn.transforms.traced_values import explain_traced

__all__ = ["Target", "backward", "value_and_grad"]

Aux = TypeVar("Aux")

Target: TypeAlias = Module | Parameter | Iterable["Target"] | Mapping[Any, "Target"]
"""What gradients can be taken with respect to."""


def collect_parameters(function: str, targets: Iterable[Any]) -> list[Parameter]:
    """The parameters of Modules, Parameters and iterables of them, each once.

    Raises:
        TypeError: if a target is none of these.
    """
    found: dict[int, Parameter] = {}

    def visit(target: Any) -> None:
        if isinstance(target, Parameter):
            found.setdefault(id(target), target)
        elif isinstance(target, Module):
            for parameter in target.parameters():
                found.setdefault(id(parameter), parameter)
        elif isinstance(target, Iterable) and not hasattr(target, "dtype") and not isinstance(target, str):
            for item in target.values() if isinstance(target, dict) else target:
                visit(item)
        else:
            raise TypeError(
                f"{function}: targets must be Modules, Parameters or iterables of them, got {type(target).__name__}"
            )

    for target in targets:
        visit(target)
    refuse_parts(function, found.values())
    return list(found.values())


def trainable_parameters(function: str, targets: Sequence[Any]) -> list[Parameter]:
    """The parameters of the targets that require grad.

    Raises:
        TypeError: if a target is of another kind.
        RuntimeError: if there are none.
    """
    parameters = [p for p in collect_parameters(function, targets) if p.requires_grad]
    if not parameters:
        got = ", ".join(map(describe, targets)) or "no targets"
        raise RuntimeError(
            f"{function}: no target has a parameter that requires grad; targets must have one, got {got}"
        )
    return parameters


def value_and_grad(
    function: str, closure: Callable[[], Any], parameters: Sequence[Parameter], has_aux: bool
) -> tuple[jax.Array, Any, list[Any]]:
    """Runs the closure once and differentiates its loss; buffers and generators that it writes keep their new values.

    Args:
        function: name of the caller, for error messages.
        closure: returns the loss, or with ``has_aux`` a pair of loss and auxiliary output.
        parameters: what to differentiate by.
        has_aux: see ``closure``.

    Returns:
        ``(loss, aux, grads)``; the gradient of a parameter that the closure never read is ``None``, that of a table read by
        layers with ``sparse=True`` alone is a ``RowSparse``.

    Raises:
        RuntimeError: if the loss is no floating scalar. Every object is then as before.
    """
    outcome: list[Outcome] = []
    tables, zeros = _sparse_tables(function, closure, parameters)

    def run(dense: list[jax.Array], tapped: list[list[jax.Array]] | None) -> tuple[jax.Array, Any]:
        scope = Scope(function)

        def body() -> tuple[jax.Array, Any]:
            with RowTaps(tables, tapped) as taps:
                for parameter, value in zip(rest, dense, strict=True):
                    scope.own(parameter, value)
                for table in tables:
                    scope.own(table, table.peek())
                result = closure()
                loss, aux = loss_and_aux(function, result, has_aux)
                outcome[:] = [Outcome(scope)]
                return loss, (aux, outcome[0].take(), taps.indices)

        return scope.run(body)

    rest = [p for p in parameters if not any(p is table for table in tables)]
    values = [parameter.data for parameter in rest]
    differentiate = jax.value_and_grad(run, (0, 1), has_aux=True)
    eager = is_eager()
    try:
        (loss, (aux, contents, indices)), (of_dense, of_taps) = again_if_stale(lambda: differentiate(values, zeros))
        if eager:
            warn_of_hooks(function, outcome[0].scope.objects.values())
            for watch in current_watches() if watched else ():
                names = [parameter.describe() for parameter in rest]
                watch.gradients(differentiate, (values, zeros), names, (loss, of_dense, of_taps))
    except BaseException as error:
        if outcome:
            outcome[0].scope.undo()
        if eager:
            explain_traced(error, function, closure)
        raise
    outcome[0].publish(contents)
    read = outcome[0].scope.reads
    found: dict[int, Any] = {id(p): g for p, g in zip(rest, of_dense, strict=True) if id(p) in read}
    found.update(zip(map(id, tables), row_gradients(tables, indices, of_taps), strict=True))
    return loss, aux, [found.get(id(p)) for p in parameters]


def _sparse_tables(
    function: str, closure: Callable[[], Any], parameters: Sequence[Parameter]
) -> tuple[list[Parameter], list[list[jax.Array]]]:
    """The parameters that the closure reads by sparse lookups alone, and zeros in the shapes of the rows of each lookup.

    Only where a layer with ``sparse=True`` holds one of them is the closure traced for this, once more than else.
    """
    candidates = [p for p in parameters if wants_row_gradients(p)]
    if not candidates:
        return [], []
    shapes: list[list[tuple[int, ...]]] = []
    read: set[Hashable] = set()

    def discover() -> None:
        scope = Scope(function)

        def body() -> None:
            with RowTaps(candidates) as taps:
                for parameter in parameters:
                    scope.own(parameter, parameter.peek())
                closure()
                shapes[:] = [
                    [(i.shape[0], *p.shape[1:]) for i in indices]
                    for p, indices in zip(candidates, taps.indices, strict=True)
                ]
                read.update(scope.reads)

        scope.run(body)
        scope.undo()

    jax.eval_shape(discover)
    chosen = [(p, s) for p, s in zip(candidates, shapes, strict=True) if s and id(p) not in read]
    return [p for p, _ in chosen], [[jnp.zeros(shape, p.dtype) for shape in s] for p, s in chosen]


def check_closure(function: str, closure: Any, form: str) -> None:
    """Raises TypeError, with the form of the call, for what is no function: a loss, above all, which has no history here."""
    if not callable(closure):
        raise TypeError(
            f"{function}: closure must be a function that returns the loss, as in {form}, got {describe(closure)}"
        )


def loss_and_aux(
    function: str, result: Any, has_aux: bool, whose: str = "the closure", pair: str = "(loss, aux)"
) -> tuple[jax.Array, Any]:
    """What a function returned as a floating scalar and, with ``has_aux``, what it returned besides.

    Raises:
        TypeError: if with ``has_aux`` it is no pair, or the loss is no array.
        RuntimeError: if the loss is an array of another kind.
    """
    if has_aux and not (isinstance(result, tuple) and len(result) == 2):
        raise TypeError(f"{function}: with has_aux=True {whose} must return {pair}, got {describe(result)}")
    loss, aux = result if has_aux else (result, None)
    return _check_loss(function, loss, whose), aux


def _check_loss(function: str, loss: Any, whose: str) -> jax.Array:
    """The loss as a floating scalar.

    Raises:
        TypeError: if it is no array.
        RuntimeError: if it is an array of another kind.
    """
    if isinstance(loss, tuple | list):
        raise TypeError(
            f"{function}: {whose} must return the loss, a scalar array, got a {type(loss).__name__} of {len(loss)}; with "
            "has_aux=True it may return (loss, aux)"
        )
    try:
        loss = jnp.asarray(loss)
    except (TypeError, ValueError):
        kind = type(loss).__name__
        raise TypeError(
            f"{function}: {whose} must return the loss, a scalar array, got a value of type {kind}"
        ) from None
    if loss.shape != () and loss.size == 1:
        loss = loss.reshape(())
    if loss.shape != () or not jnp.issubdtype(loss.dtype, jnp.floating):
        raise with_remedy(
            RuntimeError(
                f"{function}: gradients need a floating scalar loss, got shape {loss.shape} and dtype {loss.dtype}"
            ),
            "the-loss-is-no-scalar",
        )
    return loss


@overload
def backward(closure: Callable[[], jax.Array], *targets: Target, has_aux: Literal[False] = False) -> jax.Array: ...
@overload
def backward(
    closure: Callable[[], tuple[jax.Array, Aux]], *targets: Target, has_aux: Literal[True]
) -> tuple[jax.Array, Aux]: ...
@overload
def backward(closure: Callable[[], Any], *targets: Target, has_aux: bool) -> Any: ...
@explained
def backward(closure: Callable[[], Any], *targets: Target, has_aux: bool = False) -> Any:
    """Computes a loss and adds its gradients into each ``p.grad``; works eagerly and under ``fnn.jit``.

    Args:
        closure: a function of no arguments that runs the forward pass and returns the loss, a scalar; with ``has_aux``
            a pair ``(loss, aux)``.
        *targets: Modules, Parameters, or iterables of them; their parameters that require grad get gradients.
        has_aux: whether the closure returns more than the loss.

    Returns:
        the loss, or with ``has_aux`` the pair ``(loss, aux)``.

    Raises:
        TypeError: if a target is of another kind.
        RuntimeError: if no target requires grad, or the loss is no floating scalar. Every object is then as before.

    Example:
        >>> import fnn, jax.numpy as jnp
        >>> p = fnn.nn.Parameter(jnp.array(3.0))
        >>> float(fnn.backward(lambda: p * p, p)), float(p.grad)
        (9.0, 6.0)
    """
    check_closure("backward", closure, "backward(lambda: criterion(model(x), y), model)")
    parameters = trainable_parameters("backward", targets)
    loss, aux, grads = value_and_grad("backward", closure, parameters, has_aux)
    add_gradients(parameters, grads)
    return (loss, aux) if has_aux else loss


def add_gradients(parameters: Sequence[Parameter], grads: Sequence[Any]) -> None:
    """Adds gradients, ``None`` for none, into each ``p.grad``."""
    for parameter, grad in zip(parameters, grads, strict=True):
        if grad is not None:
            box = parameter._grad
            before = box.peek()
            parameter.grad = grad if before is None else before + grad
            note_sum(box, before)

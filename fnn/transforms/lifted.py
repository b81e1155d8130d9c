"""JAX's ``scan``, ``cond``, ``vmap`` and ``grad`` for functions that use Modules: what these draw and write is carried out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from types import FunctionType, MethodType
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp

from fnn.functional.checks import fail
from fnn.functional.explained import explained
from fnn.nn.lifting import loops
from fnn.nn.lifting.calls import Split
from fnn.nn.lifting.loops import Carried, Undiscovered, finish
from fnn.nn.lifting.outcome import Outcome, scopes_here
from fnn.nn.lifting.stacks import refuse_parts
from fnn.nn.modules.module import Module
from fnn.nn.parameter import Parameter
from fnn.random.generator import Generator, current_generator, key_scope, next_key
from fnn.stateful.protocol import Stateful
from fnn.stateful.scopes import Scope
from fnn.stateful.tracing import again_if_stale, is_eager
from fnn.transforms.backward import loss_and_aux
from fnn.transforms.jit.function import jit

__all__ = ["cond", "grad", "scan", "value_and_grad", "vmap"]

Carry = TypeVar("Carry")
X = TypeVar("X")
Y = TypeVar("Y")
R = TypeVar("R")

# Where a step that is called eagerly keeps its compiled loops, for as long as it lives itself.
_LOOPS = "_fnn_loops"


@explained
def scan(
    f: Callable[[Carry, X], tuple[Carry, Y]],
    init: Carry,
    xs: X | None = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> tuple[Carry, Y]:
    """``jax.lax.scan`` for a step that uses Modules: buffers, generators and optimizers go from one iteration to the next.

    Each iteration draws what a Python loop would draw: the masks of dropout are those of the unrolled loop.

    Args:
        f: the step, ``f(carry, x) -> (carry, y)``; it may call Modules, draw random numbers and step an optimizer.
        init: the carry before the loop.
        xs: arrays with a leading axis, over which the loop goes; ``None`` for none.
        length: number of iterations; needed without ``xs``.
        reverse: whether the last element comes first.
        unroll: how many iterations stand in one round of the compiled loop.

    Returns:
        the carry after the loop, and the outputs stacked along a new first axis.

    Raises:
        RuntimeError: if the step makes a Parameter or leaves a traced array in a list, or a box is empty before the loop and
            filled in it.
        TypeError: if the step changes the shape or dtype of what it writes, or of the carry.
        ValueError: if ``xs`` has no leading axis.

    Source: https://docs.jax.dev/en/latest/_autosummary/jax.lax.scan.html

    Example:
        >>> import fnn, jax.numpy as jnp
        >>> bn = fnn.nn.BatchNorm1d(2)
        >>> _, y = fnn.scan(lambda carry, x: (carry, bn(x)), None, jnp.ones((3, 4, 2), "float32"))
        >>> y.shape, int(bn.num_batches_tracked)
        ((3, 4, 2), 3)
    """
    if not callable(f):
        fail(TypeError, "scan", "f", "a function of carry and x", f)
    for leaf in jax.tree.leaves(xs):
        if jnp.ndim(leaf) == 0:
            fail(ValueError, "scan", "xs", "arrays with a leading axis", leaf)
    if not is_eager():
        return cast(Any, loops.scan("scan", f, init, xs, length, reverse=reverse, unroll=unroll))

    owner, function = _owner_and_function(f)

    def loop(init: Any, xs: Any, *owner: Any) -> Any:
        step = MethodType(function, *owner) if owner else function
        return loops.scan("scan", step, init, xs, length, reverse=reverse, unroll=unroll)

    loop.__wrapped__ = function  # pyright: ignore[reportFunctionMemberAccess]  # searched wherever it is from
    compiled = function.__dict__.setdefault(_LOOPS, {}) if isinstance(function, FunctionType) else {}
    key = (length, reverse, unroll, len(owner))
    if key not in compiled:
        compiled[key] = jit(loop)
    return compiled[key](init, xs, *owner)


def _call(module: Callable[..., Any], *args: Any) -> Any:
    return module(*args)


def _owner_and_function(step: Any) -> tuple[tuple[Any, ...], Any]:
    """A step as a function that lives on, and the object of which it is a method: that is given to the program at each call."""
    if isinstance(step, Module):
        return (step,), _call
    if isinstance(step, MethodType) and isinstance(step.__self__, Stateful):
        return (step.__self__,), step.__func__
    return (), step


@explained
def cond(pred: Any, true_fun: Callable[..., R], false_fun: Callable[..., R], *operands: Any) -> R:
    """``jax.lax.cond`` for branches that use Modules: what the branch that runs writes and draws stays.

    Outside of all transformations it is an ``if``.

    Args:
        pred: a bool, or a number of no axes, which is true unless 0.
        true_fun: called on the operands if ``pred`` is true.
        false_fun: called on them otherwise.
        *operands: arguments, of which the arrays go through the transformation; Modules and other objects may be among them.

    Returns:
        what the branch returns; both must return arrays of equal shapes and dtypes.

    Raises:
        RuntimeError: if a branch makes a Parameter or leaves a traced array in a list, or fills a box that is empty before.
        TypeError: if the branches return different types.
        ValueError: if ``pred`` has axes.

    Source: https://docs.jax.dev/en/latest/_autosummary/jax.lax.cond.html

    Example:
        >>> import fnn, jax.numpy as jnp
        >>> bn = fnn.nn.BatchNorm1d(2)
        >>> x = jnp.ones((4, 2), "float32")
        >>> update = fnn.jit(lambda flag: fnn.cond(flag, lambda x: bn(x), lambda x: x, x))
        >>> _ = update(jnp.array(False)), update(jnp.array(True))
        >>> int(bn.num_batches_tracked)
        1
    """
    for name, branch in (("true_fun", true_fun), ("false_fun", false_fun)):
        if not callable(branch):
            fail(TypeError, "cond", name, "a function", branch)
    if jnp.ndim(pred) != 0:
        fail(ValueError, "cond", "pred", "a bool, or a number of no axes", pred)
    if is_eager():
        return true_fun(*operands) if bool(pred) else false_fun(*operands)
    new_scope = scopes_here("cond")
    carried = Carried("cond")
    given = Split(operands)
    results: dict[bool, Split] = {}

    def branched(which: bool, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(contents: list[Any], arrays: list[Any]) -> Any:
            scope = new_scope()

            def body() -> Any:
                carried.open(scope, contents)
                results[which] = Split(_numbers_as_arrays(function(*given.join(arrays))))
                finish("cond", scope, "return the value from both branches")
                unknown = carried.unknown(scope, set())
                if unknown:
                    raise Undiscovered(unknown)
                return results[which].arrays, carried.close(scope)

            return scope.run(body)

        return run

    while True:
        start = carried.start()
        try:
            arrays, contents = jax.lax.cond(
                pred, branched(True, true_fun), branched(False, false_fun), start, given.arrays
            )
            break
        except Undiscovered as found:
            carried.add(found.holders)
    if results[True].constants != results[False].constants or results[True].structure != results[False].structure:
        fail(TypeError, "cond", "true_fun and false_fun", "to return the same structure", results[False].structure)
    carried.publish(contents)
    return results[True].join(arrays)


def _numbers_as_arrays(tree: Any) -> Any:
    return jax.tree.map(lambda v: jnp.asarray(v) if isinstance(v, bool | int | float | complex) else v, tree)


@explained
def vmap(
    fun: Callable[..., R],
    in_axes: Any = 0,
    out_axes: Any = 0,
    axis_name: Hashable = None,
    axis_size: int | None = None,
    spmd_axis_name: Any = None,
    *,
    randomness: str = "different",
) -> Callable[..., R]:
    """``jax.vmap`` for a function that uses Modules: each element draws random numbers of its own.

    A buffer that the function writes gets one value for all elements, so that this must not depend on them: batch statistics
    do unless they are taken over the mapped axis too, as ``nn.SyncBatchNorm`` with ``axis_name`` does.

    Args:
        fun: the function of one element.
        in_axes: the mapped axis of each argument; ``None`` for an argument, a Module say, that is the same for all.
        out_axes: where the mapped axis is in each result.
        axis_name: name of the mapped axis, for collectives.
        axis_size: its length, where no argument has it.
        spmd_axis_name: as in ``jax.vmap``.
        randomness: ``"different"`` gives each element keys of its own, ``"same"`` one key to all, ``"error"`` refuses draws.

    Returns:
        the function of batches.

    Raises:
        ValueError: if ``randomness`` is none of these.
        RuntimeError: in the call, if what is written into a box depends on the element, or a draw is refused.

    Source: https://docs.jax.dev/en/latest/_autosummary/jax.vmap.html;
    https://docs.pytorch.org/docs/2.13/generated/torch.func.vmap.html

    Example:
        >>> import fnn, jax.numpy as jnp
        >>> drop = fnn.nn.Dropout(0.5)
        >>> masks = fnn.vmap(lambda x: drop(x))(jnp.ones((2, 100), "float32"))
        >>> bool((masks[0] == masks[1]).all())
        False
    """
    if not callable(fun):
        fail(TypeError, "vmap", "fun", "a function", fun)
    if randomness not in ("different", "same", "error"):
        fail(ValueError, "vmap", "randomness", "'different', 'same' or 'error'", randomness)

    @functools.wraps(fun)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        axes = in_axes if isinstance(in_axes, tuple | list) else (in_axes,) * len(args)
        if len(axes) != len(args):
            fail(ValueError, "vmap", "in_axes", f"one axis for each of the {len(args)} arguments", in_axes)
        call = _Mapped(fun, randomness, args, kwargs, tuple(axes), out_axes, axis_name, axis_size, spmd_axis_name)
        return call.run()

    return mapped


class _Mapped:
    """One call of a mapped function."""

    def __init__(
        self,
        fun: Callable[..., Any],
        randomness: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        in_axes: tuple[Any, ...],
        out_axes: Any,
        axis_name: Hashable,
        axis_size: int | None,
        spmd_axis_name: Any,
    ) -> None:
        self._fun = fun
        self._randomness = randomness
        # Objects are constants; so are the arguments of no axis, whatever they are.
        self._constant = [axis is None for axis in in_axes]
        self._args = args
        self._kwargs = kwargs
        self._mapped = [arg for arg, constant in zip(args, self._constant, strict=True) if not constant]
        self._axes = [axis for axis in in_axes if axis is not None]
        self._out_axes = out_axes
        self._options: dict[str, Any] = {"axis_name": axis_name, "spmd_axis_name": spmd_axis_name}
        self._size = axis_size if axis_size is not None else self._length()
        self._outcomes: list[Outcome] = []
        self._draws = False

    def _length(self) -> int:
        found: list[int] = []

        def visit(axis: Any, part: Any) -> None:
            if axis is not None:
                found.extend(
                    jnp.shape(leaf)[axis]
                    for leaf in jax.tree.leaves((part, None))
                    if -jnp.ndim(leaf) <= axis < jnp.ndim(leaf)
                )

        jax.tree.map(visit, (self._axes, {}), (self._mapped, {}), is_leaf=lambda axis: axis is None)
        found += [jnp.shape(leaf)[0] for leaf in jax.tree.leaves(self._kwargs) if jnp.ndim(leaf)]
        if not found:
            raise ValueError("vmap: no argument has a mapped axis, and axis_size is not given")
        return found[0]

    def run(self) -> Any:
        output: Any = None
        contents: list[Any] = []
        self._new_scope = scopes_here("vmap")
        try:
            try:
                output, contents = again_if_stale(lambda: self._attempt(None, None))
            except ValueError:
                if not self._draws or self._randomness != "different":  # else it may draw in some elements only
                    raise
            if self._draws and self._randomness == "different":
                keys = jax.random.split(next_key("vmap"), self._size)
                output, contents = again_if_stale(lambda: self._attempt(keys, None))
        except ValueError as error:
            raise self._explain(error) from None
        self._outcomes[-1].publish(contents)
        return output

    def _explain(self, error: ValueError) -> Exception:
        """What is wrong where a result has the mapped axis that should have none: a box of the user's, or his ``out_axes``."""
        written = self._outcomes[-1].written if self._outcomes else []
        if not written or "out_axes" not in str(error):
            return error
        keys = jax.random.split(jax.random.key(0), self._size) if self._draws else None
        try:
            self._attempt(keys, 0)
        except ValueError:
            return error
        names = ", ".join(holder.describe() for i, holder in enumerate(written) if self._depends(keys, i, len(written)))
        return RuntimeError(
            f"vmap: {names} would get another value for each element of the mapped axis; switch the layer to eval(), take its "
            "statistics over the axis too (nn.SyncBatchNorm, with axis_name=), or map over fnn.functional_call, which returns "
            "new buffers for each element"
        )

    def _depends(self, keys: Any, i: int, count: int) -> bool:
        """Whether the new value of the box number i depends on the element."""
        try:
            self._attempt(keys, [None if j == i else 0 for j in range(count)])
        except ValueError:
            return True
        return False

    def _attempt(self, keys: Any, written_axis: Any) -> Any:
        def run(key: Any, mapped: list[Any], kwargs: dict[str, Any]) -> Any:
            scope = self._new_scope()
            rest = iter(mapped)
            args = [a if same else next(rest) for a, same in zip(self._args, self._constant, strict=True)]

            def body() -> Any:
                if key is None:
                    generator = current_generator()
                    result = self._fun(*args, **kwargs)
                    self._note_draws(scope, generator)
                else:
                    with key_scope(key):
                        result = self._fun(*args, **kwargs)
                outcome = Outcome(scope)
                self._outcomes.append(outcome)
                return result, outcome.take()

            return scope.run(body)

        return jax.vmap(
            run,
            in_axes=(None if keys is None else 0, self._axes, 0),
            out_axes=(self._out_axes, written_axis),
            axis_size=self._size,
            **self._options,
        )(keys, self._mapped, self._kwargs)

    def _note_draws(self, scope: Scope, generator: Generator) -> None:
        self._draws = any(holder is generator._box for holder, _ in scope.written()) or bool(scope.draws)
        if self._draws and self._randomness == "error":
            raise RuntimeError('vmap: the function draws random numbers, and randomness="error" refuses that')


def _target(function: str, argnum: int, value: Any) -> tuple[list[Parameter], Any, Callable[[list[Any]], Any]]:
    """What the gradient is taken by in one argument: boxes, arrays, and a function that gives the gradients their form."""
    if isinstance(value, Module):
        named = {name: p for name, p in value.named_parameters() if p.requires_grad}
        if not named:
            fail(ValueError, function, f"argument {argnum}", "a Module with a parameter that requires grad", value)
        refuse_parts(function, named.values())
        return list(named.values()), None, lambda grads: dict(zip(named, grads, strict=True))
    if isinstance(value, Parameter):
        refuse_parts(function, [value])
        return [value], None, lambda grads: grads[0]
    return [], value, lambda grads: grads


@explained
def value_and_grad(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., tuple[Any, Any]]:
    """``jax.value_and_grad`` for a function that uses Modules: what these draw and write is carried out.

    Args:
        fun: returns a scalar, or with ``has_aux`` a pair ``(scalar, aux)``. It may call Modules, whether as arguments or not.
        argnums: the positions of the arguments to differentiate by: arrays or pytrees of arrays; a Module, of which the
            parameters that require grad are meant; a Parameter.
        has_aux: whether ``fun`` returns more than the scalar.

    Returns:
        a function of the same arguments, which returns ``(value, grads)``, with ``has_aux`` ``((value, aux), grads)``. The
        gradients have the form of the argument; those of a Module are a dict of arrays by name.

    Raises:
        TypeError: if ``fun`` cannot be called.
        RuntimeError: in the call, if the result is no floating scalar. Every object is then as before.

    Source: https://docs.jax.dev/en/latest/_autosummary/jax.value_and_grad.html

    Example:
        >>> import fnn, jax.numpy as jnp
        >>> layer = fnn.nn.Linear(2, 1)
        >>> loss, grads = fnn.value_and_grad(lambda m, x: m(x).sum())(layer, jnp.ones((3, 2), "float32"))
        >>> {name: grad.tolist() for name, grad in grads.items()}
        {'weight': [[3.0, 3.0]], 'bias': [3.0]}
    """
    return _differentiated("value_and_grad", fun, argnums, has_aux)


@explained
def grad(fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """``jax.grad`` for a function that uses Modules: what these draw and write is carried out.

    Args:
        fun: returns a scalar, or with ``has_aux`` a pair ``(scalar, aux)``.
        argnums: the positions of the arguments to differentiate by, as in ``fnn.value_and_grad``.
        has_aux: whether ``fun`` returns more than the scalar.

    Returns:
        a function of the same arguments, which returns the gradients, with ``has_aux`` ``(grads, aux)``.

    Raises:
        TypeError: if ``fun`` cannot be called.
        RuntimeError: in the call, if the result is no floating scalar. Every object is then as before.

    Source: https://docs.jax.dev/en/latest/_autosummary/jax.grad.html

    Example:
        >>> import fnn, jax.numpy as jnp
        >>> layer = fnn.nn.Linear(2, 1, bias=False)
        >>> slope = fnn.grad(lambda x: layer(x).sum())(jnp.ones(2, "float32"))
        >>> bool((slope == layer.weight[0]).all())
        True
    """
    both = _differentiated("grad", fun, argnums, has_aux)

    @functools.wraps(fun)
    def call(*args: Any, **kwargs: Any) -> Any:
        value, grads = both(*args, **kwargs)
        return (grads, value[1]) if has_aux else grads

    return call


def _differentiated(
    function: str, fun: Callable[..., Any], argnums: int | Sequence[int], has_aux: bool
) -> Callable[..., tuple[Any, Any]]:
    if not callable(fun):
        fail(TypeError, function, "fun", "a function", fun)
    numbers = [argnums] if isinstance(argnums, int) else list(argnums)
    if not numbers or not all(isinstance(n, int) for n in numbers):
        fail(TypeError, function, "argnums", "an int or several", argnums)

    @functools.wraps(fun)
    def call(*args: Any, **kwargs: Any) -> Any:
        for n in numbers:
            if not -len(args) <= n < len(args):
                fail(ValueError, function, "argnums", f"positions among the {len(args)} positional arguments", argnums)
        places = [n % len(args) for n in numbers]
        targets = [_target(function, n, args[n]) for n in places]
        boxes = [box for found, _, _ in targets for box in found]
        outcomes: list[Outcome] = []

        def run(values: list[Any], arrays: list[Any]) -> Any:
            scope = new_scope()

            def body() -> Any:
                for box, value in zip(boxes, values, strict=True):
                    scope.own(box, value)
                given = list(args)
                for n, (found, _, _), array in zip(places, targets, arrays, strict=True):
                    given[n] = args[n] if found else array
                result = fun(*given, **kwargs)
                value, aux = loss_and_aux(function, result, has_aux, "fun", "(value, aux)")
                outcomes[:] = [Outcome(scope)]
                return value, (aux, outcomes[0].take())

            return scope.run(body)

        new_scope = scopes_here(function)
        arrays = [array for _, array, _ in targets]
        try:
            (value, (aux, contents)), (of_boxes, of_arrays) = again_if_stale(
                lambda: jax.value_and_grad(run, (0, 1), has_aux=True)([box.data for box in boxes], arrays)
            )
        except BaseException:
            if outcomes:
                outcomes[0].scope.undo()
            raise
        outcomes[0].publish(contents)
        rest = iter(of_boxes)
        grads = [
            form([next(rest) for _ in found]) if found else array
            for (found, _, form), array in zip(targets, of_arrays, strict=True)
        ]
        return ((value, aux) if has_aux else value), (grads[0] if isinstance(argnums, int) else tuple(grads))

    return call

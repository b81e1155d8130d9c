"""``nan_check``: which Module and which operation first made a NaN or an infinity."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any, NoReturn, ParamSpec, TypeVar

import jax

from fnn.nn.modules.module import Module
from fnn.random.generator import current_generator
from fnn.stateful.boxes import Box
from fnn.stateful.exports import unquote
from fnn.stateful.scopes import Scope, current_scopes
from fnn.stateful.tracing import is_eager
from fnn.stateful.watching import watching
from fnn.transforms.module_scopes import ModuleScopes
from fnn.transforms.nonfinite import Origin, find_origin, kinds_of
from fnn.transforms.traced_values import is_inside

__all__ = ["NonFiniteError", "nan_check"]

P = ParamSpec("P")
R = TypeVar("R")


class NonFiniteError(FloatingPointError):
    """A NaN or an infinity was made, or came in.

    Attributes:
        module: the path of the Module, such as ``Net.block.fc``; "" outside of all.
        operation: the name of JAX's operation, such as ``log``; "" if it came in, or could not be found.
        kind: "nan" or "inf".
        backward: whether it was made while gradients were computed.
        line: the place in the user's code, "" if it is not known.
    """

    def __init__(self, message: str, module: str, operation: str, kind: str, backward: bool, line: str) -> None:
        super().__init__(message)
        self.module: str = module
        self.operation: str = operation
        self.kind: str = kind
        self.backward: bool = backward
        self.line: str = line

    def __reduce__(self) -> Any:
        return NonFiniteError, (self.args[0], self.module, self.operation, self.kind, self.backward, self.line)


class nan_check(AbstractContextManager["nan_check"]):
    """Looks for NaNs and infinities, and raises an error that names the Module and the operation that first made one.

    Within it, or within a function that it decorates, these are looked at: the results of every function of ``fnn.jit``; loss
    and gradients of ``fnn.backward`` and ``Optimizer.step``; the output of every Module called eagerly; and, of a decorated
    function, what it returns, whatever transformations of JAX it is made of. If one is not finite, the computation is done
    once more, operation by operation. State is as it was before the call that raises.

    A value that is not finite and reaches no result is not reported (such as ``-inf`` in a mask), nor is an infinity that
    came in. Programs are compiled anew within it, and donate nothing; outside of it nothing is different.

    Args:
        inf: whether infinities are looked for; otherwise NaNs alone.

    Raises:
        NonFiniteError: a ``FloatingPointError``, at the call that made it.

    Example:
        >>> import fnn, jax.numpy as jnp
        >>> class Net(fnn.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.fc = fnn.nn.Linear(2, 1)
        ...     def forward(self, x):
        ...         return jnp.log(-jnp.abs(self.fc(x)))
        >>> run = fnn.jit(Net())
        >>> with fnn.debug.nan_check():
        ...     run(jnp.ones((1, 2), jnp.float32))
        Traceback (most recent call last):
        ...
        fnn.debug.NonFiniteError: nan_check: log in Net made a NaN, ...
    """

    def __init__(self, *, inf: bool = True) -> None:
        self.inf: bool = inf
        self._open: list[ExitStack] = []

    def __enter__(self) -> nan_check:
        stack = ExitStack()
        stack.enter_context(watching(_Check(self.inf), ("nan_check", self.inf)))
        self._open.append(stack)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._open.pop().close()

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """The function, looked at whenever it is called."""

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            check = _Check(self.inf)
            with watching(check, ("nan_check", self.inf)):
                result = function(*args, **kwargs)
                if is_eager():
                    check.results(functools.partial(_spread, function), (args, kwargs), result)
            return result

        return checked


class _Check(ModuleScopes):
    """What ``nan_check`` does."""

    def __init__(self, inf: bool) -> None:
        super().__init__()
        self._inf = inf

    # A Module called eagerly

    def call(self, module: Any, run: Callable[[], Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs the call, and looks at its output if it is known."""
        if not is_eager() or current_scopes():
            return super().call(module, run, args, kwargs)
        generator = current_generator()
        before: list[tuple[Box, Any]] = [(box, box.peek()) for box in _boxes(module)]
        before.append((generator._box, generator._box.peek()))
        output = super().call(module, run, args, kwargs)
        if self._bad(output):
            path = self.paths.path_of(module)
            names = [box.describe() for box, _ in before[:-1]]
            values = [value for _, value in before]
            self._again(lambda *given: _called(module, before, *given), (values, args, kwargs), names, path)
        return output

    # Gradients, programs, results

    def gradients(self, run: Callable[..., Any], args: Sequence[Any], names: Sequence[str], results: Any) -> None:
        """Looks at a loss and its gradients."""
        if self._bad(results):
            self._again(run, args, names, "")

    def program(self, program: Any, inputs: Sequence[str]) -> None:
        """Has a program's results looked at before they are written."""
        run, check = program.run_kept, type(self)(self._inf)
        check.known = self.known
        names = list(inputs)

        def checked(*inputs: Any) -> Any:
            results = run(*inputs)
            if is_eager() and check._bad(
                results
            ):  # else it is part of a larger computation, which is looked at as a whole
                check._again(run, inputs, names, "")
            return results

        program.may_donate = False
        program.run = program.run_kept = checked

    def results(self, run: Callable[..., Any], args: Sequence[Any], results: Any) -> None:
        """Looks at what a decorated function returned."""
        if self._bad(results):
            self._again(run, args, [], "")

    def _bad(self, results: Any) -> bool:
        return any(kind == "nan" or (self._inf and kind == "inf") for kind in kinds_of(jax.tree.leaves(results)))

    def _again(self, run: Callable[..., Any], args: Sequence[Any], names: Sequence[str], path: str) -> None:
        """Computes once more, operation by operation, and raises an error about what first went wrong."""
        leaves, tree = jax.tree.flatten(args)
        places = [i for i, leaf in enumerate(leaves) if _is_array(leaf)]

        def flat(*values: Any) -> Any:
            given = list(leaves)
            for i, value in zip(places, values, strict=True):
                given[i] = value
            results = run(*jax.tree.unflatten(tree, given))
            return [leaf for leaf in jax.tree.leaves(results) if _is_array(leaf)]

        arrays = [leaves[i] for i in places]
        try:
            jaxpr = jax.make_jaxpr(flat)(*arrays)
        except Exception as error:  # it may need values, or keep state that tracing would leak into
            self._raise(None, path, f"; it could not be traced to find the operation ({type(error).__name__})")
        origin = find_origin(jaxpr, arrays, self.where, inf=self._inf)
        if origin is None:
            kind = next((k for k in kinds_of(arrays) if k == "nan"), None)
            if kind is None:
                return  # an infinity that came in
            i = kinds_of(arrays).index("nan")
            self._raise_input(names[i] if i < len(names) else "an argument")
        self._raise(origin, path, "")

    def _raise_input(self, name: str) -> NoReturn:
        message = (
            f"nan_check: {name} held a NaN before the computation; it came from an earlier one, a file or the data"
        )
        raise NonFiniteError(message, "", "", "nan", False, "")

    def _raise(self, origin: Origin | None, path: str, note: str) -> NoReturn:
        if origin is None:
            where = f" in {path}" if path else ""
            raise NonFiniteError(f"nan_check: a NaN or infinity was made{where}{note}", path, "", "nan", False, "")
        module = origin.where.path or path
        line = _line(origin.source)
        word = "a NaN" if origin.kind == "nan" else "an infinity"
        where = f" in {module}" if module else " outside of all Modules"
        direction = " while gradients were computed" if origin.where.backward else ""
        inputs = ", ".join(origin.inputs)
        message = f"nan_check: {origin.operation}{where} made {word}{direction}, from {inputs or 'nothing'}"
        raise NonFiniteError(
            message + (f"; {line}" if line else ""), module, origin.operation, origin.kind, origin.where.backward, line
        )


def _spread(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    return function(*args, **kwargs)


def _is_array(value: Any) -> bool:
    return isinstance(value, jax.Array) or (hasattr(value, "dtype") and hasattr(value, "shape"))


def _boxes(module: Module) -> Iterator[Box]:
    yield from module.parameters()
    yield from module.buffers()


def _called(module: Module, before: Sequence[tuple[Box, Any]], values: list[Any], args: Any, kwargs: Any) -> Any:
    """The Module's call once more, on the arrays of before, with nothing written."""
    scope = Scope("nan_check", private=True)
    scope.objects.update((id(part), part) for part in module.modules())

    def body() -> Any:
        for (box, _), value in zip(before, values, strict=True):
            scope.own(box, value)
        return module(*args, **kwargs)

    return scope.run(body)


def _line(source: Any) -> str:
    """The innermost line of the user's own, as JAX noted it with an operation."""
    try:
        frames = traceback.extract_tb(source.traceback.as_python_traceback())
    except AttributeError:
        return ""
    own = [frame for frame in frames if not is_inside(frame.filename)]
    if not own:
        return ""
    return f"{own[-1].filename}, line {own[-1].lineno}" + (f": {own[-1].line}" if own[-1].line else "")


def __dir__() -> list[str]:
    return __all__


unquote(*(globals()[name] for name in __all__))

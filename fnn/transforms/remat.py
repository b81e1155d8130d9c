"""Rematerialization: intermediate arrays that are computed again for the gradient, and not kept until then."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from types import MethodType
from typing import Any, TypeAlias, TypeVar, cast

import jax

from fnn.functional.checks import as_int, fail
from fnn.functional.explained import explained
from fnn.nn.lifting.calls import run_once
from fnn.nn.lifting.policy import Policy, parse_policy
from fnn.nn.modules.container import Sequential
from fnn.nn.modules.module import Module
from fnn.stateful.tracing import is_staged
from fnn.transforms.jit.search import CompiledFunction

__all__ = ["Policy", "checkpoint", "checkpoint_sequential", "remat"]

F = TypeVar("F", bound=Callable[..., Any])

ContextFn: TypeAlias = Callable[[], tuple[Any, Any]]


def _run(
    transform: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], policy: Any, cse: bool
) -> Any:
    if not is_staged():
        return function(*args, **kwargs)
    return run_once(
        transform,
        lambda run: jax.checkpoint(run, policy=policy, prevent_cse=cse),
        lambda args, kwargs: function(*args, **kwargs),
        args,
        kwargs,
    )


class _Rematerialized(CompiledFunction):
    """What stands in for the ``forward`` of a Module, or for a function."""

    def __init__(self, function: Callable[..., Any], policy: Any, prevent_cse: bool) -> None:
        super().__init__(function)
        self._policy = policy
        self._prevent_cse = prevent_cse

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return _run("remat", self.__wrapped__, args, kwargs, self._policy, self._prevent_cse)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        return _Rematerialized(self.__wrapped__.__get__(instance, owner), self._policy, self._prevent_cse)


@explained
def remat(module_or_function: F, policy: Policy = None, *, prevent_cse: bool = True) -> F:
    """The same computation, whose intermediate arrays are not kept for the gradient but computed again: ``jax.checkpoint``
    for functions that draw random numbers and write buffers, and for Modules.

    Buffers (batch statistics) are written once, and the masks of dropout are the same in both computations. It works under
    ``fnn.jit``, ``fnn.backward``, ``Optimizer.step``, ``fnn.functional_call`` and JAX's transformations. Where operations run
    one by one, outside of all compiled programs, the function is called as it is: results are equal there, and no memory is
    saved.

    Args:
        module_or_function: a Module, or a function of arrays that may use Modules.
        policy: which intermediate arrays are kept all the same: a function of ``jax.checkpoint_policies``, or the name of one,
            such as ``"dots_saveable"``; ``None`` for none.
        prevent_cse: as in ``jax.checkpoint``; may be false inside a ``fnn.scan``.

    Returns:
        a function; or of a Module another Module of its class, with the same parameters, buffers and names, to be called or
        registered in its place.

    Raises:
        TypeError: if the first argument cannot be called, or ``policy`` is of another kind.
        ValueError: if there is no policy of that name.

    Source: Chen et al., Training Deep Nets with Sublinear Memory Cost (2016), https://arxiv.org/abs/1604.06174;
    https://docs.jax.dev/en/latest/gradient-checkpointing.html

    Example:
        >>> import fnn, jax.numpy as jnp
        >>> block = fnn.nn.Sequential(fnn.nn.Linear(2, 2), fnn.nn.Tanh())
        >>> light = fnn.remat(block)
        >>> light[0] is block[0], list(light.state_dict())
        (True, ['0.weight', '0.bias'])
        >>> loss = fnn.backward(lambda: light(jnp.ones((1, 2), "float32")).sum(), block)
        >>> block[0].weight.grad.shape
        (2, 2)
    """
    if not callable(module_or_function):
        fail(TypeError, "remat", "module_or_function", "a Module or a function", module_or_function)
    chosen = parse_policy("remat", policy)
    if not isinstance(module_or_function, Module):
        return cast(F, _Rematerialized(module_or_function, chosen, prevent_cse))
    twin = copy.copy(module_or_function)  # of the same registries
    given = vars(module_or_function).get("forward")
    forward = MethodType(type(twin).forward, twin) if given is None else given
    object.__setattr__(twin, "forward", _Rematerialized(forward, chosen, prevent_cse))
    return cast(F, twin)


@explained
def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: ContextFn | None = None,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """Calls a function without keeping its intermediate arrays for the gradient, which computes them again.

    Args:
        function: a Module, or a function that may use Modules.
        *args: its arguments.
        use_reentrant: accepted for torch's signature; there is one way here, which does what torch's two do.
        context_fn: must be left out: which arrays are kept is said by ``fnn.remat(function, policy)``.
        determinism_check: accepted for torch's signature.
        debug: accepted for torch's signature.
        early_stop: accepted for torch's signature.
        preserve_rng_state: accepted for torch's signature; the masks of both computations are always the same.
        **kwargs: keyword arguments of the function.

    Returns:
        what the function returns.

    Raises:
        TypeError: if ``function`` cannot be called.
        ValueError: if ``context_fn`` is given.

    Source: https://docs.pytorch.org/docs/2.13/checkpoint.html

    Example:
        >>> import fnn, jax.numpy as jnp
        >>> from fnn.utils.checkpoint import checkpoint
        >>> layer = fnn.nn.Linear(2, 3)
        >>> checkpoint(layer, jnp.ones((1, 2), "float32"), use_reentrant=False).shape
        (1, 3)
    """
    if not callable(function):
        fail(TypeError, "checkpoint", "function", "a Module or a function", function)
    if context_fn is not None and context_fn is not noop_context_fn:
        fail(
            ValueError,
            "checkpoint",
            "context_fn",
            "left out; fnn.remat(function, policy) says what is kept",
            context_fn,
        )
    return _run("checkpoint", function, args, kwargs, None, True)


@explained
def noop_context_fn() -> tuple[Any, Any]:
    """Two contexts that do nothing, torch's default of ``context_fn``.

    Returns:
        a pair of context managers.

    Source: https://docs.pytorch.org/docs/2.13/checkpoint.html

    Example:
        >>> len(noop_context_fn())
        2
    """
    return nullcontext(), nullcontext()


@explained
def checkpoint_sequential(
    functions: Sequential | Sequence[Callable[[Any], Any]],
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    *,
    preserve_rng_state: bool = True,
) -> Any:
    """Calls functions one after the other in segments, of which all but the last keep their inputs alone for the gradient.

    Args:
        functions: a ``Sequential``, or a list of Modules or functions.
        segments: into how many parts of equal length the functions are divided; the last one takes the rest.
        input: what the first function is given.
        use_reentrant: accepted for torch's signature.
        preserve_rng_state: accepted for torch's signature.

    Returns:
        what the last function returns.

    Raises:
        TypeError: if ``segments`` is no int.
        ValueError: if ``segments`` is not from 1 to the number of functions.

    Source: https://docs.pytorch.org/docs/2.13/checkpoint.html

    Example:
        >>> import fnn, jax.numpy as jnp
        >>> from fnn.utils.checkpoint import checkpoint_sequential
        >>> model = fnn.nn.Sequential(*[fnn.nn.Linear(2, 2) for _ in range(4)])
        >>> checkpoint_sequential(model, 2, jnp.ones((1, 2), "float32"), use_reentrant=False).shape
        (1, 2)
    """
    parts: list[Any] = list(functions)
    segments = as_int("checkpoint_sequential", "segments", segments, 1)
    if segments > max(1, len(parts)):
        fail(
            ValueError, "checkpoint_sequential", "segments", f"at most the number of functions ({len(parts)})", segments
        )
    size = len(parts) // segments

    def run(value: Any, first: int, last: int) -> Any:
        for part in parts[first:last]:
            value = part(value)
        return value

    for start in range(0, size * (segments - 1), size):
        input = checkpoint(lambda value, start=start: run(value, start, start + size), input)
    return run(input, size * (segments - 1), len(parts))

"""Hooks of Modules: registries, and calls with hooks around them."""

from __future__ import annotations

import itertools
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fnn.functional.checks import describe
from fnn.functional.explained import explained
from fnn.stateful.structure import structure_changed
from fnn.stateful.warning import warn
from fnn.stateful.watching import call_watched, watched

__all__ = [
    "HasHooks",
    "RemovableHandle",
    "register_module_buffer_registration_hook",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
]

# The dicts of hooks that every Module has as attributes.
REGISTRIES = (
    "_forward_pre_hooks",
    "_forward_hooks",
    "_backward_pre_hooks",
    "_backward_hooks",
    "_state_dict_pre_hooks",
    "_state_dict_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


_counter = itertools.count()


class RemovableHandle:
    """What registering a hook returns: ``remove()`` takes the hook away; also a context manager that does so at its end."""

    def __init__(self, registry: OrderedDict[int, Any]) -> None:
        self.id: int = next(number for number in _counter if number not in registry)  # unpickled hooks keep theirs
        self._registry: weakref.ref[OrderedDict[int, Any]] = weakref.ref(registry)

    def remove(self) -> None:
        """Takes the hook away; a second call does nothing."""
        registry = self._registry()
        if registry is not None and self.id in registry:
            del registry[self.id]
            structure_changed()

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.remove()


def add_hook(registry: OrderedDict[int, Any], hook: Any, prepend: bool = False) -> RemovableHandle:
    """Puts a hook into a registry, last or first.

    Raises:
        TypeError: if it cannot be called.
    """
    function = hook.function if isinstance(hook, ForwardHook) else hook
    if not callable(function):
        raise TypeError(f"hook must be a function, got {describe(function)}")
    handle = RemovableHandle(registry)
    registry[handle.id] = hook
    if prepend:
        registry.move_to_end(handle.id, last=False)
    structure_changed()
    return handle


class ForwardHook:
    """A forward (pre) hook with its options."""

    __slots__ = ("always_call", "function", "with_kwargs")

    def __init__(self, function: Callable[..., Any], with_kwargs: bool = False, always_call: bool = False) -> None:
        self.function: Callable[..., Any] = function
        self.with_kwargs: bool = with_kwargs
        self.always_call: bool = always_call


_global_forward_pre: OrderedDict[int, ForwardHook] = OrderedDict()


_global_forward: OrderedDict[int, ForwardHook] = OrderedDict()


_global_backward_pre: OrderedDict[int, Any] = OrderedDict()


_global_backward: OrderedDict[int, Any] = OrderedDict()


_HOOKS = (_global_forward_pre, _global_forward, _global_backward_pre, _global_backward)
_GLOBALS = (*_HOOKS, watched)


def global_hooks() -> list[Any]:
    """The functions that run around the call of every Module."""
    return [getattr(hook, "function", hook) for registry in _HOOKS for hook in registry.values()]


def hooks_of(module: Any) -> list[Any]:
    """The functions that run around the call of this Module."""
    registries = (
        module._forward_pre_hooks,
        module._forward_hooks,
        module._backward_pre_hooks,
        module._backward_hooks,
    )
    return [getattr(hook, "function", hook) for registry in registries for hook in registry.values()]


@explained
def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Registers a hook to run before the forward of every Module.

    Args:
        hook: ``hook(module, args)``; what it returns, if not ``None``, replaces the arguments.

    Returns:
        a handle whose ``remove()`` takes the hook away.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.modules.module.register_module_forward_pre_hook.html

    Example:
        >>> import jax.numpy as jnp
        >>> from fnn import nn
        >>> with register_module_forward_pre_hook(lambda module, args: print(type(module).__name__)):
        ...     y = nn.ReLU()(jnp.ones(2))
        ReLU
    """
    return add_hook(_global_forward_pre, ForwardHook(hook))


@explained
def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Registers a hook to run after the forward of every Module.

    Args:
        hook: ``hook(module, args, output)``, or with ``with_kwargs`` ``hook(module, args, kwargs, output)``; what it returns,
            if not ``None``, replaces the output.
        with_kwargs: whether it gets the keyword arguments.
        always_call: whether it runs also when ``forward`` raises.

    Returns:
        a handle whose ``remove()`` takes the hook away.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.modules.module.register_module_forward_hook.html

    Example:
        >>> import jax.numpy as jnp
        >>> from fnn import nn
        >>> with register_module_forward_hook(lambda module, args, output: print(type(module).__name__)):
        ...     y = nn.ReLU()(jnp.ones(2))
        ReLU
    """
    return add_hook(_global_forward, ForwardHook(hook, with_kwargs, always_call))


@explained
def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Registers a hook to run before the gradients of every Module are computed.

    Args:
        hook: ``hook(module, grad_output)``; what it returns, if not ``None``, replaces ``grad_output``.

    Returns:
        a handle whose ``remove()`` takes the hook away.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.modules.module.register_module_full_backward_pre_hook.html

    Example:
        >>> import fnn, jax.numpy as jnp
        >>> layer = fnn.nn.Linear(2, 1)
        >>> with register_module_full_backward_pre_hook(lambda module, grad_output: print(type(module).__name__)):
        ...     loss = fnn.backward(lambda: layer(jnp.ones((1, 2), jnp.float32)).sum(), layer)
        Linear
    """
    return add_hook(_global_backward_pre, hook)


@explained
def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Registers a hook to run when the gradients with respect to the inputs of any Module are computed.

    Args:
        hook: ``hook(module, grad_input, grad_output)``; what it returns, if not ``None``, replaces ``grad_input``.

    Returns:
        a handle whose ``remove()`` takes the hook away.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.modules.module.register_module_full_backward_hook.html

    Example:
        >>> import fnn, jax.numpy as jnp
        >>> layer = fnn.nn.Linear(2, 1)
        >>> with register_module_full_backward_hook(lambda module, grad_input, grad_output: print(type(module).__name__)):
        ...     loss = fnn.backward(lambda: layer(jnp.ones((1, 2), jnp.float32)).sum(), layer)
        Linear
    """
    return add_hook(_global_backward, hook)


_on_buffer: OrderedDict[int, Any] = OrderedDict()


_on_module: OrderedDict[int, Any] = OrderedDict()


_on_parameter: OrderedDict[int, Any] = OrderedDict()


@explained
def register_module_buffer_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Registers a hook to run at every ``register_buffer``.

    Args:
        hook: ``hook(module, name, buffer)``; it may return another buffer.

    Returns:
        a handle whose ``remove()`` takes the hook away.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.modules.module.register_module_buffer_registration_hook.html

    Example:
        >>> from fnn import nn
        >>> with register_module_buffer_registration_hook(lambda module, name, value: print(name)):
        ...     nn.Module().register_buffer("count", 0)
        count
    """
    return add_hook(_on_buffer, hook)


@explained
def register_module_module_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Registers a hook to run whenever a child is added.

    Args:
        hook: ``hook(module, name, submodule)``; it may return another module.

    Returns:
        a handle whose ``remove()`` takes the hook away.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.modules.module.register_module_module_registration_hook.html

    Example:
        >>> from fnn import nn
        >>> with register_module_module_registration_hook(lambda module, name, value: print(name)):
        ...     model = nn.Sequential(nn.ReLU())
        0
    """
    return add_hook(_on_module, hook)


@explained
def register_module_parameter_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Registers a hook to run at every ``register_parameter``.

    Args:
        hook: ``hook(module, name, param)``; it may return another Parameter.

    Returns:
        a handle whose ``remove()`` takes the hook away.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.modules.module.register_module_parameter_registration_hook.html

    Example:
        >>> from fnn import nn
        >>> with register_module_parameter_registration_hook(lambda module, name, value: print(name)):
        ...     layer = nn.Linear(1, 1, bias=False)
        weight
    """
    return add_hook(_on_parameter, hook)


def _through(registry: OrderedDict[int, Any], module: Any, name: str, value: Any) -> Any:
    for hook in registry.values():
        result = hook(module, name, value)
        value = value if result is None else result
    return value


def on_parameter(module: Any, name: str, value: Any) -> Any:
    """The parameter after the global registration hooks."""
    return _through(_on_parameter, module, name, value)


def on_buffer(module: Any, name: str, value: Any) -> Any:
    """The buffer after the global registration hooks."""
    return _through(_on_buffer, module, name, value)


def on_module(module: Any, name: str, value: Any) -> Any:
    """The child after the global registration hooks."""
    return _through(_on_module, module, name, value)


class HasHooks:
    """What ``Module`` has for hooks around its call."""

    _forward_pre_hooks: OrderedDict[int, ForwardHook]
    _forward_hooks: OrderedDict[int, ForwardHook]
    _backward_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _backward_hooks: OrderedDict[int, Callable[..., Any]]

    @explained
    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Registers a hook to run before ``forward``.

        Args:
            hook: ``hook(module, args)``, or with ``with_kwargs`` ``hook(module, args, kwargs)``; what it returns, if not
                ``None``, replaces the arguments.
            prepend: whether it runs before the hooks that are there.
            with_kwargs: whether it gets the keyword arguments, and returns a pair.

        Returns:
            a handle whose ``remove()`` takes the hook away.
        """
        return add_hook(self._forward_pre_hooks, ForwardHook(hook, with_kwargs), prepend)

    @explained
    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Registers a hook to run after ``forward``.

        Args:
            hook: ``hook(module, args, output)``, or with ``with_kwargs`` ``hook(module, args, kwargs, output)``; what it
                returns, if not ``None``, replaces the output.
            prepend: whether it runs before the hooks that are there.
            with_kwargs: whether it gets the keyword arguments.
            always_call: whether it runs also when ``forward`` raises.

        Returns:
            a handle whose ``remove()`` takes the hook away.
        """
        return add_hook(self._forward_hooks, ForwardHook(hook, with_kwargs, always_call), prepend)

    @explained
    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Registers a hook to run before the gradients of the module are computed.

        Args:
            hook: ``hook(module, grad_output)``; what it returns, if not ``None``, replaces ``grad_output``.
            prepend: whether it runs before the hooks that are there.

        Returns:
            a handle whose ``remove()`` takes the hook away.
        """
        return add_hook(self._backward_pre_hooks, hook, prepend)

    @explained
    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Registers a hook to run when the gradients with respect to the module's inputs are computed.

        Args:
            hook: ``hook(module, grad_input, grad_output)``; what it returns, if not ``None``, replaces ``grad_input``. Inputs
                that are not differentiated have ``None``.
            prepend: whether it runs before the hooks that are there.

        Returns:
            a handle whose ``remove()`` takes the hook away.
        """
        return add_hook(self._backward_hooks, hook, prepend)

    @explained
    def register_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """torch's older name of ``register_full_backward_hook``."""
        return self.register_full_backward_hook(hook, prepend)


# The call


def any_for_call(module: Any) -> bool:
    """Whether calling the module is more than its ``forward``."""
    attributes = module.__dict__
    return bool(
        attributes["_forward_pre_hooks"]
        or attributes["_forward_hooks"]
        or attributes["_backward_hooks"]
        or attributes["_backward_pre_hooks"]
        or any(_GLOBALS)
    )


def call_with_hooks(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``module.forward`` with every hook around it, and what tools watch around those."""
    if watched:
        return call_watched(module, lambda: _call_with_hooks(module, args, kwargs), args, kwargs)
    return _call_with_hooks(module, args, kwargs)


def _call_with_hooks(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """In torch's order: global ones first."""
    called: set[int] = set()
    try:
        for hook in [*_global_forward_pre.values(), *module._forward_pre_hooks.values()]:
            args, kwargs = _run_pre_hook(module, hook, args, kwargs)
        gate = _BackwardGate.of(module)
        if gate is not None:
            args = gate.inputs(args)
        output = module.forward(*args, **kwargs)
        for key, hook in [*_global_forward.items(), *module._forward_hooks.items()]:
            called.add(key)
            output = _run_forward_hook(module, hook, args, kwargs, output)
        return output if gate is None else gate.outputs(output)
    except Exception:
        for key, hook in [*_global_forward.items(), *module._forward_hooks.items()]:
            if hook.always_call and key not in called:
                try:
                    _run_forward_hook(module, hook, args, kwargs, None)
                except Exception as error:
                    message = f"a forward hook with always_call=True raised an exception that was silenced: {error}"
                    warn(message)
        raise


def _run_pre_hook(module: Any, hook: ForwardHook, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    if hook.with_kwargs:
        result = hook.function(module, args, kwargs)
        if result is None:
            return args, kwargs
        if not (isinstance(result, tuple) and len(result) == 2):
            raise RuntimeError(
                f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), got {result!r}"
            )
        return result
    result = hook.function(module, args)
    if result is None:
        return args, kwargs
    return (result if isinstance(result, tuple) else (result,)), kwargs


def _run_forward_hook(module: Any, hook: ForwardHook, args: Any, kwargs: Any, output: Any) -> Any:
    result = hook.function(module, args, kwargs, output) if hook.with_kwargs else hook.function(module, args, output)
    return output if result is None else result


def _is_floating(value: Any) -> bool:
    return isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jnp.inexact)


class _BackwardGate:
    """Identities around one call of a module whose cotangents pass through its backward hooks."""

    def __init__(self, module: Any, pre_hooks: list[Any], hooks: list[Any]) -> None:
        self.module = module
        self.pre_hooks = pre_hooks
        self.hooks = hooks
        self.inputs_differentiated = False
        self.grad_output: tuple[Any, ...] = ()
        self.count = 0

    @classmethod
    def of(cls, module: Any) -> _BackwardGate | None:
        pre_hooks = [*_global_backward_pre.values(), *module._backward_pre_hooks.values()]
        hooks = [*_global_backward.values(), *module._backward_hooks.values()]
        return cls(module, pre_hooks, hooks) if pre_hooks or hooks else None

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        places = [i for i, value in enumerate(args) if _is_floating(value)]
        self.count = len(args)
        if not places:
            return args

        @jax.custom_vjp
        def identity(*values: Any) -> Any:
            return values

        def forward(*primals: Any) -> Any:
            self.inputs_differentiated = any(p.perturbed for p in primals)
            return tuple(p.value for p in primals), None

        def backward(_: Any, cotangents: Any) -> Any:
            cotangents = tuple(_dense(c) for c in cotangents)
            grad_input: list[Any] = [None] * len(args)
            for place, value in zip(places, cotangents, strict=True):
                grad_input[place] = value
            replaced = self._run_hooks(tuple(grad_input))
            return tuple(replaced[place] for place in places)

        identity.defvjp(forward, backward, symbolic_zeros=True)
        out = list(args)
        for place, value in zip(places, identity(*[args[p] for p in places]), strict=True):
            out[place] = value
        return tuple(out)

    def outputs(self, output: Any) -> Any:
        leaves, tree = jax.tree.flatten(output)
        places = [i for i, value in enumerate(leaves) if _is_floating(value)]
        if not places:
            return output

        @jax.custom_vjp
        def identity(*values: Any) -> Any:
            return values

        def forward(*values: Any) -> Any:
            return values, None

        def backward(_: Any, cotangents: Any) -> Any:
            grad_output: tuple[Any, ...] = tuple(cotangents)
            for hook in self.pre_hooks:
                result = hook(self.module, grad_output)
                grad_output = grad_output if result is None else _as_gradients("grad_output", result, grad_output)
            self.grad_output = grad_output
            if not self.inputs_differentiated:
                self._run_hooks((None,) * self.count)
            return grad_output

        identity.defvjp(forward, backward)
        for place, value in zip(places, identity(*[leaves[p] for p in places]), strict=True):
            leaves[place] = value
        return jax.tree.unflatten(tree, leaves)

    def _run_hooks(self, grad_input: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in self.hooks:
            result = hook(self.module, grad_input, self.grad_output)
            grad_input = grad_input if result is None else _as_gradients("grad_input", result, grad_input)
        return grad_input


def _dense(cotangent: Any) -> jax.Array:
    if isinstance(cotangent, jax.custom_derivatives.SymbolicZero):
        aval: Any = cotangent
        return jnp.zeros(aval.shape, aval.dtype)
    return cotangent


def _as_gradients(name: str, result: Any, old: tuple[Any, ...]) -> tuple[Any, ...]:
    new = result if isinstance(result, tuple) else (result,)
    if len(new) != len(old):
        raise RuntimeError(f"backward hook: it must return {len(old)} values for {name}, got {len(new)}")
    return tuple(o if n is None else n for n, o in zip(new, old, strict=True))

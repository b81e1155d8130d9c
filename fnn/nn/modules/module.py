"""``Module``: the base class of all layers and networks."""

from __future__ import annotations

import itertools
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from typing import Any, ParamSpec, Protocol, Self, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import DTypeLike

from fnn.functional.explained import explained, explained_constructor
from fnn.nn.array_box import ArrayBox, Data, to_array
from fnn.nn.modules.changes import note_attribute, note_member
from fnn.nn.modules.hooks import (
    REGISTRIES,
    HasHooks,
    any_for_call,
    call_with_hooks,
    on_buffer,
    on_module,
    on_parameter,
    register_module_buffer_registration_hook as register_module_buffer_registration_hook,
    register_module_forward_hook as register_module_forward_hook,
    register_module_forward_pre_hook as register_module_forward_pre_hook,
    register_module_full_backward_hook as register_module_full_backward_hook,
    register_module_full_backward_pre_hook as register_module_full_backward_pre_hook,
    register_module_module_registration_hook as register_module_module_registration_hook,
    register_module_parameter_registration_hook as register_module_parameter_registration_hook,
)
from fnn.nn.modules.path_note import note_path
from fnn.nn.modules.representation import HasRepr
from fnn.nn.modules.state_dict import HasStateDict, _IncompatibleKeys as _IncompatibleKeys
from fnn.nn.parameter import Buffer, Parameter, is_lazy
from fnn.nn.placement import Device, parse_to, parse_type, put
from fnn.stateful.boxes import Box, Cell
from fnn.stateful.containers import leave_nothing, refill
from fnn.stateful.protocol import Stateful, static_key
from fnn.stateful.remedies import with_remedy
from fnn.stateful.scopes import current_scopes, modes_for, note_call
from fnn.stateful.structure import structure_changed
from fnn.stateful.tracing import is_eager, trace_state

__all__ = [
    "Module",
    "register_module_buffer_registration_hook",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
]

P = ParamSpec("P")
Output = TypeVar("Output", covariant=True)
Member = TypeVar("Member", bound=ArrayBox)


class HasForward(Protocol[P, Output]):
    """What a call takes and gives is what ``forward`` takes and gives."""

    def forward(self, *args: P.args, **kwargs: P.kwargs) -> Output:
        """The computation."""
        ...


def _holds_tracer(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_holds_tracer(v) for v in value)
    return isinstance(value, Tracer)


# Attributes that are no part of what a trace depends on, or that enter the key by another way.
_NOT_IN_KEY = frozenset({"_parameters", "_buffers", "_modules", "_non_persistent_buffers_set", "_stateful_origin_"})

_OWN_CONTAINERS = _NOT_IN_KEY | {*REGISTRIES}
_PLAIN_CONTAINERS = frozenset({list, dict, tuple, set, deque, OrderedDict})


class Module(HasStateDict, HasHooks, HasRepr):
    """Base class of layers and networks; a subclass builds its parts in ``__init__`` and computes in ``forward``.

    Parameters, buffers and modules assigned as attributes are registered. ``fnn.state(model)`` gives the arrays,
    ``fnn.functional_call`` runs the module on other arrays, purely.

    Attributes:
        training (bool): whether it is in training mode, which ``train`` and ``eval`` set.

    Raises:
        TypeError: at the call of ``super().__init__``, if that is given arguments.
        NotImplementedError: at a call, if the subclass has no ``forward``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Module.html

    Example:
        >>> from fnn import nn
        >>> class Net(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.fc = nn.Linear(3, 2)
        ...     def forward(self, x):
        ...         return self.fc(x)
        >>> [name for name, _ in Net().named_parameters()]
        ['fc.weight', 'fc.bias']
    """

    _modules: dict[str, Module | None]

    call_super_init: bool = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        explained_constructor(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not self.call_super_init and (args or kwargs):
            given = f"{len(args)} positional" if args else f"the keyword {next(iter(kwargs))!r}"
            raise TypeError(f"{type(self).__name__}.__init__: Module.__init__ takes no arguments, got {given}")
        put = super().__setattr__
        put("training", True)
        put("_parameters", {})
        put("_buffers", {})
        put("_modules", {})
        put("_non_persistent_buffers_set", set())
        put("_stateful_origin_", trace_state())
        for name in REGISTRIES:
            put(name, OrderedDict())
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    def _forward_missing(self, *input: Any) -> Any:
        """The computation; every subclass defines it."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    forward: Callable[..., Any] = _forward_missing

    def __call__(self: HasForward[P, Output], *args: P.args, **kwargs: P.kwargs) -> Output:
        try:
            if (current_scopes() or not is_eager()) and not note_call(self):  # pyright: ignore[reportArgumentType]
                return leave_nothing(self, lambda: _run(self, args, kwargs))  # pyright: ignore[reportArgumentType]
            return _run(self, args, kwargs)
        except Exception as error:
            note_path(self, error)
            raise

    # Registration

    @explained
    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Adds a parameter (or ``None``, a place that stays empty) under ``name``.

        Raises:
            TypeError: if ``param`` is neither a Parameter nor ``None``.
            KeyError: if the name is empty, has a dot, or is taken by another kind of attribute.
        """
        self._check_registration("register_parameter", name, self._parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"register_parameter: cannot assign '{type(param).__name__}' object to parameter '{name}' "
                "(fnn.nn.Parameter or None required)"
            )
        note_member(self, f"the parameter {name!r} of {type(self).__name__}")
        param = None if param is None else on_parameter(self, name, param)
        self._parameters[name] = param
        if param is not None and not param._label:
            param._label = f"{type(self).__name__}.{name}"
        structure_changed()

    @explained
    def register_buffer(self, name: str, tensor: Data | None, persistent: bool = True) -> None:
        """Adds an array that is state but not learned (or ``None``) under ``name``.

        Args:
            name: attribute name.
            tensor: array, ``Buffer`` or ``None``.
            persistent: whether the ``state_dict`` has it.

        Raises:
            TypeError: if ``tensor`` is no array.
            KeyError: if the name is empty, has a dot, or is taken by another kind of attribute.
        """
        self._check_registration("register_buffer", name, self._buffers)
        persistent = bool(persistent)
        if isinstance(tensor, Parameter) or isinstance(tensor, str | bytes | Module):
            raise TypeError(
                f"register_buffer: cannot assign '{type(tensor).__name__}' object to buffer '{name}' "
                "(an array, fnn.nn.Buffer or None required)"
            )
        note_member(self, f"the buffer {name!r} of {type(self).__name__}")
        if tensor is None or isinstance(tensor, Buffer):
            buffer = tensor
        else:
            buffer = Buffer(to_array(tensor, f"register_buffer: '{name}'"), persistent=persistent)
        buffer = on_buffer(self, name, buffer)
        self._buffers[name] = buffer
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)
        if buffer is not None and not buffer._label:
            buffer._label = f"{type(self).__name__}.{name}"
        structure_changed()

    @explained
    def add_module(self, name: str, module: Module | None) -> None:
        """Adds a child module (or ``None``) under ``name``.

        Raises:
            TypeError: if ``module`` is no Module.
            KeyError: if the name is empty, has a dot, or is taken by another kind of attribute.
        """
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"add_module: {type(module).__name__} is not a Module subclass")
        self._check_registration("add_module", name, self._modules)
        note_member(self, f"the submodule {name!r} of {type(self).__name__}")
        module = on_module(self, name, module)
        self._modules[name] = module
        structure_changed()

    @explained
    def register_module(self, name: str, module: Module | None) -> None:
        """Another name of ``add_module``."""
        self.add_module(name, module)

    def _check_registration(self, function: str, name: str, registry: Mapping[str, Any]) -> None:
        if "_parameters" not in self.__dict__:
            raise AttributeError(f"{function}: call Module.__init__() before assigning parts to {type(self).__name__}")
        if not isinstance(name, str):
            raise TypeError(f"{function}: name must be a string, got {type(name).__name__}")
        if "." in name or name == "":
            raise KeyError(f'{function}: name must not be empty nor contain ".", got {name!r}')
        if hasattr(self, name) and name not in registry:
            raise KeyError(f"{function}: attribute '{name}' already exists")

    # Attributes

    def __setattr__(self, name: str, value: Any) -> None:
        attributes = self.__dict__
        registries = [attributes.get(r) for r in ("_parameters", "_buffers", "_modules")]
        for kind, registry, register in (
            (Parameter, registries[0], "register_parameter"),
            (Module, registries[2], "add_module"),
            (Buffer, registries[1], "register_buffer"),
        ):
            if isinstance(value, kind):
                if registry is None:
                    raise AttributeError(
                        f"cannot assign {kind.__name__.lower()} '{name}' before Module.__init__() was called"
                    )
                if registry.get(name) is value:
                    return
                self._forget(name, keep=registry)
                if isinstance(value, Buffer):
                    self.register_buffer(name, value, value.persistent)
                else:
                    getattr(self, register)(name, value)
                return
        parameters, buffers, modules = registries
        if parameters is not None and name in parameters:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{type(value).__name__}' as parameter '{name}' (fnn.nn.Parameter or None expected)"
                )
            self.register_parameter(name, None)
        elif modules is not None and name in modules:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{type(value).__name__}' as child module '{name}' (Module or None expected)"
                )
            self.add_module(name, None)
        elif buffers is not None and name in buffers:
            box = buffers[name]
            shared = any(other is box for key, other in buffers.items() if key != name)
            if value is None or box is None or shared:
                self.register_buffer(name, value, name not in self._non_persistent_buffers_set)
            else:
                box.data = value
        else:
            self._set_plain(name, value)

    def _set_plain(self, name: str, value: Any) -> None:
        if _holds_tracer(value):
            raise with_remedy(
                RuntimeError(
                    f"{type(self).__name__}.{name}: a traced array cannot be kept as a plain attribute, it would leak out of "
                    "its JAX transformation; return it, or make it a buffer before, in __init__ by "
                    f"register_buffer({name!r}, initial_value, persistent=False), to which fnn.jit and fnn.backward can write"
                ),
                "an-attribute-would-keep-a-traced-array",
            )
        if name == "training" and (modes := modes_for(self)) is not None:
            modes[id(self)] = value
            return
        if name not in self.__dict__ or self.__dict__[name] is not value:
            note_attribute(self, name)
        object.__setattr__(self, name, value)

    def _forget(self, name: str, keep: Any = None) -> None:
        for registry in (self.__dict__, self._parameters, self._buffers, self._modules):
            if registry is not keep:
                registry.pop(name, None)
        self._non_persistent_buffers_set.discard(name)

    def __getattr__(self, name: str) -> Any:
        attributes = self.__dict__
        for registry in ("_parameters", "_buffers", "_modules"):
            if registry in attributes and name in attributes[registry]:
                return attributes[registry][name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __delattr__(self, name: str) -> None:
        note_member(self, f"the attribute {name!r} of {type(self).__name__}")
        for registry in (self._parameters, self._buffers, self._modules):
            if name in registry:
                del registry[name]
                self._non_persistent_buffers_set.discard(name)
                break
        else:
            object.__delattr__(self, name)
        structure_changed()

    def __dir__(self) -> list[str]:
        names = [*dir(type(self)), *self.__dict__, *self._parameters, *self._modules, *self._buffers]
        return sorted({name for name in names if not name[:1].isdigit()})

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__dict__["_stateful_origin_"] = trace_state()
        for name in REGISTRIES:
            self.__dict__.setdefault(name, OrderedDict())
        structure_changed()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_stateful_origin_"}

    # Iteration

    def _named_members(
        self,
        members: Callable[[Module], Iterable[tuple[str, Member | None]]],
        prefix: str,
        recurse: bool,
        remove_duplicate: bool,
    ) -> Iterator[tuple[str, Member]]:
        seen: set[int] = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, value in members(module):
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield f"{path}.{name}" if path else name, value

    @explained
    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Pairs of name and parameter; a shared parameter comes once unless ``remove_duplicate`` is false."""
        return self._named_members(lambda m: m._parameters.items(), prefix, recurse, remove_duplicate)

    @explained
    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, each once."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    @explained
    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Buffer]]:
        """Pairs of name and buffer, persistent or not."""
        return self._named_members(lambda m: m._buffers.items(), prefix, recurse, remove_duplicate)

    @explained
    def buffers(self, recurse: bool = True) -> Iterator[Buffer]:
        """The buffers, each once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Pairs of name and direct child, each child once."""
        seen: set[int] = set()
        for name, module in self._modules.items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def children(self) -> Iterator[Module]:
        """The direct children, each once."""
        for _, module in self.named_children():
            yield module

    @explained
    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Pairs of dotted name and module, this module first under the name ``prefix``."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                path = f"{prefix}.{name}" if prefix else name
                yield from module.named_modules(memo, path, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and all below it, each once."""
        for _, module in self.named_modules():
            yield module

    # Access by dotted name

    @explained
    def get_submodule(self, target: str) -> Module:
        """The module of a dotted name ("" is this module).

        Raises:
            AttributeError: if there is none, or the attribute is no Module.
        """
        module: Module = self
        for part in target.split(".") if target else ():
            if not hasattr(module, part):
                raise AttributeError(f"{type(module).__name__} has no attribute `{part}`")
            module = getattr(module, part)
            if not isinstance(module, Module):
                raise AttributeError(f"`{part}` is not an fnn.nn.Module")
        return module

    @explained
    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Replaces (with ``strict`` false also adds) the module of a dotted name.

        Raises:
            ValueError: if ``target`` is empty or ``module`` is no Module.
            AttributeError: if a part of the path is missing or no Module.
        """
        if target == "":
            raise ValueError("set_submodule: cannot set the submodule without a target name")
        if not isinstance(module, Module):
            raise ValueError(f"set_submodule: module must be an fnn.nn.Module, got {type(module).__name__}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{type(parent).__name__} has no attribute `{name}`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Module):
            raise AttributeError(f"`{name}` is not an fnn.nn.Module")
        setattr(parent, name, module)

    @explained
    def get_parameter(self, target: str) -> Parameter:
        """The parameter of a dotted name; AttributeError if there is none."""
        return self._get_member(target, Parameter, "parameter")

    @explained
    def get_buffer(self, target: str) -> Buffer:
        """The buffer of a dotted name; AttributeError if there is none."""
        return self._get_member(target, Buffer, "buffer")

    def _get_member(self, target: str, kind: type[Member], word: str) -> Member:
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        if not hasattr(owner, name):
            raise AttributeError(f"{type(owner).__name__} has no attribute `{name}`")
        value = getattr(owner, name)
        if not isinstance(value, kind):
            raise AttributeError(f"`{name}` is not a {word}")
        return value

    # Modes

    @property
    def training(self) -> bool:
        """Whether the module is in training mode, as ``train`` and ``eval`` set it, or ``functional_call`` for one call."""
        modes = modes_for(self) if current_scopes() else None
        try:
            return self.__dict__["training"] if modes is None else modes[id(self)]
        except KeyError:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute 'training'") from None

    @training.setter
    def training(self, mode: bool) -> None:
        self.__dict__["training"] = mode

    @explained
    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Calls ``fn`` on every submodule, children first, then on this module; returns the module."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    @explained
    def train(self, mode: bool = True) -> Self:
        """Sets training mode (dropout on, batch statistics) on this module and all below; returns the module.

        Raises:
            ValueError: if ``mode`` is not a bool.
        """
        if not isinstance(mode, bool):
            raise ValueError(f"train: mode must be a bool, got {mode!r}")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """Sets evaluation mode; returns the module."""
        return self.train(False)

    @explained
    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Sets ``requires_grad`` of every parameter; returns the module."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    @explained
    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clears the gradients of every parameter, or fills them with zeros."""
        for parameter in self.parameters():
            if parameter.grad is not None:
                parameter.grad = None if set_to_none else jax.tree.map(jnp.zeros_like, parameter.grad)

    # Casts and placement

    def _apply(self, fn: Callable[[jax.Array], jax.Array], recurse: bool = True) -> Self:
        """Replaces each array of parameters, their gradients and buffers by ``fn`` of it, all or none."""
        boxes: list[Box] = []
        for module in self.modules() if recurse else [self]:
            for box in itertools.chain(module._parameters.values(), module._buffers.values()):
                if box is not None:
                    boxes.append(box)
                    if isinstance(box, Parameter) and box._grad._data is not None:
                        boxes.append(box._grad)
        every: list[Any] = list({id(box): box for box in boxes}.values())
        boxes = [box for box in every if not is_lazy(box)]
        values = [fn(box.data) for box in boxes]
        for commit in [box.moved(fn) for box in every if is_lazy(box)]:
            commit()
        for box, value in zip(boxes, values, strict=True):
            box.data = value
        return self

    @explained
    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Casts floating arrays and moves all arrays, in place; returns the module.

        Args:
            *args: a floating dtype, a device (``jax.Device`` or a name such as "cpu"), a ``jax.sharding.Sharding``, an
                array whose dtype and device are taken, or a device and a dtype.
            **kwargs: ``dtype``, ``device``; ``non_blocking``, ``copy`` and ``memory_format`` are accepted and ignored.

        Raises:
            TypeError: if the dtype is not floating, or an argument is none of these.
            RuntimeError: if there is no such device or name, or float64 is asked for with x64 off.
        """
        dtype, place = parse_to(*args, **kwargs)

        def move(array: jax.Array) -> jax.Array:
            if dtype is not None and jnp.issubdtype(array.dtype, jnp.floating):
                array = array.astype(dtype)
            return put(array, place)

        return self._apply(move)

    def half(self) -> Self:
        """Casts floating arrays to float16; returns the module."""
        return self.to(jnp.float16)

    def bfloat16(self) -> Self:
        """Casts floating arrays to bfloat16; returns the module."""
        return self.to(jnp.bfloat16)

    def float(self) -> Self:
        """Casts floating arrays to float32; returns the module."""
        return self.to(jnp.float32)

    def double(self) -> Self:
        """Casts floating arrays to float64 (RuntimeError with x64 off); returns the module."""
        return self.to(jnp.float64)

    @explained
    def type(self, dst_type: DTypeLike) -> Self:
        """Casts all parameters and buffers, integers too, to ``dst_type``; returns the module."""
        dtype = parse_type(dst_type)
        return self._apply(lambda array: array.astype(dtype))

    def cpu(self) -> Self:
        """Moves all arrays to the CPU; returns the module."""
        return self.to("cpu")

    @explained
    def cuda(self, device: int | Device = None) -> Self:
        """Moves all arrays to a GPU; returns the module.

        Raises:
            RuntimeError: if there is no GPU.
        """
        return self.to("cuda" if device is None else f"cuda:{device}" if isinstance(device, int) else device)

    @explained
    def to_empty(self, *, device: Device = None, recurse: bool = True) -> Self:
        """Moves to a device without keeping values (they become zero); returns the module."""
        _, place = parse_to(device)
        return self._apply(lambda array: jax.device_put(np.zeros(array.shape, array.dtype), place), recurse)

    def share_memory(self) -> Self:
        """Nothing to do: arrays never change. Returns the module."""
        return self

    # What fnn.jit sees

    def _stateful_children_(self) -> Iterator[Stateful]:
        for module in self._modules.values():
            if module is not None:
                yield module
        for value in self.__dict__.values():
            if isinstance(value, Stateful):
                yield value

    def _stateful_boxes_(self) -> Iterator[Box]:
        for parameter in self._parameters.values():
            if parameter is not None:
                yield parameter.home
                yield parameter._grad.home
        for buffer in self._buffers.values():
            if buffer is not None:
                yield buffer.home

    def _stateful_cells_(self) -> Iterable[Cell]:
        return ()

    def _stateful_key_for_(self, names: Collection[str]) -> Hashable:
        # A layer's numbers are read by code of the library, which is not searched for names.
        layer = any(kind.__module__.startswith("fnn.nn.modules.") for kind in type(self).__mro__ if kind not in _BASES)
        return self._stateful_key_() if layer else self._key({"training", *names})

    def _stateful_key_(self) -> Hashable:
        return self._key(None)

    def _key(self, names: Collection[str] | None) -> Hashable:
        plain = tuple(
            (name, static_key(value))
            for name, value in self.__dict__.items()
            if name not in _NOT_IN_KEY
            and not isinstance(value, Stateful)
            and (names is None or name in names or type(value) not in _NUMBERS)
        )
        children = tuple((name, value is None) for name, value in self._modules.items())
        frozen = tuple(
            (name, None if box is None else (box.requires_grad, box.part))
            for name, box in itertools.chain(self._parameters.items(), self._buffers.items())
        )
        return plain, children, frozen

    def _stateful_containers_(self) -> Iterable[tuple[str, Any]]:
        for name, value in self.__dict__.items():
            if type(value) in _PLAIN_CONTAINERS and name not in _OWN_CONTAINERS:
                yield name, value

    def _stateful_snapshot_(self) -> Callable[[], None]:
        attributes = dict(self.__dict__)
        registries = {
            name: value.copy() for name, value in attributes.items() if isinstance(value, dict | set | list | deque)
        }
        flags = [(p, p._requires_grad) for p in self._parameters.values() if p is not None]
        kind = type(self)

        def restore() -> None:
            object.__setattr__(self, "__class__", kind)
            self.__dict__.clear()
            self.__dict__.update(attributes)
            for name, value in registries.items():
                refill(attributes[name], value)
            for parameter, requires_grad in flags:
                parameter._requires_grad = requires_grad
            structure_changed()

        return restore


_NUMBERS = frozenset({bool, int, float, complex, str})
_BASES = frozenset({Module, HasStateDict, HasHooks, HasRepr})


def _run(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return call_with_hooks(module, args, kwargs) if any_for_call(module) else module.forward(*args, **kwargs)

"""``Module``: the base class of all layers and networks."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fnn.nn.array_box import ArrayBox, to_array
from fnn.nn.modules import hooks as _hooks
from fnn.nn.parameter import Buffer, Parameter, is_lazy
from fnn.nn.placement import parse_to, put
from fnn.stateful.boxes import Box, Cell
from fnn.stateful.protocol import Stateful, static_key
from fnn.stateful.structure import structure_changed
from fnn.stateful.tracing import trace_state

__all__ = ["Module"]

T = TypeVar("T", bound="Module")


class IncompatibleKeys(NamedTuple):
    """What ``load_state_dict`` did not match: keys the module wants and did not get, and keys it does not know."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"

    __str__ = __repr__


def _holds_tracer(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_holds_tracer(v) for v in value)
    return isinstance(value, Tracer)


# Attributes that are no part of what a trace depends on, or that enter the key by another way.
_NOT_IN_KEY = frozenset({"_parameters", "_buffers", "_modules", "_non_persistent_buffers_set", "_stateful_origin_"})


class Module(Stateful):
    """Base class of layers and networks; a subclass builds its parts in ``__init__`` and computes in ``forward``.

    Parameters, buffers and modules assigned as attributes are registered. ``fnn.state(model)`` gives the arrays,
    ``fnn.functional_call`` runs the module on other arrays, purely.
    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Module.html.

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

    training: bool
    _version: int = 1
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Buffer | None]
    _modules: dict[str, Module | None]

    def __init__(self) -> None:
        put = super().__setattr__
        put("training", True)
        put("_parameters", {})
        put("_buffers", {})
        put("_modules", {})
        put("_non_persistent_buffers_set", set())
        put("_stateful_origin_", trace_state())
        for name in _hooks.REGISTRIES:
            put(name, OrderedDict())

    def _forward_missing(self, *input: Any) -> Any:
        """The computation; every subclass defines it."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    forward: Callable[..., Any] = _forward_missing

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if _hooks.any_for_call(self):
            return _hooks.call_with_hooks(self, args, kwargs)
        return self.forward(*args, **kwargs)

    # Registration

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
        param = _hooks.on_parameter(self, name, param)
        self._parameters[name] = param
        if param is not None and not param._label:
            param._label = f"{type(self).__name__}.{name}"
        structure_changed()

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
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
        if isinstance(tensor, Parameter) or isinstance(tensor, str | bytes | Module):
            raise TypeError(
                f"register_buffer: cannot assign '{type(tensor).__name__}' object to buffer '{name}' "
                "(an array, fnn.nn.Buffer or None required)"
            )
        if tensor is not None and not isinstance(tensor, Buffer):
            tensor = Buffer(to_array(tensor, f"register_buffer: '{name}'"), persistent=persistent)
        tensor = _hooks.on_buffer(self, name, tensor)
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)
        if tensor is not None and not tensor._label:
            tensor._label = f"{type(self).__name__}.{name}"
        structure_changed()

    def add_module(self, name: str, module: Module | None) -> None:
        """Adds a child module (or ``None``) under ``name``.

        Raises:
            TypeError: if ``module`` is no Module.
            KeyError: if the name is empty, has a dot, or is taken by another kind of attribute.
        """
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"add_module: {type(module).__name__} is not a Module subclass")
        self._check_registration("add_module", name, self._modules)
        module = _hooks.on_module(self, name, module)
        self._modules[name] = module
        structure_changed()

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
            if value is None or box is None:
                self.register_buffer(name, value, name not in self._non_persistent_buffers_set)
            else:
                box.data = value
        else:
            self._set_plain(name, value)

    def _set_plain(self, name: str, value: Any) -> None:
        if _holds_tracer(value):
            raise RuntimeError(
                f"{type(self).__name__}.{name}: a traced array cannot be kept as a plain attribute, it would leak out of "
                "its JAX transformation; register it with register_buffer(name, value, persistent=False), or return it"
            )
        if name not in self.__dict__ or self.__dict__[name] is not value:
            structure_changed()
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
        for name in _hooks.REGISTRIES:
            self.__dict__.setdefault(name, OrderedDict())
        structure_changed()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_stateful_origin_"}

    # Iteration

    def _named_members(
        self, members: Callable[[Module], Iterable[tuple[str, Any]]], prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, value in members(module):
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield f"{path}.{name}" if path else name, value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Pairs of name and parameter; a shared parameter comes once unless ``remove_duplicate`` is false."""
        return self._named_members(lambda m: m._parameters.items(), prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, each once."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Buffer]]:
        """Pairs of name and buffer, persistent or not."""
        return self._named_members(lambda m: m._buffers.items(), prefix, recurse, remove_duplicate)

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

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of a dotted name; AttributeError if there is none."""
        return self._get_member(target, Parameter, "parameter")

    def get_buffer(self, target: str) -> Buffer:
        """The buffer of a dotted name; AttributeError if there is none."""
        return self._get_member(target, Buffer, "buffer")

    def _get_member(self, target: str, kind: type, word: str) -> Any:
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        if not hasattr(owner, name):
            raise AttributeError(f"{type(owner).__name__} has no attribute `{name}`")
        value = getattr(owner, name)
        if not isinstance(value, kind):
            raise AttributeError(f"`{name}` is not a {word}")
        return value

    def get_extra_state(self) -> Any:
        """Extra state for the ``state_dict``; a subclass that has some overrides this and ``set_extra_state``."""
        raise RuntimeError(f"{type(self).__name__}.get_extra_state: not implemented; override it with set_extra_state")

    def set_extra_state(self, state: Any) -> None:
        """Takes the extra state that ``load_state_dict`` found."""
        raise RuntimeError(f"{type(self).__name__}.set_extra_state: not implemented; override it with get_extra_state")

    # Modes

    def apply(self: T, fn: Callable[[Module], Any]) -> T:
        """Calls ``fn`` on every submodule, children first, then on this module; returns the module."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self: T, mode: bool = True) -> T:
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

    def eval(self: T) -> T:
        """Sets evaluation mode; returns the module."""
        return self.train(False)

    def requires_grad_(self: T, requires_grad: bool = True) -> T:
        """Sets ``requires_grad`` of every parameter; returns the module."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clears the gradients of every parameter, or fills them with zeros."""
        for parameter in self.parameters():
            if parameter.grad is not None:
                parameter.grad = None if set_to_none else jax.tree.map(jnp.zeros_like, parameter.grad)

    # Casts and placement

    def _apply(self: T, fn: Callable[[jax.Array], jax.Array], recurse: bool = True) -> T:
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

    def to(self: T, *args: Any, **kwargs: Any) -> T:
        """Casts floating arrays and moves all arrays, in place; returns the module.

        Args:
            *args: a floating dtype, a device (``jax.Device`` or a name such as "cpu"), a ``jax.sharding.Sharding``, an
                array whose dtype and device are taken, or a device and a dtype.
            **kwargs: ``dtype``, ``device``; ``non_blocking``, ``copy`` and ``memory_format`` are accepted and ignored.

        Raises:
            TypeError: if the dtype is not floating, or an argument is none of these.
            RuntimeError: if there is no such device, or float64 is asked for with x64 off.
        """
        dtype, place = parse_to(*args, **kwargs)

        def move(array: jax.Array) -> jax.Array:
            if dtype is not None and jnp.issubdtype(array.dtype, jnp.floating):
                array = array.astype(dtype)
            return put(array, place)

        return self._apply(move)

    def half(self: T) -> T:
        """Casts floating arrays to float16; returns the module."""
        return self.to(jnp.float16)

    def bfloat16(self: T) -> T:
        """Casts floating arrays to bfloat16; returns the module."""
        return self.to(jnp.bfloat16)

    def float(self: T) -> T:
        """Casts floating arrays to float32; returns the module."""
        return self.to(jnp.float32)

    def double(self: T) -> T:
        """Casts floating arrays to float64 (RuntimeError with x64 off); returns the module."""
        return self.to(jnp.float64)

    def type(self: T, dst_type: Any) -> T:
        """Casts all parameters and buffers, integers too, to ``dst_type``; returns the module."""
        dtype, _ = parse_to(dst_type, any_dtype=True)
        return self._apply(lambda array: array.astype(dtype))

    def cpu(self: T) -> T:
        """Moves all arrays to the CPU; returns the module."""
        return self.to("cpu")

    def cuda(self: T, device: Any = None) -> T:
        """Moves all arrays to a GPU; returns the module.

        Raises:
            RuntimeError: if there is no GPU.
        """
        return self.to("cuda" if device is None else f"cuda:{device}" if isinstance(device, int) else device)

    def to_empty(self: T, *, device: Any = None, recurse: bool = True) -> T:
        """Moves to a device without keeping values (they become zero); returns the module."""
        _, place = parse_to(device)
        return self._apply(lambda array: jax.device_put(np.zeros(array.shape, array.dtype), place), recurse)

    def share_memory(self: T) -> T:
        """Nothing to do: arrays never change. Returns the module."""
        return self

    # state_dict

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        for name, box in itertools.chain(self._parameters.items(), self._buffers.items()):
            if box is not None and not (name in self._buffers and name in self._non_persistent_buffers_set):
                destination[prefix + name] = box if keep_vars else box.data
        if type(self).get_extra_state is not Module.get_extra_state:
            destination[prefix + "_extra_state"] = self.get_extra_state()

    def state_dict(
        self, *args: Any, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """All parameters and persistent buffers by dotted name, in torch's order and layout.

        Args:
            destination: a dict to add to.
            prefix: text put before each name.
            keep_vars: gives the boxes instead of their arrays.

        Returns:
            an ordered dict, with torch's ``_metadata``.
        """
        for value, key in zip(args, ("destination", "prefix", "keep_vars"), strict=False):
            destination = value if key == "destination" else destination
            prefix = value if key == "prefix" else prefix
            keep_vars = value if key == "keep_vars" else keep_vars
        out: Any = OrderedDict() if destination is None else destination
        if not hasattr(out, "_metadata") and isinstance(out, OrderedDict):
            setattr(out, "_metadata", OrderedDict())  # noqa: B010
        local = {"version": self._version}
        metadata: Any = getattr(out, "_metadata", None)
        if metadata is not None:
            metadata[prefix[:-1]] = local
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(out, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=out, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in self._state_dict_hooks.values():
            result = hook(self, out, prefix, local)
            out = out if result is None else result
        return out

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        assign = local_metadata.get("assign_to_params_buffers", False)
        for hook in list(self._load_state_dict_pre_hooks.values()):
            hook(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        persistent = {k: v for k, v in self._buffers.items() if k not in self._non_persistent_buffers_set}
        for name, box in itertools.chain(self._parameters.items(), persistent.items()):
            if box is None:
                continue
            key = prefix + name
            if key not in state_dict:
                if strict:
                    missing_keys.append(key)
                continue
            self._load_box(name, box, key, state_dict[key], assign, error_msgs)
        extra_key = prefix + "_extra_state"
        if type(self).set_extra_state is not Module.set_extra_state:
            if extra_key in state_dict:
                self.set_extra_state(state_dict[extra_key])
            elif strict:
                missing_keys.append(extra_key)
        elif strict and extra_key in state_dict:
            unexpected_keys.append(extra_key)
        if strict:
            for key in state_dict:
                if key.startswith(prefix) and key != extra_key:
                    head, dot, _ = key[len(prefix) :].partition(".")
                    known = head in self._modules if dot else (head in persistent or head in self._parameters)
                    if not known or (not dot and (persistent | self._parameters).get(head) is None):
                        unexpected_keys.append(key)

    def _load_box(self, name: str, box: ArrayBox, key: str, value: Any, assign: bool, error_msgs: list[str]) -> None:
        if is_lazy(value):
            if not is_lazy(box):
                error_msgs.append(f'"{key}" is uninitialized in the state_dict and initialized in the current model.')
            return
        try:
            array = to_array(value, key)
        except TypeError:
            error_msgs.append(
                f'While copying the parameter named "{key}", expected an array, got {type(value).__name__}'
            )
            return
        if array.shape == (1,) and box.shape == ():
            array = array.reshape(())
        if array.shape != box.shape:
            error_msgs.append(
                f"size mismatch for {key}: copying a param with shape {tuple(array.shape)} from checkpoint, the shape in "
                f"current model is {tuple(box.shape)}."
            )
        elif not assign:
            box.data = array.astype(box.dtype) if array.dtype != box.dtype else array
        elif isinstance(value, ArrayBox):
            setattr(self, name, value)
        else:
            box.data = array

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copies arrays by name into parameters and buffers, cast to their dtypes.

        Args:
            state_dict: names to arrays of jax, numpy or torch.
            strict: every name must match.
            assign: take the arrays with their own dtypes instead of casting.

        Returns:
            the missing and the unexpected keys.

        Raises:
            TypeError: if ``state_dict`` is no mapping.
            RuntimeError: listing every mismatch; the module is then as it was before.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"load_state_dict: expected state_dict to be dict-like, got {type(state_dict).__name__}")
        missing: list[str] = []
        unexpected: list[str] = []
        errors: list[str] = []
        metadata = getattr(state_dict, "_metadata", None)
        undo = [module._stateful_snapshot_() for module in self.modules()]
        contents = [(box, box._data) for module in self.modules() for box in module._stateful_boxes_()]
        try:
            self._load_tree(OrderedDict(state_dict), metadata, "", strict, assign, missing, unexpected, errors)
            if strict and unexpected:
                names = ", ".join(f'"{k}"' for k in unexpected)
                errors.insert(0, f"Unexpected key(s) in state_dict: {names}. ")
            if strict and missing:
                errors.insert(0, "Missing key(s) in state_dict: {}. ".format(", ".join(f'"{k}"' for k in missing)))
            if errors:
                listing = "\n\t".join(errors)
                raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{listing}")
        except BaseException:
            for restore in undo:
                restore()
            for box, data in contents:
                box._data = data
            structure_changed()
            raise
        return IncompatibleKeys(missing, unexpected)

    def _load_tree(
        self,
        state_dict: dict[str, Any],
        metadata: Any,
        prefix: str,
        strict: bool,
        assign: bool,
        missing: list[str],
        unexpected: list[str],
        errors: list[str],
    ) -> None:
        local = {} if metadata is None else dict(metadata.get(prefix[:-1], {}))
        if assign:
            local["assign_to_params_buffers"] = True
        self._load_from_state_dict(state_dict, prefix, local, True, missing, unexpected, errors)
        for name, child in self._modules.items():
            if child is not None:
                below = f"{prefix}{name}."
                mine = {k: v for k, v in state_dict.items() if k.startswith(below)}
                child._load_tree(mine, metadata, below, strict, assign, missing, unexpected, errors)
        report = IncompatibleKeys(missing, unexpected)
        for hook in self._load_state_dict_post_hooks.values():
            if hook(self, report) is not None:
                raise AssertionError(
                    "hooks registered with register_load_state_dict_post_hook must change the incompatible keys in place "
                    "and return None"
                )

    # Hooks

    register_forward_pre_hook = _hooks.register_forward_pre_hook
    register_forward_hook = _hooks.register_forward_hook
    register_full_backward_pre_hook = _hooks.register_full_backward_pre_hook
    register_full_backward_hook = _hooks.register_full_backward_hook
    register_backward_hook = _hooks.register_full_backward_hook
    register_state_dict_pre_hook = _hooks.register_state_dict_pre_hook
    register_state_dict_post_hook = _hooks.register_state_dict_post_hook
    _register_state_dict_hook = _hooks.register_state_dict_post_hook
    register_load_state_dict_pre_hook = _hooks.register_load_state_dict_pre_hook
    _register_load_state_dict_pre_hook = _hooks.register_plain_load_state_dict_pre_hook
    register_load_state_dict_post_hook = _hooks.register_load_state_dict_post_hook

    # repr

    def extra_repr(self) -> str:
        """The text between the brackets of ``repr``."""
        return ""

    def _get_name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({name}): " + _indent(repr(module)) for name, module in self._modules.items()]
        if not children and len(lines) <= 1:
            return f"{self._get_name()}({extra})"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines + children) + "\n)"

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
                yield parameter
                yield parameter._grad
        for buffer in self._buffers.values():
            if buffer is not None:
                yield buffer

    def _stateful_cells_(self) -> Iterable[Cell]:
        return ()

    def _stateful_key_(self) -> Hashable:
        plain = tuple(
            (name, static_key(value))
            for name, value in self.__dict__.items()
            if name not in _NOT_IN_KEY and not isinstance(value, Stateful)
        )
        names = tuple((name, value is None) for name, value in self._modules.items())
        frozen = tuple(
            (name, None if box is None else box.requires_grad)
            for name, box in itertools.chain(self._parameters.items(), self._buffers.items())
        )
        return plain, names, frozen

    def _stateful_snapshot_(self) -> Callable[[], None]:
        attributes = dict(self.__dict__)
        registries = {
            name: value.copy()
            for name, value in attributes.items()
            if name.startswith("_") and isinstance(value, dict | set)
        }
        flags = [(p, p._requires_grad) for p in self._parameters.values() if p is not None]
        kind = type(self)

        def restore() -> None:
            object.__setattr__(self, "__class__", kind)
            self.__dict__.clear()
            self.__dict__.update(attributes)
            for name, value in registries.items():
                mine = attributes[name]
                mine.clear()
                mine.update(value)
            for parameter, requires_grad in flags:
                parameter._requires_grad = requires_grad
            structure_changed()

        return restore


def _indent(text: str) -> str:
    return text.replace("\n", "\n  ")

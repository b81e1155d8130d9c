"""Parametrizations: an attribute of a Module that is computed from other arrays each time it is read.

The Module gets a subclass of its class that has a property for each such attribute. Nothing computed is stored, so that
no traced array can stay behind; under ``cached`` values are kept for as long as what they were computed from stands.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, TypeVar

import jax
import numpy as np

from fnn.functional.arrays import ArrayLike
from fnn.functional.explained import explained
from fnn.nn.array_box import ArrayBox, to_array
from fnn.nn.modules.container import ModuleDict, ModuleList
from fnn.nn.modules.module import Module
from fnn.nn.parameter import Buffer, Parameter
from fnn.nn.utils.cached_values import cached as cached, caching, kept
from fnn.nn.utils.computed_attributes import base_class, property_names, retype
from fnn.stateful.exports import unquote

__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "transfer_parametrizations_and_params",
    "type_before_parametrizations",
]

M = TypeVar("M", bound=Module)


def _is_array(value: Any) -> bool:
    return isinstance(value, jax.Array | np.ndarray | ArrayBox)


def _names(value: Any) -> str:
    return type(value).__name__


def _register(module: Module, name: str, value: ArrayBox) -> None:
    if isinstance(value, Parameter):
        module.register_parameter(name, value)
    else:
        module.register_buffer(name, value)


def _same_kind(original: ArrayBox, value: Any) -> ArrayBox:
    """A new box of the kind of ``original``."""
    if isinstance(original, Parameter):
        return Parameter(value, original.requires_grad)
    return Buffer(value)


class ParametrizationList(ModuleList):
    """The parametrizations of one attribute, applied in order, and the arrays they start from.

    These are ``original``, or ``original0``, ``original1``, ... if the ``right_inverse`` of the first parametrization
    gives a sequence. ``register_parametrization`` makes it; it is ``module.parametrizations.weight``.

    Args:
        modules: the parametrizations.
        original: the parameter or buffer to parametrize; it keeps its identity if there is one original.
        unsafe: whether shape and dtype may change; they are then not checked.

    Attributes:
        original (Parameter | Buffer): what the first parametrization starts from, if that is one array.
        original0, original1, ... (Parameter | Buffer): the same, if it is several.
        is_tensor (bool): whether it is one.
        ntensors (int): how many it is.

    Raises:
        ValueError: if there are no modules, or they give something else than arrays of the shape and dtype expected.
            ``original`` is then as before.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.parametrize.ParametrizationList.html

    Example:
        >>> from fnn import nn
        >>> m = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
        >>> m.parametrizations.weight
        ParametrizationList(
          (0): _WeightNorm()
        )
    """

    unsafe: bool
    is_tensor: bool
    ntensors: int

    def __init__(self, modules: Sequence[Module], original: Parameter | Buffer, unsafe: bool = False) -> None:
        if len(modules) == 0:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        before = original.data
        new: Any = before
        for module in reversed(list(self)):
            if hasattr(module, "right_inverse"):
                try:
                    new = module.right_inverse(new)
                except NotImplementedError:
                    pass
        self.is_tensor = _is_array(new)
        if not self.is_tensor and not isinstance(new, Sequence):
            raise ValueError(
                f"'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). Got {_names(new)}"
            )
        self.ntensors = 1 if self.is_tensor else len(new)
        if self.is_tensor:
            dtype = getattr(new, "dtype", None)
            if before.dtype != dtype:
                raise ValueError(
                    "When `right_inverse` outputs one tensor, it may not change the dtype.\n"
                    f"original.dtype: {before.dtype}\n"
                    f"right_inverse(original).dtype: {dtype}"
                )
            if new is not before:
                original.data = new
            _register(self, "original", original)
        else:
            for i, value in enumerate(new):
                if not _is_array(value):
                    raise ValueError(
                        "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                        f"Got element {i} of the sequence with type {_names(value)}."
                    )
                _register(self, f"original{i}", _same_kind(original, value))
        if not unsafe and not _keeps_form(self[0]):
            try:
                _check_kept("unparametrized ", before, "parametrized ", self())
            except BaseException:
                if original._data is not before:
                    original.data = before
                raise

    def _originals(self) -> list[ArrayBox]:
        if self.is_tensor:
            return [self.original]
        return [getattr(self, f"original{i}") for i in range(self.ntensors)]

    def right_inverse(self, value: ArrayLike) -> None:
        """Sets the originals such that the attribute becomes ``value``, by the ``right_inverse`` of each parametrization.

        Args:
            value: an array of the shape of the attribute.

        Raises:
            RuntimeError: if a parametrization has no ``right_inverse``.
            ValueError: if the result does not fit the originals. They are then as before.
        """
        new: Any = (
            value.data if isinstance(value, ArrayBox) else value if isinstance(value, jax.Array) else to_array(value)
        )
        for module in reversed(list(self)):
            if not hasattr(module, "right_inverse"):
                raise RuntimeError(f"parametrization {_names(module)} does not implement right_inverse.")
            new = module.right_inverse(new)
        if self.is_tensor:
            if not _is_array(new):
                raise ValueError(f"`right_inverse` should return a tensor. Got {_names(new)}")
            if new.dtype != self.original.dtype:
                raise ValueError(
                    f"The tensor returned by `right_inverse` has dtype {new.dtype} "
                    f"while `original` has dtype {self.original.dtype}"
                )
            self.original.data = new
            return
        if not isinstance(new, Sequence):
            raise ValueError(f"'right_inverse' must return a sequence of tensors. Got {_names(new)}.")
        if len(new) != self.ntensors:
            raise ValueError(
                f"'right_inverse' must return a sequence of tensors of length {self.ntensors}. "
                f"Got a sequence of length {len(new)}."
            )
        originals = self._originals()
        for i, (box, part) in enumerate(zip(originals, new, strict=True)):
            if not _is_array(part):
                raise ValueError(
                    f"'right_inverse' must return a sequence of tensors. Got element {i} of type {_names(part)}."
                )
            if box.dtype != part.dtype:
                raise ValueError(
                    f"Tensor {i} returned by `right_inverse` has dtype {part.dtype} "
                    f"while `original{i}` has dtype {box.dtype}"
                )
        for box, part in zip(originals, new, strict=True):
            box.data = part

    def forward(self) -> jax.Array:
        """The parametrized array, computed from the originals."""
        first, *rest = self
        value = first(*[box.data if isinstance(box, ArrayBox) else box for box in self._originals()])
        for module in rest:
            value = module(value)
        return value.data if isinstance(value, ArrayBox) else value

    def value(self) -> jax.Array:
        """The parametrized array, kept under ``cached``."""
        return kept(self, compute=self)

    def _stateful_key_(self) -> Hashable:
        return super()._stateful_key_(), caching()


def _keeps_form(parametrization: Module) -> bool:
    """Whether it is known to keep shape and dtype, so that nothing need be computed, and compiled, to see it."""
    return getattr(parametrization, "_keeps_form", False)


def _check_kept(old_name: str, old: Any, new_name: str, new: Any, flag: str = "`unsafe` flag") -> None:
    """Raises ValueError unless ``new`` is an array of the dtype and shape of ``old``."""
    if not _is_array(new):
        raise ValueError(f"A parametrization must return a tensor. Got {_names(new)}.")
    for what in ("dtype", "shape"):
        a, b = getattr(old, what), getattr(new, what)
        if a != b:
            raise ValueError(
                f"Registering a parametrization may not change the {what} of the tensor, unless {flag} is enabled.\n"
                f"{old_name}{what}: {a}\n{new_name}{what}: {b}"
            )


@explained
def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether the module has a parametrization of ``tensor_name``, or of anything if that is ``None``.

    Args:
        module: the module.
        tensor_name: name of a parameter or buffer.

    Returns:
        a bool.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.parametrize.is_parametrized.html

    Example:
        >>> from fnn import nn
        >>> is_parametrized(nn.Linear(2, 3))
        False
    """
    parametrizations = getattr(module, "parametrizations", None)
    if not isinstance(parametrizations, ModuleDict):
        return False
    return len(parametrizations) > 0 if tensor_name is None else tensor_name in parametrizations


@explained
def register_parametrization(module: M, tensor_name: str, parametrization: Module, *, unsafe: bool = False) -> M:
    """Makes a parameter or buffer the result of ``parametrization`` applied to what it was.

    ``module.weight`` is then computed each time it is read, from ``module.parametrizations.weight.original``, which
    keeps the identity of the parameter. If ``parametrization`` has a method ``right_inverse``, it gives the original
    for a value: at registration and when ``module.weight`` is assigned. If it gives a sequence, the originals are
    ``original0``, ``original1``, ..., new parameters. Several parametrizations of one name are applied in turn.

    Args:
        module: the module that has the parameter or buffer; its class becomes ``Parametrized...``.
        tensor_name: name of the parameter or buffer.
        parametrization: the Module to apply; it is put into the mode of ``module``.
        unsafe: whether shape and dtype may change; they are then not checked.

    Returns:
        the module.

    Raises:
        TypeError: if ``parametrization`` is no Module.
        ValueError: if there is no such parameter or buffer, or shape or dtype change. The module is then as before.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.parametrize.register_parametrization.html

    Example:
        >>> import jax.numpy as jnp
        >>> from fnn import nn
        >>> class Symmetric(nn.Module):
        ...     def forward(self, x):
        ...         return jnp.triu(x) + jnp.triu(x, 1).T
        >>> m = nn.utils.parametrize.register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
        >>> bool((m.weight == m.weight.T).all())
        True
    """
    if not isinstance(parametrization, Module):
        raise TypeError(f"register_parametrization: parametrization must be a Module, got {_names(parametrization)}")
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        if not unsafe and not _keeps_form(parametrization):
            _check_further(module, tensor_name, parametrization)
        present: ParametrizationList = module.parametrizations[tensor_name]
        present.append(parametrization)
        present.unsafe |= unsafe
        return module
    original = module._parameters.get(tensor_name, module._buffers.get(tensor_name))
    if original is None:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name '{tensor_name}'"
        )
    source = ParametrizationList([parametrization], original, unsafe=unsafe)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        module.parametrizations = ModuleDict()
    module.parametrizations[tensor_name] = source
    parametrized, computed = property_names(module)
    retype(module, parametrized | {tensor_name}, computed)
    return module


def _check_further(module: Module, name: str, parametrization: Module) -> None:
    """Checks that one more parametrization keeps shape and dtype, in both directions."""
    old = getattr(module, name)
    new = parametrization(old)
    _check_kept(f"module.{name}.", old, f"parametrization(module.{name}).", new, "the `unsafe` flag")
    if not hasattr(parametrization, "right_inverse"):
        return
    try:
        back: Any = parametrization.right_inverse(new)
    except NotImplementedError:
        return
    if not _is_array(back):
        raise ValueError(f"parametrization.right_inverse must return a tensor. Got: {_names(back)}")
    for what in ("dtype", "shape"):
        a, b = getattr(old, what), getattr(back, what)
        if a != b:
            raise ValueError(
                f"The tensor returned by parametrization.right_inverse must have the same {what} as module.{name}, "
                f"unless the `unsafe` flag is enabled.\nmodule.{name}.{what}: {a}\nreturned {what}: {b}"
            )


@explained
def remove_parametrizations(module: M, tensor_name: str, leave_parametrized: bool = True) -> M:
    """Makes a parametrized attribute a parameter or buffer again.

    Args:
        module: the module.
        tensor_name: name of the attribute.
        leave_parametrized: whether it keeps its present value, else it becomes the original again.

    Returns:
        the module.

    Raises:
        ValueError: if it is not parametrized, or ``leave_parametrized`` is false and there are several originals.
        RuntimeError: if the present value has not the dtype of the original.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.parametrize.remove_parametrizations.html

    Example:
        >>> from fnn import nn
        >>> m = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
        >>> nn.utils.parametrize.remove_parametrizations(m, "weight")
        Linear(in_features=2, out_features=3, bias=True)
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    parts: Any = module.parametrizations
    source: ParametrizationList = parts[tensor_name]
    if source.is_tensor:
        box: ArrayBox = source.original
        if leave_parametrized:
            value = getattr(module, tensor_name)
            if value.dtype != box.dtype:
                raise RuntimeError(
                    f"remove_parametrizations: {tensor_name} has dtype {value.dtype} and its original {box.dtype}; "
                    "pass leave_parametrized=False"
                )
            box.data = value
    else:
        if not leave_parametrized:
            raise ValueError(
                "Cannot leave unparametrized (`leave_parametrized=False`) a tensor "
                "that is parametrized in terms of a sequence of tensors."
            )
        value = getattr(module, tensor_name)
        box = Parameter(value) if any(p.requires_grad for p in source.parameters()) else Buffer(value)
    del parts[tensor_name]
    if not len(parts):
        del module.parametrizations
    parametrized, computed = property_names(module)
    retype(module, parametrized - {tensor_name}, computed)
    _register(module, tensor_name, box)
    return module


@explained
def type_before_parametrizations(module: Module) -> type:
    """The class of the module as it was before anything was parametrized.

    Args:
        module: the module.

    Returns:
        a class.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.parametrize.type_before_parametrizations.html

    Example:
        >>> from fnn import nn
        >>> m = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
        >>> nn.utils.parametrize.type_before_parametrizations(m) is nn.Linear
        True
    """
    return base_class(module)


@explained
def transfer_parametrizations_and_params(from_module: Module, to_module: M, tensor_name: str | None = None) -> M:
    """Gives a module the parametrizations of another one, and the same originals.

    Args:
        from_module: the module to take from; if it is not parametrized, nothing happens.
        to_module: the module to give to; a parameter that it has not is created.
        tensor_name: the one attribute to transfer; ``None`` stands for all.

    Returns:
        ``to_module``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.parametrize.transfer_parametrizations_and_params.html

    Example:
        >>> from fnn import nn
        >>> a = nn.utils.parametrizations.weight_norm(nn.Linear(2, 3))
        >>> b = nn.utils.parametrize.transfer_parametrizations_and_params(a, nn.Linear(2, 3))
        >>> b.parametrizations.weight.original0 is a.parametrizations.weight.original0
        True
    """
    if not is_parametrized(from_module):
        return to_module
    sources: Any = from_module.parametrizations
    for name in [*sources] if tensor_name is None else [tensor_name]:
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name)))
        source: ParametrizationList = sources[name]
        for parametrization in source:
            register_parametrization(to_module, name, parametrization)
        target: Any = to_module.parametrizations
        for key in ["original"] if source.is_tensor else [f"original{i}" for i in range(source.ntensors)]:
            setattr(target[name], key, getattr(source, key))
    return to_module


def __dir__() -> list[str]:
    return __all__


unquote(*(globals()[name] for name in __all__))

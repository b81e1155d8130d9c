"""Attributes of a Module that are computed each time they are read: the class that has them; nothing computed is stored."""

from __future__ import annotations

import copy
import weakref
from typing import Any, Protocol

import jax

from fnn.nn.modules.module import Module
from fnn.stateful.boxes import Box
from fnn.stateful.structure import structure_changed

__all__ = [
    "add_computed_weight",
    "base_class",
    "computed_weights",
    "property_names",
    "remove_computed_weight",
    "retype",
]


class ComputedWeight(Protocol):
    """What ``weight_norm`` and ``spectral_norm`` in their older form put behind an attribute."""

    def compute_weight(self, module: Module) -> jax.Array:
        """The value of the attribute."""
        ...


class _Computed:
    """Marks the classes made here, and says from what."""

    _base_: type
    _parametrized_names_: tuple[str, ...] = ()
    _computed_names_: tuple[str, ...] = ()


_classes: weakref.WeakValueDictionary[Any, type] = weakref.WeakValueDictionary()


def _parametrized_property(name: str) -> property:
    def get(self: Any) -> Any:
        try:
            return self.parametrizations[name].value()
        except AttributeError as error:  # Module.__getattr__ would say that there is no such attribute
            raise RuntimeError(f"{type(self).__name__}.{name}: its parametrization failed: {error}") from error

    def put(self: Any, value: Any) -> None:
        self.parametrizations[name].right_inverse(value)

    return property(get, put)


def _computed_property(name: str) -> property:
    def get(self: Any) -> Any:
        try:
            return self._computed_weights[name].compute_weight(self)
        except AttributeError as error:
            raise RuntimeError(f"{type(self).__name__}.{name}: it cannot be computed: {error}") from error

    def put(self: Any, value: Any) -> None:
        kind = type(self._computed_weights[name]).__name__
        raise AttributeError(f"{type(self).__name__}.{name} is computed by {kind} and cannot be set; remove it first")

    return property(get, put)


def _refuse_state(self: Any) -> Any:
    raise RuntimeError(
        "Serialization of parametrized modules is only supported through state_dict(). See:\n"
        "https://pytorch.org/tutorials/beginner/saving_loading_models.html"
        "#saving-loading-a-general-checkpoint-for-inference-and-or-resuming-training"
    )


def _class_with(base: Any, parametrized: tuple[str, ...], computed: tuple[str, ...]) -> type:
    """The subclass of ``base`` with these properties; one for all modules that need the same."""
    found = _classes.get((base, parametrized, computed))
    if found is not None:
        return found
    names = frozenset((*parametrized, *computed))

    def set_attribute(self: Any, name: str, value: Any) -> None:
        if name in names and not isinstance(value, Box | Module):
            object.__setattr__(self, name, value)  # the property, which takes traced arrays too
        else:
            base.__setattr__(self, name, value)

    def copy_deeply(self: Any, memo: dict[int, Any]) -> Any:
        cls: Any = type(self)
        replica = memo[id(self)] = cls.__new__(cls)
        state = base.__getstate__(self)  # that of this class refuses
        replica.__setstate__(copy.deepcopy(state, memo))
        return replica

    def reduce(self: Any, protocol: Any) -> Any:
        return _bare, (base, computed), self.__getstate__()

    body: dict[str, Any] = {
        "__module__": base.__module__,
        "__doc__": base.__doc__,
        "__setattr__": set_attribute,
        "_base_": base,
        "_parametrized_names_": parametrized,
        "_computed_names_": computed,
        **{name: _parametrized_property(name) for name in parametrized},
        **{name: _computed_property(name) for name in computed},
    }
    if not parametrized:
        body["__reduce_ex__"] = reduce
    else:
        body["__getstate__"] = _refuse_state
        if not hasattr(base, "__deepcopy__"):
            body["__deepcopy__"] = copy_deeply
    title = f"Parametrized{base.__name__}" if parametrized else base.__name__
    made = _classes[base, parametrized, computed] = type(title, (base, _Computed), body)
    return made


def _bare(base: type, computed: tuple[str, ...]) -> Any:
    """An empty module of the class with computed attributes, for pickle."""
    made: Any = _class_with(base, (), computed)
    return made.__new__(made)


def base_class(module: Module) -> type:
    """The class of the module as it was before anything was computed."""
    return type(module)._base_ if isinstance(module, _Computed) else type(module)


def property_names(module: Module) -> tuple[set[str], set[str]]:
    """The names of the parametrized attributes, and of those that have a ``ComputedWeight``."""
    if isinstance(module, _Computed):
        return set(module._parametrized_names_), set(module._computed_names_)
    return set(), set()


def retype(module: Module, parametrized: set[str], computed: set[str]) -> None:
    """Gives the module the class that has just these properties."""
    base = base_class(module)
    made = _class_with(base, tuple(sorted(parametrized)), tuple(sorted(computed))) if parametrized or computed else base
    object.__setattr__(module, "__class__", made)
    structure_changed()


def computed_weights(module: Module) -> dict[str, ComputedWeight]:
    """What computes attributes of the module in the manner of the older ``weight_norm`` and ``spectral_norm``, by name."""
    return module.__dict__.get("_computed_weights", {})


def add_computed_weight(module: Module, name: str, source: ComputedWeight) -> None:
    """Makes the attribute ``name``, which must be free, the result of ``source.compute_weight(module)``."""
    parametrized, computed = property_names(module)
    module._computed_weights = {**computed_weights(module), name: source}
    retype(module, parametrized, computed | {name})


def remove_computed_weight(module: Module, name: str) -> None:
    """Takes away what ``add_computed_weight`` added."""
    parametrized, computed = property_names(module)
    rest = {k: v for k, v in computed_weights(module).items() if k != name}
    if rest:
        module._computed_weights = rest
    else:
        del module._computed_weights
    retype(module, parametrized, computed - {name})

"""What an ``Optimizer`` is made of: its groups' options and the slots that hold the state of each parameter."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from fnn.nn.parameter import Parameter, to_array
from fnn.stateful import Box, Cell, structure_changed


class _Required:
    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()


class ParamGroup(dict[str, Any]):
    """The options of one group of parameters, under torch's names; its numbers can change without recompiling."""

    def __setitem__(self, key: str, value: Any) -> None:
        old = self.get(key, required)
        super().__setitem__(key, value)
        if old is value or (is_number(old) and is_number(value) and (key == "lr" or (old == 0) == (value == 0))):
            return
        structure_changed()

    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        structure_changed()

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *args: Any, **kwargs: Any) -> None:
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def pop(self, *args: Any) -> Any:
        structure_changed()
        return super().pop(*args)

    def __deepcopy__(self, memo: dict[int, Any]) -> ParamGroup:
        new = ParamGroup()
        memo[id(self)] = new
        for key, value in self.items():
            dict.__setitem__(new, key, copy.deepcopy(value, memo))
        return new


def is_number(value: Any) -> bool:
    return type(value) in (int, float) or isinstance(value, np.floating)


def is_dynamic(value: Any) -> bool:
    """A number or a scalar array: what a compiled step takes as an input instead of baking it in."""
    return is_number(value) or isinstance(value, jax.Array)


class ElementCell(Cell):
    """One element of a tuple of numbers in a group, such as ``betas[0]``."""

    __slots__ = ("index",)

    def __init__(self, container: dict[Any, Any], key: Any, index: int) -> None:
        super().__init__(container, key)
        self.index = index

    def get(self) -> Any:
        return super().get()[self.index]

    def set(self, value: Any) -> None:
        items = list(super().get())
        items[self.index] = value
        super().set(tuple(items))


class Cohort:
    """Parameters of one group that have taken the same steps: they share the scalar parts of the state, as the count."""

    __slots__ = ("shared",)

    def __init__(self, shared: dict[str, Box]) -> None:
        self.shared = shared

    def split(self) -> Cohort:
        return Cohort({name: Box(box.data, box._label) for name, box in self.shared.items()})

    def has_stepped(self) -> bool:
        """False while the state is only prepared: torch has none then."""
        step = self.shared["step"].data
        return isinstance(step, Tracer) or int(step) > 0


class Slot:
    """The state of one parameter: its cohort and its own arrays by torch's names, in boxes or as parts of a pack."""

    __slots__ = ("arrays", "cohort")

    def __init__(self, cohort: Cohort, arrays: dict[str, Any]) -> None:
        self.cohort = cohort
        self.arrays = arrays


class StateView(Mapping[Parameter, Mapping[str, Any]]):
    """The state of the parameters for reading, each read when asked for."""

    def __init__(self, slots: dict[Parameter, Slot], read: Callable[[Slot], dict[str, Any]]) -> None:
        self._slots = slots
        self._read = read

    def __getitem__(self, parameter: Parameter) -> Mapping[str, Any]:
        return MappingProxyType(self._read(self._slots[parameter]))

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self._slots)

    def __len__(self) -> int:
        return len(self._slots)

    def __repr__(self) -> str:
        return repr(dict(self))


def plain_option(value: Any) -> Any:
    """A group option as fnn keeps it: torch tensors as arrays, lists of numbers as tuples."""
    if hasattr(value, "detach") and hasattr(value, "numpy"):
        return to_array(value)
    if isinstance(value, list) and value and all(is_number(v) for v in value):
        return tuple(value)
    return copy.copy(value)

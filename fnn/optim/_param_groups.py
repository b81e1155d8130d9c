"""The options of a group of parameters, and which of them a compiled step takes as inputs."""

from __future__ import annotations

import copy
from typing import Any

import jax
import numpy as np

from fnn.nn.array_box import to_array
from fnn.stateful.boxes import Cell
from fnn.stateful.structure import structure_changed


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


def plain_option(value: Any) -> Any:
    """A group option as fnn keeps it: torch tensors as arrays, lists of numbers as tuples."""
    if hasattr(value, "detach") and hasattr(value, "numpy"):
        return to_array(value)
    if isinstance(value, list) and value and all(is_number(v) for v in value):
        return tuple(value)
    return copy.copy(value)

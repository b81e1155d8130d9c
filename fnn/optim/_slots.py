"""Slots: where the state of each parameter is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from jax.core import Tracer

from fnn.nn.parameter import Parameter
from fnn.stateful.boxes import Box


class SharedState:
    """The part of the state, the count of steps above all, that parameters have in common that took the same steps."""

    __slots__ = ("boxes",)

    def __init__(self, boxes: dict[str, Box]) -> None:
        self.boxes = boxes

    def copy(self) -> SharedState:
        return SharedState({name: Box(box.data, box._label) for name, box in self.boxes.items()})

    def has_stepped(self) -> bool:
        """False while the state is only prepared: torch has none then."""
        step = self.boxes["step"].data
        return isinstance(step, Tracer) or int(step) > 0


class Slot:
    """The state of one parameter: what it shares with others, and its own arrays by torch's names.

    The arrays are in boxes of their own or views of a bucket.
    """

    __slots__ = ("arrays", "shared")

    def __init__(self, shared: SharedState, arrays: dict[str, Any]) -> None:
        self.shared = shared
        self.arrays = arrays

    def contents(self) -> dict[str, Any]:
        """The arrays by name, the shared ones first."""
        held = {**self.shared.boxes, **self.arrays}
        return {name: box.data for name, box in held.items()}


class StateView(Mapping[Parameter, Mapping[str, Any]]):
    """The state of the parameters for reading, each read when asked for."""

    def __init__(self, slots: dict[Parameter, Slot]) -> None:
        self._slots = slots

    def __getitem__(self, parameter: Parameter) -> Mapping[str, Any]:
        return MappingProxyType(self._slots[parameter].contents())

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self._slots)

    def __len__(self) -> int:
        return len(self._slots)

    def __repr__(self) -> str:
        return repr(dict(self))


def by_shared_state(slots: Mapping[Parameter, Slot], parameters: Iterable[Parameter]) -> list[list[Parameter]]:
    """Those of the parameters that have a slot, together where they share state."""
    found: dict[int, list[Parameter]] = {}
    for parameter in parameters:
        if parameter in slots:
            found.setdefault(id(slots[parameter].shared), []).append(parameter)
    return list(found.values())


# Copies: shared state by number, so that it stays shared


def take_down(slots: Mapping[Parameter, Slot]) -> dict[str, Any]:
    """The slots as plain containers of arrays, for ``pickle`` and ``copy.deepcopy``."""
    numbers: dict[int, int] = {}
    shared: list[dict[str, Any]] = []
    kept = []
    for parameter, slot in slots.items():
        number = numbers.setdefault(id(slot.shared), len(numbers))
        if number == len(shared):
            shared.append({name: box.data for name, box in slot.shared.boxes.items()})
        kept.append((parameter, number, {name: box.data for name, box in slot.arrays.items()}))
    return {"shared": shared, "slots": kept}


def put_up(saved: Mapping[str, Any], box: Callable[[str, Any], Box]) -> dict[Parameter, Slot]:
    """The inverse of ``take_down``; ``box(name, array)`` makes a box of the state."""
    shared = [SharedState({name: box(name, value) for name, value in values.items()}) for values in saved["shared"]]
    return {
        parameter: Slot(shared[number], {name: box(name, value) for name, value in arrays.items()})
        for parameter, number, arrays in saved["slots"]
    }

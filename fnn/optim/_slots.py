"""Slots: where the state of each parameter is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jax.core import Tracer

from fnn.nn.array_box import to_array
from fnn.nn.parameter import Parameter
from fnn.nn.placement import beside
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


class SlotView(Mapping[str, Any]):
    """The state of one parameter, by torch's names; an array can be replaced by another of its shape."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot

    def __getitem__(self, name: str) -> Any:
        return self._slot.contents()[name]

    def __setitem__(self, name: str, value: Any) -> None:
        boxes: dict[str, Any] = {**self._slot.shared.boxes, **self._slot.arrays}
        if name not in boxes:
            raise KeyError(f"state: must be one of {', '.join(boxes)}, got {name!r}")
        if not isinstance(boxes[name], Box) or name in self._slot.shared.boxes:
            raise TypeError(
                f"state: {name!r} is kept together with that of other parameters; change it by load_state_dict of a changed "
                "state_dict"
            )
        old = boxes[name].data
        array = to_array(value, f"state: {name}")
        if array.shape != old.shape:
            raise ValueError(f"state: {name} must have shape {old.shape}, got {array.shape}")
        boxes[name].write(beside(array.astype(old.dtype), old))

    def __iter__(self) -> Iterator[str]:
        return iter(self._slot.contents())

    def __len__(self) -> int:
        return len(self._slot.contents())

    def __repr__(self) -> str:
        return repr(self._slot.contents())


class StateView(Mapping[Parameter, Mapping[str, Any]]):
    """The state of the parameters, each read when asked for; what is taken out begins anew at the next step."""

    def __init__(self, slots: dict[Parameter, Slot], drop: Callable[[list[Parameter]], None]) -> None:
        self._slots = slots
        self._drop = drop

    def __getitem__(self, parameter: Parameter) -> Mapping[str, Any]:
        return SlotView(self._slots[parameter])

    def __delitem__(self, parameter: Parameter) -> None:
        if parameter not in self._slots:
            raise KeyError("state: this parameter has none")
        self._drop([parameter])
        del self._slots[parameter]

    def __setitem__(self, parameter: Parameter, value: Any) -> None:
        if len(value):
            raise TypeError(
                "state: only an empty dict can be set, by which the state begins anew; else use load_state_dict"
            )
        self.pop(parameter, None)

    def pop(self, parameter: Parameter, *default: Any) -> Any:
        """Takes out the state of a parameter, which begins anew; as ``dict.pop``."""
        if parameter not in self._slots and default:
            return default[0]
        found = dict(self[parameter])
        del self[parameter]
        return found

    def clear(self) -> None:
        """Takes out all, so that every state begins anew."""
        self._drop(list(self._slots))
        self._slots.clear()

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

"""The slots that hold the state of each parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from jax.core import Tracer

from fnn.nn.parameter import Parameter
from fnn.stateful.boxes import Box


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

"""The boxes and cells of the objects found, in a fixed order, and the key of their structure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from fnn.stateful.boxes import Box, Cell, OptionalBox
from fnn.stateful.donation import Bank
from fnn.stateful.protocol import Stateful, walk
from fnn.stateful.structure import structure
from fnn.stateful.tracing import setting
from fnn.transforms.jit.programs import Program
from fnn.transforms.jit.search import same_objects

_ONLY_NONE = {type(None)}


class Split(NamedTuple):
    """The boxes that a program deals with; holding the program keeps its ``id`` its own."""

    program: Program
    donated: list[Box]
    kept: list[Box]
    written: list[Box]
    cleared: list[Box]
    bank: Bank | None  # of the donated boxes, if the same ones are written


class Gathered:
    """The boxes and cells of a set of roots, in a fixed order, and the key of their structure."""

    def __init__(self, roots: Sequence[Any]) -> None:
        self.number: int = -1
        self._banks: dict[tuple[int, ...], Bank] = {}
        self.roots: list[Any] = list(roots)
        self.objects: list[Stateful] = list(walk(r for r in roots if isinstance(r, Stateful)))
        self.undo: list[Callable[[], None]] = [
            undo for obj in self.objects if (undo := obj._stateful_prepare_()) is not None
        ]
        self.version: int = structure.version
        boxes: dict[int, Box] = {}
        positions = {id(obj): -1 - i for i, obj in enumerate(self.objects)}
        layout: list[Any] = []
        for obj in self.objects:
            mine = list(obj._stateful_boxes_())
            for box in mine:
                boxes.setdefault(id(box), box)
            layout.append(([positions[id(c)] for c in obj._stateful_children_()], [id(box) for box in mine]))
        for root in roots:
            if isinstance(root, Box):
                boxes.setdefault(id(root), root)
                grad = getattr(root, "_grad", None)
                if isinstance(grad, Box):
                    boxes.setdefault(id(grad), grad)
        positions.update((key, i) for i, key in enumerate(boxes))
        self.boxes: list[Box] = list(boxes.values())
        self.optional: list[OptionalBox] = [box for box in self.boxes if isinstance(box, OptionalBox)]
        self.cells: list[Cell] = [cell for obj in self.objects for cell in obj._stateful_cells_()]
        self.statics: tuple[Hashable, ...] = self.static_keys()
        self.key: Hashable = (
            self.statics,
            tuple((tuple(children), tuple(positions[b] for b in mine)) for children, mine in layout),
            tuple(_box_key(box) for box in self.boxes),
            tuple(positions[id(root)] for root in roots),
        )
        self._cell_wide: bool | None = None
        self._last_values: list[Any] = []
        self._cell_numbers: tuple[Any, ...] = ()
        self._cell_inputs: tuple[tuple[Any, ...], list[Any], Any] = (), [], None
        self._splits: dict[int, Split] = {}
        self._optional_key: Hashable = None
        self._optional_version = -1

    def split(self, program: Program) -> Split:
        """The boxes whose content a program takes over, those that it only reads, and those that it fills."""
        found = self._splits.get(id(program))
        if found is None:
            donated = [self.boxes[i] for i in program.donated]
            found = self._splits[id(program)] = Split(
                program,
                donated,
                [self.boxes[i] for i in program.kept],
                [self.boxes[i] for i in program.written] + program.new_boxes,
                [self.boxes[i] for i in program.cleared],
                self._bank(donated) if program.written == program.donated and not program.new_boxes else None,
            )
        return found

    def _bank(self, boxes: list[Box]) -> Bank:
        """The bank of these boxes, one for all programs that write the same ones."""
        key = tuple(map(id, boxes))
        bank = self._banks.get(key)
        if bank is None:
            bank = self._banks[key] = Bank(boxes)
        return bank

    def __del__(self) -> None:
        for bank in self._banks.values():
            bank.close()

    def optional_key(self) -> Hashable:
        """Which of the boxes that may be empty are, and the structure of what the others hold."""
        if self._optional_version != structure.optional:
            contents = [box._data for box in self.optional]
            only_none = {*map(type, contents)} == _ONLY_NONE
            self._optional_key = None if only_none else tuple([box.key() for box in self.optional])
            self._optional_version = structure.optional
        return self._optional_key

    def static_keys(self) -> tuple[Hashable, ...]:
        return tuple((type(obj), obj._stateful_key_()) for obj in self.objects)

    def cell_inputs(self) -> tuple[tuple[Any, ...], list[Any], Any]:
        """The cells' values: their types, those that are arrays, and the Python numbers as one array, kept while equal."""
        if not self.cells:
            return (), [], None
        values = [cell.get() for cell in self.cells]
        wide = setting("jax_enable_x64")
        if wide is not self._cell_wide or not same_objects(values, self._last_values):
            kinds = tuple(int if type(v) is int else float if isinstance(v, float) else None for v in values)
            numbers = tuple(v for v, kind in zip(values, kinds, strict=True) if kind is not None)
            packed = self._cell_inputs[2]
            if wide is not self._cell_wide or numbers != self._cell_numbers:
                packed = jax.device_put(np.array(numbers, np.float64 if wide else np.float32))
            arrays = [v for v, kind in zip(values, kinds, strict=True) if kind is None]
            self._cell_wide, self._last_values, self._cell_numbers = wide, values, numbers
            self._cell_inputs = kinds, arrays, packed
        return self._cell_inputs


def _box_key(box: Box) -> Hashable:
    if isinstance(box, OptionalBox):
        return None
    return box._data.shape, box._data.dtype, getattr(box, "_requires_grad", None)


def cell_values_of(kinds: tuple[Any, ...], arrays: list[Any], numbers: Any) -> list[Any]:
    rest = iter(arrays)
    values, i = [], 0
    for kind in kinds:
        if kind is None:
            values.append(next(rest))
        else:
            values.append(numbers[i] if kind is float else numbers[i].astype(int))
            i += 1
    return values

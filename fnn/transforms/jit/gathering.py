"""The boxes and cells of the objects found, in a fixed order, and the key of their structure."""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from operator import setitem
from typing import Any, NamedTuple

import jax
import numpy as np

from fnn.nn.modules.module import Module
from fnn.random.generator import Generator, advanced
from fnn.stateful.boxes import Box, Cell, ElementCell, OptionalBox
from fnn.stateful.donation import Bank, BankEntry, Target
from fnn.stateful.protocol import Stateful, walk
from fnn.stateful.scopes import current_scopes
from fnn.stateful.structure import structure
from fnn.stateful.tracing import setting
from fnn.transforms.jit.programs import Program
from fnn.transforms.jit.search import WeakList, same_objects

_ONLY_NONE = {type(None)}


class Split(NamedTuple):
    """The boxes that a program deals with; holding the program keeps its ``id`` its own."""

    program: Program
    bank: Bank
    kept: list[Box]
    filled: list[Box]
    cleared: list[Box]
    targets: list[Target]  # of what the program computes: after the bank's contents and the output, boxes and cells,
    elements: list[ElementCell]  # cells in a tuple or list,
    last: list[Target]  # and places in containers
    drawn: list[Box]  # states of generators, on the host,
    draws: tuple[int, ...]  # and how often the program draws from each
    constant: list[Target]  # of those states, and of the boxes that become empty

    def advanced(self) -> list[Any]:
        """The states of the generators after the program."""
        return [advanced(box._data, count) for box, count in zip(self.drawn, self.draws, strict=True)]

    def enter(self) -> list[BankEntry]:
        """The places in banks that boxes leave which get arrays of another type; to be called before they do."""
        boxes = (*self.filled, *self.cleared, *self.drawn)
        entries = [box._content for box in boxes if type(box._content) is BankEntry]
        for entry in entries:
            entry.bank.settle()
            entry.bank.whole = False
        return entries


class Gathered:
    """The boxes and cells of a set of roots, in a fixed order, and the key of their structure.

    The objects themselves are held weakly, lest a compiled function keep a dropped model alive.

    Args:
        roots: the objects and boxes found.
        extra: those among them that a call brings with it, which may be others at the next.
        names: the names in the code that may run.
        dropped: called when one of them is gone.
    """

    def __init__(
        self, roots: Sequence[Any], extra: Sequence[Any], names: frozenset[str], dropped: Callable[[], None]
    ) -> None:
        self.number: int = -1
        self.extra: list[int] = list(map(id, extra))
        self._banks: dict[tuple[int, ...], Bank] = {}
        self.roots: WeakList = WeakList(roots, dropped)
        objects = list(walk(r for r in roots if isinstance(r, Stateful)))
        self.undo: list[Callable[[], None]] = [
            undo for obj in objects if (undo := obj._stateful_prepare_()) is not None
        ]
        self.version: int = structure.version
        boxes: dict[int, Box] = {}
        positions = {id(obj): -1 - i for i, obj in enumerate(objects)}
        layout: list[Any] = []
        for obj in objects:
            mine = list(obj._stateful_boxes_())
            for box in mine:
                boxes.setdefault(id(box), box)
            layout.append(([positions[id(c)] for c in obj._stateful_children_()], [id(box) for box in mine]))
        for root in roots:
            if isinstance(root, Box):
                root = root.home
                boxes.setdefault(id(root), root)
                grad = getattr(root, "_grad", None)
                if isinstance(grad, Box):
                    boxes.setdefault(id(grad), grad)
        positions.update((key, i) for i, key in enumerate(boxes))
        self.boxes: list[Box] = list(boxes.values())
        self.optional: list[OptionalBox] = [box for box in self.boxes if isinstance(box, OptionalBox)]
        self.generators: list[int] = [
            i for obj in objects if isinstance(obj, Generator) for i in (positions[id(obj._box)],)
        ]
        self.cells: list[Cell] = [cell for obj in objects for cell in obj._stateful_cells_()]
        self._names = names
        self.statics: tuple[tuple[type, Hashable], ...] = static_keys(objects, names)
        self.key: Hashable = (
            self.statics,
            tuple((tuple(children), tuple(positions[b] for b in mine)) for children, mine in layout),
            tuple(map(_box_key, self.boxes)),
            tuple(_root_key(root, positions) for root in roots),
        )
        self._cell_wide: bool | None = None
        self._cells_written: Mapping[int, Any] | None = None
        self._last_values: list[Any] = []
        self._cell_numbers: tuple[Any, ...] = ()
        self._cell_inputs: tuple[tuple[Any, ...], list[Any], Any] = (), [], None
        self._splits: dict[int, Split] = {}
        self._optional_key: Hashable = None
        self._optional_version = -1

    def changed(self) -> bool:
        """Whether anything in the objects is other than it was, besides arrays and cells."""
        return static_keys(self.objects(), self._names) != self.statics

    def changes(self) -> list[str]:
        """The attributes that are other than they were, in words."""
        found: list[str] = []
        paths: dict[int, tuple[Any, str]] = {}
        for root in self.roots.values():
            if isinstance(root, Module):
                for path, module in root.named_modules():
                    paths.setdefault(id(module), (root, path))
        for obj, static in zip(self.objects(), self.statics, strict=False):
            old = static[1]
            new = obj._stateful_key_for_(self._names)
            if isinstance(old, tuple) and isinstance(new, tuple) and old and new and isinstance(old[0], tuple):
                before = dict(part for part in old[0] if isinstance(part, tuple) and len(part) == 2)
                now = [part for part in new[0] if isinstance(part, tuple) and len(part) == 2]
                root, path = paths.get(id(obj), (obj, ""))
                parts = [type(root).__name__, *([path] if path else [])]
                found += [".".join([*parts, name]) for name, key in now if before.get(name) != key]
        return list(dict.fromkeys(found))

    def objects(self) -> list[Stateful]:
        """The objects that can be reached from the roots."""
        return list(walk(r for r in self.roots.values() if isinstance(r, Stateful)))

    def split(self, program: Program) -> Split:
        """The boxes whose content a program takes over, those that it only reads, and those that it fills."""
        found = self._splits.get(id(program))
        if found is None:
            filled = [self.boxes[i] for i in program.filled] + program.new_boxes
            cleared = [self.boxes[i] for i in program.cleared]
            drawn = [self.boxes[i] for i in program.draws]
            cells = [self.cells[i] for i in program.cells]
            whole = [cell for cell in cells if not isinstance(cell, ElementCell)]
            targets = [box.publication() for box in filled]
            targets += [(dict.__setitem__, cell.container, cell.key) for cell in whole]
            found = self._splits[id(program)] = Split(
                program,
                self._bank([self.boxes[i] for i in program.donated]),
                [self.boxes[i] for i in program.kept],
                filled,
                cleared,
                targets,
                [cell for cell in cells if isinstance(cell, ElementCell)],
                list(program.new_values),
                drawn,
                tuple(program.draws.values()),
                [box.publication() for box in (*drawn, *cleared)],
            )
        return found

    def _bank(self, boxes: list[Box]) -> Bank:
        """The bank of these boxes, one for all programs that write the same ones."""
        key = tuple(map(id, boxes))
        bank = self._banks.get(key)
        if bank is None:
            bank = self._banks[key] = Bank(boxes)
        return bank

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if not is_finalizing():
            for bank in getattr(self, "_banks", {}).values():
                bank.abandon()

    def optional_key(self) -> Hashable:
        """Which of the boxes that may be empty are, and the structure of what the others hold."""
        if self._optional_version != structure.optional or current_scopes():
            version = structure.optional
            contents = [box._data for box in self.optional]
            only_none = {*map(type, contents)} == _ONLY_NONE
            self._optional_key = None if only_none else tuple([box.key() for box in self.optional])
            self._optional_version = -1 if current_scopes() else version
        return self._optional_key

    def cell_inputs(self, written: Mapping[int, Any]) -> tuple[tuple[Any, ...], list[Any], Any]:
        """The cells' values: their types, those that are arrays, and the Python numbers as one array, kept while equal.

        Args:
            written: the positions of the cells that programs write, with the dtypes that they give them. A Python number there is
                made the array that it will be after the call, so that one program serves both.
        """
        if not self.cells:
            return (), [], None
        values = [cell.get() for cell in self.cells]
        wide = setting("jax_enable_x64")
        same = wide is self._cell_wide and written is self._cells_written
        if not same or not same_objects(values, self._last_values):
            given = list(values)
            kinds = [_kind(value, cell.real) for value, cell in zip(values, self.cells, strict=True)]
            for i, dtype in written.items():
                if kinds[i] is not None:
                    given[i], kinds[i] = jax.device_put(np.asarray(values[i], dtype)), None
            numbers = tuple(v for v, kind in zip(values, kinds, strict=True) if kind is not None)
            packed = self._cell_inputs[2]
            if not same or numbers != self._cell_numbers:
                packed = jax.device_put(np.array(numbers, np.float64 if wide else np.float32))
            arrays = [v for v, kind in zip(given, kinds, strict=True) if kind is None]
            kinds = tuple(kinds)
            if current_scopes():  # traced values perhaps, and not to be kept
                return kinds, arrays, packed
            self._cell_wide, self._cells_written = wide, written
            self._last_values, self._cell_numbers = values, numbers
            self._cell_inputs = kinds, arrays, packed
        return self._cell_inputs


def static_keys(objects: Iterable[Stateful], names: frozenset[str]) -> tuple[tuple[type, Hashable], ...]:
    """What a trace depends on in some objects besides arrays and cells; ``names`` are those in the code that may run."""
    return tuple((type(obj), obj._stateful_key_for_(names)) for obj in objects)


def _kind(value: Any, real: bool) -> type | None:
    """As what the value of a cell goes in: as a number, or as the array that it is."""
    if type(value) is int:
        return float if real else int
    return float if isinstance(value, float | np.floating) else None


def _root_key(root: Any, positions: Mapping[int, int]) -> Hashable:
    return (positions[id(root.home)], root.part) if isinstance(root, Box) else positions[id(root)]


def _box_key(box: Box) -> Hashable:
    if isinstance(box, OptionalBox):
        return None
    data = box._data
    place = getattr(data, "sharding", None)
    spread = place is not None and place.num_devices > 1
    return data.shape, data.dtype, getattr(box, "_requires_grad", None), place if spread else None


def cell_values_of(kinds: tuple[Any, ...], arrays: list[Any], numbers: Any) -> list[Any]:
    """The inverse of ``cell_inputs``, for traced arrays and numbers."""
    rest = iter(arrays)
    values, i = [], 0
    for kind in kinds:
        if kind is None:
            values.append(next(rest))
        else:
            values.append(numbers[i] if kind is float else numbers[i].astype(int))
            i += 1
    return values


def element_targets(cells: Sequence[ElementCell]) -> tuple[list[Target], list[Target], list[list[Any]], list[type]]:
    """How cells that are elements of a tuple or list are published: into copies first, and then the copies as a whole.

    Returns:
        the targets of the elements, those of the whole, the copies, and the types that these are to have.
    """
    copies: dict[Hashable, tuple[ElementCell, list[Any]]] = {}
    parts: list[Target] = []
    for cell in cells:
        _, copy = copies.setdefault(cell.place(), (cell, list(cell.content())))
        parts.append((setitem, copy, cell.index))
    whole = [(dict.__setitem__, cell.container, cell.key) for cell, _ in copies.values()]
    return parts, whole, [copy for _, copy in copies.values()], [type(cell.content()) for cell, _ in copies.values()]

"""The state of many small parameters kept as one array per field, so that a step takes and returns few arrays.

Passing an array in and out of a compiled program costs the host about as much as copying a few thousand numbers. Rules
that work on each number by itself are therefore applied to small parameters end to end, as if they were one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from fnn.nn.parameter import Parameter
from fnn.optim._slots import Slot
from fnn.stateful.boxes import Box
from fnn.stateful.structure import structure_changed

LARGEST = 4096  # numbers in a parameter that is packed
FEWEST = 2  # parameters in a pack


@partial(jax.jit, static_argnames="shape")
def _share(flat: jax.Array, start: Any, shape: tuple[int, ...]) -> jax.Array:
    return lax.dynamic_slice(flat, (start,), (prod(shape),)).reshape(shape)


def _end_to_end(values: Sequence[Any]) -> jax.Array:
    """One array of all numbers of some; of concrete arrays by numpy, which compiles nothing."""
    if any(isinstance(v, Tracer) for v in values):
        return jnp.concatenate([jnp.ravel(v) for v in values])
    flat = np.concatenate([np.ravel(np.asarray(v)) for v in values])
    return jax.device_put(flat, values[0].sharding) if values[0].committed else jnp.asarray(flat)


class Pack:
    """The arrays of some slots, those of one name end to end in one box."""

    __slots__ = ("boxes", "dtype", "shapes", "slots", "starts")

    def __init__(self, members: Sequence[tuple[Slot, tuple[int, ...]]], dtype: Any) -> None:
        self.slots = [slot for slot, _ in members]
        self.shapes = [shape for _, shape in members]
        self.dtype = dtype  # of the parameters
        self.starts = np.cumsum([0, *map(prod, self.shapes)]).tolist()
        self.boxes: dict[str, Box] = {}
        for name, box in self.slots[0].arrays.items():
            self.boxes[name] = Box(_end_to_end([slot.arrays[name].data for slot in self.slots]), box._label)
        for i, slot in enumerate(self.slots):
            slot.arrays = {name: Part(self, name, i) for name in self.boxes}

    def parts(self, flat: jax.Array) -> list[jax.Array]:
        """The shares of the slots of an array in the layout of the boxes."""
        starts = zip(self.starts, self.starts[1:], self.shapes, strict=False)
        return [lax.slice(flat, (start,), (stop,)).reshape(shape) for start, stop, shape in starts]

    def dissolve(self) -> None:
        """Gives every slot boxes of its own."""
        for slot in self.slots:
            slot.arrays = {name: Box(part.data, self.boxes[name]._label) for name, part in slot.arrays.items()}
        structure_changed()

    def divide(self, chosen: set[int]) -> None:
        """Makes a pack of the slots whose ``id`` is among those given, and one of the others."""
        of = list(zip(self.slots, self.shapes, strict=True))
        self.dissolve()
        for inside in (True, False):
            some = [(slot, shape) for slot, shape in of if (id(slot) in chosen) == inside]
            if len(some) >= FEWEST:
                Pack(some, self.dtype)


class Part:
    """One parameter's share of an array of a pack: what its slot holds in the place of a box."""

    __slots__ = ("index", "name", "pack")

    def __init__(self, pack: Pack, name: str, index: int) -> None:
        self.pack = pack
        self.name = name
        self.index = index

    @property
    def data(self) -> jax.Array:
        """The share, as an array of its own."""
        return _share(self.pack.boxes[self.name].data, self.pack.starts[self.index], self.pack.shapes[self.index])


def _part_of(slot: Slot) -> Part | None:
    """One of the parts that a slot holds; ``None`` if it has boxes of its own, or nothing."""
    held = next(iter(slot.arrays.values()), None)
    return held if isinstance(held, Part) else None


def pack_of(slot: Slot) -> Pack | None:
    """The pack that holds the arrays of a slot, if one does."""
    part = _part_of(slot)
    return None if part is None else part.pack


def packs_of(slots: Iterable[Slot]) -> list[Pack]:
    """The packs that hold arrays of some slots, each once."""
    return list({id(pack): pack for slot in slots if (pack := pack_of(slot)) is not None}.values())


def _devices(array: Any) -> int:
    """How many devices an array lies on; 0 if it is traced."""
    return len(array.sharding.device_set) if isinstance(array, jax.Array) and not isinstance(array, Tracer) else 0


def pack_small(slots: dict[Parameter, Slot]) -> None:
    """Packs those of these slots, none of them in a pack, whose small parameters have cohort, dtypes and device in common."""
    alike: dict[Any, list[tuple[Slot, tuple[int, ...]]]] = {}
    for parameter, slot in slots.items():
        arrays = {name: box.data for name, box in slot.arrays.items()}
        held = [parameter._data, *arrays.values()]
        if not arrays or {*map(_devices, held)} != {1}:
            continue
        if 0 < parameter.data.size <= LARGEST and all(a.shape == parameter.shape for a in held):
            fields = tuple((name, array.dtype, array.sharding, array.committed) for name, array in arrays.items())
            key = (id(slot.cohort), parameter.dtype, parameter._data.sharding, fields)
            alike.setdefault(key, []).append((slot, parameter.shape))
    for (_, dtype, *_), some in alike.items():
        if len(some) >= FEWEST:
            Pack(some, dtype)


def unpack_scattered(slots: dict[Parameter, Slot]) -> None:
    """Dissolves the packs of parameters that have come to lie on several devices."""
    for pack in packs_of(slot for parameter, slot in slots.items() if _devices(parameter._data) > 1):
        pack.dissolve()


def separate(slots: Iterable[Slot]) -> None:
    """Divides each pack that holds some of these slots and others besides."""
    slots = list(slots)
    chosen = set(map(id, slots))
    for pack in packs_of(slots):
        if not chosen.issuperset(map(id, pack.slots)):
            pack.divide(chosen)


class Unit:
    """What a rule sees as one parameter: a parameter, or those of a pack end to end."""

    __slots__ = ("_pack", "_places", "_slot")

    def __init__(self, places: list[int], slot: Slot, pack: Pack | None) -> None:
        self._places = places
        self._slot = slot
        self._pack = pack

    def join(self, values: Sequence[Any]) -> Any:
        """The array of the unit, of one value for each parameter."""
        if self._pack is None:
            return values[self._places[0]]
        return _end_to_end([values[i] for i in self._places])

    def part(self, value: Any, into: list[Any]) -> None:
        """The inverse of ``join``."""
        parts = [value] if self._pack is None else self._pack.parts(value)
        for i, part in zip(self._places, parts, strict=True):
            into[i] = part

    def box(self, name: str) -> Box:
        """The box of the state of that name."""
        return self._slot.arrays[name] if self._pack is None else self._pack.boxes[name]


def units(parameters: Sequence[Parameter], slots: Sequence[Slot], grads: Sequence[Any]) -> list[Unit]:
    """The units of some parameters that step together; packs that their gradients do not fit are divided first."""

    def misfit(parameter: Parameter, slot: Slot, grad: Any) -> bool:
        part = _part_of(slot)
        if part is None:
            return False
        expected = part.pack.shapes[part.index], part.pack.dtype
        return any(not isinstance(a, jax.Array) or (a.shape, a.dtype) != expected for a in (parameter.data, grad))

    alone = [s for p, s, g in zip(parameters, slots, grads, strict=True) if misfit(p, s, g)]
    separate(alone)
    for pack in packs_of(alone):
        pack.dissolve()
    separate(slots)
    place = {id(slot): i for i, slot in enumerate(slots)}
    singles = [Unit([i], slot, None) for i, slot in enumerate(slots) if pack_of(slot) is None]
    return singles + [Unit([place[id(s)] for s in pack.slots], pack.slots[0], pack) for pack in packs_of(slots)]

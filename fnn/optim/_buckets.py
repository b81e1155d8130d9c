"""Buckets: the state of many small parameters as one array a field, so that a step takes and returns few arrays.

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
from fnn.nn.placement import beside, everywhere
from fnn.optim._slots import Slot
from fnn.stateful.boxes import Box
from fnn.stateful.structure import structure_changed

LARGEST = 4096  # numbers in a parameter that goes into a bucket
FEWEST = 2  # parameters in a bucket


@partial(jax.jit, static_argnames="shape")
def _view(flat: jax.Array, start: Any, shape: tuple[int, ...]) -> jax.Array:
    return lax.dynamic_slice(flat, (start,), (prod(shape),)).reshape(shape)


def _end_to_end(values: Sequence[Any]) -> jax.Array:
    """One array of all numbers of some; of concrete arrays by numpy, which compiles nothing."""
    if any(isinstance(v, Tracer) for v in values):
        return jnp.concatenate([jnp.ravel(v) for v in values])
    flat = np.concatenate([np.ravel(np.asarray(v)) for v in values])
    return jax.device_put(flat, values[0].sharding) if values[0].committed else jnp.asarray(flat)


class Bucket:
    """The arrays of some slots, those of one name end to end in one box."""

    __slots__ = ("boxes", "dtype", "shapes", "slots", "starts")

    def __init__(self, members: Sequence[tuple[Slot, tuple[int, ...]]], dtype: Any) -> None:
        self.slots = [slot for slot, _ in members]
        self.shapes = [shape for _, shape in members]
        self.dtype = dtype  # of the parameters
        self.starts: list[int] = np.cumsum([0, *map(prod, self.shapes)]).tolist()
        self.boxes: dict[str, Box] = {}
        for name, box in self.slots[0].arrays.items():
            self.boxes[name] = Box(_end_to_end([slot.arrays[name].data for slot in self.slots]), box._label)
        for i, slot in enumerate(self.slots):
            slot.arrays = {name: BucketView(self, name, i) for name in self.boxes}

    def cut(self, flat: jax.Array) -> list[jax.Array]:
        """An array in the layout of the boxes as one array for each slot."""
        starts = zip(self.starts, self.starts[1:], self.shapes, strict=False)
        return [lax.slice(flat, (start,), (stop,)).reshape(shape) for start, stop, shape in starts]

    def dissolve(self) -> None:
        """Gives every slot boxes of its own."""
        for slot in self.slots:
            slot.arrays = {name: Box(view.data, self.boxes[name]._label) for name, view in slot.arrays.items()}
        structure_changed()

    def divide(self, chosen: set[int]) -> None:
        """Makes a bucket of the slots whose ``id`` is among those given, and one of the others."""
        of = list(zip(self.slots, self.shapes, strict=True))
        self.dissolve()
        for inside in (True, False):
            some = [(slot, shape) for slot, shape in of if (id(slot) in chosen) == inside]
            if len(some) >= FEWEST:
                Bucket(some, self.dtype)


class BucketView:
    """One parameter's share of an array of a bucket: what its slot holds in the place of a box."""

    __slots__ = ("bucket", "index", "name")

    def __init__(self, bucket: Bucket, name: str, index: int) -> None:
        self.bucket = bucket
        self.name = name
        self.index = index

    @property
    def data(self) -> jax.Array:
        """The share, as an array of its own."""
        bucket = self.bucket
        return _view(bucket.boxes[self.name].data, bucket.starts[self.index], bucket.shapes[self.index])


def _view_of(slot: Slot) -> BucketView | None:
    """One of the views that a slot holds; ``None`` if it has boxes of its own, or nothing."""
    held = next(iter(slot.arrays.values()), None)
    return held if isinstance(held, BucketView) else None


def bucket_of(slot: Slot) -> Bucket | None:
    """The bucket that holds the arrays of a slot, if one does."""
    view = _view_of(slot)
    return None if view is None else view.bucket


def buckets_of(slots: Iterable[Slot]) -> list[Bucket]:
    """The buckets that hold arrays of some slots, each once."""
    return list({id(bucket): bucket for slot in slots if (bucket := bucket_of(slot)) is not None}.values())


def _devices(array: Any) -> int:
    """How many devices an array lies on; 0 if it is traced."""
    return len(array.sharding.device_set) if isinstance(array, jax.Array) and not isinstance(array, Tracer) else 0


def fill_buckets(slots: dict[Parameter, Slot]) -> None:
    """Puts the small ones among these slots, none of them in a bucket, together where shared state, dtypes and device agree."""
    alike: dict[Any, list[tuple[Slot, tuple[int, ...]]]] = {}
    for parameter, slot in slots.items():
        arrays = {name: box.data for name, box in slot.arrays.items()}
        held = [parameter._data, *arrays.values()]
        if not arrays or {*map(_devices, held)} != {1}:
            continue
        if 0 < parameter.data.size <= LARGEST and all(a.shape == parameter.shape for a in held):
            fields = tuple((name, array.dtype, array.sharding, array.committed) for name, array in arrays.items())
            key = (id(slot.shared), parameter.dtype, parameter._data.sharding, fields)
            alike.setdefault(key, []).append((slot, parameter.shape))
    for (_, dtype, *_), some in alike.items():
        if len(some) >= FEWEST:
            Bucket(some, dtype)


def _lies_elsewhere(parameter: Parameter, box: Box) -> bool:
    """Whether state of a parameter lies on other devices, or is spread over them in another way."""
    home, array = parameter._data, box._data
    if any(isinstance(a, Tracer) or not isinstance(a, jax.Array) for a in (home, array)):
        return False
    return home.sharding.device_set != array.sharding.device_set or (
        _devices(home) > 1 and array.shape == home.shape and array.sharding != home.sharding
    )


def follow(slots: dict[Parameter, Slot]) -> None:
    """Brings the state after parameters that were moved; buckets of such parameters are dissolved."""
    moved: list[Slot] = []
    for parameter, slot in slots.items():
        bucket = bucket_of(slot)
        if bucket is not None and any(_lies_elsewhere(parameter, box) for box in bucket.boxes.values()):
            moved.append(slot)
    for bucket in buckets_of(moved):
        bucket.dissolve()
    for parameter, slot in slots.items():
        for box in slot.shared.boxes.values():
            if box.peek().ndim == 0 and _lies_elsewhere(parameter, box):
                box.write(everywhere(box.peek(), parameter.peek()))
        if bucket_of(slot) is None:
            for box in slot.arrays.values():
                if box.peek().shape == parameter.shape and _lies_elsewhere(parameter, box):
                    box.write(beside(box.peek(), parameter.peek()))


def separate(slots: Iterable[Slot]) -> None:
    """Divides each bucket that holds some of these slots and others besides."""
    slots = list(slots)
    chosen = set(map(id, slots))
    for bucket in buckets_of(slots):
        if not chosen.issuperset(map(id, bucket.slots)):
            bucket.divide(chosen)


class Leaf:
    """What a rule sees as one array: a parameter, or those of a bucket end to end."""

    __slots__ = ("_bucket", "_places", "_slot")

    def __init__(self, places: list[int], slot: Slot, bucket: Bucket | None) -> None:
        self._places = places
        self._slot = slot
        self._bucket = bucket

    def join(self, values: Sequence[Any]) -> Any:
        """The array of the leaf, of one value for each parameter."""
        if self._bucket is None:
            return values[self._places[0]]
        return _end_to_end([values[i] for i in self._places])

    def cut(self, value: Any, into: list[Any]) -> None:
        """The inverse of ``join``."""
        values = [value] if self._bucket is None else self._bucket.cut(value)
        for i, own in zip(self._places, values, strict=True):
            into[i] = own

    def box(self, name: str) -> Box:
        """The box of the state of that name."""
        return self._slot.arrays[name] if self._bucket is None else self._bucket.boxes[name]


def leaves(parameters: Sequence[Parameter], slots: Sequence[Slot], grads: Sequence[Any]) -> list[Leaf]:
    """The leaves of some parameters that step together; buckets that their gradients do not fit are divided first."""

    def misfit(parameter: Parameter, slot: Slot, grad: Any) -> bool:
        view = _view_of(slot)
        if view is None:
            return False
        expected = view.bucket.shapes[view.index], view.bucket.dtype
        return any(not isinstance(a, jax.Array) or (a.shape, a.dtype) != expected for a in (parameter.data, grad))

    alone = [s for p, s, g in zip(parameters, slots, grads, strict=True) if misfit(p, s, g)]
    separate(alone)
    for bucket in buckets_of(alone):
        bucket.dissolve()
    separate(slots)
    place = {id(slot): i for i, slot in enumerate(slots)}
    singles = [Leaf([i], slot, None) for i, slot in enumerate(slots) if bucket_of(slot) is None]
    joined = [Leaf([place[id(s)] for s in bucket.slots], bucket.slots[0], bucket) for bucket in buckets_of(slots)]
    return singles + joined

"""Where batches go: a device, or a sharding of this process or of several."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from fnn.functional.checks import fail
from fnn.nn.placement import Device, parse_device

__all__ = ["Placing"]


class Placing:
    """Puts batches on a device or sharding.

    ``parts`` is into how many parts a sharding splits the rows, ``own`` which of them this process reads; ``whole`` tells whether
    these are all.

    Raises:
        TypeError: if the device or sharding is none.
        ValueError: if a sharding over several processes is no ``NamedSharding``.
    """

    def __init__(self, device: Device, sharding: jax.sharding.Sharding | None) -> None:
        if sharding is not None and not isinstance(sharding, jax.sharding.Sharding):
            fail(TypeError, "DataLoader", "sharding", "a jax.sharding.Sharding", sharding)
        if sharding is not None and device is not None:
            fail(ValueError, "DataLoader", "device", "None where sharding is given", str(device))
        self.place: Any = sharding if sharding is not None else parse_device(device)
        self.parts: int = 1
        self.own: tuple[int, ...] = (0,)
        if isinstance(self.place, NamedSharding):
            axes = PartitionSpec(*self.place.spec[:1])
            sizes = [self.place.mesh.shape[name] for name in _names(axes)]
            self.parts = int(np.prod(sizes, dtype=np.int64))
            slices = NamedSharding(self.place.mesh, axes).addressable_devices_indices_map((self.parts,))
            self.own = tuple(sorted({(index[0].start or 0) for index in slices.values() if index}))
        elif isinstance(self.place, jax.sharding.Sharding) and not self.place.is_fully_addressable:
            fail(ValueError, "DataLoader", "sharding", "a NamedSharding where it spans several processes", self.place)
        self.whole: bool = not isinstance(self.place, jax.sharding.Sharding) or self.place.is_fully_addressable

    def check(self, size: int, what: str) -> None:
        """Raises ValueError unless a number of rows can be split."""
        if size % self.parts:
            expected = (
                f"such that {what} can be split into the {self.parts} parts of sharding (drop_last or pad_last helps)"
            )
            fail(ValueError, "DataLoader", "batch_size", expected, size)

    def own_rows(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Of the rows of a batch those that this process reads."""
        if self.whole:
            return rows
        return rows.reshape(self.parts, -1)[list(self.own)].reshape(-1)

    def put(self, batch: Any) -> Any:
        """The arrays of a batch, of which this process has its own rows, where they belong; other things as they are."""
        return jax.tree.map(self._put, batch)

    def _put(self, leaf: Any) -> Any:
        if isinstance(leaf, np.generic | bool | int | float):
            leaf = np.asarray(leaf)
        if not isinstance(leaf, np.ndarray | jax.Array) or leaf.dtype.kind in "OSUMm":
            return leaf
        if self.whole:
            return jax.device_put(leaf, self.place)
        length = len(leaf) // len(self.own)

        def part(index: Any) -> Any:
            first = self.own.index((index[0].start or 0) // length) * length
            return leaf[first : first + length][(slice(None), *index[1:])]

        return jax.make_array_from_callback((length * self.parts, *leaf.shape[1:]), self.place, part)


def _names(spec: PartitionSpec) -> tuple[Any, ...]:
    first = spec[0] if len(spec) else None
    return first if isinstance(first, tuple) else () if first is None else (first,)

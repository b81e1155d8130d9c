"""Which arrays may be donated, and the bank that holds the contents of many boxes as one list."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

if TYPE_CHECKING:
    from fnn.stateful.boxes import Box


class _Holder:
    __slots__ = ("_data",)


def _calibrate() -> tuple[int, int]:
    """The reference counts of an array that a list alone holds, and of one that a box and a list hold."""
    holder = _Holder()
    holder._data = np.empty(0)
    return max(map(sys.getrefcount, [np.empty(0)])), max(map(sys.getrefcount, [holder._data]))


BY_LIST, BY_BOX_AND_LIST = _calibrate()


def donatable(arrays: list[Any], references: int = BY_BOX_AND_LIST) -> list[Any]:
    """The list with a copy in place of each array that somebody besides its box and this list holds.

    Donating an array deletes it, so one that the user keeps (``old = p.data``) must not be donated; nor one that two
    boxes share. The arrays must be held by their boxes and by ``arrays`` alone at the time of the call.
    """
    if max(map(sys.getrefcount, arrays), default=0) <= references:
        return arrays
    counts = list(map(sys.getrefcount, arrays))
    return [
        array.copy() if count > references and isinstance(array, jax.Array) else array
        for array, count in zip(arrays, counts, strict=True)
    ]


def held_elsewhere(arrays: list[Any]) -> bool:
    """Whether somebody besides this list holds one of its arrays."""
    return max(map(sys.getrefcount, arrays), default=0) > BY_LIST


_LOSSES = 4


class Bank:
    """The contents of many boxes as one list, which a compiled program takes and gives back whole, call after call.

    While nobody looks into the boxes or writes to them, no work is done per box. A box that is written to leaves the
    bank, and the next call has to read all boxes and fill the bank again; where that keeps happening the bank closes,
    and the boxes hold their arrays themselves.

    Args:
        boxes: the boxes, in the order of the program's arguments.
    """

    __slots__ = ("arrays", "boxes", "entries", "losses", "seen", "whole")

    def __init__(self, boxes: list[Box]) -> None:
        self.boxes: list[Box] = boxes
        self.entries: list[BankEntry] = [BankEntry(self, i) for i in range(len(boxes))]
        self.arrays: list[Any] = [None] * len(boxes)
        self.whole: bool = False  # every box has its content here
        self.seen: bool = False  # somebody may have got hold of an array
        self.losses: int = 0  # how much more often than not it was found not to be whole

    def take(self) -> list[Any]:
        """The arrays, to be donated: copies of those that somebody else holds."""
        if not self.whole:
            self.losses += 1
            return donatable([box._data for box in self.boxes])
        self.losses = max(self.losses - 1, 0)
        return donatable(self.arrays, BY_LIST) if self.seen else self.arrays

    def put(self, arrays: list[Any], shared: bool = False) -> None:
        """Gives every box its new content, of the shape and dtype of the old; ``shared`` if somebody else may hold it."""
        if self.whole:
            self.arrays = arrays
        elif self.losses > _LOSSES:
            for box, array in zip(self.boxes, arrays, strict=True):
                box._data = array
        else:
            for box, entry in zip(self.boxes, self.entries, strict=True):
                content = box._content
                if type(content) is BankEntry and content is not entry:
                    content.leave()
                box._content = entry
            self.arrays = arrays
            self.whole = True
        self.seen = shared

    def close(self) -> None:
        """Puts the arrays into the boxes themselves."""
        for box, entry, array in zip(self.boxes, self.entries, self.arrays, strict=True):
            if box._content is entry:
                box._content = array
        self.whole = False


class BankEntry:
    """What a box holds while its array is in a bank."""

    __slots__ = ("bank", "index")

    def __init__(self, bank: Bank, index: int) -> None:
        self.bank: Bank = bank
        self.index: int = index

    def get(self) -> Any:
        self.bank.seen = True
        return self.bank.arrays[self.index]

    def leave(self) -> None:
        """The box gets another content; the array is let go."""
        self.bank.whole = False
        self.bank.arrays[self.index] = None

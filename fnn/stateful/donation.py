"""Banks: the contents of many boxes as one list, which a compiled program takes over and gives back; and publication."""

from __future__ import annotations

import operator
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from operator import setitem
from typing import TYPE_CHECKING, Any, TypeAlias

import jax

if TYPE_CHECKING:
    from fnn.stateful.boxes import Box

exclusive: threading.RLock = threading.RLock()
"""Held while a program has taken over arrays and not given them back, and by whoever must not meet such a moment."""

call_with: Callable[..., Any] = operator.call
"""``call_with(function, *args)``, in C."""

Target: TypeAlias = tuple[Callable[[Any, Any, Any], Any], Any, Any]
"""A function of C and its first two arguments; the third is what is published."""


def publish(targets: Sequence[Target], values: Iterable[Any]) -> None:
    """Sends each value to its target.

    All happens within one call of C code, the computation of ``values`` too where that is an iterator of C code. So an
    interrupt, another thread or an exception finds all of it done or nothing.
    """
    functions, containers, keys = zip(*targets, strict=True)
    deque(map(call_with, functions, containers, keys, values), 0)


def copy_of(array: Any) -> Any:
    """An array on memory of its own, with the same placement."""
    return array.copy()


def is_lost(array: Any) -> bool:
    """Whether the memory of an array was given away."""
    return isinstance(array, jax.Array) and array.is_deleted()


class Bank:
    """The contents of many boxes as one list, which a compiled program takes and gives back whole, call after call.

    The program takes the arrays over: their memory is gone afterwards. It must therefore get none that anybody else can
    hold; those that came into a box from outside or were read since the last call are copied first.

    While nobody looks into the boxes or writes to them, no work is done per box. While the program has the arrays,
    ``holder[0]`` is ``None``, and readers wait.

    Args:
        boxes: the boxes, in the order of the program's arguments.
    """

    __slots__ = ("boxes", "entries", "flight", "foreign", "handed", "holder", "whole")

    def __init__(self, boxes: list[Box]) -> None:
        self.boxes: list[Box] = boxes
        self.entries: list[BankEntry] = [BankEntry(self, i) for i in range(len(boxes))]
        self.holder: list[Any] = [[None] * len(boxes)]
        self.flight: list[Any] | None = None  # what a program took
        self.handed: set[int] = set()  # whose array somebody was handed out since
        self.foreign: set[int] = set()  # whose array somebody had before it came here
        self.whole: bool = False  # every box has its content here

    @property
    def target(self) -> Target:
        """Where the arrays that the program gives back are to be published."""
        return setitem, self.holder, 0

    def take(self) -> list[Any]:
        """The arrays, to be donated; to be called by the holder of ``exclusive``, who publishes those he gives back."""
        if _abandoned:
            _close_abandoned()
        self.settle()
        if not self.whole:
            self._fill()
        arrays = self.holder[0]
        self.flight = arrays
        self.holder[0] = None
        handed = self.handed | self.foreign
        if handed:
            arrays = [copy_of(array) if i in handed else array for i, array in enumerate(arrays)]
            self.flight = arrays
            self.handed, self.foreign = set(), set()
        return arrays

    def look(self) -> list[Any]:
        """The arrays, to be read only; the caller publishes others in their place."""
        self.settle()
        if not self.whole:
            self._fill()
        return self.holder[0]

    def _fill(self) -> None:
        """Brings every box's content into the bank."""
        own = self.holder[0]
        arrays: list[Any] = []
        raw: list[int] = []
        others: dict[int, BankEntry] = {}
        for i, (box, entry) in enumerate(zip(self.boxes, self.entries, strict=True)):
            content = box._content
            if content is entry:
                arrays.append(own[i])
            elif type(content) is BankEntry:
                content.bank.settle()
                content.bank.whole = False
                arrays.append(content.get())
                others[i] = content
            else:
                arrays.append(content)
                raw.append(i)
        self.foreign = {*raw, *others}  # until it is known that they are not
        self.holder[0] = arrays
        deque(map(setattr, self.boxes, repeat("_content"), self.entries), 0)
        # Whoever was handed an array out before that has noted it by now.
        of_others = [i for i, other in others.items() if other.index in other.bank.handed | other.bank.foreign]
        self.foreign = {*of_others, *(i for i in raw if not self.boxes[i]._owned)}
        self.whole = True
        for other in others.values():
            other.leave()

    def settle(self) -> None:
        """Waits until the program that has the arrays gave them back; if it failed, takes back those it left alone."""
        if self.holder[0] is None:
            with exclusive:
                if self.holder[0] is None:
                    self.holder[0] = self.flight

    def lost(self) -> list[Box]:
        """The boxes whose arrays are gone, for a program that failed had taken them."""
        arrays = self.holder[0] or self.flight or []
        return [box for box, array in zip(self.boxes, arrays, strict=True) if is_lost(array)]

    def abandon(self) -> None:
        """Puts the arrays into the boxes themselves, now or, while another thread's program runs, a little later."""
        _abandoned.append(self)
        if exclusive.acquire(blocking=False):
            try:
                _close_abandoned()
            finally:
                exclusive.release()

    def close(self) -> None:
        """Puts the arrays into the boxes themselves, for good; to be called by the holder of ``exclusive``."""
        self.settle()
        for i, (box, entry, array) in enumerate(zip(self.boxes, self.entries, self.holder[0], strict=True)):
            if box._content is entry:
                box._owned = i not in self.handed and i not in self.foreign
                box._content = array
        self.whole = False
        self.boxes, self.entries = [], []


_abandoned: deque[Bank] = deque()


def _close_abandoned() -> None:
    while _abandoned:
        _abandoned.popleft().close()


class BankEntry:
    """What a box holds while its array is in a bank."""

    __slots__ = ("bank", "index")

    def __init__(self, bank: Bank, index: int) -> None:
        self.bank: Bank = bank
        self.index: int = index

    def get(self) -> Any:
        """The array, for whoever keeps it no longer than he can be sure that no program takes it over.

        It is ``None`` if the box has left the bank meanwhile.
        """
        while True:
            arrays = self.bank.holder[0]
            if arrays is not None:
                return arrays[self.index]
            self.bank.settle()

    def hand_out(self) -> Any:
        """The array, for anybody; ``None`` if the box has left the bank meanwhile."""
        bank = self.bank
        while True:
            arrays = bank.holder[0]
            if arrays is not None:
                bank.handed.add(self.index)
                array = arrays[self.index]
                # A program that took the arrays since may not have seen the note.
                if bank.holder[0] is arrays:
                    return array
            bank.settle()

    def leave(self) -> None:
        """The box has got another content; the array is let go."""
        self.bank.whole = False
        arrays = self.bank.holder[0]
        if arrays is not None:
            arrays[self.index] = None

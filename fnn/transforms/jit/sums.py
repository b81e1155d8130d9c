"""Gradients that add up over the calls of a program: it is the one that was compiled for the first call, where there were none.

A function that only adds gradients up, by ``fnn.backward``, needs none of those before. So its program, forward and backward,
is not compiled once more when there are some: they are set apart while it runs, and added after it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import jax

from fnn.stateful.boxes import Box
from fnn.transforms.jit.gathering import Gathered

__all__ = ["Sums", "apart", "boxes_apart"]

R = TypeVar("R")


class Sums(NamedTuple):
    """What a program does with the boxes that may be empty.

    Args:
        keys: what each of them held when it was traced, as their ``key`` has it.
        added: the positions of those that were empty, and in which it only adds something up.
    """

    keys: tuple[Any, ...]
    added: frozenset[int]


def boxes_apart(programs: Sequence[Sums], gathered: Gathered) -> list[Box]:
    """The boxes to be emptied for a call, so that a program serves that was traced when they were; none if there is no such
    program."""
    now = [box.key() for box in gathered.optional]
    for program in programs:
        differing = [i for i, (was, is_) in enumerate(zip(program.keys, now, strict=True)) if was != is_]
        if differing and all(i in program.added and now[i] is False for i in differing):
            return [gathered.optional[i] for i in differing]
    return []


@jax.jit
def _sums(old: list[jax.Array], new: list[jax.Array]) -> list[jax.Array]:
    return [a + b for a, b in zip(old, new, strict=True)]


def apart(boxes: Sequence[Box], call: Callable[[], R]) -> R:
    """``call()`` while the boxes are empty; then what they held is added to what they got, or, if it raised, put back."""
    old: list[Any] = [box.data for box in boxes]
    values = old
    try:
        for box in boxes:
            box.write(None)
        result = call()
        values = _sums(old, [box.data for box in boxes])
    finally:
        for box, value in zip(boxes, values, strict=True):
            box.write(value)
    return result

"""The counts of structural changes, by which gathered lists of boxes are known to be right still."""

from __future__ import annotations

import itertools


class _Structure:
    """Process-wide numbers of the last changes: while ``version`` stands still, gathered lists of boxes are still right;
    while ``optional`` does, the same optional boxes are empty."""

    __slots__ = ("optional", "version")

    def __init__(self) -> None:
        self.version: int = 0
        self.optional: int = 0


structure: _Structure = _Structure()

# No number comes twice, whatever threads do at the same time.
_numbers = itertools.count(1)


def structure_changed() -> None:
    """Notes a structural change of some object: a new child, ``train()``, freezing, another shape, dtype or placement."""
    structure.version = next(_numbers)


def optional_changed() -> None:
    """Notes that an optional box may have been filled or emptied."""
    structure.optional = next(_numbers)

"""The count of structural changes, by which gathered lists of boxes are known to be right still."""

from __future__ import annotations


class _Structure:
    """Process-wide counts of changes: while ``version`` stands still, gathered lists of boxes are still right; while
    ``optional`` does, the same optional boxes are empty."""

    __slots__ = ("optional", "version")

    def __init__(self) -> None:
        self.version: int = 0
        self.optional: int = 0


structure: _Structure = _Structure()


def structure_changed() -> None:
    """Notes a structural change of some object: a new child, ``train()``, freezing, another shape or dtype."""
    structure.version += 1

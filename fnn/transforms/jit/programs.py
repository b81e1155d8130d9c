"""A function compiled for one structure of the state and one signature of the arguments."""

from __future__ import annotations

from typing import Any

from fnn.stateful.boxes import Box
from fnn.stateful.containers import ContainerPlace


class Program:
    """The function compiled for one structure of the state and one signature of the arguments.

    Boxes and cells are named by their positions among those gathered.
    """

    def __init__(self) -> None:
        self.donated: list[int] = []  # boxes whose arrays it takes over, and that get new ones of the same type
        self.kept: list[int] = []  # boxes whose arrays it only reads
        self.filled: list[int] = []  # boxes that get arrays of another type, or are empty
        self.cleared: list[int] = []  # boxes that become empty
        self.draws: dict[int, int] = {}  # boxes with the states of generators, and how often it draws from each
        self.cells: list[int] = []  # cells that get new values
        self.new_boxes: list[Box] = []  # boxes made during the trace, for the one call that made them
        self.new_values: list[ContainerPlace] = []  # traced values in containers, likewise
        self.sums: frozenset[int] = frozenset()  # boxes that may be empty, were, and in which it only adds something up
        self.touches_optional: bool = False
        self.changes_types: bool = False  # some box gets an array of another shape, dtype or placement
        self.may_donate: bool = True  # it calls nothing on the host that could look at the arrays
        self.out_tree: Any = None
        self.run: Any = None
        self.run_kept: Any = None

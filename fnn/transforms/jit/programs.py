"""A function compiled for one structure of the state and one signature of the arguments."""

from __future__ import annotations

from typing import Any

from fnn.stateful.boxes import Box


class Program:
    """The function compiled for one structure of the state and one signature of the arguments."""

    def __init__(self) -> None:
        self.written: list[int] = []  # positions of the boxes that get new content
        self.cleared: list[int] = []  # positions of the boxes that become empty
        self.new_boxes: list[Box] = []  # boxes made during the trace, for the one call that made them
        self.cells: list[int] = []
        self.donated: list[int] = []
        self.kept: list[int] = []
        self.shares: bool | None = None  # whether results are arrays that went in; not known before the first call
        self.touches_optional: bool = False
        self.changes_types: bool = False  # some box gets an array of another shape or dtype
        self.out_tree: Any = None
        self.run: Any = None
        self.run_kept: Any = None

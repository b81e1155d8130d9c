"""What a scope leaves behind: new values of boxes and cells, boxes made in it, traced values in containers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from typing import Any

from fnn.random.generator import advance, can_draw, count_draws, settle_draws
from fnn.stateful.boxes import Box, Cell
from fnn.stateful.containers import ContainerPlace, take_out_traced
from fnn.stateful.protocol import walk
from fnn.stateful.scopes import Scope
from fnn.stateful.tracing import trace_state


def scopes_here(transform: str) -> Callable[[], Scope]:
    """A function that makes the scopes of a transformation that begins here, and hands on what is written in them.

    To be called outside of the traces for which they are: the draws so far are counted, and whether there can be more is known.

    Args:
        transform: its name, for error messages.
    """
    settle_draws()
    may_draw = can_draw()

    def make() -> Scope:
        scope = Scope(transform)
        scope.may_draw = may_draw
        return scope

    return make


class Outcome:
    """What a scope leaves behind, to be carried out of its trace; to be made before the scope ends.

    Args:
        scope: the scope.
        without: the places of boxes whose values somebody else takes care of.
    """

    def __init__(self, scope: Scope, without: Collection[Hashable] = ()) -> None:
        self.scope = scope
        count_draws(scope)
        # States of generators that only moved on need no value: what is drawn next goes on from the state outside.
        moved = {place: one for place, one in scope.moved_on().items() if place not in without}
        self._drawn: list[tuple[Box, int]] = list(moved.values())
        apart = {*without, *moved}
        changes = [(holder, value) for holder, value in scope.written() if holder.place() not in apart]
        self.written: list[Box | Cell] = [holder for holder, _ in changes]
        self._values: list[Any] = [value for _, value in changes]
        self._made: list[Box] = []
        self._new: list[Any] = []
        self._places: list[ContainerPlace] = []
        objects = list(scope.objects.values())
        if scope.made:
            every = list(walk(objects))
            made = {id(box): box for obj in every for box in obj._stateful_boxes_() if id(box) in scope.made}
            self._made = list(made.values())
            self._values += [scope.values[key] for key in made]
            self._new = [obj for obj in every if obj._stateful_origin_ == scope.trace]
        self._places, found = take_out_traced(objects)
        self._values += found

    def take(self) -> list[Any]:
        """The values, to be returned by the traced function."""
        values, self._values = self._values, []
        return values

    def publish(self, values: list[Any]) -> None:
        """Writes the values, as they came out, where they belong."""
        rest = iter(values)
        for holder in self.written:
            holder.write(next(rest))
        for box, count in self._drawn:
            advance(box, box.peek(), count)
        origin = trace_state()
        for box in self._made:
            box._adopt(next(rest), origin)
        for obj in self._new:
            object.__setattr__(obj, "_stateful_origin_", origin)
        for place in self._places:
            place.write(next(rest))

"""Scopes: the running fnn transformations of a thread, which hold the values that its traces see of boxes and cells."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any, TypeVar, cast

from fnn.stateful.remedies import with_remedy
from fnn.stateful.structure import optional_changed
from fnn.stateful.tracing import EAGER, stack_depth, trace_state

if TYPE_CHECKING:
    from fnn.stateful.boxes import Box, Cell
    from fnn.stateful.protocol import Stateful

R = TypeVar("R")

MISSING: Any = object()
"""What ``seen`` returns where no scope has a value."""

# A context variable, and scopes run by ``Context.run``: whatever is raised, and wherever, the former scopes are back.
_running: ContextVar[tuple[Scope, ...]] = ContextVar("fnn_scopes", default=())

current_scopes: Callable[[], Sequence[Scope]] = _running.get
"""The running fnn transformations of this thread, outermost first."""


class Scope:
    """One running transformation: what its trace sees of boxes and cells, what was read, what was written.

    Boxes and cells themselves are not touched: while the scope runs, this thread's reads and writes of them go to the
    scope's values, which the caller publishes if it wants to. If what runs in it raises, the objects that got new parts
    meanwhile are as before.

    Args:
        transform: name of the transformation, for error messages.
        strict: reading a box that the scope does not own raises (``fnn.jit``).
        private: writes to boxes that it does not own belong to the enclosing scope, and objects are as before when it
            ends (``functional_call``).
    """

    def __init__(self, transform: str, *, strict: bool = False, private: bool = False) -> None:
        self.transform = transform
        self.strict = strict
        self.private = private
        self.may_draw = True  # whether the scope around it, if it is asked, takes the state of random numbers
        self.trace: Any = None
        self.values: dict[Hashable, Any] = {}
        self.holders: dict[Hashable, Box | Cell] = {}  # keeps them alive, so that their keys stay their own
        self.owned: set[Hashable] = set()
        self.reads: set[Hashable] = set()
        self.writes: dict[Hashable, Box | Cell] = {}
        self.made: dict[Hashable, Box] = {}
        self.objects: dict[int, Stateful] = {}
        self.modes: dict[int, bool] = {}  # whether Modules, by their ids, train, whatever they themselves say
        self.emptied: set[Hashable] = set()  # what was emptied, though it was empty already
        self.advances: dict[
            Hashable, tuple[int, Any]
        ] = {}  # by how many draws states are further, and what they are then
        self.sums: dict[Hashable, Any] = {}  # what was added up in boxes that were empty, and nothing else done with
        self.draws: dict[Any, int] = {}  # from generators, in a trace within, not yet counted in their states
        self.depth: int = 0
        self._restores: dict[int, Callable[[], None]] = {}

    def run(self, function: Callable[..., R], *args: Any) -> R:
        """``function(*args)`` within the scope; to be called inside the trace that the scope stands for."""
        try:
            result = copy_context().run(self._within, function, args)
        except BaseException:
            self.undo()
            raise
        if self.private:
            self.undo()
        return result

    def _within(self, function: Callable[..., R], args: tuple[Any, ...]) -> R:
        self.trace = trace_state()
        self.depth = stack_depth()
        _running.set((*_running.get(), self))
        try:
            return function(*args)
        finally:
            for held in (self.values, self.sums, self.advances):
                held.clear()
            optional_changed()

    def undo(self) -> None:
        """Puts back the Python side of every object that got or lost a part."""
        while self._restores:
            _, restore = self._restores.popitem()
            restore()

    def own(self, holder: Box | Cell, value: Any) -> None:
        """Has the holder read as ``value`` within the scope."""
        self.hold(holder, holder.stored(value))

    def hold(self, holder: Box | Cell, content: Any) -> None:
        """Has the place of the holder contain ``content`` within the scope, as ``written`` gives it."""
        key = holder.place()
        self.owned.add(key)
        self.holders[key] = holder
        self.values[key] = content

    def make(self, box: Box, value: Any) -> None:
        """Keeps the traced content of a box that was made within the scope."""
        self.own(box, value)
        self.made[id(box)] = box

    def written(self) -> list[tuple[Box | Cell, Any]]:
        """The boxes and cells written, with their present values, but for those made within the scope."""
        return [(holder, self.values[key]) for key, holder in self.writes.items() if key not in self.made]

    def record(self, holder: Box | Cell, value: Any) -> None:
        """Takes a write."""
        key = holder.place()
        self.holders[key] = self.writes[key] = holder
        self.values[key] = value
        if value is None:
            self.emptied.add(key)

    def note_advance(self, box: Box, count: int) -> None:
        """To be called after a draw, or several, moved a generator's state on; before it, nothing else may have been done."""
        place = box.place()
        self.advances[place] = count, self.values.get(place)

    def advanced_by(self, box: Box) -> int | None:
        """By how many draws a state is further than when the scope began; ``None`` if something else happened to it."""
        place = box.place()
        if place not in self.writes:
            return 0
        count, value = self.advances.get(place, (0, MISSING))
        return count if self.values.get(place) is value else None

    def moved_on(self) -> dict[Hashable, tuple[Box, int]]:
        """The states of generators of which nothing happened but draws, by their places, and how many these were."""
        found: dict[Hashable, tuple[Box, int]] = {}
        for box, _ in self.written():
            place: Any = box.place()
            count = self.advanced_by(cast("Box", box)) if place in self.advances else None
            if count is not None:
                found[place] = cast("Box", box), count
        return found

    def only_added(self, box: Box) -> bool:
        """Whether all that was done with a box that was empty is to add something up in it."""
        place = box.place()
        added = place in self.sums and self.sums[place] is self.values.get(place)
        return added and place not in self.reads and place not in self.emptied

    def keep(self, obj: Stateful) -> None:
        """Notes what the Python side of an object is, before it changes."""
        if id(obj) not in self._restores:
            self.objects.setdefault(id(obj), obj)
            self._restores[id(obj)] = obj._stateful_snapshot_()


def seen(key: Hashable) -> Any:
    """The value that this thread's scopes have for a place, the innermost one's first; else ``MISSING``."""
    for scope in reversed(_running.get()):
        value = scope.values.get(key, MISSING)
        if value is not MISSING:
            return value
    return MISSING


def modes_for(obj: Stateful) -> dict[int, bool] | None:
    """The ``modes`` of the innermost scope that has one for an object, if any has."""
    for scope in reversed(_running.get()):
        if id(obj) in scope.modes:
            return scope.modes
    return None


def read(box: Box, counts: bool) -> Any:
    """The value that this thread's scopes have for a box, or ``MISSING``; notes that it was read if that ``counts``.

    Raises:
        RuntimeError: if an ``fnn.jit`` is tracing that did not find the box.
    """
    key = id(box)
    for scope in reversed(_running.get()):
        value = scope.values.get(key, MISSING)
        if value is not MISSING:
            if counts and key in scope.owned:
                scope.reads.add(key)
            return value
        if scope.strict:
            if box._origin == EAGER:
                raise _not_found(box.describe(), "read")
            break
    return MISSING


def _not_found(what: str, use: str) -> RuntimeError:
    return with_remedy(
        RuntimeError(
            f"fnn.jit: {what} was {use} by the traced function but fnn.jit did not find it; pass the object that holds it "
            "as an argument"
        ),
        "something-was-not-found",
    )


def innermost(knows: Callable[[Scope], bool] = lambda _: False) -> Scope | None:
    """The innermost scope to which what happens now belongs: a private one only if it knows what it happens to."""
    return next((scope for scope in reversed(_running.get()) if not scope.private or knows(scope)), None)


def scope_to_write(holder: Box | Cell) -> Scope | None:
    """The scope that a write belongs to; ``None`` if it goes to the holder itself.

    Raises:
        RuntimeError: where a JAX transformation that fnn does not run would leak what is written, or an ``fnn.jit`` is
            tracing that did not find the holder.
    """
    state = trace_state()
    key = holder.place()
    scope = innermost(lambda scope: key in scope.owned)
    if scope is None:
        if state == EAGER:
            return None
    elif scope.trace == state:
        if scope.strict and key not in scope.owned and holder._origin == EAGER:
            raise _not_found(holder.describe(), "written")
        return scope
    if holder._origin != state:
        raise with_remedy(
            RuntimeError(
                f"{holder.describe()} would be changed inside a JAX transformation (jit, grad, vmap, scan, checkpoint, ...) "
                "that fnn does not run, and a traced array would leak into it; "
                + (_WITHIN if _running.get() else _WITHOUT)
            ),
            "a-buffer-would-be-changed",
        )
    return None


def refuse_stray(what: str, origin: Any, instead: str) -> None:
    """To be called before a change of numbers or options on the host, which no trace carries out.

    Args:
        what: the words by which an error names what would be changed.
        origin: the level of tracing at which it was made.
        instead: what the error advises.

    Raises:
        RuntimeError: in a JAX transformation that fnn does not run, where it would happen when that traces and not at each call.
    """
    state = trace_state()
    if state == EAGER or origin == state:
        return
    scope = innermost()
    if scope is None or scope.trace != state:
        raise with_remedy(
            RuntimeError(
                f"{what} would be changed inside a JAX transformation (jit, grad, vmap, scan, checkpoint, ...) that fnn does not "
                f"run, once, while it is traced, and not at each call; {instead}"
            ),
            "a-number-would-be-changed",
        )


_WITHOUT = (
    "fnn.remat, fnn.scan, fnn.cond, fnn.vmap and fnn.grad carry it out, and stand for JAX's; around a whole call use "
    "fnn.functional_call, which returns the new buffers, or fnn.jit and fnn.backward; or switch the layer to eval()"
)
_WITHIN = (
    "fnn.remat, fnn.scan, fnn.cond, fnn.vmap and fnn.grad carry it out, and stand for JAX's; or call the layer outside of that "
    "transformation, switch it to eval(), or return its new statistics from the transformed function, as by "
    "F.batch_norm_update"
)


def home_of_new(state: Any) -> Scope | None:
    """The scope that holds the traced content of what is made now, at the level ``state`` of tracing, if one does."""
    scope = innermost()
    return scope if scope is not None and scope.trace == state else None


def note_part(obj: Stateful, part: str) -> None:
    """To be called before an object gets or loses a part: a Parameter, a buffer, a child, optimizer state.

    Args:
        obj: the object.
        part: the words by which an error names what it gets.

    Raises:
        RuntimeError: in a JAX transformation that fnn does not run, where a traced array would be left behind in it.
    """
    state = trace_state()
    origin = obj._stateful_origin_
    scope = innermost(lambda scope: id(obj) in scope.objects)
    if scope is None:
        if state == EAGER:
            return
    elif scope.trace == state:
        if scope.strict and id(obj) not in scope.objects and origin == EAGER:
            raise _not_found(type(obj).__name__, "given a part")
        if scope.private or origin != state:
            scope.keep(obj)
        return
    if origin != state:
        raise with_remedy(
            RuntimeError(
                f"{part} would be made inside a JAX transformation (jit, grad, vmap, scan, ...) that fnn does not run, and a "
                "traced array would be left behind in the object; make it before, in __init__ or by one eager call, or use "
                "fnn.jit or fnn.backward, which carry it out, or fnn.functional_call, which leaves the object as it was"
            ),
            "a-part-would-be-made",
        )


def note_emptied(box: Box) -> None:
    """To be called when a box that is empty is emptied: at another call it may hold something."""
    scope = innermost()
    if scope is not None:
        scope.emptied.add(box.place())


def note_sum(box: Box, before: Any) -> None:
    """To be called when something was added to what a box held ``before``, or put into an empty one."""
    scope = innermost()
    if scope is not None:
        place = box.place()
        if before is None or (place in scope.sums and scope.sums[place] is before):
            scope.sums[place] = scope.values.get(place)
        else:
            scope.sums.pop(place, None)


def note_call(obj: Stateful) -> bool:
    """To be called before the use of an object in some trace.

    Returns:
        whether nothing can be left behind in the object's own lists and dicts, or the scope of the trace carries it out.
    """
    state = trace_state()
    for scope in reversed(_running.get()):
        if scope.trace == state and (not scope.private or id(obj) in scope.objects):
            scope.keep(obj)
            return True
        if not scope.private:
            break
    return state == EAGER or obj._stateful_origin_ == state


def require_known(obj: Stateful, name: str) -> None:
    """Raises RuntimeError if an ``fnn.jit`` is tracing that did not find ``obj``."""
    for scope in _running.get():
        if scope.strict and id(obj) not in scope.objects and obj._stateful_origin_ == EAGER:
            raise RuntimeError(
                f"fnn.jit: {name} was used by the traced function but fnn.jit did not find it; pass it as an argument"
            )

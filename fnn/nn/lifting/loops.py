"""``lax.scan`` of a step that reads and writes boxes: what it writes is carried from each iteration to the next."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnn.nn.lifting.outcome import Outcome, scopes_here
from fnn.random.generator import advance, count_draws, further
from fnn.stateful.boxes import Box, Cell
from fnn.stateful.containers import traced_places
from fnn.stateful.protocol import walk
from fnn.stateful.scopes import Scope

__all__ = ["Carried", "Undiscovered", "arrays_of", "finish", "scan", "unrolled"]


class Undiscovered(BaseException):
    """Raised in a trace of the step: it writes what the loop does not carry yet."""

    def __init__(self, holders: list[tuple[Box | Cell, Any]]) -> None:
        super().__init__()
        self.holders = holders


class Carried:
    """The boxes and cells that a loop carries, with the types that the step gives them."""

    def __init__(self, transform: str) -> None:
        self._transform = transform
        self._holders: dict[Hashable, tuple[Box | Cell, Any]] = {}

    def add(self, holders: list[tuple[Box | Cell, Any]]) -> None:
        """Takes in what a trace of the step wrote, with the values, of which the types are kept."""
        for holder, value in holders:
            self._holders[holder.place()] = holder, jax.tree.map(jax.typeof, value)

    def start(self) -> list[Any]:
        """The contents before the loop.

        Raises:
            RuntimeError: if one has not the structure that the step leaves.
        """
        return [self._start(holder, types) for holder, types in self._holders.values()]

    def _start(self, holder: Box | Cell, types: Any) -> Any:
        content = holder.data if isinstance(holder, Box) else holder.content()
        if jax.tree.structure(content) != jax.tree.structure(types):
            raise RuntimeError(
                f"{self._transform}: {holder.describe()} is {_words(content)} before the loop and {_words(types)} after one "
                "iteration; give it a value before the loop (a gradient by zero_grad(set_to_none=False) or one backward), or "
                "return the value from the step"
            )
        if isinstance(holder, Cell):
            return jax.tree.map(lambda value, kind: jnp.asarray(value, kind.dtype), content, types)
        self._same(holder, content)
        return content

    def open(self, scope: Scope, contents: Sequence[Any]) -> None:
        """Has the scope read them at the beginning of an iteration."""
        for (holder, _), content in zip(self._holders.values(), contents, strict=True):
            scope.hold(holder, content)

    def close(self, scope: Scope) -> list[Any]:
        """What the scope has of them at the end of one.

        Raises:
            TypeError: if one has another shape or dtype than before.
        """
        return [self._same(holder, scope.values[place]) for place, (holder, _) in self._holders.items()]

    def _same(self, holder: Box | Cell, value: Any) -> Any:
        """The value, if it is of the type that it has in the loop."""
        types = self._holders[holder.place()][1]
        same = jax.tree.structure(value) == jax.tree.structure(types)
        if same and isinstance(holder, Cell):
            value = jax.tree.map(lambda v, kind: jnp.asarray(v, kind.dtype), value, types)
        if not same or any(
            (v.shape, v.dtype) != (kind.shape, kind.dtype)
            for v, kind in zip(jax.tree.leaves(value), jax.tree.leaves(types), strict=True)
        ):
            raise TypeError(
                f"{self._transform}: {holder.describe()} is {_words(value)} at one end of an iteration and {_words(types)} at "
                "the other; what a loop writes must keep its shape and dtype"
            )
        return value

    def publish(self, contents: Sequence[Any]) -> None:
        """Writes the contents as they are after the loop."""
        for (holder, _), content in zip(self._holders.values(), contents, strict=True):
            holder.write(content)

    def unknown(self, scope: Scope, others: set[Hashable]) -> list[tuple[Box | Cell, Any]]:
        """What the scope wrote that is neither carried nor among the others."""
        return [(h, v) for h, v in scope.written() if h.place() not in self._holders and h.place() not in others]


def _words(content: Any) -> str:
    leaves = jax.tree.leaves(content)
    if not leaves:
        return "None"
    return ", ".join(f"{leaf.dtype}{list(leaf.shape)}" if hasattr(leaf, "dtype") else repr(leaf) for leaf in leaves)


def finish(transform: str, scope: Scope, advice: str) -> None:
    """To be called at the end of a run of a step that runs many times over, within its scope.

    Raises:
        RuntimeError: if it made parts of objects, or left traced arrays in their lists, which no loop can carry.
    """
    count_draws(scope)
    objects = list(scope.objects.values())
    if scope.made:
        for obj in walk(objects):
            for box in obj._stateful_boxes_():
                if id(box) in scope.made:
                    raise RuntimeError(
                        f"{transform}: {box.describe()} would be made within it, once more at each iteration; make it before, "
                        f"by one call outside, or {advice}"
                    )
    places, _ = traced_places(objects)
    if places:
        raise RuntimeError(f"{transform}: a list or dict of a Module would keep a value of one iteration; {advice}")


def arrays_of(tree: Any) -> Any:
    """A pytree with the arrays of Parameters and Buffers in their places."""
    return jax.tree.map(lambda v: v.data if isinstance(v, Box) else v, tree, is_leaf=lambda v: isinstance(v, Box))


def scan(
    transform: str,
    step: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any,
    length: int | None = None,
    *,
    reverse: bool = False,
    unroll: int | bool = 1,
    sliced: Sequence[Box] = (),
    around: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda body: body,
) -> tuple[Any, Any]:
    """``lax.scan``, for a step that reads and writes boxes.

    Args:
        transform: name of the transformation, for error messages.
        step: takes the carry and an element of ``xs``, returns the carry and an output.
        init: the carry before the loop.
        xs: arrays with a leading axis, over which the loop goes.
        length: number of iterations; may be left out where ``xs`` has arrays.
        reverse: whether the last element comes first.
        unroll: how many iterations stand in one round of the compiled loop.
        sliced: boxes whose arrays have a leading axis too: within the step they hold one slice, and what the step writes
            to them makes up the new array.
        around: a transformation around the step, such as ``jax.checkpoint``.

    Returns:
        the carry after the loop, and the outputs stacked.

    Raises:
        RuntimeError, TypeError: if the step changes what no loop can carry.
    """
    new_scope = scopes_here(transform)
    init, xs = arrays_of((init, xs))
    carried = Carried(transform)
    generators: dict[Hashable, tuple[Box, int]] = {}  # whose states only move on, and by how many draws in an iteration
    others = {box.place() for box in sliced}
    stacks = [box.data for box in sliced]
    written: list[int] = []

    def body(carry: tuple[Any, list[Any], Any], x: tuple[Any, list[Any]]) -> tuple[Any, Any]:
        scope = new_scope()

        def run() -> tuple[Any, Any]:
            carried.open(scope, carry[1])
            for box, count in generators.values():
                scope.hold(box, further(box.peek(), carry[2] * np.uint32(count)))
            for box, part in zip(sliced, x[1], strict=True):
                scope.own(box, part)
            new, y = step(carry[0], x[0])
            finish(transform, scope, "return the value as an output of the step")
            _discover(scope)
            written[:] = [i for i, box in enumerate(sliced) if box.place() in scope.writes]
            parts = [scope.values[sliced[i].place()] for i in written]
            return (new, carried.close(scope), carry[2] + np.uint32(1)), (y, parts)

        return scope.run(run)

    def _discover(scope: Scope) -> None:
        """Raises Undiscovered, for another trace, if the step writes what is not carried as it must be."""
        unknown = carried.unknown(scope, {*others, *generators})
        drawn = scope.moved_on()
        moved = {h.place(): drawn[h.place()] for h, _ in unknown if h.place() in drawn}
        otherwise = [box for box, n in generators.values() if scope.advanced_by(box) != n]
        for box in otherwise:
            del generators[box.place()]
        unknown = [(h, v) for h, v in unknown if h.place() not in moved]
        unknown += [(box, scope.values[box.place()]) for box in otherwise]
        generators.update(moved)
        if unknown or moved:
            raise Undiscovered(unknown)

    while True:
        start = carried.start()
        try:
            (carry, contents, _), (ys, parts) = jax.lax.scan(
                around(body), (init, start, np.uint32(0)), (xs, stacks), length, reverse=reverse, unroll=unroll
            )
            break
        except Undiscovered as found:
            carried.add(found.holders)
    carried.publish(contents)
    iterations = length if length is not None else jnp.shape(jax.tree.leaves((xs, stacks))[0])[0]
    for box, count in generators.values():
        advance(box, box.peek(), count * iterations)
    for i, part in zip(written, parts, strict=True):
        sliced[i].write(part)
    return carry, ys


@jax.jit
def _element(array: jax.Array, i: jax.Array) -> jax.Array:
    return jax.lax.dynamic_index_in_dim(array, i, keepdims=False)


def unrolled(
    transform: str, step: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any, length: int, sliced: Sequence[Box]
) -> tuple[Any, Any]:
    """What ``scan`` computes, one iteration after the other, where operations run as they come.

    Args:
        transform: name of the transformation, for error messages.
        step: as in ``scan``.
        init: as in ``scan``.
        xs: as in ``scan``.
        length: number of iterations, at least 1.
        sliced: as in ``scan``.

    Returns:
        the carry after the loop, and the outputs stacked.
    """
    init, xs = arrays_of((init, xs))
    stacks = [box.data for box in sliced]
    places = {box.place() for box in sliced}
    carry = init
    outputs: list[Any] = []
    parts: list[list[Any]] = [[] for _ in sliced]
    written: set[Hashable] = set()
    for i in range(length):
        scope = Scope(transform)
        count = jnp.asarray(i, jnp.int32)
        own = [_element(stack, count) for stack in stacks]

        def run(
            carry: Any = carry, scope: Scope = scope, own: list[Any] = own, count: jax.Array = count
        ) -> tuple[Any, Any, Outcome]:
            for box, part in zip(sliced, own, strict=True):
                scope.own(box, part)
            new, y = step(carry, jax.tree.map(lambda x: _element(x, count), xs))
            for of_box, box in zip(parts, sliced, strict=True):
                of_box.append(scope.values[box.place()])
            written.update(places & scope.writes.keys())
            return new, y, Outcome(scope, places)

        carry, y, outcome = scope.run(run)
        outcome.publish(outcome.take())
        outputs.append(y)
    for box, of_box in zip(sliced, parts, strict=True):
        if box.place() in written:
            box.write(jnp.stack(of_box))
    return carry, jax.tree.map(lambda *ys: jnp.stack(ys), *outputs)

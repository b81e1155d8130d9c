"""A function that reads and writes boxes, run once within one of JAX's transformations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from fnn.nn.lifting.outcome import Outcome, scopes_here
from fnn.stateful.boxes import Box
from fnn.stateful.protocol import Stateful

__all__ = ["Split", "is_array", "run_once"]


def is_array(value: Any) -> bool:
    """Whether a transformation takes the value as an array; all else is a constant to it."""
    return isinstance(value, jax.Array | np.ndarray | np.generic)


def is_whole(value: Any) -> bool:
    """Whether a pytree is not taken apart there: at an object, or at a Parameter or Buffer, which is read where it is used."""
    return isinstance(value, Stateful | Box)


class Split:
    """A pytree in two: its arrays, and all else."""

    def __init__(self, tree: Any) -> None:
        leaves, structure = jax.tree.flatten(tree, is_leaf=is_whole)
        self.structure: Any = structure
        self.arrays: list[Any] = [leaf for leaf in leaves if is_array(leaf)]
        self.constants: list[Any] = [None if is_array(leaf) else leaf for leaf in leaves]
        self._places: list[int] = [i for i, leaf in enumerate(leaves) if is_array(leaf)]

    def join(self, arrays: list[Any]) -> Any:
        """The pytree with other arrays in the places of its own."""
        leaves = self.constants.copy()
        for place, array in zip(self._places, arrays, strict=True):
            leaves[place] = array
        return jax.tree.unflatten(self.structure, leaves)


def run_once(
    transform: str, through: Callable[[Callable[..., Any]], Callable[..., Any]], call: Callable[..., Any], *args: Any
) -> Any:
    """``through(call)(*args)``, for a transformation that runs what it is given once; what the call writes is carried out.

    Args:
        transform: name of the transformation, for error messages.
        through: the transformation of JAX's.
        call: the function; its arguments and results may be anything, of which the arrays go through the transformation.
        *args: its arguments.
    """
    outcome: list[Outcome] = []
    results: list[Split] = []
    given = Split(args)

    def run(arrays: list[Any]) -> tuple[list[Any], list[Any]]:
        scope = new_scope()

        def body() -> tuple[list[Any], list[Any]]:
            results[:] = [Split(call(*given.join(arrays)))]
            outcome[:] = [Outcome(scope)]
            return results[0].arrays, outcome[0].take()

        return scope.run(body)

    new_scope = scopes_here(transform)
    try:
        arrays, contents = through(run)(given.arrays)
    except BaseException:
        if outcome:
            outcome[0].scope.undo()
        raise
    outcome[0].publish(contents)
    return results[0].join(arrays)

"""Rules that look at a parameter as a whole, such as a matrix, on parameters that hold those of several layers stacked."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import jax
import jax.numpy as jnp

from fnn.optim.transform import Transform
from fnn.optim.typing import PyTree
from fnn.tensor.row_sparse import RowSparse

__all__ = ["by_layer"]

# The lengths of the first axes of a parameter that are those of layers; none for one that is not stacked.
Stack = tuple[int, ...]


def by_layer(transform: Transform[Any], stacks: Sequence[Stack], alone: bool) -> Transform[Any]:
    """A transform of a list of stacked parameters that does to each layer what the one given does to a parameter.

    Args:
        transform: its state is a named tuple of scalars and of lists with one array a parameter.
        stacks: that of each parameter.
        alone: whether the rule looks at one parameter at a time: it is then mapped over the layers, in a program that does not
            grow with their number; else it is given each layer's as one of its list.
    """
    if not any(stacks):
        return transform
    return _mapped(transform, stacks) if alone else _apart(transform, stacks)


def _fields(state: Any, change: Any) -> Any:
    """A state with the change made to each of its lists."""
    return type(state)(**{k: change(v) if isinstance(v, list) else v for k, v in state._asdict().items()})


def _apart(transform: Transform[Any], stacks: Sequence[Stack]) -> Transform[Any]:
    def cut(values: Sequence[Any]) -> list[Any]:
        parts: list[Any] = []
        for value, stack in zip(values, stacks, strict=True):
            if stack and value is not None:
                parts += list(_in_one_axis(value, stack))
            else:
                parts += [value] * max(1, prod(stack))
        return parts

    def join(parts: Sequence[Any]) -> list[Any]:
        rest = iter(parts)
        values: list[Any] = []
        for stack in stacks:
            own = [next(rest) for _ in range(prod(stack))]
            if stack and own[0] is not None:
                values.append(jnp.stack(own).reshape(*stack, *own[0].shape))
            else:
                values.append(own[0])
        return values

    def init(params: PyTree) -> Any:
        return _fields(transform.init(cut(params)), join)

    def update(grads: PyTree, state: Any, params: PyTree = None) -> tuple[PyTree, Any]:
        updates, state = transform.update(cut(grads), _fields(state, cut), cut(params))
        return join(updates), _fields(state, join)

    return Transform(init, update)


def _mapped(transform: Transform[Any], stacks: Sequence[Stack]) -> Transform[Any]:
    # The parameters by how many layers they hold: 0 for those that are not stacked.
    alike: dict[int, list[int]] = {}
    for i, stack in enumerate(stacks):
        alike.setdefault(prod(stack) if stack else 0, []).append(i)

    def cut(values: Sequence[Any], places: list[int]) -> list[Any]:
        return [_in_one_axis(values[i], stacks[i]) for i in places]

    def put(values: Sequence[Any], places: list[int], into: list[Any]) -> None:
        for i, value in zip(places, values, strict=True):
            into[i] = value if value is None else value.reshape(*stacks[i], *value.shape[bool(stacks[i]) :])

    def merge(into: Any, state: Any, places: list[int]) -> Any:
        """One state of those of all parameters."""
        whole = into or _fields(state, lambda _: [None] * len(stacks))
        for name, value in state._asdict().items():
            if isinstance(value, list):
                put(value, places, getattr(whole, name))
        return whole

    def axes_of(params: list[Any]) -> Any:
        one = [jax.ShapeDtypeStruct(p.shape[1:], p.dtype) for p in params]
        state = jax.eval_shape(transform.init, one)
        return type(state)(**{k: 0 if isinstance(v, list) else None for k, v in state._asdict().items()})

    def init(params: PyTree) -> Any:
        whole: Any = None
        for layers, places in alike.items():
            own = cut(params, places)
            make = jax.vmap(transform.init, out_axes=axes_of(own)) if layers else transform.init
            whole = merge(whole, make(own), places)
        return whole

    def update(grads: PyTree, state: Any, params: PyTree = None) -> tuple[PyTree, Any]:
        updates: list[Any] = [None] * len(stacks)
        whole: Any = None
        for layers, places in alike.items():
            own, values = cut(params, places), cut(grads, places)
            run: Any = transform.update
            if layers:
                axes = axes_of(own)
                run = jax.vmap(run, in_axes=(0, axes, 0), out_axes=(0, axes))
            mine = _fields(state, lambda column, places=places: cut(column, places))
            changes, new = run(values, mine, own)
            put(changes, places, updates)
            whole = merge(whole, new, places)
        return updates, whole

    return Transform(init, update)


def _in_one_axis(value: Any, stack: Stack) -> Any:
    """A stacked array with the layers in one first axis."""
    if value is None or not stack:
        return value
    if isinstance(value, RowSparse):
        raise RuntimeError(
            "the rows of a gradient cannot be told apart by layers: use Embedding(sparse=False) in an nn.Repeated"
        )
    return value.reshape(prod(stack), *value.shape[len(stack) :])

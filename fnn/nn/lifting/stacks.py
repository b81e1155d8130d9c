"""Boxes that hold the arrays of several layers stacked along a first axis, and boxes that are one layer's part of such a one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from fnn.nn.array_box import ArrayBox, Data, to_array
from fnn.nn.parameter import Buffer, Parameter
from fnn.stateful.boxes import Box
from fnn.stateful.scopes import MISSING, seen

__all__ = ["PartOfBuffer", "PartOfParameter", "add_layers", "is_part", "part_of", "refuse_parts", "stack_of"]

_LAYERS = "_layers"


def add_layers(box: ArrayBox, layers: int) -> None:
    """Notes that a box has got a new first axis, that of so many layers."""
    box.__dict__[_LAYERS] = (layers, *stack_of(box))


def stack_of(box: Any) -> tuple[int, ...]:
    """The lengths of the first axes of a box that are those of layers: one, more where stacks hold stacks, none of another."""
    if isinstance(box, _Part):
        return stack_of(box._whole)[1:]
    return box.__dict__.get(_LAYERS, ()) if isinstance(box, ArrayBox) else ()


def refuse_parts(function: str, boxes: Iterable[Any]) -> None:
    """To be called where a box stands for itself: what is computed by a stack is not by its parts.

    Raises:
        ValueError: if one is a part of a stack.
    """
    for box in boxes:
        if isinstance(box, _Part):
            raise ValueError(
                f"{function}: {box.describe()} is one layer's part of a stack, which an nn.Repeated computes with as a whole; "
                "give the nn.Repeated or its parameters(), or keep the layers apart, in a Sequential"
            )


class _Part(ArrayBox):
    """One layer's part of a stacked box: reads and writes go to that."""

    def __init__(self, whole: ArrayBox, index: int, label: str) -> None:
        Box.__init__(self, None, label)
        self._whole = whole
        self._index = index

    @property
    def home(self) -> Box:
        """The box of the stack, that around it for a stack in a stack."""
        return self._whole.home

    @property
    def part(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Which layer it is."""
        return (self._whole.part, self._index)

    @property
    def _data(self) -> Any:
        value = seen(id(self))
        return self._whole._data[self._index] if value is MISSING else value

    def _get(self) -> jax.Array:
        value = seen(id(self))
        return self._whole.data[self._index] if value is MISSING else value

    data = property(_get, lambda self, value: self.write(value))  # pyright: ignore

    def peek(self) -> Any:
        """The array, for a use through which no gradient flows."""
        value = seen(id(self))
        return self._whole.peek()[self._index] if value is MISSING else value

    def _held(self) -> Any:
        return self._whole._held()[self._index]

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes of the layer's part."""
        value = seen(id(self))
        return self._whole.shape[1:] if value is MISSING else value.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type."""
        return self._whole.dtype

    @property
    def ndim(self) -> int:
        """Number of axes of the layer's part."""
        return len(self.shape)

    def write(self, value: Data, *, owned: bool = False) -> None:
        """Puts an array in the place of this layer.

        Raises:
            ValueError: if its shape or dtype is another: the layers are held in one array.
        """
        if seen(id(self)) is not MISSING:
            Box.write(self, to_array(value, self.describe()))
            return
        array = to_array(value, self.describe())
        if (array.shape, array.dtype) != (self.shape, self.dtype):
            raise ValueError(
                f"{self.describe()} is held in one array with the other layers; it must stay {self.dtype}{list(self.shape)}, "
                f"got {array.dtype}{list(array.shape)}"
            )
        self._whole.data = self._whole.data.at[self._index].set(array)

    def _put(self, value: Any, owned: bool = False) -> None:
        self.write(value)

    def describe(self) -> str:
        """The words by which an error names this box."""
        kind = "Parameter" if isinstance(self, Parameter) else "Buffer"
        return f"{kind} {self._label!r} of shape {self.shape}"

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        new: Any
        if isinstance(self, Parameter):
            new = Parameter(self.data, self.requires_grad)
            new.grad = self.grad
        else:
            new = Buffer(self.data, persistent=self.__dict__["persistent"])
        new._label = self._label
        new.__dict__.update(_attributes(self))
        memo[id(self)] = new
        return new

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError(
            f"{self.describe()} is a part of a stack of layers and cannot be pickled; pickle the nn.Repeated"
        )


class _PartOfGradient(Box):
    """One layer's part of the gradient of a stack."""

    def __init__(self, whole: Parameter, index: int) -> None:
        super().__init__()
        self._whole = whole
        self._index = index

    __slots__ = ("_index", "_whole")

    @property
    def home(self) -> Box:
        """The gradient of the stack, that around it for a stack in a stack."""
        return self._whole._grad.home

    @property
    def _data(self) -> Any:
        grad = self._whole.grad
        return None if grad is None else grad[self._index]

    data = property(lambda self: self._data, lambda self, value: self.write(value))  # pyright: ignore

    def peek(self) -> Any:
        """The gradient, or ``None``."""
        return self._data

    def write(self, value: Any, *, owned: bool = False) -> None:
        """Puts a gradient in the place of this layer; ``None`` is refused unless there is none."""
        whole = self._whole
        if value is None:
            if whole.grad is not None:
                raise ValueError(
                    f"the gradient of {whole.describe()} is one array for all layers; clear it by zero_grad of the nn.Repeated"
                )
            return
        grad = jnp.zeros(whole.shape, whole.dtype) if whole.grad is None else whole.grad
        whole.grad = grad.at[self._index].set(value)


def _attributes(box: ArrayBox) -> dict[str, Any]:
    """What a user has set on a box."""
    return {k: v for k, v in box._extra_attributes().items() if k not in (_LAYERS, "_whole", "_index")}


class PartOfParameter(_Part, Parameter):
    """One layer's part of a stacked Parameter."""

    def __init__(self, whole: Parameter, index: int, label: str) -> None:
        _Part.__init__(self, whole, index, label)
        self._grad: Any = _PartOfGradient(whole, index)

    @property
    def requires_grad(self) -> bool:
        """That of the stack."""
        return self._whole.requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if bool(value) != self._whole.requires_grad:
            raise ValueError(
                f"{self.describe()} is held in one array with the other layers, which require grad together; set it of the "
                "nn.Repeated, or keep the layers apart, in a Sequential"
            )

    @property
    def _requires_grad(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._whole.requires_grad

    @_requires_grad.setter
    def _requires_grad(self, value: bool) -> None:
        whole: Any = self._whole
        whole._requires_grad = value

    def __repr__(self) -> str:
        tail = ", requires_grad=True" if self.requires_grad else ""
        return f"Parameter containing:\n{self._data!r}{tail}"


class PartOfBuffer(_Part, Buffer):
    """One layer's part of a stacked Buffer."""

    def __init__(self, whole: Buffer, index: int, label: str) -> None:
        _Part.__init__(self, whole, index, label)  # pyright: ignore[reportArgumentType]
        self.persistent: bool = whole.persistent


def part_of(box: Any, index: int) -> Any:
    """The part of one layer."""
    kind: Any = PartOfParameter if isinstance(box, Parameter) else PartOfBuffer
    part = kind(box, index, box._label)
    part.__dict__.update(_attributes(box))
    return part


def is_part(box: Any) -> bool:
    """Whether a box is one layer's part of a stacked one."""
    return isinstance(box, _Part)


def _unflatten(_: Any, leaves: Any) -> Any:
    return leaves[0]  # a part is one of a stack, and a leaf that stands in its place an array


for _kind in (PartOfParameter, PartOfBuffer):
    jax.tree_util.register_pytree_node(_kind, lambda box: ((box.data,), None), _unflatten)

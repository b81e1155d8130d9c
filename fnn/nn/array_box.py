"""``ArrayBox``: what ``Parameter`` and ``Buffer`` have in common."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fnn.stateful.boxes import Box

__all__ = ["to_array"]


def to_array(value: Any, name: str = "data") -> jax.Array:
    """A jax, numpy or torch array, a box, a number or a nested list of numbers as a strongly typed ``jax.Array``.

    Raises:
        TypeError: if the value is none of these.
    """
    if isinstance(value, Box):
        value = value.data
    if hasattr(value, "detach") and hasattr(value, "numpy"):
        value = _from_torch(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return jax.device_put(np.array(value))  # compiles nothing; the copy keeps the caller's memory apart
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be an array, got {value!r}") from error
    if isinstance(array, Tracer) or array.weak_type:
        return jax.lax.convert_element_type(array, array.dtype) if array.weak_type else array
    return array


def _from_torch(tensor: Any) -> np.ndarray:
    tensor = tensor.detach().cpu()
    if str(tensor.dtype) == "torch.bfloat16":
        return tensor.float().numpy().astype(jnp.bfloat16)
    return np.array(tensor.numpy())


class ArrayBox(Box):
    """The common half of ``Parameter`` and ``Buffer``: reads like an array, and can be written in place.

    It works in ``jnp`` and ``jax.nn`` functions and with operators; raw ``jax.lax`` functions want ``.data``.
    """

    def __jax_array__(self) -> jax.Array:
        return self.data

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.data, dtype=dtype, copy=copy)

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self._data.shape

    @property
    def dtype(self) -> Any:
        """Element type."""
        return self._data.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._data.ndim

    @property
    def device(self) -> Any:
        """The device, or the sharding, on which the array lies."""
        return self._data.device

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the length of axis ``dim``."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """Number of axes."""
        return self.ndim

    def numel(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    def detach(self) -> jax.Array:
        """The array without a gradient path to this box."""
        return jax.lax.stop_gradient(self.data)

    def clone(self) -> jax.Array:
        """The array; it never changes, so it needs no copy."""
        return self.data

    def numpy(self) -> np.ndarray:
        """The array as numpy."""
        return np.asarray(self.data)

    def write(self, value: Any) -> None:
        super().write(to_array(value, self.describe()))

    def _write_same_shape(self, function: str, value: Any) -> None:
        value = to_array(value, f"{function}: value")
        try:
            value = jnp.broadcast_to(value, self.shape)
        except ValueError:
            raise ValueError(
                f"{function}: value must broadcast to {self.shape}, the shape of {self.describe()}, got {value.shape}"
            ) from None
        self.write(value.astype(self.dtype))

    def copy_(self, src: Any) -> Any:
        """Copies an array in, cast to this dtype and broadcast to this shape; returns the box.

        Raises:
            ValueError: if ``src`` does not broadcast to the shape.
        """
        self._write_same_shape("copy_", src)
        return self

    def fill_(self, value: Any) -> Any:
        """Sets every element to ``value``; returns the box."""
        self._write_same_shape("fill_", value)
        return self

    def zero_(self) -> Any:
        """Sets every element to 0; returns the box."""
        return self.fill_(0)

    def __getitem__(self, index: Any) -> jax.Array:
        return self.data[index.data if isinstance(index, Box) else index]

    def __setitem__(self, index: Any, value: Any) -> None:
        index = index.data if isinstance(index, Box) else index
        self.write(self.data.at[index].set(to_array(value).astype(self.dtype)))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.data, name)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d array")
        return self.shape[0]

    def __iter__(self) -> Iterator[jax.Array]:
        return iter(self.data)

    def __bool__(self) -> bool:
        return bool(self.data)

    def __int__(self) -> int:
        return int(self.data.item())

    def __float__(self) -> float:
        return float(self.data.item())

    def __index__(self) -> int:
        return operator.index(self.data)

    def __complex__(self) -> complex:
        return complex(self.data)

    def __hash__(self) -> int:
        return id(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        new = memo.get(id(self))
        if new is None:
            new = self._empty_like()
            new.__dict__.update(self._extra_attributes())
            memo[id(self)] = new
        return new

    def _extra_attributes(self) -> dict[str, Any]:
        return dict(self.__dict__)

    def _empty_like(self) -> Any:
        raise NotImplementedError

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _rebuild, (type(self), self._pickle_state(), self._extra_attributes())

    def _pickle_state(self) -> tuple[Any, ...]:
        raise NotImplementedError

    def __eq__(self, other: Any) -> Any:
        return self.data == _value(other)

    def __ne__(self, other: Any) -> Any:
        return self.data != _value(other)


def _value(other: Any) -> Any:
    return other.data if isinstance(other, Box) else other


def _rebuild(cls: Any, state: tuple[Any, ...], attributes: dict[str, Any]) -> Any:
    box = cls._from_pickle(state)
    box.__dict__.update(attributes)
    return box


def _install_operators() -> None:
    names = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor", "lshift", "rshift"]

    def forward(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        return lambda self, other: function(self.data, _value(other))

    def reflected(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        return lambda self, other: function(_value(other), self.data)

    def in_place(name: str, function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def method(self: ArrayBox, other: Any) -> ArrayBox:
            self._write_same_shape(f"in-place {name}", function(self.data, _value(other)))
            return self

        return method

    for name in names:
        function = getattr(operator, f"__{name}__")
        setattr(ArrayBox, f"__{name}__", forward(function))
        setattr(ArrayBox, f"__r{name}__", reflected(function))
        setattr(ArrayBox, f"__i{name}__", in_place(name, function))
    for name in ("lt", "le", "gt", "ge"):
        setattr(ArrayBox, f"__{name}__", forward(getattr(operator, f"__{name}__")))
    for name in ("neg", "pos", "abs", "invert"):
        function = getattr(operator, f"__{name}__")
        setattr(ArrayBox, f"__{name}__", lambda self, function=function: function(self.data))
    for name, function in (
        ("add", operator.add),
        ("sub", operator.sub),
        ("mul", operator.mul),
        ("div", operator.truediv),
    ):
        setattr(ArrayBox, f"{name}_", in_place(f"{name}_", function))


_install_operators()

"""``ArrayBox``: what ``Parameter`` and ``Buffer`` have in common."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Protocol, Self, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fnn.amp.casting import follow_autocast
from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import check_64_bits, describe
from fnn.nn.html import array_html
from fnn.nn.placement import Place, beside
from fnn.nn.tensor_methods import TensorMethods
from fnn.nn.tensor_methods.absent import ADVICE
from fnn.stateful.boxes import Box
from fnn.tensor import elementwise, indexing
from fnn.tensor.promotion import cast

__all__ = ["ArrayBox", "Data", "SupportsArray", "to_array"]


class SupportsArray(Protocol):
    """What numpy can read, such as a tensor of torch."""

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray[Any, Any]: ...


Data: TypeAlias = ArrayLike | SupportsArray | Sequence[Any]
"""What a box can be filled from: arrays of jax, numpy or torch, boxes, numbers, nested lists of numbers."""


def to_array(value: Data, name: str = "data") -> jax.Array:
    """A jax, numpy or torch array, a box, a number or a nested list of numbers as a strongly typed ``jax.Array``.

    Raises:
        TypeError: if the value is none of these.
    """
    if isinstance(value, Box):
        value = value.data
    if hasattr(value, "detach") and hasattr(value, "numpy"):
        value = _from_torch(value)
    if isinstance(value, np.ndarray | np.generic | int):
        check_64_bits(name, value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return jax.device_put(np.array(value))  # compiles nothing; the copy keeps the caller's memory apart
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be an array, got {describe(value)}") from error
    if jnp.issubdtype(array.dtype, jax.dtypes.extended):
        raise TypeError(f"{name} must be an array of numbers, got {describe(array)}")
    if isinstance(array, Tracer) or array.weak_type:
        return jax.lax.convert_element_type(array, array.dtype) if array.weak_type else array
    return array


def _from_torch(tensor: Any) -> np.ndarray[Any, Any]:
    tensor = tensor.detach().cpu()
    if str(tensor.dtype) == "torch.bfloat16":
        return tensor.float().numpy().astype(jnp.bfloat16)
    return np.array(tensor.numpy())


if TYPE_CHECKING:
    # A box is no jax.Array, but passes for one wherever jnp and fnn take arrays: that is what a checker must know.
    _Array = jax.Array
else:

    class _Array:
        __slots__ = ()


@follow_autocast
class ArrayBox(TensorMethods, _Array):  # pyright: ignore[reportIncompatibleMethodOverride, reportIncompatibleVariableOverride]
    """The common half of ``Parameter`` and ``Buffer``: reads like an array, and can be written in place.

    It works in ``jnp`` and ``jax.nn`` functions and with operators; raw ``jax.lax`` functions and the index of an array want
    ``.data``. Its methods are those of torch's tensors and return arrays, whose methods are JAX's; those that torch ends with
    ``_`` write into the box. What torch's tensors have not (``at``, ``astype``, ``sharding``) it has from its array.
    """

    _noun: ClassVar[str] = ""

    # So that numpy's operators leave the work to the box's, which know traced values.
    __array_priority__: int = 100

    def __hash__(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return id(self)

    if TYPE_CHECKING:

        @property
        def data(self) -> jax.Array:
            """The array; raises RuntimeError under an ``fnn.jit`` that did not find this box."""
            ...

        @data.setter
        def data(self, value: Data) -> None: ...
    else:
        data = property(
            Box.data.fget,
            Box.data.fset,
            doc="""The array; raises RuntimeError under an ``fnn.jit`` that did not find this box.

            An array never changes: what torch writes as ``p.data.copy_(x)`` is ``p.copy_(x)`` or ``p.data = x`` here, and
            ``p.data[0] = 1`` is ``p[0] = 1``.
            """,
        )

    def _repr_html_(self) -> str:
        return array_html(self)

    def __jax_array__(self) -> jax.Array:
        return self.data

    def __array__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, dtype: Any = None, copy: bool | None = None
    ) -> np.ndarray[Any, Any]:
        return np.array(self.data, dtype=dtype, copy=copy)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        # numpy's functions see the array: many would otherwise call a method of that name, which has torch's meaning here.
        args, kwargs = jax.tree.map(_value, (args, kwargs), is_leaf=lambda v: isinstance(v, Box))
        return func(*args, **kwargs)

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self.data.__dlpack__(**kwargs)

    def __dlpack_device__(self) -> Any:
        array: Any = self.data
        return array.__dlpack_device__()

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self._data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Element type."""
        return self._data.dtype

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self._data.ndim

    @property
    def device(self) -> Place:
        """The device, or the sharding, on which the array lies."""
        return self._data.device

    @property
    def real(self) -> jax.Array:
        """Real parts."""
        return self.data.real

    @property
    def imag(self) -> jax.Array:
        """Imaginary parts of complex numbers; others are refused, as by torch."""
        return elementwise.imag(self.data)

    def numpy(self) -> np.ndarray[Any, Any]:
        """The array as numpy."""
        return np.asarray(self.data)

    # Writing

    def write(self, value: Data, *, owned: bool = False) -> None:
        array = to_array(value, self.describe())
        if not isinstance(value, jax.Array | Box):
            old = self.peek()  # what has no place of its own goes where the box is
            array = beside(array, old) if array.shape == old.shape else array
        self._check_dtype(array.dtype)
        super().write(array, owned=owned)

    def _check_dtype(self, dtype: np.dtype[Any]) -> None:
        """Raises RuntimeError if the box cannot hold an array of this dtype."""

    def copy_(self, src: Data, non_blocking: bool = False) -> Self:
        """Copies an array in, cast to this dtype and broadcast to this shape; returns the box.

        Raises:
            ValueError: if ``src`` does not broadcast to the shape, or has a number that no integer of this dtype stands for.
        """
        array = cast("copy_: src", to_array(src, "copy_: src"), self.dtype)
        try:
            array = jnp.broadcast_to(array, self.shape)
        except ValueError:
            raise ValueError(
                f"copy_: src must broadcast to {self.shape}, the shape of {self.describe()}, got {array.shape}"
            ) from None
        return self._reshape_in_place(array)

    def fill_(self, value: ArrayLike) -> Self:
        """Sets every element to a number; returns the box.

        Raises:
            ValueError: if ``value`` has axes, or is a number that no integer of this dtype stands for.
        """
        number = to_array(value, "fill_: value")
        if number.ndim:
            raise ValueError(f"fill_: value must be a number or a 0-D array, got shape {number.shape}")
        return self._reshape_in_place(jnp.broadcast_to(cast("fill_: value", number, self.dtype), self.shape))

    def zero_(self) -> Self:
        """Sets every element to 0; returns the box."""
        return self.fill_(0)

    def __getitem__(self, index: Any) -> jax.Array:
        return indexing.getitem(self.data, index)

    def __setitem__(self, index: Any, value: Data) -> None:
        new = cast("[]=: value", to_array(value, "[]=: value"), self.dtype)
        self.write(beside(indexing.setitem(self.data, index, new), self.peek()))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if name in ADVICE:
            raise AttributeError(f"{self.describe()} has no {name!r}: {ADVICE[name]}")
        return getattr(self.data, name)

    # Conversions

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a 0-d array")
        return self.shape[0]

    def __iter__(self) -> Iterator[jax.Array]:
        return iter(self.data)

    def __reversed__(self) -> Iterator[jax.Array]:
        return reversed(self.data)

    def __round__(self, ndigits: int | None = None) -> jax.Array:
        return self.data.round(ndigits or 0)

    def __contains__(self, value: Any) -> bool:
        return bool((self.data == _value(value)).any())

    def __format__(self, spec: str) -> str:
        return format(self.data, spec) if spec else str(self)

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

    # Copies and pickles

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        new = memo.get(id(self))
        if new is None:
            new = self._empty_like()
            new.__dict__.update(self._extra_attributes())
            memo[id(self)] = new
        return new

    def _extra_attributes(self) -> dict[str, Any]:
        return dict(self.__dict__)

    def _empty_like(self) -> Self:
        raise NotImplementedError

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _rebuild, (type(self), self._pickle_state(), self._extra_attributes())

    def _pickle_state(self) -> tuple[Any, ...]:
        raise NotImplementedError

    @classmethod
    def _from_pickle(cls, state: tuple[Any, ...]) -> Self:
        raise NotImplementedError

    # Operators

    def __add__(self, other: ArrayLike) -> jax.Array:
        return self.data + _value(other)

    def __sub__(self, other: ArrayLike) -> jax.Array:
        return self.data - _value(other)

    def __mul__(self, other: ArrayLike) -> jax.Array:
        return self.data * _value(other)

    def __truediv__(self, other: ArrayLike) -> jax.Array:
        return self.data / _value(other)

    def __floordiv__(self, other: ArrayLike) -> jax.Array:
        return self.data // _value(other)

    def __mod__(self, other: ArrayLike) -> jax.Array:
        return self.data % _value(other)

    def __pow__(self, other: ArrayLike) -> jax.Array:
        return self.data ** _value(other)

    def __matmul__(self, other: ArrayLike) -> jax.Array:
        return self.data @ _value(other)

    def __and__(self, other: ArrayLike) -> jax.Array:
        return self.data & _value(other)

    def __or__(self, other: ArrayLike) -> jax.Array:
        return self.data | _value(other)

    def __xor__(self, other: ArrayLike) -> jax.Array:
        return self.data ^ _value(other)

    def __lshift__(self, other: ArrayLike) -> jax.Array:
        return self.data << _value(other)

    def __rshift__(self, other: ArrayLike) -> jax.Array:
        return self.data >> _value(other)

    def __divmod__(self, other: ArrayLike) -> tuple[jax.Array, jax.Array]:
        return divmod(self.data, _value(other))

    def __radd__(self, other: ArrayLike) -> jax.Array:
        return _value(other) + self.data

    def __rsub__(self, other: ArrayLike) -> jax.Array:
        return _value(other) - self.data

    def __rmul__(self, other: ArrayLike) -> jax.Array:
        return _value(other) * self.data

    def __rtruediv__(self, other: ArrayLike) -> jax.Array:
        return _value(other) / self.data

    def __rfloordiv__(self, other: ArrayLike) -> jax.Array:
        return _value(other) // self.data

    def __rmod__(self, other: ArrayLike) -> jax.Array:
        return _value(other) % self.data

    def __rpow__(self, other: ArrayLike) -> jax.Array:
        return _value(other) ** self.data

    def __rmatmul__(self, other: ArrayLike) -> jax.Array:
        return _value(other) @ self.data

    def __rand__(self, other: ArrayLike) -> jax.Array:
        return _value(other) & self.data

    def __ror__(self, other: ArrayLike) -> jax.Array:
        return _value(other) | self.data

    def __rxor__(self, other: ArrayLike) -> jax.Array:
        return _value(other) ^ self.data

    def __rlshift__(self, other: ArrayLike) -> jax.Array:
        return _value(other) << self.data

    def __rrshift__(self, other: ArrayLike) -> jax.Array:
        return _value(other) >> self.data

    def __rdivmod__(self, other: ArrayLike) -> jax.Array:
        return divmod(_value(other), self.data)

    def __iadd__(self, other: ArrayLike) -> Self:
        return self._set_in_place("+=", self.data + _value(other))

    def __isub__(self, other: ArrayLike) -> Self:
        return self._set_in_place("-=", self.data - _value(other))

    def __imul__(self, other: ArrayLike) -> Self:
        return self._set_in_place("*=", self.data * _value(other))

    def __itruediv__(self, other: ArrayLike) -> Self:
        return self._set_in_place("/=", self.data / _value(other))

    def __ifloordiv__(self, other: ArrayLike) -> Self:
        return self._set_in_place("//=", self.data // _value(other))

    def __imod__(self, other: ArrayLike) -> Self:
        return self._set_in_place("%=", self.data % _value(other))

    def __ipow__(self, other: ArrayLike) -> Self:
        return self._set_in_place("**=", self.data ** _value(other))

    def __imatmul__(self, other: ArrayLike) -> Self:
        return self._set_in_place("@=", self.data @ _value(other))

    def __iand__(self, other: ArrayLike) -> Self:
        return self._set_in_place("&=", self.data & _value(other))

    def __ior__(self, other: ArrayLike) -> Self:
        return self._set_in_place("|=", self.data | _value(other))

    def __ixor__(self, other: ArrayLike) -> Self:
        return self._set_in_place("^=", self.data ^ _value(other))

    def __ilshift__(self, other: ArrayLike) -> Self:
        return self._set_in_place("<<=", self.data << _value(other))

    def __irshift__(self, other: ArrayLike) -> Self:
        return self._set_in_place(">>=", self.data >> _value(other))

    def __lt__(self, other: ArrayLike) -> jax.Array:
        return self.data < _value(other)

    def __le__(self, other: ArrayLike) -> jax.Array:
        return self.data <= _value(other)

    def __gt__(self, other: ArrayLike) -> jax.Array:
        return self.data > _value(other)

    def __ge__(self, other: ArrayLike) -> jax.Array:
        return self.data >= _value(other)

    def __eq__(self, other: ArrayLike) -> jax.Array:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.data == _value(other)

    def __ne__(self, other: ArrayLike) -> jax.Array:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.data != _value(other)

    def __neg__(self) -> jax.Array:
        return -self.data

    def __pos__(self) -> jax.Array:
        return +self.data

    def __invert__(self) -> jax.Array:
        return ~self.data

    def __abs__(self) -> jax.Array:
        return abs(self.data)


def _value(other: Any) -> Any:
    return other.data if isinstance(other, Box) else other


def _rebuild(cls: type[ArrayBox], state: tuple[Any, ...], attributes: dict[str, Any]) -> ArrayBox:
    box = cls._from_pickle(state)
    box.__dict__.update(attributes)
    return box


def _refuse(box: ArrayBox) -> NoReturn:
    raise ValueError(
        f"{box.describe()} was given where JAX takes arrays alone (a function of jax.lax, the index of an array): use .data"
    )


# JAX asks for the type of whatever its primitives and its indexing are given. This says what is wrong in fnn's words.
try:
    from jax.experimental.hijax import register_hitype
except ImportError:  # pragma: no cover
    pass
else:
    register_hitype(ArrayBox, _refuse)

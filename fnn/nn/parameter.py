"""``Parameter`` and ``Buffer``: mutable boxes, each around one ``jax.Array``; and their forms that have no values yet."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Self, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from fnn.functional.checks import fail
from fnn.nn.array_box import ArrayBox, Data, to_array
from fnn.nn.placement import Device, DType, Place, empty, parse_device, parse_dtype
from fnn.stateful.boxes import Box, OptionalBox
from fnn.stateful.scopes import note_emptied
from fnn.stateful.structure import structure_changed
from fnn.stateful.tracing import trace_state
from fnn.tensor.row_sparse import RowSparse

__all__ = [
    "Buffer",
    "OptionalBuffer",
    "OptionalParameter",
    "Parameter",
    "UninitializedBuffer",
    "UninitializedParameter",
    "is_lazy",
]


class Parameter(ArrayBox):
    """An array that a Module learns: a mutable box with a gradient.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.parameter.Parameter.html

    Args:
        data: the array (jax, numpy or torch).
        requires_grad: whether gradients are taken with respect to it.

    Raises:
        RuntimeError: if ``requires_grad`` is true and the dtype is not floating.

    Example:
        >>> import jax.numpy as jnp
        >>> p = Parameter(jnp.ones((2, 2)))
        >>> (p + 1).sum().item()
        8.0
    """

    def __init__(self, data: Data | None = None, requires_grad: bool = True) -> None:
        array = to_array(np.empty(0, np.float32) if data is None else data, "Parameter: data")
        super().__init__(array)
        self._grad = OptionalBox()
        self._requires_grad = False
        self.requires_grad = requires_grad

    @property
    def requires_grad(self) -> bool:
        """Whether gradients are taken with respect to this parameter; setting it recompiles once."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if not isinstance(value, int | np.bool_):
            fail(TypeError, "Parameter", "requires_grad", "True or False", value)
        value = bool(value)
        if value and not jnp.issubdtype(self.dtype, jnp.inexact):
            raise RuntimeError(
                "Parameter: only a floating Parameter can require gradients, "
                f"got requires_grad=True and data of dtype {self.dtype}"
            )
        if value != self._requires_grad:
            self._requires_grad = value
            structure_changed()

    def _check_dtype(self, dtype: np.dtype[Any]) -> None:
        if self._requires_grad and not jnp.issubdtype(dtype, jnp.inexact):
            raise RuntimeError(
                f"{self.describe()} requires gradients: its data must be floating, got dtype {dtype}; "
                "requires_grad_(False) before lets it hold other numbers"
            )

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Sets ``requires_grad``; returns the parameter."""
        self.requires_grad = requires_grad
        return self

    @property
    def grad(self) -> jax.Array | None:
        """The gradient that ``fnn.backward`` added up, or ``None``; of a table that only layers with ``sparse=True`` read, a
        ``RowSparse``."""
        return self._grad.data

    @grad.setter
    def grad(self, value: Data | RowSparse | None) -> None:
        if value is not None:
            value = value if isinstance(value, RowSparse) else to_array(value, f"grad of {self.describe()}")
            if value.shape != self.shape:
                raise ValueError(f"grad of {self.describe()} must have its shape, got {value.shape}")
            kind = jnp.inexact if jnp.issubdtype(self.dtype, jnp.complexfloating) else jnp.floating
            if jnp.issubdtype(self.dtype, jnp.inexact) and not jnp.issubdtype(value.dtype, kind):
                raise TypeError(
                    f"grad of {self.describe()} must be of a floating dtype, as its own {self.dtype}, got {value.dtype}"
                )
        if value is not None or self._grad.peek() is not None:
            self._grad._label = f"{self._label}.grad"
            self._grad.write(value)
        else:
            note_emptied(self._grad)

    @property
    def is_leaf(self) -> bool:
        """True: a parameter is never a result."""
        return True

    def _empty_like(self) -> Self:
        new = type(self).__new__(type(self))
        Box.__init__(new, self.data, self._label)
        new._grad = OptionalBox(self._grad.data)
        new._requires_grad = self._requires_grad
        return new

    def _extra_attributes(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_grad", "_requires_grad")}

    def _pickle_state(self) -> tuple[Any, ...]:
        grad = self._grad._data
        return np.asarray(self.data), self._label, self._requires_grad, None if grad is None else np.asarray(grad)

    @classmethod
    def _from_pickle(cls, state: tuple[Any, ...]) -> Self:
        data, label, requires_grad, grad = state
        new = cls.__new__(cls)
        Box.__init__(new, jnp.asarray(data), label)
        new._grad = OptionalBox(None if grad is None else jnp.asarray(grad))
        new._requires_grad = requires_grad
        return new

    def __repr__(self) -> str:
        tail = ", requires_grad=True" if self.requires_grad else ""
        return f"Parameter containing:\n{self._data!r}{tail}"


class Buffer(ArrayBox):
    """An array that belongs to a Module's state but is not learned; assigning one to a Module attribute registers it.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.parameter.Buffer.html

    Args:
        data: the array (jax, numpy or torch).
        persistent: whether it is part of the ``state_dict``.

    Example:
        >>> import numpy as np
        >>> b = Buffer(np.zeros(2))
        >>> b += 1
        >>> b.numpy().tolist()
        [1.0, 1.0]
    """

    requires_grad: bool = False

    def __init__(self, data: Data | None = None, *, persistent: bool = True) -> None:
        super().__init__(to_array(np.empty(0, np.float32) if data is None else data, "Buffer: data"))
        self.persistent = persistent

    def _empty_like(self) -> Self:
        new = type(self).__new__(type(self))
        Box.__init__(new, self.data, self._label)
        return new

    def _pickle_state(self) -> tuple[Any, ...]:
        return np.asarray(self.data), self._label

    @classmethod
    def _from_pickle(cls, state: tuple[Any, ...]) -> Self:
        new = cls.__new__(cls)
        Box.__init__(new, jnp.asarray(state[0]), state[1])
        return new

    def __repr__(self) -> str:
        return f"Buffer containing:\n{self._data!r}"


OptionalParameter: TypeAlias = Parameter | Any
"""A Parameter, or ``None`` in a layer that was made without, such as ``bias=False``.

The type says ``Any`` and not ``None``: a checker would otherwise ask for a test before every use of ``layer.bias``.
"""

OptionalBuffer: TypeAlias = Buffer | Any
"""A Buffer, or ``None`` in a layer that was made without, such as ``track_running_stats=False``."""


def _unflatten_parameter(requires_grad: bool, children: Any) -> Parameter:
    new = Parameter.__new__(Parameter)
    Box.__init__(new, children[0])
    new._grad = OptionalBox()
    new._requires_grad = requires_grad
    return new


def _unflatten_buffer(persistent: bool, children: Any) -> Buffer:
    new = Buffer.__new__(Buffer)
    Box.__init__(new, children[0])
    new.persistent = persistent
    return new


jax.tree_util.register_pytree_node(Parameter, lambda p: ((p.data,), p._requires_grad), _unflatten_parameter)


jax.tree_util.register_pytree_node(Buffer, lambda b: ((b.data,), b.persistent), _unflatten_buffer)


DRY_RUN = "call the model once, eagerly, on a batch of the right shape (a dry run) to initialize it"


class _Pending:
    """What an uninitialized box holds in place of an array: the dtype and the place of the array to come."""

    __slots__ = ("_box", "dtype", "place")

    def __init__(self, box: Box, dtype: Any, place: Any) -> None:
        self._box: weakref.ref[Box] = weakref.ref(box)
        self.dtype: np.dtype[Any] = dtype
        self.place: Place | None = place

    @property
    def device(self) -> Place:
        return jax.devices()[0] if self.place is None else self.place

    def refuse(self, use: str) -> NoReturn:
        box = self._box()
        name = "an uninitialized parameter or buffer" if box is None else box.describe()
        raise RuntimeError(f"{name} has no {use} yet; {DRY_RUN}")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        self.refuse(name)


class _Uninitialized(ArrayBox):
    """The common half of ``UninitializedParameter`` and ``UninitializedBuffer``: every use but a cast or a move raises."""

    cls_to_become: type[ArrayBox]
    persistent: bool

    def __init__(self, requires_grad: bool, device: Device, dtype: DType) -> None:
        Box.__init__(self, _Pending(self, parse_dtype(dtype) or jnp.dtype(jnp.float32), parse_device(device)))

    def _refuse(self, *_: Any) -> NoReturn:
        pending: _Pending = self._data
        pending.refuse("value")

    data = property(_refuse, _refuse)  # pyright: ignore

    def peek(self) -> NoReturn:
        """Raises: there is no array yet."""
        self._refuse()

    def write(self, value: Data, *, owned: bool = False) -> NoReturn:
        """Raises: there is no array yet."""
        self._refuse()

    def materialize(self, shape: int | Sequence[int], device: Device = None, dtype: DType = None) -> None:
        """Turns this box into an ordinary one around zeros of ``shape``.

        Args:
            shape: lengths of the axes.
            device: where the array is put; by default where the box was put.
            dtype: its dtype; by default that of the box.

        Raises:
            RuntimeError: inside a JAX transformation, which would end with a traced array in the box.
        """
        if self._origin != trace_state():
            raise RuntimeError(f"{self.describe()} cannot be initialized inside a JAX transformation; {DRY_RUN}")
        pending: _Pending = self._data
        array = empty(
            (shape,) if isinstance(shape, int) else tuple(shape),
            pending.place if device is None else device,
            pending.dtype if dtype is None else dtype,
        )
        self._put(array, owned=True)
        self.__class__ = self.cls_to_become  # pyright: ignore[reportAttributeAccessIssue]
        structure_changed()

    def moved(self, fn: Callable[[jax.Array], jax.Array]) -> Callable[[], None]:
        """A function that gives the array to come the dtype and the place that ``fn`` gives an empty array."""
        pending: _Pending = self._data
        new = fn(jax.device_put(np.zeros(0, pending.dtype), pending.place))
        committed = _Pending(self, new.dtype, new.sharding if new.committed else None)

        def commit() -> None:
            self._put(committed)
            structure_changed()

        return commit

    def describe(self) -> str:
        return f"{type(self).__name__} {self._label!r}" if self._label else type(self).__name__

    def _empty_like(self) -> Any:
        new = type(self)(self.requires_grad, self._data.place, self._data.dtype)
        new._label = self._label
        return new

    def _pickle_state(self) -> tuple[Any, ...]:
        return self.requires_grad, self._data.dtype, self._label

    @classmethod
    def _from_pickle(cls, state: tuple[Any, ...]) -> Any:
        new = cls(state[0], None, state[1])
        new._label = state[2]
        return new

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def is_lazy(param: Any) -> bool:
    """Whether ``param`` is an ``UninitializedParameter`` or an ``UninitializedBuffer``.

    Args:
        param: anything.

    Returns:
        whether it is one whose shape is not known yet.

    Example:
        >>> is_lazy(UninitializedParameter())
        True
    """
    return isinstance(param, _Uninitialized)


class UninitializedParameter(_Uninitialized, Parameter):
    """A Parameter whose shape is not known yet; it can be cast and moved, and every other use raises.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.parameter.UninitializedParameter.html

    Args:
        requires_grad: whether gradients are taken with respect to it.
        device: where the array will be put.
        dtype: its dtype.

    Example:
        >>> p = UninitializedParameter()
        >>> p
        <UninitializedParameter>
        >>> p.materialize((2, 3))
        >>> type(p).__name__, p.shape
        ('Parameter', (2, 3))
    """

    cls_to_become: type[ArrayBox] = Parameter

    def __init__(self, requires_grad: bool = True, device: Device = None, dtype: DType = None) -> None:
        _Uninitialized.__init__(self, requires_grad, device, dtype)
        self._grad = OptionalBox()
        self._requires_grad = False
        self.requires_grad = requires_grad


class UninitializedBuffer(_Uninitialized, Buffer):
    """A Buffer whose shape is not known yet; it can be cast and moved, and every other use raises.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.parameter.UninitializedBuffer.html

    Args:
        requires_grad: accepted for torch's signature; a buffer never does.
        device: where the array will be put.
        dtype: its dtype.
        persistent: whether it is part of the ``state_dict``.

    Example:
        >>> UninitializedBuffer()
        <UninitializedBuffer>
    """

    cls_to_become: type[ArrayBox] = Buffer

    def __init__(
        self, requires_grad: bool = False, device: Device = None, dtype: DType = None, persistent: bool = True
    ) -> None:
        _Uninitialized.__init__(self, requires_grad, device, dtype)
        self.persistent = persistent


def _refuse_leaves(box: _Uninitialized) -> NoReturn:
    box._refuse()


for _kind in (UninitializedParameter, UninitializedBuffer):
    jax.tree_util.register_pytree_node(_kind, _refuse_leaves, lambda _, leaves: leaves)

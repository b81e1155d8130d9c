"""Lazy modules: parameters and buffers without values yet, and the mixin whose first call gives them their shapes."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from fnn.nn.parameter import ArrayBox, Buffer, Parameter
from fnn.nn.placement import empty, parse_device, parse_dtype
from fnn.stateful import Box, OptionalBox, structure_changed, trace_state

__all__ = ["LazyModuleMixin", "UninitializedBuffer", "UninitializedParameter", "is_lazy"]

_DRY_RUN = "call the model once, eagerly, on a batch of the right shape (a dry run) to initialize it"


class _Pending:
    """What an uninitialized box holds in place of an array: the dtype and the place of the array to come."""

    __slots__ = ("_box", "dtype", "place")

    def __init__(self, box: Box, dtype: Any, place: Any) -> None:
        self._box = weakref.ref(box)
        self.dtype = dtype
        self.place = place

    @property
    def device(self) -> Any:
        return jax.devices()[0] if self.place is None else self.place

    def refuse(self, use: str) -> NoReturn:
        box = self._box()
        name = "an uninitialized parameter or buffer" if box is None else box.describe()
        raise RuntimeError(f"{name} has no {use} yet; {_DRY_RUN}")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        self.refuse(name)


class _Uninitialized(ArrayBox):
    """The common half of ``UninitializedParameter`` and ``UninitializedBuffer``: every use but a cast or a move raises."""

    cls_to_become: type[ArrayBox]
    persistent: bool

    def __init__(self, requires_grad: bool, device: Any, dtype: Any) -> None:
        Box.__init__(self, _Pending(self, parse_dtype(dtype) or jnp.dtype(jnp.float32), parse_device(device)))

    def _refuse(self, *_: Any) -> NoReturn:
        pending: _Pending = self._data
        pending.refuse("value")

    data = property(_refuse, _refuse)  # pyright: ignore
    peek = write = _refuse  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]

    def materialize(self, shape: int | Sequence[int], device: Any = None, dtype: Any = None) -> None:
        """Turns this box into an ordinary one around zeros of ``shape``.

        Args:
            shape: lengths of the axes.
            device: where the array is put; by default where the box was put.
            dtype: its dtype; by default that of the box.

        Raises:
            RuntimeError: inside a JAX transformation, which would end with a traced array in the box.
        """
        if self._origin != trace_state():
            raise RuntimeError(f"{self.describe()} cannot be initialized inside a JAX transformation; {_DRY_RUN}")
        pending: _Pending = self._data
        self._data = empty(
            (shape,) if isinstance(shape, int) else tuple(shape),
            pending.place if device is None else device,
            pending.dtype if dtype is None else dtype,
        )
        self.__class__ = self.cls_to_become  # pyright: ignore[reportAttributeAccessIssue]
        structure_changed()

    def moved(self, fn: Callable[[jax.Array], jax.Array]) -> Callable[[], None]:
        """A function that gives the array to come the dtype and the place that ``fn`` gives an empty array."""
        pending: _Pending = self._data
        new = fn(jax.device_put(np.zeros(0, pending.dtype), pending.place))
        committed = _Pending(self, new.dtype, new.sharding if new.committed else None)

        def commit() -> None:
            self._data = committed
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

    Example:
        >>> is_lazy(UninitializedParameter())
        True
    """
    return isinstance(param, _Uninitialized)


class UninitializedParameter(_Uninitialized, Parameter):
    """A Parameter whose shape is not known yet; it can be cast and moved, and every other use raises.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.parameter.UninitializedParameter.html.

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

    cls_to_become = Parameter

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> None:
        _Uninitialized.__init__(self, requires_grad, device, dtype)
        self._grad = OptionalBox()
        self._requires_grad = False
        self.requires_grad = requires_grad


class UninitializedBuffer(_Uninitialized, Buffer):
    """A Buffer whose shape is not known yet; it can be cast and moved, and every other use raises.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.parameter.UninitializedBuffer.html.

    Args:
        requires_grad: accepted for torch's signature; a buffer never does.
        device: where the array will be put.
        dtype: its dtype.
        persistent: whether it is part of the ``state_dict``.

    Example:
        >>> UninitializedBuffer()
        <UninitializedBuffer>
    """

    cls_to_become = Buffer

    def __init__(
        self, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True
    ) -> None:
        _Uninitialized.__init__(self, requires_grad, device, dtype)
        self.persistent = persistent


def _refuse_leaves(box: _Uninitialized) -> NoReturn:
    box._refuse()


for _kind in (UninitializedParameter, UninitializedBuffer):
    jax.tree_util.register_pytree_node(_kind, _refuse_leaves, lambda _, leaves: leaves)


class LazyModuleMixin:
    """For a Module whose shapes follow from its first input; put it before the Module among the bases.

    Its parts are ``UninitializedParameter`` and ``UninitializedBuffer`` until the first call, which runs
    ``initialize_parameters`` on the arguments and turns the object into an instance of ``cls_to_become``. That first
    call is to be eager, outside ``jit``, ``grad`` and ``vmap``. An initialized ``state_dict`` may be loaded before it.
    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.modules.lazy.LazyModuleMixin.html.

    Example:
        >>> import jax.numpy as jnp
        >>> from fnn import nn
        >>> model = nn.Sequential(nn.LazyLinear(3), nn.ReLU(), nn.LazyLinear(1))
        >>> _ = model(jnp.ones((2, 5), "float32"))
        >>> model[0], model[2].weight.shape
        (Linear(in_features=5, out_features=3, bias=True), (1, 3))
    """

    cls_to_become: type[Any] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._uninitialized_ = True

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Materializes what is uninitialized; gets the arguments of the first call. Every subclass defines it."""
        raise NotImplementedError(f"initialize_parameters is not implemented for {type(self).__name__}")

    def has_uninitialized_params(self) -> bool:
        """Whether a parameter or buffer of this module itself has no values yet."""
        return any(is_lazy(box) for box in _boxes(self).values())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if "_uninitialized_" not in self.__dict__:
            return super().__call__(*args, **kwargs)  # pyright: ignore[reportAttributeAccessIssue]
        self._infer_parameters(self, args, kwargs)
        return self(*args, **kwargs)

    def _infer_parameters(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> None:
        """Initializes ``module`` for the arguments and makes it what it is to become."""
        name = type(module).__name__
        if module.has_uninitialized_params() and module._stateful_origin_ != trace_state():
            raise RuntimeError(f"{name}: its first call cannot be inside a JAX transformation; {_DRY_RUN}")
        module.initialize_parameters(*args, **(kwargs or {}))
        if module.has_uninitialized_params():
            raise RuntimeError(f"module {name} has not been fully initialized")
        del module._uninitialized_
        if module.cls_to_become is not None:
            module.__class__ = module.cls_to_become
            for key, box in _boxes(module).items():
                if box._label == f"{name}.{key}":
                    box._label = f"{type(module).__name__}.{key}"
        structure_changed()

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, True)  # pyright: ignore[reportAttributeAccessIssue]
        for name, box in _boxes(self).items():
            if destination.get(prefix + name) is box and not keep_vars and not is_lazy(box):
                destination[prefix + name] = box.data

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        for name, box in _boxes(self).items():
            value = state_dict.get(prefix + name)
            if value is not None and is_lazy(box) and not is_lazy(value):
                box.materialize(np.shape(value))
        super()._load_from_state_dict(  # pyright: ignore[reportAttributeAccessIssue]
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def _stateful_prepare_(self) -> Callable[[], None] | None:
        if self.has_uninitialized_params():
            raise RuntimeError(f"fnn.jit: {type(self).__name__} is uninitialized; {_DRY_RUN}, then compile")
        return super()._stateful_prepare_()  # pyright: ignore[reportAttributeAccessIssue]

    def _stateful_snapshot_(self) -> Callable[[], None]:
        restore = super()._stateful_snapshot_()  # pyright: ignore[reportAttributeAccessIssue]
        mine = type(self)
        boxes = [(box, type(box), box._data) for box in _boxes(self).values() if is_lazy(box)]

        def undo() -> None:
            self.__class__ = mine
            for box, kind, data in boxes:
                box.__class__ = kind
                box._data = data
            restore()

        return undo


def _boxes(module: Any) -> dict[str, Any]:
    """The parameters and buffers of the module itself by name, without those that are ``None``."""
    pairs = itertools.chain(module._parameters.items(), module._buffers.items())
    return {name: box for name, box in pairs if box is not None}

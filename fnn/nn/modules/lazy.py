"""The mixin by which a Module gets its shapes from its first input."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fnn.nn.parameter import DRY_RUN, is_lazy
from fnn.stateful.protocol import Uninitialized
from fnn.stateful.structure import structure_changed
from fnn.stateful.tracing import trace_state

if TYPE_CHECKING:
    from fnn.nn.modules.module import HasForward, Output, P

__all__ = ["LazyModuleMixin"]


class LazyModuleMixin:
    """For a Module whose shapes follow from its first input; put it before the Module among the bases.

    Its parts are ``UninitializedParameter`` and ``UninitializedBuffer`` until the first call, which runs
    ``initialize_parameters`` on the arguments and turns the object into an instance of ``cls_to_become``. That first
    call is to be eager, outside ``jit``, ``grad`` and ``vmap``. An initialized ``state_dict`` may be loaded before it.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.modules.lazy.LazyModuleMixin.html

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

    if TYPE_CHECKING:

        def __call__(self: HasForward[P, Output], *args: P.args, **kwargs: P.kwargs) -> Output: ...

    else:

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            if "_uninitialized_" not in self.__dict__:
                return super().__call__(*args, **kwargs)
            self._infer_parameters(self, args, kwargs)
            return self(*args, **kwargs)

    def _infer_parameters(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> None:
        """Initializes ``module`` for the arguments and makes it what it is to become."""
        name = type(module).__name__
        if module.has_uninitialized_params() and module._stateful_origin_ != trace_state():
            raise RuntimeError(f"{name}: its first call cannot be inside a JAX transformation; {DRY_RUN}")
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
            raise Uninitialized(f"fnn.jit: {type(self).__name__} is uninitialized; {DRY_RUN}, then compile")
        return super()._stateful_prepare_()  # pyright: ignore[reportAttributeAccessIssue]

    def _stateful_snapshot_(self) -> Callable[[], None]:
        restore = super()._stateful_snapshot_()  # pyright: ignore[reportAttributeAccessIssue]
        mine = type(self)
        boxes = [(box, type(box), box._data) for box in _boxes(self).values() if is_lazy(box)]

        def undo() -> None:
            self.__class__ = mine
            for box, kind, data in boxes:
                box.__class__ = kind
                box._put(data)
            restore()

        return undo


def _boxes(module: Any) -> dict[str, Any]:
    """The parameters and buffers of the module itself by name, without those that are ``None``."""
    pairs = itertools.chain(module._parameters.items(), module._buffers.items())
    return {name: box for name, box in pairs if box is not None}

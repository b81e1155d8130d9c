"""``BasePruningMethod``: how a parameter is pruned, pruned further, and made whole again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, overload

import jax
import numpy as np

from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import as_array
from fnn.functional.explained import explained, explained_constructor
from fnn.nn.array_box import to_array
from fnn.nn.modules.hooks import add_hook
from fnn.nn.modules.module import Module
from fnn.nn.parameter import Parameter, is_lazy
from fnn.nn.utils.computed_attributes import add_computed_weight, computed_weights, remove_computed_weight
from fnn.nn.utils.prune.masks import check_dim, host
from fnn.stateful.structure import structure_changed
from fnn.stateful.tracing import is_eager


def require_eager(action: str) -> None:
    """Raises inside a JAX transformation."""
    if not is_eager():
        raise RuntimeError(f"prune: {action} changes the structure of a module; do it outside of JAX transformations")


def pruning_of(module: Module, name: str) -> BasePruningMethod | None:
    """The method, or the container of several, that prunes the parameter."""
    found = computed_weights(module).get(name)
    return found if isinstance(found, BasePruningMethod) else None


def prunable(module: Module, name: str) -> Any:
    """The parameter of that name, or the present value of one that is pruned already."""
    value = getattr(module, name)
    if pruning_of(module, name) is not None:
        return value
    if not isinstance(value, Parameter):
        raise TypeError(f"prune: '{name}' of {module} must be a Parameter, got {type(value).__name__}")
    if is_lazy(value):
        raise ValueError(f"prune: '{name}' of {module} is uninitialized; run the dummy forward before pruning")
    return value


def _unhook(module: Module, method: BasePruningMethod) -> None:
    hooks = module._forward_pre_hooks
    for key in [key for key, hook in hooks.items() if hook.function is method]:
        del hooks[key]
    structure_changed()


def scores_for(scores: ArrayLike | None, t: Parameter | jax.Array, what: str) -> jax.Array:
    """The scores given, else the values."""
    if scores is None:
        return to_array(t)
    given = to_array(scores, "importance_scores")
    if given.shape != t.shape:
        raise AssertionError(
            f"importance_scores should have the same shape as {what}, got {given.shape} vs {tuple(t.shape)}"
        )
    return given


class BasePruningMethod(ABC):
    """What a pruning technique derives from: it overrides ``compute_mask`` and says its ``PRUNING_TYPE``.

    The type says what a repeated pruning counts and ranks: "unstructured" the elements that are left, "structured" the
    slices that are not all zero, "global" all.

    Attributes:
        PRUNING_TYPE (str): "unstructured", "structured" or "global".

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.BasePruningMethod.html

    Example:
        >>> import fnn
        >>> class Negative(BasePruningMethod):
        ...     PRUNING_TYPE = "unstructured"
        ...     def compute_mask(self, t, default_mask):
        ...         return default_mask * (t >= 0)
        >>> m = fnn.nn.Linear(4, 4)
        >>> _ = Negative.apply(m, "weight")
        >>> bool((m.weight >= 0).all())
        True
    """

    PRUNING_TYPE: ClassVar[str]
    _tensor_name: str

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        explained_constructor(cls)

    # The forward pre-hooks of a module hold the method itself, so that it is found among them; the call of the module
    # asks these two of an entry.
    with_kwargs: ClassVar[bool] = False

    @property
    def function(self) -> BasePruningMethod:
        """The hook: the method itself."""
        return self

    def __call__(self, module: Module, inputs: Any) -> None:
        """Runs as a forward pre-hook of the module; the weight is computed when it is read, so nothing is left to do."""
        return

    @explained
    @abstractmethod
    def compute_mask(self, t: jax.Array, default_mask: jax.Array) -> jax.Array:
        """The new mask, of the shape of ``t``.

        Args:
            t: scores by which elements are chosen, the parameter itself if no others were given.
            default_mask: the mask so far, to which this one is added.

        Returns:
            an array of zeros and ones.
        """
        raise NotImplementedError

    @explained
    def apply_mask(self, module: Module) -> jax.Array:
        """The product of ``weight_orig`` and ``weight_mask``."""
        original = getattr(module, f"{self._tensor_name}_orig").data
        return getattr(module, f"{self._tensor_name}_mask").data.astype(original.dtype) * original

    @explained
    def compute_weight(self, module: Module) -> jax.Array:
        """The value of the pruned attribute."""
        return self.apply_mask(module)

    @classmethod
    def apply(
        cls, module: Module, name: str, *args: Any, importance_scores: ArrayLike | None = None, **kwargs: Any
    ) -> BasePruningMethod:
        """Prunes a parameter, further if it is pruned already.

        Args:
            module: the module that has the parameter.
            name: name of the parameter.
            *args: arguments of the method's constructor.
            importance_scores: of the parameter's shape; elements of small score are pruned first.
            **kwargs: keyword arguments of the constructor.

        Returns:
            the method, or the container of all methods applied to the parameter so far.

        Raises:
            AttributeError: if there is no such attribute.
            TypeError: if it is no parameter.
            ValueError: if it is uninitialized.
            AssertionError: if the scores have another shape.
            RuntimeError: inside a JAX transformation. The module is after any error as before.
        """
        require_eager("pruning")
        value = prunable(module, name)
        scores = scores_for(importance_scores, value, f"parameter {name} of {module}")
        old = pruning_of(module, name)
        new = cls(*args, **kwargs)
        new._tensor_name = name
        method: BasePruningMethod = new
        if old is None:
            for taken in (f"{name}_orig", f"{name}_mask"):
                if hasattr(module, taken):
                    raise KeyError(f"prune: attribute '{taken}' already exists")
            original, default_mask = value, to_array(np.ones(value.shape, value.dtype))
        else:
            original, default_mask = getattr(module, f"{name}_orig"), getattr(module, f"{name}_mask").data
            method = PruningContainer(*(old if isinstance(old, PruningContainer) else (old,)), new)
        mask = to_array(method.compute_mask(scores, default_mask=default_mask), "mask")
        if mask.shape != original.shape:
            raise ValueError(f"prune: mask must have the shape {original.shape} of '{name}', got {mask.shape}")
        sharding = original.data.sharding
        mask = mask if mask.sharding == sharding else jax.device_put(mask, sharding)
        restore = module._stateful_snapshot_()
        try:
            if old is None:
                delattr(module, name)
                module.register_parameter(f"{name}_orig", original)
            module.register_buffer(f"{name}_mask", mask)
            method.compute_weight(module)
        except BaseException:
            restore()
            raise
        if isinstance(old, PruningContainer):  # it stays the same object
            old.add_pruning_method(new)
            method = old
        if old is not None:
            _unhook(module, old)
        add_hook(module._forward_pre_hooks, method)
        add_computed_weight(module, name, method)
        return method

    @explained
    def prune(
        self, t: ArrayLike, default_mask: ArrayLike | None = None, importance_scores: ArrayLike | None = None
    ) -> jax.Array:
        """A pruned copy of an array.

        Args:
            t: the array.
            default_mask: a mask to add to; all ones if not given.
            importance_scores: of the shape of ``t``; elements of small score are pruned first.

        Returns:
            an array of the shape of ``t``.

        Raises:
            AssertionError: if the scores have another shape.
        """
        t = as_array("prune", "t", t)
        mask = to_array(np.ones(t.shape, t.dtype) if default_mask is None else default_mask, "default_mask")
        return t * self.compute_mask(scores_for(importance_scores, t, "tensor t"), default_mask=mask)

    @explained
    def remove(self, module: Module) -> None:
        """Makes the pruned weight a parameter again: the one that ``weight_orig`` was, with zeros in it.

        Args:
            module: the module that has the parameter.

        Raises:
            ValueError: if the parameter is not pruned.
            RuntimeError: inside a JAX transformation.
        """
        require_eager("removal")
        name = self._tensor_name
        pruning = pruning_of(module, name)
        if pruning is None:
            raise ValueError(f"Module {module} has to be pruned before pruning can be removed")
        weight = self.apply_mask(module)
        original = getattr(module, f"{name}_orig")
        original.data = weight
        remove_computed_weight(module, name)
        _unhook(module, pruning)
        delattr(module, f"{name}_orig")
        delattr(module, f"{name}_mask")
        module.register_parameter(name, original)


class PruningContainer(BasePruningMethod):
    """The methods that were applied to one parameter, one after another.

    Args:
        *args: methods, all of one parameter, or one iterable of them.

    Raises:
        TypeError: if one of them is no method.
        ValueError: if they are of different parameters.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.PruningContainer.html

    Example:
        >>> import fnn
        >>> from fnn.nn.utils.prune import L1Unstructured, random_unstructured
        >>> m = random_unstructured(fnn.nn.Linear(4, 4), "weight", amount=4)
        >>> [type(method).__name__ for method in L1Unstructured.apply(m, "weight", 0.5)]
        ['RandomUnstructured', 'L1Unstructured']
        >>> int(m.weight_mask.sum())
        6
    """

    def __init__(self, *args: BasePruningMethod | Iterable[BasePruningMethod]) -> None:
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        methods: Any = args
        if len(args) == 1 and isinstance(args[0], Iterable) and not isinstance(args[0], BasePruningMethod):
            methods = args[0]
        for method in methods:
            if not self._pruning_methods and isinstance(method, BasePruningMethod):
                self._tensor_name = method._tensor_name
            self.add_pruning_method(method)

    @explained
    def add_pruning_method(self, method: BasePruningMethod | None) -> None:
        """Adds a method for the same parameter.

        Args:
            method: the method; ``None`` adds nothing.

        Raises:
            TypeError: if it is no method.
            ValueError: if it is of another parameter.
        """
        if method is None:
            return
        if not isinstance(method, BasePruningMethod):
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if self._tensor_name != method._tensor_name:
            raise ValueError(
                "Can only add pruning methods acting on the parameter named "
                f"'{self._tensor_name}' to PruningContainer {self}. Found '{method._tensor_name}'"
            )
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Iterator[BasePruningMethod]:
        return iter(self._pruning_methods)

    @overload
    def __getitem__(self, idx: int) -> BasePruningMethod: ...
    @overload
    def __getitem__(self, idx: slice) -> tuple[BasePruningMethod, ...]: ...
    def __getitem__(self, idx: int | slice) -> BasePruningMethod | tuple[BasePruningMethod, ...]:
        return self._pruning_methods[idx]

    @explained
    def compute_mask(self, t: ArrayLike, default_mask: ArrayLike) -> jax.Array:
        """What the last method makes of that part of ``t`` that is not pruned yet.

        Args:
            t: scores by which elements are chosen.
            default_mask: the mask so far.

        Returns:
            the new mask.

        Raises:
            AttributeError: if the method is structured and has no ``dim``.
            ValueError: if its ``PRUNING_TYPE`` is unknown.
        """
        method = self._pruning_methods[-1]
        values, mask = host("t", t), np.array(host("default_mask", default_mask))
        if method.PRUNING_TYPE == "unstructured":
            part: Any = mask == 1
        elif method.PRUNING_TYPE == "structured":
            part = [slice(None)] * mask.ndim
            if not hasattr(method, "dim"):
                raise AttributeError(
                    'Pruning methods of PRUNING_TYPE "structured" need to have the attribute `dim` defined.'
                )
            dim = check_dim(mask.shape, getattr(method, "dim"))  # noqa: B009
            part[dim] = (mask != 0).any(tuple(i for i in range(mask.ndim) if i != dim))
            part = tuple(part)
        elif method.PRUNING_TYPE == "global":
            part = (slice(None),) * mask.ndim
        else:
            raise ValueError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE}")
        mask[part] = np.asarray(method.compute_mask(to_array(values[part]), default_mask=to_array(mask[part])))
        return to_array(mask)

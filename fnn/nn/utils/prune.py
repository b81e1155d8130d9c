"""Pruning: elements of a parameter held at zero by a mask.

The parameter ``weight`` becomes ``weight_orig``, the mask is the buffer ``weight_mask``, and ``weight`` is their product,
computed each time it is read; nothing computed is stored, so that no traced array can stay behind.
"""

from __future__ import annotations

import math
import numbers
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, TypeVar

import jax
import numpy as np
from jax.core import Tracer

from fnn import random
from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import as_array
from fnn.nn.array_box import to_array
from fnn.nn.modules.hooks import add_hook
from fnn.nn.modules.module import Module
from fnn.nn.parameter import Parameter, is_lazy
from fnn.nn.utils._computed import add_computed_weight, computed_weights, remove_computed_weight
from fnn.stateful.boxes import Box
from fnn.stateful.structure import structure_changed
from fnn.stateful.tracing import is_eager

__all__ = [
    "BasePruningMethod",
    "CustomFromMask",
    "Identity",
    "L1Unstructured",
    "LnStructured",
    "PruningContainer",
    "RandomStructured",
    "RandomUnstructured",
    "custom_from_mask",
    "global_unstructured",
    "identity",
    "is_pruned",
    "l1_unstructured",
    "ln_structured",
    "random_structured",
    "random_unstructured",
    "remove",
]

M = TypeVar("M", bound=Module)


# Helpers


def _host(name: str, value: Any) -> np.ndarray:
    """The values as numpy: elements are chosen outside of any trace."""
    data = value.data if isinstance(value, Box) else value
    if isinstance(data, Tracer):
        raise RuntimeError(f"prune: {name} is traced; pruning reads values: do it outside of JAX transformations")
    return np.asarray(data)


def _require_eager(action: str) -> None:
    if not is_eager():
        raise RuntimeError(f"prune: {action} changes the structure of a module; do it outside of JAX transformations")


def _wide(array: np.ndarray) -> np.ndarray:
    """Half types as float32."""
    return array.astype(np.float32) if array.dtype.itemsize < 4 else array


def _check_amount(amount: Any) -> None:
    if not isinstance(amount, numbers.Real):
        raise TypeError(f"Invalid type for amount: {amount!r}. Must be int or float.")
    if not 0 <= float(amount) <= (np.inf if isinstance(amount, numbers.Integral) else 1):
        raise ValueError(f"amount={amount} should either be a float in the range [0, 1] or a non-negative integer")


def _count(amount: Any, size: int) -> int:
    """How many of ``size`` things to prune."""
    if not isinstance(amount, numbers.Integral):
        return round(amount * size)
    if int(amount) > size:
        raise ValueError(f"amount={amount} should be smaller than the number of parameters to prune={size}")
    return int(amount)


def _check_dim(shape: tuple[int, ...], dim: int) -> int:
    if len(shape) <= 1:
        raise ValueError(
            "Structured pruning can only be applied to multidimensional tensors. "
            f"Found tensor of shape {shape} with {len(shape)} dims"
        )
    if not -len(shape) <= dim < len(shape):
        raise IndexError(f"Invalid index dim={dim} for tensor of size {shape}")
    return dim % len(shape)


def _norms(values: np.ndarray, n: Any, dim: int) -> np.ndarray:
    """The n-norm of each slice along ``dim``."""
    x = np.moveaxis(np.abs(_wide(values)) if n != "nuc" else _wide(values), dim, 0)
    if n == "nuc":
        if x.ndim != 3:
            raise ValueError(f"ln_structured: n='nuc' needs slices with 2 axes, got {x.ndim - 1}")
        return np.linalg.svd(x, compute_uv=False).sum(-1)
    if n != "fro" and (isinstance(n, bool) or not isinstance(n, numbers.Real)):
        raise ValueError(f"ln_structured: n must be a number, inf, -inf, 'fro' or 'nuc', got {n!r}")
    with np.errstate(divide="ignore", over="ignore"):
        return np.linalg.norm(x.reshape(x.shape[0], -1), 2 if n == "fro" else float(n), axis=1)


def _smallest(values: np.ndarray, count: int) -> np.ndarray:
    """True at the ``count`` smallest of the flat values: of equal ones the first, NaN last."""
    flat = values.reshape(-1)
    if not count:
        return np.zeros(flat.size, bool)
    bound = np.partition(flat, count - 1)[count - 1]
    chosen, equal = (flat < bound, flat == bound) if bound == bound else (flat == flat, flat != flat)
    chosen[np.flatnonzero(equal)[: count - np.count_nonzero(chosen)]] = True
    return chosen


def _without(pruned: np.ndarray, mask: ArrayLike) -> jax.Array:
    """The mask with zeros at these of its flat elements."""
    out = np.array(mask)
    out.reshape(-1)[pruned] = 0
    return to_array(out)


def _without_slices(pruned: np.ndarray, dim: int, mask: ArrayLike) -> jax.Array:
    """The mask with zeros in slices of the axis."""
    out = np.array(mask)
    np.moveaxis(out, dim, 0)[pruned] = 0
    return to_array(out)


def _draw(function: str, count: int) -> np.ndarray:
    """Random words: of 32 bits, so that equal ones are rare."""
    return _host("the random key", random.bits(random.next_key(function), (count,)))


def _pruning(module: Any, name: str) -> BasePruningMethod | None:
    found = computed_weights(module).get(name)
    return found if isinstance(found, BasePruningMethod) else None


def _prunable(module: Any, name: str) -> Any:
    """The parameter of that name, or the present value of one that is pruned already."""
    value = getattr(module, name)
    if _pruning(module, name) is not None:
        return value
    if not isinstance(value, Parameter):
        raise TypeError(f"prune: '{name}' of {module} must be a Parameter, got {type(value).__name__}")
    if is_lazy(value):
        raise ValueError(f"prune: '{name}' of {module} is uninitialized; run the dummy forward before pruning")
    return value


def _unhook(module: Any, method: BasePruningMethod) -> None:
    hooks = module._forward_pre_hooks
    for key in [key for key, hook in hooks.items() if hook.function is method]:
        del hooks[key]
    structure_changed()


# Methods


class BasePruningMethod(ABC):
    """What a pruning technique derives from: it overrides ``compute_mask`` and says its ``PRUNING_TYPE``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.BasePruningMethod.html.

    The type says what a repeated pruning counts and ranks: "unstructured" the elements that are left, "structured" the
    slices that are not all zero, "global" all.

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

    # The forward pre-hooks of a module hold the method itself, so that it is found among them; the call of the module
    # asks these two of an entry.
    with_kwargs: ClassVar[bool] = False

    @property
    def function(self) -> BasePruningMethod:
        """The hook: the method itself."""
        return self

    def __call__(self, module: Any, inputs: Any) -> None:
        """Runs as a forward pre-hook of the module; the weight is computed when it is read, so nothing is left to do."""
        return

    @abstractmethod
    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """The new mask, of the shape of ``t``.

        Args:
            t: scores by which elements are chosen, the parameter itself if no others were given.
            default_mask: the mask so far, to which this one is added.
        """
        raise NotImplementedError

    def apply_mask(self, module: Any) -> jax.Array:
        """The product of ``weight_orig`` and ``weight_mask``."""
        original = getattr(module, f"{self._tensor_name}_orig").data
        return getattr(module, f"{self._tensor_name}_mask").data.astype(original.dtype) * original

    def compute_weight(self, module: Any) -> jax.Array:
        """The value of the pruned attribute."""
        return self.apply_mask(module)

    @classmethod
    def apply(
        cls, module: Any, name: str, *args: Any, importance_scores: ArrayLike | None = None, **kwargs: Any
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
        _require_eager("pruning")
        value = _prunable(module, name)
        scores = _scores(importance_scores, value, f"parameter {name} of {module}")
        old = _pruning(module, name)
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

    def prune(
        self, t: ArrayLike, default_mask: ArrayLike | None = None, importance_scores: ArrayLike | None = None
    ) -> jax.Array:
        """A pruned copy of an array.

        Args:
            t: the array.
            default_mask: a mask to add to; all ones if not given.
            importance_scores: of the shape of ``t``; elements of small score are pruned first.

        Raises:
            AssertionError: if the scores have another shape.
        """
        t = as_array("prune", "t", t)
        mask = to_array(np.ones(t.shape, t.dtype) if default_mask is None else default_mask, "default_mask")
        return t * self.compute_mask(_scores(importance_scores, t, "tensor t"), default_mask=mask)

    def remove(self, module: Any) -> None:
        """Makes the pruned weight a parameter again: the one that ``weight_orig`` was, with zeros in it.

        Raises:
            ValueError: if the parameter is not pruned.
            RuntimeError: inside a JAX transformation.
        """
        _require_eager("removal")
        name = self._tensor_name
        pruning = _pruning(module, name)
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


def _scores(scores: Any, t: Any, what: str) -> jax.Array:
    """The scores given, else the values."""
    if scores is None:
        return to_array(t)
    scores = to_array(scores, "importance_scores")
    if scores.shape != t.shape:
        raise AssertionError(
            f"importance_scores should have the same shape as {what}, got {scores.shape} vs {tuple(t.shape)}"
        )
    return scores


class PruningContainer(BasePruningMethod):
    """The methods that were applied to one parameter, one after another.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.PruningContainer.html.

    Args:
        *args: methods, all of one parameter, or one iterable of them.

    Raises:
        TypeError: if one of them is no method.
        ValueError: if they are of different parameters.

    Example:
        >>> import fnn
        >>> m = random_unstructured(fnn.nn.Linear(4, 4), "weight", amount=4)
        >>> [type(method).__name__ for method in L1Unstructured.apply(m, "weight", 0.5)]
        ['RandomUnstructured', 'L1Unstructured']
        >>> int(m.weight_mask.sum())
        6
    """

    def __init__(self, *args: Any) -> None:
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        if len(args) == 1 and isinstance(args[0], Iterable) and not isinstance(args[0], BasePruningMethod):
            args = tuple(args[0])
        for method in args:
            if not self._pruning_methods and isinstance(method, BasePruningMethod):
                self._tensor_name = method._tensor_name
            self.add_pruning_method(method)

    def add_pruning_method(self, method: BasePruningMethod | None) -> None:
        """Adds a method for the same parameter."""
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

    def __getitem__(self, idx: Any) -> Any:
        return self._pruning_methods[idx]

    def compute_mask(self, t: Any, default_mask: Any) -> jax.Array:
        """What the last method makes of that part of ``t`` that is not pruned yet."""
        method = self._pruning_methods[-1]
        values, mask = _host("t", t), np.array(_host("default_mask", default_mask))
        if method.PRUNING_TYPE == "unstructured":
            part: Any = mask == 1
        elif method.PRUNING_TYPE == "structured":
            part = [slice(None)] * mask.ndim
            if not hasattr(method, "dim"):
                raise AttributeError(
                    'Pruning methods of PRUNING_TYPE "structured" need to have the attribute `dim` defined.'
                )
            dim = _check_dim(mask.shape, getattr(method, "dim"))  # noqa: B009
            part[dim] = (mask != 0).any(tuple(i for i in range(mask.ndim) if i != dim))
            part = tuple(part)
        elif method.PRUNING_TYPE == "global":
            part = (slice(None),) * mask.ndim
        else:
            raise ValueError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE}")
        mask[part] = np.asarray(method.compute_mask(to_array(values[part]), default_mask=to_array(mask[part])))
        return to_array(mask)


class Identity(BasePruningMethod):
    """Prunes nothing; the parameter gets a mask of ones.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.Identity.html.

    Example:
        >>> import jax.numpy as jnp
        >>> Identity().prune(jnp.arange(3.0)).tolist()
        [0.0, 1.0, 2.0]
    """

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """The mask as it is."""
        return default_mask

    @classmethod
    def apply(cls, module: Any, name: str) -> Any:  # type: ignore[override]
        """Gives a parameter its mask."""
        return super().apply(module, name)


class RandomUnstructured(BasePruningMethod):
    """Prunes elements at random.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.RandomUnstructured.html.

    Args:
        amount: how many: an int, or a share in [0, 1] as a float.

    Raises:
        TypeError: if ``amount`` is no number.
        ValueError: if it is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> RandomUnstructured(0.75).prune(jnp.ones(8)).sum().item()
        2.0
    """

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount: float) -> None:
        _check_amount(amount)
        self.amount = amount

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """The mask without as many elements as ``amount`` says."""
        size = math.prod(t.shape)
        count = _count(self.amount, size)
        return _without(_smallest(_draw("random_unstructured", size), count), default_mask) if count else default_mask

    @classmethod
    def apply(cls, module: Any, name: str, amount: float) -> Any:  # type: ignore[override]
        """Prunes a parameter."""
        return super().apply(module, name, amount=amount)


class L1Unstructured(BasePruningMethod):
    """Prunes the elements of smallest magnitude; of equal ones the first.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.L1Unstructured.html.

    Args:
        amount: how many: an int, or a share in [0, 1] as a float.

    Raises:
        TypeError: if ``amount`` is no number.
        ValueError: if it is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> L1Unstructured(2).prune(jnp.array([3.0, -1.0, 2.0, -4.0])).tolist()
        [3.0, -0.0, 0.0, -4.0]
    """

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount: float) -> None:
        _check_amount(amount)
        self.amount = amount

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """The mask without as many elements as ``amount`` says."""
        count = _count(self.amount, math.prod(t.shape))
        return _without(_smallest(np.abs(_wide(_host("t", t))), count), default_mask) if count else default_mask

    @classmethod
    def apply(  # type: ignore[override]
        cls, module: Any, name: str, amount: float, importance_scores: ArrayLike | None = None
    ) -> Any:
        """Prunes a parameter."""
        return super().apply(module, name, amount=amount, importance_scores=importance_scores)


class RandomStructured(BasePruningMethod):
    """Prunes whole slices along an axis, at random.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.RandomStructured.html.

    Args:
        amount: how many: an int, or a share in [0, 1] as a float.
        dim: the axis.

    Raises:
        TypeError: if ``amount`` is no number.
        ValueError: if it is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> sorted(RandomStructured(1, dim=0).prune(jnp.ones((2, 3))).sum(1).tolist())
        [0.0, 3.0]
    """

    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, dim: int = -1) -> None:
        _check_amount(amount)
        self.amount = amount
        self.dim = dim

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """The mask without as many slices as ``amount`` says."""
        dim = _check_dim(t.shape, self.dim)
        count = _count(self.amount, t.shape[dim])
        if not count:
            return default_mask
        return _without_slices(_smallest(_draw("random_structured", t.shape[dim]), count), dim, default_mask)

    @classmethod
    def apply(cls, module: Any, name: str, amount: float, dim: int = -1) -> Any:  # type: ignore[override]
        """Prunes a parameter."""
        return super().apply(module, name, amount=amount, dim=dim)


class LnStructured(BasePruningMethod):
    """Prunes the slices of smallest n-norm along an axis; of equal ones the first.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.LnStructured.html.

    Args:
        amount: how many: an int, or a share in [0, 1] as a float.
        n: a number, inf, -inf, "fro" (2), or "nuc" for slices that are matrices.
        dim: the axis.

    Raises:
        TypeError: if ``amount`` is no number.
        ValueError: if it is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> LnStructured(1, n=2, dim=0).prune(jnp.array([[1.0, 1.0], [2.0, 0.0]])).tolist()
        [[0.0, 0.0], [2.0, 0.0]]
    """

    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, n: Any, dim: int = -1) -> None:
        _check_amount(amount)
        self.amount = amount
        self.n = n
        self.dim = dim

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """The mask without as many slices as ``amount`` says."""
        dim = _check_dim(t.shape, self.dim)
        count = _count(self.amount, t.shape[dim])
        if not count:
            return default_mask
        return _without_slices(_smallest(_norms(_host("t", t), self.n, dim), count), dim, default_mask)

    @classmethod
    def apply(  # type: ignore[override]
        cls, module: Any, name: str, amount: float, n: Any, dim: int, importance_scores: ArrayLike | None = None
    ) -> Any:
        """Prunes a parameter."""
        return super().apply(module, name, amount=amount, n=n, dim=dim, importance_scores=importance_scores)


class CustomFromMask(BasePruningMethod):
    """Prunes where a given mask is zero.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.CustomFromMask.html.

    Args:
        mask: zeros and ones (or booleans) of the parameter's shape.

    Example:
        >>> import jax.numpy as jnp
        >>> CustomFromMask(jnp.array([1, 0, 1])).prune(jnp.ones(3)).tolist()
        [1.0, 0.0, 1.0]
    """

    PRUNING_TYPE = "global"

    def __init__(self, mask: ArrayLike) -> None:
        self.mask = mask

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """The product of both masks."""
        mask = to_array(self.mask, "mask")
        if mask.shape != default_mask.shape:
            raise AssertionError(f"default_mask shape {default_mask.shape} must match self.mask shape {mask.shape}")
        return default_mask * mask.astype(default_mask.dtype)

    @classmethod
    def apply(cls, module: Any, name: str, mask: ArrayLike) -> Any:  # type: ignore[override]
        """Prunes a parameter."""
        return super().apply(module, name, mask=mask)


# Functions


def identity(module: M, name: str) -> M:
    """Gives a parameter a mask of ones; nothing is pruned.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.identity.html.

    Args:
        module: the module, which is changed.
        name: name of the parameter.

    Returns:
        the module.

    Raises:
        AttributeError: if there is no such attribute.
        TypeError: if it is no parameter.
        ValueError: if it is uninitialized.

    Example:
        >>> import fnn
        >>> float(identity(fnn.nn.Linear(2, 3), "bias").bias_mask.sum())
        3.0
    """
    Identity.apply(module, name)
    return module


def random_unstructured(module: M, name: str, amount: float) -> M:
    """Prunes elements of a parameter at random.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.random_unstructured.html.

    Args:
        module: the module, which is changed.
        name: name of the parameter.
        amount: how many of those that are left: an int, or a share in [0, 1] as a float.

    Returns:
        the module.

    Raises:
        TypeError: if ``amount`` is no number.
        ValueError: if it is out of range.

    Example:
        >>> import fnn
        >>> float(random_unstructured(fnn.nn.Linear(2, 3), "weight", amount=1).weight_mask.sum())
        5.0
    """
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module: M, name: str, amount: float, importance_scores: ArrayLike | None = None) -> M:
    """Prunes the elements of a parameter that have the smallest magnitude.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.l1_unstructured.html.

    Args:
        module: the module, which is changed.
        name: name of the parameter.
        amount: how many of those that are left: an int, or a share in [0, 1] as a float.
        importance_scores: of the parameter's shape; their magnitude is taken in place of the parameter's.

    Returns:
        the module.

    Raises:
        TypeError: if ``amount`` is no number.
        ValueError: if it is out of range.
        AssertionError: if the scores have another shape.

    Example:
        >>> import fnn
        >>> sorted(l1_unstructured(fnn.nn.Linear(2, 3), "weight", amount=0.2).state_dict())
        ['bias', 'weight_mask', 'weight_orig']
    """
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


def random_structured(module: M, name: str, amount: float, dim: int) -> M:
    """Prunes whole slices of a parameter along an axis, at random.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.random_structured.html.

    Args:
        module: the module, which is changed.
        name: name of the parameter.
        amount: how many of those that are left: an int, or a share in [0, 1] as a float.
        dim: the axis.

    Returns:
        the module.

    Raises:
        TypeError: if ``amount`` is no number.
        ValueError: if it is out of range, or the parameter has fewer than 2 axes.
        IndexError: if ``dim`` is out of range.

    Example:
        >>> import fnn
        >>> float(random_structured(fnn.nn.Linear(5, 3), "weight", amount=3, dim=1).weight_mask.sum())
        6.0
    """
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: M, name: str, amount: float, n: Any, dim: int, importance_scores: ArrayLike | None = None
) -> M:
    """Prunes the slices of a parameter that have the smallest n-norm along an axis.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.ln_structured.html.

    Args:
        module: the module, which is changed.
        name: name of the parameter.
        amount: how many of those that are left: an int, or a share in [0, 1] as a float.
        n: a number, inf, -inf, "fro" (2), or "nuc" for slices that are matrices.
        dim: the axis.
        importance_scores: of the parameter's shape; their norms are taken in place of the parameter's.

    Returns:
        the module.

    Raises:
        TypeError: if ``amount`` is no number.
        ValueError: if ``amount`` or ``n`` is out of range, or the parameter has fewer than 2 axes.
        AssertionError: if the scores have another shape.
        IndexError: if ``dim`` is out of range.

    Example:
        >>> import fnn
        >>> m = ln_structured(fnn.nn.Conv2d(5, 3, 2), "weight", amount=0.3, n=float("-inf"), dim=1)
        >>> int((m.weight_mask.sum((0, 2, 3)) == 0).sum())
        2
    """
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Module, str]],
    pruning_method: type[BasePruningMethod],
    importance_scores: Mapping[tuple[Module, str], ArrayLike] | None = None,
    **kwargs: Any,
) -> None:
    """Prunes several parameters at once as if they were one vector.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.global_unstructured.html.

    Args:
        parameters: pairs of module and name.
        pruning_method: an unstructured method.
        importance_scores: pairs of module and name to scores; a pair that is missing is scored by its values.
        **kwargs: arguments of the method.

    Raises:
        TypeError: if ``parameters`` is no iterable, ``importance_scores`` no dict, or the method not unstructured.
        ValueError: if there are no parameters.
        AssertionError: if scores have another shape.

    Example:
        >>> import fnn
        >>> net = fnn.nn.Sequential(fnn.nn.Linear(10, 4), fnn.nn.Linear(4, 1))
        >>> global_unstructured([(net[0], "weight"), (net[1], "weight")], L1Unstructured, amount=10)
        >>> int(net[0].weight_mask.sum() + net[1].weight_mask.sum())
        34
    """
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    given = {} if importance_scores is None else importance_scores
    if not isinstance(given, Mapping):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    pairs = list(parameters)
    if not pairs:
        raise ValueError("global_unstructured(): parameters must not be empty")
    _require_eager("pruning")
    method = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. '
            f"Found method {pruning_method} of type {method.PRUNING_TYPE}"
        )
    scores, masks = [], []
    for module, name in pairs:
        weight = _prunable(module, name)
        mask = getattr(module, f"{name}_mask").data if _pruning(module, name) else np.ones(weight.shape, weight.dtype)
        wanted = _scores(given.get((module, name)), weight, f"parameter {name} of {module}")
        scores.append(_host("importance_scores", wanted).reshape(-1))
        masks.append(_host("the mask", mask).reshape(-1))
    method._tensor_name = "temp"
    final = PruningContainer(method).compute_mask(np.concatenate(scores), np.concatenate(masks))
    ends = np.cumsum([len(mask) for mask in masks])[:-1]
    for (module, name), mask in zip(pairs, np.split(np.asarray(final), ends), strict=True):
        custom_from_mask(module, name, mask.reshape(getattr(module, name).shape))


def custom_from_mask(module: M, name: str, mask: ArrayLike) -> M:
    """Prunes a parameter where a given mask is zero.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.custom_from_mask.html.

    Args:
        module: the module, which is changed.
        name: name of the parameter.
        mask: zeros and ones (or booleans) of the parameter's shape.

    Returns:
        the module.

    Raises:
        AssertionError: if the mask has another shape.

    Example:
        >>> import fnn, numpy as np
        >>> custom_from_mask(fnn.nn.Linear(5, 3), "bias", mask=np.array([0, 1, 0])).bias_mask.tolist()
        [0.0, 1.0, 0.0]
    """
    CustomFromMask.apply(module, name, mask)
    return module


def remove(module: M, name: str) -> M:
    """Makes the pruning of a parameter permanent: the parameter is back under its name, with zeros in it.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.remove.html.

    Args:
        module: the module, which is changed.
        name: name of the parameter.

    Returns:
        the module.

    Raises:
        ValueError: if the parameter is not pruned.

    Example:
        >>> import fnn
        >>> sorted(remove(random_unstructured(fnn.nn.Linear(5, 7), "weight", 0.2), "weight").state_dict())
        ['bias', 'weight']
    """
    pruning = _pruning(module, name)
    if pruning is None:
        raise ValueError(f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed")
    pruning.remove(module)
    return module


def is_pruned(module: Module) -> bool:
    """Whether a parameter of the module, or of one below it, is pruned.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.is_pruned.html.

    Args:
        module: the module.

    Example:
        >>> import fnn
        >>> m = fnn.nn.Linear(5, 7)
        >>> is_pruned(m), is_pruned(random_unstructured(m, "weight", 0.2))
        (False, True)
    """
    return any(isinstance(c, BasePruningMethod) for m in module.modules() for c in computed_weights(m).values())

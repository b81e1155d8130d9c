"""Pruning by function: each changes a module and returns it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

from fnn.functional.arrays import ArrayLike
from fnn.functional.explained import explained
from fnn.nn.modules.module import Module
from fnn.nn.utils.computed_attributes import computed_weights
from fnn.nn.utils.prune.base import (
    BasePruningMethod,
    PruningContainer,
    prunable,
    pruning_of,
    require_eager,
    scores_for,
)
from fnn.nn.utils.prune.masks import host
from fnn.nn.utils.prune.methods import (
    CustomFromMask,
    Identity,
    L1Unstructured,
    LnStructured,
    RandomStructured,
    RandomUnstructured,
)

M = TypeVar("M", bound=Module)


@explained
def identity(module: M, name: str) -> M:
    """Gives a parameter a mask of ones; nothing is pruned.

    Args:
        module: the module, which is changed.
        name: name of the parameter.

    Returns:
        the module.

    Raises:
        AttributeError: if there is no such attribute.
        TypeError: if it is no parameter.
        ValueError: if it is uninitialized.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.identity.html

    Example:
        >>> import fnn
        >>> float(identity(fnn.nn.Linear(2, 3), "bias").bias_mask.sum())
        3.0
    """
    Identity.apply(module, name)
    return module


@explained
def random_unstructured(module: M, name: str, amount: float) -> M:
    """Prunes elements of a parameter at random.

    Args:
        module: the module, which is changed.
        name: name of the parameter.
        amount: how many of those that are left: an int, or a share in [0, 1] as a float.

    Returns:
        the module.

    Raises:
        TypeError: if ``amount`` is no number.
        ValueError: if it is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.random_unstructured.html

    Example:
        >>> import fnn
        >>> float(random_unstructured(fnn.nn.Linear(2, 3), "weight", amount=1).weight_mask.sum())
        5.0
    """
    RandomUnstructured.apply(module, name, amount)
    return module


@explained
def l1_unstructured(module: M, name: str, amount: float, importance_scores: ArrayLike | None = None) -> M:
    """Prunes the elements of a parameter that have the smallest magnitude.

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

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.l1_unstructured.html

    Example:
        >>> import fnn
        >>> sorted(l1_unstructured(fnn.nn.Linear(2, 3), "weight", amount=0.2).state_dict())
        ['bias', 'weight_mask', 'weight_orig']
    """
    L1Unstructured.apply(module, name, amount=amount, importance_scores=importance_scores)
    return module


@explained
def random_structured(module: M, name: str, amount: float, dim: int) -> M:
    """Prunes whole slices of a parameter along an axis, at random.

    Args:
        module: the module, which is changed.
        name: name of the parameter.
        amount: how many of those that are left: an int, or a share in [0, 1] as a float.
        dim: the axis of which each index is a slice.

    Returns:
        the module.

    Raises:
        TypeError: if ``amount`` is no number.
        ValueError: if it is out of range, or the parameter has fewer than 2 axes.
        IndexError: if ``dim`` is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.random_structured.html

    Example:
        >>> import fnn
        >>> float(random_structured(fnn.nn.Linear(5, 3), "weight", amount=3, dim=1).weight_mask.sum())
        6.0
    """
    RandomStructured.apply(module, name, amount, dim)
    return module


@explained
def ln_structured(
    module: M, name: str, amount: float, n: float | str, dim: int, importance_scores: ArrayLike | None = None
) -> M:
    """Prunes the slices of a parameter that have the smallest n-norm along an axis.

    Args:
        module: the module, which is changed.
        name: name of the parameter.
        amount: how many of those that are left: an int, or a share in [0, 1] as a float.
        n: order of the norm: a number, inf, -inf, "fro" (2), or "nuc" for slices that are matrices.
        dim: the axis of which each index is a slice.
        importance_scores: of the parameter's shape; their norms are taken in place of the parameter's.

    Returns:
        the module.

    Raises:
        TypeError: if ``amount`` is no number.
        ValueError: if ``amount`` or ``n`` is out of range, or the parameter has fewer than 2 axes.
        AssertionError: if the scores have another shape.
        IndexError: if ``dim`` is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.ln_structured.html

    Example:
        >>> import fnn
        >>> m = ln_structured(fnn.nn.Conv2d(5, 3, 2), "weight", amount=0.3, n=float("-inf"), dim=1)
        >>> int((m.weight_mask.sum((0, 2, 3)) == 0).sum())
        2
    """
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


@explained
def global_unstructured(
    parameters: Iterable[tuple[Module, str]],
    pruning_method: type[BasePruningMethod],
    importance_scores: Mapping[tuple[Module, str], ArrayLike] | None = None,
    **kwargs: Any,
) -> None:
    """Prunes several parameters at once as if they were one vector.

    Args:
        parameters: pairs of module and name.
        pruning_method: an unstructured method.
        importance_scores: pairs of module and name to scores; a pair that is missing is scored by its values.
        **kwargs: arguments of the method.

    Raises:
        TypeError: if ``parameters`` is no iterable, ``importance_scores`` no dict, or the method not unstructured.
        ValueError: if there are no parameters.
        AssertionError: if scores have another shape.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.global_unstructured.html

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
    require_eager("pruning")
    method = pruning_method(**kwargs)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(
            'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. '
            f"Found method {pruning_method} of type {method.PRUNING_TYPE}"
        )
    scores, masks = [], []
    for module, name in pairs:
        weight = prunable(module, name)
        mask = getattr(module, f"{name}_mask").data if pruning_of(module, name) else np.ones(weight.shape, weight.dtype)
        wanted = scores_for(given.get((module, name)), weight, f"parameter {name} of {module}")
        scores.append(host("importance_scores", wanted).reshape(-1))
        masks.append(host("the mask", mask).reshape(-1))
    method._tensor_name = "temp"
    final = PruningContainer(method).compute_mask(np.concatenate(scores), np.concatenate(masks))
    ends = np.cumsum([len(mask) for mask in masks])[:-1]
    for (module, name), mask in zip(pairs, np.split(np.asarray(final), ends), strict=True):
        custom_from_mask(module, name, mask.reshape(getattr(module, name).shape))


@explained
def custom_from_mask(module: M, name: str, mask: ArrayLike) -> M:
    """Prunes a parameter where a given mask is zero.

    Args:
        module: the module, which is changed.
        name: name of the parameter.
        mask: zeros and ones (or booleans) of the parameter's shape.

    Returns:
        the module.

    Raises:
        AssertionError: if the mask has another shape.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.custom_from_mask.html

    Example:
        >>> import fnn, numpy as np
        >>> custom_from_mask(fnn.nn.Linear(5, 3), "bias", mask=np.array([0, 1, 0])).bias_mask.tolist()
        [0.0, 1.0, 0.0]
    """
    CustomFromMask.apply(module, name, mask)
    return module


@explained
def remove(module: M, name: str) -> M:
    """Makes the pruning of a parameter permanent: the parameter is back under its name, with zeros in it.

    Args:
        module: the module, which is changed.
        name: name of the parameter.

    Returns:
        the module.

    Raises:
        ValueError: if the parameter is not pruned.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.remove.html

    Example:
        >>> import fnn
        >>> sorted(remove(random_unstructured(fnn.nn.Linear(5, 7), "weight", 0.2), "weight").state_dict())
        ['bias', 'weight']
    """
    pruning = pruning_of(module, name)
    if pruning is None:
        raise ValueError(f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed")
    pruning.remove(module)
    return module


@explained
def is_pruned(module: Module) -> bool:
    """Whether a parameter of the module, or of one below it, is pruned.

    Args:
        module: the module.

    Returns:
        a bool.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.prune.is_pruned.html

    Example:
        >>> import fnn
        >>> m = fnn.nn.Linear(5, 7)
        >>> is_pruned(m), is_pruned(random_unstructured(m, "weight", 0.2))
        (False, True)
    """
    return any(isinstance(c, BasePruningMethod) for m in module.modules() for c in computed_weights(m).values())

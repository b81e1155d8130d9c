"""Wrong arguments of transforms and optimizers named after the fact, as ``explained`` does it for functions."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import jax
import numpy as np

from fnn.functional.checks import describe
from fnn.functional.explained import checked, stand_in
from fnn.nn.parameter import Parameter
from fnn.optim._leaves import flatten, is_leaf
from fnn.optim._scalars import NotOneNumber

Rule = TypeVar("Rule", bound=Callable[..., Any])
Pair = TypeVar("Pair", bound=tuple[Callable[..., Any], Callable[..., Any]])

_KINDS = (TypeError, ValueError, AttributeError, IndexError, KeyError)
_ORDER = "the order is update(grads, state, params)"


def explained_rule(rule: Rule) -> Rule:
    """A rule whose errors, and those of ``init`` and ``update`` of its transform, name the argument that is wrong."""
    made, tell = checked(rule), _telling

    def call(*args: Any, **kwargs: Any) -> Any:
        return tell(rule.__name__, made(*args, **kwargs))

    return stand_in(call, rule)


def _telling(name: str, transform: Any) -> Any:
    init, update = transform

    @functools.wraps(init)
    def told_init(params: Any) -> Any:
        try:
            return init(params)
        except NotOneNumber as error:
            raise ValueError(f"{name}: {error}") from None
        except _KINDS as error:
            told = None if _named(error, name) else tree_fault(f"{name}.init", "params", params)
            if told is None:
                raise
            raise told from None

    @functools.wraps(update)
    def told_update(*args: Any, **kwargs: Any) -> Any:
        try:
            return update(*args, **kwargs)
        except NotOneNumber as error:
            raise ValueError(f"{name}: {error}") from None
        except _KINDS as error:
            told = None if _named(error, name) else _update_fault(name, init, update, args, kwargs)
            if told is None:
                raise
            raise told from None

    return type(transform)(told_init, told_update)


def _named(error: Exception, name: str) -> bool:
    return str(error).startswith((f"{name}: ", f"{name}."))


def tree_fault(function: str, argument: str, tree: Any) -> Exception | None:
    """The error of a pytree with a leaf that is no array; ``None`` if it has none."""
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree, is_leaf=is_leaf)[0]:
        if not (is_leaf(leaf) or hasattr(leaf, "dtype") or isinstance(leaf, bool | int | float | complex)):
            at = f" at {jax.tree_util.keystr(path)}" if path else ""
            return TypeError(f"{function}: {argument} must be a pytree of arrays, got {describe(leaf)}{at}")
    return None


def trees_fault(function: str, argument: str, tree: Any, other: str, like: Any) -> Exception | None:
    """The error of a pytree of another structure, or with arrays of other shapes, than one it must be like."""
    leaves, treedef = flatten(tree)
    others, structure = flatten(like)
    if treedef != structure:
        return ValueError(
            f"{function}: {argument} must be of the structure of {other}, {_shown(structure)}, got {_shown(treedef)}"
        )
    for i, (leaf, wanted) in enumerate(zip(leaves, others, strict=True)):
        if leaf is not None and wanted is not None and getattr(leaf, "shape", ()) != getattr(wanted, "shape", ()):
            path = jax.tree_util.tree_flatten_with_path(like, is_leaf=is_leaf)[0][i][0]
            return ValueError(
                f"{function}: {argument} must be of the shapes of {other}, {describe(wanted)} at "
                f"{jax.tree_util.keystr(path) or 'its only leaf'}, got {describe(leaf)}"
            )
    return None


def _shown(structure: Any) -> str:
    text = str(structure).removeprefix("PyTreeDef(").removesuffix(")")
    return text if len(text) <= 100 else text[:97] + "..."


def _update_fault(name: str, init: Any, update: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Exception | None:
    try:
        given = list(inspect.signature(update).bind(*args, **kwargs).arguments.items())
    except TypeError:
        return None
    function = f"{name}.update"
    (first, grads), (_, state) = given[:2]
    params = given[2][1] if len(given) > 2 and given[2][0] == "params" else None
    kind = init.__globals__.get(inspect.signature(init).return_annotation)
    if isinstance(kind, type) and not isinstance(state, kind):
        got = describe(state) if isinstance(state, jax.Array | np.ndarray) else f"a {type(state).__name__}"
        return TypeError(f"{function}: state must be the {kind.__name__} that init gives, got {got}; {_ORDER}")
    return (
        tree_fault(function, first, grads)
        or tree_fault(function, "params", params)
        or (None if params is None else trees_fault(function, "params", params, first, grads))
    ) or _state_fault(function, state, grads if params is None else params)


def _state_fault(function: str, state: Any, like: Any) -> Exception | None:
    structure = flatten(like)[1]
    for field, tree in getattr(state, "_asdict", dict)().items():
        if field in ("step", "mu_product") or tree is None:
            continue
        try:
            structure.flatten_up_to(tree)
        except ValueError:
            return ValueError(
                f"{function}: state must belong to parameters of the structure {_shown(structure)}, got {field} of "
                f"{_shown(flatten(tree)[1])}; {_ORDER}"
            )
    return None


def listed(optimizer: str, params: Any, can_be_empty: bool = False) -> list[Any]:
    """What an optimizer is given, as a list.

    Raises:
        TypeError: if it is no iterable of Parameters, pairs or dicts, with advice on what to pass.
        ValueError: if there is nothing in it.
    """
    advice = ""
    if hasattr(params, "named_parameters"):
        advice = "; pass its .parameters()"
    elif callable(params):
        advice = "; call it"
    elif isinstance(params, Parameter):
        advice = "; put it into a list"
    if advice or isinstance(params, str | bytes | dict | jax.Array | np.ndarray) or not isinstance(params, Iterable):
        got = type(params).__name__ if hasattr(params, "named_parameters") else describe(params)
        raise TypeError(f"{optimizer}: params must be an iterable of Parameters or dicts, got {got}{advice}")
    groups = list(params)
    if not groups and not can_be_empty:
        raise ValueError(f"{optimizer}: optimizer got an empty parameter list: params must hold Parameters, got none")
    return groups

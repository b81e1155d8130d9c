"""The arguments of a compiled function: which are static, and which arrays go in."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from fnn.functional.checks import check_64_bits, is_cut
from fnn.nn.array_box import to_array
from fnn.stateful.remedies import with_remedy
from fnn.transforms.jit.search import is_stateful

__all__ = ["STATEFUL", "StaticArguments", "as_leaf", "type_of"]

_OWNERS = ("self", "cls")


class StaticArguments:
    """The arguments that are compile-time constants, resolved by the signature as ``jax.jit`` does.

    Args:
        function: the function.
        argnums: positions, from the end if negative.
        argnames: names.

    Raises:
        ValueError: if the function has no such argument.
        TypeError: if a position is no int or a name no str.
    """

    def __init__(
        self, function: Callable[..., Any], argnums: int | Sequence[int] | None, argnames: str | Sequence[str] | None
    ) -> None:
        self.given: tuple[int | Sequence[int] | None, str | Sequence[str] | None] = argnums, argnames
        self._name = getattr(function, "__name__", type(function).__name__)
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            parameters = []
        by_position = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        self._positional = [p.name for p in by_position]
        self._open = not parameters or any(p.kind is p.VAR_POSITIONAL for p in parameters)
        self._is_method = bool(by_position) and by_position[0].name in _OWNERS
        numbers = [argnums] if isinstance(argnums, int) else list(() if argnums is None else argnums)
        names = [argnames] if isinstance(argnames, str) else list(() if argnames is None else argnames)
        for number in numbers:
            if not isinstance(number, int):
                raise TypeError(f"fnn.jit: static_argnums of {self._name} must be ints, got {number!r}")
        for name in names:
            if not isinstance(name, str):
                raise TypeError(f"fnn.jit: static_argnames of {self._name} must be strings, got {name!r}")
        count = len(by_position)
        if not self._open:
            for number in numbers:
                if not -count <= number < count:
                    raise ValueError(
                        f"fnn.jit: static_argnums of {self._name} must be in [-{count}, {count}), for it has {count} "
                        f"positional arguments, got {number}"
                    )
        if parameters and not any(p.kind is p.VAR_KEYWORD for p in parameters):
            known = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
            for name in names:
                if name not in known:
                    raise ValueError(
                        f"fnn.jit: static_argnames of {self._name} must be among {sorted(known)}, got {name!r}"
                    )
        numbers = [number % count if number < 0 and count else number for number in numbers]
        self._numbers = {*numbers, *(self._positional.index(name) for name in names if name in self._positional)}
        self._names = {*names, *(self._positional[i] for i in numbers if i < count)}

    def is_owner(self, first: Any) -> bool:
        """Whether the first argument of a call is the ``self`` or ``cls`` of a method that was called by way of its class."""
        if not self._is_method or is_stateful(first):
            return False
        if isinstance(first, type):
            return True
        return not hasattr(first, "__array__") and jax.tree_util.all_leaves([first]) and type_of(first) is None

    def split(
        self, is_bound: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any], Hashable]:
        """The arguments without the static ones, ``None`` in the place of those by position; and the static ones as a key.

        Raises:
            ValueError: if a static argument is not hashable.
        """
        if not self._numbers and not self._names:
            return args, kwargs, ()
        shift = 1 if is_bound else 0
        static: list[tuple[Any, Any]] = []
        dynamic = list(args)
        for i, value in enumerate(args):
            if i + shift in self._numbers:
                static.append((i, Static(value, self._name, self.called(i + shift))))
                dynamic[i] = None
        rest = {}
        for name, value in kwargs.items():
            if name in self._names:
                static.append((name, Static(value, self._name, name)))
            else:
                rest[name] = value
        return tuple(dynamic), rest, tuple(static)

    def called(self, i: int) -> str:
        """The name of the argument at a position."""
        return self._positional[i] if i < len(self._positional) else f"number {i}"


class Static:
    """The value of a static argument: 1, 1.0 and True are not the same."""

    __slots__ = ("value",)

    def __init__(self, value: Any, function: str, argument: str) -> None:
        try:
            hash(value)
        except TypeError:
            raise ValueError(
                f"fnn.jit: static argument {argument!r} of {function} must be hashable, got a value of type "
                f"{type(value).__name__}"
            ) from None
        self.value: Any = value

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Static) and type(other.value) is type(self.value) and other.value == self.value


def put_back(args: Sequence[Any], kwargs: dict[str, Any], static: Any) -> tuple[list[Any], dict[str, Any]]:
    """The inverse of ``StaticArguments.split``."""
    args, kwargs = list(args), dict(kwargs)
    for place, held in static:
        if isinstance(place, int):
            args[place] = held.value
        else:
            kwargs[place] = held.value
    return args, kwargs


STATEFUL = "stateful"


def type_of(leaf: Any) -> Hashable:
    """The type of an array as a trace knows it, a mark for a stateful object; ``None`` for what is neither, or would be cut."""
    if is_stateful(leaf):
        return STATEFUL
    if is_cut(leaf):
        return None
    try:
        return jax.typeof(leaf)
    except (TypeError, ValueError):
        return None


def as_leaf(function: Any, leaves: Sequence[Any], tree: Any, i: int) -> Any:
    """What has ``__array__`` or ``__dlpack__``, such as a tensor of torch, as an array.

    Raises:
        TypeError: if it is something else, naming the argument.
        OverflowError: if it has integers that JAX would cut down.
    """
    leaf = leaves[i]
    try:
        if hasattr(leaf, "__array__") and not isinstance(leaf, np.ma.MaskedArray):
            named = f"fnn.jit: {path_words(function, leaves, tree, i)} of {function!r}"
            return to_array(np.asarray(leaf) if isinstance(leaf, np.ndarray) else leaf, named)
        if hasattr(leaf, "__dlpack__") and not hasattr(leaf, "__array__"):
            return jax.numpy.from_dlpack(leaf)
    except (TypeError, ValueError):
        pass
    if isinstance(leaf, int):
        check_64_bits(f"fnn.jit: {path_words(function, leaves, tree, i)} of {function!r}", leaf)
    raise with_remedy(
        TypeError(
            f"fnn.jit: {path_words(function, leaves, tree, i)} of {function!r} must be an array, a number, a Module, an "
            "Optimizer or another object of fnn's, or be named in static_argnames, or be the self of a method, got a value of "
            f"type {type(leaf).__name__}{_shape_of(leaf)}"
        ),
        "an-argument-is-no-array",
    )


@functools.cache
def process_count() -> int:
    """How many processes the program has; asked once, when JAX knows."""
    return jax.process_count()


def check_global(function: Any, leaves: Sequence[Any], tree: Any) -> None:
    """Raises ValueError if an array of a program of several processes is one of this process alone.

    Each process would go on with its own rows as if they were all, and what the processes compute would drift apart.
    """
    for i, leaf in enumerate(leaves):
        if is_stateful(leaf) or isinstance(leaf, Tracer) or not getattr(leaf, "ndim", 0):
            continue
        if not isinstance(leaf, jax.Array) or leaf.is_fully_addressable:
            raise ValueError(
                f"fnn.jit: {path_words(function, leaves, tree, i)} of {function!r} must be a global array, for the program has "
                f"{process_count()} processes, got one of this process alone{_shape_of(leaf)}; make it by "
                "jax.make_array_from_process_local_data, or the shard method of DistributedDataParallel"
            )


def _shape_of(leaf: Any) -> str:
    shape, dtype = getattr(leaf, "shape", None), getattr(leaf, "dtype", None)
    return "" if shape is None or dtype is None else f" with shape {tuple(shape)} and dtype {dtype}"


def path_words(function: Any, leaves: Sequence[Any], tree: Any, i: int) -> str:
    """The words for the argument that a leaf is in: its name, and its place in a container."""
    marks: Any = jax.tree.unflatten(tree, range(len(leaves)))
    for path, mark in jax.tree_util.tree_leaves_with_path(marks):
        if mark == i:
            top, first, *inner = path
            where = jax.tree_util.keystr(tuple(inner))
            names = function._static._positional
            if getattr(top, "idx", None) == 0:
                number = first.idx + (1 if function._static._is_method else 0)
                name = names[number] if number < len(names) else f"number {first.idx}"
            else:
                name = first.key
            return f"argument {name}{where}"
    return "an argument"

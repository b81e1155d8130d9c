"""The casts that ``autocast`` makes of the arguments of a function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from fnn.amp.lists import POLICIES, UNLESS, Policy
from fnn.amp.state import Autocast, context, opened
from fnn.stateful.boxes import Box

__all__ = ["Casting", "cast", "follow_autocast", "in_float32"]

Class = TypeVar("Class", bound=type)

_ARRAYS = (jax.Array, Box, np.ndarray, np.generic)
_FLOAT16, _FLOAT32, _FLOAT64 = map(np.dtype, (np.float16, np.float32, np.float64))


class Casting:
    """What ``autocast`` does to a function.

    Args:
        function: the function; its annotations tell which arguments are arrays.
        policy: its policy.
    """

    def __init__(self, function: Callable[..., Any], policy: Policy) -> None:
        self.function = function
        self.policy = policy
        self._unless = UNLESS.get(function.__name__)
        self._taken: tuple[tuple[bool, ...], frozenset[str]] | None = None

    def run(self, state: Autocast, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The function of arguments that are cast. What it calls takes them as they are: the cast is made once."""
        if self._unless is not None and self._has_option(*self._unless, args, kwargs):
            return self.function(*args, **kwargs)
        args, kwargs = self.arguments(state, args, kwargs)
        with context(None):
            return self.function(*args, **kwargs)

    def _has_option(
        self, name: str, such: Callable[[Any], bool], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> bool:
        place = [*inspect.signature(self.function).parameters].index(name)
        return such(kwargs.get(name, args[place] if place < len(args) else None))

    def arguments(
        self, state: Autocast, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments, cast."""
        if self._taken is None:
            self._taken = _arrays_among(self.function)
        by_place, by_name = self._taken
        places = [i for i, taken in enumerate(by_place[: len(args)]) if taken]
        names = [name for name in kwargs if name in by_name]
        values = [_arrays_in(value) for value in (*(args[i] for i in places), *(kwargs[name] for name in names))]
        to = self._target(state, values)
        if to is None:
            return args, kwargs
        every, named = list(args), dict(kwargs)
        for key, value in zip((*places, *names), values, strict=True):
            target: Any = named if isinstance(key, str) else every
            target[key] = cast(value, to)
        return tuple(every), named

    def _target(self, state: Autocast, values: list[Any]) -> np.dtype[Any] | None:
        """The dtype to cast to; ``None`` if nothing is to be cast."""
        dtypes = {dtype for dtype in _dtypes(values) if _is_cast(dtype)}
        if not dtypes:
            return None
        if self.policy is Policy.LOW:
            return state.dtype
        if self.policy is Policy.WIDEST and dtypes == {state.dtype}:
            return None
        if self.policy is Policy.REFUSED and state.dtype == _FLOAT16:
            name = self.function.__name__
            raise RuntimeError(
                f"{name}: its gradients may overflow in float16, so autocast refuses it: give {name}_with_logits what goes into "
                f"the sigmoid, or call it in fnn.autocast(enabled=False) with float32 arrays"
            )
        return _FLOAT32


def _arrays_among(function: Callable[..., Any]) -> tuple[tuple[bool, ...], frozenset[str]]:
    """Which parameters take arrays, and not numbers that may be traced: by their places and by their names."""
    by_place: list[bool] = []
    by_name: set[str] = set()
    for name, parameter in inspect.signature(function).parameters.items():
        kinds = [kind.strip() for kind in str(parameter.annotation).split("|")]
        takes = name == "self" or any("ArrayLike" in kind for kind in kinds)
        takes = takes or ("jax.Array" in kinds and {"float", "int", "bool", "Number"}.isdisjoint(kinds))
        takes = takes and name != "out"  # a box that the function writes
        if parameter.kind is not parameter.KEYWORD_ONLY:
            by_place.append(takes)
        if takes:
            by_name.add(name)
    return tuple(by_place), frozenset(by_name)


def _arrays_in(value: Any) -> Any:
    """The value, in which whatever else stands for an array (a tensor of torch, say) is one, and a sequence a list or tuple."""
    if isinstance(value, _ARRAYS) or value is None:
        return value
    if hasattr(value, "__jax_array__") or hasattr(value, "__array__"):
        try:
            return jnp.asarray(value)
        except (TypeError, ValueError):
            return value  # the function says what is wrong
    if isinstance(value, Iterable) and hasattr(value, "__len__") and not isinstance(value, str | bytes | Mapping):
        items = map(_arrays_in, value)
        return tuple(items) if isinstance(value, tuple) else list(items)
    return value


def _dtypes(values: Iterable[Any]) -> Iterator[np.dtype[Any]]:
    """The dtypes of all the arrays."""
    for value in values:
        if type(value) in (list, tuple):
            yield from _dtypes(value)
        elif (dtype := _dtype_of(value)) is not None:
            yield dtype


def _dtype_of(value: Any) -> np.dtype[Any] | None:
    """The dtype that an array has in JAX; ``None`` of anything else."""
    dtype = getattr(value, "dtype", None)
    return np.dtype(jax.dtypes.canonicalize_dtype(dtype)) if isinstance(dtype, np.dtype) else None


def _is_cast(dtype: np.dtype[Any]) -> bool:
    return dtype != _FLOAT64 and bool(jnp.issubdtype(dtype, jnp.floating))


def cast(value: Any, to: np.dtype[Any]) -> Any:
    """The value with its floating arrays, but those of float64, in a dtype; what is an array by itself stays one of numpy."""
    if type(value) in (list, tuple):
        return type(value)(cast(item, to) for item in value)
    dtype = _dtype_of(value)
    if dtype is None or dtype == to or not _is_cast(dtype):
        return value
    if isinstance(value, Box):
        value = value.data
    elif isinstance(value, np.ndarray | np.generic):
        value = value.astype(dtype)  # float64, where JAX has none
    return value.astype(to)


def in_float32(*arrays: Any) -> Iterator[Any]:
    """The arrays, those of a floating dtype other than float64 in float32; ``None`` passes."""
    return (cast(array, _FLOAT32) for array in arrays)


class _Given:
    """What a method sees for the box whose method it is: the array cast."""

    __slots__ = ("data",)

    def __init__(self, data: Any) -> None:
        self.data = data


def follow_autocast(cls: Class) -> Class:
    """Makes the methods of a class of boxes that are in the lists cast the array of the box and their arguments."""
    for name, policy in POLICIES.items():
        method = getattr(cls, name, None)
        if method is not None:
            setattr(cls, name, _method(method, policy))
    return cls


def _method(method: Callable[..., Any], policy: Policy) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if opened and (state := context.value) is not None:
            given, kwargs = casting.arguments(state, (self, *args), kwargs)
            box = given[0]
            with context(None):
                return method(box if box is self else _Given(box), *given[1:], **kwargs)
        return method(self, *args, **kwargs)

    casting = Casting(method, policy)
    return call

"""Wrong arguments named after the fact: a call that failed is held against the types of its signature."""

from __future__ import annotations

import functools
import inspect
import numbers
import operator
import os
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fnn.amp.casting import Casting
from fnn.amp.lists import POLICIES
from fnn.amp.state import context, opened
from fnn.functional.checks import describe, fail
from fnn.stateful.boxes import Box
from fnn.stateful.exports import unquote
from fnn.stateful.remedies import with_remedy_of

Function = TypeVar("Function", bound=Callable[..., Any])

# What JAX, numpy and Python raise of an argument of a wrong kind. Others, a MemoryError say, have another cause.
_KINDS = (
    *(TypeError, ValueError, AttributeError, IndexError, KeyError, ZeroDivisionError, OverflowError),
    NotImplementedError,  # by keys of JAX's
)
_FNN = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def explained(function: Function, *, names_parts: bool = True) -> Function:
    """A public function whose error names an argument of a wrong kind, whoever raised it.

    A call that succeeds pays for one frame and no check. When one fails, its arguments are compared with the
    annotations; the first that does not fit becomes a TypeError in the form of ``fail``, unless the error names it
    already. If all fit, the error stays what it is, but for one that comes from another function within: that gets the name
    of the one that was called, unless ``names_parts`` is false, as for those that run a model.

    Functions of ``fnn.functional`` that ``autocast`` has in its lists cast their arguments within it.
    """
    tell = explanation
    policy = POLICIES.get(function.__qualname__) if function.__module__.startswith("fnn.functional.") else None

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            told = tell(function, args, kwargs, error, names_parts)
            if told is None:
                raise
            raise told from None

    if policy is None:
        return stand_in(call, function)
    casting, used, autocast = Casting(function, policy), opened, context

    def call_or_cast(*args: Any, **kwargs: Any) -> Any:
        try:
            if used and (state := autocast.value) is not None:
                return casting.run(state, args, kwargs)
            return function(*args, **kwargs)
        except Exception as error:
            told = tell(function, args, kwargs, error, names_parts)
            if told is None:
                raise
            raise told from None

    return stand_in(call_or_cast, function)


def explained_run(function: Function) -> Function:
    """The same for a function that runs a model: what is raised in a layer keeps the name of the layer's function alone."""
    return explained(function, names_parts=False)


def stand_in(call: Callable[..., Any], function: Function) -> Function:
    """``call``, which uses no globals, to stand for a function: with its name, text, and its globals too.

    By the globals doctest knows to which file a function belongs.
    """
    own = types.FunctionType(call.__code__, function.__globals__, function.__name__, None, call.__closure__)
    unquote(function)
    return functools.wraps(function)(own)  # pyright: ignore[reportReturnType]


def checked(function: Function) -> Function:
    """A public function that looks at the kinds of its arguments before it starts: what it makes meets them only later.

    For functions of which one call is followed by many of what they return.
    """
    misfits, title, refuse, counts = _misfits, _title, fail, is_number

    def call(*args: Any, **kwargs: Any) -> Any:
        for name, expected, value in misfits(function, args, kwargs, False):
            if "int" in expected and counts(value):
                continue  # a count may be 5.0, as in torch
            if "number" in expected and (isinstance(value, tuple) or hasattr(value, "shape")):
                continue  # how many numbers there must be is for the function to say
            refuse(TypeError, title(function, args), name, expected, value)
        return function(*args, **kwargs)

    return explained(stand_in(call, function))


def explained_constructor(cls: type, decorate: Callable[[Any], Any] = explained) -> None:
    """Makes the constructor of a class of this library ``explained``; what users derive from it is theirs."""
    if "__init__" in vars(cls) and cls.__module__.partition(".")[0] == __name__.partition(".")[0]:
        cls.__init__ = decorate(cls.__init__)


def explanation(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    error: Exception,
    names_parts: bool = True,
) -> Exception | None:
    """The error that says more than the one that came; ``None`` if there is none."""
    title, message = _title(function, args), str(error)
    called = f"{function.__qualname__}() "
    if isinstance(error, TypeError) and message.startswith(called) and not title.startswith("_"):
        # What Python says of a call that the signature has no place for names the class that the constructor is from.
        plain = f"{title}: {message.removeprefix(called)}"
        return TypeError(plain)
    if isinstance(error, _KINDS) and "can hold, got " not in message:
        for name, expected, value in _misfits(function, args, kwargs, isinstance(error, jax.errors.JAXTypeError)):
            if message.startswith(f"{title}: ") and re.search(rf"\b{name}\b", message) and "Tracer(" not in message:
                return None
            return TypeError(f"{title}: {name} must be {expected}, got {describe(value)}")
    if type(error) not in (TypeError, ValueError, RuntimeError, IndexError, AssertionError) or not _raised_here(error):
        return None
    plain = _TRACER.sub(r"a traced \1", message)
    head = re.match(r"([\w.]+): ", message)
    nameless = re.match(r"(\w+) (?:must|should) ", message)
    if (nameless and nameless[1] in inspect.signature(function).parameters) or (
        names_parts and head and not f"{title}.".startswith(f"{head[1]}.") and not message.startswith(title)
    ):
        plain = f"{title}: {plain}"
    return None if plain == message else with_remedy_of(type(error)(plain), error)


def _raised_here(error: Exception) -> bool:
    """Whether the error comes from this library, with no code of the user's between."""
    frame = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(_FNN):
        frame = frame.tb_next
    return frame is None


def _misfits(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], wants_values: bool
) -> Iterator[tuple[str, str, Any]]:
    """The arguments that their annotations do not take: name, what was expected, what came."""
    signature = inspect.signature(function)
    try:
        given = signature.bind(*args, **kwargs).arguments
    except TypeError:
        return
    for name, parameter in signature.parameters.items():
        if name not in given or not isinstance(parameter.annotation, str) or parameter.kind is parameter.VAR_KEYWORD:
            continue
        kinds = list(_split(parameter.annotation, "|"))
        if name in ("key", "rng") and not {"jax.Array", "Any"}.isdisjoint(kinds):
            kinds = [k if k == "None" else "Key" for k in kinds]
        if {"float", "Number"} & {*kinds}:
            kinds = [k for k in kinds if k != "jax.Array"]  # a number that may be traced
        holds_arrays = not _ARRAYS.isdisjoint(kinds)
        for value in given[name] if parameter.kind is parameter.VAR_POSITIONAL else (given[name],):
            if isinstance(value, int) and not -(2**63) <= value < 2**64:
                yield name, "at most 64 bits long", value
            traced = isinstance(value, Tracer) and not holds_arrays
            if (traced and wants_values) or not any(_fits(kind, value, function) for kind in kinds):
                yield name, _said(kinds, function) + ", known when the call is traced" * traced, value


# How JAX shows a tracer.
_TRACER = re.compile(r"\b\w*Tracer\(~?(\w+\[[^\]]*\])[^()]*\)")
_ARRAYS = {"ArrayLike", "jax.Array", "Data"}


def _title(function: Callable[..., Any], args: tuple[Any, ...]) -> str:
    """``Linear`` for its constructor, ``Linear.to`` for a method, the name for a function."""
    owner, _, name = function.__qualname__.rpartition(".")
    if not owner or owner.endswith("<locals>") or not args:
        return name
    kind = args[0] if isinstance(args[0], type) else type(args[0])
    return kind.__name__ if name in ("__init__", "__new__") else f"{kind.__name__}.{name}"


def _split(text: str, mark: str) -> Iterator[str]:
    """The parts of an annotation between marks that stand in no bracket."""
    depth, start = 0, 0
    for i, letter in enumerate(text):
        depth += (letter == "[") - (letter == "]")
        if letter == mark and not depth:
            yield text[start:i].strip()
            start = i + 1
    yield text[start:].strip()


def _is_held(value: Any) -> bool:
    return isinstance(value, jax.Array | np.ndarray | np.generic | Box) and has_numbers(value)


def has_numbers(value: Any) -> bool:
    """Whether an array holds numbers: no text, no dates, no keys of JAX's."""
    dtype = getattr(value, "dtype", None)
    if dtype is None or getattr(dtype, "kind", "") in ("m", "M"):
        return dtype is None
    return bool(jnp.issubdtype(dtype, np.number) or dtype == np.bool_)


def _is_key(value: Any) -> bool:
    if not isinstance(value, jax.Array | np.ndarray):
        return False
    return jnp.issubdtype(value.dtype, jax.dtypes.prng_key) or (value.dtype == np.uint32 and value.ndim == 1)


def _is_place(value: Any) -> bool:
    return value is None or isinstance(value, str | int | jax.Device | jax.sharding.Sharding) or hasattr(value, "index")


def _is_array(value: Any) -> bool:
    if isinstance(value, bool | int | float | complex):
        return True
    if isinstance(value, jax.Array | np.ndarray | np.generic | Box):
        return has_numbers(value)
    return hasattr(value, "__jax_array__") or hasattr(value, "__array__")


def is_number(value: Any) -> bool:
    """True for a real number and an array of one, traced or not."""
    if isinstance(value, numbers.Real):
        return True
    if isinstance(value, Box):
        value = value.peek()
    return getattr(value, "shape", None) == () and has_numbers(value) and not jnp.iscomplexobj(value)


def _is_integer(value: Any) -> bool:
    if isinstance(value, bool | np.bool_):
        return False
    try:
        operator.index(value)
    except (TypeError, jax.errors.JAXTypeError):
        return False
    return True


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(map(callable, value))


def _is_dtype(value: Any) -> bool:
    if value is None or isinstance(value, Mapping | list | tuple | jax.Array | np.ndarray):
        return False
    try:
        jnp.dtype(value)
    except (TypeError, ValueError):
        return False
    return True


def _is_axis_name(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list | tuple) and all(isinstance(v, str) for v in value))


def _is_flag(value: Any) -> bool:
    if isinstance(value, bool | numbers.Integral | np.bool_):
        return True
    held = isinstance(value, jax.Array | np.ndarray) and value.ndim == 0 and not isinstance(value, Tracer)
    return held and has_numbers(value)


class _Kind(NamedTuple):
    takes: Callable[[Any], bool]
    one: str
    several: str


_NAMED: dict[str, _Kind] = {
    "None": _Kind(lambda v: v is None, "None", "None"),
    "ArrayLike": _Kind(_is_array, "an array", "arrays"),
    "jax.Array": _Kind(_is_held, "an array", "arrays"),
    "Key": _Kind(_is_key, "a JAX PRNG key (jax.random.key(seed))", "keys"),
    "Device": _Kind(_is_place, "a device, a sharding or a name", "devices"),
    "DType": _Kind(lambda v: v is None or _is_dtype(v), "a dtype", "dtypes"),
    "Shape": _Kind(lambda v: _is_sequence("Sequence", "int", v, len), "a sequence of ints", "shapes"),
    "Data": _Kind(_is_array, "an array", "arrays"),
    "int": _Kind(_is_integer, "an int", "ints"),
    "float": _Kind(is_number, "a number", "numbers"),
    "Number": _Kind(is_number, "a number", "numbers"),
    "LearningRate": _Kind(lambda v: is_number(v) or callable(v), "a number or a schedule", "numbers"),
    "bool": _Kind(_is_flag, "True or False", "truth values"),
    "str": _Kind(lambda v: isinstance(v, str), "a string", "strings"),
    "DTypeLike": _Kind(_is_dtype, "a dtype", "dtypes"),
    "jax.typing.DTypeLike": _Kind(_is_dtype, "a dtype", "dtypes"),
    "Callable": _Kind(callable, "a function", "functions"),
    "Factor": _Kind(callable, "a function", "functions"),
    "Schedule": _Kind(callable, "a schedule", "schedules"),
    "AverageFn": _Kind(callable, "a function", "functions"),
    "MultiAverageFn": _Kind(callable, "a function", "functions"),
    "AnyTransform": _Kind(_is_pair, "a Transform", "Transforms"),
    "Gradient": _Kind(lambda v: _is_held(v) or hasattr(v, "coalesce"), "an array", "arrays"),
    "HasForward": _Kind(lambda v: hasattr(v, "forward"), "a Module", "Modules"),
    "type": _Kind(lambda v: isinstance(v, type), "a class", "classes"),
    "AxisName": _Kind(_is_axis_name, "the name of a mapped axis, or several", "names of axes"),
    "Mapping": _Kind(lambda v: isinstance(v, Mapping), "a dict", "dicts"),
    "dict": _Kind(lambda v: isinstance(v, Mapping), "a dict", "dicts"),
}
_SEQUENCES = {
    "Sequence": "a sequence",
    "Iterable": "an iterable",
    "Iterator": "an iterator",
    "list": "a list",
    "tuple": "a tuple",
}
_ONE_PASS = {"Iterable", "Iterator"}


def _head(kind: str) -> tuple[str, str]:
    """The name of a kind and what stands in its brackets."""
    head, _, inner = kind.partition("[")
    return head, inner.removesuffix("]")


def _meaning(head: str, function: Callable[..., Any]) -> Any:
    """What a name of an annotation is bound to in the function's file, or a type variable to; ``None`` if to no class."""
    value: Any = function.__globals__.get(head.split(".")[0])
    for part in head.split(".")[1:]:
        value = getattr(value, part, None)
    value = getattr(value, "__bound__", value)
    return value if isinstance(value, type) and value is not Any else None


def _fits(kind: str, value: Any, function: Callable[..., Any]) -> bool:
    """Whether a value is of the kind; of a kind that nothing is known of every value is."""
    head, inner = _head(kind)
    if head in _NAMED:
        return _NAMED[head].takes(value)
    if head in _SEQUENCES:
        return _is_sequence(head, inner, value, function)
    if head == "Literal":
        return repr(value) in [part.replace('"', "'") for part in _split(inner, ",")]
    meaning = _meaning(head, function)
    return meaning is None or isinstance(value, meaning)


def _is_sequence(head: str, inner: str, value: Any, function: Callable[..., Any]) -> bool:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return False
    if getattr(value, "shape", None) == () or (head not in _ONE_PASS and not hasattr(value, "__len__")):
        return False
    if head in _ONE_PASS and not isinstance(value, Sequence):
        return True  # to look would use it up
    items, wanted = list(value), [w for w in _split(inner, ",") if w not in ("", "...")]
    if head == "tuple" and not inner.endswith("..."):
        if len(items) != len(wanted):
            return False
        return all(any(_fits(k, v, function) for k in _split(w, "|")) for v, w in zip(items, wanted, strict=True))
    return all(any(_fits(k, v, function) for w in wanted[:1] for k in _split(w, "|")) for v in items) or not wanted


def _said(kinds: list[str], function: Callable[..., Any], several: bool = False) -> str:
    """A union of kinds in words."""
    words: list[str] = []
    for kind in kinds:
        head, inner = _head(kind)
        if head in _NAMED:
            word = _NAMED[head].several if several else _NAMED[head].one
        elif head in _SEQUENCES:
            items = [w for w in _split(inner, ",") if w not in ("", "...")]
            said = _said(list(_split(items[0], "|")), function, several=True) if items else "values"
            count = f" of {len(items)}" if head == "tuple" and not inner.endswith("...") else ""
            word = f"{_SEQUENCES[head]} of{count.removeprefix(' of')} {said}"
        elif head == "Literal":
            word = "one of " + ", ".join(part.replace('"', "'") for part in _split(inner, ","))
        else:
            meaning = _meaning(head, function)
            name = (meaning.__name__ if meaning else head.rpartition(".")[2]).lstrip("_")
            word = f"{name}s" if several else f"{'an' if name[:1] in 'AEIOU' else 'a'} {name}"
        if word not in words:
            words.append(word)
    return " or ".join(words)

"""The kinds of wrong argument that are put in the place of a right one, and what is asked of the error."""

from __future__ import annotations

import re
import traceback
import warnings
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import fnn
from fnn import nn

FNN = str(Path(fnn.__file__).parent)
ERRORS = (TypeError, ValueError, RuntimeError, IndexError, KeyError)


def is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | jax.Array) and not jnp.issubdtype(value.dtype, jax.dtypes.prng_key)


def _as(dtype: Any) -> Callable[[Any], Any]:
    return lambda right: jnp.ones(right.shape if is_array(right) else (2,), dtype)


def _a_function(*args: Any) -> None:
    """A function where none is due."""


# What comes of the right argument.
KINDS: dict[str, Callable[[Any], Any]] = {
    "none": lambda right: None,
    "string": lambda right: "wrong",
    "object": lambda right: object(),
    "strings": lambda right: ["a", "b"],
    "module": lambda right: nn.ReLU(),
    "parameters": lambda right: nn.Linear(2, 2).parameters(),
    "function": lambda right: _a_function,
    "dict": lambda right: {},
    "bools": _as(jnp.bool_),
    "integers": _as(jnp.int32),
    "complex": _as(jnp.complex64),
    "no axes": lambda right: jnp.ones((), jnp.float32),
    "more axes": lambda right: right[None, None, None] if is_array(right) else jnp.ones((1, 1, 1), jnp.float32),
    "nan": lambda right: float("nan"),
    "negative": lambda right: -1,
    "fraction": lambda right: -1.5,
}
TRACED = "traced"  # the right argument, or 1.0 for one that is no array or number, as a tracer

# Where the value is of a kind that other arguments have to fit, the error may name one of those.
RELATED = {"bools", "integers", "complex", "no axes", "more axes", "nan", "negative", "fraction", TRACED}

# Words of the insides of fnn, JAX and Python.
INNER = re.compile(
    r"\b(Box|OptionalBox|ArrayBox|Cell|ElementCell|aval|avals|ShapedArray|\w*Tracer|PyTreeDef|abstract array|"
    r"'NoneType' object|object has no attribute|unsupported operand|not subscriptable|truth value)\b"
)


def outcome(call: Callable[[], Any]) -> Exception | None:
    """The error of a call; ``None`` if it is accepted."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = call()
            if hasattr(result, "close") and not isinstance(result, type):
                result.close()
            if hasattr(result, "remove") and hasattr(result, "id"):
                result.remove()  # a hook of every module or optimizer
    except Exception as error:
        return error
    return None


def traced(call: Callable[..., Any], *value: Any) -> Exception | None:
    """The error of a call while JAX traces it: nothing is compiled, and what is closed over has its values."""

    def run(*tracer: Any) -> None:
        with fnn.random.key_scope(jax.random.key(0)):
            result = call(*tracer)
            if hasattr(result, "remove") and hasattr(result, "id"):
                result.remove()

    return outcome(lambda: jax.eval_shape(run, *value))


def to_trace(right: Any) -> Any:
    """What is traced in the place of a right argument."""
    number = isinstance(right, int | float) and not isinstance(right, bool)
    return jnp.asarray(right if is_array(right) or number else 1.0)


def _plain(name: str) -> str:
    return name.lower().replace("_", "")


def fault(error: Exception, names: Collection[str], argument: str, kind: str, arguments: Collection[str]) -> str | None:
    """What the error lacks: its type, place, or a message that names function, argument and value."""
    if not isinstance(error, ERRORS):
        return f"type {type(error).__name__}"
    place = traceback.extract_tb(error.__traceback__)[-1].filename
    if not place.startswith(FNN):
        return f"raised in {place.rpartition('site-packages/')[2]}"
    message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if found := INNER.search(message):
        return f"inner word {found[0]}"
    head, colon, _ = message.partition(":")
    if not colon or not {_plain(part) for part in re.split(r"[.\s()]+", head)} & {_plain(n) for n in names}:
        return "names no function"
    related = arguments if kind in RELATED else ()
    if not any(re.search(rf"\b{re.escape(name)}\b", message) for name in (argument, *related)):
        return "names no argument"
    if "got " not in message and not (kind == TRACED and "traced" in message):
        return "does not say what came"
    return None

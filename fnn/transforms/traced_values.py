"""Errors of code that needs the value of an array while it is traced: with the line of the user's, and what to do."""

from __future__ import annotations

import linecache
import os
import re
import traceback
from collections.abc import Callable
from typing import Any

import jax

from fnn.stateful.remedies import with_remedy
from fnn.stateful.torch_methods import note_torch_method

__all__ = ["explain_traced", "is_inside"]

_NOT_CONCRETE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)
# Python's words about f"{loss:.3f}".
_FORMATTED = re.compile(r"Tracer\.__format__")
_NEEDED = "needed the value of a traced array"
_FNN = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_INSIDE = (_FNN + os.sep, os.path.dirname(jax.__file__ or "") + os.sep, "<frozen")


def explain_traced(error: BaseException, caller: str, function: Callable[..., Any]) -> None:
    """Adds to the words of JAX or Python about a traced value the line of the user's, and what to do.

    A method of torch's that the array has not gets a line with the remedy; other errors stay.

    Args:
        error: what the trace of ``function`` raised.
        caller: the name of what traced it.
        function: the function of the user's.
    """
    note_torch_method(error)
    message = str(error)
    if _NEEDED in message or not (isinstance(error, _NOT_CONCRETE) or _FORMATTED.search(message)):
        return
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not is_inside(f.filename)]
    if not frames:
        return
    frame = frames[-1]
    line = frame.line or linecache.getline(frame.filename, frame.lineno or 0).strip()
    name = getattr(function, "__name__", type(function).__name__)
    when, look = "only after the call, as gradients are taken of a trace", "return the array (by has_aux=True)"
    constant = ""
    if caller == "fnn.jit":
        when, look = "only when the program runs", "return the array"
        constant = ", or name an argument that is a constant in static_argnames"
    text = (
        f"{caller}: while {name} was traced, {frame.name} in {frame.filename}, line {frame.lineno}, {_NEEDED}: "
        f"{line}\nIts value is known {when}. Choose by jnp.where or jax.lax.cond instead of if and while, {look} and look "
        f"at it outside, print it by jax.debug.print{constant}."
    )
    with_remedy(error, "a-traced-value-was-needed")
    error.args = (f"{text}\n\n{error.args[0] if error.args else ''}", *error.args[1:])


def is_inside(file: str) -> bool:
    """Whether a file belongs to fnn or JAX."""
    return file.startswith(_INSIDE)

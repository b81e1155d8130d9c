"""At which level of JAX tracing the caller is, and JAX's settings."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager
from types import FrameType
from typing import Any, TypeVar

import jax
from jax.core import Tracer
from jax.extend.core import get_opaque_trace_state

from fnn.stateful.warning import warn

R = TypeVar("R")


def trace_state() -> Any:
    """An opaque value that is equal for two calls if and only if they ran at the same level of JAX tracing."""
    return get_opaque_trace_state()


EAGER = trace_state()


def setting(name: str) -> Any:
    """A JAX setting by name, such as "jax_enable_x64", as it is in force in this thread."""
    return getattr(jax.config, name)


def is_eager() -> bool:
    """True outside every JAX transformation (jit, grad, vmap, scan, ...)."""
    return trace_state() == EAGER


def _settings_reader() -> Callable[[], Hashable]:
    """JAX has no public word for the settings that are part of ``jax.jit``'s own key; a test says when the private one goes."""
    try:
        from jax._src.config import trace_context
    except ImportError:  # pragma: no cover
        names = ("jax_enable_x64", "jax_default_matmul_precision", "jax_default_prng_impl", "jax_numpy_dtype_promotion")
        return lambda: tuple(map(setting, names))
    return trace_context


jit_settings: Callable[[], Hashable] = _settings_reader()
"""The settings of JAX, as in force in this thread, that a trace depends on."""


# Marks: JAX keeps the traces of functions given to jax.checkpoint, lax.cond, jax.jit and the like, and takes one for another of
# the same function. A function that reads boxes has hidden inputs, so that its traces must be kept apart.

_mark: Any = jax.make_user_context(default_value=None)
_marks = itertools.count()


def mark(value: Hashable) -> AbstractContextManager[None]:
    """Within it, JAX takes no trace for one of its own that was made under another mark.

    Traces under one mark are kept together, so that marks should be few: JAX keeps traces for as long as their functions.
    """
    return _mark(hash(value))


def fresh_mark() -> AbstractContextManager[None]:
    """A mark that no other is equal to."""
    return _mark(("fresh", next(_marks)))


def renew_mark() -> None:
    """From here to the end of the innermost mark, JAX takes none of the traces that it has."""
    _mark(("fresh", next(_marks))).__enter__()


def again_if_stale(call: Callable[[], R], staged: bool = False) -> R:
    """``call()``; once more, under a fresh mark, if JAX took a trace with arrays of an earlier call for one of this.

    Eager code has no mark but then: with a new one at each step, every operation would be compiled anew.
    """
    try:
        return call()
    except jax.errors.UnexpectedTracerError:
        with fresh_mark():
            result = call()
        if not staged:
            warn(
                "jax.checkpoint, lax.cond or jax.jit was given a function that reads Parameters, outside of a compiled program; "
                "it had to be traced and compiled anew, as it will be at each such call: put the step into fnn.jit"
            )
        return result


def is_staged() -> bool:
    """Whether operations are written down now, to be run later, and not just differentiated or batched as they run."""
    return isinstance(jax.lax.full((), 0, "int32"), Tracer)


# Which transformations of JAX run between here and a frame further out, by the files of JAX where they are

_JAX = os.path.join(os.path.dirname(os.path.abspath(jax.__file__ or "")), "")
# What they are given runs once where it stands, or not at all.
_ONCE = frozenset({"ad_checkpoint.py", "conditionals.py", "pjit.py", "api.py"})
# What they are given runs many times over, or its trace is used for several things.
_OFTEN = frozenset(
    {"loops.py", "shard_map.py", "pmap.py", "batching.py", "custom_batching.py", "custom_derivatives.py", "solves.py"}
)
_OFTEN_IN_API = frozenset({"vmap_f", "_mapped_axis_size", "f_pmapped", "cache_miss_pmap"})


def stack_depth() -> int:
    """How many frames the caller and its callers are."""
    frame: FrameType | None = sys._getframe(1)
    count = 0
    while frame is not None:
        count += 1
        frame = frame.f_back
    return count


def runs_once(depth: int) -> bool:
    """Whether what runs here runs once for each time that the frame at that depth of the stack runs.

    It does so in jax.checkpoint, jax.grad, a branch of lax.cond, jax.jit, and not in a loop or jax.vmap.
    """
    frame: FrameType | None = sys._getframe(1)
    inner = stack_depth() - 1 - depth
    known = False
    while frame is not None and inner > 0:
        file = frame.f_code.co_filename
        if file.startswith(_JAX):
            name = os.path.basename(file)
            if name in _OFTEN or (name == "api.py" and frame.f_code.co_name in _OFTEN_IN_API):
                return False
            known = known or name in _ONCE
        frame = frame.f_back
        inner -= 1
    return known

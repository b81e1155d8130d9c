"""At which level of JAX tracing the caller is, and JAX's settings."""

from __future__ import annotations

from typing import Any

import jax
from jax.extend.core import get_opaque_trace_state


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

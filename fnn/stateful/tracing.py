"""At which level of JAX tracing the caller is, and JAX's settings."""

from __future__ import annotations

from collections.abc import Callable, Hashable
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

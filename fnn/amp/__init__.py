"""Mixed precision: ``autocast``, by which listed functions compute in half precision, and ``GradScaler``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fnn.amp.autocast_mode import (
    autocast as autocast,
    custom_bwd as custom_bwd,
    custom_fwd as custom_fwd,
    get_autocast_dtype as get_autocast_dtype,
    is_autocast_available as is_autocast_available,
    is_autocast_cache_enabled as is_autocast_cache_enabled,
    is_autocast_enabled as is_autocast_enabled,
)
from fnn.stateful.exports import unquote as _unquote

if TYPE_CHECKING:
    from fnn.amp.grad_scaler import GradScaler as GradScaler

__all__ = [
    "GradScaler",
    "autocast",
    "custom_bwd",
    "custom_fwd",
    "get_autocast_dtype",
    "is_autocast_available",
    "is_autocast_cache_enabled",
    "is_autocast_enabled",
]


def __getattr__(name: str) -> Any:
    if name == "GradScaler":
        return importlib.import_module("fnn.amp.grad_scaler").GradScaler
    raise AttributeError(f"module 'fnn.amp' has no attribute {name!r}")


_unquote(*(globals().get(name) for name in __all__))

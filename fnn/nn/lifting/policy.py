"""Which intermediate arrays rematerialization keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import jax

from fnn.functional.checks import fail

__all__ = ["Policy", "parse_policy"]

Policy: TypeAlias = Callable[..., Any] | str | None
"""A function of ``jax.checkpoint_policies``, the name of one, or ``None`` to keep nothing."""

# Those that are policies themselves; the others make one of names or of two others.
_NAMED = (
    "everything_saveable",
    "nothing_saveable",
    "dots_saveable",
    "checkpoint_dots",
    "dots_with_no_batch_dims_saveable",
    "checkpoint_dots_with_no_batch_dims",
)


def parse_policy(function: str, policy: Any, argument: str = "policy") -> Callable[..., Any] | None:
    """The function that a policy or its name stands for.

    Raises:
        TypeError: if it is of another kind.
        ValueError: if there is none of that name.
    """
    if policy is None or (callable(policy) and not isinstance(policy, str)):
        return policy
    if not isinstance(policy, str):
        fail(TypeError, function, argument, "a function of jax.checkpoint_policies, its name, or None", policy)
    if policy not in _NAMED:
        fail(ValueError, function, argument, f"one of {', '.join(_NAMED)}, or such a function itself", policy)
    return getattr(jax.checkpoint_policies, policy)

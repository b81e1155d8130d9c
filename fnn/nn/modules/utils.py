"""Sizes that layers are constructed with, and names in a ``state_dict``."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

__all__ = ["check_sizes"]


def check_sizes(layer: str, *, least: int = 0, **sizes: Any) -> None:
    """Raises unless every size is an int that is at least ``least``.

    Args:
        layer: name of the layer, for the message.
        least: the smallest size.
        **sizes: sizes by the name of their argument.

    Raises:
        TypeError: if one is no int.
        ValueError: if one is too small.

    Example:
        >>> check_sizes("Linear", in_features=2.5)
        Traceback (most recent call last):
        TypeError: Linear: in_features must be an int, got 2.5
    """
    for name, size in sizes.items():
        try:
            value = operator.index(size)
        except TypeError:
            value = None
        if value is None or isinstance(size, bool):
            raise TypeError(f"{layer}: {name} must be an int, got {size!r}")
        if value < least:
            raise ValueError(f"{layer}: {name} must be at least {least}, got {size}")


Sizes = int | Sequence[int]

"""Positions in a list and entries of a dict, as containers take them."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from typing import Any

from fnn.nn.modules.module import Module


def position(container: Any, index: Any) -> int:
    """The index counted from the front.

    Raises:
        TypeError: if it is no int.
        IndexError: if it is out of range.
    """
    try:
        index = operator.index(index)
    except TypeError:
        raise TypeError(f"{type(container).__name__}: index must be an int or a slice, got {index!r}") from None
    if not -len(container) <= index < len(container):
        raise IndexError(f"{type(container).__name__}: index {index} is out of range for length {len(container)}")
    return index % len(container)


def pairs(function: str, argument: str, source: Any) -> list[tuple[str, Any]]:
    """The entries of a mapping, of a container that is like one, or of an iterable of pairs.

    Raises:
        TypeError: if ``source`` is not iterable.
        ValueError: if an element is no pair.
    """
    if isinstance(source, Mapping) or (isinstance(source, Module) and hasattr(source, "items")):
        return list(source.items())
    if not isinstance(source, Iterable):
        raise TypeError(
            f"{function}: {argument} must be a mapping or an iterable of pairs, got {type(source).__name__}"
        )
    entries: list[tuple[str, Any]] = []
    for i, pair in enumerate(source):
        if not isinstance(pair, Iterable) or isinstance(pair, str) or len(parts := list(pair)) != 2:
            raise ValueError(f"{function}: element {i} of {argument} must be a pair of key and value, got {pair!r}")
        entries.append((parts[0], parts[1]))
    return entries

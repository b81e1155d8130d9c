"""Sizes that layers are constructed with, and names in a ``state_dict``."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

__all__ = ["Sizes", "check_sizes", "consume_prefix_in_state_dict_if_present"]

Sizes: TypeAlias = int | Sequence[int]
"""One size for all axes, or one for each."""


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


def _ntuple(n: int, name: str = "parse") -> Callable[[Any], tuple[Any, ...]]:
    """A function that repeats one value ``n`` times and turns an iterable into a tuple, as torch's of this name."""

    def parse(x: Any) -> tuple[Any, ...]:
        return tuple(x) if isinstance(x, Iterable) else (x,) * n

    parse.__name__ = name
    return parse


_single = _ntuple(1, "_single")
_pair = _ntuple(2, "_pair")
_triple = _ntuple(3, "_triple")
_quadruple = _ntuple(4, "_quadruple")


def _reverse_repeat_tuple(t: Sequence[int], n: int) -> tuple[int, ...]:
    """The elements in reverse order, each ``n`` times: a padding by axis as ``F.pad`` wants it."""
    return tuple(x for x in reversed(t) for _ in range(n))


def _list_with_default(out_size: int | Sequence[int | None], defaults: Sequence[int]) -> int | list[int]:
    """An output size with each ``None`` replaced by the length of its axis, the last of ``defaults``."""
    if isinstance(out_size, int):
        return out_size
    if len(defaults) <= len(out_size):
        raise ValueError(
            f"_list_with_default: defaults must be longer than out_size, {len(out_size)}, got {len(defaults)}"
        )
    lengths = defaults[len(defaults) - len(out_size) :]
    return [d if v is None else v for v, d in zip(out_size, lengths, strict=True)]


def consume_prefix_in_state_dict_if_present(state_dict: dict[str, Any], prefix: str) -> None:
    """Takes a prefix off the names of a ``state_dict``, in place: what a wrapped model saved loads into a bare one.

    Args:
        state_dict: names to arrays; a ``_metadata`` it has is renamed too.
        prefix: the prefix, such as ``"module."``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.modules.utils.consume_prefix_in_state_dict_if_present.html

    Example:
        >>> state = {"module.weight": 1}
        >>> consume_prefix_in_state_dict_if_present(state, "module.")
        >>> state
        {'weight': 1}
    """
    for name in list(state_dict):
        if name.startswith(prefix):
            state_dict[name.removeprefix(prefix)] = state_dict.pop(name)
    metadata: dict[str, Any] | None = getattr(state_dict, "_metadata", None)
    if metadata is not None:
        # There a Module's own name is its prefix without the last dot, and that of the whole is empty.
        for name in list(metadata):
            if name and (name == prefix.rstrip(".") or name.startswith(prefix)):
                metadata[name.removeprefix(prefix) if name.startswith(prefix) else ""] = metadata.pop(name)

"""What ``load_state_dict`` says of keys that do not match: which of those found may be meant."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["suggestion"]

_LOOKED_AT = 20
_NAMED = 3
_DICTS = 50


def suggestion(
    missing: Sequence[str], unexpected: Sequence[str], state_dict: Mapping[Any, Any] | None = None
) -> str | None:
    """A line that says how the keys found could become the missing ones, or ``None`` if that is not to be seen.

    Args:
        missing: the keys that the module wants.
        unexpected: the keys that it does not know.
        state_dict: what was given, which may be a whole checkpoint and hold another dict that is meant.

    Returns:
        The dict inside that has the keys, else a common prefix that one side has, else the nearest key of the first few;
        ``None`` if nothing is near.

    Example:
        >>> suggestion(["a"], ["net.a"])
        'Found "net.a" for "a": fnn.checkpoint.strip_prefix(state_dict, "net.") makes 1 of 1 missing keys match.'
    """
    if not missing or not unexpected:
        return None
    inner = _inside(missing, state_dict or {})
    if inner is not None:
        return inner
    more = _prefix(missing, unexpected)
    if more is not None:
        prefix, key, count = more
        return (
            f'Found "{prefix}{key}" for "{key}": fnn.checkpoint.strip_prefix(state_dict, "{prefix}") makes '
            f"{count} of {len(missing)} missing keys match."
        )
    less = _prefix(unexpected, missing)
    if less is not None:
        prefix, key, count = less
        return (
            f'Found "{key}" for "{prefix}{key}": fnn.checkpoint.rename(state_dict, {{"^": "{prefix}"}}) makes '
            f"{count} of {len(missing)} missing keys match."
        )
    pairs = [(key, difflib.get_close_matches(key, unexpected[:1000], 1, 0.75)) for key in missing[:_NAMED]]
    near = ", ".join(f'"{found[0]}" for "{key}"' for key, found in pairs if found)
    return f"Found {near}: fnn.checkpoint.rename(state_dict, {{regex: replacement}}) changes names." if near else None


def _inside(missing: Sequence[str], state_dict: Mapping[Any, Any]) -> str | None:
    """Of the dicts in a checkpoint the one that has most of the missing keys, as they are or behind a prefix."""
    found: list[tuple[int, str, str | None]] = []
    todo: list[tuple[str, Mapping[Any, Any]]] = [("", state_dict)]
    for path, one in todo:
        todo += [(f"{path}[{k!r}]", v) for k, v in one.items() if isinstance(v, Mapping)][: _DICTS - len(todo)]
        if path:
            there = [key for key in one if isinstance(key, str)]
            more = _prefix(missing, there)
            found.append((sum(key in one for key in missing), path, None))
            found.append((0, path, None) if more is None else (more[2], path, more[0]))
    count, path, prefix = max(found, key=lambda one: one[0], default=(0, "", None))
    if 2 * count < len(missing):
        return None
    meant = f"state_dict{path}"
    if prefix is not None:
        meant = f"fnn.checkpoint.strip_prefix({meant}, {json.dumps(prefix)})"
    shown = path[1:-1].replace("][", " / ")
    return f"Found {count} of {len(missing)} missing keys under {shown}: load_state_dict({meant})."


def _prefix(short: Sequence[str], long: Sequence[str]) -> tuple[str, str, int] | None:
    """The prefix by which most of the short keys become long ones, one such key and their number; at least half must."""
    votes = Counter(
        one[: -len(key)]
        for key in short[:_LOOKED_AT]
        for one in long
        if one.endswith("." + key)  # the prefix ends with a dot
    )
    there = set(long)
    best = max(votes, key=lambda p: sum(p + key in there for key in short), default=None)
    if best is None:
        return None
    matching = [key for key in short if best + key in there]
    return (best, matching[0], len(matching)) if 2 * len(matching) >= min(len(short), len(long)) else None

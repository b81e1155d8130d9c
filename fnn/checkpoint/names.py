"""Names of a checkpoint changed to those that a model wants."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, TypeVar

from fnn.functional.checks import fail
from fnn.functional.explained import explained
from fnn.stateful.warning import warn

__all__ = ["rename", "strip_prefix"]

T = TypeVar("T")


@explained
def rename(state: Mapping[str, T], rules: Mapping[str, str]) -> OrderedDict[str, T]:
    """The same entries under other names: every rule is applied to each name, one after the other.

    A rule that matches no name is a warning.

    Args:
        state: names to arrays.
        rules: regular expressions to replacements, as ``re.sub`` takes them; an expression may match anywhere in a name.

    Returns:
        A new dict in the same order.

    Raises:
        ValueError: if two entries would get one name, or an expression or a replacement is none.

    Source: https://docs.python.org/3/library/re.html#re.sub

    Example:
        >>> import fnn
        >>> dict(fnn.checkpoint.rename({"h.0.gamma": 1, "h.0.beta": 2}, {"gamma$": "weight", "beta$": "bias", "^h": "layers"}))
        {'layers.0.weight': 1, 'layers.0.bias': 2}
    """
    compiled: list[tuple[str, re.Pattern[str], str]] = []
    for expression, replacement in rules.items():
        if not isinstance(expression, str | re.Pattern) or not (isinstance(replacement, str) or callable(replacement)):
            fail(TypeError, "rename", "rules", "regular expressions to replacements", {expression: replacement})
        try:
            compiled.append((expression, re.compile(expression), replacement))
        except re.error as error:
            raise ValueError(f"rename: {expression!r} is no regular expression: {error}") from None
    out: OrderedDict[str, T] = OrderedDict()
    came_from: dict[str, str] = {}
    idle = set(rules) if state else set()
    for old, value in state.items():
        new = _name("rename", old)
        for rule, expression, replacement in compiled:
            try:
                new, count = expression.subn(replacement, new)
            except (re.error, IndexError) as error:
                raise ValueError(f"rename: {replacement!r} is no replacement for {rule!r}: {error}") from None
            if count:
                idle.discard(rule)
        if new in out:
            raise ValueError(f"rename: {came_from[new]!r} and {old!r} would both be {new!r}")
        out[new] = value
        came_from[new] = old
    if idle:
        names = ", ".join(repr(rule) for rule in rules if rule in idle)
        warn(f"rename: no name matches {names}; there are names such as {list(state)[:3]}")
    return out


@explained
def strip_prefix(state: Mapping[str, T], prefix: str) -> OrderedDict[str, T]:
    """The same entries without a text before their names; those that do not begin with it stay as they are.

    Args:
        state: names to arrays.
        prefix: such as ``"module."``.

    Returns:
        A new dict in the same order.

    Raises:
        ValueError: if two entries would get one name.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.parallel.DistributedDataParallel.html

    Example:
        >>> import fnn
        >>> dict(fnn.checkpoint.strip_prefix({"module.weight": 1, "module.bias": 2}, "module."))
        {'weight': 1, 'bias': 2}
    """
    out: OrderedDict[str, T] = OrderedDict()
    for old, value in state.items():
        new = _name("strip_prefix", old).removeprefix(prefix)
        if new in out:
            raise ValueError(f"strip_prefix: two entries would be {new!r}")
        out[new] = value
    return out


def _name(function: str, name: Any) -> str:
    if not isinstance(name, str):
        fail(TypeError, function, "state", "a dict of names, which are strings", {name: "..."})
    return name

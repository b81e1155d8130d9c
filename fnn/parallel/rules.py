"""Rules by which the names of parameters say over which axes of a mesh they are divided."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from jax.sharding import PartitionSpec

from fnn.functional.checks import fail

__all__ = ["Rules", "Spec", "attention", "embedding", "linear_pair", "match", "spec_for"]

Spec: TypeAlias = Sequence[Any] | PartitionSpec | None
"""The axis of a mesh (or several, or ``None``) for each axis of an array; what is left out is not divided."""

Rules: TypeAlias = Mapping[str, Spec]
"""Regular expressions to be found in the names of parameters and buffers, in order; the first that is found counts."""


def linear_pair(first: str, second: str, axis: str = "model") -> dict[str, Spec]:
    r"""Two linear maps in sequence, the first divided by its outputs and the second by its inputs: one sum over the devices.

    Args:
        first: a regular expression for the name of the first map, such as ``"linear1"``.
        second: one for the second.
        axis: the axis of the mesh.

    Returns:
        rules for both weights and the first bias; the second bias is whole on every device.

    Source: Shoeybi et al., Megatron-LM (2019), https://arxiv.org/abs/1909.08053

    Example:
        >>> linear_pair("linear1", "linear2")
        {'linear1\\.weight$': ('model', None), 'linear1\\.bias$': ('model',), 'linear2\\.weight$': (None, 'model')}
    """
    return {rf"{first}\.weight$": (axis, None), rf"{first}\.bias$": (axis,), rf"{second}\.weight$": (None, axis)}


def attention(name: str = r"(self_attn|multihead_attn)", axis: str = "model") -> dict[str, Spec]:
    r"""The projections of ``nn.MultiheadAttention``, divided by heads.

    Args:
        name: a regular expression for the name of the attention.
        axis: the axis of the mesh; its length divides the number of heads.

    Returns:
        rules for the projections before the attention, by outputs, and the one after it, by inputs.

    Source: Shoeybi et al., Megatron-LM (2019), https://arxiv.org/abs/1909.08053

    Example:
        >>> list(attention())[0]
        '(self_attn|multihead_attn)\\.(in|q|k|v)_proj_weight$'
    """
    return {
        rf"{name}\.(in|q|k|v)_proj_weight$": (axis, None),
        rf"{name}\.in_proj_bias$": (axis,),
        rf"{name}\.out_proj\.weight$": (None, axis),
    }


def embedding(name: str = "embedding", axis: str = "model") -> dict[str, Spec]:
    r"""A table of embeddings, divided by features.

    Args:
        name: a regular expression for its name.
        axis: the axis of the mesh.

    Returns:
        the rule for its weight.

    Example:
        >>> embedding("tokens")
        {'tokens\\.weight$': (None, 'model')}
    """
    return {rf"{name}\.weight$": (None, axis)}


def match(function: str, rules: Rules, names: Sequence[str]) -> dict[str, str]:
    """The rule of each name that one fits.

    A name of stacked layers, ``layers.*.weight``, is also taken as that of the first of them.

    Raises:
        TypeError: if the rules are no mapping of strings.
        ValueError: if a rule is no regular expression, or fits no name.
    """
    if not isinstance(rules, Mapping):
        fail(TypeError, function, "rules", "a dict of regular expressions to axis names", rules)
    found: dict[str, str] = {}
    used: set[str] = set()
    for pattern in rules:
        if not isinstance(pattern, str):
            fail(TypeError, function, "rules", "strings as keys", pattern)
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{function}: rules: {pattern!r} is no regular expression: {error}") from None
        for name in names:
            if compiled.search(name) or compiled.search(name.replace(".*.", ".0.").removeprefix("*.")):
                used.add(pattern)
                found.setdefault(name, pattern)
    unused = [pattern for pattern in rules if pattern not in used]
    if unused:
        raise ValueError(
            f"{function}: rules: {unused[0]!r} is found in no name of a parameter or buffer; they are "
            f"{', '.join(names[:6])}{', ...' if len(names) > 6 else ''}"
        )
    return found


def spec_for(function: str, name: str, shape: Sequence[int], spec: Spec, mesh: Any, stacked: int = 0) -> PartitionSpec:
    """The spec of a rule for an array of a shape; that of stacked layers, which have so many axes more, is for one of them.

    Raises:
        TypeError: if it is no sequence of axis names.
        ValueError: if the mesh has no such axis, the array has fewer axes, an axis does not divide, or comes twice.
    """
    if spec is None:
        return PartitionSpec()
    if isinstance(spec, str) or not isinstance(spec, Sequence):
        fail(TypeError, function, f"the rule of {name!r}", "a tuple of axis names and None", spec)
    axes = [*[None] * stacked, *spec]
    if len(axes) > len(shape):
        raise ValueError(f"{function}: {name!r} has shape {tuple(shape)}, and its rule is of more axes, {tuple(spec)}")
    seen: set[str] = set()
    for length, entry in zip(shape, axes, strict=False):
        parts = 1
        for axis in entry if isinstance(entry, tuple | list) else () if entry is None else (entry,):
            if axis not in mesh.shape:
                raise ValueError(
                    f"{function}: {name!r}: the mesh has axes {', '.join(mesh.axis_names)}, and no {axis!r}"
                )
            if axis in seen:
                raise ValueError(f"{function}: {name!r}: its rule has the axis {axis!r} twice, {tuple(spec)}")
            seen.add(axis)
            parts *= mesh.shape[axis]
        if length % parts:
            raise ValueError(
                f"{function}: {name!r} of shape {tuple(shape)} cannot be divided by {tuple(spec)}: {parts} devices do not "
                f"divide {length}"
            )
    return PartitionSpec(*(tuple(e) if isinstance(e, list) else e for e in axes))

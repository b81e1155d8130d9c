"""What is to be called before a Module changes: one layer of an ``nn.Repeated`` cannot differ from the others."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NoReturn

from fnn.stateful.protocol import Stateful
from fnn.stateful.scopes import note_part
from fnn.stateful.structure import structure_changed

__all__ = ["ClosedHooks", "is_view", "note_attribute", "note_member"]


class ClosedHooks(OrderedDict[int, Any]):
    """A registry of hooks of a Module that is one layer of a stack: there can be none."""

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise RuntimeError(
            "one layer of an nn.Repeated cannot have hooks of its own; register them on .layer of it, for all layers, or keep "
            "the layers apart, in a Sequential"
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> OrderedDict[int, Any]:
        return OrderedDict()  # a copy is a Module of its own

    def __reduce__(self) -> Any:
        return OrderedDict, ()


def is_view(module: Any) -> bool:
    """Whether a Module is one layer of an ``nn.Repeated``, or a part of one."""
    return type(module.__dict__.get("_forward_hooks")) is ClosedHooks


def note_member(module: Stateful, member: str) -> None:
    """``note_part`` of a Module.

    Raises:
        RuntimeError: if it is one layer of a stack, or as ``note_part``.
    """
    if is_view(module):
        raise _one_of_many(member)
    note_part(module, member)


def note_attribute(module: Stateful, name: str) -> None:
    """To be called before a plain attribute changes.

    Raises:
        RuntimeError: if the Module is one layer of a stack.
    """
    if is_view(module):
        raise _one_of_many(f"{type(module).__name__}.{name}")
    structure_changed()


def _one_of_many(what: str) -> RuntimeError:
    return RuntimeError(
        f"{what} would be changed in one layer of an nn.Repeated, which are all alike but for their arrays; change it in .layer "
        "of the nn.Repeated, for all layers, or keep the layers apart, in a Sequential"
    )

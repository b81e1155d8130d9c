"""``__all__`` of packages that take all the names of their files."""

from __future__ import annotations

from types import ModuleType
from typing import Any

__all__ = ["export"]

_OF_PYTHON = frozenset({"Any", "TYPE_CHECKING", "annotations", "importlib"})


def export(namespace: dict[str, Any], *more: str) -> None:
    """Sets ``__all__`` of a package: its names, but for modules and what is Python's.

    Without it ``help`` would list nothing that another file defines. Type checkers see the names by themselves.

    Args:
        namespace: the ``globals()`` of the package.
        *more: submodules and names that are imported when first used.
    """
    names = {name for name, value in namespace.items() if name[:1] != "_" and not isinstance(value, ModuleType)}
    namespace["__all__"] = sorted({*(names - _OF_PYTHON), *more})

"""``__all__`` of packages that take all the names of their files, and how their signatures are shown."""

from __future__ import annotations

from collections.abc import Iterable
from types import FunctionType, ModuleType
from typing import Any
from weakref import WeakSet

__all__ = ["export", "unquote"]

_OF_PYTHON = frozenset({"Any", "TYPE_CHECKING", "annotations", "importlib"})


def export(namespace: dict[str, Any], *more: str) -> None:
    """Sets ``__all__`` of a package: its names, but for modules and what is Python's.

    Without it ``help`` would list nothing that another file defines. Type checkers see the names by themselves.

    Args:
        namespace: the ``globals()`` of the package.
        *more: submodules and names that are imported when first used.
    """
    unquote(*namespace.values())
    names = {name for name, value in namespace.items() if name[:1] != "_" and not isinstance(value, ModuleType)}
    namespace["__all__"] = sorted({*(names - _OF_PYTHON), *more})


_shown: WeakSet[type] = WeakSet()


class _Annotation(str):
    """An annotation that ``help`` shows without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def unquote(*values: Any) -> None:
    """Has ``help`` show the signatures of functions and of fnn's classes as they are written.

    Annotations that are kept as text would stand in quotes.

    Args:
        *values: functions and classes; others stay.

    Example:
        >>> import inspect
        >>> def double(x: float) -> float:
        ...     return 2 * x
        >>> unquote(double)
        >>> inspect.signature(double)
        <Signature (x: float) -> float>
    """
    for value in values:
        members: Iterable[Any] = [value]
        if isinstance(value, type):
            kinds = [k for k in value.__mro__ if k not in _shown and k.__module__.startswith("fnn.")]
            _shown.update(kinds)
            members = [member for kind in kinds for member in vars(kind).values()]
        for member in members:
            while member is not None:
                if isinstance(member, FunctionType):
                    found = member.__annotations__
                    texts = {name: _Annotation(text) for name, text in found.items() if type(text) is str}
                    found.update(texts)
                member = getattr(member, "__wrapped__", None)

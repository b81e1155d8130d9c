"""numpy's names of arguments, which torch takes too: ``axis`` for ``dim``, ``keepdims`` for ``keepdim``."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import FunctionType
from typing import Any, TypeVar

__all__ = ["with_numpy_names"]

C = TypeVar("C", bound=type[Any])

_NAMES = {"axis": "dim", "keepdims": "keepdim"}


def with_numpy_names(cls: C) -> C:
    """Lets the methods of a class take numpy's names where they take torch's."""
    for name, method in list(vars(cls).items()):
        if isinstance(method, FunctionType):
            code = method.__code__
            taken = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            renamed = {numpys: torchs for numpys, torchs in _NAMES.items() if torchs in taken}
            if renamed:
                setattr(cls, name, _renaming(method, renamed))
    return cls


def _renaming(method: Callable[..., Any], names: dict[str, str]) -> Callable[..., Any]:
    @wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            kwargs = {names.get(name, name): value for name, value in kwargs.items()}
        return method(self, *args, **kwargs)

    return call

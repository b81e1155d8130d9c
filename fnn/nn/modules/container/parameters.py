"""Parameters in a list or a dict."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn, Self, TypeAlias, overload

from fnn.functional.explained import explained
from fnn.nn.modules.container.items import pairs, position
from fnn.nn.modules.module import Module
from fnn.nn.parameter import Buffer, Parameter

__all__ = ["ParameterDict", "ParameterList"]


def _as_parameter(value: Any) -> Any:
    is_array = hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, Parameter | Buffer)
    return Parameter(value) if is_array else value


def _parameter_lines(items: Iterable[tuple[Any, Any]]) -> str:
    lines = []
    for key, value in items:
        if isinstance(value, Parameter):
            size = "x".join(str(n) for n in value.shape)
            lines.append(f"  ({key}): Parameter containing: [{value.dtype} of size {size}]")
        else:
            lines.append(f"  ({key}): Object of type: {type(value).__name__}")
    return "\n".join(lines)


class ParameterList(Module):
    """A list whose arrays become registered parameters; other values are kept as they are. It cannot be called.

    Args:
        values: the first elements; none if not given.

    Raises:
        TypeError: if ``values`` is not iterable, or is one array.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.ParameterList.html

    Example:
        >>> import numpy as np
        >>> from fnn import nn
        >>> len(nn.ParameterList([np.ones(2), np.ones(3)]))
        2
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self._size = 0
        if values is not None:
            self.extend(values)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> ParameterList: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return ParameterList([self[i] for i in range(*index.indices(len(self)))])
        return getattr(self, str(position(self, index)))

    def __setitem__(self, index: int, param: Any) -> None:
        setattr(self, str(position(self, index)), _as_parameter(param))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return iter(self[i] for i in range(len(self)))

    def __iadd__(self, parameters: Iterable[Any]) -> Self:
        return self.extend(parameters)

    @explained
    def append(self, value: Any) -> Self:
        """Adds a value at the end.

        Args:
            value: an array, which becomes a Parameter, a Parameter, or anything else.

        Returns:
            the list.
        """
        self._size += 1
        self[-1] = value
        return self

    @explained
    def extend(self, values: Iterable[Any]) -> Self:
        """Adds values at the end.

        Args:
            values: the values.

        Returns:
            the list.

        Raises:
            TypeError: if ``values`` is not iterable, or is one array.
        """
        if not isinstance(values, Iterable) or hasattr(values, "dtype"):
            raise TypeError(f"ParameterList.extend: expected an iterable of values, got {type(values).__name__}")
        for value in list(values):
            self.append(value)
        return self

    def extra_repr(self) -> str:
        """One line an element."""
        return _parameter_lines((i, p) for i, p in enumerate(self)).strip()

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """A list cannot be called."""
        raise RuntimeError("ParameterList should not be called.")


Entries: TypeAlias = "Mapping[str, Any] | ParameterDict | Iterable[tuple[str, Any]]"
"""What a ``ParameterDict`` is filled from."""


class ParameterDict(Module):
    """A dict whose arrays become registered parameters; other values are kept as they are. It cannot be called.

    Args:
        parameters: the first entries, a mapping or pairs of name and value; none if not given.

    Raises:
        TypeError: if ``parameters`` is not iterable, or a name is no string.
        ValueError: if an element is no pair.
        KeyError: if a name is that of another attribute.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.ParameterDict.html

    Example:
        >>> import numpy as np
        >>> from fnn import nn
        >>> list(nn.ParameterDict({"a": np.ones(2)}).keys())
        ['a']
    """

    def __init__(self, parameters: Entries | None = None) -> None:
        super().__init__()
        self._keys: dict[str, None] = {}
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"ParameterDict: key must be a string, got {key!r}")
        if key not in self._keys and hasattr(self, key):
            raise KeyError(f"ParameterDict: attribute '{key}' already exists")
        setattr(self, key, _as_parameter(value))
        self._keys[key] = None

    def __delitem__(self, key: str) -> None:
        del self._keys[key]
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __reversed__(self) -> Iterator[str]:
        return reversed(list(self._keys))

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def copy(self) -> ParameterDict:
        """A new dict of the same parameters."""
        return ParameterDict(OrderedDict(self.items()))

    def clear(self) -> None:
        """Removes every entry."""
        for key in list(self._keys):
            del self[key]

    @explained
    def pop(self, key: str) -> Any:
        """Takes out a value.

        Args:
            key: its name.

        Returns:
            the value.

        Raises:
            KeyError: if there is none of this name.
        """
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        """Takes out and returns the last pair."""
        key = next(reversed(self))
        return key, self.pop(key)

    @explained
    def get(self, key: str, default: Any = None) -> Any:
        """The value of a name, or a default.

        Args:
            key: the name.
            default: what is returned if there is none of this name.
        """
        return self[key] if key in self else default

    @explained
    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of a name, which is set if it is missing.

        Args:
            key: the name.
            default: the value to set.
        """
        if key not in self:
            self[key] = default
        return self[key]

    @explained
    def fromkeys(self, keys: Iterable[str], default: Any = None) -> ParameterDict:
        """A new dict with the same value under each name.

        Args:
            keys: the names.
            default: the value.
        """
        return ParameterDict((key, default) for key in keys)

    def keys(self) -> Iterable[str]:
        """The names, in order of insertion."""
        return self._keys.keys()

    def items(self) -> Iterable[tuple[str, Any]]:
        """Pairs of name and value."""
        return [(key, self[key]) for key in self._keys]

    def values(self) -> Iterable[Any]:
        """The values."""
        return [self[key] for key in self._keys]

    @explained
    def update(self, parameters: Entries) -> None:
        """Adds or replaces entries.

        Args:
            parameters: a mapping, or pairs of name and value.

        Raises:
            TypeError: if ``parameters`` is not iterable.
            ValueError: if an element is no pair.
        """
        for key, value in pairs("ParameterDict.update", "parameters", parameters):
            self[key] = value

    def extra_repr(self) -> str:
        """One line an entry."""
        return _parameter_lines(self.items()).strip()

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """A dict cannot be called."""
        raise RuntimeError("ParameterDict should not be called.")

    def __or__(self, other: ParameterDict) -> ParameterDict:
        copy = self.copy()
        copy.update(other)
        return copy

    def __ror__(self, other: ParameterDict) -> ParameterDict:
        copy = ParameterDict(OrderedDict(other.items()))
        copy.update(self)
        return copy

    def __ior__(self, other: ParameterDict) -> Self:
        self.update(other)
        return self

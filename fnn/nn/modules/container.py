"""Modules and Parameters in lists and dicts."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypeAlias, overload

from fnn.nn.modules.module import Module
from fnn.nn.parameter import Buffer, Parameter

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    # By its default an annotation may say nn.ModuleList without what is in it, as torch's does.
    M = TypeVar("M", bound=Module, default=Module)
else:
    from typing import TypeVar

    M = TypeVar("M", bound=Module)

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]


def _position(container: Any, index: Any) -> int:
    try:
        index = operator.index(index)
    except TypeError:
        raise TypeError(f"{type(container).__name__}: index must be an int or a slice, got {index!r}") from None
    if not -len(container) <= index < len(container):
        raise IndexError(f"{type(container).__name__}: index {index} is out of range for length {len(container)}")
    return index % len(container)


class _ModuleSequence(Module, Generic[M]):
    """Children under the names "0", "1", ...: the base of ``Sequential`` and ``ModuleList``."""

    def _replace_all(self, modules: Iterable[Module]) -> None:
        modules = list(modules)
        for name in list(self._modules):
            delattr(self, name)
        for i, module in enumerate(modules):
            self.add_module(str(i), module)

    def _items(self) -> list[M]:
        items: list[Any] = list(self._modules.values())
        return items

    @overload
    def __getitem__(self, index: int) -> M: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> M | Self:
        if isinstance(index, slice):
            if isinstance(self, Sequential):
                return type(self)(OrderedDict(list(zip(self._modules, self._items(), strict=True))[index]))
            return type(self)(self._items()[index])  # pyright: ignore[reportCallIssue]
        return self._items()[_position(self, index)]

    def __setitem__(self, index: int, module: M) -> None:
        setattr(self, list(self._modules)[_position(self, index)], module)

    def __delitem__(self, index: int | slice) -> None:
        names = list(self._modules)
        for name in names[index] if isinstance(index, slice) else [names[_position(self, index)]]:
            delattr(self, name)
        self._replace_all(self._items())

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[M]:
        return iter(self._items())

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.isdigit()]

    def append(self, module: M) -> Self:
        """Adds a module at the end; returns the container."""
        self.add_module(str(len(self)), module)
        return self

    def insert(self, index: int, module: M) -> Self:
        """Puts a module before position ``index``; returns the container.

        Raises:
            TypeError: if ``module`` is no Module.
            IndexError: if the position is out of range.
        """
        if not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__}.insert: module must be a Module, got {type(module).__name__}")
        n = len(self)
        if not -n <= index <= n:
            raise IndexError(f"{type(self).__name__}.insert: index {index} is out of range for length {n}")
        modules = self._items()
        modules.insert(index, module)
        self._replace_all(modules)
        return self

    def extend(self, modules: Iterable[M]) -> Self:
        """Adds modules at the end; returns the container.

        Raises:
            TypeError: if ``modules`` is not iterable.
        """
        if not isinstance(modules, Iterable):
            raise TypeError(f"{type(self).__name__}.extend: expected an iterable, got {type(modules).__name__}")
        for module in list(modules):
            self.append(module)
        return self

    def pop(self, key: int = -1) -> M:
        """Takes out and returns the module at a position."""
        module = self[key]
        del self[key]
        return module


class Sequential(_ModuleSequence[M]):
    """Modules called one after the other, each on the output of the one before.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Sequential.html.

    Args:
        *args: the modules, or one ordered dict of named modules.

    Example:
        >>> from fnn import nn
        >>> nn.Sequential(nn.Flatten(), nn.ReLU())
        Sequential(
          (0): Flatten(start_dim=1, end_dim=-1)
          (1): ReLU()
        )
    """

    @overload
    def __init__(self, *args: M) -> None: ...
    @overload
    def __init__(self, arg: OrderedDict[str, M], /) -> None: ...
    def __init__(self, *args: Any) -> None:
        super().__init__()
        named = args[0].items() if len(args) == 1 and isinstance(args[0], OrderedDict) else enumerate(args)
        for name, module in named:
            self.add_module(str(name), module)

    def forward(self, input: Any) -> Any:
        """Applies the modules in order."""
        for module in self._modules.values():
            assert module is not None
            input = module(input)
        return input

    def __add__(self, other: Sequential[M]) -> Sequential[M]:
        if not isinstance(other, Sequential):
            raise ValueError(f"Sequential + : the other operand must be a Sequential, got {type(other).__name__}")
        return Sequential(*self, *other)

    def __iadd__(self, other: Sequential[M]) -> Self:
        if not isinstance(other, Sequential):
            raise ValueError(f"Sequential += : the other operand must be a Sequential, got {type(other).__name__}")
        return self.extend(other)

    def __mul__(self, other: int) -> Sequential[M]:
        return Sequential(*(list(self) * _times(other)))

    def __rmul__(self, other: int) -> Sequential[M]:
        return self * other

    def __imul__(self, other: int) -> Self:
        self._replace_all(list(self) * _times(other))
        return self


def _times(count: Any) -> int:
    if not isinstance(count, int):
        raise TypeError(f"Sequential * : the other operand must be an int, got {type(count).__name__}")
    if count <= 0:
        raise ValueError(f"Sequential * : the factor must be positive, got {count}")
    return count


class ModuleList(_ModuleSequence[M]):
    """A list whose elements are registered modules; it has no ``forward``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.ModuleList.html.

    Example:
        >>> from fnn import nn
        >>> nn.ModuleList([nn.ReLU(), nn.ReLU()])
        ModuleList(
          (0-1): 2 x ReLU()
        )
    """

    def __init__(self, modules: Iterable[M] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def __add__(self, other: Iterable[M]) -> ModuleList[M]:
        return ModuleList([*self, *other])

    def __iadd__(self, modules: Iterable[M]) -> Self:
        return self.extend(modules)

    def __repr__(self) -> str:
        texts = [repr(module) for module in self]
        if not texts:
            return f"{self._get_name()}()"
        runs: list[tuple[int, int, str]] = []
        for i, text in enumerate(texts):
            if runs and runs[-1][2] == text:
                runs[-1] = (runs[-1][0], i, text)
            else:
                runs.append((i, i, text))
        lines = []
        for first, last, text in runs:
            label = f"({first}): {text}" if first == last else f"({first}-{last}): {last - first + 1} x {text}"
            lines.append(label.replace("\n", "\n  "))
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"


class ModuleDict(Module, Generic[M]):
    """A dict whose values are registered modules.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.ModuleDict.html.

    Example:
        >>> from fnn import nn
        >>> list(nn.ModuleDict({"act": nn.ReLU()}))
        ['act']
    """

    def __init__(self, modules: Mapping[str, M] | Iterable[tuple[str, M]] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> M:
        module: Any = self._modules[key]
        return module

    def __setitem__(self, key: str, module: M) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: str) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Removes every module."""
        for key in list(self._modules):
            del self[key]

    def pop(self, key: str) -> M:
        """Takes out and returns a module."""
        module = self[key]
        del self[key]
        return module

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._modules.keys()

    def items(self) -> ItemsView[str, M]:
        """Pairs of name and module."""
        modules: dict[str, Any] = self._modules
        return modules.items()

    def values(self) -> ValuesView[M]:
        """The modules."""
        modules: dict[str, Any] = self._modules
        return modules.values()

    def update(self, modules: Mapping[str, M] | Iterable[tuple[str, M]]) -> None:
        """Adds or replaces modules from a mapping or from pairs.

        Raises:
            TypeError: if ``modules`` is not iterable.
            ValueError: if an element is no pair.
        """
        for key, module in _pairs("ModuleDict.update", modules):
            self[key] = module


def _pairs(function: str, source: Any) -> list[tuple[str, Any]]:
    if isinstance(source, Mapping | ModuleDict | ParameterDict):
        return list(source.items())
    if not isinstance(source, Iterable):
        raise TypeError(f"{function}: expected a mapping or an iterable of pairs, got {type(source).__name__}")
    pairs = []
    for i, pair in enumerate(source):
        if not isinstance(pair, Iterable) or isinstance(pair, str) or len(parts := list(pair)) != 2:
            raise ValueError(f"{function}: element {i} must be a pair of key and value, got {pair!r}")
        pairs.append((parts[0], parts[1]))
    return pairs


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
    """A list whose arrays become registered parameters; other values are kept as they are.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.ParameterList.html.

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
        return getattr(self, str(_position(self, index)))

    def __setitem__(self, index: int, param: Any) -> None:
        setattr(self, str(_position(self, index)), _as_parameter(param))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return iter(self[i] for i in range(len(self)))

    def __iadd__(self, parameters: Iterable[Any]) -> Self:
        return self.extend(parameters)

    def append(self, value: Any) -> Self:
        """Adds a value at the end; returns the list."""
        self._size += 1
        self[-1] = value
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Adds values at the end; returns the list.

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
    """A dict whose arrays become registered parameters; other values are kept as they are.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.ParameterDict.html.

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

    def pop(self, key: str) -> Any:
        """Takes out and returns a value."""
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        """Takes out and returns the last pair."""
        key = next(reversed(self))
        return key, self.pop(key)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or ``default``."""
        return self[key] if key in self else default

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of a key, set to ``default`` if it is missing."""
        if key not in self:
            self[key] = default
        return self[key]

    def fromkeys(self, keys: Iterable[str], default: Any = None) -> ParameterDict:
        """A new dict with ``default`` under each key."""
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

    def update(self, parameters: Entries) -> None:
        """Adds or replaces entries from a mapping or from pairs.

        Raises:
            TypeError: if ``parameters`` is not iterable.
            ValueError: if an element is no pair.
        """
        for key, value in _pairs("ParameterDict.update", parameters):
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

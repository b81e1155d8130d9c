"""Modules in a sequence, a list or a dict."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import TYPE_CHECKING, Any, Generic, Self, overload

from fnn.functional.explained import explained
from fnn.nn.modules.container.items import pairs, position
from fnn.nn.modules.module import Module

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    # By its default an annotation may say nn.ModuleList without what is in it, as torch's does.
    M = TypeVar("M", bound=Module, default=Module, covariant=True)
else:
    from typing import TypeVar

    M = TypeVar("M", bound=Module, covariant=True)

__all__ = ["ModuleDict", "ModuleList", "Sequential"]


N = TypeVar("N", bound=Module)


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
        return self._items()[position(self, index)]

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, list(self._modules)[position(self, index)], module)

    def __delitem__(self, index: int | slice) -> None:
        names = list(self._modules)
        for name in names[index] if isinstance(index, slice) else [names[position(self, index)]]:
            delattr(self, name)
        self._replace_all(self._items())

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[M]:
        return iter(self._items())

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.isdigit()]

    @explained
    def append(self, module: Module) -> Self:
        """Adds a module at the end.

        Args:
            module: the module.

        Returns:
            the container.

        Raises:
            TypeError: if ``module`` is no Module.
        """
        self.add_module(str(len(self)), module)
        return self

    @explained
    def insert(self, index: int, module: Module) -> Self:
        """Puts a module before position ``index``.

        Args:
            index: position from 0 to the length; a negative one counts from the end.
            module: the module.

        Returns:
            the container.

        Raises:
            TypeError: if ``module`` is no Module.
            IndexError: if the position is out of range.
        """
        if not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__}.insert: module must be a Module, got {type(module).__name__}")
        n = len(self)
        if not -n <= index <= n:
            raise IndexError(f"{type(self).__name__}.insert: index {index} is out of range for length {n}")
        modules: list[Module] = [*self._items()]
        modules.insert(index, module)
        self._replace_all(modules)
        return self

    @explained
    def extend(self, modules: Iterable[Module]) -> Self:
        """Adds modules at the end.

        Args:
            modules: the modules.

        Returns:
            the container.

        Raises:
            TypeError: if ``modules`` is not iterable, or one of them is no Module.
        """
        if not isinstance(modules, Iterable):
            raise TypeError(f"{type(self).__name__}.extend: expected an iterable, got {type(modules).__name__}")
        for module in list(modules):
            self.append(module)
        return self

    @explained
    def pop(self, key: int = -1) -> M:
        """Takes out the module at a position.

        Args:
            key: the position; the last one if not given.

        Returns:
            the module.

        Raises:
            IndexError: if the position is out of range.
        """
        module = self[key]
        del self[key]
        return module


class Sequential(_ModuleSequence[Module]):
    r"""Modules called one after the other, each on the output of the one before.

    .. math:: y = f_n(\dots f_2(f_1(x)))

    It is also a list: it has a length, can be indexed and sliced, and ``+``, ``*`` and their in-place forms join and
    repeat.

    Args:
        *args: the modules, named "0", "1", ...; or one ``OrderedDict`` of named modules.

    Shape:
        - input: what the first module takes; an empty ``Sequential`` takes anything.
        - output: what the last module gives.

    Raises:
        TypeError: if an argument is no Module.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Sequential.html

    Example:
        >>> from fnn import nn
        >>> nn.Sequential(nn.Flatten(), nn.ReLU())
        Sequential(
          (0): Flatten(start_dim=1, end_dim=-1)
          (1): ReLU()
        )
    """

    @overload
    def __init__(self, *args: Module) -> None: ...
    @overload
    def __init__(self, arg: OrderedDict[str, Any], /) -> None: ...
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

    def __add__(self, other: Sequential) -> Sequential:
        if not isinstance(other, Sequential):
            raise ValueError(f"Sequential + : the other operand must be a Sequential, got {type(other).__name__}")
        return Sequential(*self, *other)

    def __iadd__(self, other: Sequential) -> Self:
        if not isinstance(other, Sequential):
            raise ValueError(f"Sequential += : the other operand must be a Sequential, got {type(other).__name__}")
        return self.extend(other)

    def __mul__(self, other: int) -> Sequential:
        return Sequential(*(list(self) * _times(other)))

    def __rmul__(self, other: int) -> Sequential:
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
    """A list whose elements are registered modules; it cannot be called.

    Args:
        modules: the first elements; none if not given.

    Raises:
        TypeError: if ``modules`` is not iterable, or an element is no Module.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.ModuleList.html

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

    def __add__(self, other: Iterable[N]) -> ModuleList[M | N]:
        return ModuleList([*self, *other])

    def __iadd__(self, modules: Iterable[Module]) -> Self:
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
    """A dict whose values are registered modules, in the order in which they were added; it cannot be called.

    Args:
        modules: the first entries, a mapping or pairs of name and module; none if not given.

    Raises:
        TypeError: if ``modules`` is not iterable, or a value is no Module.
        ValueError: if an element is no pair.
        KeyError: if a name is empty, has a dot, or is that of another attribute.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.ModuleDict.html

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

    def __setitem__(self, key: str, module: Module) -> None:
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

    @explained
    def pop(self, key: str) -> M:
        """Takes out a module.

        Args:
            key: its name.

        Returns:
            the module.

        Raises:
            KeyError: if there is none of this name.
        """
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

    @explained
    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Adds or replaces modules.

        Args:
            modules: a mapping, or pairs of name and module.

        Raises:
            TypeError: if ``modules`` is not iterable, or a value is no Module.
            ValueError: if an element is no pair.
        """
        for key, module in pairs("ModuleDict.update", "modules", modules):
            self[key] = module

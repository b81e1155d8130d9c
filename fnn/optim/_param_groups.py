"""The options of a group of parameters, and which of them a compiled step takes as inputs."""

from __future__ import annotations

import copy
import functools
import operator
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping
from typing import Any, Self

import jax
import numpy as np

from fnn.functional.checks import fail
from fnn.nn.array_box import to_array
from fnn.nn.lifting.stacks import refuse_parts
from fnn.nn.parameter import Parameter
from fnn.optim._explained import listed
from fnn.stateful.boxes import INSTEAD, Cell, ElementCell
from fnn.stateful.protocol import static_key
from fnn.stateful.scopes import current_scopes, refuse_stray
from fnn.stateful.structure import structure_changed
from fnn.stateful.tracing import EAGER, trace_state
from fnn.stateful.warning import warn


class _Required:
    def __repr__(self) -> str:
        return "<required parameter>"


# The default of an option that every group must set.
required: Any = _Required()


def _note_origin(made: Any) -> None:
    """Notes at which level of tracing something is made, if that is not the outermost, which needs no note."""
    state = trace_state()
    if state != EAGER:
        made._origin = state


class WatchedList(list[Any]):
    """A list that notes when its items change: ``param_groups``, and the ``params`` of a group."""

    _origin: Any = EAGER

    def __init__(self, *items: Any) -> None:
        super().__init__(*items)
        _note_origin(self)

    def _noting(name: str) -> Any:  # type: ignore[misc]
        plain = getattr(list, name)

        @functools.wraps(plain)
        def change(self: Any, *args: Any, **kwargs: Any) -> Any:
            refuse_stray("a list of param_groups or params", self._origin, INSTEAD)
            result = plain(self, *args, **kwargs)
            structure_changed()
            return self if name in ("__iadd__", "__imul__") else result

        return change

    append = _noting("append")
    extend = _noting("extend")
    insert = _noting("insert")
    remove = _noting("remove")
    pop = _noting("pop")
    clear = _noting("clear")
    sort = _noting("sort")
    reverse = _noting("reverse")
    __setitem__ = _noting("__setitem__")
    __delitem__ = _noting("__delitem__")
    __iadd__ = _noting("__iadd__")
    __imul__ = _noting("__imul__")


class ParamGroup(dict[str, Any]):
    """The options of one group of parameters, under torch's names; its numbers can change without recompiling.

    A dict with the Parameters under ``params``, their names, if given, under ``param_names``, and the options.

    Source: https://docs.pytorch.org/docs/2.13/optim.html#per-parameter-options.

    Example:
        >>> import fnn, numpy as np
        >>> group = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=0.5).param_groups[0]
        >>> group["lr"] = 0.25
        >>> group["lr"], len(group["params"])
        (0.25, 1)
    """

    _origin: Any = EAGER

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _note_origin(self)

    # A running transformation has its own values of the numbers: reads look through its scope.

    def __getitem__(self, key: str) -> Any:
        return Cell(self, key).get()

    def __iter__(self) -> Iterator[str]:
        return super().__iter__()  # by which dict(group) asks for each value

    def get(self, key: str, default: Any = None) -> Any:
        """``dict.get``."""
        return self[key] if key in self else default

    def values(self) -> Any:
        """``dict.values``."""
        return self.copy().values() if current_scopes() else super().values()

    def items(self) -> Any:
        """``dict.items``."""
        return self.copy().items() if current_scopes() else super().items()

    def copy(self) -> dict[str, Any]:
        """``dict.copy``."""
        return {key: self[key] for key in self}

    def __setitem__(self, key: str, value: Any) -> None:
        old = self.get(key, required)
        if key == "params":
            value = WatchedList(value)
        Cell(self, key).assign(value)
        if old is value or (is_number(old) and is_number(value) and (key == "lr" or (old == 0) == (value == 0))):
            return
        structure_changed()

    def __delitem__(self, key: str) -> None:
        self._refuse_stray(key)
        super().__delitem__(key)
        structure_changed()

    def setdefault(self, key: str, default: Any = None) -> Any:
        """``dict.setdefault``."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *args: Any, **kwargs: Any) -> None:
        """``dict.update``."""
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def pop(self, *args: Any) -> Any:
        """``dict.pop``."""
        self._refuse_stray(*args[:1])
        structure_changed()
        return super().pop(*args)

    def popitem(self) -> tuple[str, Any]:
        """``dict.popitem``."""
        key = [*self][-1] if self else ""
        return key, self.pop(key)

    def clear(self) -> None:
        """``dict.clear``."""
        self._refuse_stray("params")
        structure_changed()
        super().clear()

    def __ior__(self, other: Any) -> Self:  # type: ignore[override,misc]
        self.update(other)
        return self

    def _refuse_stray(self, key: str) -> None:
        refuse_stray(f"the option {key!r} of a parameter group", self._origin, INSTEAD)

    def __deepcopy__(self, memo: dict[int, Any]) -> ParamGroup:
        new = ParamGroup()
        memo[id(self)] = new
        for key, value in self.items():
            dict.__setitem__(new, key, copy.deepcopy(value, memo))
        return new


def options(given: Mapping[str, Any], *first: str) -> dict[str, Any]:
    """The options among the ``locals()`` of a constructor, as groups keep them: tuples, no lists of numbers.

    Those named come first, where torch has another order in its groups than in its signature.
    """
    order = [*first, *(key for key in given if key not in (*first, "self", "params", "__class__"))]
    return {key: tuple(given[key]) if _is_vector(given[key]) else given[key] for key in order}


def _is_vector(value: Any) -> bool:
    return isinstance(value, list) or (isinstance(value, np.ndarray | jax.Array) and value.ndim == 1 and len(value) > 1)


def plain_option(value: Any) -> Any:
    """A group option as fnn keeps it: torch tensors as arrays, lists of numbers as tuples."""
    if hasattr(value, "detach") and hasattr(value, "numpy"):
        return to_array(value)
    if isinstance(value, list) and value and all(is_number(v) for v in value):
        return tuple(value)
    return copy.copy(value)


# What a compiled step takes as inputs, and what it is compiled for


def is_number(value: Any) -> bool:
    """True for Python and numpy numbers, but not for ``True`` and ``False``."""
    return type(value) in (int, float) or isinstance(value, np.floating)


def is_dynamic(value: Any) -> bool:
    """True for a number or an array: what a compiled step takes as an input instead of baking it in."""
    return is_number(value) or isinstance(value, jax.Array)


def _is_dynamic_tuple(value: Any) -> bool:
    return isinstance(value, tuple) and bool(value) and all(map(is_dynamic, value))


def _is_zero(key: str, value: Any) -> bool:
    """True for a number that leaves a term out of the program."""
    return key != "lr" and is_number(value) and value == 0


def cells(groups: Iterable[ParamGroup], static: Collection[str]) -> Iterator[Cell]:
    """The places of the numbers in the options of some groups, but for those that are ``static``."""
    for group in groups:
        for key, value in group.items():
            if key == "params" or key in static:
                continue
            if _is_dynamic_tuple(value):
                yield from (ElementCell(group, key, i, real=True) for i in range(len(value)))
            elif is_dynamic(value) and not _is_zero(key, value):
                yield Cell(group, key, real=True)


def key_of(group: ParamGroup, static: Collection[str]) -> Hashable:
    """What a compiled step depends on in a group besides the contents of its cells."""
    found: list[tuple[str, Hashable]] = []
    for key, value in group.items():
        if key == "params":
            continue
        if key not in static and (is_dynamic(value) or _is_dynamic_tuple(value)):
            found.append((key, _is_zero(key, value)))
        else:
            found.append((key, static_key(value)))
    return tuple(found), tuple(p.requires_grad for p in group["params"])


# Adding and loading groups


def members(optimizer: str, given: Any) -> tuple[list[Parameter], list[str] | None]:
    """The Parameters in ``params`` of a new group, and their names if it holds pairs.

    Raises:
        TypeError: if it holds something else, or is a set.
        ValueError: if some have a name and some have none.
    """
    if isinstance(given, set):
        raise TypeError(
            f"{optimizer}: params must be in an ordered collection, got a set, whose order changes between runs"
        )
    found: list[Any] = [given] if isinstance(given, Parameter) else listed(optimizer, given, can_be_empty=True)
    pairs = [isinstance(m, tuple) and len(m) == 2 for m in found]
    names = [m[0] for m in found] if found and all(pairs) else None
    if names is None and any(pairs):
        raise ValueError(f"{optimizer}: all parameters must have names or none, got some of each")
    found = [m[1] if pair else m for m, pair in zip(found, pairs, strict=True)]
    for member in found:
        if not isinstance(member, Parameter):
            raise TypeError(f"{optimizer}: can only optimize Parameters, got {type(member).__name__} in params")
    refuse_parts(optimizer, found)
    places = list({id(member): i for i, member in reversed([*enumerate(found)])}.values())[::-1]
    if len(places) != len(found):
        warn(f"{optimizer}: a param group contains a parameter twice; it is kept, and updated, once")
        found = [found[i] for i in places]
        names = None if names is None else [names[i] for i in places]
    return found, names


def match_saved(
    function: str, groups: list[ParamGroup], saved: list[dict[str, Any]]
) -> tuple[list[ParamGroup], dict[Any, Parameter]]:
    """Groups with the saved options over the present ones, and the parameters by their saved numbers, as ints and as text.

    JSON and Orbax make strings of the keys of dicts, and Orbax arrays of numbers.

    Raises:
        TypeError: if they are no list of dicts, each with a list of the numbers of its parameters.
        ValueError: if the groups are not as many, or not as large.
    """
    if not isinstance(saved, list | tuple):
        fail(TypeError, function, "state_dict['param_groups']", "a list of dicts", saved)
    for i, old in enumerate(saved):
        if not isinstance(old, Mapping):
            fail(TypeError, function, f"state_dict['param_groups'][{i}]", "a dict", old)
        numbers = old.get("params")
        if not isinstance(numbers, list | tuple) or not all(isinstance(n, Hashable) for n in numbers):
            expected = "a dict with the numbers of its parameters in a list under 'params'"
            fail(TypeError, function, f"state_dict['param_groups'][{i}]", expected, old)
    if len(saved) != len(groups):
        raise ValueError(
            f"{function}: loaded state dict has a different number of parameter groups, expected {len(groups)}, got "
            f"{len(saved)}"
        )
    parameters: dict[Any, Parameter] = {}
    merged = []
    for i, (group, old) in enumerate(zip(groups, saved, strict=True)):
        if len(group["params"]) != len(old["params"]):
            raise ValueError(
                f"{function}: loaded state dict contains a parameter group that doesn't match the size of optimizer's "
                f"group {i}, expected {len(group['params'])} parameters, got {len(old['params'])}"
            )
        for number, parameter in zip(old["params"], group["params"], strict=True):
            key = operator.index(number) if hasattr(number, "__index__") else number
            parameters[key] = parameter
            parameters.setdefault(str(key), parameter)
        own = {k: plain_option(v) for k, v in old.items() if k != "params"}
        new = ParamGroup({**{k: v for k, v in group.items() if k not in own}, **own})
        dict.__setitem__(new, "params", group["params"])
        merged.append(new)
    return merged, parameters

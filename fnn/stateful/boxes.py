"""Boxes and cells: the places where all that changes lives."""

from __future__ import annotations

from collections.abc import Callable, Hashable, MutableMapping
from typing import Any, ClassVar

import jax
from jax.core import Tracer

from fnn.stateful.donation import BankEntry
from fnn.stateful.scopes import MISSING, current_scopes, home_of_new, read, refuse_stray, scope_to_write, seen
from fnn.stateful.structure import optional_changed, structure_changed
from fnn.stateful.tracing import EAGER, trace_state


class _LeftBehind:
    """What a box holds that was made in a trace and is no part of an object that fnn knows; every use raises."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise RuntimeError(
            "this Parameter or Buffer was made inside a transformation and kept where fnn does not know of it, so that its array "
            "was left behind; make it a part of a Module, or return the array"
        )


class Box:
    """A mutable cell that holds one array, or ``None`` while empty.

    Every array that fnn changes in place lives in a box. A box holds arrays alone: what a transformation of fnn's puts in
    its place while it traces is in the scope of that transformation, through which all reads and writes look.

    ``_content`` is what the box holds, the array or its place in a bank; ``_owned`` tells whether nobody else can hold the
    memory of an array in ``_content``, which a compiled program may then take over.
    """

    __slots__ = ("__weakref__", "_content", "_label", "_origin", "_owned")

    # The word for it in errors; without one that is the name of its class.
    _noun: ClassVar[str] = "array"

    _left_behind: ClassVar[Any] = _LeftBehind()

    # Where the content lies within that of another box, for one that has none of its own.
    part: Any = ()

    def __init__(self, data: Any = None, label: str = "", *, owned: bool = False) -> None:
        self._label = label
        self._owned = owned
        self._content = data
        self._origin = trace_state()
        if isinstance(data, Tracer):
            scope = home_of_new(self._origin)
            if scope is not None:
                self._content = self._left_behind
                scope.make(self, data)

    def place(self) -> Hashable:
        """The key by which scopes know the box."""
        return id(self)

    @property
    def home(self) -> Box:
        """The box that holds the content: this one, or that of which it is a part."""
        return self

    def stored(self, value: Any) -> Any:
        """What the place holds if the box is to have a value."""
        return value

    @property
    def _data(self) -> Any:
        """The array as this thread sees it, without checks: for its type, and for code that lets it go at once."""
        value = seen(id(self))
        return self._held() if value is MISSING else value

    def _held(self) -> Any:
        """The content as an array, not handed out."""
        while True:
            content = self._content
            if type(content) is not BankEntry:
                return content
            array = content.get()
            if self._content is content:
                return array

    def _put(self, value: Any, owned: bool = False) -> None:
        """Sets the content itself, whatever runs."""
        content = self._content
        if type(content) is BankEntry:
            content.bank.settle()
        self._owned = False
        self._content = value
        self._owned = owned
        if type(content) is BankEntry:
            content.leave()

    def _adopt(self, value: Any, origin: Any) -> None:
        """Takes over an array that came out of the trace in which the box was made."""
        self._origin = origin
        scope = home_of_new(origin) if isinstance(value, Tracer) else None
        if scope is None:
            self._put(value)
        else:
            scope.make(self, value)

    def __getstate__(self) -> Any:
        return None, {"_content": self._data, "_label": self._label, "_origin": EAGER, "_owned": False}

    @property
    def data(self) -> Any:
        """The array; raises RuntimeError under an ``fnn.jit`` that did not find this box."""
        if current_scopes():
            value = read(self, True)
            if value is not MISSING:
                return value
        while True:
            content = self._content
            if type(content) is BankEntry:
                array = content.hand_out()
            else:
                self._owned = False
                array = content
            # Another thread's program may take the array from where it was; it heeds what was noted before.
            if self._content is content:
                return array

    @data.setter
    def data(self, value: Any) -> None:
        self.write(value)

    def peek(self) -> Any:
        """The array, checked like ``data``, for a use through which no gradient flows, and after which nobody keeps it."""
        if current_scopes():
            value = read(self, False)
            if value is not MISSING:
                return value
        return self._held()

    def write(self, value: Any, *, owned: bool = False) -> None:
        """Puts an array in.

        Args:
            value: the array.
            owned: whether nobody else can hold its memory.

        Raises:
            RuntimeError: where a JAX transformation that fnn does not run would leak it.
        """
        scope = scope_to_write(self)
        self._note_change(self._data, value)
        if scope is None:
            self._put(value, owned)
        else:
            scope.record(self, value)

    def _note_change(self, old: Any, new: Any) -> None:
        if old is None or new is None or old.shape != new.shape or old.dtype != new.dtype or _moved(old, new):
            structure_changed()

    def describe(self) -> str:
        """The words by which an error names this box."""
        data = self._data
        noun = self._noun or type(self).__name__
        name = f"{noun} {self._label!r}" if self._label else noun
        return name if data is None else f"{name} of shape {tuple(data.shape)}"

    def publication(self) -> tuple[Callable[[Any, Any, Any], Any], Any, Any]:
        """A function of C with its first two arguments, that sets the content to its third without running Python code.

        It must be one that is in no bank.
        """
        return setattr, self, "_content"


def _moved(old: Any, new: Any) -> bool:
    """Whether two arrays lie on other devices."""
    if isinstance(old, Tracer) or isinstance(new, Tracer):
        return False
    return getattr(old, "sharding", None) != getattr(new, "sharding", None)


class OptionalBox(Box):
    """A box that is often empty (a gradient): filling and emptying it is no structural change.

    It may also hold a pytree of arrays, such as a row-sparse gradient.
    """

    __slots__ = ()

    _left_behind: ClassVar[Any] = None
    _noun: ClassVar[str] = "gradient"

    def _note_change(self, old: Any, new: Any) -> None:
        optional_changed()

    def key(self) -> Hashable:
        """What a trace depends on: whether it is empty, or the structure of what it holds."""
        data = self._data
        if data is None or isinstance(data, jax.Array):
            return data is None
        leaves, tree = jax.tree.flatten(data)
        return tree, tuple((leaf.shape, leaf.dtype) for leaf in leaves)


def is_traced(value: Any) -> bool:
    """Whether a number, or one of a tuple or list, is traced."""
    return isinstance(value, Tracer) or (isinstance(value, tuple | list) and any(isinstance(v, Tracer) for v in value))


INSTEAD = (
    "put the whole step into fnn.jit, which carries such changes out, or make them outside of the transformed function; the "
    "functions of fnn.optim.schedule compute rates from a traced count"
)
"""What to do where options of optimizers and schedulers cannot be changed."""


class Cell:
    """A place for one Python number or array in an object's own dict or attribute: a learning rate, a counter.

    Whoever reads the place must look through the scopes, by ``seen((id(container), key))``.
    """

    __slots__ = ("container", "key", "real")

    def __init__(self, container: MutableMapping[Any, Any], key: Any, real: bool = False) -> None:
        self.container: MutableMapping[Any, Any] = container
        self.key: Any = key
        self.real: bool = real  # an integer in it stands for a real number, as in lr=1

    @property
    def _origin(self) -> Any:
        """The level of tracing at which the object was made whose number this is."""
        container = self.container
        return (
            container.get("_stateful_origin_", EAGER)
            if type(container) is dict
            else getattr(container, "_origin", EAGER)
        )

    def place(self) -> Hashable:
        """The key by which scopes know the cell."""
        return id(self.container), self.key

    def describe(self) -> str:
        """The words by which an error names this cell."""
        return f"the number {self.key!r}"

    def get(self) -> Any:
        """The value as this thread sees it."""
        value = seen(self.place())
        return dict.__getitem__(self.container, self.key) if value is MISSING else value  # type: ignore[arg-type]

    def stored(self, value: Any) -> Any:
        """What the place holds if the cell is to have a value."""
        return value

    def set(self, value: Any) -> None:
        """Sets the value: in the scope to which it belongs, or in the container.

        Raises:
            RuntimeError: where a traced value would be left behind in the container.
        """
        self._refuse_stray()
        scope = scope_to_write(self)
        if scope is None:
            dict.__setitem__(self.container, self.key, value)  # type: ignore[arg-type]
        else:
            scope.record(self, value)

    def assign(self, value: Any) -> None:
        """``set`` where a scope has the place or the value is traced; any other value goes to the container.

        Raises:
            RuntimeError: in a JAX transformation that fnn does not run.
        """
        if is_traced(value) or seen(self.place()) is not MISSING:
            self.set(value)
        else:
            self._refuse_stray()
            dict.__setitem__(self.container, self.key, value)  # type: ignore[arg-type]

    def content(self) -> Any:
        """All that the place holds: the value, or the whole tuple of which it is one element."""
        return Cell.get(self)

    def write(self, value: Any) -> None:
        """What ``Box.write`` is to a box: sets all that the place holds."""
        Cell.set(self, value)

    def _refuse_stray(self) -> None:
        refuse_stray(self.describe(), self._origin, INSTEAD)


class ElementCell(Cell):
    """One element of a tuple or list of numbers, such as ``betas[0]`` of a group."""

    __slots__ = ("index",)

    def __init__(self, container: MutableMapping[Any, Any], key: Any, index: int, real: bool = False) -> None:
        super().__init__(container, key, real)
        self.index: int = index

    def get(self) -> Any:
        return self.content()[self.index]

    def set(self, value: Any) -> None:
        super().set(self.stored(value))

    def stored(self, value: Any) -> Any:
        """The tuple or list with another value for this element."""
        old = self.content()
        items = list(old)
        items[self.index] = value
        return type(old)(items)

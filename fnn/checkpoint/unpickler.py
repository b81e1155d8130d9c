"""Reads pickles without running them: a machine of our own for the opcodes, that calls nothing but what it is given."""

from __future__ import annotations

import codecs
import mmap
import struct
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

__all__ = ["Known", "Pending", "Unpickler", "hashable"]

# Each step makes at most one small object, so that this bounds memory and time; a checkpoint of 300,000 tensors stays below.
_MOST_STEPS = 10_000_000
_MOST_DIGITS = 4000
_INT, _UNSIGNED = struct.Struct("<i"), struct.Struct("<I")
_TEXTS = frozenset((bytes, bytearray, str))
_SIZED = _TEXTS | {list, tuple, dict, OrderedDict}


class Known:
    """A name that pickles may mention: what it does when it is called, or nothing if it can only be passed on.

    Args:
        name: the name.
        call: gives the value of a call.
        contents: the calls give an empty dict or list, and a later BUILD fills it with what this takes from its state.
    """

    __slots__ = ("call", "contents", "name")

    def __init__(
        self, name: str, call: Callable[..., Any] | None = None, contents: Callable[[Any], Any] | None = None
    ) -> None:
        self.name: str = name
        self.call: Callable[..., Any] | None = call
        self.contents: Callable[[Any], Any] | None = contents


class Pending:
    """An object that the pickle completes by a later BUILD; ``complete`` gives what then stands in its place."""

    __slots__ = ("complete", "slot")

    def __init__(self, complete: Callable[[Any], Any]) -> None:
        self.complete: Callable[[Any], Any] = complete
        self.slot: int | None = None


def hashable(value: Any) -> bool:
    """Whether it can be a key: a plain value or a small tuple of them, whose hash takes no time and no deep recursion."""
    todo, seen = [value], 0
    while todo:
        seen += 1
        one = todo.pop()
        if type(one) is tuple and len(one) < 64 and seen < 64:
            todo.extend(one)
        elif one is not None and type(one) not in (str, int, float, bool, bytes, complex):
            return False
    return True


class Unpickler:
    """One pickle of a stretch of bytes.

    Args:
        data: the bytes.
        start: where the pickle begins.
        find: gives what a module and a name stand for, or raises ValueError.
        persistent: gives the object of a persistent id, or raises ValueError.

    After ``load`` the attribute ``position`` is behind the pickle.
    """

    def __init__(
        self,
        data: bytes | mmap.mmap,
        start: int,
        find: Callable[[str, str], Any],
        persistent: Callable[[Any], Any],
    ) -> None:
        self.data = data
        self.position: int = start
        self.find = find
        self.persistent = persistent
        self.stack: list[Any] = []
        self.marked: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.found: dict[bytes, Any] = {}
        self.copied: int = 0
        self.unfilled: dict[int, tuple[Any, Callable[[Any], Any]]] = {}

    def load(self) -> Any:
        """The object.

        Raises:
            ValueError: if the pickle is damaged, asks for something that is not known, or is too large.
        """
        data, steps = self.data, 0
        try:
            while True:
                steps += 1
                if steps + self.copied > _MOST_STEPS:
                    raise ValueError(f"its pickle takes more than {_MOST_STEPS} steps")
                code = data[self.position]
                self.position += 1
                if code == 0x2E:  # STOP
                    break
                step = _TABLE[code]
                if step is None:
                    raise ValueError(f"its pickle has the opcode {bytes([code])!r}, which no checkpoint needs")
                step(self)
            if len(self.stack) != 1 or self.marked:
                raise ValueError("its pickle is damaged: it ends with the stack not in order")
            return checked(self.stack)[0]
        except (IndexError, KeyError, struct.error, UnicodeDecodeError, OverflowError, TypeError) as error:
            raise ValueError(
                f"its pickle is damaged near byte {self.position} ({type(error).__name__}: {error})"
            ) from None

    # Bytes

    def take(self, count: int) -> bytes:
        start = self.position
        if count < 0 or start + count > len(self.data):
            raise ValueError(f"its pickle is damaged or truncated: {count} bytes wanted at byte {start}")
        self.position = start + count
        return self.data[start : start + count]

    def byte(self) -> int:
        out = self.data[self.position]
        self.position += 1
        return out

    def size(self, count: int) -> int:
        """An unsigned number of so many bytes."""
        start = self.position
        self.position = end = start + count
        if end > len(self.data):
            raise ValueError(f"its pickle is damaged or truncated: {count} bytes wanted at byte {start}")
        return int.from_bytes(self.data[start:end], "little")

    def line(self) -> bytes:
        end = self.data.find(b"\n", self.position, self.position + 10_000)
        if end < 0:
            raise ValueError(f"its pickle is damaged: a line without an end at byte {self.position}")
        out = self.data[self.position : end]
        self.position = end + 1
        return out

    def push_text(self, size: int) -> None:
        self.stack.append(self.take(size).decode("utf-8", "surrogatepass"))

    def push_old_string(self, raw: bytes) -> None:
        """A ``str`` of Python 2, which is text or bytes."""
        self.stack.append(raw.decode("ascii") if raw.isascii() else raw)

    def push_quoted(self) -> None:
        raw = self.line().strip()
        if len(raw) < 2 or raw[:1] != raw[-1:] or raw[:1] not in b"\"'":
            raise ValueError("its pickle is damaged: a string without quotes")
        self.push_old_string(codecs.escape_decode(raw[1:-1])[0])  # pyright: ignore[reportAttributeAccessIssue]

    def push_digits(self, raw: bytes) -> None:
        if raw in (b"00", b"01"):
            self.stack.append(raw == b"01")
        elif len(raw) > _MOST_DIGITS:
            raise ValueError(f"its pickle has a number of {len(raw)} digits")
        else:
            self.stack.append(int(raw.rstrip(b"L")))

    def push_long(self, size: int) -> None:
        if size > _MOST_DIGITS:
            raise ValueError(f"its pickle has a number of {size} bytes")
        self.stack.append(int.from_bytes(self.take(size), "little", signed=True))

    # Stack and memo

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def mark(self) -> None:
        self.marked.append(self.stack)
        self.stack = []

    def items(self) -> list[Any]:
        """What was pushed since the last mark."""
        items = self.stack
        self.stack = self.marked.pop()
        return items

    def pop(self) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.items()

    def remember(self, slot: int) -> None:
        value = self.stack[-1]
        self.memo[slot] = value
        if isinstance(value, Pending):
            value.slot = slot

    # A pickle has about ten of each of these a tensor, so they are read without a detour.

    def remember_long(self) -> None:
        slot = _UNSIGNED.unpack_from(self.data, self.position)[0]
        self.position += 4
        self.remember(slot)

    def remember_short(self) -> None:
        slot = self.data[self.position]
        self.position += 1
        self.remember(slot)

    def push_byte(self) -> None:
        self.stack.append(self.data[self.position])
        self.position += 1

    def push_int(self) -> None:
        self.stack.append(_INT.unpack_from(self.data, self.position)[0])
        self.position += 4

    def push_remembered(self) -> None:
        self.stack.append(self.memo[self.data[self.position]])
        self.position += 1

    def tuple_of(self, count: int) -> None:
        stack = self.stack
        if count > len(stack):
            raise IndexError("stack is empty")
        stack[-count:] = [tuple(checked(stack[-count:]))]

    # Containers

    def put_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) not in (dict, OrderedDict):
            raise ValueError(f"its pickle sets items of {_kind(target)}")
        if len(items) % 2:
            raise ValueError("its pickle is damaged: a key without a value")
        for i in range(0, len(items), 2):
            self._put_item(target, items[i], items[i + 1])

    def _put_item(self, target: Any, key: Any, value: Any) -> None:
        if not hashable(key):
            raise ValueError(f"its pickle has a key that is {_kind(key)}")
        if isinstance(value, Pending):
            raise _unfinished()
        target[key] = value

    def new_dict(self) -> None:
        items = self.items()
        self.stack.append({})
        self.put_items(items)

    def append(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise ValueError(f"its pickle appends to {_kind(target)}")
        target.extend(checked(items))

    def add(self) -> None:
        items = self.items()
        target = self.stack[-1]
        if type(target) is not set or not all(hashable(v) for v in items):
            raise ValueError(f"its pickle adds to {_kind(target)}")
        target.update(items)

    def frozen(self) -> None:
        items = self.items()
        if not all(hashable(v) for v in items):
            raise ValueError("its pickle has a frozenset of what is no plain value")
        self.stack.append(frozenset(items))

    # Calls

    def named(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            raise ValueError("its pickle is damaged: a name that is no text")
        self.stack.append(self.find(module, name))

    def global_lines(self) -> None:
        start = self.position
        module, name = self.line(), self.line()
        raw = self.data[start : self.position]
        if raw not in self.found:
            self.found[raw] = self.find(module.decode(), name.decode())
        self.stack.append(self.found[raw])

    def global_stack(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.named(module, name)

    def call(self, function: Any, arguments: Any) -> None:
        if not isinstance(function, Known) or function.call is None:
            raise ValueError(f"its pickle calls {function.name if isinstance(function, Known) else _kind(function)}")
        if type(arguments) is not tuple:
            raise ValueError("its pickle is damaged: arguments that are no tuple")
        self.charge(arguments)
        value = function.call(*arguments)
        if function.contents is not None:
            self.unfilled[id(value)] = value, function.contents
        self.stack.append(value)

    def charge(self, values: Any) -> None:
        """Counts as steps what a call copies."""
        for value in values:
            kind = type(value)
            if kind in _SIZED:
                self.copied += len(value) // (8 if kind in _TEXTS else 1)

    def reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self.call(function, arguments)

    def new_with_names(self) -> None:
        named, arguments, function = self.stack.pop(), self.stack.pop(), self.stack.pop()
        if named != {}:
            raise ValueError("its pickle calls by keyword")
        self.call(function, arguments)

    def instance(self) -> None:
        """INST: a class by name, its arguments since the mark."""
        module, name = self.line().decode(), self.line().decode()
        arguments = tuple(self.items())
        self.named(module, name)
        self.call(self.stack.pop(), arguments)

    def object(self) -> None:
        items = self.items()
        self.call(items[0], tuple(items[1:]))

    def build(self) -> None:
        state, value = self.stack.pop(), self.stack[-1]
        self.charge((state, *state) if type(state) is tuple else (state,))
        if isinstance(value, Pending):
            self.stack[-1] = value.complete(state)
            if value.slot is not None:
                self.memo[value.slot] = self.stack[-1]
        elif type(value) is OrderedDict and isinstance(state, dict):
            if isinstance(state.get("_metadata"), dict):
                setattr(value, "_metadata", state["_metadata"])  # noqa: B010
        elif id(value) in self.unfilled:
            self.fill(value, self.unfilled.pop(id(value))[1](state))
        else:
            raise ValueError(f"its pickle sets the state of {_kind(value)}")

    def fill(self, value: Any, contents: Any) -> None:
        """Puts what belongs into a dict or list, once; a list or dict of another kind belongs into none."""
        self.charge((contents,))
        if isinstance(value, dict) and isinstance(contents, dict):
            for key, item in contents.items():
                self._put_item(value, key, item)
        elif isinstance(value, list) and isinstance(contents, list):
            value.extend(checked(contents))
        else:
            raise ValueError(f"its pickle sets the state of {_kind(value)}")

    def persistent_line(self) -> None:
        raise ValueError("its pickle names a storage by text, which torch.save does not")


def checked(values: list[Any]) -> list[Any]:
    """The values, none of which is still to be completed."""
    for value in values:
        if isinstance(value, Pending):
            raise _unfinished()
    return values


def _unfinished() -> ValueError:
    return ValueError("its pickle is damaged: an array of numpy that is never filled")


def _kind(value: Any) -> str:
    return "a name" if isinstance(value, Known) else f"an object of type {type(value).__name__}"


def _constant(value: Any) -> Callable[[Unpickler], None]:
    return lambda u: u.push(value)


_STEPS: dict[int, Callable[[Unpickler], Any]] = {
    0x80: Unpickler.byte,  # PROTO
    0x95: lambda u: u.take(8),  # FRAME
    0x4E: _constant(None),
    0x88: _constant(True),
    0x89: _constant(False),
    0x29: _constant(()),
    0x5D: lambda u: u.stack.append([]),
    0x7D: lambda u: u.stack.append({}),
    0x8F: lambda u: u.stack.append(set()),
    0x4A: Unpickler.push_int,
    0x4B: Unpickler.push_byte,
    0x4D: lambda u: u.stack.append(u.size(2)),
    0x8A: lambda u: u.push_long(u.byte()),
    0x8B: lambda u: u.push_long(u.size(4)),
    0x49: lambda u: u.push_digits(u.line()),
    0x4C: lambda u: u.push_digits(u.line()),
    0x46: lambda u: u.stack.append(float(u.line())),
    0x47: lambda u: u.stack.append(struct.unpack(">d", u.take(8))[0]),
    0x8C: lambda u: u.push_text(u.byte()),
    0x58: lambda u: u.push_text(u.size(4)),
    0x8D: lambda u: u.push_text(u.size(8)),
    0x56: lambda u: u.stack.append(u.line().decode("raw-unicode-escape")),
    0x43: lambda u: u.stack.append(u.take(u.byte())),
    0x42: lambda u: u.stack.append(u.take(u.size(4))),
    0x8E: lambda u: u.stack.append(u.take(u.size(8))),
    0x96: lambda u: u.stack.append(bytearray(u.take(u.size(8)))),
    0x53: lambda u: u.push_quoted(),
    0x54: lambda u: u.push_old_string(u.take(u.size(4))),
    0x55: lambda u: u.push_old_string(u.take(u.byte())),
    0x28: Unpickler.mark,
    0x30: Unpickler.pop,
    0x31: Unpickler.items,
    0x32: lambda u: u.stack.append(u.stack[-1]),
    0x67: lambda u: u.stack.append(u.memo[int(u.line())]),
    0x68: Unpickler.push_remembered,
    0x6A: lambda u: u.stack.append(u.memo[u.size(4)]),
    0x70: lambda u: u.remember(int(u.line())),
    0x71: Unpickler.remember_short,
    0x72: Unpickler.remember_long,
    0x94: lambda u: u.remember(len(u.memo)),
    0x85: lambda u: u.tuple_of(1),
    0x86: lambda u: u.tuple_of(2),
    0x87: lambda u: u.tuple_of(3),
    0x74: lambda u: u.push(tuple(checked(u.items()))),
    0x6C: lambda u: u.push(checked(u.items())),
    0x64: Unpickler.new_dict,
    0x61: lambda u: u.append([u.stack.pop()]),
    0x65: lambda u: u.append(u.items()),
    0x73: lambda u: u.put_items([u.stack.pop(-2), u.stack.pop()]),
    0x75: lambda u: u.put_items(u.items()),
    0x90: Unpickler.add,
    0x91: Unpickler.frozen,
    0x63: Unpickler.global_lines,
    0x93: Unpickler.global_stack,
    0x52: Unpickler.reduce,
    0x81: Unpickler.reduce,  # NEWOBJ
    0x92: Unpickler.new_with_names,
    0x69: Unpickler.instance,
    0x6F: Unpickler.object,
    0x62: Unpickler.build,
    0x50: Unpickler.persistent_line,
    0x51: lambda u: u.stack.append(u.persistent(u.stack.pop())),
}
_TABLE = [_STEPS.get(code) for code in range(256)]

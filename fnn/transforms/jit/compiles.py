"""Why a program was compiled: what is other in its key than in those of the programs that are there."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

from fnn.amp.autocast_mode import Autocast
from fnn.nn.modules.module import Module
from fnn.stateful.boxes import Box
from fnn.stateful.protocol import Identity
from fnn.transforms.jit.arguments import STATEFUL, path_words
from fnn.transforms.jit.gathering import Gathered

__all__ = ["Compile", "compile_listeners"]


class Compile:
    """One compilation of a function of ``fnn.jit``.

    Args:
        function: what ``fnn.jit`` returned.
        key: the key of the new program.
        gathered: the state found.
        leaves: the leaves of the arguments.

    Attributes:
        function: what ``fnn.jit`` returned.
        name: the function's name.
        number: how many programs it has with this one.
        causes: what is other than in the most similar program that was there, in words.
        seconds: how long tracing, compiling and the first run took.
        kept: whether later calls can use the program; they cannot if the function changes the structure of an object.
    """

    def __init__(self, function: Any, key: tuple[Any, ...], gathered: Gathered, leaves: Sequence[Any]) -> None:
        self.function: Any = function
        self.name: str = getattr(function, "__qualname__", type(function.__wrapped__).__qualname__)
        self.number: int = len(function._programs) + 1
        self.causes: list[str] = _causes(function, key, gathered, leaves)
        self.seconds: float = 0.0
        self.kept: bool = True
        self._start = time.perf_counter()

    def end(self, kept: bool) -> None:
        """Notes that the first run is over, and tells who listens."""
        self.seconds = time.perf_counter() - self._start
        self.kept = kept
        for listener in list(compile_listeners):
            listener(self)

    def __repr__(self) -> str:
        kept = "" if self.kept else ", for this call alone"
        return f"{self.name}: program {self.number}, {self.seconds:.2f} s{kept}: {'; '.join(self.causes)}"


compile_listeners: list[Callable[[Compile], Any]] = []
"""Who is told of compilations."""

_PARTS = ("state", "names", "gradients", "tree", "types", "static", "numbers", "settings", "plain", "autocast")


def _causes(function: Any, key: tuple[Any, ...], gathered: Gathered, leaves: Sequence[Any]) -> list[str]:
    if not function._programs:
        return ["the first call"]
    long = {number: described for described, number in function._numbers.items()}
    near = max(function._programs, key=lambda other: _likeness(key, other, long))
    new = dict(zip(_PARTS, key, strict=True))
    old = dict(zip(_PARTS, near, strict=True))
    found: list[str] = []
    if new["static"] != old["static"]:
        found += _static(function, old["static"], new["static"])
    if new["tree"] != old["tree"]:
        found += _tree(function, old["tree"], new["tree"])
    elif new["types"] != old["types"]:
        for i, (before, now) in enumerate(zip(old["types"], new["types"], strict=True)):
            if before != now:
                found.append(f"{path_words(function, leaves, new['tree'], i)}: {_type(before)} -> {_type(now)}")
    if new["state"] != old["state"]:
        found += _state(long[old["state"]], long[new["state"]], gathered)
    if new["names"] != old["names"]:
        found += _names(long[old["names"]], long[new["names"]])
    if new["gradients"] != old["gradients"]:
        found.append(_gradients(old["gradients"], new["gradients"], gathered))
    if new["numbers"] != old["numbers"]:
        found += [
            f"{cell.describe()}: {_kind(before)} -> {_kind(now)}"
            for cell, before, now in zip(gathered.cells, old["numbers"], new["numbers"], strict=False)
            if before is not now
        ]
    if new["settings"] != old["settings"] and (new["plain"], new["autocast"]) == (old["plain"], old["autocast"]):
        found.append(f"JAX's settings: {_settings(old['settings'], new['settings'])}")
    if new["plain"] != old["plain"]:
        found.append(f"fnn.kernels.plain(): {'on' if new['plain'] else 'off'}")
    if new["autocast"] != old["autocast"]:
        found.append(f"fnn.autocast: {_autocast(old['autocast'])} -> {_autocast(new['autocast'])}")
    return found or ["the state or the names that the function found are in another order"]


def _autocast(state: Autocast | None) -> str:
    return "off" if state is None else state.dtype.name


def _likeness(key: tuple[Any, ...], other: tuple[Any, ...], long: dict[int, Hashable]) -> float:
    """How much two keys have in common; of two parts that differ, those count that are long and differ in little."""
    total = 0.0
    for i, (a, b) in enumerate(zip(key, other, strict=True)):
        if a == b:
            total += 2
        elif i < 2:
            total += _common(_flat(long[a]), _flat(long[b]))
        elif isinstance(a, tuple) and isinstance(b, tuple):
            total += _common(a, b)
    return total


def _common(a: Sequence[Any], b: Sequence[Any]) -> float:
    return sum(x == y for x, y in zip(a, b, strict=False)) / max(len(a), len(b), 1)


def _flat(key: Any) -> list[Any]:
    return [part for each in key for part in (_flat(each) if isinstance(each, tuple) else [each])]


# Arguments


def _type(kind: Any) -> str:
    if kind is STATEFUL:
        return "an object with state"
    weak = " (weak)" if getattr(kind, "weak_type", False) else ""
    shape, dtype = getattr(kind, "shape", None), getattr(kind, "dtype", None)
    return repr(kind) if shape is None else f"{dtype}{list(shape)}{weak}"


def _static(function: Any, old: Any, new: Any) -> Iterator[str]:
    before, now = ({place: held.value for place, held in part} for part in (old, new))
    for place in [*now, *(p for p in before if p not in now)]:
        if place in before and place in now and before[place] == now[place] and type(before[place]) is type(now[place]):
            continue
        values = [repr(part[place]) if place in part else "not given" for part in (before, now)]
        name = place if isinstance(place, str) else function._static.called(place + function._static._is_method)
        yield f"static argument {name}: {values[0]} -> {values[1]}"


def _tree(function: Any, old: Any, new: Any) -> Iterator[str]:
    def paths(tree: Any) -> dict[str, None]:
        leaves = list(range(tree.num_leaves))
        return dict.fromkeys(path_words(function, leaves, tree, i) for i in leaves)

    before, now = paths(old), paths(new)
    added, gone = [p for p in now if p not in before], [p for p in before if p not in now]
    if added:
        yield f"new: {', '.join(added[:5])}"
    if gone:
        yield f"gone: {', '.join(gone[:5])}"
    if not added and not gone:
        yield "the containers in the arguments are of another kind"


# State


def _state(old: Any, new: Any, gathered: Gathered) -> Iterator[str]:
    (statics, layout, boxes, _), (new_statics, new_layout, new_boxes, _) = old, new
    objects = gathered.objects()
    if len(statics) != len(new_statics):
        before, now = (Counter(kind.__name__ for kind, _ in part) for part in (statics, new_statics))
        more = [
            f"{word} {', '.join(found)}" for word, found in (("new", now - before), ("gone", before - now)) if found
        ]
        yield f"the function found {len(new_statics)} objects with state, not {len(statics)}: {'; '.join(more)}"
        return
    paths = _object_paths(gathered)
    changes: dict[str, list[str]] = {}
    for obj, (kind, before), (new_kind, now) in zip(objects, statics, new_statics, strict=True):
        name = paths.get(id(obj), type(obj).__name__)
        if kind is not new_kind:
            yield f"{name}: {kind.__name__} -> {new_kind.__name__}"
        elif before != now:
            for attribute, change in _attributes(before, now):
                changes.setdefault(f"{attribute}{change}", []).append(name)
    for change, names in changes.items():
        others = f" (and of {len(names) - 1} more)" if len(names) > 1 else ""
        yield f"{names[0]}{change}{others}"
    if len(boxes) != len(new_boxes):
        yield f"the objects hold {len(new_boxes)} arrays, not {len(boxes)}"
        return
    for box, before, now in zip(gathered.boxes, boxes, new_boxes, strict=True):
        if before != now:
            yield from _box(box, paths, before, now)
    if layout != new_layout:
        yield "other objects share Modules or arrays"


def _object_paths(gathered: Gathered) -> dict[int, str]:
    """Names of Modules and of their arrays, from the roots."""
    paths: dict[int, str] = {}
    for root in gathered.roots.values():
        if isinstance(root, Module):
            kind = type(root).__name__
            for path, module in root.named_modules():
                paths.setdefault(id(module), f"{kind}.{path}" if path else kind)
            for path, box in [*root.named_parameters(), *root.named_buffers()]:
                paths.setdefault(id(box), f"{kind}.{path}")
    return paths


def _attributes(before: Any, now: Any) -> Iterator[tuple[str, str]]:
    """Which attributes of an object are other, and how."""
    if not (isinstance(before, tuple) and isinstance(now, tuple) and len(before) == len(now) == 3):
        yield "", " has other options"
        return
    for part, (old, new) in enumerate(zip(before, now, strict=True)):
        olds, news = dict(old), dict(new)
        for key in [*news, *(k for k in olds if k not in news)]:
            a, b = olds.get(key, _ABSENT), news.get(key, _ABSENT)
            if a == b:
                continue
            if key.endswith("_hooks"):
                yield "", " has other hooks"
            elif part == 0:
                yield f".{key}", f": {_value(a)} -> {_value(b)}"
            elif _ABSENT in (a, b):
                yield f".{key}", f" is {'new' if a is _ABSENT else 'gone'}"
            elif part == 2 and None in (a, b):
                yield f".{key}", f" is {'None' if b is None else 'there'} now"
            elif part == 2:
                (grad, piece), (new_grad, new_piece) = a, b
                if grad != new_grad:
                    yield f".{key}.requires_grad", f": {grad} -> {new_grad}"
                if piece != new_piece:
                    yield f".{key}", " is another part of a stack"
            else:
                yield f".{key}", f" is {'None' if b else 'there'} now"


def _box(box: Box, paths: dict[int, str], before: Any, now: Any) -> Iterator[str]:
    name = paths.get(id(box)) or box.describe()
    if before is None or now is None:
        yield f"{name} is another kind of place"
        return
    if before[:2] != now[:2]:
        yield f"{name}: {before[1]}{list(before[0])} -> {now[1]}{list(now[0])}"
    if before[2] != now[2] and id(box) not in paths:  # else it is among the attributes
        yield f"{name}.requires_grad: {before[2]} -> {now[2]}"
    if before[3] != now[3]:
        places = " -> ".join("one device" if place is None else str(place) for place in (before[3], now[3]))
        yield f"{name} lies elsewhere: {places}"


_ABSENT = object()


def _value(key: Any) -> str:
    """What a ``static_key`` stands for, in words."""
    if key is _ABSENT:
        return "absent"
    if isinstance(key, Identity):
        return _object(key.value)
    if isinstance(key, tuple) and len(key) == 2 and isinstance(key[0], type):
        kind, value = key
        if isinstance(value, tuple):
            items = ", ".join(map(_value, value[:8]))
            return f"[{items}]" if kind is list else f"{{{items}}}" if kind is dict else f"({items})"
        return str(value) if kind in (float, complex) else repr(value)
    held = getattr(key, "value", key)
    return _object(held)


def _object(value: Any) -> str:
    name = getattr(value, "__qualname__", None)
    return name if name is not None else f"a {type(value).__name__}"


def _names(old: Any, new: Any) -> Iterator[str]:
    """Which of the names in the code are bound to something else."""
    before, now = list(_named(old)), list(_named(new))
    if len(before) == len(now):
        said = False
        for (_, a), (name, b) in zip(before, now, strict=True):
            if a != b:
                said = True
                yield f"{name}: {_value(a)} -> {_value(b)}"
        if said:
            return
    first = next((name for (_, a), (name, b) in zip(before, now, strict=False) if a != b), None)
    yield f"what the name {first} refers to" if first else "the names in the code refer to other things"


def _named(key: Any) -> Iterator[tuple[str, Any]]:
    """The constants that a search found, with the names before them."""
    name = "a name"
    for part in key:
        if isinstance(part, str):
            name = part
        elif not isinstance(part, int):
            yield name, part


def _gradients(old: Any, new: Any, gathered: Gathered) -> str:
    def empty(key: Any) -> list[bool]:
        return [True] * len(gathered.optional) if key is None else [each is True for each in key]

    before, now = empty(old), empty(new)
    if len(before) == len(now):
        filled = sum(a and not b for a, b in zip(before, now, strict=True))
        emptied = sum(b and not a for a, b in zip(before, now, strict=True))
        if filled or emptied:
            words = [f"{filled} are filled"] * bool(filled) + [f"{emptied} are empty"] * bool(emptied)
            return f"gradients: {' and '.join(words)} that were not (zero_grad(), p.grad)"
    return "gradients are of another structure (dense, row-sparse)"


def _kind(kind: type | None) -> str:
    return "an array" if kind is None else f"a Python {kind.__name__}"


def _settings(old: Any, new: Any) -> str:
    if isinstance(old, tuple) and isinstance(new, tuple) and len(old) == len(new):
        pairs = [f"{a!r} -> {b!r}" for a, b in zip(old, new, strict=True) if a != b]
        return ", ".join(pairs)[:200]
    return f"{old!r} -> {new!r}"[:200]


def kept_by_jax(program: Any) -> int:
    """How often JAX compiled a program: once more for each other placement of the arrays."""
    return sum(int(run._cache_size()) for run in (program.run, program.run_kept) if hasattr(run, "_cache_size"))

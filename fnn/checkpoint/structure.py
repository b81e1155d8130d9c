"""Nested dicts, lists, tuples and plain values as a flat dict of arrays and a text that says how they belong together."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np

from fnn.checkpoint.arrays import DTYPES, host_array

__all__ = ["METADATA_KEY", "arrays_of", "flatten", "is_array", "is_plain_tuple", "refusal", "shown", "unflatten"]

METADATA_KEY = "fnn.structure"
_DEEPEST = 100
_PLAIN_INT = 2**63


def flatten(obj: Any) -> tuple[dict[str, Any], str]:
    """The arrays by name and the text.

    An array stands in the text as ``{"array": name}``; other things that JSON has not are dicts of one entry too, dicts are lists
    of pairs. The name of an array is its path with dots.

    Raises:
        TypeError: if something is in it that a checkpoint cannot hold, with its path.
        ValueError: if it is nested too deeply or contains itself.
    """
    encoder = _Encoder()
    encoded = encoder.encode(obj, (), "")
    return encoder.arrays, json.dumps({"version": 1, "tree": encoded}, separators=(",", ":"))


class _Encoder:
    def __init__(self) -> None:
        self.arrays: dict[str, Any] = {}
        self.names: dict[int, str] = {}
        self.open: set[int] = set()

    def encode(self, value: Any, path: tuple[Any, ...], name: str) -> Any:
        kind = type(value)
        if value is None or kind in (bool, str, float):
            return value
        if kind is int:
            return value if -_PLAIN_INT <= value < _PLAIN_INT else {"int": hex(value)}
        if kind is complex:
            return {"complex": [value.real, value.imag]}
        if kind in (bytes, bytearray):
            return {kind.__name__: base64.b64encode(value).decode()}
        if isinstance(value, np.dtype):
            return {"dtype": value.name}
        if isinstance(value, dict | list | set | frozenset) or is_plain_tuple(value):
            return self.container(value, path, name)
        return self.array(value, path, name)

    def container(self, value: Any, path: tuple[Any, ...], name: str) -> Any:
        if id(value) in self.open or len(self.open) >= _DEEPEST:
            raise ValueError(f"save: {shown(path)} contains itself or lies more than {_DEEPEST} deep")
        self.open.add(id(value))
        dot = f"{name}." if name else ""
        if isinstance(value, dict):
            pairs = [
                [self.key(key, path), self.encode(item, (*path, key), f"{dot}{key}")] for key, item in value.items()
            ]
            if isinstance(value, OrderedDict):
                metadata = getattr(value, "_metadata", None)
                known = self.encode(metadata, (*path, "_metadata"), f"{dot}_metadata") if metadata else None
                out = {"ordered": pairs} if known is None else {"ordered": pairs, "metadata": known}
            else:
                out = {"dict": pairs}
        else:
            items = [self.encode(item, (*path, i), f"{dot}{i}") for i, item in enumerate(value)]
            out = items if isinstance(value, list) else {_kind_of(value): items}
        self.open.discard(id(value))
        return out

    def key(self, key: Any, path: tuple[Any, ...]) -> Any:
        if key is not None and type(key) not in (str, int, float, bool, tuple, bytes):
            raise TypeError(
                f"save: keys must be strings, numbers, bools, None or tuples of them, got {key!r:.80} in {shown(path)}"
            )
        return self.encode(key, (*path, key), "key")

    def array(self, value: Any, path: tuple[Any, ...], name: str) -> Any:
        if id(value) in self.names:
            return {"array": self.names[id(value)]}
        if not is_array(value):
            raise TypeError(f"save: {shown(path)} {refusal(value)}")
        name = name or "value"
        while name in self.arrays or name == "__metadata__":  # which safetensors' header has for itself
            name += "_"
        self.arrays[name] = value
        self.names[id(value)] = name
        return {"array": name}


def is_plain_tuple(value: Any) -> bool:
    """Whether it is a tuple or a NamedTuple, which is saved as a tuple."""
    return type(value) is tuple or (isinstance(value, tuple) and hasattr(value, "_fields"))


def _kind_of(value: tuple[Any, ...] | set[Any] | frozenset[Any]) -> str:
    return "tuple" if isinstance(value, tuple) else "set" if isinstance(value, set) else "frozenset"


def shown(path: tuple[Any, ...]) -> str:
    """A path as a user would write it: 'optimizer'['state'][0]."""
    return "the object" if not path else repr(path[0]) + "".join(f"[{p!r}]" for p in path[1:])


def refusal(value: Any) -> str:
    """What is wrong with a value that no checkpoint can hold, and what to do."""
    advice = ""
    if isinstance(value, type):
        advice = f" {value.__name__}, a class itself"
    elif hasattr(value, "state_dict"):
        advice = "; save its state_dict(): objects are not pickled"
    elif isinstance(value, np.random.Generator):
        advice = "; save its bit_generator.state"
    elif isinstance(value, Iterable) and not hasattr(value, "read"):
        advice = "; save a list of it"
    elif hasattr(value, "get_state"):
        advice = "; save its get_state()"
    elif dataclasses.is_dataclass(value):
        advice = "; save what its fields hold, or jax.tree.leaves(...) of it"
    return f"must be an array, a number, a string, None, or a dict, list or tuple of them, got {type(value).__name__}{advice}"


def is_array(value: Any) -> bool:
    """Whether ``host_array`` takes it."""
    return isinstance(value, jax.Array | np.ndarray | np.generic) or (
        hasattr(value, "shape") and hasattr(value, "dtype") and not hasattr(value, "state_dict")
    )


def arrays_of(arrays: dict[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """All as host arrays; raises TypeError naming the one that cannot be written."""
    out: dict[str, np.ndarray[Any, Any]] = {}
    for name, value in arrays.items():
        array = host_array(value, f"save: {name!r}")
        if array is None:
            raise TypeError(f"save: {name!r} {refusal(value)}")
        out[name] = array
    return out


def unflatten(text: str, array: Callable[[str], Any]) -> Any:
    """The object of a text, with ``array(name)`` in the places of arrays.

    Raises:
        ValueError: if the text is damaged.
    """
    try:
        parsed = json.loads(text)
        if parsed["version"] != 1:
            raise ValueError(f"its structure is of version {parsed['version']!r:.20}; a later fnn wrote it")
        return _decode(parsed["tree"], array)
    except json.JSONDecodeError:
        raise ValueError(
            f"its metadata has a text of the name {METADATA_KEY!r} that is no structure of fnn's"
        ) from None
    except RecursionError:
        raise ValueError(f"its structure lies more than {_DEEPEST} deep") from None
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise ValueError(f"its structure is damaged ({type(error).__name__}: {error})") from None


def _decode(value: Any, array: Callable[[str], Any], depth: int = 0) -> Any:
    if depth > _DEEPEST + 1:
        raise RecursionError
    if isinstance(value, list):
        return [_decode(v, array, depth + 1) for v in value]
    if not isinstance(value, dict):
        return value
    kind: Any
    inner: Any
    kind, inner = next(iter(value.items()), (None, None))
    if kind == "array":
        return array(inner)
    if kind == "int":
        return int(inner, 16)
    if kind == "complex":
        return complex(*inner)
    if kind in ("bytes", "bytearray"):
        raw = base64.b64decode(inner)
        return raw if kind == "bytes" else bytearray(raw)
    if kind == "dtype":
        return DTYPES[inner]
    if kind in ("tuple", "set", "frozenset"):
        return {"tuple": tuple, "set": set, "frozenset": frozenset}[kind](_decode(v, array, depth + 1) for v in inner)
    pairs = [(_decode(k, array, depth + 1), _decode(v, array, depth + 1)) for k, v in inner]
    if kind == "dict":
        return dict(pairs)
    if kind == "ordered":
        out = OrderedDict(pairs)
        if "metadata" in value:
            setattr(out, "_metadata", _decode(value["metadata"], array, depth + 1))  # noqa: B010
        return out
    raise ValueError(f"its structure has {kind!r:.40}, which a later fnn may know")

"""Files of safetensors: one file, its header checked by the library of that name, and the writer."""

from __future__ import annotations

import json
import math
import struct
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, BinaryIO

import numpy as np

from fnn.checkpoint.arrays import DTYPES, to_device
from fnn.checkpoint.files import FileParts, copied, naming_tensor
from fnn.checkpoint.structure import METADATA_KEY, arrays_of, flatten, is_array, unflatten

__all__ = ["SafetensorsFile", "write"]

_NAMES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "C64": "complex64",
    "BOOL": "bool",
    **{f"{kind}{bits}": f"{name}{bits}" for kind, name in (("I", "int"), ("U", "uint")) for bits in (8, 16, 32, 64)},
}
_CODES = {name: code for code, name in _NAMES.items() if "FNUZ" not in code}
_AS_KEY = "fnn.dtypes"
_DEEPEST_HEADER = 100_000_000


class SafetensorsFile:
    """One open file: where each array lies."""

    def __init__(self, parts: FileParts) -> None:
        self.parts = parts
        try:
            from safetensors import SafetensorError, safe_open
        except ImportError as error:
            raise ImportError('load: needs the package safetensors; pip install "fnn[checkpoint]"') from error
        try:
            with safe_open(parts.path, framework="numpy"):
                pass
        except SafetensorError as error:
            raise ValueError(f"it is no readable safetensors file, or a truncated one: {error}") from None
        (length,) = struct.unpack("<Q", parts.bytes(0, 8))
        if length > _DEEPEST_HEADER:
            raise ValueError("the header of the safetensors file is too large")
        self._entries: dict[str, tuple[np.dtype[Any], tuple[int, ...], int]] = {}
        try:
            self._parse(json.loads(parts.bytes(8, length)), 8 + length)
        except (KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError) as error:
            raise ValueError(
                f"the header of the safetensors file is damaged ({type(error).__name__}: {error})"
            ) from None

    def _parse(self, header: dict[str, Any], start: int) -> None:
        self.metadata: dict[str, str] = header.pop("__metadata__", {})
        self._start = start
        stored_as = json.loads(self.metadata.get(_AS_KEY, "{}"))
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            self._entries[name] = self._entry(name, entry, stored_as.get(name))
        if METADATA_KEY in self.metadata:
            self._check_names()

    def _entry(self, name: str, entry: Any, stored_as: Any) -> tuple[np.dtype[Any], tuple[int, ...], int]:
        if entry["dtype"] not in _NAMES:
            raise ValueError(f"tensor {name!r} has dtype {entry['dtype']!r}, of which JAX has no counterpart")
        dtype = DTYPES[_NAMES[entry["dtype"]]]
        shape = tuple(entry["shape"])
        start, end = entry["data_offsets"]
        if end - start != math.prod(shape) * dtype.itemsize or self._start + end > self.parts.size:
            raise ValueError(f"tensor {name!r} does not fit the file")
        if stored_as is not None:
            dtype = DTYPES.get(stored_as, dtype)
            if not shape or shape[-1] != dtype.itemsize:
                raise ValueError(f"tensor {name!r} is not {stored_as!r:.40} as its header says")
            shape = shape[:-1]
        return dtype, shape, start

    def _check_names(self) -> None:
        def check(name: Any) -> None:
            if name not in self._entries:
                raise ValueError(f"its structure names the tensor {name!r:.80}, which is not there")

        unflatten(self.metadata[METADATA_KEY], check)

    @property
    def names(self) -> list[str]:
        """The names in the order of the file."""
        return list(self._entries)

    def describe(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape and dtype of an array, as the file has it."""
        dtype, shape, _ = self._entries[name]
        return shape, dtype

    def memory(self, name: str | None = None) -> int:
        """How many bytes one array or all of them take, once they are read."""
        names = self._entries if name is None else (name,)
        return sum(math.prod(self._entries[n][1]) * self._entries[n][0].itemsize for n in names)

    def read(self, name: str, index: tuple[slice, ...] | None = None) -> np.ndarray[Any, Any]:
        """The numbers of one array or of a part of it, in memory of its own."""
        dtype, shape, start = self._entries[name]
        size = math.prod(shape) * dtype.itemsize
        if index is None or not size:
            array = self.parts.read(self._start + start, size).view(dtype).reshape(shape)
        else:
            array = copied(self.parts.view(self._start + start, size).view(dtype).reshape(shape)[index])
        if dtype == np.bool_:
            array = _bools(array)
        return array if sys.byteorder == "little" else array.byteswap()

    def load(self, place: Callable[[str], Any]) -> Any:
        """All of it: names to arrays, or what the structure in the header says."""
        arrays: OrderedDict[str, Any] = OrderedDict()
        for name, (_, shape, _) in self._entries.items():
            with naming_tensor(name):
                arrays[name] = to_device(partial(self.read, name), shape, place(name))
        text = self.metadata.get(METADATA_KEY)
        return arrays if text is None else unflatten(text, arrays.__getitem__)


def _bools(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Bytes other than 0 and 1 are no bools of numpy's; here they are true."""
    raw = array.view(np.uint8)
    return raw != 0 if raw.size and raw.max() > 1 else array


def write(obj: Any) -> Callable[[BinaryIO], None]:
    """The writer of an object to an open file; what cannot be written is found out before there is one.

    Raises:
        TypeError: if something is in it that the file cannot hold, with its path.
    """
    if _is_flat(obj):
        arrays, metadata = arrays_of(dict(obj)), {"format": "pt"}
    else:
        named, structure = flatten(obj)
        arrays, metadata = arrays_of(named), {"format": "pt", METADATA_KEY: structure}
    stored_as = {name: a.dtype.name for name, a in arrays.items() if a.dtype.name not in _CODES}
    if stored_as:
        metadata[_AS_KEY] = json.dumps(stored_as)
        for name in stored_as:
            array = arrays[name]
            arrays[name] = array.reshape(-1).view(np.uint8).reshape(*array.shape, array.itemsize)
    # Large items first keep every array at a multiple of its item's size.
    order = sorted(arrays, key=lambda name: -arrays[name].itemsize)
    header: dict[str, Any] = {"__metadata__": metadata}
    offset = 0
    for name in order:
        array = arrays[name]
        code = _CODES[array.dtype.name]
        header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    try:
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"save: a name is no valid text: {error}") from None
    text += b" " * (-(8 + len(text)) % 64)
    if len(text) > _DEEPEST_HEADER:
        raise ValueError(f"save: the names take {len(text)} bytes; a safetensors header holds {_DEEPEST_HEADER}")

    def run(file: BinaryIO) -> None:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in order:
            if arrays[name].nbytes:
                file.write(arrays[name].reshape(-1).view(np.uint8).data)

    return run


def _is_flat(obj: Any) -> bool:
    """A dict of names to arrays, which any reader of safetensors understands."""
    return isinstance(obj, Mapping) and all(
        type(name) is str and name != "__metadata__" and is_array(value) for name, value in obj.items()
    )

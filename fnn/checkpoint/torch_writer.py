"""Writes files that ``torch.load(weights_only=True)`` reads, without torch: the opcodes of the pickle are put down one by one."""

from __future__ import annotations

import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from fnn.checkpoint.arrays import host_array
from fnn.checkpoint.structure import is_array, is_plain_tuple, refusal, shown

__all__ = ["write"]

_STORAGES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "int16": "ShortStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
    "complex128": "ComplexDoubleStorage",
    "complex64": "ComplexFloatStorage",
}
_ALIGNMENT = 64
_LARGE = 0x7FFFFFFF  # from here on a zip file needs longer numbers
_DEEPEST = 100
_ROOT = "archive"


def write(obj: Any) -> Callable[[BinaryIO], None]:
    """The writer of an object to an open file; what cannot be written is found out before there is one.

    Raises:
        TypeError: if something is in it that the file cannot hold, with its path.
    """
    pickler = _Pickler()
    pickler.out += b"\x80\x02"
    pickler.put(obj, ())
    pickler.out += b"."

    def run(file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            _entry(archive, file, "data.pkl", bytes(pickler.out))
            _entry(archive, file, ".format_version", b"1")
            _entry(archive, file, ".storage_alignment", str(_ALIGNMENT).encode())
            _entry(archive, file, "byteorder", b"little")
            for key, array in enumerate(pickler.storages):
                _entry(archive, file, f"data/{key}", array.reshape(-1).view(np.uint8).data if array.size else b"")
            _entry(archive, file, "version", b"3\n")

    return run


def _entry(archive: zipfile.ZipFile, file: BinaryIO, name: str, data: Any) -> None:
    """One entry whose bytes begin at a multiple of 64, for readers that map the file."""
    info = zipfile.ZipInfo(f"{_ROOT}/{name}")
    info.external_attr = 0o600 << 16
    large = len(data) >= _LARGE
    before = file.tell() + 30 + len(info.filename) + (20 if large else 0)
    padding = -(before + 4) % _ALIGNMENT
    info.extra = struct.pack("<HH", 0x4246, padding) + b"Z" * padding
    info.file_size = len(data)
    with archive.open(info, "w", force_zip64=large) as entry:
        for start in range(0, len(data), 1 << 26):
            entry.write(data[start : start + (1 << 26)])


class _Pickler:
    def __init__(self) -> None:
        self.out = bytearray()
        self.storages: list[np.ndarray[Any, Any]] = []
        self.keys: dict[int, int] = {}
        self.kept: list[Any] = []
        self.open: set[int] = set()

    def put(self, value: Any, path: tuple[Any, ...]) -> None:
        kind = type(value)
        if value is None or kind is bool:
            self.out += {None: b"N", True: b"\x88", False: b"\x89"}[value]
        elif kind is int:
            self.integer(value)
        elif kind is float:
            self.out += b"G" + struct.pack(">d", value)
        elif kind is str:
            raw = value.encode("utf-8", "surrogatepass")
            self.out += b"X" + struct.pack("<I", len(raw)) + raw
        elif kind is bytes:
            self.name("_codecs", "encode")
            self.tuple((value.decode("latin1"), "latin1"), path)
            self.out += b"R"
        elif isinstance(value, np.dtype):
            self.name("torch", value.name)
        elif isinstance(value, dict | list) or is_plain_tuple(value):
            self.container(value, path)
        elif kind is set:
            raise TypeError(f"save: {shown(path)} is a set, which torch does not load; save a sorted list of it")
        elif is_array(value):
            self.array(value, path)
        else:
            raise TypeError(f"save: {shown(path)} {refusal(value)}")

    def integer(self, value: int) -> None:
        if -(2**31) <= value < 2**31:
            self.out += b"J" + struct.pack("<i", value)
            return
        size = value.bit_length() // 8 + 1
        if size > 255:
            raise TypeError(f"save: an int of {size} bytes is too large for the format")
        self.out += b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)

    def name(self, module: str, name: str) -> None:
        self.out += f"c{module}\n{name}\n".encode()

    def tuple(self, items: Any, path: tuple[Any, ...]) -> None:
        self.out += b"("
        for i, item in enumerate(items):
            self.put(item, (*path, i))
        self.out += b"t"

    def container(self, value: Any, path: tuple[Any, ...]) -> None:
        if id(value) in self.open or len(self.open) >= _DEEPEST:
            raise ValueError(f"save: {shown(path)} contains itself or lies more than {_DEEPEST} deep")
        self.open.add(id(value))
        if isinstance(value, dict):
            ordered = isinstance(value, OrderedDict)
            if ordered:
                self.name("collections", "OrderedDict")
            self.out += b")R(" if ordered else b"}("
            for key, item in value.items():
                if key is not None and type(key) not in (str, int, float, bool, tuple):
                    raise TypeError(f"save: keys must be strings, numbers or tuples, got {key!r:.80} in {shown(path)}")
                self.put(key, (*path, key))
                self.put(item, (*path, key))
            self.out += b"u"
            metadata = getattr(value, "_metadata", None) if ordered else None
            if metadata:
                self.put({"_metadata": metadata}, (*path, "_metadata"))
                self.out += b"b"
        elif isinstance(value, list):
            self.out += b"]("
            for i, item in enumerate(value):
                self.put(item, (*path, i))
            self.out += b"e"
        else:
            self.tuple(value, path)
        self.open.discard(id(value))

    def array(self, value: Any, path: tuple[Any, ...]) -> None:
        if id(value) not in self.keys:
            array = host_array(value, f"save: {shown(path)}")
            if array is None:
                raise TypeError(f"save: {shown(path)} {refusal(value)}")
            self.keys[id(value)] = len(self.storages)
            self.kept.append(value)
            self.storages.append(array)
        key = self.keys[id(value)]
        array = self.storages[key]
        storage = _STORAGES.get(array.dtype.name)
        strides = tuple(s // array.itemsize for s in array.strides) if array.size else _strides(array.shape)
        self.name("torch._utils", "_rebuild_tensor_v2" if storage else "_rebuild_tensor_v3")
        self.out += b"(("
        self.put("storage", path)
        self.name(*(("torch", storage) if storage else ("torch.storage", "UntypedStorage")))
        for item in (str(key), "cpu", array.size if storage else array.nbytes):
            self.put(item, path)
        self.out += b"tQ"
        self.integer(0)
        self.tuple(array.shape, path)
        self.tuple(strides, path)
        self.put(False, path)
        self.name("collections", "OrderedDict")
        self.out += b")R"
        if not storage:
            self.name("torch", array.dtype.name)
        self.out += b"tR"


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    out: list[int] = []
    step = 1
    for size in reversed(shape):
        out.append(step)
        step *= max(size, 1)
    return tuple(reversed(out))

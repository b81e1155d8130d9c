"""Files of ``torch.save``, in both of its formats, read without torch and without running what they hold."""

from __future__ import annotations

import math
import mmap
import struct
import sys
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from fnn.checkpoint.arrays import to_device
from fnn.checkpoint.files import FileParts, copied, naming_tensor
from fnn.checkpoint.torch_names import Storage, TensorView, find, storage_of
from fnn.checkpoint.unpickler import Known, Unpickler

__all__ = ["MAGIC", "TorchFile", "is_old_torch"]

MAGIC = 0x1950A86A20F9469CFC6C
_OLD_PROTOCOL = 1001
_MOST_PICKLE = 1 << 28
_DEEPEST = 200
_MOST_NAMES = 10_000_000
_LONGEST_NAME = 10_000
_LONGEST_NAMES = 1 << 27  # characters of all together
_HEADER = 30  # bytes of the fixed part of an entry's header in a zip file


def is_old_torch(head: bytes) -> bool:
    """Whether a file begins as ``torch.save`` began before it wrote zip files."""
    number = MAGIC.to_bytes(10, "little")
    return number in head[:32] or str(MAGIC).encode() in head[:64]


class _Place(NamedTuple):
    """Where bytes lie. Of an entry of a zip file: behind the fixed part of its header, and where the next one begins."""

    start: int
    size: int
    checksum: int = 0
    end: int = 0


class TorchFile:
    """One open file: its structure with views in the place of tensors, and where their numbers lie."""

    def __init__(self, parts: FileParts, checked: bool = False) -> None:
        self.parts = parts
        self._checked = checked
        self._swap = False
        self._places: dict[str, _Place] = {}  # of the numbers of storages
        if parts.bytes(0, 4) == b"PK\x03\x04":
            self._pickle: bytes | mmap.mmap = self._open_zip()
            self._start, self._keys = 0, 5
        else:
            self._pickle, self._start = self._open_old()
            self._keys = 6
        self._storages: dict[str, Storage] = {}
        self._parents: dict[str, tuple[str, int]] = {}
        unpickler = Unpickler(self._pickle, self._start, find, self._storage)
        self.structure: Any = unpickler.load()
        if self._keys == 6:
            self._find_old_storages(unpickler.position)
        self.views: dict[str, TensorView] = {}
        self._walk()

    def _storage(self, identity: Any) -> Storage:
        storage = storage_of(identity, self._keys)
        if self._keys == 6 and identity[5] is not None:
            return self._old_view(storage, identity[5])
        size = storage.nbytes
        seen = self._storages.setdefault(storage.key, storage)
        if seen is not storage and size and seen.nbytes and seen.nbytes != size:
            raise ValueError(f"storage {storage.key!r:.40} has two sizes")
        if self._keys == 5 and size:
            place = self._places.get(storage.key)
            if place is None:
                raise ValueError(f"it is damaged or truncated: the numbers of storage {storage.key!r:.40} are missing")
            if place.size < size:
                raise ValueError(f"storage {storage.key!r:.40} has {place.size} bytes, {size} wanted")
        return storage

    # The two formats

    def _open_zip(self) -> bytes:
        try:
            with self.parts.open_again() as file, zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
        except Exception as error:
            raise ValueError(f"it is a damaged or truncated zip file ({error})") from None
        names = [entry.filename for entry in entries]
        pickles = [
            name for name in names if name == "data.pkl" or (name.endswith("/data.pkl") and name.count("/") == 1)
        ]
        if len(pickles) != 1:
            raise ValueError(
                "it is a zip file, but none that torch.save wrote: it has no data.pkl"
                + ("; numpy.load reads arrays of numpy" if any(n.endswith(".npy") for n in names) else "")
            )
        prefix = pickles[0].removesuffix("data.pkl")
        if prefix + "constants.pkl" in names:
            raise ValueError(
                "it is a TorchScript program; in torch, load it with torch.jit.load and save its state_dict() by torch.save"
            )
        if len(set(names)) != len(names):
            raise ValueError("it is damaged: it has two entries of one name")
        places: dict[str, _Place] = {}
        end = self.parts.size
        for entry in sorted(entries, key=lambda e: -e.header_offset):
            if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
                raise ValueError(
                    f"its entry {entry.filename!r:.80} is compressed or encrypted; torch.save stores entries plainly"
                )
            start = entry.header_offset + _HEADER
            if entry.header_offset < 0 or entry.compress_size != entry.file_size or start + entry.file_size > end:
                raise ValueError(
                    f"it is damaged or truncated: its entry {entry.filename!r:.80} lies over another or ends behind the file"
                )
            places[entry.filename.removeprefix(prefix)] = _Place(start, entry.file_size, entry.CRC, end)
            end = entry.header_offset
        self._places = {k.removeprefix("data/"): v for k, v in places.items() if k.startswith("data/")}
        if places["data.pkl"].size > _MOST_PICKLE:
            raise ValueError(f"its pickle has {places['data.pkl'].size} bytes, more than {_MOST_PICKLE}")
        order = self._small(places, "byteorder", b"little")
        if order not in (b"little", b"big"):
            raise ValueError(f"its byte order is {order!r:.40}")
        self._swap = order.decode() != sys.byteorder
        return self._small(places, "data.pkl", b"")

    def _start_of(self, place: _Place) -> int:
        """Where the bytes of an entry begin: behind its header, whose length only the header itself says."""
        if not place.end:
            return place.start
        head = self.parts.bytes(place.start - _HEADER, _HEADER)
        if len(head) < _HEADER or head[:4] != b"PK\x03\x04":
            raise ValueError("it is damaged: an entry has no header")
        start = place.start + sum(struct.unpack("<HH", head[26:30]))
        if start + place.size > place.end:
            raise ValueError("it is damaged: an entry lies over another")
        return start

    def _small(self, places: dict[str, _Place], name: str, default: bytes) -> bytes:
        if name not in places:
            return default
        place = places[name]
        data = self.parts.bytes(self._start_of(place), place.size)
        if place.checksum and zlib.crc32(data) != place.checksum:  # torch can leave it out, and then writes 0
            raise ValueError(f"it is corrupted: the checksum of its {name} is wrong")
        return data

    def _open_old(self) -> tuple[mmap.mmap, int]:
        """The older format: five pickles, then the numbers; little-endian on every machine."""
        data = self.parts.mapped()

        def nothing(identity: Any) -> Any:
            raise ValueError("its pickle is damaged: a storage before there are any")

        position = 0
        values = []
        for _ in range(3):
            unpickler = Unpickler(data, position, find, nothing)
            values.append(unpickler.load())
            position = unpickler.position
        if values[0] != MAGIC or values[1] != _OLD_PROTOCOL:
            raise ValueError(f"it is written in an unknown format of torch ({values[1]!r:.40})")
        self._swap = sys.byteorder != "little"
        return data, position

    def _old_view(self, whole: Storage, view: Any) -> Storage:
        """A storage that is a part of another, as torch wrote long ago."""
        if type(view) is not tuple or len(view) != 3 or not all(type(v) is int and 0 <= v < 2**48 for v in view[1:]):
            raise ValueError("its pickle is damaged: a part of a storage")
        self._storages.setdefault(whole.key, whole)
        item = 1 if whole.dtype is None else whole.dtype.itemsize
        key = f"{whole.key} {view[1]} {view[2]}"
        if view[1] + view[2] > whole.length:
            raise ValueError("its pickle is damaged: a part that reaches beyond its storage")
        self._parents[key] = (whole.key, view[1] * item)
        return Storage(key, whole.dtype, view[2])

    def _find_old_storages(self, position: int) -> None:
        unpickler = Unpickler(self._pickle, position, find, self._storage)
        keys = unpickler.load()
        if type(keys) is not list or {str(k) for k in keys if type(k) in (str, int)} != set(self._storages):
            raise ValueError("it is damaged: the list of its storages does not fit its tensors")
        position = unpickler.position
        for key in keys:
            storage = self._storages[str(key)]
            head = self.parts.bytes(position, 8)
            if len(head) < 8:
                raise ValueError("it is truncated")
            if struct.unpack("<q", head)[0] != storage.length:
                raise ValueError(f"it is damaged: storage {storage.key!r:.40} has two sizes")
            if position + 8 + storage.nbytes > self.parts.size:
                raise ValueError(f"it is truncated: the numbers of storage {storage.key!r:.40} end behind the file")
            self._places[storage.key] = _Place(position + 8, storage.nbytes)
            position += 8 + storage.nbytes
        for key, (parent, offset) in self._parents.items():
            whole = self._places[parent]
            self._places[key] = _Place(whole.start + offset, whole.size - offset)

    # The structure

    def _walk(self) -> None:
        """Names the tensors by their place; refuses structures that grow without bound when they are walked through.

        Containers may be shared, but not so that walking through them takes much longer than the file is long, nor contain
        themselves, nor lie one in another hundreds deep.
        """
        path: set[int] = set()
        count = count_of_letters = 0
        todo: list[tuple[str, Any, bool]] = [("", self.structure, False)]
        allowed = min(_MOST_NAMES, 1000 + 2 * len(self._pickle))
        while todo:
            name, value, left = todo.pop()
            if left:
                path.discard(id(value))
                continue
            count += 1
            if count > allowed:
                raise ValueError(
                    "its containers are shared so often that they would take more memory than they are worth"
                )
            if type(value) is TensorView:
                if len(name) > _LONGEST_NAME:
                    raise ValueError(f"a tensor lies behind names of more than {_LONGEST_NAME} characters")
                count_of_letters += len(name)
                if count_of_letters > _LONGEST_NAMES:
                    raise ValueError(f"the names of its tensors have more than {_LONGEST_NAMES} characters")
                while name in self.views:
                    name += "_"
                self.views[name] = value
            elif isinstance(value, Known):
                raise ValueError(f"it holds {value.name} itself as a value, which cannot be read")
            elif type(value) is Storage:
                raise ValueError(f"it holds a storage ({name!r:.80}); in torch, save tensors")
            elif isinstance(value, dict | list | tuple):
                if id(value) in path:
                    raise ValueError("it holds a container that contains itself")
                if len(path) >= _DEEPEST:
                    raise ValueError(f"its containers lie more than {_DEEPEST} deep")
                path.add(id(value))
                todo.append((name, value, True))
                items = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
                dot = f"{name}." if name else ""
                todo.extend((f"{dot}{key}"[: _LONGEST_NAME + 1], item, False) for key, item in reversed(items))
                if isinstance(value, OrderedDict) and hasattr(value, "_metadata"):
                    todo.append((f"{dot}_metadata", value._metadata, False))  # pyright: ignore[reportAttributeAccessIssue]

    # Values

    @property
    def names(self) -> list[str]:
        """The names in the order of the structure."""
        return list(self.views)

    def describe(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape and dtype of a tensor, as the file has it."""
        view = self.views[name]
        return view.shape, view.cast or view.dtype

    def memory(self, name: str | None = None) -> int:
        """How many bytes one tensor or all of them take, once they are read."""
        views = set(self.views.values()) if name is None else (self.views[name],)
        return sum(math.prod(v.shape) * max(v.dtype.itemsize, (v.cast or v.dtype).itemsize) for v in views)

    def read(self, name: str, index: tuple[slice, ...] | None = None) -> np.ndarray[Any, Any]:
        """The numbers of one tensor or of a part of it, in memory of its own."""
        return self._read(self.views[name], index)

    def _read(self, view: TensorView, index: tuple[slice, ...] | None = None) -> np.ndarray[Any, Any]:
        item = view.dtype.itemsize
        if 0 in view.shape:
            return np.empty(view.shape, view.cast or view.dtype)
        place = self._places[view.storage.key]
        start = self._start_of(place)
        if self._checked and place.checksum and not self._is_whole(view.storage.key, start):
            raise ValueError("it is corrupted: its checksum is wrong")
        # A few numbers of a long stretch are taken out of the file where they lie.
        whole = index is None and view.span * item <= view.nbytes
        get = self.parts.read if whole else self.parts.view
        # numpy strides and swaps only dtypes of its own.
        kind = view.dtype if view.dtype.kind == "c" else np.dtype(f"u{item}")
        flat = get(start + view.offset * item, view.span * item).view(kind)
        array = np.lib.stride_tricks.as_strided(flat, view.shape, [s * item for s in view.strides], writeable=False)
        if whole and array.flags.c_contiguous:
            array = flat.reshape(view.shape)
        else:
            array = copied(array if index is None else array[index])
        if view.dtype == np.bool_ and array.max() > 1:
            array = (array != 0).view(np.uint8)
        array = (array.byteswap(True) if self._swap else array).view(view.dtype)
        array = np.conj(array) if view.conjugate else array
        array = np.negative(array) if view.negative else array
        return array if view.cast is None else copied(array, view.cast)

    def _is_whole(self, key: str, start: int) -> bool:
        place = self._places[key]
        found, end = 0, start + place.size
        for offset in range(start, end, 1 << 24):
            found = zlib.crc32(self.parts.read(offset, min(1 << 24, end - offset)).data, found)
        if found == place.checksum:
            self._places[key] = place._replace(checksum=0)  # once is enough
        return found == place.checksum

    def load(self, place: Callable[[str], Any]) -> Any:
        """The whole structure, with an array in the place of each tensor; equal views share one."""
        arrays: dict[TensorView, jax.Array] = {}
        for name, view in self.views.items():
            if view not in arrays:
                with naming_tensor(name):
                    arrays[view] = to_device(partial(self._read, view), view.shape, place(name))
        return _filled(self.structure, arrays)


def _filled(value: Any, arrays: dict[TensorView, jax.Array]) -> Any:
    """A structure with its arrays in the places of views; dicts and lists are changed in place."""
    if type(value) is TensorView:
        return arrays[value]
    if isinstance(value, dict):
        for key, item in value.items():
            value[key] = _filled(item, arrays)
        if isinstance(value, OrderedDict) and hasattr(value, "_metadata"):
            _filled(value._metadata, arrays)  # pyright: ignore[reportAttributeAccessIssue]
    elif isinstance(value, list):
        for i, item in enumerate(value):
            value[i] = _filled(item, arrays)
    elif isinstance(value, tuple):
        return tuple([_filled(item, arrays) for item in value])
    return value

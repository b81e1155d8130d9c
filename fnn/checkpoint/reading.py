"""``load`` and ``open_checkpoint``: whatever kind of checkpoint file it is, in one, in parts, or in a folder."""

from __future__ import annotations

import json
import os
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import jax

from fnn.checkpoint.arrays import Places, Sharding, nearest, to_device
from fnn.checkpoint.files import FileParts, Unfit, check_regular, naming, naming_tensor
from fnn.checkpoint.safetensors import SafetensorsFile
from fnn.checkpoint.torch_file import TorchFile, is_old_torch
from fnn.functional.checks import fail
from fnn.functional.explained import explained
from fnn.nn.placement import Device

__all__ = ["Checkpoint", "load", "open_checkpoint", "read_whole"]

_LARGEST_INDEX = 1 << 28
# Views of torch that repeat their numbers may take this many bytes beyond four times the file.
_REPEATED = 1 << 28


@explained
def load(
    path: str | os.PathLike[str],
    *,
    device: Device = None,
    sharding: Sharding = None,
    mmap: bool = True,
    max_bytes: int | None = None,
) -> Any:
    """Reads a checkpoint: a file of safetensors or of torch, parts with an index, or a folder that holds one of these.

    Tensors become arrays, everything around them is as it was saved: dicts, lists, tuples, numbers, strings. Torch is not
    needed, and no code that a file may hold is run. Without x64, integers of 64 bits must fit into 32, and float64 is rounded to
    float32.

    Args:
        path: a ``.safetensors``, ``.pt``, ``.pth``, ``.bin`` or ``.ckpt`` file (the kind is seen from its bytes), a
            ``*.index.json`` of parts as Hugging Face has them, or a folder with one checkpoint.
        device: where the arrays shall lie; by default where JAX puts new ones.
        sharding: in place of ``device``, a sharding for all or a mapping of names to shardings. Each device's part is read
            by itself, in a program of several processes each process its own, so that no tensor need fit into the host's memory.
        mmap: reads from a torch file only what the tensors need, as torch's own ``mmap=True``; ``False`` reads every storage
            whole first and compares its checksum.
        max_bytes: how much memory all tensors together may take. A small file of torch can hold views that repeat its numbers
            without end; by default tensors take at most 256 MiB beyond four times the file.

    Returns:
        An ordered dict of names to arrays for plain safetensors and parts; else what was saved.

    Raises:
        FileNotFoundError: if there is no such file, or a part of it is missing.
        ValueError: if the file is damaged, of an unknown kind, or holds what is not read, naming it; if its tensors take more
            than ``max_bytes``, or ``sharding`` names one that is not there.
        ImportError: if it is safetensors and that package is missing.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.load.html

    Example:
        >>> import fnn, os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "run.pt")
        ...     fnn.save({"model": fnn.nn.Linear(2, 3).state_dict(), "epoch": 3}, path, format="torch")
        ...     back = fnn.load(path)
        >>> back["epoch"], back["model"]["weight"].shape
        (3, (3, 2))
    """
    path = Path(path)
    with naming("load", path):
        place = Places(device, sharding)
    return read_whole("load", path, place, mmap, max_bytes)


def read_whole(function: str, path: Path, place: Places, mmap: bool = True, max_bytes: int | None = None) -> Any:
    """What ``load`` does, for errors that begin with another function's name."""
    _check_most(function, max_bytes)
    with naming(function, path):
        found = _locate(path)
    if found.suffix == ".json":
        with Checkpoint(function, found, place, mmap, max_bytes) as parts:
            with naming(function, found):
                place.check(parts)
            return OrderedDict((name, parts[name]) for name in parts)
    with naming(function, found):
        parts = FileParts(found)
        try:
            file = _open(parts, mmap)
            place.check(file.names)
            _check_amount(file.memory(), parts.size, max_bytes, "its tensors take")
            return file.load(place)
        finally:
            parts.close()


@explained
def open_checkpoint(
    path: str | os.PathLike[str],
    *,
    device: Device = None,
    sharding: Sharding = None,
    mmap: bool = True,
    max_bytes: int | None = None,
) -> Checkpoint:
    """Opens a checkpoint as a mapping that reads one tensor at a time, when it is asked for.

    Args:
        path: what ``load`` takes.
        device: where the arrays shall lie.
        sharding: in place of ``device``, a sharding for all or a mapping of names to shardings.
        mmap: as in ``load``.
        max_bytes: how much memory one tensor may take, by default 256 MiB beyond four times the file.

    Returns:
        A mapping of names to arrays, for a ``with`` statement, or to be closed. In a nested checkpoint the names are
        paths with dots: ``"model.weight"``.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged, of an unknown kind, or holds what is not read, or ``sharding`` names a tensor that
            is not there.

    Source: https://huggingface.co/docs/safetensors/index

    Example:
        >>> import fnn, os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     fnn.save({"a": fnn.nn.Linear(2, 3).weight}, os.path.join(folder, "a.pt"), format="torch")
        ...     with fnn.open_checkpoint(os.path.join(folder, "a.pt")) as checkpoint:
        ...         list(checkpoint), checkpoint.describe("a").shape, checkpoint["a"].shape
        (['a'], (3, 2), (3, 2))
    """
    path = Path(path)
    _check_most("open_checkpoint", max_bytes)
    with naming("open_checkpoint", path):
        place = Places(device, sharding)
        found = _locate(path)
    checkpoint = Checkpoint("open_checkpoint", found, place, mmap, max_bytes)
    try:
        with naming("open_checkpoint", found):
            place.check(checkpoint)
    except BaseException:
        checkpoint.close()
        raise
    return checkpoint


class Checkpoint(Mapping[str, jax.Array]):
    """An open checkpoint: names to arrays, each read when it is asked for. ``open_checkpoint`` makes it.

    Args:
        function: the name that errors begin with.
        path: a file or an index of parts.
        place: gives for a name where its array shall lie.
        mmap: as in ``load``.
        max_bytes: how much memory one tensor may take.

    Source: https://huggingface.co/docs/safetensors/index
    """

    def __init__(
        self,
        function: str,
        path: Path,
        place: Callable[[str], Any],
        mmap: bool = True,
        max_bytes: int | None = None,
    ) -> None:
        self.path = path
        self._most = max_bytes
        self._function = function
        self._place = place
        self._files: dict[Path, _OneFile] = {}
        self._home: dict[str, _OneFile] = {}
        try:
            if path.suffix == ".json":
                for name, part in _index(function, path).items():
                    if part not in self._files:
                        self._files[part] = _OneFile(function, part, mmap)
                    self._home[name] = self._files[part]
                    if name not in self._files[part].there:
                        raise ValueError(
                            f"{function}: {path}: it says that {part.name} has {name!r}, which is not there"
                        )
            else:
                self._files[path] = _OneFile(function, path, mmap)
                self._home = dict.fromkeys(self._files[path].file.names, self._files[path])
        except BaseException:
            self.close()
            raise

    def __getitem__(self, name: str) -> jax.Array:
        home = self._find(name)
        with naming(self._function, home.path), naming_tensor(name):
            file = home.file
            _check_amount(file.memory(name), home.parts.size, self._most, "it takes")
            return to_device(partial(file.read, name), file.describe(name)[0], self._place(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._home)

    def __len__(self) -> int:
        return len(self._home)

    def __contains__(self, name: object) -> bool:
        return name in self._home

    def describe(self, name: str) -> jax.ShapeDtypeStruct:
        """Shape and dtype of a tensor as the file has it, without reading it.

        Args:
            name: the tensor.

        Returns:
            Its shape and dtype.

        Raises:
            KeyError: if there is no such tensor.
        """
        shape, dtype = self._find(name).file.describe(name)
        return jax.ShapeDtypeStruct(shape, dtype)

    def _find(self, name: str) -> _OneFile:
        if name not in self._home:
            raise KeyError(
                f"{self._function}: {self.path}: no tensor has the name {name!r:.80}; {nearest(name, list(self))}"
            )
        return self._home[name]

    def close(self) -> None:
        """Closes the files; a ``with`` statement does it at its end."""
        for file in self._files.values():
            file.parts.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<checkpoint {str(self.path)!r} of {len(self)} tensors>"


class _OneFile:
    """A file of either kind, as ``Checkpoint`` uses it."""

    def __init__(self, function: str, path: Path, mmap: bool) -> None:
        self.path = path
        with naming(function, path):
            self.parts = FileParts(path)
            try:
                self.file = _open(self.parts, mmap)
            except BaseException:
                self.parts.close()
                raise
        self.there = frozenset(self.file.names)


def _check_most(function: str, max_bytes: int | None) -> None:
    if max_bytes is not None and (isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 0):
        fail(ValueError, function, "max_bytes", "a number of bytes, or None", max_bytes)


def _check_amount(wanted: int, size: int, most: int | None, what: str) -> None:
    """Small files that would blow the memory are refused, so that a file of somebody else can be loaded without fear."""
    if wanted <= (4 * size + _REPEATED if most is None else most):
        return
    if most is not None:
        raise Unfit(f"{what} {wanted} bytes of memory, more than max_bytes={most}")
    raise Unfit(
        f"{what} {wanted} bytes of memory and the file has {size}: it has views that repeat numbers, which JAX writes out; "
        f"where that is meant, max_bytes={wanted} allows it"
    )


def _open(parts: FileParts, mmap: bool) -> SafetensorsFile | TorchFile:
    """The reader for what a file's first bytes say."""
    head = parts.bytes(0, 512)
    if not head:
        raise ValueError("it is empty")
    if len(head) > 8 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] <= parts.size - 8:
        return SafetensorsFile(parts)
    if head[:4] == b"PK\x03\x04" or is_old_torch(head):
        return TorchFile(parts, checked=not mmap)
    if head[257:262] == b"ustar":
        raise ValueError("it is a tar file as torch wrote before version 0.1.10; load it with torch and save it again")
    if head[:6] == b"\x93NUMPY":
        raise ValueError("it is an array of numpy; numpy.load reads it")
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        raise ValueError("it is an HDF5 file; h5py reads it")
    if head[:4] == b"GGUF":
        raise ValueError("it is a GGUF file; the package gguf reads it")
    if head[:1] == b"\x08" and head[2:3] == b"\x12":
        raise ValueError("it looks like an ONNX file; the package onnx reads its initializers")
    if head[:1] == b"\x80" and head[1:2] <= b"\x05":
        raise ValueError("it is a pickle that torch.save did not write; load it with pickle where you trust it")
    if head.startswith(b"version https://git-lfs"):
        raise ValueError("it is a pointer of Git LFS and not the file itself; git lfs pull fetches that")
    raise ValueError("it is no readable safetensors file and no file of torch, or it is truncated")


# Files in parts, and folders


def _index(function: str, path: Path) -> dict[str, Path]:
    with naming(function, path):
        check_regular(path)
        if path.stat().st_size > _LARGEST_INDEX:
            raise ValueError("it is too large for an index")
        try:
            index = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise ValueError(f"it is no readable index of parts: {error}") from None
        weights = index.get("weight_map") if isinstance(index, dict) else None
        if not isinstance(weights, dict):
            raise ValueError("it is no index of parts: it has no weight_map")
        out: dict[str, Path] = {}
        for name, part in weights.items():
            if not isinstance(part, str) or part in ("", ".", "..") or any(c in part for c in "/\\\0:"):
                raise ValueError(f"its part {part!r:.80} is no file name in the same folder")
            if part.endswith(".json"):
                raise ValueError(f"its part {part!r:.80} is an index itself")
            out[name] = path.parent / part
        return out


def _locate(path: Path) -> Path:
    """The path itself, or of a folder the one checkpoint in it."""
    if not path.is_dir():
        if not path.exists():
            raise FileNotFoundError(2, "no such file", str(path))
        return path
    for pattern in (
        "model.safetensors.index.json",
        "*.safetensors.index.json",
        "model.safetensors",
        "*.safetensors",
        "*.bin.index.json",
        "pytorch_model.bin",
        "*.bin",
        "*.pt",
        "*.pth",
        "*.ckpt",
    ):
        found = sorted(p for p in path.glob(pattern) if p.is_file())
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(f"it is a folder with {', '.join(p.name for p in found[:5])}: name one of them")
    raise ValueError("it is a folder without a checkpoint")

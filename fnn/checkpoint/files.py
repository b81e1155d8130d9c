"""Files read piece by piece into memory of our own, and files that appear whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

__all__ = ["FileParts", "Unfit", "check_regular", "copied", "is_unfit", "naming", "naming_tensor", "write_whole"]

# jaxlib takes over a host array that begins at a multiple of this without copying it.
_ALIGNMENT = 64
# New memory costs a fault a page, of 4 KB a hundred thousand for 500 MB, longer than the copy; Linux has pages of this size too.
_HUGE_PAGE = 1 << 21
_PIECE = 1 << 30


class FileParts:
    """A file open for reading, whose parts are read when they are asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        check_regular(path)
        self._file: BinaryIO = open(path, "rb", buffering=0)
        self.size: int = os.fstat(self._file.fileno()).st_size
        self._map: mmap.mmap | None = None
        self._lock = threading.Lock()

    def read(self, offset: int, size: int) -> np.ndarray[Any, Any]:
        """So many bytes from an offset, in new memory that nobody else holds.

        Raises:
            ValueError: if the file ends before.
        """
        self._check(offset, size)
        out = room(size)
        view = out.data
        with self._lock:  # two threads would move the position of one file
            self._file.seek(offset)
            done = 0
            while done < size:
                count = self._file.readinto(view[done : done + _PIECE])  # pyright: ignore[reportAttributeAccessIssue]
                if not count:
                    raise ValueError(f"it became shorter while it was read, than {offset + size} bytes")
                done += count
        return out

    def bytes(self, offset: int, size: int) -> bytes:
        """So many bytes from an offset, for what is small; fewer where the file ends."""
        with self._lock:
            self._file.seek(offset)
            return self._file.read(size)

    def open_again(self) -> BinaryIO:
        """The file as another object, for a library that closes what it is given."""
        return open(self.path, "rb")

    def mapped(self) -> mmap.mmap:
        """The whole file as if it was in memory, for looking into it here and there."""
        if self._map is None:
            self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        return self._map

    def view(self, offset: int, size: int) -> np.ndarray[Any, Any]:
        """So many bytes from an offset, of which only those are read that are looked at.

        Raises:
            ValueError: if the file ends before.
        """
        self._check(offset, size)
        return np.frombuffer(self.mapped(), np.uint8, size, offset)

    def _check(self, offset: int, size: int) -> None:
        if offset < 0 or size < 0 or offset + size > self.size:
            raise ValueError(f"it is truncated: {size} bytes at {offset} of a file of {self.size}")

    def close(self) -> None:
        self._file.close()


def check_regular(path: Path) -> None:
    """Raises ValueError for a pipe or a device, of which reading may never end; a folder is left to ``open``."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise ValueError("it is no regular file but a pipe, a socket or a device; copy what comes of it into a file")


def room(size: int) -> np.ndarray[Any, Any]:
    """New memory for so many bytes, which jaxlib can take over."""
    if size >= _HUGE_PAGE and hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # no such memory any more, or no such pages: then numpy's
            return _huge_room(size)
    out = np.empty(size + _ALIGNMENT, np.uint8)
    start = -out.ctypes.data % _ALIGNMENT
    return out[start : start + size]


def _huge_room(size: int) -> np.ndarray[Any, Any]:
    """Memory on huge pages, but for what is behind the last whole one: so it takes no more than it has bytes."""
    memory = mmap.mmap(-1, size + _HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    out = np.frombuffer(memory, np.uint8)
    start = -out.ctypes.data % _HUGE_PAGE
    memory.madvise(mmap.MADV_HUGEPAGE, start, size // _HUGE_PAGE * _HUGE_PAGE)
    return out[start : start + size]


def copied(array: np.ndarray[Any, Any], dtype: np.dtype[Any] | None = None) -> np.ndarray[Any, Any]:
    """The same numbers in new memory, row by row; with a dtype, rounded to it."""
    kind: np.dtype[Any] = array.dtype if dtype is None else dtype
    out = room(array.size * kind.itemsize).view(kind).reshape(array.shape)
    np.copyto(out, array, casting="unsafe")
    return out


class Unfit(ValueError):
    """A file is whole and does not fit what was asked of it: a sharding, a dtype, an amount of memory.

    Whoever loads sees a plain ValueError that it is the cause of.
    """


def is_unfit(error: BaseException | None) -> bool:
    """Whether an error comes of ``Unfit``: another file would not help."""
    while error is not None and not isinstance(error, Unfit):
        error = error.__cause__
    return error is not None


@contextmanager
def naming(function: str, path: Path) -> Iterator[None]:
    """Every failure inside says which file it was about."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{function}: no such file: {error.filename or path}") from error
    except OSError as error:
        if error.errno is None:
            raise
        raise type(error)(error.errno, f"{function}: {path}: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{function}: {path}: {error}") from error


@contextmanager
def naming_tensor(name: str) -> Iterator[None]:
    """A failure inside says which tensor it was about."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"tensor {name!r}: {error}") from error


def write_whole(path: str | os.PathLike[str], write: Callable[[BinaryIO], None]) -> None:
    """Writes a file in one step: a reader sees the old file or the new one, and after a crash there is one of them.

    It is written under another name in the same folder, forced to the disk and renamed. The new file has the mode of the
    old one, a symbolic link stays and its target is replaced. What a killed process left of the same file is removed.

    Args:
        path: the file.
        write: gets the open temporary file.

    Raises:
        FileNotFoundError: if there is no such folder.
        IsADirectoryError: if the path is a folder.
        OSError: if the file cannot be written, with the file and the reason; the old file is then as it was.
    """
    target = Path(os.path.realpath(path))
    with _naming_writes(target):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        try:
            old = target.stat().st_mode
        except FileNotFoundError:
            old = stat.S_IFREG | 0o666 & ~_umask()
        if not stat.S_ISREG(old):
            raise OSError(errno.EINVAL, "it is no regular file")
        mode = stat.S_IMODE(old)
        # A name of the same length for all, for a file's own name may be as long as names can be.
        prefix = f".fnn-{hashlib.blake2b(os.fsencode(target.name), digest_size=8).hexdigest()}-"
        _remove_leftovers(target.parent, prefix)
        handle, temporary = _locked_temporary(target.parent, prefix)
        try:
            with os.fdopen(handle, "wb") as file:
                write(file)
                file.flush()
                os.fchmod(handle, mode) if hasattr(os, "fchmod") else os.chmod(temporary, mode)
                os.fsync(handle)
                if os.name != "nt":  # there an open file has no other name
                    os.replace(temporary, target)
            if os.name == "nt":
                os.replace(temporary, target)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        _sync_folder(target.parent)


@contextmanager
def _naming_writes(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        reason = error.strerror
        if error.errno == errno.ENOENT and not target.parent.is_dir():
            reason = f"there is no folder {target.parent}"
        elif error.errno == errno.EROFS or (error.errno == errno.EACCES and not os.access(target.parent, os.W_OK)):
            reason = f"{error.strerror}: the folder cannot be written to"
        raise type(error)(error.errno, f"save: {target}: {reason}") from error


def _locked_temporary(folder: Path, prefix: str) -> tuple[int, str]:
    """A new file that this process holds a lock on: by the lock others know that it is no leftover."""
    while True:
        handle, name = tempfile.mkstemp(dir=folder, prefix=prefix, suffix=".tmp")
        if _lock(handle) is not None and os.fstat(handle).st_nlink:
            return handle, name
        os.close(handle)  # another process took it for a leftover before it was locked


def _lock(handle: int) -> bool | None:
    """Whether this process now holds the lock of a file; ``None`` if another does, false if there are no locks here."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    except OSError:
        return False
    return True


def _remove_leftovers(folder: Path, prefix: str) -> None:
    for name in os.listdir(folder):
        if not (name.startswith(prefix) and name.endswith(".tmp")):
            continue
        with suppress(OSError):
            handle = os.open(folder / name, os.O_RDWR)
            try:
                if _lock(handle):
                    os.unlink(folder / name)
            finally:
                os.close(handle)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems have no such thing
            os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

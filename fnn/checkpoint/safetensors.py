"""``save`` and ``load``: a ``state_dict`` as one safetensors file, written so that no half-written file is ever seen."""

from __future__ import annotations

import os
import tempfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

if TYPE_CHECKING:
    from fnn.nn.array_box import Data

__all__ = ["load", "save"]


def _library(function: str) -> Any:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(f'{function}: needs the package safetensors; pip install "fnn[checkpoint]"') from error
    return safetensors


def save(state_dict: Mapping[str, Data], path: str | os.PathLike[str]) -> None:
    """Writes names and arrays to a safetensors file, in one step: a reader sees the old file or the new one.

    Args:
        state_dict: names to arrays (of jax, numpy or torch) or Parameters, such as ``model.state_dict()``.
        path: the file.

    Raises:
        TypeError: if a name is no string or a value no array; nothing is written.
        ImportError: if the package safetensors is missing.

    Example:
        >>> import fnn, os, tempfile
        >>> layer = fnn.nn.Linear(2, 3)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     fnn.save(layer.state_dict(), os.path.join(folder, "layer.safetensors"))
        ...     layer.load_state_dict(fnn.load(os.path.join(folder, "layer.safetensors")))
        <All keys matched successfully>
    """
    library = _library("save")
    # Here, so that ``import fnn; fnn.load`` needs no layers.
    from fnn.nn.array_box import to_array

    if not isinstance(state_dict, Mapping):
        raise TypeError(f"save: state_dict must be a mapping of names to arrays, got {type(state_dict).__name__}")
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for name, value in state_dict.items():
        if not isinstance(name, str):
            raise TypeError(f"save: names must be strings, got {name!r}")
        if not hasattr(value, "shape"):
            raise TypeError(f"save: '{name}' must be an array, got {type(value).__name__}")
        array = to_array(value, f"save: '{name}'")
        arrays[name] = np.ascontiguousarray(array).reshape(array.shape)
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        library.numpy.save_file(arrays, temporary)
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def load(path: str | os.PathLike[str]) -> OrderedDict[str, jax.Array]:
    """Reads a safetensors file as names and arrays, for ``model.load_state_dict``.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no safetensors file.
        ImportError: if the package safetensors is missing.
    """
    library = _library("load")
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"load: no such file: {path}")
    try:
        arrays = library.numpy.load_file(path)
    except library.SafetensorError as error:
        raise ValueError(f"load: {path} is no readable safetensors file: {error}") from error
    return OrderedDict((name, jnp.asarray(array)) for name, array in arrays.items())

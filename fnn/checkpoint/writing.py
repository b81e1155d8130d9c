"""``save``: any nesting of plain containers, values and arrays, in one file that appears whole or not at all."""

from __future__ import annotations

import os
from typing import Any, Literal

from fnn.checkpoint import safetensors, torch_writer
from fnn.checkpoint.files import write_whole
from fnn.functional.checks import fail
from fnn.functional.explained import explained

__all__ = ["save"]


@explained
def save(obj: Any, path: str | os.PathLike[str], *, format: Literal["safetensors", "torch"] | None = None) -> None:
    """Writes a ``state_dict``, or any nesting of dicts, lists, tuples, plain values and arrays, to one file.

    It is written in one step: a reader, or whoever comes after a crash, finds the old file or the new one. The file keeps the
    mode of the one it replaces, and a symbolic link stays one.

    Args:
        obj: names to arrays (of jax, numpy or torch) or Parameters, such as ``model.state_dict()``; or containers with numbers,
            strings, ``None`` and arrays, such as ``{"model": ..., "optimizer": ..., "epoch": 3}``. A NamedTuple, as the state
            of a functional optimizer is, becomes a tuple of the same leaves:
            ``jax.tree.unflatten(jax.tree.structure(state), jax.tree.leaves(loaded))`` is one again.
        path: the file.
        format: ``"safetensors"``: names to arrays give a plain safetensors file, anything else one with its structure in the
            header. ``"torch"``: a file that ``torch.load(weights_only=True)`` reads. By default torch's for a path that ends with
            ``.pt``, ``.pth`` or ``.ckpt``, else safetensors.

    Raises:
        TypeError: if something is in it that a file cannot hold, with its path; nothing is written.
        ValueError: if the format is neither, or the containers lie hundreds deep.
        OSError: if the file cannot be written, with the file and the reason; an old file is as it was.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.save.html

    Example:
        >>> import fnn, os, tempfile
        >>> layer = fnn.nn.Linear(2, 3)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "layer.safetensors")
        ...     fnn.save(layer.state_dict(), path)
        ...     layer.load_state_dict(fnn.load(path))
        <All keys matched successfully>
    """
    if "\0" in os.fspath(path):
        fail(ValueError, "save", "path", "without the character NUL", path)
    if format is None:
        format = "torch" if os.fspath(path).endswith((".pt", ".pth", ".ckpt")) else "safetensors"
    if format not in ("safetensors", "torch"):
        fail(ValueError, "save", "format", "'safetensors', 'torch' or None", format)
    write_whole(path, (safetensors if format == "safetensors" else torch_writer).write(obj))

"""Saving and loading: files of safetensors and of torch, read without running what they hold and written whole."""

from fnn.checkpoint.manager import Manager as Manager
from fnn.checkpoint.names import rename as rename, strip_prefix as strip_prefix
from fnn.checkpoint.reading import Checkpoint as Checkpoint, load as load, open_checkpoint as open_checkpoint
from fnn.checkpoint.store import Saved as Saved
from fnn.checkpoint.writing import save as save
from fnn.stateful.exports import unquote as _unquote

__all__ = ["Checkpoint", "Manager", "Saved", "load", "open_checkpoint", "rename", "save", "strip_prefix"]

_unquote(*(globals()[name] for name in __all__))

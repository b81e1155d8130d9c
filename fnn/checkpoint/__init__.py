"""Saving and loading: files of safetensors and of torch, read without running what they hold and written whole."""

from fnn.checkpoint.names import rename as rename, strip_prefix as strip_prefix
from fnn.checkpoint.reading import Checkpoint as Checkpoint, load as load, open_checkpoint as open_checkpoint
from fnn.checkpoint.writing import save as save

__all__ = ["Checkpoint", "load", "open_checkpoint", "rename", "save", "strip_prefix"]

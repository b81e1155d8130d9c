"""Saving and loading a ``state_dict``."""

from fnn.checkpoint.safetensors import load as load
from fnn.checkpoint.safetensors import save as save

__all__ = ["load", "save"]

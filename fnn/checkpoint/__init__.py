"""Saving and loading a ``state_dict``."""

from fnn.checkpoint.safetensors import load, save

__all__ = ["load", "save"]

"""Saving and loading a ``state_dict``."""

from fnn.checkpoint.safetensors import load as load, save as save

__all__ = ["load", "save"]

"""Attention, in a form chosen by shape."""

from fnn.kernels.attention.blocks import Dropout, attention, attention_reference

__all__ = ["Dropout", "attention", "attention_reference"]

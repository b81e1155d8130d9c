"""Attention, in a form chosen by shape."""

from fnn.kernels.attention.config import Bounds
from fnn.kernels.attention.dropout import Dropout
from fnn.kernels.attention.operations import attention
from fnn.kernels.attention.plain import attention_reference

__all__ = ["Bounds", "Dropout", "attention", "attention_reference"]

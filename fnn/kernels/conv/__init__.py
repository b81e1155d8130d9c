"""Convolutions and transposed convolutions, in a form chosen by shape."""

from fnn.kernels.conv.choice import suits_eigen
from fnn.kernels.conv.config import Bounds, Config
from fnn.kernels.conv.operations import convolve, convolve_transpose

__all__ = ["Bounds", "Config", "convolve", "convolve_transpose", "suits_eigen"]

"""Convolutions and transposed convolutions, in a form chosen by shape."""

from fnn.kernels.conv.operations import Config, convolve, convolve_transpose, suits_library

__all__ = ["Config", "convolve", "convolve_transpose", "suits_library"]

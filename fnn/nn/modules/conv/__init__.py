"""Convolution layers."""

from fnn.nn.modules.conv.convolution import Conv1d as Conv1d
from fnn.nn.modules.conv.convolution import Conv2d as Conv2d
from fnn.nn.modules.conv.convolution import Conv3d as Conv3d
from fnn.nn.modules.conv.convolution import _ConvNd as _ConvNd
from fnn.nn.modules.conv.lazy import LazyConv1d as LazyConv1d
from fnn.nn.modules.conv.lazy import LazyConv2d as LazyConv2d
from fnn.nn.modules.conv.lazy import LazyConv3d as LazyConv3d
from fnn.nn.modules.conv.lazy import LazyConvTranspose1d as LazyConvTranspose1d
from fnn.nn.modules.conv.lazy import LazyConvTranspose2d as LazyConvTranspose2d
from fnn.nn.modules.conv.lazy import LazyConvTranspose3d as LazyConvTranspose3d
from fnn.nn.modules.conv.transposed import ConvTranspose1d as ConvTranspose1d
from fnn.nn.modules.conv.transposed import ConvTranspose2d as ConvTranspose2d
from fnn.nn.modules.conv.transposed import ConvTranspose3d as ConvTranspose3d
from fnn.nn.modules.conv.transposed import _ConvTransposeNd as _ConvTransposeNd

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
]

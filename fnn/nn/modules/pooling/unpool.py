"""Layers that put maxima back where they came from."""

from __future__ import annotations

from collections.abc import Sequence

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import ntuple
from fnn.functional.explained import explained
from fnn.nn.modules.module import Module
from fnn.nn.modules.utils import Sizes

__all__ = ["MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d"]


class _MaxUnpoolNd(Module):
    """The base of the max unpools: the window of the pooling that is undone."""

    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    _dims: int

    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0) -> None:
        super().__init__()
        name = type(self).__name__
        self.kernel_size = ntuple(name, "kernel_size", kernel_size, self._dims, 1)
        self.stride = ntuple(name, "stride", kernel_size if stride is None else stride, self._dims, 1)
        self.padding = ntuple(name, "padding", padding, self._dims, 0)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpoolNd):
    r"""Puts maxima back where ``MaxPool1d`` found them in a sequence, with zeros elsewhere.

    .. math:: y_{c, \mathrm{indices}_{c, l}} = x_{c, l}, \quad 0 \text{ elsewhere}

    Args:
        kernel_size: length of the window of the pooling.
        stride: steps of that window; ``None`` is the kernel size.
        padding: how much the pooling added at both ends.

    Shape:
        - input: (N, C, L) or (C, L).
        - indices: as input, integers.
        - output: (N, C, L_out) or (C, L_out), L_out = (L - 1) stride - 2 padding + kernel_size, or ``output_size``.

    Raises:
        ValueError: if a size is out of range; at the call, if a shape or ``output_size`` does not fit.
        TypeError: if a size is no int; at the call, if ``indices`` are no integers.
        IndexError: at the call, if a concrete position is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.MaxUnpool1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> MaxUnpool1d(2)(jnp.array([[3.0, 2.0]]), jnp.array([[1, 2]])).tolist()
        [[0.0, 3.0, 2.0, 0.0]]
    """

    _dims = 1

    @explained
    def forward(self, input: ArrayLike, indices: ArrayLike, output_size: Sequence[int] | None = None) -> jax.Array:
        """The maxima at their places.

        Args:
            input: the maxima.
            indices: their positions, as ``MaxPool1d`` with ``return_indices`` gives them.
            output_size: the lengths of the output, or its whole shape: of the lengths that the pooling takes to that of
                the input, which differ by less than ``stride``, the one that is meant.

        Returns:
            an array of ``output_size``, zero but for the maxima; NaN in rows where a traced position is out of range.
        """
        return F.max_unpool1d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool2d(_MaxUnpoolNd):
    """Puts maxima back where ``MaxPool2d`` found them in an image, with zeros elsewhere.

    As ``MaxUnpool1d``; positions are counted row by row in each image.

    Args:
        kernel_size: height and width of the window of the pooling: an int for both or a pair, as all sizes here.
        stride: steps of that window; ``None`` is the kernel size.
        padding: how much the pooling added at both ends of each axis.

    Shape:
        - input: (N, C, H, W) or (C, H, W).
        - indices: as input, integers.
        - output: (N, C, H_out, W_out) or (C, H_out, W_out), each length as L_out of ``MaxUnpool1d``, or
          ``output_size``.

    Raises:
        ValueError: if a size is out of range; at the call, if a shape or ``output_size`` does not fit.
        TypeError: if a size is no int; at the call, if ``indices`` are no integers.
        IndexError: at the call, if a concrete position is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.MaxUnpool2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> MaxUnpool2d(2)(jnp.array([[[3.0]]]), jnp.array([[[1]]])).tolist()
        [[[0.0, 3.0], [0.0, 0.0]]]
    """

    _dims = 2

    @explained
    def forward(self, input: ArrayLike, indices: ArrayLike, output_size: Sequence[int] | None = None) -> jax.Array:
        """The maxima at their places.

        Args:
            input: the maxima.
            indices: their positions, as ``MaxPool2d`` with ``return_indices`` gives them.
            output_size: the lengths of the output, or its whole shape: of the lengths that the pooling takes to that of
                the input, which differ by less than ``stride``, the one that is meant.

        Returns:
            an array of ``output_size``, zero but for the maxima; NaN in rows where a traced position is out of range.
        """
        return F.max_unpool2d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool3d(_MaxUnpoolNd):
    """Puts maxima back where ``MaxPool3d`` found them in a volume, with zeros elsewhere.

    As ``MaxUnpool1d``; positions are counted row by row in each volume.

    Args:
        kernel_size: depth, height and width of the window of the pooling: an int for all or three, as all sizes here.
        stride: steps of that window; ``None`` is the kernel size.
        padding: how much the pooling added at both ends of each axis.

    Shape:
        - input: (N, C, D, H, W) or (C, D, H, W).
        - indices: as input, integers.
        - output: (N, C, D_out, H_out, W_out) or (C, D_out, H_out, W_out), each length as L_out of ``MaxUnpool1d``, or
          ``output_size``.

    Raises:
        ValueError: if a size is out of range; at the call, if a shape or ``output_size`` does not fit.
        TypeError: if a size is no int; at the call, if ``indices`` are no integers.
        IndexError: at the call, if a concrete position is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.MaxUnpool3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> MaxUnpool3d(2)(jnp.array([[[[7.0]]]]), jnp.array([[[[7]]]])).tolist()
        [[[[0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 7.0]]]]
    """

    _dims = 3

    @explained
    def forward(self, input: ArrayLike, indices: ArrayLike, output_size: Sequence[int] | None = None) -> jax.Array:
        """The maxima at their places.

        Args:
            input: the maxima.
            indices: their positions, as ``MaxPool3d`` with ``return_indices`` gives them.
            output_size: the lengths of the output, or its whole shape: of the lengths that the pooling takes to that of
                the input, which differ by less than ``stride``, the one that is meant.

        Returns:
            an array of ``output_size``, zero but for the maxima; NaN in rows where a traced position is out of range.
        """
        return F.max_unpool3d(input, indices, self.kernel_size, self.stride, self.padding, output_size)

"""Sliding windows of images as columns, and back."""

from __future__ import annotations

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.module import Module
from fnn.nn.modules.utils import Sizes

__all__ = ["Fold", "Unfold"]


class Unfold(Module):
    """Sliding blocks of an image as columns (im2col).

    Args:
        kernel_size: height and width of a block: an int for both or a pair, as all sizes here.
        dilation: distance between neighbouring elements of a block; 1 leaves no gaps.
        padding: zeros added to the image at both ends of each axis.
        stride: steps between neighbouring blocks.

    Shape:
        - input: (N, C, H, W) or (C, H, W).
        - output: (N, C * kernel_size[0] * kernel_size[1], L) or without N, a column a block, row by row, where
          L = prod_d floor((size_d + 2 padding_d - dilation_d (kernel_size_d - 1) - 1) / stride_d) + 1, where size
          is (H, W) and d = 0, 1.

    Raises:
        ValueError: at the call, if a size is out of range or no block fits.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Unfold.html

    Example:
        >>> import jax.numpy as jnp
        >>> Unfold(2)(jnp.arange(6.0).reshape(1, 1, 2, 3)).tolist()
        [[[0.0, 1.0], [1.0, 2.0], [3.0, 4.0], [4.0, 5.0]]]
    """

    def __init__(self, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: ArrayLike) -> jax.Array:
        """The blocks of the input."""
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Fold(Module):
    """Adds columns of sliding blocks up to an image (col2im); where blocks overlap, their elements are summed.

    Args:
        output_size: height and width of the image.
        kernel_size: height and width of a block: an int for both or a pair, as all sizes here.
        dilation: distance between neighbouring elements of a block; 1 leaves no gaps.
        padding: zeros that the image was padded with at both ends of each axis.
        stride: steps between neighbouring blocks.

    Shape:
        - input: (N, C * kernel_size[0] * kernel_size[1], L) or without N, a column a block, row by row, where
          L = prod_d floor((size_d + 2 padding_d - dilation_d (kernel_size_d - 1) - 1) / stride_d) + 1, where size
          is ``output_size`` and d = 0, 1.
        - output: (N, C, output_size[0], output_size[1]) or without N.

    Raises:
        ValueError: at the call, if a size is out of range or the input has not as many rows or columns as follow from
            them.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Fold.html

    Example:
        >>> import jax.numpy as jnp
        >>> Fold((2, 3), 2)(jnp.ones((1, 4, 2))).tolist()
        [[[[1.0, 2.0, 1.0], [1.0, 2.0, 1.0]]]]
    """

    def __init__(
        self, output_size: Sizes, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: ArrayLike) -> jax.Array:
        """The image that the columns add up to."""
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, stride={self.stride}"
        )

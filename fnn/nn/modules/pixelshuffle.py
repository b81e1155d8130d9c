"""Layers that move channels into space and back."""

from __future__ import annotations

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.module import Module

__all__ = ["PixelShuffle", "PixelUnshuffle"]


class PixelShuffle(Module):
    r"""Turns groups of channels into blocks of pixels, which makes an image larger.

    .. math:: y_{c, h r + i, w r + j} = x_{c r^2 + i r + j, h, w}, \quad 0 \le i, j < r

    Args:
        upscale_factor: :math:`r`, by how much height and width grow.

    Shape:
        - input: (*, C r^2, H, W).
        - output: (*, C, H r, W r).

    Raises:
        ValueError: at the call, if r is not positive or r^2 does not divide the channels.

    Source: Shi et al., Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional
    Neural Network, 2016; https://docs.pytorch.org/docs/2.13/generated/torch.nn.PixelShuffle.html

    Example:
        >>> import jax.numpy as jnp
        >>> PixelShuffle(2)(jnp.arange(4).reshape(1, 4, 1, 1)).tolist()
        [[[[0, 1], [2, 3]]]]
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: ArrayLike) -> jax.Array:
        """The input with channels as pixels."""
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    r"""Turns blocks of pixels into groups of channels: the inverse of ``PixelShuffle``.

    .. math:: y_{c r^2 + i r + j, h, w} = x_{c, h r + i, w r + j}, \quad 0 \le i, j < r

    Args:
        downscale_factor: :math:`r`, by how much height and width shrink.

    Shape:
        - input: (*, C, H r, W r).
        - output: (*, C r^2, H, W).

    Raises:
        ValueError: at the call, if r is not positive or does not divide height and width.

    Source: Shi et al., Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional
    Neural Network, 2016; https://docs.pytorch.org/docs/2.13/generated/torch.nn.PixelUnshuffle.html

    Example:
        >>> import jax.numpy as jnp
        >>> PixelUnshuffle(2)(jnp.arange(4).reshape(1, 1, 2, 2)).ravel().tolist()
        [0, 1, 2, 3]
    """

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: ArrayLike) -> jax.Array:
        """The input with pixels as channels."""
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"

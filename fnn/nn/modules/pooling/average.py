"""Average pooling layers."""

from __future__ import annotations

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import ntuple
from fnn.nn.modules.module import Module
from fnn.nn.modules.utils import Sizes

__all__ = ["AvgPool1d", "AvgPool2d", "AvgPool3d"]


class AvgPool1d(Module):
    """The mean of each window of (N, C, L) or (C, L).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.AvgPool1d.html.

    Args:
        kernel_size: length of the window.
        stride: steps of the window; ``None`` is the kernel size.
        padding: zeros added at both ends.
        ceil_mode: whether to round the output's length up.
        count_include_pad: whether padding counts as elements of the mean.

    Example:
        >>> import jax.numpy as jnp
        >>> AvgPool1d(2)(jnp.ones((1, 3, 8))).shape
        (1, 3, 4)
    """

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.kernel_size = ntuple(name, "kernel_size", kernel_size, 1, 1)
        self.stride = ntuple(name, "stride", kernel_size if stride is None else stride, 1, 1)
        self.padding = ntuple(name, "padding", padding, 1, 0)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: ArrayLike) -> jax.Array:
        """Pools the input."""
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPoolNd(Module):
    """What the 2-D and 3-D average pools share.

    Args:
        kernel_size: lengths of the window.
        stride: steps of the window; ``None`` is the kernel size.
        padding: zeros added on both sides.
        ceil_mode: whether to round the output's lengths up.
        count_include_pad: whether padding counts as elements of the mean.
        divisor_override: divisor used instead of the number of elements.
    """

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_AvgPoolNd):
    """The mean of each window of (N, C, H, W) or (C, H, W).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.AvgPool2d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> AvgPool2d(2)(jnp.ones((1, 3, 8, 8))).shape
        (1, 3, 4, 4)
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Pools the input."""
        return F.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class AvgPool3d(_AvgPoolNd):
    """The mean of each window of (N, C, D, H, W) or (C, D, H, W).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.AvgPool3d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> AvgPool3d(2)(jnp.ones((1, 3, 8, 8, 8))).shape
        (1, 3, 4, 4, 4)
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Pools the input."""
        return F.avg_pool3d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

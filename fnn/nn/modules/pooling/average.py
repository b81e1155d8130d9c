"""Average pooling layers."""

from __future__ import annotations

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import ntuple
from fnn.nn.modules.module import Module
from fnn.nn.modules.utils import Sizes

__all__ = ["AvgPool1d", "AvgPool2d", "AvgPool3d"]


class _AvgPoolNd(Module):
    """The base of the average pools: how they show themselves."""

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPoolNd):
    r"""Mean of each window of a sequence.

    .. math:: y_{c, l} = \frac{1}{K} \sum_{0 \le k < K} x_{c,\, l s + k - p}

    with window length K, stride s and padding p.

    Args:
        kernel_size: length of the window.
        stride: steps of the window; ``None`` is the kernel size, so that windows do not overlap.
        padding: how many zeros are added at both ends; at most half the window.
        ceil_mode: whether a last window may hang over the end, so that the output is longer.
        count_include_pad: whether the zeros added count as elements of the mean.

    Shape:
        - input: (N, C, L) or (C, L).
        - output: (N, C, L_out) or (C, L_out), L_out = floor((L + 2 padding - kernel_size) / stride) + 1;
          with ``ceil_mode`` rounded up, except that a window that would begin beyond the end of the input is left out.

    Raises:
        ValueError: if a size is out of range; at the call, if the rank does not fit.
        TypeError: if a size is no int; at the call, if the input is not floating.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.AvgPool1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> AvgPool1d(2)(jnp.array([[1.0, 3.0, 2.0, 0.0]])).tolist()
        [[2.0, 1.0]]
    """

    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]

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
        """The means."""
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class AvgPool2d(_AvgPoolNd):
    """Mean of each window of an image.

    As ``AvgPool1d`` along two axes.

    Args:
        kernel_size: height and width of the window: an int for both or a pair, as all sizes here.
        stride: steps of the window; ``None`` is the kernel size, so that windows do not overlap.
        padding: how many zeros are added at both ends of each axis; at most half the window.
        ceil_mode: whether a last window may hang over the end, so that the output is longer.
        count_include_pad: whether the zeros added count as elements of the mean.
        divisor_override: what the sum of a window is divided by, in place of its number of elements.

    Shape:
        - input: (N, C, H, W) or (C, H, W).
        - output: (N, C, H_out, W_out) or (C, H_out, W_out), H_out = floor((H + 2 padding[0] - kernel_size[0]) /
          stride[0]) + 1 and W_out alike;
          with ``ceil_mode`` rounded up, except that a window that would begin beyond the end of the input is left out.

    Raises:
        ValueError: at the call, if a size is out of range or the rank does not fit.
        TypeError: at the call, if a size is no int or the input is not floating.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.AvgPool2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> AvgPool2d((1, 2))(jnp.array([[[1.0, 3.0], [2.0, 6.0]]])).tolist()
        [[[2.0], [4.0]]]
    """

    stride: Sizes

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

    def forward(self, input: ArrayLike) -> jax.Array:
        """The means."""
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
    """Mean of each window of a volume.

    As ``AvgPool1d`` along three axes.

    Args:
        kernel_size: depth, height and width of the window: an int for all or three, as all sizes here.
        stride: steps of the window; ``None`` is the kernel size, so that windows do not overlap.
        padding: how many zeros are added at both ends of each axis; at most half the window.
        ceil_mode: whether a last window may hang over the end, so that the output is longer.
        count_include_pad: whether the zeros added count as elements of the mean.
        divisor_override: what the sum of a window is divided by, in place of its number of elements.

    Shape:
        - input: (N, C, D, H, W) or (C, D, H, W).
        - output: (N, C, D_out, H_out, W_out) or (C, D_out, H_out, W_out), D_out, H_out and W_out as L_out of
          ``AvgPool1d``, each with its own number.

    Raises:
        ValueError: at the call, if a size is out of range or the rank does not fit.
        TypeError: at the call, if a size is no int or the input is not floating.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.AvgPool3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> AvgPool3d(2)(jnp.arange(8.0).reshape(1, 2, 2, 2)).tolist()
        [[[[3.5]]]]
    """

    stride: Sizes

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

    def forward(self, input: ArrayLike) -> jax.Array:
        """The means."""
        return F.avg_pool3d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

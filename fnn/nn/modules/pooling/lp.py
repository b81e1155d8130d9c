"""Power-average pooling layers."""

from __future__ import annotations

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.module import Module
from fnn.nn.modules.utils import Sizes

__all__ = ["LPPool1d", "LPPool2d", "LPPool3d"]


class _LPPoolNd(Module):
    """The base of the power-average pools: exponent and window."""

    def __init__(
        self, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPoolNd):
    r"""Power average of each window of a sequence: its p-norm, but for the absolute values.

    .. math:: y_{c, l} = \Big(\sum_{0 \le k < K} x_{c,\, l s + k}^p\Big)^{1 / p}

    with window length K and stride s: the sum for p = 1, in the limit of large p the maximum. Where the sum is 0 the
    gradient is 0.

    Args:
        norm_type: the exponent p, not 0.
        kernel_size: length of the window.
        stride: steps of the window; ``None`` is the kernel size, so that windows do not overlap.
        ceil_mode: whether a last window may hang over the end, so that the output is longer.

    Shape:
        - input: (N, C, L) or (C, L).
        - output: (N, C, L_out) or (C, L_out), L_out = floor((L - kernel_size) / stride) + 1;
          with ``ceil_mode`` rounded up, except that a window that would begin beyond the end of the input is left out.

    Raises:
        ValueError: at the call, if a size or ``norm_type`` is out of range or the rank does not fit.
        TypeError: at the call, if a size is no int or the input is not floating.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.LPPool1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> LPPool1d(2, 2)(jnp.array([[3.0, 4.0]])).tolist()
        [[5.0]]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """The power averages."""
        return F.lp_pool1d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class LPPool2d(_LPPoolNd):
    """Power average of each window of an image: its p-norm, but for the absolute values.

    As ``LPPool1d`` along two axes.

    Args:
        norm_type: the exponent p, not 0.
        kernel_size: height and width of the window: an int for both or a pair, as all sizes here.
        stride: steps of the window; ``None`` is the kernel size, so that windows do not overlap.
        ceil_mode: whether a last window may hang over the end, so that the output is longer.

    Shape:
        - input: (N, C, H, W) or (C, H, W).
        - output: (N, C, H_out, W_out) or (C, H_out, W_out), H_out = floor((H - kernel_size[0]) / stride[0]) + 1 and
          W_out alike;
          with ``ceil_mode`` rounded up, except that a window that would begin beyond the end of the input is left out.

    Raises:
        ValueError: at the call, if a size or ``norm_type`` is out of range or the rank does not fit.
        TypeError: at the call, if a size is no int or the input is not floating.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.LPPool2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> LPPool2d(1, 2)(jnp.array([[[1.0, 2.0], [3.0, 4.0]]])).tolist()
        [[[10.0]]]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """The power averages."""
        return F.lp_pool2d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class LPPool3d(_LPPoolNd):
    """Power average of each window of a volume: its p-norm, but for the absolute values.

    As ``LPPool1d`` along three axes.

    Args:
        norm_type: the exponent p, not 0.
        kernel_size: depth, height and width of the window: an int for all or three, as all sizes here.
        stride: steps of the window; ``None`` is the kernel size, so that windows do not overlap.
        ceil_mode: whether a last window may hang over the end, so that the output is longer.

    Shape:
        - input: (N, C, D, H, W) or (C, D, H, W).
        - output: (N, C, D_out, H_out, W_out) or (C, D_out, H_out, W_out), D_out, H_out and W_out as L_out of
          ``LPPool1d``, each with its own number.

    Raises:
        ValueError: at the call, if a size or ``norm_type`` is out of range or the rank does not fit.
        TypeError: at the call, if a size is no int or the input is not floating.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.LPPool3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> LPPool3d(1, 2)(jnp.ones((1, 2, 2, 2))).tolist()
        [[[[8.0]]]]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """The power averages."""
        return F.lp_pool3d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

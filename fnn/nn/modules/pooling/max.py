"""Max pooling layers."""

from __future__ import annotations

from typing import Any

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.module import Module
from fnn.nn.modules.utils import Sizes

__all__ = ["MaxPool1d", "MaxPool2d", "MaxPool3d"]


class _MaxPoolNd(Module):
    """What the max pools share.

    Args:
        kernel_size: lengths of the window.
        stride: steps of the window; ``None`` is the kernel size.
        padding: implicit -inf added on both sides.
        dilation: distance between the window's elements.
        return_indices: whether to return the places of the maxima too.
        ceil_mode: whether to round the output's lengths up.
    """

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPoolNd):
    """The maximum of each window of (N, C, L) or (C, L); arguments as torch's.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.MaxPool1d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> MaxPool1d(2)(jnp.ones((1, 3, 8))).shape
        (1, 3, 4)
    """

    def forward(self, input: ArrayLike) -> Any:
        """Pools the input; with ``return_indices`` returns ``(output, indices)``."""
        return F.max_pool1d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )


class MaxPool2d(_MaxPoolNd):
    """The maximum of each window of (N, C, H, W) or (C, H, W); arguments as torch's.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.MaxPool2d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> MaxPool2d(2)(jnp.ones((1, 3, 8, 8))).shape
        (1, 3, 4, 4)
    """

    def forward(self, input: ArrayLike) -> Any:
        """Pools the input; with ``return_indices`` returns ``(output, indices)``."""
        return F.max_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )


class MaxPool3d(_MaxPoolNd):
    """The maximum of each window of (N, C, D, H, W) or (C, D, H, W); arguments as torch's.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.MaxPool3d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> MaxPool3d(2)(jnp.ones((1, 3, 8, 8, 8))).shape
        (1, 3, 4, 4, 4)
    """

    def forward(self, input: ArrayLike) -> Any:
        """Pools the input; with ``return_indices`` returns ``(output, indices)``."""
        return F.max_pool3d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )

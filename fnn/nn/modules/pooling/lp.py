"""Power-average pooling layers."""

from __future__ import annotations

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.module import Module
from fnn.nn.modules.utils import Sizes

__all__ = ["LPPool1d", "LPPool2d", "LPPool3d"]


class _LPPoolNd(Module):
    """What the power-average pools share.

    Args:
        norm_type: the exponent p.
        kernel_size: lengths of the window.
        stride: steps of the window; ``None`` is the kernel size.
        ceil_mode: whether to round the output's lengths up.
    """

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
    """The p-norm of each window: (sum x^p)^(1/p).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LPPool1d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> LPPool1d(2, 2)(jnp.ones((1, 3, 8))).shape
        (1, 3, 4)
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Pools the input."""
        return F.lp_pool1d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class LPPool2d(_LPPoolNd):
    """The p-norm of each window: (sum x^p)^(1/p).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LPPool2d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> LPPool2d(2, 2)(jnp.ones((1, 3, 8, 8))).shape
        (1, 3, 4, 4)
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Pools the input."""
        return F.lp_pool2d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class LPPool3d(_LPPoolNd):
    """The p-norm of each window: (sum x^p)^(1/p).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LPPool3d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> LPPool3d(2, 2)(jnp.ones((1, 3, 8, 8, 8))).shape
        (1, 3, 4, 4, 4)
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Pools the input."""
        return F.lp_pool3d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

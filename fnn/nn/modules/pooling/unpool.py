"""Layers that put maxima back where they came from."""

from __future__ import annotations

from collections.abc import Sequence

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import ntuple
from fnn.nn.modules.module import Module
from fnn.nn.modules.utils import Sizes

__all__ = ["MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d"]


class _MaxUnpoolNd(Module):
    """What the max unpools share: the window of the pooling that is undone."""

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
    """Puts the maxima that ``MaxPool1d`` found back to their places, with zeros elsewhere.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.MaxUnpool1d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> out, indices = MaxPool1d(2, return_indices=True)(jnp.ones((1, 1, 4)))
        >>> MaxUnpool1d(2)(out, indices).shape
        (1, 1, 4)
    """

    _dims = 1

    def forward(self, input: ArrayLike, indices: ArrayLike, output_size: Sequence[int] | None = None) -> jax.Array:
        """Places the values; ``output_size`` chooses among the possible lengths."""
        return F.max_unpool1d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool2d(_MaxUnpoolNd):
    """Puts the maxima that ``MaxPool2d`` found back to their places, with zeros elsewhere.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.MaxUnpool2d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> out, indices = MaxPool2d(2, return_indices=True)(jnp.ones((1, 1, 4, 4)))
        >>> MaxUnpool2d(2)(out, indices).shape
        (1, 1, 4, 4)
    """

    _dims = 2

    def forward(self, input: ArrayLike, indices: ArrayLike, output_size: Sequence[int] | None = None) -> jax.Array:
        """Places the values; ``output_size`` chooses among the possible lengths."""
        return F.max_unpool2d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool3d(_MaxUnpoolNd):
    """Puts the maxima that ``MaxPool3d`` found back to their places, with zeros elsewhere.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.MaxUnpool3d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> out, indices = MaxPool3d(2, return_indices=True)(jnp.ones((1, 1, 4, 4, 4)))
        >>> MaxUnpool3d(2)(out, indices).shape
        (1, 1, 4, 4, 4)
    """

    _dims = 3

    def forward(self, input: ArrayLike, indices: ArrayLike, output_size: Sequence[int] | None = None) -> jax.Array:
        """Places the values; ``output_size`` chooses among the possible lengths."""
        return F.max_unpool3d(input, indices, self.kernel_size, self.stride, self.padding, output_size)

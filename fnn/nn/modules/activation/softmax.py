"""Softmax layers."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.module import Module

__all__ = ["LogSoftmax", "Softmax", "Softmax2d", "Softmin"]


class Softmin(Module):
    """softmax(-x) along ``dim``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Softmin.html.

    Example:
        >>> import numpy as np
        >>> Softmin(dim=0)(np.array([1.0, 1.0])).tolist()
        [0.5, 0.5]
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function along the axis."""
        return F.softmin(input, self.dim, _stacklevel=5)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(Module):
    """exp(x_i) / sum_j exp(x_j) along ``dim``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Softmax.html.

    Example:
        >>> import numpy as np
        >>> Softmax(dim=0)(np.array([1.0, 1.0])).tolist()
        [0.5, 0.5]
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function along the axis."""
        return F.softmax(input, self.dim, _stacklevel=5)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax2d(Module):
    """Softmax over the channels of (N, C, H, W) or (C, H, W).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Softmax2d.html.

    Raises:
        ValueError: if the input is neither 3-D nor 4-D.

    Example:
        >>> import numpy as np
        >>> Softmax2d()(np.ones((2, 1, 1))).tolist()
        [[[0.5]], [[0.5]]]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies softmax to axis -3."""
        if jnp.ndim(input) not in (3, 4):
            raise ValueError(f"Softmax2d: input must be 3-D or 4-D, got shape {jnp.shape(input)}")
        return F.softmax(input, -3, _stacklevel=5)


class LogSoftmax(Module):
    """log(softmax(x)) along ``dim``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LogSoftmax.html.

    Example:
        >>> import numpy as np
        >>> round(float(LogSoftmax(dim=0)(np.array([1.0, 1.0]))[0]), 4)
        -0.6931
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function along the axis."""
        return F.log_softmax(input, self.dim, _stacklevel=5)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"

"""Softmax layers."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.activation.base import _AlongAxis
from fnn.nn.modules.module import Module

__all__ = ["LogSoftmax", "Softmax", "Softmax2d", "Softmin"]


class Softmin(_AlongAxis):
    r"""Positive numbers of sum 1 along an axis, the largest where the input is smallest.

    .. math:: y_i = \frac{e^{-x_i}}{\sum_j e^{-x_j}}

    Args:
        dim: the axis; ``None`` takes one by the rank as torch does, 0 for 0-D, 1-D and 3-D, else 1, with a warning.

    Shape:
        - input, output: (*), alike.

    Raises:
        TypeError: at the call, if the input is not floating.
        IndexError: at the call, if there is no axis ``dim``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Softmin.html

    Example:
        >>> import numpy as np
        >>> Softmin(dim=0)(np.array([1.0, 1.0])).tolist()
        [0.5, 0.5]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function along the axis."""
        return F.softmin(input, self.dim)


class Softmax(_AlongAxis):
    r"""Positive numbers of sum 1 along an axis, the largest where the input is largest.

    .. math:: y_i = \frac{e^{x_i}}{\sum_j e^{x_j}}

    Args:
        dim: the axis; ``None`` takes one by the rank as torch does, 0 for 0-D, 1-D and 3-D, else 1, with a warning.

    Shape:
        - input, output: (*), alike.

    Raises:
        TypeError: at the call, if the input is not floating.
        IndexError: at the call, if there is no axis ``dim``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Softmax.html

    Example:
        >>> import numpy as np
        >>> Softmax(dim=0)(np.array([1.0, 1.0])).tolist()
        [0.5, 0.5]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function along the axis."""
        return F.softmax(input, self.dim)


class Softmax2d(Module):
    r"""Softmax over the channels, at each place of an image.

    .. math:: y_{c h w} = \frac{e^{x_{c h w}}}{\sum_k e^{x_{k h w}}}

    Shape:
        - input, output: (N, C, H, W) or (C, H, W), alike.

    Raises:
        ValueError: at the call, if the input is neither 3-D nor 4-D.
        TypeError: at the call, if the input is not floating.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Softmax2d.html

    Example:
        >>> import numpy as np
        >>> Softmax2d()(np.ones((2, 1, 1))).tolist()
        [[[0.5]], [[0.5]]]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies softmax to axis -3."""
        if jnp.ndim(input) not in (3, 4):
            raise ValueError(f"Softmax2d: input must be 3-D or 4-D, got shape {jnp.shape(input)}")
        return F.softmax(input, -3)


class LogSoftmax(_AlongAxis):
    r"""Logarithm of the softmax along an axis, without overflow.

    .. math:: y_i = x_i - \log \sum_j e^{x_j}

    Args:
        dim: the axis; ``None`` takes one by the rank as torch does, 0 for 0-D, 1-D and 3-D, else 1, with a warning.

    Shape:
        - input, output: (*), alike.

    Raises:
        TypeError: at the call, if the input is not floating.
        IndexError: at the call, if there is no axis ``dim``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.LogSoftmax.html

    Example:
        >>> import numpy as np
        >>> round(float(LogSoftmax(dim=0)(np.array([1.0, 1.0]))[0]), 4)
        -0.6931
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function along the axis."""
        return F.log_softmax(input, self.dim)

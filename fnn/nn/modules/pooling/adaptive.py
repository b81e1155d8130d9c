"""Pooling layers of a given output size."""

from __future__ import annotations

from typing import Any

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.module import Module

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
]


class _AdaptiveMaxPoolNd(Module):
    """What the adaptive max pools share.

    Args:
        output_size: lengths of the output; ``None`` keeps the input's.
        return_indices: whether to return the places of the maxima too.
    """

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class _AdaptiveAvgPoolNd(Module):
    """What the adaptive average pools share.

    Args:
        output_size: lengths of the output; ``None`` keeps the input's.
    """

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPoolNd):
    """The maximum of windows chosen so that the output has the given lengths.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.AdaptiveMaxPool1d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> AdaptiveMaxPool1d(3)(jnp.ones((1, 3, 8))).shape
        (1, 3, 3)
    """

    def forward(self, input: ArrayLike) -> Any:
        """Pools the input; with ``return_indices`` returns ``(output, indices)``."""
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(_AdaptiveMaxPoolNd):
    """The maximum of windows chosen so that the output has the given lengths.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.AdaptiveMaxPool2d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> AdaptiveMaxPool2d(3)(jnp.ones((1, 3, 8, 8))).shape
        (1, 3, 3, 3)
    """

    def forward(self, input: ArrayLike) -> Any:
        """Pools the input; with ``return_indices`` returns ``(output, indices)``."""
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool3d(_AdaptiveMaxPoolNd):
    """The maximum of windows chosen so that the output has the given lengths.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.AdaptiveMaxPool3d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> AdaptiveMaxPool3d(3)(jnp.ones((1, 3, 8, 8, 8))).shape
        (1, 3, 3, 3, 3)
    """

    def forward(self, input: ArrayLike) -> Any:
        """Pools the input; with ``return_indices`` returns ``(output, indices)``."""
        return F.adaptive_max_pool3d(input, self.output_size, self.return_indices)


class AdaptiveAvgPool1d(_AdaptiveAvgPoolNd):
    """The mean of windows chosen so that the output has the given lengths.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.AdaptiveAvgPool1d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> AdaptiveAvgPool1d(3)(jnp.ones((1, 3, 8))).shape
        (1, 3, 3)
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Pools the input."""
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_AdaptiveAvgPoolNd):
    """The mean of windows chosen so that the output has the given lengths.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.AdaptiveAvgPool2d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> AdaptiveAvgPool2d(3)(jnp.ones((1, 3, 8, 8))).shape
        (1, 3, 3, 3)
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Pools the input."""
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool3d(_AdaptiveAvgPoolNd):
    """The mean of windows chosen so that the output has the given lengths.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.AdaptiveAvgPool3d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> AdaptiveAvgPool3d(3)(jnp.ones((1, 3, 8, 8, 8))).shape
        (1, 3, 3, 3, 3)
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Pools the input."""
        return F.adaptive_avg_pool3d(input, self.output_size)

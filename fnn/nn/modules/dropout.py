"""Dropout layers."""

from __future__ import annotations

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.module import Module

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]


class _DropoutNd(Module):
    """What the dropout layers share.

    Args:
        p: probability that an element (or channel) is dropped.
        inplace: accepted and ignored.

    Raises:
        ValueError: if ``p`` is not in [0, 1].
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__}: p must be between 0 and 1, got {p}")
        self.p = p
        self.inplace = inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_DropoutNd):
    """In training mode, sets elements to zero with probability ``p`` and scales the others by 1/(1-p).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Dropout.html.

    Example:
        >>> import jax.numpy as jnp
        >>> Dropout(0.2).eval()(jnp.ones(2)).tolist()
        [1.0, 1.0]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """The input with elements dropped."""
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_DropoutNd):
    """In training mode, drops whole channels of (N, C, L) or (C, L).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Dropout1d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> Dropout1d().eval()(jnp.ones((1, 2, 3))).shape
        (1, 2, 3)
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """The input with channels dropped."""
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_DropoutNd):
    """In training mode, drops whole channels of (N, C, H, W) or (C, H, W).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Dropout2d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> Dropout2d().eval()(jnp.ones((1, 2, 3, 3))).shape
        (1, 2, 3, 3)
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """The input with channels dropped."""
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_DropoutNd):
    """In training mode, drops whole channels of (N, C, D, H, W) or (C, D, H, W).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Dropout3d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> Dropout3d().eval()(jnp.ones((1, 2, 3, 3, 3))).shape
        (1, 2, 3, 3, 3)
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """The input with channels dropped."""
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_DropoutNd):
    """Dropout that keeps mean 0 and variance 1, for SELU networks (Klambauer et al., 2017).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.AlphaDropout.html.

    Example:
        >>> import jax.numpy as jnp
        >>> AlphaDropout().eval()(jnp.ones(2)).tolist()
        [1.0, 1.0]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """The input with elements dropped."""
        return F.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(_DropoutNd):
    """``AlphaDropout`` of whole channels.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.FeatureAlphaDropout.html.

    Example:
        >>> import jax.numpy as jnp
        >>> FeatureAlphaDropout().eval()(jnp.ones((1, 2, 3))).shape
        (1, 2, 3)
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """The input with channels dropped."""
        return F.feature_alpha_dropout(input, self.p, self.training)

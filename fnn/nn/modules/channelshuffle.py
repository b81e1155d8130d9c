"""A layer that mixes groups of channels."""

from __future__ import annotations

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.module import Module

__all__ = ["ChannelShuffle"]


class ChannelShuffle(Module):
    """Interleaves ``groups`` groups of channels (Zhang et al., 2017).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.ChannelShuffle.html.

    Example:
        >>> import numpy as np
        >>> ChannelShuffle(2)(np.ones((1, 4, 2, 2))).shape
        (1, 4, 2, 2)
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: ArrayLike) -> jax.Array:
        """The rearranged input."""
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"

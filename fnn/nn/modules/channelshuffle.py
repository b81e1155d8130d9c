"""A layer that mixes groups of channels."""

from __future__ import annotations

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.module import Module

__all__ = ["ChannelShuffle"]


class ChannelShuffle(Module):
    r"""Interleaves groups of channels, so that the next grouped convolution sees some of each group.

    .. math:: y_{i g + j} = x_{j (C / g) + i}, \quad 0 \le i < C / g, \; 0 \le j < g

    Args:
        groups: :math:`g`, number of groups; divides the number of channels.

    Shape:
        - input, output: (N, C, *), alike.

    Raises:
        ValueError: at the call, if ``groups`` is not positive or does not divide the channels.

    Source: Zhang et al., ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices, 2017;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.ChannelShuffle.html

    Example:
        >>> import jax.numpy as jnp
        >>> ChannelShuffle(2)(jnp.arange(4).reshape(1, 4, 1, 1)).ravel().tolist()
        [0, 2, 1, 3]
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: ArrayLike) -> jax.Array:
        """The input with its channels in another order."""
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"

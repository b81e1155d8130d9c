"""Interleaving of groups of channels."""

from __future__ import annotations

from functools import partial

import jax

from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import (
    as_int,
    fail,
)
from fnn.functional.explained import explained
from fnn.functional.vision.common import check_image

__all__ = [
    "channel_shuffle",
    "native_channel_shuffle",
]


@partial(jax.jit, static_argnames=("groups",))
def _channel_shuffle(x: jax.Array, groups: int) -> jax.Array:
    n, channels, *rest = x.shape
    return x.reshape(n, groups, channels // groups, *rest).swapaxes(1, 2).reshape(x.shape)


def _checked_channel_shuffle(function: str, input: ArrayLike, groups: int) -> jax.Array:
    x = check_image(function, input)
    count = as_int(function, "groups", groups, 1)
    if x.shape[1] % count:
        fail(ValueError, function, "input", f"of channels (axis 1) divisible by groups ({count})", x)
    return _channel_shuffle(x, count)


@explained
def channel_shuffle(input: ArrayLike, groups: int) -> jax.Array:
    """Interleaves the channels of the groups, so that grouped convolutions exchange what they know.

    ``output[:, k g + i] = input[:, i C / g + k]`` with ``g = groups``.

    Args:
        input: array of three or more axes.
        groups: g, at least 1.

    Shape:
        - input: (N, C, *), with at least one axis after the channels.
        - output: the shape of the input.

    Returns:
        the array with its channels reordered.

    Raises:
        ValueError: if there are fewer than three axes, or ``groups`` is below 1 or does not divide the channels.
        TypeError: if ``groups`` is not an int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.channel_shuffle.html

    Example:
        >>> import jax.numpy as jnp
        >>> channel_shuffle(jnp.arange(4).reshape(1, 4, 1), 2).tolist()
        [[[0], [2], [1], [3]]]
    """
    return _checked_channel_shuffle("channel_shuffle", input, groups)


@explained
def native_channel_shuffle(input: ArrayLike, groups: int) -> jax.Array:
    """The same as :func:`channel_shuffle`, ``output[:, k g + i] = input[:, i C / g + k]``, under torch's second name.

    Args:
        input: array of three or more axes.
        groups: g, at least 1.

    Shape:
        - input: (N, C, *), with at least one axis after the channels.
        - output: the shape of the input.

    Returns:
        the array with its channels reordered.

    Raises:
        ValueError: if there are fewer than three axes, or ``groups`` is below 1 or does not divide the channels.
        TypeError: if ``groups`` is not an int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.channel_shuffle.html

    Example:
        >>> import jax.numpy as jnp
        >>> native_channel_shuffle(jnp.arange(4).reshape(1, 4, 1), 2).tolist()
        [[[0], [2], [1], [3]]]
    """
    return _checked_channel_shuffle("native_channel_shuffle", input, groups)

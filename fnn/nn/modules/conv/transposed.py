"""Transposed convolution layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import fail
from fnn.nn.modules.conv.convolution import _ConvNd

__all__ = ["ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]


class _ConvTransposeNd(_ConvNd):
    """What the transposed convolutions share: the constructor and the choice of an output size."""

    _transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        output_padding: int | Sequence[int] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | Sequence[int] = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if isinstance(padding, str):
            fail(TypeError, type(self).__name__, "padding", "an int or ints", padding)
        self._setup(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            output_padding,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _output_padding(self, input: Any, output_size: Sequence[int] | None) -> tuple[int, ...]:
        if output_size is None:
            return self.output_padding
        name, n = type(self).__name__, self._dims
        wanted = tuple(output_size)
        if len(wanted) == n + 2 or (len(wanted) == n + 1 and len(input.shape) == n + 1):
            wanted = wanted[-n:]
        if len(wanted) != n:
            fail(ValueError, name, "output_size", f"of {n} or {n + 2} lengths", output_size)
        out = []
        for i, size in enumerate(wanted):
            reach = self.dilation[i] * (self.kernel_size[i] - 1) + 1
            least = (input.shape[i - n] - 1) * self.stride[i] - 2 * self.padding[i] + reach
            if not least <= size <= least + self.stride[i] - 1:
                expected = f"between {least} and {least + self.stride[i] - 1} on axis {i}"
                fail(ValueError, name, "output_size", expected, size)
            out.append(size - least)
        return tuple(out)


class ConvTranspose1d(_ConvTransposeNd):
    """1-D transposed convolution, the gradient of ``Conv1d`` with respect to its input.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.ConvTranspose1d.html.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: length of the kernel.
        stride: steps of the convolution it is the gradient of.
        padding: its padding.
        output_padding: elements added at one end of the output.
        groups: number of groups of channels.
        bias: whether to add a bias.
        dilation: distance between the kernel's elements.
        padding_mode: "zeros".
        device: where the parameters are put.
        dtype: their dtype.

    Shape:
        (N, C_in, L) or (C_in, L) to (N, C_out, L_out) or (C_out, L_out).

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> ConvTranspose1d(2, 3, 2, stride=2)(jnp.ones((1, 2, 4), jnp.float32)).shape
        (1, 3, 8)
    """

    _dims = 1

    def forward(self, input: ArrayLike, output_size: Sequence[int] | None = None) -> jax.Array:
        """The transposed convolution; ``output_size`` chooses among the possible lengths."""
        extra = self._output_padding(input, output_size)
        return F.conv_transpose1d(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )


class ConvTranspose2d(_ConvTransposeNd):
    """2-D transposed convolution; arguments as ``ConvTranspose1d``, each an int or a pair.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.ConvTranspose2d.html.

    Shape:
        (N, C_in, H, W) or (C_in, H, W) to the same with C_out and new lengths.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> ConvTranspose2d(2, 3, 2, stride=2)(jnp.ones((1, 2, 4, 4), jnp.float32)).shape
        (1, 3, 8, 8)
    """

    _dims = 2

    def forward(self, input: ArrayLike, output_size: Sequence[int] | None = None) -> jax.Array:
        """The transposed convolution; ``output_size`` chooses among the possible lengths."""
        extra = self._output_padding(input, output_size)
        return F.conv_transpose2d(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )


class ConvTranspose3d(_ConvTransposeNd):
    """3-D transposed convolution; arguments as ``ConvTranspose1d``, each an int or a triple.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.ConvTranspose3d.html.

    Shape:
        (N, C_in, D, H, W) or (C_in, D, H, W) to the same with C_out and new lengths.

    Raises:
        ValueError: if an argument is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> ConvTranspose3d(2, 3, 2, stride=2)(jnp.ones((1, 2, 2, 2, 2), jnp.float32)).shape
        (1, 3, 4, 4, 4)
    """

    _dims = 3

    def forward(self, input: ArrayLike, output_size: Sequence[int] | None = None) -> jax.Array:
        """The transposed convolution; ``output_size`` chooses among the possible lengths."""
        extra = self._output_padding(input, output_size)
        return F.conv_transpose3d(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )

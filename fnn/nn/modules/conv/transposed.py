"""Transposed convolution layers."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import fail
from fnn.functional.explained import explained
from fnn.nn.modules.conv.convolution import _ConvNd
from fnn.nn.modules.utils import Sizes
from fnn.nn.placement import Device, DType

__all__ = ["ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]


class _ConvTransposeNd(_ConvNd):
    """The base of the transposed convolutions: the choice of an output size."""

    padding: tuple[int, ...]  # pyright: ignore[reportIncompatibleVariableOverride] never a name here

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes,
        padding: Sizes,
        dilation: Sizes,
        transposed: bool,
        output_padding: Sizes,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Device = None,
        dtype: DType = None,
    ) -> None:
        if isinstance(padding, str):
            fail(TypeError, type(self).__name__, "padding", "an int or ints", padding)
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            transposed,
            output_padding,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _output_padding(
        self,
        input: ArrayLike,
        output_size: Sequence[int] | None,
        stride: Sequence[int],
        padding: Sequence[int],
        kernel_size: Sequence[int],
        num_spatial_dims: int,
        dilation: Sequence[int] | None = None,
    ) -> tuple[int, ...]:
        """What must be added at the ends for the output to have ``output_size``; that of the constructor for ``None``."""
        if output_size is None:
            return self.output_padding
        name, n, shape = type(self).__name__, num_spatial_dims, jnp.shape(input)
        wanted = tuple(output_size)
        if len(wanted) == n + 2 or (len(wanted) == n + 1 and len(shape) == n + 1):
            wanted = wanted[-n:]
        if len(wanted) != n:
            fail(ValueError, name, "output_size", f"of {n} or {n + 2} lengths", output_size)
        out = []
        for i, size in enumerate(wanted):
            reach = (1 if dilation is None else dilation[i]) * (kernel_size[i] - 1) + 1
            least = (shape[i - n] - 1) * stride[i] - 2 * padding[i] + reach
            if not least <= size <= least + stride[i] - 1:
                expected = f"between {least} and {least + stride[i] - 1} on axis {i}"
                fail(ValueError, name, "output_size", expected, size)
            out.append(size - least)
        return tuple(out)


class ConvTranspose1d(_ConvTransposeNd):
    r"""1-D transposed convolution: the gradient of ``Conv1d`` with respect to its input, as a layer.

    .. math:: \mathrm{out}_{n, o,\, l s + k d - p} \mathrel{+}= w_{i, o, k}\; \mathrm{input}_{n, i, l}

    summed over i, k and l with stride s, padding p and dilation d, plus the bias. Several lengths of the output belong
    to one length of the input; ``output_padding``, or ``output_size`` of the call, chooses among them.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: length of the kernel, in elements.
        stride: stride of the convolution of which this is the gradient: distance of the inputs in the output.
        padding: padding of that convolution: elements left out at both ends of the output.
        output_padding: elements added at the far end of the output; less than ``stride`` or ``dilation``.
        groups: into how many groups the channels are split, each convolved apart; it divides both numbers of channels.
        bias: whether there is a bias.
        dilation: distance between neighbouring elements of the kernel; 1 leaves no gaps.
        padding_mode: "zeros", the only one.
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.

    Attributes:
        weight (Parameter): (C_in, C_out / groups, kernel_size), drawn from U(-k, k), k = 1 / sqrt(C_out / groups *
            kernel_size).
        bias (Parameter | None): (C_out), drawn alike.

    Shape:
        - input: (N, C_in, L) or (C_in, L).
        - output: (N, C_out, L_out) or (C_out, L_out), L_out = (L - 1) stride - 2 padding + dilation (kernel_size - 1) +
          output_padding + 1.

    Raises:
        TypeError: if ``padding`` is a name.
        ValueError: if an argument is out of range, or ``groups`` does not divide the channels.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.ConvTranspose1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> ConvTranspose1d(2, 3, 2, stride=2)(jnp.ones((1, 2, 4), "float32")).shape
        (1, 3, 8)
    """

    _dims = 1

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
        padding_mode: str = "zeros",
        device: Device = None,
        dtype: DType = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            True,
            output_padding,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    @explained
    def forward(self, input: ArrayLike, output_size: Sequence[int] | None = None) -> jax.Array:
        """The transposed convolution of the input with the weight.

        Args:
            input: (N, C_in, L) or (C_in, L).
            output_size: the length of the output, (L_out) or the whole shape, in place of ``output_padding``.

        Returns:
            an array of shape (N, C_out, L_out) or (C_out, L_out).

        Raises:
            ValueError: if no output has that size.
        """
        extra = self._output_padding(input, output_size, self.stride, self.padding, self.kernel_size, 1, self.dilation)
        return F.conv_transpose1d(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )


class ConvTranspose2d(_ConvTransposeNd):
    r"""2-D transposed convolution: the gradient of ``Conv2d`` with respect to its input, as a layer.

    .. math:: \mathrm{out}_{n, o,\, l s + k d - p} \mathrel{+}= w_{i, o, k}\; \mathrm{input}_{n, i, l}

    As ``ConvTranspose1d`` along two axes; each size is an int for both or a pair (height, width).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: height and width of the kernel.
        stride: distance of the inputs in the output.
        padding: elements left out at both ends of each axis of the output.
        output_padding: elements added at the far end of each axis; less than ``stride`` or ``dilation``.
        groups: into how many groups the channels are split, each convolved apart.
        bias: whether there is a bias.
        dilation: distance between neighbouring elements of the kernel.
        padding_mode: "zeros", the only one.
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.

    Attributes:
        weight (Parameter): (C_in, C_out / groups, kernel_size[0], kernel_size[1]).
        bias (Parameter | None): (C_out).

    Shape:
        - input: (N, C_in, H, W) or (C_in, H, W).
        - output: (N, C_out, H_out, W_out) or (C_out, H_out, W_out), each length L_out =
          (L - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1 by the numbers of its axis.

    Raises:
        TypeError: if ``padding`` is a name.
        ValueError: if an argument is out of range, or ``groups`` does not divide the channels.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.ConvTranspose2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> ConvTranspose2d(2, 3, 2, stride=2)(jnp.ones((1, 2, 4, 4), "float32")).shape
        (1, 3, 8, 8)
    """

    _dims = 2

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
        padding_mode: str = "zeros",
        device: Device = None,
        dtype: DType = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            True,
            output_padding,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    @explained
    def forward(self, input: ArrayLike, output_size: Sequence[int] | None = None) -> jax.Array:
        """The transposed convolution of the input with the weight.

        Args:
            input: (N, C_in, H, W) or (C_in, H, W).
            output_size: (H_out, W_out) or the whole shape of the output, in place of ``output_padding``.

        Returns:
            an array of shape (N, C_out, H_out, W_out) or (C_out, H_out, W_out).

        Raises:
            ValueError: if no output has that size.
        """
        extra = self._output_padding(input, output_size, self.stride, self.padding, self.kernel_size, 2, self.dilation)
        return F.conv_transpose2d(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )


class ConvTranspose3d(_ConvTransposeNd):
    r"""3-D transposed convolution: the gradient of ``Conv3d`` with respect to its input, as a layer.

    .. math:: \mathrm{out}_{n, o,\, l s + k d - p} \mathrel{+}= w_{i, o, k}\; \mathrm{input}_{n, i, l}

    As ``ConvTranspose1d`` along three axes; each size is an int for all or a triple (depth, height, width).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: depth, height and width of the kernel.
        stride: distance of the inputs in the output.
        padding: elements left out at both ends of each axis of the output.
        output_padding: elements added at the far end of each axis; less than ``stride`` or ``dilation``.
        groups: into how many groups the channels are split, each convolved apart.
        bias: whether there is a bias.
        dilation: distance between neighbouring elements of the kernel.
        padding_mode: "zeros", the only one.
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.

    Attributes:
        weight (Parameter): (C_in, C_out / groups, *kernel_size).
        bias (Parameter | None): (C_out).

    Shape:
        - input: (N, C_in, D, H, W) or (C_in, D, H, W).
        - output: (N, C_out, D_out, H_out, W_out) or (C_out, D_out, H_out, W_out), each length L_out =
          (L - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1 by the numbers of its axis.

    Raises:
        TypeError: if ``padding`` is a name.
        ValueError: if an argument is out of range, or ``groups`` does not divide the channels.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.ConvTranspose3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> ConvTranspose3d(2, 3, 2, stride=2)(jnp.ones((1, 2, 2, 2, 2), "float32")).shape
        (1, 3, 4, 4, 4)
    """

    _dims = 3

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
        padding_mode: str = "zeros",
        device: Device = None,
        dtype: DType = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            True,
            output_padding,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    @explained
    def forward(self, input: ArrayLike, output_size: Sequence[int] | None = None) -> jax.Array:
        """The transposed convolution of the input with the weight.

        Args:
            input: (N, C_in, D, H, W) or (C_in, D, H, W).
            output_size: (D_out, H_out, W_out) or the whole shape of the output, in place of ``output_padding``.

        Returns:
            an array of shape (N, C_out, D_out, H_out, W_out) or (C_out, D_out, H_out, W_out).

        Raises:
            ValueError: if no output has that size.
        """
        extra = self._output_padding(input, output_size, self.stride, self.padding, self.kernel_size, 3, self.dilation)
        return F.conv_transpose3d(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
        )

"""Convolution layers, and what they share with the transposed ones."""

from __future__ import annotations

import math

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import check_choice, fail, ntuple
from fnn.nn import init
from fnn.nn.modules.module import Module
from fnn.nn.modules.utils import Sizes, check_sizes
from fnn.nn.parameter import OptionalParameter, Parameter
from fnn.nn.placement import Device, DType, empty

__all__ = ["Conv1d", "Conv2d", "Conv3d"]

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvNd(Module):
    """The base of the convolution layers: arguments, parameters and their distribution, repr."""

    in_channels: int
    out_channels: int
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: str | tuple[int, ...]
    dilation: tuple[int, ...]
    transposed: bool
    output_padding: tuple[int, ...]
    groups: int
    padding_mode: str
    weight: Parameter
    bias: OptionalParameter

    _dims: int = 0  # 0: as many as ``kernel_size`` has lengths

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes,
        padding: str | Sizes,
        dilation: Sizes,
        transposed: bool,
        output_padding: Sizes,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Device = None,
        dtype: DType = None,
    ) -> None:
        super().__init__()
        name, n = type(self).__name__, self._dims or (1 if isinstance(kernel_size, int) else len(kernel_size))
        check_sizes(name, in_channels=in_channels, out_channels=out_channels)
        check_sizes(name, least=1, groups=groups)
        if in_channels % groups != 0:
            raise ValueError(f"{name}: in_channels must be divisible by groups, got {in_channels} and groups={groups}")
        if out_channels % groups != 0:
            raise ValueError(
                f"{name}: out_channels must be divisible by groups, got {out_channels} and groups={groups}"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = ntuple(name, "kernel_size", kernel_size, n, 1)
        self.stride = ntuple(name, "stride", stride, n, 1)
        if isinstance(padding, str):
            check_choice(name, "padding", padding, ("same", "valid"))
            if padding == "same" and any(s != 1 for s in self.stride):
                fail(ValueError, name, "padding", "other than 'same' for strided convolutions", padding)
            self.padding = padding
        else:
            self.padding = ntuple(name, "padding", padding, n, 0)
        self.dilation = ntuple(name, "dilation", dilation, n, 1)
        self.transposed = transposed
        self.output_padding = ntuple(name, "output_padding", output_padding, n, 0)
        self.groups = groups
        check_choice(name, "padding_mode", padding_mode, ("zeros",) if transposed else _PADDING_MODES)
        self.padding_mode = padding_mode
        first, second = (in_channels, out_channels) if transposed else (out_channels, in_channels)
        self.weight = Parameter(empty((first, second // groups, *self.kernel_size), device, dtype))
        self.register_parameter("bias", Parameter(empty((out_channels,), device, dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws weight and bias uniformly from +-1/sqrt(fan_in)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in = math.prod(self.weight.shape[1:])
            if fan_in != 0:
                bound = 1 / math.sqrt(fan_in)
                init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        """The channels, and what differs from the defaults."""
        parts = [f"{self.in_channels}, {self.out_channels}", f"kernel_size={self.kernel_size}", f"stride={self.stride}"]
        n = len(self.kernel_size)
        if self.padding != (0,) * n:
            parts.append(f"padding={self.padding}")
        if self.dilation != (1,) * n:
            parts.append(f"dilation={self.dilation}")
        if self.output_padding != (0,) * n:
            parts.append(f"output_padding={self.output_padding}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)

    @property
    def _reversed_padding_repeated_twice(self) -> list[int]:
        """The padding in the order of ``F.pad``: the last axis first, both ends of each."""
        if self.padding == "same":
            total = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            sides = [(t // 2, t - t // 2) for t in total]
        elif isinstance(self.padding, str):
            sides = [(0, 0)] * len(self.kernel_size)
        else:
            sides = [(p, p) for p in self.padding]
        return [n for side in reversed(sides) for n in side]

    def _padded(self, input: ArrayLike) -> tuple[ArrayLike, str | tuple[int, ...] | int]:
        """The input padded as ``padding_mode`` says, and what is left for the convolution to pad."""
        if self.padding_mode == "zeros":
            return input, self.padding
        return F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode), 0


class Conv1d(_ConvNd):
    r"""1-D cross-correlation of the input with a learned kernel, plus a bias.

    .. math:: \mathrm{out}_{n, o, l} = b_o + \sum_{i, k} w_{o, i, k}\; \mathrm{input}_{n, i,\, l s + k d - p}

    with stride s, padding p and dilation d; the sum over i runs over the input channels of the group of o.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: length of the kernel, in elements.
        stride: by how many elements the kernel moves between two outputs.
        padding: elements added at both ends; or "valid" for none, or "same" for as many as keep the length (stride 1).
        dilation: distance between neighbouring elements of the kernel; 1 leaves no gaps.
        groups: into how many groups the channels are split, each convolved apart; it divides both numbers of channels.
        bias: whether there is a bias.
        padding_mode: what is added: "zeros", "reflect", "replicate" (the end element) or "circular" (the other end).
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.

    Attributes:
        weight (Parameter): (C_out, C_in / groups, kernel_size), drawn from U(-k, k), k = 1 / sqrt(C_in / groups *
            kernel_size).
        bias (Parameter | None): (C_out), drawn alike.

    Shape:
        - input: (N, C_in, L) or (C_in, L).
        - output: (N, C_out, L_out) or (C_out, L_out), L_out = floor((L + 2 padding - dilation (kernel_size - 1) - 1) /
          stride) + 1.

    Raises:
        ValueError: if an argument is out of range, or ``groups`` does not divide the channels.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Conv1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> Conv1d(2, 3, 5)(jnp.ones((1, 2, 9), "float32")).shape
        (1, 3, 5)
    """

    _dims = 1

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: str | Sizes = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
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
            False,
            0,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: ArrayLike) -> jax.Array:
        """The convolution of the input with the weight."""
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: ArrayLike, weight: ArrayLike, bias: ArrayLike | None) -> jax.Array:
        input, padding = self._padded(input)
        return F.conv1d(input, weight, bias, self.stride, padding, self.dilation, self.groups)


class Conv2d(_ConvNd):
    r"""2-D cross-correlation of the input with a learned kernel, plus a bias.

    .. math:: \mathrm{out}_{n, o} = b_o + \sum_i w_{o, i} \star \mathrm{input}_{n, i}

    As ``Conv1d`` along two axes; each size is an int for both or a pair (height, width).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: height and width of the kernel.
        stride: steps of the kernel.
        padding: elements added at both ends of each axis; or "valid" for none, or "same" to keep the lengths (stride 1).
        dilation: distance between neighbouring elements of the kernel.
        groups: into how many groups the channels are split, each convolved apart.
        bias: whether there is a bias.
        padding_mode: what is added: "zeros", "reflect", "replicate" or "circular".
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.

    Attributes:
        weight (Parameter): (C_out, C_in / groups, kernel_size[0], kernel_size[1]).
        bias (Parameter | None): (C_out).

    Shape:
        - input: (N, C_in, H, W) or (C_in, H, W).
        - output: (N, C_out, H_out, W_out) or (C_out, H_out, W_out), each length
          L_out = floor((L + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1 by the numbers of its axis.

    Raises:
        ValueError: if an argument is out of range, or ``groups`` does not divide the channels.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Conv2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> Conv2d(2, 3, 3, padding=1)(jnp.ones((1, 2, 5, 5), "float32")).shape
        (1, 3, 5, 5)
    """

    _dims = 2

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: str | Sizes = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
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
            False,
            0,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: ArrayLike) -> jax.Array:
        """The convolution of the input with the weight."""
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: ArrayLike, weight: ArrayLike, bias: ArrayLike | None) -> jax.Array:
        input, padding = self._padded(input)
        return F.conv2d(input, weight, bias, self.stride, padding, self.dilation, self.groups)


class Conv3d(_ConvNd):
    r"""3-D cross-correlation of the input with a learned kernel, plus a bias.

    .. math:: \mathrm{out}_{n, o} = b_o + \sum_i w_{o, i} \star \mathrm{input}_{n, i}

    As ``Conv1d`` along three axes; each size is an int for all or a triple (depth, height, width).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: depth, height and width of the kernel.
        stride: steps of the kernel.
        padding: elements added at both ends of each axis; or "valid" for none, or "same" to keep the lengths (stride 1).
        dilation: distance between neighbouring elements of the kernel.
        groups: into how many groups the channels are split, each convolved apart.
        bias: whether there is a bias.
        padding_mode: what is added: "zeros", "reflect", "replicate" or "circular".
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.

    Attributes:
        weight (Parameter): (C_out, C_in / groups, *kernel_size).
        bias (Parameter | None): (C_out).

    Shape:
        - input: (N, C_in, D, H, W) or (C_in, D, H, W).
        - output: (N, C_out, D_out, H_out, W_out) or (C_out, D_out, H_out, W_out), each length
          L_out = floor((L + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1 by the numbers of its axis.

    Raises:
        ValueError: if an argument is out of range, or ``groups`` does not divide the channels.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Conv3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> Conv3d(2, 3, 3)(jnp.ones((1, 2, 5, 5, 5), "float32")).shape
        (1, 3, 3, 3, 3)
    """

    _dims = 3

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: str | Sizes = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
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
            False,
            0,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: ArrayLike) -> jax.Array:
        """The convolution of the input with the weight."""
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: ArrayLike, weight: ArrayLike, bias: ArrayLike | None) -> jax.Array:
        input, padding = self._padded(input)
        return F.conv3d(input, weight, bias, self.stride, padding, self.dilation, self.groups)

"""Convolution layers whose number of input channels follows from the first input."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.conv.convolution import Conv1d, Conv2d, Conv3d, _ConvNd
from fnn.nn.modules.conv.transposed import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from fnn.nn.modules.lazy import LazyModuleMixin
from fnn.nn.modules.utils import Sizes
from fnn.nn.parameter import OptionalParameter, Parameter, UninitializedParameter, is_lazy
from fnn.nn.placement import Device, DType

__all__ = [
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
]


class _LazyConvNd(LazyModuleMixin, _ConvNd):
    """The base of the lazy convolutions: the parameters to come and how the first input decides their shapes."""

    in_channels: int
    out_channels: int
    weight: Parameter
    bias: OptionalParameter

    def _prepare(self, out_channels: int, bias: bool, device: Device, dtype: DType) -> None:
        if out_channels % self.groups != 0:
            raise ValueError(
                f"{type(self).__name__}: out_channels must be divisible by groups, got {out_channels} and "
                f"groups={self.groups}"
            )
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        self.out_channels = out_channels
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draws weight and bias uniformly from +-1/sqrt(fan_in), once that is known."""
        if not self.has_uninitialized_params() and self.in_channels != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: ArrayLike, *args: object, **kwargs: object) -> None:
        """Takes ``in_channels`` from the input, or from a weight that was loaded.

        Args:
            input: the first input.
            *args: further arguments of the call; not used.
            **kwargs: further arguments of the call; not used.

        Raises:
            ValueError: if ``groups`` does not divide the channels of the input.
            RuntimeError: if the input has another number of axes.
        """
        if not is_lazy(self.weight):
            self.in_channels = self.weight.shape[0] if self.transposed else self.weight.shape[1] * self.groups
            return
        name, shape, groups = type(self).__name__, jnp.shape(input), self.groups
        if len(shape) not in (self._dims + 1, self._dims + 2):
            raise RuntimeError(
                f"{name}: the first input must be {self._dims + 1}-D (unbatched) or {self._dims + 2}-D (batched), "
                f"got shape {shape}"
            )
        channels = shape[-1 - self._dims]
        if channels % groups != 0:
            raise ValueError(f"{name}: in_channels must be divisible by groups, got {channels} and groups={groups}")
        self.in_channels = channels
        first, second = (channels, self.out_channels) if self.transposed else (self.out_channels, channels)
        self.weight.materialize((first, second // groups, *self.kernel_size))
        if self.bias is not None and is_lazy(self.bias):
            self.bias.materialize((self.out_channels,))
        self.reset_parameters()


class _LazyConv(_LazyConvNd):
    def __init__(
        self,
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
        super().__init__(0, 0, kernel_size, stride, padding, dilation, groups, False, padding_mode)
        self._prepare(out_channels, bias, device, dtype)


class _LazyConvTranspose(_LazyConvNd):
    def __init__(
        self,
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
        super().__init__(0, 0, kernel_size, stride, padding, output_padding, groups, False, dilation, padding_mode)
        self._prepare(out_channels, bias, device, dtype)


class LazyConv1d(_LazyConv, Conv1d):
    """A ``Conv1d`` that takes ``in_channels`` from its first input, and is a ``Conv1d`` from then on.

    Args:
        out_channels: channels of the output.
        kernel_size: length of the kernel.
        stride: steps of the kernel.
        padding: elements added at both ends; or "valid" for none, or "same" to keep the length (stride 1).
        dilation: distance between neighbouring elements of the kernel.
        groups: into how many groups the channels are split, each convolved apart.
        bias: whether there is a bias.
        padding_mode: what is added: "zeros", "reflect", "replicate" or "circular".
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.

    Attributes:
        weight (UninitializedParameter): has no values before the first call; then as in ``Conv1d``.
        bias (UninitializedParameter | None): alike.

    Shape:
        - input: (N, C_in, L) or (C_in, L).
        - output: the same with C_out and L_out, as in ``Conv1d``.

    Raises:
        ValueError: if an argument is out of range, or ``groups`` does not divide the channels of the first input.
        RuntimeError: if the first input has another number of axes.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.LazyConv1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> layer = LazyConv1d(3, 5)
        >>> layer(jnp.ones((1, 2, 9), "float32")).shape, layer
        ((1, 3, 5), Conv1d(2, 3, kernel_size=(5,), stride=(1,)))
    """

    cls_to_become: type[Any] | None = Conv1d


class LazyConv2d(_LazyConv, Conv2d):
    """A ``Conv2d`` that takes ``in_channels`` from its first input, and is a ``Conv2d`` from then on.

    Args:
        out_channels: channels of the output.
        kernel_size: height and width of the kernel, an int for both or a pair.
        stride: steps of the kernel.
        padding: elements added at both ends; or "valid" for none, or "same" to keep the length (stride 1).
        dilation: distance between neighbouring elements of the kernel.
        groups: into how many groups the channels are split, each convolved apart.
        bias: whether there is a bias.
        padding_mode: what is added: "zeros", "reflect", "replicate" or "circular".
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.

    Attributes:
        weight (UninitializedParameter): has no values before the first call; then as in ``Conv2d``.
        bias (UninitializedParameter | None): alike.

    Shape:
        - input: (N, C_in, H, W) or (C_in, H, W).
        - output: the same with C_out, H_out and W_out, as in ``Conv2d``.

    Raises:
        ValueError: if an argument is out of range, or ``groups`` does not divide the channels of the first input.
        RuntimeError: if the first input has another number of axes.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.LazyConv2d.html

    Example:
        >>> LazyConv2d(3, 5, bias=False)
        LazyConv2d(0, 3, kernel_size=(5, 5), stride=(1, 1), bias=False)
    """

    cls_to_become: type[Any] | None = Conv2d


class LazyConv3d(_LazyConv, Conv3d):
    """A ``Conv3d`` that takes ``in_channels`` from its first input, and is a ``Conv3d`` from then on.

    Args:
        out_channels: channels of the output.
        kernel_size: depth, height and width of the kernel, an int for all or a triple.
        stride: steps of the kernel.
        padding: elements added at both ends; or "valid" for none, or "same" to keep the length (stride 1).
        dilation: distance between neighbouring elements of the kernel.
        groups: into how many groups the channels are split, each convolved apart.
        bias: whether there is a bias.
        padding_mode: what is added: "zeros", "reflect", "replicate" or "circular".
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.

    Attributes:
        weight (UninitializedParameter): has no values before the first call; then as in ``Conv3d``.
        bias (UninitializedParameter | None): alike.

    Shape:
        - input: (N, C_in, D, H, W) or (C_in, D, H, W).
        - output: the same with C_out, D_out, H_out and W_out, as in ``Conv3d``.

    Raises:
        ValueError: if an argument is out of range, or ``groups`` does not divide the channels of the first input.
        RuntimeError: if the first input has another number of axes.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.LazyConv3d.html

    Example:
        >>> LazyConv3d(3, 5, bias=False)
        LazyConv3d(0, 3, kernel_size=(5, 5, 5), stride=(1, 1, 1), bias=False)
    """

    cls_to_become: type[Any] | None = Conv3d


class LazyConvTranspose1d(_LazyConvTranspose, ConvTranspose1d):
    """A ``ConvTranspose1d`` that takes ``in_channels`` from its first input, and is a ``ConvTranspose1d`` from then on.

    Args:
        out_channels: channels of the output.
        kernel_size: length of the kernel.
        stride: distance of the inputs in the output.
        padding: elements left out at both ends of the output.
        output_padding: elements added at the far end of the output.
        groups: into how many groups the channels are split, each convolved apart.
        bias: whether there is a bias.
        dilation: distance between neighbouring elements of the kernel.
        padding_mode: "zeros", the only one.
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.

    Attributes:
        weight (UninitializedParameter): has no values before the first call; then as in ``ConvTranspose1d``.
        bias (UninitializedParameter | None): alike.

    Shape:
        - input: (N, C_in, L) or (C_in, L).
        - output: the same with C_out and L_out, as in ``ConvTranspose1d``.

    Raises:
        ValueError: if an argument is out of range, or ``groups`` does not divide the channels of the first input.
        RuntimeError: if the first input has another number of axes.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.LazyConvTranspose1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> layer = LazyConvTranspose1d(3, 2, stride=2)
        >>> layer(jnp.ones((1, 2, 4), "float32")).shape, layer
        ((1, 3, 8), ConvTranspose1d(2, 3, kernel_size=(2,), stride=(2,)))
    """

    cls_to_become: type[Any] | None = ConvTranspose1d


class LazyConvTranspose2d(_LazyConvTranspose, ConvTranspose2d):
    """A ``ConvTranspose2d`` that takes ``in_channels`` from its first input, and is a ``ConvTranspose2d`` from then on.

    Args:
        out_channels: channels of the output.
        kernel_size: height and width of the kernel, an int for both or a pair.
        stride: distance of the inputs in the output.
        padding: elements left out at both ends of the output.
        output_padding: elements added at the far end of the output.
        groups: into how many groups the channels are split, each convolved apart.
        bias: whether there is a bias.
        dilation: distance between neighbouring elements of the kernel.
        padding_mode: "zeros", the only one.
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.

    Attributes:
        weight (UninitializedParameter): has no values before the first call; then as in ``ConvTranspose2d``.
        bias (UninitializedParameter | None): alike.

    Shape:
        - input: (N, C_in, H, W) or (C_in, H, W).
        - output: the same with C_out, H_out and W_out, as in ``ConvTranspose2d``.

    Raises:
        ValueError: if an argument is out of range, or ``groups`` does not divide the channels of the first input.
        RuntimeError: if the first input has another number of axes.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.LazyConvTranspose2d.html

    Example:
        >>> LazyConvTranspose2d(3, 2)
        LazyConvTranspose2d(0, 3, kernel_size=(2, 2), stride=(1, 1))
    """

    cls_to_become: type[Any] | None = ConvTranspose2d


class LazyConvTranspose3d(_LazyConvTranspose, ConvTranspose3d):
    """A ``ConvTranspose3d`` that takes ``in_channels`` from its first input, and is a ``ConvTranspose3d`` from then on.

    Args:
        out_channels: channels of the output.
        kernel_size: depth, height and width of the kernel, an int for all or a triple.
        stride: distance of the inputs in the output.
        padding: elements left out at both ends of the output.
        output_padding: elements added at the far end of the output.
        groups: into how many groups the channels are split, each convolved apart.
        bias: whether there is a bias.
        dilation: distance between neighbouring elements of the kernel.
        padding_mode: "zeros", the only one.
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.

    Attributes:
        weight (UninitializedParameter): has no values before the first call; then as in ``ConvTranspose3d``.
        bias (UninitializedParameter | None): alike.

    Shape:
        - input: (N, C_in, D, H, W) or (C_in, D, H, W).
        - output: the same with C_out, D_out, H_out and W_out, as in ``ConvTranspose3d``.

    Raises:
        ValueError: if an argument is out of range, or ``groups`` does not divide the channels of the first input.
        RuntimeError: if the first input has another number of axes.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.LazyConvTranspose3d.html

    Example:
        >>> LazyConvTranspose3d(3, 2)
        LazyConvTranspose3d(0, 3, kernel_size=(2, 2, 2), stride=(1, 1, 1))
    """

    cls_to_become: type[Any] | None = ConvTranspose3d

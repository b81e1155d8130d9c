"""Convolution layers whose number of input channels follows from the first input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fnn.nn.modules.conv.convolution import Conv1d, Conv2d, Conv3d
from fnn.nn.modules.conv.transposed import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from fnn.nn.modules.lazy import LazyModuleMixin
from fnn.nn.parameter import UninitializedParameter, is_lazy

__all__ = [
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
]


class _LazyConvNd(LazyModuleMixin):
    """What the lazy convolutions share: the parameters to come and how the first input decides their shapes."""

    in_channels: int
    out_channels: int
    groups: int
    kernel_size: tuple[int, ...]
    transposed: bool
    weight: Any
    bias: Any
    _dims: int

    def _prepare(self, out_channels: int, bias: bool, device: Any, dtype: Any) -> None:
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
            super().reset_parameters()  # pyright: ignore[reportAttributeAccessIssue]

    def initialize_parameters(self, input: Any, *args: Any, **kwargs: Any) -> None:
        """Takes ``in_channels`` from the input, or from a weight that was loaded."""
        if not is_lazy(self.weight):
            self.in_channels = self.weight.shape[0] if self.transposed else self.weight.shape[1] * self.groups
            return
        name, shape, groups = type(self).__name__, tuple(input.shape), self.groups
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
        if is_lazy(self.bias):
            self.bias.materialize((self.out_channels,))
        self.reset_parameters()


class _LazyConv(_LazyConvNd):
    def __init__(
        self,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: str | int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(0, 0, kernel_size, stride, padding, dilation, groups, False, padding_mode)
        self._prepare(out_channels, bias, device, dtype)


class _LazyConvTranspose(_LazyConvNd):
    def __init__(
        self,
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
        super().__init__(0, 0, kernel_size, stride, padding, output_padding, groups, False, dilation, padding_mode)
        self._prepare(out_channels, bias, device, dtype)


class LazyConv1d(_LazyConv, Conv1d):
    """A ``Conv1d`` whose ``in_channels`` is that of its first input; its other arguments are those of ``Conv1d``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LazyConv1d.html.

    Raises:
        ValueError: if an argument is out of range, or ``groups`` does not divide the channels of the first input.
        RuntimeError: if the first input has another rank.

    Example:
        >>> import jax.numpy as jnp
        >>> layer = LazyConv1d(3, 5)
        >>> layer(jnp.ones((1, 2, 9), "float32")).shape, layer
        ((1, 3, 5), Conv1d(2, 3, kernel_size=(5,), stride=(1,)))
    """

    cls_to_become = Conv1d


class LazyConv2d(_LazyConv, Conv2d):
    """A ``Conv2d`` whose ``in_channels`` is that of its first input; see ``LazyConv1d``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LazyConv2d.html.

    Example:
        >>> LazyConv2d(3, 5, bias=False)
        LazyConv2d(0, 3, kernel_size=(5, 5), stride=(1, 1), bias=False)
    """

    cls_to_become = Conv2d


class LazyConv3d(_LazyConv, Conv3d):
    """A ``Conv3d`` whose ``in_channels`` is that of its first input; see ``LazyConv1d``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LazyConv3d.html.

    Example:
        >>> LazyConv3d(3, 5, bias=False)
        LazyConv3d(0, 3, kernel_size=(5, 5, 5), stride=(1, 1, 1), bias=False)
    """

    cls_to_become = Conv3d


class LazyConvTranspose1d(_LazyConvTranspose, ConvTranspose1d):
    """A ``ConvTranspose1d`` whose ``in_channels`` is that of its first input; its other arguments are unchanged.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LazyConvTranspose1d.html.

    Raises:
        ValueError: if an argument is out of range, or ``groups`` does not divide the channels of the first input.
        RuntimeError: if the first input has another rank.

    Example:
        >>> import jax.numpy as jnp
        >>> layer = LazyConvTranspose1d(3, 2, stride=2)
        >>> layer(jnp.ones((1, 2, 4), "float32")).shape, layer
        ((1, 3, 8), ConvTranspose1d(2, 3, kernel_size=(2,), stride=(2,)))
    """

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyConvTranspose, ConvTranspose2d):
    """A ``ConvTranspose2d`` whose ``in_channels`` is that of its first input; see ``LazyConvTranspose1d``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LazyConvTranspose2d.html.

    Example:
        >>> LazyConvTranspose2d(3, 2)
        LazyConvTranspose2d(0, 3, kernel_size=(2, 2), stride=(1, 1))
    """

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyConvTranspose, ConvTranspose3d):
    """A ``ConvTranspose3d`` whose ``in_channels`` is that of its first input; see ``LazyConvTranspose1d``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LazyConvTranspose3d.html.

    Example:
        >>> LazyConvTranspose3d(3, 2)
        LazyConvTranspose3d(0, 3, kernel_size=(2, 2, 2), stride=(1, 1, 1))
    """

    cls_to_become = ConvTranspose3d

"""Normalization within each example: layer, RMS, group and local response normalization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.functional.normalization import cross_map_lrn
from fnn.nn.init import ones_, zeros_
from fnn.nn.modules.module import Module
from fnn.nn.modules.utils import Sizes, check_sizes
from fnn.nn.parameter import OptionalParameter, Parameter
from fnn.nn.placement import Device, DType, empty

__all__ = ["CrossMapLRN2d", "GroupNorm", "LayerNorm", "LocalResponseNorm", "RMSNorm"]


class LayerNorm(Module):
    r"""Layer normalization: the elements of the trailing axes ``normalized_shape`` get mean 0 and variance 1.

    .. math:: y = \frac{x - \mathrm{E}[x]}{\sqrt{\mathrm{Var}[x] + \epsilon}} \cdot \mathrm{weight} + \mathrm{bias}

    with the biased variance; the statistics are those of the example itself, in training and in evaluation.

    Args:
        normalized_shape: lengths of the trailing axes over which the statistics are taken; an int stands for the last.
        eps: added to the variance before the root is taken.
        elementwise_affine: whether there are a weight and a bias, with one number for each element.
        bias: whether there is a bias, if ``elementwise_affine``.
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.

    Attributes:
        weight (Parameter | None): of shape ``normalized_shape``, ones at first.
        bias (Parameter | None): of shape ``normalized_shape``, zeros at first.

    Shape:
        - input: (*, *normalized_shape).
        - output: as input.

    Raises:
        TypeError: if a length is no int.
        ValueError: if a length is negative, or the input does not end in ``normalized_shape``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.LayerNorm.html; Ba, Kiros and Hinton, Layer
    Normalization (2016), https://arxiv.org/abs/1607.06450

    Example:
        >>> import numpy as np
        >>> LayerNorm(2)(np.array([[1.0, 3.0]], np.float32)).round(2).tolist()
        [[-1.0, 1.0]]
    """

    normalized_shape: tuple[int, ...]
    weight: OptionalParameter
    bias: OptionalParameter

    def __init__(
        self,
        normalized_shape: Sizes,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Device = None,
        dtype: DType = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _as_shape("LayerNorm", normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        made = [Parameter(empty(self.normalized_shape, device, dtype)) if elementwise_affine else None for _ in "wb"]
        self.register_parameter("weight", made[0])
        self.register_parameter("bias", made[1] if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets the weight to 1 and the bias to 0."""
        _reset(self.weight, self.bias)

    def forward(self, input: ArrayLike) -> jax.Array:
        """The input, normalized over its trailing axes."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The arguments."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


def _reset(weight: Parameter | None, bias: Parameter | None = None) -> None:
    if weight is not None:
        ones_(weight)
    if bias is not None:
        zeros_(bias)


def _as_shape(layer: str, value: Sizes) -> tuple[int, ...]:
    items: Any = value if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str) else (value,)
    shape = tuple(items)
    for size in shape:
        check_sizes(layer, normalized_shape=size)
    return shape


class RMSNorm(Module):
    r"""Division by the root mean square over the trailing axes ``normalized_shape``.

    .. math:: y = \frac{x}{\sqrt{\mathrm{E}[x^2] + \epsilon}} \cdot \mathrm{weight}

    Args:
        normalized_shape: lengths of the trailing axes over which the mean is taken; an int stands for the last.
        eps: added to the mean square; ``None`` is the machine epsilon of the dtype computed in.
        elementwise_affine: whether there is a weight, with one number for each element.
        device: where the parameter is put; ``None`` is JAX's default device.
        dtype: dtype of the parameter; ``None`` is float32.

    Attributes:
        weight (Parameter | None): of shape ``normalized_shape``, ones at first.

    Shape:
        - input: (*, *normalized_shape).
        - output: as input.

    Raises:
        TypeError: if a length is no int.
        ValueError: if a length is negative, or the input does not end in ``normalized_shape``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.RMSNorm.html; Zhang and Sennrich, Root Mean Square
    Layer Normalization (2019), https://arxiv.org/abs/1910.07467

    Example:
        >>> import numpy as np
        >>> RMSNorm(2)(np.array([[3.0, 3.0]], np.float32)).round(2).tolist()
        [[1.0, 1.0]]
    """

    normalized_shape: tuple[int, ...]
    weight: OptionalParameter

    def __init__(
        self,
        normalized_shape: Sizes,
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Device = None,
        dtype: DType = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _as_shape("RMSNorm", normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        weight = Parameter(empty(self.normalized_shape, device, dtype)) if elementwise_affine else None
        self.register_parameter("weight", weight)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets the weight to 1."""
        _reset(self.weight)

    def forward(self, x: ArrayLike) -> jax.Array:
        """The input, normalized over its trailing axes."""
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    r"""Group normalization of (N, C, *): each group of channels of each sample gets mean 0 and variance 1.

    .. math:: y = \frac{x - \mathrm{E}[x]}{\sqrt{\mathrm{Var}[x] + \epsilon}} \cdot \mathrm{weight} + \mathrm{bias}

    with the biased variance; the statistics are those of the sample itself, in training and in evaluation.

    Args:
        num_groups: number of groups, each of as many neighbouring channels.
        num_channels: C, the number of channels.
        eps: added to the variance before the root is taken.
        affine: whether there are a weight and a bias, with one number for each channel.
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.
        bias: whether there is a bias, if ``affine``.

    Attributes:
        weight (Parameter | None): (C), ones at first.
        bias (Parameter | None): (C), zeros at first.

    Shape:
        - input: (N, C, *).
        - output: as input.

    Raises:
        TypeError: if a number is no int.
        ValueError: if ``num_groups`` does not divide ``num_channels``, or a number is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.GroupNorm.html; Wu and He, Group Normalization (2018),
    https://arxiv.org/abs/1803.08494

    Example:
        >>> import numpy as np
        >>> GroupNorm(2, 4)(np.ones((1, 4, 3), np.float32)).shape
        (1, 4, 3)
    """

    weight: OptionalParameter
    bias: OptionalParameter

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Device = None,
        dtype: DType = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        check_sizes("GroupNorm", least=1, num_groups=num_groups)
        check_sizes("GroupNorm", num_channels=num_channels)
        if num_channels % num_groups != 0:
            raise ValueError(
                f"GroupNorm: num_channels must be divisible by num_groups, got {num_channels} and {num_groups}"
            )
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self.register_parameter("weight", Parameter(empty((num_channels,), device, dtype)) if affine else None)
        self.register_parameter("bias", Parameter(empty((num_channels,), device, dtype)) if affine and bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets the weight to 1 and the bias to 0."""
        _reset(self.weight, self.bias)

    def forward(self, input: ArrayLike) -> jax.Array:
        """The input, each group of each sample normalized."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The arguments."""
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class LocalResponseNorm(Module):
    r"""Division by a power of the mean square over ``size`` neighbouring channels.

    .. math:: y_c = x_c \left( k + \frac{\alpha}{n} \sum_{c'} x_{c'}^2 \right)^{-\beta}

    where n is ``size`` and c' runs over the n channels around c, those beyond the first and the last counting as zero.

    Args:
        size: n, the number of channels.
        alpha: factor of the mean square.
        beta: the power.
        k: what is added to the mean square.

    Shape:
        - input: (N, C, *).
        - output: as input.

    Raises:
        ValueError: if the input has fewer than 3 axes, or ``size`` is not positive.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.LocalResponseNorm.html; Krizhevsky, Sutskever and
    Hinton, ImageNet Classification with Deep Convolutional Neural Networks (2012), section 3.3

    Example:
        >>> import numpy as np
        >>> LocalResponseNorm(2)(np.ones((1, 4, 3), np.float32)).shape
        (1, 4, 3)
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: ArrayLike) -> jax.Array:
        """The input, normalized across channels."""
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class CrossMapLRN2d(Module):
    """``LocalResponseNorm`` of (N, C, H, W) under the name and with the numbers of Lua Torch.

    Past the first channels they differ from those of ``LocalResponseNorm``: the square of channel 0 stays in every later
    window. New networks want ``LocalResponseNorm``.

    Args:
        size: the number of channels.
        alpha: factor of the mean square.
        beta: the power.
        k: what is added to the mean square.

    Shape:
        - input: (N, C, H, W).
        - output: as input.

    Raises:
        ValueError: if the input is not 4-D.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.LocalResponseNorm.html, and what
    ``torch.nn.CrossMapLRN2d``, which has no page, computes

    Example:
        >>> import numpy as np
        >>> CrossMapLRN2d(3)(np.ones((1, 4, 2, 2), np.float32)).shape
        (1, 4, 2, 2)
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: ArrayLike) -> jax.Array:
        """The input, normalized across channels."""
        return cross_map_lrn(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"

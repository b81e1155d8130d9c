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
from fnn.nn.modules.utils import check_sizes
from fnn.nn.parameter import Parameter
from fnn.nn.placement import empty

__all__ = ["CrossMapLRN2d", "GroupNorm", "LayerNorm", "LocalResponseNorm", "RMSNorm"]


class LayerNorm(Module):
    """Normalization over the trailing axes ``normalized_shape`` (Ba et al., 2016).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LayerNorm.html.

    Args:
        normalized_shape: the trailing axes' lengths, or the last one's.
        eps: added to the variance.
        elementwise_affine: whether there are a weight and a bias.
        bias: whether there is a bias.
        device: where the parameters are put.
        dtype: their dtype.

    Example:
        >>> import numpy as np
        >>> LayerNorm(3)(np.ones((2, 3), np.float32)).shape
        (2, 3)
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
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
        if self.weight is not None:
            ones_(self.weight)
        if self.bias is not None:
            zeros_(self.bias)

    def forward(self, input: ArrayLike) -> jax.Array:
        """Normalizes the trailing axes."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


def _as_shape(layer: str, value: int | Sequence[int]) -> tuple[int, ...]:
    shape = tuple(value) if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str) else (value,)
    for size in shape:
        check_sizes(layer, normalized_shape=size)
    return shape  # pyright: ignore[reportReturnType]


class RMSNorm(Module):
    """Division by the root mean square over the trailing axes ``normalized_shape`` (Zhang and Sennrich, 2019).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.RMSNorm.html.

    Args:
        normalized_shape: the trailing axes' lengths, or the last one's.
        eps: added to the mean square; ``None`` is the dtype's machine epsilon.
        elementwise_affine: whether there is a weight.
        device: where the parameter is put.
        dtype: its dtype.

    Example:
        >>> import numpy as np
        >>> RMSNorm(3)(np.ones((2, 3), np.float32)).shape
        (2, 3)
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
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
        if self.weight is not None:
            ones_(self.weight)

    def forward(self, x: ArrayLike) -> jax.Array:
        """Normalizes the trailing axes."""
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """Normalization over groups of channels of (N, C, *) (Wu and He, 2018).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.GroupNorm.html.

    Args:
        num_groups: number of groups.
        num_channels: C.
        eps: added to the variance.
        affine: whether there are a weight and a bias.
        device: where the parameters are put.
        dtype: their dtype.
        bias: whether there is a bias.

    Raises:
        ValueError: if ``num_groups`` does not divide ``num_channels``.

    Example:
        >>> import numpy as np
        >>> GroupNorm(2, 4)(np.ones((1, 4, 3), np.float32)).shape
        (1, 4, 3)
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
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
        if self.weight is not None:
            ones_(self.weight)
        if self.bias is not None:
            zeros_(self.bias)

    def forward(self, input: ArrayLike) -> jax.Array:
        """Normalizes each group of each sample."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class LocalResponseNorm(Module):
    """Division by a power of the mean square over ``size`` neighbouring channels (Krizhevsky et al., 2012).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LocalResponseNorm.html.

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
        """Normalizes across channels."""
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class CrossMapLRN2d(Module):
    """``LocalResponseNorm`` of (N, C, H, W) as Lua Torch named it; arguments as there.

    It gives the values of ``torch.nn.CrossMapLRN2d``, which past the first channels differ from ``LocalResponseNorm``: the
    square of channel 0 stays in every later window. New networks want ``LocalResponseNorm``.

    Raises:
        ValueError: if the input is not 4-D.

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
        """Normalizes across channels."""
        return cross_map_lrn(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"

"""Normalization layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.functional.normalization import cross_map_lrn
from fnn.nn.init import ones_, zeros_
from fnn.nn.module import Module
from fnn.nn.parameter import Parameter
from fnn.nn.placement import empty, parse_device
from fnn.nn.sizes import check_sizes

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "CrossMapLRN2d",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LayerNorm",
    "LocalResponseNorm",
    "RMSNorm",
]


class _NormBase(Module):
    """Affine parameters and running statistics of the batch and instance norms."""

    _version = 2
    _ranks: tuple[int, ...] = ()

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device: Any,
        dtype: Any,
        bias: bool = True,
    ) -> None:
        super().__init__()
        check_sizes(type(self).__name__, num_features=num_features)
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self.register_parameter("weight", Parameter(empty((num_features,), device, dtype)) if affine else None)
        self.register_parameter("bias", Parameter(empty((num_features,), device, dtype)) if affine and bias else None)
        if track_running_stats:
            self.register_buffer("running_mean", empty((num_features,), device, dtype))
            self.register_buffer("running_var", empty((num_features,), device, dtype))
            self.register_buffer("num_batches_tracked", zero_count(device))
        else:
            for name in ("running_mean", "running_var", "num_batches_tracked"):
                self.register_buffer(name, None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Sets the running mean to 0, the running variance to 1, the count to 0."""
        if self.track_running_stats:
            zeros_(self.running_mean)
            ones_(self.running_var)
            zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Sets the weight to 1, the bias to 0, and resets the running statistics."""
        self.reset_running_stats()
        if self.weight is not None:
            ones_(self.weight)
        if self.bias is not None:
            zeros_(self.bias)

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )

    def _check_input(self, input: Any) -> None:
        if len(input.shape) not in self._ranks:
            wanted = " or ".join(f"{r}-D" for r in self._ranks)
            raise ValueError(f"{type(self).__name__}: input must be {wanted}, got shape {tuple(input.shape)}")

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        key = prefix + "num_batches_tracked"
        version = local_metadata.get("version")
        if self.track_running_stats and key not in state_dict and (version is None or version < 2):
            state_dict[key] = self.num_batches_tracked.data
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )


def zero_count(device: Any) -> jax.Array:
    return jax.device_put(np.zeros((), jax.dtypes.canonicalize_dtype(np.int64)), parse_device(device))


class _BatchNorm(_NormBase):
    _axis_name: Any = None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: ArrayLike) -> jax.Array:
        """Normalizes the input; in training mode updates the running statistics."""
        self._check_input(input)
        use_batch = self.training or self.running_mean is None
        if self.training and self.track_running_stats and self.running_mean is not None:
            axis = self._axis_name
            output = F.batch_norm(input, None, None, self.weight, self.bias, True, 0.0, self.eps, axis_name=axis)
            count = self.num_batches_tracked.data + 1
            momentum = 1.0 / count if self.momentum is None else self.momentum
            mean, var = F.batch_norm_update(input, self.running_mean, self.running_var, momentum, axis_name=axis)
            self.running_mean = mean
            self.running_var = var
            self.num_batches_tracked = count
            return output
        axis = self._axis_name if self.training else None
        return F.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, use_batch, 0.0, self.eps, axis_name=axis
        )


class BatchNorm1d(_BatchNorm):
    """Batch normalization of (N, C) or (N, C, L) (Ioffe and Szegedy, 2015).

    In training mode, (x - mean) / sqrt(var + eps) * weight + bias with the statistics of the batch, and the running
    statistics move towards them by ``momentum``; in evaluation mode, with the running statistics.
    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.BatchNorm1d.html.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: weight of the new statistics; ``None`` averages over all batches.
        affine: whether there are a weight and a bias.
        track_running_stats: whether there are running statistics.
        device: where the arrays are put.
        dtype: their dtype.
        bias: whether there is a bias.

    Raises:
        ValueError: if the input has another rank.

    Example:
        >>> import numpy as np
        >>> BatchNorm1d(2)(np.ones((4, 2), np.float32)).tolist()[0]
        [0.0, 0.0]
    """

    _ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalization of (N, C, H, W); arguments as ``BatchNorm1d``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.BatchNorm2d.html.

    Example:
        >>> import numpy as np
        >>> BatchNorm2d(3)(np.ones((2, 3, 4, 4), np.float32)).shape
        (2, 3, 4, 4)
    """

    _ranks = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch normalization of (N, C, D, H, W); arguments as ``BatchNorm1d``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.BatchNorm3d.html.

    Example:
        >>> import numpy as np
        >>> BatchNorm3d(3)(np.ones((2, 3, 2, 2, 2), np.float32)).shape
        (2, 3, 2, 2, 2)
    """

    _ranks = (5,)


class _InstanceNorm(_NormBase):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: ArrayLike) -> jax.Array:
        """Normalizes each channel of each sample; in training mode updates the running statistics, if kept."""
        self._check_input(input)
        use_input = self.training or not self.track_running_stats
        batched = len(input.shape) == max(self._ranks)  # pyright: ignore[reportAttributeAccessIssue]
        x: Any = input if batched else jnp.asarray(input)[None]
        output = F.instance_norm(
            x,
            None if use_input else self.running_mean,
            None if use_input else self.running_var,
            self.weight,
            self.bias,
            use_input,
            0.0,
            self.eps,
        )
        if self.training and self.track_running_stats:
            momentum = 0.0 if self.momentum is None else self.momentum
            mean, var = F.instance_norm_update(x, self.running_mean, self.running_var, momentum)
            self.running_mean = mean
            self.running_var = var
        return output if batched else output[0]

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        if not self.track_running_stats and local_metadata.get("version") is None:
            found = [prefix + k for k in ("running_mean", "running_var") if prefix + k in state_dict]
            if found:
                error_msgs.append(
                    f"{type(self).__name__}: state_dict must not have {' and '.join(map(repr, found))} with "
                    "track_running_stats=False; remove them, or construct the layer with track_running_stats=True"
                )
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )


class InstanceNorm1d(_InstanceNorm):
    """Instance normalization of (N, C, L) or (C, L) (Ulyanov et al., 2016).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.InstanceNorm1d.html.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: weight of the new running statistics.
        affine: whether there are a weight and a bias.
        track_running_stats: whether there are running statistics, used in evaluation mode.
        device: where the arrays are put.
        dtype: their dtype.
        bias: whether there is a bias.

    Raises:
        ValueError: if the input has another rank.

    Example:
        >>> import numpy as np
        >>> InstanceNorm1d(2)(np.ones((1, 2, 4), np.float32)).shape
        (1, 2, 4)
    """

    _ranks = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Instance normalization of (N, C, H, W) or (C, H, W); arguments as ``InstanceNorm1d``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.InstanceNorm2d.html.

    Example:
        >>> import numpy as np
        >>> InstanceNorm2d(2)(np.ones((1, 2, 4, 4), np.float32)).shape
        (1, 2, 4, 4)
    """

    _ranks = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Instance normalization of (N, C, D, H, W) or (C, D, H, W); arguments as ``InstanceNorm1d``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.InstanceNorm3d.html.

    Example:
        >>> import numpy as np
        >>> InstanceNorm3d(2)(np.ones((1, 2, 2, 2, 2), np.float32)).shape
        (1, 2, 2, 2, 2)
    """

    _ranks = (4, 5)


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

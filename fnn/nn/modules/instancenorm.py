"""Instance normalization layers."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.batchnorm import _LazyNormBase, _NormBase
from fnn.nn.placement import Device, DType

__all__ = [
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LazyInstanceNorm1d",
    "LazyInstanceNorm2d",
    "LazyInstanceNorm3d",
]


class _InstanceNorm(_NormBase):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Device = None,
        dtype: DType = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: ArrayLike) -> jax.Array:
        """The input, each channel of each sample normalized; in training mode running statistics are updated, if kept."""
        self._check_input_dim(input)
        use_input = self.training or not self.track_running_stats
        batched = len(jnp.shape(input)) == max(self._ranks)
        x = input if batched else jnp.asarray(input)[None]
        momentum = 0.0 if self.momentum is None else self.momentum
        output = F.instance_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, use_input, momentum, self.eps
        )
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
    r"""Instance normalization of (N, C, L) or (C, L): each channel of each sample gets mean 0 and variance 1.

    .. math:: y = \frac{x - \mathrm{E}[x]}{\sqrt{\mathrm{Var}[x] + \epsilon}} \cdot \mathrm{weight} + \mathrm{bias}

    Mean and (biased) variance are those of each channel of each sample; with ``track_running_stats``, in evaluation
    mode, the running ones: averages over the samples of every batch seen in training mode.

    Args:
        num_features: C, the number of channels.
        eps: added to the variance before the root is taken.
        momentum: weight of the batch in the running statistics; ``None`` leaves them as they are.
        affine: whether there are a weight and a bias.
        track_running_stats: whether there are running statistics, which are used in evaluation mode.
        device: where parameters and buffers are put; ``None`` is JAX's default device.
        dtype: their dtype; ``None`` is float32.
        bias: whether there is a bias, if ``affine``.

    Attributes:
        weight (Parameter | None): (C), ones at first.
        bias (Parameter | None): (C), zeros at first.
        running_mean (Buffer | None): (C), zeros at first.
        running_var (Buffer | None): (C), ones at first.
        num_batches_tracked (Buffer | None): (); it stays 0, as in torch.

    Shape:
        - input: (N, C, L) or (C, L).
        - output: as input.

    Raises:
        ValueError: if the input has another number of axes, or one value for each channel.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.InstanceNorm1d.html; Ulyanov et al., Instance
    Normalization (2016), https://arxiv.org/abs/1607.08022

    Example:
        >>> import numpy as np
        >>> InstanceNorm1d(2)(np.ones((1, 2, 4), np.float32)).shape
        (1, 2, 4)
    """

    _ranks = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    r"""Instance normalization of (N, C, H, W) or (C, H, W): each channel of each sample gets mean 0 and variance 1.

    .. math:: y = \frac{x - \mathrm{E}[x]}{\sqrt{\mathrm{Var}[x] + \epsilon}} \cdot \mathrm{weight} + \mathrm{bias}

    ``InstanceNorm1d`` says which statistics are used when.

    Args:
        num_features: C, the number of channels.
        eps: added to the variance before the root is taken.
        momentum: weight of the batch in the running statistics; ``None`` leaves them as they are.
        affine: whether there are a weight and a bias.
        track_running_stats: whether there are running statistics, which are used in evaluation mode.
        device: where parameters and buffers are put; ``None`` is JAX's default device.
        dtype: their dtype; ``None`` is float32.
        bias: whether there is a bias, if ``affine``.

    Attributes:
        weight (Parameter | None): (C), ones at first.
        bias (Parameter | None): (C), zeros at first.
        running_mean (Buffer | None): (C), zeros at first.
        running_var (Buffer | None): (C), ones at first.
        num_batches_tracked (Buffer | None): (); it stays 0, as in torch.

    Shape:
        - input: (N, C, H, W) or (C, H, W).
        - output: as input.

    Raises:
        ValueError: if the input has another number of axes, or one value for each channel.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.InstanceNorm2d.html

    Example:
        >>> import numpy as np
        >>> InstanceNorm2d(2)(np.ones((1, 2, 4, 4), np.float32)).shape
        (1, 2, 4, 4)
    """

    _ranks = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    r"""Instance normalization of (N, C, D, H, W) or (C, D, H, W): each channel of each sample gets mean 0 and variance 1.

    .. math:: y = \frac{x - \mathrm{E}[x]}{\sqrt{\mathrm{Var}[x] + \epsilon}} \cdot \mathrm{weight} + \mathrm{bias}

    ``InstanceNorm1d`` says which statistics are used when.

    Args:
        num_features: C, the number of channels.
        eps: added to the variance before the root is taken.
        momentum: weight of the batch in the running statistics; ``None`` leaves them as they are.
        affine: whether there are a weight and a bias.
        track_running_stats: whether there are running statistics, which are used in evaluation mode.
        device: where parameters and buffers are put; ``None`` is JAX's default device.
        dtype: their dtype; ``None`` is float32.
        bias: whether there is a bias, if ``affine``.

    Attributes:
        weight (Parameter | None): (C), ones at first.
        bias (Parameter | None): (C), zeros at first.
        running_mean (Buffer | None): (C), zeros at first.
        running_var (Buffer | None): (C), ones at first.
        num_batches_tracked (Buffer | None): (); it stays 0, as in torch.

    Shape:
        - input: (N, C, D, H, W) or (C, D, H, W).
        - output: as input.

    Raises:
        ValueError: if the input has another number of axes, or one value for each channel.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.InstanceNorm3d.html

    Example:
        >>> import numpy as np
        >>> InstanceNorm3d(2)(np.ones((1, 2, 2, 2, 2), np.float32)).shape
        (1, 2, 2, 2, 2)
    """

    _ranks = (4, 5)


class LazyInstanceNorm1d(_LazyNormBase, InstanceNorm1d):
    """An ``InstanceNorm1d`` that takes ``num_features`` from its first input, and is an ``InstanceNorm1d`` from then on.

    As in torch, and unlike in ``InstanceNorm1d``, ``affine`` and ``track_running_stats`` are true by default.

    Args:
        eps: added to the variance before the root is taken.
        momentum: weight of the batch in the running statistics; ``None`` leaves them as they are.
        affine: whether there are a weight and a bias.
        track_running_stats: whether there are running statistics, which are used in evaluation mode.
        device: where parameters and buffers are put; ``None`` is JAX's default device.
        dtype: their dtype; ``None`` is float32.
        bias: whether there is a bias, if ``affine``.

    Attributes:
        weight (UninitializedParameter | None): has no values before the first call; then as in ``InstanceNorm1d``.
        bias (UninitializedParameter | None): alike.
        running_mean (UninitializedBuffer | None): alike.
        running_var (UninitializedBuffer | None): alike.
        num_batches_tracked (Buffer | None): ().

    Shape:
        - input: (N, C, L) or (C, L).
        - output: as input.

    Raises:
        ValueError: if the input has another number of axes.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.LazyInstanceNorm1d.html

    Example:
        >>> import numpy as np
        >>> layer = LazyInstanceNorm1d()
        >>> layer(np.ones((1, 2, 4), np.float32)).shape, layer.num_features, type(layer).__name__
        ((1, 2, 4), 2, 'InstanceNorm1d')
    """

    cls_to_become: type[Any] | None = InstanceNorm1d
    _may_lack_batch = True


class LazyInstanceNorm2d(_LazyNormBase, InstanceNorm2d):
    """An ``InstanceNorm2d`` that takes ``num_features`` from its first input, and is an ``InstanceNorm2d`` from then on.

    As in torch, and unlike in ``InstanceNorm2d``, ``affine`` and ``track_running_stats`` are true by default.

    Args:
        eps: added to the variance before the root is taken.
        momentum: weight of the batch in the running statistics; ``None`` leaves them as they are.
        affine: whether there are a weight and a bias.
        track_running_stats: whether there are running statistics, which are used in evaluation mode.
        device: where parameters and buffers are put; ``None`` is JAX's default device.
        dtype: their dtype; ``None`` is float32.
        bias: whether there is a bias, if ``affine``.

    Attributes:
        weight (UninitializedParameter | None): has no values before the first call; then as in ``InstanceNorm2d``.
        bias (UninitializedParameter | None): alike.
        running_mean (UninitializedBuffer | None): alike.
        running_var (UninitializedBuffer | None): alike.
        num_batches_tracked (Buffer | None): ().

    Shape:
        - input: (N, C, H, W) or (C, H, W).
        - output: as input.

    Raises:
        ValueError: if the input has another number of axes.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.LazyInstanceNorm2d.html

    Example:
        >>> LazyInstanceNorm2d().weight
        <UninitializedParameter>
    """

    cls_to_become: type[Any] | None = InstanceNorm2d
    _may_lack_batch = True


class LazyInstanceNorm3d(_LazyNormBase, InstanceNorm3d):
    """An ``InstanceNorm3d`` that takes ``num_features`` from its first input, and is an ``InstanceNorm3d`` from then on.

    As in torch, and unlike in ``InstanceNorm3d``, ``affine`` and ``track_running_stats`` are true by default.

    Args:
        eps: added to the variance before the root is taken.
        momentum: weight of the batch in the running statistics; ``None`` leaves them as they are.
        affine: whether there are a weight and a bias.
        track_running_stats: whether there are running statistics, which are used in evaluation mode.
        device: where parameters and buffers are put; ``None`` is JAX's default device.
        dtype: their dtype; ``None`` is float32.
        bias: whether there is a bias, if ``affine``.

    Attributes:
        weight (UninitializedParameter | None): has no values before the first call; then as in ``InstanceNorm3d``.
        bias (UninitializedParameter | None): alike.
        running_mean (UninitializedBuffer | None): alike.
        running_var (UninitializedBuffer | None): alike.
        num_batches_tracked (Buffer | None): ().

    Shape:
        - input: (N, C, D, H, W) or (C, D, H, W).
        - output: as input.

    Raises:
        ValueError: if the input has another number of axes.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.LazyInstanceNorm3d.html

    Example:
        >>> LazyInstanceNorm3d().running_mean
        <UninitializedBuffer>
    """

    cls_to_become: type[Any] | None = InstanceNorm3d
    _may_lack_batch = True

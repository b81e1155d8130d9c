"""Instance normalization layers."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.batchnorm import _LazyNorm, _NormBase

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


class LazyInstanceNorm1d(_LazyNorm, InstanceNorm1d):
    """An ``InstanceNorm1d`` whose ``num_features`` is the channels of its first input.

    As in torch, and unlike in ``InstanceNorm1d``, ``affine`` and ``track_running_stats`` are true by default.
    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LazyInstanceNorm1d.html.

    Raises:
        ValueError: if the first input has another rank.

    Example:
        >>> import numpy as np
        >>> layer = LazyInstanceNorm1d()
        >>> layer(np.ones((1, 2, 4), np.float32)).shape, layer.num_features, type(layer).__name__
        ((1, 2, 4), 2, 'InstanceNorm1d')
    """

    cls_to_become = InstanceNorm1d
    _may_lack_batch = True


class LazyInstanceNorm2d(_LazyNorm, InstanceNorm2d):
    """An ``InstanceNorm2d`` whose ``num_features`` is the channels of its first input; see ``LazyInstanceNorm1d``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LazyInstanceNorm2d.html.

    Example:
        >>> LazyInstanceNorm2d().weight
        <UninitializedParameter>
    """

    cls_to_become = InstanceNorm2d
    _may_lack_batch = True


class LazyInstanceNorm3d(_LazyNorm, InstanceNorm3d):
    """An ``InstanceNorm3d`` whose ``num_features`` is the channels of its first input; see ``LazyInstanceNorm1d``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LazyInstanceNorm3d.html.

    Example:
        >>> LazyInstanceNorm3d().running_mean
        <UninitializedBuffer>
    """

    cls_to_become = InstanceNorm3d
    _may_lack_batch = True

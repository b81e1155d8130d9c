"""Batch normalization layers."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.init import ones_, zeros_
from fnn.nn.modules.lazy import LazyModuleMixin
from fnn.nn.modules.module import Module
from fnn.nn.modules.utils import check_sizes
from fnn.nn.parameter import Parameter, UninitializedBuffer, UninitializedParameter, is_lazy
from fnn.nn.placement import empty, parse_device

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "LazyBatchNorm1d",
    "LazyBatchNorm2d",
    "LazyBatchNorm3d",
    "SyncBatchNorm",
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


class _LazyNorm(LazyModuleMixin):
    """What the lazy batch and instance norms share."""

    num_features: int
    weight: Any
    bias: Any
    running_mean: Any
    running_var: Any
    num_batches_tracked: Any
    _may_lack_batch = False

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(0, eps, momentum, False, False)
        self.affine = affine
        self.track_running_stats = track_running_stats
        if affine:
            self.weight = UninitializedParameter(device=device, dtype=dtype)
            if bias:
                self.bias = UninitializedParameter(device=device, dtype=dtype)
        if track_running_stats:
            self.running_mean = UninitializedBuffer(device=device, dtype=dtype)
            self.running_var = UninitializedBuffer(device=device, dtype=dtype)
            self.register_buffer("num_batches_tracked", zero_count(device))  # pyright: ignore

    def reset_parameters(self) -> None:
        """Sets weights, biases and running statistics to their first values, once there are any."""
        if not self.has_uninitialized_params() and self.num_features != 0:
            super().reset_parameters()  # pyright: ignore[reportAttributeAccessIssue]

    def initialize_parameters(self, input: Any) -> None:
        """Takes ``num_features`` from the input, or from arrays that were loaded."""
        boxes = [box for box in (self.weight, self.bias, self.running_mean, self.running_var) if box is not None]
        loaded = [box for box in boxes if not is_lazy(box)]
        if loaded and len(loaded) == len(boxes):
            self.num_features = loaded[0].shape[0]
            return
        self._check_input(input)  # pyright: ignore[reportAttributeAccessIssue]
        batched = len(input.shape) == max(self._ranks)  # pyright: ignore[reportAttributeAccessIssue]
        self.num_features = input.shape[1] if batched or not self._may_lack_batch else input.shape[0]
        for box in boxes:
            if is_lazy(box):
                box.materialize((self.num_features,))
        self.reset_parameters()


class LazyBatchNorm1d(_LazyNorm, BatchNorm1d):
    """A ``BatchNorm1d`` whose ``num_features`` is the channels of its first input; its other arguments are unchanged.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LazyBatchNorm1d.html.

    Raises:
        ValueError: if the first input has another rank.

    Example:
        >>> import numpy as np
        >>> layer = LazyBatchNorm1d()
        >>> layer(np.ones((4, 2), np.float32)).shape, layer.num_features, type(layer).__name__
        ((4, 2), 2, 'BatchNorm1d')
    """

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyNorm, BatchNorm2d):
    """A ``BatchNorm2d`` whose ``num_features`` is the channels of its first input; see ``LazyBatchNorm1d``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LazyBatchNorm2d.html.

    Example:
        >>> LazyBatchNorm2d().weight
        <UninitializedParameter>
    """

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyNorm, BatchNorm3d):
    """A ``BatchNorm3d`` whose ``num_features`` is the channels of its first input; see ``LazyBatchNorm1d``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LazyBatchNorm3d.html.

    Example:
        >>> LazyBatchNorm3d().running_mean
        <UninitializedBuffer>
    """

    cls_to_become = BatchNorm3d


class SyncBatchNorm(_BatchNorm):
    """Batch normalization of (N, C, *) over the whole of a batch that is spread over devices.

    Under ``jit`` with sharded arrays the batch that a layer sees is already the whole, and this is ``BatchNorm``. Inside
    ``shard_map``, ``pmap`` or ``vmap`` a layer sees one part; then ``process_group`` names the axis over which, in training
    mode, the mean, the variance and the running statistics are taken, and gradients flow across it. Parts are equal in shape.
    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.SyncBatchNorm.html.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: weight of the new statistics; ``None`` averages over all batches.
        affine: whether there are a weight and a bias.
        track_running_stats: whether there are running statistics.
        process_group: name of a mapped axis, or a tuple of names; ``None`` where arrays are whole.
        device: where the arrays are put.
        dtype: their dtype.
        bias: whether there is a bias.

    Raises:
        ValueError: if the input has fewer than 2 axes or no channels, or no mapped axis has the name ``process_group``.

    Example:
        >>> import fnn, jax, jax.numpy as jnp
        >>> layer = SyncBatchNorm(1, process_group="devices")
        >>> run = lambda x: fnn.functional_call(layer, *fnn.state(layer), x)[0]
        >>> x = jnp.array([[[1.0]], [[3.0]]], "float32")
        >>> jax.vmap(run, axis_name="devices")(x).round(3).ravel().tolist()
        [-1.0, 1.0]
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: Any = None,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)
        self.process_group = tuple(process_group) if isinstance(process_group, list) else process_group

    @property
    def _axis_name(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.process_group

    def _check_input(self, input: Any) -> None:
        if len(input.shape) < 2:
            raise ValueError(f"SyncBatchNorm: input must be at least 2-D, got shape {tuple(input.shape)}")
        if input.shape[1] == 0:
            raise ValueError(f"SyncBatchNorm: input must have channels on axis 1, got shape {tuple(input.shape)}")

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group: Any = None) -> Module:
        """Replaces every batch norm at or below ``module`` by a ``SyncBatchNorm`` with the same parameters and buffers.

        Args:
            module: a network; it is changed in place.
            process_group: as the argument of ``SyncBatchNorm``.

        Returns:
            ``module``, or the new layer if it is a batch norm itself.

        Raises:
            RuntimeError: if a batch norm is not initialized yet.

        Example:
            >>> from fnn import nn
            >>> model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
            >>> type(nn.SyncBatchNorm.convert_sync_batchnorm(model)[1]).__name__
            'SyncBatchNorm'
        """
        return cls._convert(module, process_group, {})

    @classmethod
    def _convert(cls, module: Module, process_group: Any, done: dict[int, Module]) -> Module:
        if id(module) in done:
            return done[id(module)]
        out = done[id(module)] = cls._like(module, process_group) if isinstance(module, _BatchNorm) else module
        for name, child in list(module._modules.items()):
            if child is not None:
                new = cls._convert(child, process_group, done)
                if out is not module or new is not child:
                    out.add_module(name, new)
        return out

    @classmethod
    def _like(cls, layer: _BatchNorm, process_group: Any) -> Module:
        if isinstance(layer, LazyModuleMixin):
            raise RuntimeError(
                f"convert_sync_batchnorm: {type(layer).__name__} is uninitialized; call the model once, eagerly, before"
            )
        new = cls(
            layer.num_features,
            layer.eps,
            layer.momentum,
            layer.affine,
            layer.track_running_stats,
            process_group,
            bias=layer.bias is not None,
        )
        new._parameters.update(layer._parameters)
        new._buffers.update(layer._buffers)
        new.training = layer.training
        return new

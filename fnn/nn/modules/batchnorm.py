"""Batch normalization layers."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.functional.moments import AxisName
from fnn.nn.init import ones_, zeros_
from fnn.nn.modules.lazy import LazyModuleMixin
from fnn.nn.modules.module import Module
from fnn.nn.modules.utils import check_sizes
from fnn.nn.parameter import (
    OptionalBuffer,
    OptionalParameter,
    Parameter,
    UninitializedBuffer,
    UninitializedParameter,
    is_lazy,
)
from fnn.nn.placement import Device, DType, empty, parse_device

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

    num_features: int
    eps: float
    momentum: float | None
    affine: bool
    track_running_stats: bool
    weight: OptionalParameter
    bias: OptionalParameter
    running_mean: OptionalBuffer
    running_var: OptionalBuffer
    num_batches_tracked: OptionalBuffer

    _version = 2
    _ranks: tuple[int, ...] = ()

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Device = None,
        dtype: DType = None,
        *,
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
            self.register_buffer("num_batches_tracked", _zero_count(device))
        else:
            for name in ("running_mean", "running_var", "num_batches_tracked"):
                self.register_buffer(name, None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Sets the running mean to 0, the running variance to 1, the count to 0."""
        if self.track_running_stats:
            for box, fill in (
                (self.running_mean, zeros_),
                (self.running_var, ones_),
                (self.num_batches_tracked, zeros_),
            ):
                if box is not None:
                    fill(box)

    def reset_parameters(self) -> None:
        """Sets the weight to 1, the bias to 0, and resets the running statistics."""
        self.reset_running_stats()
        if self.weight is not None:
            ones_(self.weight)
        if self.bias is not None:
            zeros_(self.bias)

    def extra_repr(self) -> str:
        """The arguments."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )

    def _check_input_dim(self, input: ArrayLike) -> None:
        shape = jnp.shape(input)
        if len(shape) not in self._ranks:
            wanted = " or ".join(f"{r}-D" for r in self._ranks)
            raise ValueError(f"{type(self).__name__}: input must be {wanted}, got shape {shape}")

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
            state_dict[key] = _zero_count(None) if self.num_batches_tracked is None else self.num_batches_tracked.data
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )


def _zero_count(device: Device) -> jax.Array:
    return jax.device_put(np.zeros((), jax.dtypes.canonicalize_dtype(np.int64)), parse_device(device))


@jax.jit
def _next(count: jax.Array) -> jax.Array:
    """One more; the largest number stays, where the next would be negative."""
    return count + (count < jnp.iinfo(count.dtype).max).astype(count.dtype)


class _BatchNorm(_NormBase):
    @property
    def _axis_name(self) -> AxisName | None:
        """The mapped axis over which the batch is spread."""
        return None

    def forward(self, input: ArrayLike) -> jax.Array:
        """The normalized input; in training mode the running statistics are updated."""
        self._check_input_dim(input)
        mean, var = self.running_mean, self.running_var
        use_batch = self.training or (mean is None and var is None)
        if self.training and not self.track_running_stats:
            mean = var = None
        count = self.num_batches_tracked if self.training and self.track_running_stats else None
        seen: Any = None if count is None else _next(count.peek())
        momentum: Any = self.momentum
        if momentum is None:
            momentum = 0.0 if seen is None else 1.0 / seen
        axis = self._axis_name if self.training else None
        output = F.batch_norm(input, mean, var, self.weight, self.bias, use_batch, momentum, self.eps, axis_name=axis)
        if count is not None and seen is not None:
            count.write(seen)
        return output


class BatchNorm1d(_BatchNorm):
    r"""Batch normalization of (N, C) or (N, C, L): each channel gets mean 0 and variance 1 over the batch.

    .. math:: y = \frac{x - \mathrm{E}[x]}{\sqrt{\mathrm{Var}[x] + \epsilon}} \cdot \mathrm{weight} + \mathrm{bias}

    In training mode with mean and (biased) variance of the batch; the running statistics then move towards its mean and
    its unbiased variance: running = (1 - momentum) running + momentum batch. In evaluation mode with the running ones.

    Args:
        num_features: C, the number of channels.
        eps: added to the variance before the root is taken.
        momentum: weight of the batch in the running statistics; ``None`` averages over all batches alike.
        affine: whether there are a weight and a bias.
        track_running_stats: whether there are running statistics; without, those of the batch are used in evaluation too.
        device: where parameters and buffers are put; ``None`` is JAX's default device.
        dtype: their dtype; ``None`` is float32.
        bias: whether there is a bias, if ``affine``.

    Attributes:
        weight (Parameter | None): (C), ones at first.
        bias (Parameter | None): (C), zeros at first.
        running_mean (Buffer | None): (C), zeros at first.
        running_var (Buffer | None): (C), ones at first.
        num_batches_tracked (Buffer | None): (), the number of batches seen in training mode.

    Shape:
        - input: (N, C) or (N, C, L).
        - output: as input.

    Raises:
        ValueError: if the input has another number of axes, or one value for each channel in training mode.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.BatchNorm1d.html; Ioffe and Szegedy, Batch
    Normalization (2015), https://arxiv.org/abs/1502.03167

    Example:
        >>> import numpy as np
        >>> BatchNorm1d(2)(np.ones((4, 2), np.float32)).tolist()[0]
        [0.0, 0.0]
    """

    _ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    r"""Batch normalization of (N, C, H, W): each channel gets mean 0 and variance 1 over batch and positions.

    .. math:: y = \frac{x - \mathrm{E}[x]}{\sqrt{\mathrm{Var}[x] + \epsilon}} \cdot \mathrm{weight} + \mathrm{bias}

    ``BatchNorm1d`` says which statistics are used when.

    Args:
        num_features: C, the number of channels.
        eps: added to the variance before the root is taken.
        momentum: weight of the batch in the running statistics; ``None`` averages over all batches alike.
        affine: whether there are a weight and a bias.
        track_running_stats: whether there are running statistics; without, those of the batch are used in evaluation too.
        device: where parameters and buffers are put; ``None`` is JAX's default device.
        dtype: their dtype; ``None`` is float32.
        bias: whether there is a bias, if ``affine``.

    Attributes:
        weight (Parameter | None): (C), ones at first.
        bias (Parameter | None): (C), zeros at first.
        running_mean (Buffer | None): (C), zeros at first.
        running_var (Buffer | None): (C), ones at first.
        num_batches_tracked (Buffer | None): (), the number of batches seen in training mode.

    Shape:
        - input: (N, C, H, W).
        - output: as input.

    Raises:
        ValueError: if the input has another number of axes, or one value for each channel in training mode.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.BatchNorm2d.html

    Example:
        >>> import numpy as np
        >>> BatchNorm2d(3)(np.ones((2, 3, 4, 4), np.float32)).shape
        (2, 3, 4, 4)
    """

    _ranks = (4,)


class BatchNorm3d(_BatchNorm):
    r"""Batch normalization of (N, C, D, H, W): each channel gets mean 0 and variance 1 over batch and positions.

    .. math:: y = \frac{x - \mathrm{E}[x]}{\sqrt{\mathrm{Var}[x] + \epsilon}} \cdot \mathrm{weight} + \mathrm{bias}

    ``BatchNorm1d`` says which statistics are used when.

    Args:
        num_features: C, the number of channels.
        eps: added to the variance before the root is taken.
        momentum: weight of the batch in the running statistics; ``None`` averages over all batches alike.
        affine: whether there are a weight and a bias.
        track_running_stats: whether there are running statistics; without, those of the batch are used in evaluation too.
        device: where parameters and buffers are put; ``None`` is JAX's default device.
        dtype: their dtype; ``None`` is float32.
        bias: whether there is a bias, if ``affine``.

    Attributes:
        weight (Parameter | None): (C), ones at first.
        bias (Parameter | None): (C), zeros at first.
        running_mean (Buffer | None): (C), zeros at first.
        running_var (Buffer | None): (C), ones at first.
        num_batches_tracked (Buffer | None): (), the number of batches seen in training mode.

    Shape:
        - input: (N, C, D, H, W).
        - output: as input.

    Raises:
        ValueError: if the input has another number of axes, or one value for each channel in training mode.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.BatchNorm3d.html

    Example:
        >>> import numpy as np
        >>> BatchNorm3d(3)(np.ones((2, 3, 2, 2, 2), np.float32)).shape
        (2, 3, 2, 2, 2)
    """

    _ranks = (5,)


class _LazyNormBase(LazyModuleMixin, _NormBase):
    """The base of the lazy batch and instance norms."""

    num_features: int
    affine: bool
    track_running_stats: bool
    weight: OptionalParameter
    bias: OptionalParameter
    running_mean: OptionalBuffer
    running_var: OptionalBuffer

    _may_lack_batch = False

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Device = None,
        dtype: DType = None,
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
            self.register_buffer("num_batches_tracked", _zero_count(device))

    def reset_parameters(self) -> None:
        """Sets weights, biases and running statistics to their first values, once there are any."""
        if not self.has_uninitialized_params() and self.num_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: ArrayLike) -> None:
        """Takes ``num_features`` from the input, or from arrays that were loaded."""
        boxes = [box for box in (self.weight, self.bias, self.running_mean, self.running_var) if box is not None]
        loaded = [box for box in boxes if not is_lazy(box)]
        if loaded and len(loaded) == len(boxes):
            self.num_features = loaded[0].shape[0]
            return
        self._check_input_dim(input)
        shape = jnp.shape(input)
        batched = len(shape) == max(self._ranks)
        self.num_features = shape[1] if batched or not self._may_lack_batch else shape[0]
        for box in boxes:
            if is_lazy(box):
                box.materialize((self.num_features,))
        self.reset_parameters()


class LazyBatchNorm1d(_LazyNormBase, BatchNorm1d):
    """A ``BatchNorm1d`` that takes ``num_features`` from its first input, and is a ``BatchNorm1d`` from then on.

    Args:
        eps: added to the variance before the root is taken.
        momentum: weight of the batch in the running statistics; ``None`` averages over all batches alike.
        affine: whether there are a weight and a bias.
        track_running_stats: whether there are running statistics; without, those of the batch are used in evaluation too.
        device: where parameters and buffers are put; ``None`` is JAX's default device.
        dtype: their dtype; ``None`` is float32.
        bias: whether there is a bias, if ``affine``.

    Attributes:
        weight (UninitializedParameter | None): has no values before the first call; then as in ``BatchNorm1d``.
        bias (UninitializedParameter | None): alike.
        running_mean (UninitializedBuffer | None): alike.
        running_var (UninitializedBuffer | None): alike.
        num_batches_tracked (Buffer | None): ().

    Shape:
        - input: (N, C) or (N, C, L).
        - output: as input.

    Raises:
        ValueError: if the input has another number of axes.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.LazyBatchNorm1d.html

    Example:
        >>> import numpy as np
        >>> layer = LazyBatchNorm1d()
        >>> layer(np.ones((4, 2), np.float32)).shape, layer.num_features, type(layer).__name__
        ((4, 2), 2, 'BatchNorm1d')
    """

    cls_to_become: type[Any] | None = BatchNorm1d


class LazyBatchNorm2d(_LazyNormBase, BatchNorm2d):
    """A ``BatchNorm2d`` that takes ``num_features`` from its first input, and is a ``BatchNorm2d`` from then on.

    Args:
        eps: added to the variance before the root is taken.
        momentum: weight of the batch in the running statistics; ``None`` averages over all batches alike.
        affine: whether there are a weight and a bias.
        track_running_stats: whether there are running statistics; without, those of the batch are used in evaluation too.
        device: where parameters and buffers are put; ``None`` is JAX's default device.
        dtype: their dtype; ``None`` is float32.
        bias: whether there is a bias, if ``affine``.

    Attributes:
        weight (UninitializedParameter | None): has no values before the first call; then as in ``BatchNorm2d``.
        bias (UninitializedParameter | None): alike.
        running_mean (UninitializedBuffer | None): alike.
        running_var (UninitializedBuffer | None): alike.
        num_batches_tracked (Buffer | None): ().

    Shape:
        - input: (N, C, H, W).
        - output: as input.

    Raises:
        ValueError: if the input has another number of axes.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.LazyBatchNorm2d.html

    Example:
        >>> LazyBatchNorm2d().weight
        <UninitializedParameter>
    """

    cls_to_become: type[Any] | None = BatchNorm2d


class LazyBatchNorm3d(_LazyNormBase, BatchNorm3d):
    """A ``BatchNorm3d`` that takes ``num_features`` from its first input, and is a ``BatchNorm3d`` from then on.

    Args:
        eps: added to the variance before the root is taken.
        momentum: weight of the batch in the running statistics; ``None`` averages over all batches alike.
        affine: whether there are a weight and a bias.
        track_running_stats: whether there are running statistics; without, those of the batch are used in evaluation too.
        device: where parameters and buffers are put; ``None`` is JAX's default device.
        dtype: their dtype; ``None`` is float32.
        bias: whether there is a bias, if ``affine``.

    Attributes:
        weight (UninitializedParameter | None): has no values before the first call; then as in ``BatchNorm3d``.
        bias (UninitializedParameter | None): alike.
        running_mean (UninitializedBuffer | None): alike.
        running_var (UninitializedBuffer | None): alike.
        num_batches_tracked (Buffer | None): ().

    Shape:
        - input: (N, C, D, H, W).
        - output: as input.

    Raises:
        ValueError: if the input has another number of axes.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.LazyBatchNorm3d.html

    Example:
        >>> LazyBatchNorm3d().running_mean
        <UninitializedBuffer>
    """

    cls_to_become: type[Any] | None = BatchNorm3d


class SyncBatchNorm(_BatchNorm):
    r"""Batch normalization of (N, C, *) over the whole of a batch that is spread over devices.

    .. math:: y = \frac{x - \mathrm{E}[x]}{\sqrt{\mathrm{Var}[x] + \epsilon}} \cdot \mathrm{weight} + \mathrm{bias}

    Under ``jit`` with sharded arrays the batch that a layer sees is already the whole, and this is ``BatchNorm``. Inside
    ``shard_map``, ``pmap`` or ``vmap`` a layer sees one part; then ``process_group`` names the axis over which, in training
    mode, the mean, the variance and the running statistics are taken, and gradients flow across it. Parts are equal in shape.

    Args:
        num_features: C, the number of channels.
        eps: added to the variance before the root is taken.
        momentum: weight of the batch in the running statistics; ``None`` averages over all batches alike.
        affine: whether there are a weight and a bias.
        track_running_stats: whether there are running statistics; without, those of the batch are used in evaluation too.
        process_group: name of a mapped axis, or several names; ``None`` where arrays are whole.
        device: where parameters and buffers are put; ``None`` is JAX's default device.
        dtype: their dtype; ``None`` is float32.
        bias: whether there is a bias, if ``affine``.

    Attributes:
        weight (Parameter | None): (C), ones at first.
        bias (Parameter | None): (C), zeros at first.
        running_mean (Buffer | None): (C), zeros at first.
        running_var (Buffer | None): (C), ones at first.
        num_batches_tracked (Buffer | None): (), the number of batches seen in training mode.
        process_group (Hashable | tuple[Hashable, ...] | None): the axis.

    Shape:
        - input: (N, C, *).
        - output: as input.

    Raises:
        ValueError: if the input has fewer than 2 axes or no channels, or no mapped axis has the name ``process_group``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.SyncBatchNorm.html

    Example:
        >>> import fnn, jax, jax.numpy as jnp
        >>> layer = SyncBatchNorm(1, process_group="devices")
        >>> run = lambda x: fnn.functional_call(layer, *fnn.state(layer), x)[0]
        >>> x = jnp.array([[[1.0]], [[3.0]]], "float32")
        >>> jax.vmap(run, axis_name="devices")(x).round(3).ravel().tolist()
        [-1.0, 1.0]
    """

    process_group: AxisName | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: AxisName | list[Hashable] | None = None,
        device: Device = None,
        dtype: DType = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)
        self.process_group = tuple(process_group) if isinstance(process_group, list) else process_group

    @property
    def _axis_name(self) -> AxisName | None:
        return self.process_group

    def _check_input_dim(self, input: ArrayLike) -> None:
        shape = jnp.shape(input)
        if len(shape) < 2:
            raise ValueError(f"SyncBatchNorm: input must be at least 2-D, got shape {shape}")
        if shape[1] == 0:
            raise ValueError(f"SyncBatchNorm: input must have channels on axis 1, got shape {shape}")

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group: AxisName | list[Hashable] | None = None) -> Module:
        """Replaces every batch norm at or below ``module`` by a ``SyncBatchNorm`` with the same parameters and buffers.

        Args:
            module: a network; it is changed in place.
            process_group: as the argument of ``SyncBatchNorm``.

        Returns:
            ``module``, or the new layer if it is a batch norm itself.

        Raises:
            RuntimeError: if a batch norm is not initialized yet.

        Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.SyncBatchNorm.html

        Example:
            >>> from fnn import nn
            >>> model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
            >>> type(nn.SyncBatchNorm.convert_sync_batchnorm(model)[1]).__name__
            'SyncBatchNorm'
        """
        return cls._convert(module, process_group, {})

    @classmethod
    def _convert(
        cls, module: Module, process_group: AxisName | list[Hashable] | None, done: dict[int, Module]
    ) -> Module:
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
    def _like(cls, layer: _BatchNorm, process_group: AxisName | list[Hashable] | None) -> SyncBatchNorm:
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

"""Batch normalization whose statistics are those of a batch spread over devices."""

from __future__ import annotations

from typing import Any

from fnn.nn.lazy import LazyModuleMixin
from fnn.nn.module import Module
from fnn.nn.normalization import _BatchNorm

__all__ = ["SyncBatchNorm"]


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

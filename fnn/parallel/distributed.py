"""Data parallelism over the devices of all processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np
from jax.core import Tracer
from jax.sharding import Mesh, NamedSharding

from fnn.nn.modules.module import Module
from fnn.parallel.wrapper import ParallelWrapper

__all__ = ["DistributedDataParallel"]


class DistributedDataParallel(ParallelWrapper):
    """Runs a module on batches that are split over the devices of all processes.

    In a program of one process this is ``DataParallel`` over all its devices. With several (``jax.distributed``) each
    process passes its own part of the batch, of one length on all, and gets back the global array (what goes through
    ``fnn.jit`` has to be made global before, by ``shard``); parameters have to be equal at the start, which one seed brings
    about. Gradients of a mean over the batch are then averages over the
    processes, as in torch: XLA adds the communication where it is needed.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.parallel.DistributedDataParallel.html

    Args:
        module: the module; its arrays are moved.
        device_ids: accepted for torch's signature, as are the arguments not listed: one JAX process drives all its devices.
        output_device: accepted.
        dim: axis along which the arguments are split.
        device_mesh: a ``jax.sharding.Mesh`` whose devices are used instead of all.

    Raises:
        TypeError: if ``module`` is no Module, or an argument has another type.
        RuntimeError: if the module has uninitialized parameters.

    Example:
        >>> import jax.numpy as jnp
        >>> from fnn import nn
        >>> model = nn.parallel.DistributedDataParallel(nn.Linear(3, 2))
        >>> model(jnp.ones((4, 3), "float32")).shape
        (4, 2)
    """

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[Any] | None = None,
        output_device: Any = None,
        dim: int = 0,
        broadcast_buffers: bool | None = None,
        init_sync: bool = True,
        process_group: Any = None,
        bucket_cap_mb: float | None = None,
        find_unused_parameters: bool = False,
        check_reduction: bool = False,
        gradient_as_bucket_view: bool = False,
        static_graph: bool = False,
        delay_all_reduce_named_params: Any = None,
        param_to_hook_all_reduce: Any = None,
        mixed_precision: Any = None,
        device_mesh: Mesh | None = None,
        skip_all_reduce_unused_params: bool = False,
        bucket_cap_mb_list: list[int] | None = None,
        batched_grad_copy: bool = False,
        forward_sync_buffers: bool | None = None,
    ) -> None:
        if device_mesh is not None and not isinstance(device_mesh, Mesh):
            raise TypeError(f"DistributedDataParallel: device_mesh must be a jax.sharding.Mesh, got {device_mesh!r}")
        devices = jax.devices() if device_mesh is None else device_mesh.devices.flat
        super().__init__(module, [device.id for device in devices], dim)

    def _parts(self, value: Any) -> int:
        whole = isinstance(value, Tracer) or (isinstance(value, jax.Array) and not value.is_fully_addressable)
        return 1 if whole else jax.process_count()

    def _put(self, value: Any, sharding: NamedSharding) -> jax.Array:
        if self._parts(value) == 1:
            return super()._put(value, sharding)
        return jax.make_array_from_process_local_data(sharding, np.asarray(value))

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Nothing to switch off: gradients that several calls of ``fnn.backward`` add up are right with or without it."""
        yield

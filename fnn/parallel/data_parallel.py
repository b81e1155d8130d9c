"""``DataParallel`` and ``DistributedDataParallel``: batches split over devices, parameters on every one of them.

JAX computes on arrays that are spread over devices as on any others, and gives the same numbers; so these wrappers only
say where arrays lie.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from fnn.nn.array_box import ArrayBox
from fnn.nn.modules.module import Module
from fnn.nn.parameter import is_lazy
from fnn.nn.placement import parse_device
from fnn.stateful.tracing import is_eager

__all__ = ["DataParallel", "DistributedDataParallel", "data_parallel"]

_AXIS = "data"


@functools.cache
def _mesh(ids: tuple[int, ...]) -> Mesh:
    """A mesh of one axis over the devices of these ids."""
    of = {device.id: device for device in jax.devices()}
    return Mesh(np.array([of[i] for i in ids]), (_AXIS,))


def _device_id(function: str, device: Any) -> int:
    if isinstance(device, int) and not isinstance(device, bool):
        local = jax.local_devices()
        if not 0 <= device < len(local):
            raise ValueError(f"{function}: device_ids must be below {len(local)}, the number of devices, got {device}")
        return local[device].id
    parsed = parse_device(device)
    if parsed is None or isinstance(parsed, jax.sharding.Sharding):
        raise TypeError(f"{function}: device_ids must hold ints, jax.Devices or names of devices, got {device!r}")
    return parsed.id


class _Parallel(Module):
    """What both wrappers share: where parameters and inputs are put, and the call."""

    def __init__(self, module: Module, ids: Sequence[int], dim: int) -> None:
        super().__init__()
        name = type(self).__name__
        if not isinstance(module, Module):
            raise TypeError(f"{name}: module must be an fnn.nn.Module, got {type(module).__name__}")
        if not isinstance(dim, int) or isinstance(dim, bool):
            raise TypeError(f"{name}: dim must be an int, got {dim!r}")
        if len(set(ids)) != len(ids) or not ids:
            raise ValueError(f"{name}: device_ids must be at least one device, each once, got ids {list(ids)}")
        for path, box in [*module.named_parameters(), *module.named_buffers()]:
            if is_lazy(box):
                raise RuntimeError(
                    f"{name}: {path} is uninitialized; call the module once, eagerly, before wrapping it"
                )
        self.module = module
        self.dim = dim
        self.device_ids = list(ids)
        self._replicate()

    def _is_identity(self) -> bool:
        return len(self.device_ids) == 1 == jax.device_count()

    def _sharding(self, *axes: Any) -> NamedSharding:
        return NamedSharding(_mesh(tuple(self.device_ids)), PartitionSpec(*axes))

    def _replicate(self) -> None:
        """Puts a copy of every parameter, gradient and buffer that lies elsewhere on every device."""
        if self._is_identity():
            return
        everywhere = self._sharding()

        def put(array: jax.Array) -> jax.Array:
            if isinstance(array, Tracer) or array.sharding.is_equivalent_to(everywhere, array.ndim):
                return array
            return jax.device_put(array, everywhere)

        boxes: list[ArrayBox] = [*self.module.parameters(), *self.module.buffers()]
        if any(put(box._data) is not box._data for box in boxes):
            self.module._apply(put)

    def _scatter(self, value: Any) -> Any:
        """An array split along ``dim``; one whose length there the devices do not divide goes whole to each of them."""
        if isinstance(value, ArrayBox) or not isinstance(value, jax.Array | np.ndarray):
            return value
        if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
            return value
        axes: list[Any] = [None] * value.ndim
        if -value.ndim <= self.dim < value.ndim:
            count, parts = len(self.device_ids), self._parts(value)
            if value.shape[self.dim] * parts % count == 0:
                axes[self.dim] = _AXIS
            elif parts > 1:
                raise ValueError(
                    f"{type(self).__name__}: the parts of {parts} processes, each of length {value.shape[self.dim]} on axis "
                    f"{self.dim}, must together be divisible by {count}, the number of devices"
                )
        return self._put(value, self._sharding(*axes))

    def _parts(self, value: Any) -> int:
        """Of how many equal parts, one a process, ``value`` is one."""
        return 1

    def _put(self, value: Any, sharding: NamedSharding) -> jax.Array:
        if not isinstance(value, Tracer):
            return jax.device_put(value, sharding)
        # Under grad alone the array behind the tracer may lie on one device; under vmap it has more axes than it shows.
        return jax.lax.with_sharding_constraint(jax.device_put(value, self._sharding()), sharding)

    def shard(self, values: Any) -> Any:
        """The arrays of a pytree, placed as ``forward`` places its arguments.

        A program of several processes calls this on what it passes to ``fnn.jit``; elsewhere nothing needs it.
        """
        if self._is_identity():
            return values
        return jax.tree.map(self._scatter, values, is_leaf=lambda v: isinstance(v, ArrayBox))

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """Calls the module on the arguments, every array among them split along ``dim``."""
        if self._is_identity():
            return self.module(*inputs, **kwargs)
        if is_eager():
            self._replicate()
        inputs, kwargs = self.shard((inputs, kwargs))
        return self.module(*inputs, **kwargs)


class DataParallel(_Parallel):
    """Runs a module on batches that are split over the devices of this process.

    Parameters and buffers are put on every device; each array among the arguments is split along ``dim``, or, if the number
    of devices does not divide its length there, put whole on each. The result, one array spread over the devices, and the
    gradients are those of the module on the whole batch, batch statistics included. With one device it only calls the
    module. Names in the ``state_dict`` begin with ``module.``.
    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.DataParallel.html.

    Args:
        module: the module; its arrays are moved.
        device_ids: ints that index ``jax.local_devices()``, devices, or names such as "cuda:1"; by default all of them.
        output_device: accepted for torch's signature; results stay where they are computed.
        dim: axis along which the arguments are split.

    Raises:
        TypeError: if ``module`` is no Module, or an argument has another type.
        ValueError: if there is no such device, or one comes twice.
        RuntimeError: if the module has uninitialized parameters.

    Example:
        >>> import jax.numpy as jnp
        >>> from fnn import nn
        >>> model = nn.DataParallel(nn.Linear(3, 2))
        >>> model(jnp.ones((4, 3), "float32")).shape, list(model.state_dict())
        ((4, 2), ['module.weight', 'module.bias'])
    """

    def __init__(
        self, module: Module, device_ids: Sequence[Any] | None = None, output_device: Any = None, dim: int = 0
    ) -> None:
        if device_ids is None:
            ids = [device.id for device in jax.local_devices()]
        else:
            ids = [_device_id("DataParallel", device) for device in device_ids]
        super().__init__(module, ids, dim)
        self.output_device = ids[0] if output_device is None else output_device


class DistributedDataParallel(_Parallel):
    """Runs a module on batches that are split over the devices of all processes.

    In a program of one process this is ``DataParallel`` over all its devices. With several (``jax.distributed``) each
    process passes its own part of the batch, of one length on all, and gets back the global array (what goes through
    ``fnn.jit`` has to be made global before, by ``shard``); parameters have to be equal at the start, which one seed brings
    about. Gradients of a mean over the batch are then averages over the
    processes, as in torch: XLA adds the communication where it is needed.
    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.parallel.DistributedDataParallel.html.

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


def data_parallel(
    module: Module,
    inputs: Any,
    device_ids: Sequence[Any] | None = None,
    output_device: Any = None,
    dim: int = 0,
    module_kwargs: dict[str, Any] | None = None,
) -> Any:
    """One call of ``DataParallel(module, device_ids, output_device, dim)``.

    Args:
        module: the module.
        inputs: its argument, or a tuple of them.
        device_ids: see ``DataParallel``.
        output_device: see ``DataParallel``.
        dim: see ``DataParallel``.
        module_kwargs: its keyword arguments.

    Example:
        >>> import jax.numpy as jnp
        >>> from fnn import nn
        >>> data_parallel(nn.Linear(3, 2), jnp.ones((4, 3), "float32")).shape
        (4, 2)
    """
    args = inputs if isinstance(inputs, tuple) else () if inputs is None else (inputs,)
    return DataParallel(module, device_ids, output_device, dim)(*args, **(module_kwargs or {}))

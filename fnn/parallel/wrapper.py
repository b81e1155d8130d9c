"""The base of the wrappers: where parameters and inputs are put, and the call."""

from __future__ import annotations

import functools
from collections.abc import Sequence
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

_AXIS = "data"


@functools.cache
def mesh_of(ids: tuple[int, ...]) -> Mesh:
    """A mesh of one axis over the devices of these ids."""
    of = {device.id: device for device in jax.devices()}
    return Mesh(np.array([of[i] for i in ids]), (_AXIS,))


def device_id(function: str, device: Any) -> int:
    if isinstance(device, int) and not isinstance(device, bool):
        local = jax.local_devices()
        if not 0 <= device < len(local):
            raise ValueError(f"{function}: device_ids must be below {len(local)}, the number of devices, got {device}")
        return local[device].id
    parsed = parse_device(device)
    if parsed is None or isinstance(parsed, jax.sharding.Sharding):
        raise TypeError(f"{function}: device_ids must hold ints, jax.Devices or names of devices, got {device!r}")
    return parsed.id


class ParallelWrapper(Module):
    """A Module around a Module: its arrays are put on every device, its inputs are split over them."""

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
        self.module: Module = module
        self.dim: int = dim
        self.device_ids: list[int] = list(ids)
        self._replicate()

    def _is_identity(self) -> bool:
        return len(self.device_ids) == 1 == jax.device_count()

    def _sharding(self, *axes: Any) -> NamedSharding:
        return NamedSharding(mesh_of(tuple(self.device_ids)), PartitionSpec(*axes))

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

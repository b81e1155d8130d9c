"""Data parallelism over the devices of this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from fnn.functional.explained import explained
from fnn.nn.modules.module import Module
from fnn.parallel.wrapper import ParallelWrapper, device_id

__all__ = ["DataParallel", "data_parallel"]


class DataParallel(ParallelWrapper):
    """Runs a module on batches that are split over the devices of this process.

    Parameters and buffers are put on every device; each array among the arguments is split along ``dim``, or, if the number
    of devices does not divide its length there, put whole on each. The result, one array sharded over the devices, and the
    gradients are those of the module on the whole batch, batch statistics included. With one device it only calls the
    module. Names in the ``state_dict`` begin with ``module.``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.DataParallel.html

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
            ids = [device_id("DataParallel", device) for device in device_ids]
        super().__init__(module, ids, dim)
        self.output_device: Any = ids[0] if output_device is None else output_device


@explained
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

    Returns:
        the module's output, of all devices together.

    Raises:
        TypeError: if ``module`` is no Module.
        ValueError: if the arrays cannot be cut into equal parts along ``dim``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.parallel.data_parallel.html

    Example:
        >>> import jax.numpy as jnp
        >>> from fnn import nn
        >>> data_parallel(nn.Linear(3, 2), jnp.ones((4, 3), "float32")).shape
        (4, 2)
    """
    args = inputs if isinstance(inputs, tuple) else () if inputs is None else (inputs,)
    return DataParallel(module, device_ids, output_device, dim)(*args, **(module_kwargs or {}))

"""Meshes of devices by the names of their axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AbstractMesh, Mesh

from fnn.functional.checks import fail
from fnn.functional.explained import explained

__all__ = ["check_mesh", "data_axis", "make_mesh"]


@explained
def make_mesh(*, devices: Sequence[Any] | None = None, **axes: int) -> Mesh:
    """A mesh over all devices of all processes.

    Args:
        devices: the devices to use instead of all.
        **axes: the names of the axes and their lengths, which multiply to the number of devices; one may be -1 and takes the
            rest.

    Returns:
        the mesh, to be given to ``shard``, ``fully_shard`` and ``shard_batch``.

    Raises:
        TypeError: if a length is no int.
        ValueError: if there are no axes, or the lengths do not multiply to the number of devices.

    Source: https://docs.jax.dev/en/latest/_autosummary/jax.make_mesh.html;
    https://docs.pytorch.org/docs/2.13/distributed.html#torch.distributed.device_mesh.init_device_mesh

    Example:
        >>> import jax
        >>> from fnn import parallel
        >>> parallel.make_mesh(data=-1).shape["data"] == jax.device_count()
        True
    """
    used = list(jax.devices() if devices is None else devices)
    if not axes:
        raise ValueError("make_mesh: axes must be given by name, as in make_mesh(data=8) or make_mesh(data=2, model=4)")
    for name, length in axes.items():
        if not isinstance(length, int) or isinstance(length, bool):
            fail(TypeError, "make_mesh", name, "an int", length)
        if length < 1 and length != -1:
            fail(ValueError, "make_mesh", name, "at least 1, or -1 for the rest of the devices", length)
    open_axes = [name for name, length in axes.items() if length == -1]
    known = math.prod(length for length in axes.values() if length != -1)
    if len(open_axes) > 1:
        raise ValueError(f"make_mesh: one axis may be -1, got {' and '.join(open_axes)}")
    if open_axes and len(used) % known == 0:
        axes = {name: len(used) // known if length == -1 else length for name, length in axes.items()}
    if math.prod(axes.values()) != len(used):
        lengths = ", ".join(f"{name}={length}" for name, length in axes.items())
        raise ValueError(f"make_mesh: the axes must multiply to {len(used)}, the number of devices, got {lengths}")
    if devices is None:
        return jax.make_mesh(tuple(axes.values()), tuple(axes), axis_types=(jax.sharding.AxisType.Auto,) * len(axes))
    return Mesh(np.array(used).reshape(tuple(axes.values())), tuple(axes))


def check_mesh(function: str, mesh: Any) -> None:
    """Raises TypeError if it is no mesh."""
    if not isinstance(mesh, Mesh | AbstractMesh):
        fail(TypeError, function, "mesh", "a jax.sharding.Mesh, as parallel.make_mesh(data=8) makes it", mesh)


def data_axis(function: str, mesh: Any, axis: str | None) -> str:
    """The axis of a mesh that was asked for; else the one named "data", or the first.

    Raises:
        TypeError: if it is no mesh.
        ValueError: if the mesh has no such axis.
    """
    check_mesh(function, mesh)
    if axis is None:
        return "data" if "data" in mesh.axis_names else mesh.axis_names[0]
    if axis not in mesh.axis_names:
        fail(ValueError, function, "axis", f"one of the mesh's axes, {', '.join(mesh.axis_names)}", axis)
    return axis

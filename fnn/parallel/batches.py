"""Batches on a mesh: each process gives its own rows, and global arrays come out."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from fnn.functional.checks import fail
from fnn.functional.explained import explained
from fnn.parallel.mesh import data_axis

__all__ = ["shard_batch"]


@explained
def shard_batch(batch: Any, mesh: Mesh, *, axis: str | None = None, pad: bool = False) -> Any:
    """Divides the first axis of every array of a batch over an axis of a mesh.

    With several processes each gives its own rows, as many as the others, and the arrays that come out are of all rows.

    Args:
        batch: a pytree of arrays (jax, numpy); what is no array stays as it is.
        mesh: the devices, as ``make_mesh`` makes it.
        axis: the axis of the mesh; the one named "data", else the first, if left out.
        pad: whether rows of zeros are added where the devices do not divide the rows.

    Returns:
        the batch; with ``pad`` a pair of that and a bool array, true for rows that are none of those added.

    Raises:
        TypeError: if ``mesh`` is no mesh.
        ValueError: if the mesh has no such axis, the arrays have different numbers of rows or none, or the devices do not
            divide it.

    Example:
        >>> import jax, numpy as np
        >>> from fnn import parallel
        >>> mesh = parallel.make_mesh(data=-1)
        >>> n = jax.device_count()
        >>> x, y = parallel.shard_batch((np.ones((2 * n, 3)), np.zeros(2 * n)), mesh)
        >>> tuple(x.sharding.spec)
        ('data',)
    """
    over = data_axis("shard_batch", mesh, axis)
    leaves = [(p, a) for p, a in jax.tree_util.tree_leaves_with_path(batch) if isinstance(a, jax.Array | np.ndarray)]
    for path, array in leaves:
        if array.ndim == 0:
            fail(ValueError, "shard_batch", f"batch{jax.tree_util.keystr(path)}", "an array with rows", array)
    counts = {len(array) for _, array in leaves}
    if len(counts) > 1:
        shapes = ", ".join(f"{jax.tree_util.keystr(p) or 'batch'} {list(a.shape)}" for p, a in leaves)
        raise ValueError(f"shard_batch: batch must have arrays of equal numbers of rows, got {shapes}")
    rows = counts.pop() if counts else 0
    parts = _parts_here(mesh, over)
    added = -rows % parts
    if added and not pad:
        raise ValueError(
            f"shard_batch: batch must have a number of rows that {parts} divides, the devices of this process along {over!r}, "
            f"got {rows}; drop the last batch, or use pad=True, which adds {added} rows and says which they are"
        )
    sharding = NamedSharding(mesh, PartitionSpec(over))

    def put(array: Any) -> Any:
        if not isinstance(array, jax.Array | np.ndarray):
            return array
        if isinstance(array, jax.Array) and not array.is_fully_addressable:
            return jax.device_put(array, sharding)  # of all processes already
        if added:
            array = np.concatenate([np.asarray(array), np.zeros((added, *array.shape[1:]), array.dtype)])
        if jax.process_count() == 1:
            return jax.device_put(array, sharding)
        return jax.make_array_from_process_local_data(sharding, np.asarray(array))

    placed = jax.tree.map(put, batch)
    return (placed, put(np.ones(rows, np.bool_))) if pad else placed


def _parts_here(mesh: Mesh, axis: str) -> int:
    """Into how many parts the devices of this process divide an axis."""
    place = mesh.axis_names.index(axis)
    here = [i for i, device in np.ndenumerate(mesh.devices) if device.process_index == jax.process_index()]
    return len({i[place] for i in here}) or 1

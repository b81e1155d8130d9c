"""Where the parameters of a Module lie on a mesh: by rules, or each divided over all devices."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from fnn.functional.checks import fail
from fnn.functional.explained import explained
from fnn.nn.array_box import ArrayBox
from fnn.nn.lifting.stacks import stack_of
from fnn.nn.modules.module import Module
from fnn.nn.parameter import Parameter, is_lazy
from fnn.nn.placement import put
from fnn.parallel.mesh import check_mesh, data_axis
from fnn.parallel.rules import Rules, match, spec_for

__all__ = ["Placed", "describe", "fully_shard", "shard"]

M = TypeVar("M", bound=Module)


def _named_boxes(function: str, model: Any) -> dict[str, ArrayBox]:
    if not isinstance(model, Module):
        fail(TypeError, function, "model", "a Module", model)
    boxes: dict[str, ArrayBox] = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for name, box in boxes.items():
        if is_lazy(box):
            raise RuntimeError(f"{function}: {name} has no shape yet; call the model once, eagerly, before")
    return boxes


def _place(boxes: dict[str, ArrayBox], mesh: Mesh, specs: dict[str, PartitionSpec]) -> None:
    """Puts every array, and the gradients that there are, where its spec says, all or none."""
    moved: list[tuple[Any, Any]] = []
    for name, box in boxes.items():
        sharding = NamedSharding(mesh, specs[name])
        moved.append((box, put(box.peek(), sharding)))
        if isinstance(box, Parameter) and isinstance(box.grad, jax.Array):
            moved.append((box._grad, put(box.grad, sharding)))
    for box, array in moved:
        box.write(array)


@explained
def shard(model: M, mesh: Mesh, rules: Rules) -> M:
    """Divides the parameters and buffers of a Module over a mesh, in place, by rules over their names.

    Rules are tried in order, and the first whose regular expression is found in a name counts; what no rule fits is whole on
    every device. Gradients, the state of optimizers, loaded checkpoints and the results of compiled steps follow.

    Args:
        model: the Module.
        mesh: the devices, as ``make_mesh`` makes it.
        rules: regular expressions to tuples that give, for each axis of the array, the axis of the mesh over which it is
            divided, or ``None``; ``fnn.parallel.rules`` has some that are ready.

    Returns:
        the Module.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if a rule fits no name, has an axis that the mesh has not, more axes than the array, or one that does
            not divide. The Module is then as before.

    Source: Xu et al., GSPMD (2021), https://arxiv.org/abs/2105.04663

    Example:
        >>> import jax
        >>> from fnn import nn, parallel
        >>> mesh = parallel.make_mesh(model=-1)
        >>> layer = parallel.shard(nn.Linear(3, 4 * jax.device_count()), mesh, {"weight": ("model", None)})
        >>> tuple(layer.weight.sharding.spec)
        ('model',)
    """
    boxes = _named_boxes("shard", model)
    check_mesh("shard", mesh)
    chosen = match("shard", rules, list(boxes))
    specs = {
        name: spec_for(
            "shard", name, box.shape, rules[chosen[name]] if name in chosen else None, mesh, len(stack_of(box))
        )
        for name, box in boxes.items()
    }
    _place(boxes, mesh, specs)
    return model


@explained
def fully_shard(model: M, mesh: Mesh, *, axis: str | None = None) -> M:
    """Divides every parameter over all devices of an axis, in place: each holds a part, and gathers a layer when it is used.

    A parameter is divided along the first of its axes that the devices divide, besides those that it is divided by already
    (``shard`` for tensor parallelism first, then ``fully_shard`` over the other axis); one that has none is whole on every
    device. Buffers are whole.

    Args:
        model: the Module.
        mesh: the devices, as ``make_mesh`` makes it.
        axis: the axis of the mesh; the one named "data", else the first, if left out.

    Returns:
        the Module.

    Raises:
        TypeError: if an argument is of another type.
        ValueError: if the mesh has no such axis. The Module is then as before.

    Source: https://docs.pytorch.org/docs/2.13/distributed.fsdp.fully_shard.html; Rajbhandari et al., ZeRO (2019),
    https://arxiv.org/abs/1910.02054

    Example:
        >>> import jax
        >>> from fnn import nn, parallel
        >>> mesh = parallel.make_mesh(data=-1)
        >>> layer = parallel.fully_shard(nn.Linear(3, 4 * jax.device_count()), mesh)
        >>> tuple(layer.weight.sharding.spec)
        ('data',)
    """
    boxes = _named_boxes("fully_shard", model)
    over = data_axis("fully_shard", mesh, axis)
    specs = {name: _divided(box, mesh, over) for name, box in boxes.items()}
    _place(boxes, mesh, specs)
    return model


def _divided(box: ArrayBox, mesh: Mesh, over: str) -> PartitionSpec:
    sharding = box.peek().sharding
    same = isinstance(sharding, NamedSharding) and sharding.mesh == mesh
    spec = list(sharding.spec) if same else []
    spec += [None] * (len(box.shape) - len(spec))
    if not isinstance(box, Parameter) or any(over in (e if isinstance(e, tuple) else (e,)) for e in spec):
        return PartitionSpec(*spec)
    first = len(stack_of(box))  # a loop over stacked layers would gather the whole stack
    for i in range(first, len(spec)):
        if spec[i] is None and box.shape[i] and box.shape[i] % mesh.shape[over] == 0:
            return PartitionSpec(*spec[:i], over, *spec[i + 1 :])
    return PartitionSpec(*spec)


class Placed(NamedTuple):
    """One row of ``describe``: a parameter or buffer, and what of it each device holds."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    spec: str
    bytes_per_device: int


class Table(list[Placed]):
    """The rows of ``describe``; printed, a table with the sum."""

    def __str__(self) -> str:
        rows = [("name", "shape", "dtype", "spec", "bytes a device")]
        rows += [(r.name, str(r.shape), r.dtype, r.spec, f"{r.bytes_per_device:,}") for r in self]
        rows.append(("in all", "", "", "", f"{sum(r.bytes_per_device for r in self):,}"))
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        return "\n".join(
            "  ".join(
                cell.rjust(w) if i == 4 else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        )


@explained
def describe(model: Module, *, show: bool = True) -> Table:
    """Where the parameters and buffers of a Module lie.

    Args:
        model: the Module.
        show: whether the table is printed.

    Returns:
        the rows: name, shape, dtype, spec ("whole" of an array that is whole on every device), and the bytes that one device
        holds of it.

    Raises:
        TypeError: if ``model`` is no Module.

    Example:
        >>> from fnn import nn, parallel
        >>> parallel.describe(nn.Linear(3, 2), show=False)[0].bytes_per_device
        24
    """
    rows: list[Placed] = []
    for name, box in _named_boxes("describe", model).items():
        array = box.peek()
        sharding = array.sharding
        spec = tuple(sharding.spec) if isinstance(sharding, NamedSharding) else ()
        words = str(spec) if any(e is not None for e in spec) else "whole"
        held = int(np.prod(sharding.shard_shape(array.shape), dtype=np.int64)) * array.dtype.itemsize
        rows.append(Placed(name, tuple(array.shape), str(array.dtype), words, held))
    table = Table(rows)
    if show:
        print(table)
    return table

"""The checkpoints of a ``Manager`` kept by Orbax: written beside training, each process and device its own part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from fnn.checkpoint.arrays import Places, Sharding, check_place
from fnn.checkpoint.files import naming, naming_tensor
from fnn.checkpoint.store import Saved
from fnn.checkpoint.structure import flatten, unflatten
from fnn.nn.placement import Device
from fnn.stateful.boxes import Box

__all__ = ["OrbaxStore"]


class OrbaxStore:
    """A folder of Orbax: of each step the arrays by name, and a text with the structure and the metrics."""

    def __init__(self, folder: Path) -> None:
        try:
            import orbax.checkpoint as orbax
        except ImportError as error:
            raise ImportError('Manager: backend="orbax" needs Orbax; pip install "fnn[orbax]"') from error
        self._orbax: Any = orbax
        self._manager: Any = orbax.CheckpointManager(
            folder.absolute(),
            options=orbax.CheckpointManagerOptions(max_to_keep=None, cleanup_tmp_directories=True),
            item_names=("arrays", "about"),
            item_handlers={"arrays": orbax.StandardCheckpointHandler(), "about": orbax.JsonCheckpointHandler()},
        )
        self._folder = folder
        self._writing: int | None = None
        self._metrics: dict[int, dict[str, float]] = {}

    def steps(self) -> list[int]:
        """Those that are wholly written: an old one is not removed for one that a crash could still take away."""
        writing = self._writing if self._manager.is_saving_in_progress() else None
        return [step for step in self._manager.all_steps() if step != writing]

    def write(self, step: int, state: Any, metrics: dict[str, float]) -> None:
        arrays, structure = flatten(state)
        values = {name: _array(value) for name, value in arrays.items()}
        args = self._orbax.args
        # Orbax takes no arrays without numbers.
        empty = {name: [value.dtype.name, list(value.shape)] for name, value in values.items() if not value.size}
        values = {name: value for name, value in values.items() if value.size}
        about = {"structure": structure, "metrics": metrics, "arrays": len(values), "empty": empty}
        items = {"about": args.JsonSave(about)} | ({"arrays": args.StandardSave(values)} if values else {})
        self._manager.wait_until_finished()
        if step in self.steps():
            self._manager.delete(step)
        self._manager.save(step, args=args.Composite(**items), force=True)
        self._writing = step
        self._metrics[step] = metrics

    def read(self, step: int, device: Device, sharding: Sharding) -> Saved:
        self._manager.wait_until_finished()
        args, place = self._orbax.args, Places(device, sharding)
        about = self._about(step)
        arrays: dict[str, jax.Array] = {}
        empty = {name: jnp.zeros(shape, dtype) for name, (dtype, shape) in about["empty"].items()}
        found = self._manager.item_metadata(step)["arrays"] if about["arrays"] else {}
        with naming("Manager.load", self._folder / str(step)):
            place.check([*found, *empty])
            wanted = {name: _wanted(name, one, place) for name, one in found.items()}
        if wanted:
            arrays = self._manager.restore(step, args=args.Composite(arrays=args.StandardRestore(wanted)))["arrays"]
        return Saved(step, unflatten(about["structure"], {**arrays, **empty}.__getitem__), about["metrics"])

    def _about(self, step: int) -> dict[str, Any]:
        try:
            return self._manager.restore(step, args=self._orbax.args.Composite(about=self._orbax.args.JsonRestore()))[
                "about"
            ]
        except (KeyError, OSError) as error:
            raise ValueError(f"step {step} is none that a Manager wrote, or damaged: {error}") from error

    def metrics(self, step: int) -> dict[str, float]:
        if step not in self._metrics:
            self._metrics[step] = self._about(step)["metrics"]
        return self._metrics[step]

    def delete(self, step: int) -> None:
        self._manager.delete(step)
        self._metrics.pop(step, None)

    def wait(self) -> None:
        self._manager.wait_until_finished()

    def close(self) -> None:
        self._manager.close()


def _array(value: Any) -> jax.Array:
    return value.data if isinstance(value, Box) else jnp.asarray(value)


def _wanted(name: str, one: Any, place: Places) -> jax.ShapeDtypeStruct:
    """What Orbax shall make of an array."""
    sharding = _sharding(place(name))
    with naming_tensor(name):
        check_place(tuple(one.shape), sharding)
    return jax.ShapeDtypeStruct(one.shape, one.dtype, sharding=sharding)


def _sharding(place: Any) -> jax.sharding.Sharding:
    if isinstance(place, jax.sharding.Sharding):
        return place
    return jax.sharding.SingleDeviceSharding(jnp.zeros(()).devices().pop() if place is None else place)

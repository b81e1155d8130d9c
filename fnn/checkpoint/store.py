"""Where a ``Manager`` keeps checkpoints: what every such place can do, and the one that is files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from fnn.checkpoint.arrays import Places, Sharding
from fnn.checkpoint.files import FileParts, naming
from fnn.checkpoint.reading import read_whole
from fnn.checkpoint.safetensors import SafetensorsFile
from fnn.checkpoint.structure import METADATA_KEY, unflatten
from fnn.checkpoint.writing import save
from fnn.nn.placement import Device

__all__ = ["FileStore", "Saved", "Store"]

_FILE = re.compile(r"step_(0|[1-9]\d{0,17})\.safetensors")


class Saved(NamedTuple):
    """What ``Manager.load`` gives: the step, what was saved at it, and the metrics given with it.

    Source: https://orbax.readthedocs.io/en/latest/
    """

    step: int
    state: Any
    metrics: dict[str, float]

    def __repr__(self) -> str:
        names = f"a dict of {list(self.state)}" if isinstance(self.state, dict) else type(self.state).__name__
        return f"Saved(step={self.step}, state={names}, metrics={self.metrics})"


class Store(Protocol):
    """Where a ``Manager`` keeps checkpoints: in files, or with Orbax."""

    def steps(self) -> list[int]: ...
    def write(self, step: int, state: Any, metrics: dict[str, float]) -> None: ...
    def read(self, step: int, device: Device, sharding: Sharding) -> Saved: ...
    def metrics(self, step: int) -> dict[str, float]: ...
    def delete(self, step: int) -> None: ...
    def wait(self) -> None: ...
    def close(self) -> None: ...


class FileStore:
    """One safetensors file a step."""

    def __init__(self, folder: Path) -> None:
        self.folder: Path = folder
        self._metrics: dict[int, dict[str, float]] = {}

    def path(self, step: int) -> Path:
        return self.folder / f"step_{step}.safetensors"

    def steps(self) -> list[int]:
        with naming("Manager", self.folder), os.scandir(self.folder) as entries:
            found = [(_FILE.fullmatch(entry.name), entry) for entry in entries]
            return [int(match[1]) for match, entry in found if match and not entry.is_dir()]

    def write(self, step: int, state: Any, metrics: dict[str, float]) -> None:
        save({"state": state, "metrics": metrics, "step": step}, self.path(step))
        self._metrics[step] = metrics

    def read(self, step: int, device: Device, sharding: Sharding) -> Saved:
        saved = read_whole("Manager.load", self.path(step), Places(device, sharding, "state."))
        if type(saved) is not dict or saved.keys() != {"state", "metrics", "step"}:
            raise ValueError(f"Manager: {self.path(step)}: it is none that a Manager wrote")
        return Saved(saved["step"], saved["state"], saved["metrics"])

    def metrics(self, step: int) -> dict[str, float]:
        """From the header of the file; no array is read."""
        if step not in self._metrics:
            path = self.path(step)
            with naming("Manager", path):
                parts = FileParts(path)
                try:
                    text = SafetensorsFile(parts).metadata[METADATA_KEY]
                    self._metrics[step] = unflatten(text, lambda name: None)["metrics"]
                except (KeyError, TypeError):
                    raise ValueError("it is none that a Manager wrote") from None
                finally:
                    parts.close()
        return self._metrics[step]

    def delete(self, step: int) -> None:
        self.path(step).unlink(missing_ok=True)
        self._metrics.pop(step, None)

    def wait(self) -> None: ...

    def close(self) -> None: ...

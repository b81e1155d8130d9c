"""Functions and classes of ``fnn.parallel`` with arguments that are right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from fnn import nn, parallel
from tests.wrong_arguments.functional_calls import ramp

__all__ = ["RIGHT"]


def _linear() -> nn.Linear:
    return nn.Linear(4, 3)


def _mesh() -> jax.sharding.Mesh:
    return parallel.make_mesh(devices=jax.devices()[:1], data=1)


RIGHT: dict[str, Callable[[], dict[str, Any]]] = {
    "DataParallel": lambda: {"module": _linear()},
    "DistributedDataParallel": lambda: {"module": _linear()},
    "data_parallel": lambda: {"module": _linear(), "inputs": (ramp(2, 4),)},
    "describe": lambda: {"model": _linear(), "show": False},
    "fully_shard": lambda: {"model": _linear(), "mesh": _mesh()},
    "make_mesh": lambda: {"devices": jax.devices()[:1], "data": 1},
    "shard": lambda: {"model": _linear(), "mesh": _mesh(), "rules": {"weight": ("data",)}},
    "shard_batch": lambda: {"batch": (ramp(2, 4),), "mesh": _mesh()},
}

"""PyTorch's ``nn``, ``nn.functional`` and ``optim``, rebuilt on JAX.

What is named here is imported when it is first used, so that ``import fnn`` costs little more than ``import jax``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fnn import random as random
from fnn.random.generator import (
    Generator as Generator,
    get_rng_state as get_rng_state,
    initial_seed as initial_seed,
    manual_seed as manual_seed,
    set_rng_state as set_rng_state,
)

if TYPE_CHECKING:
    from fnn import (
        amp as amp,
        checkpoint as checkpoint,
        data as data,
        debug as debug,
        kernels as kernels,
        metrics as metrics,
        nn as nn,
        optim as optim,
        parallel as parallel,
        tools as tools,
        utils as utils,
    )
    from fnn.amp.autocast_mode import (
        autocast as autocast,
        get_autocast_dtype as get_autocast_dtype,
        is_autocast_enabled as is_autocast_enabled,
    )
    from fnn.checkpoint.reading import load as load, open_checkpoint as open_checkpoint
    from fnn.checkpoint.writing import save as save
    from fnn.tensor.row_sparse import RowSparse as RowSparse
    from fnn.tools.summary import summary as summary
    from fnn.transforms.accumulate import accumulate as accumulate
    from fnn.transforms.backward import backward as backward
    from fnn.transforms.functional import (
        functional_call as functional_call,
        stack as stack,
        state as state,
        update as update,
    )
    from fnn.transforms.jit.function import jit as jit
    from fnn.transforms.lifted import (
        cond as cond,
        grad as grad,
        scan as scan,
        value_and_grad as value_and_grad,
        vmap as vmap,
    )
    from fnn.transforms.remat import remat as remat
    from fnn.transforms.repeat import repeat as repeat

__version__ = "0.1.0"

__all__ = [
    "Generator",
    "RowSparse",
    "accumulate",
    "amp",
    "autocast",
    "backward",
    "checkpoint",
    "cond",
    "data",
    "debug",
    "functional_call",
    "get_autocast_dtype",
    "get_rng_state",
    "grad",
    "initial_seed",
    "is_autocast_enabled",
    "jit",
    "kernels",
    "load",
    "manual_seed",
    "metrics",
    "nn",
    "open_checkpoint",
    "optim",
    "parallel",
    "random",
    "remat",
    "repeat",
    "save",
    "scan",
    "set_rng_state",
    "stack",
    "state",
    "summary",
    "tools",
    "update",
    "utils",
    "value_and_grad",
    "vmap",
]

_PACKAGES = ("amp", "checkpoint", "data", "debug", "kernels", "metrics", "nn", "optim", "parallel", "tools", "utils")
_HOMES = {
    "RowSparse": "tensor",
    "autocast": "amp",
    "backward": "transforms",
    "functional_call": "transforms",
    "get_autocast_dtype": "amp",
    "is_autocast_enabled": "amp",
    "jit": "transforms",
    "load": "checkpoint",
    "open_checkpoint": "checkpoint",
    "save": "checkpoint",
    "accumulate": "transforms",
    "cond": "transforms",
    "grad": "transforms",
    "remat": "transforms",
    "repeat": "transforms",
    "scan": "transforms",
    "value_and_grad": "transforms",
    "vmap": "transforms",
    "stack": "transforms",
    "state": "transforms",
    "summary": "tools.summary",
    "update": "transforms",
}
# What to write for names of torch's that a script has, and JAX has in its own way.
_HINTS = {
    **dict.fromkeys(
        ("enable_grad", "inference_mode", "no_grad", "set_grad_enabled"),
        "nothing is needed in its place: gradients are taken only where fnn.backward, optimizer.step(closure) or jax.grad ask",
    ),
    **dict.fromkeys(("Tensor", "as_tensor", "from_numpy"), "arrays are jax.Array; jax.numpy.asarray makes one"),
    **dict.fromkeys(("compile", "script", "trace"), "fnn.jit compiles a function or a Module"),
    **dict.fromkeys(
        ("cuda", "device"), "jax.devices() are the devices, model.to(device) moves a Module, fnn.amp is torch.cuda.amp"
    ),
    **dict.fromkeys(
        ("arange", "cat", "einsum", "empty", "eye", "full", "linspace", "matmul", "ones", "where", "zeros"),
        "arrays are made by jax.numpy",
    ),
    **dict.fromkeys(("bfloat16", "float16", "float32", "float64", "int32", "int64"), "jax.numpy has the dtypes"),
    **dict.fromkeys(("rand", "randint", "randn", "randperm"), "jax.random draws, with fnn.random.next_key() for a key"),
}


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"fnn.{name}")
    if name in _HOMES:
        value = getattr(importlib.import_module(f"fnn.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    hint = _HINTS.get(name)
    raise AttributeError(f"module 'fnn' has no attribute {name!r}" + (f"; {hint}" if hint else ""))


def __dir__() -> list[str]:
    return [*__all__, *(name for name in globals() if name[:2] == "__")]

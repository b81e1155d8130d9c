"""Transformations of functions over Modules: pure calls, compilation, gradients."""

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
from fnn.transforms.remat import (
    checkpoint as checkpoint,
    checkpoint_sequential as checkpoint_sequential,
    remat as remat,
)
from fnn.transforms.repeat import repeat as repeat

__all__ = [
    "accumulate",
    "backward",
    "checkpoint",
    "checkpoint_sequential",
    "cond",
    "functional_call",
    "grad",
    "jit",
    "remat",
    "repeat",
    "scan",
    "stack",
    "state",
    "update",
    "value_and_grad",
    "vmap",
]

"""Transformations of functions over Modules: pure calls, compilation, gradients."""

from fnn.transforms.backward import backward as backward
from fnn.transforms.functional import (
    functional_call as functional_call,
    stack as stack,
    state as state,
    update as update,
)
from fnn.transforms.jit.function import jit as jit

__all__ = ["backward", "functional_call", "jit", "stack", "state", "update"]

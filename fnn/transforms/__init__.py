"""Transformations of functions over Modules: pure calls, compilation, gradients."""

from fnn.transforms.backward import backward as backward
from fnn.transforms.functional import functional_call as functional_call
from fnn.transforms.functional import stack as stack
from fnn.transforms.functional import state as state
from fnn.transforms.functional import update as update
from fnn.transforms.jit.function import jit as jit

__all__ = ["backward", "functional_call", "jit", "stack", "state", "update"]

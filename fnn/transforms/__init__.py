"""Transformations of functions over Modules: pure calls, compilation, gradients."""

from fnn.transforms.backward import backward
from fnn.transforms.functional import functional_call, stack, state, update
from fnn.transforms.jit.function import jit

__all__ = ["backward", "functional_call", "jit", "stack", "state", "update"]

"""``fnn.jit``: compiled functions over objects."""

from fnn.transforms.jit.function import BoundJit as BoundJit
from fnn.transforms.jit.function import JitDecorator as JitDecorator
from fnn.transforms.jit.function import JitFunction as JitFunction
from fnn.transforms.jit.function import jit as jit

__all__ = ["BoundJit", "JitDecorator", "JitFunction", "jit"]

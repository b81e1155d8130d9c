"""``fnn.jit``: compiled functions over objects."""

from fnn.transforms.jit.function import JitFunction as JitFunction
from fnn.transforms.jit.function import jit as jit

__all__ = ["JitFunction", "jit"]

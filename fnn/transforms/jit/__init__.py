"""``fnn.jit``: compiled functions over objects."""

from fnn.transforms.jit.function import (
    BoundJit as BoundJit,
    JitDecorator as JitDecorator,
    JitFunction as JitFunction,
    jit as jit,
)

__all__ = ["BoundJit", "JitDecorator", "JitFunction", "jit"]

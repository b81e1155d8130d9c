"""torch's path of ``LinearCrossEntropyOptions``, which lives with the function."""

from fnn.functional.loss.linear import LinearCrossEntropyOptions as LinearCrossEntropyOptions

__all__ = ["LinearCrossEntropyOptions"]

"""Faster lowerings of single operations, each beside its plain ``lax`` reference."""

from fnn.kernels.operation import plain, plain_selected

__all__ = ["plain", "plain_selected"]

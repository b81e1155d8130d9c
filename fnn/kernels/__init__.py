"""Faster lowerings of single operations on the CPU, each beside its plain ``lax`` reference."""

from fnn.kernels._operation import plain

__all__ = ["plain"]

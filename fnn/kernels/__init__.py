"""Faster lowerings of single operations, each beside its plain ``lax`` reference."""

from fnn.kernels.operation import plain, plain_selected
from fnn.stateful.exports import unquote as _unquote

__all__ = ["plain", "plain_selected"]

_unquote(*(globals()[name] for name in __all__))

"""Bases of activation layers: the ``inplace`` flag of torch's constructors, and the axis of the softmax kind."""

from __future__ import annotations

from fnn.nn.modules.module import Module


class _InPlace(Module):
    """An activation that takes ``inplace`` for torch's sake: arrays do not change, so it is kept and shown, no more."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        return self._described()

    def _described(self, *options: str) -> str:
        """The options, and ``inplace=True`` if it was asked for."""
        return ", ".join((*options, "inplace=True") if self.inplace else options)


class _AlongAxis(Module):
    """A function along one axis; without ``dim`` the axis is guessed as torch does, with a warning."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def extra_repr(self) -> str:
        return f"dim={self.dim}"

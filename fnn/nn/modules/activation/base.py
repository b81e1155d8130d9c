"""Base of the activation layers whose torch constructors take ``inplace``."""

from __future__ import annotations

from fnn.nn.modules.module import Module


class _InPlace(Module):
    """An activation whose only argument is ``inplace``, which is accepted and ignored."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""

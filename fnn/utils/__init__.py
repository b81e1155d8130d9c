"""``torch.utils``, as far as it is about Modules: ``checkpoint``."""

from fnn.utils import checkpoint as checkpoint

__all__ = ["checkpoint"]

"""``torch.utils.checkpoint``: calls whose intermediate arrays are computed again for the gradient."""

from fnn.transforms.remat import (
    checkpoint as checkpoint,
    checkpoint_sequential as checkpoint_sequential,
    noop_context_fn as noop_context_fn,
)

__all__ = ["checkpoint", "checkpoint_sequential", "noop_context_fn"]

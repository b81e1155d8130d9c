"""Layers that join axes or split one."""

from __future__ import annotations

from collections.abc import Sequence

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.module import Module

__all__ = ["Flatten", "Unflatten"]


class Flatten(Module):
    """Merges axes ``start_dim`` to ``end_dim`` into one; by default all but the first.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Flatten.html.

    Example:
        >>> import jax.numpy as jnp
        >>> Flatten()(jnp.ones((2, 5, 4, 3))).shape
        (2, 60)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: ArrayLike) -> jax.Array:
        """The input with the axes merged."""
        return F.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Splits one axis into several.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Unflatten.html.

    Args:
        dim: the axis.
        unflattened_size: lengths of the new axes; one may be -1.

    Raises:
        TypeError: if ``unflattened_size`` is no tuple or list of ints.

    Example:
        >>> import jax.numpy as jnp
        >>> Unflatten(1, (2, 3))(jnp.ones((4, 6))).shape
        (4, 2, 3)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        if not isinstance(unflattened_size, tuple | list):
            raise TypeError(
                f"Unflatten: unflattened_size must be a tuple or list of ints, got {type(unflattened_size).__name__}"
            )
        for i, size in enumerate(unflattened_size):
            if not isinstance(size, int):
                raise TypeError(
                    f"Unflatten: unflattened_size must be a tuple of ints, got {type(size).__name__} at position {i}"
                )
        self.dim = dim
        self.unflattened_size = unflattened_size

    def forward(self, input: ArrayLike) -> jax.Array:
        """The input with the axis split."""
        return F.unflatten(input, self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"

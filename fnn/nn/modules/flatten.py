"""Layers that join axes or split one."""

from __future__ import annotations

from collections.abc import Sequence

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.module import Module

__all__ = ["Flatten", "Unflatten"]


class Flatten(Module):
    """Joins neighbouring axes into one; by default all but the first, the batch.

    Args:
        start_dim: first axis to join.
        end_dim: last axis to join.

    Shape:
        - input: (*, S_start, ..., S_end, *).
        - output: (*, S_start * ... * S_end, *).

    Raises:
        IndexError: at the call, if there is no such axis.
        ValueError: at the call, if ``start_dim`` comes after ``end_dim``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Flatten.html

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
        """The input with the axes joined."""
        return F.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Splits one axis into several.

    Args:
        dim: the axis.
        unflattened_size: lengths of the new axes, a tuple or list of ints; one may be -1 and is what is left.

    Shape:
        - input: (*, S, *) with S elements along ``dim``.
        - output: (*, U_1, ..., U_n, *), where U is ``unflattened_size`` and U_1 * ... * U_n = S.

    Raises:
        TypeError: if ``unflattened_size`` is no tuple or list of ints.
        ValueError: at the call, if the lengths do not multiply to S.
        IndexError: at the call, if there is no axis ``dim``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Unflatten.html

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

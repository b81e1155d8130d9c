"""What a pooling layer returns: the pooled array, or with ``return_indices`` that and the positions."""

from __future__ import annotations

from typing import TypeAlias, TypeVar

import jax

Pair: TypeAlias = tuple[jax.Array, jax.Array]
"""Values and positions."""

Pooled = TypeVar("Pooled", bound=jax.Array | Pair)
"""The result of a layer: ``jax.Array``, or ``Pair`` if the layer was made with ``return_indices=True``."""

"""What a pooling layer returns: the pooled array, or with ``return_indices`` that and the positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import jax

Pair: TypeAlias = tuple[jax.Array, jax.Array]
"""Values and positions."""

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    # By its default an annotation may say nn.MaxPool2d alone, as torch's does.
    Pooled = TypeVar("Pooled", bound=jax.Array | Pair, default=jax.Array)
else:
    from typing import TypeVar

    Pooled = TypeVar("Pooled", bound=jax.Array | Pair)

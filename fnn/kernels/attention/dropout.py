"""The rule by which weights of attention are dropped."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike

from fnn.random.bits import fold_in, words

__all__ = ["Dropout"]


class Dropout(NamedTuple):
    """A rule by which weights are dropped: with probability ``p``, the others divided by ``1 - p``.

    Each block of the scores is drawn with a key of its own, so that it can be drawn again when its gradient is made.
    """

    key: jax.Array
    p: ArrayLike

    def at(self, number: jax.Array) -> Dropout:
        """The rule for one of several parts."""
        return self._replace(key=fold_in(self.key, number))

    def factors(self, shape: tuple[int, ...], dtype: DTypeLike) -> jax.Array:
        """What each weight is multiplied by: 0 or 1 / (1 - p)."""
        p = jnp.asarray(self.p, jnp.result_type(float))
        kept = words(self.key, shape) >= (p * 2.0**32).astype(jnp.uint32)
        # A traced p may be 1, where the scale is infinite but nothing is kept.
        return jnp.where(kept & (p < 1), 1 / jnp.where(p < 1, 1 - p, 1), 0).astype(dtype)

    def repeatable(self) -> bool:
        """Whether the key draws the same alone and beside others under ``vmap``, as the plain form draws."""
        return str(jax.random.key_impl(self.key)) == "threefry2x32"

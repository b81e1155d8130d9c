"""Products of one matrix with every image of a batch."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from fnn.kernels.conv.config import Bounds

__all__ = ["matmul_images", "matmul_images_gradient"]


def matmul_images(w: jax.Array, x: jax.Array, bounds: Bounds) -> jax.Array:
    """w (groups, o, i) times x (N, groups, i, length), to (N, groups, o, length)."""
    groups, o, i = w.shape
    n, length = x.shape[0], x.shape[-1]
    if n * w.size <= bounds.cached:
        # A matrix for each image keeps the images in their order, which one for all of them does not.
        return jnp.matmul(jnp.broadcast_to(w, (n, *w.shape)), x)
    if groups > 1 or 4 * o * i <= (o + i) * length:
        return jnp.matmul(w, x)
    # A large matrix costs more to repeat for each image than the images cost to lay side by side.
    out = lax.dot_general(w[0], x[:, 0], (((1,), (1,)), ((), ())))
    return out.swapaxes(0, 1).reshape((n, 1, o, length))


def matmul_images_gradient(dy: jax.Array, x: jax.Array) -> jax.Array:
    """dy (N, groups, o, length) and x (N, groups, i, length), to (groups, o, i)."""
    o, i, length = dy.shape[2], x.shape[2], x.shape[3]
    if 4 * o * i <= (o + i) * length:
        return lax.dot_general(dy, x, (((3,), (3,)), ((0, 1), (0, 1)))).sum(0)
    return lax.dot_general(dy, x, (((0, 3), (0, 3)), ((1,), (1,))))

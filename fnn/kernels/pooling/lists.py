"""Maxima over windows that are given as lists of indices, one list for each axis."""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from fnn.kernels.pooling.windows import lowest

__all__ = ["gather_maxima", "positions_by_lists"]


def positions_by_lists(x: jax.Array, positions: Sequence[ArrayLike], masks: Sequence[np.ndarray | None]) -> jax.Array:
    """Flat index of the maximum of windows that are products of one index list an axis.

    ``positions[axis]`` is ``[..., windows, taps]``, its leading axes broadcastable to those of ``x``; ``masks[axis]`` (or
    None) is ``[windows, taps]``. Reducing the last axis first keeps torch's row-major order at ties and NaN.
    """
    n = len(positions)
    lead = x.shape[: x.ndim - n]
    sizes = x.shape[x.ndim - n :]
    values = x
    flat = jnp.arange(math.prod(sizes), dtype=jnp.int32).reshape((1,) * len(lead) + sizes)
    flat = jnp.broadcast_to(flat, x.shape)
    for i in reversed(range(n)):
        axis = len(lead) + i
        at, mask = jnp.asarray(positions[i]), masks[i]
        windows, taps = at.shape[-2:]
        at = jnp.broadcast_to(at, (*lead, windows, taps)).reshape(lead + (1,) * (n - 1) + (windows * taps,))
        v = jnp.moveaxis(values, axis, -1)
        f = jnp.moveaxis(flat, axis, -1)
        at = jnp.broadcast_to(at, (*v.shape[:-1], windows * taps))
        v = jnp.take_along_axis(v, at, -1).reshape((*v.shape[:-1], windows, taps))
        f = jnp.take_along_axis(f, at, -1).reshape(v.shape)
        low = lowest(x.dtype)
        if mask is not None:
            v = jnp.where(mask, v, low)
        pick = jnp.argmax(v, -1)
        top = jnp.max(v, -1)
        if mask is not None:
            pick = jnp.where(top == low, np.argmax(mask, -1), pick)
        nan = v != v
        pick = jnp.where(nan.any(-1), taps - 1 - jnp.argmax(nan[..., ::-1], -1), pick)[..., None]
        values = jnp.moveaxis(jnp.take_along_axis(v, pick, -1)[..., 0], -1, axis)
        flat = jnp.moveaxis(jnp.take_along_axis(f, pick, -1)[..., 0], -1, axis)
    return flat


def gather_maxima(x: jax.Array, flat: jax.Array, n: int) -> jax.Array:
    """The elements of the last ``n`` axes at flat positions."""
    lead = x.shape[: x.ndim - n]
    rows, at = (v.reshape((*lead, math.prod(v.shape[v.ndim - n :]))) for v in (x, flat))
    return jnp.take_along_axis(rows, at, -1).reshape(flat.shape)

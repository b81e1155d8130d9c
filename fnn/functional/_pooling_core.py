"""The windows behind the pooling family: sizes, maxima, means, random windows and scatters."""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnn.functional.arrays import index_dtype
from fnn.kernels import adaptive_pooling as adaptive
from fnn.kernels import pooling as kernels
from fnn.kernels._windows import gather_maxima, positions_by_lists

Ints = tuple[int, ...]


def out_length(length: int, kernel: int, stride: int, pad: int, dilation: int, ceil: bool) -> int:
    """Windows along one axis; with ``ceil`` the last one must still start inside the input or its left padding."""
    span = length + 2 * pad - dilation * (kernel - 1) - 1
    count = (-(-span // stride) if ceil else span // stride) + 1
    return count - 1 if ceil and (count - 1) * stride >= length + pad else count


@partial(jax.jit, static_argnames=("kernel", "stride", "padding", "dilation", "out", "indices"))
def max_windows(
    x: jax.Array, *, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, out: Ints, indices: bool
) -> tuple[jax.Array, jax.Array | None]:
    """Max pooling over regular windows."""
    windows = kernels.Windows(kernel, stride, padding, dilation, out)
    return kernels.max_pool(x, windows), kernels.max_positions(x, windows).astype(index_dtype()) if indices else None


@partial(jax.jit, static_argnames=("out", "indices"))
def adaptive_max(x: jax.Array, *, out: Ints, indices: bool) -> tuple[jax.Array, jax.Array | None]:
    """Maxima and flat indices over windows [floor(iL/O), ceil((i+1)L/O))."""
    n = len(out)
    sizes = x.shape[x.ndim - n :]
    if all(o and size % o == 0 for size, o in zip(sizes, out, strict=True)):
        tile = tuple(size // o for size, o in zip(sizes, out, strict=True))
        return max_windows(x, kernel=tile, stride=tile, padding=(0,) * n, dilation=(1,) * n, out=out, indices=indices)
    values = adaptive.adaptive_max_pool(x, out)
    return values, adaptive.adaptive_max_positions(x, out).astype(index_dtype()) if indices else None


def _wide(x: jax.Array) -> jax.Array:
    return x.astype(jnp.float32) if x.dtype in (jnp.bfloat16, jnp.float16) else x


def _outer(counts: list[np.ndarray]) -> np.ndarray:
    total = np.ones((), np.int64)
    for c in counts:
        total = total[..., None] * c
    return total


@partial(jax.jit, static_argnames=("out",))
def adaptive_mean(x: jax.Array, *, out: Ints) -> jax.Array:
    """Means over windows [floor(iL/O), ceil((i+1)L/O))."""
    n = len(out)
    sizes = x.shape[x.ndim - n :]
    if max(out) > 1 and all(o and size % o == 0 for size, o in zip(sizes, out, strict=True)):
        tile = tuple(size // o for size, o in zip(sizes, out, strict=True))
        return mean_windows(
            x, kernel=tile, stride=tile, padding=(0,) * n, out=out, include_pad=True, divisor=math.prod(tile)
        )
    counts = [adaptive.window_bounds(size, o).lengths for size, o in zip(sizes, out, strict=True)]
    wide = adaptive.adaptive_sum_pool(_wide(x), out)
    return (wide / _outer(counts).astype(wide.dtype)).astype(x.dtype)


@partial(jax.jit, static_argnames=("kernel", "stride", "padding", "out", "include_pad", "divisor"))
def mean_windows(
    x: jax.Array, *, kernel: Ints, stride: Ints, padding: Ints, out: Ints, include_pad: bool, divisor: int | None
) -> jax.Array:
    """Average pooling: window sums over a divisor known at compile time."""
    n = len(kernel)
    counts = []
    for size, k, s, p, o in zip(x.shape[x.ndim - n :], kernel, stride, padding, out, strict=True):
        start = np.arange(o) * s - p
        stop = np.minimum(start + k, size + p)
        counts.append(stop - start if include_pad else np.minimum(stop, size) - np.maximum(start, 0))
    total = kernels.sum_pool(_wide(x), kernels.Windows(kernel, stride, padding, (1,) * n, out))
    count = np.asarray(divisor) if divisor is not None else _outer(counts)
    return (total / count.astype(total.dtype)).astype(x.dtype)


@partial(jax.jit, static_argnames=("kernel", "out"))
def fractional_max(x: jax.Array, samples: jax.Array, *, kernel: Ints, out: Ints) -> tuple[jax.Array, jax.Array]:
    """Maxima over windows whose starts ``floor((i + u) alpha) - floor(u alpha)`` come from one sample an axis."""
    n = len(kernel)
    positions = []
    samples = lax.stop_gradient(samples)
    for i, (size, k, o) in enumerate(zip(x.shape[x.ndim - n :], kernel, out, strict=True)):
        u = samples[..., n - 1 - i if n == 2 else i, None]
        alpha = jnp.asarray((size - k) / max(o - 1, 1), u.dtype)
        steps = jnp.arange(o, dtype=u.dtype)
        starts = jnp.trunc((steps + u) * alpha).astype(jnp.int32) - jnp.trunc(u * alpha).astype(jnp.int32)
        starts = jnp.where(np.arange(o) == o - 1, size - k, starts)
        positions.append(starts[..., None] + np.arange(k, dtype=np.int32))
    flat = positions_by_lists(lax.stop_gradient(x), positions, [None] * n)
    return gather_maxima(x, flat, n), flat.astype(index_dtype())


@partial(jax.jit, static_argnames=("out",))
def unpool(x: jax.Array, indices: jax.Array, *, out: Ints) -> jax.Array:
    """Values placed at flat indices of a zero plane; a plane with an index out of range becomes NaN."""
    n, size = len(out), math.prod(out)
    lead = x.shape[: x.ndim - n]
    rows = math.prod(lead)
    values, at = x.reshape(rows, -1), indices.reshape(rows, -1)
    bad = ((at < 0) | (at >= size)).any(-1, keepdims=True)
    at = jnp.where((at < 0) | (at >= size), size, at)
    planes = jnp.zeros((rows, size), x.dtype).at[np.arange(rows)[:, None], at].set(values, mode="drop")
    if jnp.issubdtype(x.dtype, jnp.floating):
        planes = jnp.where(bad, jnp.nan, planes).astype(x.dtype)
    return planes.reshape(lead + out)

"""The windows behind the pooling family: sizes, running maxima, separable maxima by index, sums and scatters."""

from __future__ import annotations

import itertools
import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnn.functional._utils import index_dtype

Ints = tuple[int, ...]
_UNROLLED_TAPS = 27


def out_length(length: int, kernel: int, stride: int, pad: int, dilation: int, ceil: bool) -> int:
    """Windows along one axis; with ``ceil`` the last one must still start inside the input or its left padding."""
    span = length + 2 * pad - dilation * (kernel - 1) - 1
    count = (-(-span // stride) if ceil else span // stride) + 1
    return count - 1 if ceil and (count - 1) * stride >= length + pad else count


def _lowest(dtype: Any) -> Any:
    return np.array(-np.inf if jnp.issubdtype(dtype, jnp.floating) else jnp.iinfo(dtype).min).astype(dtype)


def _beats(value: jax.Array, best: jax.Array) -> jax.Array:
    """torch's rule: a larger value, or any NaN, replaces the maximum so far, so ties keep the first."""
    return (value > best) | (value != value)


def _tap_slices(x: jax.Array, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, out: Ints, fill: Any) -> Any:
    """For each tap of the window, the strided slice of the padded input that holds its value for every window."""
    n, lead = len(kernel), x.ndim - len(kernel)
    needed = [(o - 1) * s + d * (k - 1) + 1 for o, s, d, k in zip(out, stride, dilation, kernel, strict=True)]
    config = [(0, 0, 0)] * lead + [
        (p, max(m - size - p, 0), 0) for p, m, size in zip(padding, needed, x.shape[lead:], strict=True)
    ]
    padded = lax.pad(x, jnp.asarray(fill, x.dtype), config)
    for tap in itertools.product(*map(range, kernel)):
        start = [t * d for t, d in zip(tap, dilation, strict=True)]
        stop = [a + (o - 1) * s + 1 for a, o, s in zip(start, out, stride, strict=True)]
        begin, end = (0,) * lead + tuple(start), x.shape[:lead] + tuple(stop)
        yield tap, lax.slice(padded, begin, end, (1,) * lead + stride[:n])


def _inside(tap: Ints, sizes: Ints, stride: Ints, padding: Ints, dilation: Ints, out: Ints) -> np.ndarray:
    """Which windows have this tap on the input rather than on padding."""
    valid = np.ones(out, bool)
    for axis, (t, size, s, p, d, o) in enumerate(zip(tap, sizes, stride, padding, dilation, out, strict=True)):
        at = np.arange(o) * s - p + t * d
        valid &= ((at >= 0) & (at < size)).reshape([-1 if a == axis else 1 for a in range(len(out))])
    return valid


def _running_max(x: jax.Array, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, out: Ints) -> Any:
    """Maxima and the number of the winning tap of each window."""
    sizes = x.shape[x.ndim - len(kernel) :]
    best = jnp.full(x.shape[: x.ndim - len(kernel)] + out, _lowest(x.dtype), x.dtype)
    chosen = jnp.zeros(best.shape, jnp.int8)
    seen = np.zeros(out, bool)
    for number, (tap, value) in enumerate(_tap_slices(x, kernel, stride, padding, dilation, out, _lowest(x.dtype))):
        valid = _inside(tap, sizes, stride, padding, dilation, out)
        wins = _beats(value, best)
        if not (seen | ~valid).all():
            wins = wins | (valid & ~seen)
        if not valid.all():
            wins = wins & valid
        seen |= valid
        best = jnp.where(wins, value, best)
        chosen = jnp.where(wins, jnp.int8(number), chosen)
    return best, chosen


@partial(jax.custom_jvp, nondiff_argnums=(1, 2, 3, 4, 5))
def _tap_max(x: jax.Array, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, out: Ints) -> Any:
    return _running_max(x, kernel, stride, padding, dilation, out)


@_tap_max.defjvp
def _tap_max_jvp(
    kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, out: Ints, primals: Any, tangents: Any
) -> Any:
    best, chosen = _tap_max(primals[0], kernel, stride, padding, dilation, out)
    (tangent,) = tangents
    moved = jnp.zeros(best.shape, tangent.dtype)
    for number, (_, value) in enumerate(_tap_slices(tangent, kernel, stride, padding, dilation, out, 0)):
        moved = moved + jnp.where(chosen == number, value, jnp.zeros((), tangent.dtype))
    return (best, chosen), (moved, np.zeros(chosen.shape, jax.dtypes.float0))


def _tap_index(chosen: jax.Array, sizes: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints) -> jax.Array:
    """The flat input position of the winning tap of each window."""
    out = chosen.shape[chosen.ndim - len(kernel) :]
    rest, flat = chosen.astype(index_dtype()), jnp.zeros((), index_dtype())
    scale = 1
    for axis in reversed(range(len(kernel))):
        origin = np.arange(out[axis]) * stride[axis] - padding[axis]
        origin = origin.reshape([-1 if a == axis else 1 for a in range(len(kernel))])
        flat = flat + (origin + (rest % kernel[axis]) * dilation[axis]) * scale
        rest = rest // kernel[axis]
        scale *= sizes[axis]
    return flat.astype(index_dtype())


def _separable_argmax(x: jax.Array, positions: Any, masks: Any) -> jax.Array:
    """Flat index of the maximum of windows that are products of one index list an axis.

    ``positions[axis]`` is ``[..., windows, taps]``, its leading axes broadcastable to those of ``x``; ``masks[axis]`` (or
    None) is ``[windows, taps]``. Reducing the last axis first keeps torch's row-major order at ties and NaN.
    """
    n = len(positions)
    lead = x.shape[: x.ndim - n]
    sizes = x.shape[x.ndim - n :]
    values = x
    flat = jnp.arange(math.prod(sizes), dtype=index_dtype()).reshape((1,) * len(lead) + sizes)
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
        low = _lowest(x.dtype)
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


def _gather(x: jax.Array, flat: jax.Array, n: int) -> jax.Array:
    lead = x.shape[: x.ndim - n]
    rows = jnp.take_along_axis(x.reshape((*lead, -1)), flat.reshape((*lead, -1)), -1)
    return rows.reshape(flat.shape)


@partial(jax.jit, static_argnames=("kernel", "stride", "padding", "dilation", "out", "indices"))
def max_windows(
    x: jax.Array, *, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, out: Ints, indices: bool
) -> tuple[jax.Array, jax.Array | None]:
    """Max pooling over regular windows: a running maximum for small kernels, separable index lists for large ones."""
    n = len(kernel)
    sizes = x.shape[x.ndim - n :]
    if math.prod(kernel) <= _UNROLLED_TAPS:
        best, chosen = _tap_max(x, kernel, stride, padding, dilation, out)
        return best, _tap_index(chosen, sizes, kernel, stride, padding, dilation) if indices else None
    positions, masks = [], []
    for size, k, s, p, d, o in zip(sizes, kernel, stride, padding, dilation, out, strict=True):
        at = np.arange(o)[:, None] * s - p + np.arange(k) * d
        inside = (at >= 0) & (at < size)
        positions.append(np.clip(at, 0, size - 1))
        masks.append(None if inside.all() else inside)
    flat = _separable_argmax(lax.stop_gradient(x), positions, masks)
    return _gather(x, flat, n), flat if indices else None


def _adaptive_bounds(size: int, out: int) -> tuple[np.ndarray, np.ndarray]:
    i = np.arange(out)
    return i * size // out, -(-(i + 1) * size // out)


def _adaptive_positions(size: int, out: int) -> tuple[np.ndarray, np.ndarray | None]:
    start, stop = _adaptive_bounds(size, out)
    at = start[:, None] + np.arange((stop - start).max(initial=1))
    inside = at < stop[:, None]
    return np.clip(at, 0, size - 1), None if inside.all() else inside


@partial(jax.jit, static_argnames=("out",))
def adaptive_max(x: jax.Array, *, out: Ints) -> tuple[jax.Array, jax.Array]:
    """Maxima and flat indices over windows [floor(iL/O), ceil((i+1)L/O))."""
    n = len(out)
    pairs = [_adaptive_positions(size, o) for size, o in zip(x.shape[x.ndim - n :], out, strict=True)]
    flat = _separable_argmax(lax.stop_gradient(x), [p for p, _ in pairs], [m for _, m in pairs])
    return _gather(x, flat, n), flat


def _wide(x: jax.Array) -> jax.Array:
    return x.astype(jnp.float32) if x.dtype in (jnp.bfloat16, jnp.float16) else x


def _outer(counts: list[np.ndarray]) -> np.ndarray:
    total = np.ones((), np.int64)
    for c in counts:
        total = total[..., None] * c
    return total


@partial(jax.jit, static_argnames=("out",))
def adaptive_mean(x: jax.Array, *, out: Ints) -> jax.Array:
    """Means over windows [floor(iL/O), ceil((i+1)L/O)), one axis at a time."""
    n, wide, counts = len(out), _wide(x), []
    for i, o in enumerate(out):
        axis = x.ndim - n + i
        size = x.shape[axis]
        start, stop = _adaptive_bounds(size, o)
        counts.append(stop - start)
        if o and size % o == 0:
            wide = wide.reshape((*wide.shape[:axis], o, size // o, *wide.shape[axis + 1 :])).sum(axis + 1)
            continue
        at, mask = _adaptive_positions(size, o)
        v = jnp.take(jnp.moveaxis(wide, axis, -1), at, axis=-1)
        wide = jnp.moveaxis((v if mask is None else jnp.where(mask, v, 0)).sum(-1), -1, axis)
    return (wide / _outer(counts).astype(wide.dtype)).astype(x.dtype)


@partial(jax.jit, static_argnames=("kernel", "stride", "padding", "out", "include_pad", "divisor"))
def mean_windows(
    x: jax.Array, *, kernel: Ints, stride: Ints, padding: Ints, out: Ints, include_pad: bool, divisor: int | None
) -> jax.Array:
    """Average pooling: window sums over a divisor known at compile time."""
    n = len(kernel)
    lead = x.ndim - n
    config, counts = [(0, 0, 0)] * lead, []
    for size, k, s, p, o in zip(x.shape[lead:], kernel, stride, padding, out, strict=True):
        config.append((p, (o - 1) * s + k - size - p, 0))
        start = np.arange(o) * s - p
        stop = np.minimum(start + k, size + p)
        counts.append(stop - start if include_pad else np.minimum(stop, size) - np.maximum(start, 0))
    padded = lax.pad(_wide(x), jnp.zeros((), _wide(x).dtype), config)
    total = lax.reduce_window(
        padded, np.zeros((), padded.dtype), lax.add, (1,) * lead + kernel, (1,) * lead + stride, "VALID"
    )
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
    flat = _separable_argmax(lax.stop_gradient(x), positions, [None] * n)
    return _gather(x, flat, n), flat


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

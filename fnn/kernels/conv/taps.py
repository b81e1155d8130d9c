"""What each tap of a kernel sees of an array, and its transpose: padding, strided slices, sums at the places seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from itertools import product
from operator import add

import jax
import jax.numpy as jnp
from jax import lax

from fnn.kernels.conv.config import Case, Config, Ints

__all__ = ["col2im", "cut_last", "each_tap", "im2col", "pad_last", "placed", "seen_by", "seen_by_taps"]


def pad_last(x: jax.Array, pads: Iterable[tuple[int, int]], dilation: Iterable[int] | None = None) -> jax.Array:
    """The last axes padded, or cropped where the pad is negative, and dilated."""
    pads = list(pads)
    dilation = [1] * len(pads) if dilation is None else list(dilation)
    if not any(low or high for low, high in pads) and all(d == 1 for d in dilation):
        return x
    rest = [(0, 0, 0)] * (x.ndim - len(pads))
    return lax.pad(x, jnp.zeros((), x.dtype), rest + [(*p, d - 1) for p, d in zip(pads, dilation, strict=True)])


def cut_last(x: jax.Array, starts: Iterable[int], lengths: Iterable[int], strides: Iterable[int]) -> jax.Array:
    """A strided slice of the last axes."""
    starts, lengths, strides = list(starts), list(lengths), list(strides)
    lead = x.ndim - len(starts)
    stops = [a + (q - 1) * s + 1 for a, q, s in zip(starts, lengths, strides, strict=True)]
    return lax.slice(x, [0] * lead + starts, [*x.shape[:lead], *stops], [1] * lead + strides)


def each_tap(kernel: Iterable[int]) -> Iterator[Ints]:
    """The taps, by their place on each axis."""
    return product(*map(range, kernel))


def seen_by(tap: Ints, padded: jax.Array, outputs: Ints, config: Config) -> jax.Array:
    """What one tap sees of the last axes of an input that is padded already, as the outputs lie."""
    return cut_last(padded, [a * d for a, d in zip(tap, config.dilation, strict=True)], outputs, config.stride)


def seen_by_taps(x: jax.Array, case: Case) -> list[jax.Array]:
    """For each tap what it sees of the last axes of ``x``."""
    x = pad_last(x, case.config.pads)
    return [seen_by(tap, x, case.places, case.config) for tap in each_tap(case.kernel)]


def placed(z: jax.Array, tap: Ints, case: Case) -> jax.Array:
    """The transpose for one tap: the last axes of ``z``, an element for each output, at the places that the tap sees."""
    config = case.config
    pads: list[tuple[int, int]] = []
    for a, s, d, (low, _), size, q in zip(
        tap, config.stride, config.dilation, config.pads, case.sizes, case.places, strict=True
    ):
        before = a * d - low
        pads.append((before, size - before - ((q - 1) * s + 1)))
    return pad_last(z, pads, config.stride)


def im2col(parts: list[jax.Array]) -> jax.Array:
    """One (N, c, ...) for each tap, to (N, 1, c taps, length)."""
    whole = jnp.stack(parts, 2)
    return whole.reshape((whole.shape[0], 1, whole.shape[1] * whole.shape[2], -1))


def col2im(parts: Iterable[jax.Array], case: Case) -> jax.Array:
    """The transpose of ``seen_by_taps``: the sum of what each tap gives, at the places that it sees."""
    return reduce(add, (placed(z, tap, case) for z, tap in zip(parts, each_tap(case.kernel), strict=True)))

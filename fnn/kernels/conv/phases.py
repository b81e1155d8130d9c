"""A transposed convolution as ordinary ones, its phases: each gives the places that leave one remainder by the stride."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import gcd
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from fnn.kernels.conv.config import Case, Config, Ints

__all__ = ["Phase", "by_phases"]


class Phase(NamedTuple):
    """An ordinary convolution that gives the places of a transposed one that leave one remainder by the stride.

    Attributes:
        slices: the taps that reach them, by axis; the kernel is to be flipped afterwards.
        config: the convolution.
    """

    slices: tuple[slice, ...]
    config: Config


def _phases(case: Case) -> list[Phase | None]:
    """The phases of the gradient by the input; ``None``: zeros.

    Position ``s m + r`` receives ``w[a] dy[m + (r + low - d a) / s]`` from every tap ``a`` for which that is whole.
    """
    config, found = case.config, list[Phase | None]()
    for remainder in product(*map(range, config.stride)):
        slices, pads, dilation = list[slice](), list[tuple[int, int]](), list[int]()
        for i, r in enumerate(remainder):
            s, d, low = config.stride[i], config.dilation[i], config.pads[i][0]
            reaching = [a for a in range(case.kernel[i]) if (r + low - d * a) % s == 0]
            if not reaching:
                break
            common = gcd(s, d)
            # Flipped, the last tap comes first; it sees the earliest position.
            first, last = (r + low - d * reaching[-1]) // s, (r + low - d * reaching[0]) // s
            slices.append(slice(reaching[0], None, s // common))
            dilation.append(d // common)
            pads.append((-first, -(-case.sizes[i] // s) - 1 + last - (case.places[i] - 1)))
        whole = len(slices) == len(case.sizes)
        ones = (1,) * len(case.sizes)
        inner = config._replace(stride=ones, pads=tuple(pads), dilation=tuple(dilation))
        found.append(Phase(tuple(slices), inner) if whole else None)
    return found


def _interleave(parts: Sequence[jax.Array], sizes: Ints, stride: Ints, start: int) -> jax.Array:
    """The phases as one array of lengths ``sizes`` on the axes from ``start``."""
    for i in reversed(range(len(sizes))):
        s, axis = stride[i], start + i
        if s > 1:
            stacked = [jnp.stack(parts[j : j + s], axis + 1) for j in range(0, len(parts), s)]
            parts = [p.reshape((*p.shape[:axis], -1, *p.shape[axis + 2 :])) for p in stacked]
    whole = parts[0]
    for i, size in enumerate(sizes):
        whole = lax.slice_in_dim(whole, 0, size, axis=start + i)
    return whole


def by_phases(convolve: Callable[[Phase], jax.Array], case: Case, start: int) -> jax.Array:
    """The gradient by the input, each phase of it by ``convolve``; its axes begin at ``start``."""
    parts = [None if phase is None else convolve(phase) for phase in _phases(case)]
    blank = jnp.zeros_like(next(part for part in parts if part is not None))
    return _interleave([blank if part is None else part for part in parts], case.sizes, case.config.stride, start)

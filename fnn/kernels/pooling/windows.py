"""Windows at regular places, what both kinds of pooling ask of a maximum, and the bounds by which a form is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike, DTypeLike

__all__ = ["BOUNDS", "Axis", "Bounds", "Ints", "Windows", "along", "beats", "flat_positions", "lowest", "sizes_of"]

Ints = tuple[int, ...]


@dataclass(frozen=True)
class Bounds:
    """Numbers, found by measurement, by which a form is chosen.

    Attributes:
        window_taps: taps of a window that the plain form writes out.
        axis_taps: taps of an axis that the fast form writes out.
        sum_taps: taps of an axis up to which gradients of sums are written out.
        adaptive_taps: taps of an axis that the fast form of adaptive pooling writes out.
        few_phases: up to this stride the elements of the last axis are woven by padding.
        tile_taps: tiles with more taps are reduced, not written out.
    """

    window_taps: int = 27
    axis_taps: int = 32
    sum_taps: int = 64
    adaptive_taps: int = 64
    few_phases: int = 4
    tile_taps: int = 4


BOUNDS = Bounds()


class Windows(NamedTuple):
    """Windows at regular places of the last axes: ``out`` of them an axis, no fewer than lie on the input as a whole.

    ``padding`` is that in front; behind there is as much as the last window needs.
    """

    kernel: Ints
    stride: Ints
    padding: Ints
    dilation: Ints
    out: Ints

    @property
    def axes(self) -> list[Axis]:
        """Each axis on its own."""
        return [Axis(*of) for of in zip(*self, strict=True)]

    def tiles(self, sizes: Ints) -> bool:
        """Whether the windows cut the input without rest."""
        return all(axis.tiles(size) for axis, size in zip(self.axes, sizes, strict=True))


class Axis(NamedTuple):
    """What ``Windows`` says of one axis."""

    kernel: int
    stride: int
    padding: int
    dilation: int
    out: int

    @property
    def span(self) -> int:
        """The length that a window covers."""
        return self.dilation * (self.kernel - 1) + 1

    def tiles(self, size: int) -> bool:
        """Whether the windows cut the axis without rest."""
        return self.kernel == self.stride and self.out * self.stride == size and not self.padding and self.dilation == 1

    def first_taps(self) -> np.ndarray:
        """The first tap of each window that is not on the padding in front."""
        outside = self.padding - np.arange(self.out) * self.stride
        return np.clip(-(-outside // self.dilation), 0, self.kernel - 1)

    def padded(self, array: jax.Array, axis: int, fill: ArrayLike) -> jax.Array:
        """The array with as much padding as the windows need."""
        needed = (self.out - 1) * self.stride + self.span
        config = [(0, 0, 0)] * array.ndim
        # What lies behind the last window is cut off by the slices.
        config[axis] = (self.padding, max(needed - array.shape[axis] - self.padding, 0), 0)
        return lax.pad(array, jnp.asarray(fill, array.dtype), config) if any(config[axis]) else array

    def tap(self, padded: jax.Array, axis: int, number: int) -> jax.Array:
        """For each window its element ``number``."""
        start = number * self.dilation
        return lax.slice_in_dim(padded, start, start + (self.out - 1) * self.stride + 1, self.stride, axis)


def sizes_of(x: jax.Array, windows: Windows) -> Ints:
    """The lengths of the axes that the windows lie on."""
    return x.shape[x.ndim - len(windows.kernel) :]


def lowest(dtype: DTypeLike) -> np.ndarray:
    """What no element is below: the value of padding."""
    return np.array(-np.inf if jnp.issubdtype(dtype, jnp.floating) else jnp.iinfo(dtype).min).astype(dtype)


def beats(value: jax.Array, best: jax.Array) -> jax.Array:
    """torch's rule: a larger value, or any NaN, replaces the maximum so far, so ties keep the first."""
    return (value > best) | (value != value)


def along(values: np.ndarray, axis: int, n: int) -> np.ndarray:
    """The values along one of ``n`` axes."""
    return values.reshape([-1 if a == axis else 1 for a in range(n)])


def flat_positions(choices: Sequence[jax.Array], sizes: Ints, windows: Windows) -> jax.Array:
    """The flat input position of the winner of each window, from the number of its tap on each axis."""
    n, flat = len(choices), jnp.zeros((), jnp.int32)
    for i, (axis, choice) in enumerate(zip(windows.axes, choices, strict=True)):
        origin = along(np.arange(axis.out, dtype=np.int32) * axis.stride - axis.padding, i, n)
        flat = flat * sizes[i] + origin + choice.astype(jnp.int32) * axis.dilation
    return flat.astype(jnp.int32)

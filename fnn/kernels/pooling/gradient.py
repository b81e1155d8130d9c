"""What windows along one axis give back to its elements: to the chosen tap, or to every tap.

Element ``block * stride + phase`` of the padded input is tap ``t`` of window ``block - offset`` for each ``t`` with
``t * dilation == offset * stride + phase``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnn.kernels.choice import Form, always, choose
from fnn.kernels.pooling.windows import Axis, Bounds, along

__all__ = ["GRADIENT", "Case", "axis_gradient"]


class Case(NamedTuple):
    """An axis of windows, where it is among how many, and the length of the input along it."""

    axis: Axis
    at: int
    ndim: int
    size: int

    @property
    def blocks(self) -> int:
        """How many strides the padded input is long."""
        return -(-(self.size + self.axis.padding) // self.axis.stride)

    @property
    def places(self) -> list[tuple[int, int]]:
        """For each tap its offset and phase."""
        return [divmod(tap * self.axis.dilation, self.axis.stride) for tap in range(self.axis.kernel)]

    def pad(self, array: jax.Array, front: int, back: int, interior: int = 0) -> jax.Array:
        """The array with zeros around it along the axis, and between its elements."""
        config = [(0, 0, 0)] * array.ndim
        config[self.at] = (front, back, interior)
        return lax.pad(array, jnp.zeros((), array.dtype), config)

    def cut(self, blocks: jax.Array) -> jax.Array:
        """The elements of (blocks, stride) on axes ``at`` and ``at + 1`` that are on the input."""
        full = blocks.reshape(*blocks.shape[: self.at], -1, *blocks.shape[self.at + 2 :])
        return lax.slice_in_dim(full, self.axis.padding, self.axis.padding + self.size, 1, self.at)


def axis_gradient(g: jax.Array, choice: jax.Array | None, at: int, axis: Axis, size: int, bounds: Bounds) -> jax.Array:
    """The gradient of what windows choose or add up along one axis.

    Args:
        g: the gradient of the results.
        choice: the number of the chosen tap of each window; ``None`` where all are added up.
        at: the axis, among those of ``g``.
        axis: its windows.
        size: the length of the input along it.
        bounds: by which the form is chosen.

    Returns:
        an array like the input.
    """
    case = Case(axis, at, g.ndim, size)
    return choose(GRADIENT, case, bounds).run(g, choice, case)


def _by_slices(g: jax.Array, choice: jax.Array | None, case: Case) -> jax.Array:
    """Cut from one padded array: with a stride of 1 that is faster than to pad the part of each tap."""
    axis, at, size = case.axis, case.at, case.size
    reach = max(offset for offset, _ in case.places)
    behind = case.blocks - axis.out
    wide = case.pad(g, reach, behind)
    taken = None if choice is None else case.pad(choice, reach, behind)
    parts: list[jax.Array] = []
    for tap, (offset, _) in enumerate(case.places):
        start = reach - offset + axis.padding
        part = lax.slice_in_dim(wide, start, start + size, 1, at)
        if taken is not None:
            chosen = lax.slice_in_dim(taken, start, start + size, 1, at) == tap
            part = jnp.where(chosen, part, jnp.zeros((), g.dtype))
        parts.append(part)
    return sum(parts[1:], parts[0])


def _by_tiles(g: jax.Array, choice: jax.Array | None, case: Case) -> jax.Array:
    """Each element looks whether its tap was chosen: no window reaches another's elements."""
    axis, at, behind = case.axis, case.at, case.blocks - case.axis.out
    taps = np.full(axis.stride, -1)
    taps[: axis.span : axis.dilation] = np.arange(axis.kernel)
    taps = along(taps, at + 1, g.ndim + 1)
    mine = taps >= 0
    if choice is not None:
        mine = jnp.expand_dims(case.pad(choice, 0, behind).astype(jnp.int32), at + 1) == taps
    tiles = jnp.where(mine, jnp.expand_dims(case.pad(g, 0, behind), at + 1), jnp.zeros((), g.dtype))
    return case.cut(tiles)


def _phases(g: jax.Array, choice: jax.Array | None, case: Case) -> list[jax.Array]:
    """For each phase what its elements get."""

    def phase(number: int) -> jax.Array:
        parts: list[jax.Array] = []
        for tap, (offset, of) in enumerate(case.places):
            if of == number:
                part = g if choice is None else jnp.where(choice == tap, g, jnp.zeros((), g.dtype))
                parts.append(case.pad(part, offset, case.blocks - case.axis.out - offset))
        blank = (*g.shape[: case.at], case.blocks, *g.shape[case.at + 1 :])
        return sum(parts[1:], parts[0]) if parts else jnp.zeros(blank, g.dtype)

    return [phase(number) for number in range(case.axis.stride)]


def _by_stacked_phases(g: jax.Array, choice: jax.Array | None, case: Case) -> jax.Array:
    return case.cut(jnp.stack(_phases(g, choice, case), case.at + 1))


def _by_woven_phases(g: jax.Array, choice: jax.Array | None, case: Case) -> jax.Array:
    woven: list[jax.Array] = []
    stride = case.axis.stride
    for number, part in enumerate(_phases(g, choice, case)):
        front = number - case.axis.padding
        woven.append(case.pad(part, front, case.size - front - (case.blocks - 1) * stride - 1, stride - 1))
    return sum(woven[1:], woven[0])


def _are_slices(case: Case, bounds: Bounds) -> bool:
    return case.axis.stride == 1


def _are_large_tiles(case: Case, bounds: Bounds) -> bool:
    return case.axis.span <= case.axis.stride and case.axis.stride > bounds.few_phases


def _stack(case: Case, bounds: Bounds) -> bool:
    return case.at < case.ndim - 1 or case.axis.stride > bounds.few_phases


GRADIENT: tuple[Form[Case, Bounds, Callable[[jax.Array, jax.Array | None, Case], jax.Array]], ...] = (
    Form("slices", _are_slices, _by_slices),
    Form("tiles", _are_large_tiles, _by_tiles),
    Form("stacked phases", _stack, _by_stacked_phases),
    Form("woven phases", always, _by_woven_phases),
)

"""What the forms of a convolution share: its description, the plain forms by ``lax``, padding and slicing.

A convolution is written ``out[q] = sum_a w[a] x[stride q + dilation a - low]`` for each pair of channels, ``a`` running over
the kernel's elements, the taps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from itertools import product
from math import gcd
from operator import add
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

__all__ = [
    "Config",
    "Phase",
    "add_placed",
    "by_phases",
    "cut_last",
    "each_tap",
    "exchange",
    "fit",
    "matmul_images",
    "matmul_images_gradient",
    "pad_last",
    "placed",
    "plain_forward",
    "plain_transposed",
    "seen_by",
    "seen_by_taps",
]

Array = Any
Ints = tuple[int, ...]

# Elements of a matrix repeated for each image that should stay in the cache.
CACHED = 1 << 20


class Config(NamedTuple):
    """A convolution but for its arrays, each entry by axis.

    Attributes:
        stride: steps between the positions of the kernel.
        pads: zeros (before, after) the input.
        dilation: steps between the elements of the kernel.
        groups: number of groups of channels.
        library: whether the program is compiled with the option that chooses the library for dense convolutions; their
            gradient by the kernel is then a convolution, too.
    """

    stride: Ints
    pads: tuple[tuple[int, int], ...]
    dilation: Ints
    groups: int
    library: bool = False

    def outputs(self, sizes: Ints, kernel: Ints) -> Ints:
        """The lengths of the output."""
        each = zip(sizes, self.pads, kernel, self.dilation, self.stride, strict=True)
        return tuple((size + sum(pad) - d * (k - 1) - 1) // s + 1 for size, pad, k, d, s in each)

    def reach(self, axis: int, outputs: int, kernel: int) -> int:
        """The length on an axis of the padded input that so many outputs see."""
        return (outputs - 1) * self.stride[axis] + self.dilation[axis] * (kernel - 1) + 1

    def inner(self) -> Config:
        """The same without the first axis."""
        return self._replace(stride=self.stride[1:], pads=self.pads[1:], dilation=self.dilation[1:])


def _numbers(n: int) -> lax.ConvDimensionNumbers:
    space = "DHW"[3 - n :]
    return lax.conv_dimension_numbers((1,) * (n + 2), (1,) * (n + 2), ("NC" + space, "OI" + space, "NC" + space))


def plain_forward(x: Array, w: Array, config: Config) -> Array:
    """The convolution of ``x`` (N, C, ...) with ``w`` (O, C / groups, ...) by ``lax``."""
    return lax.conv_general_dilated(
        x,
        w,
        window_strides=config.stride,
        padding=config.pads,
        rhs_dilation=config.dilation,
        dimension_numbers=_numbers(x.ndim - 2),
        feature_group_count=config.groups,
    )


def exchange(w: Array, groups: int) -> Array:
    """The kernel with inputs and outputs exchanged within each group: (O, c, ...) to (C, o, ...)."""
    o, c, *kernel = w.shape
    return w.reshape((groups, o // groups, c, *kernel)).swapaxes(1, 2).reshape((groups * c, o // groups, *kernel))


def fit(config: Config, sizes: Ints, outputs: Ints, kernel: Ints) -> Config:
    """The same with the padding behind with which an input of lengths ``sizes`` gives just ``outputs``."""
    pads = []
    for i, (low, _) in enumerate(config.pads):
        pads.append((low, config.reach(i, outputs[i], kernel[i]) - sizes[i] - low))
    return config._replace(pads=tuple(pads))


def plain_transposed(dy: Array, w: Array, sizes: Ints, config: Config) -> Array:
    """The gradient of the convolution with respect to an input of lengths ``sizes``, by ``lax``.

    It is the convolution of ``dy``, spread out by the stride, with the kernel flipped and its channels exchanged.
    """
    n = dy.ndim - 2
    kernel = lax.rev(exchange(w, config.groups), tuple(range(2, n + 2)))
    pads = []
    for i, (low, _) in enumerate(config.pads):
        before = config.dilation[i] * (w.shape[i + 2] - 1) - low
        spread = (dy.shape[i + 2] - 1) * config.stride[i] + 1
        pads.append((before, sizes[i] + low - spread))
    return lax.conv_general_dilated(
        dy,
        kernel,
        window_strides=(1,) * n,
        padding=pads,
        lhs_dilation=config.stride,
        rhs_dilation=config.dilation,
        dimension_numbers=_numbers(n),
        feature_group_count=config.groups,
    )


def pad_last(x: Array, pads: Iterable[tuple[int, int]], spread: Iterable[int] | None = None) -> Array:
    """The last axes padded, or cropped where the pad is negative, and elements set apart by ``spread``."""
    pads = list(pads)
    spread = [1] * len(pads) if spread is None else list(spread)
    if not any(low or high for low, high in pads) and all(s == 1 for s in spread):
        return x
    rest = [(0, 0, 0)] * (x.ndim - len(pads))
    return lax.pad(x, jnp.zeros((), x.dtype), rest + [(*p, s - 1) for p, s in zip(pads, spread, strict=True)])


def cut_last(x: Array, starts: Iterable[int], lengths: Iterable[int], strides: Iterable[int]) -> Array:
    """A strided slice of the last axes."""
    starts, lengths, strides = list(starts), list(lengths), list(strides)
    lead = x.ndim - len(starts)
    stops = [a + (q - 1) * s + 1 for a, q, s in zip(starts, lengths, strides, strict=True)]
    return lax.slice(x, [0] * lead + starts, [*x.shape[:lead], *stops], [1] * lead + strides)


def each_tap(kernel: Iterable[int]) -> Iterator[Ints]:
    return product(*map(range, kernel))


def seen_by(tap: Ints, padded: Array, outputs: Ints, config: Config) -> Array:
    """What one tap sees of the last axes of an input that is padded already, as the outputs lie."""
    return cut_last(padded, [a * d for a, d in zip(tap, config.dilation, strict=True)], outputs, config.stride)


def seen_by_taps(x: Array, kernel: Ints, outputs: Ints, config: Config) -> list[Array]:
    """For each tap what it sees of the last axes of ``x``."""
    x = pad_last(x, config.pads)
    return [seen_by(tap, x, outputs, config) for tap in each_tap(kernel)]


def placed(z: Array, tap: Ints, sizes: Ints, config: Config) -> Array:
    """The transpose for one tap: the last axes of ``z``, an element for each output, at the places that the tap sees."""
    pads = []
    for a, s, d, (low, _), size, q in zip(
        tap, config.stride, config.dilation, config.pads, sizes, z.shape[-len(tap) :], strict=True
    ):
        before = a * d - low
        pads.append((before, size - before - ((q - 1) * s + 1)))
    return pad_last(z, pads, config.stride)


def add_placed(parts: Iterable[Array], kernel: Ints, sizes: Ints, config: Config) -> Array:
    """The transpose of ``seen_by_taps``: the sum of what each tap gives, at the places that it sees."""
    return reduce(add, (placed(z, tap, sizes, config) for z, tap in zip(parts, each_tap(kernel), strict=True)))


def matmul_images(w: Array, x: Array) -> Array:
    """w (groups, o, i) times x (N, groups, i, length), to (N, groups, o, length)."""
    groups, o, i = w.shape
    n, length = x.shape[0], x.shape[-1]
    if n * w.size <= CACHED:
        # A matrix for each image keeps the images in their order, which one for all of them does not.
        return jnp.matmul(jnp.broadcast_to(w, (n, *w.shape)), x)
    if groups > 1 or 4 * o * i <= (o + i) * length:
        return jnp.matmul(w, x)
    # A large matrix costs more to repeat for each image than the images cost to lay side by side.
    out = lax.dot_general(w[0], x[:, 0], (((1,), (1,)), ((), ())))
    return out.swapaxes(0, 1).reshape((n, 1, o, length))


def matmul_images_gradient(dy: Array, x: Array) -> Array:
    """dy (N, groups, o, length) and x (N, groups, i, length), to (groups, o, i)."""
    o, i, length = dy.shape[2], x.shape[2], x.shape[3]
    if 4 * o * i <= (o + i) * length:
        return lax.dot_general(dy, x, (((3,), (3,)), ((0, 1), (0, 1)))).sum(0)
    return lax.dot_general(dy, x, (((0, 3), (0, 3)), ((1,), (1,))))


class Phase(NamedTuple):
    """An ordinary convolution that gives the positions of a transposed one that leave one remainder by the stride.

    Attributes:
        slices: the taps that reach them, by axis; the kernel is to be flipped afterwards.
        config: the convolution.
    """

    slices: tuple[slice, ...]
    config: Config


def _phases(lengths: Ints, sizes: Ints, kernel: Ints, config: Config) -> list[Phase | None]:
    """The phases of the gradient by an input of lengths ``sizes``, from cotangents of ``lengths``; ``None``: zeros.

    Position ``s m + r`` receives ``w[a] dy[m + (r + low - d a) / s]`` from every tap ``a`` for which that is whole.
    """
    found: list[Phase | None] = []
    for remainder in product(*map(range, config.stride)):
        slices, pads, dilation = [], [], []
        for i, r in enumerate(remainder):
            s, d, low = config.stride[i], config.dilation[i], config.pads[i][0]
            reaching = [a for a in range(kernel[i]) if (r + low - d * a) % s == 0]
            if not reaching:
                break
            common = gcd(s, d)
            # Flipped, the last tap comes first; it sees the earliest position.
            first, last = (r + low - d * reaching[-1]) // s, (r + low - d * reaching[0]) // s
            slices.append(slice(reaching[0], None, s // common))
            dilation.append(d // common)
            pads.append((-first, -(-sizes[i] // s) - 1 + last - (lengths[i] - 1)))
        whole = len(slices) == len(sizes)
        ones = (1,) * len(sizes)
        inner = config._replace(stride=ones, pads=tuple(pads), dilation=tuple(dilation))
        found.append(Phase(tuple(slices), inner) if whole else None)
    return found


def _interleave(parts: Sequence[Array], sizes: Ints, stride: Ints, start: int) -> Array:
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


def by_phases(
    convolve: Callable[[Phase], Array], lengths: Ints, kernel: Ints, sizes: Ints, config: Config, start: int
) -> Array:
    """The gradient by an input of lengths ``sizes``, each phase of it by ``convolve``; its axes begin at ``start``."""
    parts = [None if phase is None else convolve(phase) for phase in _phases(lengths, sizes, kernel, config)]
    blank = jnp.zeros_like(next(part for part in parts if part is not None))
    return _interleave([blank if part is None else part for part in parts], sizes, config.stride, start)

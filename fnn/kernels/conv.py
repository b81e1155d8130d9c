"""Convolution on the CPU: pointwise, depthwise, grouped, strided and transposed forms, and the weight gradient.

A convolution, its gradient by the input and its gradient by the weight are three functions, each linear in two arrays.
A transposed convolution is the second of them, so that the same three serve both.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from fnn.kernels._operation import Operation

__all__ = ["convolve", "convolve_reference", "convolve_transpose", "convolve_transpose_reference"]

_MAX_TAPS = 64  # elements of a kernel up to which a form that is written out tap by tap is compiled
_MAX_PHASES = 16  # products of strides up to which each phase of a transposed convolution is one of its own
_FEW_GROUPS = 16  # numbers of groups up to which the convolutions of the groups are written out, not looped over
_PATCH = 1 << 22  # numbers that the patches of one image may hold
_CACHED = 1 << 20  # numbers that stay in the cache


class Config(NamedTuple):
    """A convolution but for its arrays, each entry by axis; ``pads`` as (before, after)."""

    stride: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int


def _numbers(n: int) -> lax.ConvDimensionNumbers:
    layout = "NC" + "DHW"[3 - n :]
    kernel = "OI" + "DHW"[3 - n :]
    return lax.conv_dimension_numbers((1,) * (n + 2), (1,) * (n + 2), (layout, kernel, layout))


def convolve_reference(x: jax.Array, w: jax.Array, config: Config) -> jax.Array:
    """The convolution of (N, I, *S) by (O, I / groups, *K), by ``lax``."""
    return lax.conv_general_dilated(
        x,
        w,
        window_strides=config.stride,
        padding=config.pads,
        rhs_dilation=config.dilation,
        dimension_numbers=_numbers(x.ndim - 2),
        feature_group_count=config.groups,
    )


def convolve_transpose_reference(x: jax.Array, w: jax.Array, config: Config, size: tuple[int, ...]) -> jax.Array:
    """The transposed convolution of (N, I, *S) by (I, O / groups, *K) to (N, O, *size), by ``lax``.

    It is the convolution of the input, spread out by the stride, with the kernel flipped and its channels exchanged.
    """
    n, groups = x.ndim - 2, config.groups
    inputs, outputs = w.shape[0] // groups, w.shape[1]
    parted = w.reshape((groups, inputs, outputs, *w.shape[2:])).swapaxes(1, 2)
    kernel = lax.rev(parted.reshape((groups * outputs, inputs, *w.shape[2:])), tuple(range(2, n + 2)))
    pads = [
        (d * (k - 1) - low, out + low - (length - 1) * s - 1)
        for d, k, (low, _), out, length, s in zip(
            config.dilation, w.shape[2:], config.pads, size, x.shape[2:], config.stride, strict=True
        )
    ]
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(1,) * n,
        padding=pads,
        lhs_dilation=config.stride,
        rhs_dilation=config.dilation,
        dimension_numbers=_numbers(n),
        feature_group_count=groups,
    )


def convolve(x: jax.Array, w: jax.Array, config: Config) -> jax.Array:
    """``convolve_reference``, chosen by shape.

    Example:
        >>> import jax.numpy as jnp
        >>> config = Config((1,), ((1, 1),), (1,), 2)
        >>> convolve(jnp.ones((1, 2, 4)), jnp.ones((2, 1, 3)), config)[0, 0].tolist()
        [2.0, 3.0, 3.0, 2.0]
    """
    if 0 in x.shape or 0 in w.shape or not _worth(x, w, config):
        return convolve_reference(x, w, config)
    return _forward_operation(config)(x, w)


def convolve_transpose(x: jax.Array, w: jax.Array, config: Config, size: tuple[int, ...]) -> jax.Array:
    """``convolve_transpose_reference``, chosen by shape.

    Example:
        >>> import jax.numpy as jnp
        >>> convolve_transpose(jnp.ones((1, 1, 2)), jnp.ones((1, 1, 2)), Config((2,), ((0, 0),), (1,), 1), (4,)).tolist()
        [[[1.0, 1.0, 1.0, 1.0]]]
    """
    if 0 in x.shape or 0 in w.shape:
        return convolve_transpose_reference(x, w, config, size)
    return _transpose_operation(config, size)(x, w)


def _worth(x: jax.Array, w: jax.Array, config: Config) -> bool:
    """Whether some form other than XLA's serves the convolution or one of its gradients."""
    if config.groups > 1 or any(s > 1 for s in config.stride) or _pointwise(w.shape, config):
        return True
    return _by_patches(w.shape, _out_size(x, w, config))


def _out_size(x: jax.Array, w: jax.Array, config: Config) -> tuple[int, ...]:
    return tuple(
        (length + low + high - d * (k - 1) - 1) // s + 1
        for length, (low, high), d, k, s in zip(
            x.shape[2:], config.pads, config.dilation, w.shape[2:], config.stride, strict=True
        )
    )


@lru_cache(maxsize=512)
def _forward_operation(config: Config) -> Operation:
    def plain(x: jax.Array, w: jax.Array) -> jax.Array:
        return convolve_reference(x, w, config)

    def forward(x: jax.Array, w: jax.Array) -> Any:
        return (_forward(x, w, config),), ()

    def backward(wanted: Any, args: Any, outs: Any, residuals: Any, cotangents: Any) -> Any:
        (x, w), (g,) = args, cotangents
        grads = (lambda: _input_gradient(g, w, config, x.shape[2:]), lambda: _weight_gradient(x, g, config, w.shape))
        return [grads[i]() for i in wanted]

    return Operation(plain, forward, backward)


@lru_cache(maxsize=512)
def _transpose_operation(config: Config, size: tuple[int, ...]) -> Operation:
    def plain(x: jax.Array, w: jax.Array) -> jax.Array:
        return convolve_transpose_reference(x, w, config, size)

    def forward(x: jax.Array, w: jax.Array) -> Any:
        return (_input_gradient(x, w, config, size),), ()

    def backward(wanted: Any, args: Any, outs: Any, residuals: Any, cotangents: Any) -> Any:
        (x, w), (g,) = args, cotangents
        grads = (lambda: _forward(g, w, _fit(config, x, w, size)), lambda: _weight_gradient(g, x, config, w.shape))
        return [grads[i]() for i in wanted]

    return Operation(plain, forward, backward)


def _fit(config: Config, out: jax.Array, w: jax.Array, size: tuple[int, ...]) -> Config:
    """The padding with which a convolution of arrays of ``size`` has just the lengths of ``out``."""
    pads = tuple(
        (low, (n - 1) * s + d * (k - 1) + 1 - length - low)
        for (low, _), n, s, d, k, length in zip(
            config.pads, out.shape[2:], config.stride, config.dilation, w.shape[2:], size, strict=True
        )
    )
    return config._replace(pads=pads)


# The three functions


def _forward(x: jax.Array, w: jax.Array, config: Config) -> jax.Array:
    if config.groups == 1:
        return _pointwise_forward(x, w, config) if _pointwise(w.shape, config) else convolve_reference(x, w, config)
    if _depthwise(x.shape[1], w, config):
        return _depthwise_forward(x, w, config)
    alone = config._replace(groups=1)
    return _by_groups(lambda x, w: _forward(x, w, alone), config.groups, (x, 1), (w, 0), axis=1)


def _input_gradient(g: jax.Array, w: jax.Array, config: Config, size: tuple[int, ...]) -> jax.Array:
    if config.groups > 1:
        if _depthwise(config.groups * w.shape[1], w, config):
            return _depthwise_input_gradient(g, w, config, size)
        alone = config._replace(groups=1)
        return _by_groups(lambda g, w: _input_gradient(g, w, alone, size), config.groups, (g, 1), (w, 0), axis=1)
    if _pointwise(w.shape, config):
        return _pointwise_input_gradient(g, w, config, size)
    if all(s == 1 for s in config.stride) or math.prod(config.stride) > _MAX_PHASES:
        return convolve_transpose_reference(g, w, config, size)
    return _by_phases(g, w, config, size)


def _weight_gradient(x: jax.Array, g: jax.Array, config: Config, shape: tuple[int, ...]) -> jax.Array:
    if config.groups > 1:
        if shape[1] == 1 and math.prod(shape[2:]) <= _MAX_TAPS:
            return _depthwise_weight_gradient(x, g, config, shape)
        alone, part = config._replace(groups=1), (shape[0] // config.groups, *shape[1:])
        return _by_groups(lambda x, g: _weight_gradient(x, g, alone, part), config.groups, (x, 1), (g, 1), axis=0)
    if _pointwise(shape, config):
        return _pointwise_weight_gradient(x, g, config, shape)
    if _by_patches(shape, g.shape[2:]):
        return _patch_weight_gradient(x, g, config, shape)
    blank = jnp.zeros(shape, x.dtype)
    fitted = _fit(config, g, blank, x.shape[2:])
    return jax.linear_transpose(lambda w: convolve_reference(x, w, fitted), blank)(g)[0]


def _by_groups(function: Callable[..., jax.Array], groups: int, *parts: tuple[jax.Array, int], axis: int) -> jax.Array:
    """``function`` of the parts of two arrays along their axes, joined along ``axis``."""
    if groups <= _FEW_GROUPS:
        split = [jnp.split(array, groups, where) for array, where in parts]
        return jnp.concatenate([function(*some) for some in zip(*split, strict=True)], axis)
    split = [
        jnp.moveaxis(a.reshape(*a.shape[:k], groups, a.shape[k] // groups, *a.shape[k + 1 :]), k, 0) for a, k in parts
    ]
    joined = jnp.moveaxis(lax.map(lambda some: function(*some), tuple(split)), 0, axis)
    return joined.reshape(*joined.shape[:axis], -1, *joined.shape[axis + 2 :])


# Depthwise: each output channel sees one input channel


def _depthwise(channels: int, w: jax.Array, config: Config) -> bool:
    return config.groups == channels and math.prod(w.shape[2:]) <= _MAX_TAPS


def _taps(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    return itertools.product(*map(range, shape))


def _window(x: jax.Array, tap: tuple[int, ...], size: tuple[int, ...], config: Config) -> jax.Array:
    """What one element of the kernel sees of a padded array, for each output; the last axes are spatial."""
    n = len(size)
    start = [t * d for t, d in zip(tap, config.dilation, strict=True)]
    stop = [a + (length - 1) * s + 1 for a, length, s in zip(start, size, config.stride, strict=True)]
    lead = x.ndim - n
    return lax.slice(x, [0] * lead + start, [*x.shape[:lead], *stop], [1] * lead + list(config.stride))


def _padded(x: jax.Array, pads: tuple[tuple[int, int], ...], interior: tuple[int, ...] | None = None) -> jax.Array:
    inner = interior or (0,) * len(pads)
    spatial = [(low, high, i) for (low, high), i in zip(pads, inner, strict=True)]
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0)] * (x.ndim - len(pads)) + spatial)


def _wide(dtype: Any) -> Any:
    return jnp.promote_types(dtype, jnp.float32)


def _by_channel(w: jax.Array, channels: int, tap: tuple[int, ...]) -> jax.Array:
    """One element of the kernels as (channels, multiplier, 1, ...)."""
    some = w[(slice(None), 0, *tap)].reshape(channels, -1)
    return some.reshape(*some.shape, *[1] * len(tap)).astype(_wide(w.dtype))


def _depthwise_forward(x: jax.Array, w: jax.Array, config: Config) -> jax.Array:
    size, channels = _out_size(x, w, config), x.shape[1]
    padded = _padded(x, config.pads)
    total: Any = 0
    for tap in _taps(w.shape[2:]):
        seen = _window(padded, tap, size, config).astype(_wide(x.dtype))
        total = total + seen[:, :, None] * _by_channel(w, channels, tap)
    return total.reshape(x.shape[0], w.shape[0], *size).astype(x.dtype)


def _depthwise_input_gradient(g: jax.Array, w: jax.Array, config: Config, size: tuple[int, ...]) -> jax.Array:
    channels = config.groups
    dense = Config((1,) * len(size), config.pads, config.dilation, config.groups)
    pads = tuple(
        (d * (k - 1) - low, length + low - (n - 1) * s - 1)
        for d, k, (low, _), length, n, s in zip(
            config.dilation, w.shape[2:], config.pads, size, g.shape[2:], config.stride, strict=True
        )
    )
    spread = _padded(g, pads, tuple(s - 1 for s in config.stride))
    spread = spread.reshape(g.shape[0], channels, -1, *spread.shape[2:])
    total: Any = 0
    for tap in _taps(w.shape[2:]):
        flipped = tuple(k - 1 - t for k, t in zip(w.shape[2:], tap, strict=True))
        seen = _window(spread, flipped, size, dense).astype(_wide(g.dtype))
        total = total + (seen * _by_channel(w, channels, tap)).sum(2)
    return total.astype(g.dtype)


def _depthwise_weight_gradient(x: jax.Array, g: jax.Array, config: Config, shape: tuple[int, ...]) -> jax.Array:
    channels, size = config.groups, g.shape[2:]
    padded = _padded(x, config.pads)
    wide, taps = _wide(x.dtype), list(_taps(shape[2:]))
    # Sums over the batch that stay arrays of one image are faster than sums over each image, while the cache holds them.
    reduced = len(taps) * math.prod(g.shape[1:]) > _CACHED
    spatial = tuple(range(2, 2 + len(size)))

    def step(totals: list[jax.Array], image: tuple[jax.Array, jax.Array]) -> tuple[list[jax.Array], None]:
        xi, gi = image[0][:, None].astype(wide), image[1].reshape(channels, -1, *size).astype(wide)
        products = [_window(xi, tap, size, config) * gi for tap in taps]
        if reduced:
            products = [p.sum(spatial) for p in products]
        return [t + p for t, p in zip(totals, products, strict=True)], None

    one = (channels, shape[0] // channels, *(() if reduced else size))
    totals = lax.scan(step, [jnp.zeros(one, wide)] * len(taps), (padded, g))[0]
    if not reduced:
        totals = [t.sum(spatial) for t in totals]
    return jnp.stack(totals, -1).reshape(shape).astype(x.dtype)


# Pointwise: a kernel of one element is a matrix


def _pointwise(shape: tuple[int, ...], config: Config) -> bool:
    return config.groups == 1 and math.prod(shape[2:]) == 1 and not any(map(any, config.pads))


def _strided(x: jax.Array, stride: tuple[int, ...]) -> jax.Array:
    return x[(..., *(slice(None, None, s) for s in stride))] if any(s > 1 for s in stride) else x


def _times(matrix: jax.Array, images: jax.Array) -> jax.Array:
    """``matrix @ image`` for each image. A matrix for each keeps the images in their order, which one for all does not."""
    if images.shape[0] * matrix.size > _CACHED:
        return jnp.einsum("oc,ncs->nos", matrix, images)
    return jnp.matmul(jnp.broadcast_to(matrix, (images.shape[0], *matrix.shape)), images)


def _pointwise_forward(x: jax.Array, w: jax.Array, config: Config) -> jax.Array:
    x = _strided(x, config.stride)
    out = _times(w.reshape(w.shape[:2]), x.reshape(*x.shape[:2], -1))
    return out.reshape(x.shape[0], w.shape[0], *x.shape[2:])


def _pointwise_input_gradient(g: jax.Array, w: jax.Array, config: Config, size: tuple[int, ...]) -> jax.Array:
    out = _times(w.reshape(w.shape[:2]).T, g.reshape(*g.shape[:2], -1))
    pads = tuple((0, a - (n - 1) * s - 1) for a, n, s in zip(size, g.shape[2:], config.stride, strict=True))
    return _padded(out.reshape(g.shape[0], w.shape[1], *g.shape[2:]), pads, tuple(s - 1 for s in config.stride))


def _pointwise_weight_gradient(x: jax.Array, g: jax.Array, config: Config, shape: tuple[int, ...]) -> jax.Array:
    wide = _wide(x.dtype)
    g = g.reshape(*g.shape[:2], -1)
    x = _strided(x, config.stride).reshape(*x.shape[:2], -1)[:, :, : g.shape[2]]
    if x.shape[0] * shape[0] * shape[1] <= _CACHED:
        total = jnp.einsum("nos,ncs->noc", g, x, preferred_element_type=wide).sum(0)
    else:

        def step(total: jax.Array, image: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
            return total + jnp.einsum("os,cs->oc", image[1], image[0], preferred_element_type=wide), None

        total = lax.scan(step, jnp.zeros(shape[:2], wide), (x, g))[0]
    return total.reshape(shape).astype(x.dtype)


# Dense


def _by_patches(shape: tuple[int, ...], size: tuple[int, ...]) -> bool:
    """Whether the weight gradient is summed image by image: not for small images, nor for patches beyond the cache."""
    taps, places = math.prod(shape[2:]), math.prod(size)
    return 1 < taps <= _MAX_TAPS and places >= 128 and shape[1] * taps * places <= _PATCH


def _patch_weight_gradient(x: jax.Array, g: jax.Array, config: Config, shape: tuple[int, ...]) -> jax.Array:
    size = g.shape[2:]
    padded = _padded(x, config.pads)
    wide = _wide(x.dtype)

    def step(total: jax.Array, image: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        xi, gi = image
        seen = jnp.stack([_window(xi, tap, size, config) for tap in _taps(shape[2:])])
        seen = seen.reshape(seen.shape[0] * shape[1], -1)
        product = jnp.einsum("os,ks->ok", gi.reshape(shape[0], -1), seen, preferred_element_type=wide)
        return total + product, None

    total = lax.scan(step, jnp.zeros((shape[0], math.prod(shape[1:])), wide), (padded, g))[0]
    return jnp.moveaxis(total.reshape(shape[0], -1, shape[1]), 1, 2).reshape(shape).astype(x.dtype)


class _Phase(NamedTuple):
    """Of the places that are ``r`` modulo the stride on one axis: the kernel's elements that reach them, and how.

    Element ``first + j * step`` reaches place ``q * stride + r`` from the source place ``q - offset - j * dilation``.
    """

    first: int
    step: int
    number: int
    offset: int
    dilation: int

    @staticmethod
    def of(r: int, stride: int, dilation: int, kernel: int) -> _Phase:
        step = stride // math.gcd(stride, dilation)
        first = next((t for t in range(min(step, kernel)) if t * dilation % stride == r), kernel)
        number = len(range(first, kernel, step))
        return _Phase(first, step, number, (first * dilation - r) // stride, step * dilation // stride)

    def pads(self, source: int, target: int) -> tuple[int, int]:
        """The padding of ``source`` places with which the flipped elements give ``target`` places."""
        return self.offset + (self.number - 1) * self.dilation, target - source - self.offset


def _by_phases(g: jax.Array, w: jax.Array, config: Config, size: tuple[int, ...]) -> jax.Array:
    """The gradient by the input of a strided convolution: one dense convolution for each phase, interleaved."""
    n = len(size)
    low = [before for before, _ in config.pads]
    lengths = [-(-(length + a) // s) for length, a, s in zip(size, low, config.stride, strict=True)]
    outs = []
    for remainders in itertools.product(*map(range, config.stride)):
        phases = [
            _Phase.of(*args) for args in zip(remainders, config.stride, config.dilation, w.shape[2:], strict=True)
        ]
        if any(phase.number == 0 for phase in phases):
            outs.append(jnp.zeros((g.shape[0], w.shape[1], *lengths), g.dtype))
            continue
        part = w[(slice(None), slice(None), *(slice(phase.first, None, phase.step) for phase in phases))]
        kernel = lax.rev(part.swapaxes(0, 1), tuple(range(2, n + 2)))
        pads = tuple(phase.pads(a, b) for phase, a, b in zip(phases, g.shape[2:], lengths, strict=True))
        dense = Config((1,) * n, pads, tuple(phase.dilation for phase in phases), 1)
        outs.append(convolve_reference(g, kernel, dense))
    stacked = jnp.stack(outs, -1).reshape(*outs[0].shape, *config.stride)
    order = [0, 1, *(axis for i in range(n) for axis in (2 + i, 2 + n + i))]
    whole = stacked.transpose(order).reshape(
        *stacked.shape[:2], *(a * b for a, b in zip(lengths, config.stride, strict=True))
    )
    return lax.slice(whole, [0, 0, *low], [*whole.shape[:2], *(a + b for a, b in zip(low, size, strict=True))])

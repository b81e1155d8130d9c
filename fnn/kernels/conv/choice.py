"""Forms of a convolution and of its two gradients that run well on the CPU, and the choice among them.

Half precision is computed in float32 by the callers.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import jax
import jax.numpy as jnp
from jax import lax, linear_transpose

from fnn.kernels.conv import images as _conv_images
from fnn.kernels.conv import narrow as _conv_narrow
from fnn.kernels.conv.taps import (
    Array,
    Config,
    Ints,
    Phase,
    add_placed,
    by_phases,
    cut_last,
    each_tap,
    exchange,
    fit,
    matmul_images,
    matmul_images_gradient,
    pad_last,
    plain_forward,
    plain_transposed,
    seen_by,
    seen_by_taps,
)

__all__ = ["Config", "fit", "forward", "input_gradient", "plain_forward", "plain_transposed", "weight_gradient"]

# Bounds on what is unrolled into one program; beyond them the plain form is taken.
MANY_TAPS = 64
MANY_PHASES = 8
# Elements of the copies that one step over the batch may make: they should stay in the cache.
STEP_ELEMENTS = 1 << 19
# Sums that the gradient of a kernel may hold at once.
MANY_SUMS = 1 << 24
# Of how many taps the sums may be where products are fast too.
FEW_SUMS = 32
# Products of many small matrices, as depthwise convolutions have, take half the time from JAX 0.12 on.
FAST_SMALL_PRODUCTS = jax.__version_info__ >= (0, 12)
# Places of an output below which XLA's own weight gradient of a dense convolution is as fast.
FEW_PLACES = 128
# Images in a batch up to which the library's one is slower.
FEW_IMAGES = 4
# Elements of a dense kernel of few inputs up to which a sum of shifted products is faster than matrix products.
FEW_WEIGHTS = 2048
# Products in a convolution below which the option costs as much as it gains.
WORTHWHILE = 24_000_000


# Kernels of one element, and those that step by their own length: a matrix product.


def _is_patches(kernel: Ints, config: Config) -> bool:
    each = zip(kernel, config.stride, config.dilation, strict=True)
    return all(k == 1 or (k == s and d == 1) for k, s, d in each)


def _patches(x: Array, kernel: Ints, outputs: Ints, config: Config) -> Array:
    """(N, groups, c prod(kernel), prod(outputs)): the blocks that do not overlap."""
    n, groups = len(kernel), config.groups
    # A kernel of one element sees every stride-th element; any other sees all of them.
    steps = [s if k == 1 else 1 for k, s in zip(kernel, config.stride, strict=True)]
    seen = [q * k for q, k in zip(outputs, kernel, strict=True)]
    ends = [
        max((q - 1) * t + 1 - size - low, 0)
        for q, t, size, (low, _) in zip(seen, steps, x.shape[2:], config.pads, strict=True)
    ]
    x = pad_last(x, [(low, end) for (low, _), end in zip(config.pads, ends, strict=True)])
    x = cut_last(x, [0] * n, seen, steps)
    x = x.reshape((*x.shape[:2], *(v for q, k in zip(outputs, kernel, strict=True) for v in (q, k))))
    x = x.transpose((0, 1, *range(3, 2 * n + 2, 2), *range(2, 2 * n + 2, 2)))
    return x.reshape((x.shape[0], groups, -1, prod(outputs)))


def _scatter_patches(z: Array, kernel: Ints, outputs: Ints, sizes: Ints, config: Config) -> Array:
    """The transpose of ``_patches``; z is (N, C, prod(kernel), prod(outputs))."""
    n = len(kernel)
    z = z.reshape((*z.shape[:2], *kernel, *outputs))
    z = z.transpose((0, 1, *(v for i in range(n) for v in (2 + n + i, 2 + i))))
    z = z.reshape((*z.shape[:2], *(q * k for q, k in zip(outputs, kernel, strict=True))))
    steps = [s if k == 1 else 1 for k, s in zip(kernel, config.stride, strict=True)]
    spread = [(q - 1) * t + 1 for q, t in zip(z.shape[2:], steps, strict=True)]
    each = zip(sizes, spread, config.pads, strict=True)
    return pad_last(z, [(-low, size + low - q) for size, q, (low, _) in each], steps)


# Dense in three dimensions: the taps of the first axis side by side as channels, and a convolution of images in two.


def _is_dense_volume(kernel: Ints, config: Config) -> bool:
    return len(kernel) == 3 and config.groups == 1


def _slices(x: Array, taps: int, length: int, config: Config) -> Array:
    """x (N, C, D, ...) to (N length, taps C, ...): for each place on the first axis what the kernel sees there."""
    x = pad_last(x, [config.pads[0], *[(0, 0)] * (x.ndim - 3)]).swapaxes(1, 2)
    step, apart = config.stride[0], config.dilation[0]
    seen = [lax.slice_in_dim(x, a * apart, a * apart + (length - 1) * step + 1, step, 1) for a in range(taps)]
    whole = jnp.concatenate(seen, 2)
    return whole.reshape((-1, *whole.shape[2:]))


def _volume_forward(x: Array, w: Array, outputs: Ints, config: Config) -> Array:
    o, c, taps, *kernel = w.shape
    if config.stride[0] == 1 and o <= 2 * c:
        # Beside the outputs the taps make larger products, but also larger arrays where there are more outputs than inputs.
        return _conv_images.volume(x, w, outputs, config)
    images = _slices(x, taps, outputs[0], config)
    out = forward(images, w.swapaxes(1, 2).reshape((o, -1, *kernel)), config.inner())
    return out.reshape((x.shape[0], outputs[0], o, *outputs[1:])).swapaxes(1, 2)


def _volume_weight(x: Array, dy: Array, kernel: Ints, config: Config) -> Array:
    o, length = dy.shape[1:3]
    images = _slices(x, kernel[0], length, config)
    cotangents = dy.swapaxes(1, 2).reshape((-1, o, *dy.shape[3:]))
    grad = weight_gradient(images, cotangents, kernel[1:], config.inner())
    return grad.reshape((o, kernel[0], x.shape[1], *kernel[1:])).swapaxes(1, 2)


# Few inputs to an output: a sum of shifted products.


def _shifted(x: Array, w: Array, outputs: Ints, config: Config) -> Array:
    o, c, *kernel = w.shape
    groups, n = config.groups, len(kernel)
    x = lax.optimization_barrier(pad_last(x, config.pads))
    x = x.reshape((x.shape[0], groups, c, 1, *x.shape[2:]))
    w = w.reshape((groups, o // groups, c, *kernel))
    total = None
    for tap in each_tap(kernel):
        seen = seen_by(tap, x, outputs, config)
        for i in range(c):
            term = seen[:, :, i] * w[(slice(None), slice(None), i, *tap)].reshape((groups, o // groups) + (1,) * n)
            total = term if total is None else total + term
    assert total is not None
    return total.reshape((x.shape[0], o, *outputs))


def _divisor(n: int, least: int, most: int) -> int:
    """The largest divisor within bounds; 1 if there is none."""
    return next((k for k in range(min(n, most), least - 1, -1) if n % k == 0), 1)


def _row_blocks(x: Array, dy: Array, kernel: Ints, config: Config) -> tuple[int, int] | None:
    """How many rows of a cotangent ``_shifted_weight`` takes in a step, and how many of them it adds up at once.

    ``None`` where products are faster. As measured: from some number on, adding up rows saves more memory traffic than the
    longer sums cost.
    """
    images, length, stride = x.shape[0], dy.shape[2], config.stride[0]
    if not FAST_SMALL_PRODUCTS:
        if prod(kernel) * prod(dy.shape[1:]) > MANY_SUMS:
            return None
        # Padding that no loop separates from its use is computed anew for each.
        least, most = (16, 32) if stride == 1 else (8, 16)
        return length, 1 if images == 1 else _divisor(length, min(length, least), most)
    row = prod(dy.shape[1:]) // length + x.shape[1] * stride * prod(x.shape[3:])
    rows = length if length * row <= STEP_ELEMENTS // 2 else _divisor(length, 4, STEP_ELEMENTS // 2 // row)
    fold = _divisor(rows, 1, 14)
    suits = images > 1 and fold >= min(rows, 4) and (len(kernel) == 1 or prod(kernel) <= FEW_SUMS)
    return (rows, fold) if suits else None


def _shifted_weight(x: Array, dy: Array, kernel: Ints, config: Config, rows: int, fold: int) -> Array:
    """The gradient of the kernel where each output sees one input.

    Products are summed over the batch and over rows (see ``_row_blocks``) so far apart that the sums stay in the cache, and at
    last over the rest.
    """
    groups, (length, *rest) = config.groups, dy.shape[2:]
    taps, beside = list(each_tap(kernel)), dy.shape[1] // groups
    each, reach = rows // fold, config.reach(0, rows, kernel[0])

    def sums(totals: list[Array], one: Array, cotangent: Array) -> list[Array]:
        new = []
        for total, tap in zip(totals, taps, strict=True):
            seen = seen_by(tap, one, (rows, *rest), config)
            for i in range(0, rows, each):
                total = total + seen[:, :, i : i + each] * cotangent[:, :, i : i + each]
            new.append(total)
        return new

    def step(totals: list[Array], image: tuple[Array, Array]) -> tuple[list[Array], None]:
        one, cotangent = image[0][:, None], image[1].reshape((groups, beside, length, *rest))
        if rows == length:
            return sums(totals, one, cotangent), None

        def block(i: Array, totals: list[Array]) -> list[Array]:
            seen = lax.dynamic_slice_in_dim(one, i * rows * config.stride[0], reach, 2)
            return sums(totals, seen, lax.dynamic_slice_in_dim(cotangent, i * rows, rows, 2))

        return lax.fori_loop(0, length // rows, block, totals), None

    zeros = jnp.zeros((groups, beside, each, *rest), x.dtype)
    totals = lax.scan(step, [zeros] * len(taps), (pad_last(x, config.pads), dy))[0]
    space = tuple(range(2, 2 + len(kernel)))
    return jnp.stack([t.sum(space) for t in totals], -1).reshape((dy.shape[1], 1, *kernel))


def _plain_weight(x: Array, dy: Array, kernel: Ints, config: Config) -> Array:
    """The gradient of the kernel as ``lax`` has it."""
    blank = jnp.zeros((dy.shape[1], x.shape[1] // config.groups, *kernel), x.dtype)
    fitted = fit(config, x.shape[2:], dy.shape[2:], kernel)
    return linear_transpose(lambda w: plain_forward(x, w, fitted), blank)(dy)[0]


# The general form. The taps of the last axes are laid side by side (``_spread``), those of the first ``m`` axes belong to the
# other factor: in the forward pass their products are added with shifts, in the gradient of the kernel the shifted cotangents
# are laid side by side. Copies are thus k times the data on either side where one side alone would need k * k.
# With a stride, the first m axes split into classes: the positions that a tap sees all leave one remainder.


@dataclass(frozen=True)
class _Class:
    """The taps of the first ``m`` axes that see positions of one remainder: where they start, and their shifts."""

    starts: Ints
    lengths: Ints
    taps: tuple[Ints, ...]
    shifts: tuple[Ints, ...]


def _classes(kernel: Ints, outputs: Ints, config: Config) -> list[_Class]:
    """The classes of taps of the axes of ``kernel``, the first of the convolution."""
    found: dict[Ints, list[tuple[Ints, Ints]]] = {}
    for tap in each_tap(kernel):
        reach = [a * d for a, d in zip(tap, config.dilation, strict=False)]
        rest = tuple(r % s for r, s in zip(reach, config.stride, strict=False))
        found.setdefault(rest, []).append((tap, tuple(r // s for r, s in zip(reach, config.stride, strict=False))))
    classes = []
    for rest, members in found.items():
        most = [max(shift[i] for _, shift in members) for i in range(len(kernel))]
        lengths = tuple(q + e for q, e in zip(outputs, most, strict=False))
        classes.append(_Class(rest, lengths, tuple(t for t, _ in members), tuple(s for _, s in members)))
    return classes


def _best_axes(c: int, o: int, kernel: Ints, outputs: Ints, config: Config) -> tuple[int, float]:
    """How many first axes belong to the other factor, and the elements copied for one image and group."""

    def cost(m: int) -> tuple[float, float]:
        copied = work = 0.0
        for each in _classes(kernel[:m], outputs, config):
            length = prod(each.lengths) * prod(outputs[m:])
            copied += length * (c * prod(kernel[m:]) + o * len(each.taps))
            work += length * c * o * prod(kernel[m:]) * len(each.taps)
        return copied + work / 64, copied

    costs = [cost(m) for m in range(len(kernel) + 1)]
    best = min(range(len(costs)), key=lambda m: costs[m][0])
    return best, costs[best][1]


def _spread(x: Array, each: _Class, m: int, kernel: Ints, outputs: Ints, config: Config) -> Array:
    """Padded x (groups, c, B, ...) to (groups, taps c, length): the taps of the last axes side by side."""
    inner = config.dilation[m:]
    lengths = (*each.lengths, *outputs[m:])
    # The padding may end before the last position that a class could see.
    missing = [
        max(a + (q - 1) * s + 1 - size, 0)
        for a, q, s, size in zip(each.starts, each.lengths, config.stride, x.shape[3:], strict=False)
    ]
    x = pad_last(x, [(0, e) for e in missing] + [(0, 0)] * (len(kernel) - m))
    pieces = []
    for tap in each_tap(kernel[m:]):
        starts = (*each.starts, *(a * d for a, d in zip(tap, inner, strict=True)))
        pieces.append(cut_last(x, starts, lengths, config.stride))
    laid = lax.optimization_barrier(jnp.concatenate(pieces, 1))
    return laid.reshape((*laid.shape[:2], -1))


def _to_groups(x: Array, groups: int) -> Array:
    """(B, C, ...) to (groups, C / groups, B, ...)."""
    x = x.reshape((x.shape[0], groups, -1, *x.shape[2:]))
    return x.transpose((1, 2, 0, *range(3, x.ndim)))


def _in_steps(images: int, elements: float) -> tuple[int, int]:
    """Steps over the batch, and images in a step."""
    most = max(1, int(STEP_ELEMENTS / max(elements, 1)))
    steps = -(-images // most)
    return steps, -(-images // steps)


def _steps(x: Array, steps: int, each: int) -> Array:
    """(N, ...) to (steps, each, ...), with zeros at the end where the batch does not divide."""
    short = steps * each - x.shape[0]
    if short:
        x = jnp.concatenate([x, jnp.zeros((short, *x.shape[1:]), x.dtype)])
    return x.reshape((steps, each, *x.shape[1:]))


def _by_products(x: Array, w: Array, outputs: Ints, config: Config) -> Array:
    """The forward pass: a product for every class and group, its results added with shifts."""
    o, c, *rest = w.shape
    groups, kernel, n = config.groups, tuple(rest), len(rest)
    m, copied = _best_axes(c, o // groups, kernel, outputs, config)
    parts = w.reshape((groups, o // groups, c, *kernel))
    # (groups, taps of the first axes, o, taps of the last axes and c)
    parts = parts.transpose((0, *range(3, 3 + m), 1, *range(3 + m, 3 + n), 2))
    parts = parts.reshape((groups, *kernel[:m], o // groups, -1))
    classes = _classes(kernel[:m], outputs, config)
    matrices = [
        jnp.stack([parts[(slice(None), *tap)] for tap in each.taps], 1).reshape((groups, -1, parts.shape[-1]))
        for each in classes
    ]

    def some(images: Array) -> Array:
        laid = lax.optimization_barrier(_to_groups(pad_last(images, config.pads), groups))
        total = None
        for each, matrix in zip(classes, matrices, strict=True):
            z = jnp.matmul(matrix, _spread(laid, each, m, kernel, outputs, config))
            z = lax.optimization_barrier(z)
            z = z.reshape((groups, len(each.taps), o // groups, images.shape[0], *each.lengths, *outputs[m:]))
            for i, shift in enumerate(each.shifts):
                term = cut_last(z[:, i], (*shift, *(0,) * (n - m)), outputs, (1,) * n)
                total = term if total is None else total + term
        assert total is not None
        total = total.transpose((2, 0, 1, *range(3, 3 + n)))
        return total.reshape((images.shape[0], o, *outputs))

    steps, each_step = _in_steps(x.shape[0], groups * copied)
    if steps == 1:
        return some(x)
    out = lax.map(some, _steps(x, steps, each_step))
    return out.reshape((-1, *out.shape[2:]))[: x.shape[0]]


def _weight_by_products(x: Array, dy: Array, kernel: Ints, config: Config) -> Array:
    """The gradient of the kernel: for some images at a time a product for every class and group, accumulated."""
    groups, n, outputs = config.groups, len(kernel), dy.shape[2:]
    c, o = x.shape[1] // groups, dy.shape[1] // groups
    m, copied = _best_axes(c, o, kernel, outputs, config)
    classes = _classes(kernel[:m], outputs, config)

    def some(images: Array, cotangents: Array) -> list[Array]:
        laid = lax.optimization_barrier(_to_groups(pad_last(images, config.pads), groups))
        cotangents = _to_groups(cotangents, groups)
        grads = []
        for each in classes:
            shifted = [
                pad_last(
                    cotangents,
                    [(s, q - s - k) for s, q, k in zip(shift, each.lengths, outputs, strict=False)]
                    + [(0, 0)] * (n - m),
                )
                for shift in each.shifts
            ]
            beside = lax.optimization_barrier(jnp.concatenate(shifted, 1))
            beside = beside.reshape((*beside.shape[:2], -1))
            seen = _spread(laid, each, m, kernel, outputs, config)
            grads.append(lax.dot_general(beside, seen, (((2,), (2,)), ((0,), (0,)))))
        return grads

    steps, each_step = _in_steps(x.shape[0], groups * copied)
    if steps == 1:
        grads = some(x, dy)
    else:

        def step(total: list[Array], one: tuple[Array, Array]) -> tuple[list[Array], None]:
            return [t + g for t, g in zip(total, some(*one), strict=True)], None

        inner = prod(kernel[m:]) * c
        zeros = [jnp.zeros((groups, len(each.taps) * o, inner), x.dtype) for each in classes]
        grads = lax.scan(step, zeros, (_steps(x, steps, each_step), _steps(dy, steps, each_step)))[0]
    of_tap = {}
    for each, grad in zip(classes, grads, strict=True):
        grad = grad.reshape((groups, len(each.taps), o, *kernel[m:], c))
        of_tap.update({tap: grad[:, i] for i, tap in enumerate(each.taps)})
    whole = jnp.stack([of_tap[tap] for tap in each_tap(kernel[:m])], 1)
    whole = whole.reshape((groups, *kernel[:m], o, *kernel[m:], c))
    whole = whole.transpose((0, 1 + m, 2 + n, *range(1, 1 + m), *range(2 + m, 2 + n)))
    return whole.reshape((groups * o, c, *kernel))


# Few places for many channels: products with the kernel as it lies in memory, since moving it would cost as much.


def _are_few_places(places: int, o: int, config: Config) -> bool:
    return config.groups == 1 and places <= o


def _beside(x: Array, kernel: Ints, outputs: Ints, config: Config) -> Array:
    """x (N, c, ...) to (c taps, N places): what each tap sees."""
    seen = seen_by_taps(x.swapaxes(0, 1), kernel, outputs, config)
    return jnp.stack(seen, 1).reshape((x.shape[1] * prod(kernel), -1))


def _few_forward(x: Array, w: Array, outputs: Ints, config: Config) -> Array:
    o, _, *kernel = w.shape
    out = w.reshape((o, -1)) @ _beside(x, tuple(kernel), outputs, config)
    return out.reshape((o, x.shape[0], *outputs)).swapaxes(0, 1)


def _few_weight(x: Array, dy: Array, kernel: Ints, config: Config) -> Array:
    o = dy.shape[1]
    seen = _beside(x, kernel, dy.shape[2:], config)
    grad = lax.dot_general(dy.swapaxes(0, 1).reshape((o, -1)), seen, (((1,), (1,)), ((), ())))
    return grad.reshape((o, x.shape[1], *kernel))


def _few_input(dy: Array, w: Array, sizes: Ints, config: Config) -> Array:
    o, c, *kernel = w.shape
    n, outputs = dy.shape[0], dy.shape[2:]
    each = lax.dot_general(w.reshape((o, -1)), dy.swapaxes(0, 1).reshape((o, -1)), (((0,), (0,)), ((), ())))
    each = each.reshape((c, -1, n, *outputs))
    parts = (each[:, i] for i in range(prod(kernel)))
    return add_placed(parts, tuple(kernel), sizes, config).swapaxes(0, 1)


# The three entries.


def suits_library(weight: Ints, groups: int, places: int) -> bool:
    """Whether the forms for a kernel of shape ``weight``, used ``places`` times, differ with ``Config.library``."""
    return (
        len(weight) > 3
        and prod(weight[2:]) > 1
        and prod(weight) * places >= WORTHWHILE
        and _is_dense(groups, weight[1])
        and not _conv_narrow.few_inputs(weight, groups)
    )


def _is_dense(groups: int, inputs: int) -> bool:
    """Whether dense convolutions, one for each of a few groups, are faster than products for all groups."""
    return groups == 1 or (groups <= 8 and inputs >= 16)


def forward(x: Array, w: Array, config: Config) -> Array:
    """The convolution."""
    o, c, *rest = w.shape
    kernel, groups = tuple(rest), config.groups
    outputs = config.outputs(x.shape[2:], kernel)
    if _is_patches(kernel, config):
        seen = _patches(x, kernel, outputs, config)
        out = matmul_images(w.reshape((groups, o // groups, -1)), seen)
        return out.reshape((x.shape[0], o, *outputs))
    few_taps = prod(kernel) <= MANY_TAPS
    few_products = c <= 4 and c * prod(kernel) <= MANY_TAPS
    if few_products and groups == 1 and max(config.stride) == 1 and w.size <= FEW_WEIGHTS:
        return _shifted(x, w, outputs, config)
    if few_taps and _conv_narrow.is_narrow(w.shape, config):
        return _conv_narrow.forward(x, w, outputs, config)
    if _is_dense_volume(kernel, config):
        return _volume_forward(x, w, outputs, config)
    if few_taps and _are_few_places(x.shape[0] * prod(outputs), o, config):
        return _few_forward(x, w, outputs, config)
    if _is_dense(groups, c):
        return _conv_images.forward(x, w, config)
    if not few_taps:
        return plain_forward(x, w, config)
    if few_products:
        return _shifted(x, w, outputs, config)
    return _by_products(x, w, outputs, config)


def weight_gradient(x: Array, dy: Array, kernel: Ints, config: Config) -> Array:
    """The gradient of the convolution with respect to its kernel, of lengths ``kernel``."""
    groups = config.groups
    c, o = x.shape[1] // groups, dy.shape[1] // groups
    if _is_patches(kernel, config):
        seen = _patches(x, kernel, dy.shape[2:], config)
        grad = matmul_images_gradient(dy.reshape((dy.shape[0], groups, o, -1)), seen)
        return grad.reshape((groups * o, c, *kernel))
    few_taps = prod(kernel) <= MANY_TAPS
    if few_taps and _conv_narrow.is_narrow((groups * o, c, *kernel), config):
        return _conv_narrow.weight_gradient(x, dy, kernel, config)
    if _is_dense_volume(kernel, config):
        return _volume_weight(x, dy, kernel, config)
    blocks = _row_blocks(x, dy, kernel, config) if few_taps and groups > 1 and c == 1 else None
    if blocks is not None:
        return _shifted_weight(x, dy, kernel, config, *blocks)
    if few_taps and _are_few_places(x.shape[0] * prod(dy.shape[2:]), o, config):
        return _few_weight(x, dy, kernel, config)
    if (not few_taps or _suits_images(x, dy, kernel, config)) and _is_dense(groups, c):
        return _conv_images.weight_gradient(x, dy, kernel, config)
    if not few_taps:
        return _plain_weight(x, dy, kernel, config)
    return _weight_by_products(x, dy, kernel, config)


def _suits_images(x: Array, dy: Array, kernel: Ints, config: Config) -> bool:
    """Whether XLA's own gradient of a dense kernel is faster than products."""
    places, dense = prod(dy.shape[2:]), config.groups == 1
    small = dense and dy.size * x.shape[1] * prod(kernel) < WORTHWHILE
    # The batch takes the part of the channels, so that a few large images leave little to compute at a time.
    few_large = x.shape[0] <= FEW_IMAGES and places >= 2 * FEW_PLACES
    if (config.library or small) and not few_large:
        return True
    return dense and (len(kernel) == 1 or places < FEW_PLACES)


def input_gradient(dy: Array, w: Array, sizes: Ints, config: Config) -> Array:
    """The gradient of the convolution with respect to an input of lengths ``sizes``; the transposed convolution."""
    o, c, *rest = w.shape
    kernel, groups = tuple(rest), config.groups
    if _is_patches(kernel, config):
        matrix = w.reshape((groups, o // groups, -1)).swapaxes(1, 2)
        z = matmul_images(matrix, dy.reshape((dy.shape[0], groups, o // groups, -1)))
        z = z.reshape((dy.shape[0], groups * c, prod(kernel), -1))
        return _scatter_patches(z, kernel, dy.shape[2:], sizes, config)
    few_taps = prod(kernel) <= MANY_TAPS
    # Without strides what the taps give lies as the input does, so that more of them may be placed.
    most, times = (2 * MANY_TAPS, 16) if max(config.stride) == 1 else (MANY_TAPS, 4)
    if prod(kernel) <= most and _conv_narrow.few_inputs(w.shape, groups, times):
        return _conv_narrow.input_gradient(dy, w, sizes, config)
    if few_taps and _are_few_places(dy.shape[0] * prod(dy.shape[2:]), c, config):
        return _few_input(dy, w, sizes, config)
    volume = _is_dense_volume(kernel, config)
    if prod(config.stride) > MANY_PHASES or not (few_taps or volume):
        return plain_transposed(dy, w, sizes, config)
    if _is_dense(groups, o // groups) and not volume:
        return _conv_images.input_gradient(dy, w, sizes, config)
    return _sub_pixel(dy, exchange(w, groups), sizes, config)


def _sub_pixel(dy: Array, w: Array, sizes: Ints, config: Config) -> Array:
    """Each phase an ordinary convolution; interleaved. The kernel has its channels exchanged already."""

    def convolve(phase: Phase) -> Array:
        kernel = lax.rev(w[(slice(None), slice(None), *phase.slices)], tuple(range(2, w.ndim)))
        return forward(dy, kernel, phase.config)

    return by_phases(convolve, dy.shape[2:], w.shape[2:], sizes, config, 2)

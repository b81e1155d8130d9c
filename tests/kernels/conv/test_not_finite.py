"""Infinities and NaN in each array of a convolution reach what the formula says, in every form, and nothing else.

torch's own forms disagree on the zeros of the padding of an input: oneDNN's (float32) leaves them out, the native one (float64,
and any on CUDA) multiplies them, so that an infinite kernel makes NaN at the border. Here either is right, as by ``lax``. Zeros
that are no padding of the input, around or between the elements of a cotangent, no form of torch's multiplies; nor do ours,
save those of stride 1 and of depthwise kernels, whose gradient by the input may be NaN at the border of a channel with an
infinite tap.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn.kernels.choice import choose
from fnn.kernels.conv import Bounds, convolve, convolve_transpose
from fnn.kernels.conv.choice import INPUT
from fnn.kernels.conv.config import Case
from fnn.kernels.conv.plain import exchange
from tests.kernels.conv.cases import FORWARD, SMALL, TRANSPOSED, transposed_sizes
from tests.oracle import rand

INF, NAN = np.inf, np.nan


def terms(x, w, dy, config):
    """Of each tap: its place, what it sees of the padded x, its kernel, dy; as (N, groups, c, places) and so on."""
    groups, places = config.groups, dy.shape[2:]
    length = [config.reach(i, q, k) for i, (q, k) in enumerate(zip(places, w.shape[2:], strict=True))]
    room = [max(0, size - v) for size, v in zip(x.shape[2:], length, strict=True)]
    padded = np.pad(
        x, [(0, 0), (0, 0), *((low, v + r) for (low, _), v, r in zip(config.pads, length, room, strict=True))]
    )
    inside = np.pad(
        np.ones(x.shape[2:], bool), [(low, v + r) for (low, _), v, r in zip(config.pads, length, room, strict=True)]
    )
    for tap in np.ndindex(w.shape[2:]):
        at = [a * d for a, d in zip(tap, config.dilation, strict=True)]
        index = tuple(slice(b, b + (q - 1) * s + 1, s) for b, q, s in zip(at, places, config.stride, strict=True))
        seen = padded[(slice(None), slice(None), *index)].reshape((x.shape[0], groups, -1, int(np.prod(places))))
        matrix = w[(slice(None), slice(None), *tap)].reshape((groups, -1, w.shape[1]))
        yield tap, index, seen, inside[index].reshape(-1), matrix


def by_formula(x, w, dy, config, padding):
    """The output and both gradients; ``padding``: whether zeros around x are multiplied in the first and the last."""
    n, groups = x.shape[0], config.groups
    cotangent = dy.reshape((n, groups, -1, int(np.prod(dy.shape[2:]))))
    out, of_w = np.zeros(cotangent.shape), np.zeros(w.shape)
    length = [
        low + size + config.reach(i, dy.shape[2 + i], w.shape[2 + i])
        for i, ((low, _), size) in enumerate(zip(config.pads, x.shape[2:], strict=True))
    ]
    of_x = np.zeros((*x.shape[:2], *length))
    with np.errstate(invalid="ignore"):
        for tap, index, seen, inside, matrix in terms(x, w, dy, config):
            product = matrix[None, :, :, :, None] * seen[:, :, None]
            out += (product if padding else np.where(inside, product, 0)).sum(3)
            product = cotangent[:, :, :, None] * seen[:, :, None]
            product = product if padding else np.where(inside, product, 0)
            of_w[(slice(None), slice(None), *tap)] = product.sum((0, 4)).reshape(w.shape[:2])
            back = (matrix[None, :, :, :, None] * cotangent[:, :, :, None]).sum(2)
            of_x[(slice(None), slice(None), *index)] += back.reshape((*x.shape[:2], *dy.shape[2:]))
    crop = tuple(slice(low, low + size) for (low, _), size in zip(config.pads, x.shape[2:], strict=True))
    return out.reshape(dy.shape), of_x[(slice(None), slice(None), *crop)], of_w


def kinds(x):
    x = np.asarray(x)
    return np.select([np.isnan(x), x == INF, x == -INF], [3, 1, 2], 0)


def check(names, actual, exact, padded):
    for name, a, e, p in zip(names, actual, exact, padded, strict=True):
        a, e = kinds(a), kinds(e)
        wrong = (a != e) & ~((a == 3) & np.isnan(p))
        assert not wrong.any(), f"{name}: {a[wrong]} where the formula gives {e[wrong]}, at {np.argwhere(wrong)[:3]}"


def poisoned(arrays):
    """The arrays with a value in one of them that is not finite, at its ends and in its middle."""
    for which, array in enumerate(arrays):
        for value, at in ((INF, 0), (INF, array.size // 2), (NAN, 0), (-INF, array.size - 1)):
            changed = array.copy()
            changed.reshape(-1)[at] = value
            yield [changed if i == which else a for i, a in enumerate(arrays)]


def sweep(function, x, w, dy, config, order, dtype, bounds):
    """``order``: the places of (x, w, dy) of the convolution among the two arguments of ``function`` and the cotangent."""

    @jax.jit
    def run(a, b, cotangent):
        out, pull = jax.vjp(function, a, b)
        return (out, *pull(cotangent))

    for arrays in poisoned([x, w, dy]):
        given = [jnp.asarray(arrays[i], dtype) for i in order]
        a, b, cotangent = order
        results = run(*given)
        # The result of the call is linear in its two arguments: in the place of the third array.
        place = {cotangent: results[0], a: results[1], b: results[2]}
        by_array = [place[2], place[0], place[1]]
        both = [by_formula(*(np.asarray(v, np.float64) for v in arrays), config, padding) for padding in (False, True)]
        form = choose(INPUT, Case.of_input_gradient(dy, w, x.shape[2:], config), bounds).name
        if form == "shifted phases" or max(config.stride) == 1:
            broken = ~np.isfinite(exchange(jnp.asarray(arrays[1]), config.groups)).all(tuple(range(1, w.ndim)))
            both[1][1][:, broken] = NAN
        check(("output", "gradient by x", "gradient by w"), by_array, *both)


CHOSEN = {"small": SMALL, "default": Bounds()}
CASES = [(name, bounds, dtype) for name in FORWARD for bounds in CHOSEN for dtype in ("float32", "float64")]


@pytest.mark.one_in(20)
@pytest.mark.parametrize(("name", "bounds", "dtype"), CASES)
def test_convolution(name, bounds, dtype):
    shape, kernel, config = FORWARD[name]
    x, w = rand(0, *shape), rand(1, *kernel)
    dy = rand(2, x.shape[0], w.shape[0], *config.outputs(shape[2:], kernel[2:]))
    sweep(
        lambda x, w: convolve(x, w, config, bounds=CHOSEN[bounds]), x, w, dy, config, (0, 1, 2), dtype, CHOSEN[bounds]
    )


@pytest.mark.one_in(20)
@pytest.mark.parametrize(("name", "bounds", "dtype"), [(n, b, d) for n in TRANSPOSED for _, b, d in CASES[:4]])
def test_transposed_convolution(name, bounds, dtype):
    shape, kernel, config, extra = TRANSPOSED[name]
    sizes = transposed_sizes(shape, kernel, config, extra)
    w = rand(1, *kernel)
    dy, x = rand(0, *shape), rand(2, shape[0], kernel[1] * config.groups, *sizes)
    function = lambda dy, w: convolve_transpose(dy, w, config, sizes, bounds=CHOSEN[bounds])  # noqa: E731
    sweep(function, x, w, dy, config.fitted(sizes, shape[2:], kernel[2:]), (2, 1, 0), dtype, CHOSEN[bounds])

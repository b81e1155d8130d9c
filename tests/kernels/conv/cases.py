"""Convolutions of every kind, small ones, and what is compared between our form of one and that of ``lax``."""

import jax
import pytest

from fnn.kernels.conv import Bounds, Config, convolve, convolve_transpose
from fnn.kernels.conv.plain import plain_forward, plain_transposed
from tests.oracle import assert_close, rand

# With these, small images take the path of large ones, in several steps over the batch.
SMALL = Bounds(few_places=0, few_images=0, worthwhile=0, step_elements=64, large_move=0)

FORWARD = {
    "dense": ((2, 5, 6, 5), (4, 5, 3, 2), Config((1, 1), ((1, 1), (0, 1)), (1, 1), 1)),
    "strided": ((2, 3, 7, 8), (4, 3, 3, 2), Config((2, 3), ((1, 1), (0, 0)), (1, 2), 1)),
    "few places": ((1, 5, 3, 4), (6, 5, 3, 2), Config((2, 1), ((1, 0), (0, 1)), (1, 2), 1)),
    "depthwise": ((2, 3, 6, 5), (6, 1, 3, 3), Config((1, 2), ((1, 1), (2, 0)), (1, 1), 3)),
    "groups": ((2, 4, 6, 5), (6, 2, 3, 2), Config((2, 1), ((1, 0), (0, 1)), (1, 1), 2)),
    "many groups": ((2, 6, 6, 5), (9, 2, 3, 2), Config((1, 1), ((1, 0), (0, 1)), (2, 1), 3)),
    "pointwise": ((2, 3, 7, 5), (4, 3, 1, 1), Config((1, 1), ((0, 0), (0, 0)), (1, 1), 1)),
    "pointwise strided": ((3, 3, 7, 6), (4, 3, 1, 1), Config((2, 3), ((0, 0), (0, 0)), (1, 1), 1)),
    "patches": ((2, 4, 6, 9), (6, 2, 2, 3), Config((2, 3), ((1, 0), (0, 2)), (1, 1), 2)),
    "1-D": ((2, 4, 9), (4, 2, 4), Config((3,), ((2, 1),), (2,), 2)),
    "3-D": ((1, 2, 4, 5, 4), (4, 1, 2, 3, 2), Config((1, 2, 1), ((0, 1), (1, 1), (0, 0)), (1, 1, 2), 2)),
    "volume": ((2, 2, 5, 5, 4), (3, 2, 3, 3, 2), Config((2, 2, 1), ((0, 1), (1, 1), (2, 0)), (2, 1, 2), 1)),
    "volume, in steps of 1": (
        (1, 3, 5, 4, 3),
        (4, 3, 2, 3, 2),
        Config((1, 2, 1), ((2, 1), (1, 1), (1, 0)), (2, 1, 1), 1),
    ),
    "few inputs": ((2, 1, 6, 5), (8, 1, 3, 2), Config((1, 1), ((1, 1), (0, 1)), (1, 2), 1)),
    "few inputs, strided": ((2, 2, 7, 8), (13, 2, 3, 2), Config((2, 3), ((1, 1), (0, 0)), (1, 2), 1)),
    "few outputs": ((2, 12, 6, 5), (2, 12, 3, 2), Config((1, 1), ((1, 1), (0, 1)), (2, 1), 1)),
    "few outputs, strided": ((2, 6, 6, 5), (1, 6, 3, 2), Config((1, 2), ((1, 1), (0, 1)), (2, 1), 1)),
    "few inputs, 3-D": ((1, 1, 4, 5, 4), (12, 1, 2, 3, 2), Config((1, 2, 1), ((0, 1), (1, 1), (0, 0)), (1, 1, 2), 1)),
    "eigen": ((2, 3, 7, 8), (4, 3, 3, 2), Config((2, 3), ((1, 1), (0, 0)), (1, 2), 1, True)),
    "eigen, groups": ((1, 32, 5, 4), (4, 16, 3, 2), Config((1, 2), ((1, 1), (0, 0)), (1, 1), 2, True)),
}
TRANSPOSED = {
    "dense": ((2, 3, 4, 3), (3, 5, 3, 2), Config((1, 1), ((1, 1), (0, 0)), (1, 1), 1), None),
    "pointwise": ((2, 3, 4, 3), (3, 4, 1, 1), Config((2, 1), ((0, 0), (0, 0)), (1, 1), 1), (1, 0)),
    "strided": ((2, 3, 4, 3), (3, 4, 4, 2), Config((2, 3), ((1, 1), (0, 0)), (1, 1), 1), (1, 2)),
    "volume": ((1, 3, 3, 2, 3), (3, 2, 2, 3, 2), Config((2, 1, 2), ((1, 0), (1, 1), (0, 0)), (1, 2, 1), 1), (0, 0, 1)),
    "eigen": ((2, 3, 4, 3), (3, 4, 4, 2), Config((2, 3), ((1, 1), (0, 0)), (1, 1), 1, True), (1, 2)),
    "dilated": ((2, 3, 4, 3), (3, 2, 3, 3), Config((2, 2), ((1, 1), (2, 2)), (3, 2), 1), (1, 0)),
    "few outputs": ((2, 13, 4, 3), (13, 1, 4, 3), Config((2, 1), ((1, 1), (0, 0)), (1, 1), 1), (1, 0)),
    "depthwise": ((2, 4, 4, 3), (4, 1, 3, 2), Config((2, 1), ((1, 1), (0, 0)), (1, 1), 4), None),
    "groups": ((2, 4, 4, 3), (4, 3, 3, 2), Config((2, 1), ((1, 1), (0, 0)), (1, 1), 2), None),
}


def marked(table, telling):
    """The names in a table; what is not telling is left to the long run."""
    return [pytest.param(name, marks=[] if name in telling else pytest.mark.slow) for name in table]


def compare(ours, theirs, x, w, second=False):
    """Both functions have the same values, gradients and, if asked for, second derivatives."""
    cotangent = rand(9, *jax.eval_shape(theirs, x, w).shape)

    def run(function):
        def loss(x, w):
            return (function(x, w) * cotangent).sum()

        def both(x, w):
            out = (function(x, w), jax.grad(loss, (0, 1))(x, w))
            if second:
                out += (jax.grad(lambda x, w: (jax.grad(loss, 1)(x, w) ** 2).sum(), (0, 1))(x, w),)
            return out

        return jax.tree.leaves(jax.jit(both)(x, w))

    for a, b in zip(run(ours), run(theirs), strict=True):
        assert_close(a, b, rtol=1e-10, atol=1e-11)


def compare_forward(x, w, config, second=False, bounds=SMALL):
    """The convolution."""
    compare(lambda x, w: convolve(x, w, config, bounds=bounds), lambda x, w: plain_forward(x, w, config), x, w, second)


def compare_transposed(x, w, config, sizes, second=False, bounds=SMALL):
    """The transposed one, of lengths ``sizes``."""
    compare(
        lambda x, w: convolve_transpose(x, w, config, sizes, bounds=bounds),
        lambda x, w: plain_transposed(x, w, sizes, config),
        x,
        w,
        second,
    )


def transposed_sizes(x, w, config, extra=None):
    """The lengths of a transposed convolution of arrays of shapes ``x`` and ``w``."""
    return tuple(
        (length - 1) * s - low - high + d * (k - 1) + 1 + e
        for length, s, (low, high), d, k, e in zip(
            x[2:], config.stride, config.pads, config.dilation, w[2:], extra or (0,) * len(config.stride), strict=True
        )
    )

"""Gradients of convolutions by an array with infinities or NaN.

A fast form multiplies it with zeros that stand for nothing: those around a cotangent, or between its elements. They make no
difference, save that ``0 * inf`` is NaN. Where they do, the gradient is made once more by a convolution that XLA writes out as
loops over what each place sees; it is in a loop that takes no turn for finite numbers, and so costs no copy.

It costs time to compile, a tenth of a ResNet's, so that it is left out where zeros lie only around the cotangent, of stride 1;
and a sum of shifted products has no room for it (``choice.py``). There the border is NaN under an infinite kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from fnn.kernels.conv.config import Bounds, Case, Config
from fnn.kernels.conv.plain import plain_transposed, plain_weight

__all__ = ["input_gradient", "weight_gradient"]

Run = Callable[[jax.Array, jax.Array, Case, Bounds], jax.Array]

# No library takes a convolution of so many axes, and XLA's own loops leave out what lies outside.
AXES = 4


def input_gradient(fast: Run) -> Run:
    """``fast``, a gradient by the input, but exact, for strides over 1, where the kernel is not finite."""

    def run(dy: jax.Array, w: jax.Array, case: Case, bounds: Bounds) -> jax.Array:
        out = fast(dy, w, case, bounds)
        if max(case.config.stride) == 1:
            return out
        sizes = case.sizes + (1,) * (AXES - len(case.sizes))
        exact = partial(plain_transposed, sizes=sizes, config=_with_axes(case.config))
        return _replaced(out, ~jnp.isfinite(w).all(), exact, dy, w)

    return run


def weight_gradient(fast: Run) -> Run:
    """``fast``, a gradient by the kernel, but exact where the input is not finite: the sums of such a one are NaN."""

    def run(x: jax.Array, dy: jax.Array, case: Case, bounds: Bounds) -> jax.Array:
        out = fast(x, dy, case, bounds)
        kernel = case.kernel + (1,) * (AXES - len(case.kernel))
        exact = partial(plain_weight, kernel=kernel, config=_with_axes(case.config))
        return _replaced(out, jnp.isnan(out).any(), exact, x, dy)

    return run


def _replaced(out: jax.Array, unless: jax.Array, exact: Callable[..., jax.Array], *arrays: jax.Array) -> jax.Array:
    def turn(i: jax.Array, out: jax.Array) -> jax.Array:
        # Of arrays that do not change XLA would compute it before the loop.
        some = lax.optimization_barrier((i, *map(_longer, arrays)))[1:]
        return exact(*some).reshape(out.shape)

    return lax.fori_loop(0, unless.astype(int), turn, out)


def _longer(x: jax.Array) -> jax.Array:
    return x.reshape(x.shape + (1,) * (AXES + 2 - x.ndim))


def _with_axes(config: Config) -> Config:
    more = AXES - len(config.stride)
    return config._replace(
        stride=config.stride + (1,) * more, pads=config.pads + ((0, 0),) * more, dilation=config.dilation + (1,) * more
    )

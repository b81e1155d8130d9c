"""Few places for many channels: products with the kernel as it lies in memory, since moving it would cost as much."""

from __future__ import annotations

from math import prod

import jax
import jax.numpy as jnp
from jax import lax

from fnn.kernels.conv.config import Bounds, Case
from fnn.kernels.conv.taps import col2im, seen_by_taps

__all__ = ["forward", "input_gradient", "suits", "suits_input_gradient", "weight_gradient"]


def suits(case: Case, bounds: Bounds) -> bool:
    """Whether ``forward`` and ``weight_gradient`` serve."""
    return _are_few(case, case.outputs, bounds)


def suits_input_gradient(case: Case, bounds: Bounds) -> bool:
    """Whether ``input_gradient`` serves."""
    return _are_few(case, case.inputs, bounds)


def _are_few(case: Case, channels: int, bounds: Bounds) -> bool:
    few = case.images * prod(case.places) <= channels
    return case.taps <= bounds.many_taps and case.groups == 1 and few


def forward(x: jax.Array, w: jax.Array, case: Case, bounds: Bounds) -> jax.Array:
    """The convolution of x (N, c, ...) with w (O, c, ...)."""
    o = w.shape[0]
    out = w.reshape((o, -1)) @ _im2col(x, case)
    return out.reshape((o, x.shape[0], *case.places)).swapaxes(0, 1)


def weight_gradient(x: jax.Array, dy: jax.Array, case: Case, bounds: Bounds) -> jax.Array:
    """Its gradient by the kernel."""
    o = dy.shape[1]
    seen = _im2col(x, case)
    grad = lax.dot_general(dy.swapaxes(0, 1).reshape((o, -1)), seen, (((1,), (1,)), ((), ())))
    return grad.reshape((o, x.shape[1], *case.kernel))


def input_gradient(dy: jax.Array, w: jax.Array, case: Case, bounds: Bounds) -> jax.Array:
    """Its gradient by the input."""
    o, c = w.shape[:2]
    each = lax.dot_general(w.reshape((o, -1)), dy.swapaxes(0, 1).reshape((o, -1)), (((0,), (0,)), ((), ())))
    each = each.reshape((c, -1, dy.shape[0], *case.places))
    return col2im((each[:, i] for i in range(case.taps)), case).swapaxes(0, 1)


def _im2col(x: jax.Array, case: Case) -> jax.Array:
    """x (N, c, ...) to (c taps, N places)."""
    seen = seen_by_taps(x.swapaxes(0, 1), case)
    return jnp.stack(seen, 1).reshape((x.shape[1] * case.taps, -1))

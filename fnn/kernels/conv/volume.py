"""Dense convolutions in three dimensions: the taps of the first axis side by side as channels, and images in two."""

from __future__ import annotations

from typing import Protocol

import jax
import jax.numpy as jnp
from jax import lax

from fnn.kernels.conv.config import Bounds, Case, Config, Ints
from fnn.kernels.conv.taps import pad_last

__all__ = ["forward", "is_volume", "suits_beside_outputs", "weight_gradient"]


def is_volume(case: Case, bounds: Bounds) -> bool:
    """Whether the convolution is dense and in three dimensions."""
    return len(case.kernel) == 3 and case.groups == 1


def suits_beside_outputs(case: Case, bounds: Bounds) -> bool:
    """Whether the taps belong beside the outputs (``images.volume``).

    There they make larger products, but also larger arrays where there are more outputs than inputs.
    """
    return is_volume(case, bounds) and case.config.stride[0] == 1 and case.outputs <= 2 * case.inputs


class Forward(Protocol):
    """A convolution in two dimensions."""

    def __call__(self, x: jax.Array, w: jax.Array, config: Config, bounds: Bounds) -> jax.Array: ...


class WeightGradient(Protocol):
    """The gradient of one by its kernel."""

    def __call__(self, x: jax.Array, dy: jax.Array, kernel: Ints, config: Config, bounds: Bounds) -> jax.Array: ...


def forward(x: jax.Array, w: jax.Array, case: Case, bounds: Bounds, of_images: Forward) -> jax.Array:
    """The convolution of x (N, C, ...) with w (O, C, ...), by one ``of_images``."""
    o, _, _, *kernel = w.shape
    out = of_images(_slices(x, case), w.swapaxes(1, 2).reshape((o, -1, *kernel)), case.config.inner(), bounds)
    return out.reshape((x.shape[0], case.places[0], o, *case.places[1:])).swapaxes(1, 2)


def weight_gradient(x: jax.Array, dy: jax.Array, case: Case, bounds: Bounds, of_images: WeightGradient) -> jax.Array:
    """Its gradient by the kernel."""
    o, kernel = dy.shape[1], case.kernel
    images = _slices(x, case)
    cotangents = dy.swapaxes(1, 2).reshape((-1, o, *dy.shape[3:]))
    grad = of_images(images, cotangents, kernel[1:], case.config.inner(), bounds)
    return grad.reshape((o, kernel[0], x.shape[1], *kernel[1:])).swapaxes(1, 2)


def _slices(x: jax.Array, case: Case) -> jax.Array:
    """x (N, C, D, ...) to (N length, taps C, ...): for each place on the first axis what the kernel sees there."""
    config, taps, length = case.config, case.kernel[0], case.places[0]
    x = pad_last(x, [config.pads[0], *[(0, 0)] * (x.ndim - 3)]).swapaxes(1, 2)
    step, dilation = config.stride[0], config.dilation[0]
    seen = [lax.slice_in_dim(x, a * dilation, a * dilation + (length - 1) * step + 1, step, 1) for a in range(taps)]
    whole = jnp.concatenate(seen, 2)
    return whole.reshape((-1, *whole.shape[2:]))

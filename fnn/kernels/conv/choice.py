"""Which form computes a convolution and its two gradients on the CPU: a table for each.

Half precision is computed in float32 by the callers.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import jax
from jax import lax

from fnn.kernels.choice import Form, always, choose
from fnn.kernels.conv import few_places, images, narrow, not_finite, patches, products, shifted, volume
from fnn.kernels.conv.config import BOUNDS, Bounds, Case, Config, Ints
from fnn.kernels.conv.phases import Phase, by_phases
from fnn.kernels.conv.plain import exchange, plain_forward, plain_transposed, plain_weight

__all__ = ["FORWARD", "INPUT", "WEIGHT", "forward", "input_gradient", "suits_eigen", "weight_gradient"]

Table = tuple[Form[Case, Bounds, Callable[[jax.Array, jax.Array, Case, Bounds], jax.Array]], ...]


def suits_eigen(weight: Ints, groups: int, places: int, *, bounds: Bounds = BOUNDS) -> bool:
    """Whether the options of ``fnn.kernels.eigen`` are worth asking for: then the forms may differ with ``Config.eigen``.

    Args:
        weight: the shape of the kernel.
        groups: of how many groups of channels.
        places: how many times the whole kernel is used.
        bounds: what is large and what is small.

    Returns:
        whether they are.
    """
    return (
        len(weight) > 3
        and prod(weight[2:]) > 1
        and prod(weight) * places >= bounds.worthwhile
        and images.is_dense(groups, weight[1])
        and not narrow.few_inputs(weight, groups, bounds)
    )


def forward(x: jax.Array, w: jax.Array, config: Config, bounds: Bounds = BOUNDS) -> jax.Array:
    """The convolution of x (N, C, ...) with w (O, C / groups, ...)."""
    case = Case.of_forward(x, w, config)
    return choose(FORWARD, case, bounds).run(x, w, case, bounds)


def weight_gradient(x: jax.Array, dy: jax.Array, kernel: Ints, config: Config, bounds: Bounds = BOUNDS) -> jax.Array:
    """Its gradient by the kernel, of lengths ``kernel``."""
    case = Case.of_weight_gradient(x, dy, kernel, config)
    return choose(WEIGHT, case, bounds).run(x, dy, case, bounds)


def input_gradient(dy: jax.Array, w: jax.Array, sizes: Ints, config: Config, bounds: Bounds = BOUNDS) -> jax.Array:
    """Its gradient by an input of lengths ``sizes``; the transposed convolution."""
    case = Case.of_input_gradient(dy, w, sizes, config)
    return choose(INPUT, case, bounds).run(dy, w, case, bounds)


def _many_taps(case: Case, bounds: Bounds) -> bool:
    return case.taps > bounds.many_taps


def _plain_forward(x: jax.Array, w: jax.Array, case: Case, bounds: Bounds) -> jax.Array:
    return plain_forward(x, w, case.config)


def _volume_forward(x: jax.Array, w: jax.Array, case: Case, bounds: Bounds) -> jax.Array:
    return volume.forward(x, w, case, bounds, forward)


def _plain_weight(x: jax.Array, dy: jax.Array, case: Case, bounds: Bounds) -> jax.Array:
    return plain_weight(x, dy, case.kernel, case.config)


def _volume_weight(x: jax.Array, dy: jax.Array, case: Case, bounds: Bounds) -> jax.Array:
    return volume.weight_gradient(x, dy, case, bounds, weight_gradient)


def _plain_input(dy: jax.Array, w: jax.Array, case: Case, bounds: Bounds) -> jax.Array:
    return plain_transposed(dy, w, case.sizes, case.config)


def _is_left_to_xla(case: Case, bounds: Bounds) -> bool:
    many_taps = _many_taps(case, bounds) and not volume.is_volume(case, bounds)
    return prod(case.config.stride) > bounds.many_phases or many_taps


def _images_suit_input(case: Case, bounds: Bounds) -> bool:
    return images.is_dense(case.groups, case.outputs) and not volume.is_volume(case, bounds)


def _shifted_suits_phases(case: Case, bounds: Bounds) -> bool:
    """Whether a phase is a sum of shifted products, as of depthwise kernels.

    It is fused with what is around it, which anything beside it for kernels that are not finite would end: half the time again.
    """
    return case.groups > 1 and shifted.suits(case._replace(inputs=case.outputs, outputs=case.inputs), bounds)


def _phases_input(dy: jax.Array, w: jax.Array, case: Case, bounds: Bounds) -> jax.Array:
    """Each phase an ordinary convolution in a form of its own; interleaved."""
    w = exchange(w, case.groups)

    def convolve(phase: Phase) -> jax.Array:
        kernel = lax.rev(w[(slice(None), slice(None), *phase.slices)], tuple(range(2, w.ndim)))
        return forward(dy, kernel, phase.config, bounds)

    return by_phases(convolve, case, 2)


FORWARD: Table = (
    Form("patches", patches.suits, patches.forward),
    Form("shifted, small", shifted.suits_small, shifted.forward),
    Form("narrow", narrow.suits, narrow.forward),
    Form("volume, taps beside outputs", volume.suits_beside_outputs, images.volume),
    Form("volume, taps beside inputs", volume.is_volume, _volume_forward),
    Form("few places", few_places.suits, few_places.forward),
    Form("images", images.suits, images.forward),
    Form("plain", _many_taps, _plain_forward),
    Form("shifted", shifted.suits, shifted.forward),
    Form("products", always, products.forward),
)

WEIGHT: Table = (
    Form("patches", patches.suits, patches.weight_gradient),
    Form("narrow", narrow.suits, not_finite.weight_gradient(narrow.weight_gradient)),
    Form("volume", volume.is_volume, _volume_weight),
    Form("shifted", shifted.suits_weight_gradient, shifted.weight_gradient),
    Form("few places", few_places.suits, few_places.weight_gradient),
    Form("images", images.suits_weight_gradient, images.weight_gradient),
    Form("plain", _many_taps, _plain_weight),
    Form("products", always, not_finite.weight_gradient(products.weight_gradient)),
)

INPUT: Table = (
    Form("patches", patches.suits, patches.input_gradient),
    Form("narrow", narrow.suits_input_gradient, narrow.input_gradient),
    Form("few places", few_places.suits_input_gradient, few_places.input_gradient),
    Form("plain", _is_left_to_xla, not_finite.input_gradient(_plain_input)),
    Form("images", _images_suit_input, not_finite.input_gradient(images.input_gradient)),
    Form("shifted phases", _shifted_suits_phases, _phases_input),
    Form("phases", always, not_finite.input_gradient(_phases_input)),
)

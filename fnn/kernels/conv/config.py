"""A convolution but for its arrays, the shapes that it is used at, and the bounds by which its form is chosen.

A convolution is written ``out[q] = sum_a w[a] x[stride q + dilation a - low]`` for each pair of channels, ``a`` running over
the kernel's elements, the taps.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import jax

__all__ = ["BOUNDS", "Bounds", "Case", "Config", "Ints"]

Ints = tuple[int, ...]


class Config(NamedTuple):
    """A convolution but for its arrays, each entry by axis.

    Attributes:
        stride: steps between the positions of the kernel.
        pads: zeros (before, after) the input.
        dilation: steps between the elements of the kernel.
        groups: number of groups of channels.
        eigen: whether the program is compiled with the options of ``fnn.kernels.eigen``, by which Eigen computes dense
            convolutions; their gradient by the kernel is then a convolution, too.
    """

    stride: Ints
    pads: tuple[tuple[int, int], ...]
    dilation: Ints
    groups: int
    eigen: bool = False

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

    def fitted(self, sizes: Ints, outputs: Ints, kernel: Ints) -> Config:
        """The same with the padding behind with which an input of lengths ``sizes`` gives just ``outputs``."""
        pads: list[tuple[int, int]] = []
        for i, (low, _) in enumerate(self.pads):
            pads.append((low, self.reach(i, outputs[i], kernel[i]) - sizes[i] - low))
        return self._replace(pads=tuple(pads))


class Case(NamedTuple):
    """A convolution at arrays of given shapes; its gradients are of the same case.

    Attributes:
        config: the convolution.
        images: the length of the batch.
        inputs: channels of the input in a group.
        outputs: channels of the output in a group.
        sizes: lengths of the input.
        kernel: lengths of the kernel.
        places: lengths of the output.
    """

    config: Config
    images: int
    inputs: int
    outputs: int
    sizes: Ints
    kernel: Ints
    places: Ints

    @staticmethod
    def of_forward(x: jax.Array, w: jax.Array, config: Config) -> Case:
        """Of the convolution of x (N, C, ...) with w (O, C / groups, ...)."""
        places = config.outputs(x.shape[2:], w.shape[2:])
        return Case(config, x.shape[0], w.shape[1], w.shape[0] // config.groups, x.shape[2:], w.shape[2:], places)

    @staticmethod
    def of_input_gradient(dy: jax.Array, w: jax.Array, sizes: Ints, config: Config) -> Case:
        """Of its gradient by an input of lengths ``sizes``."""
        return Case(config, dy.shape[0], w.shape[1], w.shape[0] // config.groups, sizes, w.shape[2:], dy.shape[2:])

    @staticmethod
    def of_weight_gradient(x: jax.Array, dy: jax.Array, kernel: Ints, config: Config) -> Case:
        """Of its gradient by a kernel of lengths ``kernel``."""
        inputs, outputs = x.shape[1] // config.groups, dy.shape[1] // config.groups
        return Case(config, x.shape[0], inputs, outputs, x.shape[2:], kernel, dy.shape[2:])

    @property
    def groups(self) -> int:
        """Groups of channels."""
        return self.config.groups

    @property
    def taps(self) -> int:
        """Elements of the kernel."""
        return prod(self.kernel)


@dataclass(frozen=True)
class Bounds:
    """Numbers, found by measurement, by which a form is chosen.

    Attributes:
        many_taps: taps beyond which no form writes out one by one what they see.
        many_phases: phases of a transposed convolution beyond which it is left to XLA.
        step_elements: elements of the copies that one step over the batch may make: they should stay in the cache.
        many_sums: sums that the gradient of a depthwise kernel may hold at once.
        few_sums: of how many taps those sums may be where products are fast too.
        fast_small_products: products of many small matrices, as depthwise convolutions have, take half the time from
            JAX 0.12 on.
        few_places: places of an output below which XLA's own weight gradient of a dense convolution is as fast.
        few_images: images in a batch up to which that gradient by Eigen is slower.
        few_weights: elements of a dense kernel of few inputs up to which a sum of shifted products is faster than matrix
            products.
        worthwhile: products in a convolution below which the options of ``fnn.kernels.eigen`` cost as much as they gain.
        cached: elements of a matrix repeated for each image that should stay in the cache.
        large_move: numbers from which a transpose of axes is not inlined; of fewer it reads from the cache.
        few_inputs: channels of an input that are few: XLA's libraries fill their registers with channels.
        few_outputs: channels of an output that are few.
    """

    many_taps: int = 64
    many_phases: int = 8
    step_elements: int = 1 << 19
    many_sums: int = 1 << 24
    few_sums: int = 32
    fast_small_products: bool = jax.__version_info__ >= (0, 12)
    few_places: int = 128
    few_images: int = 4
    few_weights: int = 2048
    worthwhile: int = 24_000_000
    cached: int = 1 << 20
    large_move: int = 1 << 19
    few_inputs: int = 4
    few_outputs: int = 8


BOUNDS = Bounds()

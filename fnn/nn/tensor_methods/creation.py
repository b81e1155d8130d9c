"""torch's Tensor methods that make new arrays beside a tensor, and that draw by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer

from fnn import random
from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import fail
from fnn.nn.placement import Device, DType, parse_device, put
from fnn.stateful.boxes import Box
from fnn.tensor import drawing
from fnn.tensor.promotion import parse
from fnn.tensor.shaping import Sizes, integers

__all__ = ["CreationMethods"]


class CreationMethods(Box):
    """New arrays of the box's dtype on its device, unless others are asked for; draws by the box's probabilities."""

    __slots__ = ()

    def _new(self, function: str, value: Any, dtype: DType, device: Device, requires_grad: bool) -> jax.Array:
        if requires_grad:
            fail(RuntimeError, function, "requires_grad", "False (nn.Parameter(array) makes a parameter)", True)
        old = self.peek()
        array = jnp.asarray(value).astype(old.dtype if dtype is None else parse(function, dtype))
        if device is not None or isinstance(old, Tracer):
            return put(array, parse_device(device))
        devices = old.sharding.device_set
        return put(array, next(iter(devices)) if len(devices) == 1 else None)

    def new_zeros(
        self,
        *sizes: Sizes,
        size: Sequence[int] | None = None,
        dtype: DType = None,
        device: Device = None,
        requires_grad: bool = False,
    ) -> jax.Array:
        """Zeros."""
        shape = integers("new_zeros", "size", sizes, size)
        return self._new("new_zeros", jnp.zeros(shape, bool), dtype, device, requires_grad)

    def new_ones(
        self,
        *sizes: Sizes,
        size: Sequence[int] | None = None,
        dtype: DType = None,
        device: Device = None,
        requires_grad: bool = False,
    ) -> jax.Array:
        """Ones."""
        shape = integers("new_ones", "size", sizes, size)
        return self._new("new_ones", jnp.ones(shape, bool), dtype, device, requires_grad)

    def new_empty(
        self,
        *sizes: Sizes,
        size: Sequence[int] | None = None,
        dtype: DType = None,
        device: Device = None,
        requires_grad: bool = False,
    ) -> jax.Array:
        """Zeros, which nobody should rely on."""
        shape = integers("new_empty", "size", sizes, size)
        return self._new("new_empty", jnp.zeros(shape, bool), dtype, device, requires_grad)

    def new_full(
        self,
        size: Sizes,
        fill_value: ArrayLike,
        dtype: DType = None,
        device: Device = None,
        requires_grad: bool = False,
    ) -> jax.Array:
        """An array filled with one number."""
        shape = integers("new_full", "size", (size,))
        return self._new("new_full", jnp.full(shape, fill_value), dtype, device, requires_grad)

    def new_tensor(
        self, data: Any, dtype: DType = None, device: Device = None, requires_grad: bool = False
    ) -> jax.Array:
        """An array of numbers, nested lists of them, or another array."""
        value = data.data if isinstance(data, Box) else data
        return self._new("new_tensor", jnp.asarray(value), dtype, device, requires_grad)

    def bernoulli(self, p: float | None = None, *, generator: random.Generator | None = None) -> jax.Array:
        """Ones with the elements as probabilities, or with probability ``p``, and zeros, in the dtype of the box."""
        return drawing.bernoulli_of(self.data, p, generator)

    def multinomial(
        self, num_samples: int, replacement: bool = False, *, generator: random.Generator | None = None
    ) -> jax.Array:
        """Indices drawn by the weights of the last axis, without a second draw of one unless ``replacement``."""
        return drawing.multinomial(self.data, num_samples, replacement, generator=generator)

"""torch's Tensor methods that cast, move and copy."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from fnn.functional.arrays import ArrayLike, index_dtype
from fnn.nn.placement import Device, DType, parse_device, parse_to, put
from fnn.stateful.boxes import Box
from fnn.tensor.promotion import parse

__all__ = ["ConversionMethods"]

_NAMES = {
    "torch.FloatTensor": "float32",
    "torch.DoubleTensor": "float64",
    "torch.HalfTensor": "float16",
    "torch.BFloat16Tensor": "bfloat16",
    "torch.ByteTensor": "uint8",
    "torch.CharTensor": "int8",
    "torch.ShortTensor": "int16",
    "torch.IntTensor": "int32",
    "torch.LongTensor": "int64",
    "torch.BoolTensor": "bool",
    "torch.ComplexFloatTensor": "complex64",
    "torch.ComplexDoubleTensor": "complex128",
}


class ConversionMethods(Box):
    """Casts and moves: they return arrays, and leave the box as it is (``Module.to`` changes the boxes of a model)."""

    # The names of Python's own types are methods here, so they stand in no annotation of this class.
    __slots__ = ()

    def _cast(self, function: Any, dtype: DType) -> jax.Array:
        return self.data.astype(parse(function, dtype))

    def to(self, *args: Any, **kwargs: Any) -> jax.Array:
        """The array in another dtype, on another device or sharding, or in and on those of another array."""
        dtype, place = parse_to(*args, any_dtype=True, **kwargs)
        return put(self.data if dtype is None else self.data.astype(dtype), place)

    def type(self, dtype: Any = None, non_blocking: Any = False) -> Any:
        """The array in another dtype; without one, torch's name of the dtype, such as "torch.FloatTensor"."""
        if dtype is None:
            name = self.data.dtype.name
            return next((key for key, value in _NAMES.items() if value == name), name)
        return self._cast("type", _NAMES.get(dtype, dtype) if isinstance(dtype, str) else dtype)

    def type_as(self, other: ArrayLike) -> jax.Array:
        """The array in the dtype of another one."""
        return self.data.astype(jnp.asarray(other).dtype)

    def float(self, memory_format: Any = None) -> jax.Array:
        """The array in float32."""
        return self._cast("float", jnp.float32)

    def double(self, memory_format: Any = None) -> jax.Array:
        """The array in float64, which needs x64."""
        return self._cast("double", jnp.float64)

    def half(self, memory_format: Any = None) -> jax.Array:
        """The array in float16."""
        return self._cast("half", jnp.float16)

    def bfloat16(self, memory_format: Any = None) -> jax.Array:
        """The array in bfloat16."""
        return self._cast("bfloat16", jnp.bfloat16)

    def cfloat(self, memory_format: Any = None) -> jax.Array:
        """The array in complex64."""
        return self._cast("cfloat", jnp.complex64)

    def cdouble(self, memory_format: Any = None) -> jax.Array:
        """The array in complex128, which needs x64."""
        return self._cast("cdouble", jnp.complex128)

    def long(self, memory_format: Any = None) -> jax.Array:
        """The array in int64; in int32 without x64, as indices are."""
        return self.data.astype(index_dtype())

    def int(self, memory_format: Any = None) -> jax.Array:
        """The array in int32."""
        return self._cast("int", jnp.int32)

    def short(self, memory_format: Any = None) -> jax.Array:
        """The array in int16."""
        return self._cast("short", jnp.int16)

    def char(self, memory_format: Any = None) -> jax.Array:
        """The array in int8."""
        return self._cast("char", jnp.int8)

    def byte(self, memory_format: Any = None) -> jax.Array:
        """The array in uint8."""
        return self._cast("byte", jnp.uint8)

    def bool(self, memory_format: Any = None) -> jax.Array:
        """Where the array is other than 0."""
        return self._cast("bool", jnp.bool_)

    def cpu(self, memory_format: Any = None) -> jax.Array:
        """The array on the CPU."""
        return put(self.data, parse_device("cpu"))

    def cuda(self, device: Device = None, non_blocking: Any = False, memory_format: Any = None) -> jax.Array:
        """The array on a GPU: the first, or that of a number or name."""
        name: Any = "cuda" if device is None else device
        return put(self.data, parse_device(name if not hasattr(name, "__index__") else f"cuda:{name}"))

    def contiguous(self, memory_format: Any = None) -> jax.Array:
        """The array."""
        return self.data

    def clone(self, *, memory_format: Any = None) -> jax.Array:
        """The array; it never changes, so it needs no copy."""
        return self.data

    def detach(self) -> jax.Array:
        """The array without a gradient path to this box."""
        return jax.lax.stop_gradient(self.data)

    def pin_memory(self, device: Any = None) -> jax.Array:
        """The array: JAX stages transfers itself."""
        return self.data

    def to_dense(self, dtype: DType = None, *, masked_grad: Any = None) -> jax.Array:
        """The array, which is dense."""
        return self.data if dtype is None else self._cast("to_dense", dtype)

    def item(self) -> Any:
        """The one element as a Python number."""
        array = self.data
        if array.size != 1:
            raise RuntimeError(f"item: one element is needed, but {self.describe()} has {array.size}")
        return array.item()

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        array = self.data
        return (array.astype(jnp.float32) if array.dtype in (jnp.bfloat16, jnp.float16) else array).tolist()

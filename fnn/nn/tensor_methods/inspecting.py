"""torch's Tensor methods and attributes that tell what a tensor is."""

from __future__ import annotations

import math
from typing import Any, Self, overload

import jax.numpy as jnp
import numpy as np

from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import normalize_axis
from fnn.stateful.boxes import Box

__all__ = ["InspectingMethods", "Size"]


class Size(int):
    """What ``size`` is of a box: a number of elements that can be called for the shape.

    Example:
        >>> size = Size((2, 3))
        >>> size == 6, size(), size(0)
        (True, (2, 3), 2)
    """

    shape: tuple[int, ...]

    def __new__(cls, shape: tuple[int, ...]) -> Self:
        self = super().__new__(cls, math.prod(shape))
        self.shape = shape
        return self

    @overload
    def __call__(self, dim: None = None) -> tuple[int, ...]: ...
    @overload
    def __call__(self, dim: int) -> int: ...
    def __call__(self, dim: int | None = None) -> tuple[int, ...] | int:
        """The shape, or the length of axis ``dim``."""
        if dim is None:
            return self.shape
        if not self.shape:
            raise IndexError(f"size: dim must be None for an array without axes, got {dim}")
        return self.shape[normalize_axis("size", "dim", dim, len(self.shape))]


class InspectingMethods(Box):
    """Shape, memory and kind. An array lies in memory row by row, and no two boxes share it."""

    __slots__ = ()

    is_meta: bool = False
    is_mkldnn: bool = False
    is_nested: bool = False
    is_quantized: bool = False
    is_sparse: bool = False
    is_sparse_csr: bool = False
    retains_grad: bool = False
    grad_fn: None = None
    name: str | None = None
    output_nr: int = 0

    @property
    def is_leaf(self) -> bool:
        """True: a box is never a result."""
        return True

    @property
    def grad(self) -> Any:
        """``None``: no gradient is taken with respect to a buffer."""
        return None

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Refuses ``True``: only a ``Parameter`` gets gradients; returns the box."""
        if requires_grad:
            raise RuntimeError(f"requires_grad_: {self.describe()} gets no gradients; make it a Parameter")
        return self

    def detach_(self) -> Self:
        """Returns the box, which is no result of anything."""
        return self

    def share_memory_(self) -> Self:
        """Returns the box; JAX shares no memory between processes."""
        return self

    @property
    def size(self) -> Size:
        """The number of elements, as ``jax.Array.size``; called, as torch's method, the shape or the length of an axis."""
        return Size(self._data.shape)

    def dim(self) -> int:
        """Number of axes."""
        return self._data.ndim

    def ndimension(self) -> int:
        """Number of axes."""
        return self._data.ndim

    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self._data.shape)

    def nelement(self) -> int:
        """Number of elements."""
        return math.prod(self._data.shape)

    def element_size(self) -> int:
        """Bytes of an element."""
        return self._data.dtype.itemsize

    @overload
    def stride(self, dim: None = None) -> tuple[int, ...]: ...
    @overload
    def stride(self, dim: int) -> int: ...
    def stride(self, dim: int | None = None) -> tuple[int, ...] | int:
        """How many elements lie between neighbours along each axis, or along axis ``dim``."""
        shape = self._data.shape
        steps = tuple(math.prod(max(n, 1) for n in shape[axis + 1 :]) for axis in range(len(shape)))
        if dim is None:
            return steps
        if not shape:
            raise IndexError(f"stride: dim must be None for an array without axes, got {dim}")
        return steps[normalize_axis("stride", "dim", dim, len(shape))]

    def dim_order(self) -> tuple[int, ...]:
        """The axes from the outermost in memory to the innermost: their order."""
        return tuple(range(self._data.ndim))

    def storage_offset(self) -> int:
        """0: an array begins where its memory does."""
        return 0

    def data_ptr(self) -> int:
        """The address of the memory; it tells whether two boxes hold one array."""
        return self.data.unsafe_buffer_pointer()

    def dense_dim(self) -> int:
        """Number of axes, all of which are dense."""
        return self._data.ndim

    def sparse_dim(self) -> int:
        """0: no axis is sparse."""
        return 0

    def get_device(self) -> int:
        """The number of the GPU that holds the array; -1 on the CPU."""
        device = next(iter(self.data.devices()))
        return -1 if device.platform == "cpu" else device.id

    @property
    def is_cpu(self) -> bool:
        """Whether the array lies on the CPU."""
        return self._is_on("cpu")

    @property
    def is_cuda(self) -> bool:
        """Whether the array lies on a GPU."""
        return self._is_on("gpu", "cuda", "rocm")

    def _is_on(self, *platforms: str) -> bool:
        return next(iter(self.data.devices())).platform in platforms

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """True: an array lies in memory row by row."""
        return True

    def is_floating_point(self) -> bool:
        """Whether the dtype is floating."""
        return jnp.issubdtype(self._data.dtype, jnp.floating)

    def is_complex(self) -> bool:
        """Whether the dtype is complex."""
        return jnp.issubdtype(self._data.dtype, jnp.complexfloating)

    def is_signed(self) -> bool:
        """Whether the dtype has negative numbers."""
        return not (jnp.issubdtype(self._data.dtype, jnp.unsignedinteger) or self._data.dtype == np.bool_)

    def is_nonzero(self) -> bool:
        """Whether the one element is other than 0."""
        array = self.data
        if array.size != 1:
            raise RuntimeError(f"is_nonzero: one element is needed, but {self.describe()} has {array.size}")
        return bool(array.item())

    def is_same_size(self, other: ArrayLike) -> bool:
        """Whether another array has the same shape."""
        return self._data.shape == jnp.shape(other)

    def is_set_to(self, tensor: Any) -> bool:
        """Whether another box, or array, is this very array."""
        return self.data is (tensor.data if isinstance(tensor, Box) else tensor)

    def is_conj(self) -> bool:
        """False: a conjugate is computed at once."""
        return False

    def is_neg(self) -> bool:
        """False: a negative is computed at once."""
        return False

    def is_inference(self) -> bool:
        """False: there is no inference mode."""
        return False

    def is_distributed(self) -> bool:
        """False, as torch's of a tensor; ``.sharding`` tells where the array lies."""
        return False

    def is_pinned(self, device: Any = None) -> bool:
        """False: JAX stages transfers itself."""
        return False

    def is_shared(self) -> bool:
        """False: JAX shares no memory between processes."""
        return False

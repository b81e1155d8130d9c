"""``RowSparse``: a gradient that is zero outside a few rows, as the lookup of an embedding table gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import as_array, fail
from fnn.functional.explained import explained

__all__ = ["RowSparse"]


def _sorted(rows: jax.Array, limit: int) -> tuple[jax.Array, jax.Array]:
    """The row numbers, all from 0 to ``limit``, in order, and their former places."""
    count = rows.shape[0]
    if (limit + 1) * count > 1 << 32:
        order = jnp.argsort(rows)
        return rows[order], order
    # Numbers that hold both are sorted faster than pairs.
    both = jnp.sort(rows.astype(jnp.uint32) * jnp.uint32(count) + jnp.arange(count, dtype=jnp.uint32))
    return (both // count).astype(rows.dtype), both % count


@jax.tree_util.register_pytree_node_class
class RowSparse:
    """An array of ``shape`` whose row ``indices[i]`` is the sum of the ``values`` that name it, and zero elsewhere.

    Indices may repeat; one outside ``[0, shape[0])`` names no row and its values are dropped.

    Args:
        indices: integer row numbers.
        values: the rows.
        shape: shape of the whole array.

    Shape:
        - indices: :math:`(n)`
        - values: :math:`(n, *shape[1:])`

    Raises:
        ValueError: if the shapes do not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> RowSparse(jnp.array([2, 0, 2]), jnp.ones((3, 1)), (3, 1)).to_dense()[:, 0].tolist()
        [1.0, 0.0, 2.0]
    """

    __slots__ = ("indices", "shape", "values")

    @explained
    def __init__(self, indices: Any, values: Any, shape: tuple[int, ...]) -> None:
        self.indices: Any = indices  # arrays, but placeholders where a transformation rebuilds the node
        self.values: Any = values
        self.shape: tuple[int, ...] = tuple(shape)
        # Transformations rebuild the node around placeholders that have no shape.
        if hasattr(indices, "shape") and hasattr(values, "shape"):
            if len(indices.shape) != 1 or not self.shape:
                raise ValueError(f"RowSparse: indices must be 1-D and shape at least 1-D, got {indices.shape}, {shape}")
            if tuple(values.shape) != (*indices.shape, *self.shape[1:]):
                wanted = (*indices.shape, *self.shape[1:])
                raise ValueError(f"RowSparse: values must be of shape {wanted}, got {tuple(values.shape)}")

    @property
    def dtype(self) -> Any:
        """The dtype of the values."""
        return self.values.dtype

    @property
    def ndim(self) -> int:
        """The number of axes of the whole array."""
        return len(self.shape)

    @explained
    def map(self, function: Callable[[Any], Any]) -> RowSparse:
        """The same rows with ``function`` applied to the values."""
        return RowSparse(self.indices, function(self.values), self.shape)

    @explained
    def astype(self, dtype: DTypeLike) -> RowSparse:
        """The same rows in another dtype."""
        return self.map(lambda v: v.astype(dtype))

    def to_dense(self) -> jax.Array:
        """The whole array."""
        return self.add_to(jnp.zeros(self.shape, self.dtype))

    @explained
    def add_to(self, array: ArrayLike) -> jax.Array:
        """``array`` with the rows added in the array's dtype; no other row is touched."""
        array = self._of_one_shape("add_to", array)
        if array.dtype == bool:
            fail(TypeError, "RowSparse.add_to", "array", "of numbers", array)
        return array.at[self._rows()].add(self.values.astype(array.dtype), mode="drop")

    @explained
    def set_in(self, array: ArrayLike) -> jax.Array:
        """``array`` with the rows replaced; the indices must be distinct (see ``coalesce``)."""
        array = self._of_one_shape("set_in", array)
        return array.at[self._rows()].set(self.values.astype(array.dtype), mode="drop")

    @explained
    def rows_of(self, array: ArrayLike) -> jax.Array:
        """The rows of a dense array that this one names; zeros for an index that names none."""
        array = as_array("RowSparse.rows_of", "array", array)
        if not array.ndim:
            fail(ValueError, "RowSparse.rows_of", "array", "at least 1-D", array)
        return array.at[self._rows()].get(mode="fill", fill_value=0)

    def coalesce(self) -> RowSparse:
        """The same array with distinct indices, repeated rows summed.

        The number of entries stays, so that it works under ``jit``: freed entries have the index ``shape[0]``, which
        names no row, and zero values.
        """
        count = self.indices.shape[0]
        if count == 0:
            return self
        rows = self._rows()
        rows, order = _sorted(rows, self.shape[0])
        first = jnp.concatenate([jnp.ones(1, bool), rows[1:] != rows[:-1]])
        slot = jnp.cumsum(first) - 1
        values = jnp.zeros_like(self.values).at[slot].add(self.values[order])
        indices = jnp.full_like(rows, self.shape[0]).at[slot].set(rows)
        named = (indices < self.shape[0]).reshape(-1, *[1] * (self.ndim - 1))
        return RowSparse(indices, jnp.where(named, values, 0), self.shape)

    def _of_one_shape(self, method: str, array: ArrayLike) -> jax.Array:
        array = jnp.asarray(array) if isinstance(array, list) else as_array(f"RowSparse.{method}", "array", array)
        if array.shape != self.shape:
            fail(ValueError, f"RowSparse.{method}", "array", f"of shape {self.shape}", array)
        return array

    def _rows(self) -> jax.Array:
        """The indices with each invalid one at ``shape[0]``: JAX would count a negative one from the end."""
        indices = jnp.asarray(self.indices)
        return jnp.where((indices < 0) | (indices >= self.shape[0]), self.shape[0], indices)

    def __neg__(self) -> RowSparse:
        return self.map(lambda v: -v)

    def __mul__(self, factor: Any) -> RowSparse:
        return self.map(lambda v: v * factor)

    __rmul__ = __mul__

    def __truediv__(self, divisor: Any) -> RowSparse:
        return self.map(lambda v: v / divisor)

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, RowSparse):
            return self.add_to(other)
        if other.shape != self.shape:
            raise ValueError(f"RowSparse: cannot add arrays of shapes {self.shape} and {other.shape}")
        indices = jnp.concatenate([self.indices, other.indices])
        return RowSparse(indices, jnp.concatenate([self.values, other.values]), self.shape)

    __radd__ = __add__

    def __repr__(self) -> str:
        return f"RowSparse(indices={self.indices!r}, values={self.values!r}, shape={self.shape})"

    def tree_flatten(self) -> tuple[tuple[Any, Any], tuple[int, ...]]:
        """The children and the static part, for JAX."""
        return (self.indices, self.values), self.shape

    @classmethod
    def tree_unflatten(cls, shape: tuple[int, ...], children: tuple[Any, Any]) -> RowSparse:
        """The inverse of ``tree_flatten``; unchecked, for JAX passes placeholders and batched children."""
        made = object.__new__(cls)
        made.indices, made.values = children
        made.shape = shape
        return made

"""torch's Tensor methods that read and exchange elements at given places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from fnn.functional.arrays import ArrayLike
from fnn.stateful.boxes import Box
from fnn.tensor import indexing, scattering
from fnn.tensor.promotion import Number

__all__ = ["IndexingMethods"]


class IndexingMethods(Box):
    """Reading by index, and arrays with elements exchanged; the box is not changed."""

    __slots__ = ()

    def gather(self, dim: int, index: ArrayLike, *, sparse_grad: bool = False) -> jax.Array:
        """``out[i][j] = input[index[i][j]][j]`` for ``dim=0``, and so on; under a trace an index out of range gives NaN."""
        return indexing.gather(self.data, dim, index, sparse_grad=sparse_grad)

    def take(self, index: ArrayLike) -> jax.Array:
        """The elements of the flattened array at ``index``; negative ones count from the end."""
        return indexing.take(self.data, index)

    def take_along_dim(self, indices: ArrayLike, dim: int | None = None) -> jax.Array:
        """``gather``, in which the other axes broadcast; of the flattened array without ``dim``."""
        return indexing.take_along_dim(self.data, indices, dim)

    def index_select(self, dim: int, index: ArrayLike) -> jax.Array:
        """The parts of an axis at ``index``; under a trace an index out of range gives NaN."""
        return indexing.index_select(self.data, dim, index)

    def masked_select(self, mask: ArrayLike) -> jax.Array:
        """The elements where a mask, which broadcasts, is true, in one axis; the mask must not be traced."""
        return indexing.masked_select(self.data, mask)

    def index_put(self, indices: Sequence[Any], values: ArrayLike, accumulate: bool = False) -> jax.Array:
        """``input`` after ``input[indices] = values``, or ``+=`` (where equal indices add up) with ``accumulate``."""
        return indexing.index_put(self.data, indices, values, accumulate)

    def put(self, index: ArrayLike, source: ArrayLike, accumulate: bool = False) -> jax.Array:
        """The elements of the flattened array at ``index`` set to, or with ``accumulate`` increased by, those of ``source``."""
        return indexing.put(self.data, index, source, accumulate)

    def scatter(
        self,
        dim: int,
        index: ArrayLike,
        src: ArrayLike | None = None,
        *,
        value: Number | None = None,
        reduce: str | None = None,
    ) -> jax.Array:
        """``input`` after ``input[index[i][j]][j] = src[i][j]`` for ``dim=0``, and so on.

        With ``reduce="add"`` or ``"multiply"`` the values are added to or multiplied with what was there.
        """
        return scattering.scatter(self.data, dim, index, src, value=value, reduce=reduce)

    def scatter_add(self, dim: int, index: ArrayLike, src: ArrayLike) -> jax.Array:
        """``input`` after ``input[index[i][j]][j] += src[i][j]`` for ``dim=0``, and so on."""
        return scattering.scatter_add(self.data, dim, index, src)

    def scatter_reduce(
        self, dim: int, index: ArrayLike, src: ArrayLike, reduce: str, *, include_self: bool = True
    ) -> jax.Array:
        """The values of ``src`` that ``index`` sends to one place reduced: "sum", "prod", "mean", "amax" or "amin"."""
        return scattering.scatter_reduce(self.data, dim, index, src, reduce, include_self=include_self)

    def index_add(self, dim: int, index: ArrayLike, source: ArrayLike, *, alpha: Number = 1) -> jax.Array:
        """The parts of ``source`` times ``alpha`` added to those of an axis at ``index``; equal indices add up."""
        return scattering.index_add(self.data, dim, index, source, alpha=alpha)

    def index_copy(self, dim: int, index: ArrayLike, source: ArrayLike) -> jax.Array:
        """The parts of ``source`` in the place of those of an axis at ``index``."""
        return scattering.index_copy(self.data, dim, index, source)

    def index_reduce(
        self, dim: int, index: ArrayLike, source: ArrayLike, reduce: str, *, include_self: bool = True
    ) -> jax.Array:
        """The parts of ``source`` with equal indices reduced: "prod", "mean", "amax" or "amin"."""
        return scattering.index_reduce(self.data, dim, index, source, reduce, include_self=include_self)

    def index_fill(self, dim: int, index: ArrayLike, value: ArrayLike) -> jax.Array:
        """The parts of an axis at ``index`` filled with a number; negative indices count from the end."""
        return scattering.index_fill(self.data, dim, index, value)

    def masked_fill(self, mask: ArrayLike, value: ArrayLike) -> jax.Array:
        """A number where a mask, which broadcasts, is true, and the input elsewhere."""
        return scattering.masked_fill(self.data, mask, value)

    def masked_scatter(self, mask: ArrayLike, source: ArrayLike) -> jax.Array:
        """The elements of ``source`` one after another where a mask, which broadcasts, is true, and the input elsewhere."""
        return scattering.masked_scatter(self.data, mask, source)

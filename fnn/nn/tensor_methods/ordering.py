"""torch's Tensor methods that sort, and that find elements."""

from __future__ import annotations

from typing import Any, Literal, overload

import jax

from fnn.functional.arrays import ArrayLike
from fnn.nn.tensor_methods.numpy_names import with_numpy_names
from fnn.stateful.boxes import Box
from fnn.tensor import ordering
from fnn.tensor.results import ValuesAndIndices

__all__ = ["OrderingMethods"]


@with_numpy_names
class OrderingMethods(Box):
    """Sorting, medians, quantiles, distinct elements and the places of nonzero ones."""

    __slots__ = ()

    def sort(self, dim: int = -1, descending: bool = False, stable: bool = False) -> ValuesAndIndices:
        """The elements of an axis in order, and where they stood; equal ones keep their order, NaN is the greatest."""
        return ordering.sort(self.data, dim, descending, stable)

    def argsort(self, dim: int = -1, descending: bool = False, stable: bool = False) -> jax.Array:
        """Where the elements of a sorted axis stand."""
        return ordering.argsort(self.data, dim, descending, stable)

    def msort(self) -> jax.Array:
        """The elements of the first axis in order."""
        return ordering.msort(self.data)

    def topk(self, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> ValuesAndIndices:
        """The ``k`` greatest (or least) elements of an axis in order, and where they stand; NaN is the greatest."""
        return ordering.topk(self.data, k, dim, largest, sorted)

    def kthvalue(self, k: int, dim: int = -1, keepdim: bool = False) -> ValuesAndIndices:
        """The ``k``-th least element of an axis (the first is 1), and where it stands."""
        return ordering.kthvalue(self.data, k, dim, keepdim)

    @overload
    def median(self) -> jax.Array: ...
    @overload
    def median(self, dim: int, keepdim: bool = False) -> ValuesAndIndices: ...
    def median(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """The median of all, or along an axis with its place: of an even number the lower one, NaN if there is one."""
        return ordering.median(self.data, dim, keepdim)

    @overload
    def nanmedian(self) -> jax.Array: ...
    @overload
    def nanmedian(self, dim: int, keepdim: bool = False) -> ValuesAndIndices: ...
    def nanmedian(self, dim: int | None = None, keepdim: bool = False) -> Any:
        """The median of what is not NaN, of all or along an axis with its place."""
        return ordering.nanmedian(self.data, dim, keepdim)

    def mode(self, dim: int = -1, keepdim: bool = False) -> ValuesAndIndices:
        """The most frequent element of an axis, the least of several, and where it last stands."""
        return ordering.mode(self.data, dim, keepdim)

    def quantile(
        self, q: ArrayLike, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
    ) -> jax.Array:
        """Quantiles of all or along an axis; the axis of several comes first."""
        return ordering.quantile(self.data, q, dim, keepdim, interpolation=interpolation)

    def nanquantile(
        self, q: ArrayLike, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
    ) -> jax.Array:
        """Quantiles of what is not NaN."""
        return ordering.nanquantile(self.data, q, dim, keepdim, interpolation=interpolation)

    @overload
    def nonzero(self, *, as_tuple: Literal[False] = False) -> jax.Array: ...
    @overload
    def nonzero(self, *, as_tuple: bool) -> tuple[jax.Array, ...]: ...
    def nonzero(self, *, as_tuple: bool = False) -> Any:
        """Indices of what is other than 0: a row each, or with ``as_tuple`` an array for each axis."""
        return ordering.nonzero(self.data, as_tuple=as_tuple)

    def argwhere(self) -> jax.Array:
        """Indices of what is other than 0, a row each."""
        return self.nonzero()

    def nonzero_static(self, *, size: int, fill_value: int = -1) -> jax.Array:
        """The first ``size`` rows of ``nonzero``, filled up with ``fill_value``; it works on traced arrays too."""
        return ordering.nonzero_static(self.data, size=size, fill_value=fill_value)

    @overload
    def unique(
        self,
        sorted: bool = True,
        return_inverse: Literal[False] = False,
        return_counts: Literal[False] = False,
        dim: int | None = None,
    ) -> jax.Array: ...
    @overload
    def unique(
        self, sorted: bool = True, *, return_inverse: Literal[True], return_counts: bool = False, dim: int | None = None
    ) -> tuple[jax.Array, ...]: ...
    @overload
    def unique(
        self, sorted: bool = True, *, return_inverse: bool = False, return_counts: Literal[True], dim: int | None = None
    ) -> tuple[jax.Array, ...]: ...
    def unique(
        self, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
    ) -> Any:
        """The distinct elements (or parts along an axis) in order, and if asked for, where each went and how many there were."""
        return ordering.unique(self.data, sorted, return_inverse, return_counts, dim)

    @overload
    def unique_consecutive(
        self, return_inverse: Literal[False] = False, return_counts: Literal[False] = False, dim: int | None = None
    ) -> jax.Array: ...
    @overload
    def unique_consecutive(
        self, *, return_inverse: Literal[True], return_counts: bool = False, dim: int | None = None
    ) -> tuple[jax.Array, ...]: ...
    @overload
    def unique_consecutive(
        self, *, return_inverse: bool = False, return_counts: Literal[True], dim: int | None = None
    ) -> tuple[jax.Array, ...]: ...
    def unique_consecutive(
        self, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
    ) -> Any:
        """The elements (or parts along an axis) that differ from the one before, and if asked for, the runs they begin."""
        return ordering.unique_consecutive(self.data, return_inverse, return_counts, dim)

"""torch's Tensor methods that change elements at given places, running sums, products and the shape in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import jax.numpy as jnp
from jax.typing import DTypeLike

from fnn.functional.arrays import ArrayLike
from fnn.nn.tensor_methods.writing import Writing
from fnn.tensor import indexing, products, reducing, scattering, shaping
from fnn.tensor.promotion import Number
from fnn.tensor.shaping import Sizes

__all__ = ["PlacesInPlace"]


class PlacesInPlace(Writing):
    """Elements at given places, running sums, products of matrices and other shapes, written into the box."""

    __slots__ = ()

    def cumsum_(self, dim: int, *, dtype: DTypeLike | None = None) -> Self:
        """``cumsum`` in place; returns the box."""
        return self._set_in_place("cumsum_", reducing.cumsum(self.data, dim, dtype=dtype))

    def cumprod_(self, dim: int, *, dtype: DTypeLike | None = None) -> Self:
        """``cumprod`` in place; returns the box."""
        return self._set_in_place("cumprod_", reducing.cumprod(self.data, dim, dtype=dtype))

    def renorm_(self, p: float, dim: int, maxnorm: float) -> Self:
        """``renorm`` in place; returns the box."""
        return self._set_in_place("renorm_", reducing.renorm(self.data, p, dim, maxnorm))

    def scatter_(
        self,
        dim: int,
        index: ArrayLike,
        src: ArrayLike | None = None,
        *,
        value: Number | None = None,
        reduce: str | None = None,
    ) -> Self:
        """``scatter`` in place; returns the box."""
        return self._set_in_place(
            "scatter_", scattering.scatter(self.data, dim, index, src, value=value, reduce=reduce)
        )

    def scatter_add_(self, dim: int, index: ArrayLike, src: ArrayLike) -> Self:
        """``scatter_add`` in place; returns the box."""
        return self._set_in_place("scatter_add_", scattering.scatter_add(self.data, dim, index, src))

    def scatter_reduce_(
        self, dim: int, index: ArrayLike, src: ArrayLike, reduce: str, *, include_self: bool = True
    ) -> Self:
        """``scatter_reduce`` in place; returns the box."""
        return self._set_in_place(
            "scatter_reduce_", scattering.scatter_reduce(self.data, dim, index, src, reduce, include_self=include_self)
        )

    def index_add_(self, dim: int, index: ArrayLike, source: ArrayLike, *, alpha: Number = 1) -> Self:
        """``index_add`` in place; returns the box."""
        return self._set_in_place("index_add_", scattering.index_add(self.data, dim, index, source, alpha=alpha))

    def index_copy_(self, dim: int, index: ArrayLike, source: ArrayLike) -> Self:
        """``index_copy`` in place; returns the box."""
        return self._set_in_place("index_copy_", scattering.index_copy(self.data, dim, index, source))

    def index_reduce_(
        self, dim: int, index: ArrayLike, source: ArrayLike, reduce: str, *, include_self: bool = True
    ) -> Self:
        """``index_reduce`` in place; returns the box."""
        return self._set_in_place(
            "index_reduce_", scattering.index_reduce(self.data, dim, index, source, reduce, include_self=include_self)
        )

    def index_fill_(self, dim: int, index: ArrayLike, value: ArrayLike) -> Self:
        """``index_fill`` in place; returns the box."""
        return self._set_in_place("index_fill_", scattering.index_fill(self.data, dim, index, value))

    def masked_fill_(self, mask: ArrayLike, value: ArrayLike) -> Self:
        """``masked_fill`` in place; returns the box."""
        return self._set_in_place("masked_fill_", scattering.masked_fill(self.data, mask, value))

    def masked_scatter_(self, mask: ArrayLike, source: ArrayLike) -> Self:
        """``masked_scatter`` in place; returns the box."""
        return self._set_in_place("masked_scatter_", scattering.masked_scatter(self.data, mask, source))

    def index_put_(self, indices: Sequence[Any], values: ArrayLike, accumulate: bool = False) -> Self:
        """``index_put`` in place; returns the box."""
        return self._set_in_place("index_put_", indexing.index_put(self.data, indices, values, accumulate))

    def put_(self, index: ArrayLike, source: ArrayLike, accumulate: bool = False) -> Self:
        """``put`` in place; returns the box."""
        return self._set_in_place("put_", indexing.put(self.data, index, source, accumulate))

    def tril_(self, diagonal: int = 0) -> Self:
        """``tril`` in place; returns the box."""
        return self._set_in_place("tril_", shaping.tril(self.data, diagonal))

    def triu_(self, diagonal: int = 0) -> Self:
        """``triu`` in place; returns the box."""
        return self._set_in_place("triu_", shaping.triu(self.data, diagonal))

    def fill_diagonal_(self, fill_value: float, wrap: bool = False) -> Self:
        """Sets the main diagonal to a number; with ``wrap`` it goes on below a tall matrix's first square; returns the box."""
        return self._set_in_place("fill_diagonal_", shaping.fill_diagonal(self.data, fill_value, wrap))

    def addmm_(self, mat1: ArrayLike, mat2: ArrayLike, *, beta: Number = 1, alpha: Number = 1) -> Self:
        """``addmm`` in place; returns the box."""
        return self._set_in_place("addmm_", products.addmm(self.data, mat1, mat2, beta=beta, alpha=alpha))

    def addmv_(self, mat: ArrayLike, vec: ArrayLike, *, beta: Number = 1, alpha: Number = 1) -> Self:
        """``addmv`` in place; returns the box."""
        return self._set_in_place("addmv_", products.addmv(self.data, mat, vec, beta=beta, alpha=alpha))

    def addr_(self, vec1: ArrayLike, vec2: ArrayLike, *, beta: Number = 1, alpha: Number = 1) -> Self:
        """``addr`` in place; returns the box."""
        return self._set_in_place("addr_", products.addr(self.data, vec1, vec2, beta=beta, alpha=alpha))

    def addbmm_(self, batch1: ArrayLike, batch2: ArrayLike, *, beta: Number = 1, alpha: Number = 1) -> Self:
        """``addbmm`` in place; returns the box."""
        return self._set_in_place("addbmm_", products.addbmm(self.data, batch1, batch2, beta=beta, alpha=alpha))

    def baddbmm_(self, batch1: ArrayLike, batch2: ArrayLike, *, beta: Number = 1, alpha: Number = 1) -> Self:
        """``baddbmm`` in place; returns the box."""
        return self._set_in_place("baddbmm_", products.baddbmm(self.data, batch1, batch2, beta=beta, alpha=alpha))

    def squeeze_(self, dim: int | Sequence[int] | None = None) -> Self:
        """``squeeze`` in place; returns the box."""
        return self._reshape_in_place(shaping.squeeze(self.data, dim))

    def unsqueeze_(self, dim: int) -> Self:
        """``unsqueeze`` in place; returns the box."""
        return self._reshape_in_place(shaping.unsqueeze(self.data, dim))

    def transpose_(self, dim0: int, dim1: int) -> Self:
        """``transpose`` in place; returns the box."""
        return self._reshape_in_place(shaping.transpose(self.data, dim0, dim1))

    def swapaxes_(self, dim0: int, dim1: int) -> Self:
        """``swapaxes`` in place; returns the box."""
        return self._reshape_in_place(shaping.transpose(self.data, dim0, dim1))

    def swapdims_(self, dim0: int, dim1: int) -> Self:
        """``swapdims`` in place; returns the box."""
        return self._reshape_in_place(shaping.transpose(self.data, dim0, dim1))

    def t_(self) -> Self:
        """``t`` in place; returns the box."""
        return self._reshape_in_place(shaping.t(self.data))

    def resize_(self, *sizes: Sizes, memory_format: Any = None) -> Self:
        """Another shape, of any number of elements: the first ones stay, missing ones are 0; returns the box."""
        return self._reshape_in_place(shaping.resize(self.data, *sizes))

    def resize_as_(self, the_template: ArrayLike, *, memory_format: Any = None) -> Self:
        """``resize_`` to the shape of another array; returns the box."""
        return self._reshape_in_place(shaping.resize(self.data, jnp.shape(the_template)))

"""torch's Tensor methods that reduce axes."""

from __future__ import annotations

from typing import Any, overload

import jax
import numpy as np
from jax.typing import DTypeLike

from fnn.functional.arrays import ArrayLike
from fnn.nn.tensor_methods.numpy_names import with_numpy_names
from fnn.stateful.boxes import Box
from fnn.tensor import reducing
from fnn.tensor.reducing import Dims
from fnn.tensor.results import BinnedCounts, Extremes, ValuesAndIndices

__all__ = ["ReducingMethods"]


@with_numpy_names
class ReducingMethods(Box):
    """Sums, means, extremes and counts along axes, and running ones."""

    __slots__ = ()

    def sum(self, dim: Dims = None, keepdim: bool = False, *, dtype: DTypeLike | None = None) -> jax.Array:
        """Sums along axes; of integers and booleans in int64 (int32 without x64)."""
        return reducing.sum(self.data, dim, keepdim, dtype=dtype)

    def nansum(self, dim: Dims = None, keepdim: bool = False, *, dtype: DTypeLike | None = None) -> jax.Array:
        """Sums along axes, in which NaN counts as 0."""
        return reducing.nansum(self.data, dim, keepdim, dtype=dtype)

    def mean(self, dim: Dims = None, keepdim: bool = False, *, dtype: DTypeLike | None = None) -> jax.Array:
        """Means along axes; integers are refused, unless ``dtype`` is given."""
        return reducing.mean(self.data, dim, keepdim, dtype=dtype)

    def nanmean(self, dim: Dims = None, keepdim: bool = False, *, dtype: DTypeLike | None = None) -> jax.Array:
        """Means along axes of what is not NaN."""
        return reducing.nanmean(self.data, dim, keepdim, dtype=dtype)

    def prod(self, dim: int | None = None, keepdim: bool = False, *, dtype: DTypeLike | None = None) -> jax.Array:
        """Products along an axis, or of all; of integers and booleans in int64 (int32 without x64)."""
        return reducing.prod(self.data, dim, keepdim, dtype=dtype)

    def var(
        self, dim: Dims | bool = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
    ) -> jax.Array:
        """Variances along axes, divided by ``n - correction``: 1 by default (``unbiased``), 0 with ``unbiased=False``."""
        return reducing.var(self.data, dim, unbiased, keepdim, correction=correction)

    def std(
        self, dim: Dims | bool = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
    ) -> jax.Array:
        """Standard deviations along axes: the roots of ``var``."""
        return reducing.std(self.data, dim, unbiased, keepdim, correction=correction)

    def all(self, dim: Dims = None, keepdim: bool = False) -> jax.Array:
        """Whether all elements along axes are other than 0."""
        return reducing.all(self.data, dim, keepdim)

    def any(self, dim: Dims = None, keepdim: bool = False) -> jax.Array:
        """Whether any element along axes is other than 0."""
        return reducing.any(self.data, dim, keepdim)

    def count_nonzero(self, dim: Dims = None) -> jax.Array:
        """How many elements along axes are other than 0."""
        return reducing.count_nonzero(self.data, dim)

    def amax(self, dim: Dims = (), keepdim: bool = False) -> jax.Array:
        """The greatest along axes; equal ones share the gradient."""
        return reducing.amax(self.data, dim, keepdim)

    def amin(self, dim: Dims = (), keepdim: bool = False) -> jax.Array:
        """The least along axes; equal ones share the gradient."""
        return reducing.amin(self.data, dim, keepdim)

    def aminmax(self, *, dim: int | None = None, keepdim: bool = False) -> Extremes:
        """The least and the greatest, along an axis or of all."""
        return reducing.aminmax(self.data, dim=dim, keepdim=keepdim)

    @overload
    def max(self) -> jax.Array: ...
    @overload
    def max(self, dim: int, keepdim: bool = False) -> ValuesAndIndices: ...
    @overload
    def max(self, other: jax.Array | np.ndarray[Any, Any], /) -> jax.Array: ...
    def max(self, dim: Any = None, keepdim: bool = False) -> Any:
        """The greatest of all; with an axis, ``(values, indices)`` of the greatest along it; with an array, ``maximum``."""
        return reducing.max(self.data, dim, keepdim)

    @overload
    def min(self) -> jax.Array: ...
    @overload
    def min(self, dim: int, keepdim: bool = False) -> ValuesAndIndices: ...
    @overload
    def min(self, other: jax.Array | np.ndarray[Any, Any], /) -> jax.Array: ...
    def min(self, dim: Any = None, keepdim: bool = False) -> Any:
        """The least of all; with an axis, ``(values, indices)`` of the least along it; with an array, ``minimum``."""
        return reducing.min(self.data, dim, keepdim)

    def argmax(self, dim: int | None = None, keepdim: bool = False) -> jax.Array:
        """Where along an axis, or in the flattened array, the greatest stands; NaN is greater than all."""
        return reducing.argmax(self.data, dim, keepdim)

    def argmin(self, dim: int | None = None, keepdim: bool = False) -> jax.Array:
        """Where along an axis, or in the flattened array, the least stands; NaN is less than all."""
        return reducing.argmin(self.data, dim, keepdim)

    def norm(
        self, p: float | str | None = "fro", dim: Dims = None, keepdim: bool = False, dtype: DTypeLike | None = None
    ) -> jax.Array:
        """The ``p``-norm along axes, of the flattened array by default; "fro" is 2, "nuc" the sum of singular values.

        The derivative is 0 where the norm is 0.
        """
        return reducing.norm(self.data, p, dim, keepdim, dtype)

    def renorm(self, p: float, dim: int, maxnorm: float) -> jax.Array:
        """The parts along axis ``dim`` whose ``p``-norm exceeds ``maxnorm`` scaled to it."""
        return reducing.renorm(self.data, p, dim, maxnorm)

    def logsumexp(self, dim: Dims, keepdim: bool = False) -> jax.Array:
        """``log(sum(e ** x))`` along axes, without overflow."""
        return reducing.logsumexp(self.data, dim, keepdim)

    def cumsum(self, dim: int, *, dtype: DTypeLike | None = None) -> jax.Array:
        """Running sums along an axis; of integers and booleans in int64 (int32 without x64)."""
        return reducing.cumsum(self.data, dim, dtype=dtype)

    def cumprod(self, dim: int, *, dtype: DTypeLike | None = None) -> jax.Array:
        """Running products along an axis; of integers and booleans in int64 (int32 without x64)."""
        return reducing.cumprod(self.data, dim, dtype=dtype)

    def logcumsumexp(self, dim: int) -> jax.Array:
        """Running ``logsumexp`` along an axis."""
        return reducing.logcumsumexp(self.data, dim)

    def cummax(self, dim: int) -> ValuesAndIndices:
        """The greatest so far along an axis, and where it stands: the last of equal ones."""
        return reducing.cummax(self.data, dim)

    def cummin(self, dim: int) -> ValuesAndIndices:
        """The least so far along an axis, and where it stands: the last of equal ones."""
        return reducing.cummin(self.data, dim)

    def diff(
        self, n: int = 1, dim: int = -1, prepend: ArrayLike | None = None, append: ArrayLike | None = None
    ) -> jax.Array:
        """Differences of neighbours along an axis, taken ``n`` times."""
        return reducing.diff(self.data, n, dim, prepend, append)

    def trace(self) -> jax.Array:
        """The sum of the diagonal of a matrix."""
        return reducing.trace(self.data)

    def cov(
        self, *, correction: int = 1, fweights: ArrayLike | None = None, aweights: ArrayLike | None = None
    ) -> jax.Array:
        """Covariances of the rows, each a variable."""
        return reducing.cov(self.data, correction=correction, fweights=fweights, aweights=aweights)

    def corrcoef(self) -> jax.Array:
        """Correlations of the rows, each a variable."""
        return reducing.corrcoef(self.data)

    def bincount(self, weights: ArrayLike | None = None, minlength: int = 0) -> jax.Array:
        """How often each number from 0 on occurs, or the sum of the ``weights`` where it does."""
        return reducing.bincount(self.data, weights, minlength)

    def histc(self, bins: int = 100, min: float = 0, max: float = 0) -> jax.Array:
        """Counts of ``bins`` bins from ``min`` to ``max``, or from the least to the greatest element if these are equal."""
        return reducing.histc(self.data, bins, min, max)

    def histogram(
        self,
        bins: int | ArrayLike = 100,
        *,
        range: tuple[float, float] | None = None,
        weight: ArrayLike | None = None,
        density: bool = False,
    ) -> BinnedCounts:
        """Counts, or sums of weights, of bins: as many as ``bins`` says in ``range``, or between the edges it gives."""
        return reducing.histogram(self.data, bins, range=range, weight=weight, density=density)

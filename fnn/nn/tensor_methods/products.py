"""torch's Tensor methods that multiply and decompose matrices."""

from __future__ import annotations

import jax

from fnn.functional.arrays import ArrayLike
from fnn.stateful.boxes import Box
from fnn.tensor import products
from fnn.tensor.promotion import Number
from fnn.tensor.results import (
    Factorized,
    LogDeterminant,
    OrthogonalAndTriangular,
    Reflectors,
    SingularValues,
    SolutionAndCoefficient,
)

__all__ = ["ProductMethods"]


class ProductMethods(Box):
    """Products and decompositions of matrices."""

    __slots__ = ()

    def matmul(self, other: ArrayLike) -> jax.Array:
        """The product of vectors, matrices, and stacks of matrices that broadcast."""
        return products.matmul(self.data, other)

    def mm(self, mat2: ArrayLike) -> jax.Array:
        """The product of two matrices."""
        return products.mm(self.data, mat2)

    def bmm(self, mat2: ArrayLike) -> jax.Array:
        """The products of two stacks of matrices, one by one."""
        return products.bmm(self.data, mat2)

    def mv(self, vec: ArrayLike) -> jax.Array:
        """The product of a matrix and a vector."""
        return products.mv(self.data, vec)

    def dot(self, other: ArrayLike) -> jax.Array:
        """The product of two vectors."""
        return products.dot(self.data, other)

    def vdot(self, other: ArrayLike) -> jax.Array:
        """The product of two vectors, the first of which is conjugated."""
        return products.vdot(self.data, other)

    def inner(self, other: ArrayLike) -> jax.Array:
        """Products of the last axes."""
        return products.inner(self.data, other)

    def outer(self, vec2: ArrayLike) -> jax.Array:
        """The products of all pairs of elements of two vectors."""
        return products.outer(self.data, vec2)

    def ger(self, vec2: ArrayLike) -> jax.Array:
        """The same as ``outer``."""
        return products.outer(self.data, vec2)

    def kron(self, other: ArrayLike) -> jax.Array:
        """The Kronecker product."""
        return products.kron(self.data, other)

    def cross(self, other: ArrayLike, dim: int | None = None) -> jax.Array:
        """Cross products of vectors along an axis of length 3, the first such by default."""
        return products.cross(self.data, other, dim)

    def addmm(self, mat1: ArrayLike, mat2: ArrayLike, *, beta: Number = 1, alpha: Number = 1) -> jax.Array:
        """``beta * input + alpha * (mat1 @ mat2)``."""
        return products.addmm(self.data, mat1, mat2, beta=beta, alpha=alpha)

    def addmv(self, mat: ArrayLike, vec: ArrayLike, *, beta: Number = 1, alpha: Number = 1) -> jax.Array:
        """``beta * input + alpha * (mat @ vec)``."""
        return products.addmv(self.data, mat, vec, beta=beta, alpha=alpha)

    def addr(self, vec1: ArrayLike, vec2: ArrayLike, *, beta: Number = 1, alpha: Number = 1) -> jax.Array:
        """``beta * input + alpha * outer(vec1, vec2)``."""
        return products.addr(self.data, vec1, vec2, beta=beta, alpha=alpha)

    def addbmm(self, batch1: ArrayLike, batch2: ArrayLike, *, beta: Number = 1, alpha: Number = 1) -> jax.Array:
        """``beta * input + alpha * sum(batch1 @ batch2)``, the sum over the stacks."""
        return products.addbmm(self.data, batch1, batch2, beta=beta, alpha=alpha)

    def baddbmm(self, batch1: ArrayLike, batch2: ArrayLike, *, beta: Number = 1, alpha: Number = 1) -> jax.Array:
        """``beta * input + alpha * (batch1 @ batch2)`` of stacks of matrices."""
        return products.baddbmm(self.data, batch1, batch2, beta=beta, alpha=alpha)

    def det(self) -> jax.Array:
        """Determinants."""
        return products.det(self.data)

    def logdet(self) -> jax.Array:
        """Logarithms of determinants; NaN of negative ones."""
        return products.logdet(self.data)

    def slogdet(self) -> LogDeterminant:
        """Signs of determinants, and logarithms of their magnitudes."""
        return products.slogdet(self.data)

    def inverse(self) -> jax.Array:
        """Inverse matrices."""
        return products.inverse(self.data)

    def pinverse(self, rcond: float = 1e-15) -> jax.Array:
        """Pseudo-inverses; singular values of at most ``rcond`` times the greatest count as 0."""
        return products.pinverse(self.data, rcond)

    def matrix_power(self, n: int) -> jax.Array:
        """Powers of matrices; negative ones of the inverse."""
        return products.matrix_power(self.data, n)

    def matrix_exp(self) -> jax.Array:
        """Exponentials of matrices."""
        return products.matrix_exp(self.data)

    def cholesky(self, upper: bool = False) -> jax.Array:
        """Lower factors L of ``L L^H``, or upper ones U of ``U^H U``; only that triangle of the input is read."""
        return products.cholesky(self.data, upper)

    def cholesky_solve(self, input2: ArrayLike, upper: bool = False) -> jax.Array:
        """Solutions X of ``L L^H X = input``, ``input2`` being the factor L (U with ``upper``)."""
        return products.cholesky_solve(self.data, input2, upper)

    def cholesky_inverse(self, upper: bool = False) -> jax.Array:
        """Inverses of ``L L^H``, the input being the factor L (U with ``upper``)."""
        return products.cholesky_inverse(self.data, upper)

    def triangular_solve(
        self, A: ArrayLike, upper: bool = True, transpose: bool = False, unitriangular: bool = False
    ) -> SolutionAndCoefficient:
        """Solutions of ``A X = input`` with a triangular A (its transpose with ``transpose``), and A itself."""
        return products.triangular_solve(self.data, A, upper, transpose, unitriangular)

    def qr(self, some: bool = True) -> OrthogonalAndTriangular:
        """Factors ``Q R``, reduced if ``some``, else complete."""
        return products.qr(self.data, some)

    def svd(self, some: bool = True, compute_uv: bool = True) -> SingularValues:
        """Factors ``U diag(S) V^H``, reduced if ``some``; U and V are zeros without ``compute_uv``."""
        return products.svd(self.data, some, compute_uv)

    def lu(self) -> Factorized:
        """Factors of ``P L U`` in one matrix, and the rows exchanged, counted from 1."""
        return products.lu(self.data)

    def lu_solve(self, LU_data: ArrayLike, LU_pivots: ArrayLike) -> jax.Array:
        """Solutions of ``A X = input``, given what ``lu`` makes of A."""
        return products.lu_solve(self.data, LU_data, LU_pivots)

    def geqrf(self) -> Reflectors:
        """A QR decomposition as Householder reflectors."""
        return products.geqrf(self.data)

    def orgqr(self, input2: ArrayLike) -> jax.Array:
        """The first columns of the product of the reflectors of ``geqrf``."""
        return products.orgqr(self.data, input2)

    def ormqr(self, input2: ArrayLike, input3: ArrayLike, left: bool = True, transpose: bool = False) -> jax.Array:
        """The product of ``input3`` with the reflectors of ``geqrf``, from the left or from the right."""
        return products.ormqr(self.data, input2, input3, left, transpose)

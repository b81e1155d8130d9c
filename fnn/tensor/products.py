"""Products and decompositions of matrices, with the meaning of torch's Tensor methods."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import as_array, as_int, check_rank, check_same_dtype, fail, normalize_axis
from fnn.tensor.promotion import Number, combined, kind_of, operand, result_type
from fnn.tensor.results import (
    Factorized,
    LogDeterminant,
    OrthogonalAndTriangular,
    Reflectors,
    SingularValues,
    SolutionAndCoefficient,
)

# Products


def _factors(function: str, ranks: tuple[int | None, int | None], **given: ArrayLike) -> list[jax.Array]:
    """Two factors of one dtype and of given ranks."""
    arrays = {name: as_array(function, name, value) for name, value in given.items()}
    for (name, value), rank in zip(arrays.items(), ranks, strict=True):
        if rank is not None:
            check_rank(function, name, value, rank)
    check_same_dtype(function, **arrays)
    return list(arrays.values())


def _product(function: str, factors: Sequence[jax.Array], argument: str = "other") -> jax.Array:
    a, b = factors
    inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != inner:
        fail(RuntimeError, function, argument, f"of {a.shape[-1]} rows, as the input has columns", b)
    return a @ b


def matmul(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """The product of vectors, matrices, and stacks of matrices that broadcast."""
    a, b = _factors("matmul", (None, None), input=input, other=other)
    if not a.ndim or not b.ndim:
        fail(RuntimeError, "matmul", "input and other", "at least 1-D", b if a.ndim else a)
    return _product("matmul", (a, b))


def mm(input: ArrayLike, mat2: ArrayLike) -> jax.Array:
    """The product of two matrices."""
    return _product("mm", _factors("mm", (2, 2), input=input, mat2=mat2), "mat2")


def bmm(input: ArrayLike, mat2: ArrayLike) -> jax.Array:
    """The products of two stacks of matrices, one by one."""
    a, b = _factors("bmm", (3, 3), input=input, mat2=mat2)
    if a.shape[0] != b.shape[0]:
        fail(RuntimeError, "bmm", "mat2", f"of {a.shape[0]} matrices, as input", b)
    return _product("bmm", (a, b), "mat2")


def mv(input: ArrayLike, vec: ArrayLike) -> jax.Array:
    """The product of a matrix and a vector."""
    return _product("mv", _factors("mv", (2, 1), input=input, vec=vec), "vec")


def dot(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """The product of two vectors."""
    return _product("dot", _factors("dot", (1, 1), input=input, other=other))


def vdot(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """The product of two vectors, the first of which is conjugated."""
    a, b = _factors("vdot", (1, 1), input=input, other=other)
    return _product("vdot", (jnp.conj(a), b))


def inner(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """Products of the last axes."""
    a, b = _factors("inner", (None, None), input=input, other=other)
    if a.ndim and b.ndim and a.shape[-1] != b.shape[-1]:
        fail(RuntimeError, "inner", "other", f"of last length {a.shape[-1]}, as input", b)
    return jnp.inner(a, b)


def outer(input: ArrayLike, vec2: ArrayLike) -> jax.Array:
    """The products of all pairs of elements of two vectors."""
    a, b = as_array("outer", "input", input), as_array("outer", "vec2", vec2)
    check_rank("outer", "input", a, 1)
    check_rank("outer", "vec2", b, 1)
    return combined(lambda x, y: x[:, None] * y, a, b)


def kron(input: ArrayLike, other: ArrayLike) -> jax.Array:
    """The Kronecker product."""
    return combined(jnp.kron, as_array("kron", "input", input), as_array("kron", "other", other))


def cross(input: ArrayLike, other: ArrayLike, dim: int | None = None) -> jax.Array:
    """Cross products of vectors along an axis of length 3, the first such by default."""
    a, b = as_array("cross", "input", input), as_array("cross", "other", other)
    shape = jnp.broadcast_shapes(a.shape, b.shape)
    if dim is None:
        dim = next((axis for axis, n in enumerate(shape) if n == 3), -1)
    axis = normalize_axis("cross", "dim", dim, len(shape))
    if not shape or any(v.ndim != len(shape) or v.shape[axis] != 3 for v in (a, b)):
        fail(RuntimeError, "cross", "input and other", "of length 3 along dim", b)

    def rule(x: jax.Array, y: jax.Array) -> jax.Array:
        return jnp.roll(x, -1, axis) * jnp.roll(y, 1, axis) - jnp.roll(x, 1, axis) * jnp.roll(y, -1, axis)

    return combined(rule, a, b)


def _plus(function: str, input: ArrayLike, product: jax.Array, beta: Number, alpha: Number) -> jax.Array:
    """``beta * input + alpha * product``, in which an input times 0 counts as 0, even NaN."""
    x = as_array(function, "input", input)
    check_same_dtype(function, input=x, mat1=product)
    try:
        fits = jnp.broadcast_shapes(x.shape, product.shape) == product.shape
    except ValueError:
        fits = False
    if not fits:
        fail(RuntimeError, function, "input", f"of a shape that broadcasts to {list(product.shape)}", x)
    for name, value in (("beta", beta), ("alpha", alpha)):
        if kind_of(x.dtype) < 2 and kind_of(result_type(operand(function, name, value))) > 1:
            fail(RuntimeError, function, name, f"an integer, as input ({x.dtype})", value)
    scaled = product if alpha == 1 else combined(jnp.multiply, product, alpha, dtype=x.dtype)
    if beta == 0:
        return scaled
    return scaled + (x if beta == 1 else combined(jnp.multiply, x, beta, dtype=x.dtype))


def addmm(input: ArrayLike, mat1: ArrayLike, mat2: ArrayLike, *, beta: Number = 1, alpha: Number = 1) -> jax.Array:
    """``beta * input + alpha * (mat1 @ mat2)``."""
    product = _product("addmm", _factors("addmm", (2, 2), mat1=mat1, mat2=mat2), "mat2")
    return _plus("addmm", input, product, beta, alpha)


def addmv(input: ArrayLike, mat: ArrayLike, vec: ArrayLike, *, beta: Number = 1, alpha: Number = 1) -> jax.Array:
    """``beta * input + alpha * (mat @ vec)``."""
    product = _product("addmv", _factors("addmv", (2, 1), mat=mat, vec=vec), "vec")
    return _plus("addmv", input, product, beta, alpha)


def addr(input: ArrayLike, vec1: ArrayLike, vec2: ArrayLike, *, beta: Number = 1, alpha: Number = 1) -> jax.Array:
    """``beta * input + alpha * outer(vec1, vec2)``."""
    return _plus("addr", input, outer(vec1, vec2), beta, alpha)


def addbmm(input: ArrayLike, batch1: ArrayLike, batch2: ArrayLike, *, beta: Number = 1, alpha: Number = 1) -> jax.Array:
    """``beta * input + alpha * sum(batch1 @ batch2)``, the sum over the stacks."""
    a, b = _factors("addbmm", (3, 3), batch1=batch1, batch2=batch2)
    return _plus("addbmm", input, bmm(a, b).sum(0), beta, alpha)


def baddbmm(
    input: ArrayLike, batch1: ArrayLike, batch2: ArrayLike, *, beta: Number = 1, alpha: Number = 1
) -> jax.Array:
    """``beta * input + alpha * (batch1 @ batch2)`` of stacks of matrices."""
    a, b = _factors("baddbmm", (3, 3), batch1=batch1, batch2=batch2)
    return _plus("baddbmm", input, bmm(a, b), beta, alpha)


# Decompositions


def _matrices(function: str, value: ArrayLike, square: bool = False, argument: str = "input") -> jax.Array:
    x = as_array(function, argument, value)
    if x.ndim < 2 or (square and x.shape[-1] != x.shape[-2]):
        fail(RuntimeError, function, argument, f"{'square' if square else 'at least 2-D'}", x)
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        fail(RuntimeError, function, argument, "of a floating or complex dtype", x)
    return x


def _mH(x: jax.Array) -> jax.Array:
    return jnp.conj(jnp.swapaxes(x, -1, -2))


def det(input: ArrayLike) -> jax.Array:
    """Determinants."""
    return jnp.linalg.det(_matrices("det", input, True))


def logdet(input: ArrayLike) -> jax.Array:
    """Logarithms of determinants; NaN of negative ones."""
    sign, size = jnp.linalg.slogdet(_matrices("logdet", input, True))
    return jnp.where(sign < 0, jnp.nan, size) if kind_of(size.dtype) == kind_of(sign.dtype) else size + jnp.log(sign)


def slogdet(input: ArrayLike) -> LogDeterminant:
    """Signs of determinants, and logarithms of their magnitudes."""
    return LogDeterminant(*jnp.linalg.slogdet(_matrices("slogdet", input, True)))


def inverse(input: ArrayLike) -> jax.Array:
    """Inverse matrices."""
    return jnp.linalg.inv(_matrices("inverse", input, True))


def pinverse(input: ArrayLike, rcond: float = 1e-15) -> jax.Array:
    """Pseudo-inverses; singular values of at most ``rcond`` times the greatest count as 0."""
    return jnp.linalg.pinv(_matrices("pinverse", input), rtol=rcond)


def matrix_power(input: ArrayLike, n: int) -> jax.Array:
    """Powers of matrices; negative ones of the inverse."""
    x = as_array("matrix_power", "input", input)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        fail(RuntimeError, "matrix_power", "input", "square", x)
    return jnp.linalg.matrix_power(x, as_int("matrix_power", "n", n))


def matrix_exp(input: ArrayLike) -> jax.Array:
    """Exponentials of matrices."""
    import jax.scipy.linalg  # takes long to import

    return jax.scipy.linalg.expm(_matrices("matrix_exp", input, True))


def cholesky(input: ArrayLike, upper: bool = False) -> jax.Array:
    """Lower factors L of ``L L^H``, or upper ones U of ``U^H U``; only that triangle of the input is read."""
    x = _matrices("cholesky", input, True)
    return _mH(_lower_factor(_mH(x))) if upper else _lower_factor(x)


def _lower_factor(x: jax.Array) -> jax.Array:
    # The values come from the lower triangle, the gradient goes to both, as torch's does.
    values = lax.stop_gradient(jnp.tril(x) + _mH(jnp.tril(x, -1)))
    both = (x + _mH(x)) / 2
    return jnp.linalg.cholesky(values + both - lax.stop_gradient(both), symmetrize_input=False)


def cholesky_solve(input: ArrayLike, input2: ArrayLike, upper: bool = False) -> jax.Array:
    """Solutions X of ``L L^H X = input``, ``input2`` being the factor L (U with ``upper``)."""
    b, factor = _matrices("cholesky_solve", input), _matrices("cholesky_solve", input2, True, "input2")
    lower = _mH(factor) if upper else factor
    half = _triangular(lower, b, lower=True)
    return _triangular(_mH(lower), half, lower=False)


def _triangular(a: jax.Array, b: jax.Array, lower: bool, unit: bool = False) -> jax.Array:
    stack = jnp.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (jnp.broadcast_to(v, stack + v.shape[-2:]) for v in (a, b))
    return lax.linalg.triangular_solve(a, b, left_side=True, lower=lower, unit_diagonal=unit)


def cholesky_inverse(input: ArrayLike, upper: bool = False) -> jax.Array:
    """Inverses of ``L L^H``, the input being the factor L (U with ``upper``)."""
    x = _matrices("cholesky_inverse", input, True)
    x = jnp.triu(x) if upper else jnp.tril(x)
    return cholesky_solve(jnp.broadcast_to(jnp.eye(x.shape[-1], dtype=x.dtype), x.shape), x, upper)


def triangular_solve(
    input: ArrayLike, A: ArrayLike, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> SolutionAndCoefficient:
    """Solutions of ``A X = input`` with a triangular A (its transpose with ``transpose``), and A itself."""
    b, a = _matrices("triangular_solve", input), _matrices("triangular_solve", A, True, "A")
    left = jnp.swapaxes(a, -1, -2) if transpose else a
    solution = _triangular(left, b, lower=upper == transpose, unit=unitriangular)
    return SolutionAndCoefficient(solution, a)


def qr(input: ArrayLike, some: bool = True) -> OrthogonalAndTriangular:
    """Factors ``Q R``, reduced if ``some``, else complete."""
    return OrthogonalAndTriangular(*jnp.linalg.qr(_matrices("qr", input), "reduced" if some else "complete"))


def svd(input: ArrayLike, some: bool = True, compute_uv: bool = True) -> SingularValues:
    """Factors ``U diag(S) V^H``, reduced if ``some``; U and V are zeros without ``compute_uv``."""
    x = _matrices("svd", input)
    if not compute_uv:
        rows, columns = x.shape[-2:]
        s = jnp.linalg.svd(x, compute_uv=False)
        u, v = (jnp.zeros((*x.shape[:-2], n, n), x.dtype) for n in (rows, columns))
        return SingularValues(u, s, v)
    u, s, vh = jnp.linalg.svd(x, full_matrices=not some)
    return SingularValues(u, s, _mH(vh))


def lu(input: ArrayLike) -> Factorized:
    """Factors of ``P L U`` in one matrix, and the rows exchanged, counted from 1."""
    packed, pivots, _ = lax.linalg.lu(_matrices("lu", input))
    return Factorized(packed, (pivots + 1).astype(jnp.int32))


def lu_solve(input: ArrayLike, LU_data: ArrayLike, LU_pivots: ArrayLike) -> jax.Array:
    """Solutions of ``A X = input``, given what ``lu`` makes of A."""
    b, packed = _matrices("lu_solve", input), _matrices("lu_solve", LU_data, True, "LU_data")
    pivots = as_array("lu_solve", "LU_pivots", LU_pivots).astype(jnp.int32) - 1
    order = lax.linalg.lu_pivots_to_permutation(pivots, packed.shape[-1])
    stack = jnp.broadcast_shapes(packed.shape[:-2], b.shape[:-2])
    order = jnp.broadcast_to(order, (*stack, order.shape[-1]))
    b = jnp.take_along_axis(jnp.broadcast_to(b, stack + b.shape[-2:]), order[..., None], -2)
    return _triangular(packed, _triangular(packed, b, lower=True, unit=True), lower=False)


def geqrf(input: ArrayLike) -> Reflectors:
    """A QR decomposition as Householder reflectors."""
    packed, tau = jnp.linalg.qr(_matrices("geqrf", input), "raw")
    return Reflectors(jnp.swapaxes(packed, -1, -2), tau)


def orgqr(input: ArrayLike, input2: ArrayLike) -> jax.Array:
    """The first columns of the product of the reflectors of ``geqrf``."""
    return lax.linalg.householder_product(_matrices("orgqr", input), as_array("orgqr", "input2", input2))


def ormqr(
    input: ArrayLike, input2: ArrayLike, input3: ArrayLike, left: bool = True, transpose: bool = False
) -> jax.Array:
    """The product of ``input3`` with the reflectors of ``geqrf``, from the left or from the right."""
    a, tau, other = _matrices("ormqr", input), as_array("ormqr", "input2", input2), _matrices("ormqr", input3)
    size = a.shape[-2]
    square = jnp.pad(a, [(0, 0)] * (a.ndim - 1) + [(0, size - a.shape[-1])])
    taus = jnp.pad(tau, [(0, 0)] * (tau.ndim - 1) + [(0, size - tau.shape[-1])])
    q = lax.linalg.householder_product(square, taus)
    q = _mH(q) if transpose else q
    return q @ other if left else other @ q

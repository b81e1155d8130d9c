"""What functions with several results return: named tuples with torch's names."""

from __future__ import annotations

from typing import NamedTuple

import jax

__all__ = [
    "BinnedCounts",
    "Extremes",
    "Factorized",
    "LogDeterminant",
    "MantissaAndExponent",
    "OrthogonalAndTriangular",
    "Reflectors",
    "SingularValues",
    "SolutionAndCoefficient",
    "ValuesAndIndices",
]


class ValuesAndIndices(NamedTuple):
    """Values, and where along the axis they stood."""

    values: jax.Array
    indices: jax.Array


class Extremes(NamedTuple):
    """The least and the greatest."""

    min: jax.Array
    max: jax.Array


class MantissaAndExponent(NamedTuple):
    """Numbers as ``mantissa * 2 ** exponent``."""

    mantissa: jax.Array
    exponent: jax.Array


class BinnedCounts(NamedTuple):
    """A histogram and the edges of its bins."""

    hist: jax.Array
    bin_edges: jax.Array


class OrthogonalAndTriangular(NamedTuple):
    """The factors of a QR decomposition."""

    Q: jax.Array
    R: jax.Array


class Reflectors(NamedTuple):
    """A QR decomposition as LAPACK leaves it: R above the diagonal of ``a``, Householder vectors below it."""

    a: jax.Array
    tau: jax.Array


class SingularValues(NamedTuple):
    """A singular value decomposition ``U diag(S) V^H``."""

    U: jax.Array
    S: jax.Array
    V: jax.Array


class LogDeterminant(NamedTuple):
    """Sign and logarithm of the magnitude of a determinant."""

    sign: jax.Array
    logabsdet: jax.Array


class Factorized(NamedTuple):
    """An LU factorization in one matrix, and the rows that were exchanged, counted from 1."""

    LU: jax.Array
    pivots: jax.Array


class SolutionAndCoefficient(NamedTuple):
    """The solution of a triangular system, and its matrix."""

    solution: jax.Array
    cloned_coefficient: jax.Array

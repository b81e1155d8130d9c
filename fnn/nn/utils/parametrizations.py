"""Ready parametrizations: ``orthogonal``, ``spectral_norm``, ``weight_norm``."""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from fnn import functional as F, random
from fnn.functional.arrays import ArrayLike, is_concrete
from fnn.functional.checks import as_array
from fnn.functional.explained import explained
from fnn.kernels.precision import wide_dtype
from fnn.nn.array_box import ArrayBox, to_array
from fnn.nn.modules.module import Module
from fnn.nn.parameter import Buffer
from fnn.nn.utils.parametrize import register_parametrization
from fnn.nn.utils.spectral_norm import default_dim, initial_vectors, power_iteration, weight_over_sigma
from fnn.nn.utils.weight_norm import norm_except_dim, normalized_weight

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]

M = TypeVar("M", bound=Module)

_MAPS = ("matrix_exp", "cayley", "householder")


def _array_of(module: Module, name: str) -> jax.Array:
    weight = getattr(module, name, None)
    if not isinstance(weight, jax.Array | ArrayBox):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return weight.data if isinstance(weight, ArrayBox) else weight


# Orthogonal matrices


def _adjoint(x: Any) -> Any:
    return x.swapaxes(-1, -2).conj()


def _skew(x: jax.Array) -> jax.Array:
    """The square skew-Hermitian matrix of the lower triangle of a tall matrix."""
    rows, columns = x.shape[-2:]
    lower = jnp.pad(jnp.tril(x), [(0, 0)] * (x.ndim - 1) + [(0, rows - columns)])
    return lower - _adjoint(lower)


def _cayley(a: jax.Array) -> jax.Array:
    """(I + A/2) (I - A/2)^-1; the two factors commute."""
    eye = jnp.eye(a.shape[-1], dtype=a.dtype)
    return jnp.linalg.solve(eye - a / 2, eye + a / 2)


def _reflections(x: jax.Array) -> jax.Array:
    """The first columns of the product of the reflections whose vectors are e_i plus the i-th column below the diagonal.

    In the compact form I - V T V^T (Schreiber and Van Loan, 1989), where T^-1 is the upper triangle of V^T V, its diagonal
    halved. The diagonal of ``x``, made of 1 and -1, gives the signs; it is no parameter.
    """
    rows, columns = x.shape[-2:]
    eye = jnp.eye(rows, columns, dtype=x.dtype)
    vectors = jnp.tril(x, -1) + eye
    gram = jnp.einsum("...ij,...ik->...jk", vectors, vectors)
    inverse = jnp.triu(gram, 1) + jnp.eye(columns, dtype=x.dtype) * gram / 2
    top = vectors[..., :columns, :].swapaxes(-1, -2)
    product = eye - vectors @ jax.lax.linalg.triangular_solve(inverse, top, left_side=True, lower=False)
    signs = jnp.trunc(jax.lax.stop_gradient(jnp.diagonal(x, axis1=-2, axis2=-1)))
    return product * signs[..., None, :]


@partial(jax.jit, static_argnames="orthogonal_map")
def _orthogonal(x: jax.Array, base: jax.Array | None, orthogonal_map: str) -> jax.Array:
    """The matrix with orthonormal columns (rows, if it is wide) that belongs to ``x``, times ``base`` if there is one."""
    dtype = x.dtype
    wide = wide_dtype(dtype)
    transposed = x.shape[-2] < x.shape[-1]
    x = x.astype(wide)
    if transposed:
        x = x.swapaxes(-1, -2)
    if orthogonal_map == "householder":
        q = _reflections(x)
    else:
        exponential = jax.scipy.linalg.expm if orthogonal_map == "matrix_exp" else _cayley
        q = exponential(_skew(x))[..., : x.shape[-1]]
    if base is not None:
        q = base.astype(wide) @ q
    return (q.swapaxes(-1, -2) if transposed else q).astype(dtype)


def _orthonormalized(xp: Any, a: Any) -> Any:
    """The Q of A = QR with a positive diagonal of R."""
    q, r = xp.linalg.qr(a)
    diagonal = xp.diagonal(r, axis1=-2, axis2=-1)
    return q * xp.where(diagonal == 0, 1, xp.sign(diagonal))[..., None, :]


def _reflectors(xp: Any, q: Any) -> Any:
    """The matrix for which ``_reflections`` gives the Q of q = QR with a positive diagonal of R."""
    raw, tau = xp.linalg.qr(q, mode="raw")
    a = raw.swapaxes(-1, -2)
    signs = xp.sign(xp.diagonal(a, axis1=-2, axis2=-1))
    signs = xp.where(tau == 0, -signs, signs)  # LAPACK leaves out a reflection; we make it, and turn the sign back
    eye = xp.eye(*a.shape[-2:], dtype=a.dtype)
    return xp.where(eye == 1, eye * signs[..., None, :], a)


class _Orthogonal(Module):
    """The parametrization of ``orthogonal``; the buffer ``base``, if there is one, is multiplied from the left."""

    base: Buffer | None

    def __init__(self, weight: jax.Array, orthogonal_map: str, *, use_trivialization: bool = True) -> None:
        super().__init__()
        if jnp.iscomplexobj(weight) and orthogonal_map == "householder":
            raise ValueError("The householder parametrization does not support complex tensors.")
        self.shape = tuple(weight.shape)
        self.orthogonal_map = orthogonal_map
        self.use_trivialization = use_trivialization
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X: ArrayLike) -> jax.Array:
        """The orthogonal matrix."""
        base = self.base.data if self.use_trivialization and self.base is not None else None
        return _orthogonal(as_array("orthogonal", "X", X), base, self.orthogonal_map)

    def right_inverse(self, Q: ArrayLike) -> jax.Array:
        """The array that ``forward`` takes to Q, made orthogonal if it is not; with a ``base`` that one does the work."""
        Q = as_array("orthogonal", "Q", Q)
        if Q.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape {Q.shape}."
            )
        xp: Any = np if is_concrete(Q) else jnp
        q = xp.asarray(Q).astype(wide_dtype(Q.dtype))
        transposed = q.shape[-2] < q.shape[-1]
        if transposed:
            q = q.swapaxes(-1, -2)
        if not self.use_trivialization:
            if self.orthogonal_map != "householder":
                raise NotImplementedError(
                    "It is not possible to assign to the matrix exponential "
                    "or the Cayley parametrizations when use_trivialization=False."
                )
            out = _reflectors(xp, q)
            return to_array((out.swapaxes(-1, -2) if transposed else out).astype(Q.dtype))
        base = to_array(_completed(xp, q, jnp.finfo(Q.dtype).eps).astype(Q.dtype))
        if self.base is None:
            self.register_buffer("base", base)
        else:
            self.base.data = base
        rows, columns = self.shape[-2:]
        return to_array(np.broadcast_to(-np.eye(rows, columns), self.shape).astype(Q.dtype))


def _completed(xp: Any, q: Any, eps: Any) -> Any:
    """A square orthogonal matrix whose first columns are those of a tall matrix, made orthonormal if they are not."""
    *batch, rows, columns = q.shape
    if rows == columns:
        close = xp.allclose if not batch else lambda a, b, atol: xp.isclose(a, b, atol=atol).all()
        is_orthogonal = close(_adjoint(q) @ q, xp.eye(rows, dtype=q.dtype), atol=10.0 * rows * float(eps))
        return xp.where(is_orthogonal, q, _orthonormalized(xp, q))
    shape = (*batch, rows, rows - columns)
    parts = [random.normal(random.next_key("orthogonal"), shape, jnp.finfo(q.dtype).dtype) for _ in range(2)]
    rest = parts[0] + 1j * parts[1] if jnp.iscomplexobj(q) else parts[0]
    if not is_concrete(rest):
        xp = jnp
    return _orthonormalized(xp, xp.concatenate([q, xp.asarray(rest)], axis=-1))


@explained
def orthogonal(
    module: M, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> M:
    """Keeps a matrix, or each of a batch of matrices, orthogonal: Q^H Q = I if it is tall, Q Q^H = I if it is wide.

    With A skew-Hermitian, made of the lower triangle of the original: "matrix_exp" takes exp(A), "cayley"
    (I + A/2) (I - A/2)^-1; "householder" is a product of reflections. With ``use_trivialization`` the result is multiplied by a
    buffer, ``module.parametrizations.weight[0].base`` (Lezcano-Casado, 2019, https://arxiv.org/abs/1909.09501). The weight
    starts as it was, made orthogonal if it was not; without ``use_trivialization`` "matrix_exp" and "cayley" start from
    their value at the present weight.

    Args:
        module: the module that has the parameter or buffer.
        name: its name.
        orthogonal_map: "matrix_exp", "cayley" or "householder"; if not given, "matrix_exp" for square or complex
            matrices, else "householder".
        use_trivialization: whether there is a ``base``.

    Shape:
        (..., m, n).

    Returns:
        the module.

    Raises:
        ValueError: if there is no such parameter or buffer, it has less than 2 axes, the map is unknown, or it is
            "householder" and the matrix complex.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.parametrizations.orthogonal.html

    Example:
        >>> import jax.numpy as jnp
        >>> from fnn import nn
        >>> q = orthogonal(nn.Linear(20, 40)).weight
        >>> bool(jnp.allclose(q.T @ q, jnp.eye(20), atol=1e-5))
        True
    """
    weight = _array_of(module, name)
    if weight.ndim < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions.")
    if orthogonal_map is None:
        square = weight.shape[-2] == weight.shape[-1]
        orthogonal_map = "matrix_exp" if square or jnp.iscomplexobj(weight) else "householder"
    if orthogonal_map not in _MAPS:
        raise ValueError(
            f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}'
        )
    parametrization = _Orthogonal(weight, orthogonal_map, use_trivialization=use_trivialization)
    return register_parametrization(module, name, parametrization, unsafe=True)


# Weight norm


class _WeightNorm(Module):
    """The parametrization of ``weight_norm``."""

    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: ArrayLike, weight_v: ArrayLike) -> jax.Array:
        """The weight."""
        return normalized_weight(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: ArrayLike) -> tuple[jax.Array, jax.Array]:
        """Magnitude and direction."""
        weight = as_array("weight_norm", "weight", weight)
        return norm_except_dim(weight, self.dim), weight


class _FromOldWeightNorm:
    """Renames what the older ``weight_norm`` saved, when it is loaded."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        old = [f"{prefix}{self.name}_g", f"{prefix}{self.name}_v"]
        if all(key in state_dict for key in old):
            for i, key in enumerate(old):
                state_dict[f"{prefix}parametrizations.{self.name}.original{i}"] = state_dict.pop(key)


@explained
def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Makes a weight of its magnitude g (``original0``) and its direction v (``original1``): w = g v / ||v||.

    Salimans and Kingma, 2016, https://arxiv.org/abs/1602.07868. What the older ``fnn.nn.utils.weight_norm`` saved can be
    loaded.

    Args:
        module: the module that has the parameter or buffer.
        name: its name.
        dim: the axis along which each slice has its own magnitude; ``None`` stands for one magnitude.

    Returns:
        the module.

    Raises:
        ValueError: if there is no such parameter or buffer.
        IndexError: if ``dim`` is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.parametrizations.weight_norm.html

    Example:
        >>> from fnn import nn
        >>> parts = weight_norm(nn.Linear(20, 40)).parametrizations.weight
        >>> parts.original0.shape, parts.original1.shape
        ((40, 1), (40, 20))
    """
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)
    module._register_load_state_dict_pre_hook(_FromOldWeightNorm(name))
    return module


# Spectral norm


class _SpectralNorm(Module):
    """The parametrization of ``spectral_norm``; the buffers ``_u`` and ``_v`` are the estimated singular vectors."""

    _keeps_form = True
    _u: Buffer
    _v: Buffer

    def __init__(self, weight: jax.Array, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        ndim = weight.ndim
        if not -ndim <= dim < ndim:
            raise IndexError(f"Dimension out of range (expected to be in range of [-{ndim}, {ndim - 1}] but got {dim})")
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.dim = dim % ndim
        self.eps = eps
        if ndim > 1:
            self.n_power_iterations = n_power_iterations
            u, v = initial_vectors("spectral_norm", weight, self.dim, 15, eps)
            self.register_buffer("_u", u)
            self.register_buffer("_v", v)

    def forward(self, weight: ArrayLike) -> jax.Array:
        """The weight over its norm; in training mode, power steps first."""
        weight = as_array("spectral_norm", "weight", weight)
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        u, v = self._u.data, self._v.data
        if self.training:
            u, v = power_iteration(weight, u, v, dim=self.dim, n=self.n_power_iterations, eps=self.eps)
            self._u.data, self._v.data = u, v
        return weight_over_sigma(weight, u, v, dim=self.dim)

    def right_inverse(self, value: jax.Array) -> jax.Array:
        """The value."""
        return value


@explained
def spectral_norm(
    module: M, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> M:
    """Divides a weight by its largest singular value, which is estimated by power steps; a vector, by its length.

    The steps are made each time the weight is read in training mode (Miyato et al., 2018,
    https://arxiv.org/abs/1802.05957).

    Args:
        module: the module that has the parameter or buffer.
        name: its name.
        n_power_iterations: power steps for each reading.
        eps: the least norm that is divided by.
        dim: the axis of the outputs; 0 if not given, and 1 for transposed convolutions.

    Returns:
        the module.

    Raises:
        ValueError: if there is no such parameter or buffer, or ``n_power_iterations`` is not positive.
        IndexError: if ``dim`` is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.parametrizations.spectral_norm.html

    Example:
        >>> import jax.numpy as jnp
        >>> from fnn import nn
        >>> m = spectral_norm(nn.Linear(20, 40), n_power_iterations=30)
        >>> bool(abs(jnp.linalg.norm(m.weight, 2) - 1) < 0.1)
        True
    """
    weight = _array_of(module, name)
    dim = default_dim(module) if dim is None else dim
    return register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))


def __dir__() -> list[str]:
    return __all__

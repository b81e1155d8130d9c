"""``softmax`` and its kin: ``softmin``, ``log_softmax``, ``gumbel_softmax``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from fnn import random
from fnn.functional.activation.common import floating, number
from fnn.functional.arrays import ArrayLike, widen
from fnn.functional.checks import as_array, fail, normalize_axis
from fnn.functional.explained import explained
from fnn.kernels.precision import minus_peak
from fnn.stateful.warning import warn

__all__ = ["gumbel_softmax", "log_softmax", "softmax", "softmin"]


def _peak(x: jax.Array, axis: int) -> jax.Array:
    return jnp.max(x, axis, keepdims=True, initial=-jnp.inf)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _softmax(x: jax.Array, axis: int) -> jax.Array:
    powers = jnp.exp(minus_peak(x, _peak(x, axis)))
    return powers / jnp.sum(powers, axis, keepdims=True)


@_softmax.defjvp
def _softmax_jvp(axis: int, primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    y = softmax_of(primals[0], axis)
    dy = y * tangents[0]
    return y, dy - y * jnp.sum(dy, axis, keepdims=True)


softmax_of: Callable[[jax.Array, int], jax.Array] = _softmax
"""The softmax of an array that has the axis."""


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _log_softmax(x: jax.Array, axis: int) -> jax.Array:
    shifted = minus_peak(x, _peak(x, axis))
    return shifted - jnp.log(jnp.sum(jnp.exp(shifted), axis, keepdims=True))


@_log_softmax.defjvp
def _log_softmax_jvp(axis: int, primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    y = log_softmax_of(primals[0], axis)
    return y, tangents[0] - jnp.sum(jnp.exp(y) * tangents[0], axis, keepdims=True)


log_softmax_of: Callable[[jax.Array, int], jax.Array] = _log_softmax
"""The logarithm of the softmax of an array that has the axis."""


@partial(jax.jit, static_argnames=("axis", "dtype", "kind"))
def _normalized(x: jax.Array, axis: int, dtype: Any, kind: str) -> jax.Array:
    x = x.astype(dtype)
    wide = widen(x if x.ndim else x[None])
    if kind == "softmin":
        wide = -wide
    out = log_softmax_of(wide, axis) if kind == "log_softmax" else softmax_of(wide, axis)
    return out.astype(dtype).reshape(x.shape)


def _softmax_family(function: str, input: ArrayLike, dim: int | None, dtype: jax.typing.DTypeLike | None) -> jax.Array:
    x = as_array(function, "input", input)
    if dtype is not None:
        dtype = jnp.dtype(dtype)
        if not jnp.issubdtype(dtype, jnp.floating):
            fail(TypeError, function, "dtype", "a floating dtype", dtype.name)
        if jnp.issubdtype(x.dtype, jnp.complexfloating):
            fail(TypeError, function, "input", "of a real dtype", x)
    else:
        dtype = floating(function, x).dtype
    if dim is None:
        dim = 0 if x.ndim in (0, 1, 3) else 1
        warn(f"{function}: leaving dim out is deprecated; dim={dim} is taken, pass it")
    return _normalized(x, normalize_axis(function, "dim", dim, x.ndim), jax.dtypes.canonicalize_dtype(dtype), function)


@explained
def softmax(
    input: ArrayLike, dim: int | None = None, _stacklevel: int = 3, dtype: jax.typing.DTypeLike | None = None
) -> jax.Array:
    """Exponentials scaled to sum to 1, ``exp(x_i) / sum_j exp(x_j)``, without overflow.

    Args:
        input: array.
        dim: the axis along which the sum is 1. Leaving it out is deprecated: 0 for rank 0, 1 and 3, else 1.
        _stacklevel: accepted and ignored.
        dtype: the input is cast to it first.

    Shape:
        - input, output: (*), alike.

    Returns:
        the array, in ``dtype`` or else the dtype of ``input``.

    Raises:
        TypeError: if the dtype is not floating.
        IndexError: if ``dim`` is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.softmax.html

    Example:
        >>> import jax.numpy as jnp
        >>> softmax(jnp.array([[0.0, 0.0], [-jnp.inf, 5.0]]), dim=1).tolist()
        [[0.5, 0.5], [0.0, 1.0]]
    """
    return _softmax_family("softmax", input, dim, dtype)


@explained
def softmin(
    input: ArrayLike, dim: int | None = None, _stacklevel: int = 3, dtype: jax.typing.DTypeLike | None = None
) -> jax.Array:
    """``softmax(-x)``.

    Args:
        input: array.
        dim: the axis along which the sum is 1. Leaving it out is deprecated: 0 for rank 0, 1 and 3, else 1.
        _stacklevel: accepted and ignored.
        dtype: the input is cast to it first.

    Shape:
        - input, output: (*), alike.

    Returns:
        the array, in ``dtype`` or else the dtype of ``input``.

    Raises:
        TypeError: if the dtype is not floating.
        IndexError: if ``dim`` is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.softmin.html

    Example:
        >>> import jax.numpy as jnp
        >>> softmin(jnp.array([0.0, jnp.inf]), dim=0).tolist()
        [1.0, 0.0]
    """
    return _softmax_family("softmin", input, dim, dtype)


@explained
def log_softmax(
    input: ArrayLike, dim: int | None = None, _stacklevel: int = 3, dtype: jax.typing.DTypeLike | None = None
) -> jax.Array:
    """Logarithm of ``softmax``, ``x_i - log(sum_j exp(x_j))``, without overflow or underflow.

    Args:
        input: array.
        dim: the axis of the sum. Leaving it out is deprecated: 0 for rank 0, 1 and 3, else 1.
        _stacklevel: accepted and ignored.
        dtype: the input is cast to it first.

    Shape:
        - input, output: (*), alike.

    Returns:
        the array, in ``dtype`` or else the dtype of ``input``.

    Raises:
        TypeError: if the dtype is not floating.
        IndexError: if ``dim`` is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.log_softmax.html

    Example:
        >>> import jax.numpy as jnp
        >>> log_softmax(jnp.array([0.0, -1000.0]), dim=0).tolist()
        [0.0, -1000.0]
    """
    return _softmax_family("log_softmax", input, dim, dtype)


@partial(jax.jit, static_argnames=("hard", "axis"))
def _gumbel_softmax(key: Any, logits: jax.Array, tau: Any, hard: bool, axis: int) -> jax.Array:
    wide = widen(logits if logits.ndim else logits[None])
    noisy = (wide + jax.random.gumbel(key, wide.shape, wide.dtype)) / jnp.asarray(tau).astype(wide.dtype)
    soft = softmax_of(noisy, axis)
    if hard and soft.size:
        best = jnp.argmax(soft, axis, keepdims=True)
        one_hot = (lax.broadcasted_iota(best.dtype, soft.shape, axis) == best).astype(soft.dtype)
        # The difference is exactly 0, and carries the gradient of the soft sample.
        soft = one_hot + (soft - lax.stop_gradient(soft))
    return soft.astype(logits.dtype).reshape(logits.shape)


@explained
def gumbel_softmax(
    logits: ArrayLike,
    tau: float = 1,
    hard: bool = False,
    eps: float = 1e-10,
    dim: int = -1,
    *,
    rng: jax.Array | None = None,
) -> jax.Array:
    """Sample of a relaxed categorical distribution, ``softmax((logits + g) / tau)`` with Gumbel noise ``g``.

    Args:
        logits: unnormalized log-probabilities.
        tau: temperature.
        hard: return the sample as an exact one-hot array with the gradient of the soft one (straight through).
        eps: deprecated, without effect.
        dim: the axis of the categories.
        rng: a JAX PRNG key; without it the ambient source gives one.

    Shape:
        - logits, output: (*), alike.

    Returns:
        samples that sum to 1 along ``dim``.

    Raises:
        TypeError: if the dtype is not floating or ``tau`` is no number.
        IndexError: if ``dim`` is out of range.
        RuntimeError: under a JAX transformation without a key.

    Source: Jang et al., Categorical Reparameterization with Gumbel-Softmax, 2016;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.gumbel_softmax.html

    Example:
        >>> import jax, jax.numpy as jnp
        >>> sorted(gumbel_softmax(jnp.zeros(3), hard=True, rng=jax.random.key(0)).tolist())
        [0.0, 0.0, 1.0]
    """
    if isinstance(eps, jax.Array) or eps != 1e-10:
        warn("gumbel_softmax: eps is deprecated and has no effect")
    x = floating("gumbel_softmax", logits, "logits")
    axis = normalize_axis("gumbel_softmax", "dim", dim, x.ndim)
    tau = number("gumbel_softmax", "tau", tau)
    return _gumbel_softmax(random.next_key("gumbel_softmax", rng), x, tau, bool(hard), axis)

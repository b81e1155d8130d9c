"""Initializers as pure functions of a key and a shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import DTypeLike

from fnn import random
from fnn.functional.arrays import known
from fnn.functional.explained import explained
from fnn.nn.init.fans import calculate_gain, fan, fans
from fnn.random.draws import on_device
from fnn.stateful.warning import warn

Shape: TypeAlias = Sequence[int]


def _check_rank(function: str, shape: Shape, ranks: Sequence[int]) -> None:
    if len(shape) not in ranks:
        names = " or ".join(map(str, ranks))
        raise ValueError(f"{function}: only tensors of {names} dimensions are supported, got shape {tuple(shape)}")


def _check_floating(function: str, dtype: DTypeLike) -> None:
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"{function}: the dtype must be real and floating, got {jnp.dtype(dtype)}")


def _check_bounds(function: str, dtype: DTypeLike, a: Any, b: Any, what: str = "a and b") -> None:
    """Raises unless the bounds, as far as they are known, are numbers of the dtype in this order, and so is their distance."""
    _check_floating(function, dtype)
    ends = [known(v) for v in (a, b)]
    if any(v is None or v.ndim for v in ends):
        return
    low, high = (float(v) for v in ends if v is not None)
    most = float(jnp.finfo(dtype).max)
    if not (-most <= low <= high <= most and high - low <= most):
        raise RuntimeError(f"{function}: {what} must be finite numbers in rising order, got {low:g} and {high:g}")


def _check_std(function: str, std: Any) -> None:
    value = known(std)
    if value is not None and not np.all(value >= 0):
        raise RuntimeError(f"{function}: the standard deviation (std) must be at least 0, got {std}")


def _drawn_normal(function: str, key: jax.Array, shape: Shape, dtype: DTypeLike, mean: Any, std: Any) -> jax.Array:
    """Normal numbers; complex ones have independent parts of half the variance."""
    if not jnp.issubdtype(dtype, jnp.inexact):
        raise TypeError(f"{function}: the dtype must be floating, got {jnp.dtype(dtype)}")
    _check_std(function, std)
    if not jnp.issubdtype(dtype, jnp.complexfloating):
        return random.normal(key, shape, dtype, mean, std)
    parts = random.normal(key, (2, *shape), jnp.finfo(dtype).dtype, 0.0, std / math.sqrt(2))
    real, imaginary = parts if isinstance(parts, Tracer) else np.asarray(parts)
    return on_device((mean + (real + 1j * imaginary)).astype(dtype))


@explained
def uniform(key: jax.Array, shape: Shape, dtype: DTypeLike = jnp.float32, a: float = 0.0, b: float = 1.0) -> jax.Array:
    """Uniform numbers in [a, b).

    Args:
        key: a JAX PRNG key.
        shape: shape of the array.
        dtype: its dtype.
        a: least number.
        b: upper bound.

    Returns:
        an array of that shape and dtype.

    Raises:
        RuntimeError: if a bound is not finite, or ``a`` exceeds ``b``.
        TypeError: if the dtype is not floating.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.uniform_

    Example:
        >>> import jax
        >>> uniform(jax.random.key(0), (2, 3)).shape
        (2, 3)
    """
    _check_bounds("uniform", dtype, a, b)
    return random.uniform(key, shape, dtype, a, b)


@explained
def normal(
    key: jax.Array, shape: Shape, dtype: DTypeLike = jnp.float32, mean: float = 0.0, std: float = 1.0
) -> jax.Array:
    """Normal numbers.

    Args:
        key: a JAX PRNG key.
        shape: shape of the array.
        dtype: its dtype.
        mean: their mean.
        std: their standard deviation.

    Returns:
        an array of that shape and dtype.

    Raises:
        RuntimeError: if ``std`` is negative.
        TypeError: if the dtype is not floating.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.normal_

    Example:
        >>> import jax
        >>> normal(jax.random.key(0), (2, 3)).shape
        (2, 3)
    """
    return _drawn_normal("normal", key, shape, dtype, mean, std)


@explained
def trunc_normal(
    key: jax.Array,
    shape: Shape,
    dtype: DTypeLike = jnp.float32,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
) -> jax.Array:
    """Normal numbers conditioned on lying in [a, b].

    Args:
        key: a JAX PRNG key.
        shape: shape of the array.
        dtype: its dtype.
        mean: mean of the normal distribution.
        std: its standard deviation.
        a: least number.
        b: greatest number.

    Returns:
        an array of that shape and dtype.

    Raises:
        RuntimeError: if ``a`` exceeds ``b``, or mean or standard deviation are not finite.
        ZeroDivisionError: if ``std`` is 0.
        TypeError: if the dtype is not floating.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.trunc_normal_

    Example:
        >>> import jax
        >>> trunc_normal(jax.random.key(0), (2, 3)).shape
        (2, 3)
    """
    _check_floating("trunc_normal", dtype)
    if not (a <= b and math.isfinite(mean) and math.isfinite(std)):
        raise RuntimeError(
            f"trunc_normal: mean and std must be finite and a at most b, got mean {mean}, std {std}, a {a}, b {b}"
        )
    if std == 0:
        raise ZeroDivisionError("trunc_normal: std must not be 0")
    return random.truncated_normal(key, shape, dtype, mean, abs(std), a, b)


@explained
def constant(key: jax.Array | None, shape: Shape, dtype: DTypeLike = jnp.float32, val: float = 0.0) -> jax.Array:
    """An array of one number.

    Args:
        key: not used; it is there so that all initializers are called alike.
        shape: shape of the array.
        dtype: its dtype.
        val: the number.

    Returns:
        an array of that shape and dtype.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.constant_

    Example:
        >>> constant(None, (2,), val=3.0).tolist()
        [3.0, 3.0]
    """
    return jax.device_put(np.full(tuple(shape), val, dtype))


@explained
def ones(key: jax.Array | None, shape: Shape, dtype: DTypeLike = jnp.float32) -> jax.Array:
    """An array of ones.

    Args:
        key: not used; it is there so that all initializers are called alike.
        shape: shape of the array.
        dtype: its dtype.

    Returns:
        an array of that shape and dtype.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.ones_

    Example:
        >>> ones(None, (2,)).tolist()
        [1.0, 1.0]
    """
    return constant(key, shape, dtype, 1.0)


@explained
def zeros(key: jax.Array | None, shape: Shape, dtype: DTypeLike = jnp.float32) -> jax.Array:
    """An array of zeros.

    Args:
        key: not used; it is there so that all initializers are called alike.
        shape: shape of the array.
        dtype: its dtype.

    Returns:
        an array of that shape and dtype.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.zeros_

    Example:
        >>> zeros(None, (2,)).tolist()
        [0.0, 0.0]
    """
    return constant(key, shape, dtype, 0.0)


@explained
def eye(key: jax.Array | None, shape: Shape, dtype: DTypeLike = jnp.float32) -> jax.Array:
    """The identity matrix.

    Args:
        key: not used; it is there so that all initializers are called alike.
        shape: shape of the array.
        dtype: its dtype.

    Returns:
        an array of that shape and dtype.

    Raises:
        ValueError: if the shape has not 2 axes.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.eye_

    Example:
        >>> eye(None, (2, 2)).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    _check_rank("eye", shape, (2,))
    return on_device(np.eye(shape[0], shape[1]).astype(dtype))


@explained
def dirac(key: jax.Array | None, shape: Shape, dtype: DTypeLike = jnp.float32, groups: int = 1) -> jax.Array:
    """A convolution weight that passes its input channels on, each to the output channel of the same number in its group.

    Args:
        key: not used; it is there so that all initializers are called alike.
        shape: shape of the weight, (out, in, *kernel).
        dtype: its floating dtype.
        groups: number of groups of the convolution.

    Returns:
        an array of that shape and dtype.

    Raises:
        ValueError: if the shape has not 3 to 5 axes, or ``groups`` does not divide its first.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.dirac_

    Example:
        >>> dirac(None, (1, 1, 3)).tolist()
        [[[0.0, 1.0, 0.0]]]
    """
    _check_rank("dirac", shape, (3, 4, 5))
    if shape[0] % groups != 0:
        raise ValueError(f"dirac: dim 0 must be divisible by groups, got {shape[0]} and groups={groups}")
    out = np.zeros(tuple(shape))
    per_group = shape[0] // groups
    centre = tuple(n // 2 for n in shape[2:])
    for group in range(groups):
        for channel in range(min(per_group, shape[1])):
            out[(group * per_group + channel, channel, *centre)] = 1
    return on_device(out.astype(dtype))


@explained
def xavier_uniform(key: jax.Array, shape: Shape, dtype: DTypeLike = jnp.float32, gain: float = 1.0) -> jax.Array:
    r"""Uniform numbers whose scale keeps the variance of activations and of gradients.

    .. math:: w \sim U(-b, b), \quad b = \mathrm{gain} \sqrt{6 / (\mathrm{fan\_in} + \mathrm{fan\_out})}

    Args:
        key: a JAX PRNG key.
        shape: shape of the weight, (out, in, *kernel).
        dtype: its floating dtype.
        gain: factor of the scale, as ``calculate_gain`` gives it.

    Returns:
        an array of that shape and dtype.

    Raises:
        ValueError: if the shape has fewer than 2 axes.
        RuntimeError: if ``gain`` is negative.
        TypeError: if the dtype is not floating.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.xavier_uniform_; Glorot and Bengio, Understanding
    the difficulty of training deep feedforward neural networks (2010)

    Example:
        >>> import jax
        >>> xavier_uniform(jax.random.key(0), (3, 3)).shape
        (3, 3)
    """
    bound = gain * math.sqrt(6.0 / sum(fans("xavier_uniform", shape)))
    _check_bounds("xavier_uniform", dtype, -bound, bound, "the bounds that gain makes")
    return random.uniform(key, shape, dtype, -bound, bound)


@explained
def xavier_normal(key: jax.Array, shape: Shape, dtype: DTypeLike = jnp.float32, gain: float = 1.0) -> jax.Array:
    r"""Normal numbers whose scale keeps the variance of activations and of gradients.

    .. math:: w \sim N(0, s^2), \quad s = \mathrm{gain} \sqrt{2 / (\mathrm{fan\_in} + \mathrm{fan\_out})}

    Args:
        key: a JAX PRNG key.
        shape: shape of the weight, (out, in, *kernel).
        dtype: its floating dtype.
        gain: factor of the scale, as ``calculate_gain`` gives it.

    Returns:
        an array of that shape and dtype.

    Raises:
        ValueError: if the shape has fewer than 2 axes.
        RuntimeError: if ``gain`` is negative.
        TypeError: if the dtype is not floating.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.xavier_normal_; Glorot and Bengio, Understanding
    the difficulty of training deep feedforward neural networks (2010)

    Example:
        >>> import jax
        >>> xavier_normal(jax.random.key(0), (3, 3)).shape
        (3, 3)
    """
    std = gain * math.sqrt(2.0 / sum(fans("xavier_normal", shape)))
    return _drawn_normal("xavier_normal", key, shape, dtype, 0.0, std)


@explained
def kaiming_uniform(
    key: jax.Array,
    shape: Shape,
    dtype: DTypeLike = jnp.float32,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
) -> jax.Array:
    r"""Uniform numbers whose scale keeps the variance through a rectifier.

    .. math:: w \sim U(-b, b), \quad b = \mathrm{gain} \sqrt{3 / \mathrm{fan}}

    Args:
        key: a JAX PRNG key.
        shape: shape of the weight, (out, in, *kernel).
        dtype: its floating dtype.
        a: slope of the leaky relu that follows.
        mode: "fan_in" keeps the variance of activations, "fan_out" that of gradients.
        nonlinearity: name of the function that follows, given to ``calculate_gain``.

    Returns:
        an array of that shape and dtype.

    Raises:
        ValueError: if the shape has fewer than 2 axes, or an option is unknown.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.kaiming_uniform_; He et al., Delving Deep into
    Rectifiers (2015), https://arxiv.org/abs/1502.01852

    Example:
        >>> import jax
        >>> kaiming_uniform(jax.random.key(0), (3, 3)).shape
        (3, 3)
    """
    if 0 in shape:
        warn("kaiming_uniform: initializing a tensor of zero elements does nothing")
        return zeros(key, shape, dtype)
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3.0 / fan("kaiming_uniform", shape, mode))
    _check_bounds("kaiming_uniform", dtype, -bound, bound, "the bounds that the slope makes")
    return random.uniform(key, shape, dtype, -bound, bound)


@explained
def kaiming_normal(
    key: jax.Array,
    shape: Shape,
    dtype: DTypeLike = jnp.float32,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
) -> jax.Array:
    r"""Normal numbers whose scale keeps the variance through a rectifier.

    .. math:: w \sim N(0, s^2), \quad s = \mathrm{gain} / \sqrt{\mathrm{fan}}

    Args:
        key: a JAX PRNG key.
        shape: shape of the weight, (out, in, *kernel).
        dtype: its floating dtype.
        a: slope of the leaky relu that follows.
        mode: "fan_in" keeps the variance of activations, "fan_out" that of gradients.
        nonlinearity: name of the function that follows, given to ``calculate_gain``.

    Returns:
        an array of that shape and dtype.

    Raises:
        ValueError: if the shape has fewer than 2 axes, or an option is unknown.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.kaiming_normal_; He et al., Delving Deep into
    Rectifiers (2015), https://arxiv.org/abs/1502.01852

    Example:
        >>> import jax
        >>> kaiming_normal(jax.random.key(0), (3, 3)).shape
        (3, 3)
    """
    if 0 in shape:
        warn("kaiming_normal: initializing a tensor of zero elements does nothing")
        return zeros(key, shape, dtype)
    std = calculate_gain(nonlinearity, a) / math.sqrt(fan("kaiming_normal", shape, mode))
    return _drawn_normal("kaiming_normal", key, shape, dtype, 0.0, std)


@explained
def orthogonal(key: jax.Array, shape: Shape, dtype: DTypeLike = jnp.float32, gain: float = 1) -> jax.Array:
    """A (semi-)orthogonal matrix times ``gain``; trailing axes are flattened.

    Args:
        key: a JAX PRNG key.
        shape: shape of the weight, (out, in, *kernel).
        dtype: its floating dtype.
        gain: the factor.

    Returns:
        an array of that shape and dtype.

    Raises:
        ValueError: if the shape has fewer than 2 axes.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.orthogonal_; Saxe et al., Exact solutions to the
    nonlinear dynamics of learning in deep linear neural networks (2013), https://arxiv.org/abs/1312.6120

    Example:
        >>> import jax
        >>> w = orthogonal(jax.random.key(0), (2, 3))
        >>> bool(abs(w @ w.T - jnp.eye(2)).max() < 1e-5)
        True
    """
    if len(shape) < 2:
        raise ValueError(f"orthogonal: only tensors with 2 or more dimensions are supported, got shape {tuple(shape)}")
    _check_floating("orthogonal", dtype)
    rows, columns = shape[0], math.prod(shape[1:])
    wide = jnp.float64 if jnp.dtype(dtype) == np.float64 else jnp.float32
    flat = random.normal(key, (max(rows, columns), min(rows, columns)), wide)
    concrete = not isinstance(flat, Tracer)
    xp: Any = np if concrete else jnp
    q, r = xp.linalg.qr(np.asarray(flat) if concrete else flat)
    q = q * xp.where(xp.diagonal(r) < 0, -1, 1).astype(wide)
    q = q.T if rows < columns else q
    return on_device((gain * q).astype(dtype).reshape(tuple(shape)))


@explained
def sparse(
    key: jax.Array, shape: Shape, dtype: DTypeLike = jnp.float32, sparsity: float = 0.0, std: float = 0.01
) -> jax.Array:
    """Normal numbers with a share of each column set to zero.

    Args:
        key: a JAX PRNG key.
        shape: shape of the array.
        dtype: its dtype.
        sparsity: share of zeros in each column, rounded up to whole elements.
        std: standard deviation of the others.

    Returns:
        an array of that shape and dtype.

    Raises:
        ValueError: if the shape has not 2 axes.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.sparse_; Martens, Deep learning via Hessian-free
    optimization (2010)

    Example:
        >>> import jax
        >>> (sparse(jax.random.key(0), (10, 2), sparsity=0.3) == 0).sum(0).tolist()
        [3, 3]
    """
    _check_rank("sparse", shape, (2,))
    _check_floating("sparse", dtype)
    _check_std("sparse", std)
    rows, columns = shape
    zeroed = math.ceil(sparsity * rows)
    drawn = random.normal(key, (2, rows, columns), jnp.float64 if jnp.dtype(dtype) == np.float64 else jnp.float32)
    xp: Any = jnp if isinstance(drawn, Tracer) else np
    # Which are zero goes by the order of numbers that have no other part in it.
    ranks, values = xp.asarray(drawn)
    stable: Any = {"stable": True} if xp is jnp else {"kind": "stable"}
    order = xp.argsort(ranks, axis=0, **stable)
    keep = xp.argsort(order, axis=0, **stable) >= zeroed
    return on_device(xp.where(keep, values * std, 0).astype(dtype))

"""Initializers, in two forms: pure ``xavier_uniform(key, shape)``, and ``xavier_uniform_(param)`` that fills a Parameter.

A trailing underscore fills a Parameter or Buffer in place and returns it; given an array it returns a new one.
Every function follows https://docs.pytorch.org/docs/2.13/nn.init.html.
"""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fnn import random
from fnn.nn.array_box import ArrayBox

__all__ = [
    "calculate_gain",
    "constant",
    "constant_",
    "dirac",
    "dirac_",
    "eye",
    "eye_",
    "kaiming_normal",
    "kaiming_normal_",
    "kaiming_uniform",
    "kaiming_uniform_",
    "normal",
    "normal_",
    "ones",
    "ones_",
    "orthogonal",
    "orthogonal_",
    "sparse",
    "sparse_",
    "trunc_normal",
    "trunc_normal_",
    "uniform",
    "uniform_",
    "xavier_normal",
    "xavier_normal_",
    "xavier_uniform",
    "xavier_uniform_",
    "zeros",
    "zeros_",
]

Shape = Sequence[int]

_UNIT_GAIN = [
    "linear",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "sigmoid",
]


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The recommended gain of a nonlinearity: 1 for linear maps and sigmoid, 5/3 for tanh, sqrt(2) for relu, ...

    Args:
        nonlinearity: name of the function in ``fnn.nn.functional``.
        param: slope of ``leaky_relu`` (0.01 if not given).

    Raises:
        ValueError: if the name is unknown, or ``param`` is no number.

    Example:
        >>> calculate_gain("leaky_relu", 0.2)
        1.3867504905630728
    """
    if nonlinearity in _UNIT_GAIN:
        return 1.0
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        if param is not None and (isinstance(param, bool) or not isinstance(param, int | float)):
            raise ValueError(f"calculate_gain: param must be a number, got {param!r}")
        return math.sqrt(2.0 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity == "selu":
        return 3.0 / 4
    raise ValueError(f"calculate_gain: nonlinearity must be a known name, got {nonlinearity!r}")


def _fans(function: str, shape: Shape) -> tuple[int, int]:
    if len(shape) < 2:
        raise ValueError(f"{function}: fan in and fan out need a shape of at least 2 axes, got {tuple(shape)}")
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def _fan(function: str, shape: Shape, mode: str) -> int:
    if not isinstance(mode, str) or mode.lower() not in ("fan_in", "fan_out"):
        raise ValueError(f"{function}: mode must be 'fan_in' or 'fan_out', got {mode!r}")
    return _fans(function, shape)[mode.lower() == "fan_out"]


def _check_rank(function: str, shape: Shape, ranks: Sequence[int]) -> None:
    if len(shape) not in ranks:
        names = " or ".join(map(str, ranks))
        raise ValueError(f"{function}: only tensors of {names} dimensions are supported, got shape {tuple(shape)}")


# Pure forms


def uniform(key: Any, shape: Shape, dtype: Any = jnp.float32, a: float = 0.0, b: float = 1.0) -> jax.Array:
    """Uniform numbers in [a, b).

    Example:
        >>> import jax
        >>> uniform(jax.random.key(0), (2, 3)).shape
        (2, 3)
    """
    return random.uniform(key, shape, dtype, a, b)


def normal(key: Any, shape: Shape, dtype: Any = jnp.float32, mean: float = 0.0, std: float = 1.0) -> jax.Array:
    """Normal numbers.

    Example:
        >>> import jax
        >>> normal(jax.random.key(0), (2, 3)).shape
        (2, 3)
    """
    return random.normal(key, shape, dtype, mean, std)


def trunc_normal(
    key: Any,
    shape: Shape,
    dtype: Any = jnp.float32,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
) -> jax.Array:
    """Normal numbers conditioned on lying in [a, b].

    Example:
        >>> import jax
        >>> trunc_normal(jax.random.key(0), (2, 3)).shape
        (2, 3)
    """
    return random.truncated_normal(key, shape, dtype, mean, std, a, b)


def constant(key: Any, shape: Shape, dtype: Any = jnp.float32, val: float = 0.0) -> jax.Array:
    """An array of ``val``; ``key`` is not used.

    Example:
        >>> constant(None, (2,), val=3.0).tolist()
        [3.0, 3.0]
    """
    return jax.device_put(np.full(tuple(shape), val, dtype))


def ones(key: Any, shape: Shape, dtype: Any = jnp.float32) -> jax.Array:
    """An array of ones; ``key`` is not used.

    Example:
        >>> ones(None, (2,)).tolist()
        [1.0, 1.0]
    """
    return constant(key, shape, dtype, 1.0)


def zeros(key: Any, shape: Shape, dtype: Any = jnp.float32) -> jax.Array:
    """An array of zeros; ``key`` is not used.

    Example:
        >>> zeros(None, (2,)).tolist()
        [0.0, 0.0]
    """
    return constant(key, shape, dtype, 0.0)


def eye(key: Any, shape: Shape, dtype: Any = jnp.float32) -> jax.Array:
    """The identity matrix; ``key`` is not used.

    Raises:
        ValueError: if the shape has not 2 axes.

    Example:
        >>> eye(None, (2, 2)).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    _check_rank("eye", shape, (2,))
    return jnp.asarray(np.eye(shape[0], shape[1]).astype(dtype))


def dirac(key: Any, shape: Shape, dtype: Any = jnp.float32, groups: int = 1) -> jax.Array:
    """A convolution weight that passes its input channels on, each to the output channel of the same number in its group.

    Raises:
        ValueError: if the shape has not 3 to 5 axes, or ``groups`` does not divide its first.

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
    return jnp.asarray(out.astype(dtype))


def xavier_uniform(key: Any, shape: Shape, dtype: Any = jnp.float32, gain: float = 1.0) -> jax.Array:
    """Uniform in +-gain * sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010).

    Raises:
        ValueError: if the shape has fewer than 2 axes.

    Example:
        >>> import jax
        >>> xavier_uniform(jax.random.key(0), (3, 3)).shape
        (3, 3)
    """
    bound = gain * math.sqrt(6.0 / sum(_fans("xavier_uniform", shape)))
    return random.uniform(key, shape, dtype, -bound, bound)


def xavier_normal(key: Any, shape: Shape, dtype: Any = jnp.float32, gain: float = 1.0) -> jax.Array:
    """Normal with std gain * sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio, 2010).

    Raises:
        ValueError: if the shape has fewer than 2 axes.

    Example:
        >>> import jax
        >>> xavier_normal(jax.random.key(0), (3, 3)).shape
        (3, 3)
    """
    return random.normal(key, shape, dtype, 0.0, gain * math.sqrt(2.0 / sum(_fans("xavier_normal", shape))))


def kaiming_uniform(
    key: Any,
    shape: Shape,
    dtype: Any = jnp.float32,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
) -> jax.Array:
    """Uniform in +-gain * sqrt(3 / fan) (He et al., 2015).

    Args:
        key: a JAX PRNG key.
        shape: shape of the weight.
        dtype: floating dtype.
        a: slope of the leaky relu that follows.
        mode: "fan_in" or "fan_out".
        nonlinearity: name given to ``calculate_gain``.

    Raises:
        ValueError: if the shape has fewer than 2 axes, or an option is unknown.

    Example:
        >>> import jax
        >>> kaiming_uniform(jax.random.key(0), (3, 3)).shape
        (3, 3)
    """
    if 0 in shape:
        warnings.warn("kaiming_uniform: initializing a tensor of zero elements does nothing", UserWarning, stacklevel=2)
        return zeros(key, shape, dtype)
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3.0 / _fan("kaiming_uniform", shape, mode))
    return random.uniform(key, shape, dtype, -bound, bound)


def kaiming_normal(
    key: Any,
    shape: Shape,
    dtype: Any = jnp.float32,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
) -> jax.Array:
    """Normal with std gain / sqrt(fan) (He et al., 2015); arguments and errors as ``kaiming_uniform``.

    Example:
        >>> import jax
        >>> kaiming_normal(jax.random.key(0), (3, 3)).shape
        (3, 3)
    """
    if 0 in shape:
        warnings.warn("kaiming_normal: initializing a tensor of zero elements does nothing", UserWarning, stacklevel=2)
        return zeros(key, shape, dtype)
    std = calculate_gain(nonlinearity, a) / math.sqrt(_fan("kaiming_normal", shape, mode))
    return random.normal(key, shape, dtype, 0.0, std)


def orthogonal(key: Any, shape: Shape, dtype: Any = jnp.float32, gain: float = 1) -> jax.Array:
    """A (semi-)orthogonal matrix times ``gain``; trailing axes are flattened (Saxe et al., 2013).

    Raises:
        ValueError: if the shape has fewer than 2 axes.

    Example:
        >>> import jax
        >>> w = orthogonal(jax.random.key(0), (2, 3))
        >>> bool(abs(w @ w.T - jnp.eye(2)).max() < 1e-5)
        True
    """
    if len(shape) < 2:
        raise ValueError(f"orthogonal: only tensors with 2 or more dimensions are supported, got shape {tuple(shape)}")
    rows, columns = shape[0], math.prod(shape[1:])
    wide = jnp.float64 if jnp.dtype(dtype) == np.float64 else jnp.float32
    flat = random.normal(key, (max(rows, columns), min(rows, columns)), wide)
    concrete = not isinstance(flat, Tracer)
    xp: Any = np if concrete else jnp
    q, r = xp.linalg.qr(np.asarray(flat) if concrete else flat)
    q = q * xp.where(xp.diagonal(r) < 0, -1, 1).astype(wide)
    q = q.T if rows < columns else q
    return jnp.asarray((gain * q).astype(dtype).reshape(tuple(shape)))


def sparse(key: Any, shape: Shape, dtype: Any = jnp.float32, sparsity: float = 0.0, std: float = 0.01) -> jax.Array:
    """Normal numbers with a fraction ``sparsity`` of each column set to zero (Martens, 2010).

    Raises:
        ValueError: if the shape has not 2 axes.

    Example:
        >>> import jax
        >>> (sparse(jax.random.key(0), (10, 2), sparsity=0.3) == 0).sum(0).tolist()
        [3, 3]
    """
    _check_rank("sparse", shape, (2,))
    rows, columns = shape
    zeroed = math.ceil(sparsity * rows)
    first, second = jax.random.split(key)
    order = jnp.argsort(random.uniform(first, (rows, columns)), axis=0)
    keep = jnp.argsort(order, axis=0) >= zeroed
    return jnp.where(keep, random.normal(second, shape, dtype, 0.0, std), jnp.zeros((), dtype))


# Forms that fill


class _Skipping(threading.local):
    skip = False


_skipping = _Skipping()


@contextmanager
def skipped() -> Iterator[None]:
    """Within it, the forms that fill a Parameter leave it as it is and draw nothing."""
    before, _skipping.skip = _skipping.skip, True
    try:
        yield
    finally:
        _skipping.skip = before


def _fill(function: str, tensor: Any, generator: random.Generator | None, make: Callable[[Any, Any, Any], Any]) -> Any:
    if not hasattr(tensor, "shape") or not hasattr(tensor, "dtype"):
        raise TypeError(f"{function}: tensor must be a Parameter, a Buffer or an array, got {type(tensor).__name__}")
    if generator is not None and not isinstance(generator, random.Generator):
        raise TypeError(f"{function}: generator must be an fnn.Generator, got {type(generator).__name__}")
    if _skipping.skip:
        return tensor
    source = random.current_generator() if generator is None else generator
    value = make(_LazyKey(function, source), tuple(tensor.shape), tensor.dtype)
    if isinstance(tensor, ArrayBox):
        tensor.data = _beside(value, tensor.data)
        return tensor
    return value


def _beside(value: jax.Array, old: jax.Array) -> jax.Array:
    """The value on the devices of the array that it replaces."""
    if isinstance(value, Tracer) or isinstance(old, Tracer) or value.sharding == old.sharding:
        return value
    return jax.device_put(value, old.sharding)


class _LazyKey:
    """Draws the key only if an initializer asks for it."""

    def __init__(self, function: str, source: random.Generator) -> None:
        self.function = function
        self.source = source

    def draw(self) -> Any:
        if self.source is random.current_generator():
            return random.next_key(self.function)
        return self.source.next_key()


def uniform_(tensor: Any, a: float = 0.0, b: float = 1.0, generator: random.Generator | None = None) -> Any:
    """Fills with uniform numbers in [a, b)."""
    return _fill("uniform_", tensor, generator, lambda k, s, d: uniform(k.draw(), s, d, a, b))


def normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, generator: random.Generator | None = None) -> Any:
    """Fills with normal numbers."""
    return _fill("normal_", tensor, generator, lambda k, s, d: normal(k.draw(), s, d, mean, std))


def trunc_normal_(
    tensor: Any,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: random.Generator | None = None,
) -> Any:
    """Fills with normal numbers conditioned on lying in [a, b]."""
    return _fill("trunc_normal_", tensor, generator, lambda k, s, d: trunc_normal(k.draw(), s, d, mean, std, a, b))


def constant_(tensor: Any, val: float) -> Any:
    """Fills with ``val``."""
    return _fill("constant_", tensor, None, lambda k, s, d: constant(None, s, d, val))


def ones_(tensor: Any) -> Any:
    """Fills with ones."""
    return _fill("ones_", tensor, None, lambda k, s, d: ones(None, s, d))


def zeros_(tensor: Any) -> Any:
    """Fills with zeros."""
    return _fill("zeros_", tensor, None, lambda k, s, d: zeros(None, s, d))


def eye_(tensor: Any) -> Any:
    """Fills a matrix with the identity."""
    return _fill("eye_", tensor, None, lambda k, s, d: eye(None, s, d))


def dirac_(tensor: Any, groups: int = 1) -> Any:
    """Fills a convolution weight so that it passes its channels on."""
    return _fill("dirac_", tensor, None, lambda k, s, d: dirac(None, s, d, groups))


def xavier_uniform_(tensor: Any, gain: float = 1.0, generator: random.Generator | None = None) -> Any:
    """Fills as ``xavier_uniform``."""
    return _fill("xavier_uniform_", tensor, generator, lambda k, s, d: xavier_uniform(k.draw(), s, d, gain))


def xavier_normal_(tensor: Any, gain: float = 1.0, generator: random.Generator | None = None) -> Any:
    """Fills as ``xavier_normal``."""
    return _fill("xavier_normal_", tensor, generator, lambda k, s, d: xavier_normal(k.draw(), s, d, gain))


def kaiming_uniform_(
    tensor: Any,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: random.Generator | None = None,
) -> Any:
    """Fills as ``kaiming_uniform``."""
    return _fill(
        "kaiming_uniform_", tensor, generator, lambda k, s, d: kaiming_uniform(k.draw(), s, d, a, mode, nonlinearity)
    )


def kaiming_normal_(
    tensor: Any,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: random.Generator | None = None,
) -> Any:
    """Fills as ``kaiming_normal``."""
    return _fill(
        "kaiming_normal_", tensor, generator, lambda k, s, d: kaiming_normal(k.draw(), s, d, a, mode, nonlinearity)
    )


def orthogonal_(tensor: Any, gain: float = 1, generator: random.Generator | None = None) -> Any:
    """Fills as ``orthogonal``."""
    return _fill("orthogonal_", tensor, generator, lambda k, s, d: orthogonal(k.draw(), s, d, gain))


def sparse_(tensor: Any, sparsity: float, std: float = 0.01, generator: random.Generator | None = None) -> Any:
    """Fills a matrix as ``sparse``."""
    return _fill("sparse_", tensor, generator, lambda k, s, d: sparse(k.draw(), s, d, sparsity, std))

"""Draws with the distributions of torch's Tensor methods, and the key they use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnn import random
from fnn.functional.arrays import ArrayLike, index_dtype, known, widen
from fnn.functional.checks import as_array, as_int, check_floating, fail
from fnn.random.draws import unit_tail
from fnn.tensor.promotion import kind_of

Shape = Sequence[int]


def next_key(function: str, generator: random.Generator | None) -> Any:
    """A key of the generator, or of the ambient source.

    Raises:
        TypeError: if it is no ``fnn.Generator``.
        RuntimeError: under a JAX transformation that fnn does not run, where there is no source of keys.
    """
    if generator is None or generator is random.current_generator():
        return random.next_key(function)
    if not isinstance(generator, random.Generator):
        fail(TypeError, function, "generator", "an fnn.Generator", generator)
    return generator.next_key()


def check_number(function: str, argument: str, value: Any, low: float = -math.inf, strict: bool = False) -> None:
    """Raises unless a value is a number, or an array, of at least (``strict``: above) ``low``."""
    if isinstance(value, bool) or not (isinstance(value, int | float) or hasattr(value, "dtype")):
        fail(TypeError, function, argument, "a number", value)
    values = known(value)
    if values is not None and not np.all(values > low if strict else values >= low):
        fail(ValueError, function, argument, f"{'above' if strict else 'at least'} {low:g}", value)


def uniform(key: Any, shape: Shape, dtype: Any, low: float, high: float) -> jax.Array:
    """Uniform numbers in [low, high)."""
    return random.uniform(key, shape, dtype, low, high)


def normal(key: Any, shape: Shape, dtype: Any, mean: float, std: float) -> jax.Array:
    """Normal numbers."""
    return random.normal(key, shape, dtype, mean, std)


def _tail(key: Any, shape: Shape, dtype: Any) -> tuple[jax.Array, jax.Array]:
    """Uniform numbers by their distance to the nearer end of [0, 1], and whether that is 1, in float32 at least."""
    return unit_tail(key, shape, jnp.promote_types(dtype, jnp.float32))


def _standard_exponential(key: Any, shape: Shape, dtype: Any) -> jax.Array:
    """Numbers of density ``e ** -x``, never 0, with both ends as fine as 32 bits (64 in float64) allow."""
    tail, upper = _tail(key, shape, dtype)
    return -jnp.where(upper, jnp.log1p(-tail), jnp.log(tail))


def log_normal(key: Any, shape: Shape, dtype: Any, mean: float, std: float) -> jax.Array:
    """Numbers whose logarithms are normal."""
    return jnp.exp(random.normal(key, shape, jnp.promote_types(dtype, jnp.float32), mean, std)).astype(dtype)


def exponential(key: Any, shape: Shape, dtype: Any, rate: float) -> jax.Array:
    """Numbers of density ``rate * e ** (-rate * x)`` above 0."""
    return (_standard_exponential(key, shape, dtype) / rate).astype(dtype)


def cauchy(key: Any, shape: Shape, dtype: Any, median: float, sigma: float) -> jax.Array:
    """Numbers of density ``sigma / (pi * ((x - median) ** 2 + sigma ** 2))``."""
    tail, upper = _tail(key, shape, dtype)
    size = jnp.where(tail < 0.25, 1 / jnp.tan(math.pi * tail), jnp.tan(math.pi * (0.5 - tail)))
    return (median + sigma * jnp.where(upper, size, -size)).astype(dtype)


def geometric(key: Any, shape: Shape, dtype: Any, p: float) -> jax.Array:
    """Numbers k from 1 on, of probability ``(1 - p) ** (k - 1) * p``."""
    wide = dtype if kind_of(dtype) == 2 else jnp.float32
    waiting = _standard_exponential(key, shape, wide)
    return jnp.maximum(jnp.ceil(waiting / -jnp.log1p(-jnp.asarray(p, waiting.dtype))), 1).astype(dtype)


def integers(key: Any, shape: Shape, dtype: Any, low: int, high: int) -> jax.Array:
    """Integers in [low, high), each as likely, as numbers of ``dtype``."""
    wide = index_dtype()
    limits = np.iinfo(wide)
    if low < limits.min or high - 1 > limits.max:
        fail(ValueError, "random_", "to", f"within the range of {wide.name}", high)
    # The bounds of randint are of the dtype itself, so the greatest number has to be taken in by a step.
    if high > limits.max:
        return jax.random.randint(key, shape, low - 1, high - 1, wide).astype(dtype) + jnp.asarray(1, dtype)
    return jax.random.randint(key, shape, low, high, wide).astype(dtype)


def greatest_integer(dtype: Any) -> int:
    """Up to where all integers are numbers of the dtype."""
    if kind_of(dtype) == 0:
        return 1
    return int(jnp.iinfo(dtype).max) if kind_of(dtype) == 1 else 2 ** (jnp.finfo(dtype).nmant + 1)


def bernoulli(key: Any, shape: Shape, dtype: Any, p: Any) -> jax.Array:
    """1 with probability ``p``, a number or an array that broadcasts, else 0."""
    wide = jnp.float32 if not hasattr(p, "dtype") or kind_of(p.dtype) != 2 else jnp.promote_types(p.dtype, jnp.float32)
    tail, upper = _tail(key, shape, wide)
    chance = jnp.asarray(p, tail.dtype)
    return jnp.where(upper, tail > 1 - chance, tail < chance).astype(dtype)


def check_probabilities(function: str, argument: str, p: Any) -> None:
    """Raises unless a value, as far as it is known, lies in [0, 1]."""
    values = known(p)
    if values is None:
        return
    if values.dtype.kind not in "fbiuV" or not np.all((values >= 0) & (values <= 1)):
        fail(RuntimeError, function, argument, "between 0 and 1", p)


def bernoulli_of(input: ArrayLike, p: float | None, generator: random.Generator | None) -> jax.Array:
    """``input.bernoulli(p)``: draws with the elements as probabilities, or with ``p``, in the dtype of the input."""
    x = as_array("bernoulli", "input", input)
    if p is None:
        check_floating("bernoulli", input=x)
    chance: Any = x if p is None else p
    check_probabilities("bernoulli", "input" if p is None else "p", chance)
    return bernoulli(next_key("bernoulli", generator), x.shape, x.dtype, chance)


def _are_weights(x: np.ndarray[Any, Any]) -> bool:
    return bool((x >= 0).all() and np.isfinite(x).all() and (x.sum(-1) > 0).all())


def multinomial(
    input: ArrayLike, num_samples: int, replacement: bool = False, *, generator: random.Generator | None = None
) -> jax.Array:
    """Indices drawn by the weights of the last axis, without a second draw of one unless ``replacement``."""
    x = as_array("multinomial", "input", input)
    check_floating("multinomial", input=x)
    if x.ndim not in (1, 2):
        fail(RuntimeError, "multinomial", "input", "1-D or 2-D", x)
    count = as_int("multinomial", "num_samples", num_samples)
    if count < 1 or (not replacement and count > x.shape[-1]):
        most = "" if replacement else f", and at most {x.shape[-1]} without replacement"
        fail(RuntimeError, "multinomial", "num_samples", f"above 0{most}", num_samples)
    weights = known(x)
    if weights is not None and weights.shape == x.shape and not _are_weights(weights.astype(np.float64)):
        fail(RuntimeError, "multinomial", "input", "of finite weights from 0 on, with a sum above 0", x)
    scores = jnp.log(widen(x))
    key = next_key("multinomial", generator)
    if replacement:
        drawn = jax.random.categorical(key, scores[..., None, :], -1, shape=(*x.shape[:-1], count))
    else:
        noise = -jnp.log(_standard_exponential(key, x.shape, scores.dtype))
        _, drawn = jax.lax.top_k(scores + noise, count)
    return drawn.astype(index_dtype())

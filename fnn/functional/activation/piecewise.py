"""Activations made of straight pieces (``relu`` and its kin) and of a parabola (``hardswish``)."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from fnn import random
from fnn.functional.activation.common import elementwise, floating, floating_or_integer, number
from fnn.functional.arrays import ArrayLike, known, widen, written
from fnn.functional.checks import as_array, check_same_dtype, fail
from fnn.functional.explained import explained

__all__ = [
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "prelu",
    "relu",
    "relu6",
    "rrelu",
    "softshrink",
    "threshold",
]

# The comparisons are written so that a kink has torch's derivative, and a NaN passes.


@elementwise
def _threshold(x: jax.Array, limit: jax.Array, value: jax.Array) -> jax.Array:
    return jnp.where(x <= limit, value, x)


@explained
def threshold(input: ArrayLike, threshold: float, value: float, inplace: bool = False) -> jax.Array:
    """Replaces what does not exceed a threshold: ``x`` if ``x > threshold``, else ``value``.

    Args:
        input: array.
        threshold: the limit.
        value: what stands for the elements up to the limit.
        inplace: whether an input that is a box gets the result too; an array never changes.

    Shape:
        - input, output: (*), alike.

    Returns:
        the array, in the dtype of ``input``, which may be an integer one.

    Raises:
        TypeError: if the dtype is boolean or complex, or an option is no number.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.threshold.html

    Example:
        >>> import jax.numpy as jnp
        >>> threshold(jnp.array([0.0, 1.0, 2.0]), 1.0, -5.0).tolist()
        [-5.0, -5.0, 2.0]
    """
    x = floating_or_integer("threshold", input)
    limit, new = number("threshold", "threshold", threshold), number("threshold", "value", value)
    return written(input, inplace, _threshold(x, limit, new))


@elementwise
def _relu(x: jax.Array) -> jax.Array:
    return jnp.where(x <= 0, 0, x)


@explained
def relu(input: ArrayLike, inplace: bool = False) -> jax.Array:
    """Rectifier, ``max(x, 0)``; its derivative at 0 is 0.

    Args:
        input: array.
        inplace: whether an input that is a box gets the result too; an array never changes.

    Shape:
        - input, output: (*), alike.

    Returns:
        the array, in the dtype of ``input``, which may be an integer one.

    Raises:
        TypeError: if the dtype is boolean or complex.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.relu.html

    Example:
        >>> import jax.numpy as jnp
        >>> relu(jnp.array([-1.0, 2.0])).tolist()
        [0.0, 2.0]
    """
    return written(input, inplace, _relu(floating_or_integer("relu", input)))


@elementwise
def _hardtanh(x: jax.Array, low: jax.Array, high: jax.Array) -> jax.Array:
    return jnp.where(x <= low, low, jnp.where(x >= high, high, x))


@explained
def relu6(input: ArrayLike, inplace: bool = False) -> jax.Array:
    """Rectifier with a ceiling, ``min(max(x, 0), 6)``.

    Args:
        input: array.
        inplace: whether an input that is a box gets the result too; an array never changes.

    Shape:
        - input, output: (*), alike.

    Returns:
        the array, in the dtype of ``input``, which may be an integer one.

    Raises:
        TypeError: if the dtype is boolean or complex.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.relu6.html

    Example:
        >>> import jax.numpy as jnp
        >>> relu6(jnp.array([-1.0, 2.0, 7.0])).tolist()
        [0.0, 2.0, 6.0]
    """
    return written(input, inplace, _hardtanh(floating_or_integer("relu6", input), 0, 6))


@explained
def hardtanh(input: ArrayLike, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> jax.Array:
    """Clamp, ``min(max(x, min_val), max_val)``; its derivative at the two kinks is 0.

    Args:
        input: array.
        min_val: lower limit.
        max_val: upper limit.
        inplace: whether an input that is a box gets the result too; an array never changes.

    Shape:
        - input, output: (*), alike.

    Returns:
        the array, in the dtype of ``input``, which may be an integer one (the limits are then cut to integers).

    Raises:
        TypeError: if the dtype is boolean or complex, or an option is no number.
        ValueError: if ``min_val`` exceeds ``max_val``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.hardtanh.html

    Example:
        >>> import jax.numpy as jnp
        >>> hardtanh(jnp.array([-2.0, 0.5, 3.0])).tolist()
        [-1.0, 0.5, 1.0]
    """
    x = floating_or_integer("hardtanh", input)
    low, high = number("hardtanh", "min_val", min_val), number("hardtanh", "max_val", max_val)
    least, most = known(low), known(high)
    if least is not None and most is not None and least > most:
        fail(ValueError, "hardtanh", "min_val", f"at most max_val ({max_val})", min_val)
    if jnp.issubdtype(x.dtype, jnp.unsignedinteger) and least is not None and most is not None and min(least, most) < 0:
        fail(ValueError, "hardtanh", "min_val", f"non-negative for an input of dtype {x.dtype}", min_val)
    return written(input, inplace, _hardtanh(x, low, high))


@elementwise
def _hardsigmoid(x: jax.Array) -> jax.Array:
    inside = jnp.abs(x) < 3
    # A NaN passes with derivative 0.
    outside = jnp.where(jnp.isnan(x), jax.lax.stop_gradient(x), jnp.where(x > 0, 1, 0).astype(x.dtype))
    return jnp.where(inside, (jnp.where(inside, x, 0) + 3) / 6, outside)


@explained
def hardsigmoid(input: ArrayLike, inplace: bool = False) -> jax.Array:
    """Piecewise linear sigmoid, ``relu6(x + 3) / 6``.

    Args:
        input: array.
        inplace: whether an input that is a box gets the result too; an array never changes.

    Shape:
        - input, output: (*), alike.

    Returns:
        the array, in the dtype of ``input``.

    Raises:
        TypeError: if the dtype is not floating.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.hardsigmoid.html

    Example:
        >>> import jax.numpy as jnp
        >>> hardsigmoid(jnp.array([-4.0, 0.0, 4.0])).tolist()
        [0.0, 0.5, 1.0]
    """
    return written(input, inplace, _hardsigmoid(floating("hardsigmoid", input)))


@elementwise
def _hardswish(x: jax.Array) -> jax.Array:
    inside = jnp.abs(x) < 3
    near = jnp.where(inside, x, 0)
    # Minus infinity times 0 is NaN, as in torch.
    return jnp.where(inside, near * (near + 3) / 6, jnp.where(x <= -3, x * 0, x))


@explained
def hardswish(input: ArrayLike, inplace: bool = False) -> jax.Array:
    """Piecewise quadratic form of ``silu``, ``x * relu6(x + 3) / 6``; its derivative is 0 at -3 and 1 at 3.

    Args:
        input: array.
        inplace: whether an input that is a box gets the result too; an array never changes.

    Shape:
        - input, output: (*), alike.

    Returns:
        the array, in the dtype of ``input``; 0 for minus infinity, where torch gives NaN.

    Raises:
        TypeError: if the dtype is not floating.

    Source: Howard et al., Searching for MobileNetV3, 2019;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.hardswish.html

    Example:
        >>> import jax.numpy as jnp
        >>> hardswish(jnp.array([-4.0, 0.0, 4.0])).tolist()
        [-0.0, 0.0, 4.0]
    """
    return written(input, inplace, _hardswish(floating("hardswish", input)))


@elementwise
def _leaky_relu(x: jax.Array, slope: jax.Array) -> jax.Array:
    # `negative` is finite wherever the other branch is taken, so that the gradient of a traced slope is too.
    negative = jnp.where(x > 0, 0, x)
    return jnp.where(x > 0, x, slope * negative)


@explained
def leaky_relu(input: ArrayLike, negative_slope: float = 0.01, inplace: bool = False) -> jax.Array:
    """Rectifier with a slope below 0: ``x`` if ``x > 0``, else ``negative_slope * x``.

    Args:
        input: array.
        negative_slope: slope below 0, and at 0.
        inplace: whether an input that is a box gets the result too; an array never changes.

    Shape:
        - input, output: (*), alike.

    Returns:
        the array, in the dtype of ``input``.

    Raises:
        TypeError: if the dtype is not floating or ``negative_slope`` is no number.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.leaky_relu.html

    Example:
        >>> import jax.numpy as jnp
        >>> leaky_relu(jnp.array([-2.0, 3.0]), 0.5).tolist()
        [-1.0, 3.0]
    """
    slope = number("leaky_relu", "negative_slope", negative_slope)
    return written(input, inplace, _leaky_relu(floating("leaky_relu", input), slope))


@jax.jit
def _prelu(x: jax.Array, weight: jax.Array) -> jax.Array:
    weight = weight.reshape(() if weight.size == 1 else (-1,) + (1,) * (x.ndim - 2))
    negative = jnp.where(x > 0, 0, x)
    return jnp.where(x > 0, x, (widen(weight) * widen(negative)).astype(x.dtype))


@explained
def prelu(input: ArrayLike, weight: ArrayLike) -> jax.Array:
    """Rectifier with a learned slope below 0: ``x`` if ``x > 0``, else ``weight * x``.

    Args:
        input: array.
        weight: one slope, or one for each channel.

    Shape:
        - input: (*) or, with several slopes, (N, C, *).
        - weight: (), (1) or (C).
        - output: as ``input``.

    Returns:
        the array, in the dtype of ``input``.

    Raises:
        TypeError: if the dtypes differ or are not floating.
        ValueError: if ``weight`` has several axes, or more than one slope but not one for each channel.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.prelu.html

    Example:
        >>> import jax.numpy as jnp
        >>> prelu(jnp.array([-2.0, 3.0]), jnp.array(0.25)).tolist()
        [-0.5, 3.0]
    """
    x = floating("prelu", input)
    w = as_array("prelu", "weight", weight)
    check_same_dtype("prelu", input=x, weight=w)
    if w.ndim > 1:
        fail(ValueError, "prelu", "weight", "0-D or 1-D", w)
    channels = x.shape[1] if x.ndim > 1 else 1
    if w.size != 1 and w.size != channels:
        fail(ValueError, "prelu", "weight", f"of 1 or {channels} elements (channels of input {list(x.shape)})", w)
    return _prelu(x, w)


@jax.jit
def _rrelu(key: Any, x: jax.Array, lower: Any, upper: Any) -> jax.Array:
    wide = widen(x)
    lower, upper = (jnp.asarray(v).astype(wide.dtype) for v in (lower, upper))
    slope = lower + (upper - lower) * jax.random.uniform(key, x.shape, wide.dtype)
    negative = jnp.where(wide > 0, 0, wide)
    return jnp.where(wide > 0, wide, slope * negative).astype(x.dtype)


@explained
def rrelu(
    input: ArrayLike,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
    *,
    rng: jax.Array | None = None,
) -> jax.Array:
    """Leaky rectifier, ``x`` if ``x > 0``, else ``a * x``, with a drawn for each element, uniform in [lower, upper).

    Args:
        input: array.
        lower: smallest slope.
        upper: largest slope.
        training: False takes the mean of the two slopes and draws nothing.
        inplace: whether an input that is a box gets the result too; an array never changes.
        rng: a JAX PRNG key; without it the ambient source gives one.

    Shape:
        - input, output: (*), alike.

    Returns:
        the array, in the dtype of ``input``.

    Raises:
        TypeError: if the dtype is not floating or an option is no number.
        ValueError: if ``lower`` exceeds ``upper``.
        RuntimeError: under a JAX transformation without a key.

    Source: Xu et al., Empirical Evaluation of Rectified Activations, 2015;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.rrelu.html

    Example:
        >>> import jax.numpy as jnp
        >>> rrelu(jnp.array([-2.0, 3.0]), 0.25, 0.75).tolist()
        [-1.0, 3.0]
    """
    x = floating("rrelu", input)
    lower, upper = number("rrelu", "lower", lower), number("rrelu", "upper", upper)
    least, most = known(lower), known(upper)
    if least is not None and most is not None and least > most:
        fail(ValueError, "rrelu", "lower", f"at most upper ({upper})", lower)
    if not training:
        return written(input, inplace, _leaky_relu(x, (lower + upper) / 2))
    return written(input, inplace, _rrelu(random.next_key("rrelu", rng), x, lower, upper))


@elementwise
def _softshrink(x: jax.Array, lambd: jax.Array) -> jax.Array:
    return jnp.where(x > lambd, x - lambd, jnp.where(x < -lambd, x + lambd, jnp.where(jnp.isnan(x), x, 0)))


@explained
def softshrink(input: ArrayLike, lambd: float = 0.5) -> jax.Array:
    """Pulls towards 0: ``x - lambd`` if ``x > lambd``, ``x + lambd`` if ``x < -lambd``, else 0.

    Args:
        input: array.
        lambd: the distance, not negative.

    Shape:
        - input, output: (*), alike.

    Returns:
        the array, in the dtype of ``input``.

    Raises:
        TypeError: if the dtype is not floating or ``lambd`` is no number.
        ValueError: if ``lambd`` is negative.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.softshrink.html

    Example:
        >>> import jax.numpy as jnp
        >>> softshrink(jnp.array([-2.0, 0.25, 1.0])).tolist()
        [-1.5, 0.0, 0.5]
    """
    x = floating("softshrink", input)
    lambd = number("softshrink", "lambd", lambd)
    width = known(lambd)
    if width is not None and not width >= 0:
        fail(ValueError, "softshrink", "lambd", "at least 0", lambd)
    return _softshrink(x, lambd)


@elementwise
def _hardshrink(x: jax.Array, lambd: jax.Array) -> jax.Array:
    return jnp.where((x >= -lambd) & (x <= lambd), 0, x)


@explained
def hardshrink(input: ArrayLike, lambd: float = 0.5) -> jax.Array:
    """Sets to 0 what lies within [-lambd, lambd]: ``x`` if ``|x| > lambd``, else 0.

    Args:
        input: array.
        lambd: half the width of the interval; a negative one leaves the array as it is.

    Shape:
        - input, output: (*), alike.

    Returns:
        the array, in the dtype of ``input``.

    Raises:
        TypeError: if the dtype is not floating or ``lambd`` is no number.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.hardshrink.html

    Example:
        >>> import jax.numpy as jnp
        >>> hardshrink(jnp.array([-2.0, 0.25, 1.0])).tolist()
        [-2.0, 0.0, 1.0]
    """
    return _hardshrink(floating("hardshrink", input), number("hardshrink", "lambd", lambd))

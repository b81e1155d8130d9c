"""Losses of independent yes-or-no decisions: binary cross entropies and soft margins."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnn.functional.activation.curves import logistic
from fnn.functional.arrays import ArrayLike, known, widen
from fnn.functional.checks import as_array, check_floating, fail
from fnn.functional.explained import explained
from fnn.functional.loss.common import as_floats, check_broadcast, finish
from fnn.functional.reduction import resolve_reduction

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "multilabel_soft_margin_loss",
    "soft_margin_loss",
]

_LOG_FLOOR = -100.0
_LEAST_SPREAD = 1e-12  # that torch divides by


def _floored_logs(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """``max(log(x), -100)`` and ``max(log(1 - x), -100)`` for x in [0, 1]; NaN outside."""
    low, high, outside = x <= math.exp(_LOG_FLOOR), x == 1, (x < 0) | (x > 1)
    # XLA's log1p is off by up to 120 ulp between -0.414 and -0.35; 1 - x is as good as exact there.
    small = x < 0.25
    of_rest = jnp.where(small, jnp.log1p(-jnp.where(small, x, 0)), jnp.log(jnp.where(small | high, 1, 1 - x)))
    logs = jnp.where(low, _LOG_FLOOR, jnp.log(jnp.where(low, 1, x))), jnp.where(high, _LOG_FLOOR, of_rest)
    return jnp.where(outside, jnp.nan, logs[0]), jnp.where(outside, jnp.nan, logs[1])


@jax.custom_jvp
def _bernoulli_loss(x: jax.Array, t: jax.Array) -> jax.Array:
    yes, no = _floored_logs(x)
    return -(t * yes + (1 - t) * no)


@_bernoulli_loss.defjvp
def _bernoulli_loss_jvp(primals: Any, tangents: Any) -> Any:
    (x, t), (dx, dt) = primals, tangents
    yes, no = _floored_logs(x)
    return _bernoulli_loss(x, t), _bernoulli_slope(x, t) * dx + (no - yes) * dt


@jax.custom_jvp
def _bernoulli_slope(x: jax.Array, t: jax.Array) -> jax.Array:
    return (x - t) / jnp.maximum(x * (1 - x), _LEAST_SPREAD)


@_bernoulli_slope.defjvp
def _bernoulli_slope_jvp(primals: Any, tangents: Any) -> Any:
    (x, t), (dx, dt) = primals, tangents
    spread = x * (1 - x)
    held = spread < _LEAST_SPREAD
    safe = jnp.where(held, _LEAST_SPREAD, spread)
    # That of the quotient, (1 - t) / (1 - x)^2 + t / x^2, without its differences.
    bend = ((1 - t) * (x / safe) ** 2 + t * ((1 - x) / safe) ** 2) * dx
    return _bernoulli_slope(x, t), jnp.where(held, dx / safe, bend) - dt / safe


@jax.custom_jvp
def softplus_pair(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """``log(1 + exp(-x))`` and ``log(1 + exp(x))``, both accurate for every x, from one exponential."""
    tail = jnp.log1p(jnp.exp(-jnp.abs(x)))
    return tail + jnp.maximum(-x, 0), tail + jnp.maximum(x, 0)


@softplus_pair.defjvp
def _softplus_pair_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (dx,) = primals, tangents
    return softplus_pair(x), (-logistic(-x) * dx, logistic(x) * dx)


def _check_fits(function: str, argument: str, value: jax.Array | None, shape: tuple[int, ...]) -> None:
    """Raises ValueError unless the array broadcasts to the shape without enlarging it."""
    if value is not None:
        try:
            fits = np.broadcast_shapes(value.shape, shape) == tuple(shape)
        except ValueError:
            fits = False
        if not fits:
            fail(ValueError, function, argument, f"of a shape that broadcasts to {list(shape)}", value)


def _floats_with(
    function: str, input: Any, target: Any, **optional: Any
) -> tuple[jax.Array, jax.Array, list[jax.Array | None]]:
    """``as_floats`` of input, target and the optional arguments that are given."""
    given = {name: value for name, value in optional.items() if value is not None}
    x, t, *rest = as_floats(function, input=input, target=target, **given)
    arrays = dict(zip(given, rest, strict=True))
    return x, t, [arrays.get(name) for name in optional]


def _check_unit_range(function: str, argument: str, value: Any) -> None:
    values = known(value)
    if values is not None:
        outside = ~((values >= 0) & (values <= 1))
        if outside.any():
            bad = float(values[outside].flat[0])
            fail(ValueError, function, argument, "between 0 and 1 in every element", bad)


@partial(jax.jit, static_argnames=("reduction",))
def _binary_cross_entropy(input: jax.Array, target: jax.Array, weight: jax.Array | None, reduction: str) -> jax.Array:
    dtype = input.dtype
    input, target, weight = widen(input), widen(target), widen(weight)
    loss = _bernoulli_loss(input, target)
    return finish(loss if weight is None else loss * weight, reduction, dtype)


@explained
def binary_cross_entropy(
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """Cross entropy of probabilities of independent events.

    ``-weight * (target * log(input) + (1 - target) * log(1 - input))``, each logarithm no less than -100.

    Args:
        input: probabilities.
        target: true probabilities, in [0, 1].
        weight: a factor for each element, broadcast.
        size_average: deprecated, see ``reduction``.
        reduce: deprecated, see ``reduction``.
        reduction: 'none', 'mean' or 'sum'.

    Shape:
        - input, target: (*), alike.
        - weight: broadcasts to the shape of ``input``.

    Returns:
        a scalar; for 'none' the element losses. Under jit an ``input`` outside [0, 1] makes the loss NaN.

    Raises:
        TypeError: if the dtypes differ or are not floating.
        ValueError: if shapes disagree, ``reduction`` is unknown, or a concrete value lies outside [0, 1].

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.binary_cross_entropy.html

    Example:
        >>> import jax.numpy as jnp
        >>> float(binary_cross_entropy(jnp.array([0.5, 0.0]), jnp.array([1.0, 1.0]), reduction="none")[1])
        100.0
    """
    reduction = resolve_reduction("binary_cross_entropy", size_average, reduce, reduction)
    check_floating("binary_cross_entropy", target=as_array("binary_cross_entropy", "target", target))
    x, t, (w,) = _floats_with("binary_cross_entropy", input, target, weight=weight)
    if x.shape != t.shape:
        fail(ValueError, "binary_cross_entropy", "target", f"of the shape of input {list(x.shape)}", t)
    _check_fits("binary_cross_entropy", "weight", w, x.shape)
    _check_unit_range("binary_cross_entropy", "input", input)
    _check_unit_range("binary_cross_entropy", "target", target)
    return _binary_cross_entropy(x, t, w, reduction)


@partial(jax.jit, static_argnames=("reduction",))
def _with_logits(
    input: jax.Array, target: jax.Array, weight: jax.Array | None, pos_weight: jax.Array | None, reduction: str
) -> jax.Array:
    dtype = input.dtype
    input, target, weight, pos_weight = widen(input), widen(target), widen(weight), widen(pos_weight)
    yes, no = softplus_pair(input)
    positive = target * yes if pos_weight is None else target * pos_weight * yes
    loss = positive + (1 - target) * no
    return finish(loss if weight is None else loss * weight, reduction, dtype)


@explained
def binary_cross_entropy_with_logits(
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: ArrayLike | None = None,
) -> jax.Array:
    """Cross entropy of independent events, given their logits.

    ``weight * (pos_weight * target * log(1 + exp(-input)) + (1 - target) * log(1 + exp(input)))``

    Args:
        input: logits.
        target: true probabilities.
        weight: a factor for each element, broadcast.
        size_average: deprecated, see ``reduction``.
        reduce: deprecated, see ``reduction``.
        reduction: 'none', 'mean' or 'sum'.
        pos_weight: a factor for the positive part, broadcast.

    Shape:
        - input, target: (*), alike.
        - weight, pos_weight: broadcast to the shape of ``input``.

    Returns:
        a scalar; for 'none' the element losses.

    Raises:
        TypeError: if the dtypes differ or are not floating.
        ValueError: if shapes disagree or ``reduction`` is unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.binary_cross_entropy_with_logits.html

    Example:
        >>> import jax.numpy as jnp
        >>> float(binary_cross_entropy_with_logits(jnp.array([1000.0]), jnp.array([0.0])))
        1000.0
    """
    name = "binary_cross_entropy_with_logits"
    reduction = resolve_reduction(name, size_average, reduce, reduction)
    check_floating(name, target=as_array(name, "target", target))
    x, t, (w, p) = _floats_with(name, input, target, weight=weight, pos_weight=pos_weight)
    if x.shape != t.shape:
        fail(ValueError, name, "target", f"of the shape of input {list(x.shape)}", t)
    _check_fits(name, "weight", w, x.shape)
    _check_fits(name, "pos_weight", p, x.shape)
    return _with_logits(x, t, w, p, reduction)


@partial(jax.jit, static_argnames=("reduction",))
def _soft_margin(input: jax.Array, target: jax.Array, reduction: str) -> jax.Array:
    dtype = input.dtype
    input, target = widen(input), widen(target)
    return finish(softplus_pair(input * target)[0], reduction, dtype)


@explained
def soft_margin_loss(
    input: ArrayLike,
    target: ArrayLike,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """Logistic loss of signed decisions, ``log(1 + exp(-target * input))``, finite also where torch's overflows.

    Args:
        input: scores.
        target: 1 or -1.
        size_average: deprecated, see ``reduction``.
        reduce: deprecated, see ``reduction``.
        reduction: 'none', 'mean' or 'sum'.

    Shape:
        - input: (*).
        - target: broadcasts to the shape of ``input``.

    Returns:
        a scalar; for 'none' the element losses.

    Raises:
        TypeError: if the dtypes differ or are not floating.
        ValueError: if shapes disagree or ``reduction`` is unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.soft_margin_loss.html

    Example:
        >>> import jax.numpy as jnp
        >>> float(soft_margin_loss(jnp.array([-2000.0]), jnp.array([1.0])))
        2000.0
    """
    reduction = resolve_reduction("soft_margin_loss", size_average, reduce, reduction)
    x, t = as_floats("soft_margin_loss", input=input, target=target)
    _check_fits("soft_margin_loss", "target", t, x.shape)
    return _soft_margin(x, t, reduction)


@partial(jax.jit, static_argnames=("reduction",))
def _multilabel_soft_margin(input: jax.Array, target: jax.Array, weight: jax.Array | None, reduction: str) -> jax.Array:
    dtype = input.dtype
    input, target, weight = widen(input), widen(target), widen(weight)
    yes, no = softplus_pair(input)
    loss = target * yes + (1 - target) * no
    loss = loss if weight is None else loss * weight
    return finish(jnp.mean(loss, -1), reduction, dtype)


@explained
def multilabel_soft_margin_loss(
    input: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """Mean over the classes of the binary cross entropy of each class with its logit.

    ``mean_c weight[c] * (target[c] * log(1 + exp(-input[c])) + (1 - target[c]) * log(1 + exp(input[c])))``

    Args:
        input: logits, classes on the last axis.
        target: 0 or 1 for each class.
        weight: a factor for each element, broadcast.
        size_average: deprecated, see ``reduction``.
        reduce: deprecated, see ``reduction``.
        reduction: 'none', 'mean' or 'sum', over all axes but the last.

    Shape:
        - input, target: (*, C), broadcast together.
        - weight: broadcasts with them.

    Returns:
        a scalar; for 'none' an array of shape (*).

    Raises:
        TypeError: if the dtypes differ or are not floating.
        ValueError: if shapes disagree, ``input`` is 0-D or ``reduction`` is unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.multilabel_soft_margin_loss.html

    Example:
        >>> import jax.numpy as jnp
        >>> bool(jnp.allclose(multilabel_soft_margin_loss(jnp.zeros((2, 3)), jnp.ones((2, 3))), jnp.log(2.0)))
        True
    """
    reduction = resolve_reduction("multilabel_soft_margin_loss", size_average, reduce, reduction)
    x, t, (w,) = _floats_with("multilabel_soft_margin_loss", input, target, weight=weight)
    if x.ndim == 0:
        fail(ValueError, "multilabel_soft_margin_loss", "input", "at least 1-D", x)
    check_broadcast("multilabel_soft_margin_loss", input=x, target=t, weight=w)
    return _multilabel_soft_margin(x, t, w, reduction)

"""Losses between numbers: absolute, squared, smooth, Huber, and the Poisson, Gaussian and Kullback-Leibler ones."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from fnn.functional.arrays import ArrayLike, absolute, known, widen
from fnn.functional.checks import as_array, check_choice, check_same_dtype, fail
from fnn.functional.explained import explained
from fnn.functional.loss.common import as_floats, check_broadcast, finish, warn_shapes
from fnn.functional.reduction import check_reduction, legacy_reduction, resolve_reduction
from fnn.stateful.warning import warn

__all__ = [
    "gaussian_nll_loss",
    "kl_div",
    "poisson_nll_loss",
    "huber_loss",
    "l1_loss",
    "mse_loss",
    "smooth_l1_loss",
]


@partial(jax.jit, static_argnames=("kind", "reduction", "weighted_mean"))
def _difference_loss(
    input: jax.Array,
    target: jax.Array,
    weight: jax.Array | None,
    knee: Any,
    kind: str,
    reduction: str,
    weighted_mean: bool = True,
) -> jax.Array:
    dtype = input.dtype
    input, target, weight = widen(input), widen(target), widen(weight)
    difference = input - target
    if kind == "square":
        loss = difference * difference
    elif kind == "absolute":
        loss = absolute(difference)
    else:
        size = absolute(difference)
        near = (size < knee) | (jnp.isnan(size) & (knee > 0))
        small = jnp.where(near, difference, 0)
        if kind == "smooth":
            loss = jnp.where(near, 0.5 * small * small / jnp.where(knee == 0, 1, knee), size - 0.5 * knee)
        else:
            loss = jnp.where(near, 0.5 * small * small, knee * (size - 0.5 * knee))
    if weight is not None:
        loss = loss * weight
        if reduction == "mean" and weighted_mean:
            return (jnp.sum(loss) / jnp.sum(weight)).astype(dtype)
    return finish(loss, reduction, dtype)


def _weight_of(function: str, input: jax.Array, weight: Any) -> jax.Array:
    """The weight as an array of the dtype of the input, of the shape of the input."""
    weight = as_array(function, "weight", weight)
    if weight.shape != input.shape:
        fail(ValueError, function, "weight", f"of the shape of input {list(input.shape)}", weight)
    if jnp.issubdtype(weight.dtype, jnp.floating):
        check_same_dtype(function, input=input, weight=weight)
    elif jnp.issubdtype(weight.dtype, jnp.complexfloating):
        fail(TypeError, function, "weight", "of a real dtype", weight)
    return weight.astype(input.dtype)


@explained
def l1_loss(
    input: ArrayLike,
    target: ArrayLike,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: ArrayLike | None = None,
) -> jax.Array:
    """Absolute error, ``|input - target|``.

    Args:
        input: predictions.
        target: true values.
        size_average: deprecated, see ``reduction``.
        reduce: deprecated, see ``reduction``.
        reduction: 'none', 'mean' or 'sum'.
        weight: a factor for each element; 'mean' then divides by the sum of the weights.

    Shape:
        - input, target: (*), alike (otherwise they broadcast, with a UserWarning).
        - weight: the shape of ``input``.

    Returns:
        a scalar; for 'none' the element losses.

    Raises:
        TypeError: if the dtypes differ or are not floating.
        ValueError: if shapes disagree or ``reduction`` is unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.l1_loss.html

    Example:
        >>> import jax.numpy as jnp
        >>> float(l1_loss(jnp.array([1.0, 2.0]), jnp.array([0.0, 5.0])))
        2.0
    """
    reduction = resolve_reduction("l1_loss", size_average, reduce, reduction)
    x, y = as_floats("l1_loss", input=input, target=target)
    check_broadcast("l1_loss", input=x, target=y)
    warn_shapes("l1_loss", x, y)
    w = None if weight is None else _weight_of("l1_loss", x, weight)
    return _difference_loss(x, y, w, None, "absolute", reduction)


@explained
def mse_loss(
    input: ArrayLike,
    target: ArrayLike,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: ArrayLike | None = None,
) -> jax.Array:
    """Squared error, ``(input - target)**2``.

    Args:
        input: predictions.
        target: true values.
        size_average: deprecated, see ``reduction``.
        reduce: deprecated, see ``reduction``.
        reduction: 'none', 'mean' or 'sum'.
        weight: a factor for each element; 'mean' then divides by the sum of the weights.

    Shape:
        - input, target: (*), alike (otherwise they broadcast, with a UserWarning).
        - weight: the shape of ``input``.

    Returns:
        a scalar; for 'none' the element losses.

    Raises:
        TypeError: if the dtypes differ or are not floating.
        ValueError: if shapes disagree or ``reduction`` is unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.mse_loss.html

    Example:
        >>> import jax.numpy as jnp
        >>> float(mse_loss(jnp.array([1.0, 2.0]), jnp.array([0.0, 5.0])))
        5.0
    """
    reduction = resolve_reduction("mse_loss", size_average, reduce, reduction)
    x, y = as_floats("mse_loss", input=input, target=target)
    check_broadcast("mse_loss", input=x, target=y)
    warn_shapes("mse_loss", x, y)
    w = None if weight is None else _weight_of("mse_loss", x, weight)
    return _difference_loss(x, y, w, None, "square", reduction)


@explained
def smooth_l1_loss(
    input: ArrayLike,
    target: ArrayLike,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> jax.Array:
    """Squared error near zero and absolute error beyond ``beta``.

    With ``d = input - target``: ``d**2 / (2 * beta)`` where ``|d| < beta``, else ``|d| - beta / 2`` (Girshick, 2015).

    Args:
        input: predictions.
        target: true values.
        size_average: deprecated, see ``reduction``.
        reduce: deprecated, see ``reduction``.
        reduction: 'none', 'mean' or 'sum'.
        beta: where the two forms meet; 0 gives ``l1_loss``.

    Shape:
        - input, target: (*), alike (otherwise they broadcast, with a UserWarning).

    Returns:
        a scalar; for 'none' the element losses.

    Raises:
        TypeError: if the dtypes differ or are not floating.
        ValueError: if shapes disagree, ``reduction`` is unknown or ``beta`` is negative.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.smooth_l1_loss.html

    Example:
        >>> import jax.numpy as jnp
        >>> float(smooth_l1_loss(jnp.array([1.0, 3.0]), jnp.array([1.5, 0.0]), reduction="sum"))
        2.625
    """
    reduction = resolve_reduction("smooth_l1_loss", size_average, reduce, reduction)
    x, y = as_floats("smooth_l1_loss", input=input, target=target)
    check_broadcast("smooth_l1_loss", input=x, target=y)
    warn_shapes("smooth_l1_loss", x, y)
    knee = known(beta)
    if knee is not None and knee < 0:
        fail(ValueError, "smooth_l1_loss", "beta", "at least 0", beta)
    return _difference_loss(x, y, None, beta, "smooth", reduction)


@explained
def huber_loss(
    input: ArrayLike,
    target: ArrayLike,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: ArrayLike | None = None,
) -> jax.Array:
    """Squared error near zero and linear error beyond ``delta``.

    With ``d = input - target``: ``d**2 / 2`` where ``|d| <= delta``, else ``delta * (|d| - delta / 2)`` (Huber, 1964).

    Args:
        input: predictions.
        target: true values.
        reduction: 'none', 'mean' or 'sum'.
        delta: where the two forms meet.
        weight: a factor for each element; 'mean' divides by the number of elements all the same, as torch does.

    Shape:
        - input, target: (*), alike (otherwise they broadcast, with a UserWarning).
        - weight: the shape of ``input``.

    Returns:
        a scalar; for 'none' the element losses.

    Raises:
        TypeError: if the dtypes differ or are not floating.
        ValueError: if shapes disagree, ``reduction`` is unknown or ``delta`` is not positive.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.huber_loss.html

    Example:
        >>> import jax.numpy as jnp
        >>> float(huber_loss(jnp.array([1.0, 3.0]), jnp.array([1.0, 0.0]), reduction="sum", delta=2.0))
        4.0
    """
    check_reduction("huber_loss", reduction)
    x, y = as_floats("huber_loss", input=input, target=target)
    check_broadcast("huber_loss", input=x, target=y)
    warn_shapes("huber_loss", x, y)
    knee = known(delta)
    if knee is not None and knee <= 0:
        fail(ValueError, "huber_loss", "delta", "positive", delta)
    w = None if weight is None else _weight_of("huber_loss", x, weight)
    return _difference_loss(x, y, w, delta, "huber", reduction, weighted_mean=False)


@partial(jax.jit, static_argnames=("log_target", "reduction"))
def _kl_div(input: jax.Array, target: jax.Array, log_target: bool, reduction: str) -> jax.Array:
    dtype = input.dtype
    rows = input.shape[0] if input.ndim else 1
    input, target = widen(input), widen(target)
    if log_target:
        loss = jnp.exp(target) * (target - input)
    else:
        zero = target == 0
        entropy = jnp.where(zero, 0, target * jnp.log(jnp.where(zero, 1, target)))
        loss = entropy - target * input
    if reduction == "batchmean":
        return (jnp.sum(loss) / rows).astype(dtype)
    return finish(loss, reduction, dtype)


@explained
def kl_div(
    input: ArrayLike,
    target: ArrayLike,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> jax.Array:
    """Kullback-Leibler divergence of a target distribution from one given by its log-probabilities.

    ``target * (log(target) - input)``, with 0 at ``target = 0``; with ``log_target``
    ``exp(target) * (target - input)``.

    Args:
        input: log-probabilities.
        target: probabilities, or log-probabilities with ``log_target``.
        size_average: deprecated, see ``reduction``.
        reduce: deprecated, see ``reduction``.
        reduction: 'none', 'mean', 'sum' or 'batchmean', which divides by the length of the first axis and alone is the
            divergence of its definition; 'mean' warns of that, as in torch.
        log_target: whether ``target`` holds logarithms.

    Shape:
        - input, target: (*), broadcast together.

    Returns:
        a scalar; for 'none' the element losses. The derivative in a target of 0 is taken as ``-input``.

    Raises:
        TypeError: if the dtypes differ or are not floating.
        ValueError: if shapes disagree or ``reduction`` is unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.kl_div.html

    Example:
        >>> import jax.numpy as jnp
        >>> float(kl_div(jnp.log(jnp.full((1, 2), 0.5)), jnp.full((1, 2), 0.5), reduction="batchmean"))
        0.0
    """
    check_choice("kl_div", "reduction", reduction, ("none", "mean", "sum", "batchmean"))
    if size_average is not None or reduce is not None:
        reduction = legacy_reduction(size_average, reduce, reduction)
    elif reduction == "mean":
        warn(
            "kl_div: reduction='mean' divides by the number of elements, not by the batch size as the definition of "
            "the divergence wants; use reduction='batchmean' for that"
        )
    x, y = as_floats("kl_div", input=input, target=target)
    check_broadcast("kl_div", input=x, target=y)
    return _kl_div(x, y, bool(log_target), reduction)


@partial(jax.jit, static_argnames=("log_input", "full", "reduction"))
def _poisson(input: jax.Array, target: jax.Array, eps: Any, log_input: bool, full: bool, reduction: str) -> jax.Array:
    dtype = input.dtype
    input, target = widen(input), widen(target)
    loss = jnp.exp(input) - target * input if log_input else input - target * jnp.log(input + eps)
    if full:
        small = target <= 1
        count = jnp.where(small, 2, target)
        stirling = count * jnp.log(count) - count + 0.5 * jnp.log(2 * math.pi * count)
        loss = loss + jnp.where(small, 0, stirling)
    return finish(loss, reduction, dtype)


@explained
def poisson_nll_loss(
    input: ArrayLike,
    target: ArrayLike,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> jax.Array:
    """Negative log-likelihood of counts under a Poisson distribution.

    ``exp(input) - target * input`` if ``log_input``, else ``input - target * log(input + eps)``. ``full`` adds
    Stirling's ``target * log(target) - target + log(2 * pi * target) / 2`` where ``target > 1``.

    Args:
        input: the expected count, or its logarithm.
        target: counts.
        log_input: whether ``input`` is a logarithm.
        full: whether to add the approximate log-factorial of the target.
        size_average: deprecated, see ``reduction``.
        eps: keeps the logarithm finite.
        reduce: deprecated, see ``reduction``.
        reduction: 'none', 'mean' or 'sum'.

    Shape:
        - input, target: (*), broadcast together.

    Returns:
        a scalar; for 'none' the element losses.

    Raises:
        TypeError: if the dtypes differ or are not floating.
        ValueError: if shapes disagree or ``reduction`` is unknown.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.poisson_nll_loss.html

    Example:
        >>> import jax.numpy as jnp
        >>> float(poisson_nll_loss(jnp.array([0.0]), jnp.array([3.0])))
        1.0
    """
    reduction = resolve_reduction("poisson_nll_loss", size_average, reduce, reduction)
    x, y = as_floats("poisson_nll_loss", input=input, target=target)
    check_broadcast("poisson_nll_loss", input=x, target=y)
    return _poisson(x, y, eps, bool(log_input), bool(full), reduction)


@partial(jax.jit, static_argnames=("full", "reduction"))
def _gaussian(input: jax.Array, target: jax.Array, var: jax.Array, eps: Any, full: bool, reduction: str) -> jax.Array:
    dtype = input.dtype
    input, target, var = widen(input), widen(target), widen(var)
    # The clamp is a constant to autodiff, so that a variance below eps is still pushed up.
    floored = jnp.where(var < eps, var + jax.lax.stop_gradient(eps - var), var)
    floored = jnp.where(var < 0, jnp.nan, floored)
    loss = 0.5 * (jnp.log(floored) + (input - target) ** 2 / floored)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return finish(loss, reduction, dtype)


@explained
def gaussian_nll_loss(
    input: ArrayLike,
    target: ArrayLike,
    var: ArrayLike | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> jax.Array:
    """Negative log-likelihood under a Gaussian with given mean and variance.

    ``(log(v) + (input - target)**2 / v) / 2`` with ``v = max(var, eps)``; ``full`` adds ``log(2 * pi) / 2``
    (Nix and Weigend, 1994). The clamp is a constant to autodiff.

    Args:
        input: means.
        target: samples.
        var: variances; a number, or an array.
        full: whether to add the constant term.
        eps: the least variance used.
        reduction: 'none', 'mean' or 'sum'.

    Shape:
        - input, target: (*), broadcast together.
        - var: the shape of ``input``, or that without its last axis, or that with one axis of length 1.

    Returns:
        a scalar; for 'none' the element losses. Under jit a negative variance makes the loss NaN.

    Raises:
        TypeError: if the dtypes differ or are not floating.
        ValueError: if shapes disagree, ``reduction`` is unknown or a concrete variance is negative.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.gaussian_nll_loss.html

    Example:
        >>> import jax.numpy as jnp
        >>> float(gaussian_nll_loss(jnp.array([1.0]), jnp.array([3.0]), 1.0))
        2.0
    """
    check_reduction("gaussian_nll_loss", reduction)
    number = isinstance(var, int | float)
    x, y, v = as_floats("gaussian_nll_loss", input=input, target=target, var=var)
    check_broadcast("gaussian_nll_loss", input=x, target=y)
    variances = known(var)
    if variances is not None and (variances < 0).any():
        fail(ValueError, "gaussian_nll_loss", "var", "non-negative", v if v.ndim else float(variances))
    if v.shape != x.shape and not number:
        unlike = [b for a, b in zip(x.shape, v.shape, strict=False) if a != b]
        if v.shape == x.shape[:-1]:
            v = v[..., None]
        elif v.ndim != x.ndim or unlike != [1]:
            expected = f"of the shape of input {list(x.shape)}, or without its last axis, or with one axis of length 1"
            fail(ValueError, "gaussian_nll_loss", "var", expected, v)
    return _gaussian(x, y, v, eps, bool(full), reduction)

"""Dropout of elements and of whole channels, with zeros or (alpha dropout) with SELU's saturation value."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from fnn import random
from fnn.functional.arrays import ArrayLike, known, widen, written
from fnn.functional.checks import as_array, check_probability, fail
from fnn.functional.explained import explained
from fnn.random.bits import words
from fnn.stateful.warning import warn

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"]

# Minus the value at which SELU saturates.
_ALPHA = 1.7580993408473766


def _keep(key: Any, p: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """A mask that is True with probability ``1 - p``."""
    drawn = words(key, shape)
    return drawn >= (p * 2.0**32).astype(jnp.uint32)


def _mask_shape(shape: tuple[int, ...], axes: int | None) -> tuple[int, ...]:
    """One draw for each element, or (``axes`` given) for each index of the leading ``axes``."""
    return shape if axes is None else shape[:axes] + (1,) * (len(shape) - axes)


@partial(jax.jit, static_argnames="axes")
def _dropout(key: Any, input: jax.Array, p: Any, axes: int | None) -> jax.Array:
    p = jnp.asarray(p, jnp.result_type(float))
    keep = _keep(key, p, _mask_shape(input.shape, axes))
    # A traced p may be 1, where the scale is infinite but nothing is kept.
    scale = 1 / jnp.where(p < 1, 1 - p, 1)
    wide = widen(input)
    return jnp.where(keep & (p < 1), wide * scale.astype(wide.dtype), 0).astype(input.dtype)


@partial(jax.jit, static_argnames="axes")
def _alpha_dropout(key: Any, input: jax.Array, p: Any, axes: int | None) -> jax.Array:
    p = jnp.asarray(p, jnp.result_type(float))
    keep = _keep(key, p, _mask_shape(input.shape, axes))
    some = p < 1
    a = 1 / jnp.sqrt(jnp.where(some, (_ALPHA * _ALPHA * p + 1) * (1 - p), 1))
    wide = widen(input)
    kept = (a.astype(wide.dtype) * wide) + (a * _ALPHA * p).astype(wide.dtype)
    dropped = jnp.where(some, a * _ALPHA * (p - 1), 0).astype(wide.dtype)
    return jnp.where(keep & some, kept, dropped).astype(input.dtype)


@jax.jit
def _nothing_kept(input: jax.Array) -> jax.Array:
    return input * jnp.zeros((), input.dtype)


def _apply(
    rule: Callable[..., jax.Array],
    function: str,
    input: ArrayLike,
    p: float | jax.Array,
    training: bool,
    rng: jax.Array | None,
    axes: int | None,
) -> jax.Array:
    """Any variant: the check of ``p``, the cases that draw nothing, the key, then ``rule``."""
    x = as_array(function, "input", input)
    if p is None or isinstance(p, str | bytes | list | tuple):
        fail(TypeError, function, "p", "a number", p)
    check_probability(function, "p", p)
    chance = known(p)
    if not training or chance == 0 or x.size == 0:
        return x
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        fail(TypeError, function, "input", "of a floating dtype", x)
    if axes is not None and x.ndim < axes:
        fail(ValueError, function, "input", f"at least {axes}-D", x)
    if chance == 1:
        return _nothing_kept(x)
    return rule(random.next_key(function, rng), x, p, axes)


@explained
def dropout(
    input: ArrayLike,
    p: float | jax.Array = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    rng: jax.Array | None = None,
) -> jax.Array:
    """Sets each element to zero with probability ``p`` and scales the others by ``1 / (1 - p)``.

    Args:
        input: array.
        p: probability of a zero; may be traced.
        training: False returns the input.
        inplace: whether an input that is a box gets the result too; an array never changes.
        rng: a JAX PRNG key; without it the ambient source gives one.

    Shape:
        - input, output: (*), alike.

    Returns:
        the array with zeros. Nothing is drawn if ``training`` is False or ``p`` is 0 or 1.

    Raises:
        ValueError: if ``p`` lies outside [0, 1].
        TypeError: if the dtype is not floating.
        RuntimeError: under a JAX transformation without a key.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.dropout.html

    Example:
        >>> import jax, jax.numpy as jnp
        >>> sorted(set(dropout(jnp.ones(99), 0.5, rng=jax.random.key(0)).tolist()))
        [0.0, 2.0]
    """
    return written(input, inplace, _apply(_dropout, "dropout", input, p, training, rng, None))


@explained
def dropout1d(
    input: ArrayLike,
    p: float | jax.Array = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    rng: jax.Array | None = None,
) -> jax.Array:
    """Sets each channel of a sequence to zero with probability ``p`` and scales the others by ``1 / (1 - p)``.

    Args:
        input: array.
        p: probability of a zero; may be traced.
        training: False returns the input.
        inplace: whether an input that is a box gets the result too; an array never changes.
        rng: a JAX PRNG key; without it the ambient source gives one.

    Shape:
        - input, output: (N, C, L) or (C, L).

    Returns:
        the array with channels of zeros.

    Raises:
        ValueError: if ``p`` lies outside [0, 1] or the rank is neither 2 nor 3.
        TypeError: if the dtype is not floating.
        RuntimeError: under a JAX transformation without a key.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.dropout1d.html

    Example:
        >>> import jax, jax.numpy as jnp
        >>> out = dropout1d(jnp.ones((8, 4)), rng=jax.random.key(0))
        >>> bool((out == out[:, :1]).all())
        True
    """
    x = as_array("dropout1d", "input", input)
    if x.ndim not in (2, 3):
        fail(ValueError, "dropout1d", "input", "2-D (C, L) or 3-D (N, C, L)", x)
    return written(input, inplace, _apply(_dropout, "dropout1d", x, p, training, rng, x.ndim - 1))


@explained
def dropout2d(
    input: ArrayLike,
    p: float | jax.Array = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    rng: jax.Array | None = None,
) -> jax.Array:
    """Sets each channel of an image to zero with probability ``p`` and scales the others by ``1 / (1 - p)``.

    Args:
        input: array.
        p: probability of a zero; may be traced.
        training: False returns the input.
        inplace: whether an input that is a box gets the result too; an array never changes.
        rng: a JAX PRNG key; without it the ambient source gives one.

    Shape:
        - input, output: (N, C, H, W). As in torch, (N, C, L) is accepted with a UserWarning, and so is any other rank
          from 2 on.

    Returns:
        the array with channels of zeros.

    Raises:
        ValueError: if ``p`` lies outside [0, 1] or the input has fewer than 2 axes.
        TypeError: if the dtype is not floating.
        RuntimeError: under a JAX transformation without a key.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.dropout2d.html

    Example:
        >>> import jax, jax.numpy as jnp
        >>> out = dropout2d(jnp.ones((2, 8, 2, 2)), rng=jax.random.key(0))
        >>> bool((out == out[:, :, :1, :1]).all())
        True
    """
    x = as_array("dropout2d", "input", input)
    check_probability("dropout2d", "p", p)
    if x.ndim == 3:
        warn("dropout2d: a 3-D input is taken as (N, C, L), which drops channels of sequences; use dropout1d for that")
    elif x.ndim != 4:
        warn(
            f"dropout2d: a {x.ndim}-D input is deprecated, 4-D (N, C, H, W) is expected; the first two axes are "
            "taken as (N, C); use dropout to drop single elements"
        )
    return written(input, inplace, _apply(_dropout, "dropout2d", x, p, training, rng, 2))


@explained
def dropout3d(
    input: ArrayLike,
    p: float | jax.Array = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    rng: jax.Array | None = None,
) -> jax.Array:
    """Sets each channel of a volume to zero with probability ``p`` and scales the others by ``1 / (1 - p)``.

    Args:
        input: array.
        p: probability of a zero; may be traced.
        training: False returns the input.
        inplace: whether an input that is a box gets the result too; an array never changes.
        rng: a JAX PRNG key; without it the ambient source gives one.

    Shape:
        - input, output: (N, C, D, H, W) or (C, D, H, W). As in torch, other ranks are accepted with a UserWarning:
          their first axis is the channel.

    Returns:
        the array with channels of zeros.

    Raises:
        ValueError: if ``p`` lies outside [0, 1] or the input is 0-D.
        TypeError: if the dtype is not floating.
        RuntimeError: under a JAX transformation without a key.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.dropout3d.html

    Example:
        >>> import jax, jax.numpy as jnp
        >>> out = dropout3d(jnp.ones((8, 2, 2, 2)), rng=jax.random.key(0))
        >>> bool((out == out[:, :1, :1, :1]).all())
        True
    """
    x = as_array("dropout3d", "input", input)
    check_probability("dropout3d", "p", p)
    if x.ndim not in (4, 5):
        warn(
            f"dropout3d: a {x.ndim}-D input is deprecated, 4-D (C, D, H, W) or 5-D (N, C, D, H, W) is expected; "
            "the first axis is taken as the channel; use dropout to drop single elements"
        )
    return written(input, inplace, _apply(_dropout, "dropout3d", x, p, training, rng, 2 if x.ndim == 5 else 1))


@explained
def alpha_dropout(
    input: ArrayLike,
    p: float | jax.Array = 0.5,
    training: bool = False,
    inplace: bool = False,
    *,
    rng: jax.Array | None = None,
) -> jax.Array:
    """Dropout that keeps mean 0 and variance 1, for networks of SELU units.

    An element becomes ``a (m x + (1 - m) s) + b`` with ``m`` 0 with probability ``p``, else 1, with ``s`` the value at
    which SELU saturates, ``a = ((1 - p) (1 + p s**2)) ** -0.5`` and ``b = -a p s``.

    Args:
        input: array.
        p: probability of saturation; may be traced.
        training: False (the default) returns the input.
        inplace: whether an input that is a box gets the result too; an array never changes.
        rng: a JAX PRNG key; without it the ambient source gives one.

    Shape:
        - input, output: (*), alike.

    Returns:
        the array with saturated elements.

    Raises:
        ValueError: if ``p`` lies outside [0, 1].
        TypeError: if the dtype is not floating.
        RuntimeError: under a JAX transformation without a key.

    Source: Klambauer et al., Self-Normalizing Neural Networks, 2017;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.alpha_dropout.html

    Example:
        >>> import jax, jax.numpy as jnp
        >>> len(set(alpha_dropout(jnp.ones(99), 0.5, True, rng=jax.random.key(0)).tolist()))
        2
    """
    return written(input, inplace, _apply(_alpha_dropout, "alpha_dropout", input, p, training, rng, None))


@explained
def feature_alpha_dropout(
    input: ArrayLike,
    p: float | jax.Array = 0.5,
    training: bool = False,
    inplace: bool = False,
    *,
    rng: jax.Array | None = None,
) -> jax.Array:
    """``alpha_dropout`` of whole channels.

    Args:
        input: array.
        p: probability of saturation; may be traced.
        training: False (the default) returns the input.
        inplace: whether an input that is a box gets the result too; an array never changes.
        rng: a JAX PRNG key; without it the ambient source gives one.

    Shape:
        - input, output: (N, C, *).

    Returns:
        the array with saturated channels.

    Raises:
        ValueError: if ``p`` lies outside [0, 1] or the input has fewer than 2 axes.
        TypeError: if the dtype is not floating.
        RuntimeError: under a JAX transformation without a key.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.feature_alpha_dropout.html

    Example:
        >>> import jax, jax.numpy as jnp
        >>> out = feature_alpha_dropout(jnp.ones((2, 8, 3)), 0.5, True, rng=jax.random.key(0))
        >>> bool((out == out[:, :, :1]).all())
        True
    """
    return written(input, inplace, _apply(_alpha_dropout, "feature_alpha_dropout", input, p, training, rng, 2))

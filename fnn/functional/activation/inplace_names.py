"""torch's in-place names of activations: what they are given, if it is a box, gets the result."""

from __future__ import annotations

import jax

from fnn.functional.activation import piecewise, smooth
from fnn.functional.arrays import ArrayLike
from fnn.functional.explained import explained

__all__ = [
    "celu_",
    "elu_",
    "hardtanh_",
    "leaky_relu_",
    "relu_",
    "rrelu_",
    "selu_",
    "threshold_",
]


@explained
def celu_(input: ArrayLike, alpha: float = 1.0) -> jax.Array:
    """``celu`` in place: a box (a ``Parameter`` or ``Buffer``) gets the result; an array never changes.

    Args:
        input: array.
        alpha: the scale of the part below 0.

    Shape:
        - input, output: (*), alike.

    Returns:
        the result.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.celu_.html

    Example:
        >>> import jax.numpy as jnp
        >>> celu_(jnp.array([0.0])).tolist()
        [0.0]
    """
    return smooth.celu(input, alpha, inplace=True)


@explained
def elu_(input: ArrayLike, alpha: float = 1.0) -> jax.Array:
    """``elu`` in place: a box (a ``Parameter`` or ``Buffer``) gets the result; an array never changes.

    Args:
        input: array.
        alpha: the scale of the part below 0.

    Shape:
        - input, output: (*), alike.

    Returns:
        the result.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.elu_.html

    Example:
        >>> import jax.numpy as jnp
        >>> elu_(jnp.array([0.0])).tolist()
        [0.0]
    """
    return smooth.elu(input, alpha, inplace=True)


@explained
def hardtanh_(input: ArrayLike, min_val: float = -1.0, max_val: float = 1.0) -> jax.Array:
    """``hardtanh`` in place: a box (a ``Parameter`` or ``Buffer``) gets the result; an array never changes.

    Args:
        input: array.
        min_val: the floor.
        max_val: the ceiling.

    Shape:
        - input, output: (*), alike.

    Returns:
        the result.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.hardtanh_.html

    Example:
        >>> import jax.numpy as jnp
        >>> hardtanh_(jnp.array([-2.0, 0.5])).tolist()
        [-1.0, 0.5]
    """
    return piecewise.hardtanh(input, min_val, max_val, inplace=True)


@explained
def leaky_relu_(input: ArrayLike, negative_slope: float = 0.01) -> jax.Array:
    """``leaky_relu`` in place: a box (a ``Parameter`` or ``Buffer``) gets the result; an array never changes.

    Args:
        input: array.
        negative_slope: the slope below 0.

    Shape:
        - input, output: (*), alike.

    Returns:
        the result.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.leaky_relu_.html

    Example:
        >>> import jax.numpy as jnp
        >>> leaky_relu_(jnp.array([-2.0, 2.0]), 0.5).tolist()
        [-1.0, 2.0]
    """
    return piecewise.leaky_relu(input, negative_slope, inplace=True)


@explained
def relu_(input: ArrayLike) -> jax.Array:
    """``relu`` in place: a box (a ``Parameter`` or ``Buffer``) gets the result; an array never changes.

    Args:
        input: array.

    Shape:
        - input, output: (*), alike.

    Returns:
        the result.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.relu_.html

    Example:
        >>> import jax.numpy as jnp
        >>> relu_(jnp.array([-2.0, 2.0])).tolist()
        [0.0, 2.0]
    """
    return piecewise.relu(input, inplace=True)


@explained
def rrelu_(
    input: ArrayLike,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    *,
    rng: jax.Array | None = None,
) -> jax.Array:
    """``rrelu`` in place: a box (a ``Parameter`` or ``Buffer``) gets the result; an array never changes.

    Args:
        input: array.
        lower: smallest slope.
        upper: largest slope.
        training: False takes the mean of the two slopes and draws nothing.
        rng: a JAX PRNG key; without it the ambient source gives one.

    Shape:
        - input, output: (*), alike.

    Returns:
        the result.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.rrelu_.html

    Example:
        >>> import jax.numpy as jnp
        >>> rrelu_(jnp.array([-2.0, 3.0]), 0.25, 0.75).tolist()
        [-1.0, 3.0]
    """
    return piecewise.rrelu(input, lower, upper, training, inplace=True, rng=rng)


@explained
def selu_(input: ArrayLike) -> jax.Array:
    """``selu`` in place: a box (a ``Parameter`` or ``Buffer``) gets the result; an array never changes.

    Args:
        input: array.

    Shape:
        - input, output: (*), alike.

    Returns:
        the result.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.selu_.html

    Example:
        >>> import jax.numpy as jnp
        >>> selu_(jnp.array([0.0])).tolist()
        [0.0]
    """
    return smooth.selu(input, inplace=True)


@explained
def threshold_(input: ArrayLike, threshold: float, value: float) -> jax.Array:
    """``threshold`` in place: a box (a ``Parameter`` or ``Buffer``) gets the result; an array never changes.

    Args:
        input: array.
        threshold: the limit.
        value: what stands for the elements up to the limit.

    Shape:
        - input, output: (*), alike.

    Returns:
        the result.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.threshold_.html

    Example:
        >>> import jax.numpy as jnp
        >>> threshold_(jnp.array([0.0, 2.0]), 1.0, -5.0).tolist()
        [-5.0, 2.0]
    """
    return piecewise.threshold(input, threshold, value, inplace=True)

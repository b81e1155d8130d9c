"""Instance normalization, and its running statistics."""

from __future__ import annotations

import math

import jax

from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import (
    as_array,
    fail,
)
from fnn.functional.explained import explained
from fnn.functional.moments import (
    channelwise,
    check_arguments,
    normalize_by_moments,
    normalize_by_running_statistics,
    updated_statistics,
    write_statistics,
)

__all__ = [
    "instance_norm",
    "instance_norm_update",
]


def _check_positions(function: str, x: jax.Array) -> None:
    if math.prod(x.shape[2:]) == 1:
        fail(ValueError, function, "input", "of more than 1 position when its statistics are used", x)


@explained
def instance_norm(
    input: ArrayLike,
    running_mean: ArrayLike | None = None,
    running_var: ArrayLike | None = None,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    use_input_stats: bool = True,
    momentum: float | jax.Array = 0.1,
    eps: float = 1e-5,
) -> jax.Array:
    """Normalizes each channel of each sample, ``(x - mean) / sqrt(var + eps) * weight + bias`` (Ulyanov et al., 2016).

    With ``use_input_stats``, running statistics that are boxes (a ``Buffer``) move towards those of the batch, as in torch.
    Given as arrays they stay: ``instance_norm_update`` returns the new ones.

    Args:
        input: array with channels on axis 1.
        running_mean: means used with ``use_input_stats`` false; a box is updated with it true.
        running_var: variances used with ``use_input_stats`` false; a box is updated with it true.
        weight: scale of each channel.
        bias: shift of each channel.
        use_input_stats: whether to use the statistics of the sample.
        momentum: weight of the batch in the running statistics.
        eps: added to the variance.

    Shape:
        - input: (N, C, *) with at least one position axis; it needs none with ``use_input_stats`` false.
        - running_mean, running_var, weight, bias: (C).
        - output: (N, C, *).

    Returns:
        the normalized array.

    Raises:
        TypeError: if a dtype is not floating, or the dtypes differ.
        ValueError: if a shape does not fit, a sample has one position, or one of the running statistics is given without the
            other.
        RuntimeError: if running statistics are missing when they are to be used; if a box would be written under a JAX
            transformation that fnn does not run.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.instance_norm.html

    Example:
        >>> import jax.numpy as jnp
        >>> instance_norm(jnp.array([[[1.0, 3.0]]])).round(3).tolist()
        [[[-1.0, 1.0]]]
    """
    x = as_array("instance_norm", "input", input)
    if x.ndim < (3 if use_input_stats else 2):
        fail(ValueError, "instance_norm", "input", f"at least {3 if use_input_stats else 2}-D", x)
    arrays = check_arguments("instance_norm", x, running_mean, running_var, weight, bias, 0)  # any eps
    if use_input_stats:
        _check_positions("instance_norm", x)
        scale, shift = (None if v is None else channelwise(v, x.ndim) for v in (arrays["weight"], arrays["bias"]))
        output = normalize_by_moments(x, scale, shift, eps, tuple(range(2, x.ndim)))
        write_statistics("instance_norm", x, running_mean, running_var, momentum, True)
        return output
    return normalize_by_running_statistics("instance_norm", "use_input_stats", x, arrays, eps)


@explained
def instance_norm_update(
    input: ArrayLike, running_mean: ArrayLike, running_var: ArrayLike, momentum: float | jax.Array = 0.1
) -> tuple[jax.Array, jax.Array]:
    """The running statistics after a batch: its samples' means and unbiased variances, averaged, weighted by ``momentum``.

    Args:
        input: the batch, with channels on axis 1.
        running_mean: old means.
        running_var: old variances.
        momentum: weight of the batch.

    Shape:
        - input: (N, C, *) with at least one position axis.
        - running_mean, running_var: (C).

    Returns:
        the new ``(running_mean, running_var)``; constants to autodiff.

    Raises:
        TypeError: if the dtypes differ or ``momentum`` is ``None``.
        ValueError: if a shape does not fit, or a sample has one position.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.InstanceNorm1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> mean, var = instance_norm_update(jnp.array([[[1.0, 3.0]]]), jnp.zeros(1), jnp.ones(1), 0.5)
        >>> mean.tolist(), var.tolist()
        ([1.0], [1.5])
    """
    x = as_array("instance_norm_update", "input", input)
    if x.ndim > 2:
        _check_positions("instance_norm_update", x)
    return updated_statistics("instance_norm_update", x, running_mean, running_var, momentum, True)

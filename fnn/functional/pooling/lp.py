"""Power-average pooling: the p-norm of each window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from fnn.functional.arrays import ArrayLike, absolute
from fnn.functional.checks import check_floating, fail, ntuple
from fnn.functional.explained import explained
from fnn.functional.pooling.average import avg_pool
from fnn.functional.pooling.common import check_input, check_stride, window_counts
from fnn.functional.pooling.max import max_windows

__all__ = ["lp_pool1d", "lp_pool2d", "lp_pool3d"]


def _lp_pool(function: str, n: int, input: Any, norm_type: Any, kernel: Any, stride: Any, ceil: bool) -> jax.Array:
    x = check_input(function, input, n)
    check_floating(function, input=x)
    kernel = ntuple(function, "kernel_size", kernel, n, 1)
    p = float(norm_type)
    if p == 0:
        fail(ValueError, function, "norm_type", "nonzero", norm_type)
    if math.isinf(p):
        # Of the magnitudes the largest, or the smallest.
        sign, stride, none, ones = math.copysign(1, p), check_stride(function, stride, kernel), (0,) * n, (1,) * n
        out = window_counts(function, x, kernel, stride, none, ones, bool(ceil))
        signed = sign * absolute(x)
        return (
            sign
            * max_windows(signed, kernel=kernel, stride=stride, padding=none, dilation=ones, out=out, indices=False)[0]
        )
    powers = x ** (int(p) if p.is_integer() else p)
    total = avg_pool(function, n, powers, kernel, stride, 0, ceil, True, None) * math.prod(kernel)
    if p < 0:
        return total ** (1.0 / p)
    # The root has no derivative at 0, where the value is 0: the gradient there is 0.
    zero = total == 0
    return jnp.where(zero, 0, jnp.where(zero, 1, total) ** (1.0 / p)).astype(x.dtype)


@explained
def lp_pool1d(
    input: ArrayLike,
    norm_type: float,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    ceil_mode: bool = False,
) -> jax.Array:
    """The p-norm of each window of a sequence, without the absolute value.

    ``out[i] = (sum_j input[i * stride + j] ** p) ** (1 / p)`` with p = ``norm_type``; of the magnitudes the largest for
    p = inf, the smallest for p = -inf.

    Args:
        input: an array.
        norm_type: the exponent p, not 0.
        kernel_size: elements of a window.
        stride: distance of neighbouring windows; ``kernel_size`` if None.
        ceil_mode: whether a last window may overhang, so that L_out is rounded up.

    Shape:
        - input: (N, C, L) or (C, L).
        - output: (N, C, L_out) or (C, L_out), L_out = floor((L - kernel_size) / stride) + 1.

    Returns:
        the norms, in the dtype of the input; where the sum is 0 the gradient is 0.

    Raises:
        TypeError: if the type of an option does not fit, or the dtype is not floating.
        ValueError: if the rank, a size or an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.lp_pool1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> lp_pool1d(jnp.ones((1, 2, 4)), 2, 2).shape
        (1, 2, 2)
    """
    return _lp_pool("lp_pool1d", 1, input, norm_type, kernel_size, stride, ceil_mode)


@explained
def lp_pool2d(
    input: ArrayLike,
    norm_type: float,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    ceil_mode: bool = False,
) -> jax.Array:
    """The p-norm of each window of an image, without the absolute value.

    The rule of ``lp_pool1d``, with the sum over both axes of the window.

    Args:
        input: an array.
        norm_type: the exponent p, not 0.
        kernel_size, stride: as for ``lp_pool1d``, an int or two (one an axis) each.
        ceil_mode: whether last windows may overhang, so that the lengths are rounded up.

    Shape:
        - input: (N, C, H, W) or (C, H, W).
        - output: (N, C, H_out, W_out) or (C, H_out, W_out), each length as in ``lp_pool1d``.

    Returns:
        the norms, in the dtype of the input; where the sum is 0 the gradient is 0.

    Raises:
        TypeError: if the type of an option does not fit, or the dtype is not floating.
        ValueError: if the rank, a size or an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.lp_pool2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> lp_pool2d(jnp.ones((1, 2, 4, 4)), 2, 2).shape
        (1, 2, 2, 2)
    """
    return _lp_pool("lp_pool2d", 2, input, norm_type, kernel_size, stride, ceil_mode)


@explained
def lp_pool3d(
    input: ArrayLike,
    norm_type: float,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    ceil_mode: bool = False,
) -> jax.Array:
    """The p-norm of each window of a volume, without the absolute value.

    The rule of ``lp_pool1d``, with the sum over the three axes of the window.

    Args:
        input: an array.
        norm_type: the exponent p, not 0.
        kernel_size, stride: as for ``lp_pool1d``, an int or three (one an axis) each.
        ceil_mode: whether last windows may overhang, so that the lengths are rounded up.

    Shape:
        - input: (N, C, D, H, W) or (C, D, H, W).
        - output: (N, C, D_out, H_out, W_out) or (C, D_out, H_out, W_out), each length as in ``lp_pool1d``.

    Returns:
        the norms, in the dtype of the input; where the sum is 0 the gradient is 0.

    Raises:
        TypeError: if the type of an option does not fit, or the dtype is not floating.
        ValueError: if the rank, a size or an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.lp_pool3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> lp_pool3d(jnp.ones((1, 2, 4, 4, 4)), 2, 2).shape
        (1, 2, 2, 2, 2)
    """
    return _lp_pool("lp_pool3d", 3, input, norm_type, kernel_size, stride, ceil_mode)

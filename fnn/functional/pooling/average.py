"""Average pooling over regular windows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce
from typing import Any

import jax
import numpy as np

from fnn.functional.arrays import ArrayLike, widen
from fnn.functional.checks import as_int, check_floating, fail, ntuple
from fnn.functional.explained import explained
from fnn.functional.pooling.common import Ints, check_input, check_stride, window_counts
from fnn.kernels import pooling as kernels

__all__ = ["avg_pool1d", "avg_pool2d", "avg_pool3d"]


def element_counts(by_axis: list[np.ndarray]) -> np.ndarray:
    """The number of elements of each window, from those along each axis."""
    return reduce(np.multiply.outer, by_axis, np.ones((), np.int64))


@partial(jax.jit, static_argnames=("kernel", "stride", "padding", "out", "include_pad", "divisor"))
def mean_windows(
    x: jax.Array, *, kernel: Ints, stride: Ints, padding: Ints, out: Ints, include_pad: bool, divisor: int | None
) -> jax.Array:
    """Average pooling: window sums over a divisor known at compile time."""
    n = len(kernel)
    counts = []
    for size, k, s, p, o in zip(x.shape[x.ndim - n :], kernel, stride, padding, out, strict=True):
        start = np.arange(o) * s - p
        stop = np.minimum(start + k, size + p)
        counts.append(stop - start if include_pad else np.minimum(stop, size) - np.maximum(start, 0))
    total = kernels.sum_pool(widen(x), kernels.Windows(kernel, stride, padding, (1,) * n, out))
    count = np.asarray(divisor) if divisor is not None else element_counts(counts)
    return (total / count.astype(total.dtype)).astype(x.dtype)


def avg_pool(
    function: str, n: int, input: Any, kernel: Any, stride: Any, padding: Any, ceil: bool, include: bool, divisor: Any
) -> jax.Array:
    """Average pooling over ``n`` axes, with the checks in the name of ``function``."""
    x = check_input(function, input, n)
    check_floating(function, input=x)
    kernel = ntuple(function, "kernel_size", kernel, n, 1)
    stride = check_stride(function, stride, kernel)
    padding = ntuple(function, "padding", padding, n, 0)
    if n == 3 and any(k > length for k, length in zip(kernel, x.shape[-3:], strict=True)):
        fail(ValueError, function, "kernel_size", f"at most the size of the input {x.shape[-3:]}", kernel)
    out = window_counts(function, x, kernel, stride, padding, (1,) * n, bool(ceil))
    if divisor is not None and (divisor := as_int(function, "divisor_override", divisor)) == 0:
        fail(ValueError, function, "divisor_override", "nonzero", divisor)
    return mean_windows(
        x, kernel=kernel, stride=stride, padding=padding, out=out, include_pad=bool(include), divisor=divisor
    )


@explained
def avg_pool1d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> jax.Array:
    """Mean of each window of a sequence.

    ``out[i] = sum_j input[i * stride - padding + j] / kernel_size``, j from 0 to ``kernel_size`` - 1.

    Args:
        input: an array.
        kernel_size: elements of a window.
        stride: distance of neighbouring windows; ``kernel_size`` if None.
        padding: zeros added on both sides; at most half of ``kernel_size``.
        ceil_mode: whether a last window may overhang, so that L_out is rounded up.
        count_include_pad: whether the padding counts in the divisor.

    Shape:
        - input: (N, C, L) or (C, L).
        - output: (N, C, L_out) or (C, L_out), L_out = floor((L + 2 padding - kernel_size) / stride) + 1.

    Returns:
        the means, in the dtype of the input.

    Raises:
        TypeError: if the type of an option does not fit, or the dtype is not floating.
        ValueError: if the rank, a size or an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.avg_pool1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> avg_pool1d(jnp.ones((1, 2, 4)), 2).shape
        (1, 2, 2)
    """
    return avg_pool("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


@explained
def avg_pool2d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> jax.Array:
    """Mean of each window of an image.

    ``out[i, j] = sum input[i * stride + k - padding, j * stride + l - padding] / count`` over k and l.

    Args:
        input: an array.
        kernel_size, stride, padding: as for ``avg_pool1d``, an int or two (one an axis) each.
        ceil_mode: whether last windows may overhang, so that the lengths are rounded up.
        count_include_pad: whether the padding counts in the divisor.
        divisor_override: the divisor, in place of the number of elements.

    Shape:
        - input: (N, C, H, W) or (C, H, W).
        - output: (N, C, H_out, W_out) or (C, H_out, W_out), each length as in ``avg_pool1d``.

    Returns:
        the means, in the dtype of the input.

    Raises:
        TypeError: if the type of an option does not fit, or the dtype is not floating.
        ValueError: if the rank, a size or an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.avg_pool2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> avg_pool2d(jnp.ones((1, 2, 4, 4)), 2).shape
        (1, 2, 2, 2)
    """
    return avg_pool(
        "avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@explained
def avg_pool3d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> jax.Array:
    """Mean of each window of a volume.

    The rule of ``avg_pool2d`` over three axes.

    Args:
        input: an array.
        kernel_size, stride, padding: as for ``avg_pool1d``, an int or three (one an axis) each.
        ceil_mode: whether last windows may overhang, so that the lengths are rounded up.
        count_include_pad: whether the padding counts in the divisor.
        divisor_override: the divisor, in place of the number of elements.

    Shape:
        - input: (N, C, D, H, W) or (C, D, H, W).
        - output: (N, C, D_out, H_out, W_out) or (C, D_out, H_out, W_out), each length as in ``avg_pool1d``.

    Returns:
        the means, in the dtype of the input.

    Raises:
        TypeError: if the type of an option does not fit, or the dtype is not floating.
        ValueError: if the rank, a size or an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.avg_pool3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> avg_pool3d(jnp.ones((1, 2, 4, 4, 4)), 2).shape
        (1, 2, 2, 2, 2)
    """
    return avg_pool(
        "avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )

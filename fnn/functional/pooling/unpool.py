"""The partial inverse of max pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import as_array, check_index_range, check_integer, check_shape, fail, ntuple
from fnn.functional.explained import explained
from fnn.functional.pooling.common import Ints, check_input, check_stride

__all__ = ["max_unpool1d", "max_unpool2d", "max_unpool3d"]


@partial(jax.jit, static_argnames=("out",))
def _scatter(x: jax.Array, indices: jax.Array, *, out: Ints) -> jax.Array:
    """Values placed at flat indices of a zero plane; a plane with an index out of range becomes NaN."""
    n, size = len(out), math.prod(out)
    lead = x.shape[: x.ndim - n]
    rows = math.prod(lead)
    values, at = (v.reshape(rows, math.prod(v.shape[v.ndim - n :])) for v in (x, indices))
    bad = ((at < 0) | (at >= size)).any(-1, keepdims=True)
    at = jnp.where((at < 0) | (at >= size), size, at)
    planes = jnp.zeros((rows, size), x.dtype).at[np.arange(rows)[:, None], at].set(values, mode="drop")
    if jnp.issubdtype(x.dtype, jnp.floating):
        planes = jnp.where(bad, jnp.nan, planes).astype(x.dtype)
    return planes.reshape(lead + out)


def _unpool(
    function: str, n: int, input: Any, indices: Any, kernel: Any, stride: Any, padding: Any, output_size: Any
) -> jax.Array:
    x = check_input(function, input, n)
    at = as_array(function, "indices", indices)
    check_integer(function, indices=at)
    check_shape(function, "indices", at, x.shape, "(that of input)")
    kernel = ntuple(function, "kernel_size", kernel, n, 1)
    stride = check_stride(function, stride, kernel)
    padding = ntuple(function, "padding", padding, n, 0)
    sizes = x.shape[x.ndim - n :]
    out = tuple((s - 1) * t - 2 * p + k for s, t, p, k in zip(sizes, stride, padding, kernel, strict=True))
    if output_size is not None:
        items = tuple(output_size)
        wanted = ntuple(function, "output_size", items[-n:] if len(items) == x.ndim else items, n, 1)
        for w, o, t in zip(wanted, out, stride, strict=True):
            if not o - t < w < o + t:
                fail(ValueError, function, "output_size", f"strictly between {o - t} and {o + t}", w)
        out = wanted
    if min(out) < 1:
        fail(ValueError, function, "input", f"large enough (the output size would be {out})", x)
    check_index_range(function, "indices", at, math.prod(out))
    return _scatter(x, at, out=out)


@explained
def max_unpool1d(
    input: ArrayLike,
    indices: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    output_size: Sequence[int] | None = None,
) -> jax.Array:
    """Puts maxima back where max pooling of a sequence found them.

    ``out[indices[i]] = input[i]`` in each row, and 0 elsewhere.

    Args:
        input: the maxima.
        indices: their positions as ``max_pool1d`` returns them.
        kernel_size: elements of a window of the pooling.
        stride: distance of its windows; ``kernel_size`` if None.
        padding: its padding.
        output_size: the length of the output, or the whole shape; within ``stride`` of that below.

    Shape:
        - input: (N, C, L) or (C, L).
        - indices: as the input.
        - output: (N, C, L_out) or (C, L_out), L_out = (L - 1) stride - 2 padding + kernel_size unless given.

    Returns:
        the sparse array, in the dtype of the input. Under a trace a row with a position out of range is NaN.

    Raises:
        TypeError: if the type of an option does not fit, or ``indices`` are no integers.
        ValueError: if the rank, a size or an option does not fit.
        IndexError: if a concrete position is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.max_unpool1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> from fnn.functional import max_pool1d
        >>> values, positions = max_pool1d(jnp.ones((1, 2, 4)), 2, return_indices=True)
        >>> max_unpool1d(values, positions, 2).shape
        (1, 2, 4)
    """
    return _unpool("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


@explained
def max_unpool2d(
    input: ArrayLike,
    indices: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    output_size: Sequence[int] | None = None,
) -> jax.Array:
    """Puts maxima back where max pooling of an image found them.

    ``out[indices[i]] = input[i]`` in each plane, whose elements are counted in row-major order, and 0 elsewhere.

    Args:
        input: the maxima.
        indices: their positions as ``max_pool2d`` returns them.
        kernel_size, stride, padding: those of the pooling, an int or two (one an axis) each.
        output_size: the lengths of the output, or the whole shape; each within ``stride`` of that below.

    Shape:
        - input: (N, C, H, W) or (C, H, W).
        - indices: as the input.
        - output: (N, C, H_out, W_out) or (C, H_out, W_out), each length as in ``max_unpool1d``.

    Returns:
        the sparse array, in the dtype of the input. Under a trace a plane with a position out of range is NaN.

    Raises:
        TypeError: if the type of an option does not fit, or ``indices`` are no integers.
        ValueError: if the rank, a size or an option does not fit.
        IndexError: if a concrete position is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.max_unpool2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> from fnn.functional import max_pool2d
        >>> values, positions = max_pool2d(jnp.ones((1, 2, 4, 4)), 2, return_indices=True)
        >>> max_unpool2d(values, positions, 2).shape
        (1, 2, 4, 4)
    """
    return _unpool("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


@explained
def max_unpool3d(
    input: ArrayLike,
    indices: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    output_size: Sequence[int] | None = None,
) -> jax.Array:
    """Puts maxima back where max pooling of a volume found them.

    ``out[indices[i]] = input[i]`` in each volume, whose elements are counted in row-major order, and 0 elsewhere.

    Args:
        input: the maxima.
        indices: their positions as ``max_pool3d`` returns them.
        kernel_size, stride, padding: those of the pooling, an int or three (one an axis) each.
        output_size: the lengths of the output, or the whole shape; each within ``stride`` of that below.

    Shape:
        - input: (N, C, D, H, W) or (C, D, H, W).
        - indices: as the input.
        - output: (N, C, D_out, H_out, W_out) or (C, D_out, H_out, W_out), each length as in ``max_unpool1d``.

    Returns:
        the sparse array, in the dtype of the input. Under a trace a volume with a position out of range is NaN.

    Raises:
        TypeError: if the type of an option does not fit, or ``indices`` are no integers.
        ValueError: if the rank, a size or an option does not fit.
        IndexError: if a concrete position is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.max_unpool3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> from fnn.functional import max_pool3d
        >>> values, positions = max_pool3d(jnp.ones((1, 2, 4, 4, 4)), 2, return_indices=True)
        >>> max_unpool3d(values, positions, 2).shape
        (1, 2, 4, 4, 4)
    """
    return _unpool("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)

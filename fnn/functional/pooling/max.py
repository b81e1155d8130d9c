"""Max pooling over regular windows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, overload

import jax

from fnn.functional.arrays import ArrayLike, index_dtype
from fnn.functional.checks import check_real, ntuple
from fnn.functional.explained import explained
from fnn.functional.pooling.common import Ints, Pooled, check_input, check_stride, window_counts
from fnn.kernels import pooling as kernels

__all__ = [
    "max_pool1d",
    "max_pool1d_with_indices",
    "max_pool2d",
    "max_pool2d_with_indices",
    "max_pool3d",
    "max_pool3d_with_indices",
]


@partial(jax.jit, static_argnames=("kernel", "stride", "padding", "dilation", "out", "indices"))
def max_windows(
    x: jax.Array, *, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, out: Ints, indices: bool
) -> tuple[jax.Array, jax.Array | None]:
    """Max pooling over regular windows."""
    windows = kernels.Windows(kernel, stride, padding, dilation, out)
    return kernels.max_pool(x, windows), kernels.max_positions(x, windows).astype(index_dtype()) if indices else None


@overload
def _max_pool(
    indices: Literal[True],
    function: str,
    n: int,
    input: Any,
    kernel: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil: bool,
) -> tuple[jax.Array, jax.Array]: ...
@overload
def _max_pool(
    indices: bool, function: str, n: int, input: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool
) -> Pooled: ...
def _max_pool(
    indices: bool, function: str, n: int, input: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool
) -> Pooled:
    x = check_input(function, input, n)
    check_real(function, input=x)
    kernel = ntuple(function, "kernel_size", kernel, n, 1)
    stride = check_stride(function, stride, kernel)
    padding = ntuple(function, "padding", padding, n, 0)
    dilation = ntuple(function, "dilation", dilation, n, 1)
    out = window_counts(function, x, kernel, stride, padding, dilation, bool(ceil))
    values, at = max_windows(
        x, kernel=kernel, stride=stride, padding=padding, dilation=dilation, out=out, indices=bool(indices)
    )
    return values if at is None else (values, at)


@overload
def max_pool1d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: Literal[False] = False,
) -> jax.Array: ...
@overload
def max_pool1d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    *,
    return_indices: Literal[True],
) -> tuple[jax.Array, jax.Array]: ...
@overload
def max_pool1d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None,
    padding: int | Sequence[int],
    dilation: int | Sequence[int],
    ceil_mode: bool,
    return_indices: Literal[True],
) -> tuple[jax.Array, jax.Array]: ...
@overload
def max_pool1d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Pooled: ...
@explained
def max_pool1d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Pooled:
    """Maximum of each window of a sequence.

    ``out[i] = max_j input[i * stride - padding + j * dilation]``; the first of equal maxima gets the gradient.

    Args:
        input: an array.
        kernel_size: elements of a window.
        stride: distance of neighbouring windows; ``kernel_size`` if None.
        padding: elements, counted as minus infinity, added on both sides; at most half of ``kernel_size``.
        dilation: distance of neighbouring elements of a window.
        ceil_mode: whether a last window may overhang, so that L_out is rounded up.
        return_indices: whether the flat position of each maximum in its row is returned too.

    Shape:
        - input: (N, C, L) or (C, L).
        - output: (N, C, L_out) or (C, L_out), L_out = floor((L + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1.

    Returns:
        the values, or ``(values, positions)`` with ``return_indices``.

    Raises:
        TypeError: if the type of an option does not fit.
        ValueError: if the rank, a size or an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.max_pool1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> max_pool1d(jnp.ones((1, 2, 4)), 2).shape
        (1, 2, 2)
    """
    return _max_pool(return_indices, "max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode)


@explained
def max_pool1d_with_indices(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Maximum of each window of a sequence, and its position.

    ``max_pool1d(..., return_indices=True)`` under torch's second name.

    Args:
        input, kernel_size, stride, padding, dilation, ceil_mode: as for ``max_pool1d``.
        return_indices: accepted; the positions are returned in any case.

    Shape:
        - input: (N, C, L) or (C, L).
        - output: (N, C, L_out) or (C, L_out), L_out = floor((L + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1.

    Returns:
        ``(values, positions)``.

    Raises:
        TypeError: if the type of an option does not fit.
        ValueError: if the rank, a size or an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.max_pool1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> max_pool1d_with_indices(jnp.ones((1, 2, 4)), 2)[1].shape
        (1, 2, 2)
    """
    return _max_pool(True, "max_pool1d_with_indices", 1, input, kernel_size, stride, padding, dilation, ceil_mode)


@overload
def max_pool2d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: Literal[False] = False,
) -> jax.Array: ...
@overload
def max_pool2d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    *,
    return_indices: Literal[True],
) -> tuple[jax.Array, jax.Array]: ...
@overload
def max_pool2d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None,
    padding: int | Sequence[int],
    dilation: int | Sequence[int],
    ceil_mode: bool,
    return_indices: Literal[True],
) -> tuple[jax.Array, jax.Array]: ...
@overload
def max_pool2d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Pooled: ...
@explained
def max_pool2d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Pooled:
    """Maximum of each window of an image.

    ``out[i, j] = max input[i * stride + k * dilation - padding, j * stride + l * dilation - padding]`` over k and l.

    Args:
        input: an array.
        kernel_size, stride, padding, dilation: as for ``max_pool1d``, an int or two (one an axis) each.
        ceil_mode: whether last windows may overhang, so that the lengths are rounded up.
        return_indices: whether the flat position of each maximum in its plane is returned too.

    Shape:
        - input: (N, C, H, W) or (C, H, W).
        - output: (N, C, H_out, W_out) or (C, H_out, W_out), each length as in ``max_pool1d``.

    Returns:
        the values, or ``(values, positions)`` with ``return_indices``.

    Raises:
        TypeError: if the type of an option does not fit.
        ValueError: if the rank, a size or an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.max_pool2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> max_pool2d(jnp.ones((1, 2, 4, 4)), 2).shape
        (1, 2, 2, 2)
    """
    return _max_pool(return_indices, "max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode)


@explained
def max_pool2d_with_indices(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Maximum of each window of an image, and its position.

    ``max_pool2d(..., return_indices=True)`` under torch's second name.

    Args:
        input, kernel_size, stride, padding, dilation, ceil_mode: as for ``max_pool2d``.
        return_indices: accepted; the positions are returned in any case.

    Shape:
        - input: (N, C, H, W) or (C, H, W).
        - output: (N, C, H_out, W_out) or (C, H_out, W_out), each length as in ``max_pool1d``.

    Returns:
        ``(values, positions)``.

    Raises:
        TypeError: if the type of an option does not fit.
        ValueError: if the rank, a size or an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.max_pool2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> max_pool2d_with_indices(jnp.ones((1, 2, 4, 4)), 2)[1].shape
        (1, 2, 2, 2)
    """
    return _max_pool(True, "max_pool2d_with_indices", 2, input, kernel_size, stride, padding, dilation, ceil_mode)


@overload
def max_pool3d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: Literal[False] = False,
) -> jax.Array: ...
@overload
def max_pool3d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    *,
    return_indices: Literal[True],
) -> tuple[jax.Array, jax.Array]: ...
@overload
def max_pool3d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None,
    padding: int | Sequence[int],
    dilation: int | Sequence[int],
    ceil_mode: bool,
    return_indices: Literal[True],
) -> tuple[jax.Array, jax.Array]: ...
@overload
def max_pool3d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Pooled: ...
@explained
def max_pool3d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Pooled:
    """Maximum of each window of a volume.

    The rule of ``max_pool2d`` over three axes.

    Args:
        input: an array.
        kernel_size, stride, padding, dilation: as for ``max_pool1d``, an int or three (one an axis) each.
        ceil_mode: whether last windows may overhang, so that the lengths are rounded up.
        return_indices: whether the flat position of each maximum in its volume is returned too.

    Shape:
        - input: (N, C, D, H, W) or (C, D, H, W).
        - output: (N, C, D_out, H_out, W_out) or (C, D_out, H_out, W_out), each length as in ``max_pool1d``.

    Returns:
        the values, or ``(values, positions)`` with ``return_indices``.

    Raises:
        TypeError: if the type of an option does not fit.
        ValueError: if the rank, a size or an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.max_pool3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> max_pool3d(jnp.ones((1, 2, 4, 4, 4)), 2).shape
        (1, 2, 2, 2, 2)
    """
    return _max_pool(return_indices, "max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode)


@explained
def max_pool3d_with_indices(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Maximum of each window of a volume, and its position.

    ``max_pool3d(..., return_indices=True)`` under torch's second name.

    Args:
        input, kernel_size, stride, padding, dilation, ceil_mode: as for ``max_pool3d``.
        return_indices: accepted; the positions are returned in any case.

    Shape:
        - input: (N, C, D, H, W) or (C, D, H, W).
        - output: (N, C, D_out, H_out, W_out) or (C, D_out, H_out, W_out), each length as in ``max_pool1d``.

    Returns:
        ``(values, positions)``.

    Raises:
        TypeError: if the type of an option does not fit.
        ValueError: if the rank, a size or an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.max_pool3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> max_pool3d_with_indices(jnp.ones((1, 2, 4, 4, 4)), 2)[1].shape
        (1, 2, 2, 2, 2)
    """
    return _max_pool(True, "max_pool3d_with_indices", 3, input, kernel_size, stride, padding, dilation, ceil_mode)

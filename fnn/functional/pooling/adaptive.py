"""Pooling over a given number of windows that cover the input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, overload

import jax

from fnn.functional.arrays import ArrayLike, index_dtype, widen
from fnn.functional.checks import as_array, as_int, check_floating, check_rank, check_real, fail
from fnn.functional.explained import explained
from fnn.functional.pooling.average import element_counts, mean_windows
from fnn.functional.pooling.common import Ints, Pooled
from fnn.functional.pooling.max import max_windows
from fnn.kernels import pooling as kernels

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d",
    "adaptive_max_pool3d_with_indices",
]


def _tile(sizes: Ints, out: Ints) -> Ints | None:
    """The lengths of the windows if they are all alike and do not overlap, so that pooling is over regular windows."""
    if all(o and size % o == 0 for size, o in zip(sizes, out, strict=True)):
        return tuple(size // o for size, o in zip(sizes, out, strict=True))
    return None


@partial(jax.jit, static_argnames=("out", "indices"))
def _adaptive_max(x: jax.Array, *, out: Ints, indices: bool) -> tuple[jax.Array, jax.Array | None]:
    n = len(out)
    tile = _tile(x.shape[x.ndim - n :], out)
    if tile is not None:
        return max_windows(x, kernel=tile, stride=tile, padding=(0,) * n, dilation=(1,) * n, out=out, indices=indices)
    values = kernels.adaptive_max_pool(x, out)
    return values, kernels.adaptive_max_positions(x, out).astype(index_dtype()) if indices else None


@partial(jax.jit, static_argnames=("out",))
def _adaptive_mean(x: jax.Array, *, out: Ints) -> jax.Array:
    n = len(out)
    sizes = x.shape[x.ndim - n :]
    tile = _tile(sizes, out) if max(out) > 1 else None
    if tile is not None:
        return mean_windows(
            x, kernel=tile, stride=tile, padding=(0,) * n, out=out, include_pad=True, divisor=math.prod(tile)
        )
    counts = [kernels.window_bounds(size, o).lengths for size, o in zip(sizes, out, strict=True)]
    total = kernels.adaptive_sum_pool(widen(x), out)
    return (total / element_counts(counts).astype(total.dtype)).astype(x.dtype)


def _input(function: str, value: Any, n: int, no_channels: bool = False) -> jax.Array:
    """The input, of which only the first axis may be of length 0; with ``no_channels`` that of the channels too."""
    x = as_array(function, "input", value)
    check_rank(function, "input", x, n + 1, n + 2)
    if 0 in x.shape[x.ndim - n if no_channels else 1 :]:
        but_for = "batch and channel axes" if no_channels else "first axis"
        fail(ValueError, function, "input", f"nonempty but for its {but_for}", x)
    return x


def _output_size(function: str, x: jax.Array, n: int, output_size: Any) -> Ints:
    sizes = x.shape[x.ndim - n :]
    items = tuple(output_size) if isinstance(output_size, Sequence) else (output_size,) * n
    items = items * n if len(items) == 1 else items
    if len(items) != n:
        fail(ValueError, function, "output_size", f"an int or {n} ints", output_size)
    return tuple(s if o is None else as_int(function, "output_size", o, 0) for o, s in zip(items, sizes, strict=True))


def _adaptive_avg_pool(function: str, n: int, input: Any, output_size: Any) -> jax.Array:
    x = _input(function, input, n, no_channels=n < 3)  # as in torch, whose 3-D form takes no empty channel axis
    check_floating(function, input=x)
    return _adaptive_mean(x, out=_output_size(function, x, n, output_size))


@overload
def _adaptive_max_pool(
    indices: Literal[True], function: str, n: int, input: Any, output_size: Any
) -> tuple[jax.Array, jax.Array]: ...
@overload
def _adaptive_max_pool(indices: bool, function: str, n: int, input: Any, output_size: Any) -> Pooled: ...
def _adaptive_max_pool(indices: bool, function: str, n: int, input: Any, output_size: Any) -> Pooled:
    x = _input(function, input, n)
    check_real(function, input=x)
    values, at = _adaptive_max(x, out=_output_size(function, x, n, output_size), indices=bool(indices))
    return values if at is None else (values, at)


@explained
def adaptive_avg_pool1d(
    input: ArrayLike,
    output_size: int | Sequence[int | None] | None,
) -> jax.Array:
    """Mean of each of ``output_size`` windows that cover a sequence.

    Window i of O over the length L is ``[floor(i L / O), ceil((i + 1) L / O))``.

    Args:
        input: an array.
        output_size: the number L_out of windows; None stands for the length of the input.

    Shape:
        - input: (N, C, L) or (C, L).
        - output: (N, C, L_out) or (C, L_out).

    Returns:
        the means, in the dtype of the input.

    Raises:
        TypeError: if the type of an option does not fit, or the dtype is not floating.
        ValueError: if the rank, a size or an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.adaptive_avg_pool1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> adaptive_avg_pool1d(jnp.ones((1, 2, 4)), 2).shape
        (1, 2, 2)
    """
    return _adaptive_avg_pool("adaptive_avg_pool1d", 1, input, output_size)


@explained
def adaptive_avg_pool2d(
    input: ArrayLike,
    output_size: int | Sequence[int | None] | None,
) -> jax.Array:
    """Mean of each of ``output_size`` windows that cover an image.

    Along each axis the windows are those of ``adaptive_avg_pool1d``.

    Args:
        input: an array.
        output_size: the numbers of windows, an int or two; None stands for the length of the input.

    Shape:
        - input: (N, C, H, W) or (C, H, W).
        - output: (N, C, H_out, W_out) or (C, H_out, W_out).

    Returns:
        the means, in the dtype of the input.

    Raises:
        TypeError: if the type of an option does not fit, or the dtype is not floating.
        ValueError: if the rank, a size or an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.adaptive_avg_pool2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> adaptive_avg_pool2d(jnp.ones((1, 2, 4, 4)), 2).shape
        (1, 2, 2, 2)
    """
    return _adaptive_avg_pool("adaptive_avg_pool2d", 2, input, output_size)


@explained
def adaptive_avg_pool3d(
    input: ArrayLike,
    output_size: int | Sequence[int | None] | None,
) -> jax.Array:
    """Mean of each of ``output_size`` windows that cover a volume.

    Along each axis the windows are those of ``adaptive_avg_pool1d``.

    Args:
        input: an array.
        output_size: the numbers of windows, an int or three; None stands for the length of the input.

    Shape:
        - input: (N, C, D, H, W) or (C, D, H, W).
        - output: (N, C, D_out, H_out, W_out) or (C, D_out, H_out, W_out).

    Returns:
        the means, in the dtype of the input.

    Raises:
        TypeError: if the type of an option does not fit, or the dtype is not floating.
        ValueError: if the rank, a size or an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.adaptive_avg_pool3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> adaptive_avg_pool3d(jnp.ones((1, 2, 4, 4, 4)), 2).shape
        (1, 2, 2, 2, 2)
    """
    return _adaptive_avg_pool("adaptive_avg_pool3d", 3, input, output_size)


@overload
def adaptive_max_pool1d(
    input: ArrayLike,
    output_size: int | Sequence[int | None] | None,
    return_indices: Literal[False] = False,
) -> jax.Array: ...
@overload
def adaptive_max_pool1d(
    input: ArrayLike,
    output_size: int | Sequence[int | None] | None,
    return_indices: Literal[True],
) -> tuple[jax.Array, jax.Array]: ...
@overload
def adaptive_max_pool1d(
    input: ArrayLike,
    output_size: int | Sequence[int | None] | None,
    return_indices: bool = False,
) -> Pooled: ...
@explained
def adaptive_max_pool1d(
    input: ArrayLike,
    output_size: int | Sequence[int | None] | None,
    return_indices: bool = False,
) -> Pooled:
    """Maximum of each of ``output_size`` windows that cover a sequence.

    Window i of O over the length L is ``[floor(i L / O), ceil((i + 1) L / O))``.

    Args:
        input: an array.
        output_size: the number L_out of windows; None stands for the length of the input.
        return_indices: whether the flat position of each maximum in its row is returned too.

    Shape:
        - input: (N, C, L) or (C, L).
        - output: (N, C, L_out) or (C, L_out).

    Returns:
        the values, or ``(values, positions)`` with ``return_indices``.

    Raises:
        TypeError: if the type of an option does not fit.
        ValueError: if the rank, a size or an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.adaptive_max_pool1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> adaptive_max_pool1d(jnp.ones((1, 2, 4)), 2).shape
        (1, 2, 2)
    """
    return _adaptive_max_pool(return_indices, "adaptive_max_pool1d", 1, input, output_size)


@explained
def adaptive_max_pool1d_with_indices(
    input: ArrayLike,
    output_size: int | Sequence[int | None] | None,
    return_indices: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Maximum of each of ``output_size`` windows that cover a sequence, and its position.

    ``adaptive_max_pool1d(..., return_indices=True)`` under torch's second name.

    Args:
        input: an array.
        output_size: the number L_out of windows; None stands for the length of the input.
        return_indices: accepted; the positions are returned in any case.

    Shape:
        - input: (N, C, L) or (C, L).
        - output: (N, C, L_out) or (C, L_out).

    Returns:
        ``(values, positions)``.

    Raises:
        TypeError: if the type of an option does not fit.
        ValueError: if the rank, a size or an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.adaptive_max_pool1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> adaptive_max_pool1d_with_indices(jnp.ones((1, 2, 4)), 2)[1].shape
        (1, 2, 2)
    """
    return _adaptive_max_pool(True, "adaptive_max_pool1d_with_indices", 1, input, output_size)


@overload
def adaptive_max_pool2d(
    input: ArrayLike,
    output_size: int | Sequence[int | None] | None,
    return_indices: Literal[False] = False,
) -> jax.Array: ...
@overload
def adaptive_max_pool2d(
    input: ArrayLike,
    output_size: int | Sequence[int | None] | None,
    return_indices: Literal[True],
) -> tuple[jax.Array, jax.Array]: ...
@overload
def adaptive_max_pool2d(
    input: ArrayLike,
    output_size: int | Sequence[int | None] | None,
    return_indices: bool = False,
) -> Pooled: ...
@explained
def adaptive_max_pool2d(
    input: ArrayLike,
    output_size: int | Sequence[int | None] | None,
    return_indices: bool = False,
) -> Pooled:
    """Maximum of each of ``output_size`` windows that cover an image.

    Along each axis the windows are those of ``adaptive_max_pool1d``.

    Args:
        input: an array.
        output_size: the numbers of windows, an int or two; None stands for the length of the input.
        return_indices: whether the flat position of each maximum in its plane is returned too.

    Shape:
        - input: (N, C, H, W) or (C, H, W).
        - output: (N, C, H_out, W_out) or (C, H_out, W_out).

    Returns:
        the values, or ``(values, positions)`` with ``return_indices``.

    Raises:
        TypeError: if the type of an option does not fit.
        ValueError: if the rank, a size or an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.adaptive_max_pool2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> adaptive_max_pool2d(jnp.ones((1, 2, 4, 4)), 2).shape
        (1, 2, 2, 2)
    """
    return _adaptive_max_pool(return_indices, "adaptive_max_pool2d", 2, input, output_size)


@explained
def adaptive_max_pool2d_with_indices(
    input: ArrayLike,
    output_size: int | Sequence[int | None] | None,
    return_indices: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Maximum of each of ``output_size`` windows that cover an image, and its position.

    ``adaptive_max_pool2d(..., return_indices=True)`` under torch's second name.

    Args:
        input: an array.
        output_size: the numbers of windows, an int or two; None stands for the length of the input.
        return_indices: accepted; the positions are returned in any case.

    Shape:
        - input: (N, C, H, W) or (C, H, W).
        - output: (N, C, H_out, W_out) or (C, H_out, W_out).

    Returns:
        ``(values, positions)``.

    Raises:
        TypeError: if the type of an option does not fit.
        ValueError: if the rank, a size or an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.adaptive_max_pool2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> adaptive_max_pool2d_with_indices(jnp.ones((1, 2, 4, 4)), 2)[1].shape
        (1, 2, 2, 2)
    """
    return _adaptive_max_pool(True, "adaptive_max_pool2d_with_indices", 2, input, output_size)


@overload
def adaptive_max_pool3d(
    input: ArrayLike,
    output_size: int | Sequence[int | None] | None,
    return_indices: Literal[False] = False,
) -> jax.Array: ...
@overload
def adaptive_max_pool3d(
    input: ArrayLike,
    output_size: int | Sequence[int | None] | None,
    return_indices: Literal[True],
) -> tuple[jax.Array, jax.Array]: ...
@overload
def adaptive_max_pool3d(
    input: ArrayLike,
    output_size: int | Sequence[int | None] | None,
    return_indices: bool = False,
) -> Pooled: ...
@explained
def adaptive_max_pool3d(
    input: ArrayLike,
    output_size: int | Sequence[int | None] | None,
    return_indices: bool = False,
) -> Pooled:
    """Maximum of each of ``output_size`` windows that cover a volume.

    Along each axis the windows are those of ``adaptive_max_pool1d``.

    Args:
        input: an array.
        output_size: the numbers of windows, an int or three; None stands for the length of the input.
        return_indices: whether the flat position of each maximum in its volume is returned too.

    Shape:
        - input: (N, C, D, H, W) or (C, D, H, W).
        - output: (N, C, D_out, H_out, W_out) or (C, D_out, H_out, W_out).

    Returns:
        the values, or ``(values, positions)`` with ``return_indices``.

    Raises:
        TypeError: if the type of an option does not fit.
        ValueError: if the rank, a size or an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.adaptive_max_pool3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> adaptive_max_pool3d(jnp.ones((1, 2, 4, 4, 4)), 2).shape
        (1, 2, 2, 2, 2)
    """
    return _adaptive_max_pool(return_indices, "adaptive_max_pool3d", 3, input, output_size)


@explained
def adaptive_max_pool3d_with_indices(
    input: ArrayLike,
    output_size: int | Sequence[int | None] | None,
    return_indices: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Maximum of each of ``output_size`` windows that cover a volume, and its position.

    ``adaptive_max_pool3d(..., return_indices=True)`` under torch's second name.

    Args:
        input: an array.
        output_size: the numbers of windows, an int or three; None stands for the length of the input.
        return_indices: accepted; the positions are returned in any case.

    Shape:
        - input: (N, C, D, H, W) or (C, D, H, W).
        - output: (N, C, D_out, H_out, W_out) or (C, D_out, H_out, W_out).

    Returns:
        ``(values, positions)``.

    Raises:
        TypeError: if the type of an option does not fit.
        ValueError: if the rank, a size or an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.adaptive_max_pool3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> adaptive_max_pool3d_with_indices(jnp.ones((1, 2, 4, 4, 4)), 2)[1].shape
        (1, 2, 2, 2, 2)
    """
    return _adaptive_max_pool(True, "adaptive_max_pool3d_with_indices", 3, input, output_size)

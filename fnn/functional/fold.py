"""Sliding blocks of images as columns, and their sum back: ``unfold`` (im2col) and ``fold`` (col2im)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import as_array, as_int, check_floating, describe, fail
from fnn.functional.explained import explained

__all__ = ["fold", "unfold"]


class _Windows(NamedTuple):
    """Kernel, dilation, padding and stride along both axes of an image."""

    kernel: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[int, int]
    stride: tuple[int, int]

    @staticmethod
    def of(
        function: str,
        kernel_size: int | Sequence[int],
        dilation: int | Sequence[int],
        padding: int | Sequence[int],
        stride: int | Sequence[int],
    ) -> _Windows:
        return _Windows(
            _two(function, "kernel_size", kernel_size, 1),
            _two(function, "dilation", dilation, 1),
            _two(function, "padding", padding, 0),
            _two(function, "stride", stride, 1),
        )

    def counts(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """How many blocks fit along each axis of an image."""
        return tuple(
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, d, p, s in zip(size, self.kernel, self.dilation, self.padding, self.stride, strict=True)
        )


def _two(function: str, argument: str, value: int | Sequence[int], least: int) -> tuple[int, int]:
    items = list(value) if isinstance(value, tuple | list) else [value]
    if len(items) not in (1, 2):
        fail(ValueError, function, argument, "an integer or two", value)
    pair = [as_int(function, argument, v) for v in items]
    if min(pair) < least:
        fail(ValueError, function, argument, "positive" if least else "non-negative", value)
    return pair[0], pair[-1]


@partial(jax.jit, static_argnames="windows")
def _unfold(x: jax.Array, windows: _Windows) -> jax.Array:
    (kh, kw), (dh, dw), (ph, pw), (sh, sw) = windows
    oh, ow = windows.counts(x.shape[2:])
    x = jnp.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    blocks = [
        x[:, :, i * dh : i * dh + sh * (oh - 1) + 1 : sh, j * dw : j * dw + sw * (ow - 1) + 1 : sw]
        for i in range(kh)
        for j in range(kw)
    ]
    return jnp.stack(blocks, 2).reshape(x.shape[0], x.shape[1] * kh * kw, oh * ow)


@partial(jax.jit, static_argnames=("size", "windows"))
def _fold(x: jax.Array, size: tuple[int, int], windows: _Windows) -> jax.Array:
    (kh, kw), (dh, dw), (ph, pw), (sh, sw) = windows
    oh, ow = windows.counts(size)
    height, width = size[0] + 2 * ph, size[1] + 2 * pw
    blocks = x.reshape(x.shape[0], x.shape[1] // (kh * kw), kh, kw, oh, ow)
    zero = jnp.zeros((), x.dtype)
    total = jnp.zeros((*blocks.shape[:2], height, width), x.dtype)
    for i in range(kh):
        for j in range(kw):
            top, left = i * dh, j * dw
            below, right = height - top - sh * (oh - 1) - 1, width - left - sw * (ow - 1) - 1
            rows, columns = (top, below, sh - 1), (left, right, sw - 1)
            total = total + lax.pad(blocks[:, :, i, j], zero, ((0, 0, 0), (0, 0, 0), rows, columns))
    return total[:, :, ph : ph + size[0], pw : pw + size[1]]


@explained
def unfold(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> jax.Array:
    """Sliding blocks of an image, each as a column (im2col).

    ``output[n, c * kh * kw + i * kw + j, l] = input[n, c, top(l) + i * dilation, left(l) + j * dilation]``.

    Args:
        input: images.
        kernel_size: size of a block.
        dilation: distance of neighbouring elements of a block.
        padding: zeros added on each side of both axes.
        stride: distance of neighbouring blocks.

    Shape:
        - input: (N, C, H, W) or (C, H, W).
        - output: (N, C * kh * kw, L) or (C * kh * kw, L), L the number of blocks.

    Returns:
        the columns, blocks in row-major order of their positions.

    Raises:
        TypeError: if the input is not floating, or a size is not an integer.
        ValueError: for a wrong rank, an empty axis other than N, a size out of range, or an image smaller than a block.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.unfold.html

    Example:
        >>> import jax.numpy as jnp
        >>> unfold(jnp.arange(6.0).reshape(1, 1, 2, 3), 2)[0, :, 0].tolist()
        [0.0, 1.0, 3.0, 4.0]
    """
    x = as_array("unfold", "input", input)
    check_floating("unfold", input=x)
    windows = _Windows.of("unfold", kernel_size, dilation, padding, stride)
    if x.ndim not in (3, 4) or 0 in x.shape[-3:]:
        fail(ValueError, "unfold", "input", "(N, C, H, W) or (C, H, W), with no empty axis but N", x)
    if min(windows.counts(x.shape[-2:])) < 1:
        raise ValueError(
            f"unfold: input must be at least as large as a block of kernel_size {windows.kernel}, dilation "
            f"{windows.dilation} and padding {windows.padding}, got {describe(x)}"
        )
    return _unfold(x, windows) if x.ndim == 4 else _unfold(x[None], windows)[0]


@explained
def fold(
    input: ArrayLike,
    output_size: int | Sequence[int],
    kernel_size: int | Sequence[int],
    dilation: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    stride: int | Sequence[int] = 1,
) -> jax.Array:
    """The sum of sliding blocks, given as columns, in an image (col2im): the transpose of ``unfold``.

    Args:
        input: columns.
        output_size: size of the image.
        kernel_size: size of a block.
        dilation: distance of neighbouring elements of a block.
        padding: zeros that ``unfold`` adds on each side; what falls on them is dropped.
        stride: distance of neighbouring blocks.

    Shape:
        - input: (N, C * kh * kw, L) or (C * kh * kw, L), L the number of blocks.
        - output: (N, C, H, W) or (C, H, W).

    Returns:
        the image.

    Raises:
        TypeError: if the input is not floating, or a size is not an integer.
        ValueError: for a wrong rank, an empty axis other than N, a size out of range, or numbers of rows and columns
            that do not fit the sizes.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.fold.html

    Example:
        >>> import jax.numpy as jnp
        >>> fold(jnp.ones((1, 4, 2)), (2, 3), 2)[0, 0].tolist()
        [[1.0, 2.0, 1.0], [1.0, 2.0, 1.0]]
    """
    x = as_array("fold", "input", input)
    check_floating("fold", input=x)
    windows = _Windows.of("fold", kernel_size, dilation, padding, stride)
    size = _two("fold", "output_size", output_size, 1)
    if x.ndim not in (2, 3) or 0 in x.shape[-2:]:
        fail(ValueError, "fold", "input", "(N, C * kh * kw, L) or (C * kh * kw, L), with no empty axis but N", x)
    area = math.prod(windows.kernel)
    if x.shape[-2] % area:
        fail(ValueError, "fold", "input", f"of a number of rows that the kernel's {area} elements divide", x)
    counts = windows.counts(size)
    if min(counts) < 1 or x.shape[-1] != math.prod(counts):
        columns = max(counts[0], 0) * max(counts[1], 0)
        fail(ValueError, "fold", "input", f"of {columns} columns, one for each of the {counts} blocks", x)
    return _fold(x, size, windows) if x.ndim == 3 else _fold(x[None], size, windows)[0]

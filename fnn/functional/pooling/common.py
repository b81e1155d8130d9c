"""Types and checks of the pooling functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from fnn.functional.checks import as_array, check_rank, fail, ntuple

Ints = tuple[int, ...]
Pooled = jax.Array | tuple[jax.Array, jax.Array]


def check_input(function: str, value: Any, n: int) -> jax.Array:
    """The input as an array of ``n`` spatial axes, a channel axis and perhaps a batch axis, which alone may be of length 0."""
    x = as_array(function, "input", value)
    check_rank(function, "input", x, n + 1, n + 2)
    if 0 in x.shape[x.ndim - n - 1 :]:
        fail(ValueError, function, "input", "nonempty but for its batch axis", x)
    return x


def check_stride(function: str, stride: Any, kernel: Ints) -> Ints:
    """The stride, one number an axis: the kernel's if it is None or, as in torch, an empty sequence."""
    if stride is None or (isinstance(stride, Sequence) and len(stride) == 0):
        return kernel
    return ntuple(function, "stride", stride, len(kernel), 1)


def window_counts(
    function: str, x: jax.Array, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints, ceil: bool
) -> Ints:
    """How many windows fit along each spatial axis; with ``ceil`` the last one may overhang."""
    n = len(kernel)
    counts = []
    for length, k, s, p, d in zip(x.shape[x.ndim - n :], kernel, stride, padding, dilation, strict=True):
        reach = d * (k - 1) + 1
        if 2 * p > reach:
            fail(ValueError, function, "padding", f"at most half the window ({reach})", p)
        slack = length + 2 * p - reach
        count = (-(-slack // s) if ceil else slack // s) + 1
        # A window that overhangs must still start inside the input or its left padding.
        counts.append(count - 1 if ceil and (count - 1) * s >= length + p else count)
    if min(counts) < 1:
        fail(ValueError, function, "input", f"large enough for a window (the output size would be {tuple(counts)})", x)
    return tuple(counts)

"""Pooling: maxima, means, p-norms, adaptive and fractional windows, and the partial inverse of max pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

import fnn.random
from fnn.functional import _pooling_core as core
from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import (
    as_array,
    as_int,
    check_floating,
    check_index_range,
    check_integer,
    check_rank,
    check_shape,
    fail,
    ntuple,
)

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
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "fractional_max_pool2d",
    "fractional_max_pool2d_with_indices",
    "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_pool1d",
    "max_pool1d_with_indices",
    "max_pool2d",
    "max_pool2d_with_indices",
    "max_pool3d",
    "max_pool3d_with_indices",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
]

Size = int | Sequence[int]
OptionalSize = int | None | Sequence[int | None]
Pooled = jax.Array | tuple[jax.Array, jax.Array]


def _input(function: str, value: Any, n: int) -> jax.Array:
    x = as_array(function, "input", value)
    check_rank(function, "input", x, n + 1, n + 2)
    if 0 in x.shape[x.ndim - n - 1 :]:
        fail(ValueError, function, "input", "nonempty but for its batch axis", x)
    return x


def _stride(function: str, stride: Any, kernel: tuple[int, ...]) -> tuple[int, ...]:
    if stride is None or (isinstance(stride, Sequence) and len(stride) == 0):
        return kernel
    return ntuple(function, "stride", stride, len(kernel), 1)


def _lengths(
    function: str, x: jax.Array, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool
) -> tuple[int, ...]:
    n = len(kernel)
    for p, k, d in zip(padding, kernel, dilation, strict=True):
        if 2 * p > d * (k - 1) + 1:
            fail(ValueError, function, "padding", f"at most half the window ({d * (k - 1) + 1})", p)
    out = tuple(map(core.out_length, x.shape[x.ndim - n :], kernel, stride, padding, dilation, (bool(ceil),) * n))
    if min(out) < 1:
        fail(ValueError, function, "input", f"large enough for a window (the output size would be {out})", x)
    return out


def _max_pool(
    function: str, n: int, input: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool, indices: bool
) -> Any:
    x = _input(function, input, n)
    kernel = ntuple(function, "kernel_size", kernel, n, 1)
    stride = _stride(function, stride, kernel)
    padding = ntuple(function, "padding", padding, n, 0)
    dilation = ntuple(function, "dilation", dilation, n, 1)
    out = _lengths(function, x, kernel, stride, padding, dilation, ceil)
    values, at = core.max_windows(
        x, kernel=kernel, stride=stride, padding=padding, dilation=dilation, out=out, indices=indices
    )
    return (values, at) if indices else values


def _avg_pool(
    function: str, n: int, input: Any, kernel: Any, stride: Any, padding: Any, ceil: bool, include: bool, divisor: Any
) -> jax.Array:
    x = _input(function, input, n)
    check_floating(function, input=x)
    kernel = ntuple(function, "kernel_size", kernel, n, 1)
    stride = _stride(function, stride, kernel)
    padding = ntuple(function, "padding", padding, n, 0)
    out = _lengths(function, x, kernel, stride, padding, (1,) * n, ceil)
    if divisor is not None and (divisor := as_int(function, "divisor_override", divisor)) == 0:
        fail(ValueError, function, "divisor_override", "nonzero", divisor)
    return core.mean_windows(
        x, kernel=kernel, stride=stride, padding=padding, out=out, include_pad=bool(include), divisor=divisor
    )


def _lp_pool(function: str, n: int, input: Any, norm_type: Any, kernel: Any, stride: Any, ceil: bool) -> jax.Array:
    x = _input(function, input, n)
    check_floating(function, input=x)
    kernel = ntuple(function, "kernel_size", kernel, n, 1)
    if norm_type == 0:
        fail(ValueError, function, "norm_type", "nonzero", norm_type)
    p = float(norm_type)
    powers = x ** (int(p) if p.is_integer() else p)
    mean = _avg_pool(function, n, powers, kernel, stride, 0, ceil, True, None)
    # The root has no derivative at 0, where the value is 0: the gradient there is 0.
    total = mean * math.prod(kernel)
    zero = total == 0
    if p < 0:
        return total ** (1.0 / p)
    return jnp.where(zero, 0, jnp.where(zero, 1, total) ** (1.0 / p)).astype(x.dtype)


def _output_size(function: str, x: jax.Array, n: int, output_size: Any) -> tuple[int, ...]:
    sizes = x.shape[x.ndim - n :]
    items = tuple(output_size) if isinstance(output_size, Sequence) else (output_size,) * n
    items = items * n if len(items) == 1 else items
    if len(items) != n:
        fail(ValueError, function, "output_size", f"an int or {n} ints", output_size)
    return tuple(s if o is None else as_int(function, "output_size", o, 0) for o, s in zip(items, sizes, strict=True))


def _adaptive_avg_pool(function: str, n: int, input: Any, output_size: Any) -> jax.Array:
    x = _input(function, input, n)
    check_floating(function, input=x)
    return core.adaptive_mean(x, out=_output_size(function, x, n, output_size))


def _adaptive_max_pool(function: str, n: int, input: Any, output_size: Any, indices: bool) -> Any:
    x = _input(function, input, n)
    values, at = core.adaptive_max(x, out=_output_size(function, x, n, output_size), indices=indices)
    return (values, at) if indices else values


def _fractional(
    function: str, n: int, input: Any, kernel: Any, size: Any, ratio: Any, indices: bool, samples: Any, rng: Any
) -> Any:
    x = _input(function, input, n)
    check_floating(function, input=x)
    kernel = ntuple(function, "kernel_size", kernel, n, 1)
    sizes = x.shape[x.ndim - n :]
    if size is None and ratio is None:
        fail(ValueError, function, "output_size", "given unless output_ratio is", None)
    if size is None:
        ratios = tuple(ratio) if isinstance(ratio, Sequence) else (ratio,) * n
        if len(ratios) != n:
            fail(ValueError, function, "output_ratio", f"a number or {n} numbers", ratio)
        size = tuple(int(s * r) for s, r in zip(sizes, ratios, strict=True))
    out = ntuple(function, "output_size", size, n, 1)
    for s, k, o in zip(sizes, kernel, out, strict=True):
        if o + k - 1 > s:
            fail(ValueError, function, "output_size", f"at most {s - k + 1} for length {s} and kernel {k}", o)
    lead = x.shape[: x.ndim - n]
    shape = (*((1,) if len(lead) == 1 else lead[:1]), lead[-1], n)
    if samples is None:
        samples = fnn.random.uniform(fnn.random.next_key(function, rng), shape, x.dtype, 0.0, 1.0)
    samples = as_array(function, "_random_samples", samples)
    check_shape(function, "_random_samples", samples, shape)
    values, at = core.fractional_max(x, samples.reshape((*lead, n)), kernel=kernel, out=out)
    return (values, at) if indices else values


def _unpool(
    function: str, n: int, input: Any, indices: Any, kernel: Any, stride: Any, padding: Any, output_size: Any
) -> jax.Array:
    x = _input(function, input, n)
    at = as_array(function, "indices", indices)
    check_integer(function, indices=at)
    check_shape(function, "indices", at, x.shape, "(that of input)")
    kernel = ntuple(function, "kernel_size", kernel, n, 1)
    stride = _stride(function, stride, kernel)
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
    return core.unpool(x, at, out=out)


def max_pool1d(
    input: ArrayLike,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Pooled:
    """Maximum of each window.

    out[i] = max over j of input[i * stride - padding + j * dilation]; the first of equal maxima gets the gradient.

    Args:
        input: an array.
        kernel_size: length of the window, an int or one an axis.
        stride: step of the window; ``kernel_size`` if None.
        padding: implicit border on both sides.
        dilation: distance between the elements of a window.
        ceil_mode: round the output size up, so that a last partial window counts.
        return_indices: also return the flat spatial index of each maximum.

    Shape:
        input [N, C, L] or [C, L]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        the values, or ``(values, indices)`` with ``return_indices``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.max_pool1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> jnp.shape(max_pool1d(jnp.ones((1, 2, 4)), 2))
        (1, 2, 2)
    """
    return _max_pool("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool1d_with_indices(
    input: ArrayLike,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Maximum of each window and its index.

    out[i] = max over j of input[i * stride - padding + j * dilation]; the first of equal maxima gets the gradient.

    Args:
        input: an array.
        kernel_size: length of the window, an int or one an axis.
        stride: step of the window; ``kernel_size`` if None.
        padding: implicit border on both sides.
        dilation: distance between the elements of a window.
        ceil_mode: round the output size up, so that a last partial window counts.
        return_indices: also return the flat spatial index of each maximum.

    Shape:
        input [N, C, L] or [C, L]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        ``(values, indices)``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.max_pool1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> max_pool1d_with_indices(jnp.ones((1, 2, 4)), 2)[1].shape
        (1, 2, 2)
    """
    return _max_pool("max_pool1d_with_indices", 1, input, kernel_size, stride, padding, dilation, ceil_mode, True)


def avg_pool1d(
    input: ArrayLike,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> jax.Array:
    """Mean of each window.

    out[i] = sum over j of input[i * stride - padding + j] / count.

    Args:
        input: an array.
        kernel_size: length of the window, an int or one an axis.
        stride: step of the window; ``kernel_size`` if None.
        padding: implicit border on both sides.
        ceil_mode: round the output size up, so that a last partial window counts.
        count_include_pad: count the border in the mean.

    Shape:
        input [N, C, L] or [C, L]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        the pooled array, of the dtype of ``input``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.avg_pool1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> avg_pool1d(jnp.ones((1, 2, 4)), 2).shape
        (1, 2, 2)
    """
    return _avg_pool("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def lp_pool1d(
    input: ArrayLike,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> jax.Array:
    """Power mean of each window, times its size: the p-norm.

    out = (sum over the window of input ** p) ** (1 / p).

    Args:
        input: an array.
        norm_type: the exponent p.
        kernel_size: length of the window, an int or one an axis.
        stride: step of the window; ``kernel_size`` if None.
        ceil_mode: round the output size up, so that a last partial window counts.

    Shape:
        input [N, C, L] or [C, L]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        the pooled array, of the dtype of ``input``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.lp_pool1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> lp_pool1d(jnp.ones((1, 2, 4)), 2, 2).shape
        (1, 2, 2)
    """
    return _lp_pool("lp_pool1d", 1, input, norm_type, kernel_size, stride, ceil_mode)


def adaptive_avg_pool1d(
    input: ArrayLike,
    output_size: OptionalSize,
) -> jax.Array:
    """Mean over windows that divide the input into ``output_size`` parts.

    Window i of O over length L is [floor(i L / O), ceil((i + 1) L / O)).

    Args:
        input: an array.
        output_size: spatial output size; see torch for the forms.

    Shape:
        input [N, C, L] or [C, L]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        the pooled array, of the dtype of ``input``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.adaptive_avg_pool1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> adaptive_avg_pool1d(jnp.ones((1, 2, 4)), 2).shape
        (1, 2, 2)
    """
    return _adaptive_avg_pool("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_max_pool1d(
    input: ArrayLike,
    output_size: OptionalSize,
    return_indices: bool = False,
) -> Pooled:
    """Maximum over windows that divide the input into ``output_size`` parts.

    Window i of O over length L is [floor(i L / O), ceil((i + 1) L / O)).

    Args:
        input: an array.
        output_size: spatial output size; see torch for the forms.
        return_indices: also return the flat spatial index of each maximum.

    Shape:
        input [N, C, L] or [C, L]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        the values, or ``(values, indices)`` with ``return_indices``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.adaptive_max_pool1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> jnp.shape(adaptive_max_pool1d(jnp.ones((1, 2, 4)), 2))
        (1, 2, 2)
    """
    return _adaptive_max_pool("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool1d_with_indices(
    input: ArrayLike,
    output_size: OptionalSize,
    return_indices: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Maximum over windows that divide the input into ``output_size`` parts.

    Window i of O over length L is [floor(i L / O), ceil((i + 1) L / O)).

    Args:
        input: an array.
        output_size: spatial output size; see torch for the forms.
        return_indices: also return the flat spatial index of each maximum.

    Shape:
        input [N, C, L] or [C, L]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        ``(values, indices)``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.adaptive_max_pool1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> adaptive_max_pool1d_with_indices(jnp.ones((1, 2, 4)), 2)[1].shape
        (1, 2, 2)
    """
    return _adaptive_max_pool("adaptive_max_pool1d_with_indices", 1, input, output_size, True)


def max_unpool1d(
    input: ArrayLike,
    indices: ArrayLike,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> jax.Array:
    """Places maxima back where max pooling found them; zero elsewhere.

    out[indices[i]] = input[i] in each plane; the default size is (L - 1) * stride - 2 * padding + kernel_size.

    Args:
        input: an array.
        indices: flat indices as max pooling returns them.
        kernel_size: length of the window, an int or one an axis.
        stride: step of the window; ``kernel_size`` if None.
        padding: implicit border on both sides.
        output_size: spatial output size; see torch for the forms.

    Shape:
        input [N, C, L] or [C, L]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        the pooled array, of the dtype of ``input``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.max_unpool1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> values, indices = max_pool1d_with_indices(jnp.ones((1, 2, 4)), 2)
        >>> max_unpool1d(values, indices, 2).shape
        (1, 2, 4)
    """
    return _unpool("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


def max_pool2d(
    input: ArrayLike,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Pooled:
    """Maximum of each window.

    out[i] = max over j of input[i * stride - padding + j * dilation]; the first of equal maxima gets the gradient.

    Args:
        input: an array.
        kernel_size: length of the window, an int or one an axis.
        stride: step of the window; ``kernel_size`` if None.
        padding: implicit border on both sides.
        dilation: distance between the elements of a window.
        ceil_mode: round the output size up, so that a last partial window counts.
        return_indices: also return the flat spatial index of each maximum.

    Shape:
        input [N, C, H, W] or [C, H, W]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        the values, or ``(values, indices)`` with ``return_indices``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.max_pool2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> jnp.shape(max_pool2d(jnp.ones((1, 2, 4, 4)), 2))
        (1, 2, 2, 2)
    """
    return _max_pool("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d_with_indices(
    input: ArrayLike,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Maximum of each window and its index.

    out[i] = max over j of input[i * stride - padding + j * dilation]; the first of equal maxima gets the gradient.

    Args:
        input: an array.
        kernel_size: length of the window, an int or one an axis.
        stride: step of the window; ``kernel_size`` if None.
        padding: implicit border on both sides.
        dilation: distance between the elements of a window.
        ceil_mode: round the output size up, so that a last partial window counts.
        return_indices: also return the flat spatial index of each maximum.

    Shape:
        input [N, C, H, W] or [C, H, W]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        ``(values, indices)``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.max_pool2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> max_pool2d_with_indices(jnp.ones((1, 2, 4, 4)), 2)[1].shape
        (1, 2, 2, 2)
    """
    return _max_pool("max_pool2d_with_indices", 2, input, kernel_size, stride, padding, dilation, ceil_mode, True)


def avg_pool2d(
    input: ArrayLike,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> jax.Array:
    """Mean of each window.

    out[i] = sum over j of input[i * stride - padding + j] / count.

    Args:
        input: an array.
        kernel_size: length of the window, an int or one an axis.
        stride: step of the window; ``kernel_size`` if None.
        padding: implicit border on both sides.
        ceil_mode: round the output size up, so that a last partial window counts.
        count_include_pad: count the border in the mean.
        divisor_override: divide the sums by this instead.

    Shape:
        input [N, C, H, W] or [C, H, W]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        the pooled array, of the dtype of ``input``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.avg_pool2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> avg_pool2d(jnp.ones((1, 2, 4, 4)), 2).shape
        (1, 2, 2, 2)
    """
    return _avg_pool(
        "avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def lp_pool2d(
    input: ArrayLike,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> jax.Array:
    """Power mean of each window, times its size: the p-norm.

    out = (sum over the window of input ** p) ** (1 / p).

    Args:
        input: an array.
        norm_type: the exponent p.
        kernel_size: length of the window, an int or one an axis.
        stride: step of the window; ``kernel_size`` if None.
        ceil_mode: round the output size up, so that a last partial window counts.

    Shape:
        input [N, C, H, W] or [C, H, W]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        the pooled array, of the dtype of ``input``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.lp_pool2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> lp_pool2d(jnp.ones((1, 2, 4, 4)), 2, 2).shape
        (1, 2, 2, 2)
    """
    return _lp_pool("lp_pool2d", 2, input, norm_type, kernel_size, stride, ceil_mode)


def adaptive_avg_pool2d(
    input: ArrayLike,
    output_size: OptionalSize,
) -> jax.Array:
    """Mean over windows that divide the input into ``output_size`` parts.

    Window i of O over length L is [floor(i L / O), ceil((i + 1) L / O)).

    Args:
        input: an array.
        output_size: spatial output size; see torch for the forms.

    Shape:
        input [N, C, H, W] or [C, H, W]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        the pooled array, of the dtype of ``input``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.adaptive_avg_pool2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> adaptive_avg_pool2d(jnp.ones((1, 2, 4, 4)), 2).shape
        (1, 2, 2, 2)
    """
    return _adaptive_avg_pool("adaptive_avg_pool2d", 2, input, output_size)


def adaptive_max_pool2d(
    input: ArrayLike,
    output_size: OptionalSize,
    return_indices: bool = False,
) -> Pooled:
    """Maximum over windows that divide the input into ``output_size`` parts.

    Window i of O over length L is [floor(i L / O), ceil((i + 1) L / O)).

    Args:
        input: an array.
        output_size: spatial output size; see torch for the forms.
        return_indices: also return the flat spatial index of each maximum.

    Shape:
        input [N, C, H, W] or [C, H, W]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        the values, or ``(values, indices)`` with ``return_indices``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.adaptive_max_pool2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> jnp.shape(adaptive_max_pool2d(jnp.ones((1, 2, 4, 4)), 2))
        (1, 2, 2, 2)
    """
    return _adaptive_max_pool("adaptive_max_pool2d", 2, input, output_size, return_indices)


def fractional_max_pool2d(
    input: ArrayLike,
    kernel_size: Size,
    output_size: Size | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: ArrayLike | None = None,
    *,
    rng: Any = None,
) -> Pooled:
    """Maximum over windows at pseudo-random places (Graham, 2014).

    Window i starts at floor((i + u) a) - floor(u a), a = (L - k) / (O - 1), u in [0, 1) a sample a plane and axis.

    Args:
        input: an array.
        kernel_size: length of the window, an int or one an axis.
        output_size: spatial output size; see torch for the forms.
        output_ratio: spatial output size as a fraction of the input size.
        return_indices: also return the flat spatial index of each maximum.
        _random_samples: numbers in [0, 1), of shape [N, C, axes], that place the windows.
        rng: a JAX PRNG key; the ambient source if None.

    Shape:
        input [N, C, H, W] or [C, H, W]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        the values, or ``(values, indices)`` with ``return_indices``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.fractional_max_pool2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> import jax
        >>> jnp.shape(fractional_max_pool2d(jnp.ones((1, 2, 4, 4)), 2, 2, rng=jax.random.key(0)))
        (1, 2, 2, 2)
    """
    return _fractional(
        "fractional_max_pool2d", 2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples, rng
    )


def adaptive_max_pool2d_with_indices(
    input: ArrayLike,
    output_size: OptionalSize,
    return_indices: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Maximum over windows that divide the input into ``output_size`` parts.

    Window i of O over length L is [floor(i L / O), ceil((i + 1) L / O)).

    Args:
        input: an array.
        output_size: spatial output size; see torch for the forms.
        return_indices: also return the flat spatial index of each maximum.

    Shape:
        input [N, C, H, W] or [C, H, W]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        ``(values, indices)``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.adaptive_max_pool2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> adaptive_max_pool2d_with_indices(jnp.ones((1, 2, 4, 4)), 2)[1].shape
        (1, 2, 2, 2)
    """
    return _adaptive_max_pool("adaptive_max_pool2d_with_indices", 2, input, output_size, True)


def fractional_max_pool2d_with_indices(
    input: ArrayLike,
    kernel_size: Size,
    output_size: Size | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: ArrayLike | None = None,
    *,
    rng: Any = None,
) -> tuple[jax.Array, jax.Array]:
    """Maximum over windows at pseudo-random places (Graham, 2014).

    Window i starts at floor((i + u) a) - floor(u a), a = (L - k) / (O - 1), u in [0, 1) a sample a plane and axis.

    Args:
        input: an array.
        kernel_size: length of the window, an int or one an axis.
        output_size: spatial output size; see torch for the forms.
        output_ratio: spatial output size as a fraction of the input size.
        return_indices: also return the flat spatial index of each maximum.
        _random_samples: numbers in [0, 1), of shape [N, C, axes], that place the windows.
        rng: a JAX PRNG key; the ambient source if None.

    Shape:
        input [N, C, H, W] or [C, H, W]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        ``(values, indices)``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.fractional_max_pool2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> import jax
        >>> fractional_max_pool2d_with_indices(jnp.ones((1, 2, 4, 4)), 2, 2, rng=jax.random.key(0))[1].shape
        (1, 2, 2, 2)
    """
    return _fractional(
        "fractional_max_pool2d_with_indices",
        2,
        input,
        kernel_size,
        output_size,
        output_ratio,
        True,
        _random_samples,
        rng,
    )


def max_unpool2d(
    input: ArrayLike,
    indices: ArrayLike,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> jax.Array:
    """Places maxima back where max pooling found them; zero elsewhere.

    out[indices[i]] = input[i] in each plane; the default size is (L - 1) * stride - 2 * padding + kernel_size.

    Args:
        input: an array.
        indices: flat indices as max pooling returns them.
        kernel_size: length of the window, an int or one an axis.
        stride: step of the window; ``kernel_size`` if None.
        padding: implicit border on both sides.
        output_size: spatial output size; see torch for the forms.

    Shape:
        input [N, C, H, W] or [C, H, W]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        the pooled array, of the dtype of ``input``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.max_unpool2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> values, indices = max_pool2d_with_indices(jnp.ones((1, 2, 4, 4)), 2)
        >>> max_unpool2d(values, indices, 2).shape
        (1, 2, 4, 4)
    """
    return _unpool("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


def max_pool3d(
    input: ArrayLike,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Pooled:
    """Maximum of each window.

    out[i] = max over j of input[i * stride - padding + j * dilation]; the first of equal maxima gets the gradient.

    Args:
        input: an array.
        kernel_size: length of the window, an int or one an axis.
        stride: step of the window; ``kernel_size`` if None.
        padding: implicit border on both sides.
        dilation: distance between the elements of a window.
        ceil_mode: round the output size up, so that a last partial window counts.
        return_indices: also return the flat spatial index of each maximum.

    Shape:
        input [N, C, D, H, W] or [C, D, H, W]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        the values, or ``(values, indices)`` with ``return_indices``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.max_pool3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> jnp.shape(max_pool3d(jnp.ones((1, 2, 4, 4, 4)), 2))
        (1, 2, 2, 2, 2)
    """
    return _max_pool("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d_with_indices(
    input: ArrayLike,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Maximum of each window and its index.

    out[i] = max over j of input[i * stride - padding + j * dilation]; the first of equal maxima gets the gradient.

    Args:
        input: an array.
        kernel_size: length of the window, an int or one an axis.
        stride: step of the window; ``kernel_size`` if None.
        padding: implicit border on both sides.
        dilation: distance between the elements of a window.
        ceil_mode: round the output size up, so that a last partial window counts.
        return_indices: also return the flat spatial index of each maximum.

    Shape:
        input [N, C, D, H, W] or [C, D, H, W]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        ``(values, indices)``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.max_pool3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> max_pool3d_with_indices(jnp.ones((1, 2, 4, 4, 4)), 2)[1].shape
        (1, 2, 2, 2, 2)
    """
    return _max_pool("max_pool3d_with_indices", 3, input, kernel_size, stride, padding, dilation, ceil_mode, True)


def avg_pool3d(
    input: ArrayLike,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> jax.Array:
    """Mean of each window.

    out[i] = sum over j of input[i * stride - padding + j] / count.

    Args:
        input: an array.
        kernel_size: length of the window, an int or one an axis.
        stride: step of the window; ``kernel_size`` if None.
        padding: implicit border on both sides.
        ceil_mode: round the output size up, so that a last partial window counts.
        count_include_pad: count the border in the mean.
        divisor_override: divide the sums by this instead.

    Shape:
        input [N, C, D, H, W] or [C, D, H, W]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        the pooled array, of the dtype of ``input``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.avg_pool3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> avg_pool3d(jnp.ones((1, 2, 4, 4, 4)), 2).shape
        (1, 2, 2, 2, 2)
    """
    return _avg_pool(
        "avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def lp_pool3d(
    input: ArrayLike,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> jax.Array:
    """Power mean of each window, times its size: the p-norm.

    out = (sum over the window of input ** p) ** (1 / p).

    Args:
        input: an array.
        norm_type: the exponent p.
        kernel_size: length of the window, an int or one an axis.
        stride: step of the window; ``kernel_size`` if None.
        ceil_mode: round the output size up, so that a last partial window counts.

    Shape:
        input [N, C, D, H, W] or [C, D, H, W]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        the pooled array, of the dtype of ``input``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.lp_pool3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> lp_pool3d(jnp.ones((1, 2, 4, 4, 4)), 2, 2).shape
        (1, 2, 2, 2, 2)
    """
    return _lp_pool("lp_pool3d", 3, input, norm_type, kernel_size, stride, ceil_mode)


def adaptive_avg_pool3d(
    input: ArrayLike,
    output_size: OptionalSize,
) -> jax.Array:
    """Mean over windows that divide the input into ``output_size`` parts.

    Window i of O over length L is [floor(i L / O), ceil((i + 1) L / O)).

    Args:
        input: an array.
        output_size: spatial output size; see torch for the forms.

    Shape:
        input [N, C, D, H, W] or [C, D, H, W]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        the pooled array, of the dtype of ``input``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.adaptive_avg_pool3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> adaptive_avg_pool3d(jnp.ones((1, 2, 4, 4, 4)), 2).shape
        (1, 2, 2, 2, 2)
    """
    return _adaptive_avg_pool("adaptive_avg_pool3d", 3, input, output_size)


def adaptive_max_pool3d(
    input: ArrayLike,
    output_size: OptionalSize,
    return_indices: bool = False,
) -> Pooled:
    """Maximum over windows that divide the input into ``output_size`` parts.

    Window i of O over length L is [floor(i L / O), ceil((i + 1) L / O)).

    Args:
        input: an array.
        output_size: spatial output size; see torch for the forms.
        return_indices: also return the flat spatial index of each maximum.

    Shape:
        input [N, C, D, H, W] or [C, D, H, W]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        the values, or ``(values, indices)`` with ``return_indices``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.adaptive_max_pool3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> jnp.shape(adaptive_max_pool3d(jnp.ones((1, 2, 4, 4, 4)), 2))
        (1, 2, 2, 2, 2)
    """
    return _adaptive_max_pool("adaptive_max_pool3d", 3, input, output_size, return_indices)


def fractional_max_pool3d(
    input: ArrayLike,
    kernel_size: Size,
    output_size: Size | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: ArrayLike | None = None,
    *,
    rng: Any = None,
) -> Pooled:
    """Maximum over windows at pseudo-random places (Graham, 2014).

    Window i starts at floor((i + u) a) - floor(u a), a = (L - k) / (O - 1), u in [0, 1) a sample a plane and axis.

    Args:
        input: an array.
        kernel_size: length of the window, an int or one an axis.
        output_size: spatial output size; see torch for the forms.
        output_ratio: spatial output size as a fraction of the input size.
        return_indices: also return the flat spatial index of each maximum.
        _random_samples: numbers in [0, 1), of shape [N, C, axes], that place the windows.
        rng: a JAX PRNG key; the ambient source if None.

    Shape:
        input [N, C, D, H, W] or [C, D, H, W]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        the values, or ``(values, indices)`` with ``return_indices``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.fractional_max_pool3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> import jax
        >>> jnp.shape(fractional_max_pool3d(jnp.ones((1, 2, 4, 4, 4)), 2, 2, rng=jax.random.key(0)))
        (1, 2, 2, 2, 2)
    """
    return _fractional(
        "fractional_max_pool3d", 3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples, rng
    )


def adaptive_max_pool3d_with_indices(
    input: ArrayLike,
    output_size: OptionalSize,
    return_indices: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Maximum over windows that divide the input into ``output_size`` parts.

    Window i of O over length L is [floor(i L / O), ceil((i + 1) L / O)).

    Args:
        input: an array.
        output_size: spatial output size; see torch for the forms.
        return_indices: also return the flat spatial index of each maximum.

    Shape:
        input [N, C, D, H, W] or [C, D, H, W]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        ``(values, indices)``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.adaptive_max_pool3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> adaptive_max_pool3d_with_indices(jnp.ones((1, 2, 4, 4, 4)), 2)[1].shape
        (1, 2, 2, 2, 2)
    """
    return _adaptive_max_pool("adaptive_max_pool3d_with_indices", 3, input, output_size, True)


def fractional_max_pool3d_with_indices(
    input: ArrayLike,
    kernel_size: Size,
    output_size: Size | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: ArrayLike | None = None,
    *,
    rng: Any = None,
) -> tuple[jax.Array, jax.Array]:
    """Maximum over windows at pseudo-random places (Graham, 2014).

    Window i starts at floor((i + u) a) - floor(u a), a = (L - k) / (O - 1), u in [0, 1) a sample a plane and axis.

    Args:
        input: an array.
        kernel_size: length of the window, an int or one an axis.
        output_size: spatial output size; see torch for the forms.
        output_ratio: spatial output size as a fraction of the input size.
        return_indices: also return the flat spatial index of each maximum.
        _random_samples: numbers in [0, 1), of shape [N, C, axes], that place the windows.
        rng: a JAX PRNG key; the ambient source if None.

    Shape:
        input [N, C, D, H, W] or [C, D, H, W]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        ``(values, indices)``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.fractional_max_pool3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> import jax
        >>> fractional_max_pool3d_with_indices(jnp.ones((1, 2, 4, 4, 4)), 2, 2, rng=jax.random.key(0))[1].shape
        (1, 2, 2, 2, 2)
    """
    return _fractional(
        "fractional_max_pool3d_with_indices",
        3,
        input,
        kernel_size,
        output_size,
        output_ratio,
        True,
        _random_samples,
        rng,
    )


def max_unpool3d(
    input: ArrayLike,
    indices: ArrayLike,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Sequence[int] | None = None,
) -> jax.Array:
    """Places maxima back where max pooling found them; zero elsewhere.

    out[indices[i]] = input[i] in each plane; the default size is (L - 1) * stride - 2 * padding + kernel_size.

    Args:
        input: an array.
        indices: flat indices as max pooling returns them.
        kernel_size: length of the window, an int or one an axis.
        stride: step of the window; ``kernel_size`` if None.
        padding: implicit border on both sides.
        output_size: spatial output size; see torch for the forms.

    Shape:
        input [N, C, D, H, W] or [C, D, H, W]; the result has the same leading axes and the pooled spatial axes.

    Returns:
        the pooled array, of the dtype of ``input``.

    Raises:
        ValueError: if the rank, a size or an option does not fit.
        TypeError: if a dtype or the type of an option does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.max_unpool3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> values, indices = max_pool3d_with_indices(jnp.ones((1, 2, 4, 4, 4)), 2)
        >>> max_unpool3d(values, indices, 2).shape
        (1, 2, 4, 4, 4)
    """
    return _unpool("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)

"""Convolutions and transposed convolutions in one, two and three dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any

import jax
import jax.numpy as jnp

from fnn.functional.arrays import ArrayLike, widen
from fnn.functional.checks import (
    as_array,
    as_int,
    as_optional_array,
    check_choice,
    check_floating,
    check_numeric,
    check_rank,
    check_same_dtype,
    check_shape,
    fail,
    ntuple,
)
from fnn.functional.explained import explained
from fnn.kernels.conv import Config, convolve, convolve_transpose, suits_eigen
from fnn.kernels.eigen import eigen_selected

__all__ = [
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_tbc",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
]

Pads = tuple[tuple[int, int], ...]


def _add_bias(out: jax.Array, bias: jax.Array | None) -> jax.Array:
    return out if bias is None else out + bias.reshape((-1,) + (1,) * (out.ndim - 2))


@partial(jax.jit, static_argnames="config")
def _conv_call(x: Any, weight: Any, bias: Any, config: Config) -> jax.Array:
    return _add_bias(convolve(x, weight, config), bias)


@partial(jax.jit, static_argnames=("config", "output_padding"))
def _transpose_call(x: Any, weight: Any, bias: Any, config: Config, output_padding: Any) -> jax.Array:
    size = tuple(
        (length - 1) * s - sum(pad) + d * (k - 1) + e + 1
        for length, s, pad, e, d, k in zip(
            x.shape[2:], config.stride, config.pads, output_padding, config.dilation, weight.shape[2:], strict=True
        )
    )
    return _add_bias(convolve_transpose(x, weight, config, size), bias)


@partial(jax.jit, static_argnames="pad")
def _tbc_call(x: jax.Array, w: jax.Array, b: jax.Array, pad: int) -> jax.Array:
    """A product for each row of the kernel, over the steps that are there: what is padded is multiplied by nothing."""
    steps = x.shape[0] + 2 * pad - w.shape[0] + 1
    wide = widen(b).dtype
    out = jnp.broadcast_to(b.astype(wide), (steps, x.shape[1], w.shape[2]))
    for k in range(w.shape[0]):
        first, last = max(pad - k, 0), min(x.shape[0] + pad - k, steps)
        if last > first:
            part = x[first + k - pad : last + k - pad]
            out = out.at[first:last].add(jnp.matmul(part, w[k], preferred_element_type=wide))
    return out.astype(b.dtype)


def _config(
    x: jax.Array, weight: jax.Array, stride: Any, pads: Pads, dilation: Any, groups: int, transposed: bool = False
) -> Config:
    channels = max(1, weight.shape[0] if transposed else weight.shape[1] * groups)
    # How many times the whole kernel is used, borders aside.
    uses = x.size // channels // (1 if transposed else prod(stride))
    return Config(stride, pads, dilation, groups, suits_eigen(weight.shape, groups, uses) and eigen_selected())


def _check_arrays(
    function: str, n: int, input: Any, weight: Any, bias: Any, groups: Any, transposed: bool
) -> tuple[jax.Array, jax.Array, jax.Array | None, int]:
    """The arrays and the number of groups, after the checks that both kinds of convolution share."""
    x = as_array(function, "input", input)
    w = as_array(function, "weight", weight)
    b = as_optional_array(function, "bias", bias)
    groups = as_int(function, "groups", groups, 1)
    check_rank(function, "input", x, n + 1, n + 2)
    check_rank(function, "weight", w, n + 2)
    check_numeric(function, input=x, weight=w, bias=b)
    check_same_dtype(function, input=x, weight=w, bias=b)
    channels = x.shape[-n - 1]
    needed = w.shape[0] if transposed else w.shape[1] * groups
    outputs = w.shape[1] * groups if transposed else w.shape[0]
    if channels != needed:
        why = f"with {needed} channels, to suit weight {list(w.shape)} and groups={groups}"
        fail(ValueError, function, "input", why, x)
    if (channels if transposed else outputs) % groups != 0:
        what = "input" if transposed else "output"
        fail(
            ValueError,
            function,
            "groups",
            f"a divisor of the {channels if transposed else outputs} {what} channels",
            groups,
        )
    if any(k == 0 for k in w.shape[2:]):
        fail(ValueError, function, "weight", "a kernel of positive lengths", w)
    if 0 in x.shape[-n:] and 0 not in x.shape[:-n]:
        fail(ValueError, function, "input", "of positive lengths, save where it has no sample or no channel", x)
    if b is not None:
        check_shape(function, "bias", b, (outputs,), f"to suit weight {list(w.shape)}")
    dtype = jnp.result_type(*(a for a in (x, w) if a is not None))
    return x.astype(dtype), w.astype(dtype), b, groups


def _check_extents(function: str, extents: Sequence[int], x: jax.Array) -> None:
    """Raises ValueError where XLA would end the process: at shapes whose size it cannot count."""
    if prod(extents) * max(1, prod(x.shape[: -len(extents)])) >= 1 << 56:
        raise ValueError(
            f"{function}: stride, padding and dilation must give sizes that can be counted, got {list(extents)} from input "
            f"{list(x.shape)}"
        )


def _pads(function: str, padding: Any, stride: Any, dilation: Any, kernel: Any) -> Pads:
    n = len(kernel)
    if isinstance(padding, str):
        check_choice(function, "padding", padding, ("same", "valid"))
        if padding == "valid":
            return ((0, 0),) * n
        if any(s != 1 for s in stride):
            fail(ValueError, function, "padding", "a number where the stride is not 1", padding)
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return tuple((t // 2, t - t // 2) for t in total)
    return tuple((p, p) for p in ntuple(function, "padding", padding, n, 0))


def _conv(
    function: str, n: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: Any
) -> jax.Array:
    x, w, b, groups = _check_arrays(function, n, input, weight, bias, groups, transposed=False)
    stride = ntuple(function, "stride", stride, n, 1)
    dilation = ntuple(function, "dilation", dilation, n, 1)
    pads = _pads(function, padding, stride, dilation, w.shape[2:])
    for size, pad, d, k in zip(x.shape[-n:], pads, dilation, w.shape[2:], strict=True):
        if size + sum(pad) < d * (k - 1) + 1:
            fail(ValueError, function, "input", f"at least {d * (k - 1) + 1} long on each axis after padding", x)
    _check_extents(function, [size + sum(pad) for size, pad in zip(x.shape[-n:], pads, strict=True)], x)
    batched = x.ndim == n + 2
    out = _conv_call(x if batched else x[None], w, b, _config(x, w, stride, pads, dilation, groups))
    return out if batched else out[0]


def _conv_transpose(
    function: str,
    n: int,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: Any,
    dilation: Any,
) -> jax.Array:
    x, w, b, groups = _check_arrays(function, n, input, weight, bias, groups, transposed=True)
    stride = ntuple(function, "stride", stride, n, 1)
    padding = ntuple(function, "padding", padding, n, 0)
    extra = ntuple(function, "output_padding", output_padding, n, 0)
    dilation = ntuple(function, "dilation", dilation, n, 1)
    for e, s, d in zip(extra, stride, dilation, strict=True):
        if e >= max(s, d):
            fail(ValueError, function, "output_padding", "smaller than the stride or the dilation", output_padding)
    lengths = [
        (size - 1) * s - 2 * p + d * (k - 1) + e + 1
        for size, s, p, e, d, k in zip(x.shape[-n:], stride, padding, extra, dilation, w.shape[2:], strict=True)
    ]
    if min(lengths) <= 0:
        fail(ValueError, function, "padding", "small enough for an output of positive lengths", padding)
    _check_extents(function, lengths, x)
    batched = x.ndim == n + 2
    config = _config(x, w, stride, tuple((p, p) for p in padding), dilation, groups, transposed=True)
    out = _transpose_call(x if batched else x[None], w, b, config, extra)
    return out if batched else out[0]


@explained
def conv1d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> jax.Array:
    """1-D convolution (cross-correlation), ``out[o] = bias[o] + sum_i weight[o, i] * input[i]``.

    Args:
        input: one sample or a batch.
        weight: the kernels.
        bias: one number for each output channel.
        stride: steps of the kernel.
        padding: zeros added on both sides, or "valid" (none) or "same" (as many as keep the lengths; stride 1).
        dilation: distance between the kernel's elements.
        groups: number of groups of channels; each is convolved by itself.

    Shape:
        - input: (N, C_in, L) or (C_in, L).
        - weight: (C_out, C_in / groups, *kernel).
        - bias: (C_out).
        - output: (N, C_out, L_out) or (C_out, L_out).

    Returns:
        the convolved array.

    Raises:
        TypeError: if the dtypes differ or are boolean, or an option is no int.
        ValueError: if ranks, channels or lengths do not fit, or an option is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.conv1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> conv1d(jnp.ones((1, 2, 4)), jnp.ones((3, 2, 2))).shape
        (1, 3, 3)
    """
    return _conv("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


@explained
def conv2d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> jax.Array:
    """2-D convolution (cross-correlation), ``out[o] = bias[o] + sum_i weight[o, i] * input[i]``.

    Args:
        input: one sample or a batch.
        weight: the kernels.
        bias: one number for each output channel.
        stride: steps of the kernel.
        padding: zeros added on both sides, or "valid" (none) or "same" (as many as keep the lengths; stride 1).
        dilation: distance between the kernel's elements.
        groups: number of groups of channels; each is convolved by itself.

    Shape:
        - input: (N, C_in, H, W) or (C_in, H, W).
        - weight: (C_out, C_in / groups, *kernel).
        - bias: (C_out).
        - output: (N, C_out, H_out, W_out) or (C_out, H_out, W_out).

    Returns:
        the convolved array.

    Raises:
        TypeError: if the dtypes differ or are boolean, or an option is no int.
        ValueError: if ranks, channels or lengths do not fit, or an option is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.conv2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> conv2d(jnp.ones((1, 2, 4, 4)), jnp.ones((3, 2, 2, 2))).shape
        (1, 3, 3, 3)
    """
    return _conv("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


@explained
def conv3d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | Sequence[int] = 1,
    padding: str | int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> jax.Array:
    """3-D convolution (cross-correlation), ``out[o] = bias[o] + sum_i weight[o, i] * input[i]``.

    Args:
        input: one sample or a batch.
        weight: the kernels.
        bias: one number for each output channel.
        stride: steps of the kernel.
        padding: zeros added on both sides, or "valid" (none) or "same" (as many as keep the lengths; stride 1).
        dilation: distance between the kernel's elements.
        groups: number of groups of channels; each is convolved by itself.

    Shape:
        - input: (N, C_in, D, H, W) or (C_in, D, H, W).
        - weight: (C_out, C_in / groups, *kernel).
        - bias: (C_out).
        - output: (N, C_out, D_out, H_out, W_out) or (C_out, D_out, H_out, W_out).

    Returns:
        the convolved array.

    Raises:
        TypeError: if the dtypes differ or are boolean, or an option is no int.
        ValueError: if ranks, channels or lengths do not fit, or an option is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.conv3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> conv3d(jnp.ones((1, 2, 4, 4, 4)), jnp.ones((3, 2, 2, 2, 2))).shape
        (1, 3, 3, 3, 3)
    """
    return _conv("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


@explained
def conv_transpose1d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> jax.Array:
    """1-D transposed convolution, the gradient of ``conv1d`` with respect to its input.

    Args:
        input: one sample or a batch.
        weight: the kernels.
        bias: one number for each output channel.
        stride: steps of the convolution it is the gradient of.
        padding: its padding.
        output_padding: elements added at the end of each axis of the output; smaller than stride or dilation.
        groups: number of groups of channels.
        dilation: distance between the kernel's elements.

    Shape:
        - input: (N, C_in, L) or (C_in, L).
        - weight: (C_in, C_out / groups, *kernel).
        - bias: (C_out).
        - output: (N, C_out, L_out) or (C_out, L_out).

    Returns:
        the convolved array.

    Raises:
        TypeError: if the dtypes differ or are boolean, or an option is no int.
        ValueError: if ranks, channels or lengths do not fit, or an option is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.conv_transpose1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> conv_transpose1d(jnp.ones((1, 3, 4)), jnp.ones((3, 2, 2)), stride=2).shape
        (1, 2, 8)
    """
    return _conv_transpose(
        "conv_transpose1d", 1, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


@explained
def conv_transpose2d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> jax.Array:
    """2-D transposed convolution, the gradient of ``conv2d`` with respect to its input.

    Args:
        input: one sample or a batch.
        weight: the kernels.
        bias: one number for each output channel.
        stride: steps of the convolution it is the gradient of.
        padding: its padding.
        output_padding: elements added at the end of each axis of the output; smaller than stride or dilation.
        groups: number of groups of channels.
        dilation: distance between the kernel's elements.

    Shape:
        - input: (N, C_in, H, W) or (C_in, H, W).
        - weight: (C_in, C_out / groups, *kernel).
        - bias: (C_out).
        - output: (N, C_out, H_out, W_out) or (C_out, H_out, W_out).

    Returns:
        the convolved array.

    Raises:
        TypeError: if the dtypes differ or are boolean, or an option is no int.
        ValueError: if ranks, channels or lengths do not fit, or an option is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.conv_transpose2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> conv_transpose2d(jnp.ones((1, 3, 4, 4)), jnp.ones((3, 2, 2, 2)), stride=2).shape
        (1, 2, 8, 8)
    """
    return _conv_transpose(
        "conv_transpose2d", 2, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


@explained
def conv_transpose3d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    output_padding: int | Sequence[int] = 0,
    groups: int = 1,
    dilation: int | Sequence[int] = 1,
) -> jax.Array:
    """3-D transposed convolution, the gradient of ``conv3d`` with respect to its input.

    Args:
        input: one sample or a batch.
        weight: the kernels.
        bias: one number for each output channel.
        stride: steps of the convolution it is the gradient of.
        padding: its padding.
        output_padding: elements added at the end of each axis of the output; smaller than stride or dilation.
        groups: number of groups of channels.
        dilation: distance between the kernel's elements.

    Shape:
        - input: (N, C_in, D, H, W) or (C_in, D, H, W).
        - weight: (C_in, C_out / groups, *kernel).
        - bias: (C_out).
        - output: (N, C_out, D_out, H_out, W_out) or (C_out, D_out, H_out, W_out).

    Returns:
        the convolved array.

    Raises:
        TypeError: if the dtypes differ or are boolean, or an option is no int.
        ValueError: if ranks, channels or lengths do not fit, or an option is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.conv_transpose3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> conv_transpose3d(jnp.ones((1, 3, 4, 4, 4)), jnp.ones((3, 2, 2, 2, 2)), stride=2).shape
        (1, 2, 8, 8, 8)
    """
    return _conv_transpose(
        "conv_transpose3d", 3, input, weight, bias, stride, padding, output_padding, groups, dilation
    )


@explained
def conv_tbc(input: ArrayLike, weight: ArrayLike, bias: ArrayLike, pad: int = 0) -> jax.Array:
    """1-D convolution of arrays laid out as (time, batch, channels), ``out[t] = bias + sum_k input[t + k - pad] @ weight[k]``.

    Args:
        input: the sequence.
        weight: the kernel.
        bias: one number for each output channel.
        pad: zeros added at both ends.

    Shape:
        - input: (T, N, C_in).
        - weight: (K, C_in, C_out).
        - bias: (C_out).
        - output: (T + 2 pad - K + 1, N, C_out).

    Returns:
        the convolved array.

    Raises:
        TypeError: if the dtypes differ or are boolean.
        ValueError: if ranks, channels or lengths do not fit, or ``pad`` is negative.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.conv_tbc.html

    Example:
        >>> import jax.numpy as jnp
        >>> conv_tbc(jnp.ones((5, 1, 2)), jnp.ones((3, 2, 4)), jnp.zeros(4)).shape
        (3, 1, 4)
    """
    x = as_array("conv_tbc", "input", input)
    w = as_array("conv_tbc", "weight", weight)
    check_rank("conv_tbc", "input", x, 3)
    check_rank("conv_tbc", "weight", w, 3)
    pad = as_int("conv_tbc", "pad", pad, 0)
    b = as_array("conv_tbc", "bias", bias)
    check_floating("conv_tbc", input=x, weight=w, bias=b)
    check_same_dtype("conv_tbc", input=x, weight=w, bias=b)
    check_shape("conv_tbc", "weight", w, (None, x.shape[2], None), f"to suit input {list(x.shape)}")
    check_shape("conv_tbc", "bias", b, (w.shape[2],), f"to suit weight {list(w.shape)}")
    if x.shape[0] + 2 * pad < w.shape[0] - 1:
        fail(ValueError, "conv_tbc", "input", f"at least {w.shape[0] - 1} long after padding", x)
    return _tbc_call(x, w, b, pad)

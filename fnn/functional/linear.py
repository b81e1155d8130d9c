"""Linear and bilinear maps of the last axis, and the reshapes ``flatten`` and ``unflatten``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import (
    as_array,
    as_int,
    as_optional_array,
    check_rank,
    check_same_dtype,
    check_shape,
    fail,
    normalize_axis,
)
from fnn.functional.explained import explained

__all__ = ["bilinear", "flatten", "linear", "unflatten"]

# Elements of the product of one input with the weight that `bilinear` holds at a time; beyond it works in blocks.
_HELD = 1 << 22


def _common_dtype(*arrays: jax.Array | None) -> list[Any]:
    """The arrays in their common dtype, where those of weak type follow the others."""
    dtype = jnp.result_type(*(a for a in arrays if a is not None))
    return [None if a is None else a.astype(dtype) for a in arrays]


@jax.jit
def _linear(input: jax.Array, weight: jax.Array, bias: jax.Array | None) -> jax.Array:
    input, weight, bias = _common_dtype(input, weight, bias)
    out = lax.dot_general(input, weight, (((input.ndim - 1,), (weight.ndim - 1,)), ((), ())))
    return out if bias is None else out + bias


@explained
def linear(input: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> jax.Array:
    """Linear map of the last axis, ``input @ weight.T + bias``.

    Args:
        input: array of any rank from 1 on.
        weight: matrix, one row for each output feature; a vector gives an output without the feature axis.
        bias: added to the output.

    Shape:
        - input: (*, in_features).
        - weight: (out_features, in_features) or (in_features).
        - bias: (out_features), (1) or ().
        - output: (*, out_features) or (*).

    Returns:
        the mapped array.

    Raises:
        TypeError: if the dtypes differ.
        ValueError: if ranks or lengths disagree.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.linear.html

    Example:
        >>> import jax.numpy as jnp
        >>> linear(jnp.ones((1, 2)), jnp.ones((3, 2)), jnp.ones(3)).tolist()
        [[3.0, 3.0, 3.0]]
    """
    x = as_array("linear", "input", input)
    w = as_array("linear", "weight", weight)
    b = as_optional_array("linear", "bias", bias)
    check_same_dtype("linear", input=x, weight=w, bias=b)
    if x.ndim == 0:
        fail(ValueError, "linear", "input", "at least 1-D", x)
    check_rank("linear", "weight", w, 1, 2)
    if x.shape[-1] != w.shape[-1]:
        fail(ValueError, "linear", "input", f"of shape [*, {w.shape[-1]}] to suit weight {list(w.shape)}", x)
    if b is not None and b.shape not in ((), (1,) * (w.ndim - 1)):
        check_shape("linear", "bias", b, w.shape[:-1], f"to suit weight {list(w.shape)}")
    return _linear(x, w, b)


@partial(jax.jit, static_argnames="held")
def _bilinear(
    input1: jax.Array, input2: jax.Array, weight: jax.Array, bias: jax.Array | None, held: int = _HELD
) -> jax.Array:
    input1, input2, weight, bias = _common_dtype(input1, input2, weight, bias)
    outputs, length1, length2 = weight.shape

    def of_one(matrix: jax.Array) -> jax.Array:
        if length2 <= length1:
            return jnp.einsum("...j,...j->...", jnp.matmul(input1, matrix), input2)
        return jnp.einsum("...i,...i->...", jnp.matmul(input2, matrix.T), input1)

    product = max(1, math.prod(input1.shape[:-1]) * min(length1, length2))
    block = max(1, held // product)
    if block >= outputs:
        out = jax.vmap(of_one, out_axes=-1)(weight)
    else:
        out = jnp.moveaxis(lax.map(jax.checkpoint(of_one), weight, batch_size=block), 0, -1)
    return out if bias is None else out + bias


@explained
def bilinear(input1: ArrayLike, input2: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> jax.Array:
    """Bilinear map of two arrays, ``out[..., k] = sum_ij input1[..., i] weight[k, i, j] input2[..., j] + bias[k]``.

    Args:
        input1: first array.
        input2: second array, of the same leading axes.
        weight: one matrix for each output feature.
        bias: added to the output.

    Shape:
        - input1: (*, in1_features).
        - input2: (*, in2_features).
        - weight: (out_features, in1_features, in2_features).
        - bias: (out_features).
        - output: (*, out_features).

    Returns:
        the mapped array.

    Raises:
        TypeError: if the dtypes differ.
        ValueError: if ranks or lengths disagree.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.bilinear.html

    Example:
        >>> import jax.numpy as jnp
        >>> bilinear(jnp.ones((1, 2)), jnp.ones((1, 3)), jnp.ones((2, 2, 3))).tolist()
        [[6.0, 6.0]]
    """
    x1 = as_array("bilinear", "input1", input1)
    x2 = as_array("bilinear", "input2", input2)
    w = as_array("bilinear", "weight", weight)
    b = as_optional_array("bilinear", "bias", bias)
    check_same_dtype("bilinear", input1=x1, input2=x2, weight=w, bias=b)
    check_rank("bilinear", "weight", w, 3)
    if x1.ndim == 0:
        fail(ValueError, "bilinear", "input1", "at least 1-D", x1)
    if x1.shape[-1] != w.shape[1]:
        fail(ValueError, "bilinear", "input1", f"of shape [*, {w.shape[1]}] to suit weight {list(w.shape)}", x1)
    check_shape(
        "bilinear", "input2", x2, (*x1.shape[:-1], w.shape[2]), f"to suit input1 {list(x1.shape)} and the weight"
    )
    if b is not None:
        check_shape("bilinear", "bias", b, (w.shape[0],), f"to suit weight {list(w.shape)}")
    return _bilinear(x1, x2, w, b)


@explained
def flatten(input: ArrayLike, start_dim: int = 0, end_dim: int = -1) -> jax.Array:
    """Joins the axes from ``start_dim`` to ``end_dim``, both included, into one.

    Args:
        input: array; a 0-D one becomes 1-D.
        start_dim: first axis to join.
        end_dim: last axis to join.

    Shape:
        - input: (*, S_start, ..., S_end, *).
        - output: (*, S_start * ... * S_end, *).

    Returns:
        the reshaped array.

    Raises:
        IndexError: if an axis is out of range.
        ValueError: if ``start_dim`` comes after ``end_dim``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.flatten.html

    Example:
        >>> import jax.numpy as jnp
        >>> flatten(jnp.ones((2, 5, 4, 3)), 1).shape
        (2, 60)
    """
    x = as_array("flatten", "input", input)
    start = normalize_axis("flatten", "start_dim", start_dim, x.ndim)
    end = normalize_axis("flatten", "end_dim", end_dim, x.ndim)
    if start > end:
        fail(ValueError, "flatten", "start_dim", f"at most end_dim ({end_dim})", start_dim)
    return x.reshape((*x.shape[:start], math.prod(x.shape[start : end + 1]), *x.shape[end + 1 :]))


@explained
def unflatten(input: ArrayLike, dim: int, sizes: Sequence[int]) -> jax.Array:
    """Splits one axis into several, the inverse of ``flatten``.

    Args:
        input: array.
        dim: the axis to split.
        sizes: lengths of the new axes; one may be -1 and is then inferred.

    Shape:
        - input: (*, S, *).
        - output: (*, *sizes, *), the product of ``sizes`` being S.

    Returns:
        the reshaped array.

    Raises:
        IndexError: if ``dim`` is out of range.
        ValueError: if ``sizes`` is empty or does not multiply to the length of the axis.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.unflatten.html

    Example:
        >>> import jax.numpy as jnp
        >>> unflatten(jnp.ones((3, 6)), 1, (2, -1)).shape
        (3, 2, 3)
    """
    x = as_array("unflatten", "input", input)
    axis = normalize_axis("unflatten", "dim", dim, x.ndim)
    if isinstance(sizes, int) or not hasattr(sizes, "__iter__"):
        fail(TypeError, "unflatten", "sizes", "a sequence of ints", sizes)
    lengths = [as_int("unflatten", "sizes", s, -1) for s in sizes]
    if not lengths or x.ndim == 0:
        fail(ValueError, "unflatten", "sizes", "non-empty, and input at least 1-D", (sizes, x.shape))
    length = x.shape[axis]
    known = math.prod(s for s in lengths if s != -1)
    inferred = lengths.count(-1)
    if inferred > 1 or (known != length if inferred == 0 else known == 0 or length % known != 0):
        fail(ValueError, "unflatten", "sizes", f"lengths that multiply to {length}, at most one of them -1", sizes)
    new = [length // known if s == -1 else s for s in lengths]
    return x.reshape((*x.shape[:axis], *new, *x.shape[axis + 1 :]))

"""Padding of an array's last axes: constant, reflected, replicated and circular."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnn.functional.arrays import ArrayLike, known
from fnn.functional.checks import as_array, as_int, check_choice, fail
from fnn.functional.explained import explained

__all__ = ["pad"]

_Pairs = tuple[tuple[int, int], ...]
_MODES = ("constant", "reflect", "replicate", "circular")


@partial(jax.jit, static_argnames=("pairs",))
def _constant(x: jax.Array, value: ArrayLike, pairs: _Pairs) -> jax.Array:
    config = [(low, high, 0) for low, high in pairs]
    if jnp.shape(value) != ():
        raise ValueError(f"pad: value must be a number, got an array of shape {jnp.shape(value)}")
    inside = lax.pad(jnp.ones(x.shape, bool), False, config)
    # Not the padding value of lax.pad itself, whose gradient fails in JAX 0.10 where the input is constant.
    return jnp.where(inside, lax.pad(x, jnp.zeros((), x.dtype), config), jnp.asarray(value).astype(x.dtype))


def _reflect_or_replicate(x: jax.Array, axis: int, low: int, high: int, mode: str) -> jax.Array:
    """The three stretches of the output, before, inside and after the input; a negative pad shortens them."""
    size = x.shape[axis]
    begin, end = -low, size + high
    pieces = []

    def mirrored(start: int, stop: int) -> jax.Array:
        return lax.rev(lax.slice_in_dim(x, start, stop, axis=axis), (axis,))

    def repeated(index: int, count: int) -> jax.Array:
        edge = lax.slice_in_dim(x, index, index + 1, axis=axis)
        return jnp.broadcast_to(edge, (*x.shape[:axis], count, *x.shape[axis + 1 :]))

    first, last = begin, min(0, end)
    if first < last:
        pieces.append(mirrored(1 - last, 1 - first) if mode == "reflect" else repeated(0, last - first))
    first, last = max(0, begin), min(size, end)
    if first < last:
        pieces.append(lax.slice_in_dim(x, first, last, axis=axis))
    first, last = max(size, begin), end
    if first < last:
        mirror = 2 * (size - 1) + 1
        pieces.append(
            mirrored(mirror - last, mirror - first) if mode == "reflect" else repeated(size - 1, last - first)
        )
    return pieces[0] if len(pieces) == 1 else lax.concatenate(pieces, axis)


def _circular(x: jax.Array, axis: int, low: int, high: int) -> jax.Array:
    """Crops by the negative pads, then wraps what is left."""
    x = lax.slice_in_dim(x, max(-low, 0), x.shape[axis] - max(-high, 0), axis=axis)
    size = x.shape[axis]
    if max(low, high) > size:
        return jnp.take(x, np.arange(-max(low, 0), size + max(high, 0)) % size, axis)
    pieces = [x]
    if low > 0:
        pieces.insert(0, lax.slice_in_dim(x, size - low, size, axis=axis))
    if high > 0:
        pieces.append(lax.slice_in_dim(x, 0, high, axis=axis))
    return pieces[0] if len(pieces) == 1 else lax.concatenate(pieces, axis)


@partial(jax.jit, static_argnames=("pairs", "mode"))
def _extend(x: jax.Array, pairs: _Pairs, mode: str) -> jax.Array:
    for axis, (low, high) in enumerate(pairs):
        if low or high:
            x = _circular(x, axis, low, high) if mode == "circular" else _reflect_or_replicate(x, axis, low, high, mode)
    return x


def _check_extension(x: jax.Array, pad: tuple[int, ...], pairs: _Pairs, mode: str) -> None:
    axes = len(pad) // 2
    if axes not in (1, 2, 3) or x.ndim not in (axes + 1, axes + 2):
        rule = "2 numbers for a 2-D or 3-D input, 4 for 3-D or 4-D, 6 for 4-D or 5-D"
        fail(ValueError, "pad", "pad", f"{rule} in mode {mode!r}", f"{len(pad)} numbers for a {x.ndim}-D input")
    if mode != "circular" and 0 in x.shape[x.ndim - axes - 1 :]:
        fail(ValueError, "pad", "input", f"of non-zero length in all but the batch axis in mode {mode!r}", x)
    for axis, (low, high) in enumerate(pairs):
        size = x.shape[axis]
        where = f"for axis {axis} of length {size} in mode {mode!r}"
        if mode == "reflect" and max(low, high) >= size and (low or high):
            fail(ValueError, "pad", "pad", f"less than the length {where}", (low, high))
        if mode == "circular":
            left = size + min(low, 0) + min(high, 0)
            if max(low, high, 0) > size or left < (max(low, high) > 0):
                fail(
                    ValueError,
                    "pad",
                    "pad",
                    f"at most the length, with an element left by negative pads, {where}",
                    (low, high),
                )
        elif size + low + high < 1 and (low or high):
            fail(ValueError, "pad", "pad", f"such that an element is left {where}", (low, high))


@explained
def pad(
    input: ArrayLike, pad: Sequence[int], mode: str = "constant", value: float | ArrayLike | None = None
) -> jax.Array:
    """Pads, or with negative numbers crops, the last axes of an array.

    ``pad`` lists pairs from the last axis backwards: ``(left, right, top, bottom, front, back)``. With ``n`` the length
    of an axis, the element at position ``i`` (0 is the first element of the input) outside ``[0, n)`` is

    - constant: ``value``
    - reflect: ``input[-i]`` before and ``input[2 (n - 1) - i]`` after
    - replicate: ``input[0]`` before and ``input[n - 1]`` after
    - circular: ``input[i mod n]``, of the input cropped by the negative pads.

    Args:
        input: the array.
        pad: an even count of ints. The constant mode pads any number of axes; the others pad the last axis of a 2-D
            or 3-D array, the last two of a 3-D or 4-D array, or the last three of a 4-D or 5-D array.
        mode: 'constant', 'reflect', 'replicate' or 'circular'.
        value: the constant, 0 by default; converted to the dtype of the input. Other modes take none.

    Shape:
        - input: (*, n_1, ..., n_k).
        - output: (*, n_1 + low_1 + high_1, ..., n_k + low_k + high_k).

    Returns:
        the padded array, of the dtype of the input.

    Raises:
        ValueError: if the count of pads is odd or does not fit the rank, ``mode`` is unknown, ``value`` is given to
            another mode than 'constant', a reflected pad is not shorter than its axis, a circular one is longer than
            it, or more is cropped than there is.
        TypeError: if a pad is not an int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.pad.html

    Example:
        >>> import jax.numpy as jnp
        >>> pad(jnp.arange(1, 5)[None], (2, 1), mode="reflect").tolist()
        [[3, 2, 1, 2, 3, 4, 3]]
    """
    x = as_array("pad", "input", input)
    if isinstance(pad, int) or not hasattr(pad, "__len__"):
        fail(TypeError, "pad", "pad", "a sequence of ints", pad)
    numbers = tuple(as_int("pad", "pad", p) for p in pad)
    if len(numbers) % 2:
        fail(ValueError, "pad", "pad", "an even count of ints", numbers)
    if len(numbers) > 2 * x.ndim:
        fail(ValueError, "pad", "pad", f"at most {2 * x.ndim} ints for a {x.ndim}-D input", numbers)
    check_choice("pad", "mode", mode, _MODES)
    given = list(zip(numbers[::2], numbers[1::2], strict=True))
    pairs = ((0, 0),) * (x.ndim - len(given)) + tuple(reversed(given))
    if mode == "constant":
        for axis, (low, high) in enumerate(pairs):
            if x.shape[axis] + min(low, 0) + min(high, 0) < 0:
                expected = f"no more negative than axis {axis} of length {x.shape[axis]} allows"
                fail(ValueError, "pad", "pad", expected, (low, high))
        return _constant(x, 0 if value is None else value, pairs)
    if value is not None and known(value) != 0:
        fail(ValueError, "pad", "value", f"None in mode {mode!r}", value)
    _check_extension(x, numbers, pairs, mode)
    return _extend(x, pairs, mode)

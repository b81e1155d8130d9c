"""Max pooling over windows at pseudo-random starts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, overload

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fnn import random
from fnn.functional.arrays import ArrayLike, index_dtype
from fnn.functional.checks import as_array, check_floating, check_shape, fail, ntuple
from fnn.functional.explained import explained
from fnn.functional.pooling.common import Ints, Pooled, check_input
from fnn.kernels.pooling import gather_maxima, positions_by_lists

__all__ = [
    "fractional_max_pool2d",
    "fractional_max_pool2d_with_indices",
    "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices",
]


@partial(jax.jit, static_argnames=("kernel", "out"))
def _fractional_max(x: jax.Array, samples: jax.Array, *, kernel: Ints, out: Ints) -> tuple[jax.Array, jax.Array]:
    """Maxima over windows whose starts ``floor((i + u) alpha) - floor(u alpha)`` come from one sample an axis."""
    n = len(kernel)
    positions = []
    samples = lax.stop_gradient(samples)
    for i, (size, k, o) in enumerate(zip(x.shape[x.ndim - n :], kernel, out, strict=True)):
        u = samples[..., n - 1 - i if n == 2 else i, None]
        alpha = jnp.asarray((size - k) / max(o - 1, 1), u.dtype)
        steps = jnp.arange(o, dtype=u.dtype)
        starts = jnp.trunc((steps + u) * alpha).astype(jnp.int32) - jnp.trunc(u * alpha).astype(jnp.int32)
        starts = jnp.where(np.arange(o) == o - 1, size - k, starts)
        positions.append(starts[..., None] + np.arange(k, dtype=np.int32))
    flat = positions_by_lists(lax.stop_gradient(x), positions, [None] * n)
    return gather_maxima(x, flat, n), flat.astype(index_dtype())


@overload
def _fractional(
    indices: Literal[True],
    function: str,
    n: int,
    input: Any,
    kernel: Any,
    size: Any,
    ratio: Any,
    samples: Any,
    rng: Any,
) -> tuple[jax.Array, jax.Array]: ...
@overload
def _fractional(
    indices: bool, function: str, n: int, input: Any, kernel: Any, size: Any, ratio: Any, samples: Any, rng: Any
) -> Pooled: ...
def _fractional(
    indices: bool, function: str, n: int, input: Any, kernel: Any, size: Any, ratio: Any, samples: Any, rng: Any
) -> Pooled:
    x = check_input(function, input, n)
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
        most = s - k + (n == 2)  # torch's 3-D form wants one more element
        if o > most:
            fail(ValueError, function, "output_size", f"at most {most} for length {s} and kernel {k}", o)
    lead = x.shape[: x.ndim - n]
    shape = (*((1,) if len(lead) == 1 else lead[:1]), lead[-1], n)
    if samples is None:
        samples = random.uniform(random.next_key(function, rng), shape, x.dtype, 0.0, 1.0)
    samples = as_array(function, "_random_samples", samples)
    check_floating(function, _random_samples=samples)
    check_shape(function, "_random_samples", samples, shape)
    values, at = _fractional_max(x, samples.reshape((*lead, n)), kernel=kernel, out=out)
    return (values, at) if indices else values


@overload
def fractional_max_pool2d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    output_size: int | Sequence[int] | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: Literal[False] = False,
    _random_samples: ArrayLike | None = None,
    *,
    rng: jax.Array | None = None,
) -> jax.Array: ...
@overload
def fractional_max_pool2d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    output_size: int | Sequence[int] | None = None,
    output_ratio: float | Sequence[float] | None = None,
    *,
    return_indices: Literal[True],
    _random_samples: ArrayLike | None = None,
    rng: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]: ...
@overload
def fractional_max_pool2d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    output_size: int | Sequence[int] | None,
    output_ratio: float | Sequence[float] | None,
    return_indices: Literal[True],
    _random_samples: ArrayLike | None = None,
    *,
    rng: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]: ...
@overload
def fractional_max_pool2d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    output_size: int | Sequence[int] | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: ArrayLike | None = None,
    *,
    rng: jax.Array | None = None,
) -> Pooled: ...
@explained
def fractional_max_pool2d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    output_size: int | Sequence[int] | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: ArrayLike | None = None,
    *,
    rng: jax.Array | None = None,
) -> Pooled:
    """Maximum of each window of an image, at pseudo-random starts (Graham, 2014).

    Along an axis window i starts at ``floor((i + u) a) - floor(u a)``, ``a = (L - kernel_size) / (O - 1)``, with u in [0, 1)
    drawn for each plane and axis.

    Args:
        input: an array.
        kernel_size: elements of a window, an int or two.
        output_size: the numbers O of windows, an int or two.
        output_ratio: in place of ``output_size``, its ratio to the size of the input, a number or two.
        return_indices: whether the flat position of each maximum in its plane is returned too.
        _random_samples: the numbers u, in place of a draw.
        rng: a JAX PRNG key; without it the ambient source gives one.

    Shape:
        - input: (N, C, H, W) or (C, H, W).
        - _random_samples: (N, C, 2) or (1, C, 2).
        - output: (N, C, H_out, W_out) or (C, H_out, W_out).

    Returns:
        the values, or ``(values, positions)`` with ``return_indices``.

    Raises:
        TypeError: if the type of an option does not fit, or the dtype is not floating.
        ValueError: if the rank, a size or an option does not fit.
        RuntimeError: under a JAX transformation without a key.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.fractional_max_pool2d.html

    Example:
        >>> import jax, jax.numpy as jnp
        >>> fractional_max_pool2d(jnp.ones((1, 2, 4, 4)), 2, 2, rng=jax.random.key(0)).shape
        (1, 2, 2, 2)
    """
    return _fractional(
        return_indices, "fractional_max_pool2d", 2, input, kernel_size, output_size, output_ratio, _random_samples, rng
    )


@explained
def fractional_max_pool2d_with_indices(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    output_size: int | Sequence[int] | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: ArrayLike | None = None,
    *,
    rng: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Maximum of each window of an image, at pseudo-random starts (Graham, 2014), and its position.

    ``fractional_max_pool2d(..., return_indices=True)`` under torch's second name.

    Args:
        input, kernel_size, output_size, output_ratio, _random_samples, rng: as for ``fractional_max_pool2d``.
        return_indices: accepted; the positions are returned in any case.

    Shape:
        - input: (N, C, H, W) or (C, H, W).
        - _random_samples: (N, C, 2) or (1, C, 2).
        - output: (N, C, H_out, W_out) or (C, H_out, W_out).

    Returns:
        ``(values, positions)``.

    Raises:
        TypeError: if the type of an option does not fit, or the dtype is not floating.
        ValueError: if the rank, a size or an option does not fit.
        RuntimeError: under a JAX transformation without a key.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.fractional_max_pool2d.html

    Example:
        >>> import jax, jax.numpy as jnp
        >>> fractional_max_pool2d_with_indices(jnp.ones((1, 2, 4, 4)), 2, 2, rng=jax.random.key(0))[1].shape
        (1, 2, 2, 2)
    """
    return _fractional(
        True,
        "fractional_max_pool2d_with_indices",
        2,
        input,
        kernel_size,
        output_size,
        output_ratio,
        _random_samples,
        rng,
    )


@overload
def fractional_max_pool3d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    output_size: int | Sequence[int] | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: Literal[False] = False,
    _random_samples: ArrayLike | None = None,
    *,
    rng: jax.Array | None = None,
) -> jax.Array: ...
@overload
def fractional_max_pool3d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    output_size: int | Sequence[int] | None = None,
    output_ratio: float | Sequence[float] | None = None,
    *,
    return_indices: Literal[True],
    _random_samples: ArrayLike | None = None,
    rng: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]: ...
@overload
def fractional_max_pool3d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    output_size: int | Sequence[int] | None,
    output_ratio: float | Sequence[float] | None,
    return_indices: Literal[True],
    _random_samples: ArrayLike | None = None,
    *,
    rng: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]: ...
@overload
def fractional_max_pool3d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    output_size: int | Sequence[int] | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: ArrayLike | None = None,
    *,
    rng: jax.Array | None = None,
) -> Pooled: ...
@explained
def fractional_max_pool3d(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    output_size: int | Sequence[int] | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: ArrayLike | None = None,
    *,
    rng: jax.Array | None = None,
) -> Pooled:
    """Maximum of each window of a volume, at pseudo-random starts (Graham, 2014).

    Along each axis the windows are those of ``fractional_max_pool2d``.

    Args:
        input: an array.
        kernel_size: elements of a window, an int or three.
        output_size: the numbers O of windows, an int or three.
        output_ratio: in place of ``output_size``, its ratio to the size of the input, a number or three.
        return_indices: whether the flat position of each maximum in its volume is returned too.
        _random_samples: the numbers u, in place of a draw.
        rng: a JAX PRNG key; without it the ambient source gives one.

    Shape:
        - input: (N, C, D, H, W) or (C, D, H, W).
        - _random_samples: (N, C, 3) or (1, C, 3).
        - output: (N, C, D_out, H_out, W_out) or (C, D_out, H_out, W_out).

    Returns:
        the values, or ``(values, positions)`` with ``return_indices``.

    Raises:
        TypeError: if the type of an option does not fit, or the dtype is not floating.
        ValueError: if the rank, a size or an option does not fit.
        RuntimeError: under a JAX transformation without a key.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.fractional_max_pool3d.html

    Example:
        >>> import jax, jax.numpy as jnp
        >>> fractional_max_pool3d(jnp.ones((1, 2, 4, 4, 4)), 2, 2, rng=jax.random.key(0)).shape
        (1, 2, 2, 2, 2)
    """
    return _fractional(
        return_indices, "fractional_max_pool3d", 3, input, kernel_size, output_size, output_ratio, _random_samples, rng
    )


@explained
def fractional_max_pool3d_with_indices(
    input: ArrayLike,
    kernel_size: int | Sequence[int],
    output_size: int | Sequence[int] | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: ArrayLike | None = None,
    *,
    rng: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Maximum of each window of a volume, at pseudo-random starts (Graham, 2014), and its position.

    ``fractional_max_pool3d(..., return_indices=True)`` under torch's second name.

    Args:
        input, kernel_size, output_size, output_ratio, _random_samples, rng: as for ``fractional_max_pool3d``.
        return_indices: accepted; the positions are returned in any case.

    Shape:
        - input: (N, C, D, H, W) or (C, D, H, W).
        - _random_samples: (N, C, 3) or (1, C, 3).
        - output: (N, C, D_out, H_out, W_out) or (C, D_out, H_out, W_out).

    Returns:
        ``(values, positions)``.

    Raises:
        TypeError: if the type of an option does not fit, or the dtype is not floating.
        ValueError: if the rank, a size or an option does not fit.
        RuntimeError: under a JAX transformation without a key.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.fractional_max_pool3d.html

    Example:
        >>> import jax, jax.numpy as jnp
        >>> fractional_max_pool3d_with_indices(jnp.ones((1, 2, 4, 4, 4)), 2, 2, rng=jax.random.key(0))[1].shape
        (1, 2, 2, 2, 2)
    """
    return _fractional(
        True,
        "fractional_max_pool3d_with_indices",
        3,
        input,
        kernel_size,
        output_size,
        output_ratio,
        _random_samples,
        rng,
    )

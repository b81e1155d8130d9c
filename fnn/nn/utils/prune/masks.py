"""How elements of a mask are chosen: on the host, from values that can be read."""

from __future__ import annotations

import numbers

import jax
import numpy as np
from jax.core import Tracer

from fnn import random
from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import describe
from fnn.kernels.precision import wide_dtype
from fnn.nn.array_box import to_array
from fnn.stateful.boxes import Box


def host(name: str, value: ArrayLike | Box) -> np.ndarray:
    """The values as numpy: elements are chosen outside of any trace."""
    data = value.data if isinstance(value, Box) else value
    if isinstance(data, Tracer):
        raise RuntimeError(f"prune: {name} is traced; pruning reads values: do it outside of JAX transformations")
    return np.asarray(data)


def _wide(values: np.ndarray) -> np.ndarray:
    """In float32 at least, which numpy can sort and sum."""
    return values.astype(wide_dtype(values.dtype))


def magnitudes(values: np.ndarray) -> np.ndarray:
    """What elements are ranked by."""
    return np.abs(_wide(values))


def check_amount(amount: float) -> None:
    if not isinstance(amount, numbers.Real):
        raise TypeError(f"amount must be an int or a float, got {describe(amount)}")
    if not 0 <= float(amount) <= (np.inf if isinstance(amount, numbers.Integral) else 1):
        raise ValueError(f"amount must be a float in the range [0, 1] or a non-negative integer, got {amount}")


def how_many(amount: float, size: int) -> int:
    """How many of ``size`` things to prune."""
    if not isinstance(amount, numbers.Integral):
        return round(amount * size)
    if int(amount) > size:
        raise ValueError(f"amount={amount} should be smaller than the number of parameters to prune={size}")
    return int(amount)


def check_dim(shape: tuple[int, ...], dim: int) -> int:
    if len(shape) <= 1:
        raise ValueError(
            "Structured pruning can only be applied to multidimensional tensors. "
            f"Found tensor of shape {shape} with {len(shape)} dims"
        )
    if not -len(shape) <= dim < len(shape):
        raise IndexError(f"Invalid index dim={dim} for tensor of size {shape}")
    return dim % len(shape)


def norms(values: np.ndarray, n: float | str, dim: int) -> np.ndarray:
    """The n-norm of each slice along ``dim``."""
    x = np.moveaxis(_wide(values) if n == "nuc" else magnitudes(values), dim, 0)
    if n == "nuc":
        if x.ndim != 3:
            raise ValueError(f"ln_structured: n='nuc' needs slices with 2 axes, got {x.ndim - 1}")
        return np.linalg.svd(x, compute_uv=False).sum(-1)
    if n != "fro" and (isinstance(n, bool) or not isinstance(n, numbers.Real)):
        raise ValueError(f"ln_structured: n must be a number, inf, -inf, 'fro' or 'nuc', got {n!r}")
    with np.errstate(divide="ignore", over="ignore"):
        return np.linalg.norm(x.reshape(x.shape[0], -1), 2 if n == "fro" else float(n), axis=1)


def smallest(values: np.ndarray, count: int) -> np.ndarray:
    """True at the ``count`` smallest of the flat values: of equal ones the first, NaN last."""
    flat = values.reshape(-1)
    if not count:
        return np.zeros(flat.size, bool)
    bound = np.partition(flat, count - 1)[count - 1]
    chosen, equal = (flat < bound, flat == bound) if bound == bound else (flat == flat, flat != flat)
    chosen[np.flatnonzero(equal)[: count - np.count_nonzero(chosen)]] = True
    return chosen


def without(pruned: np.ndarray, mask: ArrayLike) -> jax.Array:
    """The mask with zeros at these of its flat elements."""
    out = np.array(mask)
    out.reshape(-1)[pruned] = 0
    return to_array(out)


def without_slices(pruned: np.ndarray, dim: int, mask: ArrayLike) -> jax.Array:
    """The mask with zeros in slices of the axis."""
    out = np.array(mask)
    np.moveaxis(out, dim, 0)[pruned] = 0
    return to_array(out)


def draw(function: str, count: int) -> np.ndarray:
    """Random words: of 32 bits, so that equal ones are rare."""
    return host("the random key", random.bits(random.next_key(function), (count,)))

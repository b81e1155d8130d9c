"""Calls of one method on a box and on a tensor of torch, and the comparison of what they give."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import nn
from tests.oracle import assert_close, from_torch, rand, to_torch

REFUSALS = (ValueError, TypeError, IndexError, RuntimeError)


class Call(NamedTuple):
    """A method's name, the content of the box, and the arguments, in which numpy arrays stand for arrays."""

    method: str
    content: np.ndarray
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class DType(str):
    """A dtype among the arguments, by its name in JAX and torch."""


def call(method: str, content: Any, *args: Any, **kwargs: Any) -> Call:
    return Call(method, content, args, kwargs)


def name_of(c: Call) -> str:
    """A test id: method, content, arguments."""

    def text(value: Any) -> str:
        if isinstance(value, np.ndarray):
            return f"{value.dtype.name}{list(value.shape)}".replace(" ", "")
        return str(value).replace(" ", "")

    parts = [text(c.content), *map(text, c.args), *(f"{k}={text(v)}" for k, v in c.kwargs.items())]
    return f"{c.method}-" + "-".join(parts)


def f64(*shape: int, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    return rand(3, *shape, low=low, high=high)


def positive(*shape: int) -> np.ndarray:
    return rand(5, *shape, low=0.1, high=0.9)


def i64(*shape: int, low: int = -5, high: int = 6) -> np.ndarray:
    return np.random.default_rng([7, *shape]).integers(low, high, shape)


def mask(*shape: int) -> np.ndarray:
    return np.random.default_rng([11, *shape]).integers(0, 2, shape).astype(bool)


def some_nan(*shape: int) -> np.ndarray:
    x = f64(*shape)
    x.reshape(-1)[::4] = np.nan
    return x


def ours(value: Any, box: bool = False) -> Any:
    """An argument for us: numpy arrays become arrays, or boxes."""
    if isinstance(value, DType):
        return jnp.dtype(str(value))
    if isinstance(value, np.ndarray):
        return nn.Buffer(value) if box else jnp.asarray(value)
    if isinstance(value, list | tuple):
        return type(value)(ours(v, box) for v in value)
    return value


def theirs(value: Any) -> Any:
    """An argument for torch."""
    if isinstance(value, DType):
        import torch

        return getattr(torch, str(value))
    if isinstance(value, list | tuple) and any(isinstance(v, np.ndarray | DType) for v in value):
        return type(value)(theirs(v) for v in value)
    return to_torch(value) if isinstance(value, np.ndarray) else value


def same(actual: Any, expected: Any, what: str, rtol: float = 1e-6, atol: float = 1e-8) -> None:
    """Arrays of equal dtype, shape and values; equal Python values; tuples item by item, with equal names of fields."""
    import torch

    if isinstance(expected, torch.Tensor):
        assert isinstance(actual, jax.Array), f"{what}: an array was expected, got {type(actual).__name__}"
        assert str(actual.dtype) == str(expected.dtype).removeprefix("torch."), f"{what}: dtype {actual.dtype}"
        value = expected.resolve_conj().resolve_neg()
        if value.dtype in (torch.float16, torch.bfloat16):
            rtol, atol, value, actual = 1e-2, 1e-2, value.float(), actual.astype(np.float32)
        elif value.dtype in (torch.float32, torch.complex64):
            rtol, atol = 1e-5, 1e-6
        assert_close(actual, from_torch(value), rtol, atol, what)
    elif isinstance(expected, tuple | list) and any(isinstance(v, torch.Tensor) for v in expected):
        assert len(actual) == len(expected), what
        if hasattr(expected, "_fields") or type(expected).__module__ == "torch.return_types":
            names = [n for n in dir(expected) if n in ("values", "indices", "min", "max", "Q", "R", "U", "S", "V")]
            assert all(hasattr(actual, n) for n in names), what
        for i, (a, b) in enumerate(zip(actual, expected, strict=True)):
            same(a, b, f"{what}[{i}]", rtol, atol)
    elif isinstance(expected, float):
        np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol)
    else:
        assert (tuple(actual) if isinstance(expected, tuple) else actual) == (
            tuple(expected) if isinstance(expected, tuple) else expected
        ), what


def compare(c: Call, boxes: bool = False, rtol: float = 1e-6, atol: float = 1e-8) -> None:
    """Both refuse the call, or both give the same; in-place forms leave the same content. A refused call changes nothing."""
    in_place = c.method.endswith("_")
    tensor = to_torch(np.array(c.content))
    box = nn.Buffer(c.content)
    error = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wanted = getattr(tensor, c.method)(*map(theirs, c.args), **{k: theirs(v) for k, v in c.kwargs.items()})
    except REFUSALS as e:
        if "not implemented for" in str(e):
            return  # torch has no kernel for the dtype, which means nothing
        error = e
    args, kwargs = ours(c.args, boxes), {k: ours(v, boxes) for k, v in c.kwargs.items()}
    if error is not None:
        before = box.data
        with pytest.raises(REFUSALS, match=r"\w+: .{8}"):
            getattr(box, c.method)(*args, **kwargs)
        assert box.data is before
        return
    got = getattr(box, c.method)(*args, **kwargs)
    if in_place:
        assert got is box
        got, wanted = box.data, tensor
    same(got, wanted, c.method, rtol, atol)
    if not in_place:
        np.testing.assert_array_equal(np.asarray(box.data), c.content)

"""Comparison with PyTorch, and the checks that every function must pass under JAX's transformations."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

HAS_TORCH = importlib.util.find_spec("torch") is not None
needs_torch = pytest.mark.skipif(not HAS_TORCH, reason="PyTorch, the oracle, is not installed")

RTOL = 1e-7
ATOL = 1e-9


def rand(seed: int, *shape: int, low: float = -1.0, high: float = 1.0) -> np.ndarray:
    """float64 numbers, uniform in [low, high), the same for the same seed and shape."""
    return np.random.default_rng([seed, *shape]).uniform(low, high, shape)


def to_torch(value: Any, requires_grad: bool = False) -> Any:
    """A numpy or jax array (or a pytree of lists, tuples, dicts of them) as torch tensors; other values unchanged."""
    import torch

    if isinstance(value, np.ndarray | jax.Array):
        array = np.asarray(value)
        if array.dtype == jnp.bfloat16:
            tensor = torch.from_numpy(array.astype(np.float32)).to(torch.bfloat16)
        else:
            tensor = torch.from_numpy(np.array(array))
        if requires_grad and tensor.is_floating_point():
            tensor.requires_grad_()
        return tensor
    if isinstance(value, list | tuple):
        return type(value)(to_torch(v, requires_grad) for v in value)
    if isinstance(value, dict):
        return {k: to_torch(v, requires_grad) for k, v in value.items()}
    return value


def from_torch(value: Any) -> np.ndarray:
    """A torch tensor as numpy (bfloat16 widened to float32)."""
    import torch

    value = value.detach()
    return (value.float() if value.dtype == torch.bfloat16 else value).numpy(force=True)


def leaves(value: Any) -> list[Any]:
    """The arrays of a result, which may be one array or a tuple that contains ``None``."""
    if value is None:
        return []
    if isinstance(value, list | tuple):
        return [leaf for v in value for leaf in leaves(v)]
    return [value]


def assert_close(actual: Any, expected: Any, rtol: float = RTOL, atol: float = ATOL, what: str = "") -> None:
    """Equal shapes and values (NaN equals NaN, infinities by sign)."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, expected {expected.shape}"
    actual, expected = (x.astype(np.float32) if x.dtype == jnp.bfloat16 else x for x in (actual, expected))
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol, equal_nan=True, err_msg=what)


def _is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray | jax.Array) and jnp.issubdtype(value.dtype, jnp.floating)


def check_against_torch(
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
    *args: Any,
    grad: bool = True,
    second: bool = False,
    rtol: float = RTOL,
    atol: float = ATOL,
    **kwargs: Any,
) -> None:
    """Values, gradients and (if ``second``) second derivatives of ``ours(*args, **kwargs)`` against torch's.

    numpy arrays among ``args`` and ``kwargs`` become jax arrays for us and tensors for torch; every floating one is
    differentiated. The gradient is that of the sum of outputs times fixed random weights; the second derivative is the
    gradient of the gradient's product with fixed random weights.
    """
    import torch

    paths = [("a", i) for i, v in enumerate(args) if _is_float(v)] + [
        ("k", k) for k, v in kwargs.items() if _is_float(v)
    ]

    def place(values: Sequence[Any], convert: Callable[[Any], Any]) -> tuple[list[Any], dict[str, Any]]:
        a, k = [convert(v) for v in args], {n: convert(v) for n, v in kwargs.items()}
        for (kind, key), v in zip(paths, values, strict=True):
            if kind == "a":
                a[key] = v
            else:
                k[key] = v
        return a, k

    def to_jax(v: Any) -> Any:
        return jnp.asarray(v) if isinstance(v, np.ndarray) else v

    raw = [args[key] if kind == "a" else kwargs[key] for kind, key in paths]
    mine = [jnp.asarray(v) for v in raw]
    torch_in = [to_torch(v, requires_grad=grad) for v in raw]

    def run(values: Sequence[Any]) -> list[Any]:
        a, k = place(values, to_jax)
        return leaves(ours(*a, **k))

    a, k = place(torch_in, to_torch)
    expected = leaves(theirs(*a, **k))
    actual = run(mine)
    assert len(actual) == len(expected)
    for i, (x, y) in enumerate(zip(actual, expected, strict=True)):
        assert_close(x, from_torch(y), rtol, atol, f"output {i}")
    if not grad or not paths:
        return
    weights = [rand(97 + i, *y.shape) for i, y in enumerate(expected)]

    def loss(values: Sequence[Any]) -> Any:
        outs = run(values)
        return sum(jnp.sum(o * w) for o, w in zip(outs, weights, strict=True) if jnp.issubdtype(o.dtype, jnp.floating))

    torch_loss = sum(
        (y * torch.from_numpy(w)).sum() for y, w in zip(expected, weights, strict=True) if y.is_floating_point()
    )
    torch_grads = torch.autograd.grad(torch_loss, torch_in, create_graph=second, allow_unused=True)
    grads = jax.grad(loss)(mine)
    for i, (g, t) in enumerate(zip(grads, torch_grads, strict=True)):
        wanted = np.zeros(raw[i].shape) if t is None else from_torch(t)
        assert_close(g, wanted, rtol, atol, f"gradient of argument {paths[i]}")
    if not second:
        return
    directions = [rand(197 + i, *v.shape) for i, v in enumerate(raw)]

    def slope(values: Sequence[Any]) -> Any:
        return sum(jnp.sum(g * d) for g, d in zip(jax.grad(loss)(values), directions, strict=True))

    torch_slope = sum(
        (t * torch.from_numpy(d)).sum() for t, d in zip(torch_grads, directions, strict=True) if t is not None
    )
    wanted_second = (
        torch.autograd.grad(torch_slope, torch_in, allow_unused=True)
        if torch_slope.requires_grad
        else [None] * len(raw)
    )
    for i, (g, t) in enumerate(zip(jax.grad(slope)(mine), wanted_second, strict=True)):
        wanted = np.zeros(raw[i].shape) if t is None else from_torch(t)
        assert_close(g, wanted, rtol, atol, f"second derivative of argument {paths[i]}")


def check_transforms(function: Callable[..., Any], *arrays: Any, differentiable: bool = True) -> None:
    """``function`` of arrays gives the same under jit, and row by row under vmap over each argument, and under
    jit(vmap(grad)) and jvp; gradients are finite and forward mode agrees with reverse mode."""
    arrays = tuple(jnp.asarray(a) for a in arrays)
    eager = leaves(function(*arrays))
    for a, b in zip(leaves(jax.jit(function)(*arrays)), eager, strict=True):
        assert_close(a, b, 1e-9, 1e-11, "jit")
    for i in range(len(arrays)):
        stacked = jnp.stack([arrays[i], arrays[i]])
        axes = [None] * len(arrays)
        axes[i] = 0
        out = leaves(jax.vmap(function, in_axes=tuple(axes))(*arrays[:i], stacked, *arrays[i + 1 :]))
        for a, b in zip(out, eager, strict=True):
            assert_close(a[0], b, 1e-9, 1e-11, f"vmap over argument {i}, row 0")
            assert_close(a[1], b, 1e-9, 1e-11, f"vmap over argument {i}, row 1")
    floats = tuple(i for i, a in enumerate(arrays) if _is_float(a))
    if not differentiable or not floats:
        return

    def total(*inputs: Any) -> Any:
        outs = leaves(function(*inputs))
        return sum(jnp.sum(jnp.sin(o)) for o in outs if jnp.issubdtype(o.dtype, jnp.floating))

    grads = jax.grad(total, floats)(*arrays)
    axes = tuple(0 if i in floats else None for i in range(len(arrays)))
    stacked = tuple(jnp.stack([a, a]) if i in floats else a for i, a in enumerate(arrays))
    batched = jax.jit(jax.vmap(jax.grad(total, floats), in_axes=axes))(*stacked)
    for g, b in zip(grads, batched, strict=True):
        assert bool(jnp.isfinite(g).all()), "gradient is not finite"
        assert_close(b[1], g, 1e-8, 1e-10, "jit(vmap(grad))")
    directions = tuple(jnp.asarray(rand(31 + i, *arrays[i].shape)).astype(arrays[i].dtype) for i in floats)

    def of_floats(*inputs: Any) -> Any:
        full = list(arrays)
        for i, v in zip(floats, inputs, strict=True):
            full[i] = v
        return total(*full)

    _, tangent = jax.jvp(of_floats, tuple(arrays[i] for i in floats), directions)
    product = sum(jnp.sum(g * d) for g, d in zip(grads, directions, strict=True))
    assert_close(tangent, product, 1e-7, 1e-9, "jvp against grad")

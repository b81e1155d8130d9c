"""``linear_cross_entropy`` against torch, against its two parts, and the size of what it holds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn.functional.loss import LinearCrossEntropyOptions, cross_entropy, linear_cross_entropy
from tests.oracle import assert_close, check_against_torch, check_transforms, needs_torch, rand

X, M, B, W = rand(1, 7, 3), rand(2, 5, 3), rand(3, 5), rand(4, 5, low=0.1, high=2)
T = np.array([0, 4, 2, 1, 1, 3, 0])
CHUNKS = LinearCrossEntropyOptions(batch_chunk_size=3)


def ours(x, matrix, bias, target, **options):
    return linear_cross_entropy(x, matrix, target, linear_bias=bias, options=CHUNKS, **options)


@needs_torch
@pytest.mark.parametrize(
    "reduction", [pytest.param("none", marks=pytest.mark.slow), "mean", pytest.param("sum", marks=pytest.mark.slow)]
)
def test_against_torch(reduction):
    import torch
    import torch.nn.functional as TF

    def theirs(x, matrix, bias, target, weight=None, **options):
        weight = None if weight is None else torch.from_numpy(weight)
        return TF.linear_cross_entropy(x, matrix, target, linear_bias=bias, weight=weight, **options)

    def check(x, matrix, bias, target, weight=None, **options):
        check_against_torch(
            lambda *a, **k: ours(*a, weight=weight, **k),
            lambda *a, **k: theirs(*a, weight=weight, **k),
            x,
            matrix,
            bias,
            target,
            reduction=reduction,
            **options,
        )

    check(X, M, B, T, second=True)
    check(X, M, B, T, W, ignore_index=1, label_smoothing=0.1)
    check(X[0], M, B, np.array(T[0]))
    soft = np.exp(rand(5, 7, 5))
    check(X, M, B, soft / soft.sum(1, keepdims=True), label_smoothing=0.2)
    check(X, rand(6, 5, 2, 2, 3), rand(6, 5, 2, 2), np.arange(28).reshape(7, 2, 2) % 5)


@pytest.mark.slow
def test_transforms():
    check_transforms(lambda x, m, b, t: ours(x, m, b, t), X, M, B, T)


def test_out_of_range_and_empty():
    bad = T.copy()
    bad[4] = 5
    with pytest.raises(IndexError, match=r"linear_cross_entropy: target must be in \[0, 4\], got 5"):
        ours(X, M, B, bad)
    out = jax.jit(lambda t: ours(X, M, B, t, reduction="none"))(bad)
    assert np.isnan(out).tolist() == [False] * 4 + [True] + [False] * 2
    assert np.isnan(ours(X[:0], M, B, T[:0]))


def _largest(jaxpr):
    sizes = [v.aval.size for e in jaxpr.eqns for v in e.outvars]
    for equation in jaxpr.eqns:
        for inner in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda p: hasattr(p, "eqns") or hasattr(p, "jaxpr")
        ):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                sizes.append(_largest(inner))
    return max(sizes, default=0)


def test_full_logits_are_never_held():
    x, m, t = jnp.zeros((512, 8)), jnp.zeros((300, 8)), jnp.zeros(512, int)
    jaxpr = jax.make_jaxpr(jax.grad(lambda x, m: linear_cross_entropy(x, m, t), (0, 1)))(x, m)
    assert _largest(jaxpr.jaxpr) <= 64 * 300
    plain = jax.make_jaxpr(jax.grad(lambda x, m: cross_entropy(x @ m.T, t), (0, 1)))(x, m)
    assert _largest(plain.jaxpr) == 512 * 300


@pytest.mark.parametrize(("dtype", "tol"), [("float32", 1e-5), ("bfloat16", 2e-2), ("float16", 3e-3)])
def test_dtypes(dtype, tol):
    args = [jnp.asarray(a, dtype) for a in (X, M, B)]
    out = ours(*args, T)
    assert out.dtype == dtype
    assert_close(np.asarray(out, np.float64), np.asarray(ours(X, M, B, T)), tol)
    grad = jax.grad(lambda m: ours(args[0], m, args[2], T).astype(jnp.float32))(args[1])
    assert grad.dtype == dtype
    expected = jax.grad(lambda m: ours(X, m, B, T))(jnp.asarray(M))
    assert_close(np.asarray(grad, np.float64), np.asarray(expected), tol, tol)


def test_errors():
    with pytest.raises(ValueError, match=r"linear_weight must be of shape \[C, ..., 3\]"):
        linear_cross_entropy(X, M[:, :2], T)
    with pytest.raises(ValueError, match="input must be 1-D or 2-D"):
        linear_cross_entropy(X[None], M, T)
    with pytest.raises(ValueError, match="linear_weight must be at least 2-D"):
        linear_cross_entropy(X, M[0], T)
    with pytest.raises(ValueError, match=r"linear_bias must be of shape \[5\]"):
        linear_cross_entropy(X, M, T, linear_bias=B[:4])
    with pytest.raises(ValueError, match="input must be 2-D if linear_weight has more"):
        linear_cross_entropy(X[0], M[:, None], T[:1])
    with pytest.raises(ValueError, match="ignore_index must be None if target holds probabilities"):
        linear_cross_entropy(X, M, np.ones((7, 5)), ignore_index=-100)
    with pytest.raises(TypeError, match="input and linear_weight must be of one dtype"):
        linear_cross_entropy(X.astype(np.float32), M, T)
    with pytest.raises(ValueError, match=r"target must be of shape \[7\]"):
        linear_cross_entropy(X, M, T[:3])
    with pytest.raises(ValueError, match="batch_chunk_size must be at least 1"):
        linear_cross_entropy(X, M, T, options=LinearCrossEntropyOptions(batch_chunk_size=0))

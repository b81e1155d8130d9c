"""``custom_fwd`` and ``custom_bwd``: derivatives of one's own that run in the precision of their forward function."""

import jax
import jax.numpy as jnp
import pytest

import fnn
from fnn.nn import functional as F
from tests.oracle import assert_close, needs_torch, rand

BF16, F32 = jnp.bfloat16, jnp.float32
X, W = jnp.asarray(rand(0, 4, 3), F32), jnp.asarray(rand(1, 2, 3), F32)


def product(seen, cast_inputs=None):
    """``x @ w.T`` with a derivative written out; notes in which dtypes both functions work."""

    def forward(x, w):
        y = F.linear(x, w)
        seen.append(("forward", x.dtype.name, y.dtype.name))
        return y, (x, w)

    def backward(kept, g):
        x, w = kept
        gx = F.linear(g, w.T)
        seen.append(("backward", x.dtype.name, gx.dtype.name))
        return gx, F.linear(g.T, x.T)

    forward = fnn.amp.custom_fwd(forward, device_type="cuda", cast_inputs=cast_inputs)
    function = jax.custom_vjp(lambda x, w: forward(x, w)[0])
    function.defvjp(forward, fnn.amp.custom_bwd(backward, device_type="cuda"))
    return function


def torchs(cast_inputs):
    """The same of torch's on the CPU; the dtypes noted, and the gradients."""
    import torch

    seen = []

    class Product(torch.autograd.Function):
        @staticmethod
        @torch.amp.custom_fwd(device_type="cpu", cast_inputs=cast_inputs and getattr(torch, cast_inputs))
        def forward(ctx, x, w):
            ctx.save_for_backward(x, w)
            y = torch.nn.functional.linear(x, w)
            seen.append(("forward", str(x.dtype)[6:], str(y.dtype)[6:]))
            return y

        @staticmethod
        @torch.amp.custom_bwd(device_type="cpu")
        def backward(ctx, g):
            x, w = ctx.saved_tensors
            gx = torch.nn.functional.linear(g, w.T)
            seen.append(("backward", str(x.dtype)[6:], str(gx.dtype)[6:]))
            return gx, torch.nn.functional.linear(g.T, x.T)

    x, w = (torch.tensor(a.tolist(), requires_grad=True) for a in (X, W))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = Product.apply(x, w)
    y.float().sum().backward()
    return seen, [x.grad, w.grad]


@needs_torch
@pytest.mark.parametrize("cast_inputs", [None, "float32", "bfloat16"])
def test_both_functions_run_as_torchs_do(cast_inputs):
    seen = []
    function = product(seen, cast_inputs)

    def loss(x, w):
        with fnn.autocast(dtype=BF16):
            y = function(x, w)
        return y.astype(F32).sum()

    grads = jax.grad(loss, (0, 1))(X, W)
    expected, their_grads = torchs(cast_inputs)
    assert seen[-2:] == expected
    for ours, theirs in zip(grads, their_grads, strict=True):
        assert ours.dtype == F32
        assert_close(ours, theirs.numpy(), 2e-2, 1e-2)


def test_outside_of_autocast_nothing_is_cast():
    seen = []
    grads = jax.jit(jax.grad(lambda x, w: product(seen, BF16)(x, w).sum(), (0, 1)))(X, W)
    assert seen[-2:] == [("forward", "float32", "float32"), ("backward", "float32", "float32")]
    exact = jax.grad(lambda x, w: (x @ w.T).sum(), (0, 1))(X, W)
    for ours, wanted in zip(grads, exact, strict=True):
        assert_close(ours, wanted, 1e-6, 1e-6)


def test_as_decorators_and_apart():
    @fnn.amp.custom_fwd(cast_inputs=F32)
    def forward(x):
        """Text."""
        return x, None

    @fnn.amp.custom_bwd(device_type="cuda")
    def backward(kept, g):
        return (g,)

    assert forward.__doc__ == "Text."
    with pytest.raises(
        TypeError, match="custom_bwd: residuals must be those of a function in custom_fwd, got NoneType"
    ):
        backward(None, X)

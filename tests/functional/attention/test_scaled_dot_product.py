"""scaled_dot_product_attention against PyTorch."""

import jax.numpy as jnp
import numpy as np
import pytest

from fnn import functional as F
from tests.oracle import assert_close, check_against_torch, check_transforms, needs_torch, rand

Q, K, V = rand(0, 2, 4, 3, 5), rand(1, 2, 4, 6, 5), rand(2, 2, 4, 6, 7)
MASK = np.random.default_rng(0).random((3, 6)) > 0.4
NOTHING = MASK & (np.arange(3) != 1)[:, None]


@needs_torch
@pytest.mark.parametrize(
    ("arrays", "options"),
    [
        ((Q, K, V), {}),
        ((Q, K, V), {"is_causal": True}),
        ((Q, K, V), {"scale": 0.3}),
        ((Q, K, V), {"attn_mask": MASK}),
        ((Q, K, V), {"attn_mask": NOTHING}),
        ((Q, K, V), {"attn_mask": rand(3, 2, 1, 3, 6)}),
        ((Q[0, 0], K[0, 0], V[0, 0]), {"is_causal": True}),
        ((Q, K[:, :2], V[:, :2]), {"enable_gqa": True}),
    ],
)
def test_against_torch(arrays, options):
    import torch

    check_against_torch(
        F.scaled_dot_product_attention,
        torch.nn.functional.scaled_dot_product_attention,
        *arrays,
        rtol=1e-9,
        atol=1e-12,
        **options,
    )


def test_transforms():
    check_transforms(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), Q[0], K[0], V[0])


def test_dropout_keeps_the_mean():
    q = jnp.asarray(Q)
    v = jnp.ones((2, 4, 6, 1))
    import jax

    out = F.scaled_dot_product_attention(q, jnp.asarray(K), v, dropout_p=0.5, rng=jax.random.key(0))
    assert out.shape == (2, 4, 3, 1)
    assert 0.5 < float(out.mean()) < 1.5
    assert float(out.std()) > 0.1
    assert_close(F.scaled_dot_product_attention(q, jnp.asarray(K), v), np.ones((2, 4, 3, 1)))


@pytest.mark.parametrize(
    ("arrays", "options", "error", "match"),
    [
        ((Q, K, V), {"attn_mask": MASK, "is_causal": True}, RuntimeError, "attn_mask must be None when is_causal"),
        ((Q, K[..., :4], V), {}, ValueError, "key must be of last length 5"),
        ((Q, K, V[..., :5, :]), {}, ValueError, "value must be of length 6"),
        ((Q[0, 0, 0], K, V), {}, ValueError, "query must be at least 2-D"),
        ((Q.astype(np.float32), K, V), {}, TypeError, "query and key must be of one dtype"),
        ((Q, K, V), {"attn_mask": np.ones((3, 6), int)}, TypeError, "attn_mask must be boolean"),
        ((Q, K, V), {"attn_mask": MASK[:2]}, ValueError, "must broadcast"),
        ((Q, K, V), {"dropout_p": 2.0}, ValueError, "dropout_p must be between 0 and 1"),
        ((Q, K[:, :3], V[:, :3]), {"enable_gqa": True}, ValueError, "number of heads that divides"),
    ],
)
def test_bad_input_raises(arrays, options, error, match):
    with pytest.raises(error, match=match):
        F.scaled_dot_product_attention(*arrays, **options)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_dtypes(dtype):
    q, k, v = (jnp.asarray(a, dtype) for a in (Q, K, V))
    out = F.scaled_dot_product_attention(q, k, v)
    assert out.dtype == dtype
    assert_close(out.astype(jnp.float64), F.scaled_dot_product_attention(Q, K, V), 0.02, 0.01)

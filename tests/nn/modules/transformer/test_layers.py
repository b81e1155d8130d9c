"""One layer of a Transformer's encoder and of its decoder against torch."""

import jax.numpy as jnp
import numpy as np
import pytest

from fnn import nn
from tests.nn.modules.transformer.against_torch import CAUSAL, FLOATING, OPTIONS, PADDING, compare, pair, sequence
from tests.oracle import assert_close, needs_torch, rand, to_torch


@needs_torch
@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("options", OPTIONS)
def test_encoder_layer(options):
    ours, theirs = pair("TransformerEncoderLayer", 6, 2, 8, 0.0, **options)
    x = sequence(1, options)
    compare(ours, theirs, [x])
    for masks in (
        {"src_mask": CAUSAL, "is_causal": True},
        {"src_mask": FLOATING, "src_key_padding_mask": FLOATING[:3]},
    ):
        assert_close(ours(x, **masks), theirs(to_torch(x), **to_torch(masks)).detach().numpy())
    ours.eval()
    theirs.eval()
    masks = {"src_key_padding_mask": PADDING}
    assert_close(ours(x, **masks), theirs(to_torch(x), **to_torch(masks)).detach().numpy())
    assert_close(ours(x[0]), theirs(to_torch(x[0])).detach().numpy())


@needs_torch
@pytest.mark.parametrize("options", OPTIONS)
def test_decoder_layer(options):
    ours, theirs = pair("TransformerDecoderLayer", 6, 2, 8, 0.0, **options)
    x, memory = sequence(1, options), sequence(2, options, 5)
    compare(ours, theirs, [x, memory])
    masks = {
        "tgt_mask": CAUSAL,
        "memory_mask": rand(3, 4, 5) > 0.5,
        "tgt_key_padding_mask": PADDING,
        "memory_key_padding_mask": np.array([[False] * 5] * 2 + [[False] * 4 + [True]]),
        "tgt_is_causal": True,
    }
    masks["memory_mask"][:, 0] = False
    assert_close(ours(x, memory, **masks), theirs(*to_torch([x, memory]), **to_torch(masks)).detach().numpy())


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_dtypes(dtype):
    layer = nn.TransformerDecoderLayer(6, 2, 8, 0.0, dtype=jnp.float64)
    x, memory = sequence(1, {}), sequence(2, {}, 5)
    expected = layer(x, memory, tgt_mask=CAUSAL)
    layer.to(dtype)
    out = layer(jnp.asarray(x, dtype), jnp.asarray(memory, dtype), tgt_mask=CAUSAL)
    assert out.dtype == dtype
    assert_close(out.astype(jnp.float64), expected, 0.05, 0.05)

"""``MultiheadAttention`` against torch."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn.nn.modules.activation.attention import MultiheadAttention
from tests.oracle import assert_close, needs_torch, rand, to_torch

CAUSAL = np.triu(np.ones((4, 4), bool), 1)
PADDING = np.array([[False] * 4, [False, False, True, True]])
CASES = [
    ({}, {}),
    ({"bias": False, "batch_first": True}, {"average_attn_weights": False}),
    ({"batch_first": True}, {"key_padding_mask": PADDING, "attn_mask": CAUSAL}),
    ({"add_bias_kv": True, "add_zero_attn": True}, {"key_padding_mask": PADDING}),
    ({"kdim": 3, "vdim": 5, "batch_first": True}, {"need_weights": False}),
    ({"kdim": 3, "add_bias_kv": True}, {}),
    ({}, {"attn_mask": rand(5, 4, 4), "need_weights": False}),
    ({}, {"attn_mask": CAUSAL, "is_causal": True, "need_weights": False}),
    ({}, {"attn_mask": rand(6, 4, 4, 4)}),
]


def pair(options):
    import torch

    theirs = torch.nn.MultiheadAttention(6, 2, **options, dtype=torch.float64)
    ours = MultiheadAttention(6, 2, **options, dtype=jnp.float64)
    if theirs.in_proj_bias is not None:
        for bias in (theirs.in_proj_bias, theirs.out_proj.bias):
            torch.nn.init.normal_(bias)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize(("options", "call"), CASES)
@pytest.mark.parametrize("shared", [True, False])
def test_against_torch(options, call, shared):
    ours, theirs = pair(options)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    batch = options.get("batch_first", False)
    length, sizes = (2, 4) if batch else (4, 2), (6, options.get("kdim", 6), options.get("vdim", 6))
    arrays = [rand(i, *length, n) for i, n in enumerate(sizes)]
    if shared and len(set(sizes)) == 1:
        arrays = [arrays[0]] * 3
    tensors = [to_torch(a) for a in arrays] if arrays[0] is not arrays[1] else [to_torch(arrays[0])] * 3
    out, weights = ours(*arrays, **call)
    wanted, wanted_weights = theirs(*tensors, **to_torch(call))
    assert_close(out, wanted.detach().numpy())
    assert (weights is None) == (wanted_weights is None)
    if weights is not None:
        assert_close(weights, wanted_weights.detach().numpy())
    (wanted**2).sum().backward()
    fnn.jit(lambda arrays: fnn.backward(lambda: (ours(*arrays, **call)[0] ** 2).sum(), ours))(arrays)
    for name, p in theirs.named_parameters():
        assert_close(ours.get_parameter(name).grad, p.grad.numpy(), what=name)


@needs_torch
def test_unbatched():
    ours, theirs = pair({"batch_first": True})
    x, y = rand(1, 3, 6), rand(2, 4, 6)
    for mask in (None, np.array([False, True, False, True])):
        out, weights = ours(x, y, y, key_padding_mask=mask)
        wanted, wanted_weights = theirs(*to_torch([x, y, y]), key_padding_mask=to_torch(mask))
        assert_close(out, wanted.detach().numpy())
        assert_close(weights, wanted_weights.detach().numpy())


@needs_torch
def test_merge_masks():
    ours, theirs = pair({"batch_first": True})
    x = rand(1, 2, 4, 6)
    for mask in (None, CAUSAL, rand(6, 4, 4, 4) > 0.5):
        for padding in (None, PADDING):
            merged, kind = ours.merge_masks(mask, padding, x)
            wanted, wanted_kind = theirs.merge_masks(*to_torch([mask, padding, x]))
            assert kind == wanted_kind
            assert (merged is None) == (wanted is None)
            if merged is not None:
                assert np.array_equal(merged, wanted.numpy())


def test_transformations_and_copies():
    layer = MultiheadAttention(6, 2, dropout=0.5, dtype=jnp.float64)
    params, buffers = fnn.state(layer)
    x = rand(1, 4, 2, 6)

    def loss(params, x, key):
        return (fnn.functional_call(layer, params, buffers, x, x, x, rng=key)[0][0] ** 2).sum()

    grad = jax.jit(jax.grad(loss))
    a, b = (grad(params, x, jax.random.key(seed))["in_proj_weight"] for seed in (0, 1))
    assert not np.allclose(a, b)
    layer.eval()
    expected = layer(x, x, x)[0]
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert_close(twin(x, x, x)[0], expected)
    assert not np.asarray(layer.in_proj_bias).any()
    assert not np.asarray(layer.out_proj.bias).any()
    assert abs(np.asarray(layer.in_proj_weight)).max() <= np.sqrt(6 / 24)


def test_errors():
    for sizes in ((0, 1), (4, 0)):
        with pytest.raises(ValueError, match="greater than 0"):
            MultiheadAttention(*sizes)
    with pytest.raises(ValueError, match="divisible"):
        MultiheadAttention(6, 4)
    layer = MultiheadAttention(6, 2)
    x = np.ones((4, 2, 6), np.float32)
    errors = (ValueError, TypeError, RuntimeError)
    for bad in (x[..., :4], x[None], x[0, 0], x.astype(np.float64)):
        with pytest.raises(errors, match="query"):
            layer(bad, bad, bad)
    with pytest.raises(errors, match="mask"):
        layer(x, x, x, attn_mask=np.ones((3, 3), bool))
    with pytest.raises(errors, match="mask"):
        layer(x, x, x, key_padding_mask=np.ones((2, 3), bool))

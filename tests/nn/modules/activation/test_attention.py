"""``MultiheadAttention`` against torch."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import functional as F
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


@pytest.mark.parametrize("pieces", [[5], [2, 1, 1, 1]])
@pytest.mark.parametrize("options", [{}, {"batch_first": True}, {"kdim": 3, "vdim": 2}])
def test_a_cache_gives_what_the_whole_gives(pieces, options):
    """Against the layer called once with the causal mask, which the tests above hold to torch."""
    layer = MultiheadAttention(6, 2, dtype=jnp.float64, **options)
    inputs = [rand(i, 5, 3, n) for i, n in enumerate((6, options.get("kdim", 6), options.get("vdim", 6)))]
    if "kdim" not in options:
        inputs = inputs[:1] * 3
    padding = np.zeros((3, 7), bool)
    padding[0, 1] = padding[2, 2] = True
    causal = np.triu(np.ones((5, 5), bool), 1)
    swap = (lambda a: a.swapaxes(0, 1)) if options.get("batch_first") else (lambda a: a)
    for masks in ({}, {"key_padding_mask": padding}, {"key_padding_mask": np.where(padding, -np.inf, 0.0)}):
        short = {n: m[:, :5] for n, m in masks.items()}
        call = {
            "attn_mask": causal if not masks or padding is masks["key_padding_mask"] else np.where(causal, -np.inf, 0.0)
        }
        wanted, whole = layer(*map(swap, inputs), **call, **short)
        cache, start = F.KeyValueCache.zeros((3, 2, 7, 3), dtype=jnp.float64), 0
        for count in pieces:
            stop = start + count
            new = [swap(a[start:stop]) for a in inputs]
            output, weights, following = layer(*new, is_causal=True, cache=cache, **masks)
            assert_close(output, swap(swap(wanted)[start:stop]), 1e-9, 1e-12)
            assert_close(weights[..., :5], whole[:, start:stop], 1e-9, 1e-12)
            assert not np.asarray(weights)[..., 5:].any()
            again, nothing, cache = layer(*new, is_causal=True, need_weights=False, cache=cache, **masks)
            assert nothing is None
            assert_close(again, output, 1e-9, 1e-12)
            assert_close(cache.key, following.key)
            start = stop
        assert int(cache.length) == 5


def test_a_cache_without_a_batch_and_with_a_mask():
    layer = MultiheadAttention(6, 2, dtype=jnp.float64)
    x = rand(1, 4, 6)
    hidden = rand(2, 4, 8) > 0.5
    hidden[:, 0] = False
    wanted, _ = layer(x, x, x, attn_mask=hidden[:, :4] | np.triu(np.ones((4, 4), bool), 1))
    output, weights, cache = layer(
        x, x, x, attn_mask=hidden, is_causal=True, cache=F.KeyValueCache.zeros((2, 8, 3), dtype=jnp.float64)
    )
    assert_close(output, wanted, 1e-9, 1e-12)
    assert weights.shape == (4, 8)
    # Not causal: the new tokens see one another too, and each what was there before.
    rest = rand(3, 2, 6)
    output, _, cache = layer(rest, rest, rest, cache=cache, need_weights=False)
    both = np.concatenate([x, rest])
    assert_close(output, layer(rest, both, both)[0], 1e-9, 1e-12)
    assert int(cache.length) == 6


def test_tokens_one_by_one_compile_once():
    layer = MultiheadAttention(6, 2, batch_first=True).eval()

    @fnn.jit
    def step(x, cache):
        output, _, cache = layer(x, x, x, need_weights=False, cache=cache)
        return output, cache

    x = rand(1, 2, 20, 6).astype(np.float32)
    cache = F.KeyValueCache.zeros((2, 2, 20, 3))
    outputs = []
    for i in range(20):
        output, cache = step(x[:, i : i + 1], cache)
        outputs.append(output)
    assert step._cache_size() == 1
    wanted, _ = layer(x, x, x, attn_mask=np.triu(np.ones((20, 20), bool), 1))
    assert_close(jnp.concatenate(outputs, 1), wanted, 1e-4, 1e-5)


@pytest.mark.parametrize(
    ("options", "call", "error", "match"),
    [
        ({"add_bias_kv": True}, {}, ValueError, "bias_k must be absent when a cache is given"),
        ({"add_zero_attn": True}, {}, ValueError, "add_zero_attn must be absent when a cache is given"),
        ({}, {"cache": F.KeyValueCache.zeros((2, 3, 8, 3))}, ValueError, "cache.key must be of shape .* to suit query"),
        ({}, {"cache": F.KeyValueCache.zeros((2, 8, 3))}, ValueError, "cache.key must be of shape .* to suit query"),
        ({}, {"cache": F.KeyValueCache.zeros((2, 2, 3, 3))}, IndexError, "cache must have places left"),
        ({}, {"cache": ()}, TypeError, "cache must be a KeyValueCache"),
        ({}, {"key_padding_mask": np.ones((2, 4), bool)}, ValueError, r"key_padding_mask must be of shape \[2, 8\]"),
        ({}, {"attn_mask": np.ones((4, 4), bool)}, ValueError, r"attn_mask must be of shape \[4, 8\]"),
        (
            {},
            {"key": np.ones((3, 2, 6), np.float32), "value": np.ones((3, 2, 6), np.float32)},
            ValueError,
            "key must be of length 4",
        ),
    ],
)
def test_errors_of_a_cache(options, call, error, match):
    x = np.ones((4, 2, 6), np.float32)
    arguments = {"query": x, "key": x, "value": x, "cache": F.KeyValueCache.zeros((2, 2, 8, 3)), **call}
    with pytest.raises(error, match=match):
        MultiheadAttention(6, 2, **options)(**arguments)

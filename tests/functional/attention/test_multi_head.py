"""multi_head_attention_forward against PyTorch."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import functional as F
from tests.oracle import assert_close, check_against_torch, check_transforms, leaves, needs_torch, rand

L, S, N, H, E = 3, 4, 2, 2, 6
Q, K, V = rand(0, L, N, E), rand(1, S, N, E), rand(2, S, N, E)
PACKED, OUT = rand(3, 3 * E, E), rand(4, E, E)
BIAS, OUT_BIAS, BIAS_K, BIAS_V = rand(5, 3 * E), rand(6, E), rand(7, 1, 1, E), rand(8, 1, 1, E)
PADDING = np.array([[False, False, False, True], [False, True, True, False]])
MASK = np.random.default_rng(0).random((L, S)) > 0.6
MASK[:, 0] = False
CAUSAL = np.triu(np.ones((L, S), bool), 1)
HEADS = np.random.default_rng(1).random((N * H, L, S)) > 0.6
HEADS[:, :, 0] = False
NOTHING = MASK | (np.arange(L) == 1)[:, None]
STATIC_K, STATIC_V = rand(9, N * H, 5, E // H), rand(10, N * H, 5, E // H)

NAMES = ("in_proj_weight", "in_proj_bias", "bias_k", "bias_v", "out_proj_weight", "out_proj_bias")
DEFAULTS = dict(zip(NAMES, (PACKED, BIAS, None, None, OUT, OUT_BIAS), strict=True))


def arguments(**options):
    """The arguments by name, in float64, with no dropout."""
    start = {"embed_dim_to_check": E, "num_heads": H, "add_zero_attn": False, "dropout_p": 0.0}
    return {**start, **DEFAULTS, **options}


def ours(q=Q, k=K, v=V, **options):
    return F.multi_head_attention_forward(q, k, v, **arguments(**options))


def compare(q, k, v, **options):
    import torch

    check_against_torch(
        F.multi_head_attention_forward,
        torch.nn.functional.multi_head_attention_forward,
        q,
        k,
        v,
        rtol=1e-9,
        atol=1e-12,
        **arguments(**options),
    )


def floating(mask):
    return np.where(mask, -np.inf, 0.0)


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"key_padding_mask": PADDING, "attn_mask": MASK},
        {"key_padding_mask": rand(11, N, S), "attn_mask": rand(12, N * H, L, S), "average_attn_weights": False},
        {
            "bias_k": BIAS_K,
            "bias_v": BIAS_V,
            "add_zero_attn": True,
            "key_padding_mask": PADDING,
            "attn_mask": HEADS,
            "is_causal": True,
        },
        pytest.param({"attn_mask": HEADS, "in_proj_bias": None, "out_proj_bias": None}, marks=pytest.mark.slow),
        pytest.param({"attn_mask": CAUSAL, "is_causal": True}, marks=pytest.mark.slow),
        pytest.param(
            {"attn_mask": CAUSAL, "is_causal": True, "bias_k": BIAS_K, "bias_v": BIAS_V}, marks=pytest.mark.slow
        ),
        pytest.param({"key_padding_mask": floating(PADDING), "add_zero_attn": True}, marks=pytest.mark.slow),
        pytest.param({"attn_mask": floating(CAUSAL), "training": False, "dropout_p": 0.5}, marks=pytest.mark.slow),
    ],
)
def test_against_torch(options, need_weights):
    compare(Q, K, V, need_weights=need_weights, **options)


SEPARATE = {
    "use_separate_proj_weight": True,
    "in_proj_weight": None,
    "q_proj_weight": rand(13, E, E),
    "k_proj_weight": rand(14, E, 5),
    "v_proj_weight": rand(15, E, 7),
}


@needs_torch
@pytest.mark.parametrize(
    ("arrays", "options"),
    [
        ((Q, rand(16, S, N, 5), rand(17, S, N, 7)), SEPARATE),
        (
            (Q, K, V),
            {"static_k": STATIC_K, "static_v": STATIC_V, "out_proj_weight": OUT[:4], "out_proj_bias": BIAS[:4]},
        ),
        ((Q[:, 0], K[:, 0], V[:, 0]), {"key_padding_mask": PADDING[1], "attn_mask": MASK}),
        pytest.param(
            (Q[:, 0], K[:, 0], V[:, 0]),
            {"attn_mask": HEADS[:H], "need_weights": False},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            (Q[:, 0], K[:, 0], V[:, 0]),
            {"average_attn_weights": False, "bias_k": BIAS_K, "bias_v": BIAS_V},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            (Q, rand(16, S, N, 5), rand(17, S, N, 7)),
            {**SEPARATE, "in_proj_bias": None, "need_weights": False, "bias_k": BIAS_K, "bias_v": BIAS_V},
            marks=pytest.mark.slow,
        ),
        pytest.param((Q, K, V), {"static_v": STATIC_V[:, :S], "key_padding_mask": PADDING}, marks=pytest.mark.slow),
    ],
)
def test_other_forms_against_torch(arrays, options):
    compare(*arrays, **options)


@needs_torch
def test_one_array_given_twice_or_thrice():
    import torch

    theirs = torch.nn.functional.multi_head_attention_forward
    parameters = {n: a if a is None else torch.from_numpy(a) for n, a in DEFAULTS.items()}
    q, k = torch.from_numpy(Q), torch.from_numpy(K)
    for args, tensors in (((Q, Q, Q), (q, q, q)), ((Q, K, K), (q, k, k)), ((Q, Q, Q.copy()), (q, q, q))):
        for a, b in zip(ours(*args), theirs(*tensors, **arguments(**parameters)), strict=True):
            assert_close(a, b.numpy(), 1e-12, 1e-13)
    x = jnp.asarray(Q)
    grad = jax.grad(lambda x: (ours(x, x, x)[0] ** 2).sum())(x)
    parts = jax.grad(lambda q, k, v: (ours(q, k, v)[0] ** 2).sum(), (0, 1, 2))(x, x + 0, x + 0)
    assert_close(grad, sum(parts), 1e-12, 1e-13)


@needs_torch
@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("mask", [NOTHING, floating(NOTHING)], ids=["boolean", "floating"])
def test_a_query_that_sees_nothing(mask, need_weights):
    """With weights it is NaN, without them its heads are zeros; the others are as ever, and so are the gradients."""
    compare(Q, K, V, attn_mask=mask, need_weights=need_weights)
    out, _ = ours(attn_mask=mask, need_weights=need_weights)
    if need_weights:
        assert np.isnan(out[1]).all()
    else:
        assert_close(out[1], np.broadcast_to(OUT_BIAS, (N, E)))
    assert np.isfinite(out[0]).all()


@needs_torch
@pytest.mark.parametrize("shapes", [(0, S, N), (L, 0, N), (L, S, 0)])
def test_empty(shapes):
    length, source, batch = shapes
    for need_weights in (True, False):
        q, k = np.zeros((length, batch, E)), np.zeros((source, batch, E))
        import torch

        theirs = torch.nn.functional.multi_head_attention_forward
        named = {n: a if a is None else torch.from_numpy(a) for n, a in DEFAULTS.items()}
        wanted = theirs(
            torch.from_numpy(q), *[torch.from_numpy(k)] * 2, **arguments(**named, need_weights=need_weights)
        )
        for a, b in zip(leaves(ours(q, k, k, need_weights=need_weights)), leaves(wanted), strict=True):
            assert_close(a, b.numpy())


@needs_torch
def test_second_derivatives():
    import torch

    def of(function, *masks):
        return lambda q, k, w: function(
            q,
            k,
            k,
            **arguments(
                **{n: torch.tensor(a) for n, a in masks},
                in_proj_weight=w,
                in_proj_bias=None,
                out_proj_weight=w[:E],
                out_proj_bias=None,
            ),
        )[0]

    args = (Q[:2, :1], K[:2, :1], PACKED)
    check_against_torch(
        of(F.multi_head_attention_forward), of(torch.nn.functional.multi_head_attention_forward), *args, second=True
    )


@needs_torch
@pytest.mark.parametrize("shape", [(E,), (1, E), (1, 1, E), (3, 1, E)])
def test_added_keys_of_any_shape(shape):
    compare(Q, K, V, bias_k=rand(20, *shape), bias_v=rand(21, *shape))


@pytest.mark.parametrize("need_weights", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_transforms(need_weights):
    def run(q, k, w, mask, row):
        out = F.multi_head_attention_forward(
            q,
            k,
            k,
            **arguments(in_proj_weight=w, bias_k=row, bias_v=row, attn_mask=mask, need_weights=need_weights),
            key_padding_mask=PADDING[1],
        )
        return tuple(leaves(out))

    with pytest.warns(UserWarning, match="different dtypes"):
        check_transforms(run, Q[:, 0], K[:, 0], PACKED, rand(12, L, S), BIAS_K)


@pytest.mark.parametrize("need_weights", [True, False])
def test_dropout(need_weights):
    key = jax.random.key(0)
    q, k = jnp.asarray(rand(0, 8, 2, E)), jnp.asarray(rand(1, 64, 2, E))
    options = {"dropout_p": 0.25, "need_weights": need_weights, "average_attn_weights": False}
    out, weights = ours(q, k, k, rng=key, **options)
    again, _ = ours(q, k, k, rng=key, **options)
    other, _ = ours(q, k, k, rng=jax.random.key(1), **options)
    plain, kept = ours(q, k, k, training=False, **options)
    assert_close(out, again)
    assert not np.allclose(out, other)
    assert not np.allclose(out, plain)
    traced = jax.jit(lambda p, rng: ours(q, k, k, rng=rng, **{**options, "dropout_p": p})[0])
    assert_close(traced(0.25, key), out)
    if need_weights:
        dropped = np.asarray(weights) == 0
        assert 0.2 < dropped.mean() < 0.3
        assert_close(weights, np.where(dropped, 0, np.asarray(kept) / 0.75))
    nothing, _ = ours(q, k, k, rng=key, **{**options, "dropout_p": 1.0})
    assert_close(nothing, np.broadcast_to(OUT_BIAS, nothing.shape))
    with pytest.raises(RuntimeError, match="rng"):
        jax.jit(lambda q: ours(q, k, k, **options)[0])(q)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, pytest.param(jnp.float16, marks=pytest.mark.slow)])
def test_dtypes(dtype):
    def cast(a):
        return None if a is None else jnp.asarray(a, dtype)

    named = {n: cast(a) for n, a in DEFAULTS.items()}
    expected = ours(attn_mask=rand(12, L, S))
    for mask in (cast(rand(12, L, S)), jnp.asarray(rand(12, L, S), jnp.float32)):
        for need_weights in (True, False):
            out, weights = ours(cast(Q), cast(K), cast(V), attn_mask=mask, need_weights=need_weights, **named)
            assert out.dtype == dtype
            assert_close(out.astype(jnp.float64), expected[0], 0.03, 0.03)
            if need_weights:
                assert weights.dtype == dtype
                assert_close(weights.astype(jnp.float64), expected[1], 0.03, 0.01)
            else:
                assert weights is None


@needs_torch
def test_signature():
    import torch

    def parameters(function):
        found = inspect.signature(function).parameters.values()
        return [(p.name, p.default) for p in found if p.kind is not p.KEYWORD_ONLY]

    assert parameters(F.multi_head_attention_forward) == parameters(torch.nn.functional.multi_head_attention_forward)


def test_masks_of_different_dtypes_warn():
    with pytest.warns(UserWarning, match="different dtypes") as caught:
        out, _ = ours(key_padding_mask=PADDING, attn_mask=floating(MASK))
    assert caught[0].filename == __file__
    assert_close(out, ours(key_padding_mask=PADDING, attn_mask=MASK)[0])


def test_the_causal_hint_spares_the_mask():
    wrong = np.zeros((L, S), bool)
    hinted = ours(attn_mask=wrong, is_causal=True, need_weights=False)[0]
    assert_close(hinted, ours(attn_mask=CAUSAL, need_weights=False)[0])
    assert_close(ours(attn_mask=wrong, is_causal=True)[0], ours()[0])


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"q": Q[None]}, ValueError, "query must be 2-D or 3-D"),
        ({"k": K[:, 0]}, ValueError, "key must be 3-D"),
        ({"k": K[:, :1]}, ValueError, "key must be of shape .* to suit query"),
        ({"v": V[:3]}, ValueError, "value must be of shape .* to suit key"),
        ({"q": Q[..., :4]}, ValueError, "query must be of shape .* by embed_dim_to_check"),
        ({"num_heads": 4}, ValueError, "num_heads must be a divisor"),
        ({"num_heads": 0}, ValueError, "num_heads must be at least 1"),
        ({"in_proj_weight": None}, ValueError, "in_proj_weight must be given"),
        ({**SEPARATE, "k_proj_weight": None}, ValueError, "k_proj_weight must be given"),
        ({**SEPARATE, "k_proj_weight": PACKED}, ValueError, "k_proj_weight must be of shape"),
        ({"in_proj_weight": PACKED[:6]}, ValueError, "in_proj_weight must be of shape"),
        ({"in_proj_bias": BIAS[:3]}, ValueError, "in_proj_bias must be of shape"),
        ({"out_proj_weight": OUT[:, :3]}, ValueError, "out_proj_weight must be of shape"),
        ({"out_proj_bias": BIAS}, ValueError, "out_proj_bias must be of shape"),
        ({"bias_k": BIAS_K}, ValueError, "bias_k and bias_v must be given together"),
        ({"bias_k": BIAS_K, "bias_v": BIAS_V[..., :2]}, ValueError, "bias_v must be of shape"),
        ({"bias_k": BIAS_K, "bias_v": np.concatenate([BIAS_V] * 2)}, ValueError, "bias_v must be of shape .* bias_k"),
        ({"bias_k": BIAS_K, "bias_v": BIAS_V, "static_k": STATIC_K}, ValueError, "static_k and static_v must be None"),
        ({"static_k": STATIC_K[:2], "static_v": STATIC_V}, ValueError, "static_k must be of shape"),
        ({"static_k": STATIC_K}, ValueError, "static_k must be of length 4"),
        ({"static_v": STATIC_V}, ValueError, "static_v must be of shape"),
        ({"key_padding_mask": PADDING[:, :3]}, ValueError, "key_padding_mask must be of shape"),
        ({"key_padding_mask": PADDING[0]}, ValueError, "key_padding_mask must be of shape"),
        ({"attn_mask": MASK[:2]}, ValueError, "attn_mask must be of shape"),
        ({"attn_mask": HEADS[:2]}, ValueError, "attn_mask must be of shape"),
        ({"attn_mask": MASK[0]}, ValueError, "attn_mask must be 2-D or 3-D"),
        ({"attn_mask": MASK.astype(int)}, TypeError, "attn_mask must be boolean"),
        ({"key_padding_mask": PADDING.astype(int)}, TypeError, "key_padding_mask must be boolean"),
        ({"is_causal": True}, RuntimeError, "attn_mask must be given when is_causal"),
        ({"dropout_p": 1.5}, ValueError, "dropout_p must be between 0 and 1"),
        ({"k": K.astype(np.float32)}, TypeError, "query and key must be of one dtype"),
        ({"out_proj_weight": OUT.astype(np.float32)}, TypeError, "query and out_proj_weight must be of one dtype"),
        ({"q": Q.astype(int), "k": Q.astype(int)}, TypeError, "query must be of a floating dtype"),
        ({"q": [1.0]}, TypeError, "query must be an array"),
    ],
)
def test_bad_input_raises(options, error, match):
    with pytest.raises(error, match=f"multi_head_attention_forward: .*{match}"):
        ours(**options)

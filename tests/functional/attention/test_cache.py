"""Attention with a cache of keys and values, with windows and with shared heads, against attention to the whole sequence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import functional as F, nn
from tests.oracle import assert_close, needs_torch, rand, to_torch

N, HEADS, SHARED, LENGTH, E, EV, PLACES = 2, 4, 2, 7, 6, 5, 9
Q, K, V = rand(0, N, HEADS, LENGTH, E), rand(1, N, SHARED, LENGTH, E), rand(2, N, SHARED, LENGTH, EV)


def empty(dtype=jnp.float64, rows=False):
    cache = F.KeyValueCache.zeros((N, SHARED, PLACES, E), EV, dtype=dtype)
    return cache._replace(length=jnp.zeros(N, jnp.int32)) if rows else cache


def attended(q, k, v, mask, scale=None):
    """The formula, with a boolean mask that broadcasts to (N, HEADS, L, S)."""
    k, v = (np.repeat(a, q.shape[1] // a.shape[1], 1) for a in (k, v))
    scores = q @ k.swapaxes(-1, -2) * (E**-0.5 if scale is None else scale)
    weights = np.where(mask, np.exp(scores - scores.max(-1, keepdims=True)), 0)
    return weights / weights.sum(-1, keepdims=True) @ v


def band(length, window=1000):
    distance = np.arange(length)[:, None] - np.arange(length)
    return (distance >= 0) & (distance < window)


def part(a, start, stop):
    return jnp.asarray(a[:, :, start:stop])


@pytest.mark.parametrize("pieces", [[7], [3, 1, 1, 2], [1] * 7])
@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("rows", [False, True])
def test_pieces_give_what_the_whole_gives(pieces, window, rows):
    wanted, cache, start = attended(Q, K, V, band(LENGTH, window or 1000)), empty(rows=rows), 0
    for count in pieces:
        stop = start + count
        q, k, v = (part(a, start, stop) for a in (Q, K, V))
        out, cache = F.scaled_dot_product_attention(
            q, k, v, is_causal=True, enable_gqa=True, window=window, cache=cache
        )
        assert_close(out, wanted[:, :, start:stop], 1e-10, 1e-12)
        start = stop
    assert np.array_equal(cache.length, np.full((N,) if rows else (), LENGTH))
    assert_close(cache.key, np.pad(K, ((0, 0), (0, 0), (0, 2), (0, 0))))
    assert_close(cache.value, np.pad(V, ((0, 0), (0, 0), (0, 2), (0, 0))))


def test_rows_of_different_lengths():
    """Prompts padded at the right, whose rows then go on at their own places; and the same padded at the left, with a mask."""
    lengths, step = np.array([5, 2]), rand(3, 3, N, HEADS, 1, E)
    q, k, v = (part(a, 0, 5) for a in (Q, K, V))
    _, cache = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True, cache=empty())
    cache = cache._replace(length=jnp.asarray(lengths, jnp.int32))
    assert cache.positions(2).tolist() == [[5, 6], [2, 3]]
    new = (step[0], step[1][:, :SHARED], step[2][:, :SHARED, :, :EV])
    out, cache = F.scaled_dot_product_attention(*new, enable_gqa=True, cache=cache)
    assert cache.length.tolist() == [6, 3]

    shifted = [np.stack([a[0, :, :5], np.roll(a[1, :, :5], 3, 1)]) for a in (Q, K, V)]
    hidden = np.ones((N, 1, 1, PLACES), bool)
    hidden[1, 0, 0, :3] = False
    _, left = F.scaled_dot_product_attention(*shifted, attn_mask=hidden, is_causal=True, enable_gqa=True, cache=empty())
    added = np.where(hidden, 0.0, -np.inf)
    for mask in (hidden, added, np.broadcast_to(added, (N, HEADS, 1, PLACES))):
        again, _ = F.scaled_dot_product_attention(*new, attn_mask=mask, is_causal=True, enable_gqa=True, cache=left)
        assert_close(again, out, 1e-10, 1e-12)
    for row, length in enumerate(lengths):
        q, k, v = (
            np.concatenate([a[row : row + 1, :, :length], b[row : row + 1]], -2)
            for a, b in zip((Q, K, V), new, strict=True)
        )
        assert_close(out[row, :, 0], attended(q, k, v, band(length + 1))[0, :, -1], 1e-10, 1e-12)


def test_without_is_causal_new_tokens_see_one_another():
    q, k, v = (part(a, 0, 4) for a in (Q, K, V))
    out, cache = F.scaled_dot_product_attention(q, k, v, enable_gqa=True, cache=empty())
    assert_close(out, attended(q, k, v, True), 1e-10, 1e-12)
    q, k, v = (part(a, 4, 6) for a in (Q, K, V))
    out, _ = F.scaled_dot_product_attention(q, k, v, None, 0.0, False, 0.3, True, cache=cache)
    assert_close(out, attended(Q[:, :, 4:6], K[:, :, :6], V[:, :, :6], True, 0.3), 1e-10, 1e-12)


def test_twenty_tokens_are_one_program_of_constant_size():
    tokens = rand(4, 20, 1, HEADS, 1, E).astype(np.float32)

    @jax.jit
    def start():
        return F.KeyValueCache.zeros((1, HEADS, 20, E))

    def step(cache, x):
        return F.scaled_dot_product_attention(x, x, x, is_causal=True, cache=cache)

    traces = []
    program = jax.jit(lambda cache, x: traces.append(0) or step(cache, x), donate_argnums=0)
    cache, outs = start(), []
    for x in tokens:
        before = cache
        out, cache = program(cache, x)
        assert before.key.is_deleted()
        outs.append(out)
    assert program._cache_size() == len(traces) == 1
    x = np.concatenate(list(tokens), -2)
    whole = F.scaled_dot_product_attention(x, x, x, is_causal=True)
    assert_close(jnp.concatenate(outs, -2), whole, 1e-5, 1e-6)
    _, scanned = jax.lax.scan(lambda c, x: step(c, x)[::-1], start(), tokens)
    assert_close(jnp.concatenate(list(scanned), -2), whole, 1e-5, 1e-6)
    # The new keys and values take the memory of the old ones.
    memory = program.lower(start(), tokens[0]).compile().memory_analysis()
    assert memory.alias_size_in_bytes >= 2 * start().key.nbytes


def test_one_token_copies_no_heads():
    """Query heads that share keys are rows of one product: nothing of the size of all heads' keys is made."""
    cache = F.KeyValueCache.zeros((1, 2, 64, 32))
    q = jnp.ones((1, 16, 1, 32), jnp.float32)
    jaxpr = jax.make_jaxpr(
        lambda c, q: F.scaled_dot_product_attention(q, q[:, :2], q[:, :2], is_causal=True, enable_gqa=True, cache=c)
    )(cache, q)
    assert _largest(jaxpr.jaxpr) <= cache.key.size
    one = F.KeyValueCache.zeros((1, 1, 64, 32))
    broadcast = jax.make_jaxpr(lambda c, q: F.scaled_dot_product_attention(q, q[:, :1], q[:, :1], cache=c))(
        one, q[:, :8]
    )
    assert _largest(broadcast.jaxpr) <= one.key.size
    plain = jax.make_jaxpr(lambda k, q: F.scaled_dot_product_attention(q, k, k, enable_gqa=True))(cache.key, q)
    assert _largest(plain.jaxpr) <= cache.key.size


def _largest(jaxpr):
    """The size of the largest array that is made, in programs within as well."""
    sizes = [v.aval.size for equation in jaxpr.eqns for v in equation.outvars]
    for equation in jaxpr.eqns:
        inner = jax.tree.leaves(equation.params, is_leaf=lambda p: hasattr(p, "jaxpr"))
        sizes += [_largest(p.jaxpr) for p in inner if hasattr(p, "jaxpr")]
    return max(sizes, default=0)


@pytest.mark.parametrize("length", [12, 300])
@pytest.mark.parametrize("shared", [1, 2])
def test_windows(length, shared):
    """Short sequences by the plain form, long ones by blocks; and the gradient is the formula's."""
    q, k, v = rand(5, 1, 2, length, E), rand(6, 1, shared, length, E), rand(7, 1, shared, length, EV)

    def ours(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, window=5, enable_gqa=True)

    assert_close(ours(q, k, v), attended(q, k, v, band(length, 5)), 1e-9, 1e-12)

    def formula(q, k, v):
        k, v = (jnp.repeat(a, 2 // shared, 1) for a in (k, v))
        scores = jnp.where(band(length, 5), q @ k.swapaxes(-1, -2) * E**-0.5, -jnp.inf)
        return jax.nn.softmax(scores) @ v

    slopes, wanted = (
        jax.grad(lambda *a, f=f: jnp.sum(f(*a) ** 2), argnums=(0, 1, 2))(*map(jnp.asarray, (q, k, v)))
        for f in (ours, formula)
    )
    for slope, want in zip(slopes, wanted, strict=True):
        assert_close(slope, want, 1e-8, 1e-10)
    wide = F.scaled_dot_product_attention(q, k, v, is_causal=True, window=length, enable_gqa=True)
    assert_close(wide, attended(q, k, v, band(length)), 1e-9, 1e-12)


@needs_torch
def test_a_mask_within_a_window_against_torch():
    import torch

    k, v = (np.repeat(a, 2, 1) for a in (K, V))
    mask = np.random.default_rng(0).random((N, 1, LENGTH, LENGTH)) > 0.3
    mask |= np.eye(LENGTH, dtype=bool)
    out = F.scaled_dot_product_attention(Q, k, v, attn_mask=mask, is_causal=True, window=4)
    wanted = torch.nn.functional.scaled_dot_product_attention(*to_torch([Q, k, v]), to_torch(mask & band(LENGTH, 4)))
    assert_close(out, wanted.numpy(), 1e-10, 1e-12)
    added = np.where(mask, rand(8, *mask.shape), -np.inf)
    out = F.scaled_dot_product_attention(Q, k, v, attn_mask=added, is_causal=True, window=4)
    added = np.where(band(LENGTH, 4), added, -np.inf)
    wanted = torch.nn.functional.scaled_dot_product_attention(*to_torch([Q, k, v]), to_torch(added))
    assert_close(out, wanted.numpy(), 1e-10, 1e-12)


@needs_torch
@pytest.mark.parametrize("mask", [(1, 1, 3, 7), (HEADS, 1, 7), (N, HEADS, 3, 7), (3, 7), (N, 1, 1, 7), (7,)])
def test_masks_of_shared_heads_against_torch(mask):
    import torch

    q, mask = Q[:, :, :3], rand(9, *mask)
    out = F.scaled_dot_product_attention(q, K, V, attn_mask=mask, enable_gqa=True)
    whole = np.broadcast_to(mask, (N, HEADS, 3, 7)).copy()
    k, v = (np.repeat(a, 2, 1) for a in (K, V))
    wanted = torch.nn.functional.scaled_dot_product_attention(*to_torch([q, k, v]), to_torch(whole))
    assert_close(out, wanted.numpy(), 1e-10, 1e-12)


def test_long_prompts_and_halves():
    """A prompt that is long enough for blocks; and a cache of halves for float32 queries."""
    q, k, v = rand(10, 1, 4, 280, E), rand(11, 1, 2, 280, E), rand(12, 1, 2, 280, E)
    cache = F.KeyValueCache.zeros((1, 2, 300, E), dtype=jnp.float64)
    out, _ = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True, cache=cache)
    assert_close(out, attended(q, k, v, band(280)), 1e-9, 1e-12)
    q, k, v = (part(a, 0, 4).astype(jnp.float32) for a in (Q, K, V))
    out, cache = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True, cache=empty(jnp.bfloat16))
    assert (out.dtype, cache.key.dtype) == (jnp.float32, jnp.bfloat16)
    k, v = (np.asarray(a.astype(jnp.bfloat16), np.float64) for a in (k, v))
    assert_close(out, attended(np.asarray(q), k, v, band(4)), 1e-5, 1e-6)


def test_autocast():
    """Products are in the low dtype, the cache keeps its own."""
    q, k, v = (part(a, 0, 4).astype(jnp.float32) for a in (Q, K, V))
    with fnn.autocast(dtype=jnp.bfloat16):
        out, cache = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True, cache=empty(jnp.float32))
        layer = nn.MultiheadAttention(E, 2)
        y, _, kept = layer(q[:, 0], q[:, 0], q[:, 0], cache=F.KeyValueCache.zeros((4, 2, 5, 3)))
    assert (out.dtype, cache.key.dtype, y.dtype, kept.key.dtype) == (
        jnp.bfloat16,
        jnp.float32,
        jnp.bfloat16,
        jnp.float32,
    )
    assert_close(
        np.asarray(out, np.float64), attended(*(np.asarray(a, np.float64) for a in (q, k, v)), band(4)), 0.02, 0.02
    )


def test_vmap_gradients_and_rows_of_an_unbatched_cache():
    wanted = attended(Q, K, V, band(LENGTH))

    def run(q, k, v, cache):
        out, cache = F.scaled_dot_product_attention(
            q[:, :4], k[:, :4], v[:, :4], is_causal=True, enable_gqa=True, cache=cache
        )
        rest, _ = F.scaled_dot_product_attention(
            q[:, 4:], k[:, 4:], v[:, 4:], is_causal=True, enable_gqa=True, cache=cache
        )
        return jnp.concatenate([out, rest], -2)

    cache = F.KeyValueCache.zeros((SHARED, PLACES, E), EV, dtype=jnp.float64)
    assert_close(run(*(jnp.asarray(a[0]) for a in (Q, K, V)), cache), wanted[0], 1e-10, 1e-12)
    each = jax.vmap(run, (0, 0, 0, None))
    q, k, v = map(jnp.asarray, (Q, K, V))
    assert_close(each(q, k, v, cache), wanted, 1e-10, 1e-12)

    def whole(q, k, v, _):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)

    slopes, expected = (
        jax.grad(lambda *a, f=f: jnp.sum(f(*a, cache) ** 3), argnums=(0, 1, 2))(q, k, v) for f in (each, whole)
    )
    for slope, want in zip(slopes, expected, strict=True):
        assert_close(slope, want, 1e-9, 1e-12)


@pytest.mark.parametrize("rows", [False, True])
def test_a_full_cache(rows):
    q, k, v = (part(a, 0, 5) for a in (Q, K, V))
    cache = F.cache_update(empty(rows=rows), k, v)
    with pytest.raises(IndexError, match=r"cache_update: cache must have places left .*, got 5 taken and 5 new of 9"):
        F.cache_update(cache, k, v)
    with pytest.raises(IndexError, match="scaled_dot_product_attention: cache must have places left"):
        F.scaled_dot_product_attention(q, k, v, enable_gqa=True, cache=cache)
    step = jax.jit(lambda cache: F.scaled_dot_product_attention(q, k, v, enable_gqa=True, cache=cache))
    out, cache = step(cache)
    assert np.isnan(out).all()
    assert np.isnan(step(cache)[0]).all()
    if rows:
        out, _ = step(empty()._replace(length=jnp.array([2, 6], jnp.int32)))
        assert np.isfinite(out[0]).all()
        assert np.isnan(out[1]).all()
    out, _ = step(empty()._replace(length=jnp.int32(-1)))
    assert np.isnan(out).all()


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"cache": (K, V, 0)}, TypeError, "cache must be a KeyValueCache"),
        ({"key": K[:, :1]}, ValueError, "key must be of shape .* to suit the cache"),
        ({"value": V[..., :2]}, ValueError, "value must be of shape .* to suit key and the cache"),
        ({"value": V[:, :, :2]}, ValueError, "value must be of (length|shape)"),
        ({"query": Q[:, :, :2]}, ValueError, "query must be of length 7 on axis -2, as key"),
        ({"query": Q[:, :3]}, ValueError, "key must be of a number of heads that divides query's 3"),
        ({"attn_mask": np.ones((LENGTH, LENGTH), bool)}, ValueError, "must broadcast"),
        ({"cache": F.KeyValueCache(K, V, jnp.zeros(()))}, TypeError, "cache.length must be of an integer dtype"),
        ({"cache": F.KeyValueCache(K, V, jnp.zeros(3, int))}, ValueError, "cache.length must be of shape"),
        ({"cache": F.KeyValueCache(K, V[:1], jnp.zeros((), int))}, ValueError, "cache.value must be of shape"),
        ({"cache": F.KeyValueCache(K, V.astype(np.float32), jnp.zeros((), int))}, TypeError, "of one dtype"),
        ({"window": 2}, ValueError, "window must be None unless is_causal is True"),
        ({"window": 0, "is_causal": True}, ValueError, "window must be at least 1"),
        ({"window": 1.5, "is_causal": True}, TypeError, "window must be an int"),
    ],
)
def test_bad_input_raises(change, error, match):
    arguments = {"query": Q, "key": K, "value": V, "cache": empty(), "enable_gqa": True, **change}
    with pytest.raises(error, match=match):
        F.scaled_dot_product_attention(**arguments)


def test_bad_shapes_of_a_cache():
    with pytest.raises(ValueError, match="zeros: shape must be of at least 3 axes"):
        F.KeyValueCache.zeros((3, 4))
    with pytest.raises(TypeError, match="dtype must be a floating dtype, got 'int32'"):
        F.KeyValueCache.zeros((3, 4, 2), dtype=jnp.int32)
    with pytest.raises(ValueError, match="shape must be at least 0"):
        F.KeyValueCache.zeros((3, -4, 2))

"""The combining transforms by formula, ``RowSparse``, and the interplay with optax."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn.optim.adam import adam
from fnn.optim.sgd import sgd
from fnn.optim.transform import (
    Transform,
    accumulate,
    apply_updates,
    chain,
    clip_by_global_norm,
    clip_by_value,
    ema,
    global_norm,
    partition,
)
from fnn.tensor.row_sparse import RowSparse
from tests.oracle import assert_close, needs_torch, rand


def tree():
    return {"a": jnp.asarray(rand(0, 3)), "b": [jnp.asarray(rand(1, 2, 2)), jnp.asarray(rand(2))]}


def test_apply_updates():
    params = {"a": jnp.ones(2, jnp.float32), "b": jnp.ones(2), "c": jnp.ones((3, 2))}
    rows = RowSparse(jnp.array([2, 2]), jnp.ones((2, 2)), (3, 2))
    out = apply_updates(params, {"a": jnp.ones(2, jnp.float64), "b": None, "c": rows})
    assert out["a"].dtype == jnp.float32
    assert out["a"].tolist() == [2, 2]
    assert out["b"] is params["b"]
    assert out["c"][:, 0].tolist() == [1, 1, 3]


@needs_torch
@pytest.mark.parametrize("max_norm", [0.1, 1.0, 100.0])
def test_clip_by_global_norm_follows_torch(max_norm):
    import torch

    grads = tree()
    params = [torch.zeros(g.shape, dtype=torch.float64, requires_grad=True) for g in jax.tree.leaves(grads)]
    for p, g in zip(params, jax.tree.leaves(grads), strict=True):
        p.grad = torch.tensor(np.asarray(g))
    norm = torch.nn.utils.clip_grad_norm_(params, max_norm)
    assert_close(global_norm(grads), norm, 1e-12, 1e-12)
    for bound in (max_norm, jnp.asarray(max_norm)):
        clipped, _ = clip_by_global_norm(bound).update(grads, ())
        for ours, p in zip(jax.tree.leaves(clipped), params, strict=True):
            assert_close(ours, p.grad, 1e-12, 1e-12)


def test_clipping_keeps_dtype_none_and_rows():
    grads = {"a": jnp.full(2, 30.0, jnp.float32), "b": None, "c": jnp.full(2, 300.0, jnp.float16)}
    for tx in (clip_by_global_norm(jnp.float64(1.0)), clip_by_value(jnp.float64(1.0))):
        out, _ = tx.update(grads, tx.init(grads))
        assert out["a"].dtype == jnp.float32
        assert out["b"] is None
        assert out["c"].dtype == jnp.float16
        assert bool(jnp.isfinite(out["c"]).all())
    rows = RowSparse(jnp.array([1, 1]), jnp.array([[3.0], [1.0]]), (2, 1))
    assert float(global_norm(rows)) == 4.0
    assert clip_by_value(2.0).update(rows, ())[0].to_dense().tolist() == [[0.0], [2.0]]
    assert float(global_norm({})) == 0


def test_chain_is_composition():
    tx = chain(clip_by_global_norm(0.5), sgd(lr=0.1, momentum=0.9))
    grads, params = tree(), tree()
    updates, state = jax.jit(tx.update)(grads, tx.init(params), params)
    scale = 0.5 / (float(global_norm(grads)) + 1e-6)
    assert_close(updates["a"], -0.1 * scale * grads["a"], 1e-12, 1e-12)
    assert len(state) == 2
    with pytest.raises(ValueError, match="chain: state must hold 2 states, got 1"):
        tx.update(grads, state[:1], params)


@pytest.mark.parametrize(
    "labels",
    [
        {"a": "fast", "b": "slow"},
        {"a": "fast", "b": ["slow", "slow"]},
        lambda path, p: "fast" if path == "a" else "slow",
    ],
)
def test_partition(labels):
    tx = partition({"fast": sgd(lr=1.0), "slow": sgd(lr=0.1, momentum=0.5)}, labels)
    params, grads = tree(), tree()
    state = tx.init(params)
    for step in range(2):
        updates, state = tx.update(grads, state, params)
        assert_close(updates["a"], -grads["a"], 1e-12)
        factor = 0.1 if step == 0 else 0.15
        assert_close(updates["b"][0], -factor * grads["b"][0], 1e-12)
        assert_close(updates["b"][1], -factor * grads["b"][1], 1e-12)


def test_partition_freezes_and_passes_none():
    tx = partition({True: sgd(lr=1.0), False: None}, lambda path, p: path.startswith("b."))
    params = tree()
    grads = {"a": params["a"], "b": [None, params["b"][1]]}
    updates, _ = jax.jit(tx.update)(grads, tx.init(params), params)
    moved = apply_updates(params, updates)
    assert_close(moved["a"], params["a"], 0, 0)
    assert_close(moved["b"][0], params["b"][0], 0, 0)
    assert float(moved["b"][1]) == 0
    with pytest.raises(ValueError, match="partition: labels must be among"):
        partition({"x": sgd()}, lambda path, p: "y").init(params)


@pytest.mark.parametrize("mean", [True, False])
def test_accumulate_equals_one_update_of_the_whole(mean):
    inner = adam(lr=0.1)
    tx = accumulate(inner, 3, mean)
    step = jax.jit(tx.update)
    params = tree()
    state = tx.init(params)
    whole_state = inner.init(params)
    for _ in range(2):
        parts = [jax.tree.map(lambda x, i=i: x * (i + 1.0), params) for i in range(3)]
        total = jax.tree.map(lambda *xs: sum(xs) / (3 if mean else 1), *parts)
        expected, whole_state = inner.update(total, whole_state, params)
        for i, part in enumerate(parts):
            updates, state = step(part, state, params)
            want = expected if i == 2 else jax.tree.map(jnp.zeros_like, expected)
            jax.tree.map(lambda a, b: assert_close(a, b, 1e-12, 1e-12), updates, want)
    assert int(state.inner.step) == 2
    with pytest.raises(ValueError, match="accumulate: k must be at least 1"):
        accumulate(inner, 0)


@pytest.mark.parametrize("debias", [False, True])
def test_ema(debias):
    values = [jnp.asarray(rand(i, 3)) for i in range(6)]
    tx = ema(0.8, debias)
    state = tx.init(values[0])
    average = np.zeros(3) if debias else np.asarray(values[0])
    for i, value in enumerate(values):
        out, state = tx.update(value, state)
        average = 0.8 * average + 0.2 * np.asarray(value)
        assert_close(out, average / (1 - 0.8 ** (i + 1)) if debias else average, 1e-12, 1e-12)
    with pytest.raises(ValueError, match="ema: decay"):
        ema(1.5)


@pytest.mark.parametrize("make", [clip_by_global_norm, clip_by_value])
def test_bad_clip_bounds(make):
    with pytest.raises(ValueError, match=make.__name__):
        make(-1.0)


@pytest.mark.parametrize("count", [1, 6])
def test_coalescing_sorts_large_tables_too(count):
    """Row number and place do not fit into 32 bits together there."""
    indices = np.array([5, 2**30, 0, 5, 2**30 + 7, -1])[:count]
    values = rand(0, count, 2)
    small = RowSparse(jnp.asarray(np.minimum(indices, 9)), jnp.asarray(values), (8, 2)).coalesce()
    large = RowSparse(jnp.asarray(indices), jnp.asarray(values), (2**30, 2)).coalesce()
    kept = np.asarray(small.indices) < 8
    assert np.asarray(large.indices)[kept].tolist() == np.asarray(small.indices)[kept].tolist()
    assert (np.asarray(large.indices)[~kept] == 2**30).all()
    assert_close(large.values, small.values, 0, 0)


def test_row_sparse():
    indices, values = jnp.array([3, 0, 3, 7, -1, 3]), jnp.asarray(rand(0, 6, 2))
    rows = RowSparse(indices, values, (5, 2))
    dense = np.zeros((5, 2))
    for i, v in zip(indices.tolist(), np.asarray(values), strict=True):
        if 0 <= i < 5:
            dense[i] += v
    assert_close(rows.to_dense(), dense, 1e-12, 1e-12)
    joined = jax.jit(RowSparse.coalesce)(rows)
    assert joined.indices.shape == (6,)
    named = [i for i in joined.indices.tolist() if i < 5]
    assert sorted(named) == [0, 3]
    assert_close(joined.to_dense(), dense, 1e-12, 1e-12)
    assert_close((rows + rows).to_dense(), 2 * dense, 1e-12, 1e-12)
    assert_close(rows + jnp.ones((5, 2)), dense + 1, 1e-12, 1e-12)
    assert_close((-rows * 2 / 4).to_dense(), -dense / 2, 1e-12, 1e-12)
    stacked = jax.tree.map(lambda x: jnp.stack([x, 2 * x]), rows.values)
    many = jax.vmap(lambda v: RowSparse(indices, v, (5, 2)).to_dense())(stacked)
    assert_close(many[1], 2 * dense, 1e-12, 1e-12)
    with pytest.raises(ValueError, match="RowSparse: values must be of shape"):
        RowSparse(indices, values, (5, 3))
    with pytest.raises(ValueError, match="RowSparse: indices must be 1-D"):
        RowSparse(indices[None], values, (5, 2))
    with pytest.raises(ValueError, match="cannot add"):
        rows + RowSparse(indices, values, (9, 2))


def test_inside_an_optax_chain_and_around_optax():
    optax = pytest.importorskip("optax")
    params, grads = tree(), tree()
    ours = optax.GradientTransformation(*adam(lr=0.1))
    mixed = optax.chain(optax.clip_by_global_norm(1.0), ours)
    state = mixed.init(params)
    updates, state = jax.jit(mixed.update)(grads, state, params)
    moved = optax.apply_updates(params, updates)
    reference = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.1))
    wanted, _ = reference.update(grads, reference.init(params), params)
    jax.tree.map(lambda a, b: assert_close(a, b, 1e-6, 1e-9), moved, optax.apply_updates(params, wanted))
    around = chain(clip_by_value(0.2), optax.adam(0.1), optax.add_decayed_weights(0.1))
    updates, _ = jax.jit(around.update)(grads, around.init(params), params)
    clipped = jax.tree.map(lambda g: jnp.clip(g, -0.2, 0.2), grads)
    wanted, _ = optax.adam(0.1).update(clipped, optax.adam(0.1).init(params))
    jax.tree.map(lambda u, w, p: assert_close(u, w + 0.1 * p, 1e-9, 1e-9), updates, wanted, params)


def test_a_chain_trains_under_jit():
    target = jnp.asarray(rand(5, 4))
    tx = chain(clip_by_global_norm(1.0), adam(lr=lambda count: 0.3 * 0.98**count))
    assert isinstance(tx, Transform)

    @jax.jit
    def step(params, state):
        grads = jax.grad(lambda p: jnp.sum((p - target) ** 2))(params)
        updates, state = tx.update(grads, state, params)
        return apply_updates(params, updates), state

    params = jnp.zeros(4)
    state = tx.init(params)
    for _ in range(200):
        params, state = step(params, state)
    assert_close(params, target, 1e-3, 1e-3)

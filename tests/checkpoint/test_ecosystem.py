"""Parameters and optimizer states are plain pytrees: Flax, optax and Orbax take them, and give back what they took."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn, optim
from tests.checkpoint.test_safetensors import same
from tests.oracle import assert_close

pytest.importorskip("safetensors")

X = jnp.asarray(np.random.default_rng(0).normal(size=(4, 3)))


def make():
    fnn.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()


def grads_of(model, params, buffers):
    return jax.grad(lambda p: (fnn.functional_call(model, p, buffers, X)[0] ** 2).sum())(params)


def all_same(a, b):
    return jax.tree.structure(a) == jax.tree.structure(b) and all(map(same, jax.tree.leaves(a), jax.tree.leaves(b)))


def through_file(tree, path, format):
    """Saved, loaded, and put into the structure of what was saved."""
    fnn.save(tree, path, format=format)
    return jax.tree.unflatten(jax.tree.structure(tree), jax.tree.leaves(fnn.load(path)))


@pytest.mark.parametrize("format", ["safetensors", "torch"])
def test_optax(tmp_path, format):
    optax = pytest.importorskip("optax")
    model = make()
    params, buffers = fnn.state(model)
    tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(optax.cosine_decay_schedule(0.1, 10)))
    state = tx.init(params)
    for step in range(4):
        if step == 2:
            params, state = through_file((params, state), tmp_path / "x", format)
        updates, state = tx.update(grads_of(model, params, buffers), state, params)
        params = optax.apply_updates(params, updates)
    expected, its = fnn.state(make())[0], tx.init(params)
    for _ in range(4):
        updates, its = tx.update(grads_of(model, expected, buffers), its, expected)
        expected = optax.apply_updates(expected, updates)
    assert all_same((params, state), (expected, its))


def test_the_train_state_of_flax(tmp_path):
    pytest.importorskip("flax")
    from flax import serialization
    from flax.training.train_state import TrainState

    model = make()
    params, buffers = fnn.state(model)

    def apply(params, x):
        return fnn.functional_call(model, params, buffers, x)[0]

    # Of fnn or of optax: the protocol is the same.
    state = TrainState.create(apply_fn=apply, params=params, tx=optim.adam(lr=0.1))
    for _ in range(2):
        state = state.apply_gradients(grads=jax.grad(lambda p: (apply(p, X) ** 2).sum())(state.params))
    assert state.step == 2
    assert float((apply(state.params, X) ** 2).sum()) < float((apply(params, X) ** 2).sum())
    fnn.save(serialization.to_state_dict(state), tmp_path / "x")
    fresh = TrainState.create(apply_fn=apply, params=params, tx=optim.adam(lr=0.1))
    assert all_same(serialization.from_state_dict(fresh, fnn.load(tmp_path / "x")).opt_state, state.opt_state)
    raw = serialization.to_bytes(state)
    assert all_same(serialization.from_bytes(fresh, raw).params, state.params)
    fnn.update(model, state.params)
    assert_close(model(X), apply(state.params, X))


@pytest.mark.filterwarnings("ignore")
def test_orbax_itself(tmp_path):
    """Without a Manager of ours; it gives back dicts whose keys are strings, which optimizers take."""
    orbax = pytest.importorskip("orbax.checkpoint")
    model = make()
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    optimizer.step(lambda: (model(X) ** 2).sum())
    tx = optim.adam(lr=0.1)
    params, _ = fnn.state(model)
    pure = tx.init(params)
    with orbax.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "pure", {"params": params, "pure": pure})
        state = optimizer.state_dict()
        groups = [{"lr": group["lr"], "params": group["params"]} for group in state["param_groups"]]
        slots = {str(key): slot for key, slot in state["state"].items()}
        checkpointer.save(tmp_path / "objects", {"state": slots, "param_groups": groups})
        checkpointer.wait_until_finished()
        restored = checkpointer.restore(tmp_path / "objects")
    assert set(restored["state"]) == {"0", "1", "2", "3"}
    other = optim.Adam(make().parameters(), lr=0.5)
    other.load_state_dict(restored)
    assert same(other.state_dict()["state"], state["state"])
    assert other.param_groups[0]["lr"] == 0.1


def test_keys_that_are_text():
    """As JSON makes of numbers."""
    model = make()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    optimizer.step(lambda: (model(X) ** 2).sum())
    state = optimizer.state_dict()
    by_text = {**state, "state": {str(k): v for k, v in state["state"].items()}}
    other = optim.SGD(make().parameters(), lr=0.2, momentum=0.9)
    other.load_state_dict(by_text)
    assert same(other.state_dict(), state)

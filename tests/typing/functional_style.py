# pyright: strict
"""A user's script: pure functions of arrays, pure optimizers, and a Module inside plain JAX."""

from __future__ import annotations

from typing import Any, assert_type

import jax
import jax.numpy as jnp
import numpy as np

import fnn
import fnn.nn.functional as F
from fnn import nn, optim

Params = dict[str, jax.Array]


def loss_fn(params: Params, x: jax.Array, y: jax.Array) -> jax.Array:
    h = F.relu(F.linear(x, params["w1"], params["b1"]))
    assert_type(h, jax.Array)
    return F.cross_entropy(F.linear(h, params["w2"], params["b2"]), y)


tx = optim.chain(optim.clip_by_global_norm(1.0), optim.adam(lr=optim.schedule.cosine_annealing_lr(1e-3, T_max=1000)))
assert_type(tx, optim.Transform[tuple[Any, ...]])
assert_type(optim.sgd(lr=0.1, momentum=0.9), optim.Transform[optim.SGDState])


@jax.jit  # pyright: ignore[reportUnknownMemberType]  # jaxlib has no types for devices
def step(
    params: Params, state: tuple[Any, ...], x: jax.Array, y: jax.Array
) -> tuple[Params, tuple[Any, ...], jax.Array]:
    loss, grads = jax.value_and_grad(loss_fn)(params, x, y)  # pyright: ignore[reportUnknownMemberType]
    updates, state = tx.update(grads, state, params)
    return optim.apply_updates(params, updates), state, loss


model = nn.Linear(3, 2)
params, buffers = fnn.state(model)
assert_type(params, dict[str, jax.Array])
out, buffers = fnn.functional_call(model, params, buffers, np.ones((1, 3), np.float32), rng=jax.random.key(0))
assert_type(out, jax.Array)
fnn.update(model, params, buffers)

x = jnp.exp(np.ones((1, 2, 8, 8), np.float32))
assert_type(F.max_pool2d(x, 2), jax.Array)
assert_type(F.max_pool2d(x, 2, return_indices=True), tuple[jax.Array, jax.Array])
assert_type(F.adaptive_max_pool2d(x, 2), jax.Array)
assert_type(F.conv2d(x, np.ones((3, 2, 3, 3), np.float32), padding="same"), jax.Array)
assert_type(F.dropout(x, 0.5, rng=jax.random.key(0)), jax.Array)
assert_type(F.interpolate(x, scale_factor=2, mode="bilinear"), jax.Array)
assert_type(F.pad(x, (1, 1, 1, 1), mode="reflect"), jax.Array)
assert_type(F.softmax(model.weight, dim=-1), jax.Array)
assert_type(F.layer_norm(x, (8, 8)), jax.Array)
schedule = optim.schedule.step_lr(0.1, step_size=10)
print(schedule(3))

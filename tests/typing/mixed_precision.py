# pyright: strict
"""A user's script in mixed precision: autocast as a context and as a decorator, a scaled loss, the pure form."""

from __future__ import annotations

from typing import assert_type

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

import fnn
import fnn.nn.functional as F
from fnn import nn, optim

model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
optimizer = optim.AdamW(model.parameters(), lr=1e-3)
scaler = fnn.amp.GradScaler("cuda", growth_interval=100)


@fnn.autocast("cpu", dtype=jnp.bfloat16)
def predict(x: ArrayLike) -> jax.Array:
    return F.softmax(model(x), 1)


@fnn.jit
def train_step(x: ArrayLike, y: ArrayLike) -> jax.Array:
    def closure() -> tuple[jax.Array, jax.Array]:
        with fnn.amp.autocast("cuda", enabled=True) as entered:
            assert_type(entered, fnn.autocast)
            loss = F.cross_entropy(model(x), y)
        return scaler.scale(loss), loss

    scaled, loss = fnn.backward(closure, model, has_aux=True)
    assert_type(scaled, jax.Array)
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
    return loss


x, y = np.ones((5, 3), np.float32), np.zeros(5, np.int32)
assert_type(train_step(x, y), jax.Array)
assert_type(predict(x), jax.Array)
assert_type(scaler.get_scale(), float | jax.Array)
assert_type(scaler.is_enabled(), bool)
assert_type(fnn.is_autocast_enabled(), bool)
print(fnn.get_autocast_dtype("cuda") == np.float16)
scaler.load_state_dict(scaler.state_dict())

params, buffers = fnn.state(model)
tx = optim.scaled(optim.adam(lr=1e-3))
assert_type(tx, optim.Transform[optim.ScaledState])
state = tx.init(params)
assert_type(state.scale, jax.Array)

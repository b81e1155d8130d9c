# pyright: strict
"""A user's script: a pure rule, an Optimizer and a scheduler of their own, and a Trainer that holds all."""

from __future__ import annotations

from typing import Any, NamedTuple, assert_type

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

import fnn
from fnn import nn, optim
from fnn.optim.lr_scheduler import LRScheduler
from fnn.optim.optimizer import Optimizer, ParamsT


class SignState(NamedTuple):
    step: jax.Array


def sign_descent(lr: float = 1e-3) -> optim.Transform[SignState]:
    def init(params: Any) -> SignState:
        return SignState(jnp.int32(0))

    def update(grads: Any, state: SignState, params: Any = None, **extra: Any) -> tuple[Any, SignState]:
        def rule(g: jax.Array) -> jax.Array:
            return -lr * jnp.sign(g)

        return jax.tree.map(rule, grads), SignState(state.step + 1)

    return optim.Transform(init, update)


def rule_of(name: str) -> optim.Transform:
    return optim.sgd(lr=0.1) if name == "sgd" else sign_descent()


class SignDescent(Optimizer):
    _rule = staticmethod(sign_descent)

    def __init__(self, params: ParamsT, lr: float = 1e-3) -> None:
        super().__init__(params, {"lr": lr})


class Halving(LRScheduler):
    def get_lr(self) -> list[Any]:
        return [group["lr"] / 2 for group in self.optimizer.param_groups]


class Trainer:
    def __init__(self, model: nn.Module, lr: float) -> None:
        self.model = model
        self.optimizer = SignDescent(model.parameters(), lr=lr)
        self.scheduler = Halving(self.optimizer)

    @fnn.jit
    def step(self, x: ArrayLike, y: ArrayLike) -> jax.Array:
        return self.optimizer.step(lambda: ((self.model(x) - y) ** 2).mean())


trainer = Trainer(nn.Linear(2, 1), 0.1)
assert_type(trainer.step(np.ones((3, 2), np.float32), np.ones((3, 1), np.float32)), jax.Array)
trainer.scheduler.step()
assert_type(trainer.optimizer.state_dict(), dict[str, Any])

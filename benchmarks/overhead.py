"""Host time of one training step of a network so small that arithmetic costs nothing: 50 blocks, 150 parameters, Adam.

Each block is ``x + scale * tanh(x W + b)`` on arrays of 4 numbers. Every worker starts from the same weights and must
reach the same loss after ten steps before anything is timed.

    python benchmarks/overhead.py
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import interleave, machine, table

import fnn
from fnn import nn, optim

BLOCKS, WIDTH, BATCH, LR = 50, 4, 2, 1e-3
BETAS, EPS = (0.9, 0.999), 1e-8
Worker = Callable[[], Any]


def weights() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Weight, bias and scale of every block."""
    draw = np.random.default_rng(0)

    def array(*shape: int) -> np.ndarray:
        return draw.normal(0, 0.3, shape).astype(np.float32)

    return [(array(WIDTH, WIDTH), array(WIDTH), array(WIDTH)) for _ in range(BLOCKS)]


DATA = np.random.default_rng(1).normal(size=(BATCH, WIDTH)).astype(np.float32)
X, Y = jnp.asarray(DATA), jnp.asarray(DATA[::-1].copy())


def block(x: Any, w: Any, b: Any, scale: Any) -> Any:
    return x + scale * jnp.tanh(x @ w + b)


def adam_rule(p: Any, g: Any, m: Any, v: Any, t: Any) -> tuple[Any, Any, Any]:
    m = BETAS[0] * m + (1 - BETAS[0]) * g
    v = BETAS[1] * v + (1 - BETAS[1]) * g * g
    return p - LR * (m / (1 - BETAS[0] ** t)) / (jnp.sqrt(v / (1 - BETAS[1] ** t)) + EPS), m, v


def hand_flat() -> Worker:
    """Hand-written JAX: one flat list of arrays, state donated."""

    def loss_fn(params: list[Any], x: Any, y: Any) -> Any:
        for i in range(BLOCKS):
            x = block(x, *params[3 * i : 3 * i + 3])
        return jnp.mean((x - y) ** 2)

    def step(params: Any, m: Any, v: Any, t: Any, x: Any, y: Any) -> Any:
        loss, grads = jax.value_and_grad(loss_fn)(params, x, y)
        t = t + 1
        new = [adam_rule(*each, t) for each in zip(params, grads, m, v, strict=True)]
        return [n[0] for n in new], [n[1] for n in new], [n[2] for n in new], t, loss

    compiled = jax.jit(step, donate_argnums=(0, 1, 2, 3))
    params = [jnp.asarray(a) for each in weights() for a in each]
    state: list[Any] = [params, [jnp.zeros_like(p) for p in params], [jnp.zeros_like(p) for p in params], jnp.zeros(())]

    def run() -> Any:
        *state[:], loss = compiled(*state, X, Y)
        return loss.block_until_ready()

    return run


def hand_nested() -> Worker:
    """Hand-written JAX: nested dicts, nothing donated."""

    def loss_fn(params: Any, x: Any, y: Any) -> Any:
        for i in range(BLOCKS):
            p = params[f"block{i}"]
            x = block(x, p["w"], p["b"], p["scale"])
        return jnp.mean((x - y) ** 2)

    @jax.jit
    def step(params: Any, m: Any, v: Any, t: Any, x: Any, y: Any) -> Any:
        loss, grads = jax.value_and_grad(loss_fn)(params, x, y)
        t = t + 1
        new = jax.tree.map(lambda p, g, m, v: adam_rule(p, g, m, v, t), params, grads, m, v)
        parts = [jax.tree.map(lambda n, i=i: n[i], new, is_leaf=lambda n: isinstance(n, tuple)) for i in range(3)]
        return *parts, t, loss

    params = {
        f"block{i}": {"w": jnp.asarray(w), "b": jnp.asarray(b), "scale": jnp.asarray(s)}
        for i, (w, b, s) in enumerate(weights())
    }
    zeros = jax.tree.map(jnp.zeros_like, params)
    state: list[Any] = [params, zeros, zeros, jnp.zeros(())]

    def run() -> Any:
        *state[:], loss = step(*state, X, Y)
        return loss.block_until_ready()

    return run


class Block(nn.Module):
    def __init__(self, w: Any, b: Any, scale: Any) -> None:
        super().__init__()
        self.w = nn.Parameter(w)
        self.b = nn.Parameter(b)
        self.scale = nn.Parameter(scale)

    def forward(self, x: Any) -> Any:
        return block(x, self.w.data, self.b.data, self.scale.data)


def fnn_object() -> Worker:
    """fnn, objects: ``optimizer.step(closure)`` under ``fnn.jit``."""
    model = nn.Sequential(*[Block(*each) for each in weights()])
    optimizer = optim.Adam(model.parameters(), lr=LR, betas=BETAS, eps=EPS)

    @fnn.jit
    def train_step(x: Any, y: Any) -> Any:
        return optimizer.step(lambda: jnp.mean((model(x) - y) ** 2))

    return lambda: train_step(X, Y).block_until_ready()


class Trainer:
    """What many scripts have: model and optimizer as attributes, the loss a method."""

    def __init__(self) -> None:
        self.model = nn.Sequential(*[Block(*each) for each in weights()])
        self.optimizer = optim.Adam(self.model.parameters(), lr=LR, betas=BETAS, eps=EPS)

    def loss(self, x: Any, y: Any) -> Any:
        return jnp.mean((self.model(x) - y) ** 2)

    @fnn.jit
    def train_step(self, x: Any, y: Any) -> Any:
        return self.optimizer.step(lambda: self.loss(x, y))


def fnn_trainer() -> Worker:
    """fnn, objects held by a Trainer whose method is compiled."""
    trainer = Trainer()
    return lambda: trainer.train_step(X, Y).block_until_ready()


def fnn_functional() -> Worker:
    """fnn, functions: ``functional_call`` and ``optim.adam`` under ``jax.jit``, state donated."""
    model = nn.Sequential(*[Block(*each) for each in weights()])
    params, _ = fnn.state(model)
    tx = optim.adam(lr=LR, betas=BETAS, eps=EPS)

    def step(params: Any, opt_state: Any, x: Any, y: Any) -> Any:
        def loss_fn(params: Any) -> Any:
            return jnp.mean((fnn.functional_call(model, params, {}, x)[0] - y) ** 2)

        loss, grads = jax.value_and_grad(loss_fn)(params)
        updates, opt_state = tx.update(grads, opt_state, params)
        return optim.apply_updates(params, updates), opt_state, loss

    compiled = jax.jit(step, donate_argnums=(0, 1))
    params = jax.tree.map(jnp.copy, params)
    state: list[Any] = [params, tx.init(params)]

    def run() -> Any:
        *state[:], loss = compiled(*state, X, Y)
        return loss.block_until_ready()

    return run


def equinox_optax() -> Worker:
    """Equinox: ``filter_jit``, ``filter_value_and_grad``, optax."""
    import equinox as eqx
    import optax

    class EqxBlock(eqx.Module):
        w: jax.Array
        b: jax.Array
        scale: jax.Array

        def __call__(self, x: Any) -> Any:
            return block(x, self.w, self.b, self.scale)

    class EqxNet(eqx.Module):
        blocks: list[EqxBlock]

        def __call__(self, x: Any) -> Any:
            for each in self.blocks:
                x = each(x)
            return x

    model = EqxNet([EqxBlock(*map(jnp.asarray, each)) for each in weights()])
    tx = optax.adam(LR, *BETAS, eps=EPS)

    @eqx.filter_jit
    def step(model: Any, opt_state: Any, x: Any, y: Any) -> Any:
        loss, grads = eqx.filter_value_and_grad(lambda m: jnp.mean((m(x) - y) ** 2))(model)
        updates, opt_state = tx.update(grads, opt_state, model)
        return eqx.apply_updates(model, updates), opt_state, loss

    state: list[Any] = [model, tx.init(eqx.filter(model, eqx.is_array))]

    def run() -> Any:
        *state[:], loss = step(*state, X, Y)
        return loss.block_until_ready()

    return run


def flax_nnx() -> Worker:
    """Flax NNX: ``nnx.jit``, ``nnx.Optimizer``, optax."""
    import optax
    from flax import nnx

    class NnxBlock(nnx.Module):
        def __init__(self, w: Any, b: Any, scale: Any) -> None:
            self.w = nnx.Param(jnp.asarray(w))
            self.b = nnx.Param(jnp.asarray(b))
            self.scale = nnx.Param(jnp.asarray(scale))

        def __call__(self, x: Any) -> Any:
            return block(x, self.w[...], self.b[...], self.scale[...])

    model = nnx.Sequential(*[NnxBlock(*each) for each in weights()])
    optimizer = nnx.Optimizer(model, optax.adam(LR, *BETAS, eps=EPS), wrt=nnx.Param)

    @nnx.jit
    def step(model: Any, optimizer: Any, x: Any, y: Any) -> Any:
        loss, grads = nnx.value_and_grad(lambda m: jnp.mean((m(x) - y) ** 2))(model)
        optimizer.update(model, grads)
        return loss

    return lambda: step(model, optimizer, X, Y).block_until_ready()


WORKERS = {
    "hand-written, flat, donated": hand_flat,
    "hand-written, nested": hand_nested,
    "fnn objects": fnn_object,
    "fnn objects of a Trainer": fnn_trainer,
    "fnn functional": fnn_functional,
    "equinox + optax": equinox_optax,
    "flax nnx + optax": flax_nnx,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    workers: dict[str, Worker] = {}
    for name, make in WORKERS.items():
        try:
            workers[name] = make()
        except ImportError as error:
            print(f"{name}: left out, {error}")
    losses = {name: float([worker() for _ in range(10)][-1]) for name, worker in workers.items()}
    reference = losses["hand-written, flat, donated"]
    for name, loss in losses.items():
        if abs(loss - reference) > 1e-5 * abs(reference):
            raise SystemExit(f"{name} reached loss {loss} after ten steps, the hand-written step {reference}")
    times = interleave(workers, options.rounds, options.repeats)
    print(machine())
    print(table("One training step, 150 parameters", times, "hand-written, flat, donated"))


if __name__ == "__main__":
    main()

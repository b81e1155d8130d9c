"""Time of one optimizer step: Adam over 500 arrays of 1,000,000 numbers in all, and SparseAdam on a 1,000,000 x 64 table.

The steps over many arrays are ``Adam.step()`` with gradients in ``p.grad``, a hand-written update under ``jax.jit`` with
its state donated, and torch's foreach Adam; all must agree before anything is timed. The steps on the table see 1,000
looked-up rows, or the same gradient as a dense array.

    python benchmarks/optimizers.py
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import interleave, machine, table

from fnn import optim
from fnn.nn import Parameter
from fnn.tensor.row_sparse import RowSparse

ARRAYS, NUMBERS = 500, 2000
ROWS, WIDTH, LOOKED_UP = 1_000_000, 64, 1000
LR, BETAS, EPS = 1e-3, (0.9, 0.999), 1e-8
Worker = Callable[[], Any]

DRAW = np.random.default_rng(0)
SHAPE = (NUMBERS // 50, 50)
START = [DRAW.normal(size=SHAPE).astype(np.float32) for _ in range(ARRAYS)]
GRADS = [DRAW.normal(size=SHAPE).astype(np.float32) for _ in range(ARRAYS)]


def fnn_object() -> tuple[Worker, Callable[[], Any]]:
    """fnn: ``Adam.step()``."""
    params = [Parameter(a) for a in START]
    for p, g in zip(params, GRADS, strict=True):
        p.grad = g
    optimizer = optim.Adam(params, lr=LR, betas=BETAS, eps=EPS)

    def run() -> Any:
        optimizer.step()
        return params[-1].data.block_until_ready()

    return run, lambda: params[0].numpy()


def hand_written() -> tuple[Worker, Callable[[], Any]]:
    """Hand-written JAX: lists of arrays, state donated."""

    def rule(p: Any, g: Any, m: Any, v: Any, t: Any) -> tuple[Any, Any, Any]:
        m = BETAS[0] * m + (1 - BETAS[0]) * g
        v = BETAS[1] * v + (1 - BETAS[1]) * g * g
        return p - LR * (m / (1 - BETAS[0] ** t)) / (jnp.sqrt(v / (1 - BETAS[1] ** t)) + EPS), m, v

    def update(params: Any, m: Any, v: Any, t: Any, grads: Any) -> Any:
        t = t + 1
        new = [rule(*each, t) for each in zip(params, grads, m, v, strict=True)]
        return [n[0] for n in new], [n[1] for n in new], [n[2] for n in new], t

    compiled = jax.jit(update, donate_argnums=(0, 1, 2, 3))
    params, grads = [jnp.array(a) for a in START], [jnp.array(g) for g in GRADS]
    state: list[Any] = [params, [jnp.zeros_like(p) for p in params], [jnp.zeros_like(p) for p in params], jnp.zeros(())]

    def run() -> Any:
        state[:] = compiled(*state, grads)
        return state[0][-1].block_until_ready()

    return run, lambda: np.asarray(state[0][0])


def torch_foreach() -> tuple[Worker, Callable[[], Any]]:
    """torch: Adam with ``foreach=True``."""
    import torch

    params = [torch.tensor(a, requires_grad=True) for a in START]
    for p, g in zip(params, GRADS, strict=True):
        p.grad = torch.tensor(g)
    optimizer = torch.optim.Adam(params, lr=LR, betas=BETAS, eps=EPS, foreach=True)

    def run() -> None:
        optimizer.step()

    return run, lambda: params[0].detach().numpy()


HAND = "hand-written, donated"
MANY = {HAND: hand_written, "fnn Adam.step()": fnn_object, "torch foreach Adam": torch_foreach}


def table_step(name: str) -> tuple[Worker, Callable[[], Any]]:
    """One step on the table: ``SparseAdam`` or dense ``Adam``."""
    rows = np.random.default_rng(1).integers(0, ROWS, LOOKED_UP)
    grad = RowSparse(jnp.asarray(rows), jnp.ones((LOOKED_UP, WIDTH)), (ROWS, WIDTH))
    weight = Parameter(np.zeros((ROWS, WIDTH), np.float32))
    weight.grad = grad if name == "SparseAdam" else grad.to_dense()
    optimizer = getattr(optim, name)([weight], lr=LR)

    def run() -> Any:
        optimizer.step()
        return weight.data.block_until_ready()

    return run, weight.numpy


TABLE: dict[str, Callable[[], tuple[Worker, Callable[[], Any]]]] = {
    f"fnn {name}": partial(table_step, name) for name in ("Adam", "SparseAdam")
}
WORKERS = MANY | TABLE


def time_many(names: list[str], rounds: int, steps: int) -> dict[str, float]:
    """The median time of a step in microseconds in the best turn; each turn of a worker is a process of its own.

    Two workers in one process take each other's memory out of the cache, and the ratio would tell of that; the turns
    differ by where the arrays happen to lie and by what else the machine does.
    """
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            command = [sys.executable, __file__, "--worker", name, "--steps", str(steps)]
            times[name].append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    return {name: min(values) for name, values in times.items()}


def time_one(name: str, steps: int) -> float:
    """The median time of a step of one worker in microseconds, in this process."""
    run, _ = WORKERS[name]()
    return interleave({name: run}, steps, 1)[name]


def check_agreement() -> list[str]:
    """The names of the workers that can run here; raises SystemExit if they differ after ten steps."""
    results: dict[str, Any] = {}
    for name, make in MANY.items():
        try:
            run, result = make()
        except ImportError as error:
            print(f"{name}: left out, {error}")
            continue
        for _ in range(10):
            run()
        results[name] = result()
    for name, value in results.items():
        if not np.allclose(value, results[HAND], rtol=1e-4, atol=1e-5):
            raise SystemExit(f"{name} reached other parameters after ten steps than the hand-written update")
    return list(results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--worker", choices=list(WORKERS), help="time this one alone and print the microseconds")
    options = parser.parse_args()
    if options.worker:
        print(time_one(options.worker, options.steps))
        return
    print(machine())
    times = time_many(check_agreement(), options.rounds, options.steps)
    print(table(f"One Adam step, {ARRAYS} arrays, {ARRAYS * NUMBERS:,} numbers", times, HAND))
    times = time_many(list(TABLE), options.rounds, options.steps // 10)
    print(table(f"One step on a {ROWS:,} x {WIDTH} table, {LOOKED_UP:,} rows looked up", times, "fnn Adam"))


if __name__ == "__main__":
    main()

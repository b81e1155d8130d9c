"""Time of one epoch through a shuffled array: by hand, by fnn's DataLoader, by torch's.

By hand an epoch is a permutation and a slice of it a batch, ``x[order[i : i + 128]]``; or one shuffled copy, of which batches are
views. On the device: a loop that puts each batch there itself, and ``device=``, whose thread is ahead of the loop; both compute a
little on every batch. Batches of numpy are timed by the processor's clock, those on the device by the
wall's. Rows are 28 x 28 or 8 x 8 float32 with an int64 label.

    python benchmarks/loader.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import machine, table

from fnn.data import DataLoader

BATCH = 128
CASES = {"12,800 rows of 28 x 28": (12_800, (28, 28)), "25,600 rows of 8 x 8": (25_600, (8, 8))}
HAND = "by hand, x[order[i:j]]"
ON_DEVICE = "by hand, device_put"
Worker = Callable[[], object]


def workers(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> dict[str, Worker]:
    """One epoch each, batches as numpy (torch's as tensors)."""
    draw = np.random.default_rng(0)

    def by_hand() -> None:
        order = draw.permutation(len(x))
        for start in range(0, len(x), BATCH):
            rows = order[start : start + BATCH]
            _ = x[rows], y[rows]

    def shuffled_copy() -> None:
        order = draw.permutation(len(x))
        xs, ys = x[order], y[order]
        for start in range(0, len(x), BATCH):
            _ = xs[start : start + BATCH], ys[start : start + BATCH]

    loader = DataLoader((x, y), BATCH, shuffle=True, rng=0)
    padded = DataLoader((x, y), BATCH, shuffle=True, rng=0, pad_last=True)
    out: dict[str, Worker] = {
        HAND: by_hand,
        "by hand, a shuffled copy": shuffled_copy,
        "fnn DataLoader": lambda: [None for _ in loader],
        "fnn DataLoader, pad_last": lambda: [None for _ in padded],
    }
    try:
        import torch
        from torch.utils import data
    except ImportError:
        return out
    dataset = data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    theirs = data.DataLoader(dataset, BATCH, shuffle=True)
    return {**out, "torch DataLoader": lambda: [None for _ in theirs]}


def on_device(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> dict[str, Worker]:
    """One epoch each, batches on the device and a sum of squares of each."""
    draw = np.random.default_rng(0)
    use = jax.jit(lambda x, y: jnp.sum(jnp.square(x)) + jnp.sum(y))
    device = jax.devices()[0]

    def by_hand() -> Any:
        order, total = draw.permutation(len(x)), None
        for start in range(0, len(x), BATCH):
            rows = order[start : start + BATCH]
            total = use(*jax.device_put((x[rows], y[rows]), device))
        return jax.block_until_ready(total)

    loader = DataLoader((x, y), BATCH, shuffle=True, rng=0, device=device)

    def ours() -> Any:
        total = None
        for batch in loader:
            total = use(*batch)
        return jax.block_until_ready(total)

    return {ON_DEVICE: by_hand, "fnn DataLoader, device=": ours}


def best(workers: dict[str, Worker], rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    """The time of an epoch in microseconds in the best of many turns, by turns: all else that a machine does adds to it."""
    times = dict.fromkeys(workers, float("inf"))
    for _ in range(rounds):
        for name, worker in workers.items():
            start = clock()
            worker()
            times[name] = min(times[name], (clock() - start) * 1e6)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    rounds = parser.parse_args().rounds
    print(machine())
    for name, (count, shape) in CASES.items():
        draw = np.random.default_rng(0)
        x, y = draw.random((count, *shape), np.float32), draw.integers(0, 10, count)
        print(table(f"One epoch, {name}, batches of {BATCH}", best(workers(x, y), rounds, time.process_time), HAND))
        print(table(f"The same on the device, {name}", best(on_device(x, y), rounds, time.perf_counter), ON_DEVICE))


if __name__ == "__main__":
    main()

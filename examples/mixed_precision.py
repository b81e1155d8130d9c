"""One network and one loop in float32, in bfloat16, and in float16 with a scaled loss, on scikit-learn's handwritten digits.

    python examples/mixed_precision.py
    python examples/mixed_precision.py --steps 60      # a taste

Expected: all three read 97 to 99 % of the 360 test digits after 300 steps (half a minute on two cores), with one curve of losses.
The scale of the loss begins far too high, as a script does not know it: float16 overflows, those steps are skipped, and the scale
falls until they go through; then it grows again. Draws the losses and the scale to ``outputs/``. GPUs and TPUs compute faster in
half precision and keep half the activations; a CPU only shows that the numbers are right.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import fnn
from fnn import nn, optim
from fnn.data import DataLoader

matplotlib.use("Agg")
import matplotlib.pyplot as plt

RUNS = {"float32": None, "bfloat16": jnp.bfloat16, "float16, scaled loss": jnp.float16}


class Run(NamedTuple):
    """The loss and the scale after each step, the share of the test digits read right, and how many steps were skipped."""

    losses: np.ndarray
    scales: np.ndarray
    accuracy: float
    skipped: int


def load_data() -> list[Any]:
    """The 8x8 digits as (N, 1, 8, 8) in [-1, 1]: images for training and test, then their labels."""
    digits = load_digits()
    images, labels = (digits.images[:, None] / 8 - 1).astype(np.float32), digits.target.astype(np.int32)
    return train_test_split(images, labels, test_size=0.2, random_state=0, stratify=labels)


def make_model() -> nn.Module:
    """Two convolutions and a linear layer; its parameters are float32, whatever it computes in."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1, stride=2),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64 * 4 * 4, 10),
    )


def train(name: str, steps: int, data: list[Any]) -> Run:
    """The loop of a torch script: scale, backward, unscale, clip, step, update."""
    x_train, x_test, y_train, y_test = data
    fnn.manual_seed(0)
    model, criterion = make_model(), nn.CrossEntropyLoss()
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)
    dtype = RUNS[name]
    autocast = fnn.autocast(dtype=dtype or jnp.bfloat16, enabled=dtype is not None)
    scaler = fnn.amp.GradScaler(init_scale=2.0**28, growth_interval=50, enabled=dtype == jnp.float16)

    @fnn.jit
    def train_step(x: np.ndarray, y: np.ndarray) -> tuple[jax.Array, float | jax.Array]:
        def closure() -> tuple[jax.Array, jax.Array]:
            with autocast:  # what is called in here casts what it is given
                loss = criterion(model(x), y)
            return scaler.scale(loss), loss

        _, loss = fnn.backward(closure, model, has_aux=True)
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)  # left out, within the program, where a gradient is infinite or NaN
        scaler.update()
        optimizer.zero_grad()
        return loss, scaler.get_scale()

    loader = DataLoader((x_train, y_train), 64, shuffle=True, drop_last=True, rng=0)
    taken = []
    with tqdm(total=steps, desc=f"{name:>20}", unit="step") as progress:
        while len(taken) < steps:
            for x, y in loader:
                taken.append(train_step(x, y))
                progress.update()
                if len(taken) == steps:
                    break
        losses, scales = (
            np.asarray(jnp.stack([jnp.asarray(v) for v in values])) for values in zip(*taken, strict=True)
        )
        progress.set_postfix(loss=f"{losses[-1]:.4f}")

    model.eval()
    with autocast:
        right = jnp.argmax(model(x_test), 1) == y_test
    count = next(iter(optimizer.state.values()))["step"]
    return Run(losses, scales, float(right.mean()), steps - int(count))


def draw(runs: dict[str, Run], path: Path) -> None:
    """The losses of all runs, and the scale of the one that has it."""
    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 6), sharex=True, height_ratios=(2, 1), layout="constrained")
    for (name, run), style in zip(runs.items(), ("-", "--", ":"), strict=True):
        above.semilogy(run.losses, style, label=f"{name}: {run.accuracy:.1%} right")
    above.set(ylabel="loss")
    above.legend()
    scaled = [*runs.values()][-1]
    below.semilogy(scaled.scales, color="tab:green", drawstyle="steps-post", base=2)
    below.set(xlabel="step", ylabel="scale of the loss")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(argv: Sequence[str] | None = None) -> tuple[float, ...]:
    """Trains three times, draws, and returns the shares of the test digits read right, and how many steps were skipped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path("outputs"))
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    data = load_data()
    runs = {name: train(name, options.steps, data) for name in RUNS}
    draw(runs, options.out / "mixed_precision.png")
    for name, run in runs.items():
        print(f"{name:>20}: {run.accuracy:.1%} of {len(data[3])} test digits right, {run.skipped} steps skipped")
    return (*(run.accuracy for run in runs.values()), runs["float16, scaled loss"].skipped)


if __name__ == "__main__":
    main()

"""A run that may be killed at any moment and goes on where it was: kill it with Ctrl-C or ``kill -9`` and run it again.

    python examples/resume.py                    # as far as it gets; again, and it goes on
    python examples/resume.py --steps 300
    python examples/resume.py --fresh            # forget what is in the folder

Model, optimizer, schedule, random numbers and the place in the data are saved every 50 steps by ``fnn.checkpoint.Manager``,
each file whole or not there. Expected: the fingerprint of the final weights is the same, to the last bit, however often the
run was killed; a loss of 0.1 or less. Draws the loss, and where the run was taken up, to ``outputs/``.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import jax
import matplotlib
import numpy as np
from sklearn.datasets import load_digits
from tqdm import tqdm

import fnn
from fnn import data, nn, optim

matplotlib.use("Agg")
import matplotlib.pyplot as plt

EVERY = 50


def main(argv: Sequence[str] | None = None) -> str:
    """Trains from the newest checkpoint on, draws, and returns the fingerprint of the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("outputs"))
    options = parser.parse_args(argv)
    folder = options.out / "resume"
    if options.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    digits = load_digits()
    x, y = (digits.data / 16).astype(np.float32), digits.target.astype(np.int32)

    fnn.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 10))
    optimizer = optim.AdamW(model.parameters(), lr=1e-2)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=1000)
    criterion = nn.CrossEntropyLoss()
    loader = data.DataLoader((x, y), 64, shuffle=True, drop_last=True, rng=0)
    generator = fnn.random.default_generator

    @fnn.jit
    def train_step(x: np.ndarray, y: np.ndarray) -> jax.Array:
        return optimizer.step(lambda: criterion(model(x), y))

    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler, "generator": generator, "loader": loader}
    step, losses, resumed = 0, [], []
    with fnn.checkpoint.Manager(folder, keep=2) as manager:
        newest = manager.load()
        if newest is not None:
            for name, part in parts.items():
                part.load_state_dict(newest.state[name])
            step, losses = newest.step, list(np.asarray(newest.state["losses"]))
            resumed = [*newest.state["resumed"], step]
            print(f"goes on from step {step}")
        with tqdm(total=options.steps, initial=step, unit="step") as progress:
            while step < options.steps:
                for batch in loader:
                    losses.append(float(train_step(*batch)))
                    scheduler.step()
                    step += 1
                    progress.update()
                    if step % EVERY == 0 or step == options.steps:
                        state = {name: part.state_dict() for name, part in parts.items()}
                        manager.save(step, {**state, "losses": np.array(losses), "resumed": resumed})
                    if step == options.steps:
                        break

    figure, axis = plt.subplots(figsize=(7, 3.5), layout="constrained")
    axis.semilogy(losses, linewidth=0.7)
    for place in resumed:
        axis.axvline(place, color="crimson", linewidth=0.8)
    axis.set(xlabel="step", ylabel="training loss", title=f"taken up {len(resumed)} times")
    figure.savefig(options.out / "resume.png", dpi=110)
    plt.close(figure)
    weights = b"".join(np.asarray(a).tobytes() for a in model.state_dict().values())
    fingerprint = hashlib.sha256(weights).hexdigest()[:16]
    print(f"loss {np.mean(losses[-20:]):.4f}; weights {fingerprint}; see {options.out / 'resume.png'}")
    return fingerprint


if __name__ == "__main__":
    main()

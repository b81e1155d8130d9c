"""Ten networks trained at once by ``jax.vmap``, as one program; together they judge better, and know when they do not know.

    python examples/ensemble.py
    python examples/ensemble.py --steps 100

The data are scikit-learn's breast cancer measurements. Expected: the mean of the ten has a lower loss on the test half than
most of its members have; trained in ten seconds, where one after the other takes several times as long. Draws to
``outputs/`` the members' and the ensemble's losses, and how sure they are where they are right and where wrong.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from tqdm import trange

import fnn
import fnn.nn.functional as F
from fnn import nn, optim

matplotlib.use("Agg")
import matplotlib.pyplot as plt

MEMBERS, BATCH = 10, 64


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(30, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))


def main(argv: Sequence[str] | None = None) -> tuple[float, np.ndarray]:
    """Trains, draws, and returns the loss of the ensemble and of its members on the test half."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--out", type=Path, default=Path("outputs"))
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    measured = load_breast_cancer()
    x, x_test, y, y_test = train_test_split(
        measured.data.astype(np.float32), measured.target.astype(np.int32), test_size=0.5, random_state=0
    )
    mean, deviation = x.mean(0), x.std(0)
    x, x_test = (x - mean) / deviation, (x_test - mean) / deviation

    fnn.manual_seed(0)
    models = [network() for _ in range(MEMBERS)]
    params, _ = fnn.stack(models)  # each array with a first axis of ten
    model = models[0]  # the description of one; its own arrays are not used
    tx = optim.adamw(lr=1e-3, weight_decay=1e-2)

    def member_step(params: Any, state: Any, key: jax.Array) -> tuple[Any, Any, jax.Array]:
        """One step of one member, on a batch of its own."""
        rows, rng = jax.random.split(key)
        batch = jax.random.randint(rows, (BATCH,), 0, len(x))

        def loss_of(params: Any) -> jax.Array:
            logits, _ = fnn.functional_call(model, params, {}, jnp.asarray(x)[batch], rng=rng, training=True)
            return F.cross_entropy(logits, jnp.asarray(y)[batch])

        loss, grads = jax.value_and_grad(loss_of)(params)
        updates, state = tx.update(grads, state, params)
        return optim.apply_updates(params, updates), state, loss

    step = jax.jit(jax.vmap(member_step))

    @jax.jit
    def judge(params: Any) -> jax.Array:
        """(MEMBERS, N) log-probabilities of the test half's true classes and all of them."""
        call = lambda p: fnn.functional_call(model, p, {}, x_test, training=False)[0]  # noqa: E731
        return F.log_softmax(jax.vmap(call)(params), dim=-1)

    states = jax.vmap(tx.init)(params)
    keys = jax.random.split(jax.random.key(0), (options.steps, MEMBERS))
    losses = []
    with trange(options.steps, unit="step") as progress:
        for i in progress:
            params, states, loss = step(params, states, keys[i])
            losses.append(loss)

    each = judge(params)
    together = jax.nn.logsumexp(each, axis=0) - np.log(MEMBERS)
    own = np.asarray(-each[:, np.arange(len(y_test)), y_test].mean(1))
    joint = float(-together[np.arange(len(y_test)), y_test].mean())
    right = np.asarray(together.argmax(1) == y_test)
    sure = np.asarray(jnp.exp(together.max(1)))

    figure, (left, middle, last) = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    left.semilogy(np.asarray(jnp.stack(losses)), linewidth=0.4)
    left.set(xlabel="step", ylabel="training loss of each member")
    middle.bar(range(MEMBERS), own, color="0.7")
    middle.axhline(joint, color="crimson", label="the ensemble")
    middle.set(xlabel="member", ylabel="test loss")
    middle.legend()
    last.hist([sure[right], sure[~right]], bins=np.linspace(0.5, 1, 11).tolist(), label=["right", "wrong"], log=True)
    last.set(xlabel="how sure the ensemble is", ylabel="test cases")
    last.legend()
    figure.savefig(options.out / "ensemble.png", dpi=110)
    plt.close(figure)
    print(
        f"test loss {joint:.4f}, members {own.min():.4f} to {own.max():.4f}; {right.mean():.1%} of {len(right)} right"
    )
    return joint, own


if __name__ == "__main__":
    main()

"""The number of sunspots, foretold a solar cycle ahead by an LSTM that is trained with L-BFGS.

    python examples/sunspots_lstm.py                         # 8 steps of L-BFGS
    python examples/sunspots_lstm.py --optimizer adam --steps 400
    python examples/sunspots_lstm.py --packed                # series of different lengths, packed

The yearly means since 1700 come with statsmodels. The network reads the years up to 1970 (as their square roots, which are
about as uncertain at a maximum as at a minimum), then goes on by itself on what it foretold. Expected: a root mean square
error of 0.3 to 0.4 standard deviations one year ahead on the years after 1970; to say "as this year" errs by 0.67. Half a minute.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from statsmodels.datasets import sunspots
from tqdm import trange

import fnn
import fnn.nn.functional as F
from fnn import nn, optim
from fnn.nn.utils.rnn import pack_sequence, pad_packed_sequence, pad_sequence

matplotlib.use("Agg")
import matplotlib.pyplot as plt

AHEAD, KNOWN_UNTIL = 33, 1970


class Forecaster(nn.Module):
    """An LSTM over the series, and a linear layer that says the next year's value at each."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, 24, batch_first=True)
        self.head = nn.Linear(24, 1)

    def forward(self, x: jax.Array) -> jax.Array:
        return self.head(self.lstm(x)[0])

    def packed(self, pieces: Sequence[np.ndarray]) -> jax.Array:
        """The same for series of several lengths; what is behind the end of one is zero."""
        out, _ = self.lstm(pack_sequence(list(pieces), enforce_sorted=False))
        return self.head(pad_packed_sequence(out, batch_first=True)[0])

    def go_on(self, series: jax.Array, years: int) -> jax.Array:
        """What the network foretells after ``series`` (T, 1), (years, 1), each year from those before."""
        out, state = self.lstm(series[None])
        weights = [p.data for p in self.lstm.parameters()]

        def year(carry: tuple, _: None) -> tuple[tuple, jax.Array]:
            value, (h, c) = carry
            h, c = F.lstm_cell(value, (h, c), *weights)
            value = F.linear(h, self.head.weight, self.head.bias)
            return (value, (h, c)), value[0]

        first = self.head(out[:, -1])
        _, rest = jax.lax.scan(year, (first, (state[0][0], state[1][0])), length=years - 1)
        return jnp.concatenate([first, rest])


def main(argv: Sequence[str] | None = None) -> float:
    """Trains, draws, and returns the error one year ahead on the years kept aside, in standard deviations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--optimizer", choices=("lbfgs", "adam"), default="lbfgs")
    parser.add_argument("--packed", action="store_true")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("outputs"))
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    table = sunspots.load_pandas().data
    years, spots = table["YEAR"].to_numpy(int), table["SUNACTIVITY"].to_numpy()
    known = years <= KNOWN_UNTIL
    roots = np.sqrt(spots)
    mean, deviation = roots[known].mean(), roots[known].std()
    series = ((roots - mean) / deviation).astype(np.float32)[:, None]
    history, kept = series[known], series[~known]

    fnn.manual_seed(0)
    model = Forecaster()
    pieces = [history[start : start + length] for start, length in ((0, 120), (60, 100), (100, 140), (150, 121))]
    inputs, targets = [p[:-1] for p in pieces], pad_sequence([p[1:] for p in pieces], batch_first=True)

    def loss_of() -> jax.Array:
        """The mean square error a year ahead, and a price of large weights: 270 years are few."""
        price = 1e-3 * sum(jnp.sum(p**2) for p in model.parameters())
        if not options.packed:
            return F.mse_loss(model(history[None, :-1]), history[None, 1:]) + price
        count = sum(len(p) for p in inputs)
        inside = np.arange(targets.shape[1])[None, :, None] < np.array([len(p) for p in inputs])[:, None, None]
        return jnp.sum(jnp.where(inside, (model.packed(inputs) - targets) ** 2, 0)) / count + price

    if options.optimizer == "lbfgs":
        optimizer = optim.LBFGS(model.parameters(), lr=1, max_iter=10, line_search_fn="strong_wolfe")
    else:
        optimizer = optim.Adam(model.parameters(), lr=1e-2)
    train_step = fnn.jit(lambda: optimizer.step(loss_of))
    losses = []
    with trange(options.steps, unit="step") as progress:
        for _ in progress:
            losses.append(float(train_step()))
            progress.set_postfix(loss=f"{losses[-1]:.4f}")

    told = np.asarray(model(series[None, :-1]))[0][-len(kept) :]
    error = float(np.sqrt(np.mean((told - kept) ** 2)))
    naive = float(np.sqrt(np.mean((series[~known] - series[-len(kept) - 1 : -1]) ** 2)))
    alone = np.asarray(model.go_on(jnp.asarray(history), AHEAD))

    def back(values: np.ndarray) -> np.ndarray:
        return np.maximum(values[:, 0] * deviation + mean, 0) ** 2

    figure, axis = plt.subplots(figsize=(10, 4), layout="constrained")
    axis.plot(years[-120:], spots[-120:], color="0.3", label="observed")
    axis.plot(years[~known], back(told), ".-", color="tab:orange", label="one year ahead")
    axis.plot(np.arange(AHEAD) + KNOWN_UNTIL + 1, back(alone), "--", color="tab:red", label="all from 1970")
    axis.axvline(KNOWN_UNTIL + 0.5, color="0.7", linewidth=1)
    axis.set(xlabel="year", ylabel="sunspots")
    axis.legend()
    figure.savefig(options.out / "sunspots_lstm.png", dpi=110)
    plt.close(figure)
    print(f"error one year ahead after {KNOWN_UNTIL}: {error:.2f} standard deviations ({naive:.2f} for 'as this year')")
    return error


if __name__ == "__main__":
    main()

"""``histograms``: how the values of parameters and gradients are distributed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from fnn.functional.checks import fail
from fnn.nn.modules.module import Module
from fnn.nn.parameter import is_lazy
from fnn.tools import table
from fnn.tools.plots import pyplot

__all__ = ["Histogram", "Histograms", "histograms"]


@dataclass(frozen=True)
class Histogram:
    """The values of one array.

    Attributes:
        name: the parameter's name.
        kind: "parameter" or "gradient".
        counts: how many values are between two edges.
        edges: one more than counts.
        mean: of the finite values.
        std: of the finite values.
        norm: the Euclidean norm of the finite values.
        zeros: how many values are 0.
        nonfinite: how many are NaN or infinite.
        size: how many there are.
    """

    name: str
    kind: str
    counts: np.ndarray[Any, Any]
    edges: np.ndarray[Any, Any]
    mean: float
    std: float
    norm: float
    zeros: int
    nonfinite: int
    size: int

    def bars(self, width: int = 20) -> str:
        """The counts as a line of bars."""
        if not self.counts.sum():
            return ""
        groups = np.add.reduceat(self.counts, np.linspace(0, len(self.counts), width, endpoint=False).astype(int))
        return "".join(_BARS[int(np.ceil(8 * g / groups.max()))] for g in groups)


_BARS = " ▁▂▃▄▅▆▇█"


class Histograms:
    """What ``histograms`` returns: a sequence of ``Histogram``; as text and in notebooks a table."""

    def __init__(self, found: list[Histogram]) -> None:
        self.found: list[Histogram] = found

    def __iter__(self) -> Iterator[Histogram]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    def __getitem__(self, i: int) -> Histogram:
        return self.found[i]

    def plot(self, columns: int = 4) -> Any:
        """Draws them, the gradients beside the parameters.

        Args:
            columns: how many in a row.

        Returns:
            the ``matplotlib.figure.Figure``.

        Raises:
            ImportError: without matplotlib.
            ValueError: if there are none.
        """
        if not self.found:
            raise ValueError("histograms: there is nothing to draw")
        rows = -(-len(self.found) // columns)
        plt = pyplot("histograms")
        figure, axes = plt.subplots(rows, columns, figsize=(3 * columns, 2 * rows), squeeze=False, layout="constrained")
        for axis, one in zip(axes.flat, self.found, strict=False):
            axis.stairs(one.counts, one.edges, fill=True, color="tab:blue" if one.kind == "parameter" else "tab:orange")
            axis.set_title(one.name + (" (gradient)" if one.kind == "gradient" else ""), fontsize="small")
            axis.set_yticks([])
        for axis in list(axes.flat)[len(self.found) :]:
            axis.set_axis_off()
        return figure

    def _rows(self) -> list[list[str]]:
        return [
            [
                h.name,
                h.kind,
                h.bars(),
                f"{h.mean:.3g}",
                f"{h.std:.3g}",
                f"{h.norm:.3g}",
                f"{100 * h.zeros / max(h.size, 1):.3g} %",
                table.count(h.nonfinite),
            ]
            for h in self.found
        ]

    def __repr__(self) -> str:
        return table.as_text(_HEAD, self._rows(), 3)

    def _repr_html_(self) -> str:
        return table.as_html(_HEAD, self._rows(), 3)


_HEAD = ("name", "kind", "values", "mean", "std", "norm", "zeros", "not finite")


def histograms(model: Module, bins: int = 40) -> Histograms:
    """Counts how the values of a model's parameters, and of the gradients that are there, are distributed.

    Args:
        model: the Module.
        bins: how many intervals, of equal width, the range of the finite values is cut into.

    Returns:
        the histograms, a parameter's gradient after the parameter.

    Raises:
        TypeError: if ``model`` is no Module.
        ValueError: if ``bins`` is less than 1.

    Example:
        >>> import fnn, jax.numpy as jnp
        >>> layer = fnn.nn.Linear(3, 2)
        >>> loss = fnn.backward(lambda: layer(jnp.ones((4, 3), jnp.float32)).sum(), layer)
        >>> [(h.name, h.kind, int(h.counts.sum())) for h in fnn.tools.histograms(layer)]
        [('weight', 'parameter', 6), ('weight', 'gradient', 6), ('bias', 'parameter', 2), ('bias', 'gradient', 2)]
    """
    if not isinstance(model, Module):
        fail(TypeError, "histograms", "model", "an fnn.nn.Module", type(model).__name__)
    if bins < 1:
        fail(ValueError, "histograms", "bins", "at least 1", bins)
    found = []
    for name, parameter in model.named_parameters():
        if is_lazy(parameter):
            continue
        found.append(_histogram(name, "parameter", parameter.peek(), bins))
        grad = parameter.grad
        if grad is not None:
            dense: Any = grad if isinstance(grad, jax.Array) else getattr(grad, "values", grad)
            found.append(_histogram(name, "gradient", dense, bins))
    return Histograms(found)


def _histogram(name: str, kind: str, array: Any, bins: int) -> Histogram:
    values = np.asarray(array).astype(np.float64).ravel()
    finite = values[np.isfinite(values)]
    counts, edges = np.histogram(finite, bins)
    return Histogram(
        name=name,
        kind=kind,
        counts=counts,
        edges=edges,
        mean=float(finite.mean()) if finite.size else float("nan"),
        std=float(finite.std()) if finite.size else float("nan"),
        norm=float(np.linalg.norm(finite)),
        zeros=int((values == 0).sum()),
        nonfinite=int(values.size - finite.size),
        size=int(values.size),
    )

"""``plot_losses``: loss curves."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jax.typing import ArrayLike

from fnn.functional.checks import fail

__all__ = ["plot_losses", "pyplot"]


def pyplot(function: str) -> Any:
    """``matplotlib.pyplot``.

    Raises:
        ImportError: if it is not installed, naming the extra.
    """
    try:
        return importlib.import_module("matplotlib.pyplot")
    except ImportError as error:
        raise ImportError(f'{function}: needs matplotlib; pip install "fnn[plot]"') from error


def plot_losses(
    losses: Sequence[ArrayLike] | ArrayLike | Mapping[str, Any],
    *,
    smooth: float = 0.0,
    log: bool = False,
    ax: Any = None,
) -> Any:
    """Draws loss curves.

    Args:
        losses: the losses, one a step; or several such by their names. Those of a name may be pairs ``(step, loss)``, as
            a validation loss is that is not taken at every step.
        smooth: in [0, 1): the weight of the past in a running mean, drawn over the losses themselves.
        log: whether the vertical axis is logarithmic.
        ax: the ``matplotlib`` axes to draw into; without it, new ones.

    Returns:
        the axes.

    Raises:
        ImportError: without matplotlib.
        ValueError: if ``smooth`` is out of range, or losses are neither numbers nor pairs.

    Example:
        >>> ax = plot_losses({"train": [3.0, 2.0, 1.5], "validation": [(0, 3.1), (2, 1.8)]})
        >>> [line.get_label() for line in ax.lines]
        ['train', 'validation']
    """
    if not 0 <= smooth < 1:
        fail(ValueError, "plot_losses", "smooth", "in [0, 1)", smooth)
    curves = losses if isinstance(losses, Mapping) else {"loss": losses}
    points = {name: _points(name, values) for name, values in curves.items()}
    if ax is None:
        ax = pyplot("plot_losses").subplots(layout="constrained")[1]
    for name, (steps, values) in points.items():
        (line,) = ax.plot(steps, values, label=str(name), alpha=0.35 if smooth else 1.0)
        if smooth:
            ax.plot(steps, _smoothed(values, smooth), color=line.get_color(), label=f"{name}, smoothed")
    ax.set_xlabel("step")
    ax.set_ylabel("loss")
    if log:
        ax.set_yscale("log")
    if len(ax.lines) > 1:
        ax.legend()
    return ax


def _points(name: str, values: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    try:
        array = np.asarray([np.asarray(v, np.float64) for v in values], np.float64)
    except (TypeError, ValueError):
        array = np.zeros((0, 0))
    if array.ndim == 2 and array.shape[1] == 2:
        return array[:, 0], array[:, 1]
    if array.ndim != 1:
        fail(ValueError, "plot_losses", f"losses of {name!r}", "numbers, or pairs (step, loss)", values)
    return np.arange(len(array)), array


def _smoothed(values: np.ndarray[Any, Any], weight: float) -> np.ndarray[Any, Any]:
    """The running mean, with the weight that is missing at its start made up for."""
    mean, whole, out = 0.0, 0.0, []
    for value in values:
        mean = weight * mean + (1 - weight) * value
        whole = weight * whole + (1 - weight)
        out.append(mean / whole)
    return np.asarray(out)

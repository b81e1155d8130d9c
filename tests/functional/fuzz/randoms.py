"""Random calls of functions that draw: the same refusals, shapes and dtypes as torch's, and what every draw must hold."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from tests.functional.fuzz.compare import Mismatch, to_float64
from tests.functional.fuzz.draws import Call, Draw
from tests.functional.fuzz.table import Row

ALPHA = 1.6732632423543772 * 1.0507009873554805


def dropped(d: Draw, *ranks: int) -> Call:
    p = d.pick(0.5, 0.3, 0.0, 1.0) if not d.rarely(20) else d.pick(-0.1, 1.1)
    return Call((d.reals(d.shape(*ranks)), p), d.some(training=(True, False)))


def masks(
    call: Call,
    arrays: list[np.ndarray],
    ours: list[Any],
    theirs: list[Any],
    default: bool,
    axes: int | None,
    alpha: bool,
) -> None:
    """Each element, or channel, is kept and rescaled or dropped; none is touched outside training."""
    x, y = to_float64(arrays[0]), to_float64(ours[0])
    eps = 8 * float(np.finfo(np.float64).eps if ours[0].dtype == np.float64 else 2.0**-6)
    p, training = call.args[1], call.kwargs.get("training", default)
    same(ours, theirs)
    p = p if training else 0.0
    with np.errstate(all="ignore"):
        if alpha and 0 < p < 1:
            a = ((1 - p) * (1 + p * ALPHA**2)) ** -0.5
            kept, lost = a * x + a * p * ALPHA, np.full_like(x, -a * ALPHA * (1 - p))
        else:
            kept, lost = (x / (1 - p) if p < 1 else x), (np.zeros_like(x) if p else x)
        kept, lost = (v.astype(ours[0].dtype).astype(np.float64) for v in (kept, lost))
        kept_here = close(y, kept, eps) if p < 1 else np.zeros(y.shape, bool)
        lost_here = close(y, lost, eps) if p > 0 else np.zeros(y.shape, bool)
    if not (kept_here | lost_here | ~np.isfinite(kept)).all():
        at = tuple(np.argwhere(~(kept_here | lost_here))[0])
        raise Mismatch(f"{y[at]} at {at} comes neither of {x[at]} kept nor of it dropped")
    if axes == 2 and x.ndim == 3:
        axes = 1  # dropout2d takes three axes for a batch of sequences
    if axes is not None and np.isfinite(kept).all() and y.size:
        inner = tuple(range(y.ndim - axes, y.ndim))
        if not (kept_here.all(inner) | lost_here.all(inner)).all():
            raise Mismatch("a channel is dropped in part")


def close(a: np.ndarray, b: np.ndarray, eps: float) -> np.ndarray:
    return (a == b) | (np.isnan(a) & np.isnan(b)) | (np.abs(a - b) <= eps * np.maximum(np.abs(b), 1e-3))


def same(ours: list[Any], theirs: list[Any]) -> None:
    if tuple(ours[0].shape) != tuple(theirs[0].shape):
        raise Mismatch(f"shape {tuple(ours[0].shape)}, torch {tuple(theirs[0].shape)}")
    if str(ours[0].dtype) != str(theirs[0].dtype).removeprefix("torch."):
        raise Mismatch(f"dtype {ours[0].dtype}, torch {theirs[0].dtype}")


def leaky(d: Draw) -> Call:
    options = d.some(lower=(0.125, 0.0, 0.5), upper=(1 / 3, 0.5, 1.0), training=(True, False))
    return Call((d.reals(d.shape()),), options)


def slopes(call: Call, arrays: list[np.ndarray], ours: list[Any], theirs: list[Any]) -> None:
    """Positive numbers stay, the others are multiplied by a slope between the bounds."""
    same(ours, theirs)
    x, y = to_float64(arrays[0]), to_float64(ours[0])
    lower, upper = call.kwargs.get("lower", 0.125), call.kwargs.get("upper", 1 / 3)
    if not call.kwargs.get("training", False):
        lower = upper = (lower + upper) / 2
    with np.errstate(all="ignore"):
        bounds = np.where(x >= 0, x, x * lower), np.where(x >= 0, x, x * upper)
        slack = 0.02 * np.abs(x) if ours[0].dtype.itemsize == 2 else 1e-6 * np.abs(x)
        fine = (y >= bounds[1] - slack) & (y <= bounds[0] + slack) | ~np.isfinite(x) | (np.abs(x) < 1e-7)
    if not fine.all():
        at = tuple(np.argwhere(~fine)[0])
        raise Mismatch(f"{y[at]} at {at} of {x[at]} is not between its bounds")


def gumbel(d: Draw) -> Call:
    return Call((d.reals(d.shape(0, 1, 2, 3)),), d.some(tau=(1, 0.5, 10.0), hard=(True, False), dim=(-1, 0, 1, 2)))


def distributions(call: Call, arrays: list[np.ndarray], ours: list[Any], theirs: list[Any]) -> None:
    """Along the axis the numbers sum to one; hard ones are 0 and 1."""
    same(ours, theirs)
    x, y = to_float64(arrays[0]), to_float64(ours[0])
    axis = call.kwargs.get("dim", -1) if x.ndim else None
    if not np.isfinite(x).all() or not x.size or np.abs(x).max() > 1e3:
        return
    if not (np.abs(y.sum(axis) - 1) <= (0.05 if ours[0].dtype.itemsize == 2 else 1e-5)).all():
        raise Mismatch(f"the numbers do not sum to one: {y.sum(axis)}")
    if call.kwargs.get("hard") and not np.isin(np.round(y, 6), (0, 1)).all():
        raise Mismatch(f"not one-hot: {y}")


DROPOUTS: list[tuple[str, bool, int | None, bool, tuple[int, ...]]] = [
    ("dropout", True, None, False, (0, 1, 2, 3)),
    ("dropout1d", True, 1, False, (2, 3, 3)),
    ("dropout2d", True, 2, False, (3, 4, 4)),
    ("dropout3d", True, 3, False, (4, 5, 5)),
    ("alpha_dropout", False, None, True, (0, 1, 2, 3)),
    ("feature_alpha_dropout", False, None, True, (2, 3, 4)),
]

ROWS = [
    *[
        Row(
            name,
            lambda d, ranks=ranks: dropped(d, *ranks),
            property=partial(masks, default=default, axes=axes, alpha=alpha),
        )
        for name, default, axes, alpha, ranks in DROPOUTS
    ],
    *[Row(name, leaky, property=slopes) for name in ("rrelu", "rrelu_")],
    Row("gumbel_softmax", gumbel, property=distributions),
]

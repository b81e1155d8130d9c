"""``log_tensorboard``: numbers and histograms for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jax.typing import ArrayLike

from fnn.nn.modules.module import Module
from fnn.tools.histograms import histograms

__all__ = ["log_tensorboard"]


def log_tensorboard(
    writer: Any, step: int, scalars: Mapping[str, ArrayLike] | None = None, model: Module | None = None
) -> None:
    """Writes numbers, and the distributions of a model's parameters and gradients, for TensorBoard.

    Args:
        writer: a ``tensorboardX.SummaryWriter`` (extra ``tensorboard``), or torch's ``SummaryWriter``.
        step: the number of the step.
        scalars: numbers by their names; arrays of one element.
        model: the Module whose parameters, and the gradients that are there, are written as ``parameters/NAME`` and
            ``gradients/NAME``, with their norms. It takes them to the host: once in a hundred steps, say.

    Raises:
        TypeError: if ``model`` is no Module.
        ValueError: if a scalar has more than one element.

    Example:
        >>> import fnn
        >>> class Printer:
        ...     def add_scalar(self, tag, value, step):
        ...         print(tag, value, step)
        >>> fnn.tools.log_tensorboard(Printer(), 3, {"loss": 0.5})
        loss 0.5 3
    """
    for name, value in (scalars or {}).items():
        array = np.asarray(value)
        if array.size != 1:
            raise ValueError(f"log_tensorboard: scalars[{name!r}] must have one element, got shape {array.shape}")
        writer.add_scalar(name, float(array.reshape(())), step)
    if model is None:
        return
    for one in histograms(model, bins=64):
        folder = "parameters" if one.kind == "parameter" else "gradients"
        writer.add_scalar(f"norms/{folder}/{one.name}", one.norm, step)
        if one.size > one.nonfinite:
            centers = (one.edges[:-1] + one.edges[1:]) / 2
            writer.add_histogram_raw(
                tag=f"{folder}/{one.name}",
                min=float(one.edges[0]),
                max=float(one.edges[-1]),
                num=int(one.counts.sum()),
                sum=one.mean * float(one.counts.sum()),
                sum_squares=float((one.counts * centers**2).sum()),
                bucket_limits=one.edges[1:].tolist(),
                bucket_counts=one.counts.tolist(),
                global_step=step,
            )

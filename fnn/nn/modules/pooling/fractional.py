"""Fractional max pooling layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import ntuple
from fnn.nn.modules.module import Module
from fnn.nn.modules.utils import Sizes

__all__ = ["FractionalMaxPool2d", "FractionalMaxPool3d"]


class _FractionalMaxPoolNd(Module):
    """What the fractional max pools share (Graham, 2014).

    Args:
        kernel_size: lengths of the window.
        output_size: lengths of the output; give this or ``output_ratio``.
        output_ratio: lengths of the output as fractions of the input's, in (0, 1).
        return_indices: whether to return the places of the maxima too.
        _random_samples: the numbers that place the windows, instead of drawn ones.

    Raises:
        ValueError: if both or neither of ``output_size`` and ``output_ratio`` are given, or a ratio is out of range.
    """

    _dims: int

    def __init__(
        self,
        kernel_size: Sizes,
        output_size: Sizes | None = None,
        output_ratio: float | Sequence[float] | None = None,
        return_indices: bool = False,
        _random_samples: ArrayLike | None = None,
    ) -> None:
        super().__init__()
        name, n = type(self).__name__, self._dims
        self.kernel_size = ntuple(name, "kernel_size", kernel_size, n, 1)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else ntuple(name, "output_size", output_size, n, 1)
        if output_ratio is None:
            self.output_ratio = None
        else:
            self.output_ratio = tuple(output_ratio) if isinstance(output_ratio, Sequence) else (output_ratio,) * n
        if (output_size is None) == (output_ratio is None):
            raise ValueError(
                f"{name}: exactly one of output_size and output_ratio must be given, got {output_size} and {output_ratio}"
            )
        if self.output_ratio is not None and not all(0 < ratio < 1 for ratio in self.output_ratio):
            raise ValueError(f"{name}: output_ratio must be between 0 and 1, got {output_ratio}")


class FractionalMaxPool2d(_FractionalMaxPoolNd):
    """The maximum of windows at pseudo-random places, for outputs that are no integer fraction of the input.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.FractionalMaxPool2d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> FractionalMaxPool2d(2, output_size=5)(jnp.ones((1, 3, 8, 8))).shape
        (1, 3, 5, 5)
    """

    _dims = 2

    def forward(self, input: ArrayLike) -> Any:
        """Pools the input; with ``return_indices`` returns ``(output, indices)``."""
        return F.fractional_max_pool2d(
            input,
            self.kernel_size,
            self.output_size,
            self.output_ratio,
            self.return_indices,
            _random_samples=self._random_samples,
        )


class FractionalMaxPool3d(_FractionalMaxPoolNd):
    """The maximum of windows at pseudo-random places, for outputs that are no integer fraction of the input.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.FractionalMaxPool3d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> FractionalMaxPool3d(2, output_size=5)(jnp.ones((1, 3, 8, 8, 8))).shape
        (1, 3, 5, 5, 5)
    """

    _dims = 3

    def forward(self, input: ArrayLike) -> Any:
        """Pools the input; with ``return_indices`` returns ``(output, indices)``."""
        return F.fractional_max_pool3d(
            input,
            self.kernel_size,
            self.output_size,
            self.output_ratio,
            self.return_indices,
            _random_samples=self._random_samples,
        )

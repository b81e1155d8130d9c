"""Layers that resize images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.module import Module

__all__ = ["Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d"]


class Upsample(Module):
    """Resizes the spatial axes to ``size`` or by ``scale_factor``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Upsample.html.

    Args:
        size: lengths of the output.
        scale_factor: factors, instead of ``size``.
        mode: "nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear" or "area".
        align_corners: whether the corner elements keep their places, for the linear and cubic modes.
        recompute_scale_factor: whether the factors are recomputed from the rounded lengths.

    Raises:
        ValueError: if ``scale_factor`` is no number and no sequence of them.

    Example:
        >>> import numpy as np
        >>> Upsample(scale_factor=2)(np.ones((1, 1, 2, 2))).shape
        (1, 1, 4, 4)
    """

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        scale_factor: float | Sequence[float] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        self.name = type(self).__name__
        self.size = size
        try:
            if isinstance(scale_factor, Sequence):
                self.scale_factor: Any = tuple(float(factor) for factor in scale_factor)
            else:
                self.scale_factor = float(scale_factor) if scale_factor else None
        except (TypeError, ValueError):
            message = f"{self.name}: scale_factor must be a number or a sequence of numbers, got {scale_factor!r}"
            raise ValueError(message) from None
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: ArrayLike) -> jax.Array:
        """The resized input."""
        return F.interpolate(
            input,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            recompute_scale_factor=self.recompute_scale_factor,
        )

    def extra_repr(self) -> str:
        size = f"size={self.size}" if self.scale_factor is None else f"scale_factor={self.scale_factor}"
        return f"{size}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Resizes (N, C, H, W) by copying the nearest element.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.UpsamplingNearest2d.html.

    Example:
        >>> import numpy as np
        >>> UpsamplingNearest2d(scale_factor=2)(np.ones((1, 1, 2, 2))).shape
        (1, 1, 4, 4)
    """

    def __init__(
        self, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
    ) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """Resizes (N, C, H, W) by bilinear interpolation with aligned corners.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.UpsamplingBilinear2d.html.

    Example:
        >>> import numpy as np
        >>> UpsamplingBilinear2d(scale_factor=2)(np.ones((1, 1, 2, 2))).shape
        (1, 1, 4, 4)
    """

    def __init__(
        self, size: int | Sequence[int] | None = None, scale_factor: float | Sequence[float] | None = None
    ) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)

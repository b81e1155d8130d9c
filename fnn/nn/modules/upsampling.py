"""Layers that resize images."""

from __future__ import annotations

from collections.abc import Sequence

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.module import Module
from fnn.nn.modules.utils import Sizes

__all__ = ["Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d"]


class Upsample(Module):
    """Resizes the spatial axes, to ``size`` or by ``scale_factor``; smaller works as well as larger.

    Args:
        size: lengths of the output, one for each spatial axis or an int for all; give this or ``scale_factor``.
        scale_factor: output length divided by input length, likewise.
        mode: "nearest", "nearest-exact" or "area"; for one, two and three spatial axes "linear", "bilinear" and
            "trilinear"; for two also "bicubic".
        align_corners: for the linear and cubic modes: True keeps the centres of the corner elements in place, False
            (what ``None`` means) the outer edges. Other modes take ``None`` only.
        recompute_scale_factor: whether the factor that places the samples is output length divided by input length, not
            ``scale_factor`` itself, from which it differs where a length was rounded.

    Attributes:
        scale_factor (float | tuple[float, ...] | None): as floats.

    Shape:
        - input: (N, C, L), (N, C, H, W) or (N, C, D, H, W).
        - output: as input, each length L_out = ``size``, or floor(L * scale_factor).

    Raises:
        ValueError: if ``scale_factor`` is no number and no sequence of them; at the call, if not exactly one of
            ``size`` and ``scale_factor`` is given, or the mode does not suit the rank.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Upsample.html

    Example:
        >>> import jax.numpy as jnp
        >>> Upsample(scale_factor=2)(jnp.array([[[1.0, 2.0]]])).tolist()
        [[[1.0, 1.0, 2.0, 2.0]]]
    """

    name: str
    scale_factor: float | tuple[float, ...] | None

    def __init__(
        self,
        size: Sizes | None = None,
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
                self.scale_factor = tuple(float(factor) for factor in scale_factor)
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
    """Resizes an image by copying the nearest element: ``Upsample`` in mode "nearest".

    Args:
        size: height and width of the output, or an int for both; give this or ``scale_factor``.
        scale_factor: output length divided by input length, likewise.

    Shape:
        - input: (N, C, H, W).
        - output: (N, C, H_out, W_out), each length L_out = ``size``, or floor(L * scale_factor).

    Raises:
        ValueError: as ``Upsample``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.UpsamplingNearest2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> UpsamplingNearest2d(scale_factor=2)(jnp.array([[[[1.0, 2.0]]]])).tolist()
        [[[[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]]]
    """

    def __init__(self, size: Sizes | None = None, scale_factor: float | Sequence[float] | None = None) -> None:
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """Resizes an image by bilinear interpolation: ``Upsample`` in mode "bilinear" with corners aligned.

    Args:
        size: height and width of the output, or an int for both; give this or ``scale_factor``.
        scale_factor: output length divided by input length, likewise.

    Shape:
        - input: (N, C, H, W).
        - output: (N, C, H_out, W_out), each length L_out = ``size``, or floor(L * scale_factor).

    Raises:
        ValueError: as ``Upsample``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.UpsamplingBilinear2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> UpsamplingBilinear2d((1, 3))(jnp.array([[[[1.0, 2.0]]]])).tolist()
        [[[[1.0, 1.5, 2.0]]]]
    """

    def __init__(self, size: Sizes | None = None, scale_factor: float | Sequence[float] | None = None) -> None:
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)

"""Fractional max pooling layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Literal, cast, overload

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import ntuple
from fnn.nn.modules.module import Module
from fnn.nn.modules.pooling.base import Pair, Pooled
from fnn.nn.modules.utils import Sizes
from fnn.nn.parameter import OptionalBuffer

__all__ = ["FractionalMaxPool2d", "FractionalMaxPool3d"]


class _FractionalMaxPoolNd(Module, Generic[Pooled]):
    """The base of the fractional max pools: sizes, their checks, and whether positions are returned."""

    kernel_size: tuple[int, ...]
    output_size: tuple[int, ...] | None
    output_ratio: tuple[float, ...] | None
    _random_samples: OptionalBuffer
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
                f"{name}: exactly one of output_size and output_ratio must be given, got {output_size} and "
                f"{output_ratio}"
            )
        if self.output_ratio is not None and not all(0 < ratio < 1 for ratio in self.output_ratio):
            raise ValueError(f"{name}: output_ratio must be between 0 and 1, got {output_ratio}")


class FractionalMaxPool2d(_FractionalMaxPoolNd[Pooled]):
    r"""Maxima of windows of an image at pseudo-random places, for outputs that are no integer fraction of the input.

    .. math::

        y_{c, i} = \max_{0 \le k < K} x_{c,\, a_i + k},
        a_i = \lfloor \alpha (i + u) \rfloor - \lfloor \alpha u \rfloor, \; \alpha = (L - K) / (L_{out} - 1)

    along each axis, with a number u drawn from U(0, 1) for each axis, channel and row of the batch at every call, in
    evaluation mode too; the last window ends where the input does.

    Args:
        kernel_size: height and width of the window: an int for both or a pair, as all sizes here.
        output_size: height and width of the output: an int for both or a pair; give this or ``output_ratio``.
        output_ratio: output length divided by input length, between 0 and 1, a number or one for each axis.
        return_indices: whether the positions of the maxima are returned too, for ``MaxUnpool2d``.
        _random_samples: the numbers u, (N, C, 2), in place of drawn ones.

    Shape:
        - input: (N, C, H, W) or (C, H, W).
        - output: (N, C, H_out, W_out) or (C, H_out, W_out), sizes as ``output_size``, or floor(output_ratio * length).
        - positions: as output, integers: position of each maximum in its image, counted row by row.

    Returns:
        the call returns the maxima; with ``return_indices`` the pair of maxima and positions.

    Raises:
        ValueError: if both or neither of ``output_size`` and ``output_ratio`` are given, or a ratio is out of range; at
            the call, if the window is too large for the output.
        RuntimeError: at the call, under a JAX transformation other than ``fnn.jit`` without a key
            (``fnn.functional_call(..., rng=key)``).

    Source: Graham, Fractional Max-Pooling, 2014;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.FractionalMaxPool2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> FractionalMaxPool2d(2, output_size=2)(jnp.ones((1, 3, 3))).shape
        (1, 2, 2)
    """

    _dims = 2

    @overload
    def __init__(
        self: FractionalMaxPool2d[jax.Array],
        kernel_size: Sizes,
        output_size: Sizes | None = ...,
        output_ratio: float | Sequence[float] | None = ...,
        return_indices: Literal[False] = ...,
        _random_samples: ArrayLike | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: FractionalMaxPool2d[Pair],
        kernel_size: Sizes,
        output_size: Sizes | None = ...,
        output_ratio: float | Sequence[float] | None = ...,
        *,
        return_indices: Literal[True],
        _random_samples: ArrayLike | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: FractionalMaxPool2d[jax.Array | Pair],
        kernel_size: Sizes,
        output_size: Sizes | None = ...,
        output_ratio: float | Sequence[float] | None = ...,
        return_indices: bool = ...,
        _random_samples: ArrayLike | None = ...,
    ) -> None: ...
    def __init__(
        self,
        kernel_size: Sizes,
        output_size: Sizes | None = None,
        output_ratio: float | Sequence[float] | None = None,
        return_indices: bool = False,
        _random_samples: ArrayLike | None = None,
    ) -> None:
        super().__init__(kernel_size, output_size, output_ratio, return_indices, _random_samples)

    def forward(self, input: ArrayLike) -> Pooled:
        """The maxima, and with ``return_indices`` their positions."""
        pooled = F.fractional_max_pool2d(
            input,
            self.kernel_size,
            self.output_size,
            self.output_ratio,
            self.return_indices,
            _random_samples=self._random_samples,
        )
        return cast("Pooled", pooled)


class FractionalMaxPool3d(_FractionalMaxPoolNd[Pooled]):
    """Maxima of windows of a volume at pseudo-random places, for outputs that are no integer fraction of the input.

    As ``FractionalMaxPool2d`` along three axes.

    Args:
        kernel_size: depth, height and width of the window: an int for all or three, as all sizes here.
        output_size: depth, height and width of the output: an int for all or three numbers; give this or
            ``output_ratio``.
        output_ratio: output length divided by input length, between 0 and 1, a number or one for each axis.
        return_indices: whether the positions of the maxima are returned too, for ``MaxUnpool3d``.
        _random_samples: the numbers u, (N, C, 3), in place of drawn ones.

    Shape:
        - input: (N, C, D, H, W) or (C, D, H, W).
        - output: (N, C, D_out, H_out, W_out) or (C, D_out, H_out, W_out), sizes as ``output_size``, or
          floor(output_ratio * length).
        - positions: as output, integers: position of each maximum in its volume, counted row by row.

    Returns:
        the call returns the maxima; with ``return_indices`` the pair of maxima and positions.

    Raises:
        ValueError: if both or neither of ``output_size`` and ``output_ratio`` are given, or a ratio is out of range; at
            the call, if the window is too large for the output.
        RuntimeError: at the call, under a JAX transformation other than ``fnn.jit`` without a key
            (``fnn.functional_call(..., rng=key)``).

    Source: Graham, Fractional Max-Pooling, 2014;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.FractionalMaxPool3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> FractionalMaxPool3d(1, output_ratio=0.5)(jnp.ones((1, 2, 2, 2))).shape
        (1, 1, 1, 1)
    """

    _dims = 3

    @overload
    def __init__(
        self: FractionalMaxPool3d[jax.Array],
        kernel_size: Sizes,
        output_size: Sizes | None = ...,
        output_ratio: float | Sequence[float] | None = ...,
        return_indices: Literal[False] = ...,
        _random_samples: ArrayLike | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: FractionalMaxPool3d[Pair],
        kernel_size: Sizes,
        output_size: Sizes | None = ...,
        output_ratio: float | Sequence[float] | None = ...,
        *,
        return_indices: Literal[True],
        _random_samples: ArrayLike | None = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: FractionalMaxPool3d[jax.Array | Pair],
        kernel_size: Sizes,
        output_size: Sizes | None = ...,
        output_ratio: float | Sequence[float] | None = ...,
        return_indices: bool = ...,
        _random_samples: ArrayLike | None = ...,
    ) -> None: ...
    def __init__(
        self,
        kernel_size: Sizes,
        output_size: Sizes | None = None,
        output_ratio: float | Sequence[float] | None = None,
        return_indices: bool = False,
        _random_samples: ArrayLike | None = None,
    ) -> None:
        super().__init__(kernel_size, output_size, output_ratio, return_indices, _random_samples)

    def forward(self, input: ArrayLike) -> Pooled:
        """The maxima, and with ``return_indices`` their positions."""
        pooled = F.fractional_max_pool3d(
            input,
            self.kernel_size,
            self.output_size,
            self.output_ratio,
            self.return_indices,
            _random_samples=self._random_samples,
        )
        return cast("Pooled", pooled)

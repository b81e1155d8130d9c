"""Max pooling layers."""

from __future__ import annotations

from typing import Generic, Literal, cast, overload

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.module import Module
from fnn.nn.modules.pooling.base import Pair, Pooled
from fnn.nn.modules.utils import Sizes

__all__ = ["MaxPool1d", "MaxPool2d", "MaxPool3d"]


class _MaxPoolNd(Module, Generic[Pooled]):
    """The base of the max pools: the window, and whether positions are returned."""

    stride: Sizes

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPoolNd[Pooled]):
    r"""Maximum of each window of a sequence.

    .. math:: y_{c, l} = \max_{0 \le k < K} x_{c,\, l s + k d - p}

    with window length K, stride s, dilation d and padding p; of equal maxima the first counts, and gets the gradient.

    Args:
        kernel_size: length of the window.
        stride: steps of the window; ``None`` is the kernel size, so that windows do not overlap.
        padding: how many elements, counted as -inf, are added at both ends; at most half the window.
        dilation: distance between neighbouring elements of the window; 1 leaves no gaps.
        return_indices: whether the positions of the maxima are returned too, for ``MaxUnpool1d``.
        ceil_mode: whether a last window may hang over the end, so that the output is longer.

    Shape:
        - input: (N, C, L) or (C, L).
        - output: (N, C, L_out) or (C, L_out), L_out = floor((L + 2 padding - dilation (kernel_size - 1) - 1) / stride)
          + 1;
          with ``ceil_mode`` rounded up, except that a window that would begin beyond the end of the input is left out.
        - positions: as output, integers: position of each maximum along its row.

    Returns:
        the call returns the maxima; with ``return_indices`` the pair of maxima and positions.

    Raises:
        ValueError: at the call, if a size is out of range or the rank does not fit.
        TypeError: at the call, if a size is no int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.MaxPool1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> MaxPool1d(2)(jnp.array([[1.0, 3.0, 2.0, 0.0]])).tolist()
        [[3.0, 2.0]]
    """

    @overload
    def __init__(
        self: MaxPool1d[jax.Array],
        kernel_size: Sizes,
        stride: Sizes | None = ...,
        padding: Sizes = ...,
        dilation: Sizes = ...,
        return_indices: Literal[False] = ...,
        ceil_mode: bool = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: MaxPool1d[Pair],
        kernel_size: Sizes,
        stride: Sizes | None = ...,
        padding: Sizes = ...,
        dilation: Sizes = ...,
        *,
        return_indices: Literal[True],
        ceil_mode: bool = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: MaxPool1d[jax.Array | Pair],
        kernel_size: Sizes,
        stride: Sizes | None = ...,
        padding: Sizes = ...,
        dilation: Sizes = ...,
        return_indices: bool = ...,
        ceil_mode: bool = ...,
    ) -> None: ...
    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, dilation, return_indices, ceil_mode)

    def forward(self, input: ArrayLike) -> Pooled:
        """The maxima, and with ``return_indices`` their positions."""
        pooled = F.max_pool1d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )
        return cast("Pooled", pooled)


class MaxPool2d(_MaxPoolNd[Pooled]):
    """Maximum of each window of an image.

    As ``MaxPool1d`` along two axes.

    Args:
        kernel_size: height and width of the window: an int for both or a pair, as all sizes here.
        stride: steps of the window; ``None`` is the kernel size, so that windows do not overlap.
        padding: how many elements, counted as -inf, are added at both ends of each axis; at most half the window.
        dilation: distance between neighbouring elements of the window; 1 leaves no gaps.
        return_indices: whether the positions of the maxima are returned too, for ``MaxUnpool2d``.
        ceil_mode: whether a last window may hang over the end, so that the output is longer.

    Shape:
        - input: (N, C, H, W) or (C, H, W).
        - output: (N, C, H_out, W_out) or (C, H_out, W_out), H_out = floor((H + 2 padding[0] - dilation[0]
          (kernel_size[0] - 1) - 1) / stride[0]) + 1 and W_out alike;
          with ``ceil_mode`` rounded up, except that a window that would begin beyond the end of the input is left out.
        - positions: as output, integers: position of each maximum in its image, counted row by row.

    Returns:
        the call returns the maxima; with ``return_indices`` the pair of maxima and positions.

    Raises:
        ValueError: at the call, if a size is out of range or the rank does not fit.
        TypeError: at the call, if a size is no int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.MaxPool2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> values, at = MaxPool2d(2, return_indices=True)(jnp.array([[[1.0, 3.0], [2.0, 0.0]]]))
        >>> values.tolist(), at.tolist()
        ([[[3.0]]], [[[1]]])
    """

    @overload
    def __init__(
        self: MaxPool2d[jax.Array],
        kernel_size: Sizes,
        stride: Sizes | None = ...,
        padding: Sizes = ...,
        dilation: Sizes = ...,
        return_indices: Literal[False] = ...,
        ceil_mode: bool = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: MaxPool2d[Pair],
        kernel_size: Sizes,
        stride: Sizes | None = ...,
        padding: Sizes = ...,
        dilation: Sizes = ...,
        *,
        return_indices: Literal[True],
        ceil_mode: bool = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: MaxPool2d[jax.Array | Pair],
        kernel_size: Sizes,
        stride: Sizes | None = ...,
        padding: Sizes = ...,
        dilation: Sizes = ...,
        return_indices: bool = ...,
        ceil_mode: bool = ...,
    ) -> None: ...
    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, dilation, return_indices, ceil_mode)

    def forward(self, input: ArrayLike) -> Pooled:
        """The maxima, and with ``return_indices`` their positions."""
        pooled = F.max_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )
        return cast("Pooled", pooled)


class MaxPool3d(_MaxPoolNd[Pooled]):
    """Maximum of each window of a volume.

    As ``MaxPool1d`` along three axes.

    Args:
        kernel_size: depth, height and width of the window: an int for all or three, as all sizes here.
        stride: steps of the window; ``None`` is the kernel size, so that windows do not overlap.
        padding: how many elements, counted as -inf, are added at both ends of each axis; at most half the window.
        dilation: distance between neighbouring elements of the window; 1 leaves no gaps.
        return_indices: whether the positions of the maxima are returned too, for ``MaxUnpool3d``.
        ceil_mode: whether a last window may hang over the end, so that the output is longer.

    Shape:
        - input: (N, C, D, H, W) or (C, D, H, W).
        - output: (N, C, D_out, H_out, W_out) or (C, D_out, H_out, W_out), D_out, H_out and W_out as L_out of
          ``MaxPool1d``, each with its own number.
        - positions: as output, integers: position of each maximum in its volume, counted row by row.

    Returns:
        the call returns the maxima; with ``return_indices`` the pair of maxima and positions.

    Raises:
        ValueError: at the call, if a size is out of range or the rank does not fit.
        TypeError: at the call, if a size is no int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.MaxPool3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> MaxPool3d(2)(jnp.arange(8.0).reshape(1, 2, 2, 2)).tolist()
        [[[[7.0]]]]
    """

    @overload
    def __init__(
        self: MaxPool3d[jax.Array],
        kernel_size: Sizes,
        stride: Sizes | None = ...,
        padding: Sizes = ...,
        dilation: Sizes = ...,
        return_indices: Literal[False] = ...,
        ceil_mode: bool = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: MaxPool3d[Pair],
        kernel_size: Sizes,
        stride: Sizes | None = ...,
        padding: Sizes = ...,
        dilation: Sizes = ...,
        *,
        return_indices: Literal[True],
        ceil_mode: bool = ...,
    ) -> None: ...
    @overload
    def __init__(
        self: MaxPool3d[jax.Array | Pair],
        kernel_size: Sizes,
        stride: Sizes | None = ...,
        padding: Sizes = ...,
        dilation: Sizes = ...,
        return_indices: bool = ...,
        ceil_mode: bool = ...,
    ) -> None: ...
    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, dilation, return_indices, ceil_mode)

    def forward(self, input: ArrayLike) -> Pooled:
        """The maxima, and with ``return_indices`` their positions."""
        pooled = F.max_pool3d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )
        return cast("Pooled", pooled)

"""Pooling layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import ntuple
from fnn.nn.module import Module

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "FractionalMaxPool2d",
    "FractionalMaxPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
]

Sizes = int | Sequence[int]


class _MaxPoolNd(Module):
    """What the max pools share.

    Args:
        kernel_size: lengths of the window.
        stride: steps of the window; ``None`` is the kernel size.
        padding: implicit -inf added on both sides.
        dilation: distance between the window's elements.
        return_indices: whether to return the places of the maxima too.
        ceil_mode: whether to round the output's lengths up.
    """

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


class MaxPool1d(_MaxPoolNd):
    """The maximum of each window of (N, C, L) or (C, L); arguments as torch's.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.MaxPool1d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> MaxPool1d(2)(jnp.ones((1, 3, 8))).shape
        (1, 3, 4)
    """

    def forward(self, input: ArrayLike) -> Any:
        """Pools the input; with ``return_indices`` returns ``(output, indices)``."""
        return F.max_pool1d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )


class MaxPool2d(_MaxPoolNd):
    """The maximum of each window of (N, C, H, W) or (C, H, W); arguments as torch's.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.MaxPool2d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> MaxPool2d(2)(jnp.ones((1, 3, 8, 8))).shape
        (1, 3, 4, 4)
    """

    def forward(self, input: ArrayLike) -> Any:
        """Pools the input; with ``return_indices`` returns ``(output, indices)``."""
        return F.max_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )


class MaxPool3d(_MaxPoolNd):
    """The maximum of each window of (N, C, D, H, W) or (C, D, H, W); arguments as torch's.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.MaxPool3d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> MaxPool3d(2)(jnp.ones((1, 3, 8, 8, 8))).shape
        (1, 3, 4, 4, 4)
    """

    def forward(self, input: ArrayLike) -> Any:
        """Pools the input; with ``return_indices`` returns ``(output, indices)``."""
        return F.max_pool3d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )


class _MaxUnpoolNd(Module):
    """What the max unpools share: the window of the pooling that is undone."""

    _dims: int

    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0) -> None:
        super().__init__()
        name = type(self).__name__
        self.kernel_size = ntuple(name, "kernel_size", kernel_size, self._dims, 1)
        self.stride = ntuple(name, "stride", kernel_size if stride is None else stride, self._dims, 1)
        self.padding = ntuple(name, "padding", padding, self._dims, 0)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpoolNd):
    """Puts the maxima that ``MaxPool1d`` found back to their places, with zeros elsewhere.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.MaxUnpool1d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> out, indices = MaxPool1d(2, return_indices=True)(jnp.ones((1, 1, 4)))
        >>> MaxUnpool1d(2)(out, indices).shape
        (1, 1, 4)
    """

    _dims = 1

    def forward(self, input: ArrayLike, indices: ArrayLike, output_size: Sequence[int] | None = None) -> jax.Array:
        """Places the values; ``output_size`` chooses among the possible lengths."""
        return F.max_unpool1d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool2d(_MaxUnpoolNd):
    """Puts the maxima that ``MaxPool2d`` found back to their places, with zeros elsewhere.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.MaxUnpool2d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> out, indices = MaxPool2d(2, return_indices=True)(jnp.ones((1, 1, 4, 4)))
        >>> MaxUnpool2d(2)(out, indices).shape
        (1, 1, 4, 4)
    """

    _dims = 2

    def forward(self, input: ArrayLike, indices: ArrayLike, output_size: Sequence[int] | None = None) -> jax.Array:
        """Places the values; ``output_size`` chooses among the possible lengths."""
        return F.max_unpool2d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool3d(_MaxUnpoolNd):
    """Puts the maxima that ``MaxPool3d`` found back to their places, with zeros elsewhere.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.MaxUnpool3d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> out, indices = MaxPool3d(2, return_indices=True)(jnp.ones((1, 1, 4, 4, 4)))
        >>> MaxUnpool3d(2)(out, indices).shape
        (1, 1, 4, 4, 4)
    """

    _dims = 3

    def forward(self, input: ArrayLike, indices: ArrayLike, output_size: Sequence[int] | None = None) -> jax.Array:
        """Places the values; ``output_size`` chooses among the possible lengths."""
        return F.max_unpool3d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class AvgPool1d(Module):
    """The mean of each window of (N, C, L) or (C, L).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.AvgPool1d.html.

    Args:
        kernel_size: length of the window.
        stride: steps of the window; ``None`` is the kernel size.
        padding: zeros added at both ends.
        ceil_mode: whether to round the output's length up.
        count_include_pad: whether padding counts as elements of the mean.

    Example:
        >>> import jax.numpy as jnp
        >>> AvgPool1d(2)(jnp.ones((1, 3, 8))).shape
        (1, 3, 4)
    """

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        self.kernel_size = ntuple(name, "kernel_size", kernel_size, 1, 1)
        self.stride = ntuple(name, "stride", kernel_size if stride is None else stride, 1, 1)
        self.padding = ntuple(name, "padding", padding, 1, 0)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: ArrayLike) -> jax.Array:
        """Pools the input."""
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPoolNd(Module):
    """What the 2-D and 3-D average pools share.

    Args:
        kernel_size: lengths of the window.
        stride: steps of the window; ``None`` is the kernel size.
        padding: zeros added on both sides.
        ceil_mode: whether to round the output's lengths up.
        count_include_pad: whether padding counts as elements of the mean.
        divisor_override: divisor used instead of the number of elements.
    """

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_AvgPoolNd):
    """The mean of each window of (N, C, H, W) or (C, H, W).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.AvgPool2d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> AvgPool2d(2)(jnp.ones((1, 3, 8, 8))).shape
        (1, 3, 4, 4)
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Pools the input."""
        return F.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class AvgPool3d(_AvgPoolNd):
    """The mean of each window of (N, C, D, H, W) or (C, D, H, W).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.AvgPool3d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> AvgPool3d(2)(jnp.ones((1, 3, 8, 8, 8))).shape
        (1, 3, 4, 4, 4)
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Pools the input."""
        return F.avg_pool3d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class _LPPoolNd(Module):
    """What the power-average pools share.

    Args:
        norm_type: the exponent p.
        kernel_size: lengths of the window.
        stride: steps of the window; ``None`` is the kernel size.
        ceil_mode: whether to round the output's lengths up.
    """

    def __init__(
        self, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPoolNd):
    """The p-norm of each window: (sum x^p)^(1/p).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LPPool1d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> LPPool1d(2, 2)(jnp.ones((1, 3, 8))).shape
        (1, 3, 4)
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Pools the input."""
        return F.lp_pool1d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class LPPool2d(_LPPoolNd):
    """The p-norm of each window: (sum x^p)^(1/p).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LPPool2d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> LPPool2d(2, 2)(jnp.ones((1, 3, 8, 8))).shape
        (1, 3, 4, 4)
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Pools the input."""
        return F.lp_pool2d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class LPPool3d(_LPPoolNd):
    """The p-norm of each window: (sum x^p)^(1/p).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LPPool3d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> LPPool3d(2, 2)(jnp.ones((1, 3, 8, 8, 8))).shape
        (1, 3, 4, 4, 4)
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Pools the input."""
        return F.lp_pool3d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class _AdaptiveMaxPoolNd(Module):
    """What the adaptive max pools share.

    Args:
        output_size: lengths of the output; ``None`` keeps the input's.
        return_indices: whether to return the places of the maxima too.
    """

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class _AdaptiveAvgPoolNd(Module):
    """What the adaptive average pools share.

    Args:
        output_size: lengths of the output; ``None`` keeps the input's.
    """

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPoolNd):
    """The maximum of windows chosen so that the output has the given lengths.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.AdaptiveMaxPool1d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> AdaptiveMaxPool1d(3)(jnp.ones((1, 3, 8))).shape
        (1, 3, 3)
    """

    def forward(self, input: ArrayLike) -> Any:
        """Pools the input; with ``return_indices`` returns ``(output, indices)``."""
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(_AdaptiveMaxPoolNd):
    """The maximum of windows chosen so that the output has the given lengths.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.AdaptiveMaxPool2d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> AdaptiveMaxPool2d(3)(jnp.ones((1, 3, 8, 8))).shape
        (1, 3, 3, 3)
    """

    def forward(self, input: ArrayLike) -> Any:
        """Pools the input; with ``return_indices`` returns ``(output, indices)``."""
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool3d(_AdaptiveMaxPoolNd):
    """The maximum of windows chosen so that the output has the given lengths.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.AdaptiveMaxPool3d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> AdaptiveMaxPool3d(3)(jnp.ones((1, 3, 8, 8, 8))).shape
        (1, 3, 3, 3, 3)
    """

    def forward(self, input: ArrayLike) -> Any:
        """Pools the input; with ``return_indices`` returns ``(output, indices)``."""
        return F.adaptive_max_pool3d(input, self.output_size, self.return_indices)


class AdaptiveAvgPool1d(_AdaptiveAvgPoolNd):
    """The mean of windows chosen so that the output has the given lengths.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.AdaptiveAvgPool1d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> AdaptiveAvgPool1d(3)(jnp.ones((1, 3, 8))).shape
        (1, 3, 3)
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Pools the input."""
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_AdaptiveAvgPoolNd):
    """The mean of windows chosen so that the output has the given lengths.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.AdaptiveAvgPool2d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> AdaptiveAvgPool2d(3)(jnp.ones((1, 3, 8, 8))).shape
        (1, 3, 3, 3)
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Pools the input."""
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool3d(_AdaptiveAvgPoolNd):
    """The mean of windows chosen so that the output has the given lengths.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.AdaptiveAvgPool3d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> AdaptiveAvgPool3d(3)(jnp.ones((1, 3, 8, 8, 8))).shape
        (1, 3, 3, 3, 3)
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Pools the input."""
        return F.adaptive_avg_pool3d(input, self.output_size)


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

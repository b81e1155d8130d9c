"""Pooling layers of a given output size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Literal, TypeAlias, cast, overload

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.module import Module
from fnn.nn.modules.pooling.base import Pair, Pooled

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
]

OptionalSizes: TypeAlias = int | Sequence[int | None] | None


class _AdaptiveMaxPoolNd(Module, Generic[Pooled]):
    """The base of the adaptive max pools: the output size, and whether positions are returned."""

    def __init__(self, output_size: OptionalSizes, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class _AdaptiveAvgPoolNd(Module):
    """The base of the adaptive average pools: the output size."""

    def __init__(self, output_size: OptionalSizes) -> None:
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPoolNd[Pooled]):
    r"""Maxima of as many windows of a sequence as the output is to have elements.

    .. math::

        y_{c, i} = \max_{a_i \le l < b_i} x_{c, l},
        a_i = \lfloor i L / L_{out} \rfloor, \; b_i = \lceil (i + 1) L / L_{out} \rceil

    Args:
        output_size: the length of the output; ``None`` keeps that of the input.
        return_indices: whether the positions of the maxima are returned too, for ``MaxUnpool1d``.

    Shape:
        - input: (N, C, L) or (C, L).
        - output: (N, C, L_out) or (C, L_out), sizes as ``output_size``.
        - positions: as output, integers: position of each maximum along its row.

    Returns:
        the call returns the maxima; with ``return_indices`` the pair of maxima and positions.

    Raises:
        ValueError: at the call, if ``output_size`` is out of range or the rank does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.AdaptiveMaxPool1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> AdaptiveMaxPool1d(2)(jnp.array([[1.0, 3.0, 2.0, 0.0]])).tolist()
        [[3.0, 2.0]]
    """

    @overload
    def __init__(
        self: AdaptiveMaxPool1d[jax.Array], output_size: OptionalSizes, return_indices: Literal[False] = ...
    ) -> None: ...
    @overload
    def __init__(self: AdaptiveMaxPool1d[Pair], output_size: OptionalSizes, return_indices: Literal[True]) -> None: ...
    @overload
    def __init__(
        self: AdaptiveMaxPool1d[jax.Array | Pair], output_size: OptionalSizes, return_indices: bool = ...
    ) -> None: ...
    def __init__(self, output_size: OptionalSizes, return_indices: bool = False) -> None:
        super().__init__(output_size, return_indices)

    def forward(self, input: ArrayLike) -> Pooled:
        """The maxima, and with ``return_indices`` their positions."""
        return cast("Pooled", F.adaptive_max_pool1d(input, self.output_size, self.return_indices))


class AdaptiveMaxPool2d(_AdaptiveMaxPoolNd[Pooled]):
    """Maxima of as many windows of an image as the output is to have elements.

    As ``AdaptiveMaxPool1d`` along two axes.

    Args:
        output_size: height and width of the output: an int for both or a pair; ``None`` keeps the length of the input.
        return_indices: whether the positions of the maxima are returned too, for ``MaxUnpool2d``.

    Shape:
        - input: (N, C, H, W) or (C, H, W).
        - output: (N, C, H_out, W_out) or (C, H_out, W_out), sizes as ``output_size``.
        - positions: as output, integers: position of each maximum in its image, counted row by row.

    Returns:
        the call returns the maxima; with ``return_indices`` the pair of maxima and positions.

    Raises:
        ValueError: at the call, if ``output_size`` is out of range or the rank does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.AdaptiveMaxPool2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> AdaptiveMaxPool2d((None, 1))(jnp.array([[[1.0, 3.0], [2.0, 6.0]]])).tolist()
        [[[3.0], [6.0]]]
    """

    @overload
    def __init__(
        self: AdaptiveMaxPool2d[jax.Array], output_size: OptionalSizes, return_indices: Literal[False] = ...
    ) -> None: ...
    @overload
    def __init__(self: AdaptiveMaxPool2d[Pair], output_size: OptionalSizes, return_indices: Literal[True]) -> None: ...
    @overload
    def __init__(
        self: AdaptiveMaxPool2d[jax.Array | Pair], output_size: OptionalSizes, return_indices: bool = ...
    ) -> None: ...
    def __init__(self, output_size: OptionalSizes, return_indices: bool = False) -> None:
        super().__init__(output_size, return_indices)

    def forward(self, input: ArrayLike) -> Pooled:
        """The maxima, and with ``return_indices`` their positions."""
        return cast("Pooled", F.adaptive_max_pool2d(input, self.output_size, self.return_indices))


class AdaptiveMaxPool3d(_AdaptiveMaxPoolNd[Pooled]):
    """Maxima of as many windows of a volume as the output is to have elements.

    As ``AdaptiveMaxPool1d`` along three axes.

    Args:
        output_size: depth, height and width of the output: an int for all or three numbers; ``None`` keeps the length
            of the input.
        return_indices: whether the positions of the maxima are returned too, for ``MaxUnpool3d``.

    Shape:
        - input: (N, C, D, H, W) or (C, D, H, W).
        - output: (N, C, D_out, H_out, W_out) or (C, D_out, H_out, W_out), sizes as ``output_size``.
        - positions: as output, integers: position of each maximum in its volume, counted row by row.

    Returns:
        the call returns the maxima; with ``return_indices`` the pair of maxima and positions.

    Raises:
        ValueError: at the call, if ``output_size`` is out of range or the rank does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.AdaptiveMaxPool3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> values, at = AdaptiveMaxPool3d(1, return_indices=True)(jnp.arange(8.0).reshape(1, 2, 2, 2))
        >>> values.item(), at.item()
        (7.0, 7)
    """

    @overload
    def __init__(
        self: AdaptiveMaxPool3d[jax.Array], output_size: OptionalSizes, return_indices: Literal[False] = ...
    ) -> None: ...
    @overload
    def __init__(self: AdaptiveMaxPool3d[Pair], output_size: OptionalSizes, return_indices: Literal[True]) -> None: ...
    @overload
    def __init__(
        self: AdaptiveMaxPool3d[jax.Array | Pair], output_size: OptionalSizes, return_indices: bool = ...
    ) -> None: ...
    def __init__(self, output_size: OptionalSizes, return_indices: bool = False) -> None:
        super().__init__(output_size, return_indices)

    def forward(self, input: ArrayLike) -> Pooled:
        """The maxima, and with ``return_indices`` their positions."""
        return cast("Pooled", F.adaptive_max_pool3d(input, self.output_size, self.return_indices))


class AdaptiveAvgPool1d(_AdaptiveAvgPoolNd):
    r"""Means of as many windows of a sequence as the output is to have elements.

    .. math::

        y_{c, i} = \frac{1}{b_i - a_i} \sum_{a_i \le l < b_i} x_{c, l},
        a_i = \lfloor i L / L_{out} \rfloor, \; b_i = \lceil (i + 1) L / L_{out} \rceil

    Args:
        output_size: the length of the output; ``None`` keeps that of the input.

    Shape:
        - input: (N, C, L) or (C, L).
        - output: (N, C, L_out) or (C, L_out), sizes as ``output_size``.

    Raises:
        ValueError: at the call, if ``output_size`` is out of range or the rank does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.AdaptiveAvgPool1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> AdaptiveAvgPool1d(2)(jnp.array([[1.0, 3.0, 2.0, 0.0]])).tolist()
        [[2.0, 1.0]]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """The means."""
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_AdaptiveAvgPoolNd):
    """Means of as many windows of an image as the output is to have elements.

    As ``AdaptiveAvgPool1d`` along two axes.

    Args:
        output_size: height and width of the output: an int for both or a pair; ``None`` keeps the length of the input.

    Shape:
        - input: (N, C, H, W) or (C, H, W).
        - output: (N, C, H_out, W_out) or (C, H_out, W_out), sizes as ``output_size``.

    Raises:
        ValueError: at the call, if ``output_size`` is out of range or the rank does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.AdaptiveAvgPool2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> AdaptiveAvgPool2d((None, 1))(jnp.array([[[1.0, 3.0], [2.0, 6.0]]])).tolist()
        [[[2.0], [4.0]]]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """The means."""
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool3d(_AdaptiveAvgPoolNd):
    """Means of as many windows of a volume as the output is to have elements.

    As ``AdaptiveAvgPool1d`` along three axes.

    Args:
        output_size: depth, height and width of the output: an int for all or three numbers; ``None`` keeps the length
            of the input.

    Shape:
        - input: (N, C, D, H, W) or (C, D, H, W).
        - output: (N, C, D_out, H_out, W_out) or (C, D_out, H_out, W_out), sizes as ``output_size``.

    Raises:
        ValueError: at the call, if ``output_size`` is out of range or the rank does not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.AdaptiveAvgPool3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> AdaptiveAvgPool3d(1)(jnp.arange(8.0).reshape(1, 2, 2, 2)).tolist()
        [[[[3.5]]]]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """The means."""
        return F.adaptive_avg_pool3d(input, self.output_size)

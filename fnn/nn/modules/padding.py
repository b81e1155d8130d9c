"""Padding layers."""

from __future__ import annotations

from collections.abc import Sequence

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import ntuple
from fnn.nn.modules.module import Module

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]


class _PadNd(Module):
    """Pads the trailing axes; ``padding`` is one int, or two ints an axis, the last axis first."""

    _dims: int
    _mode: str

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__()
        self.padding = ntuple(type(self).__name__, "padding", padding, 2 * self._dims)

    def forward(self, input: ArrayLike) -> jax.Array:
        """The padded input."""
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPadNd(_PadNd):
    _mode = "constant"

    def __init__(self, padding: int | Sequence[int], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: ArrayLike) -> jax.Array:
        """The padded input."""
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class CircularPad1d(_PadNd):
    """Pads the last 1 axis by wrapping around.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.CircularPad1d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> CircularPad1d(1)(jnp.ones((1, 1, 3))).shape
        (1, 1, 5)
    """

    _dims = 1
    _mode = "circular"


class CircularPad2d(_PadNd):
    """Pads the last 2 axes by wrapping around.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.CircularPad2d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> CircularPad2d(1)(jnp.ones((1, 1, 3, 3))).shape
        (1, 1, 5, 5)
    """

    _dims = 2
    _mode = "circular"


class CircularPad3d(_PadNd):
    """Pads the last 3 axes by wrapping around.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.CircularPad3d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> CircularPad3d(1)(jnp.ones((1, 1, 3, 3, 3))).shape
        (1, 1, 5, 5, 5)
    """

    _dims = 3
    _mode = "circular"


class ReflectionPad1d(_PadNd):
    """Pads the last 1 axis by reflection at the edge elements.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.ReflectionPad1d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> ReflectionPad1d(1)(jnp.ones((1, 1, 3))).shape
        (1, 1, 5)
    """

    _dims = 1
    _mode = "reflect"


class ReflectionPad2d(_PadNd):
    """Pads the last 2 axes by reflection at the edge elements.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.ReflectionPad2d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> ReflectionPad2d(1)(jnp.ones((1, 1, 3, 3))).shape
        (1, 1, 5, 5)
    """

    _dims = 2
    _mode = "reflect"


class ReflectionPad3d(_PadNd):
    """Pads the last 3 axes by reflection at the edge elements.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.ReflectionPad3d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> ReflectionPad3d(1)(jnp.ones((1, 1, 3, 3, 3))).shape
        (1, 1, 5, 5, 5)
    """

    _dims = 3
    _mode = "reflect"


class ReplicationPad1d(_PadNd):
    """Pads the last 1 axis with copies of the edge elements.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.ReplicationPad1d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> ReplicationPad1d(1)(jnp.ones((1, 1, 3))).shape
        (1, 1, 5)
    """

    _dims = 1
    _mode = "replicate"


class ReplicationPad2d(_PadNd):
    """Pads the last 2 axes with copies of the edge elements.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.ReplicationPad2d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> ReplicationPad2d(1)(jnp.ones((1, 1, 3, 3))).shape
        (1, 1, 5, 5)
    """

    _dims = 2
    _mode = "replicate"


class ReplicationPad3d(_PadNd):
    """Pads the last 3 axes with copies of the edge elements.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.ReplicationPad3d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> ReplicationPad3d(1)(jnp.ones((1, 1, 3, 3, 3))).shape
        (1, 1, 5, 5, 5)
    """

    _dims = 3
    _mode = "replicate"


class ConstantPad1d(_ConstantPadNd):
    """Pads the last 1 axis with ``value``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.ConstantPad1d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> ConstantPad1d(1, 3.5)(jnp.ones((1, 1, 3))).shape
        (1, 1, 5)
    """

    _dims = 1


class ConstantPad2d(_ConstantPadNd):
    """Pads the last 2 axes with ``value``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.ConstantPad2d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> ConstantPad2d(1, 3.5)(jnp.ones((1, 1, 3, 3))).shape
        (1, 1, 5, 5)
    """

    _dims = 2


class ConstantPad3d(_ConstantPadNd):
    """Pads the last 3 axes with ``value``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.ConstantPad3d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> ConstantPad3d(1, 3.5)(jnp.ones((1, 1, 3, 3, 3))).shape
        (1, 1, 5, 5, 5)
    """

    _dims = 3


class ZeroPad1d(_ConstantPadNd):
    """Pads the last 1 axis with zeros.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.ZeroPad1d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> ZeroPad1d(1)(jnp.ones((1, 1, 3))).shape
        (1, 1, 5)
    """

    _dims = 1

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad2d(_ConstantPadNd):
    """Pads the last 2 axes with zeros.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.ZeroPad2d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> ZeroPad2d(1)(jnp.ones((1, 1, 3, 3))).shape
        (1, 1, 5, 5)
    """

    _dims = 2

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad3d(_ConstantPadNd):
    """Pads the last 3 axes with zeros.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.ZeroPad3d.html.

    Example:
        >>> import jax.numpy as jnp
        >>> ZeroPad3d(1)(jnp.ones((1, 1, 3, 3, 3))).shape
        (1, 1, 5, 5, 5)
    """

    _dims = 3

    def __init__(self, padding: int | Sequence[int]) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"

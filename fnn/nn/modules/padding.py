"""Padding layers."""

from __future__ import annotations

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import ntuple
from fnn.nn.modules.module import Module
from fnn.nn.modules.utils import Sizes

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

    padding: tuple[int, ...]
    _dims: int
    _mode: str

    def __init__(self, padding: Sizes) -> None:
        super().__init__()
        self.padding = ntuple(type(self).__name__, "padding", padding, 2 * self._dims)

    def forward(self, input: ArrayLike) -> jax.Array:
        """The padded input."""
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPadNd(_PadNd):
    """Pads with one value."""

    _mode = "constant"

    def __init__(self, padding: Sizes, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: ArrayLike) -> jax.Array:
        """The padded input."""
        return F.pad(input, self.padding, self._mode, self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class _ZeroPadNd(_ConstantPadNd):
    """Pads with zeros."""

    def __init__(self, padding: Sizes) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class CircularPad1d(_PadNd):
    r"""Pads a sequence at both ends with what comes from the other end, as if it went round in a circle.

    .. math:: y_i = x_{(i - p) \bmod n}

    where p elements are added before the n that there are.

    Args:
        padding: how many elements to add: an int for both ends, or (left, right). A negative number cuts elements off.

    Shape:
        - input: (C, L) or (N, C, L).
        - output: as input, with L + left + right in place of L.

    Raises:
        ValueError: if ``padding`` has neither 1 nor 2 numbers; at the call, if a number is larger than its axis is
            long, the rank does not fit or more is cut off than there is.
        TypeError: if a number is no int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.CircularPad1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> CircularPad1d(1)(jnp.array([[1, 2, 3]])).tolist()
        [[3, 1, 2, 3, 1]]
    """

    _dims = 1
    _mode = "circular"


class CircularPad2d(_PadNd):
    """Pads an image on all sides with what comes from the other end, as if it went round in a circle.

    As ``CircularPad1d`` along two axes.

    Args:
        padding: how many elements to add: an int for all sides, or (left, right, top, bottom). A negative number cuts
            elements off.

    Shape:
        - input: (C, H, W) or (N, C, H, W).
        - output: as input, with H + top + bottom and W + left + right in place of H and W.

    Raises:
        ValueError: if ``padding`` has neither 1 nor 4 numbers; at the call, if a number is larger than its axis is
            long, the rank does not fit or more is cut off than there is.
        TypeError: if a number is no int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.CircularPad2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> CircularPad2d((1, 0, 0, 0))(jnp.array([[[1, 2], [3, 4]]])).tolist()
        [[[2, 1, 2], [4, 3, 4]]]
    """

    _dims = 2
    _mode = "circular"


class CircularPad3d(_PadNd):
    """Pads a volume on all sides with what comes from the other end, as if it went round in a circle.

    As ``CircularPad1d`` along three axes.

    Args:
        padding: how many elements to add: an int for all sides, or (left, right, top, bottom, front, back). A negative
            number cuts elements off.

    Shape:
        - input: (C, D, H, W) or (N, C, D, H, W).
        - output: as input, with D + front + back, H + top + bottom and W + left + right in place of D, H and W.

    Raises:
        ValueError: if ``padding`` has neither 1 nor 6 numbers; at the call, if a number is larger than its axis is
            long, the rank does not fit or more is cut off than there is.
        TypeError: if a number is no int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.CircularPad3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> CircularPad3d(1)(jnp.ones((1, 2, 3, 4))).shape
        (1, 4, 5, 6)
    """

    _dims = 3
    _mode = "circular"


class ReflectionPad1d(_PadNd):
    r"""Pads a sequence at both ends with its mirror image; the edge element itself is not repeated.

    .. math:: y_i = x_{|i - p|} \text{ before the end}, \quad x_{2 (n - 1) - (i - p)} \text{ after it}

    where p elements are added before the n that there are.

    Args:
        padding: how many elements to add: an int for both ends, or (left, right). A negative number cuts elements off.

    Shape:
        - input: (C, L) or (N, C, L).
        - output: as input, with L + left + right in place of L.

    Raises:
        ValueError: if ``padding`` has neither 1 nor 2 numbers; at the call, if a number is not smaller than the length
            of its axis, the rank does not fit or more is cut off than there is.
        TypeError: if a number is no int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.ReflectionPad1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> ReflectionPad1d(1)(jnp.array([[1, 2, 3]])).tolist()
        [[2, 1, 2, 3, 2]]
    """

    _dims = 1
    _mode = "reflect"


class ReflectionPad2d(_PadNd):
    """Pads an image on all sides with its mirror image; the edge element itself is not repeated.

    As ``ReflectionPad1d`` along two axes.

    Args:
        padding: how many elements to add: an int for all sides, or (left, right, top, bottom). A negative number cuts
            elements off.

    Shape:
        - input: (C, H, W) or (N, C, H, W).
        - output: as input, with H + top + bottom and W + left + right in place of H and W.

    Raises:
        ValueError: if ``padding`` has neither 1 nor 4 numbers; at the call, if a number is not smaller than the length
            of its axis, the rank does not fit or more is cut off than there is.
        TypeError: if a number is no int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.ReflectionPad2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> ReflectionPad2d((0, 0, 1, 0))(jnp.array([[[1, 2], [3, 4]]])).tolist()
        [[[3, 4], [1, 2], [3, 4]]]
    """

    _dims = 2
    _mode = "reflect"


class ReflectionPad3d(_PadNd):
    """Pads a volume on all sides with its mirror image; the edge element itself is not repeated.

    As ``ReflectionPad1d`` along three axes.

    Args:
        padding: how many elements to add: an int for all sides, or (left, right, top, bottom, front, back). A negative
            number cuts elements off.

    Shape:
        - input: (C, D, H, W) or (N, C, D, H, W).
        - output: as input, with D + front + back, H + top + bottom and W + left + right in place of D, H and W.

    Raises:
        ValueError: if ``padding`` has neither 1 nor 6 numbers; at the call, if a number is not smaller than the length
            of its axis, the rank does not fit or more is cut off than there is.
        TypeError: if a number is no int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.ReflectionPad3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> ReflectionPad3d(1)(jnp.ones((1, 2, 3, 4))).shape
        (1, 4, 5, 6)
    """

    _dims = 3
    _mode = "reflect"


class ReplicationPad1d(_PadNd):
    r"""Pads a sequence at both ends with copies of the edge element.

    .. math:: y_i = x_{\min(\max(i - p, 0), n - 1)}

    where p elements are added before the n that there are.

    Args:
        padding: how many elements to add: an int for both ends, or (left, right). A negative number cuts elements off.

    Shape:
        - input: (C, L) or (N, C, L).
        - output: as input, with L + left + right in place of L.

    Raises:
        ValueError: if ``padding`` has neither 1 nor 2 numbers; at the call, if the rank does not fit or more is cut off
            than there is.
        TypeError: if a number is no int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.ReplicationPad1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> ReplicationPad1d((1, 2))(jnp.array([[1, 2, 3]])).tolist()
        [[1, 1, 2, 3, 3, 3]]
    """

    _dims = 1
    _mode = "replicate"


class ReplicationPad2d(_PadNd):
    """Pads an image on all sides with copies of the edge element.

    As ``ReplicationPad1d`` along two axes.

    Args:
        padding: how many elements to add: an int for all sides, or (left, right, top, bottom). A negative number cuts
            elements off.

    Shape:
        - input: (C, H, W) or (N, C, H, W).
        - output: as input, with H + top + bottom and W + left + right in place of H and W.

    Raises:
        ValueError: if ``padding`` has neither 1 nor 4 numbers; at the call, if the rank does not fit or more is cut off
            than there is.
        TypeError: if a number is no int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.ReplicationPad2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> ReplicationPad2d((0, 0, 1, 0))(jnp.array([[[1, 2], [3, 4]]])).tolist()
        [[[1, 2], [1, 2], [3, 4]]]
    """

    _dims = 2
    _mode = "replicate"


class ReplicationPad3d(_PadNd):
    """Pads a volume on all sides with copies of the edge element.

    As ``ReplicationPad1d`` along three axes.

    Args:
        padding: how many elements to add: an int for all sides, or (left, right, top, bottom, front, back). A negative
            number cuts elements off.

    Shape:
        - input: (C, D, H, W) or (N, C, D, H, W).
        - output: as input, with D + front + back, H + top + bottom and W + left + right in place of D, H and W.

    Raises:
        ValueError: if ``padding`` has neither 1 nor 6 numbers; at the call, if the rank does not fit or more is cut off
            than there is.
        TypeError: if a number is no int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.ReplicationPad3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> ReplicationPad3d((1, 2, 0, 0, 0, 3))(jnp.ones((1, 2, 3, 4))).shape
        (1, 5, 3, 7)
    """

    _dims = 3
    _mode = "replicate"


class ConstantPad1d(_ConstantPadNd):
    r"""Pads a sequence at both ends with one value.

    .. math:: y_i = x_{i - p} \text{ if } 0 \le i - p < n, \text{ else value}

    where p elements are added before the n that there are.

    Args:
        padding: how many elements to add: an int for both ends, or (left, right). A negative number cuts elements off.
        value: what is added; converted to the dtype of the input.

    Shape:
        - input: (*, L).
        - output: as input, with L + left + right in place of L.

    Raises:
        ValueError: if ``padding`` has neither 1 nor 2 numbers; at the call, if more is cut off than there is.
        TypeError: if a number is no int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.ConstantPad1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> ConstantPad1d((2, 0), 7)(jnp.array([[1, 2, 3]])).tolist()
        [[7, 7, 1, 2, 3]]
    """

    _dims = 1


class ConstantPad2d(_ConstantPadNd):
    """Pads an image on all sides with one value.

    As ``ConstantPad1d`` along two axes.

    Args:
        padding: how many elements to add: an int for all sides, or (left, right, top, bottom). A negative number cuts
            elements off.
        value: what is added; converted to the dtype of the input.

    Shape:
        - input: (*, H, W).
        - output: as input, with H + top + bottom and W + left + right in place of H and W.

    Raises:
        ValueError: if ``padding`` has neither 1 nor 4 numbers; at the call, if more is cut off than there is.
        TypeError: if a number is no int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.ConstantPad2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> ConstantPad2d((1, 0, 0, 0), 7)(jnp.array([[[1, 2], [3, 4]]])).tolist()
        [[[7, 1, 2], [7, 3, 4]]]
    """

    _dims = 2


class ConstantPad3d(_ConstantPadNd):
    """Pads a volume on all sides with one value.

    As ``ConstantPad1d`` along three axes.

    Args:
        padding: how many elements to add: an int for all sides, or (left, right, top, bottom, front, back). A negative
            number cuts elements off.
        value: what is added; converted to the dtype of the input.

    Shape:
        - input: (*, D, H, W).
        - output: as input, with D + front + back, H + top + bottom and W + left + right in place of D, H and W.

    Raises:
        ValueError: if ``padding`` has neither 1 nor 6 numbers; at the call, if more is cut off than there is.
        TypeError: if a number is no int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.ConstantPad3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> ConstantPad3d(1, 3.5)(jnp.ones((1, 2, 3, 4))).shape
        (1, 4, 5, 6)
    """

    _dims = 3


class ZeroPad1d(_ZeroPadNd):
    r"""Pads a sequence at both ends with zeros.

    .. math:: y_i = x_{i - p} \text{ if } 0 \le i - p < n, \text{ else } 0

    where p elements are added before the n that there are.

    Args:
        padding: how many elements to add: an int for both ends, or (left, right). A negative number cuts elements off.

    Shape:
        - input: (*, L).
        - output: as input, with L + left + right in place of L.

    Raises:
        ValueError: if ``padding`` has neither 1 nor 2 numbers; at the call, if more is cut off than there is.
        TypeError: if a number is no int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.ZeroPad1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> ZeroPad1d((1, -1))(jnp.array([[1, 2, 3]])).tolist()
        [[0, 1, 2]]
    """

    _dims = 1


class ZeroPad2d(_ZeroPadNd):
    """Pads an image on all sides with zeros.

    As ``ZeroPad1d`` along two axes.

    Args:
        padding: how many elements to add: an int for all sides, or (left, right, top, bottom). A negative number cuts
            elements off.

    Shape:
        - input: (*, H, W).
        - output: as input, with H + top + bottom and W + left + right in place of H and W.

    Raises:
        ValueError: if ``padding`` has neither 1 nor 4 numbers; at the call, if more is cut off than there is.
        TypeError: if a number is no int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.ZeroPad2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> ZeroPad2d((0, 0, 0, 1))(jnp.array([[[1, 2], [3, 4]]])).tolist()
        [[[1, 2], [3, 4], [0, 0]]]
    """

    _dims = 2


class ZeroPad3d(_ZeroPadNd):
    """Pads a volume on all sides with zeros.

    As ``ZeroPad1d`` along three axes.

    Args:
        padding: how many elements to add: an int for all sides, or (left, right, top, bottom, front, back). A negative
            number cuts elements off.

    Shape:
        - input: (*, D, H, W).
        - output: as input, with D + front + back, H + top + bottom and W + left + right in place of D, H and W.

    Raises:
        ValueError: if ``padding`` has neither 1 nor 6 numbers; at the call, if more is cut off than there is.
        TypeError: if a number is no int.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.ZeroPad3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> ZeroPad3d((0, 0, 0, 0, 1, 0))(jnp.ones((1, 2, 3, 4))).shape
        (1, 3, 3, 4)
    """

    _dims = 3

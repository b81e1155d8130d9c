"""Activation layers made of straight pieces: rectifiers, hard forms, shrinkage, thresholds."""

from __future__ import annotations

import warnings
from typing import Any

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.init import constant_
from fnn.nn.modules.activation.base import _InPlace
from fnn.nn.modules.module import Module
from fnn.nn.modules.utils import check_sizes
from fnn.nn.parameter import Parameter
from fnn.nn.placement import empty

__all__ = [
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "Softshrink",
    "Threshold",
]


class Threshold(Module):
    """x where x > threshold, else ``value``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Threshold.html.

    Example:
        >>> import numpy as np
        >>> Threshold(0.5, 9.0)(np.array([0.0, 1.0])).tolist()
        [9.0, 1.0]
    """

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold = threshold
        self.value = value
        self.inplace = inplace

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function elementwise."""
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        tail = ", inplace=True" if self.inplace else ""
        return f"threshold={self.threshold}, value={self.value}{tail}"


class ReLU(_InPlace):
    """max(0, x).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.ReLU.html.

    Example:
        >>> import numpy as np
        >>> ReLU()(np.array([-1.0, 1.0])).tolist()
        [0.0, 1.0]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function elementwise."""
        return F.relu(input, self.inplace)


class RReLU(Module):
    """x for x >= 0, else a x with ``a`` uniform in [lower, upper] in training mode and their mean in evaluation.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.RReLU.html.

    Example:
        >>> import numpy as np
        >>> RReLU(0.5, 0.5).eval()(np.array([-1.0, 1.0])).tolist()
        [-0.5, 1.0]
    """

    def __init__(self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False) -> None:
        super().__init__()
        self.lower = lower
        self.upper = upper
        self.inplace = inplace

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function elementwise."""
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self) -> str:
        tail = ", inplace=True" if self.inplace else ""
        return f"lower={self.lower}, upper={self.upper}{tail}"


class Hardtanh(Module):
    """x clipped to [min_val, max_val].

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Hardtanh.html.

    Args:
        min_val: lower bound.
        max_val: upper bound.
        inplace: accepted and ignored.
        min_value: deprecated name of ``min_val``.
        max_value: deprecated name of ``max_val``.

    Raises:
        ValueError: if ``max_val`` is not above ``min_val``.

    Example:
        >>> import numpy as np
        >>> Hardtanh()(np.array([-2.0, 0.5])).tolist()
        [-1.0, 0.5]
    """

    def __init__(
        self,
        min_val: float = -1.0,
        max_val: float = 1.0,
        inplace: bool = False,
        min_value: float | None = None,
        max_value: float | None = None,
    ) -> None:
        super().__init__()
        for name, value in (("min", min_value), ("max", max_value)):
            if value is not None:
                message = f"keyword argument `{name}_value` is deprecated and renamed to `{name}_val`"
                warnings.warn(message, FutureWarning, stacklevel=2)
        min_val = min_val if min_value is None else min_value
        max_val = max_val if max_value is None else max_value
        if not max_val > min_val:
            raise ValueError(f"{type(self).__name__}: max_val must be larger than min_val, got {max_val} and {min_val}")
        self.min_val = min_val
        self.max_val = max_val
        self.inplace = inplace

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function elementwise."""
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        tail = ", inplace=True" if self.inplace else ""
        return f"min_val={self.min_val}, max_val={self.max_val}{tail}"


class ReLU6(Hardtanh):
    """min(max(0, x), 6).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.ReLU6.html.

    Example:
        >>> import numpy as np
        >>> ReLU6()(np.array([-2.0, 7.0])).tolist()
        [0.0, 6.0]
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class Hardsigmoid(_InPlace):
    """relu6(x + 3) / 6.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Hardsigmoid.html.

    Example:
        >>> import numpy as np
        >>> Hardsigmoid()(np.array([0.0])).tolist()
        [0.5]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function elementwise."""
        return F.hardsigmoid(input, self.inplace)

    def extra_repr(self) -> str:
        return ""


class Hardswish(_InPlace):
    """x relu6(x + 3) / 6.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Hardswish.html.

    Example:
        >>> import numpy as np
        >>> Hardswish()(np.array([3.0])).tolist()
        [3.0]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function elementwise."""
        return F.hardswish(input, self.inplace)

    def extra_repr(self) -> str:
        return ""


class Hardshrink(Module):
    """x where abs(x) > lambd, else 0.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Hardshrink.html.

    Example:
        >>> import numpy as np
        >>> Hardshrink()(np.array([0.25, 1.0])).tolist()
        [0.0, 1.0]
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function elementwise."""
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return f"{self.lambd}"


class LeakyReLU(Module):
    """x for x >= 0, else negative_slope x.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LeakyReLU.html.

    Example:
        >>> import numpy as np
        >>> LeakyReLU(0.5)(np.array([-1.0, 1.0])).tolist()
        [-0.5, 1.0]
    """

    def __init__(self, negative_slope: float = 1e-2, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function elementwise."""
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}" + (", inplace=True" if self.inplace else "")


class Softshrink(Module):
    """x moved towards 0 by ``lambd``, and 0 within it.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Softshrink.html.

    Example:
        >>> import numpy as np
        >>> Softshrink()(np.array([0.25, 1.0])).tolist()
        [0.0, 0.5]
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function elementwise."""
        return F.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class PReLU(Module):
    """x for x >= 0, else a x with a learned slope ``a``, one in all or one a channel (He et al., 2015).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.PReLU.html.

    Args:
        num_parameters: 1, or the number of channels.
        init: first value of the slopes.
        device: where the parameter is put.
        dtype: its dtype.

    Example:
        >>> import numpy as np
        >>> PReLU()(np.array([-1.0, 1.0], np.float32)).tolist()
        [-0.25, 1.0]
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        check_sizes("PReLU", num_parameters=num_parameters)
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(empty((num_parameters,), device, dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets every slope to ``init``."""
        constant_(self.weight, self.init)

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function elementwise."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"

"""Activation layers: one thin class for every activation function."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import jax.numpy as jnp

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.init import constant_
from fnn.nn.module import Module
from fnn.nn.parameter import Parameter
from fnn.nn.placement import empty
from fnn.nn.sizes import check_sizes

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SELU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]


class _InPlace(Module):
    """An activation whose only argument is ``inplace``, which is accepted and ignored."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


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


class Sigmoid(Module):
    """1 / (1 + exp(-x)).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Sigmoid.html.

    Example:
        >>> import numpy as np
        >>> Sigmoid()(np.array([0.0])).tolist()
        [0.5]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function elementwise."""
        return F.sigmoid(input)


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


class Tanh(Module):
    """tanh(x).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Tanh.html.

    Example:
        >>> import numpy as np
        >>> Tanh()(np.array([0.0])).tolist()
        [0.0]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function elementwise."""
        return F.tanh(input)


class SiLU(_InPlace):
    """x sigmoid(x).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.SiLU.html.

    Example:
        >>> import numpy as np
        >>> SiLU()(np.array([0.0])).tolist()
        [0.0]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function elementwise."""
        return F.silu(input, self.inplace)


class Mish(_InPlace):
    """x tanh(softplus(x)).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Mish.html.

    Example:
        >>> import numpy as np
        >>> Mish()(np.array([0.0])).tolist()
        [0.0]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function elementwise."""
        return F.mish(input, self.inplace)


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


class ELU(Module):
    """x for x > 0, else alpha (exp(x) - 1).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.ELU.html.

    Example:
        >>> import numpy as np
        >>> ELU()(np.array([0.0, 1.0])).tolist()
        [0.0, 1.0]
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function elementwise."""
        return F.elu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class CELU(ELU):
    """max(0, x) + min(0, alpha (exp(x / alpha) - 1)).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.CELU.html.

    Example:
        >>> import numpy as np
        >>> CELU()(np.array([0.0, 1.0])).tolist()
        [0.0, 1.0]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function elementwise."""
        return F.celu(input, self.alpha, self.inplace)


class SELU(_InPlace):
    """ELU scaled so that activations keep mean 0 and variance 1 (Klambauer et al., 2017).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.SELU.html.

    Example:
        >>> import numpy as np
        >>> SELU()(np.array([0.0])).tolist()
        [0.0]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function elementwise."""
        return F.selu(input, self.inplace)


class GLU(Module):
    """a sigmoid(b), where a and b are the halves of the input along ``dim``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.GLU.html.

    Example:
        >>> import numpy as np
        >>> GLU()(np.array([2.0, 0.0])).tolist()
        [1.0]
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: ArrayLike) -> jax.Array:
        """Gates one half by the other."""
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class GELU(Module):
    """x times the normal distribution function at x, or its tanh approximation.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.GELU.html.

    Example:
        >>> import numpy as np
        >>> GELU()(np.array([0.0])).tolist()
        [0.0]
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function elementwise."""
        return F.gelu(input, approximate=self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


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


class LogSigmoid(Module):
    """log(sigmoid(x)).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LogSigmoid.html.

    Example:
        >>> import numpy as np
        >>> round(float(LogSigmoid()(np.array(0.0))), 4)
        -0.6931
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function elementwise."""
        return F.logsigmoid(input)


class Softplus(Module):
    """log(1 + exp(beta x)) / beta, and x where beta x > threshold.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Softplus.html.

    Example:
        >>> import numpy as np
        >>> round(float(Softplus()(np.array(0.0))), 4)
        0.6931
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function elementwise."""
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


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


class Softsign(Module):
    """x / (1 + abs(x)).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Softsign.html.

    Example:
        >>> import numpy as np
        >>> Softsign()(np.array([1.0])).tolist()
        [0.5]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function elementwise."""
        return F.softsign(input)


class Tanhshrink(Module):
    """x - tanh(x).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Tanhshrink.html.

    Example:
        >>> import numpy as np
        >>> Tanhshrink()(np.array([0.0])).tolist()
        [0.0]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function elementwise."""
        return F.tanhshrink(input)


class Softmin(Module):
    """softmax(-x) along ``dim``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Softmin.html.

    Example:
        >>> import numpy as np
        >>> Softmin(dim=0)(np.array([1.0, 1.0])).tolist()
        [0.5, 0.5]
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function along the axis."""
        return F.softmin(input, self.dim, _stacklevel=5)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax(Module):
    """exp(x_i) / sum_j exp(x_j) along ``dim``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Softmax.html.

    Example:
        >>> import numpy as np
        >>> Softmax(dim=0)(np.array([1.0, 1.0])).tolist()
        [0.5, 0.5]
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function along the axis."""
        return F.softmax(input, self.dim, _stacklevel=5)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax2d(Module):
    """Softmax over the channels of (N, C, H, W) or (C, H, W).

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Softmax2d.html.

    Raises:
        ValueError: if the input is neither 3-D nor 4-D.

    Example:
        >>> import numpy as np
        >>> Softmax2d()(np.ones((2, 1, 1))).tolist()
        [[[0.5]], [[0.5]]]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies softmax to axis -3."""
        if jnp.ndim(input) not in (3, 4):
            raise ValueError(f"Softmax2d: input must be 3-D or 4-D, got shape {jnp.shape(input)}")
        return F.softmax(input, -3, _stacklevel=5)


class LogSoftmax(Module):
    """log(softmax(x)) along ``dim``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LogSoftmax.html.

    Example:
        >>> import numpy as np
        >>> round(float(LogSoftmax(dim=0)(np.array([1.0, 1.0]))[0]), 4)
        -0.6931
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function along the axis."""
        return F.log_softmax(input, self.dim, _stacklevel=5)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"

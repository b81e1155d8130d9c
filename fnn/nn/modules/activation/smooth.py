"""Smooth activation layers: sigmoid, tanh, their kin, gated and exponential units."""

from __future__ import annotations

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.activation.base import _InPlace
from fnn.nn.modules.module import Module

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "LogSigmoid",
    "Mish",
    "SELU",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Softsign",
    "Tanh",
    "Tanhshrink",
]


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

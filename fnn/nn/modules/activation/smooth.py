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
    r"""Logistic function, from 0 to 1.

    .. math:: y = \sigma(x) = \frac{1}{1 + e^{-x}}

    Shape:
        - input, output: (*), alike; integers become floating.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Sigmoid.html

    Example:
        >>> import numpy as np
        >>> Sigmoid()(np.array([0.0])).tolist()
        [0.5]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function to each element."""
        return F.sigmoid(input)


class Tanh(Module):
    r"""Hyperbolic tangent, from -1 to 1.

    .. math:: y = \tanh(x)

    Shape:
        - input, output: (*), alike; integers become floating.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Tanh.html

    Example:
        >>> import numpy as np
        >>> Tanh()(np.array([0.0])).tolist()
        [0.0]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function to each element."""
        return F.tanh(input)


class SiLU(_InPlace):
    r"""The input times its sigmoid; also called swish.

    .. math:: y = x \, \sigma(x)

    Args:
        inplace: whether an input that is a Parameter or Buffer gets the result too; an array never changes.

    Shape:
        - input, output: (*), alike.

    Raises:
        TypeError: at the call, if the input is of integers.

    Source: Elfwing et al., Sigmoid-Weighted Linear Units for Neural Network Function Approximation in Reinforcement
    Learning, 2017; https://docs.pytorch.org/docs/2.13/generated/torch.nn.SiLU.html

    Example:
        >>> import numpy as np
        >>> SiLU()(np.array([0.0])).tolist()
        [0.0]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function to each element."""
        return F.silu(input, self.inplace)


class Mish(_InPlace):
    r"""The input times the tanh of its softplus.

    .. math:: y = x \tanh(\log(1 + e^x))

    Args:
        inplace: whether an input that is a Parameter or Buffer gets the result too; an array never changes.

    Shape:
        - input, output: (*), alike.

    Raises:
        TypeError: at the call, if the input is not floating.

    Source: Misra, Mish: A Self Regularized Non-Monotonic Activation Function, 2019;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.Mish.html

    Example:
        >>> import numpy as np
        >>> Mish()(np.array([0.0])).tolist()
        [0.0]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function to each element."""
        return F.mish(input, self.inplace)


class ELU(_InPlace):
    r"""Exponential linear unit: the input above 0, an exponential that levels off at -alpha below.

    .. math:: y = x \text{ if } x > 0, \text{ else } \alpha (e^x - 1)

    Args:
        alpha: :math:`\alpha`, how far below 0 the function goes.
        inplace: whether an input that is a Parameter or Buffer gets the result too; an array never changes.

    Shape:
        - input, output: (*), alike.

    Raises:
        TypeError: at the call, if the input is not floating.

    Source: Clevert et al., Fast and Accurate Deep Network Learning by Exponential Linear Units, 2015;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.ELU.html

    Example:
        >>> import numpy as np
        >>> ELU()(np.array([0.0, 1.0])).tolist()
        [0.0, 1.0]
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function to each element."""
        return F.elu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        return self._described(f"alpha={self.alpha}")


class CELU(ELU):
    r"""Exponential linear unit whose slope at 0 is 1 for every alpha.

    .. math:: y = \max(0, x) + \min(0, \alpha (e^{x / \alpha} - 1))

    Args:
        alpha: :math:`\alpha`, how far below 0 the function goes; not 0.
        inplace: whether an input that is a Parameter or Buffer gets the result too; an array never changes.

    Shape:
        - input, output: (*), alike.

    Raises:
        TypeError: at the call, if the input is not floating.
        ValueError: at the call, if ``alpha`` is 0.

    Source: Barron, Continuously Differentiable Exponential Linear Units, 2017;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.CELU.html

    Example:
        >>> import numpy as np
        >>> CELU()(np.array([0.0, 1.0])).tolist()
        [0.0, 1.0]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function to each element."""
        return F.celu(input, self.alpha, self.inplace)


class SELU(_InPlace):
    r"""Exponential linear unit scaled so that activations keep mean 0 and variance 1 from layer to layer.

    .. math:: y = \lambda (\max(0, x) + \min(0, \alpha (e^x - 1))), \quad \lambda \approx 1.0507, \alpha \approx 1.6733

    Args:
        inplace: whether an input that is a Parameter or Buffer gets the result too; an array never changes.

    Shape:
        - input, output: (*), alike.

    Raises:
        TypeError: at the call, if the input is not floating.

    Source: Klambauer et al., Self-Normalizing Neural Networks, 2017;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.SELU.html

    Example:
        >>> import numpy as np
        >>> SELU()(np.array([0.0])).tolist()
        [0.0]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function to each element."""
        return F.selu(input, self.inplace)


class GLU(Module):
    r"""Gated linear unit: the first half of an axis times the sigmoid of the second.

    .. math:: y = a \, \sigma(b), \quad [a, b] = x

    Args:
        dim: the axis that is halved; the last one if not given.

    Shape:
        - input: (..., 2 n, ...) with 2 n elements along ``dim``.
        - output: (..., n, ...).

    Raises:
        TypeError: at the call, if the input is not floating.
        ValueError: at the call, if the axis has an odd length, or there is none.
        IndexError: at the call, if there is no axis ``dim``.

    Source: Dauphin et al., Language Modeling with Gated Convolutional Networks, 2016;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.GLU.html

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
    r"""The input times the probability that a standard normal variable is below it.

    .. math:: y = x \, \Phi(x)

    The approximation is :math:`y = x (1 + \tanh(\sqrt{2 / \pi} (x + 0.044715 x^3))) / 2`.

    Args:
        approximate: "none" for the exact function, "tanh" for the approximation.

    Shape:
        - input, output: (*), alike.

    Raises:
        TypeError: at the call, if the input is not floating.
        ValueError: at the call, if ``approximate`` is neither "none" nor "tanh".

    Source: Hendrycks and Gimpel, Gaussian Error Linear Units, 2016;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.GELU.html

    Example:
        >>> import numpy as np
        >>> GELU()(np.array([0.0])).tolist()
        [0.0]
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function to each element."""
        return F.gelu(input, approximate=self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class LogSigmoid(Module):
    r"""Logarithm of the sigmoid, without overflow.

    .. math:: y = -\log(1 + e^{-x})

    Shape:
        - input, output: (*), alike.

    Raises:
        TypeError: at the call, if the input is not floating.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.LogSigmoid.html

    Example:
        >>> import numpy as np
        >>> round(float(LogSigmoid()(np.array(0.0))), 4)
        -0.6931
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function to each element."""
        return F.logsigmoid(input)


class Softplus(Module):
    r"""Smooth form of the rectifier, positive everywhere.

    .. math:: y = \log(1 + e^{\beta x}) / \beta \text{ if } \beta x \le \text{threshold, else } x

    Args:
        beta: :math:`\beta`, sharpness of the bend at 0.
        threshold: value of :math:`\beta x` above which the function is the input itself.

    Shape:
        - input, output: (*), alike.

    Raises:
        TypeError: at the call, if the input is not floating.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Softplus.html

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
        """Applies the function to each element."""
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class Softsign(Module):
    r"""Sigmoid-like function from -1 to 1 with slow tails.

    .. math:: y = \frac{x}{1 + |x|}

    Shape:
        - input, output: (*), alike; integers become floating.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Softsign.html

    Example:
        >>> import numpy as np
        >>> Softsign()(np.array([1.0])).tolist()
        [0.5]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function to each element."""
        return F.softsign(input)


class Tanhshrink(Module):
    r"""What the hyperbolic tangent takes away from its input.

    .. math:: y = x - \tanh(x)

    Shape:
        - input, output: (*), alike; integers become floating.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Tanhshrink.html

    Example:
        >>> import numpy as np
        >>> Tanhshrink()(np.array([0.0])).tolist()
        [0.0]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function to each element."""
        return F.tanhshrink(input)

"""Activation layers made of straight pieces: rectifiers, hard forms, shrinkage, thresholds."""

from __future__ import annotations

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.init import constant_
from fnn.nn.modules.activation.base import _InPlace
from fnn.nn.modules.module import Module
from fnn.nn.modules.utils import check_sizes
from fnn.nn.parameter import Parameter
from fnn.nn.placement import Device, DType, empty
from fnn.stateful.warning import warn

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


class Threshold(_InPlace):
    r"""Keeps what is above a threshold and replaces the rest by one value.

    .. math:: y = x \text{ if } x > \text{threshold, else value}

    Args:
        threshold: the bound; what equals it is replaced.
        value: what replaces it.
        inplace: whether an input that is a Parameter or Buffer gets the result too; an array never changes.

    Shape:
        - input, output: (*), alike.

    Raises:
        TypeError: at the call, if the input is neither floating nor of integers.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Threshold.html

    Example:
        >>> import numpy as np
        >>> Threshold(0.5, 9.0)(np.array([0.0, 1.0])).tolist()
        [9.0, 1.0]
    """

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.threshold = threshold
        self.value = value

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function to each element."""
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        return self._described(f"threshold={self.threshold}, value={self.value}")


class ReLU(_InPlace):
    r"""Rectifier: negative elements become 0.

    .. math:: y = \max(0, x)

    Args:
        inplace: whether an input that is a Parameter or Buffer gets the result too; an array never changes.

    Shape:
        - input, output: (*), alike.

    Raises:
        TypeError: at the call, if the input is neither floating nor of integers.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.ReLU.html

    Example:
        >>> import numpy as np
        >>> ReLU()(np.array([-1.0, 1.0])).tolist()
        [0.0, 1.0]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function to each element."""
        return F.relu(input, self.inplace)


class RReLU(_InPlace):
    r"""Rectifier with a random slope below 0, drawn for each element; in evaluation mode the slope is the mean one.

    .. math:: y = x \text{ if } x \ge 0, \text{ else } a x, \quad a \sim U(\text{lower}, \text{upper})

    Under a JAX transformation the training mode needs a key: ``fnn.jit``, or ``fnn.functional_call(..., rng=key)``.

    Args:
        lower: smallest slope.
        upper: largest slope.
        inplace: whether an input that is a Parameter or Buffer gets the result too; an array never changes.

    Shape:
        - input, output: (*), alike.

    Raises:
        TypeError: at the call, if the input is not floating.
        ValueError: at the call, if ``lower`` exceeds ``upper``.

    Source: Xu et al., Empirical Evaluation of Rectified Activations in Convolutional Network, 2015;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.RReLU.html

    Example:
        >>> import numpy as np
        >>> RReLU(0.25, 0.75).eval()(np.array([-1.0, 1.0])).tolist()
        [-0.5, 1.0]
    """

    def __init__(self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.lower = lower
        self.upper = upper

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function to each element."""
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self) -> str:
        return self._described(f"lower={self.lower}, upper={self.upper}")


class Hardtanh(_InPlace):
    r"""Clips to an interval.

    .. math:: y = \min(\max(x, \text{min\_val}), \text{max\_val})

    Args:
        min_val: lower end of the interval.
        max_val: upper end of the interval.
        inplace: whether an input that is a Parameter or Buffer gets the result too; an array never changes.
        min_value: former name of ``min_val``; wins over it, with a ``FutureWarning``.
        max_value: former name of ``max_val``; wins over it, with a ``FutureWarning``.

    Shape:
        - input, output: (*), alike.

    Raises:
        ValueError: if ``max_val`` is not above ``min_val``.
        TypeError: at the call, if the input is neither floating nor of integers.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Hardtanh.html

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
        super().__init__(inplace)
        for name, value in (("min", min_value), ("max", max_value)):
            if value is not None:
                message = f"keyword argument `{name}_value` is deprecated and renamed to `{name}_val`"
                warn(message, FutureWarning)
        min_val = min_val if min_value is None else min_value
        max_val = max_val if max_value is None else max_value
        if not max_val > min_val:
            raise ValueError(f"{type(self).__name__}: max_val must be larger than min_val, got {max_val} and {min_val}")
        self.min_val = min_val
        self.max_val = max_val

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function to each element."""
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        return self._described(f"min_val={self.min_val}, max_val={self.max_val}")


class ReLU6(Hardtanh):
    r"""Rectifier that does not exceed 6.

    .. math:: y = \min(\max(0, x), 6)

    Args:
        inplace: whether an input that is a Parameter or Buffer gets the result too; an array never changes.

    Shape:
        - input, output: (*), alike.

    Raises:
        TypeError: at the call, if the input is neither floating nor of integers.

    Source: Krizhevsky, Convolutional Deep Belief Networks on CIFAR-10, 2010;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.ReLU6.html

    Example:
        >>> import numpy as np
        >>> ReLU6()(np.array([-2.0, 7.0])).tolist()
        [0.0, 6.0]
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self) -> str:
        return self._described()


class Hardsigmoid(_InPlace):
    r"""Sigmoid made of straight pieces: 0 up to -3, 1 from 3 on.

    .. math:: y = \mathrm{ReLU6}(x + 3) / 6

    Args:
        inplace: whether an input that is a Parameter or Buffer gets the result too; an array never changes.

    Shape:
        - input, output: (*), alike.

    Raises:
        TypeError: at the call, if the input is not floating.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Hardsigmoid.html

    Example:
        >>> import numpy as np
        >>> Hardsigmoid()(np.array([-4.0, 0.0])).tolist()
        [0.0, 0.5]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function to each element."""
        return F.hardsigmoid(input, self.inplace)

    def extra_repr(self) -> str:
        return ""


class Hardswish(_InPlace):
    r"""The input times its hard sigmoid: ``SiLU`` without an exponential.

    .. math:: y = x \, \mathrm{ReLU6}(x + 3) / 6

    Args:
        inplace: whether an input that is a Parameter or Buffer gets the result too; an array never changes.

    Shape:
        - input, output: (*), alike.

    Raises:
        TypeError: at the call, if the input is not floating.

    Source: Howard et al., Searching for MobileNetV3, 2019;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.Hardswish.html

    Example:
        >>> import numpy as np
        >>> Hardswish()(np.array([-4.0, 4.0])).tolist()
        [-0.0, 4.0]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function to each element."""
        return F.hardswish(input, self.inplace)

    def extra_repr(self) -> str:
        return ""


class Hardshrink(Module):
    r"""Sets small elements to 0 and leaves the others as they are.

    .. math:: y = x \text{ if } |x| > \lambda, \text{ else } 0

    Args:
        lambd: :math:`\lambda`, the size up to which elements are small.

    Shape:
        - input, output: (*), alike.

    Raises:
        TypeError: at the call, if the input is not floating.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Hardshrink.html

    Example:
        >>> import numpy as np
        >>> Hardshrink()(np.array([0.25, 1.0])).tolist()
        [0.0, 1.0]
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function to each element."""
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return f"{self.lambd}"


class LeakyReLU(_InPlace):
    r"""Rectifier with a small slope below 0.

    .. math:: y = x \text{ if } x \ge 0, \text{ else } a x

    Args:
        negative_slope: :math:`a`, the slope below 0.
        inplace: whether an input that is a Parameter or Buffer gets the result too; an array never changes.

    Shape:
        - input, output: (*), alike.

    Raises:
        TypeError: at the call, if the input is not floating.

    Source: Maas et al., Rectifier Nonlinearities Improve Neural Network Acoustic Models, 2013;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.LeakyReLU.html

    Example:
        >>> import numpy as np
        >>> LeakyReLU(0.5)(np.array([-1.0, 1.0])).tolist()
        [-0.5, 1.0]
    """

    def __init__(self, negative_slope: float = 1e-2, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.negative_slope = negative_slope

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function to each element."""
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        return self._described(f"negative_slope={self.negative_slope}")


class Softshrink(Module):
    r"""Moves elements towards 0, by at most their size.

    .. math:: y = \mathrm{sign}(x) \max(|x| - \lambda, 0)

    Args:
        lambd: :math:`\lambda`, how far they are moved; not negative.

    Shape:
        - input, output: (*), alike.

    Raises:
        TypeError: at the call, if the input is not floating.
        ValueError: at the call, if ``lambd`` is negative.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Softshrink.html

    Example:
        >>> import numpy as np
        >>> Softshrink()(np.array([0.25, 1.0])).tolist()
        [0.0, 0.5]
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the function to each element."""
        return F.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class PReLU(Module):
    r"""Rectifier with a learned slope below 0: one for all elements, or one a channel.

    .. math:: y = x \text{ if } x \ge 0, \text{ else } a x

    Args:
        num_parameters: number of slopes: 1, or the number of channels (axis 1 of the input).
        init: first value of the slopes.
        device: where the slopes are put; ``None`` is JAX's default device.
        dtype: dtype of the slopes; ``None`` is float32.

    Attributes:
        weight (Parameter): the slopes :math:`a`, (num_parameters).

    Shape:
        - input, output: (*), alike; (N, C, *) with a slope a channel.

    Raises:
        TypeError: if ``num_parameters`` is no int; at the call, if the input has another dtype than the slopes.
        ValueError: if ``num_parameters`` is negative; at the call, if it is neither 1 nor the number of channels.

    Source: He et al., Delving Deep into Rectifiers, 2015;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.PReLU.html

    Example:
        >>> import numpy as np
        >>> PReLU()(np.array([-1.0, 1.0], np.float32)).tolist()
        [-0.25, 1.0]
    """

    weight: Parameter

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Device = None, dtype: DType = None) -> None:
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
        """Applies the function to each element."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"

"""Linear layers."""

from __future__ import annotations

import math
from typing import Any

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import fail
from fnn.nn import init
from fnn.nn.modules.lazy import LazyModuleMixin
from fnn.nn.modules.module import Module
from fnn.nn.modules.utils import check_sizes
from fnn.nn.parameter import Parameter, UninitializedParameter, is_lazy
from fnn.nn.placement import empty

__all__ = ["Bilinear", "Identity", "LazyLinear", "Linear"]


class Identity(Module):
    """Returns its input; accepts and ignores any arguments.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Identity.html.

    Example:
        >>> import jax.numpy as jnp
        >>> Identity(54)(jnp.ones(2)).tolist()
        [1.0, 1.0]
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Any) -> Any:
        """The input."""
        return input


class Linear(Module):
    """y = x A^T + b.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Linear.html.

    Args:
        in_features: length of the last axis of the input.
        out_features: length of the last axis of the output.
        bias: whether to add a bias.
        device: where the parameters are put.
        dtype: their dtype.

    Shape:
        (*, in_features) to (*, out_features).

    Example:
        >>> import jax.numpy as jnp
        >>> Linear(20, 30)(jnp.ones((128, 20), "float32")).shape
        (128, 30)
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        check_sizes(type(self).__name__, in_features=in_features, out_features=out_features)
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(empty((out_features, in_features), device, dtype))
        if bias:
            self.bias = Parameter(empty((out_features,), device, dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws weight and bias uniformly from +-1/sqrt(in_features)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: ArrayLike) -> jax.Array:
        """Applies the map to the last axis."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(Module):
    """y = x1^T A x2 + b.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.Bilinear.html.

    Args:
        in1_features: length of the last axis of the first input; positive.
        in2_features: length of the last axis of the second input.
        out_features: length of the last axis of the output.
        bias: whether to add a bias.
        device: where the parameters are put.
        dtype: their dtype.

    Shape:
        (*, in1_features) and (*, in2_features) to (*, out_features).

    Raises:
        ValueError: if ``in1_features`` is not positive.

    Example:
        >>> import jax.numpy as jnp
        >>> Bilinear(2, 3, 4)(jnp.ones((5, 2), "float32"), jnp.ones((5, 3), "float32")).shape
        (5, 4)
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_sizes("Bilinear", least=1, in1_features=in1_features)
        check_sizes("Bilinear", in2_features=in2_features, out_features=out_features)
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        self.weight = Parameter(empty((out_features, in1_features, in2_features), device, dtype))
        if bias:
            self.bias = Parameter(empty((out_features,), device, dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws weight and bias uniformly from +-1/sqrt(in1_features)."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: ArrayLike, input2: ArrayLike) -> jax.Array:
        """Applies the form to the last axes."""
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )


class LazyLinear(LazyModuleMixin, Linear):
    """A ``Linear`` whose ``in_features`` is the length of the last axis of its first input.

    See https://docs.pytorch.org/docs/2.13/generated/torch.nn.LazyLinear.html.

    Args:
        out_features: length of the last axis of the output.
        bias: whether to add a bias.
        device: where the parameters are put.
        dtype: their dtype.

    Raises:
        ValueError: if the first input has no axes.

    Example:
        >>> import jax.numpy as jnp
        >>> layer = LazyLinear(30)
        >>> layer(jnp.ones((128, 20), "float32")).shape, layer
        ((128, 30), Linear(in_features=20, out_features=30, bias=True))
    """

    cls_to_become = Linear

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(0, 0, False)
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        self.out_features = out_features
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draws weight and bias uniformly from +-1/sqrt(in_features), once that is known."""
        if not self.has_uninitialized_params() and self.in_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Any) -> None:
        """Takes ``in_features`` from the input, or from a weight that was loaded."""
        if not is_lazy(self.weight):
            self.in_features = self.weight.shape[1]
        elif len(input.shape) == 0:
            fail(ValueError, "LazyLinear", "input", "at least 1-D", input)
        else:
            self.in_features = input.shape[-1]
            self.weight.materialize((self.out_features, self.in_features))
            if is_lazy(self.bias):
                self.bias.materialize((self.out_features,))
            self.reset_parameters()


class NonDynamicallyQuantizableLinear(Linear):
    """``Linear`` under the name that torch's attention has in its ``repr``."""

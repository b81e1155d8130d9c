"""Linear layers."""

from __future__ import annotations

import math
from typing import Any

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import as_array, fail
from fnn.nn import init
from fnn.nn.modules.lazy import LazyModuleMixin
from fnn.nn.modules.module import Module
from fnn.nn.modules.utils import check_sizes
from fnn.nn.parameter import OptionalParameter, Parameter, UninitializedParameter
from fnn.nn.placement import Device, DType, empty

__all__ = ["Bilinear", "Identity", "LazyLinear", "Linear"]


class Identity(Module):
    """A place holder: the output is the input.

    Args:
        *args: accepted and ignored, so that it can stand in for any layer.
        **kwargs: accepted and ignored.

    Shape:
        - input, output: (*), alike.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Identity.html

    Example:
        >>> import jax.numpy as jnp
        >>> Identity(54)(jnp.ones(2)).tolist()
        [1.0, 1.0]
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Any) -> Any:
        """The input itself."""
        return input


class Linear(Module):
    r"""Affine map of the last axis.

    .. math:: y = x A^T + b

    Args:
        in_features: length of the last axis of the input.
        out_features: length of the last axis of the output.
        bias: whether there is a bias.
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.

    Attributes:
        weight (Parameter): :math:`A`, (out_features, in_features), drawn from U(-k, k), k = 1 / sqrt(in_features).
        bias (Parameter | None): :math:`b`, (out_features), drawn alike.

    Shape:
        - input: (*, in_features).
        - output: (*, out_features).

    Raises:
        TypeError: if a size is no int; at the call, if the input has another dtype than the weight.
        ValueError: if a size is negative; at the call, if the last axis is not ``in_features`` long.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Linear.html

    Example:
        >>> import jax.numpy as jnp
        >>> Linear(20, 30)(jnp.ones((128, 20), "float32")).shape
        (128, 30)
    """

    in_features: int
    weight: Parameter
    bias: OptionalParameter

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Device = None, dtype: DType = None
    ) -> None:
        super().__init__()
        check_sizes(type(self).__name__, in_features=in_features, out_features=out_features)
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(empty((out_features, in_features), device, dtype))
        self.register_parameter("bias", Parameter(empty((out_features,), device, dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws weight and bias anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: ArrayLike) -> jax.Array:
        """Maps the last axis."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(Module):
    r"""Bilinear map of the last axes of two inputs.

    .. math:: y_k = x_1^T A_k x_2 + b_k

    Args:
        in1_features: length of the last axis of the first input; at least 1.
        in2_features: length of the last axis of the second input.
        out_features: length of the last axis of the output.
        bias: whether there is a bias.
        device: where the parameters are put; ``None`` is JAX's default device.
        dtype: dtype of the parameters; ``None`` is float32.

    Attributes:
        weight (Parameter): :math:`A`, (out_features, in1_features, in2_features), drawn from U(-k, k),
            k = 1 / sqrt(in1_features).
        bias (Parameter | None): :math:`b`, (out_features), drawn alike.

    Shape:
        - input1: (*, in1_features).
        - input2: (*, in2_features), of the same leading axes.
        - output: (*, out_features).

    Raises:
        TypeError: if a size is no int; at the call, if the dtypes differ.
        ValueError: if ``in1_features`` is not positive or another size is negative; at the call, if shapes do not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.Bilinear.html

    Example:
        >>> import jax.numpy as jnp
        >>> Bilinear(2, 3, 4)(jnp.ones((5, 2), "float32"), jnp.ones((5, 3), "float32")).shape
        (5, 4)
    """

    weight: Parameter
    bias: OptionalParameter

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Device = None,
        dtype: DType = None,
    ) -> None:
        super().__init__()
        check_sizes("Bilinear", least=1, in1_features=in1_features)
        check_sizes("Bilinear", in2_features=in2_features, out_features=out_features)
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        self.weight = Parameter(empty((out_features, in1_features, in2_features), device, dtype))
        self.register_parameter("bias", Parameter(empty((out_features,), device, dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws weight and bias anew."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: ArrayLike, input2: ArrayLike) -> jax.Array:
        """Maps the last axes.

        Args:
            input1: (*, in1_features).
            input2: (*, in2_features).

        Returns:
            (*, out_features).
        """
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )


class LazyLinear(LazyModuleMixin, Linear):
    r"""A ``Linear`` whose ``in_features`` is the length of the last axis of its first input.

    .. math:: y = x A^T + b

    The first call, which is to be eager, makes the parameters and turns the object into a ``Linear``.

    Args:
        out_features: length of the last axis of the output.
        bias: whether there is a bias.
        device: where the parameters will be put; ``None`` is JAX's default device.
        dtype: dtype that they will have; ``None`` is float32.

    Attributes:
        weight (UninitializedParameter): (out_features, in_features) from the first call on.
        bias (UninitializedParameter | None): (out_features) from the first call on.

    Shape:
        - input: (*, in_features).
        - output: (*, out_features).

    Raises:
        ValueError: at the first call, if the input has no axes.
        RuntimeError: if the first call is inside a JAX transformation.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.LazyLinear.html

    Example:
        >>> import jax.numpy as jnp
        >>> layer = LazyLinear(30)
        >>> layer(jnp.ones((128, 20), "float32")).shape, layer
        ((128, 30), Linear(in_features=20, out_features=30, bias=True))
    """

    in_features: int
    cls_to_become: type[Any] | None = Linear

    def __init__(self, out_features: int, bias: bool = True, device: Device = None, dtype: DType = None) -> None:
        super().__init__(0, 0, False)
        self.out_features = out_features
        self.register_parameter("weight", UninitializedParameter(device=device, dtype=dtype))
        self.register_parameter("bias", UninitializedParameter(device=device, dtype=dtype) if bias else None)

    def reset_parameters(self) -> None:
        """Draws weight and bias anew, once their shapes are known."""
        if not self.has_uninitialized_params() and self.in_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: jax.Array) -> None:
        """Takes ``in_features`` from the input, or from a weight that was loaded.

        Args:
            input: what the first call gets, (*, in_features).

        Raises:
            ValueError: if it has no axes.
        """
        if not isinstance(self.weight, UninitializedParameter):
            self.in_features = self.weight.shape[1]
        elif as_array("LazyLinear", "input", input).ndim == 0:
            fail(ValueError, "LazyLinear", "input", "at least 1-D", input)
        else:
            self.in_features = input.shape[-1]
            self.weight.materialize((self.out_features, self.in_features))
            if isinstance(self.bias, UninitializedParameter):
                self.bias.materialize((self.out_features,))
            self.reset_parameters()


class NonDynamicallyQuantizableLinear(Linear):
    """A ``Linear`` by the name under which attention shows its output projection, as torch's does."""

"""The scales of weights: gains of nonlinearities, numbers of inputs and outputs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax.numpy as jnp

from fnn.functional.arrays import ArrayLike
from fnn.functional.explained import explained
from fnn.nn.lifting.stacks import stack_of

_UNIT_GAIN = [
    "linear",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "sigmoid",
]


@explained
def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    r"""The factor by which weights are larger for a nonlinearity after them, so that the scale of activations stays.

    It is 1 for linear maps, convolutions and sigmoid, 5/3 for tanh, sqrt(2) for relu, sqrt(2 / (1 + slope^2)) for
    leaky_relu and 3/4 for selu.

    Args:
        nonlinearity: name of the function in ``fnn.nn.functional``.
        param: slope of leaky_relu; ``None`` is 0.01.

    Returns:
        the factor.

    Raises:
        ValueError: if the name is unknown, or ``param`` is no number.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.calculate_gain

    Example:
        >>> calculate_gain("leaky_relu", 0.2)
        1.3867504905630728
    """
    if nonlinearity in _UNIT_GAIN:
        return 1.0
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        if param is not None and (isinstance(param, bool) or not isinstance(param, int | float)):
            raise ValueError(f"calculate_gain: param must be a number, got {param!r}")
        return math.sqrt(2.0 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity == "selu":
        return 3.0 / 4
    raise ValueError(f"calculate_gain: nonlinearity must be a known name, got {nonlinearity!r}")


def fans(function: str, shape: Sequence[int]) -> tuple[int, int]:
    """Fan in and fan out of a weight (out, in, *kernel)."""
    if len(shape) < 2:
        raise ValueError(f"{function}: fan in and fan out need a shape of at least 2 axes, got {tuple(shape)}")
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def fan(function: str, shape: Sequence[int], mode: str) -> int:
    """The one of them that ``mode`` names."""
    if not isinstance(mode, str) or mode.lower() not in ("fan_in", "fan_out"):
        raise ValueError(f"{function}: mode must be 'fan_in' or 'fan_out', got {mode!r}")
    return fans(function, shape)[mode.lower() == "fan_out"]


def _shape(tensor: ArrayLike) -> tuple[int, ...]:
    """The shape, that of one layer's part for a stack."""
    return jnp.shape(tensor)[len(stack_of(tensor)) :]


def _calculate_fan_in_and_fan_out(tensor: ArrayLike) -> tuple[int, int]:
    """Fan in and fan out of a weight, under torch's name."""
    return fans("_calculate_fan_in_and_fan_out", _shape(tensor))


def _calculate_correct_fan(tensor: ArrayLike, mode: str) -> int:
    """Fan in or fan out of a weight, under torch's name."""
    return fan("_calculate_correct_fan", _shape(tensor), mode)

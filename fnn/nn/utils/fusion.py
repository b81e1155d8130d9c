"""Batch normalization in eval mode folded into the convolution or linear layer before it."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import as_array, as_optional_array
from fnn.functional.explained import explained
from fnn.nn.modules.batchnorm import _BatchNorm
from fnn.nn.modules.conv import _ConvNd
from fnn.nn.modules.linear import Linear
from fnn.nn.modules.module import Module
from fnn.nn.parameter import Buffer, Parameter

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]

ConvT = TypeVar("ConvT", bound=_ConvNd)
LinearT = TypeVar("LinearT", bound=Linear)


def _fuse(
    name: str,
    weight: ArrayLike,
    bias: ArrayLike | None,
    mean: ArrayLike,
    variance: ArrayLike,
    eps: float,
    scale: ArrayLike | None,
    shift: ArrayLike | None,
    axis: int,
) -> tuple[jax.Array, jax.Array]:
    """Weight and bias such that their layer does what it did before, normalized; outputs lie on ``axis`` of the weight."""
    w = as_array(name, "weight", weight)
    b = as_optional_array(name, "bias", bias)
    rm, rv = as_array(name, "bn_rm", mean), as_array(name, "bn_rv", variance)
    gamma, beta = as_optional_array(name, "bn_w", scale), as_optional_array(name, "bn_b", shift)
    factor = jax.lax.rsqrt(rv + eps)
    factor = factor if gamma is None else factor * gamma
    if factor.shape not in ((w.shape[axis],), (1,)):
        raise ValueError(
            f"{name}: the statistics must have one element or one for each of the {w.shape[axis]} outputs, got shape "
            f"{factor.shape}"
        )
    shape = [1] * w.ndim
    shape[axis] = -1
    centred = (0 if b is None else b) - rm
    new = jnp.broadcast_to(centred * factor + (0 if beta is None else beta), (w.shape[axis],))
    return (w * factor.reshape(shape)).astype(w.dtype), new.astype(w.dtype if b is None else b.dtype)


def _parameters(arrays: tuple[jax.Array, jax.Array], weight: Any, bias: Any) -> tuple[Parameter, Parameter]:
    w, b = arrays
    trains = getattr(weight, "requires_grad", True)
    return Parameter(w, trains), Parameter(b, getattr(bias, "requires_grad", trains))


def _statistics(layer: Module, norm: _BatchNorm) -> tuple[Buffer, Buffer]:
    """The running mean and variance; raises unless both layers are in eval mode and there are some."""
    if layer.training or norm.training:
        raise RuntimeError("fusing needs both layers in eval mode, got one that is training")
    if norm.running_mean is None or norm.running_var is None:
        raise RuntimeError("fusing needs running statistics, got a batch normalization without them")
    return norm.running_mean, norm.running_var


@explained
def fuse_conv_bn_weights(
    conv_w: ArrayLike,
    conv_b: ArrayLike | None,
    bn_rm: ArrayLike,
    bn_rv: ArrayLike,
    bn_eps: float,
    bn_w: ArrayLike | None,
    bn_b: ArrayLike | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of a convolution that includes the normalization after it.

    ``w' = w * bn_w / sqrt(bn_rv + eps)`` for each output channel, ``b' = (b - bn_rm) * bn_w / sqrt(bn_rv + eps) + bn_b``.

    Args:
        conv_w: weight of the convolution.
        conv_b: its bias; None counts as zero.
        bn_rm: running mean.
        bn_rv: running variance.
        bn_eps: what is added to the variance.
        bn_w: weight of the normalization; None counts as one.
        bn_b: its bias; None counts as zero.
        transpose: whether it is a transposed convolution, whose output channels are on axis 1.

    Returns:
        the two Parameters.

    Raises:
        ValueError: if the channels do not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.fuse_conv_bn_weights.html

    Example:
        >>> import jax.numpy as jnp
        >>> one = jnp.ones(1)
        >>> float(fuse_conv_bn_weights(jnp.ones((1, 1, 1, 1)), None, one, one, 0.0, one * 2, one)[1][0])
        -1.0
    """
    arrays = _fuse("fuse_conv_bn_weights", conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 1 if transpose else 0)
    return _parameters(arrays, conv_w, conv_b)


@explained
def fuse_conv_bn_eval(conv: ConvT, bn: _BatchNorm, transpose: bool = False) -> ConvT:
    """A convolution that includes the batch normalization after it; both must be in eval mode.

    Args:
        conv: the convolution, which stays as it is.
        bn: the normalization.
        transpose: whether it is a transposed convolution.

    Returns:
        a new layer of the class of ``conv``.

    Raises:
        RuntimeError: if one of them is training, or there are no running statistics.
        ValueError: if the channels do not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.fuse_conv_bn_eval.html

    Example:
        >>> import fnn
        >>> fused = fuse_conv_bn_eval(fnn.nn.Conv2d(1, 2, 3, bias=False).eval(), fnn.nn.BatchNorm2d(2).eval())
        >>> fused.bias.shape
        (2,)
    """
    fused = copy.deepcopy(conv)
    mean, variance = _statistics(fused, bn)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, mean, variance, bn.eps, bn.weight, bn.bias, transpose
    )
    return fused


@explained
def fuse_linear_bn_weights(
    linear_w: ArrayLike,
    linear_b: ArrayLike | None,
    bn_rm: ArrayLike,
    bn_rv: ArrayLike,
    bn_eps: float,
    bn_w: ArrayLike | None,
    bn_b: ArrayLike | None,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of a linear layer that includes the normalization after it.

    ``w' = w * bn_w / sqrt(bn_rv + eps)`` for each output, ``b' = (b - bn_rm) * bn_w / sqrt(bn_rv + eps) + bn_b``.

    Args:
        linear_w: weight of the linear layer.
        linear_b: its bias; None counts as zero.
        bn_rm: running mean.
        bn_rv: running variance.
        bn_eps: what is added to the variance.
        bn_w: weight of the normalization; None counts as one.
        bn_b: its bias; None counts as zero.

    Returns:
        the two Parameters.

    Raises:
        ValueError: if the features do not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.fuse_linear_bn_weights.html

    Example:
        >>> import jax.numpy as jnp
        >>> one = jnp.ones(1)
        >>> float(fuse_linear_bn_weights(jnp.ones((1, 1)), one, one, one, 0.0, one * 2, one)[1][0])
        1.0
    """
    arrays = _fuse("fuse_linear_bn_weights", linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 0)
    return _parameters(arrays, linear_w, linear_b)


@explained
def fuse_linear_bn_eval(linear: LinearT, bn: _BatchNorm) -> LinearT:
    """A linear layer that includes the batch normalization after it; both must be in eval mode.

    Args:
        linear: the linear layer, which stays as it is.
        bn: the normalization, of as many features as the layer has outputs, or of one.

    Returns:
        a new layer of the class of ``linear``.

    Raises:
        RuntimeError: if one of them is training, or there are no running statistics.
        ValueError: if the features do not fit.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.fuse_linear_bn_eval.html

    Example:
        >>> import fnn
        >>> fused = fuse_linear_bn_eval(fnn.nn.Linear(3, 2, bias=False).eval(), fnn.nn.BatchNorm1d(2).eval())
        >>> fused.bias.shape
        (2,)
    """
    fused = copy.deepcopy(linear)
    mean, variance = _statistics(fused, bn)
    fused.weight, fused.bias = fuse_linear_bn_weights(
        fused.weight, fused.bias, mean, variance, bn.eps, bn.weight, bn.bias
    )
    return fused

"""Activations built of exponentials: sigmoids, exponential units, softplus, and the self-gated ones."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from fnn.functional.activation import curves
from fnn.functional.activation.common import any_to_float, elementwise, floating, number
from fnn.functional.arrays import ArrayLike, known, widen, written
from fnn.functional.checks import check_choice, fail, normalize_axis
from fnn.functional.explained import explained

__all__ = [
    "celu",
    "elu",
    "gelu",
    "glu",
    "logsigmoid",
    "mish",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "softsign",
    "tanh",
    "tanhshrink",
]

_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


@elementwise
def _sigmoid(x: jax.Array) -> jax.Array:
    return curves.logistic(x)


@explained
def sigmoid(input: ArrayLike) -> jax.Array:
    """Logistic function, ``1 / (1 + exp(-x))``.

    Args:
        input: array of any dtype; integers and booleans become the default float.

    Shape:
        - input, output: (*), alike.

    Returns:
        the array.

    Raises:
        TypeError: if ``input`` is no array.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.sigmoid.html

    Example:
        >>> import jax.numpy as jnp
        >>> sigmoid(jnp.array([0.0])).tolist()
        [0.5]
    """
    return _sigmoid(any_to_float("sigmoid", input))


@elementwise
def _tanh(x: jax.Array) -> jax.Array:
    return curves.tangent(x)


@explained
def tanh(input: ArrayLike) -> jax.Array:
    """Hyperbolic tangent, ``(exp(x) - exp(-x)) / (exp(x) + exp(-x))``.

    Args:
        input: array of any dtype; integers and booleans become the default float.

    Shape:
        - input, output: (*), alike.

    Returns:
        the array.

    Raises:
        TypeError: if ``input`` is no array.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.tanh.html

    Example:
        >>> import jax.numpy as jnp
        >>> tanh(jnp.array([0.0])).tolist()
        [0.0]
    """
    return _tanh(any_to_float("tanh", input))


@elementwise
def _tanhshrink(x: jax.Array) -> jax.Array:
    return curves.tangent_rest(x)


@explained
def tanhshrink(input: ArrayLike) -> jax.Array:
    """What the hyperbolic tangent leaves, ``x - tanh(x)``.

    Args:
        input: array of any dtype; integers become the default float.

    Shape:
        - input, output: (*), alike.

    Returns:
        the array.

    Raises:
        TypeError: if ``input`` is no array.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.tanhshrink.html

    Example:
        >>> import jax.numpy as jnp
        >>> tanhshrink(jnp.array([0.0])).tolist()
        [0.0]
    """
    return _tanhshrink(any_to_float("tanhshrink", input))


@elementwise
def _softsign(x: jax.Array) -> jax.Array:
    return curves.soft_sign(x)


@explained
def softsign(input: ArrayLike) -> jax.Array:
    """Sigmoid without exponentials, ``x / (1 + |x|)``.

    Args:
        input: array of any dtype; integers become the default float.

    Shape:
        - input, output: (*), alike.

    Returns:
        the array; NaN at the infinities, as in torch.

    Raises:
        TypeError: if ``input`` is no array.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.softsign.html

    Example:
        >>> import jax.numpy as jnp
        >>> softsign(jnp.array([-1.0, 3.0])).tolist()
        [-0.5, 0.75]
    """
    return _softsign(any_to_float("softsign", input))


@elementwise
def _logsigmoid(x: jax.Array) -> jax.Array:
    return -curves.log1p_exp(-x)


@explained
def logsigmoid(input: ArrayLike) -> jax.Array:
    """Logarithm of the logistic function, ``log(1 / (1 + exp(-x)))``, without overflow.

    Args:
        input: array.

    Shape:
        - input, output: (*), alike.

    Returns:
        the array, in the dtype of ``input``.

    Raises:
        TypeError: if the dtype is not floating.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.logsigmoid.html

    Example:
        >>> import jax.numpy as jnp
        >>> logsigmoid(jnp.array([-1000.0])).tolist()
        [-1000.0]
    """
    return _logsigmoid(floating("logsigmoid", input))


@elementwise
def _softplus(x: jax.Array, beta: jax.Array, threshold: jax.Array) -> jax.Array:
    scaled = x * beta
    return jnp.where(scaled > threshold, x, curves.soft_rectifier(scaled, threshold) / beta)


@explained
def softplus(input: ArrayLike, beta: float = 1.0, threshold: float = 20.0) -> jax.Array:
    """Smooth rectifier, ``log(1 + exp(beta * x)) / beta``; ``x`` itself where ``beta * x > threshold``.

    Args:
        input: array.
        beta: sharpness.
        threshold: where the function becomes the identity.

    Shape:
        - input, output: (*), alike.

    Returns:
        the array, in the dtype of ``input``.

    Raises:
        TypeError: if the dtype is not floating or an option is no number.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.softplus.html

    Example:
        >>> import jax.numpy as jnp
        >>> softplus(jnp.array([0.0, 30.0])).round(4).tolist() == [jnp.log(2.0).round(4), 30.0]
        True
    """
    x = floating("softplus", input)
    return _softplus(x, number("softplus", "beta", beta), number("softplus", "threshold", threshold))


@elementwise
def _elu(x: jax.Array, alpha: jax.Array) -> jax.Array:
    return jnp.where(x > 0, x, alpha * curves.exponential_below(jnp.where(x > 0, 0, x)))


@explained
def elu(input: ArrayLike, alpha: float = 1.0, inplace: bool = False) -> jax.Array:
    """Exponential linear unit: ``x`` if ``x > 0``, else ``alpha * (exp(x) - 1)``.

    Args:
        input: array.
        alpha: minus the value for minus infinity; also the derivative at 0.
        inplace: whether an input that is a box gets the result too; an array never changes.

    Shape:
        - input, output: (*), alike.

    Returns:
        the array, in the dtype of ``input``.

    Raises:
        TypeError: if the dtype is not floating or ``alpha`` is no number.

    Source: Clevert et al., Fast and Accurate Deep Network Learning by Exponential Linear Units, 2015;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.elu.html

    Example:
        >>> import jax.numpy as jnp
        >>> elu(jnp.array([-1000.0, 2.0]), 0.5).tolist()
        [-0.5, 2.0]
    """
    return written(input, inplace, _elu(floating("elu", input), number("elu", "alpha", alpha)))


@elementwise
def _selu(x: jax.Array) -> jax.Array:
    return jnp.where(
        x > 0, _SELU_SCALE * x, _SELU_SCALE * _SELU_ALPHA * curves.exponential_below(jnp.where(x > 0, 0, x))
    )


@explained
def selu(input: ArrayLike, inplace: bool = False) -> jax.Array:
    """Scaled exponential linear unit, ``scale * elu(x, alpha)`` with constants that keep mean 0 and variance 1.

    Args:
        input: array.
        inplace: whether an input that is a box gets the result too; an array never changes.

    Shape:
        - input, output: (*), alike.

    Returns:
        the array, in the dtype of ``input``.

    Raises:
        TypeError: if the dtype is not floating.

    Source: Klambauer et al., Self-Normalizing Neural Networks, 2017;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.selu.html

    Example:
        >>> import jax.numpy as jnp
        >>> selu(jnp.array([0.0, 1.0])).round(4).tolist() == [0.0, jnp.array(1.0507).round(4)]
        True
    """
    return written(input, inplace, _selu(floating("selu", input)))


@elementwise
def _celu(x: jax.Array, alpha: jax.Array) -> jax.Array:
    return jnp.where(x > 0, x, curves.exponential_unit_below(jnp.where(x > 0, 0, x), alpha))


@explained
def celu(input: ArrayLike, alpha: float = 1.0, inplace: bool = False) -> jax.Array:
    """Continuously differentiable exponential linear unit: ``x`` if ``x > 0``, else ``alpha * (exp(x / alpha) - 1)``.

    Args:
        input: array.
        alpha: minus the value for minus infinity, not 0.
        inplace: whether an input that is a box gets the result too; an array never changes.

    Shape:
        - input, output: (*), alike.

    Returns:
        the array, in the dtype of ``input``.

    Raises:
        TypeError: if the dtype is not floating or ``alpha`` is no number.
        ValueError: if ``alpha`` is 0.

    Source: Barron, Continuously Differentiable Exponential Linear Units, 2017;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.celu.html

    Example:
        >>> import jax.numpy as jnp
        >>> celu(jnp.array([-1000.0, 2.0]), 0.5).tolist()
        [-0.5, 2.0]
    """
    x = floating("celu", input)
    alpha = number("celu", "alpha", alpha)
    if known(alpha) == 0:
        fail(ValueError, "celu", "alpha", "different from 0", alpha)
    return written(input, inplace, _celu(x, alpha))


@elementwise
def _gelu(x: jax.Array) -> jax.Array:
    return curves.gaussian_gate(x)


@elementwise
def _gelu_tanh(x: jax.Array) -> jax.Array:
    return curves.gaussian_gate_by_tanh(x)


@explained
def gelu(input: ArrayLike, approximate: str = "none") -> jax.Array:
    """Gaussian error linear unit, ``x`` times the standard normal distribution function of ``x``.

    Args:
        input: array.
        approximate: 'none', or 'tanh' for ``0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x**3)))``.

    Shape:
        - input, output: (*), alike.

    Returns:
        the array, in the dtype of ``input``.

    Raises:
        TypeError: if the dtype is not floating.
        ValueError: if ``approximate`` is unknown.

    Source: Hendrycks and Gimpel, Gaussian Error Linear Units, 2016;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.gelu.html

    Example:
        >>> import jax.numpy as jnp
        >>> gelu(jnp.array([0.0, 30.0])).tolist()
        [0.0, 30.0]
    """
    check_choice("gelu", "approximate", approximate, ("none", "tanh"))
    x = floating("gelu", input)
    return _gelu(x) if approximate == "none" else _gelu_tanh(x)


@elementwise
def _silu(x: jax.Array) -> jax.Array:
    return curves.logistic_gate(x)


@explained
def silu(input: ArrayLike, inplace: bool = False) -> jax.Array:
    """Sigmoid linear unit (swish), ``x * sigmoid(x)``.

    Args:
        input: array, real or complex.
        inplace: whether an input that is a box gets the result too; an array never changes.

    Shape:
        - input, output: (*), alike.

    Returns:
        the array, in the dtype of ``input``.

    Raises:
        TypeError: if the dtype is integer or boolean.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.silu.html

    Example:
        >>> import jax.numpy as jnp
        >>> silu(jnp.array([0.0, 40.0])).tolist()
        [0.0, 40.0]
    """
    if not jnp.issubdtype(getattr(input, "dtype", jnp.float32), jnp.inexact):
        fail(TypeError, "silu", "input", "of a floating or complex dtype", input)
    return written(input, inplace, _silu(any_to_float("silu", input)))


@elementwise
def _mish(x: jax.Array) -> jax.Array:
    return curves.softplus_gate(x)


@explained
def mish(input: ArrayLike, inplace: bool = False) -> jax.Array:
    """Self-regularized gate, ``x * tanh(softplus(x))``.

    Args:
        input: array.
        inplace: whether an input that is a box gets the result too; an array never changes.

    Shape:
        - input, output: (*), alike.

    Returns:
        the array, in the dtype of ``input``.

    Raises:
        TypeError: if the dtype is not floating.

    Source: Misra, Mish: A Self Regularized Non-Monotonic Activation Function, 2019;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.mish.html

    Example:
        >>> import jax.numpy as jnp
        >>> mish(jnp.array([0.0, 40.0])).tolist()
        [0.0, 40.0]
    """
    return written(input, inplace, _mish(floating("mish", input)))


@partial(jax.jit, static_argnames="axis")
def _glu(x: jax.Array, axis: int) -> jax.Array:
    value, gate = jnp.split(x, 2, axis)
    return (widen(value) * curves.logistic(widen(gate))).astype(x.dtype)


@explained
def glu(input: ArrayLike, dim: int = -1) -> jax.Array:
    """Gated linear unit, ``a * sigmoid(b)`` with ``a`` and ``b`` the two halves of the input.

    Args:
        input: array.
        dim: the axis that is halved.

    Shape:
        - input: (*, 2 N, *).
        - output: (*, N, *).

    Returns:
        the array, in the dtype of ``input``.

    Raises:
        TypeError: if the dtype is not floating.
        IndexError: if ``dim`` is out of range.
        ValueError: if the input is 0-D or the axis has an odd length.

    Source: Dauphin et al., Language Modeling with Gated Convolutional Networks, 2016;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.glu.html

    Example:
        >>> import jax.numpy as jnp
        >>> glu(jnp.array([4.0, 0.0])).tolist()
        [2.0]
    """
    x = floating("glu", input)
    if x.ndim == 0:
        fail(ValueError, "glu", "input", "at least 1-D", x)
    axis = normalize_axis("glu", "dim", dim, x.ndim)
    if x.shape[axis] % 2:
        fail(ValueError, "glu", "input", f"of an even length along axis {axis}", x)
    return _glu(x, axis)

"""Dropout layers."""

from __future__ import annotations

import jax

from fnn import functional as F
from fnn.functional.arrays import ArrayLike
from fnn.nn.modules.module import Module

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]


class _DropoutNd(Module):
    """The base of the dropout layers: the probability and its check."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__}: p must be between 0 and 1, got {p}")
        self.p = p
        self.inplace = inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_DropoutNd):
    r"""In training mode, sets elements to zero at random and scales the others up, so that the mean stays.

    .. math:: y_i = m_i x_i / (1 - p), \quad m_i \sim \mathrm{Bernoulli}(1 - p)

    In evaluation mode the output is the input. The draws come from the stream that ``fnn.manual_seed`` seeds; under a
    JAX transformation other than ``fnn.jit`` pass a key, ``fnn.functional_call(..., rng=key)``.

    Args:
        p: probability with which an element is dropped.
        inplace: whether an input that is a Parameter or Buffer gets the result too; an array never changes.

    Shape:
        - input, output: (*), alike.

    Raises:
        ValueError: if ``p`` is not in [0, 1].
        TypeError: at the call in training mode, if the input is not floating.

    Source: Hinton et al., Improving neural networks by preventing co-adaptation of feature detectors, 2012;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.Dropout.html

    Example:
        >>> import jax.numpy as jnp
        >>> Dropout(1.0)(jnp.ones(2)).tolist(), Dropout(0.2).eval()(jnp.ones(2)).tolist()
        ([0.0, 0.0], [1.0, 1.0])
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """The input with elements dropped, in training mode."""
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_DropoutNd):
    r"""In training mode, sets whole channels of sequences to zero at random and scales the others up.

    .. math:: y_{n c} = m_{n c} x_{n c} / (1 - p), \quad m_{n c} \sim \mathrm{Bernoulli}(1 - p)

    In evaluation mode the output is the input. The draws come from the stream that ``fnn.manual_seed`` seeds; under a
    JAX transformation other than ``fnn.jit`` pass a key, ``fnn.functional_call(..., rng=key)``.

    Args:
        p: probability with which a channel is dropped.
        inplace: whether an input that is a Parameter or Buffer gets the result too; an array never changes.

    Shape:
        - input, output: (N, C, L) or (C, L), alike.

    Raises:
        ValueError: if ``p`` is not in [0, 1]; at the call, if the input is neither 2-D nor 3-D.
        TypeError: at the call in training mode, if the input is not floating.

    Source: Tompson et al., Efficient Object Localization Using Convolutional Networks, 2015;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.Dropout1d.html

    Example:
        >>> import jax.numpy as jnp
        >>> Dropout1d(1.0)(jnp.ones((1, 2, 1))).tolist()
        [[[0.0], [0.0]]]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """The input with channels dropped, in training mode."""
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_DropoutNd):
    r"""In training mode, sets whole channels of images to zero at random and scales the others up.

    .. math:: y_{n c} = m_{n c} x_{n c} / (1 - p), \quad m_{n c} \sim \mathrm{Bernoulli}(1 - p)

    In evaluation mode the output is the input. The draws come from the stream that ``fnn.manual_seed`` seeds; under a
    JAX transformation other than ``fnn.jit`` pass a key, ``fnn.functional_call(..., rng=key)``.

    Args:
        p: probability with which a channel is dropped.
        inplace: whether an input that is a Parameter or Buffer gets the result too; an array never changes.

    Shape:
        - input, output: (N, C, H, W), alike; (N, C, L) too, with a warning.

    Raises:
        ValueError: if ``p`` is not in [0, 1].
        TypeError: at the call in training mode, if the input is not floating.

    Source: Tompson et al., Efficient Object Localization Using Convolutional Networks, 2015;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.Dropout2d.html

    Example:
        >>> import jax.numpy as jnp
        >>> Dropout2d(1.0)(jnp.ones((1, 2, 1, 1))).ravel().tolist()
        [0.0, 0.0]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """The input with channels dropped, in training mode."""
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_DropoutNd):
    r"""In training mode, sets whole channels of volumes to zero at random and scales the others up.

    .. math:: y_{n c} = m_{n c} x_{n c} / (1 - p), \quad m_{n c} \sim \mathrm{Bernoulli}(1 - p)

    In evaluation mode the output is the input. The draws come from the stream that ``fnn.manual_seed`` seeds; under a
    JAX transformation other than ``fnn.jit`` pass a key, ``fnn.functional_call(..., rng=key)``.

    Args:
        p: probability with which a channel is dropped.
        inplace: whether an input that is a Parameter or Buffer gets the result too; an array never changes.

    Shape:
        - input, output: (N, C, D, H, W) or (C, D, H, W), alike.

    Raises:
        ValueError: if ``p`` is not in [0, 1].
        TypeError: at the call in training mode, if the input is not floating.

    Source: Tompson et al., Efficient Object Localization Using Convolutional Networks, 2015;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.Dropout3d.html

    Example:
        >>> import jax.numpy as jnp
        >>> Dropout3d(1.0)(jnp.ones((1, 2, 1, 1, 1))).ravel().tolist()
        [0.0, 0.0]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """The input with channels dropped, in training mode."""
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_DropoutNd):
    r"""In training mode, dropout for SELU networks: mean 0 and variance 1 stay as they are.

    .. math:: y_i = a (m_i x_i + (1 - m_i) \alpha') + b, \quad m_i \sim \mathrm{Bernoulli}(1 - p)

    with :math:`\alpha' \approx -1.758`, the value at which SELU levels off, and a and b such that mean and variance
    stay.

    In evaluation mode the output is the input. The draws come from the stream that ``fnn.manual_seed`` seeds; under a
    JAX transformation other than ``fnn.jit`` pass a key, ``fnn.functional_call(..., rng=key)``.

    Args:
        p: probability with which an element is dropped.
        inplace: whether an input that is a Parameter or Buffer gets the result too; an array never changes.

    Shape:
        - input, output: (*), alike.

    Raises:
        ValueError: if ``p`` is not in [0, 1].
        TypeError: at the call in training mode, if the input is not floating.

    Source: Klambauer et al., Self-Normalizing Neural Networks, 2017;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.AlphaDropout.html

    Example:
        >>> import jax.numpy as jnp
        >>> AlphaDropout(0.2).eval()(jnp.ones(2)).tolist()
        [1.0, 1.0]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """The input with elements dropped, in training mode."""
        return F.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(_DropoutNd):
    r"""In training mode, ``AlphaDropout`` of whole channels: one draw a channel.

    .. math:: y_{n c} = a (m_{n c} x_{n c} + (1 - m_{n c}) \alpha') + b, \quad m_{n c} \sim \mathrm{Bernoulli}(1 - p)

    with :math:`\alpha' \approx -1.758`, the value at which SELU levels off, and a and b such that mean and variance
    stay.

    In evaluation mode the output is the input. The draws come from the stream that ``fnn.manual_seed`` seeds; under a
    JAX transformation other than ``fnn.jit`` pass a key, ``fnn.functional_call(..., rng=key)``.

    Args:
        p: probability with which a channel is dropped.
        inplace: whether an input that is a Parameter or Buffer gets the result too; an array never changes.

    Shape:
        - input, output: (N, C, *), alike.

    Raises:
        ValueError: if ``p`` is not in [0, 1].
        TypeError: at the call in training mode, if the input is not floating.

    Source: Klambauer et al., Self-Normalizing Neural Networks, 2017;
    https://docs.pytorch.org/docs/2.13/generated/torch.nn.FeatureAlphaDropout.html

    Example:
        >>> import jax.numpy as jnp
        >>> FeatureAlphaDropout(0.2).eval()(jnp.ones((1, 2, 1))).tolist()
        [[[1.0], [1.0]]]
    """

    def forward(self, input: ArrayLike) -> jax.Array:
        """The input with channels dropped, in training mode."""
        return F.feature_alpha_dropout(input, self.p, self.training)

"""Initializers that fill a Parameter or Buffer in place, and the switch that turns them off."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fnn import random
from fnn.functional.explained import explained
from fnn.nn.array_box import ArrayBox, to_array
from fnn.nn.init.pure import (
    constant,
    dirac,
    eye,
    kaiming_normal,
    kaiming_uniform,
    normal,
    ones,
    orthogonal,
    sparse,
    trunc_normal,
    uniform,
    xavier_normal,
    xavier_uniform,
    zeros,
)
from fnn.nn.lifting.stacks import stack_of
from fnn.nn.placement import beside

T = TypeVar("T", bound=ArrayBox | jax.Array)


class _Skipping(threading.local):
    skip = False


_skipping = _Skipping()


@contextmanager
def skipped() -> Iterator[None]:
    """Within it, the forms that fill a Parameter leave it as it is and draw nothing."""
    before, _skipping.skip = _skipping.skip, True
    try:
        yield
    finally:
        _skipping.skip = before


def _fill(
    function: str,
    tensor: T,
    generator: random.Generator | None,
    make: Callable[[_LazyKey, tuple[int, ...], np.dtype[Any]], jax.Array],
) -> T:
    if not hasattr(tensor, "shape") or not hasattr(tensor, "dtype"):
        raise TypeError(f"{function}: tensor must be a Parameter, a Buffer or an array, got {type(tensor).__name__}")
    if generator is not None and not isinstance(generator, random.Generator):
        raise TypeError(f"{function}: generator must be an fnn.Generator, got {type(generator).__name__}")
    if _skipping.skip:
        return tensor
    source = random.current_generator() if generator is None else generator
    key, shape = _LazyKey(function, source), tuple(tensor.shape)
    stack = stack_of(tensor)
    if stack:
        parts = [make(key, shape[len(stack) :], tensor.dtype) for _ in range(math.prod(stack))]
        value: Any = _stacked(parts).reshape(shape)
    else:
        value = make(key, shape, tensor.dtype)
    if isinstance(tensor, ArrayBox):
        tensor.write(beside(value, tensor.peek()), owned=True)
        return tensor
    return value


def _stacked(parts: list[jax.Array]) -> jax.Array:
    if any(isinstance(part, Tracer) for part in parts):
        return jnp.stack(parts)
    return to_array(np.stack([np.asarray(part) for part in parts]))  # compiles nothing


class _LazyKey:
    """Draws the key only if an initializer asks for it."""

    def __init__(self, function: str, source: random.Generator) -> None:
        self.function = function
        self.source = source

    def draw(self) -> jax.Array:
        if self.source is random.current_generator():
            return random.next_key(self.function)
        return self.source.next_key()


@explained
def uniform_(tensor: T, a: float = 0.0, b: float = 1.0, generator: random.Generator | None = None) -> T:
    """Fills with uniform numbers in [a, b).

    Args:
        tensor: the Parameter or Buffer to fill, or an array.
        a: least number.
        b: upper bound.
        generator: where random numbers come from; ``None`` is the generator of ``fnn.manual_seed``.

    Returns:
        ``tensor``; given an array, a new one of its shape and dtype.

    Raises:
        TypeError: if ``tensor`` is no array, or ``generator`` no ``fnn.Generator``.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.uniform_

    Example:
        >>> import numpy as np
        >>> from fnn import nn
        >>> bool((uniform_(nn.Parameter(np.zeros(3, "float32")), 1.0, 2.0) >= 1).all())
        True
    """
    return _fill("uniform_", tensor, generator, lambda k, s, d: uniform(k.draw(), s, d, a, b))


@explained
def normal_(tensor: T, mean: float = 0.0, std: float = 1.0, generator: random.Generator | None = None) -> T:
    """Fills with normal numbers.

    Args:
        tensor: the Parameter or Buffer to fill, or an array.
        mean: their mean.
        std: their standard deviation.
        generator: where random numbers come from; ``None`` is the generator of ``fnn.manual_seed``.

    Returns:
        ``tensor``; given an array, a new one of its shape and dtype.

    Raises:
        TypeError: if ``tensor`` is no array, or ``generator`` no ``fnn.Generator``.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.normal_

    Example:
        >>> import numpy as np
        >>> from fnn import nn
        >>> normal_(nn.Parameter(np.zeros(3, "float32"))).shape
        (3,)
    """
    return _fill("normal_", tensor, generator, lambda k, s, d: normal(k.draw(), s, d, mean, std))


@explained
def trunc_normal_(
    tensor: T,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: random.Generator | None = None,
) -> T:
    """Fills with normal numbers conditioned on lying in [a, b].

    Args:
        tensor: the Parameter or Buffer to fill, or an array.
        mean: mean of the normal distribution.
        std: its standard deviation.
        a: least number.
        b: greatest number.
        generator: where random numbers come from; ``None`` is the generator of ``fnn.manual_seed``.

    Returns:
        ``tensor``; given an array, a new one of its shape and dtype.

    Raises:
        TypeError: if ``tensor`` is no array, or ``generator`` no ``fnn.Generator``.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.trunc_normal_

    Example:
        >>> import numpy as np
        >>> from fnn import nn
        >>> bool((abs(trunc_normal_(nn.Parameter(np.zeros(3, "float32"))).data) <= 2).all())
        True
    """
    return _fill("trunc_normal_", tensor, generator, lambda k, s, d: trunc_normal(k.draw(), s, d, mean, std, a, b))


@explained
def constant_(tensor: T, val: float) -> T:
    """Fills with one number.

    Args:
        tensor: the Parameter or Buffer to fill, or an array.
        val: the number.

    Returns:
        ``tensor``; given an array, a new one of its shape and dtype.

    Raises:
        TypeError: if ``tensor`` is no array.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.constant_

    Example:
        >>> import numpy as np
        >>> from fnn import nn
        >>> constant_(nn.Parameter(np.zeros(2, "float32")), 3.0).tolist()
        [3.0, 3.0]
    """
    return _fill("constant_", tensor, None, lambda k, s, d: constant(None, s, d, val))


@explained
def ones_(tensor: T) -> T:
    """Fills with ones.

    Args:
        tensor: the Parameter or Buffer to fill, or an array.

    Returns:
        ``tensor``; given an array, a new one of its shape and dtype.

    Raises:
        TypeError: if ``tensor`` is no array.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.ones_

    Example:
        >>> import numpy as np
        >>> from fnn import nn
        >>> ones_(nn.Parameter(np.zeros(2, "float32"))).tolist()
        [1.0, 1.0]
    """
    return _fill("ones_", tensor, None, lambda k, s, d: ones(None, s, d))


@explained
def zeros_(tensor: T) -> T:
    """Fills with zeros.

    Args:
        tensor: the Parameter or Buffer to fill, or an array.

    Returns:
        ``tensor``; given an array, a new one of its shape and dtype.

    Raises:
        TypeError: if ``tensor`` is no array.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.zeros_

    Example:
        >>> import numpy as np
        >>> from fnn import nn
        >>> zeros_(nn.Parameter(np.zeros(2, "float32"))).tolist()
        [0.0, 0.0]
    """
    return _fill("zeros_", tensor, None, lambda k, s, d: zeros(None, s, d))


@explained
def eye_(tensor: T) -> T:
    """Fills a matrix with the identity.

    Args:
        tensor: the Parameter or Buffer to fill, or an array.

    Returns:
        ``tensor``; given an array, a new one of its shape and dtype.

    Raises:
        TypeError: if ``tensor`` is no array.
        ValueError: if it has not 2 axes.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.eye_

    Example:
        >>> import numpy as np
        >>> from fnn import nn
        >>> eye_(nn.Parameter(np.zeros((2, 2), "float32"))).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    return _fill("eye_", tensor, None, lambda k, s, d: eye(None, s, d))


@explained
def dirac_(tensor: T, groups: int = 1) -> T:
    """Fills a convolution weight so that it passes its channels on.

    Args:
        tensor: the Parameter or Buffer to fill, or an array.
        groups: number of groups of the convolution.

    Returns:
        ``tensor``; given an array, a new one of its shape and dtype.

    Raises:
        TypeError: if ``tensor`` is no array.
        ValueError: if it has not 3 to 5 axes, or ``groups`` does not divide the first.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.dirac_

    Example:
        >>> import numpy as np
        >>> from fnn import nn
        >>> dirac_(nn.Parameter(np.zeros((1, 1, 3), "float32"))).tolist()
        [[[0.0, 1.0, 0.0]]]
    """
    return _fill("dirac_", tensor, None, lambda k, s, d: dirac(None, s, d, groups))


@explained
def xavier_uniform_(tensor: T, gain: float = 1.0, generator: random.Generator | None = None) -> T:
    """Fills as ``xavier_uniform``: uniformly, with the scale of Glorot and Bengio (2010).

    Args:
        tensor: the Parameter or Buffer to fill, or an array.
        gain: factor of the scale, as ``calculate_gain`` gives it.
        generator: where random numbers come from; ``None`` is the generator of ``fnn.manual_seed``.

    Returns:
        ``tensor``; given an array, a new one of its shape and dtype.

    Raises:
        TypeError: if ``tensor`` is no array, or ``generator`` no ``fnn.Generator``.
        ValueError: if it has fewer than 2 axes.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.xavier_uniform_

    Example:
        >>> import numpy as np
        >>> from fnn import nn
        >>> xavier_uniform_(nn.Parameter(np.zeros((2, 3), "float32"))).shape
        (2, 3)
    """
    return _fill("xavier_uniform_", tensor, generator, lambda k, s, d: xavier_uniform(k.draw(), s, d, gain))


@explained
def xavier_normal_(tensor: T, gain: float = 1.0, generator: random.Generator | None = None) -> T:
    """Fills as ``xavier_normal``: with normal numbers of the scale of Glorot and Bengio (2010).

    Args:
        tensor: the Parameter or Buffer to fill, or an array.
        gain: factor of the scale, as ``calculate_gain`` gives it.
        generator: where random numbers come from; ``None`` is the generator of ``fnn.manual_seed``.

    Returns:
        ``tensor``; given an array, a new one of its shape and dtype.

    Raises:
        TypeError: if ``tensor`` is no array, or ``generator`` no ``fnn.Generator``.
        ValueError: if it has fewer than 2 axes.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.xavier_normal_

    Example:
        >>> import numpy as np
        >>> from fnn import nn
        >>> xavier_normal_(nn.Parameter(np.zeros((2, 3), "float32"))).shape
        (2, 3)
    """
    return _fill("xavier_normal_", tensor, generator, lambda k, s, d: xavier_normal(k.draw(), s, d, gain))


@explained
def kaiming_uniform_(
    tensor: T,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: random.Generator | None = None,
) -> T:
    """Fills as ``kaiming_uniform``: uniformly, with the scale of He et al. (2015).

    Args:
        tensor: the Parameter or Buffer to fill, or an array.
        a: slope of the leaky relu that follows.
        mode: "fan_in" keeps the variance of activations, "fan_out" that of gradients.
        nonlinearity: name of the function that follows, given to ``calculate_gain``.
        generator: where random numbers come from; ``None`` is the generator of ``fnn.manual_seed``.

    Returns:
        ``tensor``; given an array, a new one of its shape and dtype.

    Raises:
        TypeError: if ``tensor`` is no array, or ``generator`` no ``fnn.Generator``.
        ValueError: if it has fewer than 2 axes, or an option is unknown.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.kaiming_uniform_

    Example:
        >>> import numpy as np
        >>> from fnn import nn
        >>> kaiming_uniform_(nn.Parameter(np.zeros((2, 3), "float32"))).shape
        (2, 3)
    """
    return _fill(
        "kaiming_uniform_", tensor, generator, lambda k, s, d: kaiming_uniform(k.draw(), s, d, a, mode, nonlinearity)
    )


@explained
def kaiming_normal_(
    tensor: T,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: random.Generator | None = None,
) -> T:
    """Fills as ``kaiming_normal``: with normal numbers of the scale of He et al. (2015).

    Args:
        tensor: the Parameter or Buffer to fill, or an array.
        a: slope of the leaky relu that follows.
        mode: "fan_in" keeps the variance of activations, "fan_out" that of gradients.
        nonlinearity: name of the function that follows, given to ``calculate_gain``.
        generator: where random numbers come from; ``None`` is the generator of ``fnn.manual_seed``.

    Returns:
        ``tensor``; given an array, a new one of its shape and dtype.

    Raises:
        TypeError: if ``tensor`` is no array, or ``generator`` no ``fnn.Generator``.
        ValueError: if it has fewer than 2 axes, or an option is unknown.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.kaiming_normal_

    Example:
        >>> import numpy as np
        >>> from fnn import nn
        >>> kaiming_normal_(nn.Parameter(np.zeros((2, 3), "float32"))).shape
        (2, 3)
    """
    return _fill(
        "kaiming_normal_", tensor, generator, lambda k, s, d: kaiming_normal(k.draw(), s, d, a, mode, nonlinearity)
    )


@explained
def orthogonal_(tensor: T, gain: float = 1, generator: random.Generator | None = None) -> T:
    """Fills as ``orthogonal``: with an orthogonal matrix (Saxe et al., 2013).

    Args:
        tensor: the Parameter or Buffer to fill, or an array.
        gain: factor of the matrix.
        generator: where random numbers come from; ``None`` is the generator of ``fnn.manual_seed``.

    Returns:
        ``tensor``; given an array, a new one of its shape and dtype.

    Raises:
        TypeError: if ``tensor`` is no array, or ``generator`` no ``fnn.Generator``.
        ValueError: if it has fewer than 2 axes.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.orthogonal_

    Example:
        >>> import numpy as np
        >>> from fnn import nn
        >>> orthogonal_(nn.Parameter(np.zeros((2, 3), "float32"))).shape
        (2, 3)
    """
    return _fill("orthogonal_", tensor, generator, lambda k, s, d: orthogonal(k.draw(), s, d, gain))


@explained
def sparse_(tensor: T, sparsity: float, std: float = 0.01, generator: random.Generator | None = None) -> T:
    """Fills a matrix as ``sparse``: with normal numbers and zeros (Martens, 2010).

    Args:
        tensor: the Parameter or Buffer to fill, or an array.
        sparsity: share of zeros in each column, rounded up to whole elements.
        std: standard deviation of the others.
        generator: where random numbers come from; ``None`` is the generator of ``fnn.manual_seed``.

    Returns:
        ``tensor``; given an array, a new one of its shape and dtype.

    Raises:
        TypeError: if ``tensor`` is no array, or ``generator`` no ``fnn.Generator``.
        ValueError: if it has not 2 axes.

    Source: https://docs.pytorch.org/docs/2.13/nn.init.html#torch.nn.init.sparse_

    Example:
        >>> import numpy as np
        >>> from fnn import nn
        >>> (sparse_(nn.Parameter(np.zeros((10, 2), "float32")), 0.3).data == 0).sum(0).tolist()
        [3, 3]
    """
    return _fill("sparse_", tensor, generator, lambda k, s, d: sparse(k.draw(), s, d, sparsity, std))


def _no_grad_trunc_normal_(
    tensor: T, mean: float, std: float, a: float, b: float, generator: random.Generator | None = None
) -> T:
    """``trunc_normal_`` under the name that it has within torch."""
    return trunc_normal_(tensor, mean, std, a, b, generator)

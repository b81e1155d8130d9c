"""Parameters as one vector, and back."""

from __future__ import annotations

import math
from collections.abc import Iterable

import jax
import jax.numpy as jnp

from fnn.functional.arrays import ArrayLike
from fnn.functional.checks import as_array, check_shape
from fnn.functional.explained import explained
from fnn.nn.array_box import ArrayBox
from fnn.nn.parameter import Buffer, Parameter

__all__ = ["parameters_to_vector", "vector_to_parameters"]


@explained
def parameters_to_vector(parameters: Iterable[ArrayLike]) -> jax.Array:
    """The elements of all the parameters, one after another.

    Args:
        parameters: Parameters or arrays.

    Returns:
        a 1-D array.

    Raises:
        TypeError: if one of them is no array.
        ValueError: if there are none.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.parameters_to_vector.html

    Example:
        >>> import jax.numpy as jnp
        >>> parameters_to_vector([jnp.ones((2, 2)), jnp.zeros(1)]).tolist()
        [1.0, 1.0, 1.0, 1.0, 0.0]
    """
    arrays = [as_array("parameters_to_vector", f"parameters[{i}]", p) for i, p in enumerate(parameters)]
    if not arrays:
        raise ValueError("parameters_to_vector: parameters must hold at least one, got none")
    return jnp.concatenate([a.ravel() for a in arrays])


@explained
def vector_to_parameters(vec: ArrayLike, parameters: Iterable[Parameter | Buffer]) -> None:
    """Writes the elements of a vector into the parameters, one after another.

    Args:
        vec: as many elements as the parameters have together.
        parameters: Parameters or Buffers.

    Raises:
        TypeError: if ``vec`` is no array or a parameter cannot be written to.
        ValueError: if ``vec`` is of another length; nothing is written then.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.vector_to_parameters.html

    Example:
        >>> import fnn, jax.numpy as jnp
        >>> p = fnn.nn.Parameter(jnp.zeros(2))
        >>> vector_to_parameters(jnp.arange(2.0), [p])
        >>> p.tolist()
        [0.0, 1.0]
    """
    name = "vector_to_parameters"
    vector = as_array(name, "vec", vec)
    boxes = list(parameters)
    for i, box in enumerate(boxes):
        if not isinstance(box, ArrayBox):
            raise TypeError(f"{name}: parameters[{i}] must be a Parameter or a Buffer, got {type(box).__name__}")
    check_shape(name, "vec", vector, (sum(math.prod(box.shape) for box in boxes),), "one number an element")
    start = 0
    for box in boxes:
        size = math.prod(box.shape)
        box.data = vector[start : start + size].reshape(box.shape).astype(box.dtype)
        start += size

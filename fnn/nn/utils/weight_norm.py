"""Weight normalization (Salimans and Kingma, 2016): its numerics, and the older form, with ``weight_g`` and ``weight_v``."""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from fnn.functional.arrays import ArrayLike, widen
from fnn.functional.checks import as_array, check_same_dtype, normalize_axis
from fnn.functional.explained import explained
from fnn.kernels.precision import wide_dtype
from fnn.nn.modules.module import Module
from fnn.nn.parameter import Parameter, is_lazy
from fnn.nn.placement import off_host, on_host
from fnn.nn.utils.computed_attributes import add_computed_weight, computed_weights, remove_computed_weight
from fnn.stateful.warning import warn

__all__ = ["WeightNorm", "norm_except_dim", "normalized_weight", "remove_weight_norm", "weight_norm"]

M = TypeVar("M", bound=Module)


def norm_except_dim(v: ArrayLike, dim: int = 0) -> jax.Array:
    """The 2-norms of the slices of ``v`` along one axis.

    Args:
        v: the array.
        dim: the axis that is kept; -1 stands for none, the norm of the whole array.

    Shape:
        (..., n, ...) to (1, ..., n, ..., 1), or () for -1.

    Returns:
        the norms.

    Raises:
        IndexError: if ``dim`` is out of range.

    Source: Salimans and Kingma, Weight Normalization (2016), https://arxiv.org/abs/1602.07868

    Example:
        >>> import numpy as np
        >>> norm_except_dim(np.array([[3.0, 4.0], [0.0, 2.0]])).tolist()
        [[5.0], [2.0]]
    """
    v = as_array("norm_except_dim", "v", v)
    if dim != -1:
        dim = normalize_axis("norm_except_dim", "dim", dim, v.ndim)
    host = on_host(v)
    if host is None:
        return _norm_except_dim(v, dim)
    return off_host(_norms(np, host.astype(wide_dtype(v.dtype)), dim).astype(jnp.finfo(v.dtype).dtype), v)


@partial(jax.jit, static_argnames="dim")
def _norm_except_dim(v: jax.Array, dim: int) -> jax.Array:
    return _norms(jnp, widen(v), dim).astype(jnp.finfo(v.dtype).dtype)


def _norms(xp: Any, x: Any, dim: int) -> Any:
    square = xp.real(x * xp.conj(x))
    if dim == -1:
        return xp.sqrt(square.sum())
    return xp.sqrt(square.sum(tuple(i for i in range(x.ndim) if i != dim), keepdims=True))


def normalized_weight(v: ArrayLike, g: ArrayLike, dim: int = 0) -> jax.Array:
    """w = g v / ||v||, the norm being that of ``norm_except_dim``.

    Args:
        v: the direction.
        g: the magnitudes.
        dim: the axis along which each slice has its own magnitude; -1 stands for none.

    Shape:
        - v: (..., n, ...).
        - g: (1, ..., n, ..., 1), or () for -1.

    Returns:
        the weight, of the shape of ``v``.

    Raises:
        TypeError: if the dtypes differ.
        IndexError: if ``dim`` is out of range.

    Source: Salimans and Kingma, Weight Normalization (2016), https://arxiv.org/abs/1602.07868

    Example:
        >>> import numpy as np
        >>> normalized_weight(np.array([[3.0, 4.0]]), np.array([[10.0]])).tolist()
        [[6.0, 8.0]]
    """
    v, g = as_array("weight_norm", "v", v), as_array("weight_norm", "g", g)
    if not jnp.issubdtype(v.dtype, jnp.complexfloating):
        check_same_dtype("weight_norm", v=v, g=g)
    if dim != -1:
        dim = normalize_axis("weight_norm", "dim", dim, v.ndim)
    return _normalized_weight(v, g, dim)


@partial(jax.jit, static_argnames="dim")
def _normalized_weight(v: jax.Array, g: jax.Array, dim: int) -> jax.Array:
    x = widen(v)
    return (x * (widen(g) / _norm_except_dim(x, dim))).astype(v.dtype)


class WeightNorm:
    """What computes a weight from ``weight_g`` and ``weight_v``; ``weight_norm`` makes it.

    Args:
        name: name of the weight.
        dim: the axis along which each slice has its own magnitude; ``None`` stands for one magnitude.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.weight_norm.html

    Example:
        >>> WeightNorm("weight", None).dim
        -1
    """

    dim: int

    def __init__(self, name: str, dim: int | None) -> None:
        self.name = name
        self.dim = -1 if dim is None else dim

    def compute_weight(self, module: Module) -> jax.Array:
        """The weight."""
        return normalized_weight(getattr(module, f"{self.name}_v"), getattr(module, f"{self.name}_g"), self.dim)


@explained
def weight_norm(module: M, name: str = "weight", dim: int | None = 0) -> M:
    """Replaces a parameter by its magnitude ``weight_g`` and its direction ``weight_v``: w = g v / ||v||.

    Deprecated in favour of ``fnn.nn.utils.parametrizations.weight_norm``. ``module.weight`` is computed when it is
    read, and so always belongs to the present ``weight_g`` and ``weight_v``; in torch it is that of the last call.

    Args:
        module: the module that has the parameter.
        name: name of the parameter.
        dim: the axis along which each slice has its own magnitude; ``None`` stands for one magnitude.

    Returns:
        the module.

    Raises:
        RuntimeError: if the parameter has a weight norm already.
        KeyError: if the module has no such parameter.
        ValueError: if the parameter is ``None`` or uninitialized.
        IndexError: if ``dim`` is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.weight_norm.html

    Example:
        >>> import warnings
        >>> from fnn import nn
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     m = weight_norm(nn.Linear(20, 40))
        >>> m, m.weight_g.shape, m.weight_v.shape
        (Linear(in_features=20, out_features=40, bias=True), (40, 1), (40, 20))
    """
    warn(
        "`fnn.nn.utils.weight_norm` is deprecated in favor of `fnn.nn.utils.parametrizations.weight_norm`.",
        FutureWarning,
    )
    if isinstance(computed_weights(module).get(name), WeightNorm):
        raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter {name}")
    weight = initialized_parameter("weight_norm", module, name)
    source = WeightNorm(name, dim)
    magnitude = Parameter(norm_except_dim(weight, source.dim))
    direction = Parameter(weight.data)
    delattr(module, name)
    module.register_parameter(f"{name}_g", magnitude)
    module.register_parameter(f"{name}_v", direction)
    add_computed_weight(module, name, source)
    return module


def initialized_parameter(function: str, module: Module, name: str) -> Parameter:
    """The parameter of that name; KeyError if there is none, ValueError if it has no values."""
    if name not in module._parameters:
        raise KeyError(f"{function}: {type(module).__name__} has no parameter named '{name}'")
    parameter = module._parameters[name]
    if parameter is None:
        raise ValueError(f"{function} cannot be applied as parameter `{name}` is None")
    if is_lazy(parameter):
        raise ValueError(
            f"The module passed to {function} can't have uninitialized parameters. "
            f"Make sure to run the dummy forward before applying {function}"
        )
    return parameter


@explained
def remove_weight_norm(module: M, name: str = "weight") -> M:
    """Makes the weight a parameter again, of its present value.

    Args:
        module: the module.
        name: name of the weight.

    Returns:
        the module.

    Raises:
        ValueError: if the weight has no weight norm.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.remove_weight_norm.html

    Example:
        >>> import warnings
        >>> from fnn import nn
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     m = weight_norm(nn.Linear(2, 3))
        >>> sorted(name for name, _ in remove_weight_norm(m).named_parameters())
        ['bias', 'weight']
    """
    source = computed_weights(module).get(name)
    if not isinstance(source, WeightNorm):
        raise ValueError(f"weight_norm of '{name}' not found in {module}")
    weight = source.compute_weight(module)
    remove_computed_weight(module, name)
    delattr(module, f"{name}_g")
    delattr(module, f"{name}_v")
    module.register_parameter(name, Parameter(weight))
    return module

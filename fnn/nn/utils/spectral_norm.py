"""Spectral normalization (Miyato et al., 2018): its numerics, and the older form, with ``weight_orig`` and a forward hook."""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from fnn import random
from fnn.functional.arrays import is_concrete
from fnn.functional.checks import normalize_axis
from fnn.functional.explained import explained
from fnn.kernels.precision import wide_dtype
from fnn.nn.array_box import to_array
from fnn.nn.modules.conv.transposed import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from fnn.nn.modules.module import Module
from fnn.nn.parameter import Parameter
from fnn.nn.utils.computed_attributes import add_computed_weight, computed_weights, remove_computed_weight
from fnn.nn.utils.weight_norm import initialized_parameter

__all__ = [
    "SpectralNorm",
    "SpectralNormLoadStateDictPreHook",
    "SpectralNormStateDictHook",
    "power_iteration",
    "remove_spectral_norm",
    "spectral_norm",
    "weight_over_sigma",
]

M = TypeVar("M", bound=Module)


# Numerics


def _as_matrix(xp: Any, weight: Any, dim: int) -> Any:
    """The axis ``dim`` first, the others flattened."""
    return xp.moveaxis(weight, dim, 0).reshape(weight.shape[dim], -1)


def _unit(xp: Any, x: Any, eps: float) -> Any:
    return x / xp.maximum(xp.sqrt(xp.real(x * xp.conj(x)).sum()), eps)


def _power_step(xp: Any, matrix: Any, u: Any, v: Any, eps: float, v_first: bool) -> tuple[Any, Any]:
    if v_first:
        v = _unit(xp, matrix.conj().T @ u, eps)
        return _unit(xp, matrix @ v, eps), v
    u = _unit(xp, matrix @ v, eps)
    return u, _unit(xp, matrix.conj().T @ u, eps)


@partial(jax.jit, static_argnames=("dim", "n", "eps", "v_first"))
def power_iteration(
    weight: jax.Array, u: jax.Array, v: jax.Array, *, dim: int, n: int, eps: float, v_first: bool = False
) -> tuple[jax.Array, jax.Array]:
    """``n`` steps u = W v / ||W v||, v = W^H u / ||W^H u|| towards the first singular vectors; constants to autodiff.

    Args:
        weight: the weight, taken as a matrix W of its axis ``dim`` by all others.
        u: left vector.
        v: right vector.
        dim: the axis of the rows.
        n: number of steps.
        eps: the least norm that is divided by.
        v_first: whether a step computes v, from u, before u.

    Shape:
        - weight: (..., h, ...), w elements for each of the h.
        - u: (h).
        - v: (w).

    Returns:
        the new ``(u, v)``.

    Source: Miyato et al., Spectral Normalization for Generative Adversarial Networks (2018),
    https://arxiv.org/abs/1802.05957

    Example:
        >>> import numpy as np
        >>> u, v = power_iteration(np.diag([3.0, 0.0]), np.ones(2), np.ones(2), dim=0, n=1, eps=1e-12)
        >>> u.tolist(), v.tolist()
        ([1.0, 0.0], [1.0, 0.0])
    """
    dtype, wide = u.dtype, wide_dtype(u.dtype)
    start = jax.lax.stop_gradient((_as_matrix(jnp, weight, dim), u, v))
    matrix, u, v = (x.astype(wide) for x in start)

    def step(_: Any, pair: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        return _power_step(jnp, matrix, pair[0], pair[1], eps, v_first)

    u, v = jax.lax.fori_loop(0, n, step, (u, v))
    return u.astype(dtype), v.astype(dtype)


@partial(jax.jit, static_argnames="dim")
def weight_over_sigma(weight: jax.Array, u: jax.Array, v: jax.Array, *, dim: int) -> jax.Array:
    """W / (u^H W v), with u and v constants to autodiff.

    Args:
        weight: the weight, taken as a matrix W of its axis ``dim`` by all others.
        u: first left singular vector, estimated.
        v: first right singular vector, estimated.
        dim: the axis of the rows.

    Shape:
        as ``power_iteration``.

    Returns:
        the normalized weight.

    Source: Miyato et al., Spectral Normalization for Generative Adversarial Networks (2018),
    https://arxiv.org/abs/1802.05957

    Example:
        >>> import numpy as np
        >>> weight_over_sigma(np.diag([4.0, 2.0]), np.array([1.0, 0]), np.array([1.0, 0]), dim=0).tolist()
        [[1.0, 0.0], [0.0, 0.5]]
    """
    wide = wide_dtype(weight.dtype)
    u, v = (jax.lax.stop_gradient(x).astype(wide) for x in (u, v))
    sigma = jnp.vdot(u, _as_matrix(jnp, weight.astype(wide), dim) @ v)
    return (weight / sigma).astype(weight.dtype)


def initial_vectors(function: str, weight: jax.Array, dim: int, n: int, eps: float) -> tuple[jax.Array, jax.Array]:
    """Random unit vectors u and v after ``n`` power steps; for a concrete weight by numpy, which compiles nothing."""
    wide = wide_dtype(weight.dtype)
    rows = weight.shape[dim]
    vectors = []
    for size in (rows, weight.size // max(rows, 1)):
        parts = [random.normal(random.next_key(function), (size,), jnp.finfo(wide).dtype) for _ in range(2)]
        vectors.append(parts[0] + 1j * parts[1] if jnp.iscomplexobj(weight) else parts[0])
    xp: Any = np if is_concrete(weight, *vectors) else jnp
    matrix = _as_matrix(xp, xp.asarray(weight).astype(wide), dim)
    u, v = (_unit(xp, xp.asarray(x), eps) for x in vectors)
    for _ in range(n):
        u, v = _power_step(xp, matrix, u, v, eps, False)
    return to_array(u.astype(weight.dtype)), to_array(v.astype(weight.dtype))


def default_dim(module: Module) -> int:
    """The axis of the outputs of the weight of a layer."""
    return 1 if isinstance(module, ConvTranspose1d | ConvTranspose2d | ConvTranspose3d) else 0


# The older form


class SpectralNorm:
    """What computes a weight from ``weight_orig``, and updates ``weight_u`` and ``weight_v``; ``spectral_norm`` makes it.

    Args:
        name: name of the weight.
        n_power_iterations: power steps for each call of the module.
        dim: the axis of the outputs.
        eps: the least norm that is divided by.

    Raises:
        ValueError: if ``n_power_iterations`` is not positive.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.spectral_norm.html

    Example:
        >>> SpectralNorm("weight").dim
        0
    """

    _version: int = 1

    def __init__(self, name: str = "weight", n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.name = name
        self.n_power_iterations = n_power_iterations
        self.dim = dim
        self.eps = eps

    def _arrays(self, module: Module) -> tuple[jax.Array, jax.Array, jax.Array]:
        weight, u, v = (getattr(module, self.name + suffix).data for suffix in ("_orig", "_u", "_v"))
        return weight, u, v

    def compute_weight(self, module: Module, do_power_iteration: bool = False) -> jax.Array:
        """The weight over its largest singular value.

        Args:
            module: the module that has the weight.
            do_power_iteration: whether ``weight_u`` and ``weight_v`` are brought nearer first.

        Returns:
            the weight.
        """
        if do_power_iteration:
            self._iterate(module)
        weight, u, v = self._arrays(module)
        return weight_over_sigma(weight, u, v, dim=self.dim)

    def __call__(self, module: Module, inputs: Any) -> None:
        """The forward pre-hook: in training mode, power steps."""
        if module.training:
            self._iterate(module)

    def _iterate(self, module: Module) -> None:
        weight, u, v = self._arrays(module)
        u, v = power_iteration(weight, u, v, dim=self.dim, n=self.n_power_iterations, eps=self.eps, v_first=True)
        setattr(module, f"{self.name}_u", u)
        setattr(module, f"{self.name}_v", v)


class SpectralNormStateDictHook:
    """Puts the version into the metadata of a ``state_dict``.

    Args:
        fn: what computes the weight.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.spectral_norm.html

    Example:
        >>> import fnn
        >>> hook, metadata = SpectralNormStateDictHook(SpectralNorm()), {}
        >>> hook(fnn.nn.Linear(2, 3), {}, "", metadata)
        >>> metadata
        {'spectral_norm': {'weight.version': 1}}
    """

    def __init__(self, fn: SpectralNorm) -> None:
        self.fn = fn

    def __call__(self, module: Module, state_dict: Any, prefix: str, local_metadata: dict[str, Any]) -> None:
        versions = local_metadata.setdefault("spectral_norm", {})
        key = f"{self.fn.name}.version"
        if key in versions:
            raise RuntimeError(f"Unexpected key in metadata['spectral_norm']: {key}")
        versions[key] = self.fn._version


class SpectralNormLoadStateDictPreHook:
    """Turns what torch saved before version 1, the weight and no ``weight_v``, into what it saves since.

    It was saved after a training step, so that u = W v / ||W v|| and weight = W / sigma; v is solved for.

    Args:
        fn: what computes the weight.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.spectral_norm.html

    Example:
        >>> hook, missing = SpectralNormLoadStateDictPreHook(SpectralNorm()), []
        >>> hook({}, "fc.", {}, True, missing, [], [])
        >>> missing
        ['fc.weight_orig', 'fc.weight', 'fc.weight_u']
    """

    def __init__(self, fn: SpectralNorm) -> None:
        self.fn = fn

    def __call__(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        name = self.fn.name
        if local_metadata.get("spectral_norm", {}).get(f"{name}.version") is not None:
            return
        key = prefix + name
        if key not in state_dict and all(key + suffix in state_dict for suffix in ("_orig", "_u", "_v")):
            return
        missing = [key + suffix for suffix in ("_orig", "", "_u") if key + suffix not in state_dict]
        if missing:
            if strict:
                missing_keys.extend(missing)
            return
        original, weight, u = (np.asarray(to_array(state_dict[key + suffix])) for suffix in ("_orig", "", "_u"))
        del state_dict[key]
        matrix = _as_matrix(np, original, self.fn.dim)
        v = np.linalg.pinv(matrix.T @ matrix) @ (matrix.T @ u)
        state_dict[f"{key}_v"] = v * ((original / weight).mean() / (u @ matrix @ v))


@explained
def spectral_norm(
    module: M, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> M:
    """Divides a parameter by its largest singular value, which is estimated by power steps at each call in training mode.

    The parameter becomes ``weight_orig``; the estimated singular vectors are the buffers ``weight_u`` and ``weight_v``.
    ``module.weight`` is computed from them when it is read. ``fnn.nn.utils.parametrizations.spectral_norm`` is newer.

    Args:
        module: the module that has the parameter.
        name: name of the parameter.
        n_power_iterations: power steps for each call.
        eps: the least norm that is divided by.
        dim: the axis of the outputs; 0 if not given, and 1 for transposed convolutions.

    Returns:
        the module.

    Raises:
        RuntimeError: if the parameter has a spectral norm already.
        KeyError: if the module has no such parameter.
        ValueError: if the parameter is ``None`` or uninitialized, or ``n_power_iterations`` is not positive.
        IndexError: if ``dim`` is out of range.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.spectral_norm.html

    Example:
        >>> from fnn import nn
        >>> m = spectral_norm(nn.Linear(20, 40))
        >>> m, m.weight_u.shape
        (Linear(in_features=20, out_features=40, bias=True), (40,))
    """
    if isinstance(computed_weights(module).get(name), SpectralNorm):
        raise RuntimeError(f"Cannot register two spectral_norm hooks on the same parameter {name}")
    weight = initialized_parameter("spectral_norm", module, name)
    dim = normalize_axis("spectral_norm", "dim", default_dim(module) if dim is None else dim, weight.ndim)
    source = SpectralNorm(name, n_power_iterations, dim, eps)
    u, v = initial_vectors("spectral_norm", weight.data, dim, 0, eps)
    delattr(module, name)
    module.register_parameter(f"{name}_orig", weight)
    module.register_buffer(f"{name}_u", u)
    module.register_buffer(f"{name}_v", v)
    add_computed_weight(module, name, source)
    module.register_forward_pre_hook(source)
    module._register_state_dict_hook(SpectralNormStateDictHook(source))
    module._register_load_state_dict_pre_hook(SpectralNormLoadStateDictPreHook(source))
    return module


@explained
def remove_spectral_norm(module: M, name: str = "weight") -> M:
    """Makes the weight a parameter again, of its present value.

    Args:
        module: the module.
        name: name of the weight.

    Returns:
        the module.

    Raises:
        ValueError: if the weight has no spectral norm.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.nn.utils.remove_spectral_norm.html

    Example:
        >>> from fnn import nn
        >>> sorted(name for name, _ in remove_spectral_norm(spectral_norm(nn.Linear(2, 3))).named_parameters())
        ['bias', 'weight']
    """
    source = computed_weights(module).get(name)
    if not isinstance(source, SpectralNorm):
        raise ValueError(f"spectral_norm of '{name}' not found in {module}")
    weight = source.compute_weight(module)
    remove_computed_weight(module, name)
    for suffix in ("_orig", "_u", "_v"):
        delattr(module, name + suffix)
    module.register_parameter(name, Parameter(weight))
    for hooks in (module._forward_pre_hooks, module._state_dict_hooks, module._load_state_dict_pre_hooks):
        for key, hook in list(hooks.items()):
            function = getattr(hook, "function", hook)
            if getattr(function, "fn", function) is source:
                del hooks[key]
    return module

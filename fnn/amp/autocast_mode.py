"""``autocast``: within it, listed functions compute in a dtype that is good for them, whatever that of their arguments."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Self, TypeVar, overload

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from fnn.amp.casting import cast
from fnn.amp.state import Autocast, context, current, entered, opened, within
from fnn.stateful.warning import warn

__all__ = [
    "autocast",
    "custom_bwd",
    "custom_fwd",
    "get_autocast_dtype",
    "is_autocast_available",
    "is_autocast_cache_enabled",
    "is_autocast_enabled",
]

Function = TypeVar("Function", bound=Callable[..., Any])

# The dtype that a type of device casts to unless told otherwise.
_DEFAULTS: dict[str, Any] = {
    "cpu": jnp.bfloat16,
    "cuda": jnp.float16,
    "gpu": jnp.float16,
    "rocm": jnp.float16,
    "tpu": jnp.bfloat16,
    "xla": jnp.bfloat16,
    "mps": jnp.float16,
}
_HALVES = (np.dtype(jnp.bfloat16), np.dtype(jnp.float16))


class autocast:
    """Mixed precision: within it products run in half precision, and what needs range or precision in float32.

    A context manager, and a decorator of functions. Functions of ``fnn.nn.functional``, the layers that call them and the
    methods of Parameters cast what they are given, by torch's lists for CUDA (``fnn.amp.lists``), on every device; operators and
    functions of JAX's take arrays as they are. Parameters stay as they are, and get gradients of their own dtype. float64 is
    left alone. It works eagerly and while JAX or ``fnn.jit`` trace, and is part of the key of compiled programs. With
    ``float16`` small gradients vanish unless the loss is scaled: see ``fnn.amp.GradScaler``.

    Args:
        device_type: "cuda", "cpu", "tpu" and so on, or the dtype itself. It settles the default of ``dtype`` alone: float16 for
            "cuda", "gpu" and "mps", else bfloat16.
        dtype: ``jnp.bfloat16`` or ``jnp.float16``. A wider one turns casting off, with a warning.
        enabled: whether to cast; false within another ``autocast`` turns that off.
        cache_enabled: accepted for torch's signature. In a compiled program a parameter that is used twice is cast once.

    Raises:
        RuntimeError: if there is no such type of device.
        TypeError: if ``dtype`` is no floating dtype.

    Source: https://docs.pytorch.org/docs/2.13/amp.html#torch.autocast

    Example:
        >>> import fnn, jax.numpy as jnp
        >>> layer, x = fnn.nn.Linear(2, 2), jnp.ones((1, 2), jnp.float32)
        >>> with fnn.autocast(dtype=jnp.bfloat16):
        ...     y = layer(x)
        ...     p = fnn.nn.functional.softmax(y, -1)
        >>> y.dtype.name, p.dtype.name, layer.weight.dtype.name
        ('bfloat16', 'float32', 'float32')
    """

    def __init__(
        self,
        device_type: str | DTypeLike | None = None,
        dtype: DTypeLike | None = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        if device_type is not None and not _is_known(device_type):
            if dtype is not None or not _is_floating(device_type):
                raise _unknown("autocast", device_type, ", or a dtype")
            device_type, dtype = None, device_type
        for name, flag in (("enabled", enabled), ("cache_enabled", cache_enabled)):
            if not (isinstance(flag, bool | int | np.bool_) or (flag is None and name == "cache_enabled")):
                raise TypeError(f"autocast: {name} must be True or False, got {_said(flag)}")
        kind = None if device_type is None else str(device_type)
        if dtype is None:
            dtype = jnp.bfloat16 if kind is None else _DEFAULTS[kind]
        elif not _is_floating(dtype):
            raise TypeError(f"autocast: dtype must be jnp.bfloat16 or jnp.float16, got {_said(dtype)}")
        self.device_type: str | None = kind
        self.dtype: np.dtype[Any] = jnp.dtype(dtype)
        if enabled and self.dtype not in _HALVES:
            warn(f"autocast: dtype must be bfloat16 or float16, got {self.dtype.name}: nothing is cast")
            enabled = False
        self.enabled: bool = bool(enabled)
        self.cache_enabled: bool = cache_enabled is None or bool(cache_enabled)

    def __enter__(self) -> Self:
        opened.append(True)
        manager = context(Autocast(self.dtype, self.device_type, self.cache_enabled) if self.enabled else None)
        manager.__enter__()
        entered.managers.append(manager)
        return self

    def __exit__(self, *raised: object) -> None:
        entered.managers.pop().__exit__(*raised)
        opened.pop()

    def __call__(self, function: Function) -> Function:
        """A function that runs in this ``autocast``."""

        @functools.wraps(function, updated=())
        def call(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return call  # pyright: ignore[reportReturnType]

    def __repr__(self) -> str:
        device = "" if self.device_type is None else f"{self.device_type!r}, "
        return f"fnn.autocast({device}dtype={self.dtype.name}, enabled={self.enabled})"


def _is_known(device_type: Any) -> bool:
    return isinstance(device_type, str) and device_type in _DEFAULTS


def _unknown(function: str, device_type: Any, or_else: str = "") -> RuntimeError:
    known = ", ".join(map(repr, _DEFAULTS))
    return RuntimeError(f"{function}: device_type must be one of {known}{or_else}, got {_said(device_type)}")


def _said(value: Any) -> str:
    """A value in a message: an array by its dtype and shape."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{value.dtype}{list(value.shape)}"
    return repr(value)


def _is_floating(dtype: Any) -> bool:
    if hasattr(dtype, "shape") and not isinstance(dtype, np.dtype | type):
        return False  # an array
    try:
        return bool(jnp.issubdtype(jnp.dtype(dtype), jnp.floating))
    except TypeError:
        return False


def is_autocast_available(device_type: str) -> bool:
    """Whether ``autocast`` takes a type of device.

    Args:
        device_type: "cuda", "cpu" and so on.

    Returns:
        whether it does.

    Source: https://docs.pytorch.org/docs/2.13/amp.html#torch.amp.is_autocast_available

    Example:
        >>> import fnn
        >>> fnn.amp.is_autocast_available("cuda")
        True
    """
    return _is_known(device_type)


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """Whether functions cast their arguments here.

    Args:
        device_type: accepted for torch's signature; one ``autocast`` holds for all devices.

    Returns:
        whether the caller is in an ``autocast`` that is enabled.

    Source: ``torch.is_autocast_enabled``

    Example:
        >>> import fnn
        >>> with fnn.autocast("cpu"):
        ...     fnn.is_autocast_enabled()
        True
    """
    return current() is not None


def get_autocast_dtype(device_type: str | None = None) -> np.dtype[Any]:
    """The dtype that ``autocast`` casts to.

    Args:
        device_type: outside of ``autocast``, the type of device whose default is asked for.

    Returns:
        that of the ``autocast`` in force, else the default.

    Raises:
        RuntimeError: if there is no such type of device.

    Source: ``torch.get_autocast_dtype``

    Example:
        >>> import fnn
        >>> fnn.get_autocast_dtype("cuda").name
        'float16'
    """
    if device_type is not None and not _is_known(device_type):
        raise _unknown("get_autocast_dtype", device_type)
    state = current()
    return jnp.dtype(jnp.bfloat16 if device_type is None else _DEFAULTS[device_type]) if state is None else state.dtype


def is_autocast_cache_enabled() -> bool:
    """Whether the ``autocast`` in force was given ``cache_enabled``, which changes nothing here.

    Returns:
        what it was given; true by default.

    Source: ``torch.is_autocast_cache_enabled``

    Example:
        >>> import fnn
        >>> fnn.amp.is_autocast_cache_enabled()
        True
    """
    state = current()
    return state is None or state.cache_enabled


# Functions with derivatives of their own


@jax.tree_util.register_pytree_node_class
class _Residuals:
    """What a forward function keeps, the autocast that its backward function is to run in, the dtypes of its arguments."""

    def __init__(self, kept: Any, mode: Autocast | None, dtypes: tuple[Any, ...]) -> None:
        self.kept = kept
        self.mode = mode
        self.dtypes = dtypes

    def tree_flatten(self) -> tuple[tuple[Any], tuple[Any, ...]]:
        return (self.kept,), (self.mode, self.dtypes)

    @classmethod
    def tree_unflatten(cls, aux: tuple[Any, ...], children: tuple[Any, ...]) -> _Residuals:
        return cls(children[0], *aux)


@overload
def custom_fwd(fwd: Function, *, device_type: str | None = None, cast_inputs: DTypeLike | None = None) -> Function: ...
@overload
def custom_fwd(
    fwd: None = None, *, device_type: str | None = None, cast_inputs: DTypeLike | None = None
) -> Callable[[Function], Function]: ...
def custom_fwd(fwd: Any = None, *, device_type: str | None = None, cast_inputs: DTypeLike | None = None) -> Any:
    """For the forward function of a ``jax.custom_vjp``: the backward function, in ``custom_bwd``, runs in the same ``autocast``.

    Args:
        fwd: the forward function, which returns a pair of output and residuals; without it, this is a decorator with options.
        device_type: accepted for torch's signature.
        cast_inputs: if given, within ``autocast`` the floating arguments, but for those of float64, are cast to this dtype, and
            both functions run with ``autocast`` turned off.

    Returns:
        the function for ``defvjp``.

    Source: https://docs.pytorch.org/docs/2.13/amp.html#torch.amp.custom_fwd

    Example:
        >>> import fnn, jax, jax.numpy as jnp
        >>> @fnn.amp.custom_fwd(cast_inputs=jnp.float32)
        ... def forward(x):
        ...     return jnp.exp(x), jnp.exp(x)
        >>> @fnn.amp.custom_bwd
        ... def backward(kept, g):
        ...     return (g * kept,)
        >>> exp = jax.custom_vjp(lambda x: forward(x)[0])
        >>> exp.defvjp(forward, backward)
        >>> with fnn.autocast():
        ...     y, pull = jax.vjp(exp, jnp.zeros(1, jnp.bfloat16))
        >>> y.dtype.name, pull(y)[0].dtype.name
        ('float32', 'bfloat16')
    """
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def call(*args: Any, **kwargs: Any) -> tuple[Any, _Residuals]:
        mode = current()
        dtypes = tuple(tuple(map(jnp.result_type, jax.tree.leaves(arg))) for arg in args)
        if mode is None or cast_inputs is None:
            output, kept = fwd(*args, **kwargs)
            return output, _Residuals(kept, mode, dtypes)
        to = jnp.dtype(cast_inputs)
        args, kwargs = jax.tree.map(lambda value: cast(value, to), (args, kwargs))
        with context(None):
            output, kept = fwd(*args, **kwargs)
        return output, _Residuals(kept, None, dtypes)

    return call


@overload
def custom_bwd(bwd: Function, *, device_type: str | None = None) -> Function: ...
@overload
def custom_bwd(bwd: None = None, *, device_type: str | None = None) -> Callable[[Function], Function]: ...
def custom_bwd(bwd: Any = None, *, device_type: str | None = None) -> Any:
    """For the backward function of a ``jax.custom_vjp``, whose forward function is in ``custom_fwd``.

    Args:
        bwd: the backward function, of the residuals and the gradient of the output; without it, this is a decorator.
        device_type: accepted for torch's signature.

    Returns:
        the function for ``defvjp``; the gradients that it returns have the dtypes of the arguments.

    Source: https://docs.pytorch.org/docs/2.13/amp.html#torch.amp.custom_bwd
    """
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def call(*args: Any) -> tuple[Any, ...]:
        *static, residuals, gradient = args
        if not isinstance(residuals, _Residuals):
            raise TypeError(
                f"custom_bwd: residuals must be those of a function in custom_fwd, got {type(residuals).__name__}"
            )
        with within(residuals.mode):
            gradients = bwd(*static, residuals.kept, gradient)
        kinds = residuals.dtypes[len(residuals.dtypes) - len(gradients) :]
        return tuple(_in_dtypes(g, dtypes) for g, dtypes in zip(gradients, kinds, strict=True))

    return call


def _in_dtypes(gradient: Any, dtypes: tuple[Any, ...]) -> Any:
    """The arrays of a gradient in the dtypes of the argument; one of another structure is JAX's to refuse."""
    leaves, tree = jax.tree.flatten(gradient)
    if len(leaves) != len(dtypes):
        return gradient
    return tree.unflatten(
        [g.astype(d) if jnp.issubdtype(d, jnp.floating) else g for g, d in zip(leaves, dtypes, strict=True)]
    )

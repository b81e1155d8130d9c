"""What ``Module.to`` accepts: dtypes, devices, shardings, and arrays that stand for both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import DTypeLike

from fnn.functional.checks import describe
from fnn.tensor.promotion import parse

__all__ = [
    "Device",
    "DType",
    "Place",
    "along",
    "beside",
    "empty",
    "everywhere",
    "parse_device",
    "parse_dtype",
    "parse_to",
    "parse_type",
    "put",
]

Place: TypeAlias = jax.sharding.Sharding | Any
"""Where an array lies: a sharding, or a ``jax.Device`` (of which jaxlib has no type that a checker can see)."""

Device: TypeAlias = Place | str | None
"""What a constructor takes for ``device``: a place, a name such as "cpu" or "cuda:0", or ``None`` for JAX's default."""

DType: TypeAlias = DTypeLike | None
"""What a constructor takes for ``dtype``; ``None`` for float32."""

_PLATFORMS = {"cpu": "cpu", "cuda": "gpu", "gpu": "gpu", "tpu": "tpu", "rocm": "gpu"}
_NAMES = f"one of {', '.join(_PLATFORMS)}, with an optional index"


def parse_device(device: Device) -> Place | None:
    """A ``jax.Device``, a sharding, ``None`` or a name such as "cpu", "cuda:0" or "tpu" as something ``device_put`` takes.

    Raises:
        TypeError: if it is none of these.
        RuntimeError: if there is no such device.
    """
    if device is None or isinstance(device, jax.Device | jax.sharding.Sharding):
        return device
    if not isinstance(device, str):
        raise TypeError(
            f"device must be a jax.Device, a jax.sharding.Sharding or a name such as 'cpu', got {describe(device)}"
        )
    name, _, index = device.partition(":")
    if name not in _PLATFORMS or (index and not index.isdigit()):
        raise RuntimeError(f"device must be {_NAMES}, got {describe(device)}")
    try:
        devices = jax.devices(_PLATFORMS[name])
    except RuntimeError as error:
        present = ", ".join(dict.fromkeys(kind.platform for kind in jax.devices()))
        raise RuntimeError(
            f"device {device!r} asked for, but JAX finds none of its kind here, only {present}; python -m fnn says what it "
            f"runs on, and jax[cuda12] is JAX for GPUs of Nvidia ({error})"
        ) from None
    if int(index or 0) >= len(devices):
        there = "there is 1 device" if len(devices) == 1 else f"there are {len(devices)} devices"
        raise RuntimeError(f"device {device!r} asked for, but {there} of this kind, counted from 0")
    return devices[int(index or 0)]


def _as_programs_write_it(place: jax.sharding.NamedSharding) -> jax.sharding.NamedSharding:
    """The sharding without axes of its spec that say nothing, as results of programs have theirs: the two are not equal."""
    axes = list(place.spec)
    while axes and axes[-1] is None:
        axes.pop()
    if len(axes) == len(place.spec):
        return place
    return jax.sharding.NamedSharding(place.mesh, jax.sharding.PartitionSpec(*axes), memory_kind=place.memory_kind)


def put(array: jax.Array, place: Place | None) -> jax.Array:
    """The array at a device or sharding; the same object if it is there already.

    ``jax.device_put`` would make a second array on the same memory, and donating one would take the other with it.
    """
    if place is None:
        return array
    if isinstance(place, jax.sharding.NamedSharding):
        place = _as_programs_write_it(place)
    if not isinstance(array, Tracer):
        here = array.sharding
        if here == place if isinstance(place, jax.sharding.Sharding) else here.device_set == {place}:
            return array
    return jax.device_put(array, place)


def beside(value: jax.Array, old: jax.Array) -> jax.Array:
    """The value on the devices of the array that it replaces."""
    if isinstance(value, Tracer) or isinstance(old, Tracer) or value.sharding == old.sharding:
        return value
    return jax.device_put(value, old.sharding)


def on_host(value: Any) -> np.ndarray[Any, Any] | None:
    """An array whose memory this process reads as it is, as numpy: what is done with it there compiles nothing."""
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, Tracer) or not isinstance(value, jax.Array):
        return None
    devices = [device.platform for device in value.devices()]
    return np.asarray(value) if devices == ["cpu"] else None


def off_host(value: np.ndarray[Any, Any], like: Any = None) -> jax.Array:
    """What was made on the host of another array, as an array where that one lies."""
    value = value.astype(jax.dtypes.canonicalize_dtype(value.dtype), copy=False)
    bound = isinstance(like, jax.Array) and like.committed and len(like.devices()) == 1
    with jax.ensure_compile_time_eval():  # jnp.asarray would compile a program for each shape
        return jax.device_put(value, like.sharding if bound else None)


def everywhere(value: jax.Array, like: jax.Array) -> jax.Array:
    """The value whole on every device of the array that it is used with."""
    if isinstance(value, Tracer) or isinstance(like, Tracer) or not isinstance(value, jax.Array):
        return value
    devices = like.sharding.device_set
    if value.sharding.device_set == devices or (len(devices) == 1 and not value.committed):
        return value
    if isinstance(like.sharding, jax.sharding.NamedSharding):
        return jax.device_put(value, jax.sharding.NamedSharding(like.sharding.mesh, jax.sharding.PartitionSpec()))
    return jnp.asarray(np.asarray(value))  # bound to no device, so that it goes with any


def along(value: jax.Array, parameter: jax.Array) -> jax.Array:
    """State of a parameter where it belongs: beside it if it has its shape, a scalar on all its devices, else as it is."""
    if value.shape == parameter.shape:
        return beside(value, parameter)
    return value if value.ndim else everywhere(value, parameter)


def parse_dtype(dtype: DType) -> np.dtype[Any] | None:
    """A dtype, checked against the x64 setting, so that float64 is never silently float32.

    Raises:
        TypeError: if it is no dtype.
        RuntimeError: if it needs x64, which is off.
    """
    if dtype is None:
        return None
    try:
        parsed = jnp.dtype(dtype)
    except TypeError:
        raise TypeError(f"dtype must be a JAX dtype such as jnp.float32, got {describe(dtype)}") from None
    if jax.dtypes.canonicalize_dtype(parsed) != parsed:
        raise RuntimeError(f'dtype {parsed} needs 64-bit types: set jax.config.update("jax_enable_x64", True) first')
    return parsed


def _is_dtype(value: Any) -> bool:
    if isinstance(value, str):
        if value.partition(":")[0] in _PLATFORMS:
            return False
        try:
            jnp.dtype(value)
        except TypeError:
            message = f"to: a name must be that of a dtype, such as 'float32', or of a device, {_NAMES}, got {value!r}"
            raise RuntimeError(message) from None
        return True
    return isinstance(value, np.dtype | type) or type(value).__name__ == "_ScalarMeta"


def parse_to(*args: Any, any_dtype: bool = False, **kwargs: Any) -> tuple[np.dtype[Any] | None, Place | None]:
    """The arguments of ``Module.to`` as a pair of dtype and place, each ``None`` if not asked for."""
    dtype, place = kwargs.pop("dtype", None), kwargs.pop("device", None)
    place = kwargs.pop("sharding", place)
    example = kwargs.pop("other", kwargs.pop("tensor", None))
    for ignored in ("non_blocking", "copy", "memory_format"):
        kwargs.pop(ignored, None)
    if kwargs:
        raise TypeError(f"to: unexpected argument {next(iter(kwargs))!r}")
    for arg in args:
        if isinstance(arg, bool) or arg is None:
            continue
        if isinstance(arg, jax.Device | jax.sharding.Sharding):
            place = arg
        elif _is_dtype(arg):
            dtype = arg
        elif hasattr(arg, "dtype") and hasattr(arg, "shape"):
            example = arg
        elif isinstance(arg, str):
            place = arg
        else:
            raise TypeError(
                f"to: expected a dtype (jnp.float16), a device or its name, a sharding or an array, got {describe(arg)}"
            )
    if example is not None:
        dtype = example.dtype if dtype is None else dtype
        place = getattr(example, "device", None) if place is None else place
    # Where integers are cast, int64 without x64 is int32, as indices are.
    dtype = parse("to", dtype) if any_dtype else parse_dtype(dtype)
    if dtype is not None and not any_dtype and not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"to: dtype must be floating, got {dtype}")
    return dtype, parse_device(place)


def parse_type(dst_type: DTypeLike) -> np.dtype[Any]:
    """The argument of ``Module.type``: any dtype, or its name.

    Raises:
        TypeError: if it is none.
    """
    try:
        dtype = None if hasattr(dst_type, "shape") else parse_to(dst_type, any_dtype=True)[0]
    except (TypeError, RuntimeError) as error:
        if "x64" in str(error):
            raise
        dtype = None
    if dtype is None:
        raise TypeError(f"type: dst_type must be a dtype such as jnp.float16, or its name, got {describe(dst_type)}")
    return dtype


def empty(shape: Sequence[int], device: Device = None, dtype: DType = None) -> jax.Array:
    """An array of zeros for an initializer to replace; float32 if ``dtype`` is ``None``.

    Raises:
        ValueError: if a length is negative.
    """
    if any(n < 0 for n in shape):
        raise ValueError(f"a layer's sizes must not be negative, got shape {tuple(shape)}")
    zeros = np.zeros(tuple(shape), parse_dtype(dtype) or jnp.float32)
    return jax.device_put(zeros, parse_device(device))

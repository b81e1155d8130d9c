"""Arrays between files, the host and devices: the dtypes that files know, and what becomes of 64 bits without x64."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from jax.core import Tracer

from fnn.checkpoint.files import Unfit, copied
from fnn.functional.checks import describe
from fnn.nn.placement import Device, Place, parse_device
from fnn.stateful.boxes import Box

__all__ = ["DTYPES", "Places", "Read", "Sharding", "check_place", "fit", "host_array", "nearest", "to_device"]

Sharding: TypeAlias = "jax.sharding.Sharding | Mapping[str, jax.sharding.Sharding] | None"

DTYPES: dict[str, np.dtype[Any]] = {
    **{n: np.dtype(n) for n in ("float64", "float32", "float16", "complex64", "complex128", "bool")},
    **{f"{sign}int{bits}": np.dtype(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "float8_e4m3fn": np.dtype(ml_dtypes.float8_e4m3fn),
    "float8_e4m3fnuz": np.dtype(ml_dtypes.float8_e4m3fnuz),
    "float8_e5m2": np.dtype(ml_dtypes.float8_e5m2),
    "float8_e5m2fnuz": np.dtype(ml_dtypes.float8_e5m2fnuz),
    "float8_e8m0fnu": np.dtype(ml_dtypes.float8_e8m0fnu),
}
"""The dtypes that both torch and JAX have, by their common name."""

_NARROW = {
    np.dtype(wide): np.dtype(narrow)
    for wide, narrow in (("int64", "int32"), ("uint64", "uint32"), ("float64", "float32"), ("complex128", "complex64"))
}


def fit(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The array as JAX can hold it: without x64 what has 64 bits gets 32.

    Integers must all fit. Floats are rounded to the nearest float32, as JAX rounds them everywhere else; a finite one that would
    become infinite does not fit.

    Raises:
        ValueError: if a number does not fit.
    """
    narrow = _NARROW.get(array.dtype)
    if narrow is None or jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
        return array
    if array.dtype.kind in "iu":
        limits = np.iinfo(narrow)
        fits = not array.size or (limits.min <= array.min() and array.max() <= limits.max)
        out = copied(array, narrow) if fits else array
    else:
        with np.errstate(over="ignore"):
            out = copied(array, narrow)
        fits = bool((np.isfinite(out) | ~np.isfinite(array)).all())
    if not fits:
        raise Unfit(
            f"it is {array.dtype.name} with numbers that {narrow.name} cannot hold; "
            'jax.config.update("jax_enable_x64", True) lets JAX keep 64 bits'
        )
    return out


class Places:
    """The arguments ``device`` and ``sharding`` as a function from a tensor's name to where it shall lie.

    Args:
        device: where all shall lie; ``None`` for JAX's default.
        sharding: in its place one for all, or a mapping of names to shardings.
        prefix: what the names in a file begin with, and those of the mapping do not.

    Raises:
        ValueError: if both are given.
        TypeError: if a sharding is none.
    """

    def __init__(self, device: Device, sharding: Sharding, prefix: str = "") -> None:
        if device is not None and sharding is not None:
            raise Unfit("device and sharding say the same thing: give one of them")
        self._prefix = prefix
        self._by_name: Mapping[str, Any] | None = sharding if isinstance(sharding, Mapping) else None
        self._place: Place | None = parse_device(device) if self._by_name is not None or sharding is None else sharding
        for name, one in (self._by_name or {}).items():
            self._check_one(one, f" at {name!r}")
        if sharding is not None and self._by_name is None:
            self._check_one(sharding, "")

    def _check_one(self, one: Any, where: str) -> None:
        if not isinstance(one, jax.sharding.Sharding):
            what = "sharding must be a jax.sharding.Sharding or a mapping of names to them"
            raise TypeError(f"{what}, got {describe(one)}{where}")

    def __call__(self, name: str) -> Any:
        return self._place if self._by_name is None else self._by_name.get(name.removeprefix(self._prefix))

    def check(self, names: Iterable[str]) -> None:
        """Raises ValueError if the mapping has a name that is not among those of the file."""
        there = [name.removeprefix(self._prefix) for name in names]
        for name in self._by_name.keys() - set(there) if self._by_name else ():
            raise Unfit(f"sharding has the name {name!r:.80}, which no tensor has; {nearest(name, there)}")


def nearest(name: object, there: Sequence[str]) -> str:
    """What an error says of the names that are there, where one is not."""
    near = difflib.get_close_matches(str(name), there, 1)
    return f"the nearest is {near[0]!r}" if near else f"they have names such as {list(there[:3])}"


Read: TypeAlias = Callable[[tuple[slice, ...] | None], np.ndarray[Any, Any]]
"""Reads a tensor, or the part of it that slices say, into memory that nobody else holds."""


def to_device(read: Read, shape: tuple[int, ...], place: Place | None) -> jax.Array:
    """A tensor of a file as a ``jax.Array``; of one that is spread over devices, each part is read when its device gets it.

    Raises:
        ValueError: if its numbers do not fit (see ``fit``), or its shape does not fit the sharding.
    """
    if isinstance(place, jax.sharding.Sharding):
        check_place(shape, place)
    if not isinstance(place, jax.sharding.Sharding) or len(place.device_set) == 1:
        return jax.device_put(fit(read(None)), place)  # the memory may be taken over
    devices: dict[tuple[Any, ...], list[Any]] = {}
    for device, index in place.addressable_devices_indices_map(shape).items():
        devices.setdefault(tuple((one.start, one.stop) for one in index or ()), []).append(device)
    parts: list[jax.Array] = []
    for bounds, homes in devices.items():
        part = fit(read(tuple(slice(*one) for one in bounds)))
        for device in homes:
            home = jax.sharding.SingleDeviceSharding(device, memory_kind=place.memory_kind)
            parts.append(jax.device_put(part, home))
    return jax.make_array_from_single_device_arrays(shape, place, parts)


def check_place(shape: tuple[int, ...], place: jax.sharding.Sharding) -> None:
    """Raises ValueError if an array of the shape cannot be spread so."""
    try:
        place.check_compatible_aval(shape)  # pyright: ignore[reportAttributeAccessIssue]
        place.shard_shape(shape)
    except (ValueError, IndexError, AssertionError) as error:
        raise Unfit(f"its shape {shape} does not fit {place}: {error}") from error


def host_array(value: Any, what: str) -> np.ndarray[Any, Any] | None:
    """An array of jax, numpy or torch, or a box, as contiguous little-endian numpy; ``None`` for what is no array.

    Raises:
        TypeError: if it is an array that cannot be written.
    """
    if isinstance(value, Box):
        value = value.data
    if hasattr(value, "detach") and hasattr(value, "numpy"):
        value = _from_torch(value)
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{what} is a masked array, whose mask would be lost: save filled(number), or .data and .mask")
    if isinstance(value, Tracer):
        raise TypeError(f"{what} is a traced array, which has no values yet: save outside the transformation")
    if isinstance(value, jax.Array):
        if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
            raise TypeError(f"{what} is a typed PRNG key; save jax.random.key_data(key)")
        if not value.is_fully_addressable and not value.is_fully_replicated:
            raise TypeError(f"{what} is spread over several processes; save it with orbax")
        array = np.asarray(value)
    elif isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
    else:
        return None
    if array.dtype.name not in DTYPES:
        raise TypeError(f"{what} has dtype {array.dtype}, which no checkpoint file can hold")
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return np.ascontiguousarray(array).reshape(array.shape)


def _from_torch(tensor: Any) -> np.ndarray[Any, Any]:
    tensor = tensor.detach().cpu().resolve_conj().resolve_neg()
    name = str(tensor.dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise TypeError(f"a tensor of dtype {name} cannot be saved here")
    import torch

    flat = tensor.contiguous().reshape(-1).view(torch.uint8).numpy()
    return flat.view(DTYPES[name]).reshape(tuple(tensor.shape))

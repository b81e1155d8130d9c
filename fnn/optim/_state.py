"""Between slots and the state of a transform, a named tuple of scalars and of lists with one array a leaf."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from jax.core import Tracer

from fnn.functional.arrays import known
from fnn.functional.checks import fail
from fnn.nn.array_box import to_array
from fnn.nn.parameter import Parameter
from fnn.nn.placement import along
from fnn.optim._buckets import buckets_of, leaves
from fnn.optim._slots import SharedState, Slot
from fnn.optim.transform import Transform, apply_updates
from fnn.stateful.boxes import Box
from fnn.stateful.structure import structure_changed
from fnn.tensor.promotion import cast, kind_of

MakeBox = Callable[[str, Any], Box]


def create(transform: Transform[Any], parameters: Sequence[Parameter], box: MakeBox) -> dict[Parameter, Slot]:
    """Slots with the initial state of some parameters; ``box(name, array)`` makes a box."""
    arrays = [p.peek() for p in parameters]
    traced = any(isinstance(a, Tracer) for a in arrays)
    state = transform.init(arrays) if traced else jax.jit(transform.init)(arrays)
    shared = SharedState({})
    made = {p: Slot(shared, {}) for p in parameters}
    for name, value in state._asdict().items():
        if isinstance(value, list):
            for parameter, array in zip(parameters, value, strict=True):
                if array is not None:
                    made[parameter].arrays[name] = box(name, along(array, parameter.peek()))
        elif value is not None:
            shared.boxes[name] = box(name, along(value, arrays[0]))
    return made


def update(
    transform: Transform[Any],
    parameters: Sequence[Parameter],
    slots: Sequence[Slot],
    grads: Sequence[Any],
    box: MakeBox,
) -> None:
    """One step of parameters that share state, by the transform."""
    shared = slots[0].shared
    values = [p.data for p in parameters]
    _complete(transform, slots, values, box)
    seen = leaves(parameters, slots, grads)
    arrays = [leaf.join(values) for leaf in seen]
    example = jax.eval_shape(transform.init, arrays)
    fields = example._asdict()
    for name, value in fields.items():
        if isinstance(value, list):
            fields[name] = [None if v is None else leaf.box(name).data for leaf, v in zip(seen, value, strict=True)]
        elif value is not None:
            fields[name] = shared.boxes[name].data
    joined = [leaf.join(grads) for leaf in seen]
    updates, state = transform.update(joined, type(example)(**fields), arrays)
    for leaf, value in zip(seen, apply_updates(arrays, updates), strict=True):
        leaf.cut(value, values)
    for parameter, value in zip(parameters, values, strict=True):
        parameter.data = value
    for name, value in state._asdict().items():
        if isinstance(value, list):
            for leaf, array in zip(seen, value, strict=True):
                if array is not None:
                    leaf.box(name).data = array
        elif value is not None:
            shared.boxes[name].data = value


def _complete(transform: Transform[Any], slots: Sequence[Slot], arrays: list[Any], box: MakeBox) -> None:
    """Makes the arrays that the options have begun to need since the state was made, as a momentum switched on."""

    def lacking(name: str, value: Any) -> list[Slot]:
        if not isinstance(value, list):
            return []
        return [s for s, v in zip(slots, value, strict=True) if v is not None and name not in s.arrays]

    fields = jax.eval_shape(transform.init, arrays)._asdict()
    missing = {name: found for name, value in fields.items() if (found := lacking(name, value))}
    if not missing:
        return
    for bucket in buckets_of(slots):
        bucket.dissolve()
    made = transform.init(arrays)
    for name, found in missing.items():
        of = dict(zip(map(id, slots), getattr(made, name), strict=True))
        for slot in found:
            slot.arrays[name] = box(name, of[id(slot)])
    structure_changed()


_COUNTS = ("step", "n_iter", "func_evals")


def read(
    function: str, key: Any, saved: Mapping[str, Any], transform: Transform[Any], parameters: Sequence[Parameter]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The shared and the own arrays of a saved state, in the dtypes that the transform has for the parameters.

    Raises:
        TypeError: if one is no array, or complex where the parameters are not.
        ValueError: if one is missing or of another shape, or a count is no number at least 0.
    """
    shared: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for name, expected in jax.eval_shape(transform.init, [p.data for p in parameters])._asdict().items():
        example = expected[0] if isinstance(expected, list) else expected
        if example is None:
            continue
        if name not in saved:
            raise ValueError(f"{function}: state of parameter {key!r} lacks {name!r}")
        array = to_array(saved[name], f"{function}: {name}")
        if kind_of(array.dtype) > max(2, kind_of(example.dtype)):
            fail(TypeError, function, f"{name} of parameter {key!r}", "of real numbers", array)
        if name in _COUNTS and not isinstance(expected, list) and (count := known(array)) is not None:
            if not (count >= 0).all():  # nor is NaN
                fail(ValueError, function, f"{name} of parameter {key!r}", "a number at least 0", count.item())
        array = cast(f"{function}: {name}", array, example.dtype)
        if array.shape != example.shape:
            raise ValueError(
                f"{function}: {name} of parameter {key!r} must have shape {example.shape}, got {array.shape}"
            )
        (own if isinstance(expected, list) else shared)[name] = along(array, parameters[0].peek())
    return shared, own

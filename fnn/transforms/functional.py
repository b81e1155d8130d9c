"""A Module as a pure function: ``state``, ``functional_call``, ``update``, ``stack``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, TypeAlias, TypeVar

import jax
import jax.numpy as jnp

from fnn.functional.checks import fail
from fnn.functional.explained import explained, explained_run
from fnn.nn.array_box import ArrayBox, Data, to_array
from fnn.nn.modules.module import HasForward, Module
from fnn.nn.placement import beside
from fnn.random.generator import key_scope
from fnn.stateful.scopes import Scope
from fnn.stateful.tracing import again_if_stale, fresh_mark, is_eager, is_staged, mark

__all__ = ["functional_call", "stack", "state", "update"]

Output = TypeVar("Output")

Arrays: TypeAlias = dict[str, jax.Array]


def _as_module(function: str, model: Any) -> Module:
    if not isinstance(model, Module):
        raise TypeError(f"{function}: model must be an fnn.nn.Module, got {type(model).__name__}")
    return model


def _boxes(model: Module) -> dict[str, ArrayBox]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _every_name(model: Module) -> dict[str, ArrayBox]:
    """All names of all boxes; a shared parameter has several."""
    parameters = dict(model.named_parameters(remove_duplicate=False))
    return {**parameters, **dict(model.named_buffers(remove_duplicate=False))}


@explained
def state(model: Module) -> tuple[Arrays, Arrays]:
    """The arrays of a Module as two flat dicts whose keys are the ``state_dict`` names.

    Args:
        model: the Module; shared parameters come once, under their first name.

    Returns:
        ``(params, buffers)``: the parameters that require grad, and all the rest (buffers, persistent or not, and
        frozen parameters).

    Raises:
        TypeError: if ``model`` is no Module.

    Example:
        >>> import fnn
        >>> params, buffers = fnn.state(fnn.nn.Linear(2, 3))
        >>> sorted(params), buffers
        (['bias', 'weight'], {})
    """
    _as_module("state", model)
    params = {name: p.data for name, p in model.named_parameters() if p.requires_grad}
    frozen = {name: p.data for name, p in model.named_parameters() if not p.requires_grad}
    return params, {**frozen, **{name: b.data for name, b in model.named_buffers()}}


def _match(function: str, model: Module, values: Mapping[str, Any]) -> list[tuple[str, ArrayBox, jax.Array]]:
    boxes = _every_name(model)
    matched = []
    given: dict[int, str] = {}
    for name, value in values.items():
        if name not in boxes:
            raise KeyError(f"{function}: {type(model).__name__} has no parameter or buffer named '{name}'")
        array = to_array(value, f"{function}: '{name}'")
        if array.shape != boxes[name].shape:
            raise ValueError(
                f"{function}: '{name}' must have shape {tuple(boxes[name].shape)}, got {tuple(array.shape)}"
            )
        other = given.setdefault(id(boxes[name]), name)
        if values[other] is not value:
            raise ValueError(
                f"{function}: '{other}' and '{name}' are names of one array of {type(model).__name__}, and got two values"
            )
        matched.append((name, boxes[name], array))
    return matched


@explained_run
def functional_call(
    model: HasForward[..., Output],
    params: Mapping[str, Data],
    buffers: Mapping[str, Data],
    *args: Any,
    rng: jax.Array | None = None,
    training: bool | None = None,
    **kwargs: Any,
) -> tuple[Output, Arrays]:
    """Calls a Module on arrays given by name instead of its own; pure, and so fit for ``jit``, ``grad`` and ``vmap``.

    Args:
        model: the Module; it is not changed.
        params: names to arrays, as ``fnn.state`` gives them.
        buffers: names to arrays, as ``fnn.state`` gives them. A name in neither dict keeps the Module's own array.
        *args: arguments of the call.
        rng: a JAX PRNG key from which the random layers draw.
        training: the mode of this call: that which ``model.train(training)`` would set. Without it every Module goes by its
            own. A ``fnn.jit`` that the call comes by runs as part of it, uncompiled.
        **kwargs: keyword arguments of the call.

    Returns:
        ``(output, buffers)``, the second with the new values of the names in ``buffers``.

    Raises:
        KeyError: if a name is unknown.
        ValueError: if an array has another shape than the Module's, a name is in both dicts, or two names of one array got
            two values.
        TypeError: if ``model`` is no Module, or ``training`` neither a bool nor ``None``.
        RuntimeError: if the call changes a buffer that ``buffers`` does not have.

    Example:
        >>> import fnn, jax.numpy as jnp
        >>> bn = fnn.nn.BatchNorm1d(2)
        >>> out, new = fnn.functional_call(bn, *fnn.state(bn), jnp.ones((4, 2), jnp.float32))
        >>> int(new["num_batches_tracked"]), int(bn.num_batches_tracked)
        (1, 0)
        >>> out, new = fnn.functional_call(bn, *fnn.state(bn), jnp.ones((4, 2), jnp.float32), training=False)
        >>> int(new["num_batches_tracked"]), bn.training
        (0, True)
    """
    module = _as_module("functional_call", model)
    if training is not None and not isinstance(training, bool):
        fail(TypeError, "functional_call", "training", "True, False or None", training)
    for name, given in (("params", params), ("buffers", buffers)):
        if not isinstance(given, Mapping):
            expected = (
                "a dict, as in functional_call(model, params, buffers, x) after params, buffers = fnn.state(model)"
            )
            fail(TypeError, "functional_call", name, expected, given)
    both = params.keys() & buffers.keys()
    if both:
        raise ValueError(f"functional_call: '{sorted(both)[0]}' is in params and in buffers")
    matched = _match("functional_call", module, {**params, **buffers})
    given = {id(box) for _, box, _ in matched}
    others = [(name, box) for name, box in _every_name(module).items() if id(box) not in given]

    def call() -> tuple[Any, Arrays]:
        scope = Scope("functional_call", private=True)
        scope.objects.update((id(part), part) for part in module.modules())

        def body() -> tuple[Any, Arrays]:
            for name, box in others:
                scope.own(box, box.data)
                box._label = box._label or name
            for _, box, array in matched:
                scope.own(box, array)
            if training is not None:
                for part in module.modules():
                    scope.keep(part)  # a ``train`` of the user's may change more
                    scope.modes[id(part)] = part.training
                module.train(training)
            with key_scope(rng) if rng is not None else nullcontext():
                output = module(*args, **kwargs)
            names = {id(box) for _, box, _ in matched}
            for holder, _ in scope.written():
                if holder.place() in scope.owned and holder.place() not in names:
                    raise RuntimeError(
                        f"functional_call: the call changed {holder.describe()}, which buffers does not have; pass all the "
                        "buffers that fnn.state(model) gives"
                    )
            now = _every_name(module)  # the call may have bound a name to another buffer
            return output, {name: now.get(name, box).peek() for name, box, _ in matched if name in buffers}

        return scope.run(body)

    if is_eager() or not is_staged():
        with nullcontext() if training is None else mark(("training", training)):
            return again_if_stale(call)
    with fresh_mark():  # that a trace is stale would only be seen when the transformation around this call ends
        return call()


@explained
def update(model: Module, params: Mapping[str, Data], buffers: Mapping[str, Data] | None = None) -> None:
    """Writes arrays, as ``fnn.state`` and ``fnn.functional_call`` give them, back into a Module.

    Args:
        model: the Module to change.
        params: names to arrays.
        buffers: names to arrays.

    Raises:
        KeyError: if a name is unknown.
        ValueError: if an array has another shape than the Module's. The Module is then as before.
        RuntimeError: if an array of integers is given for a Parameter that requires gradients; likewise.

    Example:
        >>> import fnn, jax.numpy as jnp
        >>> layer = fnn.nn.Linear(1, 1)
        >>> fnn.update(layer, {"weight": jnp.full((1, 1), 2.0)})
        >>> float(layer.weight)
        2.0
    """
    _as_module("update", model)
    matched = _match("update", model, {**params, **(buffers or {})})
    for _, box, array in matched:
        box._check_dtype(array.dtype)
    for _, box, array in matched:
        box.data = beside(array, box.peek())


@explained
def stack(models: Sequence[Module]) -> tuple[Arrays, Arrays]:
    """The states of several Modules of one structure, stacked along a new first axis, for ``jax.vmap`` (ensembles).

    Args:
        models: Modules with equal names, shapes and dtypes.

    Returns:
        ``(params, buffers)`` as ``fnn.state``, each array with a leading axis of ``len(models)``.

    Raises:
        ValueError: if there are no models, or their states differ in names, shapes or dtypes.

    Example:
        >>> import fnn, jax, jax.numpy as jnp
        >>> models = [fnn.nn.Linear(2, 3) for _ in range(4)]
        >>> params, buffers = fnn.stack(models)
        >>> call = lambda p, b, x: fnn.functional_call(models[0], p, b, x)[0]
        >>> jax.vmap(call, (0, 0, None))(params, buffers, jnp.ones((5, 2), jnp.float32)).shape
        (4, 5, 3)
    """
    states = [state(model) for model in models]
    if not states:
        raise ValueError(f"stack: models must not be empty, got {models!r}")

    def describe(arrays: Arrays) -> dict[str, Any]:
        return {name: (a.shape, a.dtype) for name, a in arrays.items()}

    first = [describe(part) for part in states[0]]
    for i, other in enumerate(states):
        if [describe(part) for part in other] != first:
            raise ValueError(f"stack: the state of model {i} differs from that of model 0 in names, shapes or dtypes")
    params, buffers = (
        {name: jnp.stack([s[part][name] for s in states]) for name in states[0][part]} for part in (0, 1)
    )
    return params, buffers

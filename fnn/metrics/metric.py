"""``Metric``: what adds up over batches, as a pure triple and as an object whose arrays ``fnn.jit`` finds."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Self, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.experimental import multihost_utils

from fnn.functional.checks import fail
from fnn.nn.placement import Device, parse_device
from fnn.stateful.boxes import Box
from fnn.stateful.protocol import Stateful, static_key
from fnn.stateful.structure import structure_changed

__all__ = ["Metric", "State", "Sums", "plus", "total"]

State: TypeAlias = dict[str, jax.Array]
"""The state of a metric: arrays by name."""


class Metric(Stateful):
    """A value over many batches. Derive from it and write ``init``, ``add``, ``merge`` and ``result``, pure functions of states.

    As an object: ``update`` takes a batch in, ``compute`` gives the value over all so far, ``reset`` starts anew; its arrays are
    found by ``fnn.jit`` like those of a Module. In plain JAX: ``state = metric.init()``, ``state = metric.add(state, ...)``,
    ``metric.result(state)``, which ``jax.jit``, ``jax.vmap`` and ``jax.lax.scan`` take.

    In a program of several processes ``compute`` is the value over the batches of all, and all have to call it.

    Source: https://scikit-learn.org/stable/modules/model_evaluation.html

    Example:
        >>> import jax.numpy as jnp
        >>> class Largest(Metric):
        ...     def init(self):
        ...         return {"value": jnp.array(-jnp.inf)}
        ...     def add(self, state, x):
        ...         return {"value": jnp.maximum(state["value"], x.max())}
        ...     def merge(self, state, other):
        ...         return {"value": jnp.maximum(state["value"], other["value"])}
        ...     def result(self, state):
        ...         return state["value"]
        >>> largest = Largest()
        >>> largest.update(jnp.array([1.0, 3.0]))
        >>> largest.update(jnp.array([2.0]))
        >>> float(largest.compute())
        3.0
    """

    def __init__(self) -> None:
        self._boxes: dict[str, Box] = _boxed(self, self.init())

    def init(self) -> State:
        """The state before the first batch."""
        raise NotImplementedError(f"{type(self).__name__} must have init")

    def add(self, state: Mapping[str, Any], *args: Any, **kwargs: Any) -> State:
        """The state after one more batch."""
        raise NotImplementedError(f"{type(self).__name__} must have add")

    def merge(self, state: Mapping[str, Any], other: Mapping[str, Any]) -> State:
        """The state of the batches of two states."""
        raise NotImplementedError(f"{type(self).__name__} must have merge")

    def result(self, state: Mapping[str, Any]) -> jax.Array:
        """The value of a state."""
        raise NotImplementedError(f"{type(self).__name__} must have result")

    # The object

    @property
    def state(self) -> State:
        """The present state, of this process."""
        return {name: box.data for name, box in self._boxes.items()}

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Takes one batch in; the arguments are those of ``add`` after the state. If it raises, nothing has changed."""
        self._set(self.add({name: box.peek() for name, box in self._boxes.items()}, *args, **kwargs))

    def compute(self) -> jax.Array:
        """The value over all batches since the start or the last ``reset``; those of all processes."""
        state = self.state
        if not _is_local(state):
            return self.result(state)
        gathered = {name: multihost_utils.process_allgather(value) for name, value in state.items()}
        merged = {name: jnp.asarray(each[0]) for name, each in gathered.items()}
        for process in range(1, jax.process_count()):
            merged = self.merge(merged, {name: jnp.asarray(each[process]) for name, each in gathered.items()})
        return self.result(merged)

    def reset(self) -> None:
        """Forgets all batches."""
        places = {name: _place(box.peek()) for name, box in self._boxes.items()}
        self._set({name: _put(value, places[name]) for name, value in self.init().items()})

    def to(self, device: Device) -> Self:
        """Moves the state to a device or sharding; in a program of several processes ``fnn.jit`` wants it on all their devices.

        Args:
            device: a device, its name, or a sharding.

        Returns:
            the metric.
        """
        place = parse_device(device)
        self._set({name: _put(box.peek(), place) for name, box in self._boxes.items()})
        return self

    def state_dict(self) -> State:
        """The arrays of the state by name."""
        return self.state

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Puts a state back.

        Args:
            state_dict: what ``state_dict`` of a metric of the same kind returned.

        Raises:
            ValueError: if the names or shapes are others; nothing has changed then.
        """
        function = f"{type(self).__name__}.load_state_dict"
        if set(state_dict) != set(self._boxes):
            fail(ValueError, function, "state_dict", f"with the names {sorted(self._boxes)}", sorted(state_dict))
        new: State = {}
        for name, box in self._boxes.items():
            old = box.peek()
            value = np.asarray(state_dict[name])
            if value.shape != old.shape:
                fail(ValueError, function, name, f"of shape {list(old.shape)}", value)
            new[name] = _put(jnp.asarray(value, old.dtype), _place(old))
        self._set(new)

    def _set(self, state: Mapping[str, Any]) -> None:
        for name, box in self._boxes.items():
            box.data = state[name]

    def __setattr__(self, name: str, value: Any) -> None:
        structure_changed()  # a compiled program knows the attributes
        super().__setattr__(name, value)

    def _stateful_boxes_(self) -> Iterable[Box]:
        return self._boxes.values()

    def _stateful_key_(self) -> Hashable:
        return type(self), tuple((k, static_key(v)) for k, v in self.__dict__.items() if k != "_boxes")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_boxes": self.state}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update({**state, "_boxes": _boxed(self, state["_boxes"])})

    def __repr__(self) -> str:
        own = ", ".join(f"{k}={v!r}" for k, v in self.__dict__.items() if not k.startswith("_"))
        return f"{type(self).__name__}({own})"


def _boxed(metric: Metric, state: Mapping[str, Any]) -> dict[str, Box]:
    return {name: Box(value, f"{type(metric).__name__}.{name}") for name, value in state.items()}


def _is_local(state: State) -> bool:
    """Whether other processes have states of their own."""
    if jax.process_count() == 1:
        return False
    return all(not isinstance(v, Tracer) and v.is_fully_addressable for v in state.values())


def _place(value: Any) -> Any:
    return None if isinstance(value, Tracer) or not value.committed else value.sharding


def _put(value: jax.Array, place: Any) -> jax.Array:
    return value if place is None else jax.device_put(value, place)


# Sums whose error does not grow with the number of batches: the pair of a number and of what it lacks.


@jax.jit
def plus(pair: Any, other: Any) -> jax.Array:
    """The sum of two pairs, ``[2, *]`` each (Knuth's two-sum); counts are exact up to the square of what the dtype counts to."""
    high, low = pair[0], pair[1]
    new = high + other[0]
    part = new - high
    lost = (high - (new - part)) + (other[0] - part)
    low = jnp.where(jnp.isfinite(new), low + other[1] + lost, 0)  # of infinities nothing is lost
    top = new + low
    return jnp.stack([top, jnp.where(jnp.isfinite(new), low - (top - new), 0)])


def total(pair: Any) -> jax.Array:
    """The number that a pair stands for."""
    return pair[0] + pair[1]


class Sums(Metric):
    """A metric that is a function of sums over batches: derive from it and write ``zeros``, ``terms`` and ``value``.

    The sums are kept so that their error does not grow with the number of batches.
    """

    def zeros(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the sums."""
        raise NotImplementedError(f"{type(self).__name__} must have zeros")

    def terms(self, *args: Any, **kwargs: Any) -> Mapping[str, jax.Array]:
        """What a batch adds to the sums."""
        raise NotImplementedError(f"{type(self).__name__} must have terms")

    def value(self, sums: Mapping[str, jax.Array]) -> jax.Array:
        """The value of sums."""
        raise NotImplementedError(f"{type(self).__name__} must have value")

    def init(self) -> State:
        """Sums of nothing."""
        dtype = jax.dtypes.canonicalize_dtype(float)
        return {name: jnp.zeros((2, *shape), dtype) for name, shape in self.zeros().items()}

    def add(self, state: Mapping[str, Any], *args: Any, **kwargs: Any) -> State:
        """The sums with those of a batch."""
        parts = {n: jnp.asarray(term, state[n].dtype) for n, term in self.terms(*args, **kwargs).items()}
        return {n: plus(state[n], (part, jnp.zeros_like(part))) for n, part in parts.items()}

    def merge(self, state: Mapping[str, Any], other: Mapping[str, Any]) -> State:
        """The sums of both."""
        return {name: plus(state[name], other[name]) for name in state}

    def result(self, state: Mapping[str, Any]) -> jax.Array:
        """The value of a state."""
        return self.value({name: total(pair) for name, pair in state.items()})

"""``GradScaler``: torch's object over the pure scaling of the loss."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fnn.amp.autocast_mode import is_autocast_available
from fnn.functional.arrays import is_concrete
from fnn.functional.checks import as_array, as_int, fail
from fnn.functional.explained import explained, explained_constructor
from fnn.optim._checks import check_number
from fnn.optim.loss_scale import check_factors, next_scale, select, unscale
from fnn.optim.optimizer import Optimizer
from fnn.stateful.boxes import INSTEAD, Box, Cell, OptionalBox
from fnn.stateful.protocol import Identity, Stateful
from fnn.stateful.scopes import Scope, note_part, refuse_stray
from fnn.stateful.structure import structure_changed
from fnn.stateful.tracing import trace_state

__all__ = ["GradScaler"]

Outputs = TypeVar("Outputs")

_NUMBERS = ("growth_factor", "backoff_factor", "growth_interval")


class _Iteration:
    """What happened to one optimizer since the last ``update``: whether its gradients overflowed, and that it stepped.

    That a box is empty or full is part of what a program of ``fnn.jit`` depends on, so that an iteration may be split among
    several compiled functions, and each knows where it stands.
    """

    def __init__(self) -> None:
        self.found = OptionalBox(None, "found_inf of GradScaler")
        self.stepped = OptionalBox(None, "found_inf of a step of GradScaler")

    def clear(self) -> None:
        for box in (self.found, self.stepped):
            if box._data is not None:
                box.write(None)


class GradScaler(Stateful):
    """Scales the loss, so that small gradients survive float16, and skips the steps whose gradients overflow.

    ``scale`` multiplies the loss; ``step`` divides the gradients and lets the optimizer step unless one is infinite or NaN;
    ``update`` lowers the scale after such a step, and raises it after ``growth_interval`` good ones in a row. Under ``fnn.jit``
    all of it is part of the program: a step is skipped without asking the host. bfloat16 needs none of it.

    Args:
        device: type of device, accepted for torch's signature.
        init_scale: the first scale.
        growth_factor: what the scale is multiplied by when it grows.
        backoff_factor: what it is multiplied by after an overflow.
        growth_interval: how many good steps in a row let it grow.
        enabled: if false, nothing is scaled, and ``step`` is the optimizer's.

    Raises:
        ValueError: if there is no such type of device, or a factor or the interval is out of range.

    Source: https://docs.pytorch.org/docs/2.13/amp.html#torch.amp.GradScaler

    Example:
        >>> import fnn, jax.numpy as jnp
        >>> model, x = fnn.nn.Linear(2, 1), jnp.ones((4, 2), jnp.float32)
        >>> optimizer = fnn.optim.SGD(model.parameters(), lr=0.1)
        >>> scaler = fnn.amp.GradScaler(init_scale=1024.0)
        >>> @fnn.jit
        ... def train_step(x):
        ...     def closure():
        ...         with fnn.autocast("cuda", dtype=jnp.float16):
        ...             return scaler.scale(fnn.nn.functional.mse_loss(model(x), x[:, :1]))
        ...     optimizer.zero_grad()
        ...     fnn.backward(closure, model)
        ...     scaler.step(optimizer)
        ...     scaler.update()
        >>> train_step(x)
        >>> scaler.get_scale()
        1024.0
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 65536.0,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        if not isinstance(device, str) or not is_autocast_available(device):
            fail(ValueError, "GradScaler", "device", "a type of device such as 'cuda' or 'cpu'", device)
        self._device = device
        self._enabled = bool(enabled)
        interval = growth_interval
        if self._enabled:
            interval = check_factors("GradScaler", init_scale, growth_factor, backoff_factor, growth_interval)
        self._stateful_origin_ = trace_state()
        self._numbers: dict[str, Any] = {
            "growth_factor": growth_factor,
            "backoff_factor": backoff_factor,
            "growth_interval": interval,
        }
        self._begin(jnp.asarray(init_scale, jnp.float32).reshape(()), jnp.zeros((), jnp.int32))

    def _begin(self, scale: jax.Array, growth_tracker: jax.Array) -> None:
        self._scale = Box(scale, "scale of GradScaler")
        self._growth_tracker = Box(growth_tracker, "growth tracker of GradScaler")
        # One iteration for each optimizer, in the order in which they were first seen.
        self._iterations: list[_Iteration] = [_Iteration()]
        self._places: weakref.WeakKeyDictionary[Optimizer, int] = weakref.WeakKeyDictionary()

    def _iteration(self, optimizer: Optimizer) -> _Iteration:
        place = self._places.get(optimizer)
        if place is None:
            taken = set(self._places.values())
            place = self._places[optimizer] = next(i for i in range(len(taken) + 1) if i not in taken)
        if place == len(self._iterations):
            note_part(self, "a further optimizer of GradScaler")
            self._iterations.append(_Iteration())
            structure_changed()
        return self._iterations[place]

    # The iteration

    @explained
    def scale(self, outputs: Outputs) -> Outputs:
        """Multiplies a loss, or several, by the scale.

        Args:
            outputs: an array, or a list, tuple or other iterable of them, nested as you like.

        Returns:
            the same, multiplied; as it is if scaling is not enabled.

        Raises:
            ValueError: if it is neither.

        Source: https://docs.pytorch.org/docs/2.13/amp.html#torch.amp.GradScaler.scale

        Example:
            >>> import fnn, jax.numpy as jnp
            >>> scaler = fnn.amp.GradScaler(init_scale=4.0)
            >>> [float(loss) for loss in scaler.scale([jnp.array(1.0), jnp.array(2.0)])]
            [4.0, 8.0]
        """
        if not self._enabled:
            return outputs
        return _times(outputs, self._scale.data)

    @explained
    def unscale_(self, optimizer: Optimizer) -> None:
        """Divides the gradients of an optimizer by the scale, before ``step`` would do so: to clip them, or look at them.

        Args:
            optimizer: the optimizer, whose parameters have their whole gradients.

        Raises:
            RuntimeError: if it or ``step`` was called for this optimizer since the last ``update``; if there are no gradients.
            ValueError: if a gradient is of float16, as those of parameters of float16 are.

        Source: https://docs.pytorch.org/docs/2.13/amp.html#torch.amp.GradScaler.unscale_

        Example:
            >>> import fnn, jax.numpy as jnp
            >>> p, scaler = fnn.nn.Parameter(jnp.array(3.0)), fnn.amp.GradScaler()
            >>> optimizer = fnn.optim.SGD([p])
            >>> _ = fnn.backward(lambda: scaler.scale(p * p), p)
            >>> scaler.unscale_(optimizer)
            >>> float(p.grad)
            6.0
        """
        if not self._enabled:
            return
        iteration = self._iteration(optimizer)
        if iteration.stepped._data is not None:
            raise RuntimeError("unscale_() is being called after step().")
        if iteration.found._data is not None:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if not parameters:
            name = type(optimizer).__name__
            raise RuntimeError(
                f"GradScaler.unscale_: the parameters of {name} must have gradients, got none; fnn.backward computes them"
            )
        grads = [p.grad for p in parameters]
        for parameter, grad in zip(parameters, grads, strict=True):
            if grad.dtype == jnp.float16:
                raise ValueError(
                    f"GradScaler.unscale_: gradients must not be of float16, got that of {parameter.describe()}: keep "
                    "parameters in float32, and compute in float16 by fnn.autocast"
                )
        divided, found = unscale(grads, self._scale.data)
        for parameter, grad in zip(parameters, divided, strict=True):
            parameter.grad = grad
        iteration.found.write(found)

    @explained
    def step(self, optimizer: Optimizer, *args: Any, **kwargs: Any) -> Any:
        """``optimizer.step()`` with gradients divided by the scale, unless one of them is infinite or NaN.

        A step that is skipped leaves parameters, state, count and whatever hooks of the step would write as they were.

        Args:
            optimizer: the optimizer.
            *args: for ``optimizer.step``.
            **kwargs: for it too.

        Returns:
            what ``optimizer.step`` returns; ``None`` if it is skipped, and under ``fnn.jit``.

        Raises:
            RuntimeError: if it was called for this optimizer since the last ``update``; if there are no gradients; if a closure
                is given, as in torch: compute the gradients before, by ``fnn.backward``.

        Source: https://docs.pytorch.org/docs/2.13/amp.html#torch.amp.GradScaler.step

        Example:
            >>> import fnn, jax.numpy as jnp
            >>> p, scaler = fnn.nn.Parameter(jnp.array(3.0)), fnn.amp.GradScaler()
            >>> optimizer = fnn.optim.SGD([p], lr=1.0)
            >>> p.grad = jnp.array(jnp.inf)
            >>> scaler.step(optimizer)
            >>> float(p)
            3.0
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if kwargs.get("closure") is not None or any(map(callable, args)):
            raise RuntimeError(
                "GradScaler.step: closures are not supported while scaling is enabled; compute the gradients before, by "
                "fnn.backward(lambda: scaler.scale(loss()), model)"
            )
        iteration = self._iteration(optimizer)
        if iteration.stepped._data is not None:
            raise RuntimeError("step() has already been called since the last update().")
        if iteration.found._data is None:
            self.unscale_(optimizer)
        found = iteration.found.data
        result = None
        if isinstance(found, Tracer):
            _unless(found > 0, lambda: optimizer.step(*args, **kwargs))
        elif not found:
            result = optimizer.step(*args, **kwargs)
        iteration.stepped.write(found)
        return result

    @explained
    def update(self, new_scale: float | jax.Array | None = None) -> None:
        """Ends the iteration: lowers the scale if a step was skipped, raises it after ``growth_interval`` good ones in a row.

        Args:
            new_scale: the scale to go on with instead, a number or an array of one.

        Raises:
            RuntimeError: if there was neither ``step`` nor ``unscale_`` since the last one.
            ValueError: if ``new_scale`` is no single number above 0.

        Source: https://docs.pytorch.org/docs/2.13/amp.html#torch.amp.GradScaler.update

        Example:
            >>> import fnn
            >>> scaler = fnn.amp.GradScaler()
            >>> scaler.update(1024.0)
            >>> scaler.get_scale()
            1024.0
        """
        if not self._enabled:
            return
        if new_scale is not None:
            check_number("GradScaler.update", "new_scale", new_scale, above=0)
            array = as_array("GradScaler.update", "new_scale", new_scale)
            if array.size != 1:
                fail(ValueError, "update", "new_scale", "one number", array)
            self._scale.write(array.astype(jnp.float32).reshape(()))
        else:
            found = [each.found.data for each in self._iterations if each.found._data is not None]
            if not found:
                raise RuntimeError(
                    "GradScaler.update: step or unscale_ must be called before, got no gradients since the last update"
                )
            scale, tracker = next_scale(
                self._scale.data, self._growth_tracker.data, found, *map(self._number, _NUMBERS)
            )
            self._scale.write(scale)
            self._growth_tracker.write(tracker)
        for iteration in self._iterations:
            iteration.clear()

    # The numbers

    def _number(self, name: str) -> Any:
        return Cell(self._numbers, name).get()

    def get_scale(self) -> float | jax.Array:
        """The scale; 1.0 if scaling is not enabled.

        Returns:
            a number, for which the host waits for the device; under ``fnn.jit`` a traced array.

        Source: https://docs.pytorch.org/docs/2.13/amp.html#torch.amp.GradScaler.get_scale
        """
        scale = self._scale.data
        return (float(scale) if is_concrete(scale) else scale) if self._enabled else 1.0

    def get_growth_factor(self) -> float:
        """What the scale is multiplied by when it grows."""
        return self._number("growth_factor")

    @explained
    def set_growth_factor(self, new_factor: float) -> None:
        """Sets what the scale is multiplied by when it grows.

        Args:
            new_factor: a number above 1.

        Raises:
            ValueError: if it is not.
        """
        check_number("GradScaler.set_growth_factor", "new_factor", new_factor, above=1)
        self._set("growth_factor", new_factor)

    def get_backoff_factor(self) -> float:
        """What the scale is multiplied by after an overflow."""
        return self._number("backoff_factor")

    @explained
    def set_backoff_factor(self, new_factor: float) -> None:
        """Sets what the scale is multiplied by after an overflow.

        Args:
            new_factor: a number between 0 and 1.

        Raises:
            ValueError: if it is not.
        """
        check_number("GradScaler.set_backoff_factor", "new_factor", new_factor, above=0, below=1)
        self._set("backoff_factor", new_factor)

    def get_growth_interval(self) -> int:
        """How many good steps in a row let the scale grow."""
        return self._number("growth_interval")

    @explained
    def set_growth_interval(self, new_interval: int) -> None:
        """Sets how many good steps in a row let the scale grow.

        Args:
            new_interval: a number of steps, at least 1.

        Raises:
            ValueError: if it is less.
        """
        self._set("growth_interval", as_int("GradScaler.set_growth_interval", "new_interval", new_interval, minimum=1))

    def _set(self, name: str, value: Any) -> None:
        Cell(self._numbers, name).assign(value)

    def is_enabled(self) -> bool:
        """Whether the loss is scaled."""
        return self._enabled

    # Saving

    def state_dict(self) -> dict[str, Any]:
        """Scale, factors and count, as plain numbers under torch's names; nothing if scaling is not enabled.

        Returns:
            what ``load_state_dict``, torch's too, takes; call it after ``update``.

        Source: https://docs.pytorch.org/docs/2.13/amp.html#torch.amp.GradScaler.state_dict

        Example:
            >>> import fnn
            >>> sorted(fnn.amp.GradScaler().state_dict())
            ['_growth_tracker', 'backoff_factor', 'growth_factor', 'growth_interval', 'scale']
        """
        if not self._enabled:
            return {}
        numbers = {name: self._number(name) for name in _NUMBERS}
        return {"scale": self.get_scale(), **numbers, "_growth_tracker": int(self._growth_tracker.data)}

    @explained
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Goes on where another one stood.

        Args:
            state_dict: what ``state_dict`` gave, of this library or of torch.

        Raises:
            RuntimeError: if it is empty, as that of a scaler is which is not enabled.
            ValueError: if it is none of a scaler; this one is as it was then.

        Source: https://docs.pytorch.org/docs/2.13/amp.html#torch.amp.GradScaler.load_state_dict
        """
        name = "GradScaler.load_state_dict"
        refuse_stray(f"{name}: the state", self._stateful_origin_, INSTEAD)
        if not self._enabled:
            return
        if not isinstance(state_dict, Mapping):
            fail(TypeError, name, "state_dict", "a dict", state_dict)
        if not state_dict:
            raise RuntimeError(f"{name}: state_dict must be one of a scaler that was enabled, got {{}}")
        wanted = {"scale", *_NUMBERS, "_growth_tracker"}
        if not wanted <= {*state_dict}:
            fail(
                ValueError, name, "state_dict", f"one of a GradScaler, with {', '.join(sorted(wanted))}", [*state_dict]
            )
        values = {key: np.asarray(state_dict[key]).item() for key in wanted}
        check_factors(name, values["scale"], *(values[key] for key in _NUMBERS))
        self._numbers.update({key: values[key] for key in _NUMBERS})
        self._scale.write(jnp.asarray(values["scale"], jnp.float32))
        self._growth_tracker.write(jnp.asarray(values["_growth_tracker"], jnp.int32))

    def __getstate__(self) -> dict[str, Any]:
        if any(each.found._data is not None for each in self._iterations):
            raise RuntimeError(
                "GradScaler: it can be copied and pickled at the beginning of an iteration or after update(), not between"
            )
        left_out = ("_iterations", "_places", "_stateful_origin_")
        state = {name: value for name, value in self.__dict__.items() if name not in left_out}
        return {**state, "_scale": self._scale.data, "_growth_tracker": self._growth_tracker.data}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({**state, "_numbers": dict(state["_numbers"])})
        self._stateful_origin_ = trace_state()
        self._begin(state["_scale"], state["_growth_tracker"])

    def __repr__(self) -> str:
        scale = self.get_scale()
        known = f"{scale:g}" if isinstance(scale, float) and math.isfinite(scale) else repr(scale)
        return f"fnn.amp.GradScaler({self._device!r}, scale={known}, enabled={self._enabled})"

    # What fnn.jit sees

    def _stateful_boxes_(self) -> Iterator[Box]:
        yield self._scale
        yield self._growth_tracker
        for iteration in self._iterations:
            yield iteration.found
            yield iteration.stepped

    def _stateful_cells_(self) -> Iterable[Cell]:
        return [Cell(self._numbers, name, real="factor" in name) for name in _NUMBERS]

    def _stateful_key_(self) -> Hashable:
        # A program knows which iteration is that of which optimizer.
        several = len(self._places) > 1
        places = tuple((place, Identity(optimizer)) for optimizer, place in self._places.items()) if several else ()
        return self._enabled, places

    def _stateful_snapshot_(self) -> Callable[[], None]:
        iterations = list(self._iterations)

        def restore() -> None:
            self._iterations = iterations
            structure_changed()

        return restore


explained_constructor(GradScaler)


def _times(outputs: Any, scale: jax.Array) -> Any:
    """The arrays of a nest of iterables times the scale, which has no axes and so gives way to arrays that have."""
    if hasattr(outputs, "dtype"):
        array = as_array("GradScaler.scale", "outputs", outputs)
        return array * (scale.astype(array.dtype) if array.ndim else scale)
    if isinstance(outputs, int | float):
        return outputs * scale
    if isinstance(outputs, Iterable) and not isinstance(outputs, str | bytes | Mapping):
        items = [_times(item, scale) for item in outputs]
        return tuple(items) if isinstance(outputs, tuple) else items
    fail(ValueError, "GradScaler.scale", "outputs", "an array or an iterable of arrays", outputs)
    return None


def _unless(overflow: jax.Array, step: Callable[[], Any]) -> None:
    """Runs a step in a trace; all that it writes stays as it was where a gradient overflowed."""
    scope = Scope("GradScaler.step")

    def body() -> list[tuple[Any, Any]]:
        step()
        if scope.made:
            names = ", ".join(box.describe() for box in list(scope.made.values())[:3])
            raise RuntimeError(
                f"GradScaler.step: what a step that may be skipped writes must be there before, got new: {names}"
            )
        return scope.written()

    for holder, new in scope.run(body):
        old = holder._data if isinstance(holder, Box) else holder.content()
        holder.write(select(overflow, old, new))

"""The base class of the schedulers, and the options of groups and values of ``state_dict`` as schedulers need them."""

from __future__ import annotations

import contextlib
import copy
import inspect
import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from types import FunctionType
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fnn.functional.checks import fail
from fnn.functional.explained import checked, explained, explained_constructor, is_number
from fnn.optim.optimizer import Optimizer, ParamGroup
from fnn.optim.typing import Number
from fnn.stateful.boxes import INSTEAD, Cell, ElementCell
from fnn.stateful.protocol import Stateful, static_key
from fnn.stateful.scopes import refuse_stray, require_known
from fnn.stateful.structure import structure_changed
from fnn.stateful.tracing import trace_state
from fnn.stateful.warning import warn

__all__ = ["LRScheduler"]

_TRACED = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)
# torch's page on why the order of the two steps matters.
_ORDER = "https://docs.pytorch.org/docs/2.13/optim.html#how-to-adjust-learning-rate"


# Options of the groups


def check_optimizer(scheduler: Any, optimizer: Any) -> None:
    """Raises TypeError unless ``optimizer`` is an Optimizer."""
    if not isinstance(optimizer, Optimizer):
        fail(TypeError, type(scheduler).__name__, "optimizer", "an Optimizer", optimizer)


def option_of_groups(optimizer: Optimizer, key: str) -> list[Any]:
    """``group[key]`` of each group."""
    return [group[key] for group in optimizer.param_groups]


def like(old: Any, value: Any) -> Any:
    """``value`` as the array or the Python number that ``old`` is, so that nothing is compiled anew."""
    if isinstance(old, jax.Array):
        return jnp.asarray(value, old.dtype)
    # A function of the user's may have made it with jax.numpy.
    return value.item() if isinstance(value, jax.Array) and not isinstance(value, Tracer) else value


def set_option(group: ParamGroup, key: str, value: Any) -> None:
    """Sets ``group[key]``, a number or an array as before."""
    group[key] = like(group[key], value)


def per_group(scheduler: Any, name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """One value a group, from a list of as many or from a single one, which may be an array of one element.

    Raises:
        ValueError: if a list has another length, or an array another size.
    """
    count = len(optimizer.param_groups)
    if not isinstance(value, list | tuple):
        if math.prod(getattr(value, "shape", ())) != 1:
            fail(ValueError, type(scheduler).__name__, name, f"a number or a list of {count}", value)
        return [value] * count
    if len(value) != count:
        raise ValueError(
            f"{type(scheduler).__name__}: {name} must have the same length as optimizer.param_groups ({count}), got "
            f"{len(value)} values"
        )
    return list(value)


def epochs_of(scheduler: str, name: str, value: Any) -> list[Any]:
    """Epochs as a list; arrays of integers, which a table of epochs could not be asked for, as Python's.

    Raises:
        TypeError: if there is an array in it of more than one number, or of none that is whole.
    """
    epochs: list[Any] = []
    for epoch in value:
        if hasattr(epoch, "shape") and not isinstance(epoch, Tracer):
            number = np.asarray(epoch)
            if number.shape or number.dtype.kind not in "iu":
                fail(TypeError, scheduler, name, "ints", value)
            epoch = int(number)
        epochs.append(epoch)
    return epochs


def note_optimizer_step(optimizer: Any, args: Any, kwargs: Any) -> None:
    """A step hook by which a scheduler learns that the optimizer has been used."""
    optimizer._opt_called = True


# state_dict


def plain(value: Any) -> Any:
    """A value of a ``state_dict`` with Python numbers for scalar arrays and tensors, and containers copied."""
    if isinstance(value, Tracer):
        return value
    if isinstance(value, jax.Array) or (hasattr(value, "detach") and hasattr(value, "item")):
        return value.item() if math.prod(value.shape) == 1 else value
    if type(value) in (list, tuple):
        return type(value)(plain(v) for v in value)
    if type(value) is dict:
        return {k: plain(v) for k, v in value.items()}
    return copy.copy(value) if isinstance(value, dict) else value


def _misfit(old: Any, new: Any) -> str | None:
    """What an attribute must be, if the one that a ``state_dict`` has for it is of another kind than the present one."""
    if isinstance(old, bool) or old is None or isinstance(old, Tracer):
        return None
    if is_number(old):
        return None if is_number(new) else "a number"
    if isinstance(old, str):
        return None if isinstance(new, str) else "a string"
    if isinstance(old, dict):
        return None if isinstance(new, Mapping) else "a dict"
    if isinstance(old, list | tuple):
        if not isinstance(new, list | tuple) or len(new) != len(old):
            return f"a list of {len(old)}"
        found = (_misfit(a, b) for a, b in zip(old, new, strict=True))
        return next((f"a list of {len(old)}, each {one}" for one in found if one), None)
    return None


def callable_state(function: Any) -> dict[str, Any] | None:
    """What ``state_dict`` keeps of a callable: nothing of a function, the attributes of an object."""
    return None if isinstance(function, FunctionType) else dict(getattr(function, "__dict__", {}))


def callable_key(function: Any) -> Hashable:
    """What a trace depends on in a callable: which one it is, and the attributes of an object."""
    state = callable_state(function)
    return static_key(function), None if state is None else static_key(state)


def _said(value: Any) -> str:
    """A value in a ``repr``: a function by its name, a Counter of milestones as the list that it was made of."""
    if isinstance(value, Counter):
        value = sorted(value.elements())
    if isinstance(value, list):
        return f"[{', '.join(map(_said, value))}]"
    return value.__qualname__ if isinstance(value, FunctionType) else repr(value)


class _Moving:
    """An attribute that a step changes, of which a running transformation has a value of its own."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, scheduler: Any, kind: Any = None) -> Any:
        if scheduler is None:
            return self
        try:
            return Cell(scheduler.__dict__, self.name).get()
        except KeyError:
            raise AttributeError(f"{type(scheduler).__name__!r} object has no attribute {self.name!r}") from None

    def __set__(self, scheduler: Any, value: Any) -> None:
        attributes = scheduler.__dict__
        if self.name not in attributes:
            structure_changed()
        Cell(attributes, self.name).assign(value)


class LRScheduler(Stateful):
    """Base class of the schedulers; a subclass gives the groups' next rates in ``get_lr``.

    ``step()`` works eagerly, in float64, and under ``fnn.jit``, where counter and rates are traced.

    Args:
        optimizer: the optimizer whose groups are scheduled.
        last_epoch: the epoch to resume after; -1 starts anew and records each group's ``initial_lr``.

    Raises:
        TypeError: if ``optimizer`` is no Optimizer, or the ``lr`` of a group is a schedule of its own.
        KeyError: on resuming, if a group has no ``initial_lr``.

    Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.LRScheduler.html.

    Example:
        >>> import fnn, numpy as np
        >>> class Halving(LRScheduler):
        ...     def get_lr(self):
        ...         return [base * 0.5**self.last_epoch for base in self.base_lrs]
        >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=0.5)
        >>> scheduler = Halving(sgd)
        >>> sgd.step()
        >>> scheduler.step()
        >>> scheduler.get_last_lr()
        [0.25]
    """

    # The attributes that change at every step: they are inputs of a compiled program, not part of it.
    _counters: ClassVar[tuple[str, ...]] = ("last_epoch", "_step_count")
    _not_in_state: ClassVar[frozenset[str]] = frozenset({"optimizer", "_stateful_origin_"})
    _get_lr_called_within_step: bool = False
    _is_initial: bool = False

    optimizer: Optimizer
    base_lrs: list[Number]
    last_epoch: int | jax.Array
    _step_count: int | jax.Array
    _last_lr: list[Number]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        explained_constructor(cls, checked)
        _make_moving(cls)

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        self = super().__new__(cls)
        object.__setattr__(self, "_stateful_origin_", trace_state())
        return self

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(self, optimizer)
        name = type(self).__name__
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if callable(group["lr"]):
                raise TypeError(
                    f"{name}: lr of param_groups[{i}] must be a number, got a schedule, which the scheduler would replace"
                )
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"{name}: param 'initial_lr' is not specified in param_groups[{i}] when resuming with last_epoch="
                    f"{last_epoch}; load the optimizer's state first, or start with last_epoch=-1"
                )
        self.base_lrs = option_of_groups(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        if note_optimizer_step not in optimizer._pre_hooks.values():
            optimizer.register_step_pre_hook(note_optimizer_step)
        self._initial_step()

    def _initial_step(self) -> None:
        """Sets the rates of the first epoch."""
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def __setattr__(self, name: str, value: Any) -> None:
        moving = name in self._counters or name in ("_last_lr", "_is_initial", "_get_lr_called_within_step")
        if not moving and name in self.__dict__:
            self._refuse_stray(f".{name}")
        if not moving or name not in self.__dict__:
            structure_changed()
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        attributes = vars(self)
        shown: dict[str, Any] = {}
        for name in inspect.signature(type(self).__init__).parameters:
            if name not in ("self", "optimizer", "last_epoch"):
                key = next((key for key in (name, f"_{name}", f"{name}s") if key in attributes), None)
                if key is not None:
                    shown[name] = plain(getattr(self, key))
        if "last_epoch" in attributes:
            shown["last_epoch"] = plain(self.last_epoch)
        if "_last_lr" in attributes:
            shown["lr"] = [plain(rate) for rate in self._last_lr]
        return f"{type(self).__name__}({', '.join(f'{name}={_said(value)}' for name, value in shown.items())})"

    # Rates

    def get_last_lr(self) -> list[Number]:
        """The rates set by the last step.

        Returns:
            One rate a group.

        Source:
            https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.LRScheduler.html#torch.optim.lr_scheduler.LRScheduler.get_last_lr.

        Example:
            >>> import fnn, numpy as np
            >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=1.0)
            >>> scheduler = fnn.optim.lr_scheduler.ExponentialLR(sgd, gamma=0.5)
            >>> scheduler.get_last_lr()
            [1.0]
        """
        return list(self._last_lr)

    def get_lr(self) -> Sequence[Number]:
        """The next rates, computed from the groups' current ones; ``step`` calls it, users want ``get_last_lr``.

        Returns:
            One rate a group.

        Source:
            https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.LRScheduler.html#torch.optim.lr_scheduler.LRScheduler.get_lr.

        Example:
            >>> import fnn, numpy as np
            >>> class Constant(LRScheduler):
            ...     def get_lr(self):
            ...         return self.base_lrs
            >>> Constant(fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=0.5)).get_lr()
            [0.5]
        """
        raise NotImplementedError(f"{type(self).__name__} must define get_lr")

    def print_lr(self, is_verbose: bool, group: int, lr: Number, epoch: float | None = None) -> None:
        """Prints a rate, as torch did with its former ``verbose``.

        Args:
            is_verbose: whether to print at all.
            group: number of the group.
            lr: its rate.
            epoch: the epoch to name.

        Source: https://docs.pytorch.org/docs/2.0/generated/torch.optim.lr_scheduler.StepLR.html.

        Example:
            >>> import fnn, numpy as np
            >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=1.0)
            >>> scheduler = fnn.optim.lr_scheduler.ExponentialLR(sgd, gamma=0.5)
            >>> scheduler.print_lr(True, 0, 0.5)
            Adjusting learning rate of group 0 to 5.0000e-01.
        """
        if not is_verbose:
            return
        if epoch is None:
            print(f"Adjusting learning rate of group {group} to {float(lr):.4e}.")
        else:
            number = f"{epoch:.2f}" if isinstance(epoch, float) else f"{int(epoch):05d}"
            print(f"Epoch {number}: adjusting learning rate of group {group} to {float(lr):.4e}.")

    def _rates(self) -> list[Number]:
        return option_of_groups(self.optimizer, "lr")

    def _warn_outside_step(self) -> None:
        if not self._get_lr_called_within_step:
            warn(f"{type(self).__name__}.get_lr() computes the next rates; use get_last_lr() for the last ones")

    # The step

    def step(self, epoch: int | None = None) -> None:
        """Advances by one epoch and sets each group's ``lr``; to be called after the optimizer's ``step``.

        Args:
            epoch: the epoch to go to instead; deprecated as in torch.

        Raises:
            TypeError: if ``epoch`` is no number.
            RuntimeError: in a JAX transformation that fnn does not run, where it would happen once, under an ``fnn.jit`` that did
                not find this scheduler, or where it cannot run on a traced epoch.

        Source:
            https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.LRScheduler.html#torch.optim.lr_scheduler.LRScheduler.step.

        Example:
            >>> import fnn, numpy as np
            >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=1.0)
            >>> scheduler = fnn.optim.lr_scheduler.ExponentialLR(sgd, gamma=0.5)
            >>> sgd.step(); scheduler.step()
            >>> sgd.param_groups[0]["lr"]
            0.5
        """
        self._check_epoch(epoch)
        self._begin_step()
        self._warn_of_order()
        before = self.last_epoch, self._step_count
        try:
            self._step_count = self._step_count + 1
            if epoch is not None:
                self._warn_of_epoch()
            self._update_lr(epoch)
        except BaseException:  # a function of the user's may raise
            self.last_epoch, self._step_count = before
            raise

    def _check_epoch(self, epoch: Any) -> None:
        if epoch is not None and not is_number(epoch):
            fail(TypeError, f"{type(self).__name__}.step", "epoch", "a number or None", epoch)

    def _begin_step(self) -> None:
        """Checks that a running ``fnn.jit`` knows this object; outside of one, turns its counters into Python numbers."""
        require_known(self, f"{type(self).__name__} scheduler")
        self._refuse_stray(".step: the rates")
        for name in self._counters:
            value = getattr(self, name, None)
            if isinstance(value, jax.Array) and not isinstance(value, Tracer):
                setattr(self, name, value.item())

    def _refuse_stray(self, what: str) -> None:
        refuse_stray(f"{type(self).__name__}{what}", self._stateful_origin_, INSTEAD)

    def _warn_of_order(self) -> None:
        count = self._step_count
        if isinstance(count, Tracer) or count != 1:
            return
        # A compiled step of another optimizer of the same structure leaves no mark but the state.
        if not getattr(self.optimizer, "_opt_called", False) and not self.optimizer.state:
            warn(
                "lr_scheduler.step() was called before optimizer.step(): the first value of the schedule is skipped; call "
                f"them in the opposite order. See {_ORDER}"
            )

    def _warn_of_epoch(self) -> None:
        warn(
            "the epoch argument of scheduler.step() is deprecated, as in torch; call step() once an epoch. Where the "
            "scheduler has a closed form, it is used instead of the chainable form"
        )

    @contextlib.contextmanager
    def _within_step(self) -> Iterator[None]:
        self._get_lr_called_within_step = True
        try:
            yield
        except _TRACED as error:
            raise RuntimeError(
                f"{type(self).__name__}: step() under fnn.jit computes the rates from a traced epoch, which a function of "
                "the user's (a lambda, scale_fn, get_lr) turned into a Python number; write it with jax.numpy, or call "
                "scheduler.step() outside the compiled function"
            ) from error
        finally:
            self._get_lr_called_within_step = False

    def _update_lr(self, epoch: int | None = None) -> None:
        with self._within_step():
            if epoch is None:
                self.last_epoch = self.last_epoch + 1
                rates = self.get_lr()
            else:
                self.last_epoch = epoch
                rates = getattr(self, "_get_closed_form_lr", self.get_lr)()
        self._set_rates(rates)

    def _set_rates(self, rates: Sequence[Number]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            set_option(group, "lr", rate)
        self._last_lr = self._rates()

    # state_dict

    def state_dict(self) -> dict[str, Any]:
        """Every attribute but the optimizer, as Python numbers, in torch's layout.

        Returns:
            Attributes by name.

        Source:
            https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.LRScheduler.html#torch.optim.lr_scheduler.LRScheduler.state_dict.

        Example:
            >>> import fnn, numpy as np
            >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=1.0)
            >>> scheduler = fnn.optim.lr_scheduler.ExponentialLR(sgd, gamma=0.5)
            >>> state = scheduler.state_dict()
            >>> state["gamma"], state["last_epoch"]
            (0.5, 0)
        """
        return {k: plain(getattr(self, k)) for k in self.__dict__ if k not in self._not_in_state}

    @explained
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over a ``state_dict``, of this library or of torch.

        Args:
            state_dict: what ``state_dict`` returned.

        Raises:
            TypeError: if it is no dict, or something in it is not of the kind that it has to be.
            ValueError: if it is of another kind of scheduler, or for other groups. The scheduler is then as it was before.

        Source:
            https://docs.pytorch.org/docs/2.13/generated/torch.optim.lr_scheduler.LRScheduler.html#torch.optim.lr_scheduler.LRScheduler.load_state_dict.

        Example:
            >>> import fnn, numpy as np
            >>> sgd = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=1.0)
            >>> scheduler = fnn.optim.lr_scheduler.ExponentialLR(sgd, gamma=0.5)
            >>> scheduler.load_state_dict({**scheduler.state_dict(), "gamma": 0.25})
            >>> sgd.step(); scheduler.step()
            >>> scheduler.get_last_lr()
            [0.25]
        """
        self._refuse_stray(".load_state_dict: the state")
        self._check_state(f"{type(self).__name__}.load_state_dict", state_dict)
        self._take_state(state_dict)

    def _check_state(self, function: str, state_dict: Any) -> None:
        """Raises an error if ``_take_state`` would not go through, or leave what can make no step."""
        if not isinstance(state_dict, Mapping):
            fail(TypeError, function, "state_dict", "a dict", state_dict)
        mine = self.state_dict()
        if not {*mine} & {*state_dict}:
            known = ", ".join(map(repr, mine))
            fail(ValueError, function, "state_dict", f"one of {type(self).__name__}, with {known}", state_dict)
        for key, value in state_dict.items():
            if key not in mine or (value is None and key not in self._counters):
                continue  # torch has None where an option was not given
            if expected := _misfit(mine[key], plain(value)):
                fail(TypeError, function, f"state_dict[{key!r}]", expected, value)

    def _take_state(self, state_dict: Mapping[str, Any]) -> None:
        self.__dict__.update({k: plain(v) for k, v in state_dict.items() if k not in self._not_in_state})
        structure_changed()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_stateful_origin_"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        structure_changed()

    # What fnn.jit sees

    def _stateful_children_(self) -> Iterable[Stateful]:
        parts = self.__dict__.get("_schedulers", ())
        return (self.optimizer, *(part for part in parts if isinstance(part, Stateful)))

    def _stateful_cells_(self) -> Iterable[Cell]:
        for name in self._counters:
            if name in self.__dict__:
                yield Cell(self.__dict__, name)
        for i in range(len(self.__dict__.get("_last_lr", ()))):
            yield ElementCell(self.__dict__, "_last_lr", i)

    def _stateful_key_(self) -> Hashable:
        moving = ("_last_lr", "_schedulers", "_is_initial", "_get_lr_called_within_step", *self._counters)
        skip = {*self._not_in_state, *moving}
        return static_key({k: v for k, v in self.__dict__.items() if k not in skip})

    def _stateful_snapshot_(self) -> Callable[[], None]:
        attributes = dict(self.__dict__)

        def restore() -> None:
            self.__dict__.clear()
            self.__dict__.update(attributes)
            structure_changed()

        return restore


def _make_moving(cls: type[LRScheduler]) -> None:
    for name in ("_last_lr", *cls._counters):
        if not isinstance(getattr(cls, name, None), _Moving):
            setattr(cls, name, _Moving(name))


_make_moving(LRScheduler)


class _LRScheduler(LRScheduler):
    """The old name of ``LRScheduler`` in torch, for subclasses written against it."""

"""``Optimizer``: param groups, state and hooks over the pure transforms, whose rule does the arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar, cast, overload

import jax
import jax.numpy as jnp
import numpy as np

from fnn.functional.checks import fail
from fnn.functional.explained import explained, explained_constructor
from fnn.nn.lifting.stacks import stack_of
from fnn.nn.parameter import Parameter
from fnn.optim import _param_groups, _slots, _state
from fnn.optim._buckets import bucket_of, fill_buckets, follow, separate
from fnn.optim._by_layer import by_layer
from fnn.optim._explained import listed
from fnn.optim._hooks import (
    Hooks,
    after_every_step,
    before_every_step,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from fnn.optim._param_groups import ParamGroup, WatchedList, required as required
from fnn.optim._scalars import exported_count
from fnn.optim._slots import SharedState, Slot, StateView
from fnn.optim.transform import Transform
from fnn.stateful.boxes import INSTEAD, Box, Cell
from fnn.stateful.protocol import Stateful, static_key
from fnn.stateful.scopes import note_part, refuse_stray, require_known
from fnn.stateful.structure import structure_changed
from fnn.stateful.tracing import is_eager, trace_state
from fnn.transforms.backward import check_closure, value_and_grad
from fnn.transforms.jit.function import jit

__all__ = [
    "Optimizer",
    "ParamGroup",
    "ParamsT",
    "register_optimizer_step_post_hook",
    "register_optimizer_step_pre_hook",
]

# What the constructors take: Parameters, pairs of name and Parameter, or dicts of ``params`` and options.
ParamsT: TypeAlias = Iterable[Parameter | tuple[str, Parameter] | dict[str, Any]]
AuxT = TypeVar("AuxT")

# Attributes that every optimizer has, and those of them that change without changing what is compiled.
_UNNOTED = frozenset({"_opt_called", "_slots"})
_OWN = _UNNOTED | {
    "defaults",
    "param_groups",
    "_stateful_origin_",
    "_pre_hooks",
    "_post_hooks",
    "_state_dict_hooks",
}


_STEP_INSTEAD = (
    "put the whole step into fnn.jit, or, under jax.jit, use the pure transforms: tx = fnn.optim.adam(...), then tx.update and "
    "fnn.optim.apply_updates"
)


class Optimizer(Hooks, Stateful):
    """Base class of the optimizer objects; a subclass gives its pure rule in ``_rule``, or overrides ``_transform``.

    The update of all parameters is one compiled call over the transforms of the groups.

    Args:
        params: Parameters, pairs of name and Parameter, or dicts each with ``params`` and options of the group.
        defaults: options of the groups that do not set them.

    Raises:
        TypeError: if ``params`` is a Parameter or holds something else than Parameters.
        ValueError: if there are no parameters, or one occurs twice.

    Source: https://docs.pytorch.org/docs/2.13/optim.html#torch.optim.Optimizer.

    Example:
        >>> import fnn, numpy as np
        >>> class Descent(Optimizer):
        ...     _rule = staticmethod(fnn.optim.sgd)
        ...     def __init__(self, params, lr=0.5):
        ...         super().__init__(params, {"lr": lr})
        >>> p = fnn.nn.Parameter(np.ones(1))
        >>> _ = Descent([p]).step(lambda: (p * p).sum())
        >>> p.numpy().tolist()
        [0.0]
    """

    # The pure rule; it takes the options of a group by name.
    _rule: ClassVar[Callable[..., Transform[Any]]]
    # Options that are numbers and yet decide what is compiled.
    _static_options: ClassVar[frozenset[str]] = frozenset()
    # Whether the state is there, and saved, before the first step.
    _state_from_start: ClassVar[bool] = False
    # Whether the state that is saved has the count of steps; that of some of torch's optimizers lacks it.
    _saves_step: ClassVar[bool] = True
    # Whether the rule works on each number by itself, so that small parameters can be updated end to end as one.
    _elementwise: ClassVar[bool] = False
    # Whether it works on each parameter by itself.
    _one_by_one: ClassVar[bool] = False

    defaults: dict[str, Any]
    param_groups: list[ParamGroup]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        explained_constructor(cls)
        own = cls.__dict__
        for name in ("_elementwise", "_one_by_one"):
            if name not in own and ("_rule" in own or "_transform" in own):
                setattr(cls, name, False)

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        name = type(self).__name__
        groups = listed(name, params)
        self.defaults = defaults
        self.param_groups = WatchedList()
        self._slots: dict[Parameter, Slot] = {}
        self._stateful_origin_ = trace_state()
        self._start_hooks()
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "param_groups":
            value = WatchedList(value)
        if name not in _UNNOTED and self.__dict__.get(name, self) is not value:
            if name in self.__dict__:
                refuse_stray(f"{type(self).__name__}.{name}", self.__dict__.get("_stateful_origin_"), INSTEAD)
            structure_changed()
        super().__setattr__(name, value)

    def _transform(self, group: Mapping[str, Any]) -> Transform[Any]:
        """The pure transform for the options of a group."""
        rule = getattr(type(self), "_rule", None)
        if rule is None:
            raise NotImplementedError(f"{type(self).__name__} must set _rule, the pure rule, or override _transform")
        return rule(**{name: group[name] for name in self.defaults})

    def _by_layer(self, transform: Transform[Any], parameters: Sequence[Parameter]) -> Transform[Any]:
        """The transform for these parameters, of which some may hold several layers'."""
        return (
            transform if self._elementwise else by_layer(transform, list(map(stack_of, parameters)), self._one_by_one)
        )

    def _check_group(self, group: Mapping[str, Any]) -> None:
        """Raises ValueError for options out of range: the transform's own checks, run once when a group is added."""
        self._transform(group)

    @explained
    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group of parameters with its own options.

        Args:
            param_group: the Parameters, or pairs of name and Parameter, under ``params``, and options.

        Raises:
            TypeError: if the group is no dict, or ``params`` holds something else than Parameters.
            ValueError: if a parameter is in the optimizer already, a required option is missing, or some parameters have names
                and some have none.

        Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Optimizer.add_param_group.html.

        Example:
            >>> import fnn, numpy as np
            >>> optimizer = fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=0.5)
            >>> optimizer.add_param_group({"params": [fnn.nn.Parameter(np.ones(2))], "lr": 0.25})
            >>> [group["lr"] for group in optimizer.param_groups]
            [0.5, 0.25]
        """
        name = type(self).__name__
        if not isinstance(param_group, dict):
            raise TypeError(f"{name}: param_group must be a dict, got {type(param_group).__name__}")
        if "params" not in param_group:
            raise ValueError(f"{name}: param_group must have the key 'params', got only {[*param_group]}")
        group = ParamGroup(param_group)
        members, names = _param_groups.members(name, group["params"])
        if names is not None:
            dict.__setitem__(group, "param_names", names)
        if any(("param_names" in group) != ("param_names" in other) for other in self.param_groups):
            got = "with" if "param_names" in group else "without"
            raise ValueError(f"{name}: all parameter groups must have names or none, got one {got} them")
        known = {id(p) for g in self.param_groups for p in g["params"]}
        if not known.isdisjoint(map(id, members)):
            raise ValueError(f"{name}: some parameters appear in more than one parameter group")
        dict.__setitem__(group, "params", WatchedList(members))
        for key, value in self.defaults.items():
            if value is required and key not in group:
                raise ValueError(f"{name}: parameter group did not specify a value of required option {key}")
            if key not in group:
                dict.__setitem__(group, key, value)
        self._check_group(group)
        note_part(self, f"a group of {type(self).__name__}")
        if self._state_from_start:
            self._create_slots(self._transform(group), members)
        self.param_groups.append(group)
        structure_changed()

    # The step

    @explained
    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clears the gradients of every parameter.

        Args:
            set_to_none: whether to let them go; else they are filled with zeros.

        Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Optimizer.zero_grad.html.

        Example:
            >>> import fnn, numpy as np
            >>> p = fnn.nn.Parameter(np.ones(1))
            >>> p.grad = np.ones(1)
            >>> fnn.optim.SGD([p]).zero_grad()
            >>> p.grad is None
            True
        """
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad = None if set_to_none else jax.tree.map(jnp.zeros_like, parameter.grad)

    @overload
    def step(self) -> None: ...
    @overload
    def step(self, closure: None, has_aux: bool = False) -> None: ...
    @overload
    def step(self, closure: Callable[[], tuple[jax.Array, AuxT]], has_aux: Literal[True]) -> tuple[jax.Array, AuxT]: ...
    @overload
    def step(self, closure: Callable[[], jax.Array], has_aux: Literal[False] = False) -> jax.Array: ...
    @overload
    def step(self, closure: Callable[[], Any] | None, has_aux: bool) -> Any: ...
    @explained
    def step(self, closure: Callable[[], Any] | None = None, has_aux: bool = False) -> Any:
        """Updates the parameters once.

        Args:
            closure: runs the forward pass and returns the loss (with ``has_aux``: ``(loss, aux)``), whose gradients
                JAX computes. Without it, the gradients are those in ``p.grad``.
            has_aux: whether the closure returns more than the loss.

        Shape:
            - loss: :math:`()`

        Returns:
            What the closure returned, or ``None``.

        Raises:
            RuntimeError: under an ``fnn.jit`` that did not find this optimizer. If the closure raises, nothing changed.

        Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Optimizer.step.html.

        Example:
            >>> import fnn, numpy as np
            >>> p = fnn.nn.Parameter(np.ones(1))
            >>> loss, half = fnn.optim.SGD([p], lr=0.5).step(lambda: ((p * p).sum(), p / 2), has_aux=True)
            >>> float(loss), half.tolist(), p.numpy().tolist()
            (1.0, [0.5], [0.0])
        """
        require_known(self, f"{type(self).__name__} optimizer")
        refuse_stray(f"{type(self).__name__}.step: parameters", self._stateful_origin_, _STEP_INSTEAD)
        arguments: tuple[tuple[Any, ...], dict[str, Any]] = ((closure,) if closure is not None else (), {})
        for hook in [*before_every_step.values(), *self._pre_hooks.values()]:
            result = hook(self, *arguments)
            if result is not None:
                if not (isinstance(result, tuple) and len(result) == 2):
                    raise RuntimeError(f"step pre-hook must return None or (new_args, new_kwargs), got {result!r}")
                arguments = result
                closure = arguments[0][0] if arguments[0] else arguments[1].get("closure")
        result = self._step(closure, has_aux)
        for hook in [*self._post_hooks.values(), *after_every_step.values()]:
            hook(self, *arguments)
        return result

    def _step(self, closure: Callable[[], Any] | None, has_aux: bool) -> Any:
        if closure is None:
            self._update_all()
            return None
        name = f"{type(self).__name__}.step"
        check_closure(name, closure, "optimizer.step(lambda: criterion(model(x), y))")
        parameters = [p for group in self.param_groups for p in group["params"] if p.requires_grad]
        loss, aux, grads = value_and_grad(name, closure, parameters, has_aux)
        by_parameter = dict(zip(map(id, parameters), grads, strict=True))
        every = [p for group in self.param_groups for p in group["params"]]
        self._update_all([by_parameter.get(id(p)) for p in every])
        return (loss, aux) if has_aux else loss

    def _apply(self, grads: list[Any] | None = None) -> None:
        """The update of all parameters; ``grads`` in the order of the groups, or ``None`` to take ``p.grad``."""
        every = [p for group in self.param_groups for p in group["params"]]
        if grads is None:
            grads = [p.grad for p in every]
        of = {id(p): g for p, g in zip(every, grads, strict=True) if g is not None}
        for group in self.param_groups:
            active = [p for p in group["params"] if id(p) in of]
            if not active:
                continue
            transform = self._transform(group)
            self._create_slots(transform, active)
            for members in self._that_step_together(group, active):
                slots = [self._slots[p] for p in members]
                _state.update(
                    self._by_layer(transform, members), members, slots, [of[id(p)] for p in members], self._state_box
                )

    _update_all = jit(_apply)

    def _that_step_together(self, group: ParamGroup, active: list[Parameter]) -> list[list[Parameter]]:
        """The active parameters, together where they share state; those that leave others behind get a copy of it."""
        sizes = {id(self._slots[m[0]].shared): len(m) for m in _slots.by_shared_state(self._slots, group["params"])}
        found = _slots.by_shared_state(self._slots, active)
        for members in found:
            shared = self._slots[members[0]].shared
            if len(members) < sizes[id(shared)]:
                shared = shared.copy()
                separate(self._slots[parameter] for parameter in members)
                for parameter in members:
                    self._slots[parameter].shared = shared
                structure_changed()
        return found

    # State

    def _state_box(self, name: str, array: Any) -> Box:
        return Box(array, f"{type(self).__name__} state {name}")

    def _wanting(self, group: ParamGroup) -> list[Parameter]:
        """The parameters of a group that may be updated and have no state yet."""
        return [p for p in group["params"] if p not in self._slots and (p.requires_grad or p._grad._data is not None)]

    def _create_slots(self, transform: Transform[Any], parameters: list[Parameter]) -> list[Parameter]:
        """Makes the state of those parameters that have none yet; returns them."""
        new = [p for p in parameters if p not in self._slots]
        if new:
            note_part(self, f"the state of {type(self).__name__}")
            made = _state.create(self._by_layer(transform, new), new, self._state_box)
            self._fill_buckets(made)
            self._slots.update(made)
            structure_changed()
        return new

    def _fill_buckets(self, slots: dict[Parameter, Slot]) -> None:
        """Puts new slots of small parameters together, if the rule allows it."""
        if self._elementwise:
            fill_buckets(slots)

    def _set_apart(self, absent: list[Parameter]) -> None:
        """Gives parameters that were taken out of the groups state of their own, which stays as it is."""
        stepping = {id(slot.shared) for slot in self._present_slots().values()}
        separate(self._slots[p] for p in absent)
        for members in _slots.by_shared_state(self._slots, absent):
            shared = self._slots[members[0]].shared
            if id(shared) in stepping:
                shared = shared.copy()
                for parameter in members:
                    self._slots[parameter].shared = shared

    def _begun_slots(self) -> dict[Parameter, Slot]:
        return {p: s for p, s in self._present_slots().items() if self._state_from_start or s.shared.has_stepped()}

    def _present_slots(self) -> dict[Parameter, Slot]:
        """The state of the parameters that are in a group still."""
        present = {id(p) for group in self.param_groups for p in group["params"]}
        return {p: s for p, s in self._slots.items() if id(p) in present}

    @property
    def state(self) -> StateView:
        """The state of each parameter that has been updated: torch's names to arrays. What is taken out begins anew."""
        return StateView(self._begun_slots(), self._drop_slots)

    @state.setter
    def state(self, value: Mapping[Any, Any]) -> None:
        if len(value):
            raise TypeError(
                f"{type(self).__name__}.state: only an empty dict can be set, by which all state begins anew; else use "
                "load_state_dict"
            )
        self.state.clear()

    def _drop_slots(self, parameters: list[Parameter]) -> None:
        note_part(self, f"the state of {type(self).__name__}")
        self._set_apart(parameters)
        for parameter in parameters:
            self._slots.pop(parameter, None)
        structure_changed()

    def _export_state(self, named: dict[str, Any]) -> dict[str, Any]:
        """The state of one parameter as torch's ``state_dict`` has it; a subclass adapts what differs."""
        kept = {k: v for k, v in named.items() if k != "step" or self._saves_step}
        return {k: exported_count(v) if k == "step" else v for k, v in kept.items()}

    def _import_state(self, named: dict[str, Any], group: Mapping[str, Any]) -> dict[str, Any]:
        """The inverse of ``_export_state``."""
        return named if self._saves_step else {"step": 1, **named}

    def _covered(self, parameter: Parameter, group: Mapping[str, Any]) -> list[Parameter]:
        """The parameters whose state is kept with this one."""
        return [parameter]

    def state_dict(self) -> dict[str, Any]:
        """State and groups in torch's layout: parameters by number, in the order of the groups.

        Returns:
            ``{"state": {number: {name: array}}, "param_groups": [{option: value, "params": [number]}]}``.

        Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Optimizer.state_dict.html.

        Example:
            >>> import fnn, numpy as np
            >>> p = fnn.nn.Parameter(np.ones(1))
            >>> optimizer = fnn.optim.SGD([p], lr=0.5, momentum=0.9)
            >>> _ = optimizer.step(lambda: p.sum())
            >>> optimizer.state_dict()["state"][0]["momentum_buffer"].tolist()
            [1.0]
        """
        for hook in list(self._state_dict_hooks["state_pre"].values()):
            hook(self)
        number: dict[int, int] = {}
        groups: list[dict[str, Any]] = []
        for group in self.param_groups:
            for parameter in group["params"]:
                number.setdefault(id(parameter), len(number))
            kept = {k: v for k, v in group.items() if k != "params"}
            groups.append({**kept, "params": [number[id(p)] for p in group["params"]]})
        begun = self._begun_slots()
        exported = {
            number[id(p)]: self._export_state(begun[p].contents()) for p in sorted(begun, key=lambda p: number[id(p)])
        }
        state = {key: named for key, named in exported.items() if named}
        out: dict[str, Any] = {"state": state, "param_groups": groups}
        for hook in list(self._state_dict_hooks["state_post"].values()):
            result = hook(self, out)
            out = out if result is None else result
        return out

    @explained
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes over a ``state_dict``, of this library or of a torch optimizer.

        Args:
            state_dict: what ``state_dict`` of an optimizer with as many parameters in as many groups returned.

        Raises:
            TypeError: if it is no dict, or something in it is not of the kind that it has to be.
            ValueError: if it is no state of an optimizer, or groups or shapes do not fit. The optimizer is then as it was before.

        Source: https://docs.pytorch.org/docs/2.13/generated/torch.optim.Optimizer.load_state_dict.html.

        Example:
            >>> import fnn, numpy as np
            >>> one, other = (fnn.optim.SGD([fnn.nn.Parameter(np.ones(1))], lr=lr) for lr in (0.5, 0.25))
            >>> one.load_state_dict(other.state_dict())
            >>> one.param_groups[0]["lr"]
            0.25
        """
        name = f"{type(self).__name__}.load_state_dict"
        refuse_stray(f"{name}: state and options", self._stateful_origin_, INSTEAD)
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"{name}: state_dict must be a dict, got {type(state_dict).__name__}")
        state_dict = dict(state_dict)
        for hook in list(self._state_dict_hooks["load_pre"].values()):
            result = hook(self, state_dict)
            state_dict = state_dict if result is None else result
        if missing := {"state", "param_groups"} - {*state_dict}:
            raise ValueError(
                f"{name}: state_dict must be one of an optimizer, with {' and '.join(map(repr, sorted(missing)))}, got the keys "
                f"{[*state_dict][:5]}"
            )
        groups, parameters = _param_groups.match_saved(name, self.param_groups, state_dict["param_groups"])
        slots = self._load_slots(name, state_dict["state"], parameters, groups)
        self._slots = slots
        for group, merged in zip(self.param_groups, groups, strict=True):
            dict.clear(group)
            dict.update(group, merged)
        structure_changed()
        for hook in list(self._state_dict_hooks["load_post"].values()):
            hook(self)

    def _load_slots(
        self, name: str, saved: Mapping[Any, Any], parameters: dict[Any, Parameter], groups: list[ParamGroup]
    ) -> dict[Parameter, Slot]:
        shared: dict[Hashable, SharedState] = {}
        slots: dict[Parameter, Slot] = {}
        group_of = {id(p): i for i, g in enumerate(groups) for p in g["params"]}
        transforms = [self._transform(group) for group in groups]
        if not isinstance(saved, Mapping):
            fail(TypeError, name, "state_dict['state']", "a dict", saved)
        for key, values in saved.items():
            if not isinstance(values, Mapping):
                fail(TypeError, name, f"state_dict['state'][{key!r}]", "a dict", values)
            parameter = parameters.get(key)
            if parameter is None:
                raise ValueError(f"{name}: state of parameter {key!r}, which is in no group")
            named = {k: v for k, v in values.items() if v is not None}
            if not named:
                continue
            index = group_of[id(parameter)]
            named = self._import_state(named, groups[index])
            covered = self._covered(parameter, groups[index])
            transform = self._by_layer(transforms[index], covered)
            in_common, own = _state.read(name, key, named, transform, covered)
            mark = (index, tuple((k, np.asarray(v).tobytes()) for k, v in in_common.items()))
            if mark not in shared:
                shared[mark] = SharedState({k: self._state_box(k, v) for k, v in in_common.items()})
            slots[parameter] = Slot(shared[mark], {k: self._state_box(k, v) for k, v in own.items()})
        self._fill_buckets(slots)
        return slots

    # Copies

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the hooks of the step, which belong to this object alone."""
        left_out = ("_slots", "_pre_hooks", "_post_hooks", "_state_dict_hooks", "_stateful_origin_")
        kept = {k: v for k, v in self.__dict__.items() if k not in left_out}
        return {**kept, "_saved": _slots.take_down(self._slots)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({k: v for k, v in state.items() if k != "_saved"})
        self._stateful_origin_ = trace_state()
        self._start_hooks()
        self._slots = _slots.put_up(state["_saved"], self._state_box)
        self._fill_buckets(self._slots)
        structure_changed()

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])

    # What fnn.jit sees

    def _stateful_boxes_(self) -> Iterator[Box]:
        for group in self.param_groups:
            for parameter in group["params"]:
                yield parameter
                yield parameter._grad
        seen: set[int] = set()
        for slot in self._present_slots().values():
            bucket = bucket_of(slot)
            own = (bucket, bucket.boxes) if bucket else (slot, cast(dict[str, Box], slot.arrays))
            for holder, boxes in (own, (slot.shared, slot.shared.boxes)):
                if id(holder) not in seen:
                    seen.add(id(holder))
                    yield from boxes.values()

    def _stateful_cells_(self) -> Iterable[Cell]:
        return _param_groups.cells(self.param_groups, self._static_options)

    def _stateful_key_(self) -> Hashable:
        groups = tuple(_param_groups.key_of(group, self._static_options) for group in self.param_groups)
        place = {id(p): i for i, p in enumerate(p for group in self.param_groups for p in group["params"])}
        numbers: dict[int, int] = {}
        slots = tuple(
            (
                place[id(parameter)],
                tuple(slot.arrays),
                numbers.setdefault(id(slot.shared), len(numbers)),
                numbers.setdefault(id(bucket_of(slot)), len(numbers)),
            )
            for parameter, slot in self._present_slots().items()
        )
        hooks = tuple(static_key(hook) for hook in (*self._pre_hooks.values(), *self._post_hooks.values()))
        others = tuple(
            (name, static_key(value))
            for name, value in self.__dict__.items()
            if name not in _OWN and not isinstance(value, Stateful)
        )
        return groups, slots, len(self._pre_hooks), hooks, others

    def _stateful_prepare_(self) -> Callable[[], None] | None:
        present = self._present_slots()
        if len(present) != len(self._slots):
            self._set_apart([p for p in self._slots if p not in present])
        follow(present)
        made: list[Parameter] = []
        for group in self.param_groups:
            if is_eager():  # what is frozen is parted before the trace, so that the program serves the next call too
                moving = [p for p in group["params"] if p.requires_grad or p._grad._data is not None]
                self._that_step_together(group, moving)
            wanting = self._wanting(group)
            if wanting:
                made += self._create_slots(self._transform(group), wanting)
        if not made:
            return None

        def undo() -> None:
            for parameter in made:
                self._slots.pop(parameter, None)
            structure_changed()

        return undo

    def _stateful_snapshot_(self) -> Callable[[], None]:
        groups = [(group, dict(group)) for group in self.param_groups]
        slots = dict(self._slots)
        contents = [(slot, slot.shared, dict(slot.arrays)) for slot in slots.values()]

        def restore() -> None:
            list.__setitem__(self.param_groups, slice(None), [group for group, _ in groups])
            for group, kept in groups:
                dict.clear(group)
                dict.update(group, kept)
            self._slots = slots
            for slot, shared, arrays in contents:
                slot.shared, slot.arrays = shared, arrays
            structure_changed()

        return restore

"""``Optimizer``: param groups, state and hooks over the pure transforms, whose rule does the arithmetic."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fnn.nn.array_box import to_array
from fnn.nn.modules.hooks import RemovableHandle, add_hook
from fnn.nn.parameter import Parameter
from fnn.optim._buckets import pack_of, pack_small, packs_of, separate, units, unpack_scattered
from fnn.optim._param_groups import ElementCell, ParamGroup, is_dynamic, is_number, plain_option, required
from fnn.optim._slots import Cohort, Slot, StateView
from fnn.optim.transform import Transform, apply_updates
from fnn.stateful.boxes import Box, Cell
from fnn.stateful.protocol import Stateful, static_key
from fnn.stateful.scopes import require_known
from fnn.stateful.structure import structure_changed
from fnn.stateful.tracing import trace_state
from fnn.transforms.backward import value_and_grad
from fnn.transforms.jit.function import jit

__all__ = ["Optimizer", "ParamGroup", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook"]


_global_pre_hooks: OrderedDict[int, Any] = OrderedDict()
_global_post_hooks: OrderedDict[int, Any] = OrderedDict()


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Registers ``hook(optimizer, args, kwargs)`` to run before the step of every optimizer."""
    return add_hook(_global_pre_hooks, hook)


def register_optimizer_step_post_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Registers ``hook(optimizer, args, kwargs)`` to run after the step of every optimizer."""
    return add_hook(_global_post_hooks, hook)


class Optimizer(Stateful):
    """Base class of the optimizer objects; a subclass gives its pure rule in ``_rule``, or overrides ``_transform``.

    See https://docs.pytorch.org/docs/2.13/generated/torch.optim.Optimizer.html.

    Args:
        params: Parameters, or pairs of name and Parameter, or dicts each with ``params`` and options of the group.
        defaults: options of the groups that do not set them.

    Raises:
        TypeError: if ``params`` is a Parameter or holds something else than Parameters.
        ValueError: if there are no parameters, or one occurs twice.
    """

    # The pure rule; it takes the options of a group by name.
    _rule: ClassVar[Callable[..., Transform]]
    # Options that are numbers and yet decide what is compiled.
    _static_options: ClassVar[frozenset[str]] = frozenset()
    # Whether the state is there, and saved, before the first step.
    _state_from_start: ClassVar[bool] = False
    # Whether the rule works on each number by itself, so that small parameters can be updated end to end as one.
    _elementwise: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = cls.__dict__
        if "_elementwise" not in own and ("_rule" in own or "_transform" in own):
            cls._elementwise = False

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        name = type(self).__name__
        if isinstance(params, Parameter | jax.Array | np.ndarray):
            raise TypeError(f"{name}: params must be an iterable of Parameters or dicts, got {type(params).__name__}")
        self.defaults = defaults
        self.param_groups: list[ParamGroup] = []
        self._slots: dict[Parameter, Slot] = {}
        self._start_hooks()
        groups = list(params)
        if not groups:
            raise ValueError(f"{name}: optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def _start_hooks(self) -> None:
        self._stateful_origin_ = trace_state()
        self._pre_hooks: OrderedDict[int, Any] = OrderedDict()
        self._post_hooks: OrderedDict[int, Any] = OrderedDict()
        self._state_dict_hooks: dict[str, OrderedDict[int, Any]] = {
            kind: OrderedDict() for kind in ("state_pre", "state_post", "load_pre", "load_post")
        }

    def _transform(self, group: Mapping[str, Any]) -> Transform:
        """The pure transform for the options of a group."""
        rule = getattr(type(self), "_rule", None)
        if rule is None:
            raise NotImplementedError(f"{type(self).__name__} must set _rule, the pure rule, or override _transform")
        return rule(**{name: group[name] for name in self.defaults})

    def _check_group(self, group: Mapping[str, Any]) -> None:
        """Raises ValueError for options out of range: the transform's own checks, run once when a group is added."""
        self._transform(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group of parameters with its own options.

        Raises:
            TypeError: if the group is no dict, or ``params`` holds something else than Parameters.
            ValueError: if a parameter is in the optimizer already, or a required option is missing.
        """
        name = type(self).__name__
        if not isinstance(param_group, dict):
            raise TypeError(f"{name}: param_group must be a dict, got {type(param_group).__name__}")
        group = ParamGroup(param_group)
        given = group["params"]
        if isinstance(given, set):
            raise TypeError(f"{name}: parameters must be in an ordered collection, a set's order changes between runs")
        members: list[Any] = [given] if isinstance(given, Parameter) else list(given)
        if members and all(isinstance(m, tuple) and len(m) == 2 for m in members):
            dict.__setitem__(group, "param_names", [m[0] for m in members])
            members = [m[1] for m in members]
        for member in members:
            if not isinstance(member, Parameter):
                raise TypeError(f"{name}: can only optimize Parameters, got {type(member).__name__}")
        known = {id(p) for g in self.param_groups for p in g["params"]}
        ids = [id(p) for p in members]
        if len(set(ids)) != len(ids):
            raise ValueError(f"{name}: a param group must not contain a parameter twice")
        if known & set(ids):
            raise ValueError(f"{name}: some parameters appear in more than one parameter group")
        dict.__setitem__(group, "params", members)
        for key, value in self.defaults.items():
            if value is required and key not in group:
                raise ValueError(f"{name}: parameter group did not specify a value of required option {key}")
            if key not in group:
                dict.__setitem__(group, key, value)
        self._check_group(group)
        if self._state_from_start:
            self._create_slots(self._transform(group), members)
        self.param_groups.append(group)
        structure_changed()

    # The step

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clears the gradients of every parameter, or fills them with zeros."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad = None if set_to_none else jax.tree.map(jnp.zeros_like, parameter.grad)

    def step(self, closure: Callable[[], Any] | None = None, has_aux: bool = False) -> Any:
        """Updates the parameters once.

        Args:
            closure: runs the forward pass and returns the loss (with ``has_aux``: ``(loss, aux)``), whose gradients
                JAX computes. Without it, the gradients are those in ``p.grad``.
            has_aux: whether the closure returns more than the loss.

        Returns:
            what the closure returned, or ``None``.

        Raises:
            RuntimeError: under an ``fnn.jit`` that did not find this optimizer. If the closure raises, nothing changed.
        """
        require_known(self, f"{type(self).__name__} optimizer")
        arguments = ((closure,) if closure is not None else (), {})
        for hook in [*_global_pre_hooks.values(), *self._pre_hooks.values()]:
            result = hook(self, *arguments)
            if result is not None:
                if not (isinstance(result, tuple) and len(result) == 2):
                    raise RuntimeError(f"step pre-hook must return None or (new_args, new_kwargs), got {result!r}")
                arguments = result
                closure = arguments[0][0] if arguments[0] else arguments[1].get("closure")
        result = self._step(closure, has_aux)
        for hook in [*self._post_hooks.values(), *_global_post_hooks.values()]:
            hook(self, *arguments)
        return result

    def _step(self, closure: Callable[[], Any] | None, has_aux: bool) -> Any:
        if closure is None:
            self._update_all()
            return None
        parameters = [p for group in self.param_groups for p in group["params"] if p.requires_grad]
        loss, aux, grads = value_and_grad(f"{type(self).__name__}.step", closure, parameters, has_aux)
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
            for cohort, members in self._cohorts(group, active):
                self._update_cohort(transform, cohort, members, [of[id(p)] for p in members])

    _update_all = jit(_apply)

    def _cohorts(self, group: ParamGroup, active: list[Parameter]) -> list[tuple[Cohort, list[Parameter]]]:
        """The active parameters by cohort; a cohort that does not step as a whole is split."""
        parts: dict[int, tuple[Cohort, list[Parameter]]] = {}
        for parameter in active:
            cohort = self._slots[parameter].cohort
            parts.setdefault(id(cohort), (cohort, []))[1].append(parameter)
        sizes: dict[int, int] = {}
        for parameter in group["params"]:
            if parameter in self._slots:
                key = id(self._slots[parameter].cohort)
                sizes[key] = sizes.get(key, 0) + 1
        out = []
        for key, (cohort, members) in parts.items():
            if len(members) < sizes[key]:
                cohort = cohort.split()
                separate(self._slots[parameter] for parameter in members)
                for parameter in members:
                    self._slots[parameter].cohort = cohort
                structure_changed()
            out.append((cohort, members))
        return out

    def _update_cohort(self, transform: Transform, cohort: Cohort, members: list[Parameter], grads: list[Any]) -> None:
        slots = [self._slots[p] for p in members]
        values = [p.data for p in members]
        self._complete_slots(transform, slots, values)
        steps = units(members, slots, grads)
        arrays = [unit.join(values) for unit in steps]
        fields = jax.eval_shape(transform.init, arrays)._asdict()
        for name, value in fields.items():
            if isinstance(value, list):
                fields[name] = [None if v is None else u.box(name).data for u, v in zip(steps, value, strict=True)]
            elif value is not None:
                fields[name] = cohort.shared[name].data
        joined = [unit.join(grads) for unit in steps]
        updates, state = transform.update(joined, self._state_type(transform)(**fields), arrays)
        for unit, value in zip(steps, apply_updates(arrays, updates), strict=True):
            unit.part(value, values)
        for parameter, value in zip(members, values, strict=True):
            parameter.data = value
        for name, value in state._asdict().items():
            if isinstance(value, list):
                for unit, array in zip(steps, value, strict=True):
                    if array is not None:
                        unit.box(name).data = array
            elif value is not None:
                cohort.shared[name].data = value

    def _complete_slots(self, transform: Transform, slots: list[Slot], arrays: list[Any]) -> None:
        """Makes the arrays that the options have begun to need since the state was made, as a momentum switched on."""

        def lacking(name: str, value: Any) -> list[Slot]:
            if not isinstance(value, list):
                return []
            return [s for s, v in zip(slots, value, strict=True) if v is not None and name not in s.arrays]

        fields = jax.eval_shape(transform.init, arrays)._asdict()
        missing = {name: found for name, value in fields.items() if (found := lacking(name, value))}
        if not missing:
            return
        for pack in packs_of(slots):
            pack.dissolve()
        made = transform.init(arrays)
        for name, found in missing.items():
            of = dict(zip(map(id, slots), getattr(made, name), strict=True))
            for slot in found:
                slot.arrays[name] = self._state_box(name, of[id(slot)])
        structure_changed()

    def _pack(self, slots: dict[Parameter, Slot]) -> None:
        """Packs new slots of small parameters, if the rule allows it."""
        if self._elementwise:
            pack_small(slots)

    def _state_type(self, transform: Transform) -> Any:
        return type(jax.eval_shape(transform.init, [jax.ShapeDtypeStruct((1, 1), jnp.float32)]))

    def _state_box(self, name: str, array: Any) -> Box:
        return Box(array, f"{type(self).__name__} state {name}")

    def _wanting(self, group: ParamGroup) -> list[Parameter]:
        """The parameters of a group that may be updated and have no state yet."""
        return [p for p in group["params"] if p not in self._slots and (p.requires_grad or p._grad._data is not None)]

    def _create_slots(self, transform: Transform, parameters: list[Parameter]) -> list[Parameter]:
        """Makes the state of those parameters that have none yet; returns them."""
        new = [p for p in parameters if p not in self._slots]
        if not new:
            return new
        state = _initial_state(transform, [p.data for p in new])
        cohort = Cohort({})
        made = {p: Slot(cohort, {}) for p in new}
        for name, value in state._asdict().items():
            if isinstance(value, list):
                for parameter, array in zip(new, value, strict=True):
                    if array is not None:
                        made[parameter].arrays[name] = self._state_box(name, array)
            elif value is not None:
                cohort.shared[name] = self._state_box(name, value)
        self._pack(made)
        self._slots.update(made)
        structure_changed()
        return new

    # state

    @property
    def state(self) -> Mapping[Parameter, Mapping[str, Any]]:
        """The state of each parameter that has been updated: torch's names to arrays; for reading."""
        return StateView(
            {p: slot for p, slot in self._slots.items() if self._state_from_start or slot.cohort.has_stepped()},
            self._named_state,
        )

    def _named_state(self, slot: Slot) -> dict[str, Any]:
        shared = {name: box.data for name, box in slot.cohort.shared.items()}
        return {**shared, **{name: box.data for name, box in slot.arrays.items()}}

    def _export_state(self, named: dict[str, Any]) -> dict[str, Any]:
        """The state of one parameter as torch's ``state_dict`` has it; a subclass adapts what differs."""
        return {k: v.astype(jnp.float32) if k == "step" else v for k, v in named.items()}

    def _import_state(self, named: dict[str, Any], group: Mapping[str, Any]) -> dict[str, Any]:
        """The inverse of ``_export_state``."""
        return named

    def _covered(self, parameter: Parameter, group: Mapping[str, Any]) -> list[Parameter]:
        """The parameters whose state is kept with this one."""
        return [parameter]

    def state_dict(self) -> dict[str, Any]:
        """State and groups in torch's layout: parameters by number, in the order of the groups."""
        for hook in list(self._state_dict_hooks["state_pre"].values()):
            hook(self)
        number: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for parameter in group["params"]:
                number.setdefault(id(parameter), len(number))
            packed = {k: v for k, v in group.items() if k != "params"}
            groups.append({**packed, "params": [number[id(p)] for p in group["params"]]})
        order = sorted(self._slots, key=lambda p: number[id(p)])
        exported = {
            number[id(p)]: self._export_state(self._named_state(self._slots[p]))
            for p in order
            if self._state_from_start or self._slots[p].cohort.has_stepped()
        }
        state = {key: named for key, named in exported.items() if named}
        out: dict[str, Any] = {"state": state, "param_groups": groups}
        for hook in list(self._state_dict_hooks["state_post"].values()):
            result = hook(self, out)
            out = out if result is None else result
        return out

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes over a ``state_dict``, of this library or of a torch optimizer.

        Raises:
            ValueError: if groups or shapes do not fit; the optimizer is then as it was before.
        """
        name = type(self).__name__
        state_dict = dict(state_dict)
        for hook in list(self._state_dict_hooks["load_pre"].values()):
            result = hook(self, state_dict)
            state_dict = state_dict if result is None else result
        saved = state_dict["param_groups"]
        if len(saved) != len(self.param_groups):
            raise ValueError(
                f"{name}.load_state_dict: loaded state dict has a different number of parameter groups, expected "
                f"{len(self.param_groups)}, got {len(saved)}"
            )
        parameters: dict[Any, Parameter] = {}
        for i, (group, old) in enumerate(zip(self.param_groups, saved, strict=True)):
            if len(group["params"]) != len(old["params"]):
                raise ValueError(
                    f"{name}.load_state_dict: loaded state dict contains a parameter group that doesn't match the size of "
                    f"optimizer's group {i}, expected {len(group['params'])} parameters, got {len(old['params'])}"
                )
            parameters.update(zip(old["params"], group["params"], strict=True))
        groups = []
        for group, old in zip(self.param_groups, saved, strict=True):
            options = {k: plain_option(v) for k, v in old.items() if k != "params"}
            merged = ParamGroup({**{k: v for k, v in group.items() if k not in options}, **options})
            dict.__setitem__(merged, "params", group["params"])
            groups.append(merged)
        slots = self._load_slots(state_dict["state"], parameters, groups)
        self._slots = slots
        for group, merged in zip(self.param_groups, groups, strict=True):
            dict.clear(group)
            dict.update(group, merged)
        structure_changed()
        for hook in list(self._state_dict_hooks["load_post"].values()):
            hook(self)

    def _load_slots(
        self, saved: Mapping[Any, Any], parameters: dict[Any, Parameter], groups: list[ParamGroup]
    ) -> dict[Parameter, Slot]:
        name = f"{type(self).__name__}.load_state_dict"
        cohorts: dict[Hashable, Cohort] = {}
        slots: dict[Parameter, Slot] = {}
        group_of = {id(p): i for i, g in enumerate(groups) for p in g["params"]}
        transforms = [self._transform(group) for group in groups]
        for key, values in saved.items():
            parameter = parameters.get(key)
            if parameter is None:
                raise ValueError(f"{name}: state of parameter {key!r}, which is in no group")
            named = {k: v for k, v in values.items() if v is not None}
            if not named:
                continue
            index = group_of[id(parameter)]
            named = self._import_state(named, groups[index])
            covered = [p.data for p in self._covered(parameter, groups[index])]
            arrays: dict[str, Box] = {}
            shared: dict[str, Any] = {}
            for field, expected in jax.eval_shape(transforms[index].init, covered)._asdict().items():
                example = expected[0] if isinstance(expected, list) else expected
                if example is None:
                    continue
                if field not in named:
                    raise ValueError(f"{name}: state of parameter {key!r} lacks {field!r}")
                array = to_array(named[field], f"{name}: {field}").astype(example.dtype)
                if array.shape != example.shape:
                    raise ValueError(
                        f"{name}: {field} of parameter {key!r} must have shape {example.shape}, got {array.shape}"
                    )
                if isinstance(expected, list):
                    arrays[field] = self._state_box(field, array)
                else:
                    shared[field] = array
            mark = (index, tuple((k, np.asarray(v).tobytes()) for k, v in shared.items()))
            if mark not in cohorts:
                cohorts[mark] = Cohort({k: self._state_box(k, v) for k, v in shared.items()})
            slots[parameter] = Slot(cohorts[mark], arrays)
        self._pack(slots)
        return slots

    # Hooks

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Registers ``hook(optimizer, args, kwargs)`` to run before each step; it may return new arguments."""
        return add_hook(self._pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Registers ``hook(optimizer, args, kwargs)`` to run after each step."""
        return add_hook(self._post_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Registers ``hook(optimizer)`` to run before ``state_dict``."""
        return add_hook(self._state_dict_hooks["state_pre"], hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Registers ``hook(optimizer, state_dict)`` to run after ``state_dict``; it may return another dict."""
        return add_hook(self._state_dict_hooks["state_post"], hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Registers ``hook(optimizer, state_dict)`` to run before ``load_state_dict``; it may return another dict."""
        return add_hook(self._state_dict_hooks["load_pre"], hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Registers ``hook(optimizer)`` to run after ``load_state_dict``."""
        return add_hook(self._state_dict_hooks["load_post"], hook, prepend)

    # Copies

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the hooks of the step, which belong to this object alone."""
        left_out = ("_slots", "_pre_hooks", "_post_hooks", "_state_dict_hooks", "_stateful_origin_")
        kept = {k: v for k, v in self.__dict__.items() if k not in left_out}
        numbers: dict[int, int] = {}
        cohorts: list[dict[str, Any]] = []
        slots = []
        for parameter, slot in self._slots.items():
            number = numbers.setdefault(id(slot.cohort), len(numbers))
            if number == len(cohorts):
                cohorts.append({k: box.data for k, box in slot.cohort.shared.items()})
            slots.append((parameter, number, {k: box.data for k, box in slot.arrays.items()}))
        return {**kept, "_saved_cohorts": cohorts, "_saved_slots": slots}

    def __setstate__(self, state: dict[str, Any]) -> None:
        kept = dict(state)
        saved_cohorts, saved_slots = kept.pop("_saved_cohorts"), kept.pop("_saved_slots")
        self.__dict__.update(kept)
        self._start_hooks()
        cohorts = [Cohort({k: self._state_box(k, v) for k, v in shared.items()}) for shared in saved_cohorts]
        self._slots = {
            parameter: Slot(cohorts[number], {k: self._state_box(k, v) for k, v in arrays.items()})
            for parameter, number, arrays in saved_slots
        }
        self._pack(self._slots)
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
        for slot in self._slots.values():
            pack = pack_of(slot)
            for part, boxes in (
                (pack or slot, (pack.boxes if pack else slot.arrays)),
                (slot.cohort, slot.cohort.shared),
            ):
                if id(part) not in seen:
                    seen.add(id(part))
                    yield from boxes.values()

    def _stateful_cells_(self) -> Iterable[Cell]:
        for group in self.param_groups:
            for key, value in group.items():
                if key == "params" or key in self._static_options:
                    continue
                if isinstance(value, tuple) and value and all(is_dynamic(v) for v in value):
                    yield from (ElementCell(group, key, i) for i in range(len(value)))
                elif is_dynamic(value) and not (key != "lr" and is_number(value) and value == 0):
                    yield Cell(group, key)

    def _stateful_key_(self) -> Hashable:
        groups = []
        for group in self.param_groups:
            options = []
            for key, value in group.items():
                if key == "params":
                    continue
                dynamic = is_dynamic(value) or (isinstance(value, tuple) and value and all(map(is_dynamic, value)))
                if key in self._static_options or not dynamic:
                    options.append((key, static_key(value)))
                else:
                    options.append((key, key != "lr" and is_number(value) and value == 0))
            flags = tuple(p.requires_grad for p in group["params"])
            groups.append((tuple(options), flags))
        cohorts: dict[int, int] = {}
        place = {id(p): i for i, p in enumerate(p for group in self.param_groups for p in group["params"])}
        slots = tuple(
            (
                place[id(parameter)],
                tuple(slot.arrays),
                cohorts.setdefault(id(slot.cohort), len(cohorts)),
                cohorts.setdefault(id(pack_of(slot)), len(cohorts)),
            )
            for parameter, slot in self._slots.items()
        )
        return tuple(groups), slots, tuple(map(id, self._pre_hooks.values())), tuple(map(id, self._post_hooks.values()))

    def _stateful_prepare_(self) -> Callable[[], None] | None:
        unpack_scattered(self._slots)
        made: list[Parameter] = []
        for group in self.param_groups:
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
        contents = [(slot, slot.cohort, dict(slot.arrays)) for slot in slots.values()]

        def restore() -> None:
            self.param_groups[:] = [group for group, _ in groups]
            for group, options in groups:
                dict.clear(group)
                dict.update(group, options)
            self._slots = slots
            for slot, cohort, arrays in contents:
                slot.cohort, slot.arrays = cohort, arrays
            structure_changed()

        return restore


def _initial_state(transform: Transform, arrays: list[Any]) -> Any:
    if any(isinstance(a, Tracer) for a in arrays):
        return transform.init(arrays)
    return jax.jit(transform.init)(arrays)

"""Layers of one kind in sequence, whose parameters are stacked: compiled once, however many there are."""

from __future__ import annotations

import copy
import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Self, overload

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fnn.functional.checks import as_int, describe, fail
from fnn.functional.explained import explained
from fnn.nn.array_box import ArrayBox, to_array
from fnn.nn.lifting.loops import scan, unrolled
from fnn.nn.lifting.policy import Policy, parse_policy
from fnn.nn.lifting.stacks import add_layers, part_of, stack_of
from fnn.nn.modules.changes import ClosedHooks, is_view
from fnn.nn.modules.container.items import position
from fnn.nn.modules.hooks import REGISTRIES
from fnn.nn.modules.module import Module
from fnn.nn.modules.state_dict import HasStateDict, fitted
from fnn.nn.parameter import Parameter, is_lazy
from fnn.nn.placement import beside
from fnn.stateful.boxes import Box
from fnn.stateful.tracing import is_staged
from fnn.stateful.warning import warn

__all__ = ["Repeated"]

# The name under which the layer with the stacked arrays is a child; its parts are "0", "1", ...
_ALL = "*"


class _OtherTypes(BaseException):
    """Raised in a trace of the loop: a layer returns another shape or dtype than it was given."""


class Repeated(Module):
    """Layers of one kind in sequence, each called on the output of the one before; their parameters are held stacked.

    In a compiled program they are one loop, so that neither tracing nor compilation grows with their number. It computes what
    a ``Sequential`` of the same layers computes, draws the same random numbers, and writes the same buffers.

    ``named_parameters`` gives the stacked parameters, with a first axis of ``n``, under names such as ``"*.weight"``: they are
    what optimizers, clipping, casts and ``fnn.state`` work on. ``repeated[i]`` is one layer, a Module of the layer's class,
    whose parameters are parts of the stacks; ``state_dict`` has the keys of a ``Sequential``, ``"0.weight"``, and takes them.

    Args:
        make_layer: a function of no arguments that makes one layer, called ``n`` times.
        n: how many layers.
        remat: whether the intermediate arrays of a layer are computed again for the gradient instead of kept: ``True``, or a
            policy as ``fnn.remat`` takes it; ``None`` or ``False`` to keep them.

    Attributes:
        layer (Module): the layer with the stacked arrays: hooks registered on it and below it run for each layer.
        n (int): how many layers.
        remat (bool | Policy): as given; may be changed.

    Shape:
        - input: what the layer takes.
        - output: as input.

    Raises:
        TypeError: if ``make_layer`` makes no Module.
        ValueError: if ``n`` is less than 1, or the layers differ in structure, options, shapes or dtypes.
        RuntimeError: in the call, if a layer makes a Parameter, or keeps a value in a list.

    Source: https://docs.jax.dev/en/latest/_autosummary/jax.lax.scan.html

    Example:
        >>> import jax.numpy as jnp
        >>> from fnn import nn
        >>> layers = nn.Repeated(lambda: nn.TransformerEncoderLayer(8, 2, 16), 6)
        >>> layers(jnp.ones((5, 3, 8), "float32")).shape
        (5, 3, 8)
        >>> layers.layer.linear1.weight.shape, layers[2].linear1.weight.shape
        ((6, 16, 8), (16, 8))
        >>> next(iter(layers.state_dict()))
        '0.self_attn.in_proj_weight'
    """

    n: int
    remat: bool | Policy

    def __init__(self, make_layer: Callable[[], Module], n: int, *, remat: bool | Policy = None) -> None:
        super().__init__()
        if not callable(make_layer) or isinstance(make_layer, Module):
            fail(TypeError, "Repeated", "make_layer", "a function that makes a layer", make_layer)
        self.n = as_int("Repeated", "n", n, 1)
        _parse_remat("Repeated", remat)
        self.remat = remat
        self.add_module(_ALL, _stacked("Repeated", [make_layer() for _ in range(self.n)]))

    @classmethod
    def of(cls, layers: Sequence[Module], *, remat: bool | Policy = None) -> Self:
        """One with the arrays, and the mode, of layers that exist; these are left alone.

        Args:
            layers: Modules of one class, structure and options.
            remat: as in the constructor.

        Returns:
            the new Module.

        Raises:
            TypeError: if ``layers`` are no Modules.
            ValueError: if there are none, or they differ in structure, options, shapes or dtypes.

        Example:
            >>> from fnn import nn
            >>> nn.Repeated.of([nn.Linear(2, 2) for _ in range(3)])
            Repeated(
              (0-2): 3 x Linear(in_features=2, out_features=2, bias=True)
            )
        """
        members = list(layers)
        if not members:
            fail(ValueError, "Repeated.of", "layers", "at least one Module", layers)
        _check_apart("Repeated.of", members)
        self = cls.__new__(cls)
        Module.__init__(self)
        self.n = len(members)
        _parse_remat("Repeated.of", remat)
        self.remat = remat
        self.add_module(_ALL, _stacked("Repeated.of", [copy.deepcopy(members[0]), *members[1:]]))
        self.training = members[0].training
        return self

    @property
    def layer(self) -> Module:
        """The layer with the stacked arrays."""
        layer = self._modules[_ALL]
        assert layer is not None
        return layer

    def forward(self, input: Any, *args: Any, each: Mapping[str, Any] | None = None, **kwargs: Any) -> Any:
        """The layers in turn.

        Args:
            input: what the first layer is given; each later one is given the output of the one before.
            *args: further arguments, the same for every layer.
            each: keyword arguments of which every layer gets its own: arrays, or pytrees of arrays, with a first axis of
                ``n``.
            **kwargs: keyword arguments, the same for every layer.

        Returns:
            the output of the last layer. If the layer returns a tuple of an output and more, the whole is such a tuple, with
            what the layers returned besides stacked along a first axis of ``n``.
        """
        if each is not None and not isinstance(each, Mapping):
            fail(TypeError, "Repeated", "each", "a dict of arrays by the names of arguments, or None", each)
        given = {} if each is None else dict(each)
        for name, value in given.items():
            for leaf in jax.tree.leaves(value):
                if jnp.ndim(leaf) == 0 or jnp.shape(leaf)[0] != self.n:
                    fail(ValueError, "Repeated", f"each[{name!r}]", f"arrays with a first axis of {self.n}", leaf)
        start = jax.tree.map(
            lambda leaf: to_array(leaf, "Repeated: input"), input, is_leaf=lambda value: isinstance(value, Box)
        )
        structure, types = jax.tree.structure(start), _types(start)
        looping = is_staged()

        def step(carry: Any, own: Mapping[str, Any]) -> tuple[Any, Any]:
            out, rest = self.layer(carry, *args, **kwargs, **own), ()
            if jax.tree.structure(out) != structure and isinstance(out, tuple) and len(out) > 1:
                out, rest = out[0], out[1:]
            if jax.tree.structure(out) != structure:
                raise TypeError(
                    "Repeated: a layer must return what the next one takes, or a tuple of that and more; "
                    f"{type(self.layer).__name__} was given {describe(carry)} and returned {describe(out)}"
                )
            if looping and _types(out) != types:
                raise _OtherTypes
            return out, rest

        named = _boxes(self.layer)
        boxes = [box for _, box in named]
        for name, box in named:
            within = name.split(".").count(_ALL)  # of stacks in this one
            if stack_of(box)[: len(stack_of(box)) - within][-1:] != (self.n,):
                raise RuntimeError(
                    f"Repeated: {_ALL}.{name} holds no stack of {self.n} layers: it was put there after the layers had been "
                    "stacked; change the layers before, and write into a stack by .data or copy_()"
                )
        if looping:
            try:
                output, rest = scan("Repeated", step, start, given, self.n, sliced=boxes, around=self._around)
            except _OtherTypes:
                looping = False
                warn(
                    f"Repeated: {type(self.layer).__name__} returns another shape or dtype than it is given, so that its "
                    f"{self.n} layers are compiled one by one; give the first one what the later ones get"
                )
                output, rest = unrolled("Repeated", step, start, given, self.n, boxes)
        else:
            output, rest = unrolled("Repeated", step, start, given, self.n, boxes)
        return (output, *rest) if rest else output

    def _around(self, body: Callable[..., Any]) -> Callable[..., Any]:
        remat = _parse_remat("Repeated", self.remat)
        return body if remat is None else jax.checkpoint(body, policy=remat[0], prevent_cse=False)

    # The layers one by one

    def __len__(self) -> int:
        return self.n

    def __iter__(self) -> Iterator[Module]:
        return (_part(self.layer, i, {}) for i in range(self.n))

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> list[Module]: ...
    def __getitem__(self, index: int | slice) -> Module | list[Module]:
        if isinstance(index, slice):
            return [_part(self.layer, i, {}) for i in range(self.n)[index]]
        return _part(self.layer, position(self, index), {})

    def __getattr__(self, name: str) -> Any:
        if name.isdigit() and int(name) < self.__dict__.get("n", 0):
            return self[int(name)]
        return super().__getattr__(name)

    @explained
    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Calls ``fn`` on every submodule of every layer, then on this module; returns the module."""
        for layer in self:
            layer.apply(fn)
        fn(self)
        return self

    # Names as those of a Sequential

    @explained
    def state_dict(
        self, *args: Any, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """All parameters and persistent buffers, layer by layer, as a ``Sequential`` of the layers has them.

        Args:
            destination: a dict to add to.
            prefix: text put before each name.
            keep_vars: gives boxes, parts of the stacks, instead of their arrays.

        Returns:
            an ordered dict, with torch's ``_metadata``.
        """
        twin = object.__new__(type(self))  # another thread may be at work on this one
        twin.__dict__.update(self.__dict__)
        modules = {str(i): _part(self.layer, i, {}) for i in range(self.n)}
        modules.update((name, module) for name, module in self._modules.items() if name != _ALL)
        twin.__dict__["_modules"] = modules
        return super(Repeated, twin).state_dict(*args, destination=destination, prefix=prefix, keep_vars=keep_vars)

    def _load_tree(
        self,
        state_dict: dict[str, Any],
        metadata: Any,
        prefix: str,
        strict: bool,
        assign: bool,
        missing: list[str],
        unexpected: list[str],
        errors: list[str],
    ) -> None:
        rest = dict(state_dict)
        stacks: dict[str, Any] = {}
        names: dict[str, list[str]] = {}
        for name, box in _boxes(self, every_name=True, persistent=True):
            if not name.startswith(f"{_ALL}."):
                continue
            whole, keys = prefix + name, [prefix + key for key in _names_of(self, name)]
            absent = [key for key in keys if key not in rest]
            values = [rest.pop(key, None) for key in keys]
            if len(absent) < len(keys):
                missing += absent
                stacks[whole] = self._joined(box, keys, values, assign, errors)
            elif whole in rest:  # of a Repeated around this one
                stacks[whole] = rest.pop(whole)
            names[whole] = keys
        if metadata is not None:
            first, all_of_them = f"{prefix}0", f"{prefix}{_ALL}"
            metadata = {
                **metadata,
                **{all_of_them + k[len(first) :]: v for k, v in metadata.items() if _below(k, first)},
            }
        lacking: list[str] = []
        super()._load_tree(
            OrderedDict({**stacks, **rest}), metadata, prefix, strict, assign, lacking, unexpected, errors
        )
        missing += [key for name in lacking for key in names.get(name, [name])]

    def _joined(self, box: ArrayBox, keys: list[str], values: list[Any], assign: bool, errors: list[str]) -> Any:
        """The parts that a state dict has as one array; the box's own parts where it has none."""
        stack, shape = stack_of(box), box.shape[len(stack_of(box)) :]
        own = box.peek().reshape(len(keys), *shape)
        parts: list[Any] = []
        dtype = None if assign else box.dtype
        for i, (key, value) in enumerate(zip(keys, values, strict=True)):
            part = None if value is None else fitted(key, value, shape, dtype, errors)
            parts.append(own[i] if part is None else part)
        dtypes = {part.dtype for part in parts}
        if len(dtypes) > 1:
            got = ", ".join(sorted(map(str, dtypes)))
            errors.append(f"While copying {keys[0]} and its like in the other layers, expected one dtype, got {got}")
            return box.peek()
        return _stack(parts).reshape(*stack, *shape)

    def __repr__(self) -> str:
        inner = repr(self.layer).replace("\n", "\n  ")
        place = f"0-{self.n - 1}" if self.n > 1 else "0"
        return f"{self._get_name()}(\n  ({place}): {self.n} x {inner}\n)"


def _parse_remat(function: str, remat: Any) -> tuple[Any] | None:
    if remat is None or remat is False:
        return None
    return (None if remat is True else parse_policy(function, remat, "remat"),)


def _types(tree: Any) -> list[Any]:
    return [(jnp.shape(leaf), jnp.result_type(leaf)) for leaf in jax.tree.leaves(tree)]


def _below(name: str, parent: str) -> bool:
    return name == parent or name.startswith(f"{parent}.")


def _names_of(module: Module, name: str) -> list[str]:
    """The names in a ``state_dict`` of the parts of a parameter or buffer."""
    head, _, rest = name.partition(".")
    child = module._modules.get(head) if rest else None
    if child is None:
        return [name]
    heads = map(str, range(module.n)) if isinstance(module, Repeated) and head == _ALL else [head]
    below = _names_of(child, rest)
    return [f"{head}.{name}" for head in heads for name in below]


def _boxes(layer: Module, every_name: bool = False, persistent: bool = False) -> list[tuple[str, ArrayBox]]:
    """The names and boxes of a layer: each once, or by all its names; all, or those of the ``state_dict``."""
    seen: set[int] = set()
    found: list[tuple[str, ArrayBox]] = []
    for path, module in layer.named_modules(remove_duplicate=not every_name):
        for name, box in itertools.chain(module._parameters.items(), module._buffers.items()):
            skipped = persistent and name in module._buffers and name in module._non_persistent_buffers_set
            if box is None or skipped or (id(box) in seen and not every_name):
                continue
            seen.add(id(box))
            found.append((f"{path}.{name}" if path else name, box))
    return found


def _stack(parts: list[Any]) -> jax.Array:
    """Arrays along a new first axis, without a compilation where that can be had."""
    if any(isinstance(p, Tracer) or not p.is_fully_addressable or len(p.sharding.device_set) > 1 for p in parts):
        return jnp.stack(parts)
    return beside(to_array(np.stack([np.asarray(p) for p in parts])), parts[0])


def _stacked(function: str, layers: list[Any]) -> Module:
    """The first of the layers, with the arrays of all."""
    for layer in layers:
        if not isinstance(layer, Module):
            if function == "Repeated":
                fail(TypeError, function, "make_layer", "a function that makes a Module at each call", layer)
            fail(TypeError, function, "layers", "Modules", layer)
    _check_apart(function, layers)
    first = copy.deepcopy(layers[0]) if is_view(layers[0]) else layers[0]
    layers = [first, *layers[1:]]
    for i, other in enumerate(layers[1:], 1):
        difference = _difference(first, other)
        if difference is not None:
            raise ValueError(f"{function}: layers must be alike, and layer {i} has {difference} than layer 0")
    named = [dict(_boxes(layer)) for layer in layers]
    for name, box in named[0].items():
        if is_lazy(box):
            raise ValueError(f"{function}: {name} of a layer has no shape yet; initialize the layers first")
    for name, box in named[0].items():
        grads = [getattr(boxes[name], "grad", None) for boxes in named]
        if isinstance(box, Parameter):
            box.grad = None
        box.write(_stack([boxes[name].data for boxes in named]), owned=True)
        add_layers(box, len(layers))
        if isinstance(box, Parameter) and all(isinstance(grad, jax.Array) for grad in grads):
            box.grad = _stack(grads)
    return first


def _check_apart(function: str, layers: list[Any]) -> None:
    """Raises ValueError if two layers are one, or have a parameter or buffer in common."""
    owner: dict[Any, int] = {}
    for i, layer in enumerate(layers):
        boxes = [(id(box.home), box.part) for _, box in _boxes(layer)] if isinstance(layer, Module) else []
        for part in [*boxes, id(layer)]:
            if owner.setdefault(part, i) != i:
                raise ValueError(
                    f"{function}: layers must have arrays of their own, got some that share a Parameter or Buffer"
                )


def _difference(first: Module, other: Module) -> str | None:
    """In what a layer differs from the first, in words; ``None`` if in its numbers alone."""
    modules, others = dict(first.named_modules()), dict(other.named_modules())
    if _places(first) != _places(other):
        return "other submodules"
    for path, module in modules.items():
        where = f" of {path!r}" if path else ""
        twin = others[path]
        if type(module) is not type(twin):
            return f"another class{where}, {type(twin).__name__},"
        if type(module).get_extra_state is not HasStateDict.get_extra_state:
            return f"an extra state{where}, which cannot be stacked, rather"
        if any(getattr(module, registry) or getattr(twin, registry) for registry in REGISTRIES):
            return f"hooks{where}, to be registered on .layer of the result, rather"
        if module._stateful_key_() != twin._stateful_key_():
            name = _differing_attribute(module, twin)
            if name is not None:
                return f"another {name!r}{where}"
    if _aliases(first) != _aliases(other):
        return "other parameters or buffers"
    boxes, of_twin = dict(_boxes(first)), dict(_boxes(other))
    for name, box in boxes.items():
        mine = () if is_lazy(box) else (box.shape, box.dtype, box.requires_grad)
        its = () if is_lazy(of_twin[name]) else (of_twin[name].shape, of_twin[name].dtype, of_twin[name].requires_grad)
        if mine != its:
            return f"another shape, dtype or requires_grad of {name!r}"
    return None


def _places(layer: Module) -> list[tuple[str, str]]:
    """The names of the submodules, each with the first name of the same one."""
    first: dict[int, str] = {}
    return [(name, first.setdefault(id(m), name)) for name, m in layer.named_modules(remove_duplicate=False)]


def _aliases(layer: Module) -> list[tuple[str, str, bool]]:
    """The names of the boxes, each with the first name of the same one, and whether it is a Parameter."""
    first: dict[int, str] = {}
    boxes = _boxes(layer, every_name=True)
    return [(name, first.setdefault(id(box), name), isinstance(box, Parameter)) for name, box in boxes]


def _differing_attribute(module: Module, twin: Module) -> str | None:
    registries = {"_parameters", "_buffers", "_modules", "_stateful_origin_", *REGISTRIES}
    mine, its = vars(module), vars(twin)
    for name in sorted((mine.keys() | its.keys()) - registries):
        if name not in mine or name not in its:
            return name
        a, b = mine[name], its[name]
        try:
            same = a is b or (type(a) is type(b) and bool(np.all(a == b)))
        except (TypeError, ValueError):
            same = False
        if not same and not isinstance(a, Module):
            return name
    return None


def _part(module: Module, i: int, made: dict[int, Any]) -> Any:
    """A Module like the one with the stacked arrays, with the parts of one layer."""
    if id(module) in made:
        return made[id(module)]
    new = object.__new__(type(module))
    made[id(module)] = new
    new.__dict__.update(module.__dict__)
    new.__dict__.update((registry, ClosedHooks()) for registry in REGISTRIES)
    for kind in ("_parameters", "_buffers"):
        parts: dict[str, Any] = {}
        for name, box in vars(module)[kind].items():
            if box is not None and id(box) not in made:
                made[id(box)] = part_of(box, i)
            parts[name] = None if box is None else made[id(box)]
        new.__dict__[kind] = parts
    new.__dict__["_modules"] = {n: None if m is None else _part(m, i, made) for n, m in module._modules.items()}
    return new

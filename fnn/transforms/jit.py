"""``fnn.jit``: ``jax.jit`` for functions that read and write Modules, Optimizers, schedulers and Generators."""

from __future__ import annotations

import functools
import operator
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from types import CodeType, FunctionType, MethodType
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.core import Tracer
from jax.extend.core import jaxpr_as_fun

from fnn.kernels import plain_selected
from fnn.kernels.compiler_options import options_for
from fnn.kernels.library import library_forms
from fnn.random import current_generator
from fnn.stateful import (
    Bank,
    Box,
    Cell,
    Identity,
    OptionalBox,
    Scope,
    Stateful,
    current_scopes,
    donatable,
    held_elsewhere,
    is_eager,
    setting,
    static_key,
    structure,
    walk,
)

__all__ = ["JitFunction", "jit"]


_LIBRARIES = frozenset({"jax", "jaxlib", "numpy", "fnn", "torch", "optax", "scipy", "builtins", "functools"})
_OWNERS_KEPT = 16


def _is_stateful(value: Any) -> bool:
    return isinstance(value, Stateful | Box)


def _names_of(code: CodeType) -> set[str]:
    """The names that a function's code, nested functions and lambdas included, refers to as globals or attributes."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names_of(constant)
    return names


def _same(new: list[Any], old: list[Any]) -> bool:
    """Whether two lists hold the same objects."""
    return len(new) == len(old) and all(map(operator.is_, new, old))


class _Lookup:
    """Finds, afresh at each call, what the names in a function's code refer to."""

    def __init__(self, function: FunctionType) -> None:
        self.globals = function.__globals__
        self.names = sorted(_names_of(function.__code__))
        self.cells = function.__closure__ or ()

    def values(self) -> list[Any]:
        out = list(map(self.globals.get, self.names))
        for cell in self.cells:
            try:
                out.append(cell.cell_contents)
            except ValueError:
                out.append(None)
        return out


class _Attributes:
    """The attributes of the ``self`` of a method."""

    def __init__(self, owner: Any) -> None:
        self.owner = owner

    def values(self) -> list[Any]:
        return list(getattr(self.owner, "__dict__", {}).values())


class _Found:
    """The stateful objects behind the names in a function, and the constants that its trace depends on.

    Functions of the user's that the code refers to are searched in their turn.
    """

    def __init__(self, function: Any, owner: Any) -> None:
        self.roots: list[Any] = []
        self.constants: list[Hashable] = []
        self._watched: list[tuple[_Lookup | _Attributes, list[Any]]] = []
        self._seen: set[int] = set()
        self._owners: list[Any] = []
        self._names: set[str] = set()
        self._visit(function)
        if owner is not None:
            self._visit_owner(owner)
        self.number = -1
        for each in self._owners:
            for name in sorted(self._names & getattr(each, "__dict__", {}).keys()):
                self._note_constant(each.__dict__[name])
        self.key: Hashable = tuple(self.constants)

    def _visit(self, value: Any) -> None:
        if isinstance(value, JitFunction):
            value = value.__wrapped__
        if _is_stateful(value):
            self.roots.append(value)
        elif id(value) in self._seen:
            return
        elif isinstance(value, functools.partial):
            self._seen.add(id(value))
            for part in (value.func, *value.args, *value.keywords.values()):
                self._visit(part)
        elif isinstance(value, MethodType):
            self._seen.add(id(value))
            self._visit_owner(value.__self__)
            self._visit(value.__func__)
        elif isinstance(value, FunctionType):
            self._seen.add(id(value))
            self._visit_function(value)
        else:
            self._note_constant(value)

    def _visit_function(self, function: FunctionType) -> None:
        self._visit(getattr(function, "__wrapped__", None))
        if self._watched and (function.__module__ or "").partition(".")[0] in _LIBRARIES:
            return
        self.constants.append(function.__code__)
        lookup = _Lookup(function)
        self._names.update(lookup.names)
        values = lookup.values()
        self._watched.append((lookup, values))
        for value in (*values, *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self._visit(value)

    def _visit_owner(self, owner: Any) -> None:
        if _is_stateful(owner):
            self.roots.append(owner)
            return
        if id(owner) in self._seen:
            return
        self._seen.add(id(owner))
        self._owners.append(owner)
        attributes = _Attributes(owner)
        values = attributes.values()
        self._watched.append((attributes, values))
        for value in values:
            if _is_stateful(value) or isinstance(value, FunctionType | MethodType | JitFunction | functools.partial):
                self._visit(value)
        call = getattr(type(owner), "__call__", None)
        if isinstance(call, FunctionType):
            self._visit(call)

    def _note_constant(self, value: Any) -> None:
        if value is None or type(value) in (bool, int, float, complex, str, bytes, tuple):
            self.constants.append(static_key(value))
        elif isinstance(value, jax.Array | np.ndarray) and not isinstance(value, Tracer):
            self.constants.append(Identity(value))

    def still_right(self) -> bool:
        """Whether every name refers to what it referred to."""
        return all(_same(source.values(), old) for source, old in self._watched)


_ONLY_NONE = {type(None)}


class _Split(NamedTuple):
    """The boxes that a program deals with; holding the program keeps its ``id`` its own."""

    program: _Program
    donated: list[Box]
    kept: list[Box]
    written: list[Box]
    cleared: list[Box]
    bank: Bank | None  # of the donated boxes, if the same ones are written


class _Gathered:
    """The boxes and cells of a set of roots, in a fixed order, and the key of their structure."""

    def __init__(self, roots: Sequence[Any]) -> None:
        self.number = -1
        self._banks: dict[tuple[int, ...], Bank] = {}
        self.roots = list(roots)
        self.objects = list(walk(r for r in roots if isinstance(r, Stateful)))
        self.undo = [undo for obj in self.objects if (undo := obj._stateful_prepare_()) is not None]
        self.version = structure.version
        boxes: dict[int, Box] = {}
        places = {id(obj): -1 - i for i, obj in enumerate(self.objects)}
        layout: list[Any] = []
        for obj in self.objects:
            mine = list(obj._stateful_boxes_())
            for box in mine:
                boxes.setdefault(id(box), box)
            layout.append(([places[id(c)] for c in obj._stateful_children_()], [id(box) for box in mine]))
        for root in roots:
            if isinstance(root, Box):
                boxes.setdefault(id(root), root)
                grad = getattr(root, "_grad", None)
                if isinstance(grad, Box):
                    boxes.setdefault(id(grad), grad)
        places.update((key, i) for i, key in enumerate(boxes))
        self.boxes = list(boxes.values())
        self.optional = [box for box in self.boxes if isinstance(box, OptionalBox)]
        self.cells: list[Cell] = [cell for obj in self.objects for cell in obj._stateful_cells_()]
        self.statics = self.static_keys()
        self.key: Hashable = (
            self.statics,
            tuple((tuple(children), tuple(places[b] for b in mine)) for children, mine in layout),
            tuple(_box_key(box) for box in self.boxes),
            tuple(places[id(root)] for root in roots),
        )
        self._cell_wide: bool | None = None
        self._cell_values: list[Any] = []
        self._cell_numbers: tuple[Any, ...] = ()
        self._cell_inputs: tuple[tuple[Any, ...], list[Any], Any] = (), [], None
        self._splits: dict[int, _Split] = {}
        self._optional_key: Hashable = None
        self._optional_version = -1

    def split(self, program: _Program) -> _Split:
        """The boxes whose content a program takes over, those that it only reads, and those that it fills."""
        found = self._splits.get(id(program))
        if found is None:
            donated = [self.boxes[i] for i in program.donated]
            found = self._splits[id(program)] = _Split(
                program,
                donated,
                [self.boxes[i] for i in program.kept],
                [self.boxes[i] for i in program.written] + program.new_boxes,
                [self.boxes[i] for i in program.cleared],
                self._bank(donated) if program.written == program.donated and not program.new_boxes else None,
            )
        return found

    def _bank(self, boxes: list[Box]) -> Bank:
        """The bank of these boxes, one for all programs that write the same ones."""
        key = tuple(map(id, boxes))
        bank = self._banks.get(key)
        if bank is None:
            bank = self._banks[key] = Bank(boxes)
        return bank

    def __del__(self) -> None:
        for bank in self._banks.values():
            bank.close()

    def optional_key(self) -> Hashable:
        """Which of the boxes that may be empty are, and the structure of what the others hold."""
        if self._optional_version != structure.optional:
            contents = [box._data for box in self.optional]
            only_none = {*map(type, contents)} == _ONLY_NONE
            self._optional_key = None if only_none else tuple([box.key() for box in self.optional])
            self._optional_version = structure.optional
        return self._optional_key

    def static_keys(self) -> tuple[Hashable, ...]:
        return tuple((type(obj), obj._stateful_key_()) for obj in self.objects)

    def cell_inputs(self) -> tuple[tuple[Any, ...], list[Any], Any]:
        """The cells' values: their types, those that are arrays, and the Python numbers as one array, kept while equal."""
        if not self.cells:
            return (), [], None
        values = [cell.get() for cell in self.cells]
        wide = setting("jax_enable_x64")
        if wide is not self._cell_wide or not _same(values, self._cell_values):
            kinds = tuple(int if type(v) is int else float if isinstance(v, float) else None for v in values)
            numbers = tuple(v for v, kind in zip(values, kinds, strict=True) if kind is not None)
            packed = self._cell_inputs[2]
            if wide is not self._cell_wide or numbers != self._cell_numbers:
                packed = jax.device_put(np.array(numbers, np.float64 if wide else np.float32))
            arrays = [v for v, kind in zip(values, kinds, strict=True) if kind is None]
            self._cell_wide, self._cell_values, self._cell_numbers = wide, values, numbers
            self._cell_inputs = kinds, arrays, packed
        return self._cell_inputs


def _box_key(box: Box) -> Hashable:
    if isinstance(box, OptionalBox):
        return None
    return box._data.shape, box._data.dtype, getattr(box, "_requires_grad", None)


def _cell_values(kinds: tuple[Any, ...], arrays: list[Any], numbers: Any) -> list[Any]:
    rest = iter(arrays)
    values, i = [], 0
    for kind in kinds:
        if kind is None:
            values.append(next(rest))
        else:
            values.append(numbers[i] if kind is float else numbers[i].astype(int))
            i += 1
    return values


class _Program:
    """The function compiled for one structure of the state and one signature of the arguments."""

    def __init__(self) -> None:
        self.written: list[int] = []  # places of the boxes that get new content
        self.cleared: list[int] = []  # places of the boxes that become empty
        self.new_boxes: list[Box] = []  # boxes made during the trace, for the one call that made them
        self.cells: list[int] = []
        self.donated: list[int] = []
        self.kept: list[int] = []
        self.shares: bool | None = None  # whether results are arrays that went in; not known before the first call
        self.touches_optional = False
        self.changes_types = False  # some box gets an array of another shape or dtype
        self.out_tree: Any = None
        self.run: Any = None
        self.run_kept: Any = None


class _Context:
    """What was found behind the function for one ``self``; ``None`` stands for a plain function."""

    def __init__(self, owner: Any) -> None:
        self.owner = owner
        self.found: _Found | None = None
        self.gathered: _Gathered | None = None


class JitFunction:
    """What ``fnn.jit`` returns: a callable that runs the compiled function; ``__wrapped__`` is the function itself."""

    def __init__(
        self,
        function: Callable[..., Any],
        static_argnums: tuple[int, ...],
        static_argnames: tuple[str, ...],
        compiler_options: dict[str, Any] | None,
    ) -> None:
        for name in ("__name__", "__qualname__", "__doc__", "__module__"):
            if hasattr(function, name):
                setattr(self, name, getattr(function, name))
        self.__wrapped__ = function
        self._static_argnums = static_argnums
        self._static_argnames = static_argnames
        self._compiler_options = compiler_options
        self._programs: dict[Hashable, _Program] = {}
        self._numbers: dict[Hashable, int] = {}
        self._contexts: OrderedDict[int, _Context] = OrderedDict()
        self._lock = threading.RLock()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if any(scope.strict for scope in current_scopes()):
            return self.__wrapped__(*args, **kwargs)
        with self._lock:
            return self._call(None, args, kwargs)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else _BoundJit(self, instance)

    def __repr__(self) -> str:
        return f"<fnn.jit of {self.__wrapped__!r}>"

    def __reduce__(self) -> Any:
        return JitFunction, (self.__wrapped__, self._static_argnums, self._static_argnames, self._compiler_options)

    def clear_cache(self) -> None:
        """Forgets every compiled program."""
        with self._lock:
            self._programs.clear()
            self._numbers.clear()
            self._contexts.clear()

    def _cache_size(self) -> int:
        """How many programs are kept."""
        return len(self._programs)

    def _call(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        args, kwargs, static = self._split_static(owner, args, kwargs)
        leaves, tree = jax.tree.flatten((args, kwargs), is_leaf=_is_stateful)
        arrays = [leaf for leaf in leaves if not _is_stateful(leaf)]
        roots = [leaf for leaf in leaves if _is_stateful(leaf)] if len(arrays) != len(leaves) else []
        found, gathered = self._gather(owner, roots)
        kinds, cell_arrays, numbers = gathered.cell_inputs()
        key = (
            self._number(gathered),
            self._number(found),
            gathered.optional_key(),
            tree,
            tuple(None if _is_stateful(leaf) else self._type_of(leaf) for leaf in leaves),
            static,
            kinds,
            setting("jax_enable_x64"),
            plain_selected(),
        )
        program = self._programs.get(key)
        if program is None:
            try:
                program, reusable = self._trace(owner, gathered, leaves, tree, static, kinds, cell_arrays, numbers)
            except BaseException:
                for undo in reversed(gathered.undo):
                    undo()
                self._contexts.clear()
                raise
            if reusable:
                self._programs[key] = program
        gathered.undo.clear()
        checked = bool(current_scopes()) or not is_eager()
        boxes = gathered.split(program)
        if checked:
            donated = [box.data for box in boxes.donated]
            kept = [box.data for box in boxes.kept]
            outputs, new, cells = program.run_kept(donated, kept, cell_arrays, numbers, arrays)
        else:
            bank = boxes.bank
            donated = donatable([box._data for box in boxes.donated]) if bank is None else bank.take()
            kept = [box._data for box in boxes.kept]
            outputs, new, cells = program.run(donated, kept, cell_arrays, numbers, arrays)
            if program.shares is None:
                program.shares = held_elsewhere(new)
        _commit(gathered, boxes, new, cells, checked)
        return jax.tree.unflatten(program.out_tree, outputs)

    def _number(self, described: _Found | _Gathered) -> int:
        """A small number for a key that is long to hash, the same for equal keys."""
        if described.number < 0:
            described.number = self._numbers.setdefault(described.key, len(self._numbers))
        return described.number

    def _type_of(self, leaf: Any) -> Hashable:
        try:
            return jax.typeof(leaf)
        except TypeError:
            raise TypeError(
                f"fnn.jit: an argument of {self!r} must be an array, a number, a Module or the like, or be named in "
                f"static_argnames, got {leaf!r} of type {type(leaf).__name__}"
            ) from None

    def _split_static(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any, Any]:
        if not self._static_argnums and not self._static_argnames:
            return args, kwargs, ((), ())
        shift = 0 if owner is None else 1
        positions = {(i % (len(args) + shift) if i < 0 else i) - shift for i in self._static_argnums}
        static_args = tuple((i, args[i]) for i in sorted(positions) if 0 <= i < len(args))
        static_kwargs = tuple((k, kwargs[k]) for k in self._static_argnames if k in kwargs)
        for name, value in (*static_args, *static_kwargs):
            try:
                hash(value)
            except TypeError:
                raise ValueError(
                    f"fnn.jit: static argument {name!r} of {self!r} must be hashable, got {value!r}"
                ) from None
        dynamic = tuple(None if i in positions else a for i, a in enumerate(args))
        return (
            dynamic,
            {k: v for k, v in kwargs.items() if k not in self._static_argnames},
            (static_args, static_kwargs),
        )

    def _gather(self, owner: Any, argument_roots: list[Any]) -> tuple[_Found, _Gathered]:
        context = self._contexts.get(id(owner))
        if context is None or context.owner is not owner:
            context = self._contexts[id(owner)] = _Context(owner)
            while len(self._contexts) > _OWNERS_KEPT:
                self._contexts.popitem(last=False)
        if context.found is None or not context.found.still_right():
            context.found = _Found(self.__wrapped__, owner)
        roots = [*context.found.roots, *argument_roots, current_generator()]
        gathered = context.gathered
        if gathered is None or gathered.version != structure.version or not _same(roots, gathered.roots):
            gathered = context.gathered = _Gathered(roots)
        return context.found, gathered

    def _trace(
        self,
        owner: Any,
        gathered: _Gathered,
        leaves: list[Any],
        tree: Any,
        static: Any,
        kinds: tuple[Any, ...],
        cell_arrays: list[Any],
        numbers: Any,
    ) -> tuple[_Program, bool]:
        """Traces the function, once, and builds its program; tells whether later calls may use it too.

        They may not if the function changed the structure of an object, for then a later call starts from another one.
        """
        program = _Program()
        place = {id(box): i for i, box in enumerate(gathered.boxes)}

        def traced(contents: list[Any], extra: list[Any], packed: Any, arrays: list[Any]) -> Any:
            with Scope("fnn.jit", strict=True) as scope:
                scope.objects.update(id(obj) for obj in gathered.objects)
                for box, value in zip(gathered.boxes, contents, strict=True):
                    scope.own(box, value)
                cell_values = _cell_values(kinds, extra, packed)
                for cell, value in zip(gathered.cells, cell_values, strict=True):
                    cell.set(value)
                output = self._run_wrapped(owner, leaves, tree, static, arrays)
                flat, program.out_tree = jax.tree.flatten(output)
                results = []
                for box, value in scope.written():
                    if id(box) in place:
                        (program.cleared if value is None else program.written).append(place[id(box)])
                        results += [] if value is None else [value]
                for obj in gathered.objects:
                    for box in obj._stateful_boxes_():
                        if id(box) not in place and isinstance(box._data, Tracer):
                            program.new_boxes.append(box)
                            results.append(box._data)
                new_cells = []
                for i, (cell, value) in enumerate(zip(gathered.cells, cell_values, strict=True)):
                    if cell.get() is not value:
                        program.cells.append(i)
                        new_cells.append(cell.get())
                return flat, results, new_cells

        arrays = [leaf for leaf in leaves if not _is_stateful(leaf)]
        contents = [box.data for box in gathered.boxes] if current_scopes() else [box._data for box in gathered.boxes]
        restores = [obj._stateful_snapshot_() for obj in gathered.objects]
        old_cells = [cell.get() for cell in gathered.cells]
        try:
            with library_forms(self._compiler_options is None):
                jaxpr, shape = jax.make_jaxpr(traced, return_shape=True)(contents, cell_arrays, numbers, arrays)
        except BaseException:
            for restore in restores:
                restore()
            raise
        finally:
            for cell, value in zip(gathered.cells, old_cells, strict=True):
                cell.set(value)
        program.touches_optional = any(
            isinstance(gathered.boxes[i], OptionalBox) for i in (*program.written, *program.cleared)
        )
        new_types = {i: (value.shape, value.dtype) for i, value in zip(program.written, shape[1], strict=False)}
        for i, old in enumerate(contents):
            if old is None:
                continue
            same = isinstance(old, jax.Array | np.ndarray) and new_types.get(i) == (old.shape, old.dtype)
            (program.donated if same else program.kept).append(i)
            program.changes_types |= not same and i in new_types
        order = np.argsort([*program.donated, *program.kept]).tolist()  # None has no leaves: its place may be left out
        call, out_structure = jaxpr_as_fun(jaxpr), jax.tree.structure(shape)

        def run(donated: list[Any], kept: list[Any], extra: list[Any], packed: Any, arrays: list[Any]) -> Any:
            state = [*donated, *kept]
            inputs = ([state[i] for i in order], extra, packed, arrays)
            return jax.tree.unflatten(out_structure, call(*jax.tree.leaves(inputs)))

        run.__name__ = run.__qualname__ = getattr(self.__wrapped__, "__name__", type(self.__wrapped__).__name__)
        given = self._compiler_options
        program.run = jax.jit(run, donate_argnums=0, compiler_options=options_for(jaxpr.jaxpr, given))
        program.run_kept = jax.jit(run, compiler_options=given)  # perhaps within another program, where none may be set
        return program, gathered.static_keys() == gathered.statics and not program.new_boxes

    def _run_wrapped(self, owner: Any, leaves: list[Any], tree: Any, static: Any, arrays: list[Any]) -> Any:
        rest = iter(arrays)
        args, kwargs = jax.tree.unflatten(tree, [leaf if _is_stateful(leaf) else next(rest) for leaf in leaves])
        static_args, static_kwargs = static
        args = list(args)
        for i, value in static_args:
            args[i] = value
        before = () if owner is None else (owner,)
        return self.__wrapped__(*before, *args, **kwargs, **dict(static_kwargs))


class _BoundJit:
    """A ``fnn.jit`` method of one instance."""

    def __init__(self, function: JitFunction, instance: Any) -> None:
        self.__func__ = function
        self.__self__ = instance
        self.__wrapped__ = function.__wrapped__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        function = self.__func__
        if any(scope.strict for scope in current_scopes()):
            return function.__wrapped__(self.__self__, *args, **kwargs)
        with function._lock:
            return function._call(self.__self__, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__func__, name)


def _commit(gathered: _Gathered, boxes: _Split, contents: list[Any], cells: list[Any], checked: bool) -> None:
    """Writes the results of a program back; ``checked`` by way of the enclosing transformations' rules."""
    program = boxes.program
    if program.touches_optional:
        structure.optional += 1
    if checked or program.changes_types:
        for box, value in zip(boxes.written, contents, strict=True):
            box.data = value
        for box in boxes.cleared:
            box.data = None
    else:
        if boxes.bank is not None:
            boxes.bank.put(contents, program.shares is not False)
        else:
            for box, value in zip(boxes.written, contents, strict=True):
                box._data = value
        for box in boxes.cleared:
            box._data = None
    for i, value in zip(program.cells, cells, strict=True):
        gathered.cells[i].set(value)


def jit(
    function: Callable[..., Any] | None = None,
    *,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Sequence[str] | None = None,
    compiler_options: dict[str, Any] | None = None,
) -> Any:
    """Compiles a function that uses Modules, Optimizers, schedulers and Generators; their state goes in and comes out.

    The state threaded is that of every such object in the arguments (anywhere in a pytree), behind the names the
    function's code refers to (globals and closures, of nested functions too, looked up afresh at each call), and for a
    method in the attributes of its ``self``. Other arguments are treated as ``jax.jit`` treats them. Changing a number
    such as a learning rate compiles nothing; changing structure (``train()``, freezing, a new submodule) does, once.

    Args:
        function: the function, method or Module to compile; without it, ``jit`` is a decorator with options.
        static_argnums: positions of arguments that are compile-time constants.
        static_argnames: names of keyword arguments that are compile-time constants.
        compiler_options: options for XLA, as in ``jax.jit``. Without it fnn chooses: on the CPU, a program with dense
            convolutions is compiled with the option that hands them to a library, and one that holds 20 to 256 MiB of
            intermediate arrays at a time with one by which that memory is kept from call to call. ``{}`` sets none.

    Returns:
        a callable with the same arguments and result.

    Raises:
        TypeError: if ``function`` is not callable; at a call, if an argument is no array and not static.
        RuntimeError: at a call, if the function uses a Parameter, buffer or optimizer that was not found. If a call
            raises, every object is as it was before.

    Example:
        >>> import fnn, jax.numpy as jnp
        >>> model = fnn.nn.Linear(2, 2)
        >>> @fnn.jit
        ... def run(x):
        ...     return model(x)
        >>> run(jnp.ones((1, 2), jnp.float32)).shape
        (1, 2)
    """
    if function is None:
        return functools.partial(
            jit, static_argnums=static_argnums, static_argnames=static_argnames, compiler_options=compiler_options
        )
    if not callable(function):
        raise TypeError(f"fnn.jit: function must be callable, got {function!r}")
    numbers = (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums or ())
    names = (static_argnames,) if isinstance(static_argnames, str) else tuple(static_argnames or ())
    return JitFunction(function, numbers, names, compiler_options)

"""``fnn.jit``: ``jax.jit`` for functions that read and write Modules, Optimizers, schedulers and Generators."""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

import jax
import numpy as np
from jax.core import Tracer
from jax.extend.core import jaxpr_as_fun

from fnn.kernels import plain_selected
from fnn.kernels.compiler_options import options_for
from fnn.kernels.eigen import eigen_forms
from fnn.nn.modules.module import HasForward
from fnn.random.generator import current_generator
from fnn.stateful.boxes import OptionalBox
from fnn.stateful.donation import donatable, held_elsewhere
from fnn.stateful.scopes import Scope, current_scopes
from fnn.stateful.structure import structure
from fnn.stateful.tracing import is_eager, setting
from fnn.transforms.jit.gathering import Gathered, Split, cell_values_of
from fnn.transforms.jit.programs import Program
from fnn.transforms.jit.search import CompiledFunction, Found, is_stateful, same_objects

__all__ = ["BoundJit", "JitDecorator", "JitFunction", "jit"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")

_OWNERS_KEPT = 16


class _ForOwner:
    """What was found behind the function for one ``self``; ``None`` stands for a plain function."""

    def __init__(self, owner: Any) -> None:
        self.owner = owner
        self.found: Found | None = None
        self.gathered: Gathered | None = None


class JitFunction(CompiledFunction, Generic[P, R]):
    """What ``fnn.jit`` returns: a callable that runs the compiled function; ``__wrapped__`` is the function itself."""

    def __init__(
        self,
        function: Callable[P, R],
        static_argnums: tuple[int, ...],
        static_argnames: tuple[str, ...],
        compiler_options: dict[str, Any] | None,
    ) -> None:
        for name in ("__name__", "__qualname__", "__doc__", "__module__"):
            if hasattr(function, name):
                setattr(self, name, getattr(function, name))
        self.__wrapped__: Callable[P, R] = function
        self._static_argnums = static_argnums
        self._static_argnames = static_argnames
        self._compiler_options = compiler_options
        self._programs: dict[Hashable, Program] = {}
        self._numbers: dict[Hashable, int] = {}
        self._contexts: OrderedDict[int, _ForOwner] = OrderedDict()
        self._lock = threading.RLock()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if any(scope.strict for scope in current_scopes()):
            return self.__wrapped__(*args, **kwargs)
        with self._lock:
            return self._call(None, args, kwargs)

    @overload
    def __get__(self, instance: None, owner: Any = None) -> Self: ...
    @overload
    def __get__(self: JitFunction[Concatenate[Any, Q], R], instance: Any, owner: Any = None) -> BoundJit[Q, R]: ...
    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else BoundJit(self, instance)

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
        leaves, tree = jax.tree.flatten((args, kwargs), is_leaf=is_stateful)
        arrays = [leaf for leaf in leaves if not is_stateful(leaf)]
        roots = [leaf for leaf in leaves if is_stateful(leaf)] if len(arrays) != len(leaves) else []
        found, gathered = self._gather(owner, roots)
        kinds, cell_arrays, numbers = gathered.cell_inputs()
        key = (
            self._number(gathered),
            self._number(found),
            gathered.optional_key(),
            tree,
            tuple(None if is_stateful(leaf) else self._type_of(leaf) for leaf in leaves),
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

    def _number(self, described: Found | Gathered) -> int:
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

    def _gather(self, owner: Any, argument_roots: list[Any]) -> tuple[Found, Gathered]:
        context = self._contexts.get(id(owner))
        if context is None or context.owner is not owner:
            context = self._contexts[id(owner)] = _ForOwner(owner)
            while len(self._contexts) > _OWNERS_KEPT:
                self._contexts.popitem(last=False)
        if context.found is None or not context.found.still_right():
            context.found = Found(self.__wrapped__, owner)
        roots = [*context.found.roots, *argument_roots, current_generator()]
        gathered = context.gathered
        if gathered is None or gathered.version != structure.version or not same_objects(roots, gathered.roots):
            gathered = context.gathered = Gathered(roots)
        return context.found, gathered

    def _trace(
        self,
        owner: Any,
        gathered: Gathered,
        leaves: list[Any],
        tree: Any,
        static: Any,
        kinds: tuple[Any, ...],
        cell_arrays: list[Any],
        numbers: Any,
    ) -> tuple[Program, bool]:
        """Traces the function, once, and builds its program; tells whether later calls may use it too.

        They may not if the function changed the structure of an object, for then a later call starts from another one.
        """
        program = Program()
        position = {id(box): i for i, box in enumerate(gathered.boxes)}

        def traced(contents: list[Any], extra: list[Any], packed: Any, arrays: list[Any]) -> Any:
            with Scope("fnn.jit", strict=True) as scope:
                scope.objects.update(id(obj) for obj in gathered.objects)
                for box, value in zip(gathered.boxes, contents, strict=True):
                    scope.own(box, value)
                cell_values = cell_values_of(kinds, extra, packed)
                for cell, value in zip(gathered.cells, cell_values, strict=True):
                    cell.set(value)
                output = self._run_wrapped(owner, leaves, tree, static, arrays)
                flat, program.out_tree = jax.tree.flatten(output)
                results = []
                for box, value in scope.written():
                    if id(box) in position:
                        (program.cleared if value is None else program.written).append(position[id(box)])
                        results += [] if value is None else [value]
                for obj in gathered.objects:
                    for box in obj._stateful_boxes_():
                        if id(box) not in position and isinstance(box._data, Tracer):
                            program.new_boxes.append(box)
                            results.append(box._data)
                new_cells = []
                for i, (cell, value) in enumerate(zip(gathered.cells, cell_values, strict=True)):
                    if cell.get() is not value:
                        program.cells.append(i)
                        new_cells.append(cell.get())
                return flat, results, new_cells

        arrays = [leaf for leaf in leaves if not is_stateful(leaf)]
        contents = [box.data for box in gathered.boxes] if current_scopes() else [box._data for box in gathered.boxes]
        restores = [obj._stateful_snapshot_() for obj in gathered.objects]
        old_cells = [cell.get() for cell in gathered.cells]
        try:
            with eigen_forms(self._compiler_options is None):
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
        order = np.argsort(
            [*program.donated, *program.kept]
        ).tolist()  # None has no leaves: its position may be left out
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
        args, kwargs = jax.tree.unflatten(tree, [leaf if is_stateful(leaf) else next(rest) for leaf in leaves])
        static_args, static_kwargs = static
        args = list(args)
        for i, value in static_args:
            args[i] = value
        before = () if owner is None else (owner,)
        function: Callable[..., Any] = self.__wrapped__
        return function(*before, *args, **kwargs, **dict(static_kwargs))


class BoundJit(Generic[P, R]):
    """A ``fnn.jit`` method of one instance."""

    def __init__(self, function: JitFunction[..., R], instance: Any) -> None:
        self.__func__: JitFunction[..., R] = function
        self.__self__: Any = instance
        self.__wrapped__: Callable[..., R] = function.__wrapped__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        function = self.__func__
        if any(scope.strict for scope in current_scopes()):
            return function.__wrapped__(self.__self__, *args, **kwargs)
        with function._lock:
            return function._call(self.__self__, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__func__, name)


def _commit(gathered: Gathered, boxes: Split, contents: list[Any], cells: list[Any], checked: bool) -> None:
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


class JitDecorator(Protocol):
    """What ``fnn.jit`` with options alone returns."""

    def __call__(self, function: Callable[P, R], /) -> JitFunction[P, R]:
        """Compiles the function."""
        ...


@overload
def jit(
    function: Callable[P, R],
    *,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Sequence[str] | None = None,
    compiler_options: dict[str, Any] | None = None,
) -> JitFunction[P, R]: ...
@overload
def jit(
    function: HasForward[P, R],
    *,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Sequence[str] | None = None,
    compiler_options: dict[str, Any] | None = None,
) -> JitFunction[P, R]: ...
@overload
def jit(
    function: None = None,
    *,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Sequence[str] | None = None,
    compiler_options: dict[str, Any] | None = None,
) -> JitDecorator: ...
def jit(
    function: Any = None,
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
            convolutions is compiled with the option by which Eigen computes them, and one that holds 20 to 256 MiB of
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

"""``fnn.jit``: ``jax.jit`` for functions that read and write Modules, Optimizers, schedulers and Generators."""

from __future__ import annotations

import functools
import inspect
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from itertools import chain, repeat
from operator import setitem
from types import MappingProxyType
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

import jax

from fnn.amp.autocast_mode import current
from fnn.functional.explained import explained
from fnn.kernels import plain_selected
from fnn.nn.modules.module import HasForward
from fnn.random.generator import advanced, current_generator
from fnn.stateful.donation import call_with, exclusive, is_lost, publish
from fnn.stateful.protocol import Uninitialized
from fnn.stateful.scopes import current_scopes
from fnn.stateful.structure import optional_changed, structure, structure_changed
from fnn.stateful.tracing import is_eager, jit_settings, setting
from fnn.stateful.warning import warn
from fnn.transforms.jit.arguments import (
    STATEFUL,
    StaticArguments,
    as_leaf,
    check_global,
    process_count,
    put_back,
    type_of,
)
from fnn.transforms.jit.compiles import Compile, compile_listeners
from fnn.transforms.jit.gathering import Gathered, Split, element_targets
from fnn.transforms.jit.programs import Program
from fnn.transforms.jit.search import CompiledFunction, Found, is_stateful
from fnn.transforms.jit.sums import Sums, apart, boxes_apart
from fnn.transforms.jit.trace import Trace

__all__ = ["BoundJit", "JitDecorator", "JitFunction", "jit"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")

_OWNERS_KEPT = 16
_NOTHING: Mapping[int, Any] = MappingProxyType({})
_PATIENCE = 5


class _ForOwner:
    """What was found behind the function for one ``self``; ``None`` stands for a plain function."""

    def __init__(self, owner: Any) -> None:
        self.found: Found | None = None
        self.gathered: Gathered | None = None
        mine = weakref.WeakMethod(self.forget)
        self.dropped: Callable[[], None] = lambda: (forget := mine()) and forget()
        try:
            dropped = self.dropped
            self._owner: Callable[[], Any] = weakref.ref(owner, lambda _: dropped())
        except TypeError:
            self._owner = lambda: owner

    def is_for(self, owner: Any) -> bool:
        """Whether it stands for this one, not for one that is gone and had its ``id``."""
        return self._owner() is owner

    def forget(self) -> None:
        """Lets everything go: one of the objects is gone."""
        self.found = self.gathered = None


class JitFunction(CompiledFunction, Generic[P, R]):
    """What ``fnn.jit`` returns: a callable that runs the compiled function; ``__wrapped__`` is the function itself."""

    def __init__(
        self,
        function: Callable[P, R],
        static_argnums: int | Sequence[int] | None = None,
        static_argnames: str | Sequence[str] | None = None,
        compiler_options: dict[str, Any] | None = None,
        donate: bool = True,
    ) -> None:
        super().__init__(function)
        self.__wrapped__: Callable[P, R] = function
        self._static = StaticArguments(function, static_argnums, static_argnames)
        self._compiler_options = compiler_options
        self._donate = donate
        self._programs: dict[Hashable, Program] = {}
        self._sums: dict[
            Hashable, list[Sums]
        ] = {}  # of the key but for the empty boxes, the programs that add up in them
        self._numbers: dict[Hashable, int] = {}
        self._written: dict[Hashable, Mapping[int, Any]] = {}  # of a structure, the numbers that programs write
        self._contexts: OrderedDict[int, _ForOwner] = OrderedDict()
        self._useless = 0  # traces, one after another, that no later call could use
        self._lock = threading.RLock()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if _runs_as_it_is():
            return self.__wrapped__(*args, **kwargs)
        with self._lock:
            if args and self._static.is_owner(args[0]):
                return self._call(args[0], args[1:], kwargs)
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
        static = self._static
        return JitFunction, (self.__wrapped__, *static.given, self._compiler_options, self._donate)

    def clear_cache(self) -> None:
        """Forgets every compiled program."""
        with self._lock:
            self._programs.clear()
            self._sums.clear()
            self._numbers.clear()
            self._written.clear()
            self._contexts.clear()

    def _cache_size(self) -> int:
        """How many programs are kept."""
        return len(self._programs)

    def _call(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        args, kwargs, static = self._static.split(owner is not None, args, kwargs)
        leaves, tree = jax.tree.flatten((args, kwargs), is_leaf=is_stateful)
        types = [type_of(leaf) for leaf in leaves]
        if None in types:
            leaves = [as_leaf(self, leaves, tree, i) if kind is None else leaves[i] for i, kind in enumerate(types)]
            types = [type_of(leaf) for leaf in leaves]
        arrays = [leaf for leaf, kind in zip(leaves, types, strict=True) if kind is not STATEFUL]
        if process_count() > 1:
            check_global(self, leaves, tree)
        given = [leaf for leaf, kind in zip(leaves, types, strict=True) if kind is STATEFUL]
        try:
            found, gathered = self._gather(owner, given)
        except Uninitialized:
            # A lazy layer learns its sizes from the arguments: the first call runs as it is.
            self._contexts.clear()
            given_args, given_kwargs = put_back(args, kwargs, static)
            function: Callable[..., Any] = self.__wrapped__
            return function(*(() if owner is None else (owner,)), *given_args, **given_kwargs)
        state = self._number(gathered)
        written = self._written.get((state, setting("jax_enable_x64")), _NOTHING) if self._written else _NOTHING
        kinds, cell_arrays, numbers = gathered.cell_inputs(written)
        key = (
            state,
            self._number(found),
            gathered.optional_key(),
            tree,
            tuple(types),
            static,
            kinds,
            jit_settings(),
            plain_selected(),
            current(),
        )
        program = self._programs.get(key)
        if program is None and self._sums and is_eager() and not current_scopes():
            boxes = boxes_apart(self._sums.get((*key[:2], *key[3:]), ()), gathered)
            if boxes:
                whole_args, whole_kwargs = put_back(args, kwargs, static)
                return apart(boxes, lambda: self._call(owner, tuple(whole_args), whole_kwargs))
        trace = report = None
        if program is None:
            report = Compile(self, key, gathered, leaves) if compile_listeners else None
            trace = Trace(self.__wrapped__, self._compiler_options)
            try:
                trace.run(owner, found, gathered, leaves, tree, static, kinds, cell_arrays, numbers)
                if not trace.written.items() <= written.items():
                    written = {**written, **trace.written}
                    self._written[state, setting("jax_enable_x64")] = written
                if trace.turns:
                    # The numbers that it writes are arrays after it: taken in as arrays, the program serves the next call too.
                    trace.undo()
                    kinds, cell_arrays, numbers = gathered.cell_inputs(written)
                    key = (*key[:6], kinds, *key[7:])
                    trace = Trace(self.__wrapped__, self._compiler_options)
                    trace.run(owner, found, gathered, leaves, tree, static, kinds, cell_arrays, numbers)
            except BaseException:
                self._undo(gathered, trace)
                raise
            program = trace.program
            if trace.reusable:
                self._programs[key] = program
                if program.sums:
                    keys = tuple([box.key() for box in gathered.optional])
                    self._sums.setdefault((*key[:2], *key[3:]), []).append(Sums(keys, program.sums))
                self._useless = 0
            else:
                self._warn_of_traces(gathered)
        inputs = cell_arrays, numbers, arrays
        if current_scopes() or not is_eager():
            outputs = _run_nested(program, gathered, inputs)
        else:
            published: list[Any] = [None]
            try:
                self._run(program, gathered.split(program), inputs, published)
            except BaseException:
                if published[0] is None:
                    self._undo(gathered, trace)
                raise
            outputs = published[0]
        gathered.undo.clear()
        if trace is not None:
            trace.settle()
            if report is not None:
                report.end(trace.reusable)
        return jax.tree.unflatten(program.out_tree, outputs)

    def _warn_of_traces(self, gathered: Gathered) -> None:
        """Says once what changes at every call, so that each one is traced and compiled anew."""
        self._useless += 1
        if self._useless == _PATIENCE:
            what = ", ".join(gathered.changes()) or "the parts of an object"
            warn(
                f"{self!r}: the function changes {what} at every call, so that each call is traced and compiled anew; keep what "
                "changes in a buffer, or return it, or change it outside of the compiled function"
            )

    def _undo(self, gathered: Gathered, trace: Trace | None) -> None:
        """Puts the objects back as they were before the call."""
        if trace is not None:
            trace.undo()
        for undo in reversed(gathered.undo):
            undo()
        gathered.undo.clear()
        self._contexts.clear()

    def _number(self, described: Found | Gathered) -> int:
        """A small number for a key that is long to hash, the same for equal keys."""
        if described.number < 0:
            described.number = self._numbers.setdefault(described.key, len(self._numbers))
        return described.number

    def _gather(self, owner: Any, given: list[Any]) -> tuple[Found, Gathered]:
        context = self._contexts.get(id(owner))
        if context is None or not context.is_for(owner):
            context = self._contexts[id(owner)] = _ForOwner(owner)
            while len(self._contexts) > _OWNERS_KEPT:
                self._contexts.popitem(last=False)
        found, gathered = context.found, context.gathered
        generator = current_generator()
        if found is None or not found.still_right(given):
            found = context.found = Found(self.__wrapped__, owner, given, context.dropped)
            gathered = None
        if (
            gathered is None
            or gathered.version != structure.version
            or gathered.extra != [*map(id, given), id(generator)]
        ):
            roots = [*found.roots(), *given, generator]
            gathered = context.gathered = Gathered(roots, [*given, generator], found.names, context.dropped)
        return found, gathered

    def _run(self, program: Program, split: Split, inputs: tuple[Any, ...], outputs: list[Any]) -> None:
        """Runs the program, and publishes its results in the boxes and cells and in ``outputs[0]``, all at once."""
        bank = split.bank
        others = split.enter()
        parts, wholes, copies, kinds = element_targets(split.elements) if split.elements else ([], [], [], [])
        targets = [bank.target, (setitem, outputs, 0), *split.targets, *parts, *split.last, *wholes, *split.constant]
        donates = self._donate and program.may_donate and bool(bank.boxes) and not _debugs()
        if donates:
            with exclusive:
                drawn = split.advanced()
                kept = [box._data for box in split.kept]
                arrays = bank.take()
                results = _results(program.run, arrays, kept, *inputs)
                try:
                    publish(targets, chain(results, map(call_with, kinds, copies), drawn, repeat(None)))
                except Exception as error:
                    bank.settle()
                    lost = bank.lost()
                    if lost:
                        raise RuntimeError(
                            f"{self!r}: the program failed while it ran, and the arrays that it had taken over are lost: "
                            f"{', '.join(box.describe() for box in lost[:3])}{' and others' if len(lost) > 3 else ''}; "
                            "load them from a checkpoint, or use fnn.jit(..., donate=False)"
                        ) from error
                    raise
        else:
            self._run_keeping(program, split, inputs, targets, map(call_with, kinds, copies))
        if program.touches_optional:
            optional_changed()
        if program.changes_types:
            structure_changed()
        for other in others:
            other.leave()

    def _run_keeping(
        self, program: Program, split: Split, inputs: tuple[Any, ...], targets: list[Any], wholes: Any
    ) -> None:
        """Runs the program without giving it any array to keep."""

        def attempt() -> None:
            drawn = split.advanced()
            arrays = split.bank.look()
            kept[:] = [box._data for box in split.kept]
            results = _results(program.run_kept, arrays, kept, *inputs)
            publish(targets, chain(results, wholes, drawn, repeat(None)))

        kept: list[Any] = []
        if not split.bank.boxes and len(targets) == 2:
            # It writes nothing, so that threads may run it at the same time; another's program may take an array away.
            try:
                return attempt()
            except (RuntimeError, ValueError):
                if not any(map(is_lost, kept)):
                    raise
        if program.may_donate:
            with exclusive:
                return attempt()
        return attempt()  # a callback of its own may wait for whoever is excluded


def _runs_as_it_is() -> bool:
    """Whether a call is part of a trace of ``fnn.jit`` already, or of a ``functional_call`` in a mode of its own, or nothing is
    to be compiled."""
    return any(scope.strict or scope.modes for scope in current_scopes()) or setting("jax_disable_jit")


def _results(run: Callable[..., Any], *inputs: Any) -> Iterator[Any]:
    """What a program returns, one after another; it runs when the first is asked for, within C code."""
    return chain.from_iterable(map(run, *((part,) for part in inputs)))


def _debugs() -> bool:
    """Whether JAX runs a program again, on the same arrays, where it finds a NaN or an infinity."""
    return setting("jax_debug_nans") or setting("jax_debug_infs")


def _run_nested(program: Program, gathered: Gathered, inputs: tuple[Any, ...]) -> list[Any]:
    """Runs the program within another transformation, by whose rules its results are written; returns the output."""
    split = gathered.split(program)
    donated = [box.data for box in split.bank.boxes]
    kept = [box.data for box in split.kept]
    new, outputs, *rest = program.run_kept(donated, kept, *inputs)
    for box, value in zip(split.bank.boxes, new, strict=True):
        box.write(value)
    values = iter(rest)
    for box in split.filled:
        box.write(next(values))
    for i in program.cells:
        gathered.cells[i].set(next(values))
    for place in program.new_values:
        place.write(next(values))
    for box, count in zip(split.drawn, split.draws, strict=True):
        box.write(advanced(box.data, count))
    for box in split.cleared:
        box.write(None)
    return outputs


class BoundJit(CompiledFunction, Generic[P, R]):
    """A ``fnn.jit`` method of one instance."""

    def __init__(self, function: JitFunction[..., R], instance: Any) -> None:
        self.__func__: JitFunction[..., R] = function
        self.__self__: Any = instance
        self.__wrapped__: Callable[..., R] = function.__wrapped__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        function = self.__func__
        if _runs_as_it_is():
            return function.__wrapped__(self.__self__, *args, **kwargs)
        with function._lock:
            return function._call(self.__self__, args, kwargs)

    @property
    def __signature__(self) -> inspect.Signature:
        whole = inspect.signature(self.__func__.__wrapped__)
        return whole.replace(parameters=list(whole.parameters.values())[1:])

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__func__, name)


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
    donate: bool = True,
) -> JitFunction[P, R]: ...
@overload
def jit(
    function: HasForward[P, R],
    *,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Sequence[str] | None = None,
    compiler_options: dict[str, Any] | None = None,
    donate: bool = True,
) -> JitFunction[P, R]: ...
@overload
def jit(
    function: None = None,
    *,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Sequence[str] | None = None,
    compiler_options: dict[str, Any] | None = None,
    donate: bool = True,
) -> JitDecorator: ...
@explained
def jit(
    function: Any = None,
    *,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Sequence[str] | None = None,
    compiler_options: dict[str, Any] | None = None,
    donate: bool = True,
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
        donate: whether the program may take over the memory of the state that it replaces. It takes no array that anybody
            but the Parameter, buffer or optimizer can hold: those that were read since the last call, or came from outside,
            it copies first. Programs that call back to the host donate nothing, nor does any under ``jax_debug_nans``.

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
    options: dict[str, Any] = {
        "static_argnums": static_argnums,
        "static_argnames": static_argnames,
        "compiler_options": compiler_options,
        "donate": donate,
    }
    if function is None:
        return functools.partial(jit, **options)
    if not callable(function):
        raise TypeError(f"fnn.jit: function must be callable, got a value of type {type(function).__name__}")
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError(
            f"fnn.jit: function must return arrays, got {function.__name__}, an async or generator function"
        )
    return JitFunction(function, **options)

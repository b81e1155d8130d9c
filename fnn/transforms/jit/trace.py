"""The trace of a function, and the program made of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend.core import Jaxpr, jaxpr_as_fun

from fnn.functional.checks import check_64_bits, is_cut
from fnn.kernels.compiler_options import options_for
from fnn.kernels.eigen import choose_eigen
from fnn.kernels.operation import inner_jaxprs
from fnn.nn.modules.module import Module
from fnn.nn.parameter import Buffer
from fnn.random.generator import count_draws
from fnn.stateful.boxes import Box, ElementCell, OptionalBox
from fnn.stateful.containers import refill, take_out_traced
from fnn.stateful.protocol import Stateful, walk
from fnn.stateful.remedies import with_remedy
from fnn.stateful.scopes import Scope
from fnn.stateful.structure import structure_changed
from fnn.stateful.tracing import again_if_stale, fresh_mark, is_eager, mark, trace_state
from fnn.stateful.watching import current_watches, watched
from fnn.transforms.hook_leaks import warn_of_hooks
from fnn.transforms.jit.arguments import put_back, type_of
from fnn.transforms.jit.gathering import Gathered, cell_values_of
from fnn.transforms.jit.programs import Program
from fnn.transforms.jit.search import Found, is_stateful
from fnn.transforms.traced_values import explain_traced

__all__ = ["Trace"]


class Trace:
    """One trace of a function, in a scope through which it reads and writes.

    Args:
        function: the function.
        compiler_options: those that the user gave.
    """

    def __init__(self, function: Callable[..., Any], compiler_options: dict[str, Any] | None) -> None:
        self.program: Program = Program()
        self.reusable: bool = True
        self.written: dict[int, Any] = {}
        self.turns: bool = False
        self._function = function
        self._options = compiler_options
        self._scope = Scope("fnn.jit", strict=True)
        self._made: list[Any] = []

    def undo(self) -> None:
        """Puts the Python side of the objects back as it was before the trace."""
        self._scope.undo()

    def settle(self) -> None:
        """Makes those that were made in the trace, and stay, objects like all others."""
        origin = trace_state()
        if not self.reusable:
            structure_changed()
        for one in self._made:
            if isinstance(one, Box):
                one._origin = origin
            else:
                object.__setattr__(one, "_stateful_origin_", origin)

    def run(
        self,
        owner: Any,
        found: Found,
        gathered: Gathered,
        leaves: list[Any],
        tree: Any,
        static: Any,
        kinds: tuple[Any, ...],
        cell_arrays: list[Any],
        numbers: Any,
    ) -> None:
        """Traces the function, once, and builds its program; tells by ``reusable`` whether later calls may use it too.

        They may not if the function changed the structure of an object, for then a later call starts from another one.
        ``written`` has the positions and dtypes of the numbers that it writes. If one of them came as a Python number, ``turns``
        is true and no program is built.
        """
        program, scope = self.program, self._scope
        objects = gathered.objects()
        scope.objects.update((id(obj), obj) for obj in objects)
        for obj in objects:
            scope.keep(obj)
        position = {id(box): i for i, box in enumerate(gathered.boxes)}
        contents = [box.peek() for box in gathered.boxes]
        attributes_of = [(one, _attributes_with_contents(one)) for one in found.instances() if hasattr(one, "__dict__")]
        bound = [(obj, dict(obj._buffers)) for obj in objects if isinstance(obj, Module) and len(obj._buffers) > 1]

        def body(contents: list[Any], extra: list[Any], packed: Any, arrays: list[Any]) -> Any:
            choose_eigen(self._options is None)
            for box, value in zip(gathered.boxes, contents, strict=True):
                scope.own(box, value)
            for cell, value in zip(gathered.cells, cell_values_of(kinds, extra, packed), strict=True):
                scope.own(cell, value)
            before = [cell.get() for cell in gathered.cells]
            rest = iter(arrays)
            args, kwargs = jax.tree.unflatten(tree, [leaf if is_stateful(leaf) else next(rest) for leaf in leaves])
            args, kwargs = put_back(args, kwargs, static)
            output = self._function(*(() if owner is None else (owner,)), *args, **kwargs)
            count_draws(scope)
            for obj, names in bound:
                _bind_back(scope, obj, names)
            for instance, attributes in attributes_of:
                _refuse_traced(instance, attributes)
            flat, program.out_tree = jax.tree.flatten(output)
            check_output(self._function, output)
            written: list[int] = []
            for holder, value in scope.written():
                if isinstance(holder, Box) and id(holder) in position:
                    (program.cleared if value is None else written).append(position[id(holder)])
            after = [cell.get() for cell in gathered.cells]
            changed = [i for i, (old, new) in enumerate(zip(before, after, strict=True)) if old is not new]
            program.cells = sorted(changed, key=lambda i: isinstance(gathered.cells[i], ElementCell))
            program.sums = frozenset(i for i, box in enumerate(gathered.optional) if scope.only_added(box))
            every = list(walk(gathered.objects()))
            program.new_boxes = [
                box
                for obj in every
                for box in obj._stateful_boxes_()
                if id(box) in scope.made and id(box) not in position
            ]
            self._made = [*program.new_boxes, *(o for o in every if o._stateful_origin_ == scope.trace)]
            program.new_values, values = take_out_traced(every)
            return (
                written,
                [scope.values[id(gathered.boxes[i])] for i in written],
                flat,
                [scope.values[id(box)] for box in program.new_boxes],
                [_strong(after[i]) for i in program.cells],
                values,
            )

        positions: list[int] = []

        def traced(*inputs: Any) -> Any:
            positions[:], *results = scope.run(body, *inputs)
            return results

        def trace() -> Any:
            jaxpr, shape = jax.make_jaxpr(traced, return_shape=True)(contents, cell_arrays, numbers, arrays)
            if not nested and any(isinstance(value, Tracer) for value in jaxpr.consts):
                raise jax.errors.UnexpectedTracerError(
                    "a trace that JAX kept of an earlier call was taken for one of this"
                )
            return jaxpr, shape

        nested = not is_eager()  # then traced constants may be those of the transformation around

        arrays = [leaf for leaf in leaves if not is_stateful(leaf)]
        try:
            with fresh_mark() if nested else mark(("fnn.jit", gathered.statics, found.values())):
                jaxpr, shape = again_if_stale(trace, staged=True)
        except (TypeError, ValueError, IndexError, AttributeError, NotImplementedError) as error:
            explain_traced(error, "fnn.jit", self._function)
            raise
        self.reusable = not (program.new_boxes or program.new_values or gathered.changed())
        if self.reusable:
            self.written = {i: new.dtype for i, new in zip(program.cells, shape[3], strict=True) if new.shape == ()}
            self.turns = any(kinds[i] is not None for i in self.written)
            if self.turns:
                return
        if not nested:
            warn_of_hooks("fnn.jit", gathered.objects())
        self._build(gathered, contents, positions, jaxpr, shape)

    def _build(self, gathered: Gathered, contents: list[Any], written: list[int], jaxpr: Any, shape: Any) -> None:
        program = self.program
        new_types = {i: (value.shape, value.dtype) for i, value in zip(written, shape[0], strict=True)}
        first_leaves: list[int] = []
        first = 0
        for old in contents:
            first_leaves.append(first)
            first += len(jax.tree.leaves(old))
        program.draws = _draws(gathered.generators, first_leaves, written, jaxpr)
        used = _used(jaxpr.jaxpr, [n for n, i in enumerate(written) if i in program.draws])
        for i, old in enumerate(contents):
            needed = any(used[first_leaves[i] :][: len(jax.tree.leaves(old))])
            if i in program.draws:
                if needed:
                    program.kept.append(i)
                continue
            if isinstance(old, jax.Array | np.ndarray) and new_types.get(i) == (old.shape, old.dtype):
                program.donated.append(i)
                continue
            program.changes_types |= i in new_types and old is not None
            if needed:
                program.kept.append(i)
        donated = set(program.donated)
        program.filled = [i for i in written if i not in donated and i not in program.draws]
        program.touches_optional = any(isinstance(gathered.boxes[i], OptionalBox) for i in (*written, *program.cleared))
        program.changes_types |= any(not isinstance(gathered.boxes[i], OptionalBox) for i in program.filled)
        program.may_donate = not _calls_back(jaxpr.jaxpr)
        results, call = jax.tree.structure(shape), jaxpr_as_fun(jaxpr)
        place = {i: n for n, i in enumerate(written)}
        taken, kept_places = list(program.donated), list(program.kept)
        order_of_new, order_of_filled = [place[i] for i in taken], [place[i] for i in program.filled]
        types = [jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), old) for old in contents]
        placed = {n: s for n, i in enumerate(taken) if (s := _spread(contents[i])) is not None}

        def run(donated: list[Any], kept: list[Any], extra: list[Any], packed: Any, arrays: list[Any]) -> Any:
            # What nothing depends on may be anything of its type; the operations on it are dropped.
            state = [jax.tree.map(lambda kind: jnp.zeros(*kind), old, is_leaf=_is_type) for old in types]
            for i, value in zip((*taken, *kept_places), (*donated, *kept), strict=True):
                state[i] = value
            boxes, output, made, cells, values = jax.tree.unflatten(
                results, call(*jax.tree.leaves((state, extra, packed, arrays)))
            )
            new = [boxes[n] for n in order_of_new]
            for n, sharding in placed.items():
                new[n] = jax.lax.with_sharding_constraint(new[n], sharding)
            return (new, output, *(boxes[n] for n in order_of_filled), *made, *cells, *values)

        run.__name__ = run.__qualname__ = getattr(self._function, "__name__", type(self._function).__name__)
        options = options_for(jaxpr.jaxpr, self._options)
        program.run = jax.jit(run, donate_argnums=0, compiler_options=options)
        # Perhaps within another program, where no options may be set.
        program.run_kept = jax.jit(run, compiler_options=self._options)
        if watched:
            words = [gathered.boxes[i].describe() for i in (*taken, *kept_places) for _ in jax.tree.leaves(contents[i])]
            for watch in current_watches():
                watch.program(program, words)


def _attributes_with_contents(obj: Any) -> dict[str, tuple[Any, Any]]:
    """The attributes of an object, and copies of those that are containers."""
    return {k: (v, v.copy() if type(v) in (list, dict, set, deque) else None) for k, v in obj.__dict__.items()}


def _refuse_traced(obj: Any, before: dict[str, tuple[Any, Any]]) -> None:
    """Raises RuntimeError if a traced array came to be in an attribute of an object of the user's, or in a container that is
    one; they are then as before."""
    now = obj.__dict__
    for name, value in list(now.items()):
        leaves = jax.tree.leaves(value, is_leaf=is_stateful)
        if any(isinstance(leaf, Tracer) for leaf in leaves):
            now.clear()
            for key, (old, contents) in before.items():
                now[key] = old
                if contents is not None:
                    refill(old, contents)
            raise with_remedy(
                RuntimeError(
                    f"fnn.jit: {type(obj).__name__}.{name} would keep a traced array, which is dead after the trace; return it "
                    "and keep what the compiled function returns"
                ),
                "an-attribute-would-keep-a-traced-array",
            )


def check_output(function: Callable[..., Any], output: Any) -> None:
    """Raises TypeError if a function returned what no program can: neither arrays nor numbers."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(output, is_leaf=lambda value: isinstance(value, Stateful)):
        if type_of(leaf) is None or isinstance(leaf, Stateful):
            name = getattr(function, "__name__", type(function).__name__)
            code = getattr(function, "__code__", None)
            where = f" ({code.co_filename}, line {code.co_firstlineno})" if code is not None else ""
            if is_cut(leaf):
                check_64_bits(f"fnn.jit: result{jax.tree_util.keystr(path)} of {name}{where}", leaf)
            kind = type(leaf).__name__
            raise with_remedy(
                TypeError(
                    f"fnn.jit: {name}{where} must return arrays and numbers in tuples, lists and dicts, got a value of type "
                    f"{kind} at result{jax.tree_util.keystr(path)}; an object that the function uses needs not be returned"
                ),
                "a-result-is-no-array",
            )


def _bind_back(scope: Scope, module: Module, before: dict[str, Buffer | None]) -> None:
    """Where a call bound names to others of the module's buffers (``self.before = self.last``), gives each name its own box
    again, with the new value: so the structure is as it was, and the program serves later calls.
    """
    after = module._buffers
    changed = [name for name in before if after.get(name) is not before[name]]
    boxes = list(after.values())
    if not changed or list(after) != list(before) or None in boxes or len({*map(id, boxes)}) != len(boxes):
        return
    values = {name: after[name].peek() for name in changed}  # pyright: ignore[reportOptionalMemberAccess]
    own = {name: before[name] for name in changed}
    if any(box is None or (box.shape, box.dtype) != (values[n].shape, values[n].dtype) for n, box in own.items()):
        return
    for name, box in own.items():
        after[name] = box
    for name, box in own.items():
        scope.record(box, values[name])  # pyright: ignore[reportArgumentType]


def _strong(value: Any) -> jax.Array:
    """A number with a type of its own, as it comes in at the next call; a weak one would be compiled for once more."""
    array = jnp.asarray(value)
    return jax.lax.convert_element_type(array, array.dtype)


def _is_type(value: Any) -> bool:
    return type(value) is tuple and len(value) == 2 and isinstance(value[0], tuple)


def _spread(array: Any) -> Any:
    """The sharding of an array that lies on several devices; ``None`` of another."""
    sharding = None if isinstance(array, Tracer) else getattr(array, "sharding", None)
    return sharding if sharding is not None and sharding.num_devices > 1 else None


def _used(jaxpr: Jaxpr, unasked: list[int]) -> list[bool]:
    """Of each input, whether anything that is asked for depends on it; some outputs are not."""
    wanted = {id(v) for n, v in enumerate(jaxpr.outvars) if n not in unasked}
    for eqn in reversed(jaxpr.eqns):
        if eqn.effects or any(id(v) in wanted for v in eqn.outvars):
            wanted.update(map(id, eqn.invars))
    return [id(v) in wanted for v in jaxpr.invars]


def _draws(generators: list[int], first_leaves: list[int], written: list[int], jaxpr: Any) -> dict[int, int]:
    """How often a program draws from each generator: the state counts that, so that it can stay on the host.

    One that gets a new seed, or draws in a branch, is left out; its state is an output of the program.
    """
    found: dict[int, int] = {}
    makers = {id(v): eqn for eqn in jaxpr.jaxpr.eqns for v in eqn.outvars}
    values = dict(zip(map(id, jaxpr.jaxpr.constvars), jaxpr.consts, strict=True))
    for i in generators:
        if i not in written:
            continue
        start, var = jaxpr.jaxpr.invars[first_leaves[i]], jaxpr.jaxpr.outvars[written.index(i)]
        count = 0
        while var is not start:
            eqn = makers.get(id(var))
            added = None if eqn is None or eqn.primitive.name != "add" else eqn.invars[1]
            value = getattr(added, "val", values.get(id(added)))
            drawn = None if value is None or isinstance(value, Tracer) else _drawn(np.asarray(value))
            if drawn is None:
                break
            var = eqn.invars[0]  # pyright: ignore[reportOptionalMemberAccess]
            count += drawn
        else:
            found[i] = count
    return found


def _drawn(value: np.ndarray[Any, Any]) -> int | None:
    """By how many draws adding this to a state advances it; ``None`` if it is no number of draws."""
    whole = value.ndim == 1 and value.dtype == np.uint32 and not value[:-1].any()
    return int(value[-1]) if whole else None


def _calls_back(jaxpr: Jaxpr) -> bool:
    """Whether a program calls functions on the host."""
    return bool(jaxpr.effects) or any(
        "callback" in eqn.primitive.name or any(map(_calls_back, inner_jaxprs(eqn))) for eqn in jaxpr.eqns
    )

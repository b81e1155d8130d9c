"""``summary``: a table of a model's layers, by shapes alone."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from fnn.functional.checks import fail
from fnn.kernels import plain
from fnn.nn.array_box import ArrayBox
from fnn.nn.modules.module import Module
from fnn.nn.parameter import Parameter, is_lazy
from fnn.stateful.boxes import Box
from fnn.stateful.watching import watching
from fnn.tools import table
from fnn.tools.flops import count_flops
from fnn.transforms.functional import functional_call
from fnn.transforms.hook_leaks import without_traces_of_hooks
from fnn.transforms.module_scopes import ModuleScopes

__all__ = ["Row", "Summary", "summary"]


@dataclass
class Row:
    """One call of one Module.

    Attributes:
        name: the Module's path; "" is the model itself.
        kind: its class.
        depth: how many Modules the call is within.
        output: shapes of what it returns, as the pytree that it returns.
        parameters: elements of the parameters in it and below it, each once.
        trainable: those of them that require grad.
        parameter_bytes: their memory.
        output_bytes: memory of what it returns.
        flops: operations of the call, all that is within it too.
        repeated: whether the Module was called before; its parameters count once.
        called: false for a Module that the model has and did not call.
        used: whether a Module that was called, or one of whose own parameters went into the computation nevertheless, as those of
            ``MultiheadAttention.out_proj`` do.
    """

    name: str
    kind: str
    depth: int
    output: Any = None
    parameters: int = 0
    trainable: int = 0
    parameter_bytes: int = 0
    output_bytes: int = 0
    flops: int = 0
    repeated: bool = False
    called: bool = True
    used: bool = True
    _scope: str = field(default="", repr=False)


@dataclass(repr=False)
class Summary:
    """What ``summary`` returns: ``rows`` as data; as text and in notebooks a table.

    Attributes:
        rows: one of each call, in order.
        parameters: elements of all parameters, a shared one once.
        trainable: those that require grad.
        parameter_bytes: their memory.
        buffer_bytes: the memory of the buffers.
        input_bytes: the memory of the inputs.
        output_bytes: the memory of what the calls of layers without layers below return: what training keeps, roughly.
        flops: operations of one call, as XLA's cost analysis counts them; a training step takes about three times as many.
        depth: the depth to which the table is drawn.
    """

    rows: list[Row]
    parameters: int
    trainable: int
    parameter_bytes: int
    buffer_bytes: int
    input_bytes: int
    output_bytes: int
    flops: int
    depth: int | None = None

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def _shown(self) -> list[list[str]]:
        lines = []
        for row in self.rows:
            if self.depth is not None and row.depth > self.depth:
                continue
            name = "  " * row.depth + (f"{row.name}: {row.kind}" if row.name else row.kind)
            if not row.called:
                said = "used, not called" if row.used else "not called"
                lines.append([name, said, table.count(row.parameters), table.size(row.parameter_bytes), "", ""])
                continue
            own = ["shared", ""] if row.repeated else [table.count(row.parameters), table.size(row.parameter_bytes)]
            lines.append([name, _shapes(row.output), *own, table.size(row.output_bytes), table.count(row.flops)])
        return lines

    def _foot(self) -> str:
        frozen = self.parameters - self.trainable
        return "\n".join(
            [
                f"parameters: {table.count(self.parameters)} ({table.count(frozen)} frozen), "
                f"{table.size(self.parameter_bytes)}; buffers {table.size(self.buffer_bytes)}",
                f"one call: {table.count(self.flops)} FLOPs; inputs {table.size(self.input_bytes)}, "
                f"outputs of layers {table.size(self.output_bytes)}",
            ]
        )

    def __repr__(self) -> str:
        text = table.as_text(_HEAD, self._shown(), 2)
        return "\n".join([text, text.splitlines()[1], self._foot()])

    def _repr_html_(self) -> str:
        return table.as_html(_HEAD, self._shown(), 2, self._foot())


_HEAD = ("layer", "output", "parameters", "memory", "output memory", "FLOPs")


def summary(
    model: Module,
    *inputs: Any,
    input_size: Any = None,
    depth: int | None = 3,
    rng: jax.Array | None = None,
    training: bool | None = None,
    **kwargs: Any,
) -> Summary:
    """Lists the layers of a model with shapes, parameters, memory and operations, from shapes alone.

    The model is traced and nothing is computed; its arrays, modes, generators and hooks are as they were. Hooks take part in
    the trace, as they may change what a layer gets and returns.

    Args:
        model: the Module.
        *inputs: arguments of its call. Arrays, and ``jax.ShapeDtypeStruct`` in their place; anything else goes in as it is. If
            all are tuples of ints, they are the shapes of float32 arrays, as in torchinfo.
        input_size: torchinfo's name for the shape of a float32 input, or for a list of shapes, in place of ``inputs``.
        depth: how deep the table is drawn, ``None`` to the ground. The rows are there in any case.
        rng: the key that random layers would draw from; without it one of JAX's default kind stands in.
        training: the mode of the call, as in ``functional_call``; without it each Module's own.
        **kwargs: keyword arguments of the call.

    Returns:
        a ``Summary``. Parameters and operations of a row are those in it and below; a Module called twice, or a parameter
        with several names, counts once in the totals. Operations are those of XLA's cost analysis: a multiplication and
        an addition are two, exponentials and roots none.

    Raises:
        TypeError: if ``model`` is no Module, or ``input_size`` is no shape.
        ValueError: if ``depth`` is negative, or both ``inputs`` and ``input_size`` are given.
        RuntimeError: if a lazy layer does not know its sizes yet.

    Example:
        >>> import jax, fnn
        >>> model = fnn.nn.Sequential(fnn.nn.Linear(4, 8), fnn.nn.ReLU(), fnn.nn.Linear(8, 2))
        >>> found = fnn.summary(model, jax.ShapeDtypeStruct((16, 4), "float32"))
        >>> found.parameters, [row.output.shape for row in found]
        (58, [(16, 2), (16, 8), (16, 8), (16, 2)])
        >>> print(found)
        layer        output          parameters  memory  output memory  FLOPs
        ---------------------------------------------------------------------
        Sequential   float32[16, 2]          58   232 B          128 B  1,953
          0: Linear  float32[16, 8]          40   160 B          512 B  1,152
          1: ReLU    float32[16, 8]           0     0 B          512 B    257
          2: Linear  float32[16, 2]          18    72 B          128 B    544
        ---------------------------------------------------------------------
        parameters: 58 (0 frozen), 232 B; buffers 0 B
        one call: 1,953 FLOPs; inputs 256 B, outputs of layers 1.12 KiB
    """
    if not isinstance(model, Module):
        fail(TypeError, "summary", "model", "an fnn.nn.Module", type(model).__name__)
    if depth is not None and depth < 0:
        fail(ValueError, "summary", "depth", "None or at least 0", depth)
    for name, box in [*model.named_parameters(), *model.named_buffers()]:
        if is_lazy(box):
            raise RuntimeError(f"summary: '{name}' has no shape yet; call the model once, so that it learns its sizes")
    _refuse_torchinfo(model, kwargs)
    inputs = _from_shapes(inputs, input_size)
    leaves, tree = jax.tree.flatten((inputs, kwargs))
    arrays = [(i, _struct(leaf)) for i, leaf in enumerate(leaves) if _struct(leaf) is not None]
    state = {name: jax.ShapeDtypeStruct(box.shape, box.dtype) for name, box in _boxes(model)}
    key = jax.eval_shape(lambda: jax.random.key(0)) if rng is None else jax.ShapeDtypeStruct(rng.shape, rng.dtype)
    record = _Record(model)

    def call(state: Any, values: list[Any], key: Any) -> Any:
        given = list(leaves)
        for (i, _), value in zip(arrays, values, strict=True):
            given[i] = value
        args, keywords = jax.tree.unflatten(tree, given)
        output, _ = functional_call(model, {}, state, *args, rng=key, training=training, **keywords)
        return [leaf for leaf in jax.tree.leaves(output) if isinstance(leaf, jax.Array)]

    with plain(), watching(record.scopes, ("summary", id(record))), without_traces_of_hooks(model):
        jaxpr = jax.make_jaxpr(call)(state, [struct for _, struct in arrays], key)
    values = [*jaxpr.jaxpr.outvars, *(value for eqn in jaxpr.jaxpr.eqns for value in eqn.invars)]
    taken = {id(value) for value in values}
    # The dict of the state is flattened in the order of its names.
    used = {
        id(box) for (_, box), var in zip(sorted(_boxes(model)), jaxpr.jaxpr.invars, strict=False) if id(var) in taken
    }
    counts = count_flops(jaxpr.jaxpr, lambda eqn, outer: record.scope_of(str(eqn.source_info.name_stack), outer))
    rows = record.finish(counts, used)
    parameters = [p for _, p in model.named_parameters()]
    inner = {row._scope.rpartition("/")[0] for row in record.called}
    return Summary(
        rows=rows,
        parameters=sum(map(_elements, parameters)),
        trainable=sum(_elements(p) for p in parameters if p.requires_grad),
        parameter_bytes=sum(map(_bytes, parameters)),
        buffer_bytes=sum(map(_bytes, model.buffers())),
        input_bytes=sum(_bytes(struct) for _, struct in arrays),
        output_bytes=sum(row.output_bytes for row in record.called if row._scope not in inner),
        flops=sum(counts.values()),
        depth=depth,
    )


# What torchinfo takes by keyword, and what is written for it here.
_OF_TORCHINFO = {
    "input_data": "given by position, as in summary(model, x)",
    "mode": "left out: the mode is training=True or training=False",
    "dtypes": "left out: jax.ShapeDtypeStruct(shape, dtype) in the place of an input has its dtype",
    **dict.fromkeys(
        ("batch_dim", "cache_forward_pass", "col_names", "col_width", "device", "row_settings", "verbose"),
        "left out: it is torchinfo's",
    ),
}


def _refuse_torchinfo(model: Module, kwargs: dict[str, Any]) -> None:
    """Raises TypeError for a keyword of torchinfo's that the model does not take."""
    parameters = inspect.signature(model.forward).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for name in kwargs.keys() & _OF_TORCHINFO.keys() - parameters.keys():
        fail(TypeError, "summary", name, _OF_TORCHINFO[name], kwargs[name])


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple | list) and bool(value) and all(type(length) is int for length in value)


def _from_shapes(inputs: tuple[Any, ...], input_size: Any) -> tuple[Any, ...]:
    """The inputs, with arrays of float32 in the place of shapes, if all are shapes."""
    if input_size is not None:
        if inputs:
            fail(ValueError, "summary", "input_size", "left out where inputs are given", input_size)
        several = isinstance(input_size, list | tuple) and not _is_shape(input_size)
        inputs = tuple(input_size) if several else (input_size,)
        if not inputs or not all(map(_is_shape, inputs)):
            fail(TypeError, "summary", "input_size", "a tuple of ints, or a list of such tuples", input_size)
    if inputs and all(map(_is_shape, inputs)):
        return tuple(jax.ShapeDtypeStruct(tuple(shape), np.float32) for shape in inputs)
    return inputs


def _struct(leaf: Any) -> jax.ShapeDtypeStruct | None:
    """The type of an array; ``None`` for anything else."""
    if not isinstance(leaf, jax.Array | np.ndarray | jax.ShapeDtypeStruct | Box):
        return None
    value: Any = leaf
    return jax.ShapeDtypeStruct(value.shape, jax.dtypes.canonicalize_dtype(value.dtype))


def _boxes(model: Module) -> list[tuple[str, ArrayBox]]:
    return [*model.named_parameters(), *model.named_buffers()]


def _elements(array: Any) -> int:
    return math.prod(array.shape)


def _bytes(array: Any) -> int:
    return _elements(array) * getattr(array.dtype, "itemsize", 0)


def _shapes(output: Any) -> str:
    """The shapes in what a layer returns: ``float32[2, 3], float32[2]``."""
    leaves = [leaf for leaf in jax.tree.leaves(output) if isinstance(leaf, jax.ShapeDtypeStruct)]
    texts = [f"{leaf.dtype}{list(leaf.shape)}" for leaf in leaves]
    return ", ".join(texts[:3]) + (f" and {len(texts) - 3} more" if len(texts) > 3 else "")


class _Record:
    """The rows of one trace."""

    def __init__(self, model: Module) -> None:
        self._model = model
        self._names = {id(part): name for name, part in model.named_modules()}
        self.scopes: ModuleScopes = ModuleScopes(self._call)
        self.called: list[Row] = []
        self._stack: list[Row] = []
        self._seen: set[int] = set()

    def _call(self, path: str, module: Module, run: Callable[[], Any]) -> Any:
        if not self._stack:  # the call may be traced again
            self.called, self._seen = [], set()
        number = str(len(self.called))
        parent = self._stack[-1]._scope if self._stack else ""
        row = Row(self._names.get(id(module), path.rpartition(".")[2]), type(module).__name__, len(self._stack))
        row._scope = f"{parent}/{number}"
        row.repeated = id(module) in self._seen
        self._seen.add(id(module))
        _count_parameters(row, module)
        self.called.append(row)
        self._stack.append(row)
        try:
            with jax.named_scope(f"fnn-call-{number}"):
                output = run()
        finally:
            self._stack.pop()
        row.output = jax.tree.map(
            lambda leaf: _struct(leaf) or leaf, output, is_leaf=lambda leaf: isinstance(leaf, Box)
        )
        row.output_bytes = sum(_bytes(s) for s in jax.tree.leaves(row.output) if isinstance(s, jax.ShapeDtypeStruct))
        return output

    def scope_of(self, stack: str, outer: str | None) -> str:
        """The call that an equation belongs to, by number."""
        _, mark, rest = stack.rpartition("fnn-call-")
        if not mark:
            return outer or ""
        digits = len(rest) - len(rest.lstrip("0123456789"))
        return rest[:digits]

    def finish(self, counts: dict[Any, int], used: set[int]) -> list[Row]:
        """The rows, with the operations of those within added, and those of Modules that were not called.

        ``used`` has the ``id`` of each parameter and buffer that went into the computation.
        """
        by_scope = {row._scope: row for row in self.called}
        for number, flops in counts.items():
            if number:
                scope = self.called[int(number)]._scope
                while scope:
                    by_scope[scope].flops += flops
                    scope = scope.rpartition("/")[0]
        rows = list(self.called)
        for name, module in self._model.named_modules():
            if id(module) not in self._seen and not any(True for _ in module.children()):
                row = Row(name, type(module).__name__, 1, called=False)
                row.used = any(id(box) in used for _, box in _boxes(module))
                _count_parameters(row, module)
                rows.append(row)
        return rows


def _count_parameters(row: Row, module: Module) -> None:
    parameters: list[Parameter] = list(module.parameters())
    row.parameters = sum(map(_elements, parameters))
    row.trainable = sum(_elements(p) for p in parameters if p.requires_grad)
    row.parameter_bytes = sum(map(_bytes, parameters))

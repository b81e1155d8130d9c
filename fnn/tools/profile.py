"""``profile``: time and memory of a compiled step by Module, from JAX's profiler."""

from __future__ import annotations

import os
import re
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from fnn.functional.checks import fail
from fnn.stateful.watching import watching
from fnn.tools import table
from fnn.transforms.jit.function import BoundJit, JitFunction
from fnn.transforms.module_scopes import ModuleScopes, Where

__all__ = ["ModuleTime", "Profile", "profile"]


@dataclass(frozen=True)
class ModuleTime:
    """What one Module's own operations take, in one run of the step; those of Modules within it have rows of their own.

    Attributes:
        module: its path, such as ``Net.block.fc``; "" is what is outside of all Modules: the loss, the optimizer.
        forward: seconds of its operations.
        backward: seconds of those that compute gradients.
        bytes: memory of the arrays that they write.
        operations: how many operations of the program they are.
    """

    module: str
    forward: float
    backward: float
    bytes: int
    operations: int

    @property
    def seconds(self) -> float:
        """Both together."""
        return self.forward + self.backward


@dataclass(frozen=True, repr=False)
class Profile:
    """What ``profile`` returns: ``rows`` as data, the slowest first; as text and in notebooks a table.

    Attributes:
        rows: a ``ModuleTime`` for each Module.
        seconds: one run of the step, as a clock has it, the mean of the runs.
        runs: how many runs were traced.
        peak_bytes: arguments, results and intermediate arrays of the program, as XLA laid them out.
        temporary_bytes: the intermediate arrays among them.
        folder: where the trace is; ``tensorboard --logdir`` and https://ui.perfetto.dev read it.
        trace: the trace file.
    """

    rows: list[ModuleTime]
    seconds: float
    runs: int
    peak_bytes: int
    temporary_bytes: int
    folder: str
    trace: str

    def __iter__(self) -> Iterator[ModuleTime]:
        return iter(self.rows)

    def _lines(self) -> list[list[str]]:
        whole = sum(row.seconds for row in self.rows) or 1.0
        return [
            [
                row.module or "(outside of Modules)",
                f"{100 * row.seconds / whole:.1f} %",
                table.time(row.seconds),
                table.time(row.forward),
                table.time(row.backward),
                table.size(row.bytes),
                table.count(row.operations),
            ]
            for row in self.rows
        ]

    def _foot(self) -> str:
        return (
            f"one run: {table.time(self.seconds)} (mean of {self.runs}); peak {table.size(self.peak_bytes)}, of that "
            f"{table.size(self.temporary_bytes)} intermediate\ntrace: {self.trace}"
        )

    def __repr__(self) -> str:
        return f"{table.as_text(_HEAD, self._lines())}\n{self._foot()}"

    def _repr_html_(self) -> str:
        return table.as_html(_HEAD, self._lines(), 1, self._foot())


_HEAD = ("module", "share", "time", "forward", "backward", "written", "operations")


class _Programs(ModuleScopes):
    """Compiles the programs of ``fnn.jit`` so that their text can be read."""

    def __init__(self) -> None:
        super().__init__()
        self.compiled: list[Any] = []

    def program(self, program: Any, inputs: Sequence[str]) -> None:
        """Has a program compiled ahead of its first run, and kept."""
        program.run, program.run_kept = self.ahead(program.run), self.ahead(program.run_kept)

    def ahead(self, run: Any) -> Callable[..., Any]:
        """The function, compiled at its first call for the arguments of that."""
        compiled: list[Any] = []

        def call(*args: Any, **kwargs: Any) -> Any:
            if not compiled:
                compiled.append(run.lower(*args, **kwargs).compile())
                self.compiled.append(compiled[0])
            return compiled[0](*args, **kwargs)

        return call


def profile(
    step: Callable[..., Any], *args: Any, folder: str | os.PathLike[str] | None = None, runs: int = 3, **kwargs: Any
) -> Profile:
    """Runs a compiled step under JAX's profiler, and sums time and memory up by Module.

    The step is compiled once more, with the path of each Module as the name of its operations, and run ``runs`` + 1 times. The
    runs are real: what the step changes, it changes.

    Args:
        step: what ``fnn.jit`` or ``jax.jit`` returned.
        *args: its arguments.
        folder: where the trace is written; without it, into a new temporary folder.
        runs: how many runs are traced, after one that compiles.
        **kwargs: its keyword arguments.

    Returns:
        a ``Profile``. Operations that XLA fused are the time of the Module of the fusion's result; the times of operations that
        run at once, on several cores, add up to more than the clock has.

    Raises:
        TypeError: if ``step`` is not compiled.
        ValueError: if ``runs`` is less than 1.
        RuntimeError: within a transformation, or if a profiler is running.

    Example:
        >>> import fnn, jax.numpy as jnp
        >>> model = fnn.nn.Sequential(fnn.nn.Linear(64, 64), fnn.nn.ReLU(), fnn.nn.Linear(64, 64))
        >>> found = fnn.tools.profile(fnn.jit(model), jnp.ones((128, 64), jnp.float32), runs=1)
        >>> {row.module for row in found} >= {"Sequential.0", "Sequential.2"}
        True
    """
    function = step.__func__ if isinstance(step, BoundJit) else step
    if not isinstance(function, JitFunction) and not hasattr(function, "lower"):
        fail(TypeError, "profile", "step", "a function made by fnn.jit or jax.jit", step)
    if runs < 1:
        fail(ValueError, "profile", "runs", "at least 1", runs)
    folder = Path(tempfile.mkdtemp(prefix="fnn-profile-") if folder is None else folder)
    programs = _Programs()
    before = list(function._programs) if isinstance(function, JitFunction) else []
    try:
        with watching(programs, ("profile", id(programs))):
            call = step if isinstance(function, JitFunction) else programs.ahead(function)
            _wait(call(*args, **kwargs))
            traces = set(folder.rglob("*.xplane.pb"))
            times = []
            with jax.profiler.trace(str(folder)):
                for _ in range(runs):
                    start = time.perf_counter()
                    _wait(call(*args, **kwargs))
                    times.append(time.perf_counter() - start)
    finally:
        if isinstance(function, JitFunction):
            for key in [key for key in function._programs if key not in before]:
                del function._programs[key]
    (trace,) = set(folder.rglob("*.xplane.pb")) - traces
    rows = _rows(trace, programs, runs)
    memory = [compiled.memory_analysis() for compiled in programs.compiled]
    return Profile(
        rows=rows,
        seconds=float(np.mean(times)),
        runs=runs,
        peak_bytes=max((_peak(m) for m in memory), default=0),
        temporary_bytes=max((int(m.temp_size_in_bytes) for m in memory), default=0),
        folder=str(folder),
        trace=str(trace),
    )


def _wait(result: Any) -> None:
    jax.block_until_ready([leaf for leaf in jax.tree.leaves(result) if isinstance(leaf, jax.Array)])


def _peak(memory: Any) -> int:
    parts = memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
    return int(parts - memory.alias_size_in_bytes)


# The text of a program: which instruction is whose, and what it writes

_INSTRUCTION = re.compile(r"^\s*(?:ROOT )?%?(?P<name>[\w.\-]+) = (?P<type>\(.*?\)|\S+) (?P<rest>.*)$")
_OP_NAME = re.compile(r'op_name="([^"]*)"')
_ARRAY = re.compile(r"\b([a-z]+\d*\w*)\[([\d,]*)\]")
_MODULE = re.compile(r"^HloModule ([\w.\-]+)", re.MULTILINE)
# What takes no time and no memory of its own; what runs in a loop or a branch is listed itself.
_NOTHING = re.compile(r"^(?:parameter|constant|tuple|get-tuple-element|bitcast|while|conditional)\(")


@dataclass
class _Instruction:
    where: Where
    bytes: int


def _instructions(text: str, scopes: ModuleScopes) -> dict[str, _Instruction]:
    """The instructions of a program that run as such, those of loops and branches too, by name."""
    found: dict[str, _Instruction] = {}
    fused = set(re.findall(r"(?:calls|to_apply)=%?([\w.\-]+)", text))
    computation = ""
    for line in text.splitlines():
        if line.endswith("{"):
            computation = line.split()[0 if not line.startswith("ENTRY") else 1].lstrip("%")
            continue
        match = _INSTRUCTION.match(line)
        if match is None or computation in fused or _NOTHING.match(match["rest"]):
            continue
        name = _OP_NAME.search(match["rest"])
        where = scopes.where(name[1].split(";")[0] if name else "")
        found[match["name"]] = _Instruction(where, sum(map(_size, _ARRAY.findall(match["type"]))))
    return found


def _size(array: tuple[str, str]) -> int:
    kind, shape = array
    bits = int("".join(re.findall(r"\d+", kind)[:1]) or 8) if kind != "pred" else 8
    return int(np.prod([int(d) for d in shape.split(",") if d], dtype=np.int64)) * bits // 8


def _rows(trace: Path, programs: _Programs, runs: int) -> list[ModuleTime]:
    known: dict[str, dict[str, _Instruction]] = {}
    for compiled in programs.compiled:
        text = compiled.as_text()
        name = _MODULE.search(text)
        known.setdefault(name[1] if name else "", {}).update(_instructions(text, programs))
    forward: defaultdict[str, float] = defaultdict(float)
    backward: defaultdict[str, float] = defaultdict(float)
    for module, operation, seconds in _events(trace):
        instruction = known.get(module, {}).get(operation)
        if instruction is not None:
            (backward if instruction.where.backward else forward)[instruction.where.path] += seconds / runs
    written: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for instructions in known.values():
        for instruction in instructions.values():
            written[instruction.where.path] += instruction.bytes
            count[instruction.where.path] += 1
    rows = [ModuleTime(p, forward[p], backward[p], written[p], count[p]) for p in {*forward, *backward, *count}]
    return sorted(rows, key=lambda row: (-row.seconds, row.module))


def _events(trace: Path) -> list[tuple[str, str, float]]:
    """What ran: the name of the program, that of the instruction, seconds."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of how jaxlib makes its classes
        data: Any = jax.profiler.ProfileData.from_file(str(trace))
        for event in (event for plane in data.planes for line in plane.lines for event in line.events):
            stats = dict(event.stats)
            if "hlo_op" in stats:
                program = str(stats.get("hlo_module", "")).partition("(")[0]
                found.append((program, str(stats["hlo_op"]), event.duration_ns / 1e9))
    return found

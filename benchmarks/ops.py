"""Single operations, forward and with gradients: fnn's forms, the default lowering of the same, and torch eager.

The forms must agree before anything is timed; then they take turns in one process. fnn's programs are compiled as ``fnn.jit``
compiles them. With ``--option NAME=VALUE`` every program is compiled a second time with that option of XLA.

    python benchmarks/ops.py conv
    python benchmarks/ops.py --option xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_REDUCE
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import interleave, machine
from jax import lax

import fnn
import fnn.nn.functional as F
from fnn.kernels.compiler_options import options_for
from fnn.kernels.eigen import eigen_forms

try:
    import torch
except ImportError:
    torch = None


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: what the line is called; the command line selects by a part of it.
        shapes: of the arrays, float32, drawn from a normal distribution; gradients go to all of them.
        run: ``run(F, *arrays)``, written once for both ``fnn.nn.functional`` and ``torch.nn.functional``.
        torch_run: ``torch_run(*tensors)`` where torch is called otherwise.
        tolerance: of the comparison, relative to the largest element.
        scale: standard deviation of the arrays.
        indices: (shape, bound) of the integer arrays that ``run`` gets after the others.
        default: ``default(*arrays)`` as JAX's users write it, where fnn's plain form is another.
    """

    name: str
    shapes: tuple[tuple[int, ...], ...]
    run: Callable[..., Any]
    torch_run: Callable[..., Any] | None = None
    tolerance: float = 1e-4
    scale: float = 1.0
    indices: tuple[tuple[tuple[int, ...], int], ...] = ()
    default: Callable[..., Any] | None = None


def conv(name: str, x: tuple[int, ...], w: tuple[int, ...], function: str = "conv2d", **options: Any) -> Row:
    return Row(name, (x, w), lambda F, x, w: getattr(F, function)(x, w, None, **options))


def image(name: str, function: str, *arguments: Any, **options: Any) -> Row:
    """A function of one batch of images."""
    return Row(name, ((32, 64, 32, 32),), lambda F, x: getattr(F, function)(x, *arguments, **options))


def max_pool(name: str, size: int, stride: int, padding: int) -> Row:
    def default(x: Any) -> Any:
        pads = ((0, 0), (0, 0), (padding, padding), (padding, padding))
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, size, size), (1, 1, stride, stride), pads)

    row = image(name, "max_pool2d", size, stride=stride, padding=padding)
    return replace(row, default=default)


def attention(name: str, shape: tuple[int, ...], causal: bool) -> Row:
    return Row(name, (shape,) * 3, lambda F, q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=causal))


def recurrent(kind: str, gates: int, length: int = 64, batch: int = 32, inputs: int = 128, hidden: int = 256) -> Row:
    """One layer; the weights are small enough that no rounding error grows from step to step."""
    states = 2 if kind == "lstm" else 1
    weights = ((gates * hidden, inputs), (gates * hidden, hidden), (gates * hidden,), (gates * hidden,))

    def state(h: Any) -> Any:
        return h if kind == "lstm" else h[0]

    def run(F: Any, x: Any, *rest: Any) -> Any:
        return getattr(F, kind)(x, state(rest[:states]), rest[states:])[0]

    def torch_run(x: Any, *rest: Any) -> Any:
        function = getattr(torch, "rnn_tanh" if kind == "rnn" else kind)
        return function(x, state(rest[:states]), rest[states:], True, 1, 0.0, True, False, False)[0]

    shapes = ((length, batch, inputs), *[(1, batch, hidden)] * states, *weights)
    return Row(f"{kind} T{length} B{batch} {inputs}->{hidden}", shapes, run, torch_run, scale=0.06)


ROWS = [
    conv("conv 3x3", (32, 64, 32, 32), (64, 64, 3, 3), padding=1),
    conv("conv 3x3 stride 2", (32, 64, 32, 32), (128, 64, 3, 3), stride=2, padding=1),
    conv("conv 3x3 14x14", (32, 256, 14, 14), (256, 256, 3, 3), padding=1),
    conv("conv 7x7 stride 2, 3 channels", (8, 3, 128, 128), (64, 3, 7, 7), stride=2, padding=3),
    conv("conv 3x3 8x8 images, 1 channel", (64, 1, 8, 8), (16, 1, 3, 3), padding=1),
    conv("conv 3x3 8x8 images, 16 channels", (64, 16, 8, 8), (32, 16, 3, 3), padding=1),
    conv("conv 1x1", (32, 256, 14, 14), (256, 256, 1, 1)),
    conv("conv 1x1 stride 2", (32, 64, 32, 32), (128, 64, 1, 1), stride=2),
    conv("conv 16x16 stride 16 (patches)", (8, 3, 224, 224), (192, 3, 16, 16), stride=16),
    conv("conv1d 5", (32, 64, 512), (64, 64, 5), "conv1d", padding=2),
    conv("conv3d 3x3x3", (2, 16, 16, 32, 32), (32, 16, 3, 3, 3), "conv3d", padding=1),
    conv("conv depthwise 3x3", (32, 64, 32, 32), (64, 1, 3, 3), padding=1, groups=64),
    conv("conv depthwise 3x3 stride 2", (32, 64, 32, 32), (64, 1, 3, 3), stride=2, padding=1, groups=64),
    conv("conv depthwise 7x7", (16, 96, 28, 28), (96, 1, 7, 7), padding=3, groups=96),
    conv("conv grouped 3x3, 4 groups", (32, 64, 32, 32), (64, 16, 3, 3), padding=1, groups=4),
    conv("conv grouped 3x3, 32 groups", (16, 128, 28, 28), (128, 4, 3, 3), padding=1, groups=32),
    conv("conv_transpose 4x4 stride 2", (32, 64, 16, 16), (64, 64, 4, 4), "conv_transpose2d", stride=2, padding=1),
    conv("conv_transpose 2x2 stride 2", (16, 64, 32, 32), (64, 32, 2, 2), "conv_transpose2d", stride=2),
    max_pool("max_pool 2x2", 2, 2, 0),
    max_pool("max_pool 3x3 stride 2", 3, 2, 1),
    image("adaptive_avg_pool 7x7", "adaptive_avg_pool2d", 7),
    image("adaptive_max_pool 7x7", "adaptive_max_pool2d", 7),
    attention("attention 512", (4, 8, 512, 32), False),
    attention("attention 512 causal", (4, 8, 512, 32), True),
    attention("attention 2048", (1, 8, 2048, 32), False),
    attention("attention 2048 causal", (1, 8, 2048, 32), True),
    recurrent("lstm", 4),
    recurrent("gru", 3),
    recurrent("rnn", 1),
    Row(
        "embedding 10000x256, 4096 rows",
        ((10000, 256),),
        lambda F, w, i: F.embedding(i, w),
        indices=(((4096,), 10000),),
    ),
    Row(
        "batch_norm",
        ((32, 64, 32, 32), (64,), (64,)),
        lambda F, x, w, b: F.batch_norm(x, None, None, w, b, training=True),
    ),
    Row(
        "cross_entropy 2048x1000",
        ((2048, 1000),),
        lambda F, x, y: F.cross_entropy(x, y),
        indices=(((2048,), 1000),),
    ),
]


def jax_workers(row: Row, backward: bool, compiler_options: dict[str, str] | None) -> dict[str, Any]:
    """Names to compiled functions of no arguments that return JAX arrays; the time of compilation in the name's place."""

    cut = len(row.shapes)

    def program(run: Callable[..., Any]) -> Callable[..., Any]:
        """``run``, with gradients if asked for; a function of its own at each call, so that no trace is shared."""

        def with_gradients(*arrays: Any) -> Any:
            *arrays, cotangent = arrays
            out, pull = jax.vjp(lambda *floats: run(*floats, *arrays[cut:]), *arrays[:cut])
            return out, pull(cotangent)

        return with_gradients if backward else lambda *arrays: run(*arrays)

    def run(*arrays: Any) -> Any:
        return row.run(F, *arrays)

    arrays = [jnp.asarray(a) for a in draw(row)]
    if backward:
        arrays.append(jnp.asarray(cotangent_of(jax.eval_shape(run, *arrays).shape)))
    found = {}
    for name, options in (("", None), (" +option", compiler_options)):
        if name and not options:
            continue
        start = time.perf_counter()
        ours = compiled_by_fnn(program(run), arrays, options)
        compiled = time.perf_counter() - start
        with fnn.kernels.plain():
            start = time.perf_counter()
            default = jax.jit(program(row.default or run), compiler_options=options).lower(*arrays).compile()
        found["fnn" + name] = (lambda run=ours: run(*arrays), compiled)
        found["default" + name] = (lambda run=default: run(*arrays), time.perf_counter() - start)
    return found


def compiled_by_fnn(function: Callable[..., Any], arrays: list[Any], options: dict[str, str] | None) -> Any:
    """The function compiled with the given options or with those that ``fnn.jit`` chooses for it."""
    with eigen_forms(options is None):
        traced = jax.jit(function).trace(*arrays)
        return traced.lower().compile(options_for(traced.jaxpr.jaxpr, options))


def torch_worker(row: Row, backward: bool) -> Callable[[], Any]:
    tensors = [torch.tensor(a, requires_grad=backward and a.dtype == np.float32) for a in draw(row)]

    def forward() -> Any:
        return row.torch_run(*tensors) if row.torch_run else row.run(torch.nn.functional, *tensors)

    cotangent = torch.tensor(cotangent_of(tuple(forward().shape)))

    def run() -> Any:
        out = forward()
        if not backward:
            return (out,)
        return (out, *torch.autograd.grad(out, tensors[: len(row.shapes)], cotangent))

    return run


def draw(row: Row) -> list[np.ndarray]:
    source = np.random.default_rng(0)
    arrays = [source.normal(0, row.scale, shape).astype(np.float32) for shape in row.shapes]
    return arrays + [source.integers(0, bound, shape) for shape, bound in row.indices]


def cotangent_of(shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(np.random.default_rng(1).normal(size=shape), np.float32)


def check(row: Row, name: str, results: Any, reference: Any) -> None:
    for a, b in zip(results, reference, strict=True):
        error = np.abs(a - b).max() / max(np.abs(b).max(), 1e-30)
        if not error < row.tolerance:
            raise SystemExit(f"{row.name}: {name} differs from the default lowering by {error:.1e}")


def measure(row: Row, backward: bool, rounds: int, repeats: int | None, options: dict[str, str] | None) -> str:
    """The line of the table: milliseconds and ratios."""
    compiled = jax_workers(row, backward, options)
    values = {name: [np.asarray(v) for v in jax.tree.leaves(worker())] for name, (worker, _) in compiled.items()}
    for name, results in values.items():
        check(row, name, results, values["default"])
    workers: dict[str, Callable[[], Any]] = {
        name: (lambda worker=worker: jax.block_until_ready(worker())) for name, (worker, _) in compiled.items()
    }
    if torch is not None:
        workers["torch"] = torch_worker(row, backward)
        check(row, "torch", [t.detach().numpy() for t in workers["torch"]()], values["default"])
    start = time.perf_counter()
    workers["fnn"]()
    repeats = repeats or max(1, min(50, int(0.005 / (time.perf_counter() - start))))
    times = interleave(workers, rounds, repeats)
    cells = [f"{name} {times[name] / 1e3:8.2f}" for name in workers]
    ratios = [f"{name}/fnn {times[name] / times['fnn']:5.2f}" for name in compiled if name != "fnn"]
    ratios += [f"fnn/torch {times['fnn'] / times['torch']:5.2f}"] if "torch" in times else []
    seconds = "/".join(f"{compiled[name][1]:.1f}" for name in ("fnn", "default"))
    which = "f+b" if backward else "fwd"
    return f"{row.name:34} {which}  {'  '.join(cells)}  | {' '.join(ratios)}  | compiled in {seconds} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of the names of rows; all rows without")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--repeats", type=int, help="calls timed together in a turn; without, about 5 ms of them")
    parser.add_argument("--option", action="append", default=[], help="NAME=VALUE for XLA")
    parser.add_argument("--only", choices=("fwd", "f+b"))
    arguments = parser.parse_args()
    options = dict(each.split("=", 1) for each in arguments.option)
    print(machine())
    print("milliseconds, medians; then ratios of the times")
    for row in ROWS:
        if arguments.names and not any(name in row.name for name in arguments.names):
            continue
        for backward in (False, True):
            if arguments.only in (None, "f+b" if backward else "fwd"):
                print(measure(row, backward, arguments.rounds, arguments.repeats, options), flush=True)


if __name__ == "__main__":
    main()

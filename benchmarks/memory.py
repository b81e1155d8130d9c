"""Peak resident memory of attention, forward and gradients, each in a fresh process.

A figure is the peak of a process at the full length less the peak of one that does the same at length 16, so that
imports and the compiler do not count.

    python benchmarks/memory.py
    python benchmarks/memory.py --length 8192 --only fnn torch
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
from importlib.util import find_spec

from common import machine

HEADS, WIDTH, SHORT = 8, 32, 16
VARIANTS = ("fnn", "fnn causal", "default", "default causal", "torch", "torch causal")


def step_jax(length: int, plain: bool, causal: bool) -> float:
    """One step by fnn's form or by the default lowering; returns the sum of the gradients' squares."""
    from contextlib import nullcontext

    import jax
    import jax.numpy as jnp
    import numpy as np

    import fnn
    import fnn.nn.functional as F

    arrays = [jnp.asarray(np.random.default_rng(i).normal(size=shape(length)), jnp.float32) for i in range(3)]

    def loss(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        return jnp.sin(F.scaled_dot_product_attention(q, k, v, is_causal=causal)).sum()

    with fnn.kernels.plain() if plain else nullcontext():
        grads = jax.jit(jax.grad(loss, (0, 1, 2)))(*arrays)
    return sum(float((g**2).sum()) for g in grads)


def step_torch(length: int, causal: bool) -> float:
    """The same step by torch eager."""
    import numpy as np
    import torch

    draws = [np.random.default_rng(i).normal(size=shape(length)).astype(np.float32) for i in range(3)]
    tensors = [torch.tensor(a, requires_grad=True) for a in draws]
    torch.sin(torch.nn.functional.scaled_dot_product_attention(*tensors, is_causal=causal)).sum().backward()
    return sum(float((t.grad**2).sum()) for t in tensors)


def shape(length: int) -> tuple[int, ...]:
    return 1, HEADS, length, WIDTH


def worker(variant: str, length: int) -> None:
    """Runs one step in this process and prints its result and the peak in MiB."""
    causal = variant.endswith("causal")
    if variant.startswith("torch"):
        result = step_torch(length, causal)
    else:
        result = step_jax(length, variant.startswith("default"), causal)
    unit = 1 if sys.platform == "darwin" else 1024
    print(result, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20)


def run(variant: str, length: int) -> tuple[float, float]:
    """The result and the peak in MiB of a fresh process."""
    command = [sys.executable, __file__, "--worker", variant, "--length", str(length)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{variant} at length {length} failed:\n{done.stderr}")
    result, peak = done.stdout.split()[-2:]
    return float(result), float(peak)


def measure(variants: list[str], length: int, rounds: int) -> dict[str, float]:
    """MiB above the baseline, the median over rounds in which the variants take turns; results must agree."""
    peaks: dict[str, list[float]] = {name: [] for name in variants}
    results: dict[str, float] = {}
    for _ in range(rounds):
        for name in variants:
            base = run(name, SHORT)[1]
            results[name], peak = run(name, length)
            peaks[name].append(peak - base)
    for kind in (False, True):
        same = {name: value for name, value in results.items() if name.endswith("causal") == kind}
        if same and max(same.values()) - min(same.values()) > 1e-3 * max(same.values()):
            raise SystemExit(f"the gradients differ: {same}")
    return {name: statistics.median(values) for name, values in peaks.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--length", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=VARIANTS)
    parser.add_argument("--worker", choices=VARIANTS, help="run this one alone in this process")
    options = parser.parse_args()
    if options.worker:
        worker(options.worker, options.length)
        return
    variants = [name for name in options.only if not name.startswith("torch") or find_spec("torch")]
    peaks = measure(variants, options.length, options.rounds)
    print(machine())
    print(f"Peak MiB of attention, {HEADS} heads, length {options.length}, width {WIDTH}, forward and gradients")
    for name, peak in peaks.items():
        base = "default causal" if name.endswith("causal") else "default"
        ratio = f"{peak / peaks[base]:6.2f} x {base}" if base in peaks else ""
        print(f"  {name:15} {peak:8.1f}  {ratio}")


if __name__ == "__main__":
    main()

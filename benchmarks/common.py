"""What the benchmarks share: interleaved timing, the machine's description, and tables."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from importlib import metadata

# Seconds between turns: the threads of the last worker may wait busily for more work, torch's for several milliseconds.
PAUSE = 0.02


def interleave(
    workers: Mapping[str, Callable[[], object]],
    rounds: int,
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """The median time of one call of each worker in microseconds; the workers take turns, so that all meet the same machine.

    A turn begins with a call that is not timed, which wakes the worker's threads and fills the caches.

    Args:
        workers: names to functions that do one step and wait for its result.
        rounds: how many turns each worker gets.
        repeats: calls timed together in a turn.
        clock: what time is, in seconds.
    """
    times: dict[str, list[float]] = {name: [] for name in workers}
    for worker in workers.values():
        for _ in range(3):
            worker()
    for _ in range(rounds):
        for name, worker in workers.items():
            time.sleep(PAUSE)
            worker()
            start = clock()
            for _ in range(repeats):
                worker()
            times[name].append((clock() - start) / repeats * 1e6)
    return {name: statistics.median(values) for name, values in times.items()}


def table(title: str, times: Mapping[str, float], base: str, unit: str = "us") -> str:
    """The times as a table with ratios to the worker named ``base``."""
    width = max(len(name) for name in times)
    lines = [title, f"{'':{width}}  {unit:>10}  ratio to {base}"]
    lines += [f"{name:{width}}  {value:10.1f}  {value / times[base]:6.2f}" for name, value in times.items()]
    return "\n".join(lines)


def machine() -> str:
    """Processor, cores and versions, in one line."""
    versions = []
    for package in ("jax", "torch", "flax", "equinox", "optax"):
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, " + ", ".join(versions)

"""Loading checkpoint files: time beside safetensors' and torch's own readers, one tensor of many, and peak memory.

The files are written first and so lie in the memory that the system keeps of them: what is measured is the reader, not the disk.
All readers end with the numbers in memory of their own. A figure of memory is the peak of a fresh process that loads the
file less the peak of one that loads a file of the same names and tiny arrays, as a share of the file's size.

    python benchmarks/checkpoint.py
    python benchmarks/checkpoint.py --megabytes 2000 --rounds 5
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import interleave, machine, table

KINDS = {"safetensors": "safetensors.numpy", "pt": "torch.load(mmap=True), clone"}
MANY = 2000


def fnn_load(path: Path) -> Any:
    import jax

    import fnn

    return jax.block_until_ready(fnn.load(path))


def safetensors_numpy(path: Path) -> Any:
    from safetensors.numpy import load_file

    return load_file(path)


def safetensors_flax(path: Path) -> Any:
    import jax
    from safetensors.flax import load_file

    return jax.block_until_ready(load_file(path))


def torch_clone(path: Path) -> Any:
    import torch

    return {name: tensor.clone() for name, tensor in torch.load(path, mmap=True).items()}


def torch_to_jax(path: Path) -> Any:
    import jax
    import numpy as np
    import torch

    tensors = torch.load(path, mmap=True)
    return jax.block_until_ready({name: jax.device_put(np.array(t.numpy())) for name, t in tensors.items()})


READERS: dict[str, dict[str, Callable[[Path], Any]]] = {
    "safetensors": {
        "fnn": fnn_load,
        "safetensors.numpy": safetensors_numpy,
        "safetensors.flax": safetensors_flax,
    },
    "pt": {
        "fnn": fnn_load,
        "torch.load(mmap=True), clone": torch_clone,
        "torch.load(mmap=True), to JAX": torch_to_jax,
    },
}


def write_files(folder: Path, megabytes: int) -> None:
    """The same arrays in both formats, torch's by torch itself if it is there: ``large`` of 4 MB each, ``small`` with as many
    tiny ones, ``many`` of 50 KB."""
    import numpy as np

    import fnn

    rng = np.random.default_rng(0)
    sizes = {"large": (megabytes * 10**6 // 2**22, 2**20), "many": (MANY, 12_500)}
    sizes["small"] = (sizes["large"][0], 1)
    for name, (count, size) in sizes.items():
        state = {f"layers.{i}.weight": rng.standard_normal(size, np.float32) for i in range(count)}
        fnn.save(state, folder / f"{name}.safetensors")
        try:
            import torch

            torch.save({key: torch.from_numpy(array) for key, array in state.items()}, folder / f"{name}.pt")
        except ImportError:
            fnn.save(state, folder / f"{name}.pt", format="torch")


def one_of(path: Path) -> Any:
    """One tensor from the middle of a file."""
    import jax

    import fnn

    with fnn.open_checkpoint(path) as checkpoint:
        return jax.block_until_ready(checkpoint[f"layers.{len(checkpoint) // 2}.weight"])


def compare(title: str, path: Path, rounds: int, with_one: bool) -> None:
    """A table of the readers of one file; torch's and safetensors' own are the measure."""
    workers: dict[str, Callable[[], Any]] = {}
    for name, reader in READERS[path.suffix[1:]].items():
        try:
            reader(path)
        except ImportError:
            continue
        workers[name] = lambda reader=reader: reader(path)
    if with_one:
        workers["fnn, one tensor"] = lambda: one_of(path)
    times = {name: t / 1000 for name, t in interleave(workers, rounds, 1).items()}
    base = KINDS[path.suffix[1:]]
    print(table(title, times, base if base in times else "fnn", "ms"))
    if with_one:
        print(f"one tensor takes {times['fnn, one tensor'] / times['fnn']:.1%} of the time of all")


def peak_of(reader: str, path: Path) -> float:
    """The peak in bytes of a fresh process that reads a file."""
    command = [sys.executable, __file__, "--worker", reader, str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{reader} failed on {path.name}:\n{done.stderr}")
    return float(done.stdout.split()[-1])


def worker(reader: str, path: Path) -> None:
    """Reads a file in this process and prints the peak in bytes."""
    kept = READERS[path.suffix[1:]][reader](path)
    status = Path("/proc/self/status")
    if status.exists():  # getrusage counts here what the process that started this one held
        peak = 1024 * int(status.read_text().split("VmHWM:")[1].split()[0])
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(len(kept), peak)


def memory(folder: Path, kind: str, rounds: int) -> None:
    path = folder / f"large.{kind}"
    print(f"peak memory beyond that of a tiny file, as a share of the {kind} file's size")
    for name in READERS[kind]:
        try:
            shares = [
                (peak_of(name, path) - peak_of(name, folder / f"small.{kind}")) / path.stat().st_size
                for _ in range(rounds)
            ]
        except SystemExit as error:
            if "ModuleNotFoundError" not in str(error):
                raise
            continue
        print(f"  {name:30} {statistics.median(shares):5.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--folder", type=Path, help="where the files shall lie; by default a temporary folder")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker[0], Path(options.worker[1]))
        return
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    print(machine())
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        write_files(folder, options.megabytes)
        for kind in READERS:
            compare(f"{options.megabytes} MB of 4 MB arrays, {kind}", folder / f"large.{kind}", options.rounds, True)
            compare(f"{MANY} arrays of 50 KB, {kind}", folder / f"many.{kind}", options.rounds, False)
            memory(folder, kind, max(1, options.rounds // 3))


if __name__ == "__main__":
    main()

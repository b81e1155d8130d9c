"""``python -m fnn``: versions, devices, settings, fast paths and extras; ``python -m fnn explain``: errors and their remedies."""

from __future__ import annotations

import argparse
import difflib
import importlib.metadata
import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import jax
import numpy as np

import fnn
from fnn.kernels.attention.cudnn import has_cudnn
from fnn.stateful.tracing import setting

# Packages by the extra that brings them.
_EXTRAS = {
    "checkpoint": ("safetensors",),
    "orbax": ("orbax-checkpoint",),
    "plot": ("matplotlib",),
    "tensorboard": ("tensorboardX",),
    "data": ("grain",),
}


def _installed(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "no"


def _devices() -> str:
    kinds: dict[str, int] = {}
    for device in jax.devices():
        kind = f"{device.platform} ({device.device_kind})"
        kinds[kind] = kinds.get(kind, 0) + 1
    return ", ".join(f"{count} x {kind}" for kind, count in kinds.items())


def _fast_paths() -> Iterator[tuple[str, str]]:
    """Where fnn has faster forms than XLA's, and whether programs of this machine get them."""
    backend = jax.default_backend()
    if backend == "cpu":
        forms, attention = "forms for the CPU, by shape", "in blocks, by shape"
    elif backend in ("gpu", "cuda"):
        forms, attention = "XLA's", "by cuDNN where it suits, else XLA's" if has_cudnn() else "XLA's"
    else:
        forms = attention = "XLA's"
    yield "convolution, pooling, normalization, recurrence", forms
    yield "attention", attention
    yield "options of compiled programs", "Eigen's convolutions, blocks of memory kept" if backend == "cpu" else "XLA's"
    yield "draws with a known key", "by numpy, without compilation"


def report() -> dict[str, Mapping[str, str]]:
    """What ``python -m fnn`` prints, by headings."""
    return {
        "versions": {
            "fnn": fnn.__version__,
            "python": platform.python_version(),
            "jax": jax.__version__,
            "jaxlib": _installed("jaxlib"),
            "numpy": np.__version__,
        },
        "machine": {
            "platform": platform.platform(),
            "cores": str(os.cpu_count()),
            "backend": jax.default_backend(),
            "devices": _devices(),
            "processes": str(jax.process_count()),
        },
        "settings": {
            "x64": str(setting("jax_enable_x64")),
            "matmul precision": str(setting("jax_default_matmul_precision") or "default"),
            "compilation cache": str(setting("jax_compilation_cache_dir") or "off"),
            "debug_nans": str(setting("jax_debug_nans")),
            "XLA_FLAGS": os.environ.get("XLA_FLAGS", "").strip() or "none",
        },
        "fast paths": dict(_fast_paths()),
        "extras": {
            extra: ", ".join(f"{name} {_installed(name)}" for name in names) for extra, names in _EXTRAS.items()
        },
    }


def sections() -> dict[str, str]:
    """The sections of the guide to errors, by the names that errors give them."""
    page = Path(__file__).with_name("errors.md").read_text(encoding="utf-8")
    text = re.sub(r"\[([^\]]+)\](\[[^\]]+\]|\([^)]+\))", r"\1", page)
    parts = re.split(r"^## (.+)\n", text, flags=re.M)[1:]
    return {
        re.sub(r"\W+", "-", heading.lower()): f"{heading}\n\n{body.strip()}\n"
        for heading, body in zip(parts[::2], parts[1::2], strict=True)
    }


def explain(name: str | None) -> int:
    """Prints one section of the guide to errors, or the names of all; returns 1 if there is no such section."""
    found = sections()
    if name is None:
        print("\n".join(["python -m fnn explain NAME, where NAME is one of", *(f"  {known}" for known in found)]))
    elif name in found:
        print(found[name], end="")
    else:
        close = difflib.get_close_matches(name, found, n=1)
        meant = f"; did you mean {close[0]}?" if close else ""
        print(f"explain: no section {name!r}{meant}  (python -m fnn explain lists them)", file=sys.stderr)
    return 0 if name is None or name in found else 1


def main(argv: Sequence[str] = ()) -> int:
    """Prints the report, or with ``explain`` what to do about an error; returns the exit status.

    Args:
        argv: the arguments of the command.
    """
    parser = argparse.ArgumentParser(
        prog="python -m fnn", description="Prints versions, devices, settings, fast paths and extras."
    )
    commands = parser.add_subparsers(dest="command", metavar="command")
    explains = commands.add_parser("explain", help="what to do about an error, by the name below its message")
    explains.add_argument("name", nargs="?", help="such as a-draw-needs-a-key; without it the names are listed")
    options = parser.parse_args(argv)
    if options.command == "explain":
        return explain(options.name)
    for heading, lines in report().items():
        print(heading)
        width = max(map(len, lines))
        for name, value in lines.items():
            print(f"  {name.ljust(width)}  {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""``python -m fnn``: versions, devices, settings, which fast paths are chosen, which extras are installed."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator, Mapping

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


def main() -> int:
    """Prints the report."""
    for heading, lines in report().items():
        print(heading)
        width = max(map(len, lines))
        for name, value in lines.items():
            print(f"  {name.ljust(width)}  {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

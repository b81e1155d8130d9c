"""Runs an example as a user does, in a process of its own: with JAX's own settings, not those of the tests."""

import json
import os
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"

_PROGRAM = """
import importlib.util, json, sys
import numpy as np
spec = importlib.util.spec_from_file_location("example", sys.argv[1])
example = sys.modules["example"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(example)
out = example.main(sys.argv[2:])
parts = out if isinstance(out, tuple) else (out,)
print("\\n" + json.dumps([p if isinstance(p, str) else np.asarray(p).tolist() for p in parts]))
"""


def environment():
    """The environment without what the tests set in it."""
    return {name: value for name, value in os.environ.items() if name not in ("JAX_ENABLE_X64", "XLA_FLAGS")}


def start(name, out, *arguments):
    """The process of an example that is running."""
    command = [sys.executable, "-W", "error", "-c", _PROGRAM, str(EXAMPLES / name), "--out", str(out), *arguments]
    return subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(name, out, *arguments):
    """What ``main`` of an example returned, as a list."""
    process = start(name, out, *arguments)
    said, errors = process.communicate(timeout=500)
    assert process.returncode == 0, errors
    return json.loads(said.strip().splitlines()[-1])

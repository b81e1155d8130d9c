"""``python -m fnn`` says what Python itself says of versions, devices and packages."""

import importlib.metadata
import platform
import subprocess
import sys

import jax
import numpy as np

import fnn
from fnn.__main__ import main, report


def test_the_report():
    found = report()
    assert found["versions"] == {
        "fnn": fnn.__version__,
        "python": platform.python_version(),
        "jax": importlib.metadata.version("jax"),
        "jaxlib": importlib.metadata.version("jaxlib"),
        "numpy": np.__version__,
    }
    assert found["machine"]["devices"].startswith(f"{jax.device_count()} x cpu")
    assert found["settings"]["x64"] == "True"
    assert found["settings"]["matmul precision"] == "default"
    with jax.default_matmul_precision("float32"):
        assert report()["settings"]["matmul precision"] == "float32"
    assert "plot" in found["extras"]


def test_it_is_printed(capsys):
    assert main() == 0
    printed = capsys.readouterr().out
    for heading, lines in report().items():
        assert f"\n{heading}\n" in f"\n{printed}"
        assert all(value in printed for value in lines.values())


def test_as_a_command():
    out = subprocess.run([sys.executable, "-m", "fnn"], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines()[1].split() == ["fnn", fnn.__version__]

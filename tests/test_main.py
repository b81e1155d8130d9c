"""``python -m fnn`` says what Python itself says of versions, devices and packages."""

import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

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


def test_the_sections_of_the_guide_are_shown_by_name(capsys):
    page = (Path(__file__).parents[1] / "docs/guide/errors.md").read_text()
    headings = [line[3:] for line in page.splitlines() if line.startswith("## ")]
    assert main(["explain"]) == 0
    listed = capsys.readouterr().out.split()[-len(headings) :]
    for heading, name in zip(headings, listed, strict=True):
        assert name == heading.lower().replace(" ", "-").replace("'", "-")
        assert main(["explain", name]) == 0
        shown = capsys.readouterr().out
        assert shown.startswith(f"{heading}\n\n```python\n")
        assert "](" not in shown
        assert "\n## " not in shown
        own = page.split(f"## {heading}\n\n")[1]
        assert shown.splitlines()[2:6] == own.splitlines()[:4]


def test_a_section_that_is_not_there(capsys):
    assert main(["explain", "a-draw-needs-key"]) == 1
    printed = capsys.readouterr()
    assert "did you mean a-draw-needs-a-key?" in printed.err
    assert not printed.out


def test_help(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "explain" in capsys.readouterr().out


def test_the_documentation_shows_the_guide_of_the_package():
    root = Path(__file__).parents[1]
    assert (root / "docs/guide/errors.md").resolve() == root / "fnn/errors.md"

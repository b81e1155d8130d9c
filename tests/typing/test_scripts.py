"""The scripts that the type checkers read are programs that run."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import jax
import pytest

FOLDER = Path(__file__).parent
SCRIPTS = sorted(path.name for path in FOLDER.glob("*.py") if not path.name.startswith(("test_", "__")))


@pytest.mark.parametrize("script", SCRIPTS)
def test_it_runs(script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with jax.enable_x64(False):
        runpy.run_path(str(FOLDER / script), run_name="__main__")


@pytest.mark.slow
@pytest.mark.parametrize("checker", [["pyright"], ["mypy"]], ids=lambda c: c[0])
def test_the_checkers_agree(checker):
    pytest.importorskip(checker[0], reason="the type checkers come with the extra dev")
    done = subprocess.run(
        [sys.executable, "-m", *checker, str(FOLDER)],
        capture_output=True,
        text=True,
        cwd=FOLDER.parents[1],
        env=os.environ,
    )
    assert done.returncode == 0, done.stdout

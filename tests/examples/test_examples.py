"""Each example, cut short: it runs as a user would run it, draws its figure, and has learned."""

import signal
import time

import numpy as np
import pytest

from tests.examples.running import run, start

pytestmark = pytest.mark.slow

for package in ("sklearn", "matplotlib", "tqdm", "safetensors", "mlxtend", "statsmodels"):
    pytest.importorskip(package)

# What is run, and what must be true of what it returns.
EXAMPLES = {
    "mnist_cnn": (["--steps", "60"], lambda accuracy: accuracy > 0.85),
    "char_transformer": (["--steps", "50", "--sample", "20"], lambda nats: nats < 2.8),
    "functional_only": (["--steps", "200"], lambda accuracy: accuracy > 0.93),
    "sunspots_lstm": (["--steps", "4"], lambda error: error < 0.5),
    "vae": (["--steps", "150"], lambda nats: nats < 190),
    "gan": (["--steps", "40"], lambda loss: loss < 0.6),
    "super_resolution": (["--steps", "300"], lambda gain: gain > 0.1),
    "finetune": (["--steps", "60"], lambda frozen, tuned, scratch: min(frozen, tuned, scratch) > 0.7),
    "mixed_precision": (
        ["--steps", "60"],
        lambda single, brain, half, skipped: min(single, brain, half) > 0.93 and skipped > 3,
    ),
    "ensemble": (["--steps", "150"], lambda joint, each: joint < np.mean(each) and joint < 0.15),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_it_has_learned(name, tmp_path):
    arguments, learned = EXAMPLES[name]
    results = run(f"{name}.py", tmp_path, *arguments)
    assert learned(*results), results
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000


@pytest.mark.parametrize("option", [["--packed", "--steps", "4"], ["--optimizer", "adam", "--steps", "60"]])
def test_the_options_of_the_forecast(option, tmp_path):
    (error,) = run("sunspots_lstm.py", tmp_path, *option)
    assert error < 0.6


def test_a_killed_run_ends_as_one_that_was_not(tmp_path):
    (expected,) = run("resume.py", tmp_path / "whole", "--steps", "320")
    killed = 0
    for _ in range(2):
        process = start("resume.py", tmp_path / "killed", "--steps", "320")
        files = set((tmp_path / "killed").rglob("*.safetensors"))
        limit = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < limit:
            if set((tmp_path / "killed").rglob("*.safetensors")) - files:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.005)
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
    assert killed
    assert run("resume.py", tmp_path / "killed", "--steps", "320") == [expected]

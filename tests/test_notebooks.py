"""The notebooks run from top to bottom, and say what they claim."""

import json
from pathlib import Path

import jax
import numpy as np

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def run(name):
    names = {}
    cells = json.loads((NOTEBOOKS / name).read_text())["cells"]
    with jax.enable_x64(False):
        for cell in cells:
            if cell["cell_type"] == "code":
                exec(compile("".join(cell["source"]), name, "exec"), names)
    return names


def test_three_ways_give_the_same_losses():
    names = run("three_ways.ipynb")
    assert names["accuracy"] > 0.9
    for other in ("module", "functional"):
        np.testing.assert_allclose(names[other], names["objects"], rtol=1e-4, atol=1e-5)

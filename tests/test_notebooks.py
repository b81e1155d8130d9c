"""The notebooks run from top to bottom, say what they claim, and keep the outputs that they give."""

import importlib.util
import json
import re
from pathlib import Path

import jax
import numpy as np
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
NUMBER = re.compile(r"(?<![\w.])-?\d+\.?\d*(?:e[+-]?\d+)?(?!\w)")


def cells_of(path):
    return json.loads(path.read_text())["cells"]


def test_three_ways_give_the_same_losses():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pytest.importorskip("sklearn")
    pyplot.switch_backend("Agg")
    names = {}
    path = next(path for path in NOTEBOOKS if path.stem == "three_ways")
    with jax.enable_x64(False):
        for cell in cells_of(path):
            if cell["cell_type"] == "code":
                exec(compile("".join(cell["source"]), path.name, "exec"), names)
    pyplot.close("all")
    assert names["accuracy"] > 0.9
    for other in ("module", "functional"):
        np.testing.assert_allclose(names[other], names["objects"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_kept(path):
    """Outputs of a whole run with a plot, small, without a folder of the machine."""
    code = [cell for cell in cells_of(path) if cell["cell_type"] == "code"]
    outputs = [output for cell in code for output in cell["outputs"]]
    pictures = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    assert [cell["execution_count"] for cell in code] == [*range(1, len(code) + 1)]
    assert pictures
    assert max(len("".join(picture)) for picture in pictures) < 60_000
    assert not any(output["output_type"] == "error" or output.get("name") == "stderr" for output in outputs)
    text = json.dumps([text_of(output) for output in outputs])
    assert not re.search(r"/(home|root|tmp|Users|work|var)/|\\u001b", text)


def text_of(output):
    text = output.get("text", output.get("data", {}).get("text/plain", ""))
    return "".join(text).rstrip()


def assert_like(got, kept):
    """The same words; numbers may differ by two in a hundred, as those of other processors and versions do."""
    assert NUMBER.sub("#", got) == NUMBER.sub("#", kept)
    np.testing.assert_allclose(
        [float(n) for n in NUMBER.findall(got)], [float(n) for n in NUMBER.findall(kept)], rtol=0.02, atol=1e-6
    )


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_run_gives_what_is_kept(path, monkeypatch):
    for name in ("nbclient", "ipykernel", "matplotlib", "sklearn"):
        pytest.importorskip(name)
    if "import torch" in path.read_text():
        pytest.importorskip("torch")
    for name in ("JAX_ENABLE_X64", "XLA_FLAGS"):  # a reader has none of the settings of the tests
        monkeypatch.delenv(name, raising=False)
    spec = importlib.util.spec_from_file_location("run_notebooks", path.parent / "run.py")
    run = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(run)
    for got, kept in zip(run.execute(path).cells, cells_of(path), strict=True):
        kinds = [[o["output_type"] for o in cell.get("outputs", [])] for cell in (got, kept)]
        assert kinds[0] == kinds[1]
        for one, other in zip(got.get("outputs", []), kept.get("outputs", []), strict=True):
            assert_like(text_of(one), text_of(other))


def test_the_comparison_finds_what_differs():
    assert_like("loss 0.5001, shape (3, 4)", "loss 0.5, shape (3, 4)")
    for other in ("loss 0.6, shape (3, 4)", "loss 0.5, shape (3, 5)", "loss 0.5"):
        with pytest.raises(AssertionError):
            assert_like("loss 0.5, shape (3, 4)", other)

"""Every Python block of the README and of the documentation runs, and prints what the page shows."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.compilation_cache import compilation_cache

import fnn
from tests.docs.blocks import blocks_of, run

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
EXTRAS = {"grain", "matplotlib", "optax", "orbax", "safetensors", "sklearn", "tensorboardX", "torch"}
WITH_CODE = [page for page in PAGES if blocks_of(page.read_text())]


@pytest.fixture(autouse=True)
def a_readers_place(tmp_path, monkeypatch):
    """A folder and a home of their own; the settings of JAX that a page changes are as before."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    before = jax.config.jax_compilation_cache_dir
    fnn.manual_seed(0)
    yield
    jax.config.update("jax_compilation_cache_dir", before)
    compilation_cache.reset_cache()


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.stem)
def test_a_page(page):
    try:
        with jax.enable_x64(False):
            run(page, {"__name__": f"docs_{page.stem}"})
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        pytest.skip(f"the page needs {error.name}")


def test_the_readme():
    names = {"__name__": "readme"}
    with jax.enable_x64(False):
        count, printed = run(ROOT / "README.md", names)
        params = {"w1": jnp.ones((4, 2)), "b1": jnp.ones(4), "w2": jnp.ones((3, 4)), "b2": jnp.ones(3)}
        _, _, value = names["step"](params, names["tx"].init(params), jnp.ones((5, 2)), jnp.zeros(5, int))
    assert count >= 4
    assert float(printed.split()[0]) < 0.05
    assert float(value) > 0


def test_both_commands_are_there():
    text = (ROOT / "README.md").read_text()
    assert '    pip install -e ".[examples]" && python examples/digits.py\n' in text
    assert '    pip install -e ".[test]" && pytest\n' in text


def test_an_output_that_differs_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(1)\n```\n\n```text\n2\n```\n")
    with pytest.raises(AssertionError, match="line 1: the page shows"):
        run(page, {})


def test_an_error_that_the_page_does_not_show_is_one(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\n1 / 0\n```\n\nWords.\n\n```text\nZeroDivisionError: ...\n```\n")
    with pytest.raises(ZeroDivisionError):
        run(page, {})
    page.write_text("```python\n1 / 0\n```\n\n```text\nZeroDivisionError: ...\n```\n")
    run(page, {})

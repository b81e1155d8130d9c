"""The errors that point to the guide point to sections that it has, and keep the pointer on their way out."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn

ROOT = Path(__file__).parents[2]
HEADINGS = re.findall(r"^## (.+)$", (ROOT / "docs/guide/errors.md").read_text(), re.M)
SECTIONS = {re.sub(r"\W+", "-", heading.lower()) for heading in HEADINGS}
NAMED = {
    name
    for path in (ROOT / "fnn").rglob("*.py")
    for name in re.findall(r'"([a-z0-9]+(?:-[a-z0-9]+)+)",?\s*\)', path.read_text())
    if "with_remedy(" in path.read_text()
}


def test_every_section_that_an_error_names_is_there():
    assert len(NAMED) >= 9
    assert NAMED <= SECTIONS


def keeps(x):
    model = nn.Linear(3, 1)
    model.last = x


X = np.ones((4, 3), "float32")
FAILING = {
    "a-buffer-would-be-changed": lambda: jax.jit(nn.BatchNorm1d(3))(X),
    "a-draw-needs-a-key": lambda: jax.jit(nn.Dropout(0.5))(X),
    "a-traced-value-was-needed": lambda: fnn.jit(lambda x: float(x.sum()))(X),
    "a-traced-value-was-needed, to be printed": lambda: fnn.jit(lambda x: f"{x.sum():.3f}")(X),
    "an-attribute-would-keep-a-traced-array": lambda: fnn.jit(keeps)(X),
    "a-result-is-no-array": lambda: fnn.jit(lambda x: "text")(X),
    "an-argument-is-no-array": lambda: fnn.jit(lambda x: x)("text"),
    "the-loss-is-no-scalar": lambda: fnn.backward(lambda: jnp.ones(3), nn.Linear(3, 1)),
}


def pointers(error):
    return [note for note in error.__notes__ if note.startswith("Remedies")]  # JAX has notes of its own


@pytest.mark.parametrize("section", FAILING)
def test_an_error_has_its_section(section):
    with pytest.raises(Exception) as caught:
        FAILING[section]()
    assert pointers(caught.value) == [f"Remedies: python -m fnn explain {section.partition(',')[0]}"]


def test_an_error_that_gets_the_name_of_the_function_keeps_it():
    hidden = [nn.Linear(3, 1)]
    find = iter(hidden).__next__
    with pytest.raises(RuntimeError, match=r"^linear: fnn.jit: Parameter .* did not find it") as caught:
        fnn.jit(lambda x: find()(x))(X)
    assert pointers(caught.value) == ["Remedies: python -m fnn explain something-was-not-found"]

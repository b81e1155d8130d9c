"""The table of the page on mixed precision is the lists of the code."""

import inspect
import re
from pathlib import Path

import pytest

from fnn.amp.lists import POLICIES, UNLESS, Policy
from fnn.nn import functional as F

TEXT = (Path(__file__).parents[2] / "docs/guide/mixed_precision.md").read_text()
ROWS = {
    Policy.LOW: "the dtype of `autocast`",
    Policy.FLOAT32: "float32",
    Policy.WIDEST: "the widest dtype among the arguments",
    Policy.REFUSED: "refused in float16, else float32",
}


def row(policy):
    """The names of a row: those of functions, and those of methods, in the order of the lists."""
    names = [name for name, listed in POLICIES.items() if listed is policy]
    functions = [name for name in names if inspect.isfunction(getattr(F, name, None))]
    methods = [name for name in names if name not in functions]
    return ", ".join([*(f"`{name}`" for name in functions), *(f"*`{name}`*" for name in methods)])


@pytest.mark.parametrize("policy", ROWS)
def test_a_row(policy):
    assert f"| {ROWS[policy]} | {row(policy)} |\n" in TEXT


def test_the_exceptions():
    assert set(re.findall(r"`(\w+)`", TEXT.partition("all else; ")[2].partition(" by ")[0])) == set(UNLESS) - {
        "triplet_margin_with_distance_loss"
    }

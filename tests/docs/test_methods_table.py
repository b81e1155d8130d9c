"""The table from torch's methods to JAX's: both columns are computed and compared."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn.nn.functional as F

torch = pytest.importorskip("torch")

TEXT = (Path(__file__).parents[2] / "docs/guide/from_torch.md").read_text().partition("## Other packages")[0]
ROWS = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|$", TEXT, re.M)
ARRAYS = {
    "x": np.random.default_rng(0).normal(size=(2, 3, 4)),
    "y": np.random.default_rng(1).normal(size=(2, 3, 4)),
    "m": np.random.default_rng(2).normal(size=(3, 4)),
    "v": np.random.default_rng(3).normal(size=4),
    "i": np.array([[0, 1], [2, 0], [1, 1]]),
}


def values(result):
    several = isinstance(result, list | tuple)
    return [np.asarray(one) for one in result] if several else np.asarray(result)


def test_the_table_is_there():
    assert len(ROWS) > 40


@pytest.mark.parametrize(("theirs", "ours"), ROWS, ids=[row[0] for row in ROWS])
def test_a_row(theirs, ours):
    expected = eval(theirs, {"torch": torch, "np": np, **{k: torch.tensor(a) for k, a in ARRAYS.items()}})
    got = eval(ours, {"jnp": jnp, "jax": jax, "np": np, "F": F, **{k: jnp.asarray(a) for k, a in ARRAYS.items()}})
    jax.tree.map(np.testing.assert_allclose, values(got), values(expected))

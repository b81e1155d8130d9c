"""Random calls of every functional, with shapes that have 0 and 1, options, four dtypes and special values, against PyTorch.

``FNN_FUZZ_CASES`` is the number of cases over all functions, ``FNN_FUZZ_SEED`` what they are drawn from.
``tests/functional/fuzz/differences.py`` says where fnn differs on purpose, and why.
"""

from __future__ import annotations

import os

import pytest

from fnn import functional as F
from tests.functional.families import function_names
from tests.functional.fuzz.differences import DIFFERENCES, EMPTY_SHAPES, REFUSALS
from tests.functional.fuzz.runs import run
from tests.functional.fuzz.table import Row, table
from tests.oracle import needs_torch

TABLE = table()
CASES = int(os.environ.get("FNN_FUZZ_CASES", "3000"))
SEED = int(os.environ.get("FNN_FUZZ_SEED", "20261201"))


def test_every_function_has_a_row():
    # Torch has no rotary embedding and no cache of keys and values.
    own = {"cache_update", "rotary_embedding", "rotary_frequencies"}
    assert sorted({*TABLE, *own}) == function_names(F)


def test_differences_are_of_functions_and_have_a_reason():
    for difference in (*DIFFERENCES, *REFUSALS):
        assert difference.reason
        assert set(difference.names) <= {*TABLE, "*"}
    assert set(EMPTY_SHAPES) <= set(TABLE)


@pytest.fixture
def torch_like_xla():
    """torch takes the smallest numbers for 0, as XLA on the CPU does, and keeps to one thread."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    yield
    torch.set_flush_denormal(False)
    torch.set_num_threads(threads)


@needs_torch
@pytest.mark.usefixtures("torch_like_xla")
@pytest.mark.parametrize(
    ("their", "said"),
    [
        (lambda x: x.relu() * 1.00001, "result 0"),
        (lambda x: x.relu().double(), "dtype"),
        (lambda x: x.relu()[None], "shape"),
        (lambda x: x.relu().detach() + 0 * x, "gradient"),
        (lambda x: x.relu()[0], "refused by torch alone"),
    ],
)
def test_a_fault_is_found(their, said):
    told = []
    run(Row("relu", TABLE["relu"].make, their), 60, SEED, told.append)
    assert any(said in text for text in told)


@needs_torch
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("torch_like_xla")
@pytest.mark.parametrize("name", sorted(TABLE))
def test_random_calls(name):
    tried = run(TABLE[name], -(-CASES // len(TABLE)), SEED)
    print(f"{tried} random calls from seed {SEED}")

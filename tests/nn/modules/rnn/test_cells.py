"""Single steps of recurrent layers against torch."""

import pytest

from tests.nn.modules.rnn.against_torch import compare, pair
from tests.oracle import assert_close, leaves, needs_torch, rand, to_torch

CELLS = [
    ("RNNCell", {}),
    ("RNNCell", {"nonlinearity": "relu", "bias": False}),
    ("LSTMCell", {}),
    ("LSTMCell", {"bias": False}),
    ("GRUCell", {}),
    ("GRUCell", {"bias": False}),
]


@needs_torch
@pytest.mark.parametrize(("name", "options"), CELLS)
@pytest.mark.parametrize("batch", [(2,), ()])
def test_cell_against_torch(name, options, batch):
    ours, theirs = pair(name, 3, 4, **options)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x, h = rand(1, *batch, 3), rand(2, *batch, 4)
    hx = (h, rand(3, *batch, 4)) if name == "LSTMCell" else h
    compare(ours, theirs, (x, hx), (to_torch(x), to_torch(hx)))
    for a, b in zip(leaves(ours(x)), leaves(theirs(to_torch(x))), strict=True):
        assert_close(a, b.detach().numpy())

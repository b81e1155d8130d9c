"""Samples become batches as torch's ``default_collate`` makes them."""

from collections import namedtuple

import jax.numpy as jnp
import numpy as np
import pytest

from fnn.data import default_collate
from tests.oracle import needs_torch

Pair = namedtuple("Pair", "x y")
SAMPLES = {
    "numbers": [1, 2, 3],
    "floats": [1.5, 2.5],
    "bools": [True, False],
    "numpy scalars": [np.float32(1), np.float32(2)],
    "tuples": [(np.ones(2), 1), (np.zeros(2), 0)],
    "lists": [[np.ones(2), 1], [np.zeros(2), 0]],
    "dicts": [{"a": np.ones(2), "b": {"c": 1.0}}, {"a": np.zeros(2), "b": {"c": 2.0}}],
    "named": [Pair(np.ones(2), 1), Pair(np.zeros(2), 2)],
    "strings": ["a", "b"],
    "empty": [(), ()],
}


def plain(value):
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return (str(np.asarray(value).dtype), np.asarray(value).tolist()) if hasattr(value, "dtype") else value


@needs_torch
@pytest.mark.parametrize("name", SAMPLES)
def test_a_batch_is_torchs(name):
    from torch.utils import data

    ours, theirs = default_collate(SAMPLES[name]), data.default_collate(SAMPLES[name])

    def numpy(value):
        if isinstance(value, dict):
            return {key: numpy(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [numpy(item) for item in value]
        return value.numpy() if hasattr(value, "numpy") else value

    assert plain(ours) == plain(numpy(theirs))
    assert type(ours) is type(SAMPLES[name][0]) or isinstance(ours, np.ndarray | list)


@needs_torch
def test_tensors_of_torch_become_numpy():
    import torch

    x, y = default_collate([(torch.ones(2, requires_grad=True), torch.tensor(1)), (torch.zeros(2), torch.tensor(2))])
    assert isinstance(x, np.ndarray)
    assert x.tolist() == [[1, 1], [0, 0]]
    assert y.tolist() == [1, 2]


def test_jax_arrays_become_numpy():
    assert isinstance(default_collate([jnp.ones(2), jnp.zeros(2)]), np.ndarray)


def test_what_cannot_be_stacked_raises():
    with pytest.raises(ValueError, match=r"of one shape .* got \[\(2,\), \(3,\)\]"):
        default_collate([np.ones(2), np.ones(3)])
    with pytest.raises(ValueError, match="of samples of one length"):
        default_collate([(1, 2), (1,)])
    with pytest.raises(TypeError, match="got 'object'"):
        default_collate([object()])
    with pytest.raises(ValueError, match="one sample at least"):
        default_collate([])

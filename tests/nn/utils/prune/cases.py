"""Modules that are pruned, beside torch's with the same numbers."""

from fnn import nn
from fnn.nn.utils import prune
from tests.oracle import assert_close, rand

X = rand(5, 2, 3)


def linear():
    m = nn.Linear(3, 4).double()
    m.weight.data, m.bias.data = rand(0, 4, 3), rand(1, 4)
    return m


def pair(kind, *args):
    import torch

    torch.manual_seed(0)
    theirs = getattr(torch.nn, kind)(*args).double()
    ours = getattr(nn, kind)(*args).double()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def same_state(ours, theirs):
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for key, value in theirs.state_dict().items():
        assert_close(ours.state_dict()[key], value.numpy(), 0, 0, key)
        assert ours.state_dict()[key].dtype == value.numpy().dtype


class EverySecond(prune.BasePruningMethod):
    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t, default_mask):
        return default_mask.reshape(-1).at[::2].set(0).reshape(default_mask.shape)

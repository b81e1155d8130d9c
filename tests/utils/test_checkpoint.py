"""torch.utils.checkpoint by torch's import path. What it computes: tests/transforms/test_remat.py."""

import inspect

import jax.numpy as jnp
import numpy as np
import pytest

import fnn
import fnn.utils.checkpoint
from fnn import nn
from tests.oracle import assert_close, needs_torch, rand, to_torch


def test_paths():
    from fnn.utils.checkpoint import checkpoint, checkpoint_sequential

    assert fnn.utils.checkpoint.checkpoint is checkpoint
    assert fnn.utils.checkpoint.checkpoint_sequential is checkpoint_sequential
    assert sorted(fnn.utils.checkpoint.__all__) == ["checkpoint", "checkpoint_sequential", "noop_context_fn"]


@needs_torch
@pytest.mark.parametrize("name", ["checkpoint", "checkpoint_sequential"])
def test_every_argument_of_torchs_is_taken(name):
    import torch.utils.checkpoint

    ours = inspect.signature(getattr(fnn.utils.checkpoint, name)).parameters
    theirs = inspect.signature(getattr(torch.utils.checkpoint, name)).parameters
    positional = [p.name for p in theirs.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert [p.name for p in ours.values() if p.kind is p.POSITIONAL_OR_KEYWORD] == positional
    assert set(ours) >= {p.name for p in theirs.values() if p.kind is not p.VAR_KEYWORD}


@needs_torch
@pytest.mark.parametrize("segments", [1, 2, 3])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_numbers_are_torchs(segments):
    import torch
    from torch.utils.checkpoint import checkpoint_sequential

    theirs = torch.nn.Sequential(*[torch.nn.Linear(4, 4) for _ in range(4)]).double()
    ours = nn.Sequential(*[nn.Linear(4, 4) for _ in range(4)]).double()
    ours.load_state_dict(theirs.state_dict())
    x = rand(0, 5, 4)
    out = checkpoint_sequential(theirs, segments, to_torch(x), use_reentrant=False)
    out.square().sum().backward()
    run = fnn.jit(
        lambda: fnn.backward(
            lambda: (fnn.utils.checkpoint.checkpoint_sequential(ours, segments, jnp.asarray(x)) ** 2).sum(), ours
        )
    )
    assert_close(run(), np.asarray(out.square().sum().detach()))
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_close(p.grad, q.grad.numpy())

"""Transformer layers beside torch's with the same numbers, and the masks they are called with."""

import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn
from tests.oracle import assert_close, rand, to_torch

PADDING = np.array([[False] * 4, [False, False, True, True], [False] * 4])


CAUSAL = np.triu(np.ones((4, 4), bool), 1)


FLOATING = np.triu(np.full((4, 4), -np.inf), 1)


OPTIONS = [
    {},
    {"activation": "gelu", "batch_first": True, "norm_first": True},
    pytest.param({"bias": False, "layer_norm_eps": 1e-3, "norm_first": True}, marks=pytest.mark.slow),
]


def pair(name, *args, **options):
    import torch

    theirs = getattr(torch.nn, name)(*args, **options, dtype=torch.float64)
    ours = getattr(nn, name)(*args, **options, dtype=jnp.float64)
    return load(ours, theirs)


def load(ours, theirs):
    import torch

    for p in theirs.parameters():
        torch.nn.init.uniform_(p, -0.7, 0.7)
    ours.load_state_dict(theirs.state_dict())
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    return ours, theirs


def compare(ours, theirs, arrays, **masks):
    wanted = theirs(*to_torch(list(arrays)), **to_torch(masks))
    assert_close(ours(*arrays, **masks), wanted.detach().numpy())
    (wanted**2).sum().backward()
    theirs_grads = {name: p.grad.numpy().copy() for name, p in theirs.named_parameters()}
    theirs.zero_grad()
    fnn.jit(lambda arrays: fnn.backward(lambda: (ours(*arrays, **masks) ** 2).sum(), ours))(arrays)
    for name, grad in theirs_grads.items():
        assert_close(ours.get_parameter(name).grad, grad, what=name)
    ours.zero_grad()


def sequence(seed, options, length=4):
    return rand(seed, *((3, length) if options.get("batch_first") else (length, 3)), 6)

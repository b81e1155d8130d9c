"""Recurrent layers and cells beside torch's with the same numbers."""

import jax.numpy as jnp

import fnn
from fnn import nn
from tests.oracle import assert_close, rand


def pair(name, *args, **options):
    import torch

    theirs = getattr(torch.nn, name)(*args, **options, dtype=torch.float64)
    ours = getattr(nn, name)(*args, **options, dtype=jnp.float64)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def states(name, options, batch):
    """Initial states of a layer with ``hidden_size`` 4: (directions * layers, *batch, features)."""
    rows = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    h = rand(7, rows, *batch, options.get("proj_size") or 4)
    return (h, rand(8, rows, *batch, 4)) if name == "LSTM" else h


def flat(value):
    """The arrays of a result with packed sequences in it."""
    items = value if isinstance(value, tuple | list) and not hasattr(value, "batch_sizes") else [value]
    if len(items) == 1 and items[0] is value:
        return [value.data if hasattr(value, "batch_sizes") else value]
    return [leaf for item in items for leaf in flat(item)]


def compare(ours, theirs, args, torch_args):
    """Outputs, and the gradients of the sum of their squares."""
    out, wanted = flat(ours(*args)), flat(theirs(*torch_args))
    assert len(out) == len(wanted)
    for a, b in zip(out, wanted, strict=True):
        assert_close(a, b.detach().numpy())
    sum((b**2).sum() for b in wanted).backward()

    @fnn.jit
    def step(args):
        return fnn.backward(lambda: sum((a**2).sum() for a in flat(ours(*args))), ours)

    step(args)
    for name, p in theirs.named_parameters():
        assert_close(ours.get_parameter(name).grad, p.grad.numpy(), what=name)

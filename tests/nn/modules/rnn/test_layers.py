"""Recurrent layers over sequences: against torch, packed, copied, wrongly called."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
from fnn import nn
from fnn.nn.utils import rnn as utils
from tests.nn.modules.rnn.against_torch import compare, flat, pair, states
from tests.oracle import assert_close, needs_torch, rand, to_torch

LAYERS = [
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu", "num_layers": 2, "bidirectional": True, "batch_first": True}),
    ("LSTM", {"num_layers": 2, "batch_first": True}),
    ("LSTM", {"proj_size": 2, "num_layers": 2, "bidirectional": True}),
    ("LSTM", {"bias": False, "bidirectional": True}),
    ("GRU", {"num_layers": 2, "bidirectional": True}),
    ("GRU", {"bias": False, "batch_first": True}),
]


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize(("name", "options"), LAYERS)
@pytest.mark.parametrize("form", ["batch", "packed", pytest.param("unbatched", marks=pytest.mark.slow)])
def test_layer_against_torch(name, options, form):
    import torch.nn.utils.rnn as torch_utils

    ours, theirs = pair(name, 3, 4, **options)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    shape = {"batch": (2, 5, 3) if options.get("batch_first") else (5, 2, 3), "unbatched": (5, 3), "packed": (5, 3, 3)}
    x = rand(1, *shape[form])
    hx = states(name, options, {"batch": (2,), "unbatched": (), "packed": (3,)}[form])
    args, torch_args = (x, hx), (to_torch(x), to_torch(hx))
    if form == "packed":
        lengths = [2, 5, 3]
        args = (utils.pack_padded_sequence(x, lengths, enforce_sorted=False), hx)
        torch_args = (torch_utils.pack_padded_sequence(torch_args[0], lengths, enforce_sorted=False), torch_args[1])
    compare(ours, theirs, args, torch_args)
    for a, b in zip(flat(ours(args[0])), flat(theirs(torch_args[0])), strict=True):
        assert_close(a, b.detach().numpy())


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_functional_call(name):
    layer = getattr(nn, name)(3, 4, dtype=jnp.float64)
    params, buffers = fnn.state(layer)
    x = rand(1, 5, 2, 3)

    def loss(params, x):
        (output, _), _ = fnn.functional_call(layer, params, buffers, x)
        return (output**2).sum()

    value, grads = jax.jit(jax.value_and_grad(loss))(params, x)
    assert_close(value, (layer(x)[0] ** 2).sum())
    step = 1e-6
    nudged = {**params, "weight_hh_l0": params["weight_hh_l0"].at[1, 2].add(step)}
    slope = (loss(nudged, x) - value) / step
    assert_close(grads["weight_hh_l0"][1, 2], slope, rtol=1e-4)
    stacked = jax.jit(jax.vmap(loss, (None, 0)))(params, np.stack([x, 2 * x]))
    assert_close(stacked[0], value)


def test_packed_equals_each_sequence_alone():
    layer = nn.GRU(3, 4, num_layers=2, bidirectional=True, dtype=jnp.float64)
    items = [rand(i, n, 3) for i, n in enumerate([2, 4, 1])]
    packed = utils.pack_sequence(items, enforce_sorted=False)
    output, h = jax.jit(layer)(packed)
    for i, (item, out) in enumerate(zip(items, utils.unpack_sequence(output), strict=True)):
        alone, last = layer(item)
        assert_close(out, alone)
        assert_close(h[:, i], last)


def test_dropout_between_layers():
    layer = nn.LSTM(3, 4, num_layers=2, dropout=0.5, dtype=jnp.float64)
    assert repr(layer) == "LSTM(3, 4, num_layers=2, dropout=0.5)"
    x = rand(1, 5, 2, 3)
    fnn.manual_seed(0)
    first, second = layer(x)[0], layer(x)[0]
    assert not np.allclose(first, second)
    fnn.manual_seed(0)
    assert_close(layer(x)[0], first)
    layer.eval()
    assert_close(layer(x)[0], layer(x)[0])


def test_copies_and_structure():
    layer = nn.LSTM(3, 4, num_layers=2, bidirectional=True, proj_size=2)
    x = rand(1, 5, 2, 3).astype(np.float32)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert_close(twin(x)[0], layer(x)[0])
        assert twin.weight_hh_l0 is not layer.weight_hh_l0
    assert [len(w) for w in layer.all_weights] == [5] * 4
    assert layer.all_weights[3][0] is layer.weight_ih_l1_reverse
    layer.flatten_parameters()
    bound = max(abs(np.asarray(p)).max() for p in layer.parameters())
    assert 0.4 < bound <= 0.5
    replaced = copy.deepcopy(layer)
    replaced.weight_ih_l0 = fnn.nn.Parameter(jnp.zeros((16, 3), jnp.float32))
    assert not np.allclose(replaced(x)[0], layer(x)[0])
    assert nn.GRU(3, 4).half().weight_ih_l0.dtype == jnp.float16


def test_constructor_errors():
    for kind in (nn.RNN, nn.LSTM, nn.GRU):
        for argument in ("input_size", "hidden_size", "num_layers"):
            sizes = {"input_size": 3, "hidden_size": 4}
            with pytest.raises(ValueError, match=f"{argument} must be greater than zero"):
                kind(**{**sizes, argument: 0})
            with pytest.raises(TypeError, match=f"{argument} must be an int"):
                kind(**{**sizes, argument: 2.0})
        for dropout in (True, -0.1, 1.5, "a"):
            with pytest.raises(ValueError, match="dropout must be a number"):
                kind(3, 4, dropout=dropout)
        for argument in ("bias", "batch_first"):
            with pytest.raises(TypeError, match=f"{argument} must be a bool"):
                kind(3, 4, **{argument: 1})
        with pytest.warns(UserWarning, match="does nothing with num_layers=1"):
            kind(3, 4, dropout=0.5)
    for size in (-1, 4):
        with pytest.raises(ValueError, match="proj_size"):
            nn.LSTM(3, 4, proj_size=size)
    for kind in (nn.RNN, nn.GRU):
        with pytest.raises(ValueError, match="for LSTM only"):
            kind(3, 4, proj_size=2)
    for kind in (nn.RNN, nn.RNNCell):
        with pytest.raises(ValueError, match="nonlinearity"):
            kind(3, 4, nonlinearity="sigmoid")
    with pytest.raises(ValueError, match="mode"):
        nn.RNNBase("CNN", 3, 4)


def test_call_errors():
    layer = nn.LSTM(3, 4)
    x = np.ones((5, 2, 3), np.float32)
    errors = (ValueError, RuntimeError, TypeError)
    for bad in (x[..., :2], x[None], x[0, 0], x.astype(np.float64)):
        with pytest.raises(errors, match="input"):
            layer(bad)
    with pytest.raises(errors, match="h"):
        layer(x, (np.ones((1, 3, 4), np.float32), np.ones((1, 2, 4), np.float32)))
    with pytest.raises(ValueError, match="packed data must be 2-D"):
        layer(utils.pack_padded_sequence(x[..., 0], [3, 2]))
    with pytest.raises(errors, match="input"):
        nn.GRUCell(3, 4)(x)

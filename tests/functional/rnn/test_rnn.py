"""Recurrent functions against PyTorch; the tests of the layers compare every option."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import random
from fnn.functional.rnn import gru, gru_cell, lstm, lstm_cell, rnn, rnn_cell
from tests.oracle import assert_close, check_against_torch, check_transforms, needs_torch, rand

CELLS = {"rnn": (rnn_cell, 1), "lstm": (lstm_cell, 4), "gru": (gru_cell, 3)}
STACKS = {"rnn": (rnn, 1), "lstm": (lstm, 4), "gru": (gru, 3)}


def cell_arrays(gates, batch=(2,), dtype=np.float64):
    shapes = [(*batch, 3), (*batch, 4), (gates * 4, 3), (gates * 4, 4), (gates * 4,), (gates * 4,)]
    return [rand(i, *shape).astype(dtype) for i, shape in enumerate(shapes)]


def call_cell(name):
    cell, _ = CELLS[name]

    def run(x, h, *weights):
        return cell(x, (h, 2 * h) if name == "lstm" else h, *weights)

    return run


@needs_torch
@pytest.mark.parametrize("name", CELLS)
def test_cells_against_torch(name):
    import torch

    theirs = getattr(torch._VF, {"rnn": "rnn_tanh_cell"}.get(name, f"{name}_cell"))

    def torch_cell(x, h, *weights):
        return theirs(x, [h, 2 * h] if name == "lstm" else h, *weights)

    check_against_torch(call_cell(name), torch_cell, *cell_arrays(CELLS[name][1]), second=True)


@pytest.mark.parametrize("name", CELLS)
def test_cells_under_transformations(name):
    check_transforms(call_cell(name), *cell_arrays(CELLS[name][1]))


@pytest.mark.parametrize("name", CELLS)
def test_cells_without_batch_state_or_bias(name):
    cell, gates = CELLS[name]
    x, _, w_ih, w_hh, *_ = cell_arrays(gates, ())
    state = (np.zeros(4), np.zeros(4)) if name == "lstm" else np.zeros(4)
    none, zero = cell(x, None, w_ih, w_hh), cell(x, state, w_ih, w_hh, np.zeros(gates * 4), np.zeros(gates * 4))
    batch = cell(x[None], None, w_ih, w_hh)
    for a, b, c in zip(*map(jax.tree.leaves, (none, zero, batch)), strict=True):
        assert a.shape == (4,)
        assert_close(a, b)
        assert_close(a, c[0])


def stack_weights(gates, layers=1, directions=1, width=3):
    out = []
    for layer in range(layers):
        for _ in range(directions):
            columns = width if layer == 0 else 4 * directions
            shapes = [(gates * 4, columns), (gates * 4, 4), (gates * 4,), (gates * 4,)]
            out += [rand(len(out) + i, *shape) * 0.5 for i, shape in enumerate(shapes)]
    return out


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", STACKS)
def test_stacks_under_transformations(name):
    function, gates = STACKS[name]
    weights = stack_weights(gates)
    lengths = np.array([2, 3])
    check_transforms(lambda x, w: function(x, None, [w, *weights[1:]], lengths=lengths), rand(20, 3, 2, 3), weights[0])


@pytest.mark.parametrize("name", STACKS)
def test_lengths_are_the_shorter_sequences(name):
    function, gates = STACKS[name]
    weights = stack_weights(gates, 2, 2)
    x, lengths = rand(20, 4, 3, 3), [4, 1, 3]
    output, last = function(x, None, weights, num_layers=2, bidirectional=True, lengths=np.array(lengths))
    for i, length in enumerate(lengths):
        alone, state = function(x[:length, i], None, weights, num_layers=2, bidirectional=True)
        assert_close(output[:length, i], alone)
        assert_close(output[length:, i], np.zeros((4 - length, 8)))
        for a, b in zip(jax.tree.leaves(last), jax.tree.leaves(state), strict=True):
            assert_close(a[:, i], b)


@pytest.mark.parametrize("name", STACKS)
def test_padding_reaches_neither_output_nor_gradient(name):
    function, gates = STACKS[name]
    weights, lengths = stack_weights(gates), np.array([4, 2])

    def loss(weights, x):
        return (function(x, None, weights, lengths=lengths)[0] ** 2).sum()

    run = jax.jit(jax.value_and_grad(loss, (0, 1)))
    x = rand(20, 4, 2, 3)
    expected = [np.array(a) for a in jax.tree.leaves(run(weights, x))]
    assert all(np.isfinite(a).all() for a in expected)
    for bad in (np.nan, np.inf):
        padded = x.copy()
        padded[2:, 1] = bad
        for a, b in zip(jax.tree.leaves(run(weights, padded)), expected, strict=True):
            assert_close(a, b)


def test_dropout_between_layers():
    weights, x = stack_weights(1, 2), rand(20, 3, 2, 3)
    options = {"num_layers": 2, "dropout": 0.5}
    key = jax.random.key(3)
    plain = rnn(x, None, weights, num_layers=2)[0]
    assert_close(rnn(x, None, weights, **options)[0], plain)
    dropped = rnn(x, None, weights, **options, training=True, rng=key)[0]
    assert np.abs(np.asarray(dropped - plain)).max() > 1e-3
    assert_close(rnn(x, None, weights, **options, training=True, rng=key)[0], dropped)
    with random.key_scope(key):
        assert rnn(x, None, weights, **options, training=True)[0].shape == plain.shape
    everything = rnn(x, None, weights, num_layers=2, dropout=1.0, training=True, rng=key)[0]
    assert_close(everything, rnn(np.zeros((3, 2, 4)), None, weights[4:])[0])
    with pytest.raises(RuntimeError, match="rnn"):
        jax.jit(lambda x: rnn(x, None, weights, **options, training=True)[0])(x)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_dtypes(dtype):
    weights = stack_weights(4)
    narrow = [jnp.asarray(w, dtype) for w in weights]
    x = rand(20, 3, 2, 3)
    output, (h, c) = lstm(jnp.asarray(x, dtype), None, narrow)
    assert output.dtype == h.dtype == c.dtype == dtype
    eps = float(jnp.finfo(dtype).eps)
    assert_close(np.asarray(output, np.float64), lstm(x, None, weights)[0], rtol=0, atol=8 * eps)


X, W = rand(20, 3, 2, 3), stack_weights(1)
L = stack_weights(4)
BAD = [
    (lambda: rnn(X[None], None, W), ValueError, "rnn: input must be 2-D"),
    (lambda: rnn(X[:0], None, W), ValueError, "at least one time step"),
    (lambda: rnn(X[..., :2], None, W), ValueError, "input must have 3 features"),
    (lambda: rnn(X.astype(np.float32), None, W), TypeError, "rnn"),
    (lambda: rnn(X, None, W[:3]), ValueError, "weights must be 2 or 4 arrays for 1 layers in 1 directions, got 3"),
    (lambda: rnn(X, None, W, num_layers=0), ValueError, "num_layers"),
    (lambda: rnn(X, None, W, nonlinearity="sine"), ValueError, "nonlinearity"),
    (lambda: rnn(X, np.zeros((1, 3, 4)), W), ValueError, r"hx must be of shape \[1, 2, 4\]"),
    (lambda: rnn(X, None, [W[0], W[1][:, :2], *W[2:]]), ValueError, r"weights\[1\]"),
    (lambda: rnn(X, None, W, lengths=np.array([3])), ValueError, "lengths"),
    (lambda: rnn(X, None, W, lengths=np.array([3, 4])), ValueError, "lengths must be between 1 and 3"),
    (lambda: rnn(X, None, W, lengths=np.array([3, 0])), ValueError, "lengths must be between 1 and 3"),
    (lambda: rnn(X, None, W, lengths=np.array([3.0, 1.0])), TypeError, "lengths"),
    (lambda: rnn(X[:, 0], None, W, lengths=np.array([3])), ValueError, "None for an unbatched input"),
    (lambda: rnn(X, None, W, dropout=1.5), ValueError, "dropout"),
    (lambda: lstm(X, np.zeros((1, 2, 4)), L), TypeError, "hx must be a pair"),
    (lambda: lstm(X, None, L, proj_size=2), ValueError, "weights must be 3 or 5 arrays"),
    (lambda: lstm(X, None, [*L, np.zeros((2, 3))], proj_size=2), ValueError, r"weights\[1\]"),
    (lambda: rnn_cell(X, None, W[0], W[1]), ValueError, r"input must be \(N, I\) or \(I\) with I = 3"),
    (lambda: rnn_cell(X[0], None, W[0], W[1], nonlinearity="x"), ValueError, "nonlinearity"),
    (lambda: rnn_cell(X[0], np.zeros((1, 4)), W[0], W[1]), ValueError, "hx"),
    (lambda: lstm_cell(X[0], (np.zeros((2, 4)), np.zeros((2, 3))), L[0], L[1]), ValueError, r"hx\[1\]"),
    (lambda: gru_cell(X[0], None, L[0], L[1]), ValueError, "w_ih must be 2-D with a multiple of 3 rows"),
    (lambda: gru_cell(X[0].astype(int), None, rand(0, 12, 3), rand(0, 12, 4)), TypeError, "gru_cell"),
    (lambda: rnn_cell(X[0], None, W[0], W[1], W[2][:2]), ValueError, "b_ih"),
]


@pytest.mark.parametrize("i", range(len(BAD)))
def test_errors(i):
    call, kind, message = BAD[i]
    with pytest.raises(kind, match=message):
        call()

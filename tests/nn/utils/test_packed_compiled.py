"""Packed sequences whose lengths are traced: one program for all lengths, torch's numbers and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fnn
import fnn.nn.functional as F
from fnn import nn, optim
from fnn.nn.utils import rnn
from tests.compilations import HEARD
from tests.nn.modules.rnn.against_torch import flat, pair, states
from tests.oracle import assert_close, needs_torch, rand, to_torch

STEPS, BATCH = 5, 3
LENGTHS = [[5, 3, 1], [4, 4, 2], [3, 2, 2]]
UNSORTED = [[2, 5, 3], [1, 1, 4], [3, 2, 5]]


def same_packed(ours, theirs):
    assert_close(ours.data, theirs.data.detach().numpy())
    assert np.asarray(ours.batch_sizes).tolist() == theirs.batch_sizes.tolist()
    for field in ("sorted_indices", "unsorted_indices"):
        a, b = getattr(ours, field), getattr(theirs, field)
        assert (a is None) == (b is None)
        if a is not None:
            assert np.asarray(a).tolist() == b.tolist()


@needs_torch
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("enforce", [True, False])
def test_packing_and_padding_in_a_compiled_function(batch_first, enforce):
    import torch.nn.utils.rnn as theirs

    x = rand(1, *((BATCH, STEPS) if batch_first else (STEPS, BATCH)), 2)

    @jax.jit
    def run(x, lengths):
        packed = rnn.pack_padded_sequence(x, lengths, batch_first, enforce)
        assert packed.data.shape == (STEPS, BATCH, 2)
        doubled = rnn.PackedSequence(packed.data * 2, *packed[1:])
        again = packed._replace(data=packed.data * 2)
        more = rnn.pad_packed_sequence(packed, not batch_first, -1.5, 7)
        return packed, doubled, again, rnn.pad_packed_sequence(packed, batch_first, -1.5), more

    for lengths in LENGTHS if enforce else LENGTHS + UNSORTED:
        packed, doubled, again, (padded, count), (longer, _) = run(x, np.array(lengths))
        expected = theirs.pack_padded_sequence(to_torch(x), lengths, batch_first, enforce)
        same_packed(packed, expected)  # outside, the lengths are known again
        for other in (doubled, again):
            same_packed(other, expected._replace(data=expected.data * 2))
        assert_close(padded, theirs.pad_packed_sequence(expected, batch_first, -1.5, STEPS)[0].numpy())
        assert_close(longer, theirs.pad_packed_sequence(expected, not batch_first, -1.5, 7)[0].numpy())
        assert count.tolist() == lengths
    assert run._cache_size() == 1


def test_what_a_traced_form_shows():
    x = jnp.asarray(rand(2, STEPS, BATCH, 2))

    @jax.jit
    def look(x, lengths):
        packed = rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
        data, sizes, order, back = packed
        assert len(packed) == 4
        assert isinstance(packed, tuple)
        return data, sizes, order, back

    data, sizes, order, back = look(x, np.array([2, 4, 1]))
    assert sizes.tolist() == [3, 2, 1, 1, 0]
    assert (order.tolist(), back.tolist()) == ([1, 0, 2], [1, 0, 2])
    kept = np.arange(STEPS)[:, None] < np.array([4, 2, 1])
    assert_close(data, np.asarray(x)[:, [1, 0, 2]] * kept[..., None])


LAYERS = [
    ("LSTM", {"proj_size": 2, "num_layers": 2, "bidirectional": True}),
    ("GRU", {"num_layers": 2, "bidirectional": True, "batch_first": True}),
    ("RNN", {"nonlinearity": "relu"}),
    ("LSTM", {"num_layers": 2, "dropout": 1.0}),
    ("RNN", {"num_layers": 2, "bidirectional": True, "bias": False}),
    ("LSTM", {"batch_first": True}),
    ("GRU", {}),
]


@pytest.mark.one_in(2)
@needs_torch
@pytest.mark.parametrize(("name", "options"), LAYERS)
@pytest.mark.parametrize("enforce", [False, True])
def test_layers_have_torchs_numbers_and_gradients(name, options, enforce):
    import torch.nn.utils.rnn as torch_utils

    ours, theirs = pair(name, 3, 4, **options)
    first = ours.batch_first
    x, hx = rand(1, *((BATCH, STEPS) if first else (STEPS, BATCH)), 3), states(name, options, (BATCH,))

    def run(utils, layer, x, lengths, hx):
        packed = utils.pack_padded_sequence(x, lengths, batch_first=first, enforce_sorted=enforce)
        output, state = layer(packed, hx)
        padded, count = utils.pad_packed_sequence(output, batch_first=first, total_length=STEPS)
        return [padded, *flat(state)], count

    @fnn.jit
    def step(x, lengths, hx):
        def closure():
            results, count = run(rnn, ours, x, lengths, hx)
            return sum((r**2).sum() for r in results), (results, count)

        for p in ours.parameters():
            p.grad = None
        return fnn.backward(closure, ours, has_aux=True)[1]

    params, buffers = fnn.state(ours)

    @jax.jit
    @jax.grad
    def pure(x, lengths, hx):
        key = jax.random.key(0)
        call = lambda x: fnn.functional_call(ours, params, buffers, x, hx, rng=key)[0]  # noqa: E731
        output, state = call(rnn.pack_padded_sequence(x, lengths, first, enforce))
        return sum((r**2).sum() for r in [rnn.pad_packed_sequence(output)[0], *flat(state)])

    for lengths in LENGTHS[:2] if enforce else UNSORTED[:2]:
        garbage = np.array(x)
        for i, n in enumerate(lengths):
            (garbage[i, n:] if first else garbage[n:, i])[...] = np.nan  # what is beyond the lengths counts for nothing
        results, count = step(garbage, np.array(lengths), hx)
        inputs = to_torch(x, requires_grad=True)
        wanted, wanted_count = run(torch_utils, theirs, inputs, lengths, to_torch(hx))
        for a, b in zip(results, wanted, strict=True):
            assert_close(a, b.detach().numpy())
        assert count.tolist() == wanted_count.tolist()
        theirs.zero_grad()
        sum((b**2).sum() for b in wanted).backward()
        for key, p in theirs.named_parameters():
            assert_close(ours.get_parameter(key).grad, p.grad.numpy(), what=key)
        assert_close(pure(x, np.array(lengths), hx), inputs.grad.numpy())


def test_eager_calls_compile_once_for_a_padded_shape():
    layer = nn.LSTM(3, 6, num_layers=2, bidirectional=True, batch_first=True)
    x = rand(3, 4, 9, 3).astype(np.float32)
    draw = np.random.default_rng(0)
    vectors = [np.array([9, *draw.integers(1, 9, 3)]) for _ in range(10)]

    def call(lengths):
        packed = rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        output, _ = layer(packed)
        padded, _ = rnn.pad_packed_sequence(output, batch_first=True)
        assert output.data.shape == (lengths.sum(), 12)
        assert [len(s) for s in rnn.unpack_sequence(output)] == lengths.tolist()
        assert padded.shape == (4, lengths.max(), 12)
        return fnn.backward(lambda: (rnn.pad_packed_sequence(layer(packed)[0])[0] ** 2).sum(), layer)

    for _ in range(2):  # the second call adds to the gradients of the first
        call(vectors[0])
    before = HEARD.count
    for lengths in vectors[1:]:
        call(lengths)
    assert HEARD.count == before
    for lengths in ([3, 4, 2, 1], [5, 5, 5, 5]):  # the longest is shorter than the batch
        output, _ = layer(rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
        assert rnn.pad_packed_sequence(output, batch_first=True)[0].shape == (4, max(lengths), 12)
    assert HEARD.count == before


def test_a_packed_argument_compiles_once_for_a_padded_shape():
    layer = nn.GRU(2, 3, dtype=jnp.float64)
    optimizer = optim.SGD(layer.parameters(), lr=0.1)
    traces = []

    @fnn.jit
    def train(packed):
        traces.append(1)
        return optimizer.step(lambda: (layer(packed)[1] ** 2).sum())

    for lengths in ([4, 2, 1], [1, 4, 3], [4, 4, 4]):
        train(rnn.pack_padded_sequence(rand(1, 4, 3, 2), lengths, enforce_sorted=False))
        # A list of sequences is padded to the longest.
        train(rnn.pack_sequence([rand(2, n, 2) for n in lengths], enforce_sorted=False))
    assert len(traces) == 1


def test_lists_and_cells_in_a_compiled_function():
    cell = nn.LSTMCell(2, 3, dtype=jnp.float64)
    layer = nn.LSTM(2, 3, dtype=jnp.float64)
    for name, p in cell.named_parameters():
        layer.get_parameter(f"{name}_l0").data = p.data
    items = [rand(i, n, 2) for i, n in enumerate([3, 1, 2])]

    @fnn.jit
    def by_cells(items):
        out = []
        for item in items:
            state = None
            for step in item:
                state = cell(step, state)
            out.append(state[0])
        return jnp.stack(out)

    @fnn.jit
    def packed(items):
        output, (h, _) = layer(rnn.pack_sequence(items, enforce_sorted=False))
        assert [s.shape[0] for s in rnn.unpack_sequence(output)] == [3, 1, 2]  # the lengths are shapes, and known
        return h[0]

    assert_close(packed(items), by_cells(items))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_traced_lengths_that_are_floats_count_whole(dtype):
    x = rand(1, STEPS, BATCH, 2)
    run = jax.jit(lambda n: rnn.pad_packed_sequence(rnn.pack_padded_sequence(x, n))[0])
    assert_close(run(np.array([4.9, 2.5, 1.0], dtype)), run(np.array([4, 2, 1])))


def test_bad_lengths_that_are_traced_show():
    x = rand(1, STEPS, BATCH, 2)
    for enforce in (True, False):
        run = jax.jit(lambda n, e=enforce: rnn.pad_packed_sequence(rnn.pack_padded_sequence(x, n, False, e))[0])
        for bad in ([6, 2, 1], [5, 0, 0], [5, 2, -1], [5.0, np.nan, 1.0]):
            wrong = ~((np.array(bad) >= 1) & (np.array(bad) < 6))
            got = np.isnan(run(np.array(bad)))
            assert got[:, wrong].all(), bad
            assert not got[:, ~wrong].any(), bad
    increasing = jax.jit(lambda n: rnn.pad_packed_sequence(rnn.pack_padded_sequence(x, n))[0])(np.array([2, 3, 2]))
    assert np.isnan(increasing).all((0, 2)).tolist() == [False, True, False]
    words = jax.jit(lambda n: rnn.pad_packed_sequence(rnn.pack_padded_sequence(np.ones((2, 2), np.int32), n))[0])
    assert words(np.array([3, 1])).tolist() == [[np.iinfo(np.int32).min, 1], [np.iinfo(np.int32).min, 0]]


def test_errors():
    x = rand(3, 4, 3, 2)
    for lengths, kind, text in (
        (jnp.ones(2, int), ValueError, "lengths must be of 3 numbers"),
        (jnp.ones((3, 1), int), TypeError, "1-D integer"),
        (jnp.ones(3, bool), TypeError, "1-D integer"),
    ):
        with pytest.raises(kind, match=f"pack_padded_sequence: .*{text}"):
            jax.jit(lambda n: rnn.pack_padded_sequence(x, n))(lengths)
    with pytest.raises(ValueError, match=r"total_length must be at least 4.*traced"):
        jax.jit(lambda n: rnn.pad_packed_sequence(rnn.pack_padded_sequence(x, n), total_length=3))(np.array([3, 2, 1]))
    with pytest.raises(TypeError, match=r"unpad_sequence: lengths must be concrete.*mask"):
        jax.jit(lambda n: rnn.unpack_sequence(rnn.pack_padded_sequence(x, n)))(np.array([3, 2, 1]))
    with pytest.raises(ValueError, match="PackedSequence: data must be padded"):
        jax.jit(lambda n: rnn.PackedSequence(jnp.ones((6, 2)), n))(np.array([3, 2, 1]))
    with pytest.raises(ValueError, match="no fields"):
        rnn.pack_padded_sequence(x, [3, 2, 1])._replace(size=1)


def test_a_tagger_learns_compiled():
    """Embedding and head work on ``.data``, as in torch; the padding is left out of the loss by ``ignore_index``."""
    fnn.manual_seed(0)
    embed, lstm, head = nn.Embedding(5, 4), nn.LSTM(4, 8, batch_first=True), nn.Linear(8, 5)
    optimizer = optim.Adam([*embed.parameters(), *lstm.parameters(), *head.parameters()], lr=0.05)

    @fnn.jit
    def train(words, lengths):
        def loss():
            p = rnn.pack_padded_sequence(words, lengths, batch_first=True, enforce_sorted=False)
            p = rnn.PackedSequence(embed(p.data), p.batch_sizes, p.sorted_indices, p.unsorted_indices)
            out, _ = lstm(p)
            out = rnn.PackedSequence(head(out.data), out.batch_sizes, out.sorted_indices, out.unsorted_indices)
            scores, _ = rnn.pad_packed_sequence(out, batch_first=True)
            kept = jnp.arange(words.shape[1]) < lengths[:, None]
            targets = jnp.where(kept, jnp.cumsum(words, 1) % 5, -100)
            return F.cross_entropy(scores.reshape(-1, 5), targets.reshape(-1))

        return optimizer.step(loss)

    draw = np.random.default_rng(0)
    losses = [float(train(draw.integers(0, 5, (16, 3)), draw.integers(1, 4, 16))) for _ in range(150)]
    assert losses[0] > 1.4
    assert losses[-1] < 0.3

"""``nn.utils.rnn``: packing and padding against torch."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn.nn.utils import rnn
from tests.oracle import assert_close, needs_torch, rand, to_torch

LENGTHS = [[4, 3, 1], [2, 4, 4, 1], [1], [3, 3]]


def same_packed(ours, theirs):
    assert_close(ours.data, theirs.data.numpy())
    assert ours.batch_sizes.tolist() == theirs.batch_sizes.tolist()
    for field in ("sorted_indices", "unsorted_indices"):
        a, b = getattr(ours, field), getattr(theirs, field)
        assert (a is None) == (b is None)
        if a is not None:
            assert a.tolist() == b.tolist()


@needs_torch
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("trailing", [(), (2,), (2, 3)])
def test_pack_and_pad(lengths, batch_first, trailing):
    import torch.nn.utils.rnn as theirs

    n = len(lengths)
    x = rand(1, *((n, 5) if batch_first else (5, n)), *trailing)
    enforce = lengths == sorted(lengths, reverse=True)
    packed = rnn.pack_padded_sequence(x, np.array(lengths), batch_first, enforce)
    expected = theirs.pack_padded_sequence(to_torch(x), lengths, batch_first, enforce)
    same_packed(packed, expected)
    for other, total in ((True, None), (False, 7)):
        padded, count = rnn.pad_packed_sequence(packed, other, -1.5, total)
        wanted, wanted_count = theirs.pad_packed_sequence(expected, other, -1.5, total)
        assert_close(padded, wanted.numpy())
        assert count.tolist() == wanted_count.tolist() == lengths
    for a, b in zip(rnn.unpack_sequence(packed), theirs.unpack_sequence(expected), strict=True):
        assert_close(a, b.numpy())


@needs_torch
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("side", ["left", "right"])
def test_lists(batch_first, side):
    import torch.nn.utils.rnn as theirs

    items = [rand(i, n, 2) for i, n in enumerate([2, 4, 1])]
    padded = rnn.pad_sequence(items, batch_first, 9.0, side)
    assert_close(padded, theirs.pad_sequence([to_torch(i) for i in items], batch_first, 9.0, side).numpy())
    traced = jax.jit(lambda *a: rnn.pad_sequence(a, batch_first, 9.0, side))(*items)
    assert_close(traced, padded)
    if side == "right":
        for a, b in zip(rnn.unpad_sequence(padded, [2, 4, 1], batch_first), items, strict=True):
            assert_close(a, b)
    same_packed(rnn.pack_sequence(items, False), theirs.pack_sequence([to_torch(i) for i in items], False))
    assert rnn.pad_sequence([np.ones(2, np.float32), np.ones(1)]).dtype == jnp.float32


def test_packed_is_a_pytree():
    x = rand(2, 4, 3, 2)
    packed = rnn.pack_padded_sequence(x, [2, 4, 1], enforce_sorted=False)

    @jax.jit
    def f(p):
        padded, lengths = rnn.pad_packed_sequence(p)
        return p, padded, lengths

    again, padded, lengths = f(packed)
    assert isinstance(again, rnn.PackedSequence)
    assert isinstance(again.batch_sizes, np.ndarray)
    assert again.batch_sizes.tolist() == packed.batch_sizes.tolist()
    assert_close(again.data, packed.data)
    assert_close(padded, rnn.pad_packed_sequence(packed)[0])
    assert np.asarray(lengths).tolist() == [2, 4, 1]
    grad = jax.grad(lambda x: (rnn.pack_padded_sequence(x, [2, 4, 1], enforce_sorted=False).data ** 2).sum())(x)
    kept = (np.arange(4)[:, None] < np.array([2, 4, 1]))[..., None]
    assert_close(grad, 2 * x * kept)
    back = jax.grad(lambda p: (rnn.pad_packed_sequence(p)[0] ** 2).sum(), allow_int=True)(packed)
    assert_close(back.data, 2 * x * kept)  # a gradient has no lengths, and stays padded
    inside = jax.jit(lambda x: rnn.unpack_sequence(rnn.pack_padded_sequence(x, [2, 4, 1], enforce_sorted=False)))(x)
    assert [s.shape for s in inside] == [(2, 2), (4, 2), (1, 2)]
    for twin in (copy.deepcopy(packed), pickle.loads(pickle.dumps(packed))):
        assert_close(twin.data, packed.data)
        assert twin.sorted_indices.tolist() == [1, 0, 2]


def test_a_packed_sequence_is_a_named_tuple():
    packed = rnn.pack_padded_sequence(rand(2, 4, 3, 2), [2, 4, 1], enforce_sorted=False)
    data, sizes, order, back = packed
    assert packed.data is data is packed[0]
    assert (sizes.tolist(), order.tolist(), back.tolist()) == ([3, 2, 1, 1], [1, 0, 2], [1, 0, 2])
    assert isinstance(packed, tuple)
    assert len(packed) == 4
    assert packed == packed != rnn.PackedSequence(*packed)
    assert packed._fields == ("data", "batch_sizes", "sorted_indices", "unsorted_indices")
    assert list(packed._asdict()) == list(packed._fields)
    assert repr(packed).startswith("PackedSequence(data=Array(")
    assert_close(packed._replace(data=data + 1).data, data + 1)
    assert_close(rnn.PackedSequence._make(packed).data, data)
    assert sizes in packed
    source = np.ones((2, 1, 1))
    kept = rnn.pack_padded_sequence(source, [2])
    source[:] = 0  # it was copied
    assert kept.data.tolist() == [[1], [1]]


def test_packed_methods():
    packed = rnn.PackedSequence((jnp.ones((3, 2)), np.array([2, 1])), sorted_indices=np.array([1, 0]))
    assert packed.unsorted_indices.tolist() == [1, 0]
    for method, dtype in (("double", "float64"), ("float", "float32"), ("half", "float16"), ("long", "int64")):
        assert getattr(packed, method)().data.dtype == dtype
    for method, dtype in (("int", "int32"), ("short", "int16"), ("char", "int8"), ("byte", "uint8")):
        assert getattr(packed, method)().data.dtype == dtype
    assert packed.to(jnp.bfloat16).data.dtype == jnp.bfloat16
    assert not packed.cpu().is_cuda
    assert packed.pin_memory() is packed
    assert not packed.is_pinned()
    assert rnn.invert_permutation(None) is None
    assert rnn.invert_permutation(jnp.array([2, 0, 1])).tolist() == [1, 2, 0]


def test_errors():
    x = rand(3, 4, 3, 2)
    with pytest.raises(RuntimeError, match="enforce_sorted"):
        rnn.pack_padded_sequence(x, [1, 2, 3])
    with pytest.raises(ValueError, match="lengths must be of 3 numbers"):
        rnn.pack_padded_sequence(x, [2, 1])
    for bad in ([5, 1, 1], [2, 1, 0]):
        with pytest.raises(ValueError, match="lengths must be from 1 to 4"):
            rnn.pack_padded_sequence(x, bad)
    with pytest.raises(TypeError, match="integer"):
        rnn.pack_padded_sequence(x, [2j, 1, 1])
    with pytest.raises(ValueError, match="at least 2-D"):
        rnn.pack_padded_sequence(x[:, 0, 0], [2])
    with pytest.raises(ValueError, match="at least one sequence"):
        rnn.pack_padded_sequence(x[:, :0], [])
    packed = rnn.pack_padded_sequence(x, [3, 2, 1])
    with pytest.raises(ValueError, match="total_length"):
        rnn.pad_packed_sequence(packed, total_length=2)
    with pytest.raises(TypeError, match="PackedSequence"):
        rnn.pad_packed_sequence(x)
    with pytest.raises(TypeError, match="the pair"):
        rnn.PackedSequence(x)
    with pytest.raises(ValueError, match="at least one array"):
        rnn.pad_sequence([])
    with pytest.raises(ValueError, match="trailing shape"):
        rnn.pad_sequence([x, x[..., 0]])
    with pytest.raises(ValueError, match="padding_side"):
        rnn.pad_sequence([x], padding_side="up")
    with pytest.raises(TypeError, match="iterable"):
        rnn.pad_sequence(3)
    with pytest.raises(ValueError, match="lengths"):
        rnn.unpad_sequence(x, [1])


@needs_torch
def test_unpad_takes_lengths_that_are_floats_as_torch_does():
    import torch

    x = np.arange(12.0).reshape(2, 3, 2)
    for lengths in ([2.5, 1.0], [3.0, 0.0], [-1.0, 9.5]):
        expected = torch.nn.utils.rnn.unpad_sequence(torch.tensor(x), torch.tensor(lengths), batch_first=True)
        for a, b in zip(rnn.unpad_sequence(x, lengths, batch_first=True), expected, strict=True):
            assert_close(a, b.numpy())


@needs_torch
@pytest.mark.parametrize("lengths", [[3.0, 2.0], [3.7, 1.2], np.array([2.9, 1.5]), [3.0, 0.5], [float("nan"), 1.0]])
def test_of_lengths_that_are_floats_the_whole_part_counts_as_in_torch(lengths):
    import torch

    x = np.arange(12.0).reshape(3, 2, 2)
    try:
        expected = torch.nn.utils.rnn.pack_padded_sequence(torch.tensor(x), torch.as_tensor(lengths))
    except RuntimeError:
        with pytest.raises(ValueError, match="pack_padded_sequence: lengths must be"):
            rnn.pack_padded_sequence(x, lengths)
        return
    packed = rnn.pack_padded_sequence(x, lengths)
    assert np.asarray(packed.batch_sizes).tolist() == expected.batch_sizes.tolist()
    assert np.asarray(packed.data).tolist() == expected.data.tolist()

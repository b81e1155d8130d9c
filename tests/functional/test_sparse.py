"""``embedding``, ``embedding_bag``, ``embedding_renorm`` and ``one_hot`` against torch."""

import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import functional as F
from tests.oracle import assert_close, check_against_torch, check_transforms, from_torch, needs_torch, rand, to_torch

INDEX = np.array([[0, 2, 4, 2], [5, 5, 0, 1]])
FLAT = np.array([3, 0, 3, 5, 1, 1, 2, 0])
OFFSETS = np.array([0, 3, 3, 4])
TABLE = rand(1, 6, 3, low=-2, high=2)


def functions(name):
    """Ours and torch's; torch's gets a copy of the table, which it may change."""
    import torch.nn.functional as TF

    def theirs(input, weight, *args, max_norm=None, **kwargs):
        if max_norm is None:
            return getattr(TF, name)(input, weight, *args, **kwargs)
        with __import__("torch").no_grad():
            fresh = weight.clone()
        fresh.requires_grad_(False)
        # The rescaled rows are a constant to torch, so the derivative is that of a plain lookup of them.
        getattr(TF, name)(input, fresh, *args, max_norm=max_norm, **kwargs)
        return getattr(TF, name)(input, weight + (fresh - weight).detach(), *args, **kwargs)

    return getattr(F, name), theirs


@needs_torch
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding_idx": 2},
        {"padding_idx": -1},
        {"max_norm": 1.5},
        {"max_norm": 1.0, "norm_type": 1.0, "padding_idx": 0},
        {"max_norm": 0.5, "norm_type": math.inf},
        {"scale_grad_by_freq": True},
        {"scale_grad_by_freq": True, "padding_idx": 5, "max_norm": 2.0, "norm_type": 3.0},
        {"sparse": False},
    ],
)
def test_embedding(options):
    ours, theirs = functions("embedding")
    check_against_torch(ours, theirs, INDEX, TABLE, second=not options, rtol=1e-9, atol=1e-12, **options)


@needs_torch
@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 1, 3), (0, 2)])
def test_embedding_shapes(shape):
    ours, theirs = functions("embedding")
    check_against_torch(ours, theirs, np.full(shape, 2), TABLE)
    check_against_torch(ours, theirs, np.zeros(shape, np.int32), TABLE[:1, :0])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint32, np.uint64])
def test_index_dtypes(dtype):
    table = rand(1, 300, 2)
    index = np.array([0, 127, 3], dtype)
    assert_close(F.embedding(index, table), table[[0, 127, 3]])
    assert_close(jax.jit(F.embedding)(index, table), table[[0, 127, 3]])
    assert F.one_hot(index).shape == (3, 128)
    assert F.one_hot(index, 300).sum() == 3


def test_embedding_out_of_range():
    for bad in (-1, 6, 100):
        index = jnp.array([1, bad])
        with pytest.raises(IndexError, match=rf"embedding: input must be in \[0, 5\], got {bad}"):
            F.embedding(index, TABLE)
        for options in ({}, {"padding_idx": 1}, {"max_norm": 1.0}, {"scale_grad_by_freq": True}):
            rows = jax.jit(lambda i, options=options: F.embedding(i, TABLE, **options))(index)
            assert np.isnan(rows[1]).all()
            assert np.isfinite(rows[0]).all()
        gradient = jax.jit(jax.grad(lambda w, i: F.embedding(i, w).sum()))(jnp.asarray(TABLE), index)
        assert gradient[:, 0].tolist() == [0, 1, 0, 0, 0, 0]
    assert np.isnan(jax.jit(F.embedding)(jnp.array([0]), jnp.zeros((0, 2)))).all()


def test_padding_row_keeps_its_value_and_gets_no_gradient():
    out, back = jax.vjp(lambda w: F.embedding(INDEX, w, padding_idx=2), jnp.asarray(TABLE))
    assert_close(out, TABLE[INDEX])
    (gradient,) = back(jnp.where(out == TABLE[2], jnp.inf, 1.0))
    assert gradient[2].tolist() == [0, 0, 0]
    assert gradient[0].tolist() == [2, 2, 2]


def test_dtypes():
    for dtype in (jnp.bfloat16, jnp.float16, jnp.float32, jnp.int32):
        table = (jnp.asarray(TABLE) * 4).astype(dtype)
        assert F.embedding(INDEX, table).dtype == dtype
        assert_close(F.embedding(INDEX, table).astype(float), np.asarray(table.astype(float))[INDEX])
    for dtype in (jnp.bfloat16, jnp.float16, jnp.float32):
        table = jnp.asarray(TABLE).astype(dtype)
        eps = float(jnp.finfo(dtype).eps)
        for mode in ("sum", "mean", "max"):
            got = F.embedding_bag(INDEX, table, mode=mode)
            assert got.dtype == dtype
            assert_close(got.astype(float), F.embedding_bag(INDEX, table.astype(float), mode=mode), eps, eps)
        rows = F.embedding(INDEX, table, max_norm=1.0)
        assert rows.dtype == dtype
        assert_close(rows.astype(float), F.embedding(INDEX, table.astype(float), max_norm=1.0), 2 * eps, eps)


def test_transforms():
    check_transforms(lambda i, w: F.embedding(i, w, padding_idx=2), INDEX, TABLE)
    check_transforms(lambda i, w: F.embedding(i, w, 1, 1.0, 2.0, True), INDEX, TABLE)
    check_transforms(lambda i, w, o: F.embedding_bag(i, w, o, padding_idx=3), FLAT, TABLE, OFFSETS)
    check_transforms(lambda i, w: F.embedding_bag(i, w, mode="max"), INDEX, TABLE)
    check_transforms(lambda i, f: F.embedding_bag(i, TABLE, mode="sum", per_sample_weights=f), INDEX, rand(2, 2, 4))
    check_transforms(lambda i: F.one_hot(i, 6), INDEX)


@needs_torch
@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.5, math.inf])
def test_embedding_renorm(norm_type):
    import torch
    import torch.nn.functional as TF

    index = np.array([1, 3, 3, 5])
    changed = torch.from_numpy(TABLE.copy())
    TF.embedding(torch.from_numpy(index), changed, max_norm=0.7, norm_type=norm_type)
    table = TABLE.copy()
    got = F.embedding_renorm(table, index, 0.7, norm_type)
    assert_close(got, changed.numpy(), 1e-12)
    assert (table == TABLE).all()
    assert_close(F.embedding(index, got), F.embedding(index, TABLE, max_norm=0.7, norm_type=norm_type), 1e-12)
    traced = jax.jit(lambda w, i: F.embedding_renorm(w, i, 0.7, norm_type))(TABLE, np.array([1, 3, 5, 77, -1]))
    assert_close(traced, changed.numpy(), 1e-12)
    assert_close(jax.grad(lambda w: F.embedding_renorm(w, index, 0.7).sum())(jnp.asarray(TABLE)), np.ones((6, 3)))


BAG_OPTIONS = [
    {},
    {"padding_idx": 3},
    {"padding_idx": -6},
    {"max_norm": 1.2},
]


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize(
    "options", [*BAG_OPTIONS[:2], *(pytest.param(o, marks=pytest.mark.slow) for o in BAG_OPTIONS[2:])]
)
def test_embedding_bag(mode, options):
    ours, theirs = functions("embedding_bag")
    run = {"rtol": 1e-9, "atol": 1e-12, "mode": mode, **options}
    check_against_torch(ours, theirs, INDEX, TABLE, **run)
    check_against_torch(ours, theirs, FLAT, TABLE, OFFSETS, **run)
    check_against_torch(ours, theirs, FLAT, TABLE, np.array([0, 2, 2, 8]), include_last_offset=True, **run)


def test_embedding_bag_scale_grad_by_freq():
    # torch 2.13 on the CPU divides by the counts of other rows here, so the lookup (which torch has right) is the truth.
    weights = rand(9, 2, 3)

    def bags(table, mode):
        return jnp.sum(F.embedding_bag(INDEX, table, mode=mode, scale_grad_by_freq=True) * weights)

    def rows(table):
        return jnp.sum(F.embedding(INDEX, table, scale_grad_by_freq=True).sum(1) * weights)

    wanted = jax.grad(rows)(jnp.asarray(TABLE))
    assert_close(jax.grad(bags)(jnp.asarray(TABLE), "sum"), wanted, 1e-12)
    assert_close(jax.grad(bags)(jnp.asarray(TABLE), "mean"), wanted / 4, 1e-12)


@needs_torch
def test_embedding_bag_per_sample_weights():
    ours, theirs = functions("embedding_bag")
    check_against_torch(ours, theirs, INDEX, TABLE, mode="sum", per_sample_weights=rand(3, 2, 4), rtol=1e-9)
    check_against_torch(
        ours, theirs, FLAT, TABLE, OFFSETS, mode="sum", per_sample_weights=rand(3, 8), padding_idx=0, rtol=1e-9
    )


def test_embedding_bag_empty():
    for mode in ("sum", "mean", "max"):
        assert F.embedding_bag(np.zeros((0, 2), int), TABLE, mode=mode).shape == (0, 3)
        assert F.embedding_bag(np.zeros((2, 0), int), TABLE, mode=mode).tolist() == [[0.0] * 3] * 2
        assert F.embedding_bag(np.zeros(0, int), TABLE, np.zeros(2, int), mode=mode).tolist() == [[0.0] * 3] * 2
        assert F.embedding_bag(FLAT, TABLE, np.zeros(0, int), mode=mode).shape == (0, 3)
        all_padding = F.embedding_bag(np.array([[1, 1], [1, 2]]), TABLE, mode=mode, padding_idx=1)
        assert_close(all_padding, [np.zeros(3), TABLE[2]])


def test_embedding_bag_max_of_extremes():
    table = np.array([[-math.inf, 1.0], [math.nan, 2.0], [math.inf, -math.inf]])
    assert_close(
        F.embedding_bag(np.array([[0, 0], [0, 2], [0, 1]]), table, mode="max"),
        [[-math.inf, 1.0], [math.inf, 1.0], [math.nan, 2.0]],
    )


def test_embedding_bag_traced_mistakes_give_nan():
    run = jax.jit(lambda i, o, mode: F.embedding_bag(i, TABLE, o, mode=mode), static_argnums=2)
    for mode in ("sum", "mean", "max"):
        out = run(np.array([0, 99, 2, 1]), np.array([0, 1, 3]), mode)
        assert_close(out[np.array([0, 2])], TABLE[[0, 1]])
        assert np.isnan(out[1]).all()
        for offsets in ([1, 2], [0, 9], [0, 3, 2]):
            assert np.isnan(run(np.array([0, 1, 2, 1]), np.array(offsets), mode)).all()


@needs_torch
def test_embedding_bag_exchanged_arguments():
    with pytest.warns(UserWarning, match="embedding_bag: input comes before weight"):
        out = F.embedding_bag(TABLE, INDEX)
    assert_close(out, F.embedding_bag(INDEX, TABLE))


@needs_torch
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 0)])
def test_one_hot(shape):
    import torch.nn.functional as TF

    index = np.random.default_rng(0).integers(0, 4, shape)
    for classes in (4, 7) if index.size == 0 else (-1, 4, 7):
        got = F.one_hot(index, classes)
        wanted = from_torch(TF.one_hot(to_torch(np.asarray(index)), classes))
        assert got.dtype == jnp.int64
        assert_close(got, wanted)
    traced = jax.jit(lambda i: F.one_hot(i, 3))(jnp.array([0, 3, -1]))
    assert traced.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]


@needs_torch
@pytest.mark.parametrize("name", ["embedding", "embedding_bag"])
def test_signatures(name):
    import torch.nn.functional as TF

    theirs = inspect.signature(getattr(TF, name)).parameters.values()
    ours = inspect.signature(getattr(F, name)).parameters.values()
    assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in theirs]


BAG = F.embedding_bag
OFFSET = np.array


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: F.embedding(INDEX, TABLE[0]), ValueError, r"embedding: weight must be 2-D, got float64\[3\]"),
        (lambda: F.embedding(INDEX * 1.0, TABLE), TypeError, "embedding: input must be of an integer dtype"),
        (lambda: F.embedding([1], TABLE), TypeError, "embedding: input must be an array"),
        (lambda: F.embedding(INDEX, TABLE, 6), ValueError, r"embedding: padding_idx must be in \[-6, 5\].*got 6"),
        (lambda: F.embedding(INDEX, TABLE, -7), ValueError, "embedding: padding_idx"),
        (lambda: F.embedding(INDEX, TABLE, 1.0), TypeError, "embedding: padding_idx must be an int"),
        (lambda: F.embedding(INDEX, TABLE, max_norm=1, norm_type="a"), TypeError, "embedding: norm_type"),
        (lambda: F.embedding(INDEX, TABLE.astype(int), max_norm=1), TypeError, "embedding: weight must be of a float"),
        (lambda: F.embedding_renorm(TABLE, INDEX, None), TypeError, "embedding_renorm: max_norm must be a number"),
        (lambda: F.embedding_renorm(TABLE, INDEX + 9, 1.0), IndexError, "embedding_renorm: input must be in"),
        (lambda: BAG(INDEX, TABLE, OFFSET([0])), ValueError, "embedding_bag: offsets must be None for a 2-D input"),
        (lambda: BAG(FLAT, TABLE), ValueError, "embedding_bag: offsets must be a 1-D array"),
        (lambda: BAG(FLAT, TABLE, OFFSET([[0]])), ValueError, "embedding_bag: offsets must be 1-D"),
        (lambda: BAG(FLAT, TABLE, OFFSET([0.0])), TypeError, "embedding_bag: offsets must be of an integer dtype"),
        (lambda: BAG(FLAT, TABLE, OFFSET([1])), ValueError, r"embedding_bag: offsets\[0\] must be 0, got 1"),
        (lambda: BAG(FLAT, TABLE, OFFSET([0, 9])), ValueError, r"offsets\[-1\] must be at most 8.*got 9"),
        (lambda: BAG(FLAT, TABLE, OFFSET([0, 3, 2])), ValueError, "embedding_bag: offsets must be in rising order"),
        (
            lambda: BAG(FLAT, TABLE, OFFSET([], int), include_last_offset=True),
            ValueError,
            "offsets must be of at least",
        ),
        (lambda: BAG(INDEX[None], TABLE), ValueError, "embedding_bag: input must be 1-D or 2-D"),
        (lambda: BAG(INDEX, TABLE, mode="avg"), ValueError, "embedding_bag: mode must be one of 'sum', 'mean', 'max'"),
        (
            lambda: BAG(INDEX, TABLE, per_sample_weights=rand(1, 2, 4)),
            ValueError,
            "per_sample_weights must be None for",
        ),
        (
            lambda: BAG(INDEX, TABLE, mode="sum", per_sample_weights=rand(1, 2)),
            ValueError,
            "per_sample_weights must be of",
        ),
        (
            lambda: BAG(INDEX, TABLE, mode="sum", per_sample_weights=jnp.ones((2, 4), "float32")),
            TypeError,
            "weight and per_sample_weights must be of one dtype",
        ),
        (
            lambda: BAG(INDEX, TABLE, mode="max", scale_grad_by_freq=True),
            ValueError,
            "scale_grad_by_freq must be False",
        ),
        (lambda: BAG(INDEX + 1, TABLE), IndexError, r"embedding_bag: input must be in \[0, 5\], got 6"),
        (lambda: BAG(INDEX, TABLE, padding_idx=9), ValueError, "embedding_bag: padding_idx"),
        (lambda: F.one_hot(INDEX, 3), IndexError, r"one_hot: input must be in \[0, 2\], got 4"),
        (lambda: F.one_hot(-INDEX), IndexError, "one_hot: input must be in"),
        (lambda: F.one_hot(INDEX * 1.0), TypeError, "one_hot: input must be of an integer dtype"),
        (lambda: F.one_hot(INDEX[:0]), ValueError, "one_hot: num_classes must be given for an input without elements"),
        (lambda: F.one_hot(INDEX, 0), ValueError, "one_hot: num_classes must be -1 or at least 1"),
        (
            lambda: jax.jit(F.one_hot)(INDEX),
            ValueError,
            "one_hot: num_classes must be given under a JAX transformation",
        ),
    ],
)
def test_errors(call, error, match):
    with pytest.raises(error, match=match):
        call()

"""``cosine_similarity``, ``pairwise_distance``, ``pdist`` and ``normalize`` against torch."""

import inspect
import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import functional as F
from fnn.functional.distance import _pdist
from tests.oracle import assert_close, check_against_torch, check_transforms, from_torch, needs_torch, rand, to_torch

ORDERS = [2.0, 1.0, 0.0, math.inf, 0.5, 1.5, 3.0]


def torch_function(name):
    import torch.nn.functional as TF

    return getattr(TF, name)


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize(
    ("shape1", "shape2", "dim"),
    [((3, 4), (3, 4), 1), ((4,), (4,), 0), ((2, 3, 4), (3, 1), -2), ((1, 3), (5, 3), -1), ((2, 1), (2, 1), 1)],
)
def test_cosine_similarity(shape1, shape2, dim):
    x1, x2 = rand(1, *shape1), rand(2, *shape2)
    check_against_torch(
        F.cosine_similarity, torch_function("cosine_similarity"), x1, x2, dim=dim, second=True, rtol=1e-9, atol=1e-12
    )


@needs_torch
def test_cosine_similarity_of_short_vectors():
    x = rand(1, 4, 3)
    x[1] = 0
    x[2] *= 1e-3
    check_against_torch(F.cosine_similarity, torch_function("cosine_similarity"), x, rand(2, 4, 3), eps=0.1, rtol=1e-9)
    for size in (1e30, 1e-30):
        big = np.full((1, 3), size, np.float32)
        wanted = torch_function("cosine_similarity")(to_torch(big), to_torch(big))
        assert_close(F.cosine_similarity(big, big), from_torch(wanted), 1e-5, 1e-30)
    assert F.cosine_similarity(jnp.ones((0, 3)), jnp.ones((0, 3))).shape == (0,)
    assert F.cosine_similarity(jnp.ones((2, 0)), jnp.ones((2, 0))).tolist() == [0, 0]
    assert_close(F.cosine_similarity(jnp.arange(1, 4), jnp.ones(3), 0), math.sqrt(6 / 7))


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize("p", [*ORDERS, -1.0, -math.inf])
def test_pairwise_distance(p):
    theirs = torch_function("pairwise_distance")
    x1, x2 = rand(1, 4, 3), rand(2, 4, 3)
    check_against_torch(F.pairwise_distance, theirs, x1, x2, p=p, rtol=1e-8, second=p in (2.0, 3.0))
    check_against_torch(F.pairwise_distance, theirs, x1, x2[:1], p=p, keepdim=True, eps=0.1, rtol=1e-8)


@pytest.mark.slow
@needs_torch
def test_pairwise_distance_of_equal_vectors_and_other_shapes():
    theirs = torch_function("pairwise_distance")
    for p in (2.0, 1.0, 3.0, math.inf):
        check_against_torch(F.pairwise_distance, theirs, rand(1, 2, 3), rand(1, 2, 3), p=p, eps=0.0)
    for s1, s2 in [((3,), (3,)), ((2, 4, 3), (4, 3)), ((0, 3), (0, 3)), ((2, 0), (2, 0))]:
        check_against_torch(F.pairwise_distance, theirs, rand(1, *s1), rand(2, *s2), grad=False)
    assert_close(F.pairwise_distance(3.0, 1.0), 2.000001)


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize("p", ORDERS)
def test_pdist(p):
    check_against_torch(F.pdist, torch_function("pdist"), rand(1, 5, 3), p=p, rtol=1e-9)
    if p >= 1:
        x = rand(1, 4, 3)
        x[2] = x[0]  # two equal rows
        x[3] = x[1] + np.array([0.5, -0.5, 0.5])  # ties of the largest difference
        check_against_torch(F.pdist, torch_function("pdist"), x, p=p, rtol=1e-9)


@needs_torch
@pytest.mark.parametrize("shape", [(0, 2), (1, 3), (2, 1), (3, 0)])
def test_pdist_shapes(shape):
    for p in (2.0, math.inf):
        got = F.pdist(np.zeros(shape), p)
        assert_close(got, from_torch(torch_function("pdist")(to_torch(np.zeros(shape)), p)))


@pytest.mark.slow
def test_pdist_in_blocks_equals_the_whole():
    x = jnp.asarray(rand(1, 7, 3))

    def loss(v, p, **held):
        return jnp.sum(jnp.sin(_pdist(v, p, **held)))

    for p in (2.0, 1.5):
        value, slope = jax.value_and_grad(loss)(x, p)
        blocks = partial(loss, held=45)
        assert "scan" in str(jax.make_jaxpr(blocks, static_argnums=1)(x, p))
        value_blocks, slope_blocks = jax.value_and_grad(blocks)(x, p)
        assert_close(value_blocks, value, 1e-12)
        assert_close(slope_blocks, slope, 1e-12)


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize("p", [*ORDERS, -1.0])
def test_normalize(p):
    check_against_torch(F.normalize, torch_function("normalize"), rand(1, 3, 4), p=p, rtol=1e-8, second=p in (2.0, 3.0))


@needs_torch
@pytest.mark.parametrize(("shape", "dim"), [((4,), 0), ((2, 3, 4), -2), ((2, 3), (0, 1)), ((), 0), ((2, 0), 1)])
def test_normalize_shapes(shape, dim):
    theirs = torch_function("normalize")
    x = np.asarray(rand(1, *shape))
    if not shape:
        assert_close(F.normalize(x, dim=dim), np.sign(x))
        return
    check_against_torch(F.normalize, theirs, x, dim=dim, rtol=1e-9)


@needs_torch
def test_normalize_of_short_vectors():
    x = rand(1, 4, 3)
    x[1] = 0
    x[2] *= 1e-3
    check_against_torch(F.normalize, torch_function("normalize"), x, eps=0.1, rtol=1e-9)
    big = np.full((1, 3), 1e30, np.float32)
    assert_close(F.normalize(big), from_torch(torch_function("normalize")(to_torch(big))))


def test_transforms():
    x1, x2 = rand(1, 3, 2), rand(2, 3, 2)
    check_transforms(F.cosine_similarity, x1, x2)
    check_transforms(F.pairwise_distance, x1, x2)
    check_transforms(lambda a, b: F.pairwise_distance(a, b, 3.0), x1, x2)
    check_transforms(F.pdist, x1)
    check_transforms(lambda a: F.pdist(a, math.inf), x1)
    check_transforms(F.normalize, x1)


def test_dtypes():
    x1, x2 = rand(1, 3, 8), rand(2, 3, 8)
    for dtype in (jnp.bfloat16, jnp.float16, jnp.float32):
        a, b = jnp.asarray(x1).astype(dtype), jnp.asarray(x2).astype(dtype)
        eps = float(jnp.finfo(dtype).eps)
        for got, wanted in [
            (F.cosine_similarity(a, b), F.cosine_similarity(a.astype(float), b.astype(float))),
            (F.pairwise_distance(a, b), F.pairwise_distance(a.astype(float), b.astype(float))),
            (F.pdist(a), F.pdist(a.astype(float))),
            (F.normalize(a), F.normalize(a.astype(float))),
        ]:
            assert got.dtype == dtype
            assert_close(got.astype(float), wanted, 2 * eps, eps)


@needs_torch
def test_signatures():
    import torch.nn.functional as TF

    def names(f):
        return [(p.name, p.default) for p in inspect.signature(f).parameters.values()]

    empty = inspect.Parameter.empty
    assert names(F.normalize) == names(TF.normalize)
    assert names(F.cosine_similarity) == [("x1", empty), ("x2", empty), ("dim", 1), ("eps", 1e-8)]
    assert names(F.pairwise_distance) == [("x1", empty), ("x2", empty), ("p", 2.0), ("eps", 1e-6), ("keepdim", False)]
    assert names(F.pdist) == [("input", empty), ("p", 2)]


ONES = jnp.ones


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (
            lambda: F.cosine_similarity(ONES((2, 3)), ONES((2, 4))),
            ValueError,
            "cosine_similarity: x2 must be of a shape",
        ),
        (
            lambda: F.cosine_similarity(ONES(3), ONES(3)),
            IndexError,
            r"cosine_similarity: dim must be in \[-1, 0\], got 1",
        ),
        (
            lambda: F.cosine_similarity(ONES(3, int), ONES(3, int), 0),
            TypeError,
            "cosine_similarity: x1 must be of a float",
        ),
        (lambda: F.cosine_similarity(ONES(3), ONES(3, "float32"), 0), TypeError, "x1 and x2 must be of one dtype"),
        (
            lambda: F.pairwise_distance(ONES(3) * 1j, ONES(3)),
            TypeError,
            "pairwise_distance: x1 must be of a real dtype",
        ),
        (lambda: F.pairwise_distance(ONES(3), ONES(3), "2"), TypeError, "pairwise_distance: p must be a number"),
        (lambda: F.pairwise_distance(ONES(3), ONES(2)), ValueError, "pairwise_distance: x2 must be of a shape"),
        (
            lambda: F.pairwise_distance(ONES((2, 0)), ONES((2, 0)), -1),
            ValueError,
            "pairwise_distance: p must be finite",
        ),
        (lambda: F.pdist(ONES(3)), ValueError, "pdist: input must be 2-D"),
        (lambda: F.pdist(ONES((3, 2)), -1), ValueError, "pdist: p must be at least 0, got -1"),
        (lambda: F.pdist(ONES((3, 2)), math.nan), ValueError, "pdist: p must be a number other than NaN"),
        (lambda: F.pdist(ONES((3, 2), int)), TypeError, "pdist: input must be of a floating dtype"),
        (lambda: F.normalize(ONES((3, 2), int)), TypeError, "normalize: input must be of a floating dtype"),
        (lambda: F.normalize(ONES((3, 2)), dim=2), IndexError, "normalize: dim must be in"),
        (lambda: F.normalize(ONES((3, 2)), dim=(1, -1)), ValueError, "normalize: dim must be axes that differ"),
        (lambda: F.normalize(ONES((3, 2)), out=ONES(1)), TypeError, "normalize: out must be None"),
        (lambda: F.normalize(ONES((3, 0)), math.inf), ValueError, "normalize: p must be finite"),
    ],
)
def test_errors(call, error, match):
    with pytest.raises(error, match=match):
        call()


@needs_torch
def test_pdist_counts_no_differences_from_nan():
    import torch

    for rows in ([[np.nan, 1, 2], [1, 1, 3], [1, 1, 2]], [[np.inf, 1], [np.inf, 1], [0, 1]]):
        x = np.array(rows, np.float32)
        assert_close(F.pdist(x, 0), torch.nn.functional.pdist(torch.tensor(x), 0.0), 0, 0)

"""``linear``, ``bilinear``, ``flatten`` and ``unflatten`` against torch."""

import inspect
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import functional as F
from fnn.functional.linear import _bilinear
from tests.oracle import assert_close, check_against_torch, check_transforms, from_torch, needs_torch, rand, to_torch


@needs_torch
@pytest.mark.parametrize("leading", [(), (1,), (4,), (2, 3), (2, 1, 3, 2), (0,), (2, 0)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear(leading, bias):
    import torch.nn.functional as TF

    x, w = rand(1, *leading, 5), rand(2, 3, 5)
    args = (x, w, rand(3, 3)) if bias else (x, w)
    check_against_torch(F.linear, TF.linear, *args, second=leading == (2, 3), rtol=1e-9, atol=1e-12)


@needs_torch
def test_linear_with_a_vector():
    import torch.nn.functional as TF

    check_against_torch(F.linear, TF.linear, rand(1, 2, 5), rand(2, 5), rtol=1e-9)
    check_against_torch(F.linear, TF.linear, rand(1, 5), rand(2, 5), rand(3), rtol=1e-9)
    check_against_torch(F.linear, TF.linear, rand(1, 2, 0), rand(2, 3, 0), rand(3, 3))


@needs_torch
def test_dtypes():
    import torch
    import torch.nn.functional as TF

    arrays = (rand(1, 4, 64), rand(2, 8, 64), rand(3, 8))
    for ours, theirs in ((jnp.bfloat16, torch.bfloat16), (jnp.float16, torch.float16), (jnp.float32, torch.float32)):
        got = F.linear(*(jnp.asarray(a).astype(ours) for a in arrays))
        wanted = TF.linear(*(to_torch(a).to(theirs) for a in arrays))
        assert got.dtype == ours
        eps = float(jnp.finfo(ours).eps)
        assert_close(got.astype(jnp.float32), from_torch(wanted.float()), 4 * eps, 8 * eps)
    pair = (rand(1, 4, 6), rand(2, 4, 5), rand(3, 3, 6, 5), rand(4, 3))
    for ours, theirs in ((jnp.bfloat16, torch.bfloat16), (jnp.float32, torch.float32)):
        got = F.bilinear(*(jnp.asarray(a).astype(ours) for a in pair))
        wanted = TF.bilinear(*(to_torch(a).to(theirs) for a in pair))
        assert got.dtype == ours
        eps = float(jnp.finfo(ours).eps)
        assert_close(got.astype(jnp.float32), from_torch(wanted.float()), 8 * eps, 8 * eps)
    assert F.linear(np.ones((2, 3), np.int64), np.ones((4, 3), np.int64)).tolist() == [[3] * 4] * 2
    assert F.linear(jnp.full((2, 3), 1.0), jnp.ones((4, 3), jnp.bfloat16)).dtype == jnp.bfloat16


@needs_torch
@pytest.mark.parametrize("leading", [(), (3,), (2, 2), (0,)])
@pytest.mark.parametrize("lengths", [(4, 2), (2, 4), (1, 1)])
def test_bilinear(leading, lengths):
    import torch.nn.functional as TF

    x1, x2 = rand(1, *leading, lengths[0]), rand(2, *leading, lengths[1])
    w, b = rand(3, 3, *lengths), rand(4, 3)
    second = leading == (3,)
    check_against_torch(F.bilinear, TF.bilinear, x1, x2, w, b, second=second, rtol=1e-9, atol=1e-12)
    if leading == (3,):
        check_against_torch(F.bilinear, TF.bilinear, x1, x2, w, rtol=1e-9, atol=1e-12)


def test_bilinear_in_blocks_equals_the_whole():
    args = [jnp.asarray(a) for a in (rand(1, 3, 4), rand(2, 3, 5), rand(3, 7, 4, 5), rand(4, 7))]

    def loss(*a, **held):
        return jnp.sum(jnp.sin(_bilinear(*a, **held)))

    value, grads = jax.value_and_grad(loss, (0, 1, 2, 3))(*args)
    blocks = partial(loss, held=24)
    text = str(jax.make_jaxpr(blocks)(*args))
    assert "scan" in text or "while" in text
    value_blocks, grads_blocks = jax.value_and_grad(blocks, (0, 1, 2, 3))(*args)
    assert_close(value_blocks, value, 1e-12)
    for g, b in zip(grads, grads_blocks, strict=True):
        assert_close(b, g, 1e-12)


def test_transforms():
    check_transforms(F.linear, rand(1, 2, 3), rand(2, 4, 3), rand(3, 4))
    check_transforms(F.bilinear, rand(1, 2, 3), rand(2, 2, 2), rand(3, 4, 3, 2), rand(4, 4))
    check_transforms(lambda v: F.flatten(v, 1), rand(1, 2, 3, 2))
    check_transforms(lambda v: F.unflatten(v, 1, (3, -1)), rand(1, 2, 6))


@needs_torch
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4, 5), (0, 3), (2, 0, 3)])
def test_flatten(shape):
    import torch

    x = rand(1, *shape)
    for start in range(-len(shape), max(len(shape), 1)):
        for end in range(-len(shape), max(len(shape), 1)):
            span = max(len(shape), 1)
            if start % span > end % span:
                with pytest.raises(ValueError, match="flatten: start_dim must be at most end_dim"):
                    F.flatten(x, start, end)
                continue
            assert_close(F.flatten(x, start, end), from_torch(torch.flatten(to_torch(x), start, end)))
    assert F.flatten(x).shape == (x.size,)


@needs_torch
@pytest.mark.parametrize(
    ("shape", "dim", "sizes"),
    [((6,), 0, (2, 3)), ((2, 12), 1, (2, -1, 3)), ((2, 12), -1, [12]), ((4, 3), 0, (-1,)), ((0, 2), 0, (0, 5))],
)
def test_unflatten(shape, dim, sizes):
    import torch

    x = rand(1, *shape)
    assert_close(F.unflatten(x, dim, sizes), from_torch(torch.unflatten(to_torch(x), dim, sizes)))


def test_signatures():
    def names(f):
        return [(p.name, p.default) for p in inspect.signature(f).parameters.values()]

    empty = inspect.Parameter.empty
    assert names(F.linear) == [("input", empty), ("weight", empty), ("bias", None)]
    assert names(F.bilinear) == [("input1", empty), ("input2", empty), ("weight", empty), ("bias", None)]
    assert names(F.flatten) == [("input", empty), ("start_dim", 0), ("end_dim", -1)]
    assert names(F.unflatten) == [("input", empty), ("dim", empty), ("sizes", empty)]


ONES = jnp.ones


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: F.linear(ONES((2, 3)), ONES((4, 2))), ValueError, r"linear: input must be of shape \[\*, 2\]"),
        (lambda: F.linear(ONES(()), ONES((4, 2))), ValueError, "linear: input must be at least 1-D"),
        (lambda: F.linear(ONES(3), ONES((4, 2, 3))), ValueError, "linear: weight must be 1-D or 2-D"),
        (lambda: F.linear(ONES(3), ONES((4, 3)), ONES(3)), ValueError, r"linear: bias must be of shape \[4\]"),
        (lambda: F.linear(ONES(3), ONES(3), ONES(1)), ValueError, r"linear: bias must be of shape \[\]"),
        (
            lambda: F.linear(ONES(3), ONES((4, 3), "float32")),
            TypeError,
            "linear: input and weight must be of one dtype",
        ),
        (lambda: F.linear([1.0], ONES((4, 1))), TypeError, "linear: input must be an array"),
        (lambda: F.bilinear(ONES(3), ONES(2), ONES((3, 2))), ValueError, "bilinear: weight must be 3-D"),
        (lambda: F.bilinear(ONES(3), ONES(2), ONES((4, 2, 2))), ValueError, "bilinear: input1 must be of shape"),
        (lambda: F.bilinear(ONES(3), ONES(3), ONES((4, 3, 2))), ValueError, "bilinear: input2 must be of shape"),
        (lambda: F.bilinear(ONES((2, 3)), ONES(2), ONES((4, 3, 2))), ValueError, "bilinear: input2 must be of shape"),
        (lambda: F.bilinear(ONES(()), ONES(()), ONES((4, 3, 2))), ValueError, "bilinear: input1 must be at least 1-D"),
        (lambda: F.bilinear(ONES(3), ONES(2), ONES((4, 3, 2)), ONES(3)), ValueError, "bilinear: bias must be of shape"),
        (
            lambda: F.bilinear(ONES(3), ONES(2, "float32"), ONES((4, 3, 2))),
            TypeError,
            "bilinear: input1 and input2 must be of one dtype",
        ),
        (lambda: F.flatten(ONES((2, 3)), 2), IndexError, r"flatten: start_dim must be in \[-2, 1\], got 2"),
        (lambda: F.flatten(ONES((2, 3)), 0, 2.0), TypeError, "flatten: end_dim must be an int"),
        (lambda: F.unflatten(ONES(6), 0, (4, 2)), ValueError, "unflatten: sizes must be lengths that multiply to 6"),
        (lambda: F.unflatten(ONES(6), 0, (-1, -1)), ValueError, "unflatten: sizes"),
        (lambda: F.unflatten(ONES(6), 0, (4, -1)), ValueError, "unflatten: sizes"),
        (lambda: F.unflatten(ONES((6, 0)), 1, (-1, 0)), ValueError, "unflatten: sizes"),
        (lambda: F.unflatten(ONES(6), 0, (-2, -3)), ValueError, "unflatten: sizes must be at least -1"),
        (lambda: F.unflatten(ONES(6), 0, ()), ValueError, "unflatten: sizes must be non-empty"),
        (lambda: F.unflatten(ONES(6), 0, 6), TypeError, "unflatten: sizes must be a sequence"),
        (lambda: F.unflatten(ONES(6), 1, (6,)), IndexError, "unflatten: dim"),
    ],
)
def test_errors(call, error, match):
    with pytest.raises(error, match=match):
        call()

"""``batchnorm``, ``instancenorm`` and ``normalization`` against PyTorch."""

import jax.numpy as jnp
import numpy as np
import pytest

from fnn import functional as F
from tests.oracle import assert_close, check_against_torch, check_transforms, needs_torch, rand

C = 4
MEAN, VAR, W, B = rand(1, C), rand(2, C, low=0.5), rand(3, C), rand(4, C)


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize("shape", [(5, C), (3, C, 6), (2, C, 3, 4), (2, C, 2, 3, 2)])
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_and_its_update(shape, training):
    import torch

    x = rand(0, *shape)

    def theirs(x, weight, bias):
        mean, var = torch.from_numpy(MEAN.copy()), torch.from_numpy(VAR.copy())
        return torch.nn.functional.batch_norm(x, mean, var, weight, bias, training, 0.3, 1e-3)

    def ours(x, weight, bias):
        return F.batch_norm(x, jnp.asarray(MEAN), jnp.asarray(VAR), weight, bias, training, 0.3, 1e-3)

    check_against_torch(ours, theirs, x, W, B, second=True, rtol=1e-8, atol=1e-10)
    mean, var = torch.from_numpy(MEAN.copy()), torch.from_numpy(VAR.copy())
    torch.nn.functional.batch_norm(torch.from_numpy(x), mean, var, training=True, momentum=0.3)
    new = F.batch_norm_update(x, MEAN, VAR, 0.3)
    assert_close(new[0], mean.numpy(), 1e-12)
    assert_close(new[1], var.numpy(), 1e-12)


@needs_torch
@pytest.mark.parametrize("shape", [(3, C, 6), (2, C, 3, 4)])
def test_instance_norm_and_its_update(shape):
    import torch

    x = rand(0, *shape)

    def theirs(x, weight, bias):
        return torch.nn.functional.instance_norm(x, weight=weight, bias=bias)

    def ours(x, weight, bias):
        return F.instance_norm(x, weight=weight, bias=bias)

    check_against_torch(ours, theirs, x, W, B, second=True, rtol=1e-8, atol=1e-10)
    mean, var = torch.from_numpy(MEAN.copy()), torch.from_numpy(VAR.copy())
    torch.nn.functional.instance_norm(torch.from_numpy(x), mean, var, momentum=0.3)
    new = F.instance_norm_update(x, MEAN, VAR, 0.3)
    assert_close(new[0], mean.numpy(), 1e-12)
    assert_close(new[1], var.numpy(), 1e-12)
    expected = torch.nn.functional.instance_norm(torch.from_numpy(x), mean, var, use_input_stats=False)
    assert_close(F.instance_norm(x, mean.numpy(), var.numpy(), use_input_stats=False), expected.numpy(), 1e-10)


def test_a_variance_beyond_the_largest_float16_weighs_by_its_momentum():
    x = jnp.asarray([[-400.0], [400.0]], jnp.float16)  # variance 320000
    _, var = F.batch_norm_update(x, jnp.zeros(1, jnp.float16), jnp.full(1, 2.0, jnp.float16), 0.1)
    assert_close(var, [32000], 1e-3)
    _, var = F.batch_norm_update(x, jnp.zeros(1, jnp.float16), jnp.full(1, 2.0, jnp.float16), 0.0)
    assert_close(var, [2])


@pytest.mark.one_in(2)
@needs_torch
@pytest.mark.parametrize(("shape", "normalized"), [((3, 5), (5,)), ((2, 3, 4), (3, 4)), ((6,), (6,)), ((0, 3), (3,))])
def test_layer_and_rms_norm(shape, normalized):
    import torch

    f = torch.nn.functional
    x, w, b = rand(0, *shape), rand(1, *normalized), rand(2, *normalized)

    def pair(name, *options):
        return lambda x, *rest: getattr(F, name)(x, normalized, *rest, *options), (
            lambda x, *rest: getattr(f, name)(x, normalized, *rest, *options)
        )

    check_against_torch(*pair("layer_norm"), x, w, b, second=True, rtol=1e-8, atol=1e-10)
    check_against_torch(*pair("layer_norm"), x, rtol=1e-9, atol=1e-11)
    check_against_torch(*pair("rms_norm"), x, w, rtol=1e-9, atol=1e-11)
    check_against_torch(*pair("rms_norm", 1e-2), x, w, rtol=1e-9, atol=1e-11)


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize("shape", [(3, C), (2, C, 3), (2, C, 2, 3)])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_group_norm(shape, groups):
    import torch

    if len(shape) == 2 and groups == C:
        x = rand(0, *shape)
        assert_close(F.group_norm(x, groups), np.zeros(shape))
        return
    check_against_torch(
        lambda x, w, b: F.group_norm(x, groups, w, b),
        lambda x, w, b: torch.nn.functional.group_norm(x, groups, w, b),
        rand(0, *shape),
        W,
        B,
        rtol=1e-8,
        atol=1e-10,
    )


@needs_torch
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_local_response_norm(size):
    import torch

    for shape in ((2, 5, 3), (2, 5, 3, 2)):
        check_against_torch(
            lambda x: F.local_response_norm(x, size, 0.5, 0.6, 2.0),
            lambda x: torch.nn.functional.local_response_norm(x, size, 0.5, 0.6, 2.0),
            rand(0, *shape),
            rtol=1e-9,
            atol=1e-12,
        )


def test_transforms():
    x = rand(0, 3, C, 5)
    check_transforms(lambda x, w, b: F.batch_norm(x, None, None, w, b, True), x, W, B)
    check_transforms(lambda x, m, v: F.batch_norm(x, m, v), x, MEAN, VAR)
    check_transforms(lambda x, w, b: F.layer_norm(x, (5,), w, b), x, rand(1, 5), rand(2, 5))
    check_transforms(lambda x, w: F.group_norm(x, 2, w), x, W)
    check_transforms(lambda x, w: F.rms_norm(x, (5,), w), x, rand(1, 5))
    check_transforms(lambda x: F.local_response_norm(x, 2), x)
    check_transforms(
        lambda x: F.batch_norm_update(x, jnp.asarray(MEAN), jnp.asarray(VAR), 0.1), x, differentiable=False
    )


def test_statistics_of_a_large_batch():
    x = 2 * rand(0, 1000, 2) + 3
    out = np.asarray(F.batch_norm(x, None, None, training=True, eps=1e-30))
    assert_close(out.mean(0), np.zeros(2), atol=1e-12)
    assert_close(out.var(0), np.ones(2), 1e-12)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_dtypes(dtype):
    x = jnp.asarray(rand(0, 4, C), dtype)
    assert F.batch_norm(x, None, None, training=True).dtype == dtype
    assert F.batch_norm(x, None, None, jnp.ones(C, jnp.float32), training=True).dtype == dtype
    assert F.layer_norm(x, (C,)).dtype == dtype
    assert F.rms_norm(x, (C,)).dtype == dtype
    assert F.group_norm(x, 2).dtype == dtype
    assert_close(F.layer_norm(x, (C,)).astype(jnp.float64), F.layer_norm(rand(0, 4, C), (C,)), 0.05, 0.05)


X = rand(0, 3, C, 5)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: F.batch_norm(X[0, 0], MEAN, VAR), ValueError, "batch_norm: input must be at least 2-D"),
        (lambda: F.batch_norm(X, MEAN[:2], VAR), ValueError, r"running_mean must be of shape \[4\]"),
        (lambda: F.batch_norm(X, None, None), RuntimeError, "running_mean and running_var must be given"),
        (lambda: F.batch_norm(X[:1, :, 0], None, None, training=True), ValueError, "more than 1 value per channel"),
        (lambda: F.batch_norm(X.astype(int), MEAN, VAR), TypeError, "of a floating dtype"),
        (
            lambda: F.batch_norm(X, MEAN.astype(np.float32), VAR),
            TypeError,
            "input and running_mean must be of one dtype",
        ),
        (lambda: F.batch_norm(X, MEAN, VAR, eps=-1.0), ValueError, "eps must be at least 0"),
        (lambda: F.batch_norm_update(X, MEAN, VAR, None), TypeError, "momentum must be a number"),
        (lambda: F.batch_norm_update(X[:1, :, 0], MEAN, VAR), ValueError, "more than 1 value per channel"),
        (lambda: F.instance_norm_update(X[..., :1], MEAN, VAR), ValueError, "of more than 1 position"),
        (lambda: F.instance_norm(X[:, :, 0]), ValueError, "instance_norm: input must be at least 3-D"),
        (lambda: F.instance_norm(X[..., :1]), ValueError, "of more than 1 position"),
        (lambda: F.instance_norm(X, use_input_stats=False), RuntimeError, "must be given when use_input_stats"),
        (lambda: F.layer_norm(X, (4,)), ValueError, r"layer_norm: input must be of shape \[\*, 4\]"),
        (lambda: F.layer_norm(X, ()), ValueError, "normalized_shape must be of at least 1"),
        (lambda: F.layer_norm(X, (5,), W), ValueError, r"weight must be of shape \[5\]"),
        (lambda: F.layer_norm(X, 5), TypeError, "normalized_shape must be a tuple of ints"),
        (lambda: F.rms_norm(X, (5,), np.ones(4)), ValueError, r"weight must be of shape \[5\]"),
        (lambda: F.group_norm(X, 3), ValueError, "num_groups must be a divisor of the 4 channels"),
        (lambda: F.group_norm(X, 0), ValueError, "num_groups must be at least 1"),
        (lambda: F.local_response_norm(X[0], 2), ValueError, "at least 3-D"),
        (lambda: F.local_response_norm(X, 0), ValueError, "size must be at least 1"),
    ],
)
def test_bad_input_raises(call, error, match):
    with pytest.raises(error, match=match):
        call()


@needs_torch
def test_signatures_are_torchs():
    import inspect

    import torch

    for name in ("batch_norm", "instance_norm", "layer_norm", "group_norm", "rms_norm", "local_response_norm"):
        ours = inspect.signature(getattr(F, name)).parameters
        theirs = inspect.signature(getattr(torch.nn.functional, name)).parameters
        mine = [(p.name, p.default) for p in ours.values() if p.name != "axis_name"]  # keyword only, for spread batches
        assert mine == [(p.name, p.default) for p in theirs.values()]

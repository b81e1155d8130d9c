"""Pooling against PyTorch: values, gradients, indices, ties, NaN, options and errors."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import functional as F
from fnn.functional import pooling
from tests.functional.families import function_names
from tests.oracle import assert_close, check_against_torch, check_transforms, needs_torch, rand

MAX = [
    (1, (2, 3, 9), {"kernel_size": 3, "stride": 2, "padding": 1}),
    (1, (3, 9), {"kernel_size": 2, "dilation": 3, "ceil_mode": True}),
    (2, (2, 2, 7, 8), {"kernel_size": 3, "stride": 2, "padding": 1}),
    (
        2,
        (2, 2, 7, 8),
        {"kernel_size": (2, 3), "stride": (2, 1), "padding": (1, 0), "dilation": (2, 1), "ceil_mode": True},
    ),
    (2, (2, 9, 9), {"kernel_size": 6, "stride": 2, "padding": 3}),
    (3, (1, 2, 4, 5, 4), {"kernel_size": 2, "ceil_mode": True}),
]
AVG = [
    (1, (2, 3, 9), {"kernel_size": 3, "stride": 2, "padding": 1}),
    (2, (2, 2, 7, 8), {"kernel_size": (3, 2), "stride": 2, "padding": 1, "ceil_mode": True}),
    (2, (2, 7, 8), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False}),
    (3, (1, 2, 4, 5, 4), {"kernel_size": 2, "divisor_override": 3}),
]


def theirs(name):
    import torch.nn.functional as TF

    return getattr(TF, name)


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize(("n", "shape", "options"), MAX)
def test_max_pool(n, shape, options):
    check_against_torch(
        getattr(F, f"max_pool{n}d"),
        theirs(f"max_pool{n}d"),
        rand(0, *shape),
        return_indices=True,
        second=True,
        **options,
    )


@needs_torch
@pytest.mark.parametrize(("n", "shape", "options"), AVG)
def test_avg_pool(n, shape, options):
    check_against_torch(getattr(F, f"avg_pool{n}d"), theirs(f"avg_pool{n}d"), rand(0, *shape), **options)


@needs_torch
@pytest.mark.parametrize("kernel", [3, 6])
@pytest.mark.parametrize("values", [[0.0, 1.0], [0.0, np.nan, 1.0], [-np.inf], [np.inf, -np.inf, np.nan]])
def test_ties_nan_and_infinities(kernel, values):
    x = np.random.default_rng(0).choice(values, (1, 2, 9, 9))
    options = {"kernel_size": kernel, "stride": 2, "padding": 1, "return_indices": True}
    check_against_torch(F.max_pool2d, theirs("max_pool2d"), x, **options)
    check_against_torch(F.adaptive_max_pool2d, theirs("adaptive_max_pool2d"), x, (4, 2), return_indices=True)


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize(
    ("n", "shape", "size"),
    [(1, (2, 7), 3), (1, (1, 2, 8), 4), (2, (2, 2, 7, 5), (3, None)), (2, (2, 4, 3), (1, 5)), (3, (1, 2, 4, 5, 3), 2)],
)
def test_adaptive(n, shape, size):
    x = rand(1, *shape)
    check_against_torch(getattr(F, f"adaptive_avg_pool{n}d"), theirs(f"adaptive_avg_pool{n}d"), x, size, second=True)
    name = f"adaptive_max_pool{n}d"
    check_against_torch(getattr(F, name), theirs(name), x, size, return_indices=True)


@pytest.mark.parametrize("size", [2, 3])
def test_adaptive_without_a_batch(size):
    x = jnp.ones((0, 2, 6, 5))
    for f in (F.adaptive_avg_pool2d, F.adaptive_max_pool2d):
        value, pull = jax.vjp(lambda x, f=f: f(x, size), x)
        assert pull(value)[0].shape == x.shape
        assert [v.shape for v in jax.tree.leaves(value)] == [(0, 2, size, size)]
    assert F.adaptive_max_pool2d_with_indices(x, size)[1].shape == (0, 2, size, size)


@needs_torch
@pytest.mark.parametrize(("n", "p"), [(1, 2), (2, 3), (2, 1.5), (3, 2)])
def test_lp(n, p):
    x = rand(2, 2, 2, *[5] * n, low=0.1)
    name = f"lp_pool{n}d"
    check_against_torch(getattr(F, name), theirs(name), x, p, 2, ceil_mode=True, second=True)


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize("shape", [(2, 3, 9, 8), (3, 9, 8), (2, 2, 6, 7, 8)])
@pytest.mark.parametrize("size", [3, 1])
def test_fractional(shape, size):
    n = 3 if len(shape) == 5 else 2
    samples = rand(3, shape[0] if len(shape) > 3 else 1, shape[-n - 1], n, low=0.0)
    name = f"fractional_max_pool{n}d"
    f, g = getattr(F, name), theirs(name)
    check_against_torch(
        lambda x: f(x, 2, size, return_indices=True, _random_samples=samples),
        lambda x: g(x, 2, size, return_indices=True, _random_samples=__import__("torch").from_numpy(samples)),
        rand(4, *shape),
    )


@needs_torch
@pytest.mark.parametrize("n", [1, 2, 3])
def test_unpool(n):
    values, at = getattr(F, f"max_pool{n}d_with_indices")(rand(5, 2, 2, *[5] * n), 2)
    name = f"max_unpool{n}d"
    check_against_torch(getattr(F, name), theirs(name), np.asarray(values), np.asarray(at), 2, output_size=[5] * n)


@needs_torch
def test_signatures():
    import torch.nn.functional as TF

    for name in function_names(pooling):
        wanted = getattr(TF, name)
        try:
            expected = [(k, v.default) for k, v in inspect.signature(wanted).parameters.items()]
        except ValueError:
            continue
        if expected and expected[0][0] == "args":
            continue
        ours = inspect.signature(getattr(F, name)).parameters.items()
        actual = [(k, v.default) for k, v in ours if v.kind is not inspect.Parameter.KEYWORD_ONLY]
        assert actual == expected, name


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    "f",
    [
        lambda x: F.max_pool2d(x, 2),
        lambda x: F.max_pool2d(x, 6, 1),
        lambda x: F.avg_pool2d(x, 3, 2, 1),
        lambda x: F.lp_pool2d(x, 2, 2),
        lambda x: F.adaptive_avg_pool2d(x, 4),
        lambda x: F.adaptive_max_pool2d(x, 4),
        lambda x: F.fractional_max_pool2d(x, 2, 3, rng=jax.random.key(0)),
        lambda x: F.max_unpool2d(x, jnp.arange(98).reshape(2, 7, 7) % 49, 2),
    ],
)
def test_transforms(f):
    check_transforms(f, rand(6, 2, 7, 7))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_dtypes(dtype):
    x = jnp.asarray(rand(7, 1, 2, 6, 6), dtype)
    for f in (F.max_pool2d, F.avg_pool2d, F.adaptive_avg_pool2d, F.adaptive_max_pool2d):
        out = f(x, 2)
        assert out.dtype == dtype
        assert_close(out.astype(jnp.float64), f(x.astype(jnp.float64), 2), 1e-2, 1e-3)


def test_zero_window_of_lp_has_zero_gradient():
    assert_close(jax.grad(lambda x: F.lp_pool1d(x, 2, 2).sum())(jnp.zeros((1, 4))), np.zeros((1, 4)))


def test_errors():
    x = jnp.ones((1, 2, 6, 6))
    with pytest.raises(ValueError, match="max_pool2d: input must be 3-D or 4-D"):
        F.max_pool2d(x[0, 0], 2)
    with pytest.raises(ValueError, match="padding must be at most half"):
        F.avg_pool2d(x, 2, padding=2)
    with pytest.raises(ValueError, match="kernel_size must be at least 1"):
        F.max_pool2d(x, 0)
    with pytest.raises(ValueError, match="divisor_override must be nonzero"):
        F.avg_pool2d(x, 2, divisor_override=0)
    with pytest.raises(ValueError, match="large enough for a window"):
        F.max_pool2d(x, 7)
    with pytest.raises(TypeError, match="floating dtype"):
        F.avg_pool2d(x.astype(int), 2)
    with pytest.raises(ValueError, match="output_size must be at least 0"):
        F.adaptive_avg_pool2d(x, -1)
    with pytest.raises(ValueError, match="output_ratio"):
        F.fractional_max_pool2d(x, 2)
    with pytest.raises(IndexError, match="indices"):
        F.max_unpool2d(x, jnp.full(x.shape, 999), 2)
    assert bool(jnp.isnan(jax.jit(lambda i: F.max_unpool2d(x, i, 2))(jnp.full(x.shape, 999))).all())

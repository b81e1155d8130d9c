"""``unfold`` and ``fold`` against PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn.functional.fold import fold, unfold
from tests.oracle import assert_close, check_against_torch, check_transforms, needs_torch, rand

OPTIONS = [
    {"kernel_size": 2},
    {"kernel_size": (2, 3), "stride": (1, 2), "padding": (1, 0)},
    {"kernel_size": (3, 2), "dilation": (1, 2), "padding": 2, "stride": 2},
    {"kernel_size": [2, 1], "dilation": (2, 1), "padding": [1, 0], "stride": [3, 1]},
    {"kernel_size": 1, "stride": 5},
]


def columns(options, shape):
    return unfold(rand(0, *shape), **options).shape


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("shape", [(2, 3, 6, 7), (2, 5, 5)])
def test_against_torch(options, shape):
    import torch.nn.functional as TF

    check_against_torch(unfold, TF.unfold, rand(0, *shape), **options)
    x = rand(1, *columns(options, shape))
    check_against_torch(fold, TF.fold, x, output_size=shape[-2:], **options)


@needs_torch
def test_signatures():
    import inspect

    import torch.nn.functional as TF

    for ours in (unfold, fold):
        theirs = inspect.signature(getattr(TF, ours.__name__))
        mine = [(p.name, p.default) for p in inspect.signature(ours).parameters.values()]
        assert mine == [(p.name, p.default) for p in theirs.parameters.values()]


def test_transforms():
    check_transforms(lambda x: unfold(x, 2, padding=1), rand(0, 1, 2, 3, 4))
    check_transforms(lambda x: fold(x, (3, 4), 2, stride=(1, 2)), rand(0, 1, 8, 4))


def test_fold_is_the_transpose_of_unfold():
    x, y = rand(0, 2, 3, 6, 5), rand(1, 2, 12, 12)
    options = {"kernel_size": 2, "dilation": 2, "stride": (1, 1), "padding": 0}
    pulled = jax.vjp(lambda x: unfold(x, **options), x)[1](jnp.asarray(y))[0]
    assert_close(fold(y, (6, 5), **options), pulled)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_dtypes_and_empty_batches(dtype):
    x = jnp.asarray(rand(0, 2, 3, 4, 4), dtype)
    out = unfold(x, 2)
    assert out.dtype == dtype
    assert_close(np.asarray(out[0, :4, 0], np.float64), np.asarray(x[0, 0, :2, :2], np.float64).reshape(-1))
    assert fold(out, 4, 2).dtype == dtype
    assert unfold(x[:0], 2).shape == (0, 12, 9)
    assert fold(out[:0], 4, 2).shape == (0, 3, 4, 4)


BAD = [
    (
        lambda: unfold(rand(0, 3, 4), 2),
        ValueError,
        r"unfold: input must be \(N, C, H, W\) or \(C, H, W\).*float64\[3, 4\]",
    ),
    (lambda: unfold(rand(0, 2, 0, 4, 4), 2), ValueError, "no empty axis but N"),
    (lambda: unfold(np.ones((1, 1, 4, 4), int), 2), TypeError, "unfold: input"),
    (lambda: unfold(rand(0, 1, 1, 4, 4), 5), ValueError, "at least as large as a block"),
    (lambda: unfold(rand(0, 1, 1, 4, 4), 0), ValueError, "kernel_size must be positive, got 0"),
    (lambda: unfold(rand(0, 1, 1, 4, 4), 2, padding=-1), ValueError, "padding must be non-negative, got -1"),
    (lambda: unfold(rand(0, 1, 1, 4, 4), (2, 2, 2)), ValueError, "kernel_size must be an integer or two"),
    (lambda: unfold(rand(0, 1, 1, 4, 4), 2.5), TypeError, "kernel_size"),
    (lambda: fold(rand(0, 1, 1, 4, 4), 4, 2), ValueError, "fold: input must be"),
    (lambda: fold(rand(0, 1, 6, 9), 4, 2), ValueError, "rows that the kernel's 4 elements divide"),
    (lambda: fold(rand(0, 1, 4, 8), 4, 2), ValueError, r"of 9 columns, one for each of the \(3, 3\) blocks"),
    (lambda: fold(rand(0, 1, 4, 9), 1, 2), ValueError, "of 0 columns"),
    (lambda: fold(rand(0, 1, 4, 9), 0, 2), ValueError, "output_size must be positive"),
    (lambda: fold(rand(0, 1, 4, 9), 4, 2, stride=0), ValueError, "stride must be positive"),
    (lambda: fold(rand(0, 1, 4, 9), 4, 2, dilation=0), ValueError, "dilation must be positive"),
]


@pytest.mark.parametrize("i", range(len(BAD)))
def test_errors(i):
    call, kind, message = BAD[i]
    with pytest.raises(kind, match=message):
        call()

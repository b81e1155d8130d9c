"""``ctc_loss`` against torch behind log_softmax, and the contract of the library."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn.functional.loss import ctc_loss
from tests.oracle import assert_close, check_against_torch, check_transforms, needs_torch, rand

PADDED = np.array([[1, 2, 2], [3, 3, 4], [1, 0, 0]])
CONCATENATED = np.array([1, 2, 2, 3, 3, 4, 1])
INPUTS, TARGETS = np.array([6, 5, 4]), np.array([3, 3, 1])


def log_probs(seed=3, *shape):
    x = rand(seed, *(shape or (6, 3, 5)), low=-2, high=2)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def ours(x, *args, **options):
    return ctc_loss(jax.nn.log_softmax(x, -1), *args, **options)


def theirs(x, *args, **options):
    import torch.nn.functional as TF

    return TF.ctc_loss(x.log_softmax(-1), *args, **options)


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("targets", [PADDED, CONCATENATED])
def test_against_torch(reduction, targets):
    check_against_torch(ours, theirs, rand(1, 6, 3, 5), targets, INPUTS, TARGETS, reduction=reduction)


@pytest.mark.slow
@needs_torch
def test_options_against_torch():
    x = rand(2, 6, 3, 5, low=-3, high=3)
    check_against_torch(ours, theirs, x, np.where(PADDED == 4, 0, PADDED), INPUTS, TARGETS, blank=4)
    short = np.array([3, 3, 3])
    # One step too few for a repeated label: an infinite loss.
    for reduction in ("none", "mean"):
        check_against_torch(ours, theirs, x, PADDED, short, TARGETS, reduction=reduction, zero_infinity=True)
    check_against_torch(ours, theirs, x, PADDED, short, TARGETS, reduction="none", grad=False)
    check_against_torch(ours, theirs, x, PADDED, INPUTS, TARGETS * 0)
    check_against_torch(ours, theirs, x, PADDED[:, :0], INPUTS, TARGETS * 0, reduction="none")
    check_against_torch(ours, theirs, x, PADDED, INPUTS * 0, np.array([0, 3, 1]), reduction="none", grad=False)
    check_against_torch(ours, theirs, x[:, 0], PADDED[0], np.array(6), np.array(3))
    check_against_torch(ours, theirs, x[:, 0], PADDED[0], np.array(6), np.array(3), reduction="none")


def test_sequences_of_lengths_and_integer_dtypes():
    x = log_probs()
    expected = ctc_loss(x, PADDED, INPUTS, TARGETS)
    assert_close(ctc_loss(x, CONCATENATED.astype(np.uint8), [6, 5, 4], (3, 3, 1)), expected)
    assert_close(jax.jit(lambda *a: ctc_loss(*a))(x, CONCATENATED, INPUTS, TARGETS), expected)


def test_sum_over_all_alignments_by_enumeration():
    import itertools

    x = log_probs(9, 4, 3)
    total = 0.0
    for path in itertools.product(range(3), repeat=4):
        kept = [c for i, c in enumerate(path) if c != 0 and (i == 0 or path[i - 1] != c)]
        if kept == [1, 2]:
            total += np.exp(sum(x[t, c] for t, c in enumerate(path)))
    assert_close(ctc_loss(x, np.array([1, 2]), (4,), (2,), reduction="none"), -np.log(total))


def test_true_derivative_in_log_probs():
    x = jnp.asarray(log_probs())
    f = lambda v: ctc_loss(v, PADDED, INPUTS, TARGETS)  # noqa: E731
    direction = jnp.asarray(rand(8, 6, 3, 5))
    numeric = (f(x + 1e-5 * direction) - f(x - 1e-5 * direction)) / 2e-5
    assert_close(jnp.sum(jax.grad(f)(x) * direction), numeric, 1e-7)


@pytest.mark.slow
def test_transforms():
    check_transforms(lambda x, t, i, s: ctc_loss(x, t, i, s, reduction="none"), log_probs(), PADDED, INPUTS, TARGETS)
    hessian = jax.hessian(lambda x: ctc_loss(x, PADDED[:1], (2,), (2,), zero_infinity=True))(log_probs(4, 3, 1, 5))
    assert bool(jnp.isfinite(hessian).all())


def test_impossible_targets_have_finite_gradients():
    for zero in (False, True):
        grad = jax.grad(lambda v, z=zero: ctc_loss(v, PADDED, (3, 3, 3), TARGETS, zero_infinity=z))(log_probs())
        assert bool(jnp.isfinite(grad).all())
    minus = jnp.asarray(log_probs()).at[:, 0, 1].set(-jnp.inf)
    assert ctc_loss(minus, PADDED, INPUTS, TARGETS, reduction="none")[0] == jnp.inf
    assert np.isnan(ctc_loss(minus * jnp.nan, PADDED, INPUTS, TARGETS, zero_infinity=True))


def test_dtypes():
    x = log_probs()
    expected = np.asarray(ctc_loss(x, PADDED, INPUTS, TARGETS))
    for dtype, tol in (("float32", 1e-6), ("bfloat16", 2e-2), ("float16", 3e-3)):
        out = ctc_loss(jnp.asarray(x, dtype), PADDED, INPUTS, TARGETS)
        assert out.dtype == dtype
        assert_close(np.asarray(out, np.float64), expected, tol)


def test_values_out_of_range():
    x = log_probs()
    run = jax.jit(lambda t, i, s: ctc_loss(x, t, i, s, reduction="none"))
    bad = PADDED.copy()
    bad[1, 0] = 5
    with pytest.raises(IndexError, match=r"ctc_loss: targets must be in \[0, 4\], got 5"):
        ctc_loss(x, bad, INPUTS, TARGETS)
    assert np.isnan(run(bad, INPUTS, TARGETS)).tolist() == [False, True, False]
    bad[1, 0], bad[2, 2] = 3, 99
    assert_close(ctc_loss(x, bad, INPUTS, TARGETS), ctc_loss(x, PADDED, INPUTS, TARGETS))
    with pytest.raises(ValueError, match=r"ctc_loss: input_lengths must be in \[0, 6\], got 7"):
        ctc_loss(x, PADDED, INPUTS + 1, TARGETS)
    with pytest.raises(ValueError, match=r"ctc_loss: target_lengths must be in \[0, 3\], got 4"):
        ctc_loss(x, PADDED, INPUTS, TARGETS + 1)
    assert np.isnan(run(PADDED, INPUTS + 1, TARGETS)).tolist() == [True, False, False]
    assert np.isnan(run(PADDED, INPUTS, TARGETS - 2)).tolist() == [False, False, True]


def test_errors():
    x = log_probs()
    with pytest.raises(ValueError, match=r"ctc_loss: blank must be in \[0, 4\], got 5"):
        ctc_loss(x, PADDED, INPUTS, TARGETS, blank=5)
    with pytest.raises(ValueError, match="ctc_loss: reduction must be one of"):
        ctc_loss(x, PADDED, INPUTS, TARGETS, reduction="average")
    with pytest.raises(ValueError, match="ctc_loss: targets must be of length 7, the sum of target_lengths"):
        ctc_loss(x, CONCATENATED[:-1], INPUTS, TARGETS)
    with pytest.raises(ValueError, match=r"ctc_loss: input_lengths must be of shape \[3\]"):
        ctc_loss(x, PADDED, INPUTS[:2], TARGETS)
    with pytest.raises(ValueError, match=r"ctc_loss: targets must be of shape \[3, \*\]"):
        ctc_loss(x, PADDED[:2], INPUTS, TARGETS)
    with pytest.raises(TypeError, match="ctc_loss: target_lengths must be of an integer dtype"):
        ctc_loss(x, PADDED, INPUTS, TARGETS.astype(float))
    with pytest.raises(TypeError, match="ctc_loss: log_probs must be of a floating dtype"):
        ctc_loss(x.astype(int), PADDED, INPUTS, TARGETS)
    with pytest.raises(ValueError, match="ctc_loss: log_probs must be not empty"):
        ctc_loss(x[:0], PADDED, INPUTS * 0, TARGETS)
    with pytest.raises(ValueError, match="ctc_loss: log_probs must be 2-D or 3-D"):
        ctc_loss(x[None], PADDED, INPUTS, TARGETS)

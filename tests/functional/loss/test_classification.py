"""``cross_entropy`` and ``nll_loss`` against torch, closed formulas and the contract of the library."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn.functional.loss import cross_entropy, nll_loss
from tests.oracle import assert_close, check_against_torch, check_transforms, needs_torch, rand

SLOW = pytest.mark.slow
SHAPES = [(5,), (3, 5), (2, 4, 3), *(pytest.param(s, marks=SLOW) for s in ((2, 3, 2, 2), (1, 1), (2, 3, 2, 1, 2)))]
REDUCTIONS = ["none", "mean", "sum"]


def targets(shape, ignore=None, seed=0):
    """Class targets for an input of the shape; every third is ``ignore`` if given."""
    axis = 0 if len(shape) == 1 else 1
    full = shape[:axis] + shape[axis + 1 :]
    values = np.random.default_rng(seed).integers(0, shape[axis], full)
    if ignore is not None and values.ndim:
        values.reshape(-1)[::3] = ignore
    return values


def probabilities(shape):
    values = np.exp(rand(5, *shape))
    return values / values.sum(0 if len(shape) == 1 else 1, keepdims=True)


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("weighted", [pytest.param(False, marks=SLOW), True])
def test_index_targets_against_torch(shape, weighted):
    import torch.nn.functional as TF

    classes = shape[0] if len(shape) == 1 else shape[1]
    # The weight is bound here: torch has no gradient for it with class targets.
    weight = rand(1, classes, low=0.1, high=2.0) if weighted else None
    x = rand(2, *shape, low=-4, high=4)
    for reduction, smoothing, ignore in [("none", 0.0, -100), ("mean", 0.1, -100), ("sum", 0.3, 0), ("mean", 0.0, 0)]:
        options = {"reduction": reduction, "ignore_index": ignore}
        t = targets(shape, ignore)
        if t.ndim == 0 and ignore == 0:
            t = np.asarray(classes - 1)

        def bound(f, w, t=t):
            return lambda v, **k: f(v, t, weight=w, **k)

        import torch

        tt, tw = torch.from_numpy(t), None if weight is None else torch.from_numpy(weight)
        check_against_torch(
            bound(cross_entropy, weight),
            lambda v, tt=tt, tw=tw, **k: TF.cross_entropy(v, tt, weight=tw, **k),
            x,
            second=shape == (3, 5),
            label_smoothing=smoothing,
            **options,
        )
        check_against_torch(
            bound(nll_loss, weight), lambda v, tt=tt, tw=tw, **k: TF.nll_loss(v, tt, weight=tw, **k), x, **options
        )


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize("shape", SHAPES)
def test_probability_targets_against_torch(shape):
    import torch.nn.functional as TF

    classes = shape[0] if len(shape) == 1 else shape[1]
    x, p, w = rand(2, *shape, low=-4, high=4), probabilities(shape), rand(1, classes, low=0.1, high=2.0)
    check_against_torch(cross_entropy, TF.cross_entropy, x, p)
    check_against_torch(cross_entropy, TF.cross_entropy, x, p, w, reduction="none", label_smoothing=0.2, second=True)
    check_against_torch(cross_entropy, TF.cross_entropy, x, p, w, reduction="sum", label_smoothing=1.0)


def test_mean_is_the_weighted_mean_of_the_kept_positions():
    x, t = rand(3, 10, 5, 4), targets((10, 5, 4))
    w = rand(4, 5, low=0.1, high=1.0)
    log_probs = np.asarray(x - np.log(np.exp(x).sum(1, keepdims=True)))
    kept = t != 1
    picked = np.take_along_axis(log_probs, t[:, None], 1)[:, 0]
    expected = -(w[t] * picked)[kept].sum() / w[t][kept].sum()
    assert_close(cross_entropy(x, t, weight=w, ignore_index=1), expected)
    assert_close(nll_loss(log_probs, t, weight=w, ignore_index=1), expected)


@pytest.mark.parametrize(("reduction", "smoothing"), [("mean", 0.1), pytest.param("none", 0.0, marks=SLOW)])
def test_transforms(reduction, smoothing):
    x, t, w = rand(3, 4, 3), targets((4, 3)), rand(4, 3, low=0.1, high=1.0)
    check_transforms(
        lambda x, t, w: cross_entropy(x, t, w, reduction=reduction, label_smoothing=smoothing, ignore_index=1), x, t, w
    )
    check_transforms(lambda x, t, w: nll_loss(x, t, w, reduction=reduction), x, t, w)
    check_transforms(lambda x, p, w: cross_entropy(x, p, w, label_smoothing=smoothing), x, probabilities((4, 3)), w)


@needs_torch
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_dtypes(dtype):
    import torch
    import torch.nn.functional as TF

    x, t, p = rand(7, 6, 5, low=-5, high=5), targets((6, 5), -100), probabilities((6, 5))
    mine, theirs = jnp.asarray(x, dtype), torch.from_numpy(x).to(getattr(torch, dtype))
    tol = {"float32": 1e-6, "bfloat16": 2e-2, "float16": 3e-3}[dtype]
    for reduction in REDUCTIONS:
        out = cross_entropy(mine, t, reduction=reduction)
        assert out.dtype == dtype
        expected = TF.cross_entropy(theirs, torch.from_numpy(t), reduction=reduction).float().numpy()
        assert_close(np.asarray(out, np.float32), expected, tol, tol)
    out = cross_entropy(mine, jnp.asarray(p, dtype))
    assert out.dtype == dtype
    expected = TF.cross_entropy(theirs, torch.from_numpy(p).to(theirs.dtype)).float().numpy()
    assert_close(np.asarray(out, np.float32), expected, tol, tol)
    assert jax.grad(lambda v: cross_entropy(v, t).astype(jnp.float32))(mine).dtype == dtype


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.uint32, np.int64])
def test_target_dtypes(dtype):
    x, t = rand(7, 6, 5), targets((6, 5))
    assert_close(cross_entropy(x, t.astype(dtype), ignore_index=2), cross_entropy(x, t, ignore_index=2))
    # An ignore_index that the dtype cannot hold ignores nothing.
    assert_close(cross_entropy(x, t.astype(dtype), ignore_index=-(2**40)), cross_entropy(x, t))


@needs_torch
def test_extremes_against_torch():
    import torch
    import torch.nn.functional as TF

    inf, nan = np.inf, np.nan
    rows = np.array(
        [[1.0, -inf, 2.0], [-inf, -inf, -inf], [inf, 0.0, 1.0], [nan, 0.0, 1.0], [1e30, 0.0, -1e30], [3.0, 3.0, 3.0]]
    )
    for column in range(3):
        t = np.full(6, column)
        for smoothing in (0.0, 0.1):
            expected = TF.cross_entropy(
                torch.from_numpy(rows), torch.from_numpy(t), reduction="none", label_smoothing=smoothing
            )
            assert_close(
                cross_entropy(rows, t, reduction="none", label_smoothing=smoothing), expected.numpy(), what=str(column)
            )
        assert_close(
            nll_loss(rows, t, np.array([1.0, 0.0, 2.0]), reduction="none"),
            TF.nll_loss(
                torch.from_numpy(rows),
                torch.from_numpy(t),
                torch.tensor([1.0, 0.0, 2.0], dtype=torch.float64),
                reduction="none",
            ).numpy(),
        )


def test_a_masked_logit_gives_a_finite_gradient():
    x = jnp.array([[1.0, -jnp.inf, 2.0]])
    grad = jax.grad(lambda v: cross_entropy(v, np.array([0])))(x)
    p = np.exp(1.0) / (np.exp(1.0) + np.exp(2.0))
    assert_close(grad, [[p - 1, 0.0, 1 - p]])


def test_large_logits_keep_their_difference():
    x = jnp.array([[1e8, 1e8 - 1.0]], jnp.float64)
    assert_close(cross_entropy(x, np.array([0])), np.log1p(np.exp(-1.0)), 1e-12)


@pytest.mark.parametrize("function", [cross_entropy, nll_loss])
def test_empty_batches_and_no_kept_target(function):
    x, t = np.zeros((0, 3)), np.zeros((0,), np.int64)
    assert np.isnan(function(x, t))
    assert function(x, t, reduction="sum") == 0
    assert function(x, t, reduction="none").shape == (0,)
    assert np.isnan(function(np.zeros((0, 0)), t))
    x, t = rand(1, 2, 3), np.full(2, -100)
    assert np.isnan(function(x, t))
    assert function(x, t, reduction="sum") == 0
    assert_close(jax.grad(lambda v: function(v, t, reduction="sum"))(jnp.asarray(x)), np.zeros((2, 3)))


@pytest.mark.parametrize("function", [cross_entropy, nll_loss])
def test_targets_out_of_range(function):
    x = jnp.asarray(rand(1, 3, 4))
    for bad in (4, -1, -4, 1000):
        t = np.array([0, bad, 1])
        with pytest.raises(IndexError, match=rf"{function.__name__}: target must be in \[0, 3\], got {bad}"):
            function(x, t)
        losses = jax.jit(lambda v, t: function(v, t, reduction="none"))(x, t)
        assert np.isnan(losses).tolist() == [False, True, False]
        grads = jax.jit(jax.grad(lambda v, t: function(v, t, reduction="sum")))(x, t)
        assert np.isfinite(grads[np.array([0, 2])]).all()
    assert np.isnan(jax.jit(lambda t: function(jnp.zeros((1, 0)), t))(np.array([0])))


def test_one_element_target_of_an_unbatched_input():
    x = rand(1, 4)
    for function in (cross_entropy, nll_loss):
        out = function(x, np.array([2]), reduction="none")
        assert out.shape == ()
        assert_close(out, function(x, np.array(2)))


def test_legacy_flags():
    x, t = rand(1, 3, 4), targets((3, 4))
    for function, (average, reduce) in itertools.product(
        (cross_entropy, nll_loss), ((None, False), (False, None), (True, True))
    ):
        expected = "none" if reduce is False else "sum" if average is False else "mean"
        with pytest.warns(DeprecationWarning, match="size_average and reduce are deprecated") as caught:
            out = function(x, t, size_average=average, reduce=reduce)
        assert caught[0].filename == __file__
        assert_close(out, function(x, t, reduction=expected))


def test_errors():
    x, t = rand(1, 3, 4), targets((3, 4))
    p = probabilities((3, 4))
    for f, name in ((cross_entropy, "cross_entropy"), (nll_loss, "nll_loss")):
        with pytest.raises(ValueError, match=f"{name}: reduction must be one of 'none', 'mean', 'sum', got 'average'"):
            f(x, t, reduction="average")
        with pytest.raises(TypeError, match=f"{name}: input must be of a floating dtype, got int64"):
            f(x.astype(np.int64), t)
        with pytest.raises(ValueError, match=f"{name}: input must be at least 1-D"):
            f(1.0, np.array(0))
        with pytest.raises(ValueError, match=rf"{name}: target must be of shape \[3\] for input of shape \[3, 4\]"):
            f(x, t[:2])
        with pytest.raises(ValueError, match=rf"{name}: target must be of shape \[\]"):
            f(x[0], t[:2])
        with pytest.raises(ValueError, match=rf"{name}: target must be of shape \[2, 2\]"):
            f(rand(1, 2, 3, 2), np.zeros((2, 3), int))
        with pytest.raises(TypeError, match=f"{name}: target must be of an integer dtype, got float64"):
            f(x, t.astype(float))
        with pytest.raises(TypeError, match=f"{name}: target must be of an integer dtype, got bool"):
            f(x, t.astype(bool))
        with pytest.raises(ValueError, match=rf"{name}: weight must be of shape \[4\] \(one per class\)"):
            f(x, t, np.ones(3))
        with pytest.raises(
            TypeError, match=rf"{name}: input and weight must be of one dtype, got float64.* and float32"
        ):
            f(x, t, np.ones(4, np.float32))
        with pytest.raises(TypeError, match=f"{name}: ignore_index must be an int"):
            f(x, t, ignore_index=0.5)
        with pytest.raises(TypeError, match=f"{name}: input must be an array, got 'list'"):
            f([[1.0]], t)
    with pytest.raises(TypeError, match="cross_entropy: target must be of a floating dtype"):
        cross_entropy(x, np.ones((3, 4), int))
    with pytest.raises(TypeError, match="cross_entropy: input and target must be of one dtype"):
        cross_entropy(x, p.astype(np.float32))
    with pytest.raises(ValueError, match="ignore_index must be negative if target holds probabilities, got 2"):
        cross_entropy(x, p, ignore_index=2)
    with pytest.raises(ValueError, match=r"cross_entropy: label_smoothing must be at most 1, got 1\.5"):
        cross_entropy(x, t, label_smoothing=1.5)
    assert_close(cross_entropy(x, t, label_smoothing=-0.1), cross_entropy(x, t))  # as in torch


def test_no_array_of_positions_times_classes_is_added_by_nll_loss():
    x, t = jnp.zeros((64, 1000)), jnp.zeros(64, int)
    jaxpr = jax.make_jaxpr(lambda v, t: nll_loss(v, t))(x, t)
    inner = jaxpr.eqns[0].params["jaxpr"]
    assert max(v.aval.size for e in inner.eqns for v in e.outvars) <= 64

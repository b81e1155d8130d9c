"""Elementwise, binary and margin losses against torch, closed formulas and the contract of the library."""

import inspect
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import functional as F
from fnn.functional import loss
from fnn.functional.loss.margin import _multilabel_margin
from tests.functional.families import function_names
from tests.oracle import assert_close, check_against_torch, check_transforms, needs_torch, rand

X, Y, W = rand(1, 3, 4, low=-3, high=3), rand(2, 3, 4, low=-3, high=3), rand(3, 3, 4, low=0.1, high=2)
P, Q = rand(4, 3, 4, low=0.05, high=0.95), rand(5, 3, 4, low=0.05, high=0.95)
SIGNS = np.where(rand(6, 3, 4) > 0, 1.0, -1.0)
LABELS = np.array([[3, 0, -1, 1], [0, 1, 2, 3], [-1, 2, -1, 0]])
CLASSES = np.array([1, 3, 0])

# name, positional arguments (torch differentiates the floating ones twice), options
CASES = [
    ("l1_loss", (X, Y), {}),
    ("l1_loss", (X, Y), {"weight": W}),
    ("mse_loss", (X, Y), {}),
    ("mse_loss", (X, Y), {"weight": W}),
    ("smooth_l1_loss", (X, Y), {}),
    ("smooth_l1_loss", (X, Y), {"beta": 2.5}),
    ("smooth_l1_loss", (X, Y), {"beta": 0.0}),
    ("huber_loss", (X, Y), {}),
    ("huber_loss", (X, Y), {"delta": 2.5, "weight": W}),
    ("binary_cross_entropy", (P, Q), {}),
    ("binary_cross_entropy_with_logits", (X, Q), {}),
    ("kl_div", (X, Q), {}),
    ("kl_div", (X, Y), {"log_target": True}),
    ("kl_div", (X, Q[0]), {}),
    ("poisson_nll_loss", (X, 3 * Q + 1.1), {"full": True}),
    ("poisson_nll_loss", (P, W[0]), {"log_input": False, "eps": 1e-3}),
    ("gaussian_nll_loss", (X, Y, W), {}),
    ("gaussian_nll_loss", (X, Y, W[:, 0]), {"full": True}),
    ("gaussian_nll_loss", (X, Y, W[:, :1]), {}),
    ("gaussian_nll_loss", (X, Y[:1], W[:1]), {"eps": 1.0}),
    ("gaussian_nll_loss", (X, Y, 1.5), {}),
    ("margin_ranking_loss", (X, Y, SIGNS), {"margin": 0.7}),
    ("margin_ranking_loss", (X, Y[:1], SIGNS[:, :1]), {}),
    ("hinge_embedding_loss", (X, SIGNS), {"margin": 0.8}),
    ("hinge_embedding_loss", (X, SIGNS[0]), {}),
    ("multilabel_soft_margin_loss", (X, Q), {}),
    ("multilabel_soft_margin_loss", (X, Q, W[0]), {}),
    ("cosine_embedding_loss", (X, Y, np.array([1, -1, -1])), {"margin": -0.9}),
    ("cosine_embedding_loss", (X[0], Y[0], np.array(-1)), {"margin": -1.5}),
    ("cosine_embedding_loss", (X, Y[:1], np.array([1])), {}),
    ("triplet_margin_loss", (X, Y, P), {"margin": 4.0}),
    ("triplet_margin_loss", (X, Y, P), {"margin": 4.0, "swap": True, "p": 1.0}),
    ("triplet_margin_loss", (X, Y, P), {"margin": 4.0, "p": 3.0}),
    ("triplet_margin_loss", (X, Y, P), {"margin": 4.0, "p": float("inf"), "eps": 0.01}),
    ("triplet_margin_loss", (X, Y[:1], P), {"margin": 4.0, "p": 0.5}),
    ("triplet_margin_loss", (X[0], Y[0], P[0]), {"margin": 4.0, "p": 0.0}),
    ("triplet_margin_loss", (X[0], Y[0], P[0]), {"margin": 9.0, "p": -1.0}),
    ("triplet_margin_with_distance_loss", (X, Y, P), {"margin": 4.0, "swap": True}),
]
# Where torch's second derivative is nothing at all rather than zeros.
FIRST_ORDER = {0, 6, 31, 33, 35}
REDUCTIONS = ["none", "mean", "sum"]


@pytest.mark.one_in(5)
@needs_torch
@pytest.mark.filterwarnings("ignore:.*batchmean.*:UserWarning", "ignore:.*different to the input size.*:UserWarning")
@pytest.mark.parametrize("case", range(len(CASES)))
def test_against_torch(case):
    import torch.nn.functional as TF

    name, args, options = CASES[case]
    reduction = REDUCTIONS[case % 3]
    ours, theirs = getattr(F, name), getattr(TF, name)
    check_against_torch(ours, theirs, *args, reduction=reduction, second=case not in FIRST_ORDER, **options)
    for other in REDUCTIONS:
        check_against_torch(ours, theirs, *args, reduction=other, grad=False, rtol=1e-11, atol=1e-13, **options)


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_losses_torch_differentiates_in_the_input_only(reduction):
    import torch
    import torch.nn.functional as TF

    t, labels, classes = torch.from_numpy(SIGNS), torch.from_numpy(LABELS), torch.from_numpy(CLASSES)
    w, q = torch.from_numpy(W[0]), torch.from_numpy(W)
    pairs = [
        (
            lambda x: F.soft_margin_loss(x, SIGNS, reduction=reduction),
            lambda x: TF.soft_margin_loss(x, t, reduction=reduction),
        ),
        (
            lambda x: F.multilabel_margin_loss(x, LABELS, reduction=reduction),
            lambda x: TF.multilabel_margin_loss(x, labels, reduction=reduction),
        ),
        (
            lambda x: F.multi_margin_loss(x, CLASSES, 2, 0.7, W[0], reduction=reduction),
            lambda x: TF.multi_margin_loss(x, classes, 2, 0.7, w, reduction=reduction),
        ),
        (
            lambda x: F.multi_margin_loss(x, CLASSES, reduction=reduction),
            lambda x: TF.multi_margin_loss(x, classes, reduction=reduction),
        ),
        (
            lambda x: F.binary_cross_entropy(jax.nn.sigmoid(x), Q, W, reduction=reduction),
            lambda x: TF.binary_cross_entropy(x.sigmoid(), torch.from_numpy(Q), q, reduction=reduction),
        ),
    ]
    pairs.append(
        (
            lambda x: F.binary_cross_entropy_with_logits(x, Q, W, pos_weight=W[0], reduction=reduction),
            lambda x: TF.binary_cross_entropy_with_logits(x, torch.from_numpy(Q), q, pos_weight=w, reduction=reduction),
        )
    )
    for ours, theirs in pairs:
        check_against_torch(ours, theirs, X)


@needs_torch
def test_kinks_and_extremes_against_torch():
    import torch
    import torch.nn.functional as TF

    inf, nan = np.inf, np.nan
    d = np.array([0.0, 1.0, -1.0, 0.5, inf, -inf, nan, 1e30, -1e-30])
    zero = np.zeros(9)
    for name, options in [
        ("l1_loss", {}),
        ("mse_loss", {}),
        ("smooth_l1_loss", {}),
        ("smooth_l1_loss", {"beta": 0.0}),
        ("huber_loss", {}),
        ("huber_loss", {"delta": 0.5}),
    ]:
        t = torch.from_numpy(zero)
        check_against_torch(
            lambda x, n=name, o=options: getattr(F, n)(x, zero, reduction="none", **o),
            lambda x, n=name, o=options, t=t: getattr(TF, n)(x, t, reduction="none", **o),
            d,
        )
    s = np.array([1.0, -1.0, -1.0, 0.0, 1.0, -1.0, -1.0, 1.0, 0.5])
    for name, options in [("hinge_embedding_loss", {}), ("margin_ranking_loss", {"margin": 1.0})]:
        extra = () if name.startswith("hinge") else (zero,)
        t = torch.from_numpy(s)
        check_against_torch(
            lambda x, n=name, o=options, e=extra: getattr(F, n)(x, *e, s, reduction="none", **o),
            lambda x, n=name, o=options, e=extra, t=t: getattr(TF, n)(
                x, *map(torch.from_numpy, e), t, reduction="none", **o
            ),
            d,
        )
    for row, k in (([1.0, 0.0, 1.0], 0), ([1.0, nan, 2.0], 0), ([nan, 1.0, 2.0], 0), ([inf, 0.0, inf], 1)):
        target, labels = torch.tensor(k), torch.tensor([k, -1, -1])
        row = np.array(row)
        check_against_torch(
            lambda x, k=k: F.multi_margin_loss(x, np.array(k)), lambda x, t=target: TF.multi_margin_loss(x, t), row
        )
        check_against_torch(
            lambda x, k=k: F.multilabel_margin_loss(x, np.array([k, -1, -1])),
            lambda x, t=labels: TF.multilabel_margin_loss(x, t),
            row,
        )
    x, t = np.array([0.0, 0.0, 1.0, 1.0, 0.3, 1e-14]), np.array([0.0, 1.0, 0.0, 1.0, 0.4, 0.5])
    check_against_torch(
        lambda x: F.binary_cross_entropy(x, t, reduction="none"),
        lambda x: TF.binary_cross_entropy(x, torch.from_numpy(t), reduction="none"),
        x,
    )
    assert bool(jnp.isfinite(jax.grad(F.binary_cross_entropy, 1)(jnp.asarray(x), jnp.asarray(t))).all())
    x, t = np.array([0.0, 0.0, inf, inf, 1e30, -1e30, -40.0]), np.array([0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0])
    got = F.binary_cross_entropy_with_logits(x, t, reduction="none")
    assert_close(got[:4], [np.log(2), np.log(2), inf, nan])
    assert_close(got[4:], [0.0, 0.0, np.exp(-40)], 1e-12, 0)
    slopes = jax.grad(lambda v: F.binary_cross_entropy_with_logits(v, t, reduction="sum"))(jnp.asarray(x))
    assert_close(slopes[:2], [0.5, -0.5])


def test_gradients_are_finite_where_the_function_is():
    zero = jnp.zeros((2, 3))
    for f in (
        lambda v: F.kl_div(zero - 1, v, reduction="sum"),
        lambda v: F.poisson_nll_loss(zero, v, full=True),
        lambda v: F.cosine_embedding_loss(v, v, np.array([1, -1])),
        lambda v: F.triplet_margin_loss(v, v, v, eps=0.0),
        lambda v: F.triplet_margin_loss(v, v, v, eps=0.0, p=3.0),
        lambda v: F.gaussian_nll_loss(zero, zero, v, eps=1e-3),
    ):
        value, grad = jax.value_and_grad(f)(zero)
        assert bool(jnp.isfinite(value))
        assert bool(jnp.isfinite(grad).all())
    assert F.soft_margin_loss(np.array([-2000.0]), np.array([1.0])) == 2000.0


TRANSFORMS = [
    (lambda x, y, w: F.l1_loss(x, y, weight=w), (X, Y, W)),
    (lambda x, y, w: F.mse_loss(x, y, weight=w), (X, Y, W)),
    (lambda x, y, b: F.smooth_l1_loss(x, y, beta=b), (X, Y, np.array(0.7))),
    (lambda x, y, b: F.huber_loss(x, y, delta=b), (X, Y, np.array(0.7))),
    (lambda x, y, w: F.binary_cross_entropy(x, y, w), (P, Q, W)),
    (lambda x, y, w: F.binary_cross_entropy_with_logits(x, y, w, pos_weight=w), (X, Q, W)),
    (lambda x, y: F.kl_div(x, y, reduction="batchmean"), (X, Q)),
    (lambda x, y: F.poisson_nll_loss(x, y, full=True), (X, 3 * Q)),
    (lambda x, y, v: F.gaussian_nll_loss(x, y, v), (X, Y, W)),
    (lambda x, y, s, m: F.margin_ranking_loss(x, y, s, m), (X, Y, SIGNS, np.array(0.3))),
    (lambda x, s: F.hinge_embedding_loss(x, s), (X, SIGNS)),
    (lambda x, t, w: F.multi_margin_loss(x, t, weight=w), (X, CLASSES, W[0])),
    (lambda x, t: F.multilabel_margin_loss(x, t), (X, LABELS)),
    (lambda x, t, w: F.multilabel_soft_margin_loss(x, t, w), (X, Q, W)),
    (lambda x, s: F.soft_margin_loss(x, s), (X, SIGNS)),
    (lambda x, y, t: F.cosine_embedding_loss(x, y, t), (X, Y, np.array([1, -1, 1]))),
    (lambda a, p, n: F.triplet_margin_loss(a, p, n, swap=True, margin=3.0), (X, Y, P)),
    (
        lambda a, p, n: F.triplet_margin_with_distance_loss(a, p, n, distance_function=lambda x, y: abs(x - y).sum(-1)),
        (X, Y, P),
    ),
]


@pytest.mark.one_in(5)
@pytest.mark.parametrize("case", range(len(TRANSFORMS)))
def test_transforms(case):
    function, arrays = TRANSFORMS[case]
    check_transforms(function, *arrays)


@pytest.mark.one_in(3)
@needs_torch
@pytest.mark.filterwarnings("ignore:.*batchmean.*:UserWarning")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_dtypes(dtype):
    import torch
    import torch.nn.functional as TF

    tol = {"float32": 2e-6, "bfloat16": 3e-2, "float16": 5e-3}[dtype]
    for name, args, options in [CASES[i] for i in (0, 2, 4, 7, 9, 10, 11, 14, 16, 21, 23, 25, 27, 30)]:
        mine = [jnp.asarray(a, dtype) if a.dtype == np.float64 else a for a in args]
        theirs = [
            torch.from_numpy(a).to(getattr(torch, dtype)) if a.dtype == np.float64 else torch.from_numpy(a)
            for a in args
        ]
        out, expected = getattr(F, name)(*mine, **options), getattr(TF, name)(*theirs, **options)
        assert out.dtype == dtype, name
        assert expected.dtype == getattr(torch, dtype)
        assert_close(np.asarray(out, np.float32), expected.float().numpy(), tol, tol, name)


@needs_torch
def test_signatures_are_torchs():
    import torch.nn.functional as TF

    for name in function_names(loss):
        ours, theirs = (inspect.signature(getattr(m, name)).parameters for m in (F, TF))
        assert [(p.name, p.default, p.kind) for p in ours.values()] == [
            (p.name, p.default, p.kind) for p in theirs.values()
        ], name


def test_empty_inputs():
    e = np.zeros((0, 3))
    assert np.isnan(F.mse_loss(e, e))
    assert F.mse_loss(e, e, reduction="sum") == 0
    assert F.binary_cross_entropy(e, e, reduction="none").shape == (0, 3)
    assert F.multi_margin_loss(e, np.zeros(0, int)) == 0
    assert F.multilabel_margin_loss(e, np.zeros((0, 3), int)) == 0
    assert np.isnan(F.kl_div(e, e, reduction="batchmean"))


def test_multi_margin_shapes():
    for x, t, shape in [(X[0], CLASSES[0], ()), (X[0], CLASSES[:1], (1,)), (X[:1], CLASSES[0], ()), (X, CLASSES, (3,))]:
        assert F.multi_margin_loss(x, np.asarray(t), reduction="none").shape == shape
    assert F.multilabel_margin_loss(X[0], LABELS[0], reduction="none").shape == ()


@pytest.mark.slow
def test_multilabel_margin_in_blocks_equals_the_whole():
    x, t = rand(1, 2, 7), np.array([[1, 3, 5, -1, 0, 0, 0], [6, 5, 4, 3, 2, -1, 1]])
    f = lambda x, t: F.multilabel_margin_loss(x, t, reduction="none")  # noqa: E731
    whole, slope = f(x, t), jax.grad(lambda x: f(x, t)[1])(jnp.asarray(x))
    blocks = lambda x, t: _multilabel_margin(x, t, 7, "none", (2,), held=30)  # noqa: E731
    assert_close(blocks(jnp.asarray(x), jnp.asarray(t)), whole)
    assert_close(jax.grad(lambda x: blocks(x, jnp.asarray(t))[1])(jnp.asarray(x)), slope)


def test_targets_out_of_range():
    with pytest.raises(IndexError, match=r"multi_margin_loss: target must be in \[0, 3\], got 4"):
        F.multi_margin_loss(X, np.array([0, 4, 1]))
    with pytest.raises(IndexError, match=r"multilabel_margin_loss: target must be in \[0, 3\], got -2"):
        F.multilabel_margin_loss(X[0], np.array([0, -2, 1, 1]))
    run = jax.jit(lambda t: F.multi_margin_loss(X, t, reduction="none"))
    assert np.isnan(run(np.array([0, 4, -1]))).tolist() == [False, True, True]
    run = jax.jit(lambda t: F.multilabel_margin_loss(X, t, reduction="none"))
    assert np.isnan(run(np.array([[0, -1, 9, 0], [1, -1, -1, -1], [-2, 0, 0, 0]]))).tolist() == [True, False, True]
    assert np.isnan(jax.jit(F.binary_cross_entropy)(np.array([1.5]), np.array([1.0])))
    assert np.isnan(jax.jit(F.gaussian_nll_loss)(X, Y, -W))


def test_warnings():
    for f in (F.l1_loss, F.mse_loss, F.smooth_l1_loss, F.huber_loss):
        with pytest.warns(UserWarning, match=rf"{f.__name__}: the shape of target \[4\] differs") as caught:
            f(X, Y[0])
        assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="kl_div: reduction='mean' divides by the number of elements"):
        F.kl_div(X, Q)
    for name, args, _ in CASES:
        if "size_average" not in inspect.signature(getattr(F, name)).parameters:
            continue
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, message=".*differs.*")
            with pytest.warns(DeprecationWarning, match="use reduction='sum'") as caught:
                got = getattr(F, name)(*args, size_average=False)
            assert caught[0].filename == __file__
            assert_close(got, getattr(F, name)(*args, reduction="sum"))


def test_numbers_and_integer_targets():
    assert F.mse_loss(jnp.float32(2.0), 1.0).dtype == jnp.float32
    assert_close(F.mse_loss(X, np.ones((3, 4), int)), ((X - 1) ** 2).mean())
    for f in (F.binary_cross_entropy, F.binary_cross_entropy_with_logits):  # torch takes none of these here
        for target in (np.ones((3, 4), int), SIGNS > 0):
            with pytest.raises(TypeError, match=f"{f.__name__}: target must be of a floating dtype"):
                f(jnp.full((3, 4), 0.5), target)


def test_errors():
    x32 = X.astype(np.float32)
    for f in (F.l1_loss, F.mse_loss, F.smooth_l1_loss, F.huber_loss, F.soft_margin_loss, F.hinge_embedding_loss):
        with pytest.raises(
            ValueError,
            match=f"{f.__name__}: .* must .*broadcast",
        ):
            f(X, Y[:2])
        with pytest.raises(TypeError, match=f"{f.__name__}: input and target must be of one dtype"):
            f(x32, Y)
        with pytest.raises(TypeError, match=f"{f.__name__}: input must be of a floating dtype"):
            f(X.astype(int), Y.astype(int))
        with pytest.raises(ValueError, match=f"{f.__name__}: reduction must be one of"):
            f(X, Y, reduction="average")
    for f in (F.l1_loss, F.mse_loss, F.huber_loss):
        with pytest.raises(ValueError, match=rf"{f.__name__}: weight must be of the shape of input \[3, 4\]"):
            f(X, Y, weight=W[:1])
    with pytest.raises(ValueError, match="smooth_l1_loss: beta must be at least 0, got -1"):
        F.smooth_l1_loss(X, Y, beta=-1.0)
    with pytest.raises(ValueError, match="huber_loss: delta must be positive, got 0"):
        F.huber_loss(X, Y, delta=0.0)
    for f in (F.binary_cross_entropy, F.binary_cross_entropy_with_logits):
        with pytest.raises(ValueError, match=rf"{f.__name__}: target must be of the shape of input \[3, 4\]"):
            f(P, Q[0])
        with pytest.raises(ValueError, match=rf"{f.__name__}: weight must be of a shape that broadcasts to \[3, 4\]"):
            f(P, Q, np.ones(3))
        with pytest.raises(ValueError, match=rf"{f.__name__}: weight must be of a shape that broadcasts to \[3, 4\]"):
            f(P, Q, np.ones((2, 3, 4)))
    with pytest.raises(ValueError, match="pos_weight must be of a shape that broadcasts"):
        F.binary_cross_entropy_with_logits(X, Q, pos_weight=np.ones(3))
    for bad in (1.5, -0.5, np.nan):
        with pytest.raises(ValueError, match="binary_cross_entropy: input must be between 0 and 1"):
            F.binary_cross_entropy(np.array([bad]), np.array([1.0]))
    with pytest.raises(ValueError, match="binary_cross_entropy: target must be between 0 and 1"):
        F.binary_cross_entropy(np.array([0.5]), np.array([7.0]))
    with pytest.raises(ValueError, match="kl_div: reduction must be one of 'none', 'mean', 'sum', 'batchmean'"):
        F.kl_div(X, Q, reduction="average")
    for var in (-1.0, -W):
        with pytest.raises(ValueError, match="gaussian_nll_loss: var must be non-negative"):
            F.gaussian_nll_loss(X, Y, var)
    for var in (W[0], W[:1, :1], np.ones(1), np.array(1.0), np.ones((2, 1))):
        with pytest.raises(ValueError, match="gaussian_nll_loss: var must be of the shape of input"):
            F.gaussian_nll_loss(X, Y, var)
    with pytest.raises(ValueError, match="margin_ranking_loss: target must be 2-D as input1"):
        F.margin_ranking_loss(X, Y, SIGNS[0])
    with pytest.raises(ValueError, match="multi_margin_loss: p must be 1 or 2, got 3"):
        F.multi_margin_loss(X, CLASSES, p=3)
    with pytest.raises(ValueError, match=r"multi_margin_loss: target must be of shape \[3\]"):
        F.multi_margin_loss(X, CLASSES[:2])
    with pytest.raises(ValueError, match=r"multi_margin_loss: weight must be of shape \[4\]"):
        F.multi_margin_loss(X, CLASSES, weight=W[0, :3])
    with pytest.raises(ValueError, match=r"multi_margin_loss: input must be of shape \(C\) or \(N, C\)"):
        F.multi_margin_loss(X[None], CLASSES)
    with pytest.raises(ValueError, match=r"multilabel_margin_loss: target must be of shape \[3, 4\] as input"):
        F.multilabel_margin_loss(X, LABELS[:, :3])
    with pytest.raises(TypeError, match="multilabel_margin_loss: target must be of an integer dtype"):
        F.multilabel_margin_loss(X, X)
    with pytest.raises(ValueError, match="multilabel_soft_margin_loss: input must be at least 1-D"):
        F.multilabel_soft_margin_loss(1.0, 1.0)
    with pytest.raises(ValueError, match="cosine_embedding_loss: input1 must be 2-D for 1-D target"):
        F.cosine_embedding_loss(X[0], Y[0], np.array([1]))
    with pytest.raises(ValueError, match="cosine_embedding_loss: target must be 0-D or 1-D"):
        F.cosine_embedding_loss(X, Y, SIGNS)
    for f in (F.triplet_margin_loss, F.triplet_margin_with_distance_loss):
        with pytest.raises(ValueError, match=f"{f.__name__}: margin must be positive, got 0"):
            f(X, Y, P, margin=0.0)
        with pytest.raises(ValueError, match=f"{f.__name__}: negative must be 2-D as anchor"):
            f(X, Y, P[0])
        with pytest.raises(TypeError, match=f"{f.__name__}: anchor and positive must be of one dtype"):
            f(x32, Y, P)

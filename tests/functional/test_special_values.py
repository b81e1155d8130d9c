"""What torch's Python source of functional and modules treats apart: special values, against PyTorch.

The rows are the branches on numbers in ``torch/nn/functional.py`` and ``torch/nn/modules``; both sides give the same values and
gradients, or both refuse.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import nn
from fnn.nn import functional as F
from tests.oracle import assert_close, from_torch, leaves, needs_torch, rand

INF = float("inf")


def signs(*shape):
    """Numbers of both signs, some zero, some magnitudes equal."""
    return np.round(rand(0, *shape, low=-3, high=3))


# name, array arguments, options
FUNCTIONS = [
    *[
        (
            f"lp_pool{n}d",
            [make(2, 2, *[5] * n)],
            {"norm_type": p, "kernel_size": 2, "ceil_mode": ceil, "stride": stride},
        )
        for n in (1, 2, 3)
        for p in (INF, -INF)
        for ceil, stride in ((False, None), (True, 3))
        for make in (signs, lambda *shape: rand(1, *shape))
    ],
    *[("lp_pool2d", [rand(1, 1, 1, 4, 4)], {"norm_type": p, "kernel_size": 2}) for p in (0.5, 1, 2, 3, -1.0)],
    *[(name, [rand(0, 3, 4, 5)], {"p": p}) for name in ("dropout", "alpha_dropout") for p in (-0.1, 1.1, 0.0, 1.0)],
    *[
        (name, [rand(0, 3, 4, 5)], {"p": p})
        for name in ("dropout1d", "feature_alpha_dropout")
        for p in (-0.1, 1.1, 0.0, 1.0)
    ],
    *[("dropout2d", [rand(0, 2, 3, 4, 5)], {"p": p}) for p in (-0.1, 1.1, 0.0, 1.0)],
    *[("dropout3d", [rand(0, 2, 3, 4, 5, 2)], {"p": p}) for p in (-0.1, 1.1, 0.0, 1.0)],
    ("glu", [np.array(1.0)], {}),
    *[(name, [rand(0, *[3] * n)], {}) for name in ("softmax", "log_softmax", "softmin") for n in (0, 1, 2, 3, 4)],
    *[("embedding", [np.array([0, 2]), rand(0, 3, 2)], {"padding_idx": i}) for i in (2, 3, -1, -3, -4)],
    *[
        ("embedding_bag", [np.array([0, 2]), rand(0, 3, 2), np.array([0])], {"padding_idx": i})
        for i in (2, 3, -1, -3, -4)
    ],
    ("embedding_bag", [np.array([[0, 2]]), rand(0, 3, 2)], {}),
    ("embedding_bag", [np.array([[0, 2]]), rand(0, 3, 2), np.array([0])], {}),
    ("embedding_bag", [np.array([0, 2]), rand(0, 3, 2)], {}),
    ("embedding_bag", [np.array([0, 2]), rand(0, 3, 2), np.array([[0]])], {}),
    ("embedding_bag", [np.zeros((1, 1, 1), np.int64), rand(0, 3, 2)], {}),
    *[("batch_norm", [rand(0, 4, 3), None, None], {"training": True, "eps": e}) for e in (0.0, -1.0, 1e-5)],
    *[("batch_norm", [rand(0, 4, 3), rand(1, 3), rand(2, 3, low=0.5)], {"eps": e}) for e in (0.0, -1.0, 1e-5)],
    *[
        ("layer_norm", [rand(0, 3, 4)], {"normalized_shape": s, "eps": e})
        for s in ((4,), [4])
        for e in (-0.2, -9.0, 0.0)
    ],
    *[("rms_norm", [rand(0, 3, 4)], {"normalized_shape": (4,), "eps": e}) for e in (-0.2, -9.0, 0.0, None)],
    *[(name, [rand(0, 3, 4)], {"normalized_shape": 4}) for name in ("layer_norm", "rms_norm")],
    *[("group_norm", [rand(0, 2, 4, 3)], {"num_groups": 2, "eps": e}) for e in (-0.2, -9.0, 0.0)],
    *[("instance_norm", [rand(0, 2, 4, 3)], {"eps": e}) for e in (-0.2, -9.0, 0.0)],
    *[("batch_norm", [np.zeros(0), None, None], {"training": t}) for t in (False, True)],
    ("batch_norm", [np.zeros(0), np.zeros(3), np.ones(3)], {}),
    ("batch_norm", [np.zeros(3), None, None], {"training": True}),
    *[
        (f"{kind}_pool3d", [rand(0, 1, 1, 3, 3, 3)], {"kernel_size": k, **more})
        for kind, more in (
            ("avg", {"padding": 1}),
            ("avg", {"ceil_mode": True}),
            ("lp", {"norm_type": 2, "ceil_mode": True}),
        )
        for k in (3, 4, (1, 4, 1))
    ],
    *[("batch_norm", [rand(0, *s), None, None], {"training": True}) for s in ((1, 3), (1, 3, 1), (1, 3, 2), (1, 0))],
    *[("instance_norm", [rand(0, *s)], {}) for s in ((2, 3, 1), (2, 3, 1, 1), (2, 3, 2))],
    *[("group_norm", [rand(0, *s)], {"num_groups": 2}) for s in ((4,), (2, 4), (1, 2), (1, 4, 1), (1, 2, 1), (2, 2))],
    *[
        ("local_response_norm", [rand(0, *s)], {"size": 2})
        for s in ((3,), (2, 3), (2, 3, 4), (2, 3, 4, 5), (1, 2, 3, 4, 5))
    ],
    *[("kl_div", [rand(0, *s), rand(1, *s, low=0.1)], {"reduction": "batchmean"}) for s in ((), (3,), (2, 3))],
    *[("smooth_l1_loss", [rand(0, 4), rand(1, 4)], {"beta": b}) for b in (0.0, 0, -1.0, 0.5)],
    ("smooth_l1_loss", [np.zeros(3), np.zeros(3)], {"beta": 0.0}),
    *[("huber_loss", [rand(0, 4), rand(1, 4)], {"delta": d}) for d in (0.0, -1.0, 0.5)],
    *[("multi_margin_loss", [rand(0, 2, 3), np.array([0, 2])], {"p": p}) for p in (1, 2, 3, 0)],
    *[("gaussian_nll_loss", [rand(0, 3), rand(1, 3), v], {}) for v in (np.full(3, -1.0), np.zeros(3), np.ones(3))],
    *[
        ("gaussian_nll_loss", [rand(0, 2, 3), rand(1, 2, 3), np.ones(s)], {})
        for s in ((2,), (2, 1), (1, 3), (3,), (1, 1))
    ],
    *[
        (name, [rand(i, 2, 3) for i in range(3)], {"margin": m})
        for name in ("triplet_margin_loss", "triplet_margin_with_distance_loss")
        for m in (0, -1.0, 1.0)
    ],
    *[("cross_entropy", [rand(0, 3, 4), np.array([1, 0, 3])], {"label_smoothing": s}) for s in (0.0, 1.0, 1.1)],
    *[
        ("affine_grid", [rand(0, 1, n, n + 1)], {"size": s, "align_corners": a})
        for a in (False, True)
        for n, s in ((2, (1, 1, 1, 3)), (2, (1, 1, 0, 3)), (3, (1, 1, 1, 2, 1)), (2, (1, 1, -1, 3)), (3, (1, 1, 2, 3)))
    ],
    *[
        ("interpolate", [rand(0, 1, 2, *[4] * n)], {"size": 3, "mode": m, "antialias": a})
        for n in (1, 2, 3)
        for m in ("nearest", "nearest-exact", "area", "linear", "bilinear", "bicubic", "trilinear", "lanczos")
        for a in (False, True)
    ],
    *[
        ("fractional_max_pool2d", [rand(0, 1, 4, 4)], {"kernel_size": 2, "output_ratio": r})
        for r in ((0.5,) * 3, (1.5, 0.5))
    ],
    *[
        (f"fractional_max_pool{n}d", [rand(0, 1, 1, *[4] * n)], {"kernel_size": k, "output_size": o})
        for n, k, o in ((2, 3, 3), (3, 3, 2), (3, 1, 4))
    ],
    *[("pairwise_distance", [rand(0, 2, 3), rand(1, 2, 3)], {"p": p}) for p in (0, 1, 2, INF, -INF, 0.5, -1.0)],
    *[("normalize", [rand(0, 2, 3)], {"p": p}) for p in (0, 1, 2, INF, -INF, 0.5)],
    *[("pdist", [rand(0, 4, 3)], {"p": p}) for p in (0, 1, 2, INF, 0.5)],
    *[("pdist", [rand(0, 4, 3)], {"p": p}) for p in (-1.0, -INF)],
    *[("soft_margin_loss", [rand(0, *a), rand(1, *b)], {}) for a, b in (((3,), (1, 3)), ((3, 1), (1, 3)))],
    *[
        (f"adaptive_{kind}_pool{n}d", [rand(0, *lead, *[size] * n)], {"output_size": 2})
        for n in (1, 2, 3)
        for kind in ("avg", "max")
        for lead, size in (((0,), 4), ((2, 0), 4), ((0, 2), 4), ((2,), 0))
        if (kind, lead) != ("avg", (2, 0)) or n == 3  # torch's backward refuses what its forward takes
    ],
    *[
        ("instance_norm", [rand(0, *s), rand(1, 3), rand(2, 3, low=0.5)], {"use_input_stats": False})
        for s in ((2, 3), (3,), (2, 3, 1))
    ],
    *[("linear", [rand(0, 4, 2), rand(1, 3, 2), rand(2, *b)], {}) for b in ((), (1,), (3,), (2,))],
    *[
        (f"conv{kind}{n}d", [rand(0, *lead, *[0] * n), rand(1, 2, 2, *[2] * n)], options)
        for n in (1, 2, 3)
        for lead in ((3, 2), (2,), (0, 2))
        for kind, options in (("", {"padding": 2}), ("_transpose", {"dilation": 3}))
    ],
    *[
        ("conv_tbc", [rand(0, t, 2, 3), rand(1, k, 3, 2), rand(2, 2)], {"pad": p})
        for t, k, p in ((0, 2, 1), (0, 2, 0), (0, 3, 0), (0, 1, 1), (1, 2, 1), (1, 2, 0), (4, 3, 1))
    ],
    *[
        ("cosine_embedding_loss", [rand(0, *s), rand(1, *s), np.ones(t)], {})
        for s, t in (((0,), ()), ((2, 0), (2,)), ((2, 3), (3,)), ((0,), (1,)))
    ],
    ("embedding", [np.array([0, 2]), rand(0, 3, 0)], {"max_norm": 1.0, "norm_type": INF}),
    *[("elu", [signs(5)], {"alpha": a}) for a in (0.0, -1.0, 2.0)],
    *[("celu", [signs(5)], {"alpha": a}) for a in (0.0, -1.0, 2.0)],
    *[("softplus", [signs(5) * 20], {"beta": b, "threshold": t}) for b, t in ((1, 20), (2, 5), (-1, 20))],
    *[("hardshrink", [signs(5)], {"lambd": v}) for v in (0.0, -1.0, 1.0)],
    *[("softshrink", [signs(5)], {"lambd": v}) for v in (0.0, -1.0, 1.0)],
    *[("hardtanh", [signs(5)], {"min_val": a, "max_val": b}) for a, b in ((0.0, 0.0), (1.0, -1.0), (-1.0, 1.0))],
]

# A call of nn, and of a layer of it, that torch looks at.
LAYERS = [
    *[f"nn.MultiheadAttention({e}, {h})" for e, h in ((0, 1), (4, 0), (-4, 1), (4, 3), (4, -1), (3, 1))],
    *[
        f"nn.AdaptiveLogSoftmaxWithLoss(4, 6, {c})"
        for c in ("[]", "[0, 2]", "[2, 2]", "[4, 2]", "[6]", "[5]", "[2.5]", "[-1, 2]")
    ],
    *[
        f"nn.Conv2d({a}, {b}, 2, groups={g})"
        for a, b, g in ((4, 4, 0), (4, 4, -1), (4, 3, 2), (3, 4, 2), (4, 4, 2), (0, 4, 1))
    ],
    *[f"nn.ConvTranspose2d({a}, {b}, 2, groups={g})" for a, b, g in ((4, 4, 0), (4, 3, 2), (3, 4, 2), (4, 4, 2))],
    *[f"nn.Conv2d(2, 2, 2, padding='same', stride={s})" for s in (1, 2, "(1, 2)")],
    "nn.Conv2d(2, 2, 2, padding='wide')",
    "nn.Conv2d(2, 2, 2, padding_mode='edge')",
    *[f"nn.{kind}(p={p})" for kind in ("Dropout", "AlphaDropout", "Dropout2d") for p in (-0.1, 0, 1, 1.1)],
    "nn.Linear(0, 2)",
    "nn.Linear(2, 0)",
    "nn.Bilinear(0, 2, 2)",
    "nn.Bilinear(2, 0, 2)",
    *[f"nn.GroupNorm({g}, {c})" for g, c in ((2, 4), (3, 4), (2, 0))],
    *[f"nn.MultiMarginLoss(p={p})" for p in (0, 1, 2, 3)],
    *[f"nn.TripletMarginLoss(margin={m})" for m in (0, -1.0, 0.5)],
    *[f"nn.TripletMarginWithDistanceLoss(margin={m})" for m in (0, -1.0, 0.5)],
    *[
        f"nn.FractionalMaxPool2d(2, output_ratio={r})"
        for r in (0.5, "(0.5, 0.7)", 0, 1, 1.5, "(0.5, 1.0)", "(-0.5, 0.5)")
    ],
    *[f"nn.FractionalMaxPool3d(2, output_ratio={r})" for r in (0.5, 1, "(0.5, 0.5, 2.0)")],
    *[f"nn.FractionalMaxPool3d({k}, output_size=2)" for k in (2, 0, -1, "(1, 2, 0)")],
    "nn.FractionalMaxPool2d(2)",
    "nn.FractionalMaxPool2d(2, output_size=2, output_ratio=0.5)",
    *[f"nn.{kind}({a}, {b})" for kind in ("RNN", "LSTM", "GRU") for a, b in ((0, 2), (2, 0), (-1, 2), (2, -1), (2, 2))],
    *[f"nn.LSTM(2, 2, num_layers={n})" for n in (0, -1, 1)],
    *[f"nn.LSTM(2, 3, proj_size={p})" for p in (-1, 0, 2, 3, 4)],
    "nn.GRU(2, 3, proj_size=2)",
    *[f"nn.LSTM(2, 3, num_layers=2, dropout={p})" for p in (-0.1, 0, 1, 1.1, True, "'a'")],
    "nn.LSTM(2, 3, dropout=0.5)",
    "nn.RNN(2, 3, nonlinearity='sigmoid')",
    *[f"nn.Embedding(3, 2, padding_idx={i})" for i in (2, 3, -1, -3, -4)],
    *[f"nn.EmbeddingBag(3, 2, padding_idx={i})" for i in (2, 3, -1, -3, -4)],
    *[f"nn.Sequential(nn.ReLU()) * {n}" for n in (2, 1, 0, -1, 1.5)],
    *[f"nn.Sequential(nn.ReLU()).insert({i}, nn.Tanh())" for i in (0, 1, -1, 2, -2)],
    *[f"nn.ModuleList([nn.ReLU()])[{i}]" for i in (0, -1, 1, -2)],
    *[f"nn.CrossEntropyLoss(label_smoothing={s})" for s in (0.0, 1.0)],
    *[f"nn.Threshold({a}, {b})" for a, b in ((0.1, 20), (-1, 0))],
    *[f"nn.Hardtanh({a}, {b})" for a, b in ((-1, 1), (1, 1), (2, 1))],
    *[f"nn.Softshrink({v})" for v in (0.5, 0, -1)],
    *[f"nn.ChannelShuffle({g})" for g in (2, 1)],
]


def run(torch, name, arrays, options):
    constant = (1, 2) if name in ("batch_norm", "instance_norm") else ()
    theirs = [
        a if a is None else torch.tensor(a, requires_grad=a.dtype.kind == "f" and i not in constant)
        for i, a in enumerate(arrays)
    ]
    out = leaves(getattr(torch.nn.functional, name)(*theirs, **options))
    floats = [t for t in theirs if t is not None and t.requires_grad]
    total = sum((o * o).sum() for o in out if o.is_floating_point())
    grads = torch.autograd.grad(total, floats, allow_unused=True) if total.requires_grad else [None] * len(floats)
    return out, [np.zeros(t.shape) if g is None else from_torch(g) for t, g in zip(floats, grads, strict=True)]


def run_ours(name, arrays, options):
    constant = (1, 2) if name in ("batch_norm", "instance_norm") else ()
    floats = [i for i, a in enumerate(arrays) if a is not None and a.dtype.kind == "f" and i not in constant]

    def call(values):
        given = [a if a is None else jnp.asarray(a) for a in arrays]
        for i, value in zip(floats, values, strict=True):
            given[i] = value
        return leaves(getattr(F, name)(*given, **options))

    def total(values):
        return sum(jnp.sum(o * o) for o in call(values) if jnp.issubdtype(o.dtype, jnp.floating))

    values = [jnp.asarray(arrays[i]) for i in floats]
    return call(values), jax.grad(total)(values)


def shown(row):
    name, arrays, options = row
    return f"{name}-{[None if a is None else a.shape for a in arrays]}-{options}"


@needs_torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.one_in(6)
@pytest.mark.parametrize(("name", "arrays", "options"), [pytest.param(*row, id=shown(row)) for row in FUNCTIONS])
def test_special_values_of_functions(name, arrays, options):
    import torch

    try:
        expected, wanted = run(torch, name, arrays, options)
    except Exception as error:
        with pytest.raises((ValueError, TypeError, RuntimeError, IndexError, NotImplementedError)):
            print("torch:", error, "ours:", run_ours(name, arrays, options))
        return
    actual, grads = run_ours(name, arrays, options)
    if "dropout" in name and options["p"] not in (0.0, 1.0):
        return
    for a, e in zip(actual, expected, strict=True):
        assert_close(a, from_torch(e), what="value")
    for i, (g, w) in enumerate(zip(grads, wanted, strict=True)):
        assert_close(g, w, what=f"gradient {i}")


@needs_torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("call", LAYERS)
def test_special_values_of_layers(call):
    import torch

    try:
        expected = eval(call, {"nn": torch.nn})
    except Exception as error:
        with pytest.raises((ValueError, TypeError, RuntimeError, IndexError, AssertionError)):
            print("torch:", repr(error), "ours:", eval(call, {"nn": nn}))
        return
    assert repr(eval(call, {"nn": nn})) == repr(expected)

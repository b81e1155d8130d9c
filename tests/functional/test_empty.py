"""Every function with no element along each axis in turn, against PyTorch: values and gradients where torch takes it."""

from __future__ import annotations

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fnn import functional as F
from tests.oracle import assert_close, from_torch, leaves, needs_torch, rand, to_torch

SIZES = {
    "N": 2,
    "C": 4,
    "L": 6,
    "H": 6,
    "W": 5,
    "D": 4,
    "O": 4,
    "K": 2,
    "J": 2,
    "I": 2,
    "G": 2,
    "S": 3,
    "E": 4,
    "V": 5,
    "P": 1,
    "T": 3,
}

# name, the letters of each array's axes (lower case: integers below the first length, "+": positive), other arguments.
MAPS = ("N C", "N C L")
ROWS = [
    *[
        (name, (s,), {})
        for s in MAPS
        for name in ("relu", "relu6", "elu", "selu", "celu", "leaky_relu", "gelu", "silu")
    ],
    *[
        (name, (s,), {})
        for s in MAPS
        for name in ("mish", "hardswish", "hardsigmoid", "hardtanh", "logsigmoid", "softplus")
    ],
    *[
        (name, (s,), {})
        for s in MAPS
        for name in ("softshrink", "hardshrink", "tanhshrink", "softsign", "sigmoid", "tanh")
    ],
    *[(name, (s,), {"dim": d}) for s in MAPS for d in (0, -1) for name in ("softmax", "log_softmax", "softmin", "glu")],
    ("threshold", ("N C",), {"threshold": 0.1, "value": 2.0}),
    ("prelu", ("N C L", "C"), {}),
    ("rrelu", ("N C",), {}),
    ("dropout", ("N C",), {"training": False}),
    ("normalize", ("N C",), {}),
    ("pdist", ("N C",), {}),
    ("linear", ("N C", "O C", "O"), {}),
    ("linear", ("N T C", "O C"), {}),
    ("bilinear", ("N C", "N E", "O C E", "O"), {}),
    ("conv1d", ("N C L", "O C K", "O"), {}),
    ("conv2d", ("N C H W", "O C K J", "O"), {"padding": 1}),
    ("conv2d", ("N C H W", "O C K J"), {"stride": 2, "dilation": 2}),
    ("conv3d", ("N C D H W", "O C K J I", "O"), {}),
    ("conv_transpose1d", ("N C L", "C O K", "O"), {}),
    ("conv_transpose2d", ("N C H W", "C O K J", "O"), {"stride": 2}),
    ("conv_transpose3d", ("N C D H W", "C O K J I", "O"), {}),
    ("unfold", ("N C H W",), {"kernel_size": 2}),
    ("fold", ("N C L",), {"output_size": (3, 4), "kernel_size": 2}),
    *[(f"{kind}_pool1d", ("N C L",), {"kernel_size": 2}) for kind in ("avg", "max")],
    *[(f"{kind}_pool2d", ("N C H W",), {"kernel_size": 2}) for kind in ("avg", "max")],
    *[(f"{kind}_pool3d", ("N C D H W",), {"kernel_size": 2}) for kind in ("avg", "max")],
    *[("max_pool2d", (s,), {"kernel_size": 2, "return_indices": True}) for s in ("N C H W", "C H W")],
    *[("lp_pool2d", ("N C H W",), {"norm_type": p, "kernel_size": 2}) for p in (2.0, float("inf"))],
    *[(f"adaptive_{k}_pool1d", ("N C L",), {"output_size": s}) for k in ("avg", "max") for s in (2, 4, 0)],
    *[(f"adaptive_{k}_pool2d", ("N C H W",), {"output_size": s}) for k in ("avg", "max") for s in (2, 4, (0, 2))],
    *[(f"adaptive_{k}_pool3d", ("N C D H W",), {"output_size": s}) for k in ("avg", "max") for s in (2, (2, 0, 1))],
    ("fractional_max_pool2d", ("N C H W",), {"kernel_size": 2, "output_size": 2}),
    ("fractional_max_pool3d", ("N C D H W",), {"kernel_size": 2, "output_size": 2}),
    ("max_unpool1d", ("N C L", "n c l"), {"kernel_size": 2}),
    ("max_unpool2d", ("N C H W", "n c h w"), {"kernel_size": 2}),
    ("max_unpool3d", ("N C D H W", "n c d h w"), {"kernel_size": 2}),
    ("layer_norm", ("N C L",), {"normalized_shape": (6,)}),
    ("rms_norm", ("N C L",), {"normalized_shape": (6,)}),
    *[("group_norm", (s,), {"num_groups": 2}) for s in ("N C L", "N C H W")],
    *[("instance_norm", (s,), {}) for s in ("N C L", "N C H W")],
    *[("instance_norm", (s, "C", "+C"), {"use_input_stats": False}) for s in ("N C L", "N C H W")],
    *[("batch_norm", (s, "C", "+C"), {"training": False}) for s in ("N C", "N C L", "N C H W")],
    *[("batch_norm", (s, None, None), {"training": t}) for s in ("N C", "N C L", "N C H W") for t in (True, False)],
    ("batch_norm", ("N C L", None, None, "C", "C"), {"training": True}),
    ("layer_norm", ("N C L",), {"normalized_shape": (0,)}),
    ("local_response_norm", ("N C L",), {"size": 3}),
    *[("pad", ("N C L",), {"pad": (1, 2), "mode": m}) for m in ("constant", "reflect", "replicate", "circular")],
    *[
        ("pad", ("N C H W",), {"pad": (1, 2, 0, 1), "mode": m})
        for m in ("constant", "reflect", "replicate", "circular")
    ],
    ("pixel_shuffle", ("N C H W",), {"upscale_factor": 2}),
    ("pixel_unshuffle", ("N C H D",), {"downscale_factor": 2}),
    ("channel_shuffle", ("N C H W",), {"groups": 2}),
    *[("interpolate", ("N C L",), {"scale_factor": 2.0, "mode": m}) for m in ("nearest", "linear", "area")],
    *[("interpolate", ("N C H W",), {"size": (3, 4), "mode": m}) for m in ("nearest", "bilinear", "bicubic", "area")],
    *[("grid_sample", ("N C H W", "N S T J"), {"align_corners": False, "mode": m}) for m in ("bilinear", "nearest")],
    *[
        (name, ("N C", "N C"), {})
        for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "soft_margin_loss")
    ],
    *[(name, ("N C", "N C"), {"reduction": r}) for r in ("sum", "none") for name in ("mse_loss", "l1_loss", "kl_div")],
    *[("kl_div", ("N C", "+N C"), {"reduction": r}) for r in ("sum", "none", "batchmean")],
    ("binary_cross_entropy_with_logits", ("N C", "N C"), {}),
    ("poisson_nll_loss", ("N C", "N C"), {}),
    ("gaussian_nll_loss", ("N C", "N C", "+N C"), {}),
    *[("cross_entropy", ("N C", "n"), {"reduction": r}) for r in ("mean", "sum", "none")],
    *[("cross_entropy", ("N C L", "n l"), {"reduction": r}) for r in ("mean", "sum", "none")],
    *[("cross_entropy", ("N C", "N C"), {"reduction": r}) for r in ("mean", "sum", "none")],
    *[("nll_loss", ("N C", "n"), {"reduction": r}) for r in ("mean", "sum", "none")],
    *[("nll_loss", ("N C H W", "n h w"), {"reduction": r}) for r in ("mean", "sum", "none")],
    *[("multi_margin_loss", ("N C", "n"), {"reduction": r}) for r in ("mean", "sum", "none")],
    *[("multilabel_margin_loss", ("N C", "n c"), {"reduction": r}) for r in ("mean", "sum", "none")],
    ("multilabel_soft_margin_loss", ("N C", "N C"), {}),
    ("hinge_embedding_loss", ("N C", "N C"), {}),
    ("margin_ranking_loss", ("N", "N", "N"), {}),
    ("triplet_margin_loss", ("N C", "N C", "N C"), {}),
    *[("cosine_similarity", ("N C", "N C"), {"dim": d}) for d in (0, 1)],
    ("pairwise_distance", ("N C", "N C"), {}),
    *[("embedding", (s, "V E"), {}) for s in ("n", "n t")],
    *[("embedding_bag", ("n t", "V E"), {"mode": m}) for m in ("sum", "mean", "max")],
    *[("scaled_dot_product_attention", ("N S L E", "N S T E", "N S T C"), {"is_causal": c}) for c in (False, True)],
]


# Where torch's own backward ends the process.
DIES = {("pdist", "N")}

# Where torch's value is not that of the formula.
DIFFERS = {
    # Sums over no input channels leave the bias; torch gives no output channels.
    *[(f"conv{n}d", "C") for n in (1, 2, 3)],
    # torch's shape is that of pixel_shuffle.
    *[("pixel_unshuffle", letter) for letter in "NCHD"],
    # The mean over N rows without a class is that of zeros; torch divides by 0.
    ("cross_entropy", "C"),
}


def arrays_of(specs, without):
    sizes = {**SIZES, without: 0}
    made = []
    for i, spec in enumerate(specs):
        if spec is None:
            made.append(None)
            continue
        letters = spec.lstrip("+").split()
        shape = [sizes[letter.upper()] for letter in letters]
        if spec.islower():
            made.append(np.zeros(shape, np.int64))
        else:
            made.append(rand(i, *shape, low=0.1 if spec[0] == "+" else -1.0))
    return made


def cases():
    for name, specs, options in ROWS:
        for letter in sorted({letter.upper() for spec in specs if spec for letter in spec.lstrip("+").split()}):
            shown = "-".join(f"{k}={v}" for k, v in options.items())
            yield pytest.param(name, specs, options, letter, id=f"{name}-{'/'.join(map(str, specs))}-{shown}-{letter}")


@needs_torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.one_in(25)
@pytest.mark.parametrize(("name", "specs", "options", "without"), list(cases()))
def test_no_element_along_an_axis(name, specs, options, without):
    import torch
    import torch.nn.functional as TF

    arrays = arrays_of(specs, without)
    if name.startswith("fractional"):
        options = {**options, "_random_samples": rand(3, *arrays[0].shape[:2], arrays[0].ndim - 2, low=0.0)}
    theirs = [None if a is None else torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    try:
        expected = leaves(getattr(TF, name)(*theirs, **to_torch(options)))
    except Exception as error:  # what torch refuses is no matter here
        pytest.skip(f"refused by torch: {error}")
    floats = [i for i, a in enumerate(arrays) if a is not None and a.dtype.kind == "f"]

    def run(values):
        given = [None if a is None else jnp.asarray(a) for a in arrays]
        for i, value in zip(floats, values, strict=True):
            given[i] = value
        return leaves(getattr(F, name)(*given, **options))

    values = [jnp.asarray(arrays[i]) for i in floats]
    actual = run(values)
    if (name, without) in DIFFERS:
        assert all(np.isfinite(a).all() for a in actual)
        return
    for a, e in zip(actual, expected, strict=True):
        assert_close(a, from_torch(e), what="value")
    wanted = [None] * len(floats)  # torch's backward refuses some of what its forward takes: then zeros
    total = sum(e.sum() for e in expected if e.is_floating_point())
    if (name, without) not in DIES:
        with contextlib.suppress(RuntimeError):
            wanted = torch.autograd.grad(total, [theirs[i] for i in floats], allow_unused=True)
    grads = jax.grad(lambda v: sum(jnp.sum(o) for o in run(v) if jnp.issubdtype(o.dtype, jnp.floating)))(values)
    for i, g, w in zip(floats, grads, wanted, strict=True):
        assert_close(g, np.zeros(arrays[i].shape) if w is None else from_torch(w), what=f"gradient of argument {i}")
